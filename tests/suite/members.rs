//! Members of the group that are stopped, frozen or drained, and topics that change under them.

use std::time::{Duration, Instant};

use line_bridge::sandbox::{Fault, Faults, Rule};
use rdkafka::admin::{AdminClient, AdminOptions, NewPartitions};
use rdkafka::client::DefaultClientContext;
use rstest::rstest;
use serde_json::Value;

use crate::events::{Event, Fate};
use crate::harness::bridge::Bridge;
use crate::harness::kafka::KafkaCluster;
use crate::harness::wait::{block_on, wait_until};
use crate::stage::{Stage, counted};

const LIMIT: Duration = Duration::from_mins(1);
const MAX_IN_FLIGHT: usize = 64;

fn good(kind: &'static str, numbers: std::ops::Range<usize>) -> Vec<Event> {
    let event = |n: usize| Event::new(n, kind, &format!("contact-{}", n % 200), Fate::Accepted);
    numbers.map(event).collect()
}

fn wait_ready(bridge: &mut Bridge) {
    wait_until(LIMIT, "it is ready", || {
        let (status, said) = bridge.get("/readyz");
        if status == 200 { Ok(()) } else { Err(said) }
    });
}

#[rstest]
#[case::classic("classic")]
#[case::consumer("consumer")]
fn a_member_without_partitions_is_ready_and_takes_over_from_the_one_that_has_them(
    #[case] protocol: &str,
) {
    let mut stage = Stage::of(KafkaCluster::shared(), &["orders"], 1);
    stage.properties.push(("group.protocol", protocol.to_owned()));
    let mut first = stage.start();
    wait_ready(&mut first);
    let mut second = stage.start();
    wait_ready(&mut second);
    stage.produce(&good("orders", 0..10));
    stage.wait_committed(LIMIT);
    assert!(first.drain(LIMIT).success());
    stage.produce(&good("orders", 10..20));
    stage.wait_committed(LIMIT);
    assert_eq!(stage.accepted().len(), 20);
    assert!(stage.repeated() < 1.0);
    assert!(second.drain(LIMIT).success());
}

#[test]
fn a_partition_that_comes_back_is_read_on() {
    let stage = Stage::of(KafkaCluster::shared(), &["orders"], 2);
    stage.produce(&good("orders", 0..20));
    let mut first = stage.start();
    stage.wait_committed(LIMIT);
    let mut second = stage.start();
    wait_until(LIMIT, "the other one has its part", || {
        let status: Value = serde_json::from_str(&second.get("/status").1).expect("JSON");
        let owned = status["partitions"].as_array().map_or(0, Vec::len);
        if owned == 1 { Ok(()) } else { Err(format!("{owned} partitions")) }
    });
    assert!(second.drain(LIMIT).success());
    stage.produce(&good("orders", 20..60));
    stage.wait_committed(LIMIT);
    assert_eq!(stage.accepted().len(), 60);
    assert!(stage.repeated() < 1.0);
    assert!(first.drain(LIMIT).success());
}

/// The group waits for the one that has died until its session is over, and the coordinator keeps
/// the answers of all others back until then.
#[test]
fn a_member_that_has_died_and_come_back_holds_up_no_other() {
    let mut stage = Stage::of(KafkaCluster::shared(), &["orders"], 6);
    stage.delivery = format!("  max_in_flight: {MAX_IN_FLIGHT}\n");
    stage.properties.push(("session.timeout.ms", "300000".to_owned()));
    stage.timeout = "2s";
    let mut dies = stage.start();
    wait_ready(&mut dies);
    let mut other = stage.start();
    wait_until(LIMIT, "each has its part", || {
        let status: Value = serde_json::from_str(&other.get("/status").1).expect("JSON");
        let owned = status["partitions"].as_array().map_or(0, Vec::len);
        if owned == 3 { Ok(()) } else { Err(format!("{owned} partitions")) }
    });
    stage.produce(&good("orders", 0..60));
    stage.wait_committed(LIMIT);
    dies.kill();
    let _again = stage.start();
    wait_until(LIMIT, "the coordinator keeps its answers back", || {
        let said = other.stderr();
        let told = said.contains("the group's coordinator is silent");
        if told { Ok(()) } else { Err(said) }
    });
    // The first commit waits from now on.
    stage.produce(&good("orders", 60..70));
    stage.wait_accepted(61, LIMIT);
    stage.produce(&good("orders", 70..130));
    stage.wait_accepted(90, LIMIT);
}

#[test]
fn a_member_that_was_frozen_past_its_session_does_not_go_on_beside_its_successor() {
    let mut stage = Stage::of(KafkaCluster::shared(), &["orders"], 6);
    stage.delivery = format!("  max_in_flight: {MAX_IN_FLIGHT}\n");
    stage.properties.push(("session.timeout.ms", "8000".to_owned()));
    stage.timeout = "2s";
    let slow = Faults { latency_ms: 50, ..Faults::default() };
    stage.sandbox.set_faults(slow).expect("faults");
    let events = good("orders", 0..4_000);
    stage.produce(&events);
    let mut frozen = stage.start();
    stage.wait_accepted(500, LIMIT);
    frozen.signal("STOP");
    let mut successor = stage.start();
    let before = stage.sandbox.inbox().messages().len();
    stage.wait_accepted(before + 500, LIMIT);
    frozen.signal("CONT");
    stage.wait_committed(LIMIT);
    assert_eq!(stage.accepted().len(), events.len(), "nothing is lost");
    let repeated = stage.repeated();
    println!("{repeated} repeated, {MAX_IN_FLIGHT} in flight");
    assert!(repeated <= counted(2 * MAX_IN_FLIGHT));
    assert!(frozen.drain(LIMIT).success());
    assert!(successor.drain(LIMIT).success());
}

#[test]
fn partitions_that_are_added_are_read_from_their_beginning_and_a_deleted_topic_stops_no_other() {
    let mut stage = Stage::of(KafkaCluster::shared(), &["orders", "logins"], 2);
    stage.properties.push(("topic.metadata.refresh.interval.ms", "1000".to_owned()));
    let config = stage.config().replace("start: earliest", "start: latest");
    let mut bridge = stage.workspace.run(&config);
    wait_ready(&mut bridge);
    let admin: AdminClient<DefaultClientContext> =
        stage.kafka.client().create().expect("an admin client");
    let logins = stage.topics["logins"].clone();
    let more = [NewPartitions::new(&logins, 6)];
    block_on(async { admin.create_partitions(&more, &AdminOptions::new()).await })
        .expect("more partitions");
    stage.produce(&good("logins", 0..60));
    stage.wait_committed(LIMIT);
    assert_eq!(stage.accepted().len(), 60);

    let orders = stage.topics.remove("orders").expect("a topic");
    stage.kafka.delete_topic(&orders);
    wait_until(LIMIT, "the deleted topic's partitions are gone", || {
        let said = bridge.stderr();
        if said.contains("partitions lost") || said.contains("partitions revoked") {
            return Ok(());
        }
        Err("they are not")
    });
    stage.produce(&good("logins", 60..120));
    stage.wait_committed(LIMIT);
    assert_eq!(stage.accepted().len(), 120);
    assert_eq!(bridge.get("/livez").0, 200);
    assert!(bridge.drain(LIMIT).success());
}

#[test]
fn a_drain_ends_in_time_although_the_api_hangs_and_sets_aside_what_must_not_be_repeated() {
    let mut stage = Stage::of(KafkaCluster::shared(), &["orders", "payments"], 2);
    stage.delivery = "  drain_timeout: 2s\n".to_owned();
    let hang = Rule::always(Fault::Hang { accept: true, max_seconds: 60 });
    stage.sandbox.set_faults(Faults { rules: vec![hang], ..Faults::default() }).expect("faults");
    let events: Vec<_> = (0..5)
        .flat_map(|n| [good("orders", n..n + 1), good("payments", n + 10..n + 11)].concat())
        .collect();
    stage.produce(&events);
    let mut bridge = stage.start();
    wait_until(LIMIT, "all are in flight", || {
        let in_flight = bridge.metrics().sum("line_bridge_in_flight");
        if in_flight >= 10.0 { Ok(()) } else { Err(format!("{in_flight}")) }
    });
    let began = Instant::now();
    // One who is impatient changes nothing.
    bridge.signal("TERM");
    bridge.signal("TERM");
    assert!(bridge.wait_exit(LIMIT).success());
    assert!(began.elapsed() < Duration::from_secs(8), "{:?}", began.elapsed());
    let letters = stage.letters();
    assert_eq!(letters.len(), 5, "{letters:?}");
    let reasons = letters.values().flatten().map(|letter| letter.header("line-bridge-reason"));
    assert!(reasons.into_iter().all(|reason| reason == Some("ambiguous")));
    let (committed, end) = stage.progress();
    assert_eq!((committed, end), (5, 10), "what may be repeated is left to the next owner");
}

#[test]
fn members_stay_in_the_group_for_longer_than_a_poll_may_take_while_the_api_hangs() {
    const MAX_POLL: Duration = Duration::from_secs(16);
    let mut stage = Stage::of(KafkaCluster::shared(), &["orders"], 4);
    // Far fewer are held than there are, so every partition is at its bound.
    stage.delivery = "  held_records: 40\n".to_owned();
    stage.properties.push(("session.timeout.ms", "8000".to_owned()));
    stage.properties.push(("max.poll.interval.ms", MAX_POLL.as_millis().to_string()));
    stage.timeout = "2s";
    let mut members = [stage.start(), stage.start()];
    let statuses = |members: &mut [Bridge; 2]| -> Vec<Value> {
        members
            .iter_mut()
            .map(|it| serde_json::from_str(&it.get("/status").1).expect("JSON"))
            .collect()
    };
    wait_until(LIMIT, "each has two partitions", || {
        let statuses = statuses(&mut members);
        let owned: Vec<_> =
            statuses.iter().map(|it| it["partitions"].as_array().map(Vec::len)).collect();
        if owned == [Some(2), Some(2)] { Ok(()) } else { Err(format!("{owned:?}")) }
    });
    // The last round of a rebalance may still come, and give nothing: only what is taken counts.
    let taken = |members: &mut [Bridge; 2]| -> f64 {
        let series = |kind| format!("line_bridge_rebalances_total{{kind=\"{kind}\"}}");
        let of = |it: &mut Bridge| {
            let metrics = it.metrics();
            ["revoked", "lost"].iter().filter_map(|kind| metrics.get(&series(kind))).sum::<f64>()
        };
        members.iter_mut().map(of).sum()
    };
    let before = taken(&mut members);

    let hang = Rule::always(Fault::Hang { accept: false, max_seconds: 120 });
    stage.sandbox.set_faults(Faults { rules: vec![hang], ..Faults::default() }).expect("faults");
    let events = good("orders", 0..400);
    stage.produce(&events);
    let blocked = |status: &Value| {
        let partitions = status["partitions"].as_array().cloned().unwrap_or_default();
        let stands = |it: &Value| {
            it["full"] == true && it["oldest_unsettled"]["attempts"].as_u64().is_some_and(|n| n > 0)
        };
        partitions.iter().filter(|it| stands(it)).count()
    };
    // At least the first of each partition is tried in its turn; then all stands still.
    let stood = wait_until(LIMIT, "a partition of each member stands still", || {
        let statuses = statuses(&mut members);
        if statuses.iter().all(|it| blocked(it) > 0) {
            Ok(Instant::now())
        } else {
            Err(format!("{statuses:?}"))
        }
    });
    wait_until(LIMIT, "longer than a poll may take", || {
        let left = (MAX_POLL + Duration::from_secs(3)).saturating_sub(stood.elapsed());
        if left.is_zero() { Ok(()) } else { Err(format!("{left:?} are left")) }
    });
    for status in statuses(&mut members) {
        assert!(blocked(&status) > 0, "{status}");
        for partition in status["partitions"].as_array().expect("a list") {
            assert_eq!(partition["topic"], stage.topics["orders"].as_str());
            assert!(partition["partition"].is_u64(), "{partition}");
            let oldest = &partition["oldest_unsettled"];
            assert_eq!(oldest["offset"], 0, "{partition}");
            assert!(oldest["age"].as_f64().is_some_and(|age| age > MAX_POLL.as_secs_f64()));
            assert!(oldest["waits_for"].is_string() && oldest["attempts"].is_u64(), "{partition}");
        }
        // By now each knows that it is not the messages.
        assert!(
            status["channels"]
                .as_array()
                .is_some_and(|all| all.iter().any(|it| it["stopped"] == "outage"))
        );
    }
    assert!((taken(&mut members) - before).abs() < 0.5, "nobody was put out of the group");
    stage.sandbox.set_faults(Faults::default()).expect("faults");
    stage.wait_committed(LIMIT);
    assert_eq!(stage.accepted().len(), events.len());
    assert!(stage.letters().is_empty() && stage.repeated() < 1.0);
    for mut member in members {
        assert!(member.drain(LIMIT).success());
    }
}
