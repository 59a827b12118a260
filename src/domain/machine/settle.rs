//! A message is done with; dead letters and their acknowledgement.

use std::sync::Arc;

use super::super::clock::Moment;
use super::super::dead_letter::{DeadLetter, Reason, Rejection, Tries};
use super::super::delivery::{DeliveryId, State};
use super::super::record::{Epoch, RecordOffset};
use super::super::retry;
use super::{Effect, LetterId, Machine, PendingLetter, Report, SettledAs};

impl Machine {
    /// A delivery has ended: the next one of its lane may start.
    pub(super) fn finish(&mut self, id: DeliveryId, settled: SettledAs, now: Moment) {
        self.set_timer(id, None);
        let Some(delivery) = self.deliveries.remove(&id) else { return };
        let lane = delivery.lane;
        if let Some(next) = self.lanes.remove(&lane, id) {
            let next_state = self.deliveries.get(&next).map(|next| next.state);
            if self.is_leaving(lane.epoch) {
                // A dead letter that is on its way settles it yet.
                if next_state != Some(State::DeadLettering) {
                    self.drop_delivery(next);
                }
            } else {
                self.make_ready(next, now);
            }
        }
        self.settle_part(lane.epoch, delivery.offset, delivery.part, settled);
    }

    pub(super) fn settle_part(
        &mut self,
        epoch: Epoch,
        offset: RecordOffset,
        part: usize,
        settled: SettledAs,
    ) {
        let Some(tenure) = self.tenures.get_mut(&epoch) else { return };
        let Some(held) = tenure.offsets.get_mut(offset) else { return };
        if let Some(part) = held.parts.get_mut(part) {
            part.begun = true;
            part.settled = true;
            part.delivery = None;
        }
        held.settled = held.settled.max(settled);
        tenure.uncommitted.changed();
        self.settle_if_done(epoch, offset);
    }

    /// Settles a record of which no message is open.
    pub(super) fn settle_if_done(&mut self, epoch: Epoch, offset: RecordOffset) {
        let Some(tenure) = self.tenures.get_mut(&epoch) else { return };
        let done = |parts: &[super::tenure::Part]| parts.iter().all(|part| part.settled);
        let Some(held) = tenure.offsets.get(offset) else { return };
        if !done(&held.parts) {
            tenure.partly_settled.insert(offset);
            return;
        }
        let Some(held) = tenure.offsets.settle(offset) else { return };
        tenure.partly_settled.remove(&offset);
        tenure.restored.remove(&offset);
        tenure.bytes = tenure.bytes.saturating_sub(held.cost);
        tenure.uncommitted.changed();
        self.conservation.settled += 1;
        let topic = tenure.source.topic.clone();
        self.report(Report::Settled { topic, settled: held.settled });
        self.apply_bounds(epoch);
    }

    /// Sends a delivery to the dead-letter topic. It stays the head of its lane until the broker
    /// has acknowledged that.
    pub(super) fn set_aside(&mut self, id: DeliveryId, reason: Reason, detail: String) {
        self.set_timer(id, None);
        let Some(delivery) = self.deliveries.get_mut(&id) else { return };
        delivery.state = State::DeadLettering;
        let rejection = Rejection { reason, detail, rule: Some(delivery.message.rule.clone()) };
        let tries = delivery.tries.clone();
        let (epoch, offset, part) = (delivery.lane.epoch, delivery.offset, delivery.part);
        if let Some(tenure) = self.tenures.get_mut(&epoch) {
            tenure.aside.remove(&(offset, part));
        }
        self.dead_letter(epoch, offset, part, Some(id), rejection, tries);
    }

    pub(super) fn dead_letter(
        &mut self,
        epoch: Epoch,
        offset: RecordOffset,
        part: usize,
        delivery: Option<DeliveryId>,
        rejection: Rejection,
        tries: Tries,
    ) {
        let channel = delivery.and_then(|id| self.deliveries.get(&id));
        let channel = channel.map(|delivery| delivery.message.channel.name.clone());
        let Some(tenure) = self.tenures.get_mut(&epoch) else { return };
        let Some(held) = tenure.offsets.get(offset) else { return };
        let record = Arc::clone(held.original());
        let redrives = held.redrive.as_ref().map_or(0, |redrive| redrive.redrives);
        let may_repeat = held.redrive.as_ref().is_some_and(|redrive| redrive.may_repeat);
        let source = tenure.source.clone();
        tenure.pending_letters += 1;
        let content =
            Arc::new(DeadLetter { record, rejection, channel, tries, redrives, may_repeat });
        let id = LetterId(self.next_id());
        let letter = PendingLetter { source, epoch, offset, part, delivery, content, failures: 0 };
        self.letters.insert(id, letter);
        self.send_letter(id);
    }

    pub(super) fn send_letter(&mut self, id: LetterId) {
        if let Some(letter) = self.letters.get(&id) {
            let content = letter.content.clone();
            self.effects.push(Effect::DeadLetter { letter: id, content });
        }
    }

    pub(super) fn dead_lettered(&mut self, id: LetterId, acknowledged: bool, now: Moment) {
        if !acknowledged {
            self.report(Report::DeadLetterFailed);
            let jitter = self.jitter.f64();
            let Some(letter) = self.letters.get_mut(&id) else { return };
            if !self.tenures.contains_key(&letter.epoch) {
                self.letters.remove(&id);
                return;
            }
            letter.failures += 1;
            let due = now.elapsed + retry::BROKER.delay(letter.failures, jitter);
            self.letter_timers.insert((due, id));
            return;
        }
        let Some(letter) = self.letters.remove(&id) else { return };
        let PendingLetter { source, epoch, offset, part, delivery, content, .. } = letter;
        if let Some(tenure) = self.tenures.get_mut(&epoch) {
            tenure.pending_letters = tenure.pending_letters.saturating_sub(1);
        } else if let Some(past) = self.pasts.get_mut(&source) {
            past.dead_lettered(epoch, offset, part);
        }
        self.report(Report::DeadLettered { source, offset, content });
        if let Some(delivery) = delivery {
            self.finish(delivery, SettledAs::DeadLettered, now);
        } else {
            self.settle_part(epoch, offset, part, SettledAs::DeadLettered);
        }
    }
}
