//! How many requests a second a channel gets.

use std::time::Duration;

use governor::clock::{Clock as _, FakeRelativeClock};
use governor::middleware::NoOpMiddleware;
use governor::state::{InMemoryState, NotKeyed};
use governor::{Quota, RateLimiter};

use super::gate::Passage;

type Limiter = RateLimiter<NotKeyed, InMemoryState, FakeRelativeClock, NoOpMiddleware<Instant>>;
type Instant = <FakeRelativeClock as governor::clock::Clock>::Instant;

/// The bounds of a rate, in requests a second.
const LOWEST: f64 = 0.001;
const HIGHEST: f64 = 1_000_000.0;

/// A cut rate is never lower than this part of the full one.
const LEAST: f64 = 0.02;

/// How often a rate is cut or raised, at the most.
const STEP: Duration = Duration::from_secs(1);

/// By this part of the full rate a cut one grows back with each step.
const GROWTH: f64 = 0.05;

/// A rate limit under the clock that the core is told. An answer of 429 halves the rate; while
/// nothing is refused it grows back by a twentieth of the full rate a second, whether it is used or
/// not.
pub struct RateLimit {
    limiter: Limiter,
    clock: FakeRelativeClock,
    told: Duration,
    per_second: f64,
    /// The part of the rate that the limiter is set to: 1 unless the API refused.
    part: f64,
    /// When it was cut last, and to what part.
    cut: Option<(Duration, f64)>,
}

impl std::fmt::Debug for RateLimit {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RateLimit")
            .field("per_second", &(self.per_second * self.part))
            .finish_non_exhaustive()
    }
}

impl RateLimit {
    pub fn new(per_second: f64) -> Self {
        let clock = FakeRelativeClock::default();
        let limiter = RateLimiter::direct_with_clock(quota(per_second), clock.clone());
        Self { limiter, clock, told: Duration::ZERO, per_second, part: 1.0, cut: None }
    }

    /// Takes one request out of the rate, or tells when the next one may go.
    pub fn take(&mut self, now: Duration) -> Passage {
        self.tell(now);
        match self.limiter.check() {
            Ok(()) => {
                // Not before, unless it is sooner even so: a renewed limiter makes the next request wait.
                let part = self.part_at(now);
                if part > self.part {
                    self.part = part;
                    self.renew();
                }
                Passage::Open
            }
            Err(not_yet) => {
                let wait = not_yet.wait_time_from(self.clock.now());
                let part = self.part_at(now);
                let sooner = period(self.per_second * part);
                if part > self.part && sooner < wait {
                    self.part = part;
                    self.renew();
                    return Passage::At(now.saturating_add(sooner));
                }
                Passage::At(now.saturating_add(wait))
            }
        }
    }

    /// What is in force, in requests a second.
    pub fn rate(&self, now: Duration) -> f64 {
        self.per_second * self.part_at(now)
    }

    pub fn is_cut(&self, now: Duration) -> bool {
        self.part_at(now) < 1.0
    }

    fn part_at(&self, now: Duration) -> f64 {
        let Some((at, part)) = self.cut else { return 1.0 };
        let steps = now.saturating_sub(at).div_duration_f64(STEP).floor();
        steps.mul_add(GROWTH, part).min(1.0)
    }

    /// Changes the full rate, as when the member's share of the group's has changed.
    pub fn set(&mut self, per_second: f64) {
        if (self.per_second - per_second).abs() > f64::EPSILON {
            self.per_second = per_second;
            self.renew();
        }
    }

    /// The API refused for the rate (429).
    pub fn refused(&mut self, now: Duration) {
        if self.cut.is_none_or(|(at, _)| now >= at + STEP) {
            self.part = (self.part_at(now) / 2.0).max(LEAST);
            self.cut = Some((now, self.part));
            self.renew();
        }
    }

    fn tell(&mut self, now: Duration) {
        if let Some(passed) = now.checked_sub(self.told) {
            self.clock.advance(passed);
            self.told = now;
        }
    }

    fn renew(&mut self) {
        let quota = quota(self.per_second * self.part);
        self.limiter = RateLimiter::direct_with_clock(quota, self.clock.clone());
        // A new limiter starts with a full burst, which would add up where the rate changes often.
        let spent = self.limiter.check_n(quota.burst_size());
        debug_assert!(matches!(spent, Ok(Ok(()))), "a new limiter has its burst");
    }
}

/// Between two requests at this rate.
fn period(per_second: f64) -> Duration {
    Duration::from_secs_f64(1.0 / per_second.clamp(LOWEST, HIGHEST))
}

/// The burst is what the rate gives in 50 ms: enough that a late wake-up loses nothing.
fn quota(per_second: f64) -> Quota {
    let per_second = per_second.clamp(LOWEST, HIGHEST);
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "at most 50,000")]
    let burst = (per_second / 20.0) as u32;
    let burst = std::num::NonZeroU32::new(burst).unwrap_or(std::num::NonZeroU32::MIN);
    let quota = Quota::with_period(period(per_second))
        .unwrap_or(Quota::per_second(std::num::NonZeroU32::MIN));
    quota.allow_burst(burst)
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    /// Sends whenever the limit allows it, and counts.
    fn sent_within(limit: &mut RateLimit, from: Duration, span: Duration) -> u32 {
        let (mut now, mut sent) = (from, 0);
        while now < from + span {
            match limit.take(now) {
                Passage::Open => sent += 1,
                Passage::At(then) => now = then,
                Passage::Closed => unreachable!("a rate limit never closes"),
            }
        }
        sent
    }

    #[rstest]
    #[case::slow(0.5)]
    #[case::one(1.0)]
    #[case::the_default(100.0)]
    #[case::odd(333.3)]
    #[case::the_most_that_line_allows(2_000.0)]
    fn a_rate_is_exact_within_one_percent(#[case] per_second: f64) {
        let mut limit = RateLimit::new(per_second);
        let seconds = 1_000.0;
        let sent = sent_within(&mut limit, Duration::ZERO, Duration::from_secs_f64(seconds));
        let wanted = per_second * seconds;
        assert!((f64::from(sent) - wanted).abs() <= wanted * 0.01, "{sent} instead of {wanted}");
    }

    #[test]
    fn a_refusal_halves_the_rate_and_it_grows_back() {
        let mut limit = RateLimit::new(100.0);
        let at = Duration::from_secs;
        limit.refused(at(1));
        limit.refused(Duration::from_millis(1_500));
        assert!((limit.rate(at(1)) - 50.0).abs() < 1e-9, "one cut a second");
        assert!((49..=51).contains(&sent_within(&mut limit, at(1), at(1))));
        assert!((limit.rate(at(6)) - 75.0).abs() < 1e-9, "{}", limit.rate(at(6)));
        assert!(limit.is_cut(at(10)) && !limit.is_cut(at(11)), "also where nothing is sent");
        assert!(sent_within(&mut limit, at(20), at(1)) >= 95);
    }

    #[test]
    fn a_slow_rate_sends_while_it_grows_back() {
        let mut limit = RateLimit::new(1.0);
        limit.refused(Duration::ZERO);
        let sent = sent_within(&mut limit, Duration::ZERO, Duration::from_secs(10));
        assert!((4..=8).contains(&sent), "between the half and the whole of ten: {sent}");
    }

    #[test]
    fn a_slow_rate_grows_back_while_a_request_waits() {
        let mut limit = RateLimit::new(1.0);
        for second in 0..6 {
            limit.refused(Duration::from_secs(second));
        }
        let cut = limit.rate(Duration::from_secs(5));
        assert!(cut < 0.1, "{cut}");
        let looks = (5..15).map(Duration::from_secs);
        let sent = looks.filter(|now| limit.take(*now) == Passage::Open).count();
        assert!((1..=5).contains(&sent), "{sent}, where it would have been none");
    }

    #[test]
    fn changing_the_rate_gives_no_burst() {
        let mut limit = RateLimit::new(100.0);
        let mut sent = 0;
        for step in 0..100_u32 {
            limit.set(100.0 + f64::from(step % 2));
            let from = Duration::from_millis(10) * step;
            sent += sent_within(&mut limit, from, Duration::from_millis(10));
        }
        assert!(sent <= 106, "{sent} in a second");
    }
}
