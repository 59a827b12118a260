//! `preview`: what an event would send, of files and of records of a real topic.

use std::time::Duration;

use rdkafka::producer::{BaseProducer, BaseRecord, Producer as _};
use rstest::rstest;
use serde_json::{Value, json};

use crate::events::{Event, Fate};
use crate::harness::bridge::Workspace;
use crate::harness::kafka::KafkaCluster;
use crate::harness::records::NewRecord;
use crate::stage::Stage;

const LIMIT: Duration = Duration::from_mins(1);

/// Runs `line-bridge preview` on the topic `orders`; its exit code and both outputs.
fn preview(workspace: &Workspace, topic: &str, arguments: &str) -> (Option<i32>, String, String) {
    let program = env!("CARGO_BIN_EXE_line-bridge");
    let command = format!("{program} preview --config bridge.yaml --topic {topic} {arguments}");
    let mut run = workspace.start_program("sh", &["-c", &command]);
    (run.wait_exit(LIMIT).code(), run.stdout(), run.stderr())
}

/// A configuration that names no Kafka and no token that is there.
fn alone() -> Workspace {
    let workspace = Workspace::new();
    workspace.file(
        "orders.json",
        r#"{"type": "object", "required": ["to"], "properties": {"to": {"type": "string"}}}"#,
    );
    workspace.file(
        "bridge.yaml",
        r#"
kafka: {brokers: "${NO_BROKERS}", group: g}
line: {token: {file: nowhere}}
channels: {support: "id-1"}
dead_letters: {topic: d}
topics:
  orders:
    schema: orders.json
    rules:
      - {name: never, when: event.to == "nobody", to: {contact: event.to}, message: never}
      - {name: told, to: {contact: event.to}, message: "To {{ event.to }}, {{ record.key }}, {{ record.headers.h }}, {{ record.timestamp }}"}
"#,
    );
    workspace
}

#[test]
fn a_file_is_told_of_without_a_token_or_kafka() {
    let workspace = alone();
    workspace.file("event.json", "{\n  \"to\": \"c-1\"\n}\n");
    let arguments = "--event event.json --key k --header h=v --timestamp 4102444800000";
    let (code, said, wrong) = preview(&workspace, "orders", arguments);
    assert_eq!((code, wrong.as_str()), (Some(0), ""));
    for told in
        ["rule never: does not match", "To c-1, k, v, 4102444800000", "2100-01-02T00:00:00Z"]
    {
        assert!(said.contains(told), "{told} is not in {said}");
    }
    let (code, said, _) = preview(&workspace, "orders", &format!("{arguments} --output json"));
    assert_eq!(code, Some(0));
    let said: Value = serde_json::from_str(&said).expect("one object");
    let message = &said["messages"][0];
    assert_eq!(message["rule"], "told");
    assert_eq!((&message["channel"], &message["channel_id"]), (&json!("support"), &json!("id-1")));
    assert_eq!(message["recipient"], json!({"contactId": "c-1"}));
    assert_eq!(message["expires_at"], "2100-01-02T00:00:00Z");
    assert_eq!((&said["skipped"], &said["rejected"]), (&Value::Null, &Value::Null));
}

#[test]
fn json_lines_on_standard_input_are_told_one_by_one() {
    let workspace = alone();
    workspace.file("events.jsonl", "{\"to\": \"c-1\"}\n{}\nnot JSON\n");
    let (code, said, _) =
        preview(&workspace, "orders", "--key k --header h= --output json <events.jsonl");
    assert_eq!(code, Some(0));
    let said: Vec<Value> =
        said.lines().map(|line| serde_json::from_str(line).expect("an object")).collect();
    let rejected: Vec<_> = said.iter().map(|told| told["rejected"].as_str()).collect();
    assert_eq!(rejected, [None, Some("schema"), Some("undecodable")]);
    assert!(said[1]["detail"].as_str().is_some_and(|detail| detail.contains("\"to\"")));
}

#[rstest]
#[case::nothing("printf ''", Some(64), "standard input: contains no event")]
#[case::too_large(
    "head -c 1100000 /dev/zero | tr '\\0' 1",
    Some(0),
    "an event has at most 1048576"
)]
#[case::without_end("yes", Some(64), "give it in pieces")]
#[case::not_utf_8("printf '\\377\\376'", Some(0), "not UTF-8 from byte 0")]
#[case::escape_sequences("printf '{\"to\": \"c\\\\u001b[2J\"}'", Some(0), "a control character")]
fn hostile_input_is_told_of_too(
    #[case] input: &str,
    #[case] code: Option<i32>,
    #[case] told: &str,
) {
    let workspace = alone();
    workspace.file("input.sh", input);
    let program = env!("CARGO_BIN_EXE_line-bridge");
    let command = format!(
        "sh input.sh | {program} preview --config bridge.yaml --topic orders --key k --header h=v"
    );
    let mut run = workspace.start_program("sh", &["-c", &command]);
    let ended = run.wait_exit(LIMIT).code();
    let said = run.stdout() + &run.stderr();
    assert!(said.contains(told), "{said}");
    assert!(!said.contains('\x1b'), "{said:?}");
    assert_eq!(ended, code);
}

#[test]
fn a_record_of_the_real_topic_is_told_without_joining_the_group() {
    let stage = Stage::of(KafkaCluster::shared(), &["orders"], 2);
    stage.workspace.file("bridge.yaml", &stage.config().replace("{file: token}", "{env: NOWHERE}"));
    let topic = stage.topics["orders"].as_str();
    let event = Event::new(0, "orders", "contact-0", Fate::Accepted);
    let records = [NewRecord::tombstone().partition(1), NewRecord::of(event.value()).partition(1)];
    stage.kafka.produce(topic, records);
    let ask = |place: &str| preview(&stage.workspace, topic, &format!("{place} --output json"));
    let (code, said, wrong) = ask("--partition 1 --offset 1");
    assert_eq!(code, Some(0), "{wrong}");
    let said: Value = serde_json::from_str(&said).expect("one object");
    assert_eq!(said["messages"][0]["recipient"], json!({"contactId": "contact-0"}));
    let (_, said, _) = ask("--partition 1 --offset 0");
    let said: Value = serde_json::from_str(&said).expect("one object");
    assert_eq!(said["skipped"], "tombstone");
    for (place, told) in [
        ("--partition 1 --offset 2", "has no offset 2; it has 0 to 1"),
        ("--partition 0 --offset 0", "is empty"),
        ("--partition 2 --offset 0", "has no partition 2; it has 2, from 0"),
    ] {
        let (code, _, wrong) = ask(place);
        assert!(wrong.contains(told), "{wrong}");
        assert_eq!(code, Some(1));
    }
    assert!(stage.kafka.committed(&stage.group, topic).is_empty());
    let (code, _, wrong) = preview(&stage.workspace, "order", "--event nowhere");
    assert!(wrong.contains("--topic: bridge.yaml has no topic `order`"), "{wrong}");
    assert_eq!(code, Some(64));
}

#[test]
fn an_offset_without_a_record_says_which_one_is_next() {
    let stage = Stage::of(KafkaCluster::shared(), &["orders"], 1);
    stage.workspace.file("bridge.yaml", &stage.config());
    let topic = stage.topics["orders"].as_str();
    let producer: BaseProducer =
        stage.kafka.client().set("transactional.id", topic).create().expect("a producer");
    producer.init_transactions(LIMIT).expect("transactions");
    for _ in 0..2 {
        producer.begin_transaction().expect("a transaction");
        producer
            .send(BaseRecord::<(), _>::to(topic).payload("{}"))
            .map_err(|(e, _)| e)
            .expect("room");
        producer.commit_transaction(LIMIT).expect("a commit");
    }
    for (offset, told) in
        [("1", "it is a transaction marker; the next one is at 2"), ("3", "marker\n")]
    {
        let arguments = format!("--partition 0 --offset {offset}");
        let (code, _, wrong) = preview(&stage.workspace, topic, &arguments);
        assert!(wrong.contains(told), "{wrong}");
        assert_eq!(code, Some(1));
    }
}
