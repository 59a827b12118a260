//! Whether a topic was deleted and is there again, as another one of the same name.
//!
//! rdkafka shows no topic ids, so the commits tell: Kafka deletes them with the topic.

use std::collections::BTreeSet;

use rdkafka::consumer::Consumer as _;
use rdkafka::topic_partition_list::TopicPartitionListElem;

use super::super::settings::Protocol;
use super::positions::{ANSWER_LATER, Positions};
use super::{Member, list};
use crate::domain::record::{CommitOffset, TopicPartition};

impl Member {
    /// Kafka deletes a topic's commits with it. Where one of them is gone, or lower than it was, the
    /// topic is another one of the same name.
    pub(super) fn notice_what_is_gone(&mut self, sources: &[TopicPartition], known: &Positions) {
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

    /// Those that the coordinator takes away because their topic was deleted, as it does at once under
    /// the consumer protocol. What is in flight of them must not be committed any more: it might be on
    /// another topic of the same name.
    pub(super) fn deleted(&self, sources: &[TopicPartition]) -> Vec<TopicPartition> {
        if self.protocol == Protocol::Classic {
            return Vec::new();
        }
        let gone = self.whose_commits_are_gone(sources);
        let is_deleted = |source: &&TopicPartition| gone.iter().any(|it| it.topic == source.topic);
        sources.iter().filter(is_deleted).cloned().collect()
    }

    /// Those of a topic that was deleted, as far as can be told: their commits are gone or lower than
    /// they were, or beyond the end of what is there now.
    pub(super) fn made_anew(&self, mut sources: Vec<TopicPartition>) -> Vec<TopicPartition> {
        let mut found = self.whose_commits_are_gone(&sources);
        let mut without_answer = 0;
        sources.retain(|source| !found.contains(source));
        for source in sources {
            let end = self.consumer.fetch_watermarks(&source.topic, source.partition, ANSWER_LATER);
            let Ok((_, end)) = end else {
                // The next one would wait as long, while nothing is polled.
                without_answer += 1;
                if without_answer == 2 {
                    break;
                }
                continue;
            };
            let end = u64::try_from(end).unwrap_or_default();
            if self.committed.get(&source).is_some_and(|committed| end < committed.0) {
                found.push(source);
            }
        }
        found
    }

    fn whose_commits_are_gone(&self, sources: &[TopicPartition]) -> Vec<TopicPartition> {
        let known = |source: &&TopicPartition| self.committed.contains_key(*source);
        let known: Vec<_> = sources.iter().filter(known).cloned().collect();
        if known.is_empty() {
            return known;
        }
        let Ok(stands) = self.consumer.committed_offsets(list(&known), ANSWER_LATER) else {
            return Vec::new();
        };
        let is_there = |element: &TopicPartitionListElem<'_>| {
            let at =
                TopicPartition { topic: element.topic().into(), partition: element.partition() };
            let now = element.offset().to_raw().and_then(|raw| u64::try_from(raw).ok());
            let before = self.committed.get(&at).map(|offset| offset.0);
            (element.error().is_err() || now >= before).then_some(at)
        };
        let there: BTreeSet<_> = stands.elements().iter().filter_map(is_there).collect();
        known.into_iter().filter(|source| !there.contains(source)).collect()
    }
}
