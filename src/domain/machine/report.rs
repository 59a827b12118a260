//! What the machine reports of what has happened, for the metrics and the log.

use std::sync::Arc;
use std::time::Duration;

use super::super::dead_letter::DeadLetter;
use super::super::delivery::Doubt;
use super::super::metadata;
use super::super::outcome::StopReason;
use super::super::record::{RecordOffset, TopicPartition};

/// How a record settled; of several messages, the worst counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum SettledAs {
    Skipped,
    Accepted,
    DeadLettered,
}

impl SettledAs {
    pub fn label(self) -> &'static str {
        match self {
            Self::Skipped => "skipped",
            Self::Accepted => "accepted",
            Self::DeadLettered => "dead_lettered",
        }
    }
}

/// Why a topic, or a partition of it, is not read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum PauseReason {
    /// Too many dead letters in a row for `schema` or `rule_error`.
    Brake,
    /// The committed offset is not in the partition's log.
    OffsetOutOfRange,
    /// The operator holds the topic back.
    Paused,
}

impl PauseReason {
    pub fn label(self) -> &'static str {
        match self {
            Self::Brake => "brake",
            Self::OffsetOutOfRange => "offset_out_of_range",
            Self::Paused => "paused",
        }
    }
}

/// What has happened, for the metrics and the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Report {
    Tracked {
        topic: Arc<str>,
    },
    /// It had settled before a restart or a rebalance, as the commit's metadata says.
    SettledBefore {
        topic: Arc<str>,
    },
    Settled {
        topic: Arc<str>,
        settled: SettledAs,
    },
    /// An attempt starts that has waited so long at its channel's gate.
    Started {
        waited: Duration,
    },
    Accepted {
        topic: Arc<str>,
        age: Duration,
    },
    Ambiguous {
        source: TopicPartition,
        offset: RecordOffset,
        rule: Arc<str>,
        channel: Arc<str>,
        doubt: Doubt,
    },
    PossibleDuplicate {
        topic: Arc<str>,
    },
    DeadLettered {
        source: TopicPartition,
        offset: RecordOffset,
        content: Arc<DeadLetter>,
    },
    DeadLetterFailed,
    /// A partition goes on one record after the other from now on, for what it has sent can't be
    /// committed; or freely again.
    HeldBack {
        source: TopicPartition,
        held_back: bool,
    },
    /// `channel` is none where every channel stops.
    Stopped {
        channel: Option<Arc<str>>,
        reason: StopReason,
    },
    Resumed {
        channel: Option<Arc<str>>,
        reason: StopReason,
        after: Duration,
    },
    Paused {
        source: TopicPartition,
        reason: PauseReason,
    },
    /// Another configuration is in force.
    Reconfigured {
        /// Held records that were decided by it.
        decided_again: usize,
        /// Held records that keep what the configuration before made of them, for some of it has
        /// been sent, or may have been.
        kept: usize,
    },
    MetadataIgnored {
        source: TopicPartition,
        why: metadata::Ignored,
    },
    Committed {
        partitions: usize,
    },
    CommitFailed {
        source: TopicPartition,
    },
}
