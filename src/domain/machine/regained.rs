//! What had settled here of a partition that comes back before anybody else has committed it.
//!
//! Brokers that are away for longer than the session lose a member its partitions, and with them
//! the commits that failed meanwhile. It is given them again where they have been, and would send
//! again what it knows to be accepted.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::super::clock::Moment;
use super::super::delivery::{Delivery, State};
use super::super::metadata::{Beyond, Partial};
use super::super::record::{CommitOffset, Epoch, RecordOffset, TopicPartition};
use super::Machine;
use super::commits::{Uncommitted, Written};
use super::tenure::Tenure;

/// A partition that was away for longer has had another owner, or a long outage; that the group
/// stands where it stood may be chance then, on another log of the same name.
const REMEMBERED: Duration = Duration::from_hours(1);

/// By partition.
pub(super) type Pasts = BTreeMap<TopicPartition, Past>;

/// Messages by the offset of their record and their number in it.
pub(super) type Messages = BTreeSet<(RecordOffset, usize)>;

/// What had settled, and could not be committed.
#[derive(Debug)]
pub(super) struct Past {
    epoch: Epoch,
    /// When the partition went.
    since: Duration,
    /// Where the group may stand if nobody has committed since. Anything else may be another log
    /// with the same name.
    written: Vec<Written>,
    frontier: CommitOffset,
    beyond: Beyond,
    /// Of the rules that tell the parts of its records.
    fingerprint: u64,
    accepted: Vec<RecordOffset>,
    /// Nobody knows whether their customers have them.
    maybe_sent: Messages,
    /// Records with dead letters that were on their way, and which of their parts have settled.
    letters: BTreeMap<RecordOffset, Vec<bool>>,
}

/// What is known of a partition that has come back.
pub(super) struct Regained {
    pub(super) beyond: Beyond,
    pub(super) uncommitted: Uncommitted,
    pub(super) maybe_sent: Messages,
}

impl Past {
    /// The broker has acknowledged a dead letter after the partition was lost.
    pub(super) fn dead_lettered(&mut self, epoch: Epoch, offset: RecordOffset, part: usize) {
        let parts = self.letters.get_mut(&offset).filter(|_| self.epoch == epoch);
        if let Some(settled) = parts.and_then(|parts| parts.get_mut(part)) {
            *settled = true;
        }
    }

    /// What has settled at and beyond the position that the group stands at.
    fn beyond(&mut self, position: CommitOffset) -> Beyond {
        let Beyond { mut runs, mut partials } = std::mem::take(&mut self.beyond);
        runs.extend(Some(position.0..self.frontier.0).filter(|run| !run.is_empty()));
        for (offset, settled) in std::mem::take(&mut self.letters) {
            partials.retain(|partial| partial.offset != offset.0);
            if settled.iter().all(|settled| *settled) {
                runs.push(offset.0..offset.next().0);
            } else if settled.contains(&true) {
                partials.push(Partial { offset: offset.0, settled });
            }
        }
        runs.sort_by_key(|run| run.start);
        partials.sort_by_key(|partial| partial.offset);
        Beyond { runs, partials }
    }
}

impl Machine {
    /// Keeps what is not committed of a partition that goes.
    pub(super) fn remember(&mut self, epoch: Epoch, now: Moment) {
        let Some(tenure) = self.tenures.get(&epoch) else { return };
        // Where it comes back, it is of another topic of that name, which may stand at the same place.
        if tenure.uncommitted.topic_gone {
            return;
        }
        let mut maybe_sent = self.maybe_sent(tenure);
        maybe_sent.extend(&tenure.maybe_sent);
        let letters = self.letters_of(epoch, tenure);
        if tenure.uncommitted.is_all_told() && maybe_sent.is_empty() && letters.is_empty() {
            return;
        }
        let past = Past {
            epoch,
            since: now.elapsed,
            written: tenure.uncommitted.written(),
            frontier: tenure.offsets.frontier(),
            beyond: tenure.beyond(usize::MAX),
            fingerprint: tenure.fingerprint,
            accepted: tenure.uncommitted.all_accepted(),
            maybe_sent,
            letters,
        };
        self.pasts.insert(tenure.source.clone(), past);
    }

    /// Keeps nothing of a partition whose topic is gone.
    pub(super) fn forget(&mut self, epoch: Epoch) {
        self.pasts.retain(|_, past| past.epoch != epoch);
    }

    pub(super) fn forget_sources(&mut self, sources: &[TopicPartition]) {
        self.pasts.retain(|source, _| !sources.contains(source));
    }

    /// By the rules in force: what an older message of a record went through says nothing of the one
    /// that they would make of it.
    fn maybe_sent(&self, tenure: &Tenure) -> Messages {
        let held = tenure.offsets.held().filter(|(_, held)| !held.outdated);
        let all = held.flat_map(|(_, held)| &held.parts).filter_map(|part| part.delivery);
        let all = all.filter_map(|id| self.deliveries.get(&id).map(AsRef::as_ref));
        let maybe =
            |delivery: &&Delivery| delivery.state == State::InFlight || delivery.ambiguous > 0;
        all.filter(maybe).map(|delivery| (delivery.offset, delivery.part)).collect()
    }

    fn letters_of(&self, epoch: Epoch, tenure: &Tenure) -> BTreeMap<RecordOffset, Vec<bool>> {
        let letters = self.letters.values().filter(|letter| letter.epoch == epoch);
        let parts = letters.filter_map(|letter| {
            let held = tenure.offsets.get(letter.offset).filter(|held| !held.outdated)?;
            Some((letter.offset, held.parts.iter().map(|part| part.settled).collect()))
        });
        parts.collect()
    }

    /// What had settled of a partition that comes back just where it was, and what is to be
    /// committed of it.
    pub(super) fn regained(
        &mut self,
        source: &TopicPartition,
        stands: &Written,
        fingerprint: u64,
        now: Moment,
    ) -> Option<Regained> {
        let is_known = |past: &Past| {
            past.written.contains(stands) && now.elapsed.saturating_sub(past.since) < REMEMBERED
        };
        let mut past = self.pasts.remove(source).filter(is_known)?;
        let mut beyond = past.beyond(stands.offset);
        if past.fingerprint != fingerprint {
            beyond.partials.clear();
            past.maybe_sent.clear();
        }
        self.uncommitted += past.accepted.len();
        let uncommitted = Uncommitted::going_on(stands.clone(), past.accepted);
        Some(Regained { beyond, uncommitted, maybe_sent: past.maybe_sent })
    }
}
