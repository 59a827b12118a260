//! What the machine can tell of itself: for gauges, for `/status`, and for tests.

use std::sync::Arc;
use std::time::Duration;

use super::super::clock::{Moment, Timestamp};
use super::super::delivery::{Delivery, DeliveryId, HeldVerdict, State};
use super::super::gate::{Gate, GateState, Probe, Stop};
use super::super::outcome::{Scope, StopReason};
use super::super::paused::Pause;
use super::super::record::{CommitOffset, RecordOffset, TopicPartition};
use super::tenure::{Held, Tenure};
use super::{Machine, PauseReason};

#[derive(Clone, Debug, Default, PartialEq)]
pub struct Status {
    pub partitions: Vec<PartitionStatus>,
    pub channels: Vec<ChannelStatus>,
    pub in_flight: usize,
    /// Messages accepted and not yet covered by a commit.
    pub uncommitted: usize,
    /// How long ago the group's coordinator was last heard of; since the start, if never.
    pub coordinator_silent: Duration,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PartitionStatus {
    pub source: TopicPartition,
    pub frontier: CommitOffset,
    /// As the broker has confirmed it.
    pub committed: CommitOffset,
    pub held: usize,
    pub held_bytes: usize,
    /// The bound is reached.
    pub full: bool,
    /// What it has sent can't be committed, so it continues one record at a time.
    pub held_back: bool,
    /// Why it is not read, or nothing of it is sent; what the bridge has paused by itself first.
    pub paused: Vec<PauseReason>,
    /// It is being handed over or drained.
    pub leaving: bool,
    /// The oldest record that has not settled: it holds the frontier up.
    pub oldest: Option<Oldest>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Oldest {
    pub offset: RecordOffset,
    pub event_time: Timestamp,
    /// HTTP tries so far, of its message that is tried least far.
    pub attempts: u32,
    /// The status of the last answer, if there was one.
    pub http_status: Option<u16>,
    pub channel: Option<Arc<str>>,
    pub rule: Option<Arc<str>>,
    pub waits: Waits,
}

/// Why a record has not settled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Waits {
    /// Behind an older message of its recipient, in the same partition.
    Lane,
    /// For its channel's rate, or for a place among those in flight.
    Gate,
    /// For the group's coordinator to be heard of again.
    Coordinator,
    /// For commits: as many as may be are accepted and not committed yet.
    Commits,
    /// As long as `Retry-After` says.
    RetryAfter,
    /// For its channel, or all channels, to work again.
    Stop(StopReason),
    /// For the next try.
    Backoff,
    /// For the answer.
    Answer,
    /// For the channel listing, after a 404.
    Listing,
    /// For a different answer of its channel, before it is set aside.
    Verdict,
    /// For the broker to acknowledge its dead letter.
    DeadLetter,
    /// The brake holds its topic.
    Brake,
    /// The operator holds it back.
    Paused(Pause),
}

impl Waits {
    /// What it waits for, in words.
    pub fn label(self) -> &'static str {
        match self {
            Self::Lane => "an older message of its recipient",
            Self::Gate => "its channel's rate or concurrency",
            Self::Coordinator => "the group's coordinator",
            Self::Commits => "commits of messages already sent",
            Self::RetryAfter => "the end of Retry-After",
            Self::Stop(_) => "its channel to work again",
            Self::Backoff => "the next attempt",
            Self::Answer => "the API's answer",
            Self::Listing => "the channel listing",
            Self::Verdict => "a different answer from its channel",
            Self::DeadLetter => "the dead letter's acknowledgement",
            Self::Brake => "a change of its schema or rules: the brake has paused its topic",
            Self::Paused(Pause::Topic) => "its topic, which is paused",
            Self::Paused(Pause::Rule) => "its rule, which is paused",
            Self::Paused(Pause::Channel) => "its channel, which is paused",
        }
    }
}

#[derive(Clone, Debug, PartialEq)]
pub struct ChannelStatus {
    pub name: Arc<str>,
    pub state: GateState,
    /// Why it is stopped, and for how long it has been; none where that holds nothing back.
    pub stopped: Option<(StopReason, Duration)>,
    /// Requests a second, this member's share.
    pub rate: f64,
    /// The most in flight, as found out.
    pub concurrency: usize,
    pub in_flight: usize,
    /// How much longer `Retry-After` holds the channel.
    pub retry_after: Option<Duration>,
}

impl Machine {
    pub fn status(&self, now: Moment) -> Status {
        let channels = self.gates.iter().filter(|gate| !gate.retired);
        Status {
            partitions: self.tenures.values().map(|tenure| self.partition(tenure, now)).collect(),
            channels: channels.map(|gate| self.channel(gate, now)).collect(),
            in_flight: self.on_wire.len(),
            uncommitted: self.uncommitted,
            coordinator_silent: now.elapsed.saturating_sub(self.coordinator_heard),
        }
    }

    fn partition(&self, tenure: &Tenure, now: Moment) -> PartitionStatus {
        let oldest = tenure.offsets.oldest();
        let paused = self.settings.paused.topics.contains(&tenure.source.topic);
        let by_operator = paused.then_some(PauseReason::Paused);
        PartitionStatus {
            source: tenure.source.clone(),
            frontier: tenure.offsets.frontier(),
            committed: tenure.uncommitted.stands(),
            held: tenure.offsets.held_count(),
            held_bytes: tenure.bytes,
            full: tenure.full,
            held_back: tenure.held_back,
            paused: tenure.paused.into_iter().chain(by_operator).collect(),
            leaving: tenure.leaving.is_some(),
            oldest: oldest.map(|(offset, held)| self.oldest(offset, held, now)),
        }
    }

    fn oldest(&self, offset: RecordOffset, held: &Held, now: Moment) -> Oldest {
        let unsettled = held.parts.iter().find(|part| !part.settled);
        let delivery = unsettled.and_then(|part| part.delivery);
        let found = delivery.and_then(|id| self.deliveries.get(&id));
        Oldest {
            offset,
            event_time: held.event_time,
            attempts: found.map_or(0, |delivery| delivery.tries.attempts),
            http_status: found.and_then(|delivery| delivery.tries.http_status),
            channel: found.map(|delivery| delivery.message.channel.name.clone()),
            rule: unsettled.and_then(|part| part.rule.clone()),
            waits: match delivery {
                Some(id) => self.waits(id, now),
                None if unsettled.is_some_and(|part| part.begun) => Waits::DeadLetter,
                None if self.braked(&held.record.source.topic) => Waits::Brake,
                None => Waits::Paused(Pause::Topic),
            },
        }
    }

    fn waits(&self, id: DeliveryId, now: Moment) -> Waits {
        let Some(delivery) = self.deliveries.get(&id) else { return Waits::DeadLetter };
        match delivery.state {
            State::Queued => Waits::Lane,
            State::Backoff => Waits::Backoff,
            State::InFlight => Waits::Answer,
            State::InQuestion => Waits::Listing,
            State::DeadLettering => Waits::DeadLetter,
            State::Ready
            | State::Paused
            | State::Held(HeldVerdict::Rejected | HeldVerdict::Ambiguous) => {
                if let Some(pause) = self.pause_of(id) {
                    return Waits::Paused(pause);
                }
                let channel = &delivery.lane.channel;
                let gate = self.gates.iter().find(|gate| gate.channel.id == *channel);
                let stop = gate.and_then(|gate| gate.stop).or(self.account);
                let closed = gate.and_then(|gate| gate.closed_until(now.elapsed));
                match stop {
                    Some(stop) => Waits::Stop(stop.reason),
                    None if delivery.state != State::Ready => Waits::Verdict,
                    None if closed.is_some() => Waits::RetryAfter,
                    None if !self.is_heard(now) => Waits::Coordinator,
                    None if !self.has_room() && self.on_wire.is_empty() => Waits::Commits,
                    None if self.is_held_back(delivery) => Waits::Commits,
                    None => Waits::Gate,
                }
            }
        }
    }

    /// Whether its partition's commits fail, so that it may start only when the one before it is told of.
    fn is_held_back(&self, delivery: &Delivery) -> bool {
        let tenure = self.tenures.get(&delivery.lane.epoch);
        tenure.is_some_and(|tenure| tenure.held_back && !tenure.uncommitted.is_clean())
    }

    /// Whether a stop is one to tell of. As far as the listing goes the API works again; where nothing
    /// waits, it is for the next message to find out. Only a limit is known to be there still.
    fn matters(&self, stop: Stop, gate: &Gate) -> bool {
        let waits = |delivery: &Delivery| {
            stop.scope == Scope::Account || delivery.lane.channel == gate.channel.id
        };
        stop.probe != Probe::HalfOpen
            || stop.reason == StopReason::MonthlyLimit
            || self.deliveries.values().any(|delivery| waits(delivery))
    }

    fn channel(&self, gate: &Gate, now: Moment) -> ChannelStatus {
        let stops = [gate.stop, self.account].into_iter().flatten();
        let stop = stops.into_iter().find(|stop| self.matters(*stop, gate));
        ChannelStatus {
            name: gate.channel.name.clone(),
            state: gate.state(stop.is_some(), now.elapsed),
            stopped: stop.map(|stop| (stop.reason, now.elapsed.saturating_sub(stop.since))),
            rate: gate.rate.rate(now.elapsed),
            concurrency: gate.concurrency.limit(),
            in_flight: gate.in_flight,
            retry_after: gate
                .closed_until(now.elapsed)
                .map(|until| until.saturating_sub(now.elapsed)),
        }
    }
}
