//! Faults that are not the events' own: nothing is spent, and the deliveries resume by themselves.

use std::time::{Duration, Instant};

use line_bridge::sandbox::{Fault, Faults, Rule};

use crate::events::{Event, Fate};
use crate::harness::kafka::KafkaCluster;
use crate::harness::wait::wait_until;
use crate::stage::{Stage, TOKEN};

const OUTAGE: Duration = Duration::from_secs(30);

/// A hundred events before the fault and five hundred in it, of a rule that retries and of one
/// that does not.
fn through_an_outage(begin: impl Fn(&Stage<'_>), end: impl Fn(&Stage<'_>)) {
    let stage = Stage::of(KafkaCluster::shared(), &["orders", "payments"], 6);
    let contact = |number: usize| format!("contact-{}", number % 150);
    let kind = |number: usize| if number.is_multiple_of(2) { "orders" } else { "payments" };
    let events: Vec<_> = (0..600)
        .map(|number| Event::new(number, kind(number), &contact(number), Fate::Accepted))
        .collect();
    let mut bridge = stage.start();
    stage.produce(&events[..100]);
    stage.wait_committed(Duration::from_mins(1));

    begin(&stage);
    let began = Instant::now();
    stage.produce(&events[100..]);
    wait_until(OUTAGE, "a channel is stopped", || {
        let stopped = bridge.metrics().sum("line_bridge_gate_state");
        if stopped >= 2.0 { Ok(()) } else { Err(format!("{stopped}")) }
    });
    // The outage takes its time, and all the while nothing is given up.
    wait_until(OUTAGE * 2, "the outage is over", || {
        assert!(stage.letters().is_empty(), "a dead letter in an outage");
        assert_eq!(bridge.get("/livez").0, 200);
        assert_eq!(bridge.get("/readyz").0, 200);
        let left = OUTAGE.saturating_sub(began.elapsed());
        if left.is_zero() { Ok(()) } else { Err(format!("{left:?} are left")) }
    });
    end(&stage);

    stage.wait_committed(Duration::from_mins(1));
    assert!(stage.letters().is_empty(), "an outage spends nothing");
    let accepted = stage.accepted();
    assert_eq!(accepted.len(), events.len(), "nothing is lost");
    let metrics = bridge.metrics();
    assert!(stage.repeated() <= metrics.sum("line_bridge_possible_duplicates_total"));
    assert!((metrics.sum("line_bridge_gate_state")).abs() < f64::EPSILON, "open again");
    assert!(bridge.drain(Duration::from_secs(40)).success());
}

#[test]
fn a_token_that_is_revoked_for_30_s_spends_nothing() {
    through_an_outage(
        |stage| stage.sandbox.set_token("another-token"),
        |stage| stage.sandbox.set_token(TOKEN),
    );
}

#[test]
fn a_rotated_token_file_is_picked_up() {
    through_an_outage(
        |stage| stage.sandbox.set_token("another-token"),
        |stage| drop(stage.workspace.file("token", "another-token\n")),
    );
}

#[test]
fn an_api_that_answers_502_for_30_s_spends_nothing() {
    let status = |status| Fault::Status { status, body: None, content_type: None, accept: false };
    let down = Faults { rules: vec![Rule::always(status(502))], ..Faults::default() };
    through_an_outage(
        |stage| stage.sandbox.set_faults(down.clone()).expect("faults"),
        |stage| stage.sandbox.set_faults(Faults::default()).expect("faults"),
    );
}
