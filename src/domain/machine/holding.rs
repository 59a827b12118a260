//! Partitions that go on alone, one record after the other: what they have sent can't be committed.
//!
//! A commit fails for one partition alone where a right is missing or the topic is gone, and it
//! can't tell of more than its metadata has room for, as where one channel of two has been stopped
//! for long. What is accepted then would be sent again after a crash, and counts against the bound
//! of all; so such a partition is held back before it has used that up, and the others go on.

use super::super::delivery::DeliveryId;
use super::super::record::Epoch;
use super::Machine;
use super::tenure::Tenure;

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
        let (epoch, place) = (delivery.lane.epoch, (delivery.offset, delivery.part));
        let Some(tenure) = self.tenures.get(&epoch) else { return false };
        if !tenure.held_back || self.to_go_on_with(tenure).any(|first| first == id) {
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
        let first: Vec<_> = held_back.flat_map(|tenure| self.to_go_on_with(tenure)).collect();
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

    fn back_in_front(&mut self, id: DeliveryId) {
        let Some(delivery) = self.deliveries.get(&id) else { return };
        let channel = &delivery.lane.channel;
        if let Some(gate) = self.gates.iter_mut().find(|gate| gate.channel.id == *channel) {
            gate.ready.push_front(id);
        }
    }
}
