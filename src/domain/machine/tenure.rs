//! Assignment, revoke, loss and drain of partitions.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use super::super::clock::{Moment, Timestamp};
use super::super::delivery::{Delivery, DeliveryId, State, Verdict};
use super::super::message::{self, Decision, Message, OnAmbiguous, Redrive};
use super::super::metadata::{self, Partial};
use super::super::offsets::Offsets;
use super::super::record::{Epoch, Record, RecordOffset, TopicPartition};
use super::commits::{Uncommitted, Written};
use super::regained::{Messages, Regained};
use super::{Assignment, Draining, Effect, Machine, PauseReason, Report, SettledAs};

/// How much longer than an attempt a revoke may take: for the dead letters that come of it.
const REVOKE_GRACE: Duration = Duration::from_secs(5);

/// How long the last dead letters and the last commit may take once the deadline has passed.
const LAST_GRACE: Duration = Duration::from_secs(3);

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
    pub(super) letters: usize,
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

/// The partition takes nothing new, and goes when what is in flight has settled.
#[derive(Clone, Copy, Debug)]
pub(super) struct Leaving {
    pub(super) deadline: Duration,
    /// The deadline has passed, and what was on the wire has been given up.
    pub(super) overdue: bool,
}

/// How long a drain waits for what is on the wire: the last dead letters and the last commit are
/// within its timeout.
pub(super) fn wire_time(drain_timeout: Duration) -> Duration {
    drain_timeout.saturating_sub(LAST_GRACE).max(drain_timeout / 2)
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
            letters: 0,
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
            gate.pace.set(share);
        }
        let epochs: Vec<_> = self.tenures.keys().copied().collect();
        for epoch in epochs {
            self.mind_the_bound(epoch);
        }
        self.mind_what_is_stranded();
    }

    pub(super) fn revoked(&mut self, sources: Vec<TopicPartition>, now: Moment) {
        let deadline = now.elapsed + self.settings.attempt_timeout + REVOKE_GRACE;
        for epoch in self.epochs_of(&sources) {
            self.start_leaving(epoch, deadline);
        }
        self.revokes.push(sources);
    }

    pub(super) fn lost(&mut self, sources: &[TopicPartition], now: Moment) {
        for epoch in self.epochs_of(sources) {
            self.note_uncommitted(epoch);
            self.drop_tenure(epoch, now);
        }
        self.share_out();
    }

    pub(super) fn deleted(&mut self, sources: &[TopicPartition], now: Moment) {
        self.lost(sources, now);
        self.forget_sources(sources);
    }

    pub(super) fn drain(&mut self, now: Moment) {
        if self.draining.is_some() {
            return;
        }
        let deadline = now.elapsed + wire_time(self.settings.drain_timeout);
        self.draining = Some(Draining { deadline, told: false, uncommitted: 0 });
        let epochs: Vec<_> = self.tenures.keys().copied().collect();
        for epoch in epochs {
            self.start_leaving(epoch, deadline);
        }
    }

    pub(super) fn out_of_range(&mut self, source: &TopicPartition) {
        for epoch in self.epochs_of(std::slice::from_ref(source)) {
            self.pause(epoch, PauseReason::OffsetOutOfRange);
        }
    }

    fn epochs_of(&self, sources: &[TopicPartition]) -> Vec<Epoch> {
        let owned = self.tenures.iter().filter(|(_, tenure)| sources.contains(&tenure.source));
        owned.map(|(epoch, _)| *epoch).collect()
    }

    /// Gives up what is not on the wire: the next owner reads it again.
    fn start_leaving(&mut self, epoch: Epoch, deadline: Duration) {
        let Some(tenure) = self.tenures.get_mut(&epoch) else { return };
        match &mut tenure.leaving {
            Some(leaving) => {
                leaving.deadline = leaving.deadline.min(deadline);
                return;
            }
            None => tenure.leaving = Some(Leaving { deadline, overdue: false }),
        }
        self.effects.push(Effect::Pause(tenure.source.clone()));
        for id in self.deliveries_of(epoch) {
            let Some(delivery) = self.deliveries.get(&id) else { continue };
            match delivery.state {
                State::InFlight | State::DeadLettering => {}
                State::Held(verdict) => self.leave_suspect(id, verdict),
                State::Queued
                | State::Ready
                | State::Paused
                | State::Backoff
                | State::InQuestion => self.leave_to_next_owner(id),
            }
        }
    }

    /// What is not on the wire is read again by the next owner. That knows nothing of earlier attempts,
    /// so what may have reached the customer is set aside, where its rule would rather have that than
    /// repeat it.
    pub(super) fn leave_to_next_owner(&mut self, id: DeliveryId) {
        if self.deliveries.get(&id).is_some_and(|d| d.is_rather_set_aside()) {
            self.spend(id, Verdict::Ambiguous);
        } else {
            self.drop_delivery(id);
        }
    }

    /// A verdict that waits for a different answer can wait no longer. A refusal is left to the next
    /// owner where the channel has stopped, for then it is not the event's own, and where it is
    /// paused, for its rule may yet be mended.
    pub(super) fn leave_suspect(&mut self, id: DeliveryId, verdict: Verdict) {
        let Some(delivery) = self.deliveries.get(&id) else { return };
        let paused = self.pause_of(id).is_some() && delivery.is_replaceable();
        let stopped = self.is_stopped(&delivery.lane.channel);
        if verdict == Verdict::Rejected && (paused || stopped) {
            self.leave_to_next_owner(id);
        } else {
            self.spend(id, verdict);
        }
    }

    pub(super) fn deliveries_of(&self, epoch: Epoch) -> Vec<DeliveryId> {
        let Some(tenure) = self.tenures.get(&epoch) else { return Vec::new() };
        let parts = tenure.offsets.held().flat_map(|(_, held)| &held.parts);
        parts.filter_map(|part| part.delivery).collect()
    }

    pub(super) fn is_leaving(&self, epoch: Epoch) -> bool {
        self.tenures.get(&epoch).is_none_or(|tenure| tenure.leaving.is_some())
    }

    /// Lets those go that have settled all that was in flight, and committed it.
    pub(super) fn leave(&mut self, now: Moment) {
        let leaving = |(epoch, tenure): (&Epoch, &Tenure)| Some((*epoch, tenure.leaving?));
        let all: Vec<_> = self.tenures.iter().filter_map(leaving).collect();
        for (epoch, leaving) in &all {
            if !leaving.overdue && now.elapsed >= leaving.deadline {
                self.give_up_wire(*epoch);
            }
            if self.may_go(*epoch, *leaving, now) {
                self.note_uncommitted(*epoch);
                self.drop_tenure(*epoch, now);
            }
        }
        if !all.is_empty() {
            self.share_out();
        }
        let owned =
            |source: &TopicPartition| self.tenures.values().any(|tenure| tenure.source == *source);
        let gone = |sources: &mut Vec<TopicPartition>| !sources.iter().any(owned);
        for sources in self.revokes.extract_if(.., gone) {
            self.effects.push(Effect::Release(sources));
        }
        if let Some(draining) = self.draining.as_mut().filter(|draining| !draining.told)
            && self.tenures.is_empty()
        {
            draining.told = true;
            self.effects.push(Effect::Drained);
        }
    }

    fn note_uncommitted(&mut self, epoch: Epoch) {
        let tenure = self.tenures.get(&epoch);
        let committed = tenure.is_none_or(|tenure| tenure.uncommitted.is_all_told());
        // The next owner knows nothing of a message that may have reached its customer, and whose
        // dead letter the broker has not acknowledged.
        let ids = self.deliveries_of(epoch);
        let mut all = ids.iter().filter_map(|id| self.deliveries.get(id));
        let may_repeat = all.any(|delivery| {
            let sets_aside = delivery.message.on_ambiguous == OnAmbiguous::DeadLetter;
            delivery.is_rather_set_aside() || (delivery.state == State::InFlight && sets_aside)
        });
        if let Some(draining) = self.draining.as_mut().filter(|_| !committed || may_repeat) {
            draining.uncommitted += 1;
        }
    }

    /// How many partitions the drain has let go although their last commit, or a dead letter of a
    /// message that may have been sent, was not confirmed, or the commit had no room to tell of all
    /// that has settled: some of it may be sent again.
    pub fn left_uncommitted(&self) -> usize {
        self.draining.map_or(0, |draining| draining.uncommitted)
    }

    fn may_go(&self, epoch: Epoch, leaving: Leaving, now: Moment) -> bool {
        let Some(tenure) = self.tenures.get(&epoch) else { return false };
        let quiet = tenure.in_flight == 0 && tenure.letters == 0;
        let committed = tenure.uncommitted.is_clean();
        (quiet && committed) || now.elapsed >= leaving.deadline + LAST_GRACE
    }

    /// An attempt that is still on the wire is ambiguous: a `dead_letter` rule sets it aside, a
    /// `retry` rule leaves it to the next owner.
    fn give_up_wire(&mut self, epoch: Epoch) {
        if let Some(leaving) = self.tenures.get_mut(&epoch).and_then(|t| t.leaving.as_mut()) {
            leaving.overdue = true;
        }
        for id in self.deliveries_of(epoch) {
            let Some(delivery) = self.deliveries.get_mut(&id) else { continue };
            if delivery.state != State::InFlight {
                continue;
            }
            delivery.ambiguous += 1;
            self.leave_to_next_owner(id);
            if let Some(tenure) = self.tenures.get_mut(&epoch) {
                tenure.in_flight = 0;
            }
        }
    }

    /// When a leaving partition is due to go, whatever happens.
    pub(super) fn next_departure(&self) -> Option<Duration> {
        let due = |leaving: Leaving| {
            if leaving.overdue { leaving.deadline + LAST_GRACE } else { leaving.deadline }
        };
        self.tenures.values().filter_map(|tenure| tenure.leaving.map(due)).min()
    }

    /// Forgets a partition and all that is held of it. Its attempts on the wire go on, but their
    /// answers find nothing to settle.
    fn drop_tenure(&mut self, epoch: Epoch, now: Moment) {
        self.remember(epoch, now);
        for id in self.deliveries_of(epoch) {
            self.drop_delivery(id);
        }
        let Some(tenure) = self.tenures.remove(&epoch) else { return };
        self.conservation.dropped += tenure.offsets.held_count() as u64;
        self.uncommitted -= tenure.uncommitted.count();
        self.count_excused();
        let stale: Vec<_> = self
            .letter_timers
            .iter()
            .filter(|(_, id)| self.letters.get(id).is_some_and(|letter| letter.epoch == epoch))
            .copied()
            .collect();
        // Those that are with the broker may yet be acknowledged.
        for timer in stale {
            self.letter_timers.remove(&timer);
            self.letters.remove(&timer.1);
        }
        let live = &self.deliveries;
        for gate in &mut self.gates {
            gate.ready.retain(|id| live.contains_key(id));
            gate.suspects.retain(|id| live.contains_key(id));
        }
    }

    /// Forgets a delivery; its record stays held, for it has not settled.
    pub(super) fn drop_delivery(&mut self, id: DeliveryId) {
        self.set_timer(id, None);
        let Some(delivery) = self.deliveries.remove(&id) else { return };
        self.lanes.remove(&delivery.lane, id);
        let Some(tenure) = self.tenures.get_mut(&delivery.lane.epoch) else { return };
        tenure.aside.remove(&(delivery.offset, delivery.part));
        if let Some(held) = tenure.offsets.get_mut(delivery.offset)
            && let Some(part) = held.parts.get_mut(delivery.part)
        {
            part.delivery = None;
        }
    }
}
