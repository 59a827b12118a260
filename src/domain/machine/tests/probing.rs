//! Probes: which message each stop tries, how often, and what that costs.

use std::time::Duration;

use rstest::rstest;

use super::rig::{Rig, channel, deliver, message, settings};
use crate::domain::dead_letter::Reason;
use crate::domain::gate::GateState;
use crate::domain::machine::{Effect, Input, Report};
use crate::domain::message::{Message, OnAmbiguous};
use crate::domain::outcome::{Ambiguity, Class, NotApplied, Scope, StopReason};

const ANSWER_502: Class = Class::Ambiguous(Ambiguity::ServerError);
const ANSWER_401: Class = Class::Stop(Scope::Account, StopReason::Unauthorized);

/// Reads one for the channel `alerts`, the second one by name.
fn read_alert(rig: &mut Rig, offset: u64) {
    let message = Message { channel: channel("alerts"), ..message(&format!("recipient {offset}")) };
    rig.read(offset, deliver(vec![Ok(message)]));
}

/// Lets time pass under an API that answers `of_support` or `of_alerts`, lists both channels and
/// acknowledges dead letters. Gives the offsets that were tried, with the second, and those set aside.
fn pass(
    rig: &mut Rig,
    seconds: u64,
    of_support: Class,
    of_alerts: Class,
) -> (Vec<(u64, u64)>, usize) {
    let (mut tried, mut set_aside) = (Vec::new(), 0);
    for second in 1..=seconds {
        rig.pass(Duration::from_secs(1));
        if rig.asked_to(&Effect::List) {
            rig.list(&["support", "alerts"]);
        }
        for attempt in rig.sent() {
            tried.push((second, attempt.offset.0));
            let is_alert = &*attempt.message.channel.name == "alerts";
            rig.answer(&attempt, if is_alert { of_alerts } else { of_support });
        }
        for (letter, _) in rig.letters() {
            rig.acknowledge(letter, true);
            set_aside += 1;
        }
        rig.commit_all();
    }
    (tried, set_aside)
}

/// Such as a batch to recipients that the API knows nothing of.
#[test]
fn many_that_fail_by_themselves_do_not_keep_a_channel_stopped_for_as_many_probes() {
    let mut rig = Rig::owning(settings());
    rig.read_many(30, OnAmbiguous::Retry);
    while let sent = rig.sent()
        && !sent.is_empty()
    {
        for attempt in sent {
            rig.answer(&attempt, ANSWER_502);
        }
    }
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
    for attempt in rig.sent() {
        rig.answer(&attempt, ANSWER_502);
    }
    let tried = pass(&mut rig, 300, ANSWER_502, ANSWER_502).0;
    assert!((2..=4).contains(&tried.len()), "{tried:?}");
    let another = Message { on_ambiguous: OnAmbiguous::DeadLetter, ..message("ann") };
    rig.read(5, deliver(vec![Ok(another)]));
    let (tried, set_aside) = pass(&mut rig, 45, ANSWER_502, ANSWER_502);
    assert_eq!((tried, set_aside), (vec![(1, 5)], 0), "it costs nothing to try this one, and soon");
    let before = rig.held();
    let (_, set_aside) = pass(&mut rig, 900, Class::Accepted, ANSWER_502);
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
    for attempt in rig.sent() {
        rig.answer(&attempt, ANSWER_502);
    }
    let (tried, set_aside) = pass(&mut rig, 600, ANSWER_502, ANSWER_502);
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
    for attempt in rig.sent() {
        rig.answer(&attempt, Class::Permanent);
    }
    let mut tried = Vec::new();
    while tried.is_empty() {
        tried = pass(&mut rig, 1, ANSWER_502, ANSWER_502).0;
    }
    let (tried, set_aside) = pass(&mut rig, 5, Class::Accepted, ANSWER_502);
    assert_eq!((tried.len(), rig.held(), set_aside), (5, 0, 0));
}

/// Else a rotten channel whose name comes first would keep all the others stopped.
#[rstest]
#[case::the_channel_fails(ANSWER_502)]
#[case::it_is_limited(Class::NotApplied(NotApplied::RateLimited))]
#[case::it_is_out_of_reach(Class::NotApplied(NotApplied::Unreachable))]
#[case::it_is_forbidden(Class::Stop(Scope::Channel, StopReason::Forbidden))]
fn the_channels_take_turns_with_the_probes_of_the_account(#[case] of_support: Class) {
    let mut rig = Rig::owning(settings());
    rig.read_many(40, OnAmbiguous::Retry);
    (40..80).for_each(|offset| read_alert(&mut rig, offset));
    for attempt in rig.sent() {
        rig.answer(&attempt, ANSWER_401);
    }
    rig.input(Input::TokenChanged);
    let (tried, _) = pass(&mut rig, 60, of_support, Class::Accepted);
    let of_alerts: Vec<_> = tried.iter().filter(|(_, offset)| *offset >= 40).collect();
    assert_eq!(of_alerts.len(), 40, "{tried:?}");
}

#[test]
fn the_probes_of_the_account_spend_no_message_while_another_channel_has_fresh_ones() {
    let mut rig = Rig::owning(settings());
    rig.read_many(3, OnAmbiguous::DeadLetter);
    (3..40).for_each(|offset| read_alert(&mut rig, offset));
    let redirect = Class::Stop(Scope::Account, StopReason::Redirect);
    for attempt in rig.sent() {
        rig.answer(&attempt, if attempt.offset.0 < 3 { ANSWER_502 } else { redirect });
    }
    let (tried, set_aside) = pass(&mut rig, 900, ANSWER_502, ANSWER_502);
    assert_eq!(set_aside, 0);
    assert!(tried.len() > 85, "a probe every ten seconds: {}", tried.len());
}

/// The API refuses the token for one channel alone, such as that of an account that has lapsed.
#[rstest]
#[case::unauthorized(ANSWER_401)]
#[case::another_api(Class::Stop(Scope::Account, StopReason::Contract))]
fn a_fault_of_the_account_that_only_one_channel_meets_stops_that_one(#[case] of_support: Class) {
    let mut rig = Rig::owning(settings());
    rig.read_many(40, OnAmbiguous::Retry);
    (40..80).for_each(|offset| read_alert(&mut rig, offset));
    let (_, set_aside) = pass(&mut rig, 60, of_support, Class::Accepted);
    assert_eq!((rig.held(), set_aside), (40, 0), "those of the one channel");
    let stopped = rig.reports().into_iter().filter_map(|report| {
        let Report::Stopped { channel, .. } = report else { return None };
        Some(channel.map(|name| name.to_string()))
    });
    let stopped: Vec<_> = stopped.collect();
    assert_eq!(stopped, [None, Some("support".to_owned())]);
    for offset in 80..200 {
        read_alert(&mut rig, offset);
        let (tried, _) = pass(&mut rig, 1, of_support, Class::Accepted);
        assert!(tried.contains(&(1, offset)), "nobody waits for the other channel: {tried:?}");
    }
    // A token that is revoked for all stops all, whoever meets it first.
    rig.read_for(200, "ann");
    read_alert(&mut rig, 201);
    pass(&mut rig, 2, ANSWER_401, ANSWER_401);
    let channels = rig.machine.status(rig.now).channels;
    assert!(channels.iter().all(|channel| channel.stopped.is_some()));
}

/// What is spent by the last probe leaves nothing that anybody waits for.
#[test]
fn once_the_last_message_is_spent_the_channel_is_not_told_as_stopped_for_long() {
    let mut rig = Rig::owning(settings());
    rig.read_many(5, OnAmbiguous::DeadLetter);
    for attempt in rig.sent() {
        rig.answer(&attempt, ANSWER_502);
    }
    while rig.held() > 0 {
        pass(&mut rig, 1, ANSWER_502, ANSWER_502);
    }
    pass(&mut rig, 11, ANSWER_502, ANSWER_502);
    let channels = rig.machine.status(rig.now).channels;
    assert!(channels.iter().all(|channel| channel.stopped.is_none()));
    rig.read_for(5, "ann");
    assert_eq!(rig.sent_offsets(), [5], "and the next message is tried at once");
}

#[test]
fn a_channel_and_the_account_that_stopped_together_both_start_again() {
    let mut rig = Rig::owning(settings());
    rig.read_many(2, OnAmbiguous::Retry);
    let sent = rig.sent();
    rig.answer(&sent[0], Class::Stop(Scope::Channel, StopReason::Forbidden));
    rig.answer(&sent[1], Class::Stop(Scope::Account, StopReason::Unauthorized));
    rig.pass(Duration::from_secs(2));
    rig.list(&["support", "alerts"]);
    rig.pass(Duration::from_secs(10));
    if rig.asked_to(&Effect::List) {
        rig.list(&["support", "alerts"]);
    }
    let probe = rig.sent_one();
    rig.answer(&probe, Class::Accepted);
    let rest = rig.sent_one();
    rig.answer(&rest, Class::Accepted);
    assert_eq!(rig.held(), 0);
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
    for attempt in rig.sent() {
        rig.answer(&attempt, class);
    }
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
