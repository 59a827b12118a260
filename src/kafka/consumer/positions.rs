//! Where partitions are read from: what is committed, or where the group is to start.

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
use super::assignment::is_fenced;
use super::{Member, READ, list};
use crate::domain::ports::Start;
use crate::domain::record::{CommitOffset, TopicPartition};

/// How long the broker may take to answer a question about offsets.
const ANSWER: Duration = Duration::from_secs(10);

/// The same for partitions that are left over: the others are being read, and wait for the answer.
pub(super) const ANSWER_LATER: Duration = Duration::from_secs(2);

/// How long the member that has a topic's first partition gets to commit where the group starts,
/// before another one does so.
pub(super) const FIRST_MEMBER: Duration = Duration::from_secs(10);

#[derive(Clone, Debug)]
pub(super) struct Position {
    pub(super) offset: CommitOffset,
    /// None where the group has not committed yet.
    pub(super) metadata: Option<String>,
}

/// Why it is not known where to begin.
#[derive(Debug, thiserror::Error)]
pub(super) enum Unknown {
    #[error(transparent)]
    Kafka(#[from] KafkaError),
    #[error("the member that has the first partition of `{0}` commits where the group starts")]
    NotBegun(Arc<str>),
    /// Brokers that have not heard yet of a new topic say the same as of a deleted one.
    #[error("{0} does not exist, or the broker that was asked does not know it yet")]
    NoPartition(TopicPartition),
}

impl Unknown {
    pub(super) fn grant(&self) -> Option<&'static str> {
        match self {
            Self::Kafka(error) => missing(error, READ),
            Self::NotBegun(_) | Self::NoPartition(_) => None,
        }
    }
}

pub(super) type Positions = BTreeMap<TopicPartition, Position>;

/// Where partitions are read from, as far as that could be found out.
#[derive(Debug, Default)]
pub(super) struct Found {
    pub(super) positions: Positions,
    /// Why it could not be for others, by topic.
    pub(super) unknown: BTreeMap<Arc<str>, Unknown>,
}

impl Member {
    /// Where to read each partition from: what is committed, or where the group is to start.
    pub(super) fn positions(&mut self, sources: &[TopicPartition]) -> Result<Found, Unknown> {
        let mut found = Found::default();
        let partitions = self.partitions(sources, &mut found)?;
        self.partitions_in_all = partitions.values().map(Vec::len).sum();
        let topics: BTreeSet<_> = sources.iter().map(|source| &source.topic).collect();
        let of_topics = topics.iter().filter_map(|topic| partitions.get(*topic)).flatten();
        let all: BTreeSet<_> = of_topics.chain(sources).cloned().collect();
        let known = self.committed(&Vec::from_iter(all), &mut found)?;
        let refused = |source: &&TopicPartition| found.unknown.contains_key(&source.topic);
        let told_of: Vec<_> = sources.iter().filter(|it| !refused(it)).cloned().collect();
        self.notice_what_is_gone(&told_of, &known);
        for topic in topics {
            if found.unknown.contains_key(topic) {
                continue;
            }
            (self.turned)(self.patience());
            let of_topic = partitions.get(topic).map(Vec::as_slice).unwrap_or_default();
            match self.positions_of(topic, sources, of_topic, &known) {
                Ok(positions) => found.positions.extend(positions),
                Err(Unknown::Kafka(error)) if is_fenced(&error) => return Err(error.into()),
                Err(why) => drop(found.unknown.insert(Arc::clone(topic), why)),
            }
            let is_none = |source: &&TopicPartition| !of_topic.contains(source);
            if let Some(none) = sources.iter().filter(|it| it.topic == *topic).find(is_none) {
                found
                    .positions
                    .retain(|source, _| source.topic != *topic || of_topic.contains(source));
                let why = Unknown::NoPartition(none.clone());
                found.unknown.entry(Arc::clone(topic)).or_insert(why);
            }
        }
        Ok(found)
    }

    /// The same for those of one topic, of which all partitions and all commits are known.
    fn positions_of(
        &mut self,
        topic: &Arc<str>,
        sources: &[TopicPartition],
        of_topic: &[TopicPartition],
        known: &Positions,
    ) -> Result<Positions, Unknown> {
        let ours = sources.iter().filter(|source| source.topic == *topic);
        let known_of = |source: &TopicPartition| Some((source.clone(), known.get(source)?.clone()));
        let mut positions: Positions = ours.clone().filter_map(known_of).collect();
        let is_missing = |source: &&TopicPartition| {
            !positions.contains_key(*source) && of_topic.contains(source)
        };
        let missing: Vec<_> = ours.filter(is_missing).cloned().collect();
        if missing.is_empty() {
            return Ok(positions);
        }
        if known.keys().any(|known| known.topic == *topic) {
            self.not_begun.remove(topic);
        } else {
            self.leave_it_to_the_first(sources, of_topic)?;
            let begun = self.start_group(topic, of_topic)?;
            return Ok(begun.into_iter().filter(|(source, _)| missing.contains(source)).collect());
        }
        // The group knows the topic, so these partitions were added later, and nobody has
        // read their first records.
        for source in missing {
            let (offset, _) = self.watermarks(&source)?;
            positions.insert(source, Position { offset, metadata: None });
        }
        Ok(positions)
    }

    /// Of members that join together, only one may commit where the group starts: a second one
    /// that is slower would commit over what the first one has settled since.
    fn leave_it_to_the_first(
        &mut self,
        sources: &[TopicPartition],
        of_topic: &[TopicPartition],
    ) -> Result<(), Unknown> {
        let Some(first) = of_topic.iter().min() else { return Ok(()) };
        let ours = sources.contains(first) || self.assigned.contains_key(first);
        let (now, _) = self.now();
        let since = *self.not_begun.entry(Arc::clone(&first.topic)).or_insert(now);
        if ours || now.saturating_sub(since) >= FIRST_MEMBER {
            self.not_begun.remove(&first.topic);
            return Ok(());
        }
        Err(Unknown::NotBegun(Arc::clone(&first.topic)))
    }

    /// Where a group without commits starts. That is committed at once and for the whole topic:
    /// `latest` is when the group began, and not when a member happened to come back. A topic that
    /// this member has had before was deleted and made again: all that is in it has come since then.
    fn start_group(
        &mut self,
        topic: &Arc<str>,
        of_topic: &[TopicPartition],
    ) -> Result<Positions, KafkaError> {
        let again = self.committed.keys().any(|known| known.topic == *topic);
        let earliest = again || *self.redrive == **topic || self.start == Start::Earliest;
        let mut positions = Positions::new();
        let mut list = TopicPartitionList::with_capacity(of_topic.len());
        let mut held = 0;
        for source in of_topic {
            let (low, high) = self.watermarks(source)?;
            let offset = if earliest { low } else { high };
            held += high.0.saturating_sub(low.0);
            let raw = Offset::Offset(i64::try_from(offset.0).unwrap_or(i64::MAX));
            list.add_partition_offset(&source.topic, source.partition, raw)?;
            positions.insert(source.clone(), Position { offset, metadata: None });
        }
        if !of_topic.is_empty() {
            (self.turned)(self.longest_commit);
            // Were it read without, whoever has the other partitions would take them for new ones.
            self.consumer.commit(&list, CommitMode::Sync)?;
        }
        if held > 0 && !again {
            let place = if earliest {
                "the group has no offsets for this topic: it starts at the beginning; if it had offsets before, messages will be sent again"
            } else {
                "the group has no offsets for this topic: it starts at the end (`kafka.start: latest`), so these records are never read"
            };
            tracing::warn!(%topic, records = held, "{place}");
        }
        self.committed.extend(positions.iter().map(|(source, at)| (source.clone(), at.offset)));
        Ok(positions)
    }

    /// How long an answer is waited for.
    fn patience(&self) -> Duration {
        if self.assignment_waits { ANSWER } else { ANSWER_LATER }
    }

    /// The offset of the first record that is there, and that of the next one to come.
    fn watermarks(
        &self,
        source: &TopicPartition,
    ) -> Result<(CommitOffset, CommitOffset), KafkaError> {
        let (low, high) =
            self.consumer.fetch_watermarks(&source.topic, source.partition, self.patience())?;
        let offset = |raw| CommitOffset(u64::try_from(raw).unwrap_or(0));
        Ok((offset(low), offset(high)))
    }

    /// All partitions of the topics that the bridge reads; those of the sources' topics have to be
    /// known.
    fn partitions(
        &self,
        sources: &[TopicPartition],
        found: &mut Found,
    ) -> Result<BTreeMap<Arc<str>, Vec<TopicPartition>>, KafkaError> {
        let mut all = BTreeMap::new();
        for topic in &self.topics {
            (self.turned)(self.patience());
            let metadata = self.consumer.fetch_metadata(Some(topic), self.patience())?;
            let topic: Arc<str> = topic.as_str().into();
            let wanted = sources.iter().any(|source| source.topic == topic);
            let errors = metadata.topics().iter().filter_map(MetadataTopic::error);
            let errors = errors.map(RDKafkaErrorCode::from);
            let refused = |code: &_| wanted && *code != RDKafkaErrorCode::UnknownTopicOrPartition;
            if let Some(code) = errors.into_iter().find(refused) {
                let why = Unknown::Kafka(KafkaError::MetadataFetch(code));
                found.unknown.insert(Arc::clone(&topic), why);
            }
            let partitions = metadata.topics().iter().flat_map(MetadataTopic::partitions);
            let source = |partition: i32| TopicPartition { topic: Arc::clone(&topic), partition };
            let sources = partitions.map(|partition| source(partition.id())).collect();
            all.insert(Arc::clone(&topic), sources);
        }
        Ok(all)
    }

    fn committed(
        &self,
        sources: &[TopicPartition],
        found: &mut Found,
    ) -> Result<Positions, KafkaError> {
        let committed = self.consumer.committed_offsets(list(sources), self.patience())?;
        let mut positions = Positions::new();
        for element in committed.elements() {
            if let Err(error) = element.error() {
                found.unknown.insert(element.topic().into(), error.into());
                continue;
            }
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

/// The metadata of a commit, which any program that has the right to commit may have written.
pub(in crate::kafka) fn metadata(element: &TopicPartitionListElem<'_>) -> String {
    foreign::read(|| element.metadata().to_owned()).unwrap_or_else(|| "not UTF-8".to_owned())
}
