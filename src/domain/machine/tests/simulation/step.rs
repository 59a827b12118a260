//! What can be seen of a run, step by step: what the guarantees judge, and what a trace shows.

use super::plan::Key;
use crate::domain::dead_letter::Reason;
use crate::domain::machine::LetterId;
use crate::domain::metadata::Beyond;
use crate::domain::outcome::Class;

/// One member's tenure of one partition; epochs go on counting when a member starts again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Who {
    pub(super) member: usize,
    pub(super) epoch: u64,
}

#[derive(Clone, Debug)]
#[expect(dead_code, reason = "some of it is there for the trace alone")]
pub(super) enum Step {
    Assigned {
        who: Who,
        partition: usize,
        position: u64,
    },
    /// A member was given a record.
    Read {
        who: Who,
        partition: usize,
        offset: u64,
    },
    Sent {
        who: Who,
        key: Key,
    },
    /// The API accepted the message, whoever hears of it.
    Accepted {
        key: Key,
    },
    /// A member was told the answer to an attempt of a tenure that it still has.
    Answered {
        who: Who,
        key: Key,
        class: Class,
    },
    /// A member was told which channels are listed, if it was.
    Listed {
        member: usize,
        channels: Option<[bool; 2]>,
    },
    LetterSent {
        who: Who,
        key: Key,
        letter: LetterId,
        reason: Reason,
    },
    LetterWritten {
        key: Key,
    },
    LetterAcknowledged {
        who: Who,
        key: Key,
    },
    /// The machine says that a dead letter is there.
    LetterReported {
        partition: usize,
        offset: u64,
        reason: Reason,
    },
    CommitAsked {
        who: Who,
        partition: usize,
        offset: u64,
        beyond: Beyond,
    },
    Committed {
        partition: usize,
        offset: u64,
        beyond: Beyond,
    },
    /// A channel, or every one, takes no deliveries (any more, again).
    Stopped {
        member: usize,
        channel: Option<usize>,
        stopped: bool,
    },
    /// The group has taken the partition away, or its owner has crashed.
    Lost {
        who: Who,
        partition: usize,
    },
    /// The partition was released; `clean` where that was within its time.
    Released {
        who: Who,
        partition: usize,
        clean: bool,
    },
    /// The group has given up a member that it has not heard of.
    Expired {
        member: usize,
    },
    /// All that a member asked for has been done.
    Looked {
        member: usize,
    },
    Over,
}
