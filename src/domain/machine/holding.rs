//! Partitions that go on alone, one record after the other: what they have sent can't be committed.
//!
//! A commit fails for one partition alone where a right is missing or the topic is gone, and it
//! can't tell of more than its metadata has room for, as where one channel of two has been stopped
//! for long. What is accepted then would be sent again after a crash, and counts against the bound
//! of all; so such a partition is held back before it has used that up, and the others go on.

use super::super::delivery::DeliveryId;
use super::super::record::{Epoch, RecordOffset};
use super::Machine;
use super::tenure::Tenure;

impl Tenure {
    /// Whether a delivery of this record may start. Of a partition that is held back, only what
    /// holds the frontier up, once all the rest is committed as far as it can be.
    fn lets_start(&self, offset: RecordOffset) -> bool {
        let is_frontier = || self.offsets.oldest().is_some_and(|(oldest, _)| oldest == offset);
        !self.held_back || (self.uncommitted.is_clean() && is_frontier())
    }
}

impl Machine {
    /// The messages that count against the bound of those that may be uncommitted.
    pub(super) fn counted(&self) -> usize {
        self.uncommitted - self.excused.min(self.settings.max_in_flight).min(self.uncommitted)
    }

    pub(super) fn count_excused(&mut self) {
        let held_back = self.tenures.values().filter(|tenure| tenure.held_back);
        self.excused = held_back.map(|tenure| tenure.uncommitted.count()).sum();
    }

    /// After a commit: holds the partition back, or lets it go on.
    pub(super) fn mind_what_is_stranded(&mut self, epoch: Epoch) {
        let share = (self.settings.max_in_flight / self.tenures.len().max(1)).max(1);
        let Some(tenure) = self.tenures.get_mut(&epoch) else { return };
        let was = std::mem::replace(&mut tenure.held_back, tenure.uncommitted.stranded() >= share);
        if was && !tenure.held_back {
            let aside = std::mem::take(&mut tenure.aside);
            for id in aside.into_values().rev() {
                self.back_in_front(id);
            }
        }
    }

    /// Puts a delivery aside whose partition is held back; false where it may start.
    pub(super) fn put_aside(&mut self, id: DeliveryId) -> bool {
        let Some(delivery) = self.deliveries.get(&id) else { return false };
        let Some(tenure) = self.tenures.get_mut(&delivery.lane.epoch) else { return false };
        if tenure.lets_start(delivery.offset) {
            return false;
        }
        tenure.aside.insert((delivery.offset, delivery.part), id);
        true
    }

    /// Lets those start that hold the frontiers of such partitions up.
    pub(super) fn bring_frontiers_back(&mut self) {
        let mut back = Vec::new();
        for tenure in self.tenures.values_mut().filter(|tenure| tenure.held_back) {
            while let Some((offset, part)) = tenure.aside.keys().next().copied()
                && tenure.lets_start(offset)
            {
                back.extend(tenure.aside.remove(&(offset, part)));
            }
        }
        for id in back.into_iter().rev() {
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
