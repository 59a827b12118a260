//! What the driver needs of the world, in the core's own words.

use std::future::Future;
use std::time::Duration;

use super::clock::Moment;
use super::dead_letter::DeadLetter;
use super::machine::{Assignment, Attempt, CommitFailure, CommitRequest, Report, Status};
use super::message::Decision;
use super::outcome::{Listing, Outcome};
use super::record::{CommitOffset, Epoch, Record, TopicPartition};

/// The time. The one place where the core's `now` comes from.
pub trait Clock: Send + Sync {
    fn now(&self) -> Moment;
}

/// Record → event → messages: the schema and the rules of the record's topic.
pub trait Decide: Send + Sync {
    fn decide(&self, record: &Record) -> Decision;
}

/// The LINE API.
pub trait Api: Send + Sync + 'static {
    /// Makes one attempt. It ends within the attempt timeout, whatever happens.
    fn send(&self, attempt: &Attempt) -> impl Future<Output = Outcome> + Send;

    /// Asks for the channel listing. It ends within a minute.
    fn list(&self) -> impl Future<Output = Listing> + Send;
}

/// The dead-letter topic.
pub trait DeadLetters: Send + Sync + 'static {
    /// Whether the broker has acknowledged the dead letter.
    fn produce(&self, letter: &DeadLetter) -> impl Future<Output = bool> + Send;
}

/// The source topics: what is asked of them. What they say comes as [`LogEvent`]s. None of these
/// waits.
pub trait Log: Send {
    /// Answered by one [`LogEvent::Committed`].
    fn commit(&self, requests: Vec<CommitRequest>);
    fn pause(&self, source: TopicPartition);
    fn resume(&self, source: TopicPartition);
    /// Lets revoked partitions go.
    fn release(&self, sources: Vec<TopicPartition>);
}

/// What comes from the source topics.
#[derive(Debug)]
pub enum LogEvent {
    Assigned {
        assignments: Vec<Assignment>,
        partitions_in_all: usize,
    },
    /// In the order of each partition.
    Records(Vec<(Epoch, Record)>),
    /// Waits for [`Log::release`].
    Revoked(Vec<TopicPartition>),
    Lost(Vec<TopicPartition>),
    /// Their topics are gone. Where the group has taken them, that is told as well.
    Deleted(Vec<TopicPartition>),
    /// The group has moved on without this member, which joins it anew.
    Left,
    Committed(Vec<(CommitRequest, Result<(), CommitFailure>)>),
    /// The position of a partition is not in its log.
    OutOfRange {
        source: TopicPartition,
        position: CommitOffset,
        /// The log's first offset and its end; none where the broker did not say in time.
        log: Option<(i64, i64)>,
    },
    /// What the client library says of itself every few seconds.
    Seen {
        /// When the group's coordinator was last heard of, on the monotonic clock; none while there
        /// is none.
        coordinator: Option<Duration>,
        /// The end of each assigned partition's log: the offset of the next record to come.
        ends: Vec<(TopicPartition, u64)>,
        /// Partitions of this member that Kafka has not let it read for a while: the right or the leader
        /// is away, or it is not known where to begin.
        unread: Vec<TopicPartition>,
    },
    /// The client can't go on; the text says why.
    Fatal(String),
}

/// Where a group without commits starts to read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Start {
    #[default]
    Latest,
    Earliest,
}

impl Start {
    /// As the configuration says it.
    pub fn label(self) -> &'static str {
        match self {
            Self::Latest => "latest",
            Self::Earliest => "earliest",
        }
    }
}

/// Whoever keeps the figures.
pub trait Observe: Send + Sync {
    fn report(&self, report: &Report);
    fn attempted(&self, channel: &str, outcome: &Outcome, took: Duration, now: Moment);
    /// Every second or so.
    fn gauges(&self, status: &Status, now: Moment);
    fn log(&self, event: &LogEvent);
    /// The driver's loop has turned.
    fn turned(&self, now: Moment);
}
