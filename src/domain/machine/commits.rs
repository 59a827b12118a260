//! When to commit what, and what a commit's result means.
//!
//! One commit is under way at a time. Nearly at once when nothing is in flight, or when half as many
//! messages are accepted and uncommitted as may be, else every 100 ms.

use std::time::Duration;

use super::super::clock::Moment;
use super::super::metadata::{self, Beyond, Encoded, METADATA_LIMIT, Partial};
use super::super::record::{CommitOffset, Epoch, RecordOffset};
use super::super::retry;
use super::tenure::{Part, Tenure};
use super::{CommitFailure, CommitRequest, Effect, Machine, Report};

/// Between commits while deliveries are in flight.
const BUSY: Duration = Duration::from_millis(100);

/// Between commits while none are: a stream of skipped records is no reason to ask the broker
/// after each.
const IDLE: Duration = Duration::from_millis(10);

/// Between commits while deliveries will soon have to wait for one: short beside the round trip,
/// and yet no busy loop where what is committed covers none of them.
const HALF_FULL: Duration = Duration::from_millis(2);

/// How many failed commits of a partition are remembered.
const DOUBTS: usize = 8;

/// When the next commit may be.
#[derive(Debug, Default)]
pub(super) struct Schedule {
    under_way: bool,
    last: Duration,
    pub(super) wakeup: Option<Duration>,
}

/// A commit as the broker has it, or may have it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Written {
    pub(super) offset: CommitOffset,
    pub(super) metadata: String,
}

/// What of one partition has changed since its last commit.
#[derive(Debug)]
pub(super) struct Uncommitted {
    /// What is committed.
    stands: Written,
    /// Commits that failed, as far as is known: of any of them the answer alone may be lost.
    in_doubt: Vec<Written>,
    /// Grows with every change of what would be committed.
    changes: u64,
    confirmed: u64,
    /// A commit has failed because there is no such topic.
    pub(super) topic_gone: bool,
    /// The offsets of messages accepted since the last commit that covers them.
    accepted: Vec<RecordOffset>,
    under_way: Option<UnderWay>,
    /// How many of the accepted ones the last commit did not cover: it has failed, or its metadata
    /// was full.
    stranded: usize,
    /// Some commit has failed since its own last success, be it another partition's.
    unproven: bool,
    not_before: Duration,
    failures: u32,
    metadata_limit: usize,
}

#[derive(Debug)]
struct UnderWay {
    changes: u64,
    accepted: Vec<RecordOffset>,
    covers_below: u64,
    written: Written,
}

impl Uncommitted {
    /// Nothing has changed since this was committed.
    pub(super) fn since(stands: Written) -> Self {
        Self {
            stands,
            in_doubt: Vec::new(),
            changes: 0,
            confirmed: 0,
            topic_gone: false,
            accepted: Vec::new(),
            under_way: None,
            stranded: 0,
            unproven: false,
            not_before: Duration::ZERO,
            failures: 0,
            metadata_limit: METADATA_LIMIT,
        }
    }

    /// These have been accepted since this was committed.
    pub(super) fn going_on(stands: Written, accepted: Vec<RecordOffset>) -> Self {
        Self { changes: 1, accepted, ..Self::since(stands) }
    }

    /// What the broker has, as it has confirmed.
    pub(super) fn stands(&self) -> CommitOffset {
        self.stands.offset
    }

    /// What the broker may have.
    pub(super) fn written(&self) -> Vec<Written> {
        let under_way = self.under_way.as_ref().map(|commit| &commit.written);
        let all = std::iter::once(&self.stands).chain(&self.in_doubt).chain(under_way);
        all.cloned().collect()
    }

    /// The messages accepted and not yet covered by a commit.
    pub(super) fn all_accepted(&self) -> Vec<RecordOffset> {
        let under_way = self.under_way.iter().flat_map(|commit| &commit.accepted);
        self.accepted.iter().chain(under_way).copied().collect()
    }

    pub(super) fn changed(&mut self) {
        self.changes += 1;
    }

    /// A message of this record has been accepted.
    pub(super) fn accepted(&mut self, offset: RecordOffset) {
        self.accepted.push(offset);
    }

    /// How many accepted messages the last commit has not covered.
    pub(super) fn stranded(&self) -> usize {
        self.stranded
    }

    /// Whether its next commit may fail as another one has.
    pub(super) fn is_unproven(&self) -> bool {
        self.unproven
    }

    /// Whether there is something to commit, and when that may be tried.
    fn due(&self) -> Option<Duration> {
        (!self.is_clean()).then_some(self.not_before)
    }

    pub(super) fn is_clean(&self) -> bool {
        self.changes == self.confirmed && self.under_way.is_none()
    }

    /// Whether nobody who takes the partition over would send anything of it again: a commit may
    /// have had no room for all that is accepted.
    pub(super) fn is_all_told(&self) -> bool {
        self.is_clean() && self.count() == 0
    }

    /// The number of messages accepted and not yet covered by a commit.
    pub(super) fn count(&self) -> usize {
        self.accepted.len() + self.under_way.as_ref().map_or(0, |commit| commit.accepted.len())
    }

    /// Notes that a commit of the state as it is now is under way.
    fn start(&mut self, offset: CommitOffset, encoded: &Encoded) {
        self.under_way = Some(UnderWay {
            changes: self.changes,
            accepted: std::mem::take(&mut self.accepted),
            covers_below: encoded.covers_below,
            written: Written { offset, metadata: encoded.metadata.clone() },
        });
    }

    /// Looks at the result of the commit under way. Returns how many messages it covers.
    fn end(&mut self, result: Result<(), CommitFailure>) -> usize {
        let Some(mut commit) = self.under_way.take() else { return 0 };
        match result {
            Ok(()) => {
                self.unproven = false;
                self.confirmed = commit.changes;
                self.stands = commit.written;
                self.in_doubt.clear();
                let before = commit.accepted.len();
                commit.accepted.retain(|offset| offset.0 >= commit.covers_below);
                let covered = before - commit.accepted.len();
                self.stranded = commit.accepted.len();
                self.accepted.append(&mut commit.accepted);
                covered
            }
            Err(failure) => {
                match failure {
                    CommitFailure::MetadataTooLarge => {
                        let too_long = commit.written.metadata.len();
                        self.metadata_limit = shorter(self.stands.metadata.len(), too_long);
                    }
                    CommitFailure::NoTopic => self.topic_gone = true,
                    CommitFailure::Other => self.doubt(commit.written),
                }
                self.stranded = commit.accepted.len();
                self.accepted.append(&mut commit.accepted);
                0
            }
        }
    }

    /// The first and the last ones are kept: where the answers were lost, brokers had begun to go or
    /// were about to come back.
    fn doubt(&mut self, commit: Written) {
        if !self.in_doubt.contains(&commit) {
            if self.in_doubt.len() == DOUBTS {
                self.in_doubt.remove(DOUBTS / 2);
            }
            self.in_doubt.push(commit);
        }
    }

    /// When the next commit may be tried, after this one. A shorter string is not a fault to wait
    /// for.
    fn wait_after(&mut self, result: Result<(), CommitFailure>, jitter: f64, now: Moment) {
        if result.is_err_and(CommitFailure::waits) {
            self.failures = self.failures.saturating_add(1);
            self.not_before = now.elapsed + retry::BROKER.delay(self.failures, jitter);
        } else {
            (self.failures, self.not_before) = (0, Duration::ZERO);
        }
    }
}

/// What to try after metadata that were too long, where the broker has taken `fits` bytes: any less
/// would no longer tell what the commit that stands tells, unless the broker takes less than it did.
fn shorter(fits: usize, too_long: usize) -> usize {
    if fits < too_long { fits.midpoint(too_long).min(too_long - 1) } else { too_long / 2 }
}

impl Tenure {
    /// What has settled beyond the frontier: about so many runs and partial records of it, those
    /// nearest the frontier.
    pub(super) fn beyond(&self, most: usize) -> Beyond {
        let settled = |parts: &[Part]| parts.iter().map(|part| part.settled).collect();
        let partials = self.partly_settled.iter().filter_map(|offset| {
            let held = self.offsets.get(*offset).filter(|held| !held.outdated)?;
            Some(Partial { offset: offset.0, settled: settled(&held.parts) })
        });
        let restored = self.restored.values().take(most).cloned();
        let mut partials: Vec<_> = partials.take(most).chain(restored).collect();
        partials.sort_by_key(|partial| partial.offset);
        partials.truncate(most);
        Beyond { runs: self.offsets.settled_beyond(most), partials }
    }
}

impl Machine {
    /// Commits what has changed, if it is time.
    pub(super) fn commit(&mut self, now: Moment) {
        self.commits.wakeup = None;
        let due = self.tenures.values().filter_map(|tenure| tenure.uncommitted.due()).min();
        let Some(due) = due.filter(|_| !self.commits.under_way) else { return };
        let urgent = |tenure: &Tenure| {
            tenure.leaving.is_some() && tenure.in_flight == 0 && tenure.pending_letters == 0
        };
        let idle = self.on_wire.is_empty() || self.tenures.values().any(urgent);
        // Half the messages that may be uncommitted: the rest of them is for the round trip.
        let half_full = self.counted_uncommitted() * 2 >= self.settings.max_in_flight;
        let interval = if half_full {
            HALF_FULL
        } else if idle {
            IDLE
        } else {
            BUSY
        };
        let earliest = (self.commits.last + interval).max(due);
        if now.elapsed < earliest && self.commits.last > Duration::ZERO {
            self.commits.wakeup = Some(earliest);
            return;
        }
        let mut requests = Vec::new();
        let is_due =
            |tenure: &Tenure| tenure.uncommitted.due().is_some_and(|due| due <= now.elapsed);
        for (epoch, tenure) in self.tenures.iter_mut().filter(|(_, tenure)| is_due(tenure)) {
            let offset = tenure.offsets.frontier();
            let limit = tenure.uncommitted.metadata_limit;
            // A commit costs the same however much is held.
            let beyond = tenure.beyond(metadata::ENTRIES_LIMIT);
            let encoded = metadata::encode(offset, tenure.fingerprint, &beyond, limit);
            tenure.uncommitted.start(offset, &encoded);
            requests.push(CommitRequest {
                epoch: *epoch,
                source: tenure.source.clone(),
                offset,
                metadata: encoded.metadata,
            });
        }
        self.commits.under_way = true;
        self.commits.last = now.elapsed;
        self.effects.push(Effect::Commit(requests));
    }

    pub(super) fn committed(
        &mut self,
        results: Vec<(Epoch, Result<(), CommitFailure>)>,
        now: Moment,
    ) {
        self.commits.under_way = false;
        let mut partitions = 0;
        // One for all: what fails together is tried again together.
        let jitter = self.jitter.f64();
        let is_here = |epoch: &Epoch| self.tenures.contains_key(epoch);
        let failed = |result: &Result<_, CommitFailure>| result.is_err_and(CommitFailure::waits);
        if results.iter().any(|(epoch, result)| is_here(epoch) && failed(result)) {
            for tenure in self.tenures.values_mut() {
                tenure.uncommitted.unproven = true;
            }
        }
        for (epoch, result) in results {
            if result == Err(CommitFailure::NoTopic) {
                self.forget(epoch);
            }
            let Some(tenure) = self.tenures.get_mut(&epoch) else { continue };
            self.uncommitted -= tenure.uncommitted.end(result);
            tenure.uncommitted.wait_after(result, jitter, now);
            if result.is_ok() {
                partitions += 1;
            } else {
                let source = tenure.source.clone();
                self.report(Report::CommitFailed { source });
            }
        }
        self.update_held_back();
        if partitions > 0 {
            // The coordinator took the commit at some time since it was asked to, and counts the
            // session from there, however late the answer is.
            self.coordinator_heard = self.coordinator_heard.max(self.commits.last);
            self.report(Report::Committed { partitions });
        }
    }
}
