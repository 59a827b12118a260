//! Another configuration under way: what is decided anew, what keeps what it has, and what a
//! commit says of either.

use std::time::Duration;

use rstest::rstest;

use super::rig::{Rig, channel, deliver, message, reject, settings, skip, source};
use crate::domain::dead_letter::{Reason, Rejection};
use crate::domain::machine::{Effect, Input, PauseReason, Settings};
use crate::domain::message::{Channel, Decision, Message, OnAmbiguous, Text};
use crate::domain::outcome::{Ambiguity, Class, Listing, NotApplied};
use crate::domain::paused::Pause;

const NO_ANSWER: Class = Class::Ambiguous(Ambiguity::NoAnswer);

/// The settings with other rules.
fn other_rules() -> Settings {
    Settings { fingerprints: [("orders".into(), 8)].into(), ..settings() }
}

fn by(rule: &str, recipient: &str, text: &str) -> Message {
    let text = Text::new(text).unwrap();
    Message { rule: rule.into(), text, ..message(recipient) }
}

/// What the corrected rules make of every record: one message to this recipient.
fn corrected(recipient: &str) -> impl Fn(u64) -> Decision {
    let message = by("shipped", recipient, "corrected");
    move |_| deliver(vec![Ok(message.clone())])
}

fn texts(rig: &mut Rig) -> Vec<(u64, String)> {
    rig.sent().iter().map(|sent| (sent.offset.0, sent.message.text.as_str().to_owned())).collect()
}

#[test]
fn what_waits_is_made_anew_and_what_is_on_the_wire_finishes() {
    let mut rig = Rig::owning(settings());
    for offset in 0..3 {
        rig.read_for(offset, "ann");
    }
    let wrong = rig.sent_one();
    rig.reconfigure_as(other_rules(), corrected("ann"));
    assert!(rig.sent().is_empty(), "one in flight per lane");
    rig.answer(&wrong, Class::Accepted);
    assert_eq!(texts(&mut rig), [(1, "corrected".to_owned())]);
}

#[test]
fn what_comes_back_from_the_wire_as_not_applied_is_made_anew_then() {
    let mut rig = Rig::owning(settings());
    rig.read_for(0, "ann");
    rig.read_for(1, "bob");
    let wrong = rig.sent();
    rig.reconfigure_as(other_rules(), |offset| match offset {
        0 => corrected("ann")(0),
        _ => skip(),
    });
    for attempt in &wrong {
        rig.answer(attempt, Class::NotApplied(NotApplied::RateLimited));
    }
    rig.pass(Duration::from_millis(50));
    assert_eq!((texts(&mut rig), rig.held()), (vec![(0, "corrected".to_owned())], 1));
}

#[test]
fn what_was_certainly_not_applied_is_made_anew_and_what_is_ambiguous_is_not() {
    let mut rig = Rig::owning(settings());
    rig.read_for(0, "ann");
    rig.read_for(1, "bob");
    let sent = rig.sent();
    rig.answer(&sent[0], NO_ANSWER);
    rig.answer(&sent[1], Class::NotApplied(NotApplied::RateLimited));
    rig.reconfigure_as(other_rules(), corrected("bob"));
    rig.pass(Duration::from_millis(50));
    assert_eq!(texts(&mut rig), [(1, "corrected".to_owned())]);
    rig.pass(Duration::from_secs(1));
    assert_eq!(texts(&mut rig), [(0, "shipped".to_owned())]);
}

#[test]
fn another_schema_alone_decides_anew_and_the_same_one_does_not() {
    let mut rig = Rig::new(settings());
    let unchanged = rig.machine.to_decide_anew(&settings());
    assert!(unchanged.is_empty());
    rig.assign(0, 0, "");
    rig.read_for(0, "ann");
    rig.read_for(1, "ann");
    assert!(rig.machine.to_decide_anew(&settings()).is_empty());
    let other = Settings { schemas: [("orders".into(), 2)].into(), ..settings() };
    rig.reconfigure_as(other, |_| reject(Reason::Schema));
    assert_eq!(rig.letters().len(), 1, "the one on the wire keeps its message");
}

#[test]
fn a_record_may_become_a_skip_or_a_dead_letter_or_several_messages() {
    let mut rig = Rig::owning(settings());
    for offset in 0..4 {
        rig.read_for(offset, "ann");
    }
    let first = rig.sent_one();
    rig.reconfigure_as(other_rules(), |offset| match offset {
        1 => skip(),
        2 => reject(Reason::NoRule),
        _ => deliver(vec![Ok(by("shipped", "ann", "a")), Ok(by("points", "cid", "b"))]),
    });
    assert_eq!(rig.held(), 3);
    let letters = rig.letters();
    assert_eq!(letters[0].1, Reason::NoRule);
    rig.acknowledge(letters[0].0, true);
    assert_eq!(texts(&mut rig), [(3, "b".to_owned())]);
    rig.answer(&first, Class::Accepted);
    assert_eq!(texts(&mut rig), [(3, "a".to_owned())]);
}

#[test]
fn lanes_stay_in_the_partitions_order_and_a_head_that_was_tried_stays_the_head() {
    let mut rig = Rig::owning(settings());
    rig.read_for(0, "cid");
    rig.read_for(1, "ann");
    rig.read_for(2, "bob");
    rig.read_for(3, "ann");
    let sent = rig.sent();
    // Ann's first may have reached her; the others certainly have not.
    for attempt in &sent {
        let ann = attempt.offset.0 == 1;
        let class = if ann { NO_ANSWER } else { Class::NotApplied(NotApplied::RateLimited) };
        rig.answer(attempt, class);
    }
    rig.reconfigure_as(other_rules(), corrected("ann"));
    let mut order = Vec::new();
    for _ in 0..4 {
        rig.pass(Duration::from_mins(1));
        let next = rig.sent_one();
        order.push(next.offset.0);
        rig.answer(&next, Class::Accepted);
    }
    assert_eq!(order, [1, 0, 2, 3]);
    assert_eq!(rig.held(), 0);
}

#[test]
fn a_message_beside_one_that_was_sent_takes_the_new_text() {
    let mut rig = Rig::owning(settings());
    let parts = |text| deliver(vec![Ok(by("shipped", "ann", text)), Ok(by("points", "ann", text))]);
    rig.read(0, parts("wrong"));
    let first = rig.sent_one();
    rig.reconfigure_as(other_rules(), |_| parts("corrected"));
    rig.answer(&first, Class::Accepted);
    assert_eq!(texts(&mut rig), [(0, "corrected".to_owned())]);
}

#[test]
fn what_has_settled_of_a_record_is_committed_for_the_new_rules_only_where_it_means_the_same() {
    let parts =
        |rules: &[&str]| deliver(rules.iter().map(|rule| Ok(by(rule, rule, "text"))).collect());
    for (rules, sent_again) in [(["shipped", "points"], 1), (["points", "shipped"], 2)] {
        let mut rig = Rig::owning(settings());
        rig.read(0, parts(&["shipped", "points"]));
        let first = rig.sent().remove(0);
        rig.answer(&first, Class::Accepted);
        rig.commit_all();
        rig.reconfigure_as(other_rules(), |_| parts(&rules));
        let (offset, metadata) = rig.commit_all().expect("another commit, for the new rules");
        let mut restarted = Rig::new(other_rules());
        restarted.assign(0, offset, &metadata);
        restarted.read(0, parts(&rules));
        assert_eq!(restarted.sent().len(), sent_again, "{rules:?}");
    }
}

#[test]
fn what_an_earlier_owner_left_half_settled_is_forgotten_under_other_rules() {
    let two = || deliver(vec![Ok(by("shipped", "ann", "a")), Ok(by("points", "bob", "b"))]);
    let mut rig = Rig::owning(settings());
    rig.read(0, two());
    let first = rig.sent().remove(0);
    rig.answer(&first, Class::Accepted);
    let (offset, metadata) = rig.commit_all().unwrap();
    let mut successor = Rig::new(settings());
    successor.assign(0, offset, &metadata);
    successor.reconfigure(other_rules());
    successor.read(0, two());
    assert_eq!(successor.sent().len(), 2);
    assert_eq!(successor.commit_all(), Some((0, String::new())));
}

#[test]
fn a_partition_that_leaves_commits_for_the_rules_that_its_records_were_decided_by() {
    let two = || deliver(vec![Ok(by("shipped", "ann", "a")), Ok(by("points", "bob", "b"))]);
    let mut rig = Rig::owning(settings());
    rig.read(0, two());
    let sent = rig.sent();
    rig.input(Input::Revoked(vec![source(0)]));
    rig.reconfigure_as(other_rules(), |_| two());
    rig.answer(&sent[0], Class::Accepted);
    rig.answer(&sent[1], Class::NotApplied(NotApplied::RateLimited));
    let (offset, metadata) = rig.commit_all().unwrap();
    let mut successor = Rig::new(settings());
    successor.assign(0, offset, &metadata);
    successor.read(0, two());
    assert_eq!(successor.sent().len(), 1);
}

#[test]
fn another_id_of_a_channel_takes_its_messages_along() {
    let mut rig = Rig::owning(settings());
    rig.read_for(0, "ann");
    rig.read_for(1, "ann");
    let sent = rig.sent_one();
    rig.answer(&sent, Class::NotFound);
    rig.input(Input::Listed(Listing::Channels(vec!["right".into()])));
    let right = Channel { name: "support".into(), id: "right".into() };
    let channels = vec![right.clone(), channel("alerts")];
    let changed = Settings { channels, ..other_rules() };
    rig.reconfigure_as(changed, |_| {
        deliver(vec![Ok(Message { channel: right.clone(), ..message("ann") })])
    });
    let next = rig.sent_one();
    assert_eq!((next.offset.0, &*next.message.channel.id), (0, "right"));
    let channels = rig.machine.status(rig.now).channels;
    let names: Vec<_> = channels.iter().map(|channel| &*channel.name).collect();
    assert_eq!(names, ["alerts", "support"]);
    rig.effects.clear();
    rig.pass(Duration::from_hours(1));
    assert!(!rig.asked_to(&Effect::List), "a channel that is gone and idle is not probed");
}

#[test]
fn what_may_have_been_sent_through_a_removed_channel_stays_with_it() {
    let mut rig = Rig::owning(settings());
    rig.read_for(0, "ann");
    let sent = rig.sent_one();
    rig.answer(&sent, NO_ANSWER);
    let channels = vec![channel("alerts")];
    let alert = || deliver(vec![Ok(Message { channel: channel("alerts"), ..message("ann") })]);
    rig.reconfigure_as(Settings { channels, ..other_rules() }, |_| alert());
    rig.pass(Duration::from_secs(1));
    let again = rig.sent_one();
    assert_eq!(again.message, sent.message);
    rig.answer(&again, Class::Accepted);
    assert_eq!(rig.held(), 0);
}

fn spoilt(rig: &mut Rig) -> Settings {
    let settings = Settings { brake: 3, ..settings() };
    *rig = Rig::owning(settings.clone());
    for offset in 0..5 {
        rig.read(offset, reject(Reason::Schema));
    }
    assert_eq!(rig.letters().len(), 3);
    assert!(rig.asked_to(&Effect::Pause(source(0))));
    settings
}

#[test]
fn mended_rules_release_the_brake_and_what_it_held_is_decided_anew() {
    let mut rig = Rig::new(settings());
    let before = spoilt(&mut rig);
    rig.reconfigure_as(before.clone(), |_| reject(Reason::Schema));
    assert!(!rig.asked_to(&Effect::Resume(source(0))), "nothing has been mended");
    let mended = Settings { schemas: [("orders".into(), 2)].into(), ..before };
    rig.reconfigure_as(mended, corrected("ann"));
    assert!(rig.asked_to(&Effect::Resume(source(0))));
    assert_eq!(texts(&mut rig), [(3, "corrected".to_owned())]);
    assert!(rig.letters().is_empty());
}

/// A recipient's newer message must not arrive before the older ones that are decided anew.
#[test]
fn good_events_wait_behind_those_that_the_brake_holds() {
    let mut rig = Rig::new(settings());
    let before = spoilt(&mut rig);
    rig.read_for(5, "ann");
    assert!(rig.sent().is_empty());
    let mended = Settings { schemas: [("orders".into(), 2)].into(), ..before };
    rig.reconfigure_as(mended, corrected("ann"));
    let mut order = Vec::new();
    while let [attempt] = &rig.sent()[..] {
        order.push(attempt.offset.0);
        rig.answer(attempt, Class::Accepted);
    }
    assert_eq!(order, [3, 4, 5]);
}

#[test]
fn a_message_that_comes_back_from_the_wire_keeps_its_place_behind_the_brake() {
    let braked = |settings: Settings| Settings { brake: 3, ..settings };
    let mut rig = Rig::owning(braked(settings()));
    rig.read_for(0, "ann");
    rig.read_for(1, "ann");
    let first = rig.sent_one();
    rig.reconfigure_as(braked(other_rules()), corrected("ann"));
    for offset in 2..5 {
        rig.read(offset, reject(Reason::Schema));
    }
    rig.answer(&first, Class::NotApplied(NotApplied::RateLimited));
    rig.pass(Duration::from_secs(5));
    let mut order = Vec::new();
    while let [attempt] = &rig.sent()[..] {
        order.push(attempt.offset.0);
        rig.answer(attempt, Class::Accepted);
    }
    assert_eq!(order, [0, 1]);
}

#[test]
fn a_channel_that_comes_back_starts_anew() {
    let mut rig = Rig::owning(settings());
    rig.read_many(5, OnAmbiguous::Retry);
    rig.answer_sent(Class::Permanent);
    assert_eq!(rig.stops().len(), 1);
    let without = Settings { channels: vec![channel("alerts")], ..other_rules() };
    let through_alerts = Message { channel: channel("alerts"), ..message("ann") };
    rig.reconfigure_as(without, |_| deliver(vec![Ok(through_alerts.clone())]));
    rig.endure(10, &|_| Class::Accepted);
    assert_eq!(rig.held(), 0);
    rig.reconfigure(settings());
    rig.read_for(50, "zoe");
    let attempt = rig.sent_one();
    rig.answer(&attempt, Class::Permanent);
    assert!(rig.stops().is_empty(), "one failure is no fault of the channel");
}

#[test]
fn rules_that_spoil_what_is_held_are_braked_as_well() {
    let mut rig = Rig::owning(pausing_all(3));
    for offset in 0..10 {
        rig.read_for(offset, &format!("recipient {offset}"));
    }
    let spoilt = Settings { brake: 3, ..other_rules() };
    let bad = || Rejection { reason: Reason::RuleError, detail: String::new(), rule: None };
    rig.reconfigure_as(spoilt, |_| deliver(vec![Err(bad())]));
    assert_eq!(rig.letters().len(), 3);
    let partition = &rig.machine.status(rig.now).partitions[0];
    assert_eq!((partition.held, &*partition.paused), (10, &[PauseReason::Brake][..]));
}

fn pausing_all(brake: u32) -> Settings {
    let paused = super::pausing::pausing(crate::domain::paused::Pause::Channel).paused;
    Settings { brake, paused, ..settings() }
}

#[test]
fn another_rate_and_other_bounds_hold_at_once() {
    let mut rig = Rig::owning(settings());
    for offset in 0..40 {
        rig.read_for(offset, &format!("recipient {offset}"));
    }
    assert_eq!(rig.sent().len(), 16);
    rig.reconfigure(Settings { held_records: 10, ..settings() });
    assert!(rig.asked_to(&Effect::Pause(source(0))));
    rig.reconfigure(Settings { max_in_flight: 20, ..settings() });
    assert!(rig.asked_to(&Effect::Resume(source(0))));
    let rate = rig.machine.status(rig.now).channels[0].rate;
    rig.reconfigure(Settings { requests_per_second: 5.0, ..settings() });
    assert!((rate - 1_000_000.0).abs() < 1.0);
    assert!((rig.machine.status(rig.now).channels[0].rate - 5.0).abs() < 0.1);
}

/// As an operator stops a topic because of a wrong text.
#[rstest]
#[case::behind_an_older_message(false)]
#[case::between_two_attempts(true)]
fn the_rest_of_an_event_goes_out_corrected_once_its_topic_is_not_paused_any_more(
    #[case] tried: bool,
) {
    let decide = |text: &'static str| {
        move |offset| match offset {
            0 => deliver(vec![Ok(by("shipped", "bob", "first"))]),
            _ => deliver(vec![Ok(by("shipped", "ann", text)), Ok(by("points", "bob", text))]),
        }
    };
    let mut rig = Rig::owning(settings());
    let offsets = if tried { 1..2 } else { 0..2 };
    for offset in offsets {
        rig.read(offset, decide("wrong")(offset));
    }
    let sent = rig.sent();
    assert_eq!(sent.len(), 2);
    let (to_ann, to_bob): (Vec<_>, Vec<_>) =
        sent.into_iter().partition(|sent| sent.message.recipient == message("ann").recipient);
    rig.answer(&to_ann[0], Class::Accepted);
    if tried {
        rig.answer(&to_bob[0], Class::NotApplied(NotApplied::RateLimited));
    }
    let paused = || super::pausing::pausing(Pause::Topic).paused;
    rig.reconfigure_as(Settings { paused: paused(), ..settings() }, decide("wrong"));
    rig.reconfigure_as(Settings { paused: paused(), ..other_rules() }, decide("corrected"));
    rig.reconfigure_as(other_rules(), decide("corrected"));
    if !tried {
        rig.answer(&to_bob[0], Class::Accepted);
    }
    rig.pass(Duration::from_mins(1));
    assert_eq!(texts(&mut rig), [(1, "corrected".to_owned())]);
}

/// The brake holds back what has not begun, and no more.
#[test]
fn what_comes_back_from_the_wire_behind_a_brake_is_made_anew_as_well() {
    let old = Settings { brake: 3, ..settings() };
    let new = Settings { brake: 3, ..other_rules() };
    let decide = |text: &'static str| {
        move |offset| match offset {
            0 => deliver(vec![Ok(by("shipped", "ann", text)), Ok(by("points", "bob", text))]),
            _ => reject(Reason::Schema),
        }
    };
    let mut rig = Rig::owning(old);
    rig.read(0, decide("wrong")(0));
    let sent = rig.sent();
    rig.answer(&sent[0], Class::Accepted);
    rig.reconfigure_as(new, decide("corrected"));
    for offset in 1..9 {
        rig.read(offset, reject(Reason::Schema));
    }
    let status = rig.machine.status(rig.now);
    assert_eq!(status.partitions[0].paused, [PauseReason::Brake]);
    rig.answer(&sent[1], Class::NotApplied(NotApplied::RateLimited));
    rig.pass(Duration::from_secs(30));
    assert_eq!(texts(&mut rig), [(0, "corrected".to_owned())]);
}

/// All that an event is made into is sent, but for one message, and that one fails.
#[rstest]
#[case::refused(Class::Permanent, 2, 1)]
#[case::throttled(Class::NotApplied(NotApplied::RateLimited), 30, 0)]
#[case::unreachable(Class::NotApplied(NotApplied::Unreachable), 30, 0)]
fn what_was_made_anew_is_tried_as_any_other(
    #[case] class: Class,
    #[case] most: usize,
    #[case] letters: usize,
    #[values(1, 2)] failing: usize,
    #[values(false, true)] braked: bool,
) {
    let decide = |text: &'static str| {
        move |offset| match offset {
            0 => {
                let others = ["bob", "cid"].into_iter().zip(["points", "coupon"]).take(failing);
                let others = others.map(|(name, rule)| Ok(by(rule, name, text)));
                deliver([Ok(by("shipped", "ann", text))].into_iter().chain(others).collect())
            }
            _ => reject(Reason::Schema),
        }
    };
    let mut rig = Rig::owning(Settings { brake: 3, ..settings() });
    rig.read(0, decide("wrong")(0));
    let sent = rig.sent();
    rig.answer(&sent[0], Class::Accepted);
    rig.reconfigure_as(Settings { brake: 3, ..other_rules() }, decide("corrected"));
    let bad = if braked { 1..9 } else { 1..1 };
    for offset in bad {
        rig.read(offset, reject(Reason::Schema));
    }
    let before = rig.letters();
    for (letter, _) in &before {
        rig.acknowledge(*letter, true);
    }
    for attempt in &sent[1..] {
        rig.answer(attempt, class);
    }
    let (tried, set_aside) = rig.endure(120, &|_| class);
    assert!(!tried.is_empty() && tried.len() <= most * failing, "{} attempts", tried.len());
    assert_eq!(set_aside, letters * failing);
}
