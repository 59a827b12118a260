//! What the driver reports, turned into figures.

use std::collections::BTreeSet;
use std::sync::PoisonError;
use std::time::Duration;

use super::{Metrics, PAUSES, Positions};
use crate::domain::clock::{Moment, Timestamp};
use crate::domain::machine::{Report, Status};
use crate::domain::outcome::{Outcome, StopReason};
use crate::domain::ports::{LogEvent, Observe};

impl Observe for Metrics {
    fn report(&self, report: &Report) {
        let Metrics { records, attempts, group, .. } = self;
        match report {
            Report::Tracked { topic } => records.read.with_label_values(&[topic]).inc(),
            Report::Settled { topic, settled } => {
                records.settled.with_label_values(&[&**topic, settled.label()]).inc();
            }
            Report::Started { waited } => attempts.gate_wait.observe(waited.as_secs_f64()),
            Report::Accepted { topic, age } => {
                records.event_age.with_label_values(&[topic]).observe(age.as_secs_f64());
            }
            Report::Ambiguous { source, rule, .. } => {
                attempts.ambiguous.with_label_values(&[&source.topic, rule]).inc();
            }
            Report::PossibleDuplicate { topic } => {
                attempts.possible_duplicates.with_label_values(&[topic]).inc();
            }
            Report::DeadLettered { source, content, .. } => {
                let reason = content.rejection.reason;
                records.dead_letters.with_label_values(&[&*source.topic, reason.label()]).inc();
            }
            Report::DeadLetterFailed => records.dead_letter_failures.inc(),
            Report::Stopped { channel, reason } => {
                let channel = channel.as_deref().unwrap_or("all");
                attempts.stops.with_label_values(&[channel, reason.label()]).inc();
            }
            Report::Committed { partitions } => {
                group.commits.with_label_values(&["ok"]).inc_by(*partitions as u64);
            }
            Report::CommitFailed { .. } => group.commits.with_label_values(&["failed"]).inc(),
            Report::Paused { .. }
            | Report::HeldBack { .. }
            | Report::SettledBefore { .. }
            | Report::Resumed { .. }
            | Report::Reconfigured { .. }
            | Report::MetadataIgnored { .. } => {}
        }
    }

    fn attempted(&self, channel: &str, outcome: &Outcome, took: Duration, now: Moment) {
        let attempts = &self.attempts;
        attempts.made.with_label_values(&[channel, outcome.label()]).inc();
        attempts.duration.with_label_values(&[channel]).observe(took.as_secs_f64());
        let mut answers = self.answers.lock().unwrap_or_else(PoisonError::into_inner);
        answers.note(channel, outcome, took, now.elapsed);
    }

    fn gauges(&self, status: &Status, now: Moment) {
        *self.status.lock().unwrap_or_else(PoisonError::into_inner) = status.clone();
        let Metrics { records, attempts, group, topics, .. } = self;
        attempts.in_flight.set(count(status.in_flight));
        group.coordinator_silent.set(status.coordinator_silent.as_secs_f64());
        for channel in &status.channels {
            attempts.gate_state.with_label_values(&[&channel.name]).set(channel.state as i64);
            for reason in StopReason::ALL {
                let stopped = channel.stopped.is_some_and(|(why, _)| why == reason);
                let labels = [&*channel.name, reason.label()];
                attempts.stopped.with_label_values(&labels).set(i64::from(stopped));
            }
        }
        let mut positions = self.positions();
        for partition in &status.partitions {
            positions.paused(&partition.source, !partition.paused.is_empty(), group);
        }
        drop(positions);
        for topic in topics {
            let of_topic = || status.partitions.iter().filter(|p| *p.source.topic == **topic);
            let held = of_topic().map(|partition| partition.held).sum();
            records.held.with_label_values(&[topic]).set(count(held));
            let oldest =
                of_topic().filter_map(|partition| Some(partition.oldest.as_ref()?.event_time));
            let age = |at: Timestamp| now.wall.since(at).as_secs_f64();
            let age = oldest.min().map_or(0.0, age);
            records.oldest_unsettled_age.with_label_values(&[topic]).set(age);
            let paused: BTreeSet<_> = of_topic().flat_map(|partition| &partition.paused).collect();
            for reason in PAUSES {
                let labels = [topic.as_str(), reason.label()];
                records.paused.with_label_values(&labels).set(i64::from(paused.contains(&reason)));
            }
        }
    }

    fn log(&self, event: &LogEvent) {
        let rebalanced = |kind: &str| self.group.rebalances.with_label_values(&[kind]).inc();
        let group = &self.group;
        match event {
            LogEvent::Assigned { assignments, .. } => {
                self.health.joined();
                rebalanced("assigned");
                let mut positions = self.positions();
                for assignment in assignments {
                    positions.begin(&assignment.source, assignment.position.0, group);
                }
            }
            LogEvent::Revoked(sources) | LogEvent::Lost(sources) => {
                let lost = matches!(event, LogEvent::Lost(_));
                rebalanced(if lost { "lost" } else { "revoked" });
                let mut positions = self.positions();
                for source in sources {
                    positions.forget(source, group);
                }
            }
            LogEvent::Committed(results) => {
                let mut positions = self.positions();
                for (request, _) in results.iter().filter(|(_, result)| result.is_ok()) {
                    positions.committed(&request.source, request.offset.0, group);
                }
            }
            LogEvent::Seen { ends, unread, .. } => {
                let mut positions = self.positions();
                for (source, end) in ends {
                    positions.ends(source, *end, group);
                }
                positions.unread.clone_from(unread);
                for topic in &self.topics {
                    let of_topic = unread.iter().filter(|source| *source.topic == **topic);
                    self.records.unread.with_label_values(&[topic]).set(count(of_topic.count()));
                }
            }
            LogEvent::Left => self.health.left(),
            LogEvent::Records(_)
            | LogEvent::Deleted(_)
            | LogEvent::OutOfRange { .. }
            | LogEvent::Fatal(_) => {}
        }
    }

    fn turned(&self, now: Moment) {
        self.health.driven(now);
    }
}

impl Metrics {
    fn positions(&self) -> std::sync::MutexGuard<'_, Positions> {
        self.positions.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn count(number: usize) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}
