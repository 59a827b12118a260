//! The bench: the real program as a process, a real Kafka, and a sink in the place of the API.
//!
//! `cargo bench --bench bench` measures, and prints tables; `-- --output json` prints the same as
//! JSON. Every run has at least two arms, ours and the floor: the same HTTP client that sends the
//! same bodies to the same sink, with neither Kafka nor rules. The ratio of the two is the figure
//! that counts, for broker, sink and program share one machine. Everything is on the loopback
//! interface, bounded in time and number.

#![expect(clippy::disallowed_methods, reason = "a bench reads the real clock")]
#![expect(
    clippy::expect_used,
    clippy::panic,
    reason = "a bench that can't measure has nothing better to do"
)]

mod arm;
mod backlog;
mod events;
mod floor;
#[expect(dead_code, unused_imports, reason = "the tests use the rest")]
#[expect(clippy::indexing_slicing, reason = "it is made for tests")]
#[path = "../suite/harness/mod.rs"]
mod harness;
mod latency;
mod machine;
mod process;
mod report;
mod sink;
mod statistics;
mod throughput;

use clap::{Parser, Subcommand, ValueEnum};

use events::Keys;
use report::Report;

/// Measures line-bridge beside the floor, and beside any other command.
#[derive(Debug, Parser)]
#[command(name = "bench", max_term_width = 100)]
struct Bench {
    #[command(subcommand)]
    part: Option<Part>,
    #[command(flatten)]
    plan: Plan,
}

#[derive(Debug, Subcommand)]
enum Part {
    /// Sends messages to a sink: the floor's own process.
    #[command(hide = true)]
    Floor(floor::Floor),
}

/// What is measured.
#[derive(Clone, Debug, clap::Args)]
struct Plan {
    /// What is measured, in this order.
    #[arg(long, value_delimiter = ',', default_values = ["throughput", "latency", "memory"])]
    measure: Vec<Measure>,
    /// How long the sink takes for an answer, in milliseconds.
    #[arg(long, value_delimiter = ',', default_values = ["0", "20", "100"])]
    latency_ms: Vec<u64>,
    /// The most messages in flight at once.
    #[arg(long, value_delimiter = ',', default_values = ["64", "256"])]
    in_flight: Vec<usize>,
    /// How the events' keys are spread.
    #[arg(long, value_delimiter = ',', default_values = ["uniform", "zipf", "one"])]
    keys: Vec<Keys>,
    /// How often each combination and each rate is run, the arms in turn; medians are told.
    #[arg(long, default_value = "1")]
    runs: usize,
    /// About how long one run of one arm takes, in seconds; it decides the number of messages.
    #[arg(long, default_value = "8")]
    seconds: u64,
    /// Open-loop rates, in events a second.
    #[arg(long, value_delimiter = ',', default_values = ["200", "2000"])]
    rates: Vec<u64>,
    /// How many records the backlog of the memory measurement has.
    #[arg(long, default_value = "1000000")]
    backlog: usize,
    /// A command to be measured beside line-bridge. It finds brokers, topic, group, URL, number in
    /// flight and a topic for dead letters in the variables `BROKERS`, `TOPIC`, `GROUP`, `URL`,
    /// `IN_FLIGHT` and `DEAD_LETTERS`; for each record it sends a POST with the event, or with a
    /// text that has its `orderId`.
    #[arg(long, value_name = "COMMAND")]
    other: Option<String>,
    #[arg(long, value_enum, default_value = "table")]
    output: Output,
    /// Given by `cargo bench`.
    #[arg(long, hide = true)]
    bench: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Measure {
    /// Messages a second, CPU time, memory, and time to the first message, from a full topic.
    Throughput,
    /// From an event's production to its message's arrival, at a fixed rate.
    Latency,
    /// Resident memory idle, and with a backlog and an API that hangs.
    Memory,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Output {
    Table,
    Json,
}

fn main() {
    let bench = Bench::parse();
    if let Some(Part::Floor(floor)) = bench.part {
        floor.run();
        return;
    }
    let stage = arm::Stage::start();
    let mut report = Report::new(&stage);
    for measure in &bench.plan.measure {
        match measure {
            Measure::Throughput => throughput::measure(&stage, &bench.plan, &mut report),
            Measure::Latency => latency::measure(&stage, &bench.plan, &mut report),
            Measure::Memory => backlog::measure(&stage, &bench.plan, &mut report),
        }
    }
    match bench.plan.output {
        Output::Table => println!("{}", report.table()),
        Output::Json => println!("{}", report.json()),
    }
}
