//! A mixed stream through the real program, on a real broker, while the API fails.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use line_bridge::sandbox::{Fault, Faults, RetryAfter, Rule};

use crate::events::{Event, Fate, KINDS, refused_contacts};
use crate::harness::kafka::KafkaCluster;
use crate::stage::{Stage, counted, id_of};

const EVENTS: usize = 5_500;
const CONTACTS: usize = 400;
const PARTITIONS: i32 = 6;

/// Two in a hundred are bad in each way, the others good.
fn mixed_stream() -> Vec<Event> {
    let mut random = fastrand::Rng::with_seed(20_261_122);
    let event = |number: usize| {
        let fate = Fate::BAD.get(number % 50).copied().unwrap_or(Fate::Accepted);
        let kind = KINDS[random.usize(..KINDS.len())];
        let contact = format!("contact-{}", random.usize(..CONTACTS));
        Event::new(number, kind, &contact, fate)
    };
    let mut events: Vec<_> = (0..EVENTS).map(event).collect();
    // Bad ones are everywhere, and not at the head of each fifty.
    fastrand::Rng::with_seed(7).shuffle(&mut events);
    events
}

/// One request in twenty fails, in four ways.
fn failing_one_in_twenty() -> Faults {
    let faults = [
        Fault::Unavailable { retry_after: None },
        Fault::RateLimited { retry_after: Some(RetryAfter::Seconds(1)) },
        Fault::ResetBeforeAcceptance {},
        Fault::ResetAfterAcceptance {},
    ];
    let rules = faults.into_iter().map(|fault| Rule::every(80, fault)).collect();
    Faults {
        rules,
        refused_contacts: refused_contacts().into_iter().collect(),
        ..Faults::default()
    }
}

#[test]
fn a_mixed_stream_ends_accepted_or_set_aside_in_order_and_once_while_the_api_fails() {
    let stage = Stage::of(KafkaCluster::shared(), &KINDS, PARTITIONS);
    stage.sandbox.set_faults(failing_one_in_twenty()).expect("faults");
    let events = mixed_stream();
    stage.produce(&events);
    let mut bridge = stage.start();
    stage.wait_committed(Duration::from_mins(5));

    let (accepted, letters) = (stage.accepted(), stage.letters());
    for event in &events {
        let sent = accepted.get(&event.id).map_or(0, Vec::len);
        let reasons: Vec<_> = letters
            .get(&event.id)
            .map(|letters| {
                letters.iter().filter_map(|letter| letter.header("line-bridge-reason")).collect()
            })
            .unwrap_or_default();
        match event.fate.reason() {
            Some(reason) => assert_eq!((sent, reasons), (0, vec![reason]), "{event:?}"),
            None if event.kind == "payments" && !reasons.is_empty() => {
                assert_eq!(reasons, ["ambiguous"], "{event:?}");
                assert!(sent <= 1, "{event:?} repeated under a dead_letter rule");
            }
            None => assert!(sent >= 1 && reasons.is_empty(), "{event:?}: {sent}, {reasons:?}"),
        }
    }

    let metrics = bridge.metrics();
    let repeated = stage.repeated();
    let unexplained = accepted.values().flat_map(|sent| &sent[..sent.len() - 1]);
    let unexplained = unexplained.filter(|sent| sent.fault.is_none()).count();
    assert_eq!(unexplained, 0, "nothing is repeated that was answered");
    let possible = metrics.sum("line_bridge_possible_duplicates_total");
    let ambiguous = metrics.sum("line_bridge_ambiguous_total");
    let set_aside = letters.values().flatten();
    let set_aside =
        set_aside.filter(|l| l.header("line-bridge-reason") == Some("ambiguous")).count();
    assert!(repeated > 0.0, "resets after acceptance have repeated something");
    assert!(repeated <= possible, "{repeated} repeated, {possible} counted");
    let retried = ambiguous - counted(set_aside);
    assert!((possible - retried).abs() < 0.5, "{possible} counted of {retried} retried");

    in_order(&stage, &events);
    let stats = stage.sandbox.inbox().stats();
    println!(
        "{} events: {} accepted, {} dead letters, {} attempts, {repeated} repeated of {possible} possible",
        events.len(),
        accepted.len(),
        letters.len(),
        stats.attempts
    );
    assert!(bridge.drain(Duration::from_secs(40)).success());
}

#[test]
fn partitions_that_pause_all_the_time_are_read_on_from_where_they_stopped() {
    const COUNT: usize = 2_000;
    let mut stage = Stage::of(KafkaCluster::shared(), &["orders"], PARTITIONS);
    // Eight for each partition: every fetch brings more than there is room for.
    stage.delivery = "  held_records: 48\n  max_in_flight: 16\n".to_owned();
    let contact = |n: usize| format!("contact-{}", n % CONTACTS);
    let event = |n: usize| Event::new(n, "orders", &contact(n), Fate::Accepted);
    let events: Vec<_> = (0..COUNT).map(event).collect();
    stage.produce(&events);
    let mut bridge = stage.start();
    stage.wait_committed(Duration::from_mins(2));

    assert_eq!(stage.accepted().len(), COUNT);
    assert!(stage.repeated() < 0.5);
    in_order(&stage, &events);
    assert!(bridge.drain(Duration::from_secs(40)).success());
}

/// The messages of one recipient arrive in the order of its events.
pub(crate) fn in_order(stage: &Stage<'_>, events: &[Event]) {
    let places: BTreeMap<_, _> =
        events.iter().enumerate().map(|(place, event)| (event.id.as_str(), place)).collect();
    let mut latest = BTreeMap::new();
    let mut seen = BTreeSet::new();
    for message in stage.sandbox.inbox().messages() {
        let id = id_of(&message);
        if !seen.insert(id.clone()) {
            continue;
        }
        let Some(place) = places.get(id.as_str()).copied() else { continue };
        let lane = (message.channel_id.clone(), message.recipient.clone());
        let before = latest.insert(lane, place);
        assert!(before.is_none_or(|before| before < place), "{id} arrived out of order");
    }
}
