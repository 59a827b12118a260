//! The queues in which deliveries wait their turn: one for each partition, channel and recipient.
//!
//! Only the head of a lane may be sent, and it stays the head until it has settled. So a retry
//! goes before its recipient's newer messages, and never more than one is in flight.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use super::delivery::DeliveryId;
use super::message::Recipient;
use super::record::Epoch;

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Lane {
    /// Stands for the partition and its tenure.
    pub epoch: Epoch,
    /// The `channelId`.
    pub channel: Arc<str>,
    pub recipient: Recipient,
}

/// The deliveries of one lane. Most lanes have one, which takes no memory of its own.
#[derive(Debug)]
struct Queue {
    head: DeliveryId,
    behind: VecDeque<DeliveryId>,
}

impl Queue {
    fn all(&self) -> impl Iterator<Item = DeliveryId> {
        std::iter::once(self.head).chain(self.behind.iter().copied())
    }

    /// None where there are no deliveries.
    fn of(deliveries: impl IntoIterator<Item = DeliveryId>) -> Option<Self> {
        let mut deliveries = deliveries.into_iter();
        let head = deliveries.next()?;
        // Not collected: what is left of a vector's iterator would keep its memory, and where
        // nothing is left, Rust 1.95 then reads the next head from behind that memory
        // (<https://github.com/rust-lang/rust/issues/162452>).
        let mut behind = VecDeque::new();
        behind.extend(deliveries);
        Some(Self { head, behind })
    }
}

#[derive(Debug, Default)]
pub struct Lanes {
    queues: HashMap<Lane, Queue>,
}

impl Lanes {
    /// Queues a delivery; true where it is the head, and so may be sent.
    pub fn push(&mut self, lane: &Lane, delivery: DeliveryId) -> bool {
        if let Some(queue) = self.queues.get_mut(lane) {
            queue.behind.push_back(delivery);
            return false;
        }
        self.queues.insert(lane.clone(), Queue { head: delivery, behind: VecDeque::new() });
        true
    }

    /// Takes a delivery out. Where it was the head, the one behind it is the head from now on and
    /// is returned. A lane without deliveries costs nothing.
    pub fn remove(&mut self, lane: &Lane, delivery: DeliveryId) -> Option<DeliveryId> {
        let queue = self.queues.get_mut(lane)?;
        if queue.head != delivery {
            queue.behind.retain(|queued| *queued != delivery);
            return None;
        }
        let next = queue.behind.pop_front();
        match next {
            Some(next) => queue.head = next,
            None => drop(self.queues.remove(lane)),
        }
        next
    }

    /// The deliveries of a lane, the head first.
    pub fn queue(&self, lane: &Lane) -> impl Iterator<Item = DeliveryId> {
        self.queues.get(lane).into_iter().flat_map(Queue::all)
    }

    /// Takes those out of a lane that are not to be kept.
    pub fn retain(&mut self, lane: &Lane, keep: impl Fn(DeliveryId) -> bool) {
        let Some(queue) = self.queues.remove(lane) else { return };
        if let Some(kept) = Queue::of(queue.all().filter(|id| keep(*id))) {
            self.queues.insert(lane.clone(), kept);
        }
    }

    /// Puts a lane in the order of its deliveries' places.
    pub fn sort<K: Ord>(&mut self, lane: &Lane, place: impl Fn(DeliveryId) -> K) {
        let Some(queue) = self.queues.get_mut(lane) else { return };
        let mut all: Vec<_> = queue.all().collect();
        all.sort_by_key(|id| place(*id));
        if let Some(sorted) = Queue::of(all) {
            *queue = sorted;
        }
    }

    #[cfg(test)]
    pub fn is_empty(&self) -> bool {
        self.queues.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lane(recipient: &str) -> Lane {
        Lane {
            epoch: Epoch(1),
            channel: "c".into(),
            recipient: Recipient::contact(recipient).unwrap(),
        }
    }

    #[test]
    fn the_head_stays_until_it_is_removed_and_the_next_one_follows() {
        let mut lanes = Lanes::default();
        assert!(lanes.push(&lane("ann"), DeliveryId(1)));
        assert!(!lanes.push(&lane("ann"), DeliveryId(2)));
        assert!(lanes.push(&lane("bob"), DeliveryId(3)));
        assert_eq!(lanes.remove(&lane("ann"), DeliveryId(1)), Some(DeliveryId(2)));
        assert_eq!(lanes.remove(&lane("ann"), DeliveryId(2)), None);
        assert_eq!(lanes.remove(&lane("bob"), DeliveryId(3)), None);
        assert!(lanes.is_empty());
    }

    #[test]
    fn what_comes_after_a_lane_was_put_in_order_follows_its_head() {
        let mut lanes = Lanes::default();
        lanes.push(&lane("ann"), DeliveryId(1));
        lanes.sort(&lane("ann"), |id| id);
        lanes.push(&lane("ann"), DeliveryId(2));
        assert_eq!(lanes.remove(&lane("ann"), DeliveryId(1)), Some(DeliveryId(2)));
        lanes.retain(&lane("ann"), |_| true);
        lanes.push(&lane("ann"), DeliveryId(3));
        assert_eq!(lanes.remove(&lane("ann"), DeliveryId(2)), Some(DeliveryId(3)));
    }

    #[test]
    fn removing_from_the_middle_makes_no_new_head() {
        let mut lanes = Lanes::default();
        lanes.push(&lane("ann"), DeliveryId(1));
        lanes.push(&lane("ann"), DeliveryId(2));
        lanes.push(&lane("ann"), DeliveryId(3));
        assert_eq!(lanes.remove(&lane("ann"), DeliveryId(2)), None);
        assert_eq!(lanes.remove(&lane("ann"), DeliveryId(1)), Some(DeliveryId(3)));
    }
}
