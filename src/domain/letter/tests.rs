use proptest::prelude::*;
use rstest::rstest;

use super::*;
use crate::domain::dead_letter::{DeadLetter, Rejection, Tries};

fn header(name: &str, value: &str) -> Header {
    Header { name: name.to_owned(), value: Some(value.as_bytes().to_vec()) }
}

fn original() -> Record {
    Record {
        source: TopicPartition { topic: "orders".into(), partition: 3 },
        offset: RecordOffset(17),
        timestamp: Timestamp(1_800_000_000_000),
        key: Some(b"k".to_vec()),
        value: Some(b"{}".to_vec()),
        headers: vec![header("trace", "0af7")],
    }
}

fn written(record: Record, rule: Option<&str>, redrives: u32) -> Vec<Header> {
    let own = record.headers.clone();
    let rejection = Rejection {
        reason: Reason::RuleError,
        detail: "when: undefined value".to_owned(),
        rule: rule.map(Arc::from),
    };
    let tries = Tries::default();
    let record = Arc::new(record);
    let may_repeat = redrives == 2;
    let letter = DeadLetter { record, rejection, channel: None, tries, redrives, may_repeat };
    let added = letter.headers("group-a", "0.1.0");
    own.into_iter().chain(added.iter().map(|(name, value)| header(name, value))).collect()
}

/// The dead letter of a record, as it stands in its topic.
fn stored(headers: Vec<Header>) -> Record {
    Record {
        source: TopicPartition { topic: "dead.letters-1".into(), partition: 2 },
        offset: RecordOffset(99),
        timestamp: Timestamp(1_800_000_005_000),
        headers,
        ..original()
    }
}

#[test]
fn what_the_bridge_writes_is_read_back() {
    let letter = Letter::read(stored(written(original(), Some("shipped"), 2))).unwrap();
    assert_eq!(letter.original, original());
    assert_eq!(letter.place.to_string(), "dead.letters-1[2]@99");
    assert_eq!((letter.reason, letter.redrives), (Reason::RuleError, 2));
    assert!(letter.may_repeat(), "it had been ambiguous before");
    assert_eq!(letter.rule.as_deref(), Some("shipped"));
    assert_eq!(letter.group.as_deref(), Some("group-a"));
    assert_eq!(letter.told("version"), Some("0.1.0"));
    assert!(letter.ended_the_search() && !letter.is_pointer() && !letter.ignores_expiry());
}

#[test]
fn what_a_producer_forges_stays_the_records_own() {
    let mut forging = original();
    forging.headers = vec![
        header("line-bridge-reason", "expired"),
        header("line-bridge-rule", "another"),
        header("line-bridge-ignore-expiry", "true"),
        header("line-bridge-offset", "1"),
    ];
    let letter = Letter::read(stored(written(forging.clone(), None, 0))).unwrap();
    assert_eq!(letter.original, forging);
    assert_eq!((letter.reason, letter.rule.clone()), (Reason::RuleError, None));
    assert!(!letter.ignores_expiry());
    let again = Letter::read(stored(letter.redriven(false, false))).unwrap();
    assert_eq!(again.original, forging);
    assert!(again.rule.is_none() && !again.ignores_expiry());
}

#[test]
fn a_redrive_keeps_the_original_and_counts() {
    let letter = Letter::read(stored(written(original(), Some("shipped"), 0))).unwrap();
    let once = Letter::read(stored(letter.redriven(true, false))).unwrap();
    assert_eq!(once.original, original());
    assert_eq!((once.redrives, once.ignores_expiry()), (1, true));
    assert_eq!(once.redriven_from(), Some(letter.place));
    let twice = Letter::read(stored(once.redriven(false, false))).unwrap();
    assert_eq!((twice.redrives, twice.ignores_expiry()), (2, false));
    assert_eq!(twice.redriven_from(), Some(once.place.clone()));
    assert!(!twice.may_repeat());
    let sent_before = Letter::read(stored(once.redriven(false, true))).unwrap();
    assert!(sent_before.may_repeat());
    let again = Letter::read(stored(sent_before.redriven(false, false))).unwrap();
    assert!(again.may_repeat(), "what its customer has, it keeps");
}

#[rstest]
#[case::no_reason("reason", None, NotALetter::Missing("reason"))]
#[case::a_reason_of_another_program("reason", Some("boredom"), NotALetter::Unreadable("reason"))]
#[case::no_topic("topic", None, NotALetter::Missing("topic"))]
#[case::no_name_of_a_topic("topic", Some("a/b"), NotALetter::Unreadable("topic"))]
#[case::a_negative_partition("partition", Some("-1"), NotALetter::Unreadable("partition"))]
#[case::too_large_a_partition("partition", Some("4294967296"), NotALetter::Unreadable("partition"))]
#[case::a_negative_offset("offset", Some("-1"), NotALetter::Unreadable("offset"))]
#[case::too_large_an_offset(
    "offset",
    Some("9223372036854775808"),
    NotALetter::Unreadable("offset")
)]
#[case::a_time_in_words("timestamp", Some("noon"), NotALetter::Unreadable("timestamp"))]
#[case::no_count("redrives", None, NotALetter::Missing("redrives"))]
#[case::too_large_a_count("redrives", Some("4294967296"), NotALetter::Unreadable("redrives"))]
fn a_bad_header_is_named(#[case] name: &str, #[case] value: Option<&str>, #[case] why: NotALetter) {
    let full = format!("{HEADER_PREFIX}{name}");
    let mut headers = written(original(), Some("shipped"), 0);
    match value {
        Some(value) => {
            let at = headers.iter().position(|header| header.name == full).unwrap();
            headers[at] = header(&full, value);
        }
        None => headers.retain(|header| header.name != full),
    }
    assert_eq!(Letter::read(stored(headers)).unwrap_err(), why);
}

fn any_header() -> impl Strategy<Value = Header> {
    let names = [
        "reason",
        "topic",
        "partition",
        "offset",
        "timestamp",
        "rule",
        "redrives",
        "dead-letter",
        "ignore-expiry",
    ];
    let name = prop_oneof![
        prop::sample::select(names.to_vec()).prop_map(|name| format!("{HEADER_PREFIX}{name}")),
        "[a-z-]{0,12}",
    ];
    let value = prop_oneof![
        prop::collection::vec(any::<u8>(), 0..12),
        prop::sample::select(vec!["0", "7", "-7", "schema", "rejected", "orders", "a[0]@1", "[]@"])
            .prop_map(|text| text.as_bytes().to_vec()),
        "[0-9]{1,25}".prop_map(String::into_bytes),
    ];
    (name, prop::option::weighted(0.95, value)).prop_map(|(name, value)| Header { name, value })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]
    #[test]
    fn hostile_headers_are_read_or_refused_and_a_redrive_only_grows(
        headers in prop::collection::vec(any_header(), 0..24),
    ) {
        if let Ok(letter) = Letter::read(stored(headers)) {
            drop(letter.redriven_from());
            let again = Letter::read(stored(letter.redriven(false, false))).unwrap();
            prop_assert_eq!(&again.original, &letter.original);
            prop_assert_eq!(again.redrives, letter.redrives.saturating_add(1));
            prop_assert_eq!(again.redriven_from(), Some(letter.place.clone()));
            prop_assert_eq!(again.rule, letter.rule);
        }
    }

    #[test]
    fn any_headers_of_a_record_come_back_as_its_own(
        headers in prop::collection::vec(any_header(), 0..24),
    ) {
        let record = Record { headers, ..original() };
        let letter = Letter::read(stored(written(record.clone(), None, 0))).unwrap();
        prop_assert_eq!(letter.original, record);
    }
}
