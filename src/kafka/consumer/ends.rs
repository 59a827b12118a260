//! The ends of the logs, as far as there are records.
//!
//! librdkafka tells an end only with a fetch, so that of a paused partition would stand still, and
//! with it the lag, just while the messages pile up: it is asked for.
//!
//! A transaction ends with a marker that takes an offset of its own and is never delivered. Nobody
//! waits for it, so it is no lag: where all before the end has been read, the end is behind the last
//! record.

use std::time::Duration;

use rdkafka::TopicPartitionList;
use rdkafka::consumer::Consumer as _;
use rdkafka::topic_partition_list::Offset;

use super::super::rebalance::End;
use super::Member;
use crate::domain::record::TopicPartition;

/// How long the thread stands still for it at most: what it reads and commits is worth more.
const ANSWER: Duration = Duration::from_millis(250);

/// How many statistics it lets pass after a question that had no answer, some 30 s.
const LET_PASS: u32 = 15;

impl Member {
    /// The ends as the statistics noted then have them, and newer ones of what is paused.
    pub(super) fn ends(&mut self, noted: Duration, told: Vec<End>) -> Vec<(TopicPartition, u64)> {
        let mut ends = Vec::with_capacity(told.len());
        for End { source, at, is_reached } in told {
            let Some(assigned) = self.assigned.get_mut(&source).filter(|held| !held.paused) else {
                continue;
            };
            // Statistics from before it was assigned tell of what was read then.
            if is_reached && assigned.since < noted {
                assigned.reached = at;
            }
            ends.push((source, at));
        }
        ends.extend(self.ends_of_paused());
        for (source, end) in &mut ends {
            let reached = self.assigned.get(source).filter(|held| held.reached >= *end);
            *end = reached.map_or(*end, |held| held.next.0);
        }
        ends
    }

    fn ends_of_paused(&mut self) -> Vec<(TopicPartition, u64)> {
        self.ends_not_before = self.ends_not_before.saturating_sub(1);
        let paused = self.assigned.iter().filter(|(_, held)| held.paused);
        let paused: Vec<_> = paused.map(|(source, _)| source.clone()).collect();
        if paused.is_empty() || self.ends_not_before > 0 {
            return Vec::new();
        }
        let mut asked = TopicPartitionList::with_capacity(paused.len());
        for source in &paused {
            // Kafka's ListOffsets takes the timestamp -1, which is `End`, for the end of the log.
            let end = asked.add_partition_offset(&source.topic, source.partition, Offset::End);
            if end.is_err() {
                return Vec::new();
            }
        }
        let Ok(answered) = self.consumer.offsets_for_times(asked, ANSWER) else {
            self.ends_not_before = LET_PASS;
            return Vec::new();
        };
        let end = |source: TopicPartition| {
            let element = answered.find_partition(&source.topic, source.partition)?;
            element.error().ok()?;
            let Offset::Offset(end) = element.offset() else { return None };
            Some((source, u64::try_from(end).ok()?))
        };
        paused.into_iter().filter_map(end).collect()
    }
}
