//! What an outcome means for its delivery.

use std::sync::Arc;
use std::time::Duration;

use super::super::clock::Moment;
use super::super::dead_letter::Reason;
use super::super::delivery::{DeliveryId, HeldVerdict, State};
use super::super::gate::{FailureKind, Gate};
use super::super::message::OnAmbiguous;
use super::super::outcome::{Ambiguity, Class, NotApplied, Outcome, Scope};
use super::super::retry;
use super::{Machine, Report, SettledAs, on_monotonic_clock};

impl Machine {
    pub(super) fn answered(
        &mut self,
        id: DeliveryId,
        outcome: &Outcome,
        took: Duration,
        now: Moment,
    ) {
        let Some(gate) = self.on_wire.remove(&id) else { return };
        self.feed_gate(gate, id, outcome.class, took, now);
        let ours = self.deliveries.get(&id).is_some_and(|d| d.state == State::InFlight);
        if outcome.class != Class::NotFound || !ours {
            self.probe_answered(id, outcome.class, now);
        }
        // The answer of an old epoch, or of an attempt that was given up, settles nothing.
        let Some(delivery) = self.deliveries.get_mut(&id).filter(|_| ours) else { return };
        delivery.note(outcome);
        let epoch = delivery.lane.epoch;
        if let Some(tenure) = self.tenures.get_mut(&epoch) {
            tenure.in_flight = tenure.in_flight.saturating_sub(1);
        }
        match outcome.class {
            Class::Accepted => {
                self.different_answer(gate);
                self.accept(id, now);
            }
            Class::Unverified => {
                self.count_failure_of_now(gate, id, FailureKind::Unverified, now);
                self.accept(id, now);
            }
            Class::Permanent => self.refused(gate, id, now),
            Class::Ambiguous(kind) => self.ambiguous(gate, id, kind, took, now),
            Class::NotApplied(why) => self.not_applied(gate, id, why, now),
            Class::NotFound => self.await_listing(id, now),
            Class::Stop(scope, reason) => {
                if !self.began_before_the_end_of_a_stop(gate, id) {
                    let scope = self.scope_of(scope, reason, gate, now);
                    self.stop(scope, reason, gate, now);
                }
                self.wait_again(id, now);
            }
        }
    }

    /// What the answer says of the rate and the concurrency that the API bears.
    fn feed_gate(
        &mut self,
        gate: usize,
        id: DeliveryId,
        class: Class,
        took: Duration,
        now: Moment,
    ) {
        let delivery = self.deliveries.get(&id);
        let again = delivery.is_some_and(|delivery| delivery.ambiguous > 0);
        let first = delivery.is_some_and(|delivery| delivery.tries.attempts == 1);
        let Some(gate) = self.gates.get_mut(gate) else { return };
        let in_flight = gate.in_flight;
        gate.in_flight = in_flight.saturating_sub(1);
        gate.note_answer(class, first, now.elapsed);
        match class {
            Class::Accepted | Class::Unverified | Class::Permanent | Class::NotFound => {
                gate.concurrency.answered(in_flight, took, now.elapsed);
            }
            Class::NotApplied(NotApplied::RateLimited) => {
                gate.rate.refused(now.elapsed);
                gate.concurrency.rate_limited(now.elapsed, took);
            }
            Class::NotApplied(NotApplied::RetryAfter(wait)) => {
                gate.close_for(wait, now.elapsed);
            }
            Class::Ambiguous(Ambiguity::NoAnswer | Ambiguity::ServerError)
            | Class::NotApplied(NotApplied::Unreachable) => {
                if !(again && gate.works(now.elapsed)) {
                    gate.concurrency.failed(now.elapsed, took);
                }
            }
            Class::Ambiguous(Ambiguity::NotJson | Ambiguity::Unclear) | Class::Stop(..) => {}
        }
    }

    fn accept(&mut self, id: DeliveryId, now: Moment) {
        let Some(delivery) = self.deliveries.get(&id) else { return };
        let (epoch, offset) = (delivery.lane.epoch, delivery.offset);
        if let Some(tenure) = self.tenures.get_mut(&epoch)
            && let Some(held) = tenure.offsets.get(offset)
        {
            let age = now.wall.since(held.event_time);
            tenure.uncommitted.accepted(offset);
            self.uncommitted += 1;
            self.uncommitted_held_back += usize::from(tenure.held_back);
            let topic = tenure.source.topic.clone();
            self.report(Report::Accepted { topic, age });
        }
        self.finish(id, SettledAs::Accepted, now);
    }

    /// The API does not want this message, or the channel's any more.
    pub(super) fn refused(&mut self, gate: usize, id: DeliveryId, now: Moment) {
        let Some(delivery) = self.deliveries.get(&id) else { return };
        let status = delivery.tries.http_status;
        // What an operator redrives had failed before: that it does so again tells nothing of the
        // channel, which a heap of bad dead letters must not stop for all others.
        let held =
            self.tenures.get(&delivery.lane.epoch).and_then(|t| t.offsets.get(delivery.offset));
        let redriven = held.is_some_and(|held| held.redrive.is_some())
            && !self.began_before_the_end_of_a_stop(gate, id);
        if redriven && self.gates.get(gate).is_some_and(|gate| !gate.is_stopped()) {
            return self.carry_verdict_out(id, HeldVerdict::Rejected);
        }
        self.suspect(gate, id, HeldVerdict::Rejected, FailureKind::Rejected { status }, now);
    }

    fn ambiguous(
        &mut self,
        gate: usize,
        id: DeliveryId,
        kind: Ambiguity,
        took: Duration,
        now: Moment,
    ) {
        let Some(delivery) = self.deliveries.get_mut(&id) else { return };
        delivery.doubt(kind, delivery.tries.http_status);
        delivery.uncounted = true;
        let (policy, again) = (delivery.message.on_ambiguous, delivery.ambiguous > 1);
        self.report_doubt(id);
        let kind = match kind {
            Ambiguity::NotJson => FailureKind::NotJson,
            Ambiguity::NoAnswer | Ambiguity::ServerError | Ambiguity::Unclear => {
                FailureKind::Ambiguous
            }
        };
        match policy {
            OnAmbiguous::DeadLetter => self.suspect(gate, id, HeldVerdict::Ambiguous, kind, now),
            OnAmbiguous::Retry => {
                let works = self.gates.get(gate).is_some_and(|gate| gate.works(now.elapsed));
                if !(again && works || self.began_before_the_end_of_a_stop(gate, id)) {
                    self.count_failure(gate, id, kind, now);
                }
                self.retry_or_give_up(gate, id, took, now);
            }
        }
    }

    pub(super) fn report_doubt(&mut self, id: DeliveryId) {
        let Some(delivery) = self.deliveries.get(&id) else { return };
        if let Some(doubt) = delivery.doubt
            && let Some(tenure) = self.tenures.get(&delivery.lane.epoch)
        {
            self.report(Report::Ambiguous {
                source: tenure.source.clone(),
                offset: delivery.offset,
                rule: Arc::clone(&delivery.message.rule),
                channel: Arc::clone(&delivery.message.channel.name),
                doubt,
            });
        }
    }

    /// An outage is no fault of the message's, and it costs it no time.
    fn retry_or_give_up(&mut self, gate: usize, id: DeliveryId, took: Duration, now: Moment) {
        if self.gates.get(gate).is_none_or(Gate::is_stopped) {
            self.back_off(id, now);
            return;
        }
        let Some(delivery) = self.deliveries.get_mut(&id) else { return };
        delivery.trouble += took;
        let leaving = self.tenures.get(&delivery.lane.epoch).is_none_or(|t| t.leaving.is_some());
        if !leaving && delivery.trouble >= self.settings.retry_max_elapsed {
            let detail = format!(
                "no clear answer within retry.max_elapsed; {} of {} attempts may have reached the customer",
                delivery.ambiguous, delivery.tries.attempts
            );
            return self.set_aside(id, Reason::RetriesExhausted, detail);
        }
        let wait = self.back_off(id, now);
        if let Some(delivery) = self.deliveries.get_mut(&id) {
            delivery.trouble += wait;
        }
    }

    fn not_applied(&mut self, gate: usize, id: DeliveryId, why: NotApplied, now: Moment) {
        match why {
            NotApplied::RetryAfter(_) => self.wait_again(id, now),
            NotApplied::RateLimited => {
                self.back_off(id, now);
            }
            NotApplied::Unreachable => {
                self.count_failure_of_now(gate, id, FailureKind::Unreachable, now);
                self.back_off(id, now);
            }
        }
    }

    /// It keeps its place at the head of its lane, and waits for the gate.
    pub(super) fn wait_again(&mut self, id: DeliveryId, now: Moment) {
        self.note_no_verdict(id);
        if self.deliveries.get(&id).is_some_and(|delivery| self.is_leaving(delivery.lane.epoch)) {
            self.leave_to_next_owner(id);
        } else {
            self.make_ready(id, now);
            self.catch_up(id, now);
        }
    }

    /// It keeps its place at the head of its lane, and waits for a while: for how long is returned.
    fn back_off(&mut self, id: DeliveryId, now: Moment) -> Duration {
        let jitter = self.jitter.f64();
        self.note_no_verdict(id);
        let Some(delivery) = self.deliveries.get_mut(&id) else { return Duration::ZERO };
        delivery.failures += 1;
        delivery.state = State::Backoff;
        let wait = retry::DELIVERY.delay(delivery.failures, jitter);
        let deadline = on_monotonic_clock(delivery.message.deadline, now);
        let epoch = delivery.lane.epoch;
        if self.is_leaving(epoch) {
            self.leave_to_next_owner(id);
        } else {
            self.set_timer(id, Some(deadline.min(now.elapsed + wait)));
            self.catch_up(id, now);
        }
        wait
    }

    /// A second chance has ended without a verdict: the next one is not final because of it, which may
    /// be one of a fault long after.
    fn note_no_verdict(&mut self, id: DeliveryId) {
        if let Some(delivery) = self.deliveries.get_mut(&id) {
            delivery.second_chance = false;
        }
    }

    /// What was on the wire when the channel stopped tells nothing of it once it works again.
    fn count_failure_of_now(
        &mut self,
        gate: usize,
        id: DeliveryId,
        kind: FailureKind,
        now: Moment,
    ) {
        if !self.began_before_the_end_of_a_stop(gate, id) {
            self.count_failure(gate, id, kind, now);
        }
    }

    pub(super) fn count_failure(
        &mut self,
        gate: usize,
        id: DeliveryId,
        kind: FailureKind,
        now: Moment,
    ) {
        if self.gates.get(gate).is_some_and(|gate| gate.differs(kind)) {
            self.different_answer(gate);
        }
        let Some(delivery) = self.deliveries.get(&id) else { return };
        let Some(at) = self.gates.get_mut(gate) else { return };
        if at.count_failure(kind, &delivery.message.recipient) && !at.is_stopped() {
            self.stop(Scope::Channel, kind.stop_reason(), gate, now);
        }
    }
}
