//! What a restart loses (nothing) and repeats (nothing, or within the bound).

use std::time::Duration;

use line_bridge::sandbox::Faults;

use crate::events::{Event, Fate, refused_contacts};
use crate::harness::kafka::KafkaCluster;
use crate::stage::{Stage, counted};
use crate::stream::in_order;

const EVENTS: usize = 3_000;
const MAX_IN_FLIGHT: usize = 64;

/// Good events only, through an API that takes 20 ms.
fn stage_with_events() -> (Stage<'static>, Vec<Event>) {
    let mut stage = Stage::of(KafkaCluster::shared(), &["orders"], 6);
    stage.delivery = format!("  max_in_flight: {MAX_IN_FLIGHT}\n");
    let refused_contacts = refused_contacts().into_iter().collect();
    let slow = Faults { latency_ms: 20, refused_contacts, ..Faults::default() };
    stage.sandbox.set_faults(slow).expect("faults");
    let contact = |number| format!("contact-{}", number % 200);
    let events: Vec<_> = (0..EVENTS)
        .map(|number| Event::new(number, "orders", &contact(number), Fate::Accepted))
        .collect();
    stage.produce(&events);
    (stage, events)
}

/// Every event accepted, nothing set aside; returns how many were accepted more than once.
fn repeated(stage: &Stage<'_>) -> f64 {
    assert_eq!(stage.accepted().len(), EVENTS, "nothing is lost");
    assert!(stage.letters().is_empty());
    stage.repeated()
}

#[test]
fn sigterm_in_the_middle_loses_nothing_and_repeats_nothing() {
    let (stage, events) = stage_with_events();
    let mut bridge = stage.start();
    for part in 1..4 {
        stage.wait_accepted(EVENTS * part / 4, Duration::from_mins(1));
        assert!(bridge.drain(Duration::from_secs(40)).success());
        bridge = stage.start();
    }
    stage.wait_committed(Duration::from_mins(1));
    assert!(repeated(&stage) < 1.0);
    in_order(&stage, &events);
    assert!(bridge.drain(Duration::from_secs(40)).success());
}

#[test]
fn kill_9_in_the_middle_loses_nothing_and_repeats_within_the_bound() {
    let (mut stage, events) = stage_with_events();
    // A crashed member is replaced when its session is over, so that is made short.
    stage.properties.push(("session.timeout.ms", "8000".to_owned()));
    stage.timeout = "2s";
    let mut kills = 0;
    for part in 1..4 {
        let mut bridge = stage.start();
        stage.wait_accepted(EVENTS * part / 4, Duration::from_mins(2));
        bridge.kill();
        kills += 1;
    }
    let mut bridge = stage.start();
    stage.wait_committed(Duration::from_mins(2));
    let repeated = repeated(&stage);
    println!("{kills} times kill -9: {repeated} of {EVENTS} repeated, {MAX_IN_FLIGHT} in flight");
    assert!(repeated <= counted(kills * 2 * MAX_IN_FLIGHT));
    in_order(&stage, &events);
    assert!(bridge.drain(Duration::from_secs(40)).success());
}

#[test]
fn two_instances_share_the_partitions_and_one_takes_over_from_the_other() {
    let (stage, events) = stage_with_events();
    let mut first = stage.start();
    stage.wait_accepted(EVENTS / 8, Duration::from_mins(1));
    let mut second = stage.start();
    stage.wait_accepted(EVENTS / 2, Duration::from_mins(1));
    assert!(first.drain(Duration::from_secs(40)).success());
    stage.wait_committed(Duration::from_mins(1));
    assert!(second.metrics().sum("line_bridge_records_total") > 0.0);
    assert!(repeated(&stage) < 1.0, "a handed-over partition repeats nothing");
    in_order(&stage, &events);
    assert!(second.drain(Duration::from_secs(40)).success());
}
