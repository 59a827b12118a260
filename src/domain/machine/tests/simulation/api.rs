//! The API as it really is, which the bridge only hears of.

use std::time::Duration;

use fastrand::Rng;

use super::plan::{CHANNELS, Plan, channel_of};
use super::trouble::Fault;
use crate::domain::machine::tests::rig::channel;
use crate::domain::message::{Message, Recipient};
use crate::domain::outcome::{Ambiguity, Class, Listing, NotApplied, Scope, StopReason};

/// What becomes of one attempt.
#[derive(Debug)]
pub(super) struct Fate {
    /// When the message is accepted, if it is; that may be after the bridge has given up.
    pub(super) accepted: Option<Duration>,
    pub(super) answered: Duration,
    pub(super) class: Class,
}

#[derive(Debug, Default)]
pub(super) struct Api {
    faults: Vec<(Fault, Option<usize>, Duration)>,
    listing_fails_until: Duration,
}

impl Api {
    pub(super) fn fail(&mut self, fault: Fault, channel: Option<usize>, until: Duration) {
        self.faults.push((fault, channel, until));
    }

    pub(super) fn fail_listings(&mut self, until: Duration) {
        self.listing_fails_until = until;
    }

    fn fault(&self, channel: usize, now: Duration) -> Option<Fault> {
        let here = |of: &Option<usize>| of.is_none_or(|of| of == channel);
        let mut faults = self.faults.iter();
        faults.find(|(_, of, until)| here(of) && now < *until).map(|(fault, ..)| *fault)
    }

    pub(super) fn list(&self, now: Duration) -> Listing {
        let fault = |at| self.fault(at, now);
        let account = Class::Stop(Scope::Account, StopReason::Unauthorized);
        if (0..CHANNELS.len()).any(|at| fault(at) == Some(Fault::Unauthorized)) {
            return Listing::Failed(account);
        }
        if now < self.listing_fails_until {
            return Listing::Failed(Class::Ambiguous(Ambiguity::ServerError));
        }
        let there = |at: &usize| fault(*at) != Some(Fault::Missing);
        let listed = (0..CHANNELS.len()).filter(there).map(|at| channel(CHANNELS[at]).id);
        Listing::Channels(listed.map(|id| id.to_string()).collect())
    }

    /// Draws what becomes of an attempt that starts now; `noisy` where it is slow or goes wrong.
    pub(super) fn fate(
        &self,
        plan: &Plan,
        message: &Message,
        now: Duration,
        noisy: bool,
        rng: &mut Rng,
    ) -> Fate {
        let slowest = if noisy && rng.bool() { 9_000_000 } else { 300_000 };
        let arrives = now + Duration::from_micros(rng.u64(1_000..slowest));
        let answered = arrives + Duration::from_micros(rng.u64(1_000..slowest));
        let fault = self.fault(channel_of(message), now);
        let (accepted, class) = match fault {
            Some(fault) => faulty(fault, rng),
            None if noisy && rng.bool() => odd(rng),
            None => ordinary(&message.recipient),
        };
        let timeout = now + plan.settings.attempt_timeout;
        let accepted = accepted.then_some(arrives);
        if answered > timeout {
            let class = Class::Ambiguous(Ambiguity::NoAnswer);
            return Fate { accepted, answered: timeout, class };
        }
        Fate { accepted, answered, class }
    }
}

fn ordinary(recipient: &Recipient) -> (bool, Class) {
    match recipient {
        Recipient::Contact(id) if &**id == "refused" => (false, Class::Permanent),
        Recipient::Contact(id) if &**id == "unknown" => (false, Class::NotFound),
        Recipient::Contact(_) | Recipient::LineUser(_) => (true, Class::Accepted),
    }
}

/// The answers of an API that works, mostly.
fn odd(rng: &mut Rng) -> (bool, Class) {
    let wait = Duration::from_millis(rng.u64(100..8_000));
    match rng.u32(0..9) {
        0 => (true, Class::Ambiguous(Ambiguity::NoAnswer)),
        1 => (false, Class::Ambiguous(Ambiguity::NoAnswer)),
        2 => (rng.bool(), Class::Ambiguous(Ambiguity::ServerError)),
        3 => (rng.bool(), Class::Ambiguous(Ambiguity::Unclear)),
        4 => (false, Class::Ambiguous(Ambiguity::NotJson)),
        5 => (false, Class::NotApplied(NotApplied::RateLimited)),
        6 => (false, Class::NotApplied(NotApplied::RetryAfter(wait))),
        7 => (false, Class::NotApplied(NotApplied::Unreachable)),
        _ => (true, Class::Unverified),
    }
}

fn faulty(fault: Fault, rng: &mut Rng) -> (bool, Class) {
    let stop = |scope, reason| (false, Class::Stop(scope, reason));
    match fault {
        Fault::Unauthorized => stop(Scope::Account, StopReason::Unauthorized),
        Fault::Redirect => stop(Scope::Account, StopReason::Redirect),
        Fault::Forbidden => stop(Scope::Channel, StopReason::Forbidden),
        Fault::MonthlyLimit => stop(Scope::Channel, StopReason::MonthlyLimit),
        Fault::Missing => (false, Class::NotFound),
        Fault::Outage => (rng.u32(0..4) == 0, Class::Ambiguous(Ambiguity::ServerError)),
        Fault::Unreachable => (false, Class::NotApplied(NotApplied::Unreachable)),
        Fault::NotJson => (false, Class::Ambiguous(Ambiguity::NotJson)),
        // A 2xx without a body counts as done: there is no better truth to be had.
        Fault::Unverified => (true, Class::Unverified),
        Fault::Rejected => (false, Class::Permanent),
    }
}
