//! Many messages that fail by themselves, and the others of their channel.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use rstest::rstest;

use super::rig::{Rig, deliver, message, settings};
use crate::domain::machine::{Attempt, Effect, Input};
use crate::domain::message::{Message, OnAmbiguous};
use crate::domain::outcome::{Ambiguity, Class, Listing, StopReason};

const ANSWER_502: Class = Class::Ambiguous(Ambiguity::ServerError);

/// Such as the customers of a shop that is gone, whose messages are answered with 502: all at once, or some
/// with each message of the others.
#[rstest]
#[case::refused(Class::Permanent, OnAmbiguous::Retry, 300, 3)]
#[case::ambiguous(ANSWER_502, OnAmbiguous::DeadLetter, 300, 25)]
#[case::tried_again(ANSWER_502, OnAmbiguous::Retry, 300, 35)]
#[case::ambiguous_among_others(ANSWER_502, OnAmbiguous::DeadLetter, 4, 25)]
#[case::tried_again_among_others(ANSWER_502, OnAmbiguous::Retry, 4, 35)]
fn three_hundred_messages_that_fail_by_themselves_hold_up_few_others(
    #[case] class: Class,
    #[case] on_ambiguous: OnAmbiguous,
    #[case] together: u64,
    #[case] percent: u64,
) {
    let mut rig = Rig::owning(settings());
    let (mut next, mut late, mut wire) = (0, 0, Vec::<Attempt>::new());
    let (mut bad, mut read_at) = (BTreeSet::new(), BTreeMap::new());
    let ticks = 20 * 120;
    for tick in 0..ticks {
        for _ in 0..together.min(300 - bad.len() as u64) {
            let message = Message { on_ambiguous, ..message(&format!("recipient {next}")) };
            rig.read(next, deliver(vec![Ok(message)]));
            bad.insert(next);
            next += 1;
        }
        rig.read_for(next, &format!("recipient {next}"));
        read_at.insert(next, tick);
        next += 1;
        for attempt in std::mem::take(&mut wire) {
            let waited = read_at.remove(&attempt.offset.0).map(|then| tick - then);
            late += u64::from(waited.is_some_and(|ticks| ticks > 40));
            let fails = bad.contains(&attempt.offset.0);
            rig.answer(&attempt, if fails { class } else { Class::Accepted });
        }
        rig.serve();
        wire = rig.sent();
        rig.pass(Duration::from_millis(50));
    }
    late += read_at.into_values().filter(|then| ticks - then > 40).count() as u64;
    assert!(late * 100 < ticks * percent, "{late} of {ticks} more than 2 s late");
}

/// It is nobody's second chance: it may be one that the burst does not concern.
#[test]
fn a_message_that_comes_to_a_channel_that_has_just_stopped_is_tried_at_once() {
    let mut rig = Rig::owning(settings());
    rig.read_many(5, OnAmbiguous::Retry);
    rig.answer_all(ANSWER_502);
    rig.pass(Duration::from_millis(200));
    assert!(!rig.asked_to(&Effect::List), "of those that have failed, there is time");
    rig.read_for(5, "ann");
    rig.pass(Duration::from_millis(1));
    assert!(rig.asked_to(&Effect::List));
    rig.list(&["support"]);
    let probe = rig.sent_one();
    assert_eq!(probe.offset.0, 5);
    rig.answer(&probe, ANSWER_502);
    rig.read_for(6, "bob");
    rig.pass(Duration::from_millis(500));
    assert!(!rig.asked_to(&Effect::List), "the fault is not theirs alone");
}

#[test]
fn second_chances_are_given_in_turn_and_soonest_to_those_with_the_least_time() {
    let mut rig = Rig::owning(settings());
    for offset in 0..8 {
        let deadline = rig.now.wall.plus(Duration::from_secs(600 - offset));
        let message = message(&format!("recipient {offset}"));
        let message = Message { on_ambiguous: OnAmbiguous::DeadLetter, deadline, ..message };
        rig.read(offset, deliver(vec![Ok(message)]));
    }
    rig.answer_all(ANSWER_502);
    rig.read_for(8, "ann");
    rig.pass(Duration::from_millis(100));
    rig.list(&["support"]);
    let probe = rig.sent_one();
    rig.answer(&probe, Class::Accepted);
    rig.pass(Duration::from_millis(850));
    assert!(rig.sent().is_empty(), "the outage may be that of a second");
    let mut tried = Vec::new();
    for _ in 0..8 {
        rig.pass(Duration::from_millis(100));
        tried.extend(rig.sent_offsets());
    }
    assert_eq!(tried, [7, 6, 5, 4, 3, 2, 1, 0]);
}

/// Reads so many more, each of which ends so at its first attempt.
fn others(rig: &mut Rig, next: &mut u64, count: u64, class: Class) {
    for _ in 0..count {
        rig.read_for(*next, &format!("recipient {next}"));
        *next += 1;
        let attempt = rig.sent_one();
        rig.answer(&attempt, class);
        rig.serve();
    }
}

/// Five that have failed before fail again in a row.
#[rstest]
#[case::others_get_through(0, 0, &[])]
#[case::others_fail_as_well(6, 0, &[StopReason::Outage])]
#[case::nothing_has_got_through_for_long(0, 5, &[StopReason::Outage])]
fn what_fails_again_stops_the_channel_unless_others_get_through(
    #[case] fail: u64,
    #[case] seconds: u64,
    #[case] stops: &[StopReason],
) {
    let (mut rig, mut next) = (Rig::owning(settings()), 0);
    for _ in 0..5 {
        others(&mut rig, &mut next, 1, ANSWER_502);
        others(&mut rig, &mut next, 1, Class::Accepted);
    }
    rig.pass(Duration::from_secs(1));
    let again = rig.sent();
    assert_eq!(again.len(), 5);
    for _ in 0..fail {
        others(&mut rig, &mut next, 1, ANSWER_502);
        others(&mut rig, &mut next, 1, Class::Accepted);
    }
    others(&mut rig, &mut next, 16 - 2 * fail, Class::Accepted);
    rig.pass(Duration::from_secs(seconds));
    for attempt in again {
        rig.answer(&attempt, ANSWER_502);
    }
    assert_eq!(rig.stops(), stops);
}

/// An API that fails often is not to be tried the more often for it.
#[test]
fn soon_after_an_early_probe_that_failed_there_is_no_other() {
    let mut rig = Rig::owning(settings());
    rig.read_many(40, OnAmbiguous::Retry);
    rig.answer_sent(ANSWER_502);
    rig.pass(Duration::from_millis(100));
    rig.serve();
    rig.answer_sent(ANSWER_502);
    rig.pass(Duration::from_secs(2));
    rig.serve();
    rig.answer_sent(Class::Accepted);
    assert_eq!(rig.stops(), [StopReason::Outage]);
    rig.answer_all(ANSWER_502);
    assert_eq!(rig.stops(), [StopReason::Outage]);
    rig.read_for(40, "ann");
    rig.pass(Duration::from_millis(300));
    assert!(!rig.asked_to(&Effect::List));
    rig.pass(Duration::from_secs(1));
    assert!(rig.asked_to(&Effect::List));
}

#[test]
fn a_message_that_waits_when_the_channel_stops_is_tried_at_once() {
    let mut rig = Rig::owning(settings());
    rig.read_many(40, OnAmbiguous::Retry);
    rig.answer_sent(ANSWER_502);
    rig.pass(Duration::from_millis(100));
    assert!(rig.asked_to(&Effect::List));
    rig.list(&["support"]);
    assert_eq!(rig.sent_offsets().last(), Some(&39));
}

/// As in any outage in which events go on coming.
#[test]
fn new_messages_do_not_hurry_the_probes_while_the_listing_fails_too() {
    let mut rig = Rig::owning(settings());
    rig.read_many(5, OnAmbiguous::Retry);
    rig.answer_all(ANSWER_502);
    let mut listings = 0;
    for offset in 5..605 {
        rig.read_for(offset, &format!("recipient {offset}"));
        rig.pass(Duration::from_millis(100));
        if rig.asked_to(&Effect::List) {
            listings += 1;
            rig.input(Input::Listed(Listing::Failed(ANSWER_502)));
        }
    }
    assert!(listings < 15, "{listings} in a minute");
}

/// Five fail at once, and the others that are on their way one by one, after the channel works again.
#[rstest]
#[case::ambiguous(ANSWER_502)]
#[case::refused(Class::Permanent)]
fn what_was_on_the_wire_when_the_channel_stopped_has_a_second_chance(#[case] class: Class) {
    let mut rig = Rig::owning(settings());
    rig.read_many(40, OnAmbiguous::DeadLetter);
    let mut late = rig.sent();
    for attempt in late.drain(..5) {
        rig.answer(&attempt, class);
    }
    rig.pass(Duration::from_millis(100));
    rig.serve();
    let mut set_aside = 0;
    for _ in 0..100 {
        for attempt in rig.sent() {
            rig.answer(&attempt, Class::Accepted);
        }
        if let Some(attempt) = late.pop() {
            rig.answer(&attempt, class);
        }
        set_aside += rig.letters().len();
        rig.serve();
        rig.pass(Duration::from_millis(40));
    }
    assert_eq!((rig.held(), set_aside), (0, 0));
}

#[test]
fn second_chances_come_in_time() {
    let mut rig = Rig::owning(settings());
    for offset in 0..16 {
        let deadline = rig.now.wall.plus(Duration::from_millis(1_500));
        let message = message(&format!("recipient {offset}"));
        let message = Message { on_ambiguous: OnAmbiguous::DeadLetter, deadline, ..message };
        rig.read(offset, deliver(vec![Ok(message)]));
    }
    rig.answer_sent(ANSWER_502);
    rig.read_for(16, "ann");
    let mut set_aside = 0;
    for _ in 0..80 {
        for attempt in rig.sent() {
            rig.answer(&attempt, Class::Accepted);
        }
        set_aside += rig.letters().len();
        rig.serve();
        rig.pass(Duration::from_millis(20));
    }
    assert_eq!((rig.held(), set_aside), (0, 0));
}
