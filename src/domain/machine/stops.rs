//! Channels that stop, and the answers to their probes.
//!
//! A stop is the answer to a fault that is not the event's own: deliveries wait, nothing is spent.
//! It is probed with backoff. A probe asks for the channel listing first, which costs nothing;
//! where that works, one held delivery is tried, for a listing proves little about sending.

use std::sync::Arc;
use std::time::Duration;

use super::super::clock::Moment;
use super::super::delivery::{DeliveryId, State};
use super::super::gate::{Gate, Probe, Stop};
use super::super::outcome::{Class, Listing, Scope, StopReason};
use super::super::retry::{self, Backoff};
use super::{Effect, Machine, Report};

/// A fault of the account that is back within this time, for another channel than the one through
/// which it ended, is that channel's own.
const BACK_WITHIN: Duration = Duration::from_mins(1);

/// After an early probe that has failed, for so long stops have none: not only a burst's own messages fail.
const NOT_EARLY_FOR: Duration = Duration::from_secs(10);

/// The end of a stop of the account.
#[derive(Debug)]
pub(super) struct Cleared {
    reason: StopReason,
    /// The id of the channel whose message went through.
    pub(super) channel: Arc<str>,
    /// When that was, or when the fault was last met by another channel alone.
    at: Duration,
}

impl Machine {
    pub(super) fn is_stopped(&self, channel: &str) -> bool {
        let gate = self.gates.iter().find(|gate| *gate.channel.id == *channel);
        gate.is_some_and(Gate::is_stopped)
    }

    /// A fault of the account that was over when another channel's message went through, and is back
    /// at once with this one's, is this channel's own, and so it is while it lasts: it must not stop the
    /// others.
    pub(super) fn scope_of(
        &mut self,
        scope: Scope,
        reason: StopReason,
        gate: usize,
        now: Moment,
    ) -> Scope {
        let open = self.account.is_none();
        let Some(gate) = self.gates.get(gate).filter(|_| open) else { return scope };
        let goes_on = gate.stop.is_some_and(|stop| stop.reason == reason);
        let cleared = self.cleared.as_mut().filter(|cleared| {
            let soon = now.elapsed < cleared.at + BACK_WITHIN;
            soon && cleared.reason == reason && cleared.channel != gate.channel.id
        });
        let is_back = cleared.is_some();
        if let Some(cleared) = cleared {
            cleared.at = now.elapsed;
        }
        if goes_on || is_back { Scope::Channel } else { scope }
    }

    /// Stops a channel, or all of them.
    pub(super) fn stop(&mut self, scope: Scope, reason: StopReason, gate: usize, now: Moment) {
        let usual = now.elapsed + backoff(reason).delay(1, self.jitter.f64());
        let early = may_be_the_messages_own(reason)
            && self.gates.get(gate).is_some_and(|gate| gate.early_from <= now.elapsed);
        let (since, probe) = (now.elapsed, Probe::Due(usual));
        let mut stop = Stop { reason, scope, since, failures: 0, early, probe };
        if early && self.untried(gate, true, now).is_some() {
            stop.probe_early(now.elapsed);
        }
        let channel = match scope {
            Scope::Account if self.account.is_none() => {
                self.account = Some(stop);
                self.account_stopped_by = gate;
                for gate in &mut self.gates {
                    gate.halted = true;
                }
                None
            }
            Scope::Channel => {
                let Some(gate) = self.gates.get_mut(gate).filter(|g| g.stop.is_none()) else {
                    return;
                };
                gate.stop = Some(stop);
                // A probe that comes early is not to cost one.
                gate.spare_suspects_until(usual);
                Some(gate.channel.name.clone())
            }
            Scope::Account => return,
        };
        self.give_back_what_is_aside();
        self.hold_what_is_at_stake();
        self.report(Report::Stopped { channel, reason });
    }

    /// What has not had its second chance is to have it after this stop. And what another ambiguous answer
    /// would set aside is no message to probe with as any other: it waits as those do whose verdict is
    /// held.
    fn hold_what_is_at_stake(&mut self) {
        let deliveries = &mut self.deliveries;
        for gate in self.gates.iter_mut().filter(|gate| gate.is_stopped()) {
            let suspects = &mut gate.suspects;
            gate.ready.retain(|id| {
                let delivery = deliveries.get_mut(id).filter(|it| it.state == State::Ready);
                let at_stake = delivery.is_some_and(|delivery| delivery.meets_a_stop());
                if at_stake {
                    suspects.push(*id);
                }
                !at_stake
            });
        }
    }

    /// An answer has come. If it is that of a probe, it decides: of the account's, the channel's,
    /// or both.
    pub(super) fn probe_answered(&mut self, id: DeliveryId, class: Class, now: Moment) {
        let tried = |stop: &Stop| stop.probe == Probe::Trying(id);
        let channel = self.gates.iter().position(|gate| gate.stop.as_ref().is_some_and(tried));
        let account = self.account.filter(tried);
        let of_channel = channel.and_then(|at| self.gates.get(at)).and_then(|gate| gate.stop);
        if let Some(stop) = account.or(of_channel).filter(|_| matches!(class, Class::Ambiguous(_)))
        {
            self.spare_suspects(id, stop, now);
        }
        if let Some(stop) = account {
            if is_cured(stop.reason, class) {
                self.cleared = self.deliveries.get(&id).map(|delivery| Cleared {
                    reason: stop.reason,
                    channel: delivery.lane.channel.clone(),
                    at: now.elapsed,
                });
                self.resume_account(stop, now);
            } else {
                self.account = Some(self.failed_probe(stop, now));
            }
        }
        if let Some(at) = channel {
            let Some(stop) = self.gates.get(at).and_then(|gate| gate.stop) else { return };
            if is_cured(stop.reason, class) {
                self.resume_channel(at, stop, now);
            } else {
                let tries = self.deliveries.get(&id).map_or(0, |delivery| delivery.tries.attempts);
                let mut failed = self.failed_probe(stop, now);
                if let Some(gate) = self.gates.get_mut(at) {
                    failed.early = stop.early && tries > 1;
                    if stop.early && !failed.early {
                        gate.early_from = now.elapsed + NOT_EARLY_FOR;
                    }
                    gate.stop = Some(failed);
                }
            }
        }
    }

    fn spare_suspects(&mut self, probe: DeliveryId, stop: Stop, now: Moment) {
        let Some(delivery) = self.deliveries.get(&probe) else { return };
        let costly = delivery.is_rather_set_aside();
        // It came before the first that could have cost one, and a blip may be over by then.
        if !costly && delivery.started < stop.since + retry::PROBE.first {
            return;
        }
        let channel = &delivery.lane.channel;
        let jitter = self.jitter.f64();
        if let Some(gate) = self.gates.iter_mut().find(|gate| gate.channel.id == *channel) {
            gate.spare_suspects(costly, jitter, now.elapsed);
        }
    }

    fn failed_probe(&mut self, stop: Stop, now: Moment) -> Stop {
        let failures = stop.failures.saturating_add(1);
        let wait = backoff(stop.reason).delay(failures.saturating_add(1), self.jitter.f64());
        Stop { failures, early: false, probe: Probe::Due(now.elapsed + wait), ..stop }
    }

    fn resume_account(&mut self, stop: Stop, now: Moment) {
        self.account = None;
        for gate in 0..self.gates.len() {
            if let Some(gate) = self.gates.get_mut(gate) {
                gate.halted = false;
            }
            self.reopen(gate, stop, now);
        }
        let after = now.elapsed.saturating_sub(stop.since);
        self.report(Report::Resumed { channel: None, reason: stop.reason, after });
    }

    fn resume_channel(&mut self, gate: usize, stop: Stop, now: Moment) {
        let Some(at) = self.gates.get_mut(gate) else { return };
        at.stop = None;
        let channel = Some(at.channel.name.clone());
        self.reopen(gate, stop, now);
        let after = now.elapsed.saturating_sub(stop.since);
        self.report(Report::Resumed { channel, reason: stop.reason, after });
    }

    /// Gives those a second chance whose verdict was held: in turn, and after an outage of less than a
    /// second as late as after a longer one. But after refusals the refused ones go before all others:
    /// more of their kind could stop the channel again and again before their turn comes.
    fn reopen(&mut self, gate: usize, stop: Stop, now: Moment) {
        let Some(at) = self.gates.get_mut(gate).filter(|gate| !gate.is_stopped()) else { return };
        at.reopen();
        at.works_since = now.elapsed;
        let suspects = std::mem::take(&mut at.suspects).into_iter();
        let untried = std::mem::take(&mut at.ready);
        let first = |id: &DeliveryId| stop.reason == StopReason::Rejected && self.is_refused(*id);
        let (refused, others): (Vec<_>, Vec<_>) = suspects.partition(first);
        self.try_again_at_once(refused, now);
        if let Some(at) = self.gates.get_mut(gate) {
            at.ready.extend(untried);
        }
        self.try_again_in_turn(others, stop.since + retry::PROBE.first, now);
    }

    /// The API does not know the channel or the recipient: the listing tells which.
    pub(super) fn await_listing(&mut self, id: DeliveryId, now: Moment) {
        let Some(delivery) = self.deliveries.get_mut(&id) else { return };
        if self.tenures.get(&delivery.lane.epoch).is_none_or(|tenure| tenure.leaving.is_some()) {
            self.probe_answered(id, Class::NotFound, now);
            return self.leave_to_next_owner(id);
        }
        delivery.state = State::InQuestion;
        self.in_question.push(id);
        self.list();
    }

    pub(super) fn list(&mut self) {
        if !std::mem::replace(&mut self.listing, true) {
            self.effects.push(Effect::List);
        }
    }

    pub(super) fn listed(&mut self, listing: &Listing, now: Moment) {
        self.listing = false;
        self.listed_at = now.elapsed;
        self.listing_probed(listing, now);
        for id in std::mem::take(&mut self.in_question) {
            // One of a partition that is leaving may have been dropped or set aside meanwhile.
            let delivery = self.deliveries.get(&id);
            let Some(delivery) = delivery.filter(|it| it.state == State::InQuestion) else {
                self.probe_answered(id, Class::NotFound, now);
                continue;
            };
            let channel = delivery.lane.channel.clone();
            let Some(gate) = self.gates.iter().position(|gate| gate.channel.id == channel) else {
                continue;
            };
            let (class, stop) = match listing {
                Listing::Channels(ids) if ids.iter().any(|id| **id == *channel) => {
                    (Class::Permanent, None)
                }
                Listing::Channels(_) => {
                    let missing = (Scope::Channel, StopReason::ChannelMissing);
                    (Class::Stop(missing.0, missing.1), Some(missing))
                }
                Listing::Failed(class) => {
                    let failed = (Scope::Account, StopReason::ListingFailed);
                    (*class, Some(failed))
                }
            };
            self.probe_answered(id, class, now);
            match stop {
                None => self.refused(gate, id, now),
                Some((scope, reason)) => {
                    self.stop(scope, reason, gate, now);
                    self.wait_again(id, now);
                }
            }
        }
    }

    /// Takes the listing as the first half of the probes that asked for it.
    fn listing_probed(&mut self, listing: &Listing, now: Moment) {
        if let Some(stop) = self.account.filter(|stop| stop.probe == Probe::Listing) {
            let next = match listing {
                Listing::Channels(_) => Stop { probe: Probe::HalfOpen, ..stop },
                Listing::Failed(_) => self.failed_probe(stop, now),
            };
            self.account = Some(next);
        }
        for at in 0..self.gates.len() {
            let Some(gate) = self.gates.get(at) else { continue };
            let Some(stop) = gate.stop.filter(|stop| stop.probe == Probe::Listing) else {
                continue;
            };
            let listed = match listing {
                Listing::Channels(ids) => ids.iter().any(|id| **id == *gate.channel.id),
                Listing::Failed(_) => false,
            };
            let next = if listed {
                Stop { probe: Probe::HalfOpen, ..stop }
            } else {
                self.failed_probe(stop, now)
            };
            if let Some(gate) = self.gates.get_mut(at) {
                gate.stop = Some(next);
            }
        }
    }

    /// A new token may end the stops that a token can cause, at once.
    pub(super) fn token_changed(&mut self, now: Moment) {
        self.cleared = None;
        let channels = self.gates.iter_mut().filter_map(|gate| gate.stop.as_mut());
        for stop in self.account.as_mut().into_iter().chain(channels) {
            let of_token = matches!(
                stop.reason,
                StopReason::Unauthorized | StopReason::Forbidden | StopReason::Transport
            );
            if of_token && matches!(stop.probe, Probe::Due(_)) {
                stop.probe = Probe::Due(now.elapsed);
            }
        }
    }
}

/// Whether the answer to a probe is one that the fault would not have given.
fn is_cured(reason: StopReason, class: Class) -> bool {
    match class {
        Class::Accepted => true,
        Class::Unverified => reason != StopReason::Unverified,
        Class::Permanent => reason != StopReason::Rejected,
        Class::Ambiguous(_) | Class::NotApplied(_) | Class::NotFound | Class::Stop(..) => false,
    }
}

/// Whether so many failures in a row may be of a burst of messages that fail by themselves, which everybody
/// else's would wait behind.
fn may_be_the_messages_own(reason: StopReason) -> bool {
    match reason {
        StopReason::Rejected
        | StopReason::Outage
        | StopReason::NotJson
        | StopReason::Unverified => true,
        StopReason::Unauthorized
        | StopReason::Forbidden
        | StopReason::ChannelMissing
        | StopReason::MonthlyLimit
        | StopReason::Redirect
        | StopReason::Contract
        | StopReason::Transport
        | StopReason::Unreachable
        | StopReason::ListingFailed => false,
    }
}

fn backoff(reason: StopReason) -> Backoff {
    if reason == StopReason::MonthlyLimit { retry::LIMIT_PROBE } else { retry::PROBE }
}
