//! The consumer protocol, in which the coordinator gives the partitions out (KIP-848).

use std::time::Duration;

use rdkafka::admin::{AdminClient, AdminOptions, AlterConfig, ResourceSpecifier};
use rdkafka::client::DefaultClientContext;
use serde_json::Value;

use crate::events::{Event, Fate};
use crate::harness::bridge::Bridge;
use crate::harness::kafka::KafkaCluster;
use crate::harness::rights::{GUEST, GUEST_PASSWORD, Operation, Resource, grant};
use crate::harness::wait::{block_on, wait_until};
use crate::online::stage_of;
use crate::stage::Stage;

const LIMIT: Duration = Duration::from_mins(1);

/// Twice this is less than the 45 s for which the coordinator waits for a member that has died.
const BEFORE_THE_SESSION_ENDS: Duration = Duration::from_secs(22);

fn orders(numbers: std::ops::Range<usize>) -> Vec<Event> {
    let event = |n: usize| Event::new(n, "orders", &format!("contact-{}", n % 200), Fate::Accepted);
    numbers.map(event).collect()
}

/// Starts a bridge with this protocol beside those that run, with a file of its own.
fn start(stage: &Stage<'_>, protocol: &str) -> Bridge {
    let with = format!("start: earliest, properties: {{group.protocol: {protocol}}}");
    let file = format!("{protocol}.yaml");
    stage.workspace.file(&file, &stage.config().replace("start: earliest", &with));
    stage.workspace.start(&["run", "--config", &file])
}

/// The partitions that it has.
fn owned(bridge: &mut Bridge) -> Vec<i64> {
    let status: Value = serde_json::from_str(&bridge.get("/status").1).expect("JSON");
    let partitions = status["partitions"].as_array().cloned().unwrap_or_default();
    partitions.iter().filter_map(|partition| partition["partition"].as_i64()).collect()
}

fn wait_owned(bridge: &mut Bridge, count: usize) {
    wait_until(LIMIT, "it has its part", || {
        let owned = owned(bridge);
        if owned.len() == count { Ok(()) } else { Err(format!("{owned:?}")) }
    });
}

#[test]
fn nobody_waits_for_a_member_that_has_died() {
    let mut stage = Stage::of(KafkaCluster::shared(), &["orders"], 6);
    "  max_in_flight: 16\n".clone_into(&mut stage.delivery);
    let topic = stage.topics["orders"].clone();
    let mut dies = start(&stage, "consumer");
    wait_owned(&mut dies, 6);
    let mut other = start(&stage, "consumer");
    wait_owned(&mut other, 3);
    let alive = owned(&mut other);
    stage.produce(&orders(0..60));
    stage.wait_committed(LIMIT);
    dies.kill();
    let mut again = start(&stage, "consumer");
    wait_until(BEFORE_THE_SESSION_ENDS, "the one that is back has joined", || {
        let (status, said) = again.get("/readyz");
        if status == 200 { Ok(()) } else { Err(said) }
    });
    stage.produce(&orders(60..660));
    wait_until(BEFORE_THE_SESSION_ENDS, "what was not the dead one's is committed", || {
        let committed = stage.kafka.committed(&stage.group, &topic);
        let committed: Vec<_> = alive
            .iter()
            .map(|at| committed.iter().find(|(p, _)| i64::from(**p) == *at).map(|(_, c)| c.offset))
            .collect();
        let ends = stage.kafka.end_offsets(&topic);
        let ends: Vec<_> = alive
            .iter()
            .map(|at| ends.iter().find(|(p, _)| i64::from(**p) == *at).map(|(_, end)| *end))
            .collect();
        if committed == ends { Ok(()) } else { Err(format!("{committed:?} of {ends:?}")) }
    });
    stage.wait_committed(LIMIT);
    assert_eq!(stage.accepted().len(), 660, "nothing is lost");
}

/// Members of the classic protocol keep what the coordinator can't take over, so one of the consumer
/// protocol is not let in beside them; the other way round it is.
#[test]
fn a_group_changes_its_protocol_where_it_has_no_members_and_back_while_it_runs() {
    let stage = Stage::of(KafkaCluster::shared(), &["orders"], 6);
    let mut classic = [start(&stage, "classic"), start(&stage, "classic")];
    for member in &mut classic {
        wait_owned(member, 3);
    }
    stage.produce(&orders(0..300));
    let mut beside = start(&stage, "consumer");
    assert_eq!(beside.wait_exit(LIMIT).code(), Some(1));
    let said = beside.stderr();
    assert!(said.contains("has 2 members of the classic protocol"), "{said}");
    for member in &mut classic {
        assert!(member.drain(LIMIT).success());
    }
    stage.produce(&orders(300..600));
    let mut member = start(&stage, "consumer");
    wait_owned(&mut member, 6);
    for (protocol, numbers) in [("consumer", 600..900), ("classic", 900..1_200)] {
        stage.produce(&orders(numbers));
        let mut next = start(&stage, protocol);
        wait_owned(&mut next, 3);
        assert!(member.drain(LIMIT).success());
        wait_owned(&mut next, 6);
        member = next;
    }
    stage.wait_committed(LIMIT);
    assert_eq!(stage.accepted().len(), 1_200, "nothing is lost");
    assert!(stage.repeated() < 1.0, "{} repeated", stage.repeated());
    assert!(member.drain(LIMIT).success());
}

/// Where the group is to start at the end of what is there, too: all has come since it began.
#[test]
fn a_topic_made_anew_is_read_from_its_beginning() {
    let stage = Stage::of(KafkaCluster::shared(), &["orders"], 6);
    let topic = stage.topics["orders"].clone();
    let config = stage
        .config()
        .replace("start: earliest", "start: latest, properties: {group.protocol: consumer}");
    let mut bridge = stage.workspace.run(&config);
    wait_owned(&mut bridge, 6);
    stage.produce(&orders(0..60));
    stage.wait_committed(LIMIT);
    stage.kafka.delete_topic(&topic);
    wait_owned(&mut bridge, 0);
    stage.kafka.create_topic(&topic, 6, &[]);
    stage.produce(&orders(60..120));
    wait_owned(&mut bridge, 6);
    stage.produce(&orders(120..180));
    stage.wait_committed(LIMIT);
    assert_eq!(stage.accepted().len(), 180, "{}", bridge.stderr());
    assert!(bridge.drain(LIMIT).success());
}

/// rdkafka can't read what was set for a group alone.
#[test]
fn a_group_with_a_session_of_its_own_is_warned_of() {
    let stage = Stage::of(KafkaCluster::shared(), &["orders"], 1);
    let admin: AdminClient<DefaultClientContext> =
        stage.kafka.client().create().expect("an admin client");
    let session = AlterConfig::new(ResourceSpecifier::Group(&stage.group))
        .set("consumer.session.timeout.ms", "50000");
    let altered = block_on(async { admin.alter_configs(&[session], &AdminOptions::new()).await });
    assert!(altered.expect("an answer")[0].is_ok());
    let warns = |said: String| {
        let told =
            said.contains("make sure that its `consumer.session.timeout.ms` is 45000 or more");
        if told { Ok(()) } else { Err(said) }
    };
    let mut bridge = start(&stage, "consumer");
    wait_until(LIMIT, "it warns", || warns(bridge.stderr()));
    wait_owned(&mut bridge, 1);
    let online = stage.workspace.start(&["check", "--online", "--config", "consumer.yaml"]);
    wait_until(LIMIT, "the check warns, too", || warns(online.stdout()));
}

/// The coordinator lets no member in that names a topic which it may not see.
#[test]
fn a_redrive_topic_that_may_not_be_seen_is_refused() {
    let mut stage = stage_of(GUEST, GUEST_PASSWORD);
    stage.properties.push(("group.protocol", "consumer".to_owned()));
    for topic in [&stage.topics["orders"], &stage.dead_letters] {
        grant(stage.kafka, Resource::Topic(topic), Operation::Read);
    }
    grant(stage.kafka, Resource::Group(&stage.group), Operation::Read);
    let mut bridge = stage.start();
    assert_eq!(bridge.wait_exit(LIMIT).code(), Some(1));
    let said = bridge.stderr();
    let redrive = format!("let the bridge see the topic `{}.redrive`", stage.dead_letters);
    assert!(said.contains(&redrive), "{said}");
}
