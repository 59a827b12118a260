//! The schemas, example events and example configuration that come with the program fit together.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;

use super::Schema;
use crate::domain::clock::Timestamp;
use crate::domain::dead_letter::Reason;
use crate::domain::message::{Channel, Message, OnAmbiguous, Recipient, SkipReason, Verdict};
use crate::domain::record::{Record, RecordOffset, TopicPartition};
use crate::domain::rules::{
    ChannelSource, Expiry, RecipientSource, RuleSource, Rules, TopicRules, Unmatched,
};

/// The rule, the hours that the message has from the event's time, and the text.
type Told<'t> = (&'t str, f64, &'t str);

/// What each valid example becomes; nothing where it tells nobody.
const EXPECTED: &[(&str, Option<Told<'_>>)] = &[
    ("appointments/valid-booked", None),
    (
        "appointments/valid-cancelled",
        Some((
            "cancelled",
            24.0,
            "Your appointment on Tuesday, 10 November 2026 at 10:00 AM has been cancelled.",
        )),
    ),
    (
        "appointments/valid-reminder",
        Some((
            "reminder",
            24.0,
            "Reminder: Your appointment is scheduled for Tuesday, 10 November 2026 at 10:00 AM, Silom Clinic.",
        )),
    ),
    (
        "appointments/valid-reminder-without-place",
        Some((
            "reminder",
            25.5,
            "Reminder: Your appointment is scheduled for Tuesday, 10 November 2026 at 1:30 PM.",
        )),
    ),
    (
        "deliveries/valid-delayed",
        Some((
            "delayed",
            6.0,
            "The delivery of your order #12345 is delayed. It is now expected by 10 Nov 2026, 12:00.",
        )),
    ),
    (
        "deliveries/valid-delivered",
        Some(("delivered", 6.0, "Your order #12345 has been delivered.")),
    ),
    (
        "deliveries/valid-failed-attempt",
        Some((
            "failed_attempt",
            6.0,
            "We could not deliver your order #12345: nobody was there. We will try again.",
        )),
    ),
    ("deliveries/valid-in-transit-which-tells-nobody", None),
    (
        "deliveries/valid-out-for-delivery",
        Some((
            "out_for_delivery",
            6.0,
            "Your order #12345 (2 parcels) is out for delivery and should arrive by 15:30.",
        )),
    ),
    (
        "deliveries/valid-out-for-delivery-one-parcel",
        Some((
            "out_for_delivery",
            6.0,
            "Your order #12346 (1 parcel) is out for delivery and should arrive by 15:30.",
        )),
    ),
    ("logins/valid-normal-which-tells-nobody", None),
    (
        "logins/valid-suspicious",
        Some((
            "suspicious",
            1.0 / 6.0,
            "Suspicious login detected on your account. Device: Chrome on Windows. If this was not you, change your password now.",
        )),
    ),
    (
        "logins/valid-suspicious-device-unknown",
        Some((
            "suspicious",
            1.0 / 6.0,
            "Suspicious login detected on your account. If this was not you, change your password now.",
        )),
    ),
    ("orders/valid-cancelled", Some(("cancelled", 24.0, "Your order #12347 has been cancelled."))),
    ("orders/valid-placed-which-tells-nobody", None),
    (
        "orders/valid-shipped",
        Some((
            "shipped",
            24.0,
            "Your order #12345 has been shipped. Tracking number: TH0123456789.",
        )),
    ),
    (
        "orders/valid-shipped-without-tracking",
        Some(("shipped", 24.0, "Your order #12346 has been shipped.")),
    ),
    (
        "orders/valid-with-a-new-property",
        Some((
            "shipped",
            24.0,
            "Your order #12349 has been shipped. Tracking number: TH0123456789.",
        )),
    ),
    (
        "payments/valid-failed",
        Some((
            "failed",
            24.0,
            "Your payment of $50.00 did not go through. You have not been charged.",
        )),
    ),
    ("payments/valid-refunded", Some(("refunded", 24.0, "Your refund of $50.00 is on its way."))),
    (
        "payments/valid-succeeded",
        Some(("received", 24.0, "Payment of $50.00 was successfully received.")),
    ),
    (
        "payments/valid-succeeded-in-baht",
        Some(("received", 24.0, "Payment of ฿1,250.50 was successfully received.")),
    ),
    (
        "payments/valid-succeeded-in-yen",
        Some(("received", 24.0, "Payment of ¥1,000 was successfully received.")),
    ),
];

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn configuration() -> Value {
    let text = fs::read_to_string(root().join("deploy/line-bridge.yaml")).unwrap();
    serde_saphyr::from_str(&text).unwrap()
}

fn text(value: &Value, key: &str) -> Option<String> {
    value.get(key).map(|value| value.as_str().unwrap().to_owned())
}

/// Reads no more of the configuration than the shipped one has.
fn rule(source: &Value, channels: &BTreeMap<Arc<str>, Channel>) -> RuleSource {
    let hours = |text: &str| match text.split_at(text.len() - 1) {
        (hours, "h") => Duration::from_hours(hours.parse().unwrap()),
        (minutes, "m") => Duration::from_mins(minutes.parse().unwrap()),
        other => panic!("{other:?}"),
    };
    let to = &source["to"];
    RuleSource {
        name: text(source, "name").unwrap().into(),
        when: text(source, "when"),
        channel: ChannelSource::Fixed(channels[source["channel"].as_str().unwrap()].clone()),
        to: match (text(to, "contact"), text(to, "user")) {
            (Some(contact), None) => RecipientSource::Contact(contact),
            (None, Some(user)) => RecipientSource::LineUser(user),
            other => panic!("{other:?}"),
        },
        message: text(source, "message").unwrap(),
        expires: match (text(source, "expires_after"), text(source, "expires_at")) {
            (Some(after), None) => Expiry::After(hours(&after)),
            (None, Some(at)) => Expiry::At(at),
            other => panic!("{other:?}"),
        },
        on_ambiguous: match source["on_ambiguous"].as_str().unwrap() {
            "retry" => OnAmbiguous::Retry,
            "dead_letter" => OnAmbiguous::DeadLetter,
            other => panic!("{other}"),
        },
        goes_on: false,
    }
}

/// The schema and the rules of each topic of the shipped configuration.
fn topics() -> BTreeMap<String, (Schema, Rules)> {
    let configuration = configuration();
    let channels: BTreeMap<Arc<str>, Channel> = configuration["channels"]
        .as_object()
        .unwrap()
        .iter()
        .map(|(name, id)| {
            let name: Arc<str> = name.as_str().into();
            (Arc::clone(&name), Channel { name, id: id.as_str().unwrap().into() })
        })
        .collect();
    let topics = configuration["topics"].as_object().unwrap();
    topics
        .iter()
        .map(|(name, topic)| {
            let rules = TopicRules {
                event_time: text(topic, "event_time"),
                unmatched: Unmatched::Skip,
                rules: topic["rules"]
                    .as_array()
                    .unwrap()
                    .iter()
                    .map(|it| rule(it, &channels))
                    .collect(),
            };
            let path = root().join("deploy").join(topic["schema"].as_str().unwrap());
            let schema = Schema::load(&path).unwrap();
            (name.clone(), (schema, Rules::compile(&rules, &channels).unwrap()))
        })
        .collect()
}

fn examples(topic: &str) -> Vec<PathBuf> {
    let directory = root().join("schemas/examples").join(topic);
    let mut files: Vec<PathBuf> =
        fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files
}

fn name(topic: &str, file: &Path) -> String {
    format!("{topic}/{}", file.file_stem().unwrap().to_str().unwrap())
}

fn record(topic: &str) -> Record {
    Record {
        source: TopicPartition { topic: topic.into(), partition: 0 },
        offset: RecordOffset(0),
        timestamp: Timestamp(0),
        key: None,
        value: None,
        headers: Vec::new(),
    }
}

fn hours(message: &Message, event_time: Timestamp) -> f64 {
    message.deadline.since(event_time).as_secs_f64() / 3600.0
}

#[test]
fn every_valid_example_becomes_the_text_that_its_rule_promises() {
    let mut seen = BTreeSet::new();
    for (topic, (schema, rules)) in &topics() {
        for file in examples(topic) {
            let name = name(topic, &file);
            if !name.contains("/valid-") {
                continue;
            }
            let event = schema.decode(&fs::read(&file).unwrap());
            let event = event.unwrap_or_else(|rejection| panic!("{name}: {rejection:?}"));
            let decision = rules.decide(event, &record(topic));
            let found = match &decision.verdict {
                Verdict::Skip(SkipReason::Unmatched) => None,
                Verdict::Deliver(parts) => {
                    let [Ok(message)] = parts.as_slice() else { panic!("{name}: {parts:?}") };
                    let to_user = matches!(message.recipient, Recipient::LineUser(_));
                    assert_eq!(to_user, topic == "logins", "{name}");
                    Some((
                        &*message.rule,
                        hours(message, decision.event_time),
                        message.text.as_str(),
                    ))
                }
                verdict @ (Verdict::Skip(_) | Verdict::Reject(_)) => panic!("{name}: {verdict:?}"),
            };
            let expected = EXPECTED.iter().find(|(of, _)| *of == name);
            assert_eq!(
                found,
                expected.unwrap_or_else(|| panic!("{name} is not expected")).1,
                "{name}"
            );
            seen.insert(name);
        }
    }
    assert_eq!(seen.len(), EXPECTED.len());
}

#[test]
fn every_invalid_example_breaks_one_rule_of_its_schema() {
    let mut seen = 0;
    for (topic, (schema, _)) in &topics() {
        for file in examples(topic) {
            let name = name(topic, &file);
            if !name.contains("/invalid-") {
                assert!(name.contains("/valid-"), "{name}");
                continue;
            }
            let rejection = schema.decode(&fs::read(&file).unwrap()).unwrap_err();
            assert_eq!(rejection.reason, Reason::Schema, "{name}");
            assert!(!rejection.detail.contains("; "), "{name}: {}", rejection.detail);
            seen += 1;
        }
    }
    assert!(seen >= 20, "{seen}");
}

#[test]
fn the_shipped_configuration_names_the_five_topics() {
    let names: Vec<String> = topics().into_keys().collect();
    assert_eq!(names, ["appointments", "deliveries", "logins", "orders", "payments"]);
}
