//! What can be seen of a run, step by step: what the guarantees judge, and what a trace shows.

use std::fmt;

use super::plan::{CHANNELS, Key};
use super::trouble::Trouble;
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

/// What the decision made of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sort {
    Skipped,
    Good,
    /// Nothing but dead letters for `schema` or `rule_error`.
    Broken,
}

#[derive(Clone, Debug)]
pub(super) enum Step {
    Trouble(Trouble),
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
        sort: Sort,
    },
    /// A member was told, unless a mutation keeps it from that, that the position from which it
    /// reads is not in the log.
    OutOfRange {
        who: Who,
        partition: usize,
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

impl fmt::Display for Who {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "member {} (tenure {})", self.member, self.epoch)
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Trouble(trouble) => write!(f, "{trouble}"),
            Self::Assigned { who, partition, position } => {
                write!(f, "{who} is given partition {partition} from {position}")
            }
            Self::Read { who, partition, offset, sort } => {
                write!(f, "{who} reads p{partition}@{offset} ({sort:?})")
            }
            Self::OutOfRange { who, partition } => {
                write!(f, "{who} has no position in partition {partition}")
            }
            Self::Sent { who, key } => write!(f, "{who} sends {key}"),
            Self::Accepted { key } => write!(f, "the API accepts {key}"),
            Self::Answered { who, key, class } => write!(f, "{who} hears of {key}: {class:?}"),
            Self::Listed { member, channels: None } => {
                write!(f, "member {member} can't list the channels")
            }
            Self::Listed { member, channels: Some(there) } => {
                let there = CHANNELS.iter().zip(there).filter(|(_, there)| **there);
                let there: Vec<_> = there.map(|(name, _)| *name).collect();
                write!(f, "member {member} lists {}", there.join(", "))
            }
            Self::LetterSent { who, key, reason, letter } => {
                write!(f, "{who} sets {key} aside ({}, letter {})", reason.label(), letter.0)
            }
            Self::LetterWritten { key } => write!(f, "the dead letter of {key} is written"),
            Self::LetterAcknowledged { who, key } => {
                write!(f, "{who} hears that the dead letter of {key} is written")
            }
            Self::LetterReported { partition, offset, reason } => {
                let reason = reason.label();
                write!(f, "p{partition}@{offset} is reported as set aside ({reason})")
            }
            Self::CommitAsked { who, partition, offset, beyond } => {
                write!(f, "{who} commits {offset} of partition {partition}")?;
                tell_beyond(f, beyond)
            }
            Self::Committed { partition, offset, beyond } => {
                write!(f, "partition {partition} is committed at {offset}")?;
                tell_beyond(f, beyond)
            }
            Self::Stopped { member, channel, stopped } => {
                let channel = channel.map_or("every channel", |at| CHANNELS[at]);
                let does = if *stopped { "stops" } else { "resumes" };
                write!(f, "member {member} {does} {channel}")
            }
            Self::Lost { who, partition } => write!(f, "{who} loses partition {partition}"),
            Self::Released { who, partition, clean } => {
                let how = if *clean { "" } else { " too late" };
                write!(f, "{who} releases partition {partition}{how}")
            }
            Self::Expired { member } => write!(f, "the group gives member {member} up"),
            Self::Looked { member } => write!(f, "member {member} has done what it was asked"),
            Self::Over => write!(f, "the end"),
        }
    }
}

/// What a commit says of the records beyond its offset.
fn tell_beyond(f: &mut fmt::Formatter<'_>, beyond: &Beyond) -> fmt::Result {
    for run in &beyond.runs {
        write!(f, ", {} to {} settled", run.start, run.end - 1)?;
    }
    for partial in &beyond.partials {
        let settled = partial.settled.iter().enumerate().filter(|(_, settled)| **settled);
        let settled: Vec<_> = settled.map(|(part, _)| format!("#{part}")).collect();
        write!(f, ", of {} {} settled", partial.offset, settled.join(" "))?;
    }
    Ok(())
}
