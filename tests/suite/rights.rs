//! The bridge with exactly the rights that `deploy/OPERATIONS.md` names, and with one of them missing.

use std::time::{Duration, Instant};

use rstest::rstest;
use serde_json::Value;

use crate::events::{Event, Fate};
use crate::harness::bridge::Bridge;
use crate::harness::rights::{GUEST, GUEST_PASSWORD, Operation, Resource, grant, take_away};
use crate::harness::wait::wait_until;
use crate::online::stage_of;
use crate::stage::{Stage, counted};

const LIMIT: Duration = Duration::from_mins(2);

#[derive(Clone, Copy, PartialEq)]
enum Right {
    ReadEvents,
    UseGroup,
    WriteLetters,
}

impl Right {
    const ALL: [Self; 3] = [Self::ReadEvents, Self::UseGroup, Self::WriteLetters];

    /// Read and Write imply Describe.
    fn grant(self, stage: &Stage<'_>) {
        let (resource, operation) = match self {
            Self::ReadEvents => (Resource::Topic(&stage.topics["orders"]), Operation::Read),
            Self::UseGroup => (Resource::Group(&stage.group), Operation::Read),
            Self::WriteLetters => (Resource::Topic(&stage.dead_letters), Operation::Write),
        };
        grant(stage.kafka, resource, operation);
    }
}

/// A stage with as many good events as bad ones, and these rights.
fn stage_with(rights: impl IntoIterator<Item = Right>) -> Stage<'static> {
    let stage = stage_of(GUEST, GUEST_PASSWORD);
    for right in rights {
        right.grant(&stage);
    }
    let fate = |number| if number % 2 == 0 { Fate::Accepted } else { Fate::Schema };
    let event = |number| Event::new(number, "orders", &format!("contact-{number}"), fate(number));
    stage.produce(&(0..10).map(event).collect::<Vec<_>>());
    stage
}

/// All has settled, with a dead letter for each bad event.
fn does_its_work(stage: &Stage<'_>, mut bridge: Bridge) {
    stage.wait_committed(LIMIT);
    assert_eq!((stage.accepted().len(), stage.letters().len()), (5, 5));
    assert!(bridge.drain(LIMIT).success());
}

#[test]
fn the_rights_of_the_guide_are_enough() {
    let stage = stage_with(Right::ALL);
    let redrive = format!("{}.redrive", stage.dead_letters);
    stage.kafka.create_topic(&redrive, 1, &[]);
    grant(stage.kafka, Resource::Topic(&redrive), Operation::Read);
    for topic in [&redrive, &stage.dead_letters] {
        grant(stage.kafka, Resource::Topic(topic), Operation::DescribeConfigs);
    }
    let bridge = stage.start();
    wait_until(LIMIT, "the redrive topic is read", || {
        let committed = stage.kafka.committed(&stage.group, &redrive);
        if committed.is_empty() { Err("no commit") } else { Ok(()) }
    });
    // Nor is it news that a new group finds events.
    let warns = |line: &&Value| {
        let is_usual = line["message"] == "dead letter" || line["records"].is_u64();
        line["level"] == "WARN" && !is_usual
    };
    let log = bridge.log();
    assert_eq!(log.iter().filter(warns).collect::<Vec<_>>(), Vec::<&Value>::new());
    does_its_work(&stage, bridge);
}

/// It says which one, waits, and goes on when the right is granted.
#[rstest]
#[case::to_read_events(Right::ReadEvents, "Read on the topic")]
#[case::to_use_the_group(Right::UseGroup, "Read on the group")]
#[case::to_write_dead_letters(Right::WriteLetters, "Write on the dead-letter topic")]
fn a_right_that_is_missing_is_named_and_waited_for(#[case] missing: Right, #[case] named: &str) {
    let stage = stage_with(Right::ALL.into_iter().filter(|right| *right != missing));
    for topic in [&stage.topics["orders"], &stage.dead_letters] {
        grant(stage.kafka, Resource::Topic(topic), Operation::Describe);
    }
    let mut bridge = stage.start();
    wait_until(LIMIT, "the right is named", || {
        let log = bridge.log();
        let told = |line: &&Value| line["grant"] == named;
        log.iter().find(told).map(|_| ()).ok_or(format!("{} lines", log.len()))
    });
    if missing == Right::ReadEvents {
        let partitions = stage.kafka.end_offsets(&stage.topics["orders"]).len();
        wait_unread(&mut bridge, counted(partitions));
    }
    missing.grant(&stage);
    does_its_work(&stage, bridge);
}

fn wait_unread(bridge: &mut Bridge, partitions: f64) {
    wait_until(LIMIT, "the partitions that are not read are told", || {
        let unread = bridge.metrics().sum("line_bridge_unread_partitions");
        if (unread - partitions).abs() < 0.5 { Ok(()) } else { Err(format!("{unread}")) }
    });
}

/// Longer than it takes for the partitions of a topic that was made anew to be told of.
const SLIP: Duration = Duration::from_secs(25);

/// There is no redrive topic, so that some topic is missing all the time.
#[test]
fn a_right_that_is_away_for_a_while_pauses_nothing() {
    let stage = stage_with(Right::ALL);
    let topic = Resource::Topic(&stage.topics["orders"]);
    grant(stage.kafka, topic, Operation::Describe);
    let redrive = format!("{}.redrive", stage.dead_letters);
    grant(stage.kafka, Resource::Topic(&redrive), Operation::Read);
    let mut bridge = stage.start();
    stage.wait_committed(LIMIT);
    take_away(stage.kafka, topic, Operation::Read);
    wait_until(LIMIT, "the right is missed", || {
        let log = bridge.log();
        let told = |line: &&Value| line["grant"] == "Read on the topic";
        log.iter().find(told).map(|_| ()).ok_or(format!("{} lines", log.len()))
    });
    let since = Instant::now();
    wait_until(LIMIT, "it is away for long enough", || {
        assert!(bridge.metrics().sum("line_bridge_topic_paused") < 0.5, "{}", bridge.stderr());
        if since.elapsed() >= SLIP { Ok(()) } else { Err("not yet") }
    });
    let partitions = counted(stage.kafka.end_offsets(&stage.topics["orders"]).len());
    wait_unread(&mut bridge, partitions);
    grant(stage.kafka, topic, Operation::Read);
    wait_unread(&mut bridge, 0.0);
    let more = |number| Event::new(number, "orders", &format!("contact-{number}"), Fate::Accepted);
    stage.produce(&(10..20).map(more).collect::<Vec<_>>());
    stage.wait_committed(LIMIT);
    assert_eq!(stage.accepted().len(), 15);
    assert!(bridge.drain(LIMIT).success());
}

/// What is not there for the bridge at all is no reason to wait.
#[rstest]
#[case::events(Right::WriteLetters, "Describe and Read")]
#[case::dead_letters(Right::ReadEvents, "Write for the dead-letter topic")]
fn a_topic_that_may_not_be_seen_ends_the_start(#[case] granted: Right, #[case] told: &str) {
    let stage = stage_with([granted, Right::UseGroup]);
    let mut bridge = stage.start();
    assert_eq!(bridge.wait_exit(LIMIT).code(), Some(1));
    let said = bridge.stderr();
    let last = said.lines().last().expect("a message");
    assert!(last.contains("does not let the bridge see") && last.contains(told), "{last}");
}
