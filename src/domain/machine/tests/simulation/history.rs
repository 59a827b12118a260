//! What a run is made of, piece by piece, so that pieces of it can be left out.

use std::collections::BTreeSet;
use std::fmt;

use super::plan::{Key, Plan};

/// A part of a run that can be left out while the rest stays as it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Piece {
    /// Of several members, one besides the first.
    Member(usize),
    Record {
        partition: usize,
        offset: u64,
    },
    /// One of the plan's troubles, by its place among them.
    Trouble(usize),
    Odd(Odd),
}

/// A mishap that is no trouble of the plan's: it befalls one request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Odd {
    Attempt(Key, u64),
    Letter(Key, u64),
    ReadAgain { partition: usize, offset: u64 },
    CommitFails { partition: usize, nth: u64 },
    CommitIsLate { partition: usize, nth: u64 },
}

impl fmt::Display for Odd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Attempt(key, nth) => write!(f, "attempt {nth} of {key} is slow or goes wrong"),
            Self::Letter(key, nth) => write!(f, "dead letter of {key}, try {nth}, goes wrong"),
            Self::ReadAgain { partition, offset } => {
                write!(f, "p{partition}@{offset} is read once more")
            }
            Self::CommitFails { partition, nth } => {
                write!(f, "commit {nth} of partition {partition} goes wrong")
            }
            Self::CommitIsLate { partition, nth } => {
                write!(f, "commit {nth} of partition {partition} is answered late")
            }
        }
    }
}

/// A guarantee that did not hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Failure {
    pub(super) guarantee: &'static str,
    pub(super) what: String,
}

/// How a run went.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Run {
    /// How many events there were.
    pub(super) events: u32,
    /// What went wrong by chance.
    pub(super) odd: BTreeSet<Odd>,
    pub(super) failure: Option<Failure>,
    /// Every step, as a line of text, where it was asked for.
    pub(super) steps: Vec<String>,
}

impl Piece {
    /// The piece as a line of text.
    pub(super) fn tell(self, plan: &Plan) -> String {
        match self {
            Self::Member(member) => format!("member {member} is there as well"),
            Self::Record { partition, offset } => {
                let record = plan.record(partition, offset);
                record.map_or(String::new(), |record| format!("p{partition}@{offset} {record}"))
            }
            Self::Trouble(at) => {
                let (when, trouble) = plan.troubles[at];
                format!("at {:.3} s {trouble}", when.as_secs_f64())
            }
            Self::Odd(odd) => odd.to_string(),
        }
    }
}
