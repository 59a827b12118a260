//! A dead-letter topic that is deleted and made again under a stream of dead letters: what was in
//! the old one is gone with it, and nothing else is.

use std::collections::BTreeSet;
use std::time::Duration;

use line_bridge::sandbox::Faults;

use crate::events::{Event, Fate};
use crate::harness::bridge::Bridge;
use crate::harness::kafka::KafkaCluster;
use crate::harness::wait::wait_until;
use crate::stage::{Stage, counted};

const LIMIT: Duration = Duration::from_mins(2);
const EVENTS: usize = 4_000;
const BAD: usize = EVENTS / 2;
/// So many come when the topic has been made for the last time.
const LAST: usize = 100;
const DELETIONS: usize = 4;

/// So few at a time, and every second one with a message that takes its time, that dead letters are
/// on their way whenever the topic is deleted.
const HELD: usize = 60;
const LATENCY_MS: u64 = 50;

fn written(bridge: &mut Bridge) -> f64 {
    bridge.metrics().sum("line_bridge_dead_letters_total")
}

#[test]
fn a_dead_letter_topic_that_is_deleted_and_made_again_takes_along_only_what_was_in_it() {
    // Its data is looked at, so it is never an outside one.
    let kafka = KafkaCluster::secured();
    let mut stage = Stage::of(kafka, &["orders"], 6);
    stage.delivery = format!("  held_records: {HELD}\n");
    let slow = Faults { latency_ms: LATENCY_MS, ..Faults::default() };
    stage.sandbox.set_faults(slow).expect("faults");
    let fate = |n: usize| if n.is_multiple_of(2) { Fate::NoRule } else { Fate::Accepted };
    let event = |n: usize| Event::new(n, "orders", &format!("contact-{n}"), fate(n));
    let events: Vec<_> = (0..EVENTS).map(event).collect();
    let (stream, last) = events.split_at(EVENTS - LAST);
    stage.produce(stream);
    let mut bridge = stage.start();
    let mut random = fastrand::Rng::new();
    for deletion in 1..=DELETIONS {
        let part = BAD * deletion / (DELETIONS + 2);
        let wanted = counted(part - random.usize(..BAD / 10));
        wait_until(LIMIT, "dead letters are written", || {
            let now = written(&mut bridge);
            if now >= wanted { Ok(()) } else { Err(format!("{now} of {wanted}")) }
        });
        kafka.delete_topic(&stage.dead_letters);
        kafka.create_topic(&stage.dead_letters, 3, &[]);
    }
    stage.produce(last);
    stage.wait_committed(LIMIT);

    let on_disk = kafka.deleted(&stage.dead_letters);
    let id_length = events[0].id.len();
    let ids = on_disk.windows(id_length).filter(|bytes| bytes.ends_with(b"-NoRule"));
    let deleted: BTreeSet<_> = ids.collect();
    let letters = stage.letters();
    let bad = events.iter().filter(|event| event.fate == Fate::NoRule);
    let (left, gone): (Vec<_>, Vec<_>) = bad.partition(|event| letters.contains_key(&event.id));
    let lost: Vec<_> = gone.iter().filter(|event| !deleted.contains(event.id.as_bytes())).collect();
    println!(
        "{BAD} dead letters, {DELETIONS} deletions: {} are left, {} were in a deleted topic, {} lost; {} acknowledged without an offset",
        left.len(),
        gone.len() - lost.len(),
        lost.len(),
        bridge.stderr().matches("named no offset").count(),
    );
    assert!(lost.is_empty(), "acknowledged, and in no topic: {lost:?}");
    assert!(!gone.is_empty());
    let last = last.iter().filter(|event| event.fate == Fate::NoRule);
    assert!(last.into_iter().all(|event| letters.contains_key(&event.id)), "the new topic is used");
    assert!((written(&mut bridge) - counted(BAD)).abs() < 0.5, "each is settled once");
    assert!(bridge.drain(LIMIT).success());
}
