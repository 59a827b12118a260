//! One test, or a few, for each invariant of the crate's documentation, under its number.

use std::time::Duration;

use rstest::rstest;

use super::rig::{Rig, deliver, message, reject, settings, skip, source};
use crate::domain::dead_letter::Reason;
use crate::domain::machine::{CommitFailure, CommitRequest, Effect, Input, Report, Settings};
use crate::domain::message::{Message, OnAmbiguous, Text};
use crate::domain::outcome::{Ambiguity, Class, NotApplied, Scope, StopReason};

const NO_ANSWER: Class = Class::Ambiguous(Ambiguity::NoAnswer);

#[test]
fn invariant_1_a_commit_never_passes_an_unsettled_record() {
    let mut rig = Rig::owning(settings());
    rig.read_for(0, "ann");
    rig.read_for(1, "bob");
    rig.read(2, skip());
    let sent = rig.sent();
    rig.answer(&sent[1], Class::Accepted);
    let (offset, metadata) = rig.commit_all().unwrap();
    assert_eq!(offset, 0, "record 0 has not settled");
    assert!(!metadata.is_empty(), "that 1 and 2 have settled travels along");
    rig.answer(&sent[0], Class::Accepted);
    assert_eq!(rig.commit_all(), Some((3, String::new())));
}

#[test]
fn invariant_1_what_settled_beyond_the_frontier_is_not_sent_again_after_a_restart() {
    let mut rig = Rig::owning(settings());
    rig.read_for(0, "ann");
    rig.read_for(1, "bob");
    let sent = rig.sent();
    rig.answer(&sent[1], Class::Accepted);
    let (offset, metadata) = rig.commit_all().unwrap();

    let mut restarted = Rig::new(settings());
    restarted.assign(0, offset, &metadata);
    restarted.read_for(0, "ann");
    restarted.read_for(1, "bob");
    restarted.read_for(2, "bob");
    assert_eq!(restarted.sent_offsets(), [0, 2]);
}

#[test]
fn invariant_2_at_most_one_delivery_is_in_flight_per_lane_in_the_partitions_order() {
    let mut rig = Rig::owning(settings());
    for offset in 0..3 {
        rig.read_for(offset, "ann");
    }
    rig.read_for(3, "bob");
    assert_eq!(rig.effects.iter().filter(|e| matches!(e, Effect::Send(_))).count(), 2);
    for offset in 0..3 {
        let sent = rig.sent();
        let anns = sent.iter().find(|attempt| attempt.offset.0 != 3).unwrap();
        assert_eq!(anns.offset.0, offset);
        rig.answer(anns, Class::Accepted);
    }
}

#[test]
fn invariant_2_the_next_one_waits_until_the_dead_letter_before_it_is_acknowledged() {
    let mut rig = Rig::owning(settings());
    rig.read_for(0, "ann");
    rig.read_for(1, "ann");
    rig.read_for(2, "bob");
    let sent = rig.sent();
    rig.answer(&sent[0], Class::Permanent);
    rig.answer(&sent[1], Class::Accepted);
    let letters = rig.letters();
    assert_eq!(letters[0].1, Reason::Rejected);
    assert!(rig.sent().is_empty(), "the dead letter is on its way");
    rig.acknowledge(letters[0].0, true);
    assert_eq!(rig.sent_offsets(), [1]);
}

#[test]
fn invariant_3_a_retry_goes_before_its_recipients_newer_messages() {
    let mut rig = Rig::owning(settings());
    rig.read_for(0, "ann");
    rig.read_for(1, "ann");
    for class in [NO_ANSWER, Class::NotApplied(NotApplied::RateLimited)] {
        let first = rig.sent_one();
        assert_eq!(first.offset.0, 0);
        rig.answer(&first, class);
        assert!(rig.sent().is_empty(), "nothing overtakes it while it waits");
        rig.pass(Duration::from_secs(5));
    }
    let first = rig.sent_one();
    assert_eq!(first.offset.0, 0);
    rig.answer(&first, Class::Accepted);
    assert_eq!(rig.sent_offsets(), [1]);
}

#[test]
fn invariant_4_a_record_settles_once_per_epoch_and_an_answer_of_an_old_epoch_is_dropped() {
    let mut rig = Rig::owning(settings());
    rig.read_for(0, "ann");
    let old = rig.sent_one();
    rig.input(Input::Lost(vec![source(0)]));
    rig.assign(1, 0, "");
    rig.read_in(1, 0, deliver(vec![Ok(message("ann"))]));
    rig.pass(Duration::from_millis(1));
    let new = rig.sent_one();
    rig.reports();
    rig.answer(&old, Class::Accepted);
    assert_eq!(rig.held(), 1, "the old answer settles nothing");
    assert!(!rig.reports().iter().any(|report| matches!(report, Report::Settled { .. })));
    rig.answer(&new, Class::Accepted);
    rig.answer(&new, Class::Accepted);
    rig.answer(&new, Class::Permanent);
    let settled = |report: &Report| matches!(report, Report::Settled { .. });
    assert_eq!(rig.reports().into_iter().filter(settled).count(), 1);
    assert!(rig.letters().is_empty());
}

#[test]
fn invariant_5_at_the_bound_of_held_records_the_partition_pauses_and_resumes() {
    let mut rig = Rig::owning(settings());
    for offset in 0..99 {
        rig.read_for(offset, "ann");
    }
    assert!(!rig.asked_to(&Effect::Pause(source(0))));
    rig.read_for(99, "ann");
    assert!(rig.asked_to(&Effect::Pause(source(0))));
    for _ in 0..50 {
        let sent = rig.sent_one();
        assert!(!rig.asked_to(&Effect::Resume(source(0))));
        rig.answer(&sent, Class::Accepted);
        rig.commit_all();
    }
    assert!(rig.asked_to(&Effect::Resume(source(0))));
}

#[test]
fn invariant_5_at_the_bound_of_held_bytes_the_partition_pauses() {
    let mut settings = settings();
    settings.held_bytes = 1_000;
    let mut rig = Rig::owning(settings);
    let mut offset = 0;
    while !rig.asked_to(&Effect::Pause(source(0))) {
        assert!(offset < 100, "never paused");
        rig.read_for(offset, "ann");
        offset += 1;
    }
    let partition = &rig.machine.status(rig.now).partitions[0];
    assert!((1_000..1_500).contains(&partition.held_bytes), "{}", partition.held_bytes);
}

/// A text may be larger than the event that it is made of.
#[test]
fn invariant_5_messages_count_among_the_held_bytes() {
    let mut rig = Rig::owning(settings());
    let long = Text::new(&"ก".repeat(1_000)).unwrap();
    let held = |rig: &Rig| rig.machine.status(rig.now).partitions[0].held_bytes;
    rig.read_for(0, "ann");
    let one = held(&rig);
    rig.read(1, deliver(vec![Ok(Message { text: long, ..message("bob") })]));
    assert!((one + 3_000..one * 2 + 3_500).contains(&held(&rig)), "{one}, {}", held(&rig));
    let sent = rig.sent();
    for attempt in &sent {
        rig.answer(attempt, Class::Accepted);
    }
    assert_eq!(held(&rig), 0);
}

#[test]
fn invariant_5_deliveries_in_flight_and_accepted_but_uncommitted_messages_are_bounded() {
    let mut rig = Rig::owning(settings());
    for offset in 0..60 {
        rig.read_for(offset, &format!("recipient {offset}"));
    }
    let mut accepted = 0;
    loop {
        let sent = rig.sent();
        assert!(sent.len() <= 16);
        if sent.is_empty() {
            break;
        }
        for attempt in sent {
            rig.answer(&attempt, Class::Accepted);
            accepted += 1;
        }
    }
    assert!(accepted <= 2 * 16, "{accepted} accepted before any commit succeeded");
    while accepted < 60 {
        let commits = rig.commits();
        assert!(!commits.is_empty());
        rig.commit_ended(&commits[0], Ok(()));
        for attempt in rig.sent() {
            rig.answer(&attempt, Class::Accepted);
            accepted += 1;
        }
        rig.pass(Duration::from_millis(100));
    }
}

#[test]
fn invariant_6_tracked_is_settled_plus_held_plus_dropped_on_revoke() {
    let mut rig = Rig::owning(settings());
    rig.read_for(0, "ann");
    rig.read_for(1, "ann");
    rig.read(2, skip());
    rig.read(3, reject(Reason::NoRule));
    let check = |rig: &Rig, tracked, settled, held, dropped| {
        let counts = rig.machine.conservation();
        assert_eq!((counts.tracked, counts.settled), (tracked, settled));
        assert_eq!((rig.held(), counts.dropped), (held, dropped));
        assert_eq!(counts.tracked, counts.settled + rig.held() as u64 + counts.dropped);
    };
    check(&rig, 4, 1, 3, 0);
    let letters = rig.letters();
    rig.acknowledge(letters[0].0, true);
    check(&rig, 4, 2, 2, 0);
    rig.input(Input::Revoked(vec![source(0)]));
    let sent = rig.sent_one();
    rig.answer(&sent, Class::Accepted);
    assert!(!rig.asked_to(&Effect::Release(vec![source(0)])), "not committed yet");
    rig.commit_all();
    assert!(rig.asked_to(&Effect::Release(vec![source(0)])));
    check(&rig, 4, 3, 0, 1);
}

#[test]
fn invariant_7_a_dead_letter_settles_its_record_only_when_the_broker_has_acknowledged_it() {
    let mut rig = Rig::owning(settings());
    rig.read(0, reject(Reason::Schema));
    let letter = rig.letters()[0].0;
    for _ in 0..20 {
        rig.acknowledge(letter, false);
        assert_eq!(rig.held(), 1);
        assert_eq!(rig.commit_all(), None, "nothing has settled");
        rig.pass(Duration::from_secs(10));
        assert_eq!(rig.letters(), [(letter, Reason::Schema)], "it is tried again");
    }
    rig.acknowledge(letter, true);
    assert_eq!(rig.held(), 0);
    assert_eq!(rig.commit_all(), Some((1, String::new())));
}

#[test]
fn invariant_8_a_commit_that_failed_is_made_again_and_covers_nothing() {
    let mut rig = Rig::owning(settings());
    rig.read_for(0, "ann");
    let sent = rig.sent_one();
    rig.answer(&sent, Class::Accepted);
    for _ in 0..5 {
        rig.pass(Duration::from_secs(10));
        let commits = rig.commits();
        assert_eq!(commits.len(), 1, "one commit at a time");
        assert_eq!(rig.machine.status(rig.now).uncommitted, 1);
        rig.commit_ended(&commits[0], Err(CommitFailure::Other));
        assert!(rig.reports().contains(&Report::CommitFailed { source: source(0) }));
    }
    rig.pass(Duration::from_secs(10));
    assert_eq!(rig.commit_all(), Some((1, String::new())));
    assert_eq!(rig.machine.status(rig.now).uncommitted, 0);
}

/// Every second message is accepted; what stood when the last but `more` had been read, and the
/// commit of all.
fn long_metadata(rig: &mut Rig, more: u64) -> (String, Vec<CommitRequest>) {
    let mut stands = String::new();
    for offset in 0..40 {
        rig.read_for(offset, &format!("recipient {offset}"));
        for attempt in rig.sent().iter().filter(|attempt| attempt.offset.0 % 2 == 1) {
            rig.answer(attempt, Class::Accepted);
        }
        if offset == 39 - more {
            stands = rig.commit_all().unwrap().1;
        }
    }
    rig.pass(Duration::from_secs(1));
    (stands, rig.commits().remove(0))
}

#[rstest]
#[case::half(21)]
#[case::most(31)]
fn invariant_8_metadata_that_the_broker_finds_too_large_tell_no_less_than_those_that_stand(
    #[case] more: u64,
) {
    let mut rig = Rig::owning(Settings { max_in_flight: 100, ..settings() });
    let (stands, mut commit) = long_metadata(&mut rig, more);
    let room = stands.len() + 1;
    let mut tries = 0;
    while commit[0].metadata.len() > room {
        let before = commit[0].metadata.len();
        rig.commit_ended(&commit, Err(CommitFailure::MetadataTooLarge));
        rig.pass(Duration::from_secs(1));
        commit = rig.commits().remove(0);

        assert!((stands.len()..before).contains(&commit[0].metadata.len()));
        tries += 1;
    }
    assert!((1..=8).contains(&tries), "{tries} tries");
    assert!(commit[0].metadata.starts_with(&stands));
}

#[test]
fn invariant_8_metadata_of_which_the_broker_takes_less_than_before_are_halved() {
    let mut rig = Rig::owning(Settings { max_in_flight: 100, ..settings() });
    let (stands, mut commit) = long_metadata(&mut rig, 21);
    for _ in 0..8 {
        if commit[0].metadata.len() <= stands.len() / 4 {
            return;
        }
        rig.commit_ended(&commit, Err(CommitFailure::MetadataTooLarge));
        rig.pass(Duration::from_secs(1));
        commit = rig.commits().remove(0);
    }
    panic!("still {} bytes", commit[0].metadata.len());
}

#[test]
fn invariant_9_every_delivery_has_a_deadline_after_which_nothing_is_sent() {
    let mut rig = Rig::owning(settings());
    let mut late = message("ann");
    late.deadline = rig.now.wall;
    rig.read(0, deliver(vec![Ok(late)]));
    assert!(rig.sent().is_empty());
    assert_eq!(rig.letters()[0].1, Reason::Expired);

    let mut soon = message("bob");
    soon.deadline = rig.now.wall.plus(Duration::from_secs(3));
    rig.read(1, deliver(vec![Ok(soon)]));
    let sent = rig.sent_one();
    rig.answer(&sent, Class::NotApplied(NotApplied::RetryAfter(Duration::from_mins(1))));
    rig.pass(Duration::from_secs(2));
    assert!(rig.letters().is_empty());
    rig.pass(Duration::from_secs(1));
    assert_eq!(rig.letters()[0].1, Reason::Expired);
    assert!(rig.sent().is_empty());
}

#[test]
fn invariant_9_what_expires_after_an_ambiguous_attempt_is_not_called_plainly_expired() {
    let mut rig = Rig::owning(settings());
    let mut soon = message("ann");
    soon.deadline = rig.now.wall.plus(Duration::from_millis(100));
    rig.read(0, deliver(vec![Ok(soon)]));
    let sent = rig.sent_one();
    rig.answer(&sent, NO_ANSWER);
    rig.pass(Duration::from_secs(1));
    assert_eq!(rig.letters()[0].1, Reason::Ambiguous);
}

#[test]
fn invariant_10_a_revoked_token_dead_letters_nothing_for_as_long_as_it_lasts() {
    let mut rig = Rig::owning(settings());
    for offset in 0..10 {
        let mut message = message(&format!("recipient {offset}"));
        if offset % 2 == 0 {
            message.on_ambiguous = OnAmbiguous::DeadLetter;
        }
        rig.read(offset, deliver(vec![Ok(message)]));
    }
    let revoked = Class::Stop(Scope::Account, StopReason::Unauthorized);
    rig.answer_sent(revoked);
    for _ in 0..100 {
        rig.pass(Duration::from_mins(10));
        if rig.asked_to(&Effect::List) {
            rig.input(Input::Listed(crate::domain::outcome::Listing::Failed(revoked)));
        }
        assert!(rig.sent().is_empty());
        assert!(rig.letters().is_empty());
    }
    rig.input(Input::TokenChanged);
    assert!(rig.asked_to(&Effect::List));
    rig.list(&["support", "alerts"]);
    let probe = rig.sent_one();
    rig.answer(&probe, Class::Accepted);
    let resumed = rig.sent();
    assert_eq!(resumed.len(), 9, "all go on once one has been accepted");
    for attempt in resumed {
        rig.answer(&attempt, Class::Accepted);
    }
    assert_eq!(rig.held(), 0);
    assert!(rig.letters().is_empty());
}

#[test]
fn invariant_10_the_time_of_an_outage_does_not_count_towards_max_elapsed() {
    let mut settings = settings();
    settings.retry_max_elapsed = Duration::from_mins(1);
    let mut rig = Rig::owning(settings);
    for offset in 0..6 {
        rig.read_for(offset, &format!("recipient {offset}"));
    }
    let answer_502 = Class::Ambiguous(Ambiguity::ServerError);
    rig.answer_sent(answer_502);
    for _ in 0..60 {
        rig.pass(Duration::from_mins(1));
        if rig.asked_to(&Effect::List) {
            rig.list(&["support", "alerts"]);
        }
        rig.answer_sent(answer_502);
    }
    assert!(rig.letters().is_empty(), "an hour of outage spends nothing");
}
