//! Held records are decided anew, when the rules or the schema of their topic have changed: what
//! waits to be sent must not go out as the old ones made it.
//!
//! Only what the customer certainly does not have, and of which nothing is under way, is made
//! anew; what is on the wire is, if it comes back as not applied. A record of which some messages
//! have gone further is decided anew only where the new rules make messages by the same rules of
//! it, in the same order; then its other messages take the new text. Else it keeps what it has.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::super::clock::Moment;
use super::super::delivery::{Delivery, DeliveryId, State};
use super::super::lanes::Lane;
use super::super::message::Decision;
use super::super::record::{Epoch, Record, RecordOffset};
use super::intake::parts_of;
use super::reconfigure::decides_otherwise;
use super::tenure::{Held, Part, Tenure};
use super::{Machine, Redecided, Settings, SettledAs};

impl Held {
    /// Nothing of it has begun: the brake, or a pause of its topic, holds it back.
    pub(super) fn has_not_begun(&self) -> bool {
        self.parts.iter().all(|part| !part.begun)
    }
}

impl Machine {
    /// The records that are to be decided by the schemas and the rules of `new`, for
    /// [`Input::Reconfigured`](super::Input::Reconfigured): those whose topic has others then, and
    /// those that were held back, whatever they would have become.
    pub fn to_decide_anew(&self, new: &Settings) -> Vec<(Epoch, Arc<Record>)> {
        let stay = |(_, tenure): &(&Epoch, &Tenure)| tenure.leaving.is_none();
        let of = |(epoch, tenure): (&Epoch, &Tenure)| {
            let all = decides_otherwise(&tenure.source.topic, &self.settings, new);
            let held = tenure.offsets.held().filter(|(_, held)| all || held.has_not_begun());
            held.map(|(_, held)| (*epoch, Arc::clone(&held.record))).collect::<Vec<_>>()
        };
        self.tenures.iter().filter(stay).flat_map(of).collect()
    }

    /// Marks what was made of these records so far.
    pub(super) fn supersede(&mut self, decisions: &[Redecided]) {
        for Redecided { epoch, offset, .. } in decisions {
            let held = self.tenures.get(epoch).and_then(|tenure| tenure.offsets.get(*offset));
            for id in held.into_iter().flat_map(|held| &held.parts).filter_map(|part| part.delivery)
            {
                if let Some(delivery) = self.deliveries.get_mut(&id) {
                    delivery.superseded = true;
                }
            }
        }
    }

    /// Carries the new decisions out. Returns how many records took theirs, and how many keep what
    /// they had.
    pub(super) fn decide_anew(&mut self, decisions: Vec<Redecided>, now: Moment) -> (usize, usize) {
        let all = decisions.len();
        let mut lanes = BTreeSet::new();
        let taken: Vec<_> = decisions
            .into_iter()
            .filter(|Redecided { epoch, offset, decision }| {
                self.clear(*epoch, *offset, decision, &mut lanes)
            })
            .collect();
        for lane in &lanes {
            self.lanes.retain(lane, |id| self.deliveries.contains_key(&id));
        }
        for gate in &mut self.gates {
            gate.ready.retain(|id| self.deliveries.contains_key(id));
            gate.suspects.retain(|id| self.deliveries.contains_key(id));
        }
        let count = taken.len();
        for Redecided { epoch, offset, decision } in taken {
            self.begin_anew(epoch, offset, decision, now, &mut lanes);
        }
        self.put_in_order(&lanes, now);
        (count, all - count)
    }

    /// Makes room for a new decision: takes the deliveries away whose message is to be replaced.
    /// False where the record keeps what it has.
    fn clear(
        &mut self,
        epoch: Epoch,
        offset: RecordOffset,
        decision: &Decision,
        lanes: &mut BTreeSet<Lane>,
    ) -> bool {
        let Some(tenure) = self.tenures.get(&epoch).filter(|t| t.leaving.is_none()) else {
            return false;
        };
        let Some(held) = tenure.offsets.get(offset) else { return false };
        let paused = self.settings.paused.topics.contains(&held.original().source.topic);
        let Some(tenure) = self.tenures.get_mut(&epoch) else { return false };
        let Some(held) = tenure.offsets.get_mut(offset) else { return false };
        let deliveries = &self.deliveries;
        let replaceable = |part: &Part| {
            let delivery = part.delivery.and_then(|id| deliveries.get(&id));
            let may = |delivery: &Delivery| delivery.superseded && delivery.is_replaceable();
            !part.begun || delivery.is_some_and(|delivery| may(delivery))
        };
        let new = parts_of(&decision.verdict);
        let alike = new.iter().map(|part| &part.rule).eq(held.parts.iter().map(|part| &part.rule));
        let whole = held.parts.iter().all(replaceable);
        held.outdated = !whole && !alike;
        held.later = (!whole).then(|| decision.clone());
        // Of a record that has begun, the rest waits as it is until it may go on.
        if held.outdated || !held.parts.iter().any(replaceable) || (paused && !whole) {
            return false;
        }
        let mut gone = Vec::new();
        for part in held.parts.iter_mut().filter(|part| replaceable(part)) {
            gone.extend(part.delivery.take());
            part.begun = false;
        }
        if whole {
            held.parts = new;
            held.settled = SettledAs::Skipped;
            let cost = held.cost(&decision.verdict);
            let before = std::mem::replace(&mut held.cost, cost);
            tenure.bytes = tenure.bytes.saturating_sub(before) + cost;
        }
        held.event_time = decision.event_time;
        for id in gone {
            self.set_timer(id, None);
            let Some(delivery) = self.deliveries.remove(&id) else { continue };
            if let Some(tenure) = self.tenures.get_mut(&epoch) {
                tenure.aside.remove(&(delivery.offset, delivery.part));
            }
            lanes.insert(delivery.lane);
        }
        true
    }

    /// An attempt that was on the wire when its record was decided anew was not applied: now its
    /// message can be replaced as well. What has been is not replaced by the same once more: it keeps its
    /// backoff, and its verdict.
    pub(super) fn catch_up(&mut self, id: DeliveryId, now: Moment) {
        let superseded = self.deliveries.get(&id).filter(|delivery| delivery.superseded);
        let Some(delivery) = superseded.filter(|delivery| delivery.is_replaceable()) else {
            return;
        };
        let (epoch, offset) = (delivery.lane.epoch, delivery.offset);
        let held = self.tenures.get_mut(&epoch).and_then(|tenure| tenure.offsets.get_mut(offset));
        if let Some(decision) = held.and_then(|held| held.later.take()) {
            self.decide_anew(vec![Redecided { epoch, offset, decision }], now);
        }
    }

    fn begin_anew(
        &mut self,
        epoch: Epoch,
        offset: RecordOffset,
        decision: Decision,
        now: Moment,
        lanes: &mut BTreeSet<Lane>,
    ) {
        let Some(tenure) = self.tenures.get(&epoch) else { return };
        let topic = Arc::clone(&tenure.source.topic);
        self.carry_out(epoch, offset, &topic, decision.verdict, now);
        let held = self.tenures.get(&epoch).and_then(|tenure| tenure.offsets.get(offset));
        let parts = held.into_iter().flat_map(|held| &held.parts);
        let deliveries = parts.filter_map(|part| self.deliveries.get(&part.delivery?));
        lanes.extend(deliveries.map(|delivery| delivery.lane.clone()));
    }

    /// Puts the deliveries of these lanes in the partition's order. A head that has been tried
    /// stays the head: a retry goes before its recipient's other messages.
    fn put_in_order(&mut self, lanes: &BTreeSet<Lane>, now: Moment) {
        let mut heads = BTreeSet::new();
        for lane in lanes {
            let deliveries = &self.deliveries;
            let place = |id: DeliveryId| {
                let delivery = deliveries.get(&id);
                let untried = !delivery.is_some_and(|delivery| delivery.is_tried());
                (untried, delivery.map(|delivery| (delivery.offset, delivery.part)))
            };
            self.lanes.sort(lane, place);
            let queue: Vec<_> = self.lanes.queue(lane).collect();
            for (at, id) in queue.into_iter().enumerate() {
                let Some(delivery) = self.deliveries.get_mut(&id) else { continue };
                if at == 0 && delivery.state == State::Queued {
                    heads.insert((lane.epoch, delivery.offset, delivery.part, id));
                } else if at > 0 && delivery.state != State::Queued {
                    delivery.state = State::Queued;
                    self.set_timer(id, None);
                }
            }
        }
        for (_, _, _, id) in heads {
            self.make_ready(id, now);
        }
    }
}
