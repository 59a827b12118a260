//! Where each partition stands: the committed offset, the end of its log, and the lag between.

use std::collections::BTreeMap;

use prometheus::IntGaugeVec;

use super::Group;
use crate::domain::record::TopicPartition;

#[derive(Debug, Default)]
pub(super) struct Positions {
    of: BTreeMap<TopicPartition, Position>,
    /// Those that Kafka does not let it read.
    pub(super) unread: Vec<TopicPartition>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Position {
    committed: u64,
    end: Option<u64>,
    paused: bool,
}

impl Positions {
    pub(super) fn begin(&mut self, source: &TopicPartition, committed: u64, group: &Group) {
        self.of.insert(source.clone(), Position { committed, end: None, paused: false });
        self.show(source, group);
    }

    pub(super) fn committed(&mut self, source: &TopicPartition, committed: u64, group: &Group) {
        if let Some(position) = self.of.get_mut(source) {
            position.committed = committed;
            self.show(source, group);
        }
    }

    pub(super) fn ends(&mut self, source: &TopicPartition, end: u64, group: &Group) {
        if let Some(position) = self.of.get_mut(source) {
            position.end = Some(end);
            self.show(source, group);
        }
    }

    /// What a paused partition holds back, no further member could work off.
    pub(super) fn paused(&mut self, source: &TopicPartition, paused: bool, group: &Group) {
        if let Some(position) = self.of.get_mut(source)
            && position.paused != paused
        {
            position.paused = paused;
            self.show(source, group);
        }
    }

    pub(super) fn end_of(&self, source: &TopicPartition) -> Option<u64> {
        self.of.get(source)?.end
    }

    /// A partition that another member has is that member's to show.
    pub(super) fn forget(&mut self, source: &TopicPartition, group: &Group) {
        if self.of.remove(source).is_some() {
            remove(&group.committed_offset, source);
            remove(&group.lag, source);
            remove(&group.runnable_lag, source);
        }
    }

    fn show(&self, source: &TopicPartition, group: &Group) {
        let Some(position) = self.of.get(source) else { return };
        set(&group.committed_offset, source, position.committed);
        if let Some(end) = position.end {
            let lag = end.saturating_sub(position.committed);
            set(&group.lag, source, lag);
            set(&group.runnable_lag, source, if position.paused { 0 } else { lag });
        }
    }
}

fn set(gauge: &IntGaugeVec, source: &TopicPartition, value: u64) {
    let partition = source.partition.to_string();
    let value = i64::try_from(value).unwrap_or(i64::MAX);
    gauge.with_label_values(&[&*source.topic, partition.as_str()]).set(value);
}

fn remove(gauge: &IntGaugeVec, source: &TopicPartition) {
    let partition = source.partition.to_string();
    // A series that has no value yet is not there to be removed.
    drop(gauge.remove_label_values(&[&*source.topic, partition.as_str()]));
}
