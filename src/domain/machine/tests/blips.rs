//! Faults that are over soon, and what was on the wire when they came.

use std::time::Duration;

use rstest::rstest;

use super::rig::{Rig, deliver, message, settings};
use crate::domain::machine::{Attempt, Effect, Input, Settings};
use crate::domain::message::{Message, OnAmbiguous};
use crate::domain::outcome::{Ambiguity, Class, NotApplied, Scope, StopReason};

const ANSWER_502: Class = Class::Ambiguous(Ambiguity::ServerError);
const NO_ANSWER: Class = Class::Ambiguous(Ambiguity::NoAnswer);
const NOT_JSON: Class = Class::Ambiguous(Ambiguity::NotJson);
const UNREACHABLE: Class = Class::NotApplied(NotApplied::Unreachable);
const FORBIDDEN: Class = Class::Stop(Scope::Channel, StopReason::Forbidden);
const UNAUTHORIZED: Class = Class::Stop(Scope::Account, StopReason::Unauthorized);

/// Sixteen are on the wire, the first five of which are answered so; the others are given back.
fn sixteen_of_which_five_meet(class: Class, on_ambiguous: OnAmbiguous) -> (Rig, Vec<Attempt>) {
    let mut rig = Rig::owning(Settings { max_in_flight: 64, ..settings() });
    rig.read_many(16, on_ambiguous);
    let mut sent = rig.sent();
    for attempt in sent.drain(..5) {
        rig.answer(&attempt, class);
    }
    assert_eq!(rig.stops().len(), 1);
    (rig, sent)
}

/// The API works for so long, for whatever is sent; how many are set aside meanwhile.
fn works_for(rig: &mut Rig, time: Duration) -> usize {
    let (end, mut set_aside) = (rig.now.elapsed + time, 0);
    while rig.now.elapsed < end {
        rig.pass(Duration::from_millis(50));
        if rig.asked_to(&Effect::List) {
            rig.list(&["support"]);
        }
        rig.answer_sent(Class::Accepted);
        for (letter, _) in rig.letters() {
            rig.acknowledge(letter, true);
            set_aside += 1;
        }
        rig.serve();
    }
    set_aside
}

/// A balancer that restarts refuses some connections, and leaves others without an answer.
#[rstest]
fn what_hung_beside_any_fault_that_is_over_is_not_set_aside_for_it(
    #[values(ANSWER_502, UNREACHABLE, FORBIDDEN, UNAUTHORIZED)] class: Class,
) {
    let (mut rig, hanging) = sixteen_of_which_five_meet(class, OnAmbiguous::DeadLetter);
    rig.read_for(16, "ann");
    assert_eq!(works_for(&mut rig, Duration::from_secs(15)), 0);
    for (attempt, offset) in hanging.iter().zip(17..) {
        rig.answer(attempt, NO_ANSWER);
        rig.read_for(offset, &format!("recipient {offset}"));
        rig.answer_sent(Class::Accepted);
    }
    assert_eq!(works_for(&mut rig, Duration::from_mins(1)), 0);
    assert_eq!(rig.held(), 0, "all of them were sent");
}

#[rstest]
fn late_answers_of_a_fault_that_is_over_stop_nothing(
    #[values(
        ANSWER_502,
        NOT_JSON,
        UNREACHABLE,
        FORBIDDEN,
        UNAUTHORIZED,
        Class::Unverified,
        Class::Permanent
    )]
    class: Class,
) {
    let (mut rig, late) = sixteen_of_which_five_meet(class, OnAmbiguous::Retry);
    rig.read_for(16, "ann");
    works_for(&mut rig, Duration::from_secs(4));
    for attempt in late {
        rig.answer(&attempt, class);
    }
    assert_eq!(rig.stops(), []);
    assert_eq!(works_for(&mut rig, Duration::from_mins(1)), 0);
    assert_eq!(rig.held(), 0);
}

/// The sixth is tried during the blip. That it fails must not spare the others for long.
#[rstest]
fn a_blip_keeps_messages_that_must_not_be_repeated_waiting_for_seconds(
    #[values(None, Some(40), Some(200), Some(400))] sixth: Option<u64>,
) {
    let mut rig = Rig::owning(settings());
    rig.read_many(5, OnAmbiguous::DeadLetter);
    rig.answer_sent(ANSWER_502);
    for millisecond in (0..5_000).step_by(20) {
        if Some(millisecond) == sixth {
            let on_ambiguous = OnAmbiguous::DeadLetter;
            rig.read(5, deliver(vec![Ok(Message { on_ambiguous, ..message("sixth") })]));
        }
        if rig.asked_to(&Effect::List) {
            rig.list(&["support"]);
        }
        rig.answer_sent(if millisecond < 300 { ANSWER_502 } else { Class::Accepted });
        rig.pass(Duration::from_millis(20));
    }
    assert_eq!((rig.held(), rig.letters()), (0, Vec::new()));
}

/// They were certainly not applied.
#[test]
fn refusals_of_a_fault_that_is_over_are_left_to_the_next_owner() {
    let (mut rig, late) = sixteen_of_which_five_meet(Class::Permanent, OnAmbiguous::Retry);
    rig.read_for(16, "ann");
    works_for(&mut rig, Duration::from_secs(1));
    rig.input(Input::Drain);
    for attempt in late {
        rig.answer(&attempt, Class::Permanent);
    }
    assert_eq!((rig.letters(), rig.held()), (Vec::new(), 0));
}

#[test]
fn a_second_chance_that_ends_without_a_verdict_is_not_the_last() {
    let mut rig = Rig::owning(settings());
    rig.read_many(5, OnAmbiguous::Retry);
    rig.answer_sent(Class::Permanent);
    rig.read_for(5, "ann");
    rig.pass(Duration::from_millis(150));
    rig.list(&["support"]);
    let probe = rig.sent_one();
    rig.answer(&probe, Class::Accepted);
    for attempt in rig.sent() {
        let is_first = attempt.offset.0 == 0;
        rig.answer(&attempt, if is_first { ANSWER_502 } else { Class::Accepted });
    }
    rig.pass(Duration::from_mins(1));
    // From now on everything is refused, and it is the first to meet that.
    for offset in 6..10 {
        rig.read_for(offset, &format!("recipient {offset}"));
    }
    rig.answer_sent(Class::Permanent);
    assert_eq!((rig.stops(), rig.letters()), (vec![StopReason::Rejected; 2], Vec::new()));
}

/// Where one proxy says 502 and the other shows a page, neither is the sign of a channel that works.
#[test]
fn an_outage_that_answers_in_two_ways_is_one() {
    let mut rig = Rig::owning(settings());
    rig.read_many(300, OnAmbiguous::DeadLetter);
    let answers = |attempt: &Attempt| match attempt.offset.0 % 2 {
        0 => ANSWER_502,
        _ => NOT_JSON,
    };
    let (_, set_aside) = rig.endure_by(60, &answers);
    assert!(set_aside <= 2, "{set_aside} set aside: no more than probes cost");
    assert_eq!(rig.stops().len(), 1);
}

#[rstest]
#[case::by_the_api(
    OnAmbiguous::Retry,
    Class::NotApplied(NotApplied::RetryAfter(Duration::from_secs(8))),
    0
)]
#[case::by_what_a_probe_costs(OnAmbiguous::DeadLetter, ANSWER_502, 23)]
fn a_probe_that_must_wait_asks_to_be_woken(
    #[case] on_ambiguous: OnAmbiguous,
    #[case] answer: Class,
    #[case] later: u64,
) {
    let mut rig = Rig::owning(settings());
    rig.read_many(5, on_ambiguous);
    rig.answer_sent(ANSWER_502);
    // The second probe fails as well, so that it is half-open when it has to wait.
    for _ in 0..2 {
        rig.pass(Duration::from_secs(4));
        rig.list(&["support"]);
        for attempt in rig.sent() {
            rig.answer(&attempt, answer);
        }
    }
    rig.pass(Duration::from_secs(later));
    let wakeup = rig.machine.next_wakeup().unwrap();
    assert!(wakeup < rig.now.elapsed + Duration::from_secs(121), "{wakeup:?}");
}
