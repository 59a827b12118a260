//! A record is tracked, and its decision carried out; the bounds and the brake.

use std::sync::Arc;

use super::super::clock::Moment;
use super::super::dead_letter::{Reason, Rejection, Tries};
use super::super::delivery::{Delivery, DeliveryId};
use super::super::lanes::Lane;
use super::super::message::{Decision, Message, Verdict};
use super::super::offsets::Tracked;
use super::super::record::{Epoch, Record, RecordOffset};
use super::tenure::{Held, Part, Tenure};
use super::{Effect, Machine, PauseReason, Report, SettledAs};

impl Machine {
    pub(super) fn record(
        &mut self,
        epoch: Epoch,
        record: Arc<Record>,
        decision: Decision,
        now: Moment,
    ) {
        let Some(tenure) = self.tenures.get_mut(&epoch) else { return };
        if tenure.leaving.is_some() {
            return;
        }
        let (topic, offset) = (Arc::clone(&record.source.topic), record.offset);
        let Decision { event_time, verdict, redrive } = decision;
        let mut held = Held {
            record,
            redrive,
            event_time,
            parts: parts_of(&verdict),
            settled: SettledAs::Skipped,
            outdated: false,
            has_place: false,
            later: None,
            cost: 0,
        };
        held.cost = held.cost(&verdict);
        let cost = held.cost;
        // Those that it comes after are gone, by compaction: they would have come before it.
        let next = tenure.offsets.next();
        if next < offset {
            tenure.restored.extract_if(next..offset, |_, _| true).for_each(drop);
        }
        match tenure.offsets.track(offset, held) {
            Tracked::Repeated => return,
            Tracked::SettledBefore => {
                tenure.uncommitted.changed();
                // Of those that an owner before could not set aside, the good ones between them
                // have settled: what is left is no row of bad ones.
                if is_good(&verdict) && !self.braked(&topic) {
                    self.brakes.remove(&topic);
                }
                return self.report(Report::SettledBefore { topic });
            }
            Tracked::Held => tenure.bytes += cost,
        }
        self.conservation.tracked += 1;
        self.report(Report::Tracked { topic: Arc::clone(&topic) });
        self.carry_out(epoch, offset, &topic, verdict, now);
        self.apply_bounds(epoch);
    }

    /// Begins with those parts of a held record that have not begun.
    pub(super) fn carry_out(
        &mut self,
        epoch: Epoch,
        offset: RecordOffset,
        topic: &Arc<str>,
        verdict: Verdict,
        now: Moment,
    ) {
        let tenure = self.tenures.get(&epoch);
        let Some(held) = tenure.and_then(|tenure| tenure.offsets.get(offset)) else { return };
        let paused = self.settings.paused.topics.contains(&held.original().source.topic);
        // What an operator redrives had been set aside before, and tells nothing of a rollout.
        let (fresh, redriven) = (held.has_not_begun(), held.redrive.is_some());
        let (skipped, keeps_place) =
            (matches!(verdict, Verdict::Skip(_)), held.has_place && is_good(&verdict));
        if fresh && !skipped {
            // What is paused has not been carried out, and tells nothing of a rollout either.
            let braked = !paused && !redriven && self.holds_back(topic, &verdict);
            if paused || braked && !keeps_place {
                return;
            }
        }
        match verdict {
            Verdict::Skip(_) => self.settle_if_done(epoch, offset),
            Verdict::Reject(rejection) => {
                if self.begin_part(epoch, offset, 0) {
                    self.set_aside_part(epoch, offset, 0, rejection);
                }
            }
            Verdict::Deliver(parts) => self.deliver(epoch, offset, parts, now),
        }
    }

    fn deliver(
        &mut self,
        epoch: Epoch,
        offset: RecordOffset,
        parts: Vec<Result<Message, Rejection>>,
        now: Moment,
    ) {
        let settled = self.restored_parts(epoch, offset, parts.len());
        for (part, content) in parts.into_iter().enumerate() {
            if !self.begin_part(epoch, offset, part) {
                continue;
            }
            if settled.get(part).copied().unwrap_or(false) {
                self.settle_part(epoch, offset, part, SettledAs::Accepted);
                continue;
            }
            match content {
                Ok(message) => self.queue(epoch, offset, part, message, now),
                Err(rejection) => self.set_aside_part(epoch, offset, part, rejection),
            }
        }
    }

    /// Which messages of the record had settled before this epoch; told only where their number is
    /// what it was.
    fn restored_parts(&mut self, epoch: Epoch, offset: RecordOffset, count: usize) -> Vec<bool> {
        let tenure = self.tenures.get_mut(&epoch);
        let partial = tenure.and_then(|tenure| tenure.restored.remove(&offset));
        partial.map(|partial| partial.settled).filter(|s| s.len() == count).unwrap_or_default()
    }

    fn queue(
        &mut self,
        epoch: Epoch,
        offset: RecordOffset,
        part: usize,
        message: Message,
        now: Moment,
    ) {
        let id = DeliveryId(self.next_id());
        let lane = Lane {
            epoch,
            channel: Arc::clone(&message.channel.id),
            recipient: message.recipient.clone(),
        };
        let is_head = self.lanes.push(&lane, id);
        let mut delivery = Delivery::new(lane, offset, part, Arc::new(message));
        let tenure = self.tenures.get_mut(&epoch);
        let maybe_sent = tenure.is_some_and(|tenure| tenure.maybe_sent.remove(&(offset, part)));
        let held = self.tenures.get(&epoch).and_then(|tenure| tenure.offsets.get(offset));
        let redrive = held.and_then(|held| held.redrive.as_ref());
        delivery.ambiguous = u32::from(maybe_sent);
        delivery.uncounted = maybe_sent || redrive.is_some_and(|redrive| redrive.may_repeat);
        self.deliveries.insert(id, Box::new(delivery));
        if let Some(part) = self.part_mut(epoch, offset, part) {
            part.delivery = Some(id);
        }
        if is_head {
            self.make_ready(id, now);
        }
    }

    /// True where the part had not begun.
    fn begin_part(&mut self, epoch: Epoch, offset: RecordOffset, part: usize) -> bool {
        let tenure = self.tenures.get_mut(&epoch);
        if let Some(held) = tenure.and_then(|tenure| tenure.offsets.get_mut(offset)) {
            held.has_place = true;
        }
        let part = self.part_mut(epoch, offset, part);
        part.is_some_and(|part| !std::mem::replace(&mut part.begun, true))
    }

    pub(super) fn part_mut(
        &mut self,
        epoch: Epoch,
        offset: RecordOffset,
        part: usize,
    ) -> Option<&mut Part> {
        self.tenures.get_mut(&epoch)?.offsets.get_mut(offset)?.parts.get_mut(part)
    }

    fn set_aside_part(
        &mut self,
        epoch: Epoch,
        offset: RecordOffset,
        part: usize,
        rejection: Rejection,
    ) {
        self.dead_letter(epoch, offset, part, None, rejection, Tries::default());
    }

    /// Pauses a partition at its bound, and resumes it when half of it is free again.
    pub(super) fn apply_bounds(&mut self, epoch: Epoch) {
        let share = self.tenures.len().max(1);
        let records = (self.settings.held_records / share).max(1);
        let bytes = self.settings.held_bytes / share;
        let Some(tenure) = self.tenures.get_mut(&epoch) else { return };
        let was_paused = tenure.is_paused();
        let held = tenure.offsets.held_count();
        if held >= records || tenure.bytes >= bytes {
            tenure.full = true;
        } else if held <= records / 2 && tenure.bytes <= bytes / 2 {
            tenure.full = false;
        }
        if tenure.leaving.is_none() && tenure.is_paused() != was_paused {
            let source = tenure.source.clone();
            self.effects.push(if was_paused {
                Effect::Resume(source)
            } else {
                Effect::Pause(source)
            });
        }
    }

    /// Counts dead letters in a row for `schema` and `rule_error`. When there are as many as the
    /// brake allows, the topic pauses, and records of it that have been polled already stay held: the
    /// good ones as well, unless they have begun before, for they would overtake older ones.
    fn holds_back(&mut self, topic: &Arc<str>, verdict: &Verdict) -> bool {
        let bad = is_bad(verdict);
        if self.braked(topic) {
            return true;
        }
        if is_good(verdict) {
            self.brakes.remove(topic);
        }
        if !bad {
            return false;
        }
        *self.brakes.entry(Arc::clone(topic)).or_default() += 1;
        if self.braked(topic) {
            let of_topic = |tenure: &Tenure| tenure.source.topic == *topic;
            let tenures = self.tenures.iter().filter(|(_, tenure)| of_topic(tenure));
            let epochs: Vec<_> = tenures.map(|(epoch, _)| *epoch).collect();
            for epoch in epochs {
                self.pause(epoch, PauseReason::Brake);
            }
        }
        false
    }

    pub(super) fn braked(&self, topic: &str) -> bool {
        self.brakes.get(topic).is_some_and(|in_a_row| *in_a_row >= self.settings.brake)
    }

    pub(super) fn pause(&mut self, epoch: Epoch, reason: PauseReason) {
        let Some(tenure) = self.tenures.get_mut(&epoch) else { return };
        // That one can't be resumed: whatever else would pause it comes to an end, and it does not.
        if tenure.paused == Some(PauseReason::OffsetOutOfRange) {
            return;
        }
        let was_paused = tenure.is_paused();
        if tenure.paused.replace(reason) == Some(reason) {
            return;
        }
        let source = tenure.source.clone();
        if !was_paused {
            self.effects.push(Effect::Pause(source.clone()));
        }
        self.report(Report::Paused { source, reason });
    }

    /// What the brake was for has been mended.
    pub(super) fn release_brake(&mut self, epoch: Epoch) {
        let Some(tenure) = self.tenures.get_mut(&epoch) else { return };
        if tenure.paused == Some(PauseReason::Brake) {
            tenure.paused = None;
            if !tenure.is_paused() && tenure.leaving.is_none() {
                self.effects.push(Effect::Resume(tenure.source.clone()));
            }
        }
    }
}

/// What a verdict makes of a record, before any of it has begun.
pub(super) fn parts_of(verdict: &Verdict) -> Vec<Part> {
    let part = |rule: Option<&Arc<str>>| Part { rule: rule.cloned(), ..Part::default() };
    match verdict {
        Verdict::Skip(_) => Vec::new(),
        Verdict::Reject(rejection) => vec![part(rejection.rule.as_ref())],
        Verdict::Deliver(parts) => {
            let rule = |content: &Result<Message, Rejection>| match content {
                Ok(message) => part(Some(&message.rule)),
                Err(rejection) => part(rejection.rule.as_ref()),
            };
            parts.iter().map(rule).collect()
        }
    }
}

/// Whether nothing comes of a record but dead letters, for `schema` or `rule_error`.
fn is_bad(verdict: &Verdict) -> bool {
    match verdict {
        Verdict::Reject(rejection) => is_rollout_fault(rejection),
        Verdict::Deliver(parts) => {
            parts.iter().all(|part| part.as_ref().is_err_and(is_rollout_fault))
        }
        Verdict::Skip(_) => false,
    }
}

/// Whether something else comes of a record. One that is skipped says nothing of a rollout.
fn is_good(verdict: &Verdict) -> bool {
    !matches!(verdict, Verdict::Skip(_)) && !is_bad(verdict)
}

/// Whether a schema or a rule that does not fit its events is the likely cause.
fn is_rollout_fault(rejection: &Rejection) -> bool {
    matches!(rejection.reason, Reason::Schema | Reason::RuleError)
}
