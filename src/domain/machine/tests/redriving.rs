//! Dead letters on their second way through the machine.

use std::sync::Arc;
use std::time::Duration;

use rstest::rstest;

use super::rig::{Rig, deliver, message, record, reject, settings, source};
use crate::domain::dead_letter::Reason;
use crate::domain::machine::{Effect, Report};
use crate::domain::message::{Decision, Message, OnAmbiguous, Redrive};
use crate::domain::outcome::{Ambiguity, Class, NotApplied};
use crate::domain::record::{Record, RecordOffset, TopicPartition};

/// An event of `payments[4]@70`, redriven for the second time.
fn redriven(decision: Decision) -> Decision {
    let payments = TopicPartition { topic: "payments".into(), partition: 4 };
    let offset = RecordOffset(70);
    let original = Arc::new(Record { source: payments, offset, ..(*record(0, 0)).clone() });
    let redrive = Redrive { original, redrives: 2, may_repeat: false };
    Decision { redrive: Some(redrive), ..decision }
}

#[test]
fn the_delivery_is_that_of_the_original_and_the_commit_that_of_the_redrive_topic() {
    let mut rig = Rig::owning(settings());
    rig.read(0, redriven(deliver(vec![Ok(message("ann"))])));
    let attempt = rig.sent_one();
    assert_eq!((&*attempt.source.topic, attempt.source.partition), ("payments", 4));
    assert_eq!(attempt.offset, RecordOffset(70));
    rig.answer(&attempt, Class::Accepted);
    let reports = rig.reports().into_iter();
    let topics = reports.filter_map(|report| {
        let (Report::Settled { topic, .. } | Report::Accepted { topic, .. }) = report else {
            return None;
        };
        Some(topic)
    });
    let topics: Vec<_> = topics.collect();
    assert_eq!(topics.len(), 2);
    assert!(topics.iter().all(|topic| **topic == *source(0).topic), "a closed set of labels");
    assert_eq!(rig.commit_all(), Some((1, String::new())));
}

#[test]
fn what_fails_again_is_set_aside_where_it_came_from_first() {
    let mut rig = Rig::owning(settings());
    let mut decision = redriven(reject(Reason::Schema));
    decision.redrive = decision.redrive.map(|redrive| Redrive { may_repeat: true, ..redrive });
    rig.read(0, decision);
    let effects = rig.effects.iter();
    let letters: Vec<_> = effects
        .filter_map(|effect| {
            let Effect::DeadLetter { content, .. } = effect else { return None };
            Some(Arc::clone(content))
        })
        .collect();
    let [letter] = letters.as_slice() else { panic!("{letters:?}") };
    let headers = letter.headers("g", "v");
    let told = |name: &str| {
        let found = headers.iter().find(|(header, _)| header == name);
        found.map(|(_, value)| value.as_str())
    };
    assert_eq!(told("line-bridge-topic"), Some("payments"));
    assert_eq!(told("line-bridge-offset"), Some("70"));
    assert_eq!(told("line-bridge-redrives"), Some("2"));
    assert_eq!(told("line-bridge-may-repeat"), Some("true"), "its customer may have it still");
    let (id, _) = rig.letters()[0];
    rig.acknowledge(id, true);
    let place = rig.reports().into_iter().find_map(|report| {
        let Report::DeadLettered { source, offset, .. } = report else { return None };
        Some((source, offset))
    });
    assert_eq!(place, Some((source(0), RecordOffset(0))));
}

#[test]
fn bad_events_that_are_redriven_do_not_pull_the_brake() {
    let mut rig = Rig::owning(settings());
    for offset in 0..200 {
        rig.read(offset, redriven(reject(Reason::Schema)));
    }
    assert_eq!(rig.letters().len(), 200);
    assert!(!rig.reports().iter().any(|report| matches!(report, Report::Paused { .. })));
}

#[test]
fn what_is_refused_again_does_not_stop_the_channel() {
    let mut rig = Rig::owning(settings());
    for offset in 0..10 {
        let recipient = format!("{offset}");
        rig.read(offset, redriven(deliver(vec![Ok(message(&recipient))])));
    }
    rig.answer_sent(Class::Permanent);
    assert_eq!(rig.letters().len(), 10, "each is set aside again, and at once");
    assert!(!rig.reports().iter().any(|report| matches!(report, Report::Stopped { .. })));
}

#[test]
fn an_outage_stops_the_channel_and_spends_no_redrive() {
    let mut rig = Rig::owning(settings());
    for offset in 0..10 {
        let recipient = format!("{offset}");
        let on_ambiguous = OnAmbiguous::DeadLetter;
        let message = Message { on_ambiguous, ..message(&recipient) };
        rig.read(offset, redriven(deliver(vec![Ok(message)])));
    }
    rig.answer_sent(Class::Ambiguous(Ambiguity::ServerError));
    assert!(rig.letters().is_empty());
    assert!(rig.reports().iter().any(|report| matches!(report, Report::Stopped { .. })));
}

#[rstest]
#[case::nobody_knows_whether_the_customer_has_it(true, 1)]
#[case::it_was_plainly_refused(false, 0)]
fn what_may_repeat_a_message_is_counted_once(#[case] may_repeat: bool, #[case] counted: usize) {
    let mut rig = Rig::owning(settings());
    let mut decision = redriven(deliver(vec![Ok(message("ann"))]));
    if let Some(redrive) = &mut decision.redrive {
        redrive.may_repeat = may_repeat;
    }
    rig.read(0, decision);
    let attempt = rig.sent_one();
    rig.answer(&attempt, Class::NotApplied(NotApplied::Unreachable));
    rig.pass(Duration::from_mins(1));
    let attempt = rig.sent_one();
    rig.answer(&attempt, Class::Accepted);
    let reports = rig.reports().into_iter();
    let repeats = reports.filter(|report| matches!(report, Report::PossibleDuplicate { .. }));
    assert_eq!(repeats.count(), counted);
}
