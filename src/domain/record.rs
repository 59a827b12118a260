//! One Kafka consumer record, as polled.

use std::fmt;
use std::sync::Arc;

use super::clock::Timestamp;

/// A partition of a topic.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TopicPartition {
    pub topic: Arc<str>,
    pub partition: i32,
}

impl fmt::Display for TopicPartition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}[{}]", self.topic, self.partition)
    }
}

/// The number of one tenure of one partition, unique within the process: an assignment that is
/// revoked and given back has another one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Epoch(pub u64);

/// The offset of a record in its partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RecordOffset(pub u64);

/// The offset that is committed: that of the next record to read, as Kafka has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CommitOffset(pub u64);

impl RecordOffset {
    /// What to commit once this record, and every one before it, has settled. This is the one
    /// conversion between the two kinds of offset.
    pub fn next(self) -> CommitOffset {
        CommitOffset(self.0.saturating_add(1))
    }
}

/// A header of a record; Kafka allows a null value and any bytes.
#[derive(Clone, PartialEq, Eq)]
pub struct Header {
    pub name: String,
    pub value: Option<Vec<u8>>,
}

/// A record as polled. Its `Debug` shows where it stands and never what is in it.
#[derive(Clone, PartialEq, Eq)]
pub struct Record {
    pub source: TopicPartition,
    pub offset: RecordOffset,
    /// The record's timestamp; the time of polling where the producer set none.
    pub timestamp: Timestamp,
    pub key: Option<Vec<u8>>,
    /// Null is a tombstone.
    pub value: Option<Vec<u8>>,
    pub headers: Vec<Header>,
}

/// What an allocation costs besides what it holds, near enough: most headers are that small.
const ALLOCATION: usize = 16;

impl Record {
    /// One that is empty but for its place, which tests fill in.
    #[cfg(test)]
    pub fn at(topic: &str, partition: i32, offset: u64) -> Self {
        Self {
            source: TopicPartition { topic: topic.into(), partition },
            offset: RecordOffset(offset),
            timestamp: Timestamp(0),
            key: None,
            value: None,
            headers: Vec::new(),
        }
    }

    /// The bytes that holding this record costs, near enough.
    pub fn held_bytes(&self) -> usize {
        let header = |header: &Header| {
            let value = header.value.as_ref().map_or(0, Vec::len);
            header.name.len() + value + size_of::<Header>() + ALLOCATION
        };
        let headers: usize = self.headers.iter().map(header).sum();
        let key = self.key.as_ref().map_or(0, Vec::len);
        let value = self.value.as_ref().map_or(0, Vec::len);
        headers + key + value + size_of::<Self>()
    }
}

impl fmt::Debug for Record {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}", self.source, self.offset.0)
    }
}

impl fmt::Debug for Header {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Header({})", self.name)
    }
}
