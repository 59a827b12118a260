//! The probing of stops: the channel listing first, which costs nothing, then one held delivery.

use std::time::Duration;

use super::super::clock::Moment;
use super::super::delivery::{Delivery, DeliveryId, HeldVerdict, State};
use super::super::gate::{Probe, Stop};
use super::super::retry;
use super::Machine;
use super::tenure::Tenure;

impl Machine {
    /// Probes what is due.
    pub(super) fn probe(&mut self, now: Moment) {
        if self.account.is_none() && self.gates.iter().all(|gate| gate.stop.is_none()) {
            return;
        }
        let due = |stop: &Stop| matches!(stop.probe, Probe::Due(at) if at <= now.elapsed);
        let mut list = false;
        // Of a channel that is gone, what is left of its queue says whether to probe it.
        for gate in 0..self.gates.len() {
            self.pass_over_what_has_moved_on(gate);
        }
        let wanted = self.gates.iter_mut().filter(|gate| gate.is_wanted());
        let channels = wanted.filter_map(|gate| gate.stop.as_mut());
        for stop in self.account.as_mut().into_iter().chain(channels) {
            if due(stop) {
                stop.probe = Probe::Listing;
                list = true;
            }
        }
        if list {
            self.list();
        }
        for gate in self.in_turn() {
            self.try_one(gate, now);
        }
    }

    /// The order in which channels are asked for the account's probe: first those that have a message
    /// which costs nothing to try, and among them one after the other, because one may fail by itself:
    /// most likely the one that has met the fault, whose turn comes last.
    fn in_turn(&self) -> Vec<usize> {
        let is_refused = |id: &DeliveryId| self.is_refused(*id);
        let is_free = |at: &usize| {
            let gate = self.gates.get(*at);
            gate.is_some_and(|gate| !gate.ready.is_empty() || gate.suspects.iter().any(is_refused))
        };
        let count = self.gates.len();
        let in_order = (0..count).map(|at| (self.account_stopped_by + 1 + at) % count);
        let (mut free, mut others): (Vec<_>, Vec<_>) = in_order.partition(is_free);
        // Each twice, for its oldest and its newest message.
        let turn = self.account.map_or(0, |stop| stop.failures / 2);
        let turn = usize::try_from(turn).unwrap_or(0);
        for gates in [&mut free, &mut others] {
            let first = turn % gates.len().max(1);
            gates.rotate_left(first);
        }
        free.append(&mut others);
        free
    }

    /// To try what the API has refused costs nothing.
    pub(super) fn is_refused(&self, id: DeliveryId) -> bool {
        let delivery = self.deliveries.get(&id);
        delivery.is_some_and(|delivery| delivery.state == State::Held(HeldVerdict::Rejected))
    }

    /// Sends the one delivery that a half-open stop lets through.
    fn try_one(&mut self, gate: usize, now: Moment) {
        let half_open = |stop: Stop| stop.probe == Probe::HalfOpen;
        let Some(at) = self.gates.get(gate) else { return };
        let (account, channel) = (self.account, at.stop);
        let closed_until = at.closed_until(now.elapsed);
        if at.paused || !self.may_start(now) {
            return;
        }
        // Where the account and the channel are both stopped, one attempt answers for both: if
        // each waited for the other's end, neither would ever end.
        let ready = |stop: Option<Stop>| stop.is_none_or(half_open);
        if (account.is_none() && channel.is_none()) || !ready(account) || !ready(channel) {
            return;
        }
        if let Some(then) = closed_until {
            return self.wake_for_a_gate(then);
        }
        let Some(id) = self.candidate(gate, now) else { return };
        let trying = |stop| Stop { probe: Probe::Trying(id), ..stop };
        self.account = account.map(trying);
        if let Some(gate) = self.gates.get_mut(gate) {
            gate.stop = channel.map(trying);
        }
        self.launch(gate, id, now);
    }

    /// Which delivery is tried: one that was not tried before if there is one, for what has failed may
    /// have failed through its own fault; and of the suspects rather one that the customer certainly does
    /// not have. Every other time, and the first, it is the newest one: those that have waited longest
    /// may be many of a kind, such as a batch to recipients that the API knows nothing of.
    fn candidate(&mut self, gate: usize, now: Moment) -> Option<DeliveryId> {
        let stop = self.gates.get(gate)?.stop.or(self.account);
        let newest = stop.is_some_and(|stop| stop.failures == 0 || stop.failures % 2 == 1);
        if let Some(id) = self.untried(gate, newest, now) {
            self.gates.get_mut(gate)?.ready.retain(|ready| *ready != id);
            return Some(id);
        }
        if let Some(id) = self.next_ready(gate, now) {
            self.gates.get_mut(gate)?.ready.pop_front();
            return Some(id);
        }
        let mut suspects = std::mem::take(&mut self.gates.get_mut(gate)?.suspects);
        let is = |id: &DeliveryId, what: &dyn Fn(&Delivery) -> bool| {
            self.deliveries.get(id).is_some_and(|delivery| what(delivery))
        };
        // Those of a partition that is leaving may have been dropped or set aside meanwhile.
        suspects.retain(|id| is(id, &|delivery| matches!(delivery.state, State::Held(_))));
        let may = |id: &&DeliveryId| {
            is(id, &|delivery| !delivery.message.expired(now.wall)) && self.pause_of(**id).is_none()
        };
        let mut alive = suspects.iter().filter(may).copied();
        let first = alive.clone().next();
        let refused = alive.find(|id| self.is_refused(*id));
        let spared = self.gates.get(gate)?.spares_suspects(now.elapsed);
        let costly = first.filter(|_| refused.is_none() && !spared);
        let is_stale = now.elapsed > self.listed_at + retry::PROBE.longest;
        let chosen = refused.or(costly.filter(|_| !is_stale));
        suspects.retain(|id| Some(*id) != chosen);
        let at = self.gates.get_mut(gate)?;
        at.suspects = suspects;
        if first.is_some() && chosen.is_none() && spared {
            let then = at.spared_until;
            self.wake_for_a_gate(then);
            return None;
        }
        if costly.is_some() && is_stale {
            // The listing may tell by now that the fault lasts, and that costs nothing.
            for stop in at.stop.as_mut().into_iter().chain(&mut self.account) {
                stop.probe = Probe::Due(now.elapsed);
            }
        }
        chosen
    }

    /// The newest that has not been tried, or the one that has waited longest.
    pub(super) fn untried(&self, gate: usize, newest: bool, now: Moment) -> Option<DeliveryId> {
        let may = |id: &&DeliveryId| {
            self.deliveries.get(id).is_some_and(|delivery| {
                let tenure = self.tenures.get(&delivery.lane.epoch);
                delivery.state == State::Ready
                    && !delivery.is_tried()
                    && !delivery.message.expired(now.wall)
                    && !delivery.must_not_repeat()
                    && tenure.is_some_and(Tenure::may_probe)
            })
        };
        let mut ready = self.gates.get(gate)?.ready.iter();
        if newest { ready.rfind(may) } else { ready.find(may) }.copied()
    }

    pub(super) fn next_probe(&self) -> impl Iterator<Item = Duration> {
        let wanted = self.gates.iter().filter(|gate| gate.is_wanted());
        let channels = wanted.filter_map(|gate| gate.stop);
        self.account.into_iter().chain(channels).filter_map(|stop| match stop.probe {
            Probe::Due(at) => Some(at),
            Probe::Listing | Probe::HalfOpen | Probe::Trying(_) => None,
        })
    }
}
