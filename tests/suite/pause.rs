//! For how long a rolling restart keeps a partition's messages waiting.
//!
//! A measurement, so it runs only when it is asked for (see `deploy/OPERATIONS.md`).

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use line_bridge::sandbox::Faults;

use crate::events::{Event, Fate};
use crate::harness::bridge::Bridge;
use crate::harness::kafka::KafkaCluster;
use crate::harness::wait::wait_until;
use crate::stage::Stage;

const LIMIT: Duration = Duration::from_mins(2);
const PARTITIONS: i32 = 12;
const CONTACTS: usize = 48;
const LATENCY_MS: u64 = 20;

/// From the record's timestamp until the arrival of its message: the longest of each partition.
fn longest_waits(stage: &Stage<'_>) -> BTreeMap<i32, i64> {
    let accepted = stage.accepted();
    let mut longest = BTreeMap::new();
    for record in stage.kafka.consume_all(&stage.topics["orders"]) {
        let sent = &accepted[record.header("id").expect("an id")];
        assert_eq!(sent.len(), 1, "sent once");
        let waited = sent[0].arrived_at_ms - record.timestamp.expect("a timestamp");
        let most = longest.entry(record.partition).or_insert(waited);
        *most = waited.max(*most);
    }
    longest
}

/// One starts and is ready before the other one is told to stop, as Kubernetes does it.
fn restart_each(stage: &Stage<'_>, bridges: &mut [Bridge]) {
    for bridge in bridges {
        let mut old = std::mem::replace(bridge, stage.start());
        wait_until(LIMIT, "the new one is ready", || match bridge.get("/readyz").0 {
            200 => Ok(()),
            status => Err(status),
        });
        assert!(old.drain(LIMIT).success());
    }
}

#[test]
#[ignore = "a measurement"]
fn a_rolling_restart_under_a_steady_stream() {
    let stage = Stage::of(KafkaCluster::shared(), &["orders"], PARTITIONS);
    stage
        .sandbox
        .set_faults(Faults { latency_ms: LATENCY_MS, ..Faults::default() })
        .expect("faults");
    let mut bridges = [stage.start(), stage.start()];
    for bridge in &mut bridges {
        wait_until(LIMIT, "both are ready", || match bridge.get("/readyz").0 {
            200 => Ok(()),
            status => Err(status),
        });
    }
    let over = AtomicBool::new(false);
    let produced = thread::scope(|scope| {
        let stream = scope.spawn(|| {
            let mut produced = 0;
            while !over.load(Ordering::Relaxed) {
                let numbers = produced..produced + CONTACTS;
                let event = |number| {
                    let contact = format!("contact-{}", number % CONTACTS);
                    Event::new(number, "orders", &contact, Fate::Accepted)
                };
                stage.produce(&numbers.map(event).collect::<Vec<_>>());
                produced += CONTACTS;
                stage.wait_accepted(produced.saturating_sub(4 * CONTACTS), LIMIT);
            }
            produced
        });
        restart_each(&stage, &mut bridges);
        over.store(true, Ordering::Relaxed);
        stream.join().expect("a stream")
    });
    stage.wait_committed(LIMIT);
    let longest = longest_waits(&stage);
    println!("{produced} messages; the longest wait of each partition, in ms: {longest:?}");
}
