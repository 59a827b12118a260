//! Another configuration is put in force: gates and bounds follow it at once, held records are
//! decided anew by it, and what it pauses waits.

use super::super::clock::Moment;
use super::super::delivery::{DeliveryId, State};
use super::super::paused::{Pause, Paused};
use super::super::record::Epoch;
use super::verdicts::VERDICT_HOLD;
use super::{Machine, Redecided, Report, Settings};

impl Machine {
    pub(super) fn reconfigured(
        &mut self,
        settings: Settings,
        decisions: Vec<Redecided>,
        now: Moment,
    ) {
        let old = std::mem::replace(&mut self.settings, settings);
        self.change_gates();
        self.forgive(&old);
        self.change_rules(&old);
        self.supersede(&decisions);
        let (decided_again, kept) = self.decide_anew(decisions, now);
        self.change_pauses(&old.paused, now);
        self.share_out();
        self.report(Report::Reconfigured { decided_again, kept });
    }

    /// The gate of a channel that stays keeps all it knows. Gates keep their places, for attempts
    /// on the wire refer to them.
    fn change_gates(&mut self) {
        let settings = &self.settings;
        for gate in &mut self.gates {
            let channel = settings.channels.iter().find(|channel| channel.id == gate.channel.id);
            let returns = gate.retired && channel.is_some();
            gate.retired = channel.is_none();
            if let Some(channel) = channel {
                gate.channel = channel.clone();
            }
            // What stopped it then may be long over, and what it held has its message anew.
            if returns && gate.suspects.is_empty() {
                gate.stop = None;
                gate.reopen();
            }
            gate.paused = settings.paused.channels.contains(&gate.channel.name);
            gate.concurrency.set_most(settings.max_in_flight);
        }
        for channel in &settings.channels {
            if !self.gates.iter().any(|gate| gate.channel.id == channel.id) {
                let mut gate = settings.gate(channel);
                gate.halted = self.account.is_some();
                self.gates.push(gate);
            }
        }
        let gone = |channel: &str| !settings.channels.iter().any(|left| *left.id == *channel);
        self.cleared.take_if(|cleared| gone(&cleared.channel));
        self.give_back_what_is_aside();
    }

    /// Another schema or other rules begin without the dead letters in a row of those before, and
    /// so without their brake. Another number for the brake leaves those alone that it holds.
    fn forgive(&mut self, old: &Settings) {
        let settings = &self.settings;
        let mended = |topic: &str| decides_otherwise(topic, old, settings);
        self.brakes.retain(|topic, in_a_row| {
            let counts = settings.brake == old.brake || *in_a_row >= old.brake;
            counts && !mended(topic)
        });
        let free = |epoch: &Epoch| {
            self.tenures.get(epoch).is_some_and(|tenure| !self.braked(&tenure.source.topic))
        };
        let free: Vec<_> = self.tenures.keys().copied().filter(free).collect();
        for epoch in free {
            self.release_brake(epoch);
        }
    }

    /// What is committed from now on is for other rules. A partition that is leaving has no record
    /// decided by them, and stays with those that it has.
    fn change_rules(&mut self, old: &Settings) {
        let settings = &self.settings;
        let fingerprint =
            |settings: &Settings, topic: &str| settings.fingerprints.get(topic).copied();
        for tenure in self.tenures.values_mut().filter(|tenure| tenure.leaving.is_none()) {
            let topic = &tenure.source.topic;
            let new = fingerprint(settings, topic);
            if new != fingerprint(old, topic) {
                tenure.fingerprint = new.unwrap_or_default();
                // As after a restart: their messages may be others now.
                tenure.restored.clear();
                tenure.maybe_sent.clear();
                tenure.uncommitted.changed();
            }
        }
    }

    /// What holds a delivery back, if the operator does.
    pub(super) fn pause_of(&self, id: DeliveryId) -> Option<Pause> {
        self.pause_under(&self.settings.paused, id)
    }

    fn pause_under(&self, paused: &Paused, id: DeliveryId) -> Option<Pause> {
        if paused.is_empty() {
            return None;
        }
        let delivery = self.deliveries.get(&id)?;
        let tenure = self.tenures.get(&delivery.lane.epoch)?;
        // What is redriven is of the topic that it was of first.
        let held = tenure.offsets.get(delivery.offset)?;
        paused.holds(&held.original().source.topic, &delivery.message)
    }

    /// Holds back what is paused from now on, and lets go what is not any more. What is on the
    /// wire finishes.
    fn change_pauses(&mut self, old: &Paused, now: Moment) {
        let epochs: Vec<_> = self.tenures.keys().copied().collect();
        let all = epochs.into_iter().flat_map(|epoch| self.deliveries_of(epoch));
        for id in all.collect::<Vec<_>>() {
            let (was, is) = (self.pause_under(old, id), self.pause_of(id));
            let Some(delivery) = self.deliveries.get_mut(&id).filter(|_| was != is) else {
                continue;
            };
            match delivery.state {
                State::Ready if matches!(is, Some(Pause::Topic | Pause::Rule)) => {
                    self.make_ready(id, now);
                }
                State::Paused => self.make_ready(id, now),
                State::Held(_) if is.is_none() => {
                    self.set_timer(id, Some(now.elapsed + VERDICT_HOLD));
                }
                State::Ready
                | State::Held(_)
                | State::Queued
                | State::Backoff
                | State::InFlight
                | State::InQuestion
                | State::DeadLettering => {}
            }
            self.catch_up(id, now);
        }
    }
}

/// Whether the records of a topic may be decided otherwise under `new` than under `old`.
pub(super) fn decides_otherwise(topic: &str, old: &Settings, new: &Settings) -> bool {
    old.fingerprints.get(topic) != new.fingerprints.get(topic)
        || old.schemas.get(topic) != new.schemas.get(topic)
}
