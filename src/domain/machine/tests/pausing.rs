//! Pauses: what the operator holds back waits, and nothing of it is spent.

use std::time::Duration;

use rstest::rstest;

use super::rig::{Rig, channel, deliver, message, reject, settings, source};
use crate::domain::dead_letter::Reason;
use crate::domain::gate::GateState;
use crate::domain::machine::{Assignment, Effect, Input, PauseReason, Settings, Waits};
use crate::domain::message::{Message, OnAmbiguous};
use crate::domain::outcome::{Ambiguity, Class, NotApplied, Scope, StopReason};
use crate::domain::paused::{Pause, Paused};
use crate::domain::record::{CommitOffset, Epoch};

const NO_ANSWER: Class = Class::Ambiguous(Ambiguity::NoAnswer);

pub(super) fn pausing(what: Pause) -> Settings {
    let mut paused = Paused::default();
    match what {
        Pause::Topic => drop(paused.topics.insert("orders".into())),
        Pause::Channel => drop(paused.channels.insert("support".into())),
        Pause::Rule => {
            drop(paused.rules.insert("orders".into(), ["shipped".into()].into()));
        }
    }
    Settings { paused, ..settings() }
}

fn waits(rig: &Rig) -> Option<Waits> {
    rig.machine.status(rig.now).partitions[0].oldest.as_ref().map(|oldest| oldest.waits)
}

#[rstest]
#[case::topic(Pause::Topic)]
#[case::rule(Pause::Rule)]
#[case::channel(Pause::Channel)]
fn what_is_paused_waits_and_goes_out_once_when_it_is_not_any_more(#[case] what: Pause) {
    let mut rig = Rig::owning(settings());
    rig.read_for(0, "ann");
    let on_the_wire = rig.sent_one();
    rig.read_for(1, "ann");
    rig.reconfigure(pausing(what));
    rig.read_for(2, "bob");
    rig.answer(&on_the_wire, Class::Accepted);
    rig.pass(Duration::from_hours(1));
    assert!(rig.sent().is_empty());
    assert_eq!((rig.held(), waits(&rig)), (2, Some(Waits::Paused(what))));
    rig.reconfigure(settings());
    let mut offsets = rig.sent_offsets();
    offsets.sort_unstable();
    assert_eq!(offsets, [1, 2]);
}

#[rstest]
#[case::rule(Pause::Rule)]
#[case::channel(Pause::Channel)]
fn only_its_deadline_ends_what_is_paused(#[case] what: Pause) {
    let mut rig = Rig::owning(pausing(what));
    rig.read_for(0, "ann");
    rig.pass(Duration::from_hours(24) - Duration::from_secs(1));
    assert!(rig.letters().is_empty());
    rig.pass(Duration::from_secs(1));
    assert_eq!(rig.letters()[0].1, Reason::Expired);
    assert!(rig.sent().is_empty());
}

/// A channel may be paused for days, and its messages expire within minutes.
#[test]
fn what_has_expired_at_a_paused_channel_is_forgotten() {
    let mut rig = Rig::owning(pausing(Pause::Channel));
    for offset in 0..2_000 {
        let deadline = rig.now.wall.plus(Duration::from_secs(10));
        let message = Message { deadline, ..message(&format!("r{offset}")) };
        rig.read(offset, deliver(vec![Ok(message)]));
        rig.pass(Duration::from_secs(1));
        for (letter, _) in rig.letters() {
            rig.acknowledge(letter, true);
        }
    }
    let queued: usize = rig.machine.gates.iter().map(|gate| gate.ready.len()).sum();
    assert!(rig.held() < 12 && queued < 100, "{} held, {queued} queued", rig.held());
}

#[test]
fn a_paused_topic_spends_no_dead_letter_either() {
    let mut rig = Rig::owning(pausing(Pause::Topic));
    rig.read(0, reject(Reason::Schema));
    rig.read(1, deliver(vec![Ok(message("ann")), Err(bad())]));
    assert!(rig.letters().is_empty());
    let status = rig.machine.status(rig.now);
    assert_eq!(status.partitions[0].paused, [PauseReason::Paused]);
    rig.reconfigure_as(settings(), |offset| match offset {
        0 => deliver(vec![Ok(message("ann"))]),
        _ => deliver(vec![Ok(message("ann")), Err(bad())]),
    });
    assert_eq!(rig.sent_offsets(), [0], "the second one waits for the first");
    assert_eq!(rig.letters().len(), 1);
}

#[test]
fn what_is_paused_does_not_count_towards_the_brake_with_each_reload() {
    let paused = || Settings { brake: 3, ..pausing(Pause::Topic) };
    let mut rig = Rig::owning(paused());
    rig.read(0, reject(Reason::Schema));
    for _ in 0..5 {
        rig.reconfigure_as(paused(), |_| reject(Reason::Schema));
    }
    rig.reconfigure_as(Settings { brake: 3, ..settings() }, |_| reject(Reason::Schema));
    assert_eq!(rig.letters().len(), 1);
    rig.read_for(1, "ann");
    assert_eq!(rig.sent_offsets(), [1], "nothing is braked");
}

fn bad() -> crate::domain::dead_letter::Rejection {
    crate::domain::dead_letter::Rejection {
        reason: Reason::RuleError,
        detail: String::new(),
        rule: Some("points".into()),
    }
}

#[test]
fn a_paused_rule_holds_its_recipients_later_messages_and_nobody_elses() {
    let mut rig = Rig::owning(pausing(Pause::Rule));
    let other = |recipient| Message { rule: "placed".into(), ..message(recipient) };
    rig.read_for(0, "ann");
    rig.read(1, deliver(vec![Ok(other("ann"))]));
    rig.read(2, deliver(vec![Ok(other("bob"))]));
    assert_eq!(rig.sent_offsets(), [2]);
    rig.reconfigure(settings());
    let first = rig.sent_one();
    assert_eq!(first.offset.0, 0);
    rig.answer(&first, Class::Accepted);
    assert_eq!(rig.sent_offsets(), [1]);
}

#[test]
fn a_paused_channel_is_not_probed_and_is_as_soon_as_it_is_not_paused() {
    let mut rig = Rig::owning(settings());
    rig.read_for(0, "ann");
    let sent = rig.sent_one();
    rig.answer(&sent, Class::Stop(Scope::Channel, StopReason::Forbidden));
    rig.reconfigure(pausing(Pause::Channel));
    rig.pass(Duration::from_hours(1));
    assert!(!rig.asked_to(&Effect::List));
    assert_eq!(rig.machine.status(rig.now).channels[0].state, GateState::Paused);
    rig.reconfigure(settings());
    assert!(rig.asked_to(&Effect::List));
    rig.list(&["support"]);
    let probe = rig.sent_one();
    rig.answer(&probe, Class::Accepted);
    assert_eq!(rig.machine.status(rig.now).channels[0].state, GateState::Open);
}

#[rstest]
#[case::rule(Pause::Rule)]
#[case::channel(Pause::Channel)]
fn the_time_of_a_pause_does_not_count_towards_max_elapsed(#[case] what: Pause) {
    let mut rig = Rig::owning(settings());
    rig.read_for(0, "ann");
    let sent = rig.sent_one();
    rig.answer(&sent, NO_ANSWER);
    rig.reconfigure(pausing(what));
    rig.pass(Duration::from_hours(2));
    rig.reconfigure(settings());
    let again = rig.sent_one();
    rig.answer(&again, NO_ANSWER);
    assert!(rig.letters().is_empty());
    rig.pass(Duration::from_mins(1));
    assert_eq!(rig.sent_offsets(), [0]);
}

#[rstest]
#[case::topic(Pause::Topic)]
#[case::rule(Pause::Rule)]
#[case::channel(Pause::Channel)]
fn a_held_verdict_is_not_spent_during_a_pause(#[case] what: Pause) {
    let mut rig = Rig::owning(settings());
    let message = Message { on_ambiguous: OnAmbiguous::DeadLetter, ..message("ann") };
    rig.read(0, deliver(vec![Ok(message)]));
    let sent = rig.sent_one();
    rig.answer(&sent, NO_ANSWER);
    rig.reconfigure(pausing(what));
    rig.pass(Duration::from_hours(1));
    assert!(rig.letters().is_empty());
    rig.reconfigure(settings());
    rig.pass(Duration::from_secs(29));
    assert!(rig.letters().is_empty());
    rig.pass(Duration::from_secs(1));
    assert_eq!(rig.letters()[0].1, Reason::Ambiguous);
}

#[rstest]
#[case::refused(Class::Permanent, None)]
#[case::ambiguous(NO_ANSWER, Some(Reason::Ambiguous))]
fn of_a_partition_that_leaves_a_refusal_of_what_is_paused_is_left_to_the_next_owner(
    #[case] class: Class,
    #[case] letter: Option<Reason>,
) {
    let mut rig = Rig::owning(settings());
    let message = Message { on_ambiguous: OnAmbiguous::DeadLetter, ..message("ann") };
    rig.read(0, deliver(vec![Ok(message)]));
    let sent = rig.sent_one();
    rig.answer(&sent, class);
    rig.reconfigure(pausing(Pause::Rule));
    rig.input(Input::Revoked(vec![source(0)]));
    assert_eq!(rig.letters().first().map(|(_, reason)| *reason), letter);
}

#[test]
fn what_comes_back_from_the_wire_into_a_pause_waits_there() {
    let mut rig = Rig::owning(settings());
    rig.read_for(0, "ann");
    let sent = rig.sent_one();
    rig.reconfigure(pausing(Pause::Rule));
    rig.answer(&sent, Class::NotApplied(NotApplied::RateLimited));
    rig.pass(Duration::from_hours(1));
    assert!(rig.sent().is_empty());
    rig.reconfigure(settings());
    assert_eq!(rig.sent_offsets(), [0]);
}

#[test]
fn a_pause_of_one_channel_leaves_the_others_alone() {
    let mut rig = Rig::owning(pausing(Pause::Channel));
    rig.read_for(0, "ann");
    let alert = Message { channel: channel("alerts"), ..message("ann") };
    rig.read(1, deliver(vec![Ok(alert)]));
    assert_eq!(rig.sent_offsets(), [1]);
}

#[test]
fn the_brake_does_not_take_the_place_of_an_offset_out_of_range() {
    let assigned = |partition, epoch| Assignment {
        source: source(partition),
        epoch: Epoch(epoch),
        position: CommitOffset(0),
        metadata: Some(String::new()),
    };
    let mut settings = Settings { brake: 2, ..settings() };
    let mut rig = Rig::new(settings.clone());
    let assignments = vec![assigned(0, 0), assigned(1, 1)];
    rig.input(Input::Assigned { assignments, partitions_in_all: 2 });
    rig.input(Input::OutOfRange(source(1)));
    for offset in 0..2 {
        rig.read(offset, reject(Reason::Schema));
    }
    let paused = |rig: &Rig| {
        let partitions = rig.machine.status(rig.now).partitions;
        partitions.iter().map(|partition| partition.paused.clone()).collect::<Vec<_>>()
    };
    let (brake, out_of_range) = (PauseReason::Brake, PauseReason::OffsetOutOfRange);
    assert_eq!(paused(&rig), [vec![brake], vec![out_of_range]]);
    let by_operator = pausing(Pause::Topic).paused;
    rig.reconfigure(Settings { paused: by_operator, ..settings.clone() });
    let both = |reason| vec![reason, PauseReason::Paused];
    assert_eq!(paused(&rig), [both(brake), both(out_of_range)]);
    settings.schemas = [("orders".into(), 2)].into();
    rig.reconfigure(settings);
    assert_eq!(paused(&rig), [vec![], vec![out_of_range]]);
}
