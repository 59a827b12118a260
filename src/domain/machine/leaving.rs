//! Revoke, loss and drain of partitions: what is left to the next owner, and what is not.

use std::time::Duration;

use super::super::clock::Moment;
use super::super::delivery::{DeliveryId, HeldVerdict, State};
use super::super::message::OnAmbiguous;
use super::super::outcome::Ambiguity;
use super::super::record::{Epoch, TopicPartition};
use super::tenure::Tenure;
use super::{Draining, Effect, Machine};

/// How much longer than an attempt a revoke may take: for the dead letters that come of it.
const REVOKE_GRACE: Duration = Duration::from_secs(5);

/// How long the last dead letters and the last commit may take once the deadline has passed.
const LAST_GRACE: Duration = Duration::from_secs(3);

/// The partition takes nothing new, and goes when what is in flight has settled.
#[derive(Clone, Copy, Debug)]
pub(super) struct Leaving {
    pub(super) deadline: Duration,
    /// The deadline has passed, and what was on the wire has been given up.
    pub(super) overdue: bool,
}

/// How long a drain waits for what is on the wire: the last dead letters and the last commit are
/// within its timeout.
pub fn wire_time(drain_timeout: Duration) -> Duration {
    drain_timeout.saturating_sub(LAST_GRACE).max(drain_timeout / 2)
}

impl Machine {
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
            self.carry_verdict_out(id, HeldVerdict::Ambiguous);
        } else {
            self.drop_delivery(id);
        }
    }

    /// A verdict that waits for a different answer can wait no longer. A refusal is left to the next
    /// owner where the channel has stopped, for then it is not the event's own, and where it is
    /// paused, for its rule may yet be mended.
    pub(super) fn leave_suspect(&mut self, id: DeliveryId, verdict: HeldVerdict) {
        let Some(delivery) = self.deliveries.get(&id) else { return };
        let paused = self.pause_of(id).is_some() && delivery.is_replaceable();
        let stopped = self.is_stopped(&delivery.lane.channel);
        if verdict == HeldVerdict::Rejected && (paused || stopped) {
            self.leave_to_next_owner(id);
        } else {
            self.carry_verdict_out(id, verdict);
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
        let quiet = tenure.in_flight == 0 && tenure.pending_letters == 0;
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
            delivery.doubt(Ambiguity::NoAnswer, None);
            self.report_doubt(id);
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
        self.recount_held_back();
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
