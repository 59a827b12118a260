//! Partitions that go on alone, one record after the other: what they have sent can't be committed.
//!
//! A commit fails for one partition alone where a right is missing or the topic is gone, and it
//! can't tell of more than its metadata has room for, as where one channel of two has been stopped
//! for long. What is accepted then would be sent again after a crash, and counts against the bound
//! of all; so such a partition is held back, and the others go on.

use std::collections::BTreeSet;

use super::super::delivery::DeliveryId;
use super::super::gate::Gate;
use super::tenure::Tenure;
use super::{Machine, Report};

impl Tenure {
    /// Whether any one message may start, for its commit to tell whether others can be committed.
    fn tries_one(&self) -> bool {
        !self.stranded && self.uncommitted.is_clean() && self.in_flight == 0
    }

    /// Whether any of its messages may be the probe of a stop: the one that holds the frontier up may fail
    /// by itself.
    pub(super) fn may_probe(&self) -> bool {
        !self.held_back || self.uncommitted.is_clean()
    }
}

impl Machine {
    /// The messages that count against the bound of those that may be uncommitted.
    pub(super) fn counted_uncommitted(&self) -> usize {
        self.uncommitted - self.uncommitted_held_back.min(self.uncommitted)
    }

    pub(super) fn recount_held_back(&mut self) {
        let held_back = self.tenures.values().filter(|tenure| tenure.held_back);
        self.uncommitted_held_back = held_back.map(|tenure| tenure.uncommitted.count()).sum();
    }

    /// Holds those back that have more than their share of what can't be committed, and lets the
    /// others go on. Where the bound is used up, those are held back as well of which it is not known
    /// whether their commits fail, too: if all do, each would use up a bound of its own. The one
    /// record that they go on with tells.
    pub(super) fn update_held_back(&mut self) {
        let most = self.settings.max_in_flight;
        let share = (most / self.tenures.len().max(1)).max(1);
        let used_up = self.uncommitted >= most;
        let (mut aside, mut reports) = (Vec::new(), Vec::new());
        for tenure in self.tenures.values_mut() {
            let uncommitted = &tenure.uncommitted;
            let stranded = uncommitted.stranded() >= share;
            let held_back = stranded || (used_up && uncommitted.is_unproven());
            if tenure.held_back && !held_back {
                aside.extend(std::mem::take(&mut tenure.aside).into_values());
            }
            tenure.held_back = held_back;
            if tenure.stranded != stranded {
                tenure.stranded = stranded;
                let source = tenure.source.clone();
                reports.push(Report::HeldBack { source, held_back: stranded });
            }
        }
        for report in reports {
            self.report(report);
        }
        for id in aside.into_iter().rev() {
            self.back_in_front(id);
        }
        self.recount_held_back();
    }

    /// Puts a delivery aside whose partition is held back; false where it may start.
    pub(super) fn put_aside(&mut self, id: DeliveryId) -> bool {
        let Some(delivery) = self.deliveries.get(&id) else { return false };
        let (epoch, place) = (delivery.lane.epoch, (delivery.offset, delivery.part));
        let Some(tenure) = self.tenures.get(&epoch) else { return false };
        let goes_on = || self.to_go_on_with(tenure).any(|first| first == id);
        let probes = || tenure.may_probe() && self.is_stopped(&delivery.lane.channel);
        if !tenure.held_back || tenure.tries_one() || goes_on() || probes() {
            return false;
        }
        if let Some(tenure) = self.tenures.get_mut(&epoch) {
            tenure.aside.insert(place, id);
        }
        true
    }

    /// Lets those start that hold the frontiers of such partitions up.
    pub(super) fn bring_frontiers_back(&mut self) {
        let held_back = self.tenures.values().filter(|tenure| tenure.held_back);
        let first = held_back.flat_map(|tenure| {
            let one = tenure.aside.values().next().copied().filter(|_| tenure.tries_one());
            self.to_go_on_with(tenure).chain(one)
        });
        let first: Vec<_> = first.collect();
        for id in first.into_iter().rev() {
            let Some(delivery) = self.deliveries.get(&id) else { continue };
            let (epoch, place) = (delivery.lane.epoch, (delivery.offset, delivery.part));
            let tenure = self.tenures.get_mut(&epoch);
            if tenure.is_some_and(|tenure| tenure.aside.remove(&place).is_some()) {
                self.back_in_front(id);
            }
        }
    }

    /// What a partition that is held back goes on with, once all the rest is committed as far as it
    /// can be: the messages of the record that holds the frontier up. One of them may wait in its
    /// lane behind a message of a later record, which had been tried before a reload made this one.
    fn to_go_on_with(&self, tenure: &Tenure) -> impl Iterator<Item = DeliveryId> {
        let oldest = tenure.offsets.oldest().filter(|_| tenure.uncommitted.is_clean());
        let parts = oldest.into_iter().flat_map(|(_, held)| &held.parts);
        let deliveries = parts.filter_map(|part| self.deliveries.get(&part.delivery?));
        deliveries.filter_map(|delivery| self.lanes.queue(&delivery.lane).next())
    }

    /// Puts those of channels that are closed back to their gates, where they wait as all others do:
    /// none of them can show that commits work.
    pub(super) fn give_back_what_is_aside(&mut self) {
        let closed = |gate: &&Gate| gate.is_stopped() || gate.paused;
        let closed = self.gates.iter().filter(closed).map(|gate| gate.channel.id.clone());
        let closed: BTreeSet<_> = closed.collect();
        let deliveries = &self.deliveries;
        let is_closed = |id: &DeliveryId| {
            deliveries.get(id).is_none_or(|delivery| closed.contains(&delivery.lane.channel))
        };
        let tenures = self.tenures.values_mut();
        let taken = tenures.flat_map(|tenure| tenure.aside.extract_if(.., |_, id| is_closed(id)));
        let taken: Vec<_> = taken.map(|(_, id)| id).collect();
        for id in taken.into_iter().rev() {
            self.back_in_front(id);
        }
    }

    fn back_in_front(&mut self, id: DeliveryId) {
        let Some(delivery) = self.deliveries.get(&id) else { return };
        let channel = &delivery.lane.channel;
        if let Some(gate) = self.gates.iter_mut().find(|gate| gate.channel.id == *channel) {
            gate.ready.push_front(id);
        }
    }
}
