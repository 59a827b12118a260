//! A broker that goes away in the middle: the bridge waits, loses nothing and goes on by itself.

use std::time::{Duration, Instant};

use line_bridge::sandbox::Faults;
use rstest::rstest;

use crate::events::{Event, Fate, refused_contacts};
use crate::harness::bridge::Bridge;
use crate::harness::kafka::{KafkaCluster, SASL_USER};
use crate::harness::wait::wait_until;
use crate::stage::{Stage, counted};
use crate::stream::in_order;

const LIMIT: Duration = Duration::from_mins(1);
const MAX_IN_FLIGHT: usize = 64;

fn orders(numbers: std::ops::Range<usize>) -> Vec<Event> {
    let event = |n: usize| Event::new(n, "orders", &format!("contact-{}", n % 200), Fate::Accepted);
    numbers.map(event).collect()
}

fn stage(kafka: &KafkaCluster) -> Stage<'_> {
    let mut stage = Stage::of(kafka, &["orders"], 6);
    stage.delivery = format!("  max_in_flight: {MAX_IN_FLIGHT}\n  drain_timeout: 5s\n");
    let refused_contacts = refused_contacts().into_iter().collect();
    let slow = Faults { latency_ms: 20, refused_contacts, ..Faults::default() };
    stage.sandbox.set_faults(slow).expect("faults");
    stage
}

/// Waits for so long, while the bridge has to stay alive.
fn stays_alive(bridge: &mut Bridge, time: Duration) {
    let until = Instant::now() + time;
    wait_until(time * 2, "the time is over", || {
        assert_eq!(bridge.get("/livez").0, 200);
        let left = until.saturating_duration_since(Instant::now());
        if left.is_zero() { Ok(()) } else { Err(format!("{left:?}")) }
    });
}

#[rstest]
#[case::stopped(false)]
#[case::killed(true)]
fn a_broker_that_goes_away_loses_nothing_and_repeats_within_the_bound(#[case] killed: bool) {
    let kafka = KafkaCluster::private();
    let stage = stage(&kafka);
    let events = orders(0..3_000);
    stage.produce(&events);
    let mut bridge = stage.start();
    stage.wait_accepted(1_000, LIMIT);
    if killed {
        kafka.kill_broker();
    } else {
        kafka.stop_broker();
    }
    stays_alive(&mut bridge, Duration::from_secs(10));
    kafka.start_broker();
    let began = Instant::now();
    stage.wait_committed(LIMIT * 2);
    println!("recovered in {:?}, {} repeated", began.elapsed(), stage.repeated());
    assert_eq!(stage.accepted().len(), events.len(), "nothing is lost");
    assert!(stage.repeated() <= counted(2 * MAX_IN_FLIGHT));
    in_order(&stage, &events);
    assert!(bridge.drain(LIMIT).success());
}

/// The member loses its partitions, and with them the commits that failed meanwhile.
#[test]
fn an_outage_longer_than_the_session_repeats_nothing() {
    let kafka = KafkaCluster::private();
    let mut stage = stage(&kafka);
    stage.timeout = "2s";
    stage.properties.push(("session.timeout.ms", "10000".to_owned()));
    let events = orders(0..3_000);
    stage.produce(&events);
    let mut bridge = stage.start();
    stage.wait_accepted(1_000, LIMIT);
    kafka.kill_broker();
    stays_alive(&mut bridge, Duration::from_secs(15));
    wait_until(LIMIT, "its session is over", || {
        let (status, said) = bridge.get("/readyz");
        if status == 503 { Ok(()) } else { Err(said) }
    });
    kafka.start_broker();
    stage.wait_committed(LIMIT * 2);
    assert_eq!(bridge.get("/readyz").0, 200, "it is a member again");
    assert_eq!(stage.accepted().len(), events.len(), "nothing is lost");
    assert!(stage.repeated() < 0.5, "{} repeated", stage.repeated());
    in_order(&stage, &events);
    assert!(bridge.stderr().contains("partitions lost"), "the session was over");
    assert!(bridge.drain(LIMIT).success());
}

/// The leader's epoch has grown with the outage, and that of the new topic begins anew. Whether the
/// client sees that the topic was away depends on what it happens to ask for meanwhile.
#[rstest]
#[case::that_was_away_briefly("classic", Duration::ZERO)]
#[case::that_was_away_for_long("classic", Duration::from_secs(8))]
#[case::that_the_coordinator_takes_away("consumer", Duration::ZERO)]
fn a_topic_made_anew_after_an_outage_is_not_passed_over_in_silence(
    #[case] protocol: &str,
    #[case] away: Duration,
) {
    let kafka = KafkaCluster::private();
    let mut stage = stage(&kafka);
    stage.properties.push(("group.protocol", protocol.to_owned()));
    let topic = stage.topics["orders"].clone();
    let mut bridge = stage.start();
    stage.produce(&orders(0..60));
    stage.wait_committed(LIMIT);
    kafka.kill_broker();
    kafka.start_broker();
    stage.produce(&orders(60..120));
    stage.wait_committed(LIMIT * 2);
    kafka.delete_topic(&topic);
    stays_alive(&mut bridge, away);
    kafka.create_topic(&topic, 6, &[]);
    stage.produce(&orders(120..180));
    wait_until(LIMIT * 2, "its partitions are told of", || {
        let paused = bridge.metrics().sum("line_bridge_topic_paused");
        if paused >= 1.0 { Ok(()) } else { Err(bridge.stderr()) }
    });
    assert!(bridge.stderr().contains("the topic was deleted and recreated"));
    assert!(bridge.drain(LIMIT).success());
}

#[test]
fn sigterm_ends_the_bridge_while_the_broker_is_away() {
    let kafka = KafkaCluster::private();
    let stage = stage(&kafka);
    let events = orders(0..3_000);
    stage.produce(&events);
    let mut busy = stage.start();
    stage.wait_accepted(1_000, LIMIT);
    kafka.kill_broker();
    // The drain timeout of 5 s, the grace after it, and the time to leave the group.
    assert_eq!(busy.drain(Duration::from_secs(20)).code(), Some(1), "the last commit failed");
    kafka.start_broker();
    let mut idle = stage.start();
    stage.wait_committed(LIMIT * 2);
    kafka.kill_broker();
    assert!(idle.drain(Duration::from_secs(20)).success());
    assert_eq!(stage.accepted().len(), events.len(), "nothing is lost");
    assert!(stage.repeated() <= counted(2 * MAX_IN_FLIGHT));
}

#[rstest]
#[case::a_wrong_password("SASL_PLAINTEXT", "SCRAM-SHA-256", "credentials")]
#[case::an_unknown_authority("SSL", "", "certificate")]
fn a_broker_that_does_not_let_the_bridge_in_is_told_with_the_cause(
    #[case] protocol: &str,
    #[case] mechanism: &str,
    #[case] cause: &str,
) {
    let kafka = KafkaCluster::secured();
    let mut stage = Stage::of(kafka, &["logins"], 1);
    stage.properties.push(("security.protocol", protocol.to_owned()));
    stage.brokers = Some(kafka.ssl_bootstrap());
    if !mechanism.is_empty() {
        stage.brokers = Some(kafka.sasl_bootstrap());
        stage.properties.push(("sasl.mechanism", mechanism.to_owned()));
        stage.properties.push(("sasl.username", SASL_USER.to_owned()));
        stage.properties.push(("sasl.password", "not-the-password".to_owned()));
    }
    let mut bridge = stage.start();
    assert_eq!(bridge.wait_exit(LIMIT).code(), Some(1));
    let said = bridge.stderr();
    let log = bridge.log();
    let told = log.last().and_then(|line| line["message"].as_str()).expect("a last line");
    assert!(told.contains("accepts the bridge") && told.contains(cause), "{said}");
    assert!(!said.contains("not-the-password"));
}
