//! Partitions that are lost and come back.

use std::time::Duration;

use rstest::rstest;

use super::rig::*;
use crate::domain::dead_letter::Reason;
use crate::domain::machine::*;
use crate::domain::message::{Decision, Message, OnAmbiguous, Redrive};
use crate::domain::outcome::{Ambiguity, Class, NotApplied, Scope, StopReason};
use crate::domain::record::{CommitOffset, Epoch};

/// Owned since 10 was committed; 10 to 13 are read.
fn four_read() -> Rig {
    let mut rig = Rig::new(settings());
    rig.assign(0, 10, "");
    for offset in 10..14 {
        rig.read_for(offset, &format!("r{offset}"));
    }
    rig
}

/// Owned since 10 was committed, and lost: 10, 11 and 13 are accepted, and the commit that was under
/// way has failed; 12 is on the wire.
fn lost() -> Rig {
    let mut rig = four_read();
    for attempt in rig.sent().iter().filter(|attempt| attempt.offset.0 != 12) {
        rig.answer(attempt, Class::Accepted);
    }
    rig.pass(Duration::from_secs(1));
    let commits = rig.commits();
    assert_eq!(commits.len(), 1, "one commit is under way");
    rig.input(Input::Lost(vec![source(0)]));
    rig.commit_ended(&commits[0], Err(CommitFailure::Other));
    assert_eq!(rig.machine.status(rig.now).uncommitted, 0);
    rig
}

fn sent_anew(rig: &mut Rig, epoch: u64, first: u64) -> Vec<u64> {
    for offset in first..14 {
        rig.read_in(epoch, offset, deliver(vec![Ok(message(&format!("r{offset}")))]));
    }
    rig.sent_offsets()
}

#[test]
fn what_was_accepted_is_not_sent_again_where_the_partition_comes_back() {
    let mut rig = lost();
    rig.assign(1, 10, "");
    assert_eq!(rig.machine.status(rig.now).uncommitted, 3, "a crash would repeat them still");
    assert_eq!(sent_anew(&mut rig, 1, 10), [12]);
    let (frontier, metadata) = rig.commit_all().unwrap();
    assert_eq!((frontier, rig.machine.status(rig.now).uncommitted), (12, 0));
    // Nor by the next owner.
    let mut next = Rig::new(settings());
    next.assign(0, frontier, &metadata);
    assert_eq!(sent_anew(&mut next, 0, 12), [12]);
}

#[test]
fn what_was_accepted_is_committed_before_it_is_read_again() {
    let mut rig = lost();
    rig.assign(1, 10, "");
    let (frontier, metadata) = rig.commit_all().unwrap();
    let mut next = Rig::new(settings());
    next.assign(0, frontier, &metadata);
    assert_eq!(sent_anew(&mut next, 0, 10), [12]);
}

/// The broker has taken the commit that it did not answer to.
#[test]
fn a_commit_in_doubt_is_known_again() {
    let mut rig = four_read();
    let sent = rig.sent();
    rig.answer(&sent[0], Class::Accepted);
    rig.pass(Duration::from_secs(1));
    let commit = rig.commits().remove(0).remove(0);
    rig.answer(&sent[3], Class::Accepted);
    rig.input(Input::Lost(vec![source(0)]));
    rig.assign(1, commit.offset.0, &commit.metadata);
    assert_eq!(sent_anew(&mut rig, 1, 11), [11, 12]);
}

/// Somebody else has committed since, or it is another log of the same name.
#[rstest]
#[case::further_on(12, "")]
#[case::back_at_the_start(0, "")]
#[case::with_other_metadata(10, "somebody else's")]
fn what_stands_elsewhere_is_read_as_it_stands(#[case] position: u64, #[case] metadata: &str) {
    let mut rig = lost();
    rig.assign(1, position, metadata);
    let expected: Vec<_> = (position..14).collect();
    assert_eq!(sent_anew(&mut rig, 1, position), expected);
}

/// It may be another log of the same name.
#[test]
fn what_comes_back_after_an_hour_is_read_as_it_stands() {
    let mut rig = lost();
    rig.pass(Duration::from_hours(1));
    rig.assign(1, 10, "");
    assert_eq!(sent_anew(&mut rig, 1, 10), [10, 11, 12, 13]);
}

#[test]
fn what_was_committed_before_it_was_lost_leaves_nothing_to_remember() {
    let mut rig = Rig::owning(settings());
    rig.read_for(0, "ann");
    let sent = rig.sent_one();
    rig.answer(&sent, Class::Accepted);
    rig.commit_all();
    rig.input(Input::Lost(vec![source(0)]));
    rig.assign(1, 0, "");
    rig.read_in(1, 0, deliver(vec![Ok(message("ann"))]));
    assert_eq!(rig.sent_offsets(), [0], "the group's offsets were set back on purpose");
}

#[test]
fn a_commit_in_doubt_is_known_again_after_another_one_has_failed() {
    let mut rig = four_read();
    let sent = rig.sent();
    rig.answer(&sent[0], Class::Accepted);
    rig.pass(Duration::from_secs(1));
    let applied = rig.commits().remove(0).remove(0);
    rig.commit_ended(std::slice::from_ref(&applied), Err(CommitFailure::Other));
    rig.answer(&sent[1], Class::Accepted);
    rig.pass(Duration::from_secs(1));
    let refused = rig.commits().remove(0);
    rig.commit_ended(&refused, Err(CommitFailure::Other));
    rig.input(Input::Lost(vec![source(0)]));
    rig.assign(1, applied.offset.0, &applied.metadata);
    assert_eq!(sent_anew(&mut rig, 1, applied.offset.0), [12, 13]);
}

/// One that another member has begun stands where the old one did, if that had no commit yet.
#[rstest]
#[case::that_the_commits_before_had_missed(true)]
#[case::that_the_last_commit_misses(false)]
fn a_topic_that_was_deleted_has_no_past(#[case] before: bool) {
    let mut rig = four_read();
    for attempt in rig.sent().iter().filter(|attempt| attempt.offset.0 != 12) {
        rig.answer(attempt, Class::Accepted);
    }
    rig.pass(Duration::from_secs(1));
    let commit = rig.commits().pop().unwrap();
    let gone = Err(CommitFailure::NoTopic);
    if before {
        rig.commit_ended(&commit, gone);
    }
    rig.input(Input::Lost(vec![source(0)]));
    if !before {
        rig.commit_ended(&commit, gone);
    }
    rig.assign(1, 10, "");
    assert_eq!(sent_anew(&mut rig, 1, 10), [10, 11, 12, 13]);
}

#[rstest]
#[case::while_it_is_here(false)]
#[case::when_it_is_lost_already(true)]
fn a_topic_that_is_known_to_be_deleted_has_no_past(#[case] lost: bool) {
    let mut rig = four_read();
    for attempt in rig.sent().iter().filter(|attempt| attempt.offset.0 != 12) {
        rig.answer(attempt, Class::Accepted);
    }
    rig.pass(Duration::from_secs(1));
    if lost {
        rig.input(Input::Lost(vec![source(0)]));
    }
    rig.input(Input::Deleted(vec![source(0)]));
    rig.assign(1, 10, "");
    assert_eq!(sent_anew(&mut rig, 1, 10), [10, 11, 12, 13]);
}

/// Its offsets went with it, so the group begins anew.
#[test]
fn a_topic_that_was_made_anew_has_no_past() {
    let mut rig = lost();
    let assignment = Assignment {
        source: source(0),
        epoch: Epoch(1),
        position: CommitOffset(10),
        metadata: None,
    };
    rig.input(Input::Assigned { assignments: vec![assignment], partitions_in_all: 1 });
    assert_eq!(sent_anew(&mut rig, 1, 10), [10, 11, 12, 13]);
}

#[rstest]
#[case::its_rule_retries(OnAmbiguous::Retry, 1, 1, 0)]
#[case::its_rule_sets_it_aside(OnAmbiguous::DeadLetter, 0, 0, 1)]
fn what_may_have_been_sent_is_known_where_the_partition_comes_back(
    #[case] on_ambiguous: OnAmbiguous,
    #[case] sent: usize,
    #[case] counted: usize,
    #[case] letters: usize,
) {
    let mut rig = Rig::new(settings());
    rig.assign(0, 10, "");
    let decision = || deliver(vec![Ok(Message { on_ambiguous, ..message("ann") })]);
    rig.read(10, decision());
    let attempt = rig.sent_one();
    rig.answer(&attempt, Class::Ambiguous(Ambiguity::NoAnswer));
    rig.input(Input::Lost(vec![source(0)]));
    rig.assign(1, 10, "");
    rig.reports();
    rig.read_in(1, 10, decision());
    rig.pass(Duration::from_secs(1));
    assert_eq!(rig.sent().len(), sent);
    let repeats = rig.reports().into_iter();
    let repeats = repeats.filter(|report| matches!(report, Report::PossibleDuplicate { .. }));
    assert_eq!(repeats.count(), counted);
    assert_eq!(rig.letters().len(), letters);
}

fn set_aside_rule(recipient: &str) -> Decision {
    let on_ambiguous = OnAmbiguous::DeadLetter;
    deliver(vec![Ok(Message { on_ambiguous, ..message(recipient) })])
}

/// Its message may have been sent, and its rule would rather set it aside than repeat it.
fn lost_after_no_answer() -> Rig {
    let mut rig = Rig::new(settings());
    rig.assign(0, 10, "");
    rig.read(10, set_aside_rule("ann"));
    let attempt = rig.sent_one();
    rig.answer(&attempt, Class::Ambiguous(Ambiguity::NoAnswer));
    rig.input(Input::Lost(vec![source(0)]));
    rig
}

#[test]
fn what_may_have_been_sent_is_known_after_two_losses() {
    let mut rig = lost_after_no_answer();
    rig.assign(1, 10, "");
    rig.input(Input::Lost(vec![source(0)]));
    rig.assign(2, 10, "");
    rig.read_in(2, 10, set_aside_rule("ann"));
    rig.pass(Duration::from_secs(1));
    assert_eq!((rig.sent().len(), rig.letters().len()), (0, 1));
}

/// By other rules it is another message, to somebody else.
#[test]
fn a_reload_before_it_is_read_again_forgets_what_may_have_been_sent() {
    let mut rig = lost_after_no_answer();
    rig.assign(1, 10, "");
    let mut other = settings();
    other.fingerprints.insert("orders".into(), 8);
    rig.reconfigure(other);
    rig.read_in(1, 10, set_aside_rule("bob"));
    rig.pass(Duration::from_secs(1));
    assert_eq!((rig.sent().len(), rig.letters().len()), (1, 0));
}

#[test]
fn while_its_channel_is_paused_what_may_have_been_sent_is_not_set_aside() {
    let mut rig = lost_after_no_answer();
    let mut paused = settings();
    paused.paused.channels.insert("support".into());
    rig.reconfigure(paused);
    rig.assign(1, 10, "");
    rig.read_in(1, 10, set_aside_rule("ann"));
    rig.pass(Duration::from_secs(1));
    assert_eq!(rig.letters(), []);
    rig.reconfigure(settings());
    rig.pass(Duration::from_secs(1));
    assert_eq!((rig.sent().len(), rig.letters().len()), (0, 1));
}

#[derive(Clone, Copy)]
enum Waits {
    Paused,
    Stopped,
}

/// The next owner would know nothing of it, and send it.
#[rstest]
#[case::paused(Waits::Paused)]
#[case::stopped(Waits::Stopped)]
fn what_may_have_been_sent_and_waits_is_set_aside_when_the_partition_leaves(#[case] waits: Waits) {
    let mut rig = Rig::new(settings());
    rig.assign(0, 10, "");
    rig.read(10, set_aside_rule("ann"));
    rig.read(11, set_aside_rule("bob"));
    let sent = rig.sent();
    rig.answer(&sent[0], Class::Ambiguous(Ambiguity::NoAnswer));
    match waits {
        Waits::Stopped => {
            rig.answer(&sent[1], Class::Stop(Scope::Channel, StopReason::Forbidden));
        }
        Waits::Paused => {
            let mut paused = settings();
            paused.paused.channels.insert("support".into());
            rig.reconfigure(paused);
        }
    }
    rig.input(Input::Lost(vec![source(0)]));
    rig.assign(1, 10, "");
    rig.read_in(1, 10, set_aside_rule("ann"));
    rig.input(Input::Drain);
    rig.pass(Duration::from_secs(1));
    assert_eq!((rig.sent().len(), rig.letters().len()), (0, 1));
}

/// It waits in its lane behind another one, which settles while the partition leaves.
#[test]
fn what_is_set_aside_behind_another_one_settles_when_the_partition_leaves() {
    let mut rig = Rig::new(settings());
    rig.assign(0, 10, "");
    rig.read(10, deliver(vec![Ok(message("bob"))]));
    rig.read(11, set_aside_rule("ann"));
    for attempt in rig.sent() {
        let tried = attempt.offset.0 == 11;
        let limited = Class::NotApplied(NotApplied::RateLimited);
        rig.answer(&attempt, if tried { Class::Ambiguous(Ambiguity::NoAnswer) } else { limited });
    }
    rig.input(Input::Lost(vec![source(0)]));
    rig.assign(1, 10, "");
    rig.read_in(1, 10, deliver(vec![Ok(message("ann"))]));
    rig.read_in(1, 11, set_aside_rule("ann"));
    rig.pass(Duration::from_secs(1));
    let attempt = rig.sent_one();
    rig.input(Input::Revoked(vec![source(0)]));
    let (letter, _) = rig.letters().remove(0);
    rig.answer(&attempt, Class::Accepted);
    rig.acknowledge(letter, true);
    assert_eq!(rig.commit_all(), Some((12, String::new())));
}

/// The rules of now make another message of the record, to somebody else.
#[test]
fn what_an_older_message_went_through_says_nothing_of_a_newer_one() {
    let mut rig = Rig::new(settings());
    rig.assign(0, 10, "");
    rig.read(10, set_aside_rule("ann"));
    rig.sent_one();
    let mut other = settings();
    other.fingerprints.insert("orders".into(), 8);
    let of_another_rule = || {
        let on_ambiguous = OnAmbiguous::DeadLetter;
        deliver(vec![Ok(Message { on_ambiguous, rule: "other".into(), ..message("bob") })])
    };
    rig.reconfigure_as(other, |_| of_another_rule());
    rig.input(Input::Lost(vec![source(0)]));
    rig.assign(1, 10, "");
    rig.read_in(1, 10, of_another_rule());
    rig.pass(Duration::from_secs(1));
    assert_eq!((rig.sent().len(), rig.letters().len()), (1, 0));
}

/// The operator has asked for it, whether or not the customer has it already.
#[test]
fn a_redriven_message_that_was_not_tried_is_not_set_aside() {
    let decision = || {
        let redrive = Redrive { original: record(0, 3), redrives: 1, may_repeat: true };
        Decision { redrive: Some(redrive), ..set_aside_rule("ann") }
    };
    let mut paused = settings();
    paused.paused.channels.insert("support".into());
    let mut rig = Rig::new(paused);
    rig.assign(0, 10, "");
    rig.read(10, decision());
    rig.input(Input::Lost(vec![source(0)]));
    rig.reconfigure(settings());
    rig.assign(1, 10, "");
    rig.read_in(1, 10, decision());
    rig.pass(Duration::from_secs(1));
    assert_eq!((rig.sent().len(), rig.letters().len()), (1, 0));
}

/// A reload has put an older message before one that was tried.
#[test]
fn what_may_have_been_sent_is_set_aside_when_its_turn_comes() {
    let mut rig = Rig::new(settings());
    rig.assign(0, 10, "");
    rig.read(10, set_aside_rule("bob"));
    rig.read(11, set_aside_rule("ann"));
    for attempt in rig.sent() {
        let tried = attempt.offset.0 == 11;
        let limited = Class::NotApplied(NotApplied::RateLimited);
        rig.answer(&attempt, if tried { Class::Ambiguous(Ambiguity::NoAnswer) } else { limited });
    }
    let mut other = settings();
    other.fingerprints.insert("orders".into(), 8);
    rig.reconfigure_as(other, |_| set_aside_rule("ann"));
    rig.sent();
    rig.input(Input::Lost(vec![source(0)]));
    rig.assign(1, 10, "");
    rig.read_in(1, 10, set_aside_rule("ann"));
    rig.read_in(1, 11, set_aside_rule("ann"));
    rig.pass(Duration::from_secs(1));
    let attempt = rig.sent_one();
    assert_eq!(attempt.offset.0, 10);
    rig.answer(&attempt, Class::Accepted);
    assert_eq!((rig.sent().len(), rig.letters().len()), (0, 1));
}

#[test]
fn what_a_commit_had_no_room_to_tell_of_is_not_sent_again() {
    let mut rig = Rig::new(settings());
    rig.assign(0, 10, "");
    let of = |offset: u64| {
        let channel = channel(if offset == 10 { "alerts" } else { "support" });
        deliver(vec![Ok(Message { channel, ..message(&format!("r{offset}")) })])
    };
    (10..14).for_each(|offset| rig.read(offset, of(offset)));
    for attempt in rig.sent() {
        let stop = Class::Stop(Scope::Channel, StopReason::Forbidden);
        rig.answer(&attempt, if attempt.offset.0 == 10 { stop } else { Class::Accepted });
    }
    for _ in 0..20 {
        rig.pass(Duration::from_millis(50));
        for commit in rig.commits() {
            let fits = commit[0].metadata.is_empty();
            rig.commit_ended(&commit, fits.then_some(()).ok_or(CommitFailure::MetadataTooLarge));
        }
    }
    assert_eq!(rig.machine.status(rig.now).uncommitted, 3, "a commit stands, and tells of none");
    rig.sent();
    rig.input(Input::Lost(vec![source(0)]));
    rig.assign(1, 10, "");
    (10..14).for_each(|offset| rig.read_in(1, offset, of(offset)));
    assert_eq!(rig.sent_offsets(), Vec::<u64>::new());
}

#[test]
fn a_dead_letter_acknowledged_after_a_loss_is_counted_and_not_written_again() {
    let mut rig = Rig::new(settings());
    rig.assign(0, 10, "");
    rig.read(10, reject(Reason::Schema));
    let (letter, _) = rig.letters().remove(0);
    rig.input(Input::Lost(vec![source(0)]));
    rig.acknowledge(letter, true);
    let reports = rig.reports().into_iter();
    let told = reports.filter(|report| matches!(report, Report::DeadLettered { .. }));
    assert_eq!(told.count(), 1);
    rig.assign(1, 10, "");
    rig.read_in(1, 10, reject(Reason::Schema));
    assert!(rig.letters().is_empty());
    assert_eq!(rig.commit_all(), Some((11, String::new())));
}
