//! Partitions, from their assignment on, and what is held of them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::super::clock::{Moment, Timestamp};
use super::super::delivery::{Delivery, DeliveryId};
use super::super::message::{self, Decision, Message, Redrive};
use super::super::metadata::{self, Partial};
use super::super::offsets::Offsets;
use super::super::record::{Epoch, Record, RecordOffset, TopicPartition};
use super::commits::{Uncommitted, Written};
use super::leaving::Leaving;
use super::regained::{Messages, Regained};
use super::{Assignment, Effect, Machine, PauseReason, Report, SettledAs};

/// A partition, from its assignment until it is revoked, lost or drained.
#[derive(Debug)]
pub(super) struct Tenure {
    pub(super) source: TopicPartition,
    pub(super) offsets: Offsets<Held>,
    pub(super) bytes: usize,
    /// Tells the rules that its records were decided by.
    pub(super) fingerprint: u64,
    /// Held records of which some messages have settled.
    pub(super) partly_settled: BTreeSet<RecordOffset>,
    /// Records of which some messages had settled when the epoch began.
    pub(super) restored: BTreeMap<RecordOffset, Partial>,
    /// Of those still to be read: nobody knows whether their customers have them.
    pub(super) maybe_sent: Messages,
    /// The bound is reached, and so reading pauses.
    pub(super) full: bool,
    pub(super) paused: Option<PauseReason>,
    pub(super) leaving: Option<Leaving>,
    pub(super) uncommitted: Uncommitted,
    /// What it has sent can't be committed: it goes on one record after the other.
    pub(super) held_back: bool,
    /// That is its own fault, and not that of others whose commits fail.
    pub(super) stranded: bool,
    /// Its deliveries that would be ready otherwise.
    pub(super) aside: BTreeMap<(RecordOffset, usize), DeliveryId>,
    /// Attempts of this tenure on the wire.
    pub(super) in_flight: usize,
    /// Dead letters of this tenure that are not acknowledged.
    pub(super) pending_letters: usize,
}

/// A record that has not settled.
#[derive(Debug)]
pub(super) struct Held {
    /// As polled.
    pub(super) record: Arc<Record>,
    pub(super) redrive: Option<Redrive>,
    pub(super) event_time: Timestamp,
    /// One for each message, or one for a record that is rejected as a whole.
    pub(super) parts: Vec<Part>,
    pub(super) settled: SettledAs,
    /// Its parts are not those that the rules in force would make of it: what has settled of them
    /// means nothing to whoever reads the record again.
    pub(super) outdated: bool,
    /// Some of it has begun, if by other rules: its messages have had their places among their
    /// recipients' others.
    pub(super) has_place: bool,
    /// What the rules in force would make of it, while something of it is under way that may yet
    /// turn out not to have been applied.
    pub(super) later: Option<Decision>,
    /// What holding it costs, in bytes, near enough.
    pub(super) cost: usize,
}

impl Held {
    /// As it was, and where it was, before any redrive.
    pub(super) fn original(&self) -> &Arc<Record> {
        self.redrive.as_ref().map_or(&self.record, |redrive| &redrive.original)
    }

    /// What holding it with these messages costs.
    pub(super) fn cost(&self, verdict: &message::Verdict) -> usize {
        let original = self.redrive.as_ref().map_or(0, |redrive| redrive.original.held_bytes());
        let messages = match verdict {
            message::Verdict::Deliver(parts) => parts.as_slice(),
            message::Verdict::Skip(_) | message::Verdict::Reject(_) => &[],
        };
        let message = |message: &Message| message.text.as_str().len() + size_of::<Delivery>();
        let messages: usize = messages.iter().flatten().map(message).sum();
        self.record.held_bytes() + original + messages
    }
}

#[derive(Clone, Debug, Default)]
pub(super) struct Part {
    /// The rule that made it; none where the record is rejected as a whole.
    pub(super) rule: Option<Arc<str>>,
    /// It was queued or set aside. Until then the brake, or a pause of the topic, holds it back.
    pub(super) begun: bool,
    pub(super) delivery: Option<DeliveryId>,
    pub(super) settled: bool,
}

impl Tenure {
    pub(super) fn is_paused(&self) -> bool {
        self.full || self.paused.is_some()
    }
}

impl Machine {
    pub(super) fn assigned(
        &mut self,
        assignments: Vec<Assignment>,
        partitions_in_all: usize,
        now: Moment,
    ) {
        self.partitions_in_all = partitions_in_all;
        self.coordinator_heard = now.elapsed;
        for assignment in assignments {
            self.begin(assignment, now);
        }
        self.share_out();
    }

    fn begin(&mut self, assignment: Assignment, now: Moment) {
        let Assignment { source, epoch, position, metadata } = assignment;
        let fingerprint = self.fingerprint(&source.topic);
        if metadata.is_none() {
            self.pasts.remove(&source);
        }
        let stands = Written { offset: position, metadata: metadata.unwrap_or_default() };
        let regained = self.regained(&source, &stands, fingerprint, now);
        let Regained { beyond, uncommitted, maybe_sent } = regained.unwrap_or_else(|| {
            let decoded = metadata::decode(&stands.metadata, position, fingerprint);
            let beyond = decoded.unwrap_or_else(|why| {
                self.report(Report::MetadataIgnored { source: source.clone(), why });
                metadata::Beyond::default()
            });
            let uncommitted = Uncommitted::since(stands);
            Regained { beyond, uncommitted, maybe_sent: Messages::new() }
        });
        let partials = beyond.partials.into_iter();
        let braked = self.braked(&source.topic);
        let leaving = self
            .draining
            .map(|drain| Leaving { deadline: drain.deadline.max(now.elapsed), overdue: false });
        let tenure = Tenure {
            offsets: Offsets::starting_at(position, beyond.runs),
            bytes: 0,
            fingerprint,
            partly_settled: BTreeSet::new(),
            restored: partials.map(|partial| (RecordOffset(partial.offset), partial)).collect(),
            maybe_sent,
            full: false,
            paused: braked.then_some(PauseReason::Brake),
            leaving,
            uncommitted,
            held_back: false,
            stranded: false,
            aside: BTreeMap::new(),
            in_flight: 0,
            pending_letters: 0,
            source,
        };
        if tenure.is_paused() {
            self.effects.push(Effect::Pause(tenure.source.clone()));
        }
        self.tenures.insert(epoch, tenure);
    }

    fn fingerprint(&self, topic: &str) -> u64 {
        self.settings.fingerprints.get(topic).copied().unwrap_or_default()
    }

    /// A member has the part of the group's rate that it has of the topics' partitions.
    pub(super) fn share_out(&mut self) {
        let owned = u32::try_from(self.tenures.len()).unwrap_or(u32::MAX);
        let in_all = u32::try_from(self.partitions_in_all).unwrap_or(u32::MAX).max(owned).max(1);
        let share = self.settings.requests_per_second * f64::from(owned) / f64::from(in_all);
        for gate in &mut self.gates {
            gate.rate.set(share);
        }
        let epochs: Vec<_> = self.tenures.keys().copied().collect();
        for epoch in epochs {
            self.apply_bounds(epoch);
        }
        self.update_held_back();
    }

    pub(super) fn out_of_range(&mut self, source: &TopicPartition) {
        for epoch in self.epochs_of(std::slice::from_ref(source)) {
            self.pause(epoch, PauseReason::OffsetOutOfRange);
        }
    }

    pub(super) fn epochs_of(&self, sources: &[TopicPartition]) -> Vec<Epoch> {
        let owned = self.tenures.iter().filter(|(_, tenure)| sources.contains(&tenure.source));
        owned.map(|(epoch, _)| *epoch).collect()
    }
}
