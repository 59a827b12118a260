//! Verdicts that are held until it is known whose fault a failure is.
//!
//! A single failure may be the event's own or the first sign of such a fault. So a verdict that
//! would set a message aside is held until a different answer shows that the channel works, and
//! is carried out then. If five alike come together instead, the channel stops, and when it works
//! again those messages are sent once more: whatever they meet then is their own.

use std::time::Duration;

use super::super::clock::Moment;
use super::super::dead_letter::Reason;
use super::super::delivery::{DeliveryId, HeldVerdict, State};
use super::super::gate::FailureKind;
use super::super::outcome::Scope;
use super::super::retry;
use super::{Machine, on_monotonic_clock};

/// The time between two second chances of a channel, and the longest that they take in all.
const BETWEEN_SECOND_CHANCES: Duration = Duration::from_millis(100);
const SECOND_CHANCES_WITHIN: Duration = Duration::from_secs(30);

/// A verdict is held this long where no different answer comes; then it is the event's own.
pub(super) const VERDICT_HOLD: Duration = Duration::from_secs(30);

impl Machine {
    /// Holds a verdict that would set the delivery aside.
    pub(super) fn suspect(
        &mut self,
        gate: usize,
        id: DeliveryId,
        verdict: HeldVerdict,
        kind: FailureKind,
        now: Moment,
    ) {
        let Some(delivery) = self.deliveries.get(&id) else { return };
        let deadline = on_monotonic_clock(delivery.message.deadline, now);
        let epoch = delivery.lane.epoch;
        // A probe that sent it once more was a second chance as well: its rule would rather set it
        // aside than repeat it, and an outage has many probes.
        let repeated = verdict == HeldVerdict::Ambiguous && delivery.ambiguous > 1;
        let is_final = delivery.second_chance || repeated;
        if !is_final && self.began_before_the_end_of_a_stop(gate, id) {
            return self.suspect_of_the_past(id, verdict, now);
        }
        if is_final {
            // Where the outage is there yet, it must not cost every second chance.
            if verdict == HeldVerdict::Ambiguous {
                let recipient = delivery.message.recipient.clone();
                self.count_failure(gate, id, kind, now);
                if let Some(at) = self.gates.get_mut(gate) {
                    at.note_carried_out(&recipient);
                }
            }
            return self.carry_verdict_out(id, verdict);
        }
        self.count_failure(gate, id, kind, now);
        if self.tenures.get(&epoch).is_none_or(|tenure| tenure.leaving.is_some()) {
            return self.leave_suspect(id, verdict);
        }
        let Some(at) = self.gates.get_mut(gate) else { return };
        let stopped = at.is_stopped();
        let Some(delivery) = self.deliveries.get_mut(&id) else { return };
        let mut is_outage = false;
        if !stopped && at.has_carried_out(&delivery.message.recipient) {
            // A refusal may well be each message's own; that it is not answered hardly is.
            is_outage = verdict == HeldVerdict::Ambiguous && at.carries_out_too_many();
            if !is_outage {
                at.note_carried_out(&delivery.message.recipient);
                return self.carry_verdict_out(id, verdict);
            }
        }
        at.suspects.push(id);
        delivery.state = State::Held(verdict);
        let hold = now.elapsed + VERDICT_HOLD;
        self.set_timer(id, Some(if stopped || is_outage { deadline } else { hold }));
        if is_outage {
            self.stop(Scope::Channel, kind.stop_reason(), gate, now);
        }
        self.catch_up(id, now);
    }

    /// What was on the wire when the channel stopped tells nothing of it once it works again.
    pub(super) fn began_before_the_end_of_a_stop(&self, gate: usize, id: DeliveryId) -> bool {
        let gate = self.gates.get(gate).filter(|gate| !gate.is_stopped());
        let delivery = self.deliveries.get(&id);
        gate.zip(delivery).is_some_and(|(gate, delivery)| delivery.started < gate.works_since)
    }

    /// A verdict that would have been held until the end of the stop, had it come before.
    fn suspect_of_the_past(&mut self, id: DeliveryId, verdict: HeldVerdict, now: Moment) {
        let Some(delivery) = self.deliveries.get(&id) else { return };
        if self.is_leaving(delivery.lane.epoch) {
            return self.leave_to_next_owner(id);
        }
        if let Some(delivery) = self.deliveries.get_mut(&id) {
            delivery.state = State::Held(verdict);
        }
        self.try_again_in_turn(vec![id], now.elapsed + retry::PROBE.first, now);
        self.catch_up(id, now);
    }

    /// The channel works, or fails in another way: what was held against its deliveries is theirs.
    pub(super) fn different_answer(&mut self, gate: usize) {
        let Some(at) = self.gates.get_mut(gate).filter(|gate| !gate.is_stopped()) else { return };
        at.end_streak();
        let suspects = std::mem::take(&mut at.suspects).into_iter();
        // While the operator holds a message back, it is not set aside either.
        let (stay, go): (Vec<_>, Vec<_>) = suspects.partition(|id| self.pause_of(*id).is_some());
        if let Some(at) = self.gates.get_mut(gate) {
            at.suspects = stay;
        }
        for id in go {
            if let Some(State::Held(verdict)) = self.deliveries.get(&id).map(|d| d.state) {
                self.carry_verdict_out(id, verdict);
            }
        }
    }

    /// The timer of a held verdict has come.
    pub(super) fn hold_is_over(&mut self, id: DeliveryId, verdict: HeldVerdict, now: Moment) {
        let paused = self.pause_of(id).is_some();
        let Some(delivery) = self.deliveries.get(&id) else { return };
        let expired = delivery.message.expired(now.wall);
        let (channel, recipient) = (&delivery.lane.channel, &delivery.message.recipient);
        let Some(gate) = self.gates.iter_mut().find(|gate| gate.channel.id == *channel) else {
            return;
        };
        let waits = gate.is_stopped() || paused;
        if waits && !expired {
            return self.await_deadline(id, now);
        }
        gate.suspects.retain(|suspect| *suspect != id);
        if !waits {
            gate.note_carried_out(recipient);
        }
        if waits { self.expire(id) } else { self.carry_verdict_out(id, verdict) }
    }

    /// Carries a verdict out.
    pub(super) fn carry_verdict_out(&mut self, id: DeliveryId, verdict: HeldVerdict) {
        let Some(delivery) = self.deliveries.get(&id) else { return };
        let status = match delivery.tries.http_status {
            Some(status) => format!("HTTP status {status}"),
            None => "no answer".to_owned(),
        };
        let (reason, detail) = match verdict {
            HeldVerdict::Rejected if delivery.ambiguous == 0 => {
                (Reason::Rejected, format!("the API refused the message: {status}"))
            }
            HeldVerdict::Rejected => (
                Reason::Ambiguous,
                format!("refused ({status}) after an attempt that may have reached the customer"),
            ),
            HeldVerdict::Ambiguous => {
                let how = delivery.doubt.map_or_else(
                    || "it was attempted before its partition was lost".to_owned(),
                    |doubt| doubt.to_string(),
                );
                (Reason::Ambiguous, format!("the customer may have the message: {how}"))
            }
        };
        self.set_aside(id, reason, detail);
    }

    /// To have been refused again costs nothing.
    pub(super) fn try_again_at_once(&mut self, suspects: Vec<DeliveryId>, now: Moment) {
        for id in suspects {
            if let Some(delivery) = self.deliveries.get_mut(&id)
                && matches!(delivery.state, State::Held(_))
            {
                delivery.second_chance = true;
                self.make_ready(id, now);
            }
        }
    }

    /// One after the other, from then on, those with the least time first: they are set aside if the fault
    /// is back meanwhile; and where they fail by themselves, many in a row would stop the channel again.
    pub(super) fn try_again_in_turn(
        &mut self,
        mut suspects: Vec<DeliveryId>,
        from: Duration,
        now: Moment,
    ) {
        let count = u32::try_from(suspects.len()).unwrap_or(u32::MAX);
        let gap = BETWEEN_SECOND_CHANCES.min(SECOND_CHANCES_WITHIN / count.max(1));
        suspects
            .sort_by_key(|id| self.deliveries.get(id).map(|delivery| delivery.message.deadline));
        let mut at = from.max(now.elapsed);
        for id in suspects {
            if let Some(delivery) = self.deliveries.get_mut(&id)
                && matches!(delivery.state, State::Held(_))
            {
                delivery.second_chance = true;
                delivery.state = State::Backoff;
                let deadline = on_monotonic_clock(delivery.message.deadline, now);
                let latest = deadline.saturating_sub(self.settings.attempt_timeout);
                self.set_timer(id, Some(at.min(latest).max(now.elapsed)));
                at += gap;
            }
        }
    }
}
