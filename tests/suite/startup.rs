//! What keeps the bridge from starting: each ends in one clear message that says what to do.

use std::net::TcpListener;
use std::time::Duration;

use rstest::rstest;

use crate::harness::bridge::Workspace;
use crate::harness::kafka::KafkaCluster;
use crate::stage::Stage;

const LIMIT: Duration = Duration::from_mins(1);

/// Runs `line-bridge run` with this configuration until it ends; its exit code and last words.
fn refused(workspace: &Workspace, config: &str) -> (Option<i32>, String) {
    let mut bridge = workspace.run(config);
    let code = bridge.wait_exit(LIMIT).code();
    let said = bridge.stderr();
    assert!(said.lines().all(|line| line.starts_with('{')), "JSON alone: {said}");
    let log = bridge.log();
    let errors = log.iter().filter(|line| line["level"] == "ERROR");
    let errors: Vec<_> = errors.filter_map(|line| line["message"].as_str()).collect();
    (code, errors.join("\n"))
}

#[rstest]
#[case::a_bad_configuration("start: earliest", "start: sometimes", "kafka.start: expected", 64)]
#[case::an_unknown_key("brake: 50", "break: 50", "delivery.break: unknown key", 64)]
#[case::a_bad_template(
    "event.eventId }}{% endif %}",
    "event.eventId }{% endif %}",
    "rules[0].message",
    64
)]
#[case::a_missing_schema("orders.json", "nowhere.json", "nowhere.json", 64)]
#[case::no_token("{file: token}", "{file: nowhere}", "line.token", 64)]
#[case::a_missing_topic("  orders-", "  no-such-topic-orders-", "does not exist; create it", 1)]
#[case::no_dead_letter_topic(
    "topic: dead-letters",
    "topic: no-dead-letters",
    "`dead_letters.topic`",
    1
)]
#[case::a_session_that_is_over_before_an_attempt(
    "start: earliest",
    "start: earliest, properties: {session.timeout.ms: 10000}",
    "kafka.properties.\"session.timeout.ms\"",
    64
)]
#[case::a_number_with_a_unit(
    "start: earliest",
    "start: earliest, properties: {session.timeout.ms: 6000ms}",
    "kafka.properties.\"session.timeout.ms\": expected a plain number without a unit",
    64
)]
#[case::a_file_that_is_missing(
    "start: earliest",
    "start: earliest, properties: {ssl.ca.location: no/such/file}",
    "kafka.properties.\"ssl.ca.location\": this file can't be read",
    64
)]
#[case::an_unknown_property(
    "start: earliest",
    "start: earliest, properties: {no.such.property: 1}",
    "no.such.property",
    64
)]
fn one_clear_message_says_what_to_do(
    #[case] right: &str,
    #[case] wrong: &str,
    #[case] told: &str,
    #[case] code: i32,
) {
    let stage = Stage::of(KafkaCluster::shared(), &["orders"], 1);
    let config = stage.config();
    assert!(config.contains(right), "{right} is not in {config}");
    let (ended, said) = refused(&stage.workspace, &config.replacen(right, wrong, 1));
    assert!(said.contains(told), "{said}");
    assert_eq!(said.lines().count(), 1, "one message: {said}");
    assert_eq!(ended, Some(code), "{said}");
}

#[test]
fn all_topics_that_are_missing_are_told_at_once() {
    let stage = Stage::of(KafkaCluster::shared(), &["orders"], 1);
    let config = stage.config().replacen("  orders-", "  no-such-topic-orders-", 1);
    let config = config.replacen("topic: dead-letters", "topic: no-dead-letters", 1);
    let (code, said) = refused(&stage.workspace, &config);
    let lines: Vec<_> = said.lines().collect();
    assert!(lines.len() == 2 && lines[0].contains("`no-such-topic-orders-"), "{said}");
    assert!(lines[1].contains("the dead-letter topic `no-dead-letters"), "{said}");
    assert_eq!(code, Some(1));
}

#[test]
fn a_bad_schema_is_told_with_its_place() {
    let stage = Stage::of(KafkaCluster::shared(), &["orders"], 1);
    stage.workspace.file("bad.json", r#"{"type": "object", "requird": ["eventId"]}"#);
    let shipped = concat!(env!("CARGO_MANIFEST_DIR"), "/schemas/orders.json");
    let config = stage.config().replace(shipped, "bad.json");
    let (code, said) = refused(&stage.workspace, &config);
    assert!(said.starts_with("bad.json:1:20: ") && said.contains("required"), "{said}");
    assert_eq!(code, Some(64));
}

#[test]
fn an_unreachable_broker_is_told_after_half_a_minute() {
    let stage = Stage::of(KafkaCluster::shared(), &["orders"], 1);
    let config = stage.config().replace(stage.kafka.bootstrap(), "127.0.0.1:1");
    let (code, said) = refused(&stage.workspace, &config);
    assert!(said.contains("127.0.0.1:1") && said.contains("kafka.brokers"), "{said}");
    assert_eq!(code, Some(1));
}

#[test]
fn a_busy_port_is_told() {
    let stage = Stage::of(KafkaCluster::shared(), &["orders"], 1);
    let taken = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = taken.local_addr().expect("an address").to_string();
    let config = stage.config().replace("127.0.0.1:0", &address);
    let (code, said) = refused(&stage.workspace, &config);
    assert!(said.contains(&address) && said.contains("admin.listen"), "{said}");
    assert_eq!(code, Some(1));
}

#[test]
fn a_compacted_dead_letter_topic_is_refused() {
    let mut stage = Stage::of(KafkaCluster::shared(), &["orders"], 1);
    stage.dead_letters = crate::harness::unique("compacted");
    stage.kafka.create_topic(&stage.dead_letters, 1, &[("cleanup.policy", "compact")]);
    let (code, said) = refused(&stage.workspace, &stage.config());
    assert!(said.contains("cleanup.policy"), "{said}");
    assert_eq!(code, Some(1));
}
