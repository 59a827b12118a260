//! The sending of one message, from its first attempt to its end.

use std::sync::Arc;
use std::time::Duration;

use super::dead_letter::Tries;
use super::lanes::Lane;
use super::message::{Message, OnAmbiguous};
use super::outcome::{Ambiguity, Outcome};
use super::record::RecordOffset;

/// Unique within the process, so that an answer of an old epoch finds nothing to settle.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DeliveryId(pub u64);

#[derive(Debug)]
pub struct Delivery {
    pub lane: Lane,
    pub offset: RecordOffset,
    /// Which of its record's messages this is, counted from zero.
    pub part: usize,
    pub message: Arc<Message>,
    pub state: State,
    pub tries: Tries,
    /// How many attempts ended ambiguously. Ambiguity is sticky: once this is not zero, the
    /// outcome is never reported as plainly failed.
    pub ambiguous: u32,
    /// How the last of those ended; none if that was before its partition came back.
    pub doubt: Option<Doubt>,
    /// The next attempt may repeat what an attempt before it has sent, be it before a redrive; it
    /// is not counted yet as a possible duplicate.
    pub uncounted: bool,
    /// Failures of its own, which the backoff grows with.
    pub failures: u32,
    /// How long its attempts without a clear answer have taken, and the waits after them, while its
    /// channel was open. Only this counts towards `retry.max_elapsed`.
    pub trouble: Duration,
    /// Its channel stopped while the verdict on it was held, and works again: the next verdict is
    /// final, for it is now plain whose fault it is.
    pub second_chance: bool,
    /// The rules that made its message are not in force any more: as soon as it may, another message
    /// takes its place.
    pub superseded: bool,
    /// Since when it has waited at the gate.
    pub ready_since: Duration,
    /// When its last attempt began.
    pub started: Duration,
    /// When the machine looks at it again, if nothing happens before.
    pub timer: Option<Duration>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// Behind another one in its lane.
    Queued,
    /// At the head of its lane, and waiting for the gate.
    Ready,
    /// At the head of its lane, and its topic or its rule is paused.
    Paused,
    /// At the head of its lane, until the backoff is over.
    Backoff,
    InFlight,
    /// The API knows no such channel or recipient; the channel listing tells which.
    InQuestion,
    /// It failed for good, unless it turns out that the channel did.
    Held(HeldVerdict),
    /// Its dead letter is on the way.
    DeadLettering,
}

/// A failure that ends a delivery if it is the event's own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HeldVerdict {
    Rejected,
    Ambiguous,
}

/// How an attempt ended that may have reached the customer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Doubt {
    pub kind: Ambiguity,
    pub status: Option<u16>,
}

impl std::fmt::Display for Doubt {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.status {
            Some(status) => write!(f, "HTTP status {status}")?,
            None => f.write_str("no answer")?,
        }
        match self.kind {
            Ambiguity::NotJson => f.write_str(", but not with the API's answer"),
            Ambiguity::Unclear => f.write_str(", but an answer that says neither yes nor no"),
            Ambiguity::NoAnswer | Ambiguity::ServerError => Ok(()),
        }
    }
}

impl Delivery {
    pub fn new(lane: Lane, offset: RecordOffset, part: usize, message: Arc<Message>) -> Self {
        Self {
            lane,
            offset,
            part,
            message,
            state: State::Queued,
            tries: Tries::default(),
            ambiguous: 0,
            doubt: None,
            uncounted: false,
            failures: 0,
            trouble: Duration::ZERO,
            second_chance: false,
            superseded: false,
            ready_since: Duration::ZERO,
            started: Duration::ZERO,
            timer: None,
        }
    }

    /// Whether nothing of it is under way and the customer certainly does not have it, so that
    /// another message can take its place.
    pub fn is_replaceable(&self) -> bool {
        let waits = match self.state {
            State::Queued
            | State::Ready
            | State::Paused
            | State::Backoff
            | State::InQuestion
            | State::Held(HeldVerdict::Rejected) => true,
            State::Held(HeldVerdict::Ambiguous) | State::InFlight | State::DeadLettering => false,
        };
        waits && self.ambiguous == 0
    }

    /// Whether it has been sent, or set aside, if only in vain.
    pub fn is_tried(&self) -> bool {
        self.tries.attempts > 0 || self.state == State::DeadLettering
    }

    /// It may have been sent, and its rule would rather set it aside than repeat it.
    pub fn is_rather_set_aside(&self) -> bool {
        self.ambiguous > 0 && self.message.on_ambiguous == OnAmbiguous::DeadLetter
    }

    /// It waits at a channel that has stopped: whatever chance it had is one of afterwards. True where
    /// another ambiguous answer would set it aside, so that it is held; one that must not be repeated at
    /// all is set aside when its turn comes.
    pub fn meets_a_stop(&mut self) -> bool {
        self.second_chance = false;
        let at_stake = self.is_rather_set_aside() && !self.must_not_repeat();
        if at_stake {
            self.state = State::Held(HeldVerdict::Ambiguous);
        }
        at_stake
    }

    /// The same, from before its partition was lost.
    pub fn must_not_repeat(&self) -> bool {
        self.is_rather_set_aside() && self.tries.attempts == 0
    }

    /// Notes that an attempt ended ambiguously.
    pub fn doubt(&mut self, kind: Ambiguity, status: Option<u16>) {
        self.ambiguous += 1;
        self.doubt = Some(Doubt { kind, status });
    }

    /// Notes an attempt that ended.
    pub fn note(&mut self, outcome: &Outcome) {
        self.tries.http_status = outcome.status;
        self.tries.request_id.clone_from(&outcome.request_id);
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case::timeout(Ambiguity::NoAnswer, None, "no answer")]
    #[case::bad_gateway(Ambiguity::ServerError, Some(502), "HTTP status 502")]
    #[case::a_proxy(
        Ambiguity::NotJson,
        Some(200),
        "HTTP status 200, but not with the API's answer"
    )]
    #[case::a_status_that_nobody_knows(
        Ambiguity::Unclear,
        Some(200),
        "HTTP status 200, but an answer that says neither yes nor no"
    )]
    fn a_doubt_says_how_the_attempt_ended(
        #[case] kind: Ambiguity,
        #[case] status: Option<u16>,
        #[case] expected: &str,
    ) {
        assert_eq!(Doubt { kind, status }.to_string(), expected);
    }
}
