//! Stops: what raises one, what it holds, and what ends it.

use std::time::Duration;

use rstest::rstest;

use super::rig::{Rig, channel, deliver, message, settings};
use crate::domain::dead_letter::Reason;
use crate::domain::machine::{Effect, Input, Report, Settings};
use crate::domain::message::{Message, OnAmbiguous};
use crate::domain::outcome::{Ambiguity, Class, Listing, NotApplied, Scope, StopReason};

const ANSWER_502: Class = Class::Ambiguous(Ambiguity::ServerError);

#[rstest]
#[case::refused(Class::Permanent, OnAmbiguous::Retry, StopReason::Rejected)]
#[case::an_outage(ANSWER_502, OnAmbiguous::Retry, StopReason::Outage)]
#[case::html(Class::Ambiguous(Ambiguity::NotJson), OnAmbiguous::Retry, StopReason::NotJson)]
#[case::unreachable(
    Class::NotApplied(NotApplied::Unreachable),
    OnAmbiguous::DeadLetter,
    StopReason::Unreachable
)]
fn five_failures_alike_on_distinct_recipients_stop_the_channel_and_spend_none(
    #[case] class: Class,
    #[case] on_ambiguous: OnAmbiguous,
    #[case] reason: StopReason,
) {
    let mut rig = Rig::owning(settings());
    rig.read_many(8, on_ambiguous);
    rig.answer_sent(class);
    assert_eq!(rig.stops(), [reason]);
    for _ in 0..20 {
        rig.pass(Duration::from_mins(1));
        if rig.asked_to(&Effect::List) {
            rig.list(&["support"]);
        }
        let tried = rig.sent();
        assert!(tried.len() <= 1, "half-open lets one through");
        for attempt in tried {
            rig.answer(&attempt, class);
        }
        assert!(rig.letters().is_empty());
    }
    // It works again: everything held is sent, and accepted.
    let mut waited = 0;
    while rig.held() > 0 {
        rig.pass(Duration::from_secs(15));
        if rig.asked_to(&Effect::List) {
            rig.list(&["support"]);
        }
        rig.answer_sent(Class::Accepted);
        rig.commit_all();
        waited += 1;
        assert!(waited < 10, "{} are still held", rig.held());
    }
    assert!(rig.letters().is_empty());
}

#[test]
fn what_may_have_reached_the_customer_is_not_left_to_the_next_owner_to_repeat() {
    let mut rig = Rig::owning(settings());
    rig.read_many(5, OnAmbiguous::DeadLetter);
    rig.answer_sent(ANSWER_502);
    assert_eq!(rig.stops(), [StopReason::Outage]);
    rig.input(Input::Drain);
    let letters = rig.letters();
    assert_eq!(letters.len(), 5);
    assert!(letters.iter().all(|(_, reason)| *reason == Reason::Ambiguous), "{letters:?}");
}

#[test]
fn five_events_that_are_bad_themselves_are_set_aside_once_another_one_is_accepted() {
    let mut rig = Rig::owning(settings());
    rig.read_many(5, OnAmbiguous::Retry);
    rig.answer_sent(Class::Permanent);
    assert_eq!(rig.stops(), [StopReason::Rejected]);
    rig.read_for(5, "a good one");
    rig.pass(Duration::from_secs(1));
    assert!(rig.asked_to(&Effect::List));
    rig.list(&["support"]);
    let probe = rig.sent_one();
    assert_eq!(probe.offset.0, 5, "a fresh one is tried before the suspects");
    rig.answer(&probe, Class::Accepted);
    let again = rig.sent();
    assert_eq!(again.len(), 5);
    for attempt in again {
        rig.answer(&attempt, Class::Permanent);
    }
    assert_eq!(rig.letters().len(), 5);
    assert!(rig.stops().is_empty(), "they do not stop it a second time");
}

#[test]
fn one_refusal_is_held_until_a_different_answer_and_then_spent() {
    let mut rig = Rig::owning(settings());
    rig.read_many(2, OnAmbiguous::Retry);
    let sent = rig.sent();
    rig.answer(&sent[0], Class::Permanent);
    assert!(rig.letters().is_empty());
    rig.answer(&sent[1], Class::Accepted);
    assert_eq!(rig.letters()[0].1, Reason::Rejected);
}

#[test]
fn one_refusal_on_a_quiet_channel_is_spent_after_half_a_minute() {
    let mut rig = Rig::owning(settings());
    rig.read_for(0, "ann");
    let sent = rig.sent_one();
    rig.answer(&sent, Class::Permanent);
    rig.pass(Duration::from_secs(29));
    assert!(rig.letters().is_empty());
    rig.pass(Duration::from_secs(1));
    assert_eq!(rig.letters()[0].1, Reason::Rejected);
}

#[test]
fn the_same_recipients_next_refusal_is_spent_at_once() {
    let mut rig = Rig::owning(settings());
    for offset in 0..10 {
        rig.read_for(offset, "ann");
    }
    for waited in [30, 0, 0, 0] {
        let sent = rig.sent_one();
        rig.answer(&sent, Class::Permanent);
        rig.pass(Duration::from_secs(waited));
        let letters = rig.letters();
        assert_eq!(letters.len(), 1);
        rig.acknowledge(letters[0].0, true);
    }
}

/// There are fewer than five recipients to tell an outage by.
#[test]
fn an_outage_with_few_recipients_sets_a_few_messages_aside_and_no_more() {
    let mut rig = Rig::owning(settings());
    for offset in 0..100 {
        let name = format!("recipient {}", offset % 4);
        let careful = Message { on_ambiguous: OnAmbiguous::DeadLetter, ..message(&name) };
        rig.read(offset, deliver(vec![Ok(careful)]));
    }
    let (_, set_aside) = rig.endure(60, &|_| ANSWER_502);
    assert!((4..=10).contains(&set_aside), "{set_aside}");
    assert_eq!(rig.stops(), [StopReason::Outage]);
    let (_, again) = rig.endure(200, &|_| Class::Accepted);
    assert_eq!((again, rig.held()), (0, 0));
}

#[test]
fn an_ambiguous_attempt_under_a_dead_letter_rule_is_never_repeated() {
    let mut rig = Rig::owning(settings());
    rig.read_many(2, OnAmbiguous::DeadLetter);
    let sent = rig.sent();
    rig.answer(&sent[0], ANSWER_502);
    rig.answer(&sent[1], Class::Accepted);
    assert_eq!(rig.letters()[0].1, Reason::Ambiguous);
    rig.pass(Duration::from_mins(5));
    assert!(rig.sent().is_empty());
}

#[test]
fn a_refusal_after_an_ambiguous_attempt_is_not_called_plainly_rejected() {
    let mut rig = Rig::owning(settings());
    rig.read_for(0, "ann");
    let sent = rig.sent_one();
    rig.answer(&sent, ANSWER_502);
    rig.pass(Duration::from_secs(1));
    let sent = rig.sent_one();
    assert!(rig.reports().contains(&Report::PossibleDuplicate { topic: "orders".into() }));
    rig.answer(&sent, Class::Permanent);
    rig.pass(Duration::from_secs(30));
    assert_eq!(rig.letters()[0].1, Reason::Ambiguous);
}

#[test]
fn a_stopped_channel_does_not_stop_the_others() {
    let mut rig = Rig::owning(settings());
    rig.read_for(0, "ann");
    let sent = rig.sent_one();
    rig.answer(&sent, Class::Stop(Scope::Channel, StopReason::Forbidden));
    let mut other = message("ann");
    other.channel = channel("alerts");
    rig.read_for(1, "bob");
    rig.read(2, deliver(vec![Ok(other)]));
    assert_eq!(rig.sent_offsets(), [2]);
}

#[test]
fn retry_after_holds_its_channel_alone_and_for_as_long_as_it_says() {
    let mut rig = Rig::owning(settings());
    rig.read_for(0, "ann");
    let sent = rig.sent_one();
    rig.answer(&sent, Class::NotApplied(NotApplied::RetryAfter(Duration::from_secs(7))));
    let mut other = message("bob");
    other.channel = channel("alerts");
    rig.read_for(1, "cid");
    rig.read(2, deliver(vec![Ok(other)]));
    assert_eq!(rig.sent_offsets(), [2]);
    rig.pass(Duration::from_millis(6_900));
    assert!(rig.sent().is_empty());
    rig.pass(Duration::from_millis(100));
    let mut offsets = rig.sent_offsets();
    offsets.sort_unstable();
    assert_eq!(offsets, [0, 1]);
}

#[rstest]
#[case::the_channel_is_listed(&["support", "alerts"], None)]
#[case::the_channel_is_gone(&["alerts"], Some(StopReason::ChannelMissing))]
fn the_listing_decides_what_a_404_means(
    #[case] listed: &[&str],
    #[case] stopped: Option<StopReason>,
) {
    let mut rig = Rig::owning(settings());
    rig.read_for(0, "ann");
    let sent = rig.sent_one();
    rig.answer(&sent, Class::NotFound);
    assert!(rig.asked_to(&Effect::List));
    rig.list(listed);
    assert_eq!(rig.stops().first().copied(), stopped);
    rig.pass(Duration::from_secs(40));
    let letters = rig.letters();
    match stopped {
        None => assert_eq!(letters[0].1, Reason::Rejected),
        Some(_) => assert!(letters.is_empty()),
    }
}

#[test]
fn a_404_while_the_listing_fails_stops_everything() {
    let mut rig = Rig::owning(settings());
    rig.read_for(0, "ann");
    let sent = rig.sent_one();
    rig.answer(&sent, Class::NotFound);
    rig.input(Input::Listed(Listing::Failed(ANSWER_502)));
    assert_eq!(rig.stops(), [StopReason::ListingFailed]);
    rig.pass(Duration::from_hours(1));
    assert!(rig.letters().is_empty());
}

#[test]
fn a_bad_rollout_pauses_its_topic_after_the_fiftieth_dead_letter_and_spends_no_more() {
    let mut rig = Rig::owning(settings());
    for offset in 0..60 {
        rig.read(offset, super::rig::reject(Reason::Schema));
    }
    let letters = rig.letters();
    assert_eq!(letters.len(), 50);
    assert!(rig.asked_to(&Effect::Pause(super::rig::source(0))));
    for (letter, _) in letters {
        rig.acknowledge(letter, true);
    }
    assert_eq!(rig.held(), 10);
    assert_eq!(rig.commit_all().map(|(offset, _)| offset), Some(50));
}

#[test]
fn bad_events_left_over_between_settled_good_ones_are_no_bad_rollout() {
    let mut rig = Rig::owning(settings());
    for offset in 0..98 {
        if offset % 2 == 0 {
            rig.read(offset, super::rig::reject(Reason::Schema));
        } else {
            rig.read_for(offset, "ann");
            rig.answer_sent(Class::Accepted);
        }
        rig.commit_all();
    }
    let committed = rig.last_commit.clone().unwrap();

    let mut successor = Rig::new(settings());
    successor.assign(0, committed.offset.0, &committed.metadata);
    for offset in 0..98 {
        if offset % 2 == 0 {
            successor.read(offset, super::rig::reject(Reason::Schema));
        } else {
            successor.read_for(offset, "ann");
        }
    }
    assert_eq!(successor.letters().len(), 49);
    successor.read(98, super::rig::reject(Reason::Schema));
    successor.read(100, super::rig::reject(Reason::Schema));
    assert!(!successor.asked_to(&Effect::Pause(super::rig::source(0))));
}

#[test]
fn good_events_between_bad_ones_release_the_brake() {
    let mut rig = Rig::owning(settings());
    for offset in 0..200 {
        if offset % 40 == 39 {
            rig.read_for(offset, "ann");
        } else {
            rig.read(offset, super::rig::reject(Reason::RuleError));
            for (letter, _) in rig.letters() {
                rig.acknowledge(letter, true);
            }
        }
    }
    assert!(!rig.asked_to(&Effect::Pause(super::rig::source(0))));
}

#[test]
fn skipped_events_between_bad_ones_do_not_release_the_brake_even_where_they_settled_before() {
    let mut first = Rig::owning(Settings { brake: 3, ..settings() });
    first.read_for(0, "ann");
    first.read(1, super::rig::skip());
    first.read_for(2, "bob");
    first.read_for(3, "eve");
    let (position, metadata) = first.commit_all().unwrap();
    let mut rig = Rig::new(Settings { brake: 3, ..settings() });
    rig.assign(1, position, &metadata);
    for offset in 0..4 {
        let bad = super::rig::reject(Reason::RuleError);
        rig.read_in(1, offset, if offset == 1 { super::rig::skip() } else { bad });
    }
    assert!(rig.asked_to(&Effect::Pause(super::rig::source(0))));
}
