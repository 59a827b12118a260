//! The figures, as tables and as JSON.

use std::fmt::Write as _;

use serde::Serialize;

use crate::arm::Stage;
use crate::machine;

#[derive(Debug, Serialize)]
pub(crate) struct Report {
    machine: String,
    command: String,
    version: &'static str,
    pub(crate) throughput: Vec<Throughput>,
    pub(crate) latency: Vec<Latency>,
    pub(crate) memory: Vec<Memory>,
}

#[derive(Debug, Serialize)]
pub(crate) struct Throughput {
    pub(crate) arm: String,
    pub(crate) keys: &'static str,
    pub(crate) latency_ms: u64,
    pub(crate) in_flight: usize,
    pub(crate) messages: usize,
    pub(crate) per_second: f64,
    /// The number in flight ÷ latency, or what the order of a key's messages leaves of it.
    pub(crate) ideal_per_second: Option<f64>,
    pub(crate) cpu_seconds_per_thousand: f64,
    /// At its highest.
    pub(crate) resident_mb: f64,
    /// From the start of the process.
    pub(crate) first_message_ms: f64,
    pub(crate) lost: usize,
    pub(crate) repeated: usize,
    pub(crate) out_of_order: usize,
}

#[derive(Clone, Debug, Serialize)]
pub(crate) struct Latency {
    pub(crate) arm: String,
    pub(crate) rate: u64,
    pub(crate) messages: usize,
    pub(crate) p50_ms: f64,
    pub(crate) p99_ms: f64,
    pub(crate) highest_ms: f64,
}

#[derive(Debug, Serialize)]
pub(crate) struct Memory {
    pub(crate) arm: String,
    pub(crate) backlog: usize,
    pub(crate) first_mb: f64,
    pub(crate) last_mb: f64,
    pub(crate) highest_mb: f64,
    pub(crate) watched_seconds: u64,
}

impl Report {
    pub(crate) fn new(_: &Stage) -> Self {
        let arguments: Vec<String> = std::env::args().skip(1).filter(|a| a != "--bench").collect();
        Self {
            machine: machine::description(),
            command: format!("cargo bench --bench bench -- {}", arguments.join(" ")),
            version: env!("CARGO_PKG_VERSION"),
            throughput: Vec::new(),
            latency: Vec::new(),
            memory: Vec::new(),
        }
    }

    pub(crate) fn json(&self) -> String {
        serde_json::to_string_pretty(self).expect("a report is numbers and names")
    }

    pub(crate) fn table(&self) -> String {
        let mut text = format!("{}\n`{}`\n", self.machine, self.command.trim_end());
        self.write(&mut text).expect("a string takes all");
        text
    }

    fn write(&self, text: &mut String) -> std::fmt::Result {
        if !self.throughput.is_empty() {
            text.push_str(
                "\n| keys | API | in flight | arm | messages/s | of what is possible | CPU s per 1,000 \
                 | of the floor's | MB | first after | lost | repeated | out of order |\n\
                 |---|---|---|---|---|---|---|---|---|---|---|---|---|\n",
            );
        }
        for row in &self.throughput {
            writeln!(
                text,
                "| {} | {} ms | {} | {} | {:.0} | {} | {:.3} | {} | {:.0} | {:.0} ms | {} | {} | {} |",
                row.keys,
                row.latency_ms,
                row.in_flight,
                row.arm,
                row.per_second,
                row.ideal_per_second.map_or_else(String::new, |ideal| {
                    format!("{:.0} %", row.per_second * 100.0 / ideal)
                }),
                row.cpu_seconds_per_thousand,
                self.beside_the_floor(row),
                row.resident_mb,
                row.first_message_ms,
                row.lost,
                row.repeated,
                row.out_of_order
            )?;
        }
        if !self.latency.is_empty() {
            text.push_str(
                "\n| events/s | arm | p50 | p99 | highest | messages |\n|---|---|---|---|---|---|\n",
            );
        }
        for row in &self.latency {
            let Latency { arm, rate, messages, p50_ms, p99_ms, highest_ms } = row;
            writeln!(
                text,
                "| {rate} | {arm} | {p50_ms:.1} ms | {p99_ms:.1} ms | {highest_ms:.1} ms | {messages} |"
            )?;
        }
        if !self.memory.is_empty() {
            text.push_str(
                "\n| backlog | arm | resident at first | after | highest |\n|---|---|---|---|---|\n",
            );
        }
        for row in &self.memory {
            let Memory { arm, backlog, first_mb, last_mb, highest_mb, watched_seconds } = row;
            writeln!(
                text,
                "| {backlog} | {arm} | {first_mb:.1} MB | {watched_seconds} s: {last_mb:.1} MB | {highest_mb:.1} MB |"
            )?;
        }
        Ok(())
    }

    /// How many times the floor's CPU time a row takes.
    fn beside_the_floor(&self, row: &Throughput) -> String {
        let of_same = |other: &&Throughput| {
            other.arm == "floor"
                && (other.keys, other.latency_ms, other.in_flight)
                    == (row.keys, row.latency_ms, row.in_flight)
        };
        let floor = self.throughput.iter().find(of_same);
        floor.map_or_else(String::new, |floor| {
            format!("{:.2}", row.cpu_seconds_per_thousand / floor.cpu_seconds_per_thousand)
        })
    }
}
