//! Decides which fault, if any, befalls a call.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::faults::{Fault, Faults, InvalidFaults};
use super::lanes::{Lane, Recipient};
use super::rule::{Endpoint, Only, When};

/// No call is delayed longer, whatever latency and capacity multiply to.
const MAX_DELAY: Duration = Duration::from_mins(2);

/// A call that the API would grant.
#[derive(Clone, Copy, Debug)]
pub(super) enum Call<'a> {
    Channels,
    Send {
        lane: &'a Lane,
        /// How many sends are under way with this one.
        concurrent: usize,
    },
}

/// What befalls a call.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Verdict {
    pub(super) fault: Option<Fault>,
    /// How long to wait before the answer.
    pub(super) delay: Duration,
}

#[derive(Debug)]
pub(super) struct Injector(Mutex<State>);

#[derive(Debug)]
struct State {
    faults: Faults,
    /// How many calls each rule has seen that fit it.
    seen: Vec<u64>,
    random: fastrand::Rng,
}

impl Injector {
    /// Takes faults that have been checked.
    pub(super) fn new(faults: Faults, seed: u64) -> Self {
        let seen = vec![0; faults.rules.len()];
        Self(Mutex::new(State { faults, seen, random: fastrand::Rng::with_seed(seed) }))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn faults(&self) -> Faults {
        self.state().faults.clone()
    }

    pub(super) fn set(&self, faults: Faults) -> Result<(), InvalidFaults> {
        faults.check()?;
        let mut state = self.state();
        state.seen = vec![0; faults.rules.len()];
        state.faults = faults;
        Ok(())
    }

    pub(super) fn refuses(&self, contact: &str) -> bool {
        self.state().faults.refused_contacts.contains(contact)
    }

    pub(super) fn judge(&self, call: Call<'_>) -> Verdict {
        self.state().judge(call)
    }
}

impl State {
    fn judge(&mut self, call: Call<'_>) -> Verdict {
        let delay = self.delay(call);
        let Self { faults, seen, random } = self;
        let fault = faults
            .rules
            .iter()
            .zip(seen)
            .find_map(|(rule, seen)| {
                (fits(&rule.only, call) && fires(rule.when, seen, random)).then_some(&rule.fault)
            })
            .cloned();
        Verdict { fault, delay }
    }

    fn delay(&mut self, call: Call<'_>) -> Duration {
        let Faults { latency_ms, jitter_ms, capacity, .. } = self.faults;
        let jitter = if jitter_ms == 0 { 0 } else { self.random.u64(0..=jitter_ms) };
        let latency = Duration::from_millis(latency_ms.saturating_add(jitter));
        let load = match (call, capacity) {
            (Call::Send { concurrent, .. }, Some(capacity)) => {
                let concurrent = u32::try_from(concurrent).unwrap_or(u32::MAX);
                (f64::from(concurrent) / f64::from(capacity)).max(1.0)
            }
            (Call::Send { .. }, None) | (Call::Channels, _) => 1.0,
        };
        Duration::try_from_secs_f64(latency.as_secs_f64() * load)
            .unwrap_or(MAX_DELAY)
            .min(MAX_DELAY)
    }
}

fn fits(only: &Only, call: Call<'_>) -> bool {
    let Only { endpoint, channel_id, recipient } = only;
    match call {
        Call::Channels => {
            *endpoint != Some(Endpoint::Send) && channel_id.is_none() && recipient.is_none()
        }
        Call::Send { lane, .. } => {
            *endpoint != Some(Endpoint::Channels)
                && channel_id.as_ref().is_none_or(|id| *id == lane.channel_id)
                && recipient.as_ref().is_none_or(|wanted: &Recipient| *wanted == lane.recipient)
        }
    }
}

fn fires(when: When, seen: &mut u64, random: &mut fastrand::Rng) -> bool {
    *seen = seen.saturating_add(1);
    match when {
        When::Always => true,
        When::Probability(probability) => random.f64() < probability,
        When::Next(calls) => *seen <= calls,
        When::Every(nth) => seen.checked_rem(nth) == Some(0),
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;
    use crate::sandbox::{Fault, Rule};

    fn lane(contact: &str) -> Lane {
        Lane { channel_id: "support".into(), recipient: Recipient::Contact(contact.into()) }
    }

    fn fault() -> Fault {
        Fault::MonthlyLimit {}
    }

    fn fired(rule: Rule, calls: usize) -> Vec<bool> {
        let injector = Injector::new(Faults::rules([rule]), 7);
        let lane = lane("a");
        let call = Call::Send { lane: &lane, concurrent: 1 };
        (0..calls).map(|_| injector.judge(call).fault.is_some()).collect()
    }

    #[rstest]
    #[case::always(Rule::always(fault()), [true; 6])]
    #[case::next(Rule::next(2, fault()), [true, true, false, false, false, false])]
    #[case::every(Rule::every(3, fault()), [false, false, true, false, false, true])]
    #[case::never(Rule::sometimes(0.0, fault()), [false; 6])]
    #[case::surely(Rule::sometimes(1.0, fault()), [true; 6])]
    fn a_rule_fires_as_often_as_it_says(#[case] rule: Rule, #[case] expected: [bool; 6]) {
        assert_eq!(fired(rule, 6), expected);
    }

    #[test]
    fn a_probability_is_kept_to_and_a_seed_repeats_itself() {
        let first = fired(Rule::sometimes(0.25, fault()), 4_000);
        let hits = first.iter().filter(|hit| **hit).count();
        assert!((850..1_150).contains(&hits), "{hits} of 4000");
        assert_eq!(first, fired(Rule::sometimes(0.25, fault()), 4_000));
    }

    #[rstest]
    #[case::any(Rule::always(fault()), true, true)]
    #[case::sends(Rule::always(fault()).on(Endpoint::Send), true, false)]
    #[case::listings(Rule::always(fault()).on(Endpoint::Channels), false, true)]
    #[case::channel(Rule::always(fault()).for_channel("support"), true, false)]
    #[case::other_channel(Rule::always(fault()).for_channel("shop"), false, false)]
    #[case::contact(Rule::always(fault()).for_recipient(Recipient::Contact("a".into())), true, false)]
    #[case::other_contact(
        Rule::always(fault()).for_recipient(Recipient::Contact("b".into())), false, false)]
    #[case::user_of_that_name(
        Rule::always(fault()).for_recipient(Recipient::PlatformUser("a".into())), false, false)]
    fn a_rule_befalls_the_calls_it_names(
        #[case] rule: Rule,
        #[case] send: bool,
        #[case] listing: bool,
    ) {
        let injector = Injector::new(Faults::rules([rule]), 0);
        let lane = lane("a");
        let judged = injector.judge(Call::Send { lane: &lane, concurrent: 1 });
        assert_eq!(judged.fault.is_some(), send);
        assert_eq!(injector.judge(Call::Channels).fault.is_some(), listing);
    }

    #[test]
    fn the_first_rule_that_fires_decides() {
        let second = Fault::RevokedToken {};
        let faults = Faults::rules([Rule::next(1, fault()), Rule::always(second.clone())]);
        let injector = Injector::new(faults, 0);
        assert_eq!(injector.judge(Call::Channels).fault, Some(fault()));
        assert_eq!(injector.judge(Call::Channels).fault, Some(second));
    }

    #[rstest]
    #[case::within(4, 100)]
    #[case::at(8, 100)]
    #[case::half_more(12, 150)]
    #[case::three_times(24, 300)]
    #[case::bounded(usize::MAX, 120_000)]
    fn beyond_the_capacity_sends_slow_down_in_proportion(
        #[case] concurrent: usize,
        #[case] millis: u64,
    ) {
        let faults = Faults { latency_ms: 100, capacity: Some(8), ..Faults::default() };
        let lane = lane("a");
        let verdict = Injector::new(faults, 0).judge(Call::Send { lane: &lane, concurrent });
        assert_eq!(verdict.delay, Duration::from_millis(millis));
    }
}
