//! A backlog of a million records and an API that hangs: what the bridge holds does not grow with
//! what it has yet to read.
//!
//! It takes some five minutes, so it runs only when it is asked for (see `ARCHITECTURE.md`).

use std::time::{Duration, Instant};

use line_bridge::sandbox::{Fault, Faults, Rule};
use serde_json::Value;

use crate::events::{Event, Fate};
use crate::harness::bridge::Bridge;
use crate::harness::kafka::KafkaCluster;
use crate::harness::records::NewRecord;
use crate::harness::wait::wait_until;
use crate::stage::{Stage, counted};

const RECORDS: usize = 1_000_000;
const CHUNK: usize = 50_000;
const PARTITIONS: i32 = 12;
const CONTACTS: usize = 10_000;
const LIMIT: Duration = Duration::from_mins(5);
const WATCHED: Duration = Duration::from_mins(3);

/// So many messages are sent in the end, to see what a busy bridge takes.
const SENT: usize = 20_000;

/// How much more may be in use at the end than when the bound was reached: what an allocator and
/// librdkafka's own threads come to. A leak of one byte a record would be a tenth of that.
const SLACK_MIB: f64 = 10.0;

fn mebibytes(bridge: &mut Bridge) -> f64 {
    let bytes = bridge.metrics().get("process_resident_memory_bytes").expect("the process's own");
    bytes / 1024.0 / 1024.0
}

fn partitions(bridge: &mut Bridge) -> Vec<Value> {
    let status: Value = serde_json::from_str(&bridge.get("/status").1).expect("JSON");
    status["partitions"].as_array().cloned().unwrap_or_default()
}

fn wait_for_all(bridge: &mut Bridge, what: &str, holds: impl Fn(&Value) -> bool) {
    let wanted = usize::try_from(PARTITIONS).expect("some");
    wait_until(LIMIT, what, || {
        let count = partitions(bridge).iter().filter(|it| holds(it)).count();
        if count == wanted { Ok(()) } else { Err(format!("{count} of {wanted}")) }
    });
}

/// Samples every second or so, for so long; the most.
fn most_while_watched(bridge: &mut Bridge) -> f64 {
    let (began, mut most) = (Instant::now(), 0.0_f64);
    wait_until(WATCHED * 2, "it has been watched for long enough", || {
        most = most.max(mebibytes(bridge));
        let left = WATCHED.saturating_sub(began.elapsed());
        if left.is_zero() { Ok(()) } else { Err(format!("{left:?} are left")) }
    });
    most
}

#[test]
#[ignore = "takes some five minutes"]
fn a_backlog_of_a_million_records_takes_no_memory_while_the_api_hangs() {
    let stage = Stage::of(KafkaCluster::shared(), &["orders"], PARTITIONS);
    let mut bridge = stage.start();
    wait_for_all(&mut bridge, "all partitions are assigned", |it| it["held"] == 0);
    let idle = mebibytes(&mut bridge);
    assert!(bridge.drain(LIMIT).success());

    let topic = &stage.topics["orders"];
    for first in (0..RECORDS).step_by(CHUNK) {
        let record = |n: usize| {
            let contact = format!("contact-{}", n % CONTACTS);
            NewRecord::of(Event::new(n, "orders", &contact, Fate::Accepted).value()).key(contact)
        };
        stage.kafka.produce(topic, (first..first + CHUNK).map(record));
    }
    let hang = Rule::always(Fault::Hang { accept: false, max_seconds: 120 });
    stage.sandbox.set_faults(Faults { rules: vec![hang], ..Faults::default() }).expect("faults");

    let mut bridge = stage.start();
    wait_for_all(&mut bridge, "all partitions are at their bound", |it| it["full"] == true);
    let full = mebibytes(&mut bridge);
    let before = bridge.metrics().sum("line_bridge_rebalances_total");
    let most = most_while_watched(&mut bridge);
    let end = mebibytes(&mut bridge);
    let metrics = bridge.metrics();
    let lag = metrics.sum("line_bridge_consumer_lag");
    println!(
        "| {RECORDS} records, an API that hangs for {WATCHED:?} | idle {idle:.1} MiB | at the bound {full:.1} | most {most:.1} | at the end {end:.1} |"
    );
    assert!((lag - counted(RECORDS)).abs() < 0.5, "{lag}");
    assert!(most <= full + SLACK_MIB, "{most} MiB, and {full} when the bound was reached");
    let rebalances = metrics.sum("line_bridge_rebalances_total") - before;
    assert!(rebalances.abs() < 0.5, "it stays in its group");

    stage.sandbox.set_faults(Faults { latency_ms: 20, ..Faults::default() }).expect("faults");
    stage.wait_accepted(SENT, LIMIT);
    println!("| {SENT} of them sent | {:.1} MiB |", mebibytes(&mut bridge));
    assert!(stage.letters().is_empty() && stage.repeated() < 1.0);
    assert!(bridge.drain(LIMIT).success());
}
