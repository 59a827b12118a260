//! Which delivery starts next.

use std::collections::HashMap;
use std::time::Duration;

use super::super::clock::Moment;
use super::super::dead_letter::Reason;
use super::super::delivery::{Delivery, DeliveryId, HeldVerdict, State};
use super::super::gate::{Gate, Passage};
use super::super::paused::Pause;
use super::{Attempt, Effect, Machine, Report, on_monotonic_clock};

/// How many ids of what has moved on a gate's queue may have besides.
const SPARE: usize = 64;

fn is_ready(deliveries: &HashMap<DeliveryId, Box<Delivery>>, id: DeliveryId) -> bool {
    deliveries.get(&id).is_some_and(|delivery| delivery.state == State::Ready)
}

impl Machine {
    /// Puts the head of a lane in the queue of its channel's gate, unless its topic or its rule is
    /// paused.
    pub(super) fn make_ready(&mut self, id: DeliveryId, now: Moment) {
        let waits = matches!(self.pause_of(id), Some(Pause::Topic | Pause::Rule));
        let Some(delivery) = self.deliveries.get_mut(&id) else { return };
        delivery.state = if waits { State::Paused } else { State::Ready };
        delivery.ready_since = now.elapsed;
        let tenure = self.tenures.get(&delivery.lane.epoch);
        let is_new = !delivery.is_tried() && tenure.is_some_and(|tenure| !tenure.held_back);
        let deadline = delivery.message.deadline;
        let channel = &delivery.lane.channel;
        let Some(gate) = self.gates.iter_mut().find(|gate| gate.channel.id == *channel) else {
            return;
        };
        if !waits && gate.is_stopped() && delivery.meets_a_stop() {
            gate.suspects.push(id);
        } else if !waits {
            // Nobody passes over what has expired at a gate that is closed for long.
            if gate.ready.len() > 2 * self.deliveries.len() + SPARE {
                gate.ready.retain(|id| is_ready(&self.deliveries, *id));
            }
            gate.ready.push_back(id);
            if let Some(stop) = gate.stop.as_mut().filter(|_| is_new) {
                stop.probe_early(now.elapsed);
            }
        }
        self.set_timer(id, Some(on_monotonic_clock(deadline, now)));
    }

    /// Takes what has moved on away from the front of a gate's queue.
    pub(super) fn pass_over_what_has_moved_on(&mut self, at: usize) {
        let Some(gate) = self.gates.get_mut(at) else { return };
        while gate.ready.front().is_some_and(|id| !is_ready(&self.deliveries, *id)) {
            gate.ready.pop_front();
        }
    }

    /// Starts what may start. The channels take turns, so that a busy one does not starve the
    /// others of the deliveries that may be in flight.
    pub(super) fn start(&mut self, now: Moment) {
        self.bring_frontiers_back();
        let mut idle = 0;
        while idle < self.gates.len() && self.may_start(now) {
            let gate = self.next_gate % self.gates.len();
            self.next_gate = gate + 1;
            idle = if self.start_at(gate, now) { 0 } else { idle + 1 };
        }
    }

    /// Whether anything new may be started at all.
    pub(super) fn may_start(&self, now: Moment) -> bool {
        self.on_wire.len() < self.settings.max_in_flight && self.has_room() && self.is_heard(now)
    }

    /// Whether one more may be accepted without its commit.
    pub(super) fn has_room(&self) -> bool {
        self.counted_uncommitted() < self.settings.max_in_flight
    }

    /// Whether the coordinator was heard of recently enough: a member that was cut off must not
    /// send beside its successor.
    pub(super) fn is_heard(&self, now: Moment) -> bool {
        let silent_for = now.elapsed.saturating_sub(self.coordinator_heard);
        let patience = self.settings.session_timeout.saturating_sub(self.settings.attempt_timeout);
        silent_for < patience
    }

    /// A gate lets nothing through before then.
    pub(super) fn wake_for_a_gate(&mut self, then: Duration) {
        self.gate_wakeup = Some(self.gate_wakeup.map_or(then, |set| set.min(then)));
    }

    /// Starts one delivery at this gate, if there is one that may go through.
    fn start_at(&mut self, gate: usize, now: Moment) -> bool {
        let closed = |gate: &Gate| gate.stop.is_some() || gate.paused;
        if self.account.is_some() || self.gates.get(gate).is_none_or(closed) {
            return false;
        }
        let Some(id) = self.next_ready(gate, now) else { return false };
        let Some(at) = self.gates.get_mut(gate) else { return false };
        match at.pass(now.elapsed) {
            Passage::Open => {
                at.ready.pop_front();
                self.launch(gate, id, now);
                true
            }
            Passage::At(then) => {
                self.wake_for_a_gate(then);
                false
            }
            Passage::Closed => false,
        }
    }

    /// The delivery at the front of a gate's queue, which it does not leave yet. Those that have
    /// moved on, or are held back, are passed over; those whose deadline has passed are set aside.
    pub(super) fn next_ready(&mut self, at: usize, now: Moment) -> Option<DeliveryId> {
        loop {
            self.pass_over_what_has_moved_on(at);
            let id = *self.gates.get(at)?.ready.front()?;
            let delivery = self.deliveries.get(&id)?;
            let expired = delivery.message.expired(now.wall);
            let repeats = delivery.must_not_repeat();
            if !expired && !repeats && !self.put_aside(id) {
                return Some(id);
            }
            self.gates.get_mut(at)?.ready.pop_front();
            if expired {
                self.expire(id);
            } else if repeats {
                self.carry_verdict_out(id, HeldVerdict::Ambiguous);
            }
        }
    }

    /// Makes the next attempt of a delivery.
    pub(super) fn launch(&mut self, gate: usize, id: DeliveryId, now: Moment) {
        self.set_timer(id, None);
        let Some(delivery) = self.deliveries.get_mut(&id) else { return };
        let Some(tenure) = self.tenures.get_mut(&delivery.lane.epoch) else { return };
        let Some(held) = tenure.offsets.get(delivery.offset) else { return };
        delivery.state = State::InFlight;
        delivery.started = now.elapsed;
        delivery.tries.attempts += 1;
        delivery.tries.first.get_or_insert(now.wall);
        delivery.tries.last = Some(now.wall);
        let attempt = Attempt {
            delivery: id,
            message: delivery.message.clone(),
            source: held.original().source.clone(),
            offset: held.original().offset,
            timestamp: held.original().timestamp,
            part: delivery.part,
        };
        let topic = tenure.source.topic.clone();
        let repeats = std::mem::take(&mut delivery.uncounted);
        let waited = now.elapsed.saturating_sub(delivery.ready_since);
        tenure.in_flight += 1;
        self.on_wire.insert(id, gate);
        if let Some(gate) = self.gates.get_mut(gate) {
            gate.in_flight += 1;
        }
        self.report(Report::Started { waited });
        if repeats {
            self.report(Report::PossibleDuplicate { topic });
        }
        self.effects.push(Effect::Send(attempt));
    }

    /// Looks at every delivery whose timer is due.
    pub(super) fn fire_timers(&mut self, now: Moment) {
        while let Some((due, id)) =
            self.timers.first().copied().filter(|(due, _)| *due <= now.elapsed)
        {
            self.timers.remove(&(due, id));
            let Some(delivery) = self.deliveries.get_mut(&id) else { continue };
            delivery.timer = None;
            let expired = delivery.message.expired(now.wall);
            match delivery.state {
                State::Backoff if !expired => self.make_ready(id, now),
                State::Backoff | State::Ready | State::Paused if expired => self.expire(id),
                // The wall clock was set back: the deadline is further off than it was.
                State::Ready | State::Paused => self.await_deadline(id, now),
                State::Held(verdict) => self.hold_is_over(id, verdict, now),
                State::Backoff
                | State::Queued
                | State::InFlight
                | State::InQuestion
                | State::DeadLettering => {}
            }
        }
        while let Some((due, id)) =
            self.letter_timers.first().copied().filter(|(due, _)| *due <= now.elapsed)
        {
            self.letter_timers.remove(&(due, id));
            self.send_letter(id);
        }
    }

    pub(super) fn await_deadline(&mut self, id: DeliveryId, now: Moment) {
        let Some(delivery) = self.deliveries.get(&id) else { return };
        let deadline = on_monotonic_clock(delivery.message.deadline, now);
        let soonest = now.elapsed + Duration::from_millis(1);
        self.set_timer(id, Some(deadline.max(soonest)));
    }

    /// The deadline has passed: it is not sent any more.
    pub(super) fn expire(&mut self, id: DeliveryId) {
        let ambiguous = self.deliveries.get(&id).is_some_and(|delivery| delivery.ambiguous > 0);
        let (reason, detail) = if ambiguous {
            (Reason::Ambiguous, "the deadline passed after an attempt whose outcome is unknown")
        } else {
            (Reason::Expired, "the deadline passed before the message could be sent")
        };
        self.set_aside(id, reason, detail.to_owned());
    }
}
