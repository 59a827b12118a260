//! Partitions that the group gives, assigned once it is known where to read them from.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use rdkafka::TopicPartitionList;
use rdkafka::consumer::Consumer as _;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::topic_partition_list::Offset;

use super::super::settings::Protocol;
use super::positions::{FIRST_MEMBER, Position, Positions, Unknown};
use super::{Assigned, Member, unread};
use crate::domain::machine::Assignment;
use crate::domain::ports::LogEvent;
use crate::domain::record::{Epoch, TopicPartition};

/// Between two attempts to find out where to begin.
const AGAIN: Duration = Duration::from_secs(1);

/// The same for partitions that are left over: the others are being read, and wait for the answer.
const AGAIN_LATER: Duration = Duration::from_secs(5);

/// So long nobody is alarmed by partitions of which it is not known where to begin: the member with a
/// topic's first one may have to tell it.
const LONG: Duration = Duration::from_secs(16);

/// Between two log lines of the same.
const TOLD: Duration = Duration::from_mins(1);

impl Member {
    /// Answers an assignment. While the committed offsets can't be had, the answer waits: reading
    /// from a guessed position would lose or repeat messages. What concerns one topic alone does not
    /// keep it back, for until it comes no partition is read and no other member let in: such a
    /// partition is left over, and added when its position is known.
    pub(super) fn assign_what_waits(&mut self) {
        let (now, _) = self.now();
        let nothing_waits = !self.assignment_waits && self.to_assign.is_empty();
        if nothing_waits || self.assign_not_before.is_some_and(|then| now < then) {
            return;
        }
        let sources = self.to_assign.clone();
        let assigned = self.positions(&sources).and_then(|found| {
            self.assign(&found.positions)?;
            Ok(found)
        });
        // The questions may have taken long.
        let (now, _) = self.now();
        match assigned {
            Ok(found) => {
                self.assignment_waits = false;
                self.to_assign.retain(|source| !found.positions.contains_key(source));
                let soon = self.waited() < FIRST_MEMBER;
                self.assign_not_before = Some(now + if soon { AGAIN } else { AGAIN_LATER });
                self.tell_unknown(&found.unknown);
            }
            // Nothing is read until the member has joined anew.
            Err(Unknown::Kafka(error)) if is_fenced(&error) => {
                tracing::warn!(%error, "the group's generation has changed without this member; rejoining");
                self.assign_not_before = Some(now + AGAIN);
                // What is left over of an earlier assignment may still be its own: it is asked for
                // again, unless it is taken away.
                if std::mem::take(&mut self.assignment_waits) {
                    self.to_assign.clear();
                    let nothing = TopicPartitionList::new();
                    if let Err(error) = self.consumer.incremental_assign(&nothing) {
                        tracing::warn!(%error, "the group's assignment could not be answered");
                    }
                }
            }
            Err(error) => {
                tracing::warn!(%error, grant = error.grant(), "the offset to start from is not known yet; retrying");
                let again = if self.assignment_waits { AGAIN } else { AGAIN_LATER };
                self.assign_not_before = Some(now + again);
            }
        }
    }

    /// Says why partitions are left over, once a minute.
    fn tell_unknown(&mut self, unknown: &BTreeMap<Arc<str>, Unknown>) {
        let (now, _) = self.now();
        for (topic, why) in unknown {
            let said = why.to_string();
            let is_new = |(before, at): &(String, Duration)| *before != said || now >= *at + TOLD;
            if self.told_unknown.get(topic).is_none_or(is_new) {
                tracing::warn!(
                    %topic,
                    error = said,
                    grant = why.grant(),
                    "the offset to start from is not known yet; this topic's partitions will be read once it is"
                );
                self.told_unknown.insert(Arc::clone(topic), (said, now));
            }
        }
        self.told_unknown.retain(|topic, _| unknown.contains_key(topic));
    }

    fn assign(&mut self, positions: &Positions) -> Result<(), Unknown> {
        if positions.is_empty() && !self.to_assign.is_empty() {
            if self.assignment_waits {
                self.consumer.incremental_assign(&TopicPartitionList::new())?;
                self.tell_assigned(Vec::new());
            }
            return Ok(());
        }
        let mut list = TopicPartitionList::with_capacity(positions.len());
        let mut assignments = Vec::with_capacity(positions.len());
        for (source, Position { offset, metadata }) in positions.clone() {
            let raw = Offset::Offset(i64::try_from(offset.0).unwrap_or(i64::MAX));
            list.add_partition_offset(&source.topic, source.partition, raw)?;
            self.last_epoch += 1;
            let epoch = Epoch(self.last_epoch);
            assignments.push(Assignment { source, epoch, position: offset, metadata });
        }
        self.consumer.incremental_assign(&list)?;
        let (since, _) = self.now();
        for Assignment { source, epoch, position, .. } in &assignments {
            let topic = Arc::clone(&source.topic);
            let (epoch, next) = (*epoch, *position);
            let assigned = Assigned {
                topic,
                epoch,
                next,
                reached: 0,
                since,
                seen_stopped: 0,
                seen_refused: 0,
                seen_unread: 0,
                seen_refused_watched: 0,
                watched: 0,
                paused: false,
            };
            self.assigned.insert(source.clone(), assigned);
        }
        self.tell_assigned(assignments);
        Ok(())
    }

    fn tell_assigned(&mut self, assignments: Vec<Assignment>) {
        self.has_joined = true;
        let partitions_in_all = self.partitions_in_all;
        self.tell(LogEvent::Assigned { assignments, partitions_in_all });
    }

    /// Under the consumer protocol librdkafka says nothing to a member that gets no partitions. It has
    /// joined where the coordinator has answered all, and nothing was asked for as long as statistics
    /// take: a heartbeat that was refused is sent again within a second, the next one after five.
    pub(super) fn join_without_partitions(&mut self, requests: Option<u64>) {
        let before = std::mem::replace(&mut self.requests, requests);
        let is_quiet = requests.is_some() && requests == before;
        let nothing_waits = !self.assignment_waits && self.to_assign.is_empty();
        let can_be = self.protocol == Protocol::Consumer && nothing_waits;
        if is_quiet && can_be && !self.has_joined {
            tracing::info!(
                "joined the group, without partitions: other members own them, possibly a dead one whose session has not expired yet"
            );
            self.tell_assigned(Vec::new());
        }
    }

    /// The member's partitions that are not read although they are not paused.
    pub(super) fn unread(&mut self) -> Vec<TopicPartition> {
        let (now, _) = self.now();
        let mut unread = unread::unread(&self.assigned);
        // Another assignment, such as of a partition that comes in addition, is no reason to wait anew.
        let left_over = (!self.to_assign.is_empty()).then_some(now);
        self.left_over_since = left_over.map(|now| self.left_over_since.unwrap_or(now));
        if self.left_over_since.is_some_and(|since| now >= since + LONG) {
            unread.extend_from_slice(&self.to_assign);
        }
        unread
    }

    /// How long the assignment has waited for its answer.
    fn waited(&self) -> Duration {
        self.now().0.saturating_sub(self.to_assign_since)
    }
}

/// Whether the group does not know this member, or knows it as another one, since a while.
pub(super) fn is_fenced(error: &KafkaError) -> bool {
    matches!(
        error.rdkafka_error_code(),
        Some(
            RDKafkaErrorCode::UnknownMemberId
                | RDKafkaErrorCode::IllegalGeneration
                | RDKafkaErrorCode::FencedInstanceId
                | RDKafkaErrorCode::FencedMemberEpoch
        )
    )
}
