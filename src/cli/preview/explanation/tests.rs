use std::sync::Arc;

use rstest::rstest;

use super::*;
use crate::domain::dead_letter::Reason;
use crate::domain::message::{Channel, Text};

const NOW: Timestamp = Timestamp(1_762_654_445_000);

fn record() -> Record {
    Record { timestamp: NOW, ..Record::at("orders", 0, 0) }
}

fn message(rule: &str, text: &str, deadline: i64) -> Message {
    Message {
        rule: rule.into(),
        channel: Channel { name: "support".into(), id: "id-1".into() },
        recipient: Recipient::contact("c-1").unwrap(),
        text: Text::new(text).unwrap(),
        deadline: Timestamp(NOW.0 + deadline),
        on_ambiguous: OnAmbiguous::Retry,
    }
}

fn rejection(reason: Reason, rule: Option<&str>) -> Rejection {
    Rejection { reason, detail: "to: `to.contact` is empty".to_owned(), rule: rule.map(Into::into) }
}

fn asked(answers: &[(&str, RuleAnswer)]) -> Vec<RuleTrace> {
    let asked = |(rule, answer): &(&str, RuleAnswer)| RuleTrace {
        rule: (*rule).into(),
        answer: answer.clone(),
    };
    answers.iter().map(asked).collect()
}

fn told(verdict: Verdict, answers: &[(&str, RuleAnswer)]) -> (String, Value) {
    told_with(verdict, answers, &Paused::default())
}

fn told_with(verdict: Verdict, answers: &[(&str, RuleAnswer)], paused: &Paused) -> (String, Value) {
    let event_time = Timestamp(NOW.0 - 90_000);
    let decision = Decision { event_time, verdict, redrive: None };
    let (record, decision, asked) = (&record(), &decision, &asked(answers)[..]);
    let told = Explanation { record, decision, asked, paused, now: NOW };
    (told.text(None), told.json())
}

#[test]
fn a_message_is_told_with_all_that_a_rule_gave_it() {
    let verdict = Verdict::Deliver(vec![Ok(message("two", "Hello 👋\nbye\x1b[2J", 60_000))]);
    let answers =
        [("one", RuleAnswer::False), ("two", RuleAnswer::True), ("three", RuleAnswer::NotAsked)];
    let (text, json) = told(verdict, &answers);
    insta::assert_snapshot!(text, @r"
    orders: would send 1 message
      event time: 2025-11-09T02:12:35Z (1 min 30 s ago)
      rule one: does not match, its `when` is false
      rule two: matches, its `when` is true
      rule three: not evaluated: `two` matches, without `continue: true`
      message of the rule two
        channel       support (id-1)
        to            contact c-1
        text          Hello 👋
                      bye\u{1b}[2J
        length        16 of 5000 UTF-16 code units
        expires       2025-11-09T02:15:05Z (in 1 min)
        on_ambiguous  retry
    ");
    let expected = json!({
        "messages": [{
            "rule": "two",
            "channel": "support",
            "channel_id": "id-1",
            "recipient": {"contactId": "c-1"},
            "text": "Hello 👋\nbye\x1b[2J",
            "utf16_units": 16,
            "expires_at": "2025-11-09T02:15:05Z",
            "expired": false,
            "paused": null,
            "on_ambiguous": "retry",
        }],
        "skipped": null,
        "rejected": null,
        "detail": null,
        "rejections": [],
        "rules": [
            {"rule": "one", "answer": "not_matched", "why": "does not match, its `when` is false"},
            {"rule": "two", "answer": "matched", "why": "matches, its `when` is true"},
            {
                "rule": "three",
                "answer": "not_asked",
                "why": "not evaluated: `two` matches, without `continue: true`",
            },
        ],
        "topic": "orders",
        "event_time": "2025-11-09T02:12:35Z",
    });
    assert_eq!(json, expected);
}

#[rstest]
#[case::rule(&["one"], &[], &[], "would send 1 message, but not while its rule is paused", "rule")]
#[case::channel(&[], &["support"], &[], "would send 1 message, but not while its channel is paused", "channel")]
#[case::topic(&["one"], &[], &["orders"], "would send 1 message, but not while its topic is paused", "topic")]
fn what_is_paused_would_wait(
    #[case] rules: &[&str],
    #[case] channels: &[&str],
    #[case] topics: &[&str],
    #[case] summary: &str,
    #[case] label: &str,
) {
    let set = |names: &[&str]| names.iter().map(|name| Arc::from(*name)).collect();
    let rules = [("orders".into(), set(rules))].into();
    let paused = Paused { channels: set(channels), topics: set(topics), rules };
    let verdict = Verdict::Deliver(vec![Ok(message("one", "Hello", 60_000))]);
    let (text, json) = told_with(verdict, &[("one", RuleAnswer::Always)], &paused);
    assert_eq!(text.lines().next(), Some(&*format!("orders: {summary}")));
    assert!(text.ends_with(&format!("    paused        its {label} is paused, so it would wait")));
    assert_eq!(json["messages"][0]["paused"], label);
}

#[test]
fn of_several_messages_those_that_are_paused_are_counted() {
    let messages = ["one", "two", "three"].map(|rule| Ok(message(rule, "Hello", 60_000)));
    let rules = [("orders".into(), ["one".into(), "three".into()].into())].into();
    let paused = Paused { rules, ..Paused::default() };
    let (text, _) = told_with(Verdict::Deliver(messages.into()), &[], &paused);
    let summary = "orders: would send 3 messages, but 2 of them not while paused";
    assert_eq!(text.lines().next(), Some(summary));
}

#[test]
fn what_has_expired_and_what_failed_become_dead_letters() {
    let late = message("one", "Hello", 0);
    let failed = Err(rejection(Reason::InvalidMessage, Some("two")));
    let verdict = Verdict::Deliver(vec![Ok(late), failed]);
    let (text, json) = told(verdict, &[("one", RuleAnswer::Always), ("two", RuleAnswer::Always)]);
    insta::assert_snapshot!(text, @r"
    orders: would send nothing, and become 2 dead letters
      event time: 2025-11-09T02:12:35Z (1 min 30 s ago)
      rule one: matches, it has no `when`
      rule two: matches, it has no `when`
      message of the rule one
        channel       support (id-1)
        to            contact c-1
        text          Hello
        length        5 of 5000 UTF-16 code units
        expires       2025-11-09T02:14:05Z (less than 1 s ago): would be dead-lettered as `expired`
        on_ambiguous  retry
      dead letter of the rule two
        reason        invalid_message
        detail        to: `to.contact` is empty
    ");
    assert_eq!(json["messages"][0]["expired"], true);
    assert_eq!((&json["skipped"], &json["rejected"]), (&Value::Null, &"invalid_message".into()));
}

#[test]
fn a_record_without_an_event_is_told_without_rules() {
    let (text, json) = told(Verdict::Reject(rejection(Reason::Schema, None)), &[]);
    insta::assert_snapshot!(text, @r"
    orders: would send nothing, and become 1 dead letter
      dead letter
        reason        schema
        detail        to: `to.contact` is empty
    ");
    assert_eq!((&json["rejected"], &json["event_time"]), (&"schema".into(), &Value::Null));
    assert_eq!(json["messages"], json!([]));
}

#[test]
fn a_failed_condition_says_why_the_rules_after_it_were_not_asked() {
    let failed = RuleAnswer::Failed("when: undefined value in `event.n`".to_owned());
    let verdict = Verdict::Reject(rejection(Reason::RuleError, Some("one")));
    let (text, json) = told(verdict, &[("one", failed), ("two", RuleAnswer::NotAsked)]);
    assert!(text.contains("rule one: failed: when: undefined value in `event.n`"), "{text}");
    assert_eq!(
        json["rules"][1],
        json!({"rule": "two", "answer": "not_asked", "why": "not evaluated: `one` failed"})
    );
}

#[test]
fn what_is_skipped_says_so() {
    let (text, json) = told(Verdict::Skip(SkipReason::Unmatched), &[("one", RuleAnswer::False)]);
    assert!(text.starts_with("orders: would be skipped: no rule matches\n"), "{text}");
    assert_eq!(json["skipped"], "unmatched");
    let (text, json) = told(Verdict::Skip(SkipReason::Tombstone), &[]);
    assert!(text.contains("tombstone"), "{text}");
    assert_eq!(json["skipped"], "tombstone");
}
