//! `check --online`: what a real Kafka and the stand-in for the API say of a configuration.

use std::time::Duration;

use line_bridge::sandbox::{ChannelSeed, Fault, Faults, Rule};
use rstest::rstest;
use serde_json::Value;

use crate::harness::kafka::KafkaCluster;
use crate::harness::rights::{GUEST, GUEST_PASSWORD, Operation, Resource, grant};
use crate::harness::unique;
use crate::harness::wait::wait_until;
use crate::stage::{Stage, channel_id};

const LIMIT: Duration = Duration::from_mins(2);

/// Checks a configuration; the exit code, and the mistakes by their keys.
fn check(stage: &Stage<'_>, config: &str) -> (Option<i32>, Vec<(String, String)>) {
    stage.workspace.file("bridge.yaml", config);
    let arguments = ["check", "--online", "--config", "bridge.yaml", "--output", "json"];
    let mut check = stage.workspace.start(&arguments);
    let code = check.wait_exit(LIMIT).code();
    let found: Vec<Value> = serde_json::from_str(&check.stdout()).expect("an array");
    let text = |found: &Value, name: &str| found[name].as_str().expect("a text").to_owned();
    assert!(found.iter().all(|found| found["line"].is_u64()), "{found:?}");
    (code, found.iter().map(|found| (text(found, "key"), text(found, "message"))).collect())
}

fn stage() -> Stage<'static> {
    with_redrive(Stage::of(KafkaCluster::shared(), &["orders", "logins"], 2))
}

fn with_redrive(stage: Stage<'static>) -> Stage<'static> {
    stage.kafka.create_topic(&redrive(&stage), 1, &[]);
    stage
}

fn redrive(stage: &Stage<'_>) -> String {
    format!("{}.redrive", stage.dead_letters)
}

#[test]
fn what_is_right_is_told_so_and_nothing_is_left_behind() {
    let stage = stage();
    stage.workspace.file("bridge.yaml", &stage.config());
    let mut check = stage.workspace.start(&["check", "--online", "--config", "bridge.yaml"]);
    assert_eq!(check.wait_exit(LIMIT).code(), Some(0), "{}", check.stdout());
    let said = check.stdout();
    assert!(said.starts_with("bridge.yaml: ok, 2 topics\n"), "{said}");
    let topic = &stage.topics["orders"];
    assert!(said.contains(&format!("{topic} (2 partitions)")), "{said}");
    assert!(said.contains(&format!("{} (3 partitions)", stage.dead_letters)), "{said}");
    assert!(said.contains(&format!("{} (1 partition)", redrive(&stage))), "{said}");
    assert!(said.contains("accepts the token"), "{said}");
    assert!(stage.kafka.consume_all(&stage.dead_letters).is_empty());
    assert!(stage.kafka.committed(&stage.group, topic).is_empty());
    assert_eq!(stage.sandbox.inbox().messages().len(), 0);
}

#[test]
fn all_that_is_wrong_is_told_at_once_each_with_its_place() {
    let mut stage = stage();
    let (orders, logins) = (stage.topics["orders"].clone(), stage.topics["logins"].clone());
    stage.dead_letters = unique("compacted");
    stage.kafka.create_topic(&stage.dead_letters, 1, &[("cleanup.policy", "compact")]);
    let put = |seed: ChannelSeed| stage.sandbox.put_channel(seed);
    put(ChannelSeed { deleted: true, ..ChannelSeed::line(&channel_id("orders"), "Orders") });
    put(ChannelSeed {
        kind: "sms".to_owned(),
        ..ChannelSeed::line(&channel_id("logins"), "Logins")
    });
    let config = stage.config().replace(&format!("  {orders}:"), &format!("  {orders}x:"));
    let config = config.replace("payments: channel-of-payments", "payments: channel-of-paymnets");
    let (code, found) = check(&stage, &config);
    assert_eq!(code, Some(64));
    let expected = [
        ("dead_letters.topic".to_owned(), "cleanup.policy=compact".to_owned()),
        ("dead_letters.redrive_topic".to_owned(), ".redrive` does not exist".to_owned()),
        ("channels.orders".to_owned(), "has been deleted".to_owned()),
        ("channels.payments".to_owned(), "(channel-of-payments)".to_owned()),
        ("channels.logins".to_owned(), "of the type \"sms\"".to_owned()),
        (format!("topics.{orders}x"), format!("(there is `{orders}`)")),
    ];
    assert_eq!(found.len(), expected.len(), "{found:?}");
    for (key, says) in expected {
        let message = &found.iter().find(|(at, _)| *at == key).expect("a mistake there").1;
        assert!(message.contains(&says), "{key}: {message}");
    }
    assert!(!logins.is_empty());
}

/// The redrive topic may be there, or not, whatever becomes of the other one.
#[rstest]
#[case::there(true)]
#[case::missing(false)]
fn without_a_dead_letter_topic_the_redrive_topic_is_asked_for(#[case] there: bool) {
    let mut stage = Stage::of(KafkaCluster::shared(), &["orders"], 1);
    stage.dead_letters = unique("absent");
    let redrive = redrive(&stage);
    if there {
        stage.kafka.create_topic(&redrive, 1, &[]);
    }
    let (code, found) = check(&stage, &stage.config());
    assert_eq!(code, Some(64));
    let keys: Vec<_> = found.iter().map(|(key, _)| key.as_str()).collect();
    let mut expected = vec!["dead_letters.redrive_topic", "dead_letters.topic"];
    expected.drain(..usize::from(there));
    assert_eq!(keys, expected, "{found:?}");
    assert!(found.iter().all(|(_, says)| says.contains("does not exist")), "{found:?}");
}

#[rstest]
#[case::revoked(Fault::RevokedToken {}, 64, "line.token", "does not accept the token (HTTP 401)")]
#[case::down(Fault::Unavailable { retry_after: None }, 1, "line.base_url", "could not be checked")]
#[case::a_proxy(Fault::Html { accept: false }, 64, "line.base_url", "is not JSON")]
fn an_api_that_gives_no_listing_is_one_mistake(
    #[case] fault: Fault,
    #[case] code: i32,
    #[case] key: &str,
    #[case] says: &str,
) {
    let stage = stage();
    stage.sandbox.set_faults(Faults::rules([Rule::always(fault)])).expect("faults");
    let (ended, found) = check(&stage, &stage.config());
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(found[0].0 == key && found[0].1.contains(says), "{found:?}");
    assert_eq!(ended, Some(code));
}

#[test]
fn an_absent_token_keeps_nothing_else_from_being_asked() {
    let stage = stage();
    let topic = &stage.topics["orders"];
    let config = stage.config().replace("{file: token}", "{env: NO_TOKEN}");
    let config = config.replace(&format!("  {topic}:"), "  no-such-topic:");
    let (code, found) = check(&stage, &config);
    let keys: Vec<_> = found.iter().map(|(key, _)| key.as_str()).collect();
    assert_eq!(
        (code, keys.as_slice()),
        (Some(64), &["line.token.env", "topics.no-such-topic"][..])
    );
}

/// A stage whose bridge logs in.
pub(crate) fn stage_of(user: &str, password: &str) -> Stage<'static> {
    let kafka = KafkaCluster::secured();
    let mut stage = Stage::of(kafka, &["orders"], 1);
    stage.brokers = Some(kafka.sasl_ssl_bootstrap());
    let authority = kafka.ca_pem_path().display().to_string();
    for (name, value) in [
        ("security.protocol", "SASL_SSL"),
        ("ssl.ca.location", &authority),
        ("sasl.mechanism", "SCRAM-SHA-512"),
        ("sasl.username", user),
        ("sasl.password", password),
    ] {
        stage.properties.push((name, value.to_owned()));
    }
    stage
}

#[test]
fn each_right_that_is_missing_is_named_until_none_is() {
    let stage = with_redrive(stage_of(GUEST, GUEST_PASSWORD));
    let redrive = redrive(&stage);
    let redriving = Resource::Topic(&redrive);
    let topic = Resource::Topic(&stage.topics["orders"]);
    let (group, letters) = (Resource::Group(&stage.group), Resource::Topic(&stage.dead_letters));
    let orders = format!("topics.{}", stage.topics["orders"]);
    // A right becomes known to the broker soon after it was granted.
    let awaits = |code: i32, expected: &[(&str, &str)]| {
        wait_until(LIMIT, "the check finds what is missing", || {
            let (ended, found) = check(&stage, &stage.config());
            let fits = |((key, message), (at, says)): (&(String, String), &(&str, &str))| {
                key == at && message.contains(says)
            };
            let all = found.len() == expected.len() && found.iter().zip(expected).all(fits);
            if all && ended == Some(code) { Ok(()) } else { Err(format!("{ended:?} {found:?}")) }
        });
    };
    let no_group = ("kafka.group", "grant it Read on the group");
    let letters_key = "dead_letters.topic";
    let unseen = ("dead_letters.redrive_topic", "Kafka does not let the bridge see the topic");
    let neither = [unseen, (letters_key, "Describe and Write"), (&orders, "Describe and Read")];
    awaits(64, &[&[no_group], &neither[..]].concat());
    grant(stage.kafka, topic, Operation::Describe);
    grant(stage.kafka, letters, Operation::Describe);
    let untold = (letters_key, "can't be read; grant DescribeConfigs");
    let no_write = (letters_key, "grant it Write");
    awaits(64, &[no_group, unseen, untold, no_write, (&orders, "read the topic")]);
    grant(stage.kafka, topic, Operation::Read);
    grant(stage.kafka, group, Operation::Read);
    grant(stage.kafka, letters, Operation::Write);
    awaits(0, &[unseen, untold]);
    grant(stage.kafka, redriving, Operation::Read);
    awaits(0, &[untold]);
    grant(stage.kafka, letters, Operation::DescribeConfigs);
    awaits(0, &[]);
}

#[test]
fn a_wrong_password_is_told_without_showing_it() {
    let stage = stage_of(GUEST, "hunter2");
    let (code, found) = check(&stage, &stage.config());
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(found[0].0 == "kafka.properties" && found[0].1.contains("accepts the bridge"));
    assert!(!found[0].1.contains("hunter2"));
    assert_eq!(code, Some(64));
}
