//! What the core promises besides its ten invariants.

use std::time::Duration;

use rstest::rstest;

use super::rig::{Rig, deliver, message, outcome, settings, source};
use crate::domain::dead_letter::Reason;
use crate::domain::machine::{CommitFailure, Effect, Input, Report, SettledAs};
use crate::domain::message::{Message, OnAmbiguous};
use crate::domain::outcome::{Ambiguity, Class, NotApplied, Scope, StopReason};

const NO_ANSWER: Class = Class::Ambiguous(Ambiguity::NoAnswer);

#[test]
fn a_message_that_fails_alone_is_set_aside_when_max_elapsed_is_over() {
    let mut settings = settings();
    settings.retry_max_elapsed = Duration::from_mins(1);
    let mut rig = Rig::owning(settings);
    rig.read_for(0, "ann");
    for other in 1..200 {
        for attempt in rig.sent() {
            let class = if attempt.offset.0 == 0 { NO_ANSWER } else { Class::Accepted };
            rig.answer(&attempt, class);
        }
        rig.read_for(other, "bob");
        rig.commit_all();
        rig.pass(Duration::from_secs(1));
        if let Some((letter, reason)) = rig.letters().first() {
            assert_eq!(*reason, Reason::RetriesExhausted);
            rig.acknowledge(*letter, true);
            assert!((50..120).contains(&other), "after {other} s");
            return;
        }
    }
    panic!("it was retried for ever");
}

#[test]
fn an_event_with_several_messages_settles_when_each_is_settled_and_sends_none_again() {
    let mut rig = Rig::owning(settings());
    let parts = || vec![Ok(message("ann")), Ok(message("bob")), Ok(message("cid"))];
    rig.read(0, deliver(parts()));
    let sent = rig.sent();
    rig.answer(&sent[0], Class::Accepted);
    rig.answer(&sent[1], Class::Permanent);
    rig.answer(&sent[2], NO_ANSWER);
    let letters = rig.letters();
    assert_eq!(letters.len(), 1);
    rig.acknowledge(letters[0].0, true);
    let (offset, metadata) = rig.commit_all().unwrap();
    assert_eq!(offset, 0);

    let mut restarted = Rig::new(settings());
    restarted.assign(0, offset, &metadata);
    restarted.read(0, deliver(parts()));
    let again = restarted.sent();
    assert_eq!(again.len(), 1, "only the message that has not settled");
    assert_eq!(again[0].part, 2);
    restarted.answer(&again[0], Class::Accepted);
    assert_eq!(restarted.commit_all(), Some((1, String::new())));
    let settled = Report::Settled { topic: "orders".into(), settled: SettledAs::Accepted };
    assert!(restarted.reports().contains(&settled));
}

#[test]
fn what_holds_the_frontier_up_is_tried_although_no_commit_can_cover_the_rest() {
    let mut settings = settings();
    settings.max_in_flight = 4;
    let mut rig = Rig::owning(settings);
    for offset in 0..40 {
        rig.read_for(offset, &format!("recipient {offset}"));
    }
    let sent = rig.sent();
    rig.answer(&sent[0], NO_ANSWER);
    let mut more = sent[1..].to_vec();
    // A broker that takes no metadata at all.
    for _ in 0..20 {
        for attempt in std::mem::take(&mut more) {
            rig.answer(&attempt, Class::Accepted);
        }
        for commit in rig.commits() {
            let empty = commit[0].metadata.is_empty();
            let too_large = Err(CommitFailure::MetadataTooLarge);
            rig.commit_ended(&commit, if empty { Ok(()) } else { too_large });
        }
        rig.pass(Duration::from_millis(20));
        more = rig.sent();
        assert!(more.iter().all(|attempt| attempt.offset.0 != 0), "its backoff is not over");
    }
    assert!(rig.machine.status(rig.now).uncommitted >= 4);
    rig.pass(Duration::from_secs(1));
    let retry = rig.sent_one();
    assert_eq!(retry.offset.0, 0);
    rig.answer(&retry, Class::Accepted);
    rig.commit_all();
    assert!(!rig.sent_offsets().is_empty(), "and others follow");
}

#[test]
fn nothing_is_started_while_the_coordinator_is_silent() {
    let mut rig = Rig::owning(settings());
    // 31 s without a heartbeat: an attempt of 15 s could outlive the session of 45 s.
    rig.now.elapsed += Duration::from_secs(30);
    let at = rig.now.elapsed;
    rig.now.elapsed += Duration::from_secs(1);
    rig.read_for(0, "ann");
    assert!(rig.sent().is_empty());
    rig.input(Input::CoordinatorHeard { at });
    assert_eq!(rig.sent_offsets(), [0]);
}

/// Two failures are no quarter of an hour of them.
#[test]
fn the_time_in_which_nothing_may_be_started_does_not_count_towards_max_elapsed() {
    let mut rig = Rig::owning(settings());
    rig.read_for(0, "ann");
    for _ in 0..2 {
        let attempt = rig.sent_one();
        rig.answer(&attempt, NO_ANSWER);
        // The coordinator is heard of only after that.
        rig.pass(Duration::from_mins(20));
    }
    assert_eq!(rig.sent_offsets(), [0]);
    assert!(rig.letters().is_empty());
}

#[test]
fn a_commit_that_is_answered_late_is_a_sign_of_life_of_when_it_was_asked_for() {
    let mut rig = Rig::owning(settings());
    rig.read_for(0, "ann");
    let sent = rig.sent_one();
    rig.answer(&sent, Class::Accepted);
    let commit = rig.commits().remove(0);
    rig.now.elapsed += Duration::from_secs(20);
    rig.commit_ended(&commit, Ok(()));
    rig.now.elapsed += Duration::from_secs(11);
    rig.read_for(1, "bob");
    assert!(rig.sent().is_empty(), "the session may end before an attempt of now does");
}

#[test]
fn a_drain_gives_up_what_is_still_on_the_wire_as_its_rule_says() {
    let mut rig = Rig::owning(settings());
    let mut careful = message("ann");
    careful.on_ambiguous = OnAmbiguous::DeadLetter;
    rig.read(0, deliver(vec![Ok(careful)]));
    rig.read_for(1, "bob");
    rig.read_for(2, "bob");
    let sent = rig.sent();
    rig.input(Input::Drain);
    // Three of the 25 s are for the dead letters and the last commit.
    rig.pass(Duration::from_secs(21));
    assert!(rig.letters().is_empty());
    rig.pass(Duration::from_secs(1));
    let letters = rig.letters();
    assert_eq!(letters.len(), 1, "the one whose rule says dead_letter");
    assert_eq!(letters[0].1, Reason::Ambiguous);
    rig.acknowledge(letters[0].0, true);
    let (offset, _) = rig.commit_all().unwrap();
    assert_eq!(offset, 1);
    assert!(rig.asked_to(&Effect::Drained));
    assert_eq!(rig.machine.left_uncommitted(), 0, "what was left is the next owner's to send");
    // A late answer changes nothing any more.
    let delivery = sent[1].delivery;
    let took = Duration::from_secs(30);
    rig.input(Input::Answered { delivery, outcome: outcome(Class::Accepted), took });
    assert!(rig.commits().is_empty());
}

/// Its next owner knows nothing of it, and sends it again.
#[test]
fn a_drain_that_leaves_an_ambiguous_message_without_its_dead_letter_counts_it() {
    let mut rig = Rig::owning(settings());
    let careful = Message { on_ambiguous: OnAmbiguous::DeadLetter, ..message("ann") };
    rig.read(0, deliver(vec![Ok(careful)]));
    rig.read_for(1, "bob");
    let sent = rig.sent();
    rig.answer(&sent[0], NO_ANSWER);
    rig.answer(&sent[1], NO_ANSWER);
    rig.input(Input::Drain);
    rig.pass(Duration::from_secs(25));
    assert!(rig.asked_to(&Effect::Drained));
    assert_eq!(rig.machine.left_uncommitted(), 1);
}

/// What matters is the attempt that may have reached the customer, not the one after it.
#[test]
fn a_dead_letter_says_how_the_ambiguous_attempt_ended() {
    let mut rig = Rig::owning(settings());
    let careful = |name: &str| Message { on_ambiguous: OnAmbiguous::DeadLetter, ..message(name) };
    for (offset, name) in (0..).zip(["ann", "bob", "cat", "dan", "eve"]) {
        rig.read(offset, deliver(vec![Ok(careful(name))]));
    }
    for sent in rig.sent() {
        rig.answer(&sent, Class::Ambiguous(Ambiguity::ServerError));
    }
    rig.pass(Duration::from_secs(15));
    rig.list(&["support"]);
    let probe = rig.sent_one();
    rig.answer(&probe, Class::Stop(Scope::Account, StopReason::Unauthorized));
    rig.input(Input::Drain);
    let details = rig.details();
    assert_eq!(details, ["the customer may have the message: HTTP status 502"; 5]);
}

/// Else nobody could say whom the next owner sends a message for the second time.
#[rstest]
#[case::set_aside(OnAmbiguous::DeadLetter)]
#[case::left_to_the_next_owner(OnAmbiguous::Retry)]
fn every_attempt_that_is_cut_off_is_reported(#[case] on_ambiguous: OnAmbiguous) {
    let mut rig = Rig::owning(settings());
    for (offset, name) in (0..).zip(["ann", "bob"]) {
        rig.read(offset, deliver(vec![Ok(Message { on_ambiguous, ..message(name) })]));
    }
    assert_eq!(rig.sent().len(), 2);
    rig.input(Input::Drain);
    rig.pass(Duration::from_secs(25));
    let reported = rig.reports().into_iter().filter_map(|report| {
        let Report::Ambiguous { offset, doubt, .. } = report else { return None };
        Some((offset.0, doubt.kind))
    });
    let reported: Vec<_> = reported.collect();
    assert_eq!(reported, [(0, Ambiguity::NoAnswer), (1, Ambiguity::NoAnswer)]);
}

/// The next owner would know nothing of the first attempt.
#[rstest]
#[case::not_reached(Class::NotApplied(NotApplied::Unreachable))]
#[case::told_to_wait(Class::NotApplied(NotApplied::RetryAfter(Duration::from_mins(10))))]
#[case::stopped(Class::Stop(Scope::Account, StopReason::Unauthorized))]
#[case::not_found(Class::NotFound)]
fn what_may_have_been_sent_is_set_aside_by_a_drain_whatever_came_of_its_second_attempt(
    #[case] second: Class,
    #[values(true, false)] drains_first: bool,
) {
    let mut rig = Rig::owning(settings());
    let careful = |name: &str| Message { on_ambiguous: OnAmbiguous::DeadLetter, ..message(name) };
    for (offset, name) in (0..).zip(["ann", "bob", "cat", "dan", "eve"]) {
        rig.read(offset, deliver(vec![Ok(careful(name))]));
    }
    for sent in rig.sent() {
        rig.answer(&sent, NO_ANSWER);
    }
    rig.pass(Duration::from_secs(15));
    rig.list(&["support"]);
    let probe = rig.sent_one();
    if drains_first {
        rig.input(Input::Drain);
        rig.answer(&probe, second);
    } else {
        rig.answer(&probe, second);
        rig.input(Input::Drain);
    }
    // Where one was asked for, it comes too late.
    rig.list(&["support"]);
    let letters = rig.letters();
    assert!(letters.iter().all(|(_, reason)| *reason == Reason::Ambiguous));
    assert_eq!(letters.len(), 5);
}

#[rstest]
#[case::that_stays(false)]
#[case::that_is_lost(true)]
fn a_drain_whose_last_commit_fails_ends_all_the_same_and_counts_it(#[case] is_lost: bool) {
    let mut rig = Rig::owning(settings());
    rig.read_for(0, "ann");
    let sent = rig.sent_one();
    rig.answer(&sent, Class::Accepted);
    rig.input(Input::Drain);
    let commit = rig.commits().remove(0);
    rig.commit_ended(&commit, Err(CommitFailure::Other));
    if is_lost {
        rig.input(Input::Lost(vec![source(0)]));
    } else {
        rig.pass(Duration::from_secs(25));
    }
    assert!(rig.asked_to(&Effect::Drained));
    assert_eq!(rig.machine.left_uncommitted(), 1);
}
