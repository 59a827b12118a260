//! Where a partition that the group gives is read from.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use rdkafka::TopicPartitionList;
use rdkafka::consumer::{CommitMode, Consumer as _};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::metadata::MetadataTopic;
use rdkafka::topic_partition_list::{Offset, TopicPartitionListElem};

use super::super::foreign;
use super::super::rights::missing;
use super::super::settings::{Protocol, Start};
use super::{Assigned, Member, READ, list};
use crate::domain::machine::Assignment;
use crate::domain::ports::LogEvent;
use crate::domain::record::{CommitOffset, Epoch, TopicPartition};

/// How long the broker may take to answer a question about offsets.
const ANSWER: Duration = Duration::from_secs(10);

/// Between two tries to find out where to begin.
const AGAIN: Duration = Duration::from_secs(1);

#[derive(Clone, Debug)]
struct Position {
    offset: CommitOffset,
    /// None where the group has not committed yet.
    metadata: Option<String>,
}

/// How long the member that has a topic's first partition gets to commit where the group starts,
/// before another one does so.
const FIRST_MEMBER: Duration = Duration::from_secs(10);

/// How long a topic may be unknown to the brokers that are asked before it counts as deleted: those
/// that have not heard yet of a new one say the same.
const DELETED_AFTER: Duration = Duration::from_secs(5);

/// Why it is not known where to begin.
#[derive(Debug, thiserror::Error)]
enum Unknown {
    #[error(transparent)]
    Kafka(#[from] KafkaError),
    #[error("the member that has the first partition of `{0}` commits where the group starts")]
    NotBegun(Arc<str>),
    #[error("the broker that was asked does not know {0} yet")]
    NoPartition(TopicPartition),
}

impl Unknown {
    fn grant(&self) -> Option<&'static str> {
        match self {
            Self::Kafka(error) => missing(error, READ),
            Self::NotBegun(_) | Self::NoPartition(_) => None,
        }
    }
}

type Positions = BTreeMap<TopicPartition, Position>;

impl Member {
    /// Answers an assignment. Where the committed offsets can't be had, the answer waits: reading
    /// from a guessed position would lose or repeat messages.
    pub(super) fn assign_what_waits(&mut self) {
        let (now, _) = self.now();
        if !self.assignment_waits || self.assign_not_before.is_some_and(|then| now < then) {
            return;
        }
        let sources = self.to_assign.clone();
        match self.positions(&sources).and_then(|positions| self.assign(&sources, &positions)) {
            Ok(()) => {
                self.to_assign.clear();
                self.assignment_waits = false;
            }
            // Nothing is read until the member has joined anew.
            Err(Unknown::Kafka(error)) if is_fenced(&error) => {
                tracing::warn!(%error, "the group has moved on without this member");
                self.to_assign.clear();
                self.assignment_waits = false;
                if let Err(error) = self.consumer.incremental_assign(&TopicPartitionList::new()) {
                    tracing::warn!(%error, "the group's assignment could not be answered");
                }
            }
            Err(error) => {
                tracing::warn!(%error, grant = error.grant(), "the offset to start from is not known yet; asking again");
                self.assign_not_before = Some(now + AGAIN);
            }
        }
    }

    fn assign(&mut self, sources: &[TopicPartition], positions: &Positions) -> Result<(), Unknown> {
        let mut list = TopicPartitionList::with_capacity(sources.len());
        let mut assignments = Vec::with_capacity(sources.len());
        for source in sources {
            let Some(Position { offset, metadata }) = positions.get(source).cloned() else {
                tracing::warn!(%source, "the topic has been deleted; it is not read");
                continue;
            };
            let raw = Offset::Offset(i64::try_from(offset.0).unwrap_or(i64::MAX));
            list.add_partition_offset(&source.topic, source.partition, raw)?;
            self.last_epoch += 1;
            let epoch = Epoch(self.last_epoch);
            let source = source.clone();
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
                since,
                seen_stopped: 0,
                seen_refused: 0,
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
        let can_be = self.protocol == Protocol::Consumer && !self.assignment_waits;
        if is_quiet && can_be && !self.has_joined {
            tracing::info!(
                "joined the group, without partitions: other members have them, perhaps a dead one whose session has not expired yet"
            );
            self.tell_assigned(Vec::new());
        }
    }

    /// Where to read each partition from: what is committed, or where the group is to start.
    fn positions(&mut self, sources: &[TopicPartition]) -> Result<Positions, Unknown> {
        let partitions = self.partitions(sources)?;
        self.partitions_in_all = partitions.values().map(Vec::len).sum();
        let topics: BTreeSet<_> = sources.iter().map(|source| &source.topic).collect();
        let of_topics = topics.into_iter().filter_map(|topic| partitions.get(topic)).flatten();
        let all: BTreeSet<_> = of_topics.chain(sources).cloned().collect();
        let known = self.committed(&Vec::from_iter(all))?;
        self.notice_what_is_gone(sources, &known);
        let known_of = |source: &TopicPartition| Some((source.clone(), known.get(source)?.clone()));
        let mut positions: Positions = sources.iter().filter_map(known_of).collect();
        let missing = sources.iter().filter(|source| !positions.contains_key(*source)).cloned();
        let missing: Vec<_> = missing.collect();
        let topics: BTreeSet<_> = missing.iter().map(|source| Arc::clone(&source.topic)).collect();
        for topic in topics {
            let of_topic = partitions.get(&topic).cloned().unwrap_or_default();
            let mut of_topic_missing = missing.iter().filter(|source| source.topic == topic);
            if let Some(new) = of_topic_missing.find(|source| !of_topic.contains(source))
                && (!of_topic.is_empty() || self.waited() < DELETED_AFTER)
            {
                return Err(Unknown::NoPartition(new.clone()));
            }
            if !known.keys().any(|known| known.topic == topic) {
                self.leave_it_to_the_first(sources, &of_topic)?;
                let begun = self.start_group(&of_topic)?;
                self.committed.extend(begun.iter().map(|(source, at)| (source.clone(), at.offset)));
                positions.extend(begun);
                continue;
            }
            // The group knows the topic, so these partitions were added later, and nobody has
            // read their first records.
            for source in missing.iter().filter(|source| source.topic == topic) {
                positions.insert(source.clone(), self.watermark(source, Start::Earliest)?);
            }
        }
        Ok(positions)
    }

    /// Kafka deletes a topic's commits with it. Where one of them is gone, or lower than it was, the
    /// topic is another one of the same name.
    fn notice_what_is_gone(&mut self, sources: &[TopicPartition], known: &Positions) {
        let of_topics =
            |(at, _): &(&TopicPartition, _)| sources.iter().any(|it| it.topic == at.topic);
        let before = self.committed.iter().filter(of_topics);
        let is_gone = |at: &TopicPartition, offset: CommitOffset| {
            known.get(at).is_none_or(|now| now.offset < offset)
        };
        for (at, _) in before.filter(|(at, offset)| is_gone(at, **offset)) {
            self.unread.forgotten(&at.topic);
        }
        self.committed.extend(known.iter().map(|(at, now)| (at.clone(), now.offset)));
    }

    /// Of members that join together, only one may commit where the group starts: a second one
    /// that is slower would commit over what the first one has settled since.
    fn leave_it_to_the_first(
        &self,
        sources: &[TopicPartition],
        of_topic: &[TopicPartition],
    ) -> Result<(), Unknown> {
        let Some(first) = of_topic.iter().min() else { return Ok(()) };
        let ours = sources.contains(first) || self.assigned.contains_key(first);
        if ours || self.waited() >= FIRST_MEMBER {
            return Ok(());
        }
        Err(Unknown::NotBegun(Arc::clone(&first.topic)))
    }

    /// How long the assignment has waited for its answer.
    fn waited(&self) -> Duration {
        self.now().0.saturating_sub(self.to_assign_since)
    }

    /// Where a group without commits starts. That is committed at once and for the whole topic:
    /// `latest` is when the group began, and not when a member happened to come back. A topic that
    /// this member has had before was deleted and made again: all that is in it has come since then.
    fn start_group(&self, sources: &[TopicPartition]) -> Result<Positions, KafkaError> {
        let mut positions = Positions::new();
        let mut list = TopicPartitionList::with_capacity(sources.len());
        for source in sources {
            let redrive = *self.redrive == *source.topic;
            let again = self.committed.keys().any(|known| known.topic == source.topic);
            let start = if redrive || again { Start::Earliest } else { self.start };
            let position = self.watermark(source, start)?;
            let raw = Offset::Offset(i64::try_from(position.offset.0).unwrap_or(i64::MAX));
            list.add_partition_offset(&source.topic, source.partition, raw)?;
            positions.insert(source.clone(), position);
        }
        if !sources.is_empty() {
            (self.turned)(self.longest_commit);
            // Were it read without, whoever has the other partitions would take them for new ones.
            self.consumer.commit(&list, CommitMode::Sync)?;
        }
        Ok(positions)
    }

    fn watermark(&self, source: &TopicPartition, end: Start) -> Result<Position, KafkaError> {
        let (low, high) =
            self.consumer.fetch_watermarks(&source.topic, source.partition, ANSWER)?;
        let offset = match end {
            Start::Earliest => low,
            Start::Latest => high,
        };
        let offset = CommitOffset(u64::try_from(offset).unwrap_or(0));
        Ok(Position { offset, metadata: None })
    }

    /// All partitions of the topics that the bridge reads; those of the sources' topics have to be
    /// known.
    fn partitions(
        &self,
        sources: &[TopicPartition],
    ) -> Result<BTreeMap<Arc<str>, Vec<TopicPartition>>, KafkaError> {
        let mut all = BTreeMap::new();
        for topic in &self.topics {
            let metadata = self.consumer.fetch_metadata(Some(topic), ANSWER)?;
            let wanted = sources.iter().any(|source| *source.topic == **topic);
            let errors = metadata.topics().iter().filter_map(MetadataTopic::error);
            for code in errors.map(RDKafkaErrorCode::from).filter(|_| wanted) {
                if code != RDKafkaErrorCode::UnknownTopicOrPartition {
                    return Err(KafkaError::MetadataFetch(code));
                }
            }
            let partitions = metadata.topics().iter().flat_map(MetadataTopic::partitions);
            let topic: Arc<str> = topic.as_str().into();
            let source = |partition: i32| TopicPartition { topic: Arc::clone(&topic), partition };
            let sources = partitions.map(|partition| source(partition.id())).collect();
            all.insert(Arc::clone(&topic), sources);
        }
        Ok(all)
    }

    fn committed(&self, sources: &[TopicPartition]) -> Result<Positions, KafkaError> {
        let committed = self.consumer.committed_offsets(list(sources), ANSWER)?;
        let mut positions = Positions::new();
        for element in committed.elements() {
            element.error()?;
            if let Offset::Offset(offset) = element.offset() {
                let topic = element.topic().into();
                let source = TopicPartition { topic, partition: element.partition() };
                let offset = CommitOffset(u64::try_from(offset).unwrap_or(0));
                let metadata = Some(metadata(&element));
                positions.insert(source, Position { offset, metadata });
            }
        }
        Ok(positions)
    }
}

/// Whether the group does not know this member, or knows it as another one, since a while.
fn is_fenced(error: &KafkaError) -> bool {
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

/// The metadata of a commit, which any program that has the right to commit may have written.
pub(in crate::kafka) fn metadata(element: &TopicPartitionListElem<'_>) -> String {
    foreign::read(|| element.metadata().to_owned()).unwrap_or_else(|| "not UTF-8".to_owned())
}
