//! What had settled here of a partition that comes back before anybody else has committed it.
//!
//! Brokers that are away for longer than the session lose a member its partitions, and with them
//! the commits that failed meanwhile. It is given them again where they have been, and would send
//! again what it knows to be accepted.

use std::collections::BTreeMap;

use super::super::metadata::Beyond;
use super::super::record::{CommitOffset, Epoch, RecordOffset, TopicPartition};
use super::Machine;
use super::commits::{Uncommitted, Written};

/// By partition.
pub(super) type Pasts = BTreeMap<TopicPartition, Past>;

/// What had settled, and could not be committed.
#[derive(Debug)]
pub(super) struct Past {
    /// Where the group may stand if nobody has committed since. Anything else may be another log
    /// with the same name.
    written: Vec<Written>,
    frontier: CommitOffset,
    beyond: Beyond,
    /// Of the rules that tell the parts of its records.
    fingerprint: u64,
    accepted: Vec<RecordOffset>,
}

impl Past {
    /// What has settled at and beyond the position that the group stands at.
    fn beyond(self, position: CommitOffset, fingerprint: u64) -> (Beyond, Vec<RecordOffset>) {
        let Beyond { runs, partials } = self.beyond;
        let first = Some(position.0..self.frontier.0).filter(|run| !run.is_empty());
        let same_rules = self.fingerprint == fingerprint;
        let beyond = Beyond {
            runs: first.into_iter().chain(runs).collect(),
            partials: if same_rules { partials } else { Vec::new() },
        };
        (beyond, self.accepted)
    }
}

impl Machine {
    /// Keeps what is not committed of a partition that goes.
    pub(super) fn remember(&mut self, epoch: Epoch) {
        let Some(tenure) = self.tenures.get(&epoch) else { return };
        if tenure.uncommitted.is_clean() {
            return;
        }
        let past = Past {
            written: tenure.uncommitted.written(),
            frontier: tenure.offsets.frontier(),
            beyond: tenure.beyond(),
            fingerprint: tenure.fingerprint,
            accepted: tenure.uncommitted.all_accepted(),
        };
        self.pasts.insert(tenure.source.clone(), past);
    }

    /// What has settled of a partition that comes back just where it was, and what is to be
    /// committed of it.
    pub(super) fn regained(
        &mut self,
        source: &TopicPartition,
        stands: &Written,
        fingerprint: u64,
    ) -> Option<(Beyond, Uncommitted)> {
        let past = self.pasts.remove(source).filter(|past| past.written.contains(stands))?;
        let (beyond, accepted) = past.beyond(stands.offset, fingerprint);
        self.uncommitted += accepted.len();
        Some((beyond, Uncommitted::going_on(stands.clone(), accepted)))
    }
}
