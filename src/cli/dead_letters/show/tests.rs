use super::*;
use crate::domain::dead_letter::Reason;
use crate::domain::message::{Channel, OnAmbiguous, SkipReason, Text};
use crate::domain::record::Record;

const NOW: Timestamp = Timestamp(1_800_000_000_000);

fn header(name: &str, value: &[u8]) -> Header {
    Header { name: name.to_owned(), value: Some(value.to_vec()) }
}

/// The dead letter of an event that would like to steer the terminal.
fn shown(value: Option<&[u8]>, verdict: Option<Verdict>) -> Shown {
    let source = |topic: &str, partition| TopicPartition { topic: topic.into(), partition };
    let letter = Letter {
        place: Place { source: source("letters", 0), offset: RecordOffset(17) },
        at: Timestamp(NOW.0 - 60_000),
        original: Record {
            source: source("orders", 3),
            offset: RecordOffset(5),
            timestamp: Timestamp(NOW.0 - 120_000),
            key: Some(vec![0xff, 0x00]),
            value: value.map(<[u8]>::to_vec),
            headers: vec![header("trace\x1b[2J", "a\u{202e}b".as_bytes())],
        },
        reason: Reason::Rejected,
        detail: String::new(),
        group: None,
        rule: Some("shipped".into()),
        redrives: 1,
        added: vec![
            header("line-bridge-reason", b"rejected"),
            header("line-bridge-timestamp", b"1799999880000"),
            header("line-bridge-rule", b"shipped"),
        ],
    };
    let redriven = vec![Place { source: source("letters.redrive", 0), offset: RecordOffset(2) }];
    Shown { is_pointer: value.is_none(), letter, redriven, verdict, now: NOW }
}

fn message() -> Message {
    Message {
        rule: "shipped".into(),
        channel: Channel { name: "support".into(), id: "1".into() },
        recipient: Recipient::contact("c-1").unwrap(),
        text: Text::new("one\n\x1b[31mtwo").unwrap(),
        deadline: Timestamp(NOW.0 + 60_000),
        on_ambiguous: OnAmbiguous::Retry,
    }
}

#[test]
fn all_is_told_and_nothing_of_it_steers_the_terminal() {
    let event = "{\"b\": \"\\u001b[2J\u{9b}\", \"a\": 1}".as_bytes();
    let text = shown(Some(event), Some(Verdict::Deliver(vec![Ok(message())]))).text();
    insta::assert_snapshot!(text, @r#"
    letters[0]@17, set aside 2027-01-15T07:59:00Z (1 min ago)
      redriven       letters.redrive[0]@2
      reason         rejected
      timestamp      2027-01-15T07:58:00Z (2 min ago)
      rule           shipped
    headers of the record
      trace\u{1b}[2J a\u{202e}b
    key
      2 bytes: ff 00
    event
      {
        "a": 1,
        "b": "\u001b[2J\u{9b}"
      }
    redriven now
      sent: rule shipped, channel support, to contactId c-1, deadline 2027-01-15T08:01:00Z (in 1 min)
        one
        \u{1b}[31mtwo
    "#);
    assert!(text.chars().all(|c| c == '\n' || !c.is_control()));
}

#[test]
fn what_is_no_json_is_shown_as_far_as_it_can_be() {
    let expired = Message { deadline: NOW, ..message() };
    let of = |value: &[u8]| shown(Some(value), Some(Verdict::Deliver(vec![Ok(expired.clone())])));
    assert!(of(b"no\tjson").text().contains("\nevent\n  no\\tjson\n"));
    assert!(of(&[0xc3, 0x28]).text().contains("\nevent\n  2 bytes: c3 28\n"));
    let json = of(&[0xc3, 0x28]).json();
    assert_eq!((&json["event"], &json["raw"]), (&Value::Null, &json!("2 bytes: c3 28")));
    assert_eq!(json["outlook"]["messages"][0]["expired"], true);
    assert!(of(b"{}").text().contains("\n  not sent: rule shipped"));
}

#[test]
fn an_event_that_is_gone_is_told_to_be_so() {
    let gone = shown(None, None);
    assert!(gone.text().contains("gone: it was too large for a dead letter"));
    let json = gone.json();
    assert_eq!((&json["pointer"], &json["outlook"]), (&json!(true), &Value::Null));
    let text = shown(Some(b"{}"), None).text();
    assert!(text.ends_with("unknown: `line-bridge check` tells what is wrong with the rules"));
    let skipped = shown(Some(b"{}"), Some(Verdict::Skip(SkipReason::Unmatched)));
    assert!(skipped.text().ends_with("the rule that it was set aside for does not match"));
    assert_eq!(skipped.json()["outlook"]["skipped"], true);
}
