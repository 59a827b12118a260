//! Stops of the account: through which channels they are probed, and whom they must not hold up.

use std::time::Duration;

use rstest::rstest;

use super::rig::{Rig, channel, settings};
use crate::domain::machine::{Effect, Input, Report, Settings};
use crate::domain::message::OnAmbiguous;
use crate::domain::outcome::{Ambiguity, Class, NotApplied, Scope, StopReason};

const ANSWER_502: Class = Class::Ambiguous(Ambiguity::ServerError);
const ANSWER_401: Class = Class::Stop(Scope::Account, StopReason::Unauthorized);
const ANSWER_405: Class = Class::Stop(Scope::Account, StopReason::Contract);

/// Answers by the name of the channel.
fn by_channel(of_support: Class, of_others: Class) -> impl Fn(&str) -> Class {
    move |name| if name == "support" { of_support } else { of_others }
}

fn owning(channels: &[&str]) -> Rig {
    let channels = channels.iter().map(|name| channel(name)).collect();
    Rig::owning(Settings { channels, ..settings() })
}

/// Which channels have stopped since last asked; none stands for all.
fn stopped(rig: &mut Rig) -> Vec<Option<String>> {
    let stopped = rig.reports().into_iter().filter_map(|report| {
        let Report::Stopped { channel, .. } = report else { return None };
        Some(channel.map(|name| name.to_string()))
    });
    stopped.collect()
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
    (40..80).for_each(|offset| rig.read_through("alerts", offset));
    rig.answer_sent(ANSWER_401);
    rig.input(Input::TokenChanged);
    let (tried, _) = rig.endure(60, &by_channel(of_support, Class::Accepted));
    let of_alerts: Vec<_> = tried.iter().filter(|(_, offset)| *offset >= 40).collect();
    assert_eq!(of_alerts.len(), 40, "{tried:?}");
}

#[test]
fn the_probes_of_the_account_spend_no_message_while_another_channel_has_fresh_ones() {
    let mut rig = Rig::owning(settings());
    rig.read_many(3, OnAmbiguous::DeadLetter);
    (3..40).for_each(|offset| rig.read_through("alerts", offset));
    let redirect = Class::Stop(Scope::Account, StopReason::Redirect);
    for attempt in rig.sent() {
        rig.answer(&attempt, if attempt.offset.0 < 3 { ANSWER_502 } else { redirect });
    }
    let (tried, set_aside) = rig.endure(900, &|_| ANSWER_502);
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
    (40..80).for_each(|offset| rig.read_through("alerts", offset));
    let (_, set_aside) = rig.endure(60, &by_channel(of_support, Class::Accepted));
    assert_eq!((rig.held(), set_aside), (40, 0), "those of the one channel");
    assert_eq!(stopped(&mut rig), [None, Some("support".to_owned())]);
    for offset in 80..200 {
        rig.read_through("alerts", offset);
        let (tried, _) = rig.endure(1, &by_channel(of_support, Class::Accepted));
        assert!(tried.contains(&(1, offset)), "nobody waits for the other channel: {tried:?}");
    }
    // A token that is revoked for all stops all, whoever meets it first.
    rig.read_for(200, "ann");
    rig.read_through("alerts", 201);
    rig.endure(2, &by_channel(ANSWER_401, ANSWER_401));
    let channels = rig.machine.status(rig.now).channels;
    assert!(channels.iter().all(|channel| channel.stopped.is_some()));
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

/// A probe through the channel that has met the fault tells the least.
#[test]
fn a_channel_that_fails_now_and_then_as_if_the_account_did_stops_all_but_once() {
    let mut rig = owning(&["support", "alerts", "third"]);
    let mut calls = 0;
    for second in 0..100 {
        for (at, name) in (0..).zip(["support", "alerts", "third"]) {
            rig.read_through(name, second * 3 + at);
        }
        rig.pass(Duration::from_secs(1));
        if rig.asked_to(&Effect::List) {
            rig.list(&["support", "alerts", "third"]);
        }
        for attempt in rig.sent() {
            calls += 1;
            let fails = &*attempt.message.channel.name == "support" && calls % 4 == 0;
            rig.answer(&attempt, if fails { ANSWER_401 } else { Class::Accepted });
        }
        rig.commit_all();
    }
    let stopped = stopped(&mut rig);
    let of_all = stopped.iter().filter(|channel| channel.is_none()).count();
    assert!(of_all == 1 && stopped.len() > 3, "{stopped:?}");
}

#[test]
fn channels_without_messages_take_no_turn() {
    let idle: Vec<_> = (0..18).map(|number| format!("idle {number}")).collect();
    let names = ["support", "alerts"].into_iter().chain(idle.iter().map(String::as_str));
    let mut rig = owning(&names.collect::<Vec<_>>());
    rig.read_many(40, OnAmbiguous::Retry);
    (40..80).for_each(|offset| rig.read_through("alerts", offset));
    rig.endure(60, &|_| ANSWER_401);
    rig.input(Input::TokenChanged);
    rig.endure(60, &by_channel(ANSWER_502, Class::Accepted));
    assert_eq!(rig.held(), 40, "those of the channel that fails");
}

#[test]
fn a_channel_with_held_refusals_has_its_turn_beside_fresh_messages() {
    let mut rig = Rig::owning(settings());
    (0..3).for_each(|offset| rig.read_through("alerts", offset));
    rig.answer_sent(Class::Permanent);
    (3..40).for_each(|offset| rig.read_through("support", offset));
    rig.answer_sent(ANSWER_401);
    let (tried, _) = rig.endure(60, &by_channel(ANSWER_502, Class::Accepted));
    assert!(tried.iter().any(|(_, offset)| *offset < 3), "{tried:?}");
}

#[test]
fn two_channels_that_fail_in_different_ways_do_not_take_turns_in_stopping_all() {
    let mut rig = owning(&["support", "alerts", "third"]);
    rig.read_many(20, OnAmbiguous::Retry);
    (20..40).for_each(|offset| rig.read_through("alerts", offset));
    let answers = |name: &str| match name {
        "support" => ANSWER_401,
        "alerts" => ANSWER_405,
        _ => Class::Accepted,
    };
    let mut late = 0;
    for offset in 40..100 {
        rig.read_through("third", offset);
        let (tried, _) = rig.endure(10, &answers);
        let is_settled = offset >= 50;
        late += usize::from(is_settled && !tried.contains(&(1, offset)));
    }
    let of_all = stopped(&mut rig).iter().filter(|channel| channel.is_none()).count();
    assert!(of_all <= 3 && late == 0, "{of_all} stops of all, {late} late");
}

#[test]
fn another_fault_of_the_account_does_not_widen_a_channels_own() {
    let mut rig = Rig::owning(settings());
    rig.read_many(20, OnAmbiguous::Retry);
    (20..30).for_each(|offset| rig.read_through("alerts", offset));
    let answers = by_channel(ANSWER_401, Class::Accepted);
    rig.endure(60, &answers);
    stopped(&mut rig);
    rig.read_through("alerts", 30);
    let attempt = rig.sent_one();
    rig.answer(&attempt, Class::Stop(Scope::Account, StopReason::Redirect));
    rig.endure(120, &answers);
    assert_eq!(stopped(&mut rig), [None], "for the redirect");
}

/// What one channel has shown is not remembered for long, nor once that channel is gone.
#[test]
fn a_token_that_is_revoked_later_is_the_accounts_again() {
    let mut rig = owning(&["support", "alerts", "third"]);
    rig.read_through("alerts", 0);
    let attempt = rig.sent_one();
    rig.answer(&attempt, ANSWER_401);
    rig.endure(20, &|_| Class::Accepted);
    assert_eq!((rig.held(), stopped(&mut rig)), (0, vec![None]));
    let channels = vec![channel("support"), channel("third")];
    rig.reconfigure(Settings { channels, ..settings() });
    rig.endure(60, &|_| Class::Accepted);
    rig.read_for(1, "ann");
    let attempt = rig.sent_one();
    rig.answer(&attempt, ANSWER_401);
    assert_eq!(stopped(&mut rig), [None]);
}

#[test]
fn a_probe_of_the_account_stops_no_channel_besides() {
    let mut rig = Rig::owning(settings());
    rig.read_through("alerts", 0);
    let attempt = rig.sent_one();
    rig.answer(&attempt, ANSWER_401);
    rig.endure(10, &|_| Class::Accepted);
    stopped(&mut rig);
    for offset in 1..30 {
        rig.read_through(if offset % 2 == 0 { "support" } else { "alerts" }, offset);
    }
    let (alerts, support): (Vec<_>, Vec<_>) =
        rig.sent().into_iter().partition(|attempt| &*attempt.message.channel.name == "alerts");
    for attempt in alerts.iter().chain(&support) {
        rig.answer(attempt, ANSWER_401);
    }
    rig.endure(120, &|_| ANSWER_401);
    assert_eq!(stopped(&mut rig), [None]);
}
