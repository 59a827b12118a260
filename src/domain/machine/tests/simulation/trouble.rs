//! What goes wrong according to plan.

use std::fmt;
use std::time::Duration;

use fastrand::Rng;

use super::plan::{CHANNELS, Partition, millis, pick};

/// A fault that every delivery of a channel meets, or of all channels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    Unauthorized,
    Redirect,
    Forbidden,
    MonthlyLimit,
    Missing,
    Outage,
    Unreachable,
    NotJson,
    Unverified,
    Rejected,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Trouble {
    /// The group moves a partition, and waits for its release.
    Move(usize),
    /// The group takes a partition at once, and tells its owner later.
    Lose(usize),
    Crash(usize),
    Drain(usize),
    /// A member can't reach the coordinator.
    CutOff(usize, Duration),
    /// A fault of a channel (every channel where none is named).
    Api(Fault, Option<usize>, Duration),
    ListingFails(Duration),
    CommitsFail(Duration),
    LettersFail(Duration),
    /// The schema of the partition's topic does not fit its events, until it is mended, and all
    /// members start again with the right one.
    BadRollout(usize, Duration),
    /// The position in the partition is not in its log, until the log is mended, and all members
    /// start again.
    OutOfRange(usize, Duration),
    /// The wall clock is set, by so many milliseconds.
    ClockSet(i64),
    TokenChanged,
}

/// Draws something that goes wrong.
pub(super) fn trouble(rng: &mut Rng, members: usize, partitions: &[Partition]) -> Trouble {
    let partition = rng.usize(..partitions.len());
    let member = rng.usize(..members);
    let long = millis(rng, 500, 20_000);
    match rng.u32(0..24) {
        0..3 => Trouble::Move(partition),
        3..5 => Trouble::Lose(partition),
        5..7 => Trouble::Crash(member),
        7..9 => Trouble::Drain(member),
        9 => Trouble::CutOff(member, long + Duration::from_secs(8)),
        10..15 => {
            let (fault, account) = pick(
                rng,
                &[
                    (Fault::Unauthorized, true),
                    (Fault::Redirect, true),
                    (Fault::Forbidden, false),
                    (Fault::MonthlyLimit, false),
                    (Fault::Missing, false),
                    (Fault::Outage, false),
                    (Fault::Outage, true),
                    (Fault::Unreachable, true),
                    (Fault::NotJson, true),
                    (Fault::Unverified, false),
                    (Fault::Rejected, false),
                ],
            );
            Trouble::Api(fault, (!account).then(|| rng.usize(..CHANNELS.len())), long)
        }
        15 => Trouble::ListingFails(long),
        16 => Trouble::CommitsFail(long),
        17 => Trouble::LettersFail(long),
        18 | 19 => Trouble::BadRollout(partition, long),
        20 | 21 => Trouble::OutOfRange(partition, long),
        22 => Trouble::ClockSet(rng.i64(-20_000..20_000)),
        _ => Trouble::TokenChanged,
    }
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Move(partition) => write!(f, "partition {partition} moves to another member"),
            Self::Lose(partition) => write!(f, "partition {partition} is lost"),
            Self::Crash(member) => write!(f, "member {member} crashes"),
            Self::Drain(member) => write!(f, "member {member} is told to drain"),
            Self::CutOff(member, long) => {
                write!(f, "member {member} can't reach the coordinator for {long:.3?}")
            }
            Self::Api(fault, channel, long) => {
                let channel = channel.map_or("every channel", |at| CHANNELS[at]);
                write!(f, "{channel} meets {fault:?} for {long:.3?}")
            }
            Self::ListingFails(long) => write!(f, "the listing fails for {long:.3?}"),
            Self::CommitsFail(long) => write!(f, "commits fail for {long:.3?}"),
            Self::LettersFail(long) => write!(f, "the dead-letter topic refuses for {long:.3?}"),
            Self::BadRollout(partition, long) => {
                write!(f, "the rules of partition {partition}'s topic fail for {long:.3?}")
            }
            Self::OutOfRange(partition, long) => {
                write!(f, "the position in partition {partition} is out of range for {long:.3?}")
            }
            Self::ClockSet(millis) => write!(f, "the wall clock is set by {millis} ms"),
            Self::TokenChanged => write!(f, "the token changes"),
        }
    }
}
