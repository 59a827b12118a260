use rstest::rstest;

use super::*;
use crate::config::Strictness;
use crate::domain::clock::Timestamp;
use crate::domain::dead_letter::{DeadLetter, HEADER_PREFIX, Tries};
use crate::domain::message::{Message, SkipReason};
use crate::domain::ports::Decide as _;
use crate::domain::record::{Header, RecordOffset, TopicPartition};

const THEN: Timestamp = Timestamp(1_700_000_000_000);
const NOW: Timestamp = Timestamp(1_800_000_000_000);
const HOUR: i64 = 3_600_000;

const CONFIG: &str = r#"
kafka: {brokers: "localhost:1", group: g}
line: {token: {env: TOKEN}}
channels: {support: channel-1}
dead_letters: {topic: letters}
topics:
  orders:
    schema: orders.json
    rules:
      - name: first
        when: event.n > 0
        to: {contact: event.to}
        message: "{{ record.topic }}[{{ record.partition }}]@{{ record.offset }} {{ record.headers.trace }}"
        expires_after: 1h
        continue: true
      - name: second
        to: {contact: event.to}
        message: second
        expires_at: event.until
        continue: true
      - name: third
        to: {contact: event.to}
        message: third
"#;

fn topics(config: &str) -> Topics {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("orders.json"), r#"{"required": ["n"]}"#).unwrap();
    let path = folder.path().join("line-bridge.yaml");
    std::fs::write(&path, config).unwrap();
    let loaded = crate::loading::load(&path, &|_| Some("t".to_owned()), Strictness::Run);
    loaded.unwrap_or_else(|mistakes| panic!("{mistakes}")).1
}

fn header(name: &str, value: &str) -> Header {
    Header { name: name.to_owned(), value: Some(value.as_bytes().to_vec()) }
}

/// An event's dead letter, on the redrive topic.
fn redriven(event: &str, rule: Option<&str>, reason: Reason, detail: &str) -> Record {
    let original = Record {
        timestamp: THEN,
        value: Some(event.into()),
        headers: vec![header("trace", "0af7")],
        ..Record::at("orders", 3, 17)
    };
    let rejection = Rejection { reason, detail: detail.to_owned(), rule: rule.map(Arc::from) };
    let letter = DeadLetter {
        record: Arc::new(original.clone()),
        rejection,
        channel: None,
        tries: Tries::default(),
        redrives: 1,
        may_repeat: false,
    };
    let added = letter.headers("g", "0.1.0");
    let added = added.iter().map(|(name, value)| header(name, value));
    let headers = original.headers.iter().cloned().chain(added).collect();
    let stored = Record {
        source: TopicPartition { topic: "letters".into(), partition: 0 },
        offset: RecordOffset(5),
        headers,
        ..original
    };
    on_redrive_topic(Letter::read(stored).unwrap().redriven(false, false), event)
}

fn on_redrive_topic(headers: Vec<Header>, event: &str) -> Record {
    Record {
        timestamp: NOW,
        value: Some(event.into()),
        headers,
        ..Record::at("letters.redrive", 0, 1)
    }
}

const EVENT: &str = r#"{"n": 1, "to": "c-1", "until": "2040-01-01T00:00:00Z"}"#;

fn sent(decision: Decision) -> Vec<Message> {
    match decision.verdict {
        Verdict::Deliver(parts) => parts.into_iter().map(Result::unwrap).collect(),
        verdict @ (Verdict::Skip(_) | Verdict::Reject(_)) => panic!("{verdict:?}"),
    }
}

fn rejection(decision: Decision) -> Rejection {
    match decision.verdict {
        Verdict::Reject(rejection) => rejection,
        verdict @ (Verdict::Skip(_) | Verdict::Deliver(_)) => panic!("{verdict:?}"),
    }
}

#[rstest]
#[case::of_a_rule(Some("second"), Reason::Rejected, "HTTP status 400", &["second"])]
#[case::of_the_first(Some("first"), Reason::InvalidMessage, "message: empty", &["first"])]
#[case::of_none(None, Reason::Schema, "/n: is required", &["first", "second", "third"])]
// The rules after it had not been asked.
#[case::whose_when_failed(Some("second"), Reason::RuleError, "when: undefined", &["second", "third"])]
#[case::whose_message_failed(Some("second"), Reason::RuleError, "message: undefined", &["second"])]
fn a_dead_letter_takes_the_rules_that_it_was_set_aside_for(
    #[case] rule: Option<&str>,
    #[case] reason: Reason,
    #[case] detail: &str,
    #[case] asked: &[&str],
) {
    let decision = topics(CONFIG).decide(&redriven(EVENT, rule, reason, detail));
    let rules: Vec<_> = sent(decision).iter().map(|message| message.rule.to_string()).collect();
    assert_eq!(rules, asked);
}

#[test]
fn rules_see_the_record_as_it_was_and_where_it_was() {
    let decision = topics(CONFIG).decide(&redriven(EVENT, Some("first"), Reason::Rejected, ""));
    assert_eq!(decision.event_time, NOW, "its age counts from the redrive");
    let redrive = decision.redrive.clone().unwrap();
    assert_eq!((redrive.original.offset, redrive.redrives), (RecordOffset(17), 2));
    let messages = sent(decision);
    assert_eq!(messages[0].text.as_str(), "orders[3]@17 0af7");
    assert_eq!(messages[0].deadline, Timestamp(THEN.0 + HOUR), "the deadline is the event's own");
}

#[rstest]
#[case::after(Some("first"), EVENT, NOW.0 + HOUR)]
#[case::at_a_time_that_has_passed(
    Some("second"),
    r#"{"n": 1, "to": "c-1", "until": "2001-01-01T00:00:00Z"}"#,
    NOW.0 + 24 * HOUR
)]
#[case::at_a_time_to_come(Some("second"), EVENT, 2_208_988_800_000)]
fn a_deadline_that_is_to_be_forgotten_counts_from_the_redrive(
    #[case] rule: Option<&str>,
    #[case] event: &str,
    #[case] deadline: i64,
) {
    let mut record = redriven(event, rule, Reason::Expired, "");
    record.headers.push(header("line-bridge-ignore-expiry", "true"));
    let messages = sent(topics(CONFIG).decide(&record));
    assert_eq!(messages[0].deadline, Timestamp(deadline));
}

#[rstest]
#[case::not_matching(CONFIG, r#"{"n": 0}"#, "first", None)]
#[case::not_matching_and_not_skipped(
    &CONFIG.replace("    rules:", "    unmatched: dead_letter\n    rules:"),
    r#"{"n": 0}"#,
    "first",
    Some(Reason::NoRule)
)]
#[case::a_rule_that_is_gone(CONFIG, EVENT, "zeroth", Some(Reason::NoRule))]
#[case::still_against_the_schema(CONFIG, "{}", "first", Some(Reason::Schema))]
#[case::no_json(CONFIG, "{", "first", Some(Reason::Undecodable))]
#[case::another_topic(&CONFIG.replace("  orders:", "  others:"), EVENT, "first", Some(Reason::NoRule))]
fn what_nothing_comes_of_is_told_and_keeps_its_rule(
    #[case] config: &str,
    #[case] event: &str,
    #[case] rule: &str,
    #[case] reason: Option<Reason>,
) {
    let decision = topics(config).decide(&redriven(event, Some(rule), Reason::Rejected, ""));
    assert!(decision.redrive.is_some());
    match reason {
        None => assert_eq!(decision.verdict, Verdict::Skip(SkipReason::Unmatched)),
        Some(reason) => {
            let rejection = rejection(decision);
            assert_eq!((rejection.reason, rejection.rule.as_deref()), (reason, Some(rule)));
        }
    }
}

#[test]
fn that_the_search_had_ended_is_not_forgotten_where_it_fails_otherwise() {
    let record = redriven("{}", Some("second"), Reason::RuleError, "when: undefined");
    let again = rejection(topics(CONFIG).decide(&record));
    assert_eq!((again.reason, again.rule.as_deref()), (Reason::Schema, Some("second")));
    let record = redriven(EVENT, Some("second"), again.reason, &again.detail);
    assert_eq!(sent(topics(CONFIG).decide(&record)).len(), 2, "the second and the third");
}

#[test]
fn a_loop_ends() {
    let mut record = redriven(EVENT, Some("first"), Reason::Rejected, "");
    let count = format!("{}", REDRIVES_LIMIT + 1);
    record.headers.push(header("line-bridge-redrives", &count));
    let rejection = rejection(topics(CONFIG).decide(&record));
    assert_eq!(
        (rejection.reason, rejection.detail.as_str()),
        (Reason::Rejected, "redriven more than 100 times")
    );
}

#[test]
fn a_pointer_is_not_taken_for_a_tombstone() {
    let mut record = redriven(EVENT, Some("first"), Reason::Rejected, "");
    record.value = None;
    assert_eq!(rejection(topics(CONFIG).decide(&record)).reason, Reason::Undecodable);
}

#[test]
fn a_record_that_was_not_redriven_by_the_bridge_is_set_aside() {
    let topics = topics(CONFIG);
    let decision = topics.decide(&on_redrive_topic(vec![header("trace", "x")], EVENT));
    assert_eq!(decision.redrive, None);
    assert_eq!(rejection(decision).reason, Reason::Undecodable);
}

#[test]
fn on_a_source_topic_such_headers_are_not_believed() {
    let mut record = redriven(EVENT, Some("third"), Reason::Rejected, "");
    record.source.topic = "orders".into();
    assert!(record.headers.iter().any(|header| header.name.starts_with(HEADER_PREFIX)));
    let decision = topics(CONFIG).decide(&record);
    assert_eq!(decision.redrive, None);
    let messages = sent(decision);
    assert_eq!(messages.len(), 3);
    assert_eq!(messages[0].text.as_str(), "orders[0]@1 0af7", "where it stands");
}

#[test]
fn the_redrive_topic_has_a_fingerprint_of_all_rules() {
    let of = |config: &str| topics(config).fingerprints()["letters.redrive"];
    assert_eq!(of(CONFIG), of(CONFIG));
    assert_ne!(of(CONFIG), of(&CONFIG.replace("message: third", "message: fourth")));
}
