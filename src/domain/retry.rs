//! How long to wait before the next try.

use std::time::Duration;

/// Exponential backoff with jitter: half of each delay is certain, half is drawn, so that those
/// who failed together do not come back together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Backoff {
    pub first: Duration,
    pub longest: Duration,
}

/// Between the attempts of one delivery.
pub const DELIVERY: Backoff =
    Backoff { first: Duration::from_millis(500), longest: Duration::from_secs(30) };

/// Between the probes of a stopped channel. Short, so that a channel that works again is not
/// left waiting: a probe is one listing, and at most one message.
pub const PROBE: Backoff =
    Backoff { first: Duration::from_secs(1), longest: Duration::from_secs(10) };

/// Between the probes of a channel whose monthly limit is reached: only a purchase or a new
/// month ends that.
pub const LIMIT_PROBE: Backoff =
    Backoff { first: Duration::from_mins(1), longest: Duration::from_mins(10) };

/// Between probes that each cost a message of a `dead_letter` rule if they fail.
pub const COSTLY_PROBE: Backoff = LIMIT_PROBE;

/// Between the tries of a dead letter or a commit that the broker did not take.
pub const BROKER: Backoff =
    Backoff { first: Duration::from_millis(200), longest: Duration::from_secs(10) };

impl Backoff {
    /// The wait after the failure number `failures` (counted from one); `jitter` is drawn from
    /// `[0, 1)`.
    pub fn delay(&self, failures: u32, jitter: f64) -> Duration {
        let doublings = failures.saturating_sub(1).min(30);
        let whole = self.first.saturating_mul(1 << doublings).min(self.longest);
        (whole / 2).saturating_add(whole.mul_f64(jitter.clamp(0.0, 1.0) / 2.0))
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case::the_first_at_the_least(1, 0.0, 250)]
    #[case::the_first_at_the_most(1, 1.0, 500)]
    #[case::the_second(2, 0.5, 750)]
    #[case::doubling(5, 1.0, 8_000)]
    #[case::capped(9, 1.0, 30_000)]
    #[case::after_very_many(u32::MAX, 0.0, 15_000)]
    fn the_wait_doubles_up_to_a_bound(
        #[case] failures: u32,
        #[case] jitter: f64,
        #[case] millis: u64,
    ) {
        assert_eq!(DELIVERY.delay(failures, jitter), Duration::from_millis(millis));
    }
}
