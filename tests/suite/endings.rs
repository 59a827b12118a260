//! SIGTERM at a bad moment: while a broker is away, and before the bridge has joined its group.

use std::time::Duration;

use line_bridge::sandbox::Faults;

use crate::events::{Event, Fate};
use crate::harness::bridge::Bridge;
use crate::harness::kafka::KafkaCluster;
use crate::harness::wait::wait_until;
use crate::stage::Stage;

const LIMIT: Duration = Duration::from_mins(1);

/// So soon an orchestrator's patience is not tried; the search for brokers takes half a minute.
const SOON: Duration = Duration::from_secs(20);

fn good(numbers: std::ops::Range<usize>) -> Vec<Event> {
    let event = |n: usize| Event::new(n, "orders", &format!("contact-{n}"), Fate::Accepted);
    numbers.map(event).collect()
}

fn wait_for_log(bridge: &Bridge, text: &str) {
    wait_until(LIMIT, text, || {
        let said = bridge.stderr();
        if said.contains(text) { Ok(()) } else { Err(said) }
    });
}

#[test]
fn sigterm_while_no_broker_can_be_reached_ends_it_at_once() {
    let stage = Stage::of(KafkaCluster::shared(), &["orders"], 1);
    let config = stage.config().replace(stage.kafka.bootstrap(), "127.0.0.1:1");
    let mut bridge = stage.workspace.run(&config);
    wait_for_log(&bridge, "listening");
    assert!(bridge.drain(SOON).success());
}

#[test]
fn sigterm_while_it_waits_to_be_let_into_its_group_ends_it() {
    let stage = Stage::of(KafkaCluster::shared(), &["orders"], 2);
    stage.produce(&good(0..2));
    let mut frozen = stage.start();
    stage.wait_committed(LIMIT);
    // The group waits for this member's answer, for as long as its session lasts: 45 s.
    frozen.signal("STOP");
    let mut waiting = stage.start();
    wait_for_log(&waiting, "line-bridge is running");
    assert_eq!(waiting.get("/readyz").0, 503);
    assert!(waiting.drain(SOON).success());
    frozen.signal("CONT");
    stage.produce(&good(2..4));
    stage.wait_committed(LIMIT);
    assert_eq!(stage.accepted().len(), 4);
    assert!(stage.repeated() < 1.0);
    assert!(frozen.drain(LIMIT).success());
}

#[test]
fn a_drain_whose_last_commit_cannot_be_made_says_so_and_fails() {
    let kafka = KafkaCluster::private();
    let mut stage = Stage::of(&kafka, &["orders"], 1);
    stage.delivery = "  drain_timeout: 2s\n".to_owned();
    stage.properties.push(("session.timeout.ms", "11000".to_owned()));
    stage.timeout = "5s";
    // Accepted only once the broker has gone.
    let slow = Faults { latency_ms: 3_000, ..Faults::default() };
    stage.sandbox.set_faults(slow).expect("faults");
    stage.produce(&good(0..5));
    let mut bridge = stage.start();
    wait_until(LIMIT, "all are in flight", || {
        let in_flight = stage.sandbox.inbox().stats().in_flight;
        if in_flight == 5 { Ok(()) } else { Err(in_flight) }
    });
    kafka.kill_broker();
    let accepted = r#"line_bridge_attempts_total{channel="orders",outcome="accepted"}"#;
    wait_until(LIMIT, "all are accepted", || {
        let count = bridge.metrics().get(accepted);
        if count == Some(5.0) { Ok(()) } else { Err(format!("{count:?}")) }
    });
    assert_eq!(bridge.drain(SOON).code(), Some(1));
    let log = bridge.log();
    let last = log.last().and_then(|line| line["message"].as_str()).unwrap_or_default();
    assert!(last.starts_with("line-bridge: the last commit"), "{last}");

    kafka.start_broker();
    stage.sandbox.set_faults(Faults::default()).expect("faults");
    let mut bridge = stage.start();
    stage.wait_committed(LIMIT);
    assert_eq!(stage.accepted().len(), 5, "nothing is lost");
    assert!(bridge.drain(LIMIT).success());
}
