//! Probes: which message each stop tries, how often, and what that costs.

use std::time::Duration;

use rstest::rstest;

use super::rig::{Rig, channel, deliver, message, settings};
use crate::domain::dead_letter::Reason;
use crate::domain::gate::GateState;
use crate::domain::machine::{Attempt, Effect, Input, Settings};
use crate::domain::message::{Message, OnAmbiguous};
use crate::domain::outcome::{Ambiguity, Class, Listing, NotApplied, Scope, StopReason};

const ANSWER_502: Class = Class::Ambiguous(Ambiguity::ServerError);

/// Such as a batch to recipients that the API knows nothing of.
#[test]
fn many_that_fail_by_themselves_do_not_keep_a_channel_stopped_for_as_many_probes() {
    let mut rig = Rig::owning(settings());
    rig.read_many(30, OnAmbiguous::Retry);
    rig.answer_all(ANSWER_502);
    rig.read_for(30, "whose messages arrive");
    let mut tried = Vec::new();
    while tried.last() != Some(&30) {
        rig.pass(Duration::from_secs(15));
        if rig.asked_to(&Effect::List) {
            rig.list(&["support"]);
        }
        for attempt in rig.sent() {
            tried.push(attempt.offset.0);
            let arrives = attempt.offset.0 == 30;
            rig.answer(&attempt, if arrives { Class::Accepted } else { ANSWER_502 });
        }
        assert!(tried.len() < 3, "{tried:?}");
    }
}

/// Each probe may reach the customer, and an outage has many.
#[rstest]
#[case::an_outage(ANSWER_502, StopReason::Outage)]
#[case::html(Class::Ambiguous(Ambiguity::NotJson), StopReason::NotJson)]
fn an_outage_repeats_a_message_of_a_dead_letter_rule_once_at_most(
    #[case] class: Class,
    #[case] reason: StopReason,
) {
    let mut rig = Rig::owning(settings());
    rig.read_many(5, OnAmbiguous::DeadLetter);
    let mut sent = [0; 5];
    let mut letters = 0;
    for minute in 0..40 {
        for attempt in rig.sent() {
            sent[usize::try_from(attempt.offset.0).unwrap()] += 1;
            rig.answer(&attempt, class);
        }
        if minute == 0 {
            assert_eq!(rig.stops(), [reason]);
            assert!(rig.letters().is_empty(), "the outage itself spends none");
        }
        for (letter, why) in rig.letters() {
            assert_eq!(why, Reason::Ambiguous);
            rig.acknowledge(letter, true);
            letters += 1;
        }
        rig.pass(Duration::from_mins(1));
        if rig.asked_to(&Effect::List) {
            rig.list(&["support"]);
        }
    }
    assert_eq!((sent, letters), ([2; 5], 5));
}

/// Such as the payments of a small shop: most of them outlast an outage of some minutes.
#[test]
fn where_each_probe_spends_a_message_there_are_few_until_there_is_another_one() {
    let mut rig = Rig::owning(settings());
    rig.read_many(5, OnAmbiguous::DeadLetter);
    rig.answer_sent(ANSWER_502);
    let tried = rig.endure(300, &|_| ANSWER_502).0;
    assert!((2..=4).contains(&tried.len()), "{tried:?}");
    let another = Message { on_ambiguous: OnAmbiguous::DeadLetter, ..message("ann") };
    rig.read(5, deliver(vec![Ok(another)]));
    let (tried, set_aside) = rig.endure(45, &|_| ANSWER_502);
    assert_eq!((tried, set_aside), (vec![(1, 5)], 0), "it costs nothing to try this one, and soon");
    let before = rig.held();
    let (_, set_aside) = rig.endure(900, &|_| Class::Accepted);
    assert_eq!((rig.held(), set_aside), (0, 0), "of {before}");
}

/// As where payments and orders are sent through one channel.
#[rstest]
fn no_held_message_is_spent_while_there_are_others_to_probe_with(#[values(1, 2, 5)] others: u64) {
    let mut rig = Rig::owning(settings());
    rig.read_many(8, OnAmbiguous::DeadLetter);
    for offset in 8..8 + others {
        rig.read_for(offset, &format!("recipient {offset}"));
    }
    rig.answer_sent(ANSWER_502);
    let (tried, set_aside) = rig.endure(600, &|_| ANSWER_502);
    let spent: Vec<_> = tried.iter().filter(|(_, offset)| *offset < 8).collect();
    assert!(spent.len() <= 1, "{spent:?}");
    assert_eq!(set_aside, spent.len());
    assert!(tried.len() > 15, "{tried:?}");
}

/// To try what the API has refused costs nothing.
#[test]
fn refused_messages_are_probed_with_however_long_the_ambiguous_ones_are_spared() {
    let mut rig = Rig::owning(settings());
    rig.read_many(5, OnAmbiguous::DeadLetter);
    rig.answer_sent(Class::Permanent);
    let mut tried = Vec::new();
    while tried.is_empty() {
        tried = rig.endure(1, &|_| ANSWER_502).0;
    }
    let (tried, set_aside) = rig.endure(5, &|_| Class::Accepted);
    assert_eq!((tried.len(), rig.held(), set_aside), (5, 0, 0));
}

/// What is spent by the last probe leaves nothing that anybody waits for.
#[test]
fn once_the_last_message_is_spent_the_channel_is_not_told_as_stopped_for_long() {
    let mut rig = Rig::owning(settings());
    rig.read_many(5, OnAmbiguous::DeadLetter);
    rig.answer_sent(ANSWER_502);
    while rig.held() > 0 {
        rig.endure(1, &|_| ANSWER_502);
    }
    rig.endure(11, &|_| ANSWER_502);
    let channels = rig.machine.status(rig.now).channels;
    assert!(channels.iter().all(|channel| channel.stopped.is_none()));
    rig.read_for(5, "ann");
    assert_eq!(rig.sent_offsets(), [5], "and the next message is tried at once");
}

/// Nobody could make an alert of it end, and the next message finds out at once.
#[rstest]
#[case::of_a_channel(ANSWER_502, StopReason::Outage)]
#[case::of_the_account(
    Class::Stop(Scope::Account, StopReason::Unauthorized),
    StopReason::Unauthorized
)]
fn a_stop_that_holds_nothing_back_is_not_told(#[case] class: Class, #[case] expected: StopReason) {
    let mut rig = Rig::owning(settings());
    for offset in 0..5 {
        let deadline = rig.now.wall.plus(Duration::from_mins(1));
        let message = Message { deadline, ..message(&format!("recipient {offset}")) };
        rig.read(offset, deliver(vec![Ok(message)]));
    }
    rig.answer_sent(class);
    let told = |rig: &Rig| {
        let channel = rig.machine.status(rig.now).channels.remove(0);
        (channel.state, channel.stopped.map(|(reason, _)| reason))
    };
    assert_eq!(told(&rig), (GateState::Stopped, Some(expected)));
    rig.pass(Duration::from_mins(2));
    for (letter, _) in rig.letters() {
        rig.acknowledge(letter, true);
    }
    assert_eq!(rig.held(), 0);
    assert_eq!(told(&rig), (GateState::Stopped, Some(expected)), "the API may be down yet");
    rig.list(&["support", "alerts"]);
    assert_eq!(told(&rig), (GateState::Open, None));
    rig.read_for(5, "ann");
    assert_eq!(told(&rig), (GateState::Stopped, Some(expected)), "what waits is a probe");
    let probe = rig.sent_one();
    rig.answer(&probe, Class::Accepted);
    assert_eq!(told(&rig), (GateState::Open, None));
}

#[test]
fn a_probe_does_not_try_what_was_dropped_with_a_partition_that_leaves() {
    let mut rig = Rig::owning(settings());
    rig.read_many(5, OnAmbiguous::Retry);
    let mut slow = message("ann");
    slow.channel = channel("alerts");
    rig.read(5, deliver(vec![Ok(slow)]));
    let sent = rig.sent();
    for attempt in &sent[..5] {
        rig.answer(attempt, Class::Permanent);
    }
    assert_eq!(rig.stops(), [StopReason::Rejected]);
    rig.input(Input::Revoked(vec![super::rig::source(0)]));
    rig.pass(Duration::from_secs(2));
    rig.list(&["support", "alerts"]);
    assert!(rig.sent().is_empty());
    rig.answer(&sent[5], Class::Accepted);
    rig.commit_all();
    rig.assign(1, 0, "");
    rig.read_in(1, 0, deliver(vec![Ok(message("bob"))]));
    rig.pass(Duration::from_secs(1));
    assert_eq!(rig.sent_offsets(), [0], "the probe is still to be made");
}

/// An outage comes, goes for one message, and comes again.
#[test]
fn second_chances_are_not_spent_one_by_one_under_the_next_stop() {
    let mut rig = Rig::owning(settings());
    rig.read_many(16, OnAmbiguous::DeadLetter);
    rig.answer_all(ANSWER_502);
    rig.pass(Duration::from_secs(2));
    rig.list(&["support"]);
    let probe = rig.sent_one();
    rig.answer(&probe, Class::Accepted);
    rig.pass(Duration::from_secs(2));
    rig.answer_all(Class::NotApplied(NotApplied::Unreachable));
    assert_eq!(rig.stops(), [StopReason::Outage, StopReason::Unreachable]);
    let (_, set_aside) = rig.endure(180, &|_| ANSWER_502);
    assert!(set_aside <= 3, "{set_aside} of 15 in three minutes");
}

/// One message goes through in the middle of an outage.
#[test]
fn an_outage_that_goes_on_does_not_cost_every_second_chance() {
    let mut rig = Rig::owning(settings());
    rig.read_many(16, OnAmbiguous::DeadLetter);
    rig.answer_all(ANSWER_502);
    rig.read_for(16, "ann");
    rig.pass(Duration::from_secs(2));
    rig.list(&["support"]);
    // They go out one by one.
    rig.reconfigure(Settings { requests_per_second: 2.0, ..settings() });
    let probe = rig.sent_one();
    rig.answer(&probe, Class::Accepted);
    let (_, set_aside) = rig.endure(20, &|_| ANSWER_502);
    assert!((4..=8).contains(&set_aside), "{set_aside} of 16");
}

#[test]
fn refused_messages_have_their_second_chance_after_the_last_of_two_stops() {
    let mut rig = Rig::owning(settings());
    rig.read_many(40, OnAmbiguous::Retry);
    rig.answer_all(Class::Permanent);
    rig.read_for(40, "ann");
    let held = rig.held();
    rig.pass(Duration::from_secs(2));
    rig.list(&["support"]);
    let probe = rig.sent_one();
    rig.answer(&probe, Class::Accepted);
    rig.answer_sent(Class::Stop(Scope::Channel, StopReason::Forbidden));
    let (_, set_aside) = rig.endure(300, &|_| Class::Permanent);
    assert!(set_aside <= 1, "{set_aside} of {held}, one for each probe");
}

/// Such as a batch to contacts that do not exist, beside the messages of everybody else.
#[test]
fn refused_messages_have_their_verdict_soon_however_many_there_are() {
    let mut rig = Rig::owning(settings());
    rig.read_many(200, OnAmbiguous::Retry);
    let mut spent = 0;
    for second in 0..180 {
        rig.read_for(200 + second, &format!("recipient {}", 200 + second));
        let refused = |attempt: &Attempt| attempt.offset.0 < 200;
        let by_offset =
            |attempt: &Attempt| if refused(attempt) { Class::Permanent } else { Class::Accepted };
        spent += rig.endure_by(1, &by_offset).1;
    }
    assert_eq!(spent, 200, "{} held", rig.held());
}

/// A gateway that is going down may say either.
#[test]
fn what_was_refused_in_an_outage_is_not_the_first_to_meet_the_next_one() {
    let mut rig = Rig::owning(settings());
    rig.read_many(16, OnAmbiguous::DeadLetter);
    for (number, attempt) in rig.sent().iter().enumerate() {
        rig.answer(attempt, if number < 5 { ANSWER_502 } else { Class::Permanent });
    }
    assert_eq!(rig.stops(), [StopReason::Outage]);
    for offset in 16..46 {
        rig.read_for(offset, &format!("recipient {offset}"));
    }
    rig.pass(Duration::from_secs(2));
    rig.list(&["support"]);
    let probe = rig.sent_one();
    rig.answer(&probe, Class::Accepted);
    rig.answer_all(ANSWER_502);
    assert_eq!((rig.stops(), rig.letters()), (vec![StopReason::Outage], Vec::new()));
}

#[test]
fn an_outage_of_less_than_a_second_costs_nothing() {
    let mut rig = Rig::owning(settings());
    rig.read_many(5, OnAmbiguous::DeadLetter);
    rig.answer_sent(ANSWER_502);
    for _ in 0..4 {
        if rig.asked_to(&Effect::List) {
            rig.list(&["support"]);
        }
        rig.answer_sent(ANSWER_502);
        rig.pass(Duration::from_millis(100));
    }
    let (tried, set_aside) = rig.endure(5, &|_| Class::Accepted);
    assert_eq!((tried.len(), rig.held(), set_aside), (5, 0, 0));
}

#[test]
fn what_a_failed_probe_would_set_aside_is_not_tried_while_the_listing_fails() {
    let mut rig = Rig::owning(settings());
    rig.read_many(5, OnAmbiguous::DeadLetter);
    rig.answer_sent(ANSWER_502);
    let (tried, _) = rig.endure(20, &|_| ANSWER_502);
    assert_eq!(tried.len(), 1);
    for _ in 0..1_800 {
        rig.pass(Duration::from_secs(1));
        if rig.asked_to(&Effect::List) {
            rig.input(Input::Listed(Listing::Failed(ANSWER_502)));
        }
        assert!(rig.sent().is_empty());
    }
    let (tried, set_aside) = rig.endure(20, &|_| Class::Accepted);
    assert_eq!((tried.len(), set_aside), (4, 0));
}

/// They cost nothing, unlike those that are tried for the second time.
#[test]
fn fresh_probes_do_not_make_the_held_messages_wait_longer() {
    let mut rig = Rig::owning(settings());
    rig.read_many(5, OnAmbiguous::DeadLetter);
    rig.answer_sent(ANSWER_502);
    for offset in 5..15 {
        let name = format!("recipient {offset}");
        let careful = Message { on_ambiguous: OnAmbiguous::DeadLetter, ..message(&name) };
        rig.read(offset, deliver(vec![Ok(careful)]));
        rig.endure(10, &|_| ANSWER_502);
    }
    rig.endure(130, &|_| Class::Accepted);
    assert_eq!(rig.held(), 0);
}
