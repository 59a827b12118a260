//! The configurations that are shipped and shown pass without a word, and the example events fit the
//! one to start from.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use rstest::rstest;
use tempfile::TempDir;

use crate::config::{Loaded, Mistakes, Strictness};
use crate::domain::dead_letter::Reason;
use crate::domain::message::{Decision, Recipient, SkipReason, Verdict};
use crate::domain::ports::Decide as _;
use crate::domain::record::Record;
use crate::loading;
use crate::topics::Topics;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn load(file: &Path) -> Result<(Loaded, Topics), Mistakes> {
    let env = |_: &str| Some("localhost:9092".to_owned());
    loading::load(file, &env, Strictness::Check)
}

/// The blocks of a language in the README, in order.
fn blocks(language: &str) -> Vec<String> {
    let readme = fs::read_to_string(root().join("README.md")).unwrap();
    let opening = format!("```{language}\n");
    let fenced = readme.split(opening.as_str()).skip(1);
    fenced.map(|rest| rest.split("```").next().unwrap().to_owned()).collect()
}

fn said(file: &Path) -> String {
    match load(file) {
        Ok((loaded, _)) => Mistakes(loaded.warnings).to_string(),
        Err(mistakes) => mistakes.to_string(),
    }
}

#[test]
fn the_configuration_to_start_from_passes() {
    let said = said(&root().join("deploy/line-bridge.yaml"));
    let about_the_token = said.lines().filter(|line| line.contains("line.token.file")).count();
    assert_eq!(said.lines().count(), about_the_token, "{said}");
}

#[rstest]
#[case::of_the_quick_start(0)]
#[case::with_everything(1)]
fn a_configuration_of_the_readme_passes_with_its_schema(#[case] index: usize) {
    let folder: TempDir = tempfile::tempdir().unwrap();
    let configuration = blocks("yaml")
        .into_iter()
        .filter(|block| block.starts_with("kafka:"))
        .nth(index)
        .unwrap()
        .replace("/var/run/secrets/line/token", "token")
        .replace("http://127.0.0.1:8080", "https://127.0.0.1");
    let schema =
        blocks("json").into_iter().filter(|block| block.contains("orderId")).nth(index).unwrap();
    fs::create_dir(folder.path().join("schemas")).unwrap();
    fs::write(folder.path().join("schemas/orders.json"), schema).unwrap();
    fs::write(folder.path().join("token"), "a-token").unwrap();
    let file = folder.path().join("line-bridge.yaml");
    fs::write(&file, configuration).unwrap();
    assert_eq!(said(&file), "");
}

/// The example events of the topics that the configuration to start from has, in order, each with
/// what becomes of it.
fn decided() -> Vec<(String, Decision)> {
    let (_, topics) = load(&root().join("deploy/line-bridge.yaml")).unwrap();
    let mut decided = Vec::new();
    for topic in topics.names() {
        let entries = fs::read_dir(root().join("schemas/examples").join(&topic)).unwrap();
        let mut files: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
        files.sort();
        for file in files {
            let name = format!("{topic}/{}", file.file_stem().unwrap().to_str().unwrap());
            let value = Some(fs::read(&file).unwrap());
            let record = Record { value, ..Record::at(&topic, 0, 0) };
            decided.push((name, topics.decide(&record)));
        }
    }
    decided
}

#[test]
fn every_valid_example_becomes_the_text_that_its_rule_promises() {
    let mut told = String::new();
    for (name, decision) in decided() {
        if !name.contains("/valid-") {
            continue;
        }
        match &decision.verdict {
            Verdict::Skip(SkipReason::Unmatched) => writeln!(told, "{name}: nobody").unwrap(),
            Verdict::Deliver(parts) => {
                let [Ok(message)] = parts.as_slice() else { panic!("{name}: {parts:?}") };
                let to_user = matches!(message.recipient, Recipient::LineUser(_));
                assert_eq!(to_user, name.starts_with("logins/"), "{name}");
                let minutes = message.deadline.since(decision.event_time).as_secs_f64() / 60.0;
                let (rule, text) = (&message.rule, message.text.as_str());
                writeln!(told, "{name}: {rule}, {minutes} min, {text}").unwrap();
            }
            verdict @ (Verdict::Skip(_) | Verdict::Reject(_)) => panic!("{name}: {verdict:?}"),
        }
    }
    // The minutes are those that the message has from the event's time.
    insta::assert_snapshot!(told, @"
    appointments/valid-booked: nobody
    appointments/valid-cancelled: cancelled, 1440 min, Your appointment on Tuesday, 10 November 2026 at 10:00 AM has been cancelled.
    appointments/valid-reminder-without-place: reminder, 1530 min, Reminder: Your appointment is scheduled for Tuesday, 10 November 2026 at 1:30 PM.
    appointments/valid-reminder: reminder, 1440 min, Reminder: Your appointment is scheduled for Tuesday, 10 November 2026 at 10:00 AM, Silom Clinic.
    deliveries/valid-delayed: delayed, 360 min, The delivery of your order #12345 is delayed. It is now expected by 10 Nov 2026, 12:00.
    deliveries/valid-delivered: delivered, 360 min, Your order #12345 has been delivered.
    deliveries/valid-failed-attempt: failed_attempt, 360 min, We could not deliver your order #12345: nobody was there. We will try again.
    deliveries/valid-in-transit-which-tells-nobody: nobody
    deliveries/valid-out-for-delivery-one-parcel: out_for_delivery, 360 min, Your order #12346 (1 parcel) is out for delivery and should arrive by 15:30.
    deliveries/valid-out-for-delivery: out_for_delivery, 360 min, Your order #12345 (2 parcels) is out for delivery and should arrive by 15:30.
    logins/valid-normal-which-tells-nobody: nobody
    logins/valid-suspicious-device-unknown: suspicious, 10 min, Suspicious login detected on your account. If this was not you, change your password now.
    logins/valid-suspicious: suspicious, 10 min, Suspicious login detected on your account. Device: Chrome on Windows. If this was not you, change your password now.
    orders/valid-cancelled: cancelled, 1440 min, Your order #12347 has been cancelled.
    orders/valid-placed-which-tells-nobody: nobody
    orders/valid-shipped-without-tracking: shipped, 1440 min, Your order #12346 has been shipped.
    orders/valid-shipped: shipped, 1440 min, Your order #12345 has been shipped. Tracking number: TH0123456789.
    orders/valid-with-a-new-property: shipped, 1440 min, Your order #12349 has been shipped. Tracking number: TH0123456789.
    payments/valid-failed: failed, 1440 min, Your payment of $50.00 did not go through. You have not been charged.
    payments/valid-refunded: refunded, 1440 min, Your refund of $50.00 is on its way.
    payments/valid-succeeded-in-baht: received, 1440 min, Payment of ฿1,250.50 was successfully received.
    payments/valid-succeeded-in-yen: received, 1440 min, Payment of ¥1,000 was successfully received.
    payments/valid-succeeded: received, 1440 min, Payment of $50.00 was successfully received.
    ");
}

#[test]
fn every_invalid_example_breaks_one_rule_of_its_schema() {
    let mut seen = 0;
    for (name, decision) in decided() {
        if !name.contains("/invalid-") {
            assert!(name.contains("/valid-"), "{name}");
            continue;
        }
        let Verdict::Reject(rejection) = &decision.verdict else {
            panic!("{name}: {:?}", decision.verdict)
        };
        assert_eq!(rejection.reason, Reason::Schema, "{name}");
        assert!(!rejection.detail.contains("; "), "{name}: {}", rejection.detail);
        seen += 1;
    }
    assert!(seen >= 20, "{seen}");
}
