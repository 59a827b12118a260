//! What holds one channel back holds no other; what is the channel's fault spends no message; and
//! a rate is the group's.

use std::ops::Range;
use std::time::Duration;

use line_bridge::sandbox::{Fault, Faults, RetryAfter, Rule};
use rstest::rstest;
use serde_json::{Value, json};

use crate::events::{Event, Fate};
use crate::harness::bridge::Bridge;
use crate::harness::kafka::KafkaCluster;
use crate::harness::wait::wait_until;
use crate::stage::{Stage, channel_id, counted};

const LIMIT: Duration = Duration::from_mins(2);
const MESSAGES: usize = 300;

/// Each to a recipient of its own.
fn good(kind: &'static str, numbers: Range<usize>) -> Vec<Event> {
    let event = |n: usize| Event::new(n, kind, &format!("contact-{n}"), Fate::Accepted);
    numbers.map(event).collect()
}

fn always(fault: Fault) -> Faults {
    Faults {
        rules: vec![Rule::always(fault).for_channel(&channel_id("orders"))],
        ..Faults::default()
    }
}

fn status(status: u16) -> Fault {
    Fault::Status { status, body: None, content_type: None, accept: false }
}

/// How many messages a channel has accepted.
fn accepted_by(stage: &Stage<'_>, kind: &str) -> usize {
    let messages = stage.sandbox.inbox().messages();
    messages.iter().filter(|message| message.channel_id == channel_id(kind)).count()
}

fn gate_of(bridge: &mut Bridge, kind: &str) -> Option<f64> {
    bridge.metrics().get(&format!("line_bridge_gate_state{{channel=\"{kind}\"}}"))
}

#[rstest]
#[case::limited(Fault::RateLimited { retry_after: Some(RetryAfter::Seconds(5)) }, 1.0)]
#[case::stopped(status(403), 2.0)]
fn a_channel_that_has_to_wait_waits_alone(#[case] fault: Fault, #[case] gate: f64) {
    let stage = Stage::of(KafkaCluster::shared(), &["orders", "payments"], 3);
    stage.sandbox.set_faults(always(fault)).expect("faults");
    let orders = good("orders", 0..MESSAGES);
    stage.produce(&orders);
    let mut bridge = stage.start();
    wait_until(LIMIT, "the channel waits", || match gate_of(&mut bridge, "orders") {
        Some(state) if state >= gate => Ok(()),
        state => Err(format!("{state:?}")),
    });
    stage.produce(&good("payments", MESSAGES..2 * MESSAGES));
    wait_until(LIMIT, "the other channel has accepted all of its messages", || {
        match accepted_by(&stage, "payments") {
            MESSAGES => Ok(()),
            some => Err(format!("{some} accepted")),
        }
    });
    assert_eq!(accepted_by(&stage, "orders"), 0);
    assert_eq!(gate_of(&mut bridge, "payments"), Some(0.0), "it is not even slowed");
    // Far fewer tries than there are messages: the gate is shut, and not each message by itself.
    let tries: u64 = stage.sandbox.inbox().stats().faults.values().sum();
    assert!(tries < MESSAGES as u64 / 2, "{tries} tries while the channel waits");
    stage.sandbox.set_faults(Faults::default()).expect("faults");
    stage.wait_committed(LIMIT);
    assert_eq!(accepted_by(&stage, "orders"), MESSAGES);
    assert!(stage.repeated() < 1.0 && stage.letters().is_empty());
    assert!(bridge.drain(LIMIT).success());
}

/// Such as a channel whose own account has lapsed: the token is good for the others.
#[test]
fn a_token_that_is_refused_for_one_channel_alone_stops_that_one() {
    let stage = Stage::of(KafkaCluster::shared(), &["orders", "payments"], 3);
    stage.sandbox.set_faults(always(status(401))).expect("faults");
    stage.produce(&good("orders", 0..MESSAGES));
    let mut bridge = stage.start();
    wait_until(LIMIT, "all is stopped", || match gate_of(&mut bridge, "payments") {
        Some(2.0) => Ok(()),
        state => Err(format!("{state:?}")),
    });
    stage.produce(&good("payments", MESSAGES..2 * MESSAGES));
    wait_until(LIMIT, "the other channel has sent its messages, and stays open", || {
        let gates = ["orders", "payments"].map(|kind| gate_of(&mut bridge, kind));
        match (accepted_by(&stage, "payments"), gates) {
            (MESSAGES, [Some(2.0), Some(0.0)]) => Ok(()),
            other => Err(format!("{other:?}")),
        }
    });
    let said = bridge.stderr();
    let stops: Vec<_> = said.lines().filter(|line| line.contains("deliveries stopped")).collect();
    let [all, one] = stops.as_slice() else { panic!("{stops:#?}") };
    assert!(all.contains("\"channel\":\"all\"") && one.contains("\"channel\":\"orders\""));
    stage.sandbox.set_faults(Faults::default()).expect("faults");
    stage.wait_committed(LIMIT);
    assert_eq!(accepted_by(&stage, "orders"), MESSAGES);
    assert!(stage.repeated() < 1.0 && stage.letters().is_empty());
    assert!(bridge.drain(LIMIT).success());
}

#[test]
fn five_refusals_alike_stop_their_channel_and_spend_no_message() {
    let stage = Stage::of(KafkaCluster::shared(), &["orders"], 3);
    stage.sandbox.set_faults(always(status(400))).expect("faults");
    let events = good("orders", 0..60);
    stage.produce(&events);
    let mut bridge = stage.start();
    let stops = r#"line_bridge_stops_total{channel="orders",reason="rejected"}"#;
    wait_until(LIMIT, "the channel is stopped, and has been probed in vain", || {
        let metrics = bridge.metrics();
        let stopped = metrics.get(stops).is_some_and(|stops| stops >= 1.0);
        let inbox = stage.sandbox.inbox().stats();
        if stopped && inbox.listings >= 3 { Ok(()) } else { Err(format!("{stopped}, {inbox:?}")) }
    });
    assert!(stage.letters().is_empty());
    assert_eq!(stage.progress().0, 0);
    stage.sandbox.set_faults(Faults::default()).expect("faults");
    stage.wait_committed(LIMIT);
    assert_eq!(stage.accepted().len(), events.len());
    assert!(stage.repeated() < 1.0 && stage.letters().is_empty());
    assert!(bridge.drain(LIMIT).success());
}

#[test]
fn a_rate_is_shared_by_the_members_of_the_group() {
    const RATE: usize = 30;
    const EVENTS: usize = 450;
    let stage = Stage::of(KafkaCluster::shared(), &["orders"], 12);
    let limited = format!("requests_per_second: {RATE}");
    let config = stage.config().replace("requests_per_second: 2000", &limited);
    let mut members: Vec<_> = (0..3).map(|_| stage.workspace.run(&config)).collect();
    wait_until(LIMIT, "each member has its part of the partitions", || {
        let own = |member: &mut Bridge| {
            let status: Value = serde_json::from_str(&member.get("/status").1).expect("JSON");
            status["partitions"].as_array().map_or(0, Vec::len)
        };
        let owned: Vec<_> = members.iter_mut().map(own).collect();
        if owned == [4, 4, 4] { Ok(()) } else { Err(format!("{owned:?}")) }
    });
    stage.produce(&good("orders", 0..EVENTS));
    stage.wait_committed(LIMIT);
    assert_eq!(stage.accepted().len(), EVENTS);

    let mut arrivals: Vec<_> =
        stage.sandbox.inbox().messages().iter().map(|message| message.arrived_at_ms).collect();
    arrivals.sort_unstable();
    // By the sandbox's own clock: in any window as many as the rate gives, and a second's more.
    for (first, from) in arrivals.iter().enumerate() {
        let within = |seconds: i64| {
            arrivals[first..].iter().filter(|at| **at - from < seconds * 1_000).count()
        };
        for seconds in [5, 10] {
            let most = RATE * (usize::try_from(seconds).expect("some") + 1);
            assert!(within(seconds) <= most, "{} in {seconds} s", within(seconds));
        }
    }
    for member in &mut members {
        assert!(member.metrics().sum("line_bridge_records_total") > 0.0);
        assert!(member.drain(LIMIT).success());
    }
}

#[test]
fn the_brake_holds_a_bad_rollout_and_lets_go_when_it_is_rolled_back() {
    const BRAKE: usize = 50;
    let stage = Stage::of(KafkaCluster::shared(), &["orders", "payments"], 1);
    let schemas = concat!(env!("CARGO_MANIFEST_DIR"), "/schemas");
    let shipped = std::fs::read_to_string(format!("{schemas}/orders.json")).expect("a schema");
    let mut bad: Value = serde_json::from_str(&shipped).expect("JSON");
    bad["properties"]["loyaltyId"] = json!({"type": "string"});
    bad["required"].as_array_mut().expect("a list").push(json!("loyaltyId"));
    stage.workspace.file("bad/orders.json", &bad.to_string());
    let common = std::fs::read_to_string(format!("{schemas}/common.json")).expect("a schema");
    stage.workspace.file("bad/common.json", &common);
    let good_config = stage.config();
    let bad_config = good_config.replace(&format!("{schemas}/orders.json"), "bad/orders.json");
    assert_ne!(good_config, bad_config);

    stage.produce(&good("orders", 0..3 * BRAKE));
    let mut bridge = stage.workspace.run(&bad_config);
    let topic = &stage.topics["orders"];
    let paused = format!("line_bridge_topic_paused{{reason=\"brake\",topic=\"{topic}\"}}");
    wait_until(LIMIT, "the brake holds the topic", || {
        let metrics = bridge.metrics();
        let written = metrics.sum("line_bridge_dead_letters_total");
        let held = metrics.get(&paused) == Some(1.0) && written >= counted(BRAKE);
        if held { Ok(()) } else { Err(format!("{written} dead letters")) }
    });
    // The other topic goes on.
    stage.produce(&good("payments", 3 * BRAKE..4 * BRAKE));
    stage.wait_accepted(BRAKE, LIMIT);
    assert_eq!(accepted_by(&stage, "orders"), 0);
    assert_eq!(stage.letters().len(), BRAKE, "so many are spent, and no more");
    assert!(bridge.drain(LIMIT).success());

    let mut bridge = stage.workspace.run(&good_config);
    stage.wait_committed(LIMIT);
    assert_eq!(accepted_by(&stage, "orders"), 2 * BRAKE, "all others are sent");
    assert_eq!(stage.letters().len(), BRAKE);
    assert!(stage.repeated() < 1.0);
    assert!(bridge.drain(LIMIT).success());
}
