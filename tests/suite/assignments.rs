//! Assignments of which a part can't be read yet, or is taken away because its topic is deleted: what
//! concerns one topic holds up no other, and nothing of an old topic is taken for a new one's.

use std::time::Duration;

use line_bridge::sandbox::Faults;
use rstest::rstest;
use serde_json::Value;

use crate::events::{Event, Fate};
use crate::harness::bridge::Bridge;
use crate::harness::kafka::KafkaCluster;
use crate::harness::records::NewRecord;
use crate::harness::rights::{GUEST, GUEST_PASSWORD, Operation, Resource, grant};
use crate::harness::unique;
use crate::harness::wait::wait_until;
use crate::online::stage_of;
use crate::stage::Stage;

const LIMIT: Duration = Duration::from_mins(1);

const WAITS: &str = "the offset to start from is not known yet";

fn events(topic: &'static str, numbers: std::ops::Range<usize>) -> Vec<Event> {
    numbers.map(|n| Event::new(n, topic, &format!("contact-{n}"), Fate::Accepted)).collect()
}

fn start(stage: &Stage<'_>, protocol: &str) -> Bridge {
    let with = format!("start: earliest, properties: {{group.protocol: {protocol}");
    let config = stage.config();
    let config = if config.contains("start: earliest, properties: {") {
        config.replace("start: earliest, properties: {", &format!("{with}, "))
    } else {
        config.replace("start: earliest", &format!("{with}}}"))
    };
    let file = format!("{}.yaml", unique(protocol));
    stage.workspace.file(&file, &config);
    stage.workspace.start(&["run", "--config", &file])
}

/// A bridge that may see `logins`, and not read it; of all else it has its rights.
fn may_not_read_logins() -> Stage<'static> {
    let mut stage = stage_of(GUEST, GUEST_PASSWORD);
    let logins = unique("logins");
    stage.kafka.create_topic(&logins, 2, &[]);
    grant(stage.kafka, Resource::Topic(&stage.topics["orders"]), Operation::Read);
    grant(stage.kafka, Resource::Topic(&logins), Operation::Describe);
    // Whoever may write to one topic may do so with a producer's id, and others test without.
    grant(stage.kafka, Resource::Topic(&stage.dead_letters), Operation::Describe);
    let redrive = format!("{}.redrive", stage.dead_letters);
    grant(stage.kafka, Resource::Topic(&redrive), Operation::Read);
    grant(stage.kafka, Resource::Group(&stage.group), Operation::Read);
    stage.topics.insert("logins", logins);
    stage
}

fn wait_said(bridge: &Bridge, what: &str) {
    wait_until(LIMIT, what, || {
        let said = bridge.stderr();
        if said.contains(what) { Ok(()) } else { Err(said) }
    });
}

fn wait_owned(bridge: &mut Bridge, count: usize) {
    wait_until(LIMIT, "it has its part", || {
        let status: Value = serde_json::from_str(&bridge.get("/status").1).expect("JSON");
        let owned = status["partitions"].as_array().map_or(0, Vec::len);
        if owned == count { Ok(()) } else { Err(owned) }
    });
}

fn wait_in_flight(bridge: &mut Bridge, count: f64) {
    wait_until(LIMIT, "all are in flight", || {
        let in_flight = bridge.metrics().sum("line_bridge_in_flight");
        if in_flight >= count { Ok(()) } else { Err(in_flight) }
    });
}

/// Such as one that is new in the configuration, whose right was forgotten.
#[rstest]
fn a_topic_that_may_not_be_read_yet_holds_up_no_other(
    #[values("classic", "consumer")] protocol: &str,
) {
    let stage = may_not_read_logins();
    let mut bridge = start(&stage, protocol);
    wait_said(&bridge, WAITS);
    stage.produce(&events("orders", 0..10));
    stage.produce(&events("logins", 10..20));
    stage.wait_accepted(10, LIMIT);
    assert_eq!(bridge.get("/readyz").0, 200);
    grant(stage.kafka, Resource::Topic(&stage.topics["logins"]), Operation::Read);
    stage.wait_accepted(20, LIMIT);
    assert!(bridge.drain(LIMIT).success());
}

/// The group sees no difference between the two, and assigns it once.
#[rstest]
#[case::of_as_many_partitions(2)]
#[case::of_fewer_partitions(1)]
fn a_topic_recreated_before_it_could_be_read_is_read(
    #[values("classic", "consumer")] protocol: &str,
    #[case] partitions: i32,
) {
    let stage = may_not_read_logins();
    let logins = &stage.topics["logins"];
    let mut bridge = start(&stage, protocol);
    wait_said(&bridge, WAITS);
    stage.kafka.delete_topic(logins);
    stage.kafka.create_topic(logins, partitions, &[]);
    grant(stage.kafka, Resource::Topic(logins), Operation::Read);
    stage.produce(&events("orders", 0..10));
    stage.produce(&events("logins", 10..20));
    stage.wait_accepted(20, LIMIT);
    assert!(bridge.drain(LIMIT).success());
}

#[rstest]
fn a_topic_that_is_away_before_it_could_be_read_is_read_when_it_is_there(
    #[values("classic", "consumer")] protocol: &str,
) {
    let stage = may_not_read_logins();
    let logins = &stage.topics["logins"];
    let mut bridge = start(&stage, protocol);
    wait_said(&bridge, WAITS);
    stage.kafka.delete_topic(logins);
    stage.produce(&events("orders", 0..10));
    stage.wait_accepted(10, LIMIT);
    wait_said(&bridge, "does not exist, or the broker that was asked does not know it yet");
    stage.kafka.create_topic(logins, 1, &[]);
    grant(stage.kafka, Resource::Topic(logins), Operation::Read);
    stage.produce(&events("logins", 10..20));
    stage.wait_accepted(20, LIMIT * 2);
    assert!(bridge.drain(LIMIT).success());
}

/// The last commit of the old topic would stand on the new one.
#[test]
fn what_is_in_flight_of_a_deleted_topic_is_not_committed_on_the_new_one() {
    let stage = Stage::of(KafkaCluster::shared(), &["orders"], 1);
    let topic = &stage.topics["orders"];
    stage.sandbox.set_faults(Faults { latency_ms: 12_000, ..Faults::default() }).expect("faults");
    let mut bridge = start(&stage, "consumer");
    wait_owned(&mut bridge, 1);
    stage.produce(&events("orders", 0..5));
    wait_in_flight(&mut bridge, 5.0);
    stage.kafka.delete_topic(topic);
    wait_said(&bridge, "partitions was deleted");
    stage.kafka.create_topic(topic, 1, &[]);
    stage.sandbox.set_faults(Faults::default()).expect("faults");
    stage.produce(&events("orders", 5..25));
    stage.wait_accepted(25, LIMIT);
    assert!(bridge.drain(LIMIT).success());
}

/// Both stand at the same place with nothing committed, where another member has begun the new one.
#[test]
fn what_was_accepted_of_a_deleted_topic_is_not_taken_for_the_new_ones() {
    let mut stage = Stage::of(KafkaCluster::shared(), &["orders"], 2);
    stage.properties.push(("topic.metadata.refresh.interval.ms", "20000".to_owned()));
    let topic = stage.topics["orders"].clone();
    let mut members = [start(&stage, "classic"), start(&stage, "classic")];
    let wait_all = |members: &mut [Bridge; 2], count| {
        for member in members {
            wait_owned(member, count);
        }
    };
    let again = |members: &mut [Bridge; 2]| {
        stage.kafka.delete_topic(&topic);
        wait_all(members, 0);
        stage.kafka.create_topic(&topic, 2, &[]);
    };
    let produce = |partition: i32, numbers| {
        let record = |event: &Event| {
            NewRecord::of(event.value()).key(event.contact.as_str()).partition(partition)
        };
        stage.kafka.produce(&topic, events("orders", numbers).iter().map(record));
    };
    wait_all(&mut members, 1);
    // Each has the partition then that it has in the end as well.
    again(&mut members);
    wait_all(&mut members, 1);
    stage.sandbox.set_faults(Faults { latency_ms: 4_000, ..Faults::default() }).expect("faults");
    produce(0, 0..5);
    produce(1, 5..10);
    for member in &mut members {
        wait_in_flight(member, 5.0);
    }
    again(&mut members);
    stage.sandbox.set_faults(Faults::default()).expect("faults");
    produce(0, 10..20);
    produce(1, 20..30);
    stage.wait_accepted(30, LIMIT * 2);
}

/// The one is let go at once, the other when what is in flight has settled.
#[test]
fn a_topic_that_stays_is_not_lost_with_one_that_is_deleted() {
    let stage = Stage::of(KafkaCluster::shared(), &["orders", "logins"], 4);
    let mut one = start(&stage, "consumer");
    wait_owned(&mut one, 8);
    stage.sandbox.set_faults(Faults { latency_ms: 9_000, ..Faults::default() }).expect("faults");
    stage.produce(&events("orders", 0..12));
    wait_in_flight(&mut one, 12.0);
    let mut two = start(&stage, "consumer");
    wait_said(&two, "line-bridge is running");
    stage.kafka.delete_topic(&stage.topics["logins"]);
    wait_owned(&mut two, 2);
    stage.sandbox.set_faults(Faults::default()).expect("faults");
    wait_until(LIMIT, "all is committed", || {
        let committed = stage.kafka.committed(&stage.group, &stage.topics["orders"]);
        let committed: i64 = committed.values().map(|at| at.offset).sum();
        if committed == 12 { Ok(()) } else { Err(committed) }
    });
    assert_eq!(stage.accepted().len(), 12);
    assert!(stage.repeated() < 1.0, "{} repeated", stage.repeated());
}
