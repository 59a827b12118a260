//! What the machine can tell of itself: for gauges, and for tests.

use std::sync::Arc;
use std::time::Duration;

use super::super::clock::{Moment, Timestamp};
use super::super::record::{CommitOffset, RecordOffset, TopicPartition};
use super::{Machine, PauseReason};

#[derive(Clone, Debug, Default, PartialEq)]
pub struct Status {
    pub partitions: Vec<PartitionStatus>,
    pub channels: Vec<ChannelStatus>,
    pub in_flight: usize,
    pub uncommitted: usize,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PartitionStatus {
    pub source: TopicPartition,
    pub frontier: CommitOffset,
    pub held: usize,
    pub held_bytes: usize,
    /// The bound is reached.
    pub full: bool,
    pub paused: Option<PauseReason>,
    /// The oldest record that has not settled, and its event's time.
    pub oldest: Option<(RecordOffset, Timestamp)>,
}

#[derive(Clone, Debug, PartialEq)]
pub struct ChannelStatus {
    pub name: Arc<str>,
    /// 0 open, 1 slowed, 2 stopped.
    pub state: u8,
    /// Requests a second.
    pub rate: f64,
    pub concurrency: usize,
    pub in_flight: usize,
    /// Until when `Retry-After` holds the channel, from now.
    pub waits: Option<Duration>,
}

impl Machine {
    pub fn status(&self, now: Moment) -> Status {
        let partition = |tenure: &super::Tenure| PartitionStatus {
            source: tenure.source.clone(),
            frontier: tenure.offsets.frontier(),
            held: tenure.offsets.held_count(),
            held_bytes: tenure.bytes,
            full: tenure.full,
            paused: tenure.paused,
            oldest: tenure.offsets.oldest().map(|(offset, held)| (offset, held.event_time)),
        };
        let channel = |gate: &super::Gate| ChannelStatus {
            name: gate.channel.name.clone(),
            state: gate.state(now.elapsed),
            rate: gate.pace.rate(),
            concurrency: gate.concurrency.limit(),
            in_flight: gate.in_flight,
            waits: gate.closed_until(now.elapsed).map(|until| until.saturating_sub(now.elapsed)),
        };
        Status {
            partitions: self.tenures.values().map(partition).collect(),
            channels: self.gates.iter().map(channel).collect(),
            in_flight: self.on_wire.len(),
            uncommitted: self.uncommitted,
        }
    }
}
