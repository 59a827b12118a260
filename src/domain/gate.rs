//! What holds one channel's deliveries back: its rate, a `Retry-After`, the number that the API
//! bears at once, and a stop.

use std::collections::{HashSet, VecDeque};
use std::hash::{BuildHasher, RandomState};
use std::time::Duration;

use super::concurrency::Concurrency;
use super::delivery::DeliveryId;
use super::message::{Channel, Recipient};
use super::outcome::{Class, Scope, StopReason};
use super::rate::RateLimit;
use super::retry;

/// So many failures alike in a row, on distinct recipients, are a fault of the channel.
pub const STREAK: usize = 5;

/// So long after a message went through, a channel is taken to work.
const WORKS_FOR: Duration = Duration::from_secs(5);
/// It is not where more of the last 16 messages failed at the first attempt.
const FEW_FAILED: u32 = 5;

/// Whether a gate lets one more delivery through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Passage {
    Open,
    /// Not before then.
    At(Duration),
    /// Not until something happens.
    Closed,
}

/// Whether a channel takes deliveries; the numbers are those of the metric `gate_state`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GateState {
    Open = 0,
    /// By `Retry-After`, or by a rate that was cut.
    Slowed = 1,
    Stopped = 2,
    /// By the operator.
    Paused = 3,
}

impl GateState {
    pub fn label(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Slowed => "slowed",
            Self::Stopped => "stopped",
            Self::Paused => "paused",
        }
    }
}

/// A channel, or the whole account, that takes no deliveries until a probe succeeds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stop {
    pub reason: StopReason,
    pub scope: Scope,
    pub since: Duration,
    /// Probes that failed.
    pub failures: u32,
    /// A message that was not tried before need not wait until the next probe is due.
    pub early: bool,
    pub probe: Probe,
}

/// An early probe comes so long after its stop, for one may follow upon the other.
const EARLY: Duration = Duration::from_millis(100);

impl Stop {
    /// A message waits that has not been tried.
    pub fn probe_early(&mut self, now: Duration) {
        if let Probe::Due(due) = &mut self.probe
            && self.early
        {
            *due = (*due).min(now.max(self.since + EARLY));
        }
    }
}

/// How far the probing of a stop has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Probe {
    /// The next probe is due then.
    Due(Duration),
    /// The channel listing has been asked for.
    Listing,
    /// The listing works: one held delivery may be tried.
    HalfOpen,
    /// That delivery is in flight.
    Trying(DeliveryId),
}

/// What kind of failure a streak is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FailureKind {
    Rejected { status: Option<u16> },
    Ambiguous,
    NotJson,
    Unverified,
    Unreachable,
}

impl FailureKind {
    /// Whether both may be of one fault. Where one proxy answers with an error and the other with a
    /// page, neither is the sign of a channel that works.
    fn is_alike(self, other: Self) -> bool {
        let is_no_answer = |kind| matches!(kind, Self::Ambiguous | Self::NotJson);
        self == other || is_no_answer(self) && is_no_answer(other)
    }

    pub fn stop_reason(self) -> StopReason {
        match self {
            Self::Rejected { .. } => StopReason::Rejected,
            Self::Ambiguous => StopReason::Outage,
            Self::NotJson => StopReason::NotJson,
            Self::Unverified => StopReason::Unverified,
            Self::Unreachable => StopReason::Unreachable,
        }
    }
}

/// Failures alike in a row.
#[derive(Debug, Default)]
struct Streak {
    kind: Option<FailureKind>,
    recipients: HashSet<u64>,
    /// Those of whom one failure has been carried out already: their next one tells nothing new
    /// of the channel, so it need not wait.
    carried_out: HashSet<u64>,
    /// How many that makes, those next ones included.
    carried_out_in_all: usize,
    hasher: RandomState,
}

impl Streak {
    fn add(&mut self, kind: FailureKind, recipient: &Recipient) -> bool {
        if !self.kind.is_some_and(|held| held.is_alike(kind)) {
            self.end();
        }
        self.kind = Some(kind);
        self.recipients.insert(self.hasher.hash_one(recipient));
        self.recipients.len() >= STREAK
    }

    fn end(&mut self) {
        self.kind = None;
        self.recipients.clear();
        self.carried_out.clear();
        self.carried_out_in_all = 0;
    }
}

/// The gate of one channel, and the heads of its lanes that wait at it.
#[derive(Debug)]
pub struct Gate {
    pub channel: Channel,
    pub rate: RateLimit,
    pub concurrency: Concurrency,
    /// Heads of lanes, in the order in which they go through. Ids of deliveries that have moved on
    /// meanwhile are passed over.
    pub ready: VecDeque<DeliveryId>,
    /// Deliveries whose verdict waits for a different answer.
    pub suspects: Vec<DeliveryId>,
    pub in_flight: usize,
    pub stop: Option<Stop>,
    /// The account has stopped, and so this channel with it.
    pub halted: bool,
    /// The operator holds the channel back.
    pub paused: bool,
    /// The configuration has no such channel any more. It is kept for the deliveries that keep
    /// their message.
    pub retired: bool,
    /// When the last stop ended.
    pub works_since: Duration,
    /// When a message went through last.
    accepted_at: Option<Duration>,
    /// Of the last first attempts, a bit for each that failed.
    failed: u16,
    closed_until: Duration,
    /// Until then no suspect is tried that a failure would set aside.
    pub spared_until: Duration,
    /// Until then no probe comes early.
    pub early_from: Duration,
    /// Suspects that probes have cost since the channel stopped.
    costly_probes: u32,
    streak: Streak,
    /// Attempts that never reached the API are counted apart: they say nothing of its answers.
    unreachable: Streak,
}

impl Gate {
    pub fn new(channel: Channel, requests_per_second: f64, most_in_flight: usize) -> Self {
        Self {
            channel,
            rate: RateLimit::new(requests_per_second),
            concurrency: Concurrency::new(most_in_flight),
            ready: VecDeque::new(),
            suspects: Vec::new(),
            in_flight: 0,
            stop: None,
            halted: false,
            paused: false,
            retired: false,
            works_since: Duration::ZERO,
            accepted_at: None,
            failed: 0,
            closed_until: Duration::ZERO,
            spared_until: Duration::ZERO,
            early_from: Duration::ZERO,
            costly_probes: 0,
            streak: Streak::default(),
            unreachable: Streak::default(),
        }
    }

    /// Whether one more delivery may start, and takes its share of the rate if so. A stop is not
    /// looked at here: the caller knows the account's as well.
    pub fn pass(&mut self, now: Duration) -> Passage {
        if self.closed_until > now {
            return Passage::At(self.closed_until);
        }
        if self.in_flight >= self.concurrency.limit() {
            return Passage::Closed;
        }
        self.rate.take(now)
    }

    /// The whole channel waits this long (`Retry-After`).
    pub fn close_for(&mut self, wait: Duration, now: Duration) {
        self.closed_until = self.closed_until.max(now.saturating_add(wait));
    }

    /// When the wait that `Retry-After` asked for is over; none where nothing is waited for.
    pub fn closed_until(&self, now: Duration) -> Option<Duration> {
        Some(self.closed_until).filter(|until| *until > now)
    }

    /// A probe has failed without a clear answer. The next one might cost a suspect, which would be set
    /// aside although it could be sent once the fault is over: so they are spared for a while, and the
    /// longer the more of them the stop has cost.
    pub fn spare_suspects(&mut self, costly: bool, jitter: f64, now: Duration) {
        self.costly_probes += u32::from(costly);
        let wait = retry::COSTLY_PROBE.delay(self.costly_probes + 1, jitter);
        self.spared_until = now.saturating_add(wait);
    }

    /// No suspect is to be tried before then that a failure would set aside.
    pub fn spare_suspects_until(&mut self, then: Duration) {
        self.spared_until = self.spared_until.max(then);
    }

    /// Whether no suspect may be tried that a failure would set aside.
    pub fn spares_suspects(&self, now: Duration) -> bool {
        self.spared_until > now
    }

    /// Whether messages go through, as far as one can tell: then one that fails once more tells of itself
    /// alone.
    pub fn works(&self, now: Duration) -> bool {
        let lately = self.accepted_at.is_some_and(|at| now < at + WORKS_FOR);
        lately && self.failed.count_ones() <= FEW_FAILED
    }

    /// Takes down how an attempt ended, and whether it was its message's first.
    pub fn note_answer(&mut self, class: Class, first: bool, now: Duration) {
        let accepted = class == Class::Accepted;
        if accepted {
            self.accepted_at = Some(now);
        }
        let is_doubtful = matches!(class, Class::Ambiguous(_));
        if is_doubtful {
            self.unreachable.end();
        }
        if first && (accepted || is_doubtful) {
            self.failed = self.failed << 1 | u16::from(!accepted);
        }
    }

    /// The channel works again.
    pub fn reopen(&mut self) {
        self.end_streak();
        self.concurrency.restart();
        (self.costly_probes, self.spared_until) = (0, Duration::ZERO);
    }

    /// Counts a failure; true where it makes the streak long enough for a stop.
    pub fn count_failure(&mut self, kind: FailureKind, recipient: &Recipient) -> bool {
        if kind == FailureKind::Unreachable {
            return self.unreachable.add(kind, recipient);
        }
        self.unreachable.end();
        self.streak.add(kind, recipient)
    }

    /// A failure of this recipient's is carried out, for nothing else came of the channel.
    pub fn note_carried_out(&mut self, recipient: &Recipient) {
        let who = self.streak.hasher.hash_one(recipient);
        self.streak.carried_out.insert(who);
        self.streak.carried_out_in_all += 1;
    }

    /// Whether so many have been carried out in a row that the channel is at fault, of however few
    /// recipients they are.
    pub fn carries_out_too_many(&self) -> bool {
        self.streak.carried_out_in_all >= STREAK
    }

    /// Whether a failure of this recipient's has been carried out within the streak.
    pub fn has_carried_out(&self, recipient: &Recipient) -> bool {
        self.streak.carried_out.contains(&self.streak.hasher.hash_one(recipient))
    }

    /// Whether this kind of failure would be a different answer from those of the streak.
    pub fn differs(&self, kind: FailureKind) -> bool {
        kind != FailureKind::Unreachable
            && self.streak.kind.is_some_and(|streak| !streak.is_alike(kind))
    }

    pub fn end_streak(&mut self) {
        self.streak.end();
        self.unreachable.end();
    }

    pub fn is_stopped(&self) -> bool {
        self.stop.is_some() || self.halted
    }

    /// Whether a stop of this channel is worth a probe.
    pub fn is_wanted(&self) -> bool {
        let idle = self.ready.is_empty() && self.suspects.is_empty();
        !(self.paused || self.retired && idle)
    }

    pub fn state(&self, is_stopped: bool, now: Duration) -> GateState {
        if self.paused {
            GateState::Paused
        } else if is_stopped {
            GateState::Stopped
        } else if self.closed_until > now || self.rate.is_cut(now) {
            GateState::Slowed
        } else {
            GateState::Open
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gate() -> Gate {
        let channel = Channel { name: "support".into(), id: "c-1".into() };
        Gate::new(channel, 1_000.0, 8)
    }

    fn who(name: &str) -> Recipient {
        Recipient::contact(name).unwrap()
    }

    #[test]
    fn five_failures_alike_on_distinct_recipients_make_a_streak() {
        let mut gate = gate();
        for name in ["a", "b", "c", "d"] {
            assert!(!gate.count_failure(FailureKind::Ambiguous, &who(name)));
        }
        assert!(
            !gate.count_failure(FailureKind::Ambiguous, &who("a")),
            "a second time is no fifth one"
        );
        assert!(gate.count_failure(FailureKind::Ambiguous, &who("e")));
    }

    #[test]
    fn a_different_answer_starts_the_count_again() {
        let mut gate = gate();
        for name in ["a", "b", "c", "d"] {
            gate.count_failure(FailureKind::Rejected { status: Some(400) }, &who(name));
        }
        assert!(gate.differs(FailureKind::Rejected { status: Some(422) }));
        assert!(!gate.count_failure(FailureKind::Rejected { status: Some(422) }, &who("e")));
    }

    #[test]
    fn retry_after_closes_the_gate_and_the_longest_one_counts() {
        let mut gate = gate();
        let at = Duration::from_secs;
        gate.close_for(at(5), at(0));
        gate.close_for(at(1), at(1));
        assert_eq!(gate.pass(at(2)), Passage::At(at(5)));
        assert_eq!(gate.pass(at(5)), Passage::Open);
    }
}
