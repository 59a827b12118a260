//! What of all that happens is worth a line in the log. No line has a text, a token, a recipient
//! or an event's value in it.

use std::time::Duration;

use crate::domain::dead_letter::DeadLetter;
use crate::domain::machine::{PauseReason, Report, Status};
use crate::domain::message::{Decision, Verdict};
use crate::domain::ports::LogEvent;
use crate::domain::record::{RecordOffset, TopicPartition};

pub(super) fn report(report: &Report) {
    match report {
        Report::DeadLettered { source, offset, content } => dead_letter(source, *offset, content),
        Report::HeldBack { source, held_back: true } => tracing::warn!(
            topic = &*source.topic,
            partition = source.partition,
            "the partition is held back: what it has sent can't be committed, so it continues one record at a time"
        ),
        Report::HeldBack { source, held_back: false } => tracing::info!(
            topic = &*source.topic,
            partition = source.partition,
            "the partition is no longer held back"
        ),
        Report::Stopped { channel, reason } => tracing::error!(
            channel = channel.as_deref().unwrap_or("all"),
            reason = reason.label(),
            "deliveries stopped: nothing is lost; the channel is probed until it works"
        ),
        Report::Resumed { channel, reason, after } => tracing::info!(
            channel = channel.as_deref().unwrap_or("all"),
            reason = reason.label(),
            seconds = after.as_secs(),
            "deliveries resumed"
        ),
        Report::Paused { source, reason } => tracing::error!(
            topic = &*source.topic,
            partition = source.partition,
            reason = reason.label(),
            "partition paused until {}",
            match reason {
                PauseReason::Brake =>
                    "its schema or its rules change, `delivery.brake` is raised, or a restart",
                PauseReason::OffsetOutOfRange =>
                    "its offset in the group is set anew, and a restart",
                PauseReason::Paused => "a restart",
            }
        ),
        Report::Reconfigured { decided_again, kept } => tracing::info!(
            decided_again,
            kept,
            "the changed configuration is in force; held records were decided again, except \
             those of which something has been sent"
        ),
        Report::MetadataIgnored { source, why } => tracing::warn!(
            topic = &*source.topic,
            partition = source.partition,
            %why,
            "the commit's metadata is ignored; messages that settled beyond the committed offset may be repeated"
        ),
        Report::CommitFailed { source } => tracing::warn!(
            topic = &*source.topic,
            partition = source.partition,
            "a commit failed; it will be retried"
        ),
        Report::Ambiguous { source, offset, rule, channel, doubt } => tracing::warn!(
            topic = &*source.topic,
            partition = source.partition,
            offset = offset.0,
            rule = &**rule,
            channel = &**channel,
            outcome = doubt.kind.label(),
            status = doubt.status,
            "ambiguous attempt: the customer may have the message"
        ),
        // The producer says why.
        Report::DeadLetterFailed
        | Report::Tracked { .. }
        | Report::SettledBefore { .. }
        | Report::Settled { .. }
        | Report::Started { .. }
        | Report::Accepted { .. }
        | Report::PossibleDuplicate { .. }
        | Report::Committed { .. } => {}
    }
}

fn dead_letter(source: &TopicPartition, offset: RecordOffset, content: &DeadLetter) {
    let DeadLetter { rejection, channel, tries, .. } = content;
    tracing::warn!(
        topic = &*source.topic,
        partition = source.partition,
        offset = offset.0,
        reason = rejection.reason.label(),
        detail = rejection.detail,
        rule = rejection.rule.as_deref(),
        channel = channel.as_deref(),
        attempts = tries.attempts,
        "dead letter"
    );
}

/// Whether the coordinator's silence has been told. The Kafka client does not tell it: it is connected,
/// and waits for an answer.
#[derive(Debug)]
pub(super) struct Silence {
    limit: Duration,
    told: bool,
}

impl Silence {
    pub(super) fn longer_than(limit: Duration) -> Self {
        Self { limit, told: false }
    }

    pub(super) fn look(&mut self, status: &Status) {
        let seconds = status.coordinator_silent.as_secs();
        match self.news(status.coordinator_silent, !status.partitions.is_empty()) {
            Some(true) => tracing::warn!(
                seconds,
                "the group's coordinator is silent: it can't be reached, or waits for a dead member's session to expire; commits are held up, and deliveries are or will be soon"
            ),
            Some(false) => tracing::info!("the group's coordinator answers again"),
            None => {}
        }
    }

    /// That it is silent, or is no longer. A member without partitions has nothing to wait for, but
    /// one that has lost them in that silence hears no sooner from it.
    fn news(&mut self, silent_for: Duration, owns_any: bool) -> Option<bool> {
        let silent = silent_for > self.limit && (owns_any || self.told);
        (std::mem::replace(&mut self.told, silent) != silent).then_some(silent)
    }
}

/// An operator who has redriven an event wants to know why nothing came of it.
pub(super) fn decision(decision: &Decision) {
    if let (Verdict::Skip(_), Some(redrive)) = (&decision.verdict, &decision.redrive) {
        let (source, offset) = (&redrive.original.source, redrive.original.offset);
        tracing::info!(
            topic = &*source.topic,
            partition = source.partition,
            offset = offset.0,
            "a redriven event is skipped: the rule it was set aside for (or, without one, every rule) no longer matches it"
        );
    }
}

pub(super) fn log_event(event: &LogEvent) {
    match event {
        // A rebalance that gives this member nothing more.
        LogEvent::Assigned { assignments, .. } if assignments.is_empty() => {}
        LogEvent::Assigned { assignments, .. } => {
            let sources = assignments.iter().map(|assignment| &assignment.source);
            tracing::info!(partitions = names(sources), "partitions assigned");
        }
        LogEvent::Revoked(sources) => {
            tracing::info!(
                partitions = names(sources),
                "partitions revoked; what is in flight settles first"
            );
        }
        LogEvent::Lost(sources) => {
            tracing::warn!(
                partitions = names(sources),
                "partitions lost; what was in flight may be repeated"
            );
        }
        LogEvent::Deleted(sources) => {
            tracing::warn!(
                partitions = names(sources),
                "the topic of these partitions was deleted; nothing more of it is sent"
            );
        }
        LogEvent::OutOfRange { source, position, log } => tracing::error!(
            topic = &*source.topic,
            partition = source.partition,
            position = position.0,
            log_start = log.map(|(start, _)| start),
            log_end = log.map(|(_, end)| end),
            "the committed offset is not in the log (records were deleted), or the topic was deleted and recreated: stop the bridge, \
             set the group's offset (kafka-consumer-groups.sh --reset-offsets), and start it. If the group has no offset, a restart alone \
             begins where `kafka.start` says"
        ),
        LogEvent::Fatal(why) => tracing::error!(why, "fatal error of the Kafka client"),
        // Its partitions are told as lost.
        LogEvent::Left | LogEvent::Records(_) | LogEvent::Committed(_) | LogEvent::Seen { .. } => {}
    }
}

fn names<'a>(sources: impl IntoIterator<Item = &'a TopicPartition>) -> String {
    sources.into_iter().map(ToString::to_string).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_silent_coordinator_is_told_once_and_once_more_when_it_is_heard() {
        let limit = Duration::from_secs(10);
        let mut silence = Silence::longer_than(limit);
        assert_eq!(silence.news(limit, true), None, "a heartbeat may be late");
        assert_eq!(silence.news(limit * 2, false), None, "nothing waits for it");
        assert_eq!(silence.news(limit * 2, true), Some(true));
        assert_eq!(silence.news(limit * 3, true), None, "told before");
        assert_eq!(silence.news(limit * 4, false), None, "the partitions are lost meanwhile");
        assert_eq!(silence.news(Duration::ZERO, true), Some(false));
        assert_eq!(silence.news(Duration::ZERO, true), None);
    }
}
