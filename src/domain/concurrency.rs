//! How many deliveries a channel has in flight at once: as many as the API can handle, found by probing.
//!
//! An API that is at its capacity does not send more a second when more is in flight: it takes
//! longer for each. So the limit grows while the latency stays near its floor, which is what the
//! API takes when it is not congested, and shrinks in proportion when the latency grows. The floor
//! is measured now and then, at half the limit. When shrinking does not help, the API has become
//! slower by itself, and the floor moves.

use std::time::Duration;

/// Where a channel starts, and starts again after a stop.
const FIRST: f64 = 16.0;

/// A latency this far above the floor means congestion.
const CONGESTED: f64 = 1.1;

/// After congestion, the limit is set so that the latency would be this far above the floor.
const WANTED: f64 = 1.05;

/// The least number of answers that a window looks at.
const LEAST_ANSWERS: u32 = 20;

/// This share of failures, of what ended in a window, cuts the limit. Fewer may be some recipients'
/// own fault, and must not hold up all the others of the channel.
const TOO_MANY_FAIL: f64 = 0.25;

/// One window in this many measures the floor.
const FLOOR_EVERY: u32 = 64;

#[derive(Clone, Debug)]
pub struct Concurrency {
    limit: f64,
    most: f64,
    /// The mean latency, in seconds, when the API is not congested.
    floor: Option<f64>,
    phase: Phase,
    window: Window,
    /// Since the floor was measured.
    windows: u32,
    /// When the limit was cut last.
    cut_at: Duration,
    /// Whether the limit has been cut since the start: until then it grows fast.
    bounded: bool,
}

/// What the window is for.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Phase {
    Steady,
    /// Half the limit is used, to measure the floor; `usual` comes back afterwards.
    Floor {
        usual: f64,
        congested: f64,
    },
    /// The limit was cut because the latency was `before`: does that help?
    AfterCut {
        before: f64,
    },
}

/// What the next look is at. The latency is that of attempts that started under the limit as it is;
/// failures often take longer than that, so they are counted among all that started since the cut.
#[derive(Clone, Copy, Debug, Default)]
struct Window {
    since: Duration,
    answers: u32,
    busy: u32,
    latency: f64,
    failures: u32,
    /// Failures and answers.
    ended: u32,
}

impl Concurrency {
    pub fn new(most: usize) -> Self {
        let most = f64::from(u32::try_from(most.max(1)).unwrap_or(u32::MAX));
        Self {
            limit: FIRST.min(most),
            most,
            floor: None,
            phase: Phase::Steady,
            window: Window::default(),
            windows: 0,
            cut_at: Duration::ZERO,
            bounded: false,
        }
    }

    /// Changes the most that is tried; the limit that was found out stays where it can.
    pub fn set_most(&mut self, most: usize) {
        self.most = f64::from(u32::try_from(most.max(1)).unwrap_or(u32::MAX));
        self.set(self.limit);
    }

    pub fn limit(&self) -> usize {
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "1 ..= most")]
        let limit = self.limit.round() as usize;
        limit.max(1)
    }

    /// An attempt that took `took` was answered as it should be, while `in_flight` (with it) were
    /// under way.
    pub fn answered(&mut self, in_flight: usize, took: Duration, now: Duration) {
        let started = now.saturating_sub(took);
        // As it is used, or one at a time could never be 80% of 1.4.
        let limit = f64::from(u32::try_from(self.limit()).unwrap_or(u32::MAX));
        let window = &mut self.window;
        window.ended += u32::from(started >= self.cut_at);
        if started < window.since {
            return;
        }
        window.answers += 1;
        window.latency += took.as_secs_f64();
        // A limit that is not used says nothing about the API.
        let used = f64::from(u32::try_from(in_flight).unwrap_or(u32::MAX));
        window.busy += u32::from(used >= limit * 0.8);
        if f64::from(window.answers) >= self.window_size() {
            let Window { answers, busy, latency, .. } = self.window;
            if busy * 2 >= answers {
                self.look(latency / f64::from(answers));
            }
            self.window = Window { since: now, ..Window::default() };
        }
    }

    /// The answers that a window looks at.
    fn window_size(&self) -> f64 {
        self.limit.max(f64::from(LEAST_ANSWERS))
    }

    /// The API failed or fell silent; `took` is how long the attempt was under way, so that what
    /// started before a cut does not cut again.
    pub fn failed(&mut self, now: Duration, took: Duration) {
        if now.saturating_sub(took) < self.cut_at {
            return;
        }
        self.window.failures += 1;
        self.window.ended += 1;
        let looked_at = self.window_size().max(f64::from(self.window.ended));
        if f64::from(self.window.failures) >= looked_at * TOO_MANY_FAIL {
            self.cut(now);
        }
    }

    /// The API says that it is too much; `took` as above.
    pub fn rate_limited(&mut self, now: Duration, took: Duration) {
        if now.saturating_sub(took) >= self.cut_at {
            self.cut(now);
        }
    }

    fn cut(&mut self, now: Duration) {
        if let Phase::Floor { usual, .. } = self.phase {
            self.limit = usual;
        }
        self.phase = Phase::Steady;
        self.set(self.limit * 2.0 / 3.0);
        self.bounded = true;
        self.window = Window { since: now, ..Window::default() };
        self.cut_at = now;
    }

    /// After a stop the API is approached gently.
    pub fn restart(&mut self) {
        self.phase = Phase::Steady;
        (self.window.failures, self.window.ended) = (0, 0);
        self.set(self.limit.min(FIRST));
    }

    /// Looks at a window's mean latency, in seconds.
    fn look(&mut self, latency: f64) {
        self.windows += 1;
        match self.phase {
            Phase::Floor { usual, congested } => {
                let fell = latency < congested / CONGESTED;
                self.floor = Some(latency);
                self.phase = Phase::Steady;
                // It may be congested even so: then half of this is looked at next.
                self.windows = if fell { FLOOR_EVERY } else { 0 };
                self.set(if fell {
                    usual * (latency * WANTED / congested).max(0.5)
                } else {
                    usual
                });
            }
            Phase::AfterCut { before } if latency > before * 0.97 => {
                self.floor = Some(latency);
                self.phase = Phase::Steady;
            }
            Phase::AfterCut { .. } | Phase::Steady => self.steady(latency),
        }
    }

    fn steady(&mut self, latency: f64) {
        self.phase = Phase::Steady;
        let floor = *self.floor.get_or_insert(latency);
        if latency > floor * CONGESTED {
            self.bounded = true;
            self.phase = Phase::AfterCut { before: latency };
            self.set(self.limit * (floor * WANTED / latency).max(0.5));
        } else if self.windows >= FLOOR_EVERY && self.limit >= 2.0 {
            self.phase = Phase::Floor { usual: self.limit, congested: latency };
            self.set(self.limit / 2.0);
        } else {
            self.set(if self.bounded {
                self.limit + (self.limit * 0.03).max(0.5)
            } else {
                self.limit * 1.5
            });
            if !self.bounded && self.limit >= self.most {
                self.bounded = true;
            }
        }
    }

    fn set(&mut self, limit: f64) {
        self.limit = limit.clamp(1.0, self.most);
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use rstest::rstest;

    use super::*;

    /// An API that takes `base` for each call, longer in proportion with more than `capacity` at
    /// once, and up to `noise` of that more or less. A share of the calls fails.
    struct Api {
        base: f64,
        capacity: f64,
        noise: f64,
        failing: f64,
        random: fastrand::Rng,
        now: Duration,
        in_flight: BTreeSet<(Duration, u64, Duration)>,
        calls: u64,
    }

    impl Api {
        fn new(base: f64, capacity: f64, noise: f64) -> Self {
            let random = fastrand::Rng::with_seed(3);
            let now = Duration::ZERO;
            let (failing, in_flight) = (0.0, BTreeSet::new());
            Self { base, capacity, noise, failing, random, now, in_flight, calls: 0 }
        }

        /// Keeps as many calls in flight as the limit allows. Returns its mean over the second half.
        fn serve(&mut self, concurrency: &mut Concurrency, seconds: u64) -> f64 {
            let (from, end) = (self.now, self.now + Duration::from_secs(seconds));
            let middle = from + Duration::from_secs(seconds) / 2;
            let (mut sum, mut count) = (0.0, 0.0);
            while self.now < end {
                while self.in_flight.len() < concurrency.limit() {
                    self.call();
                }
                let Some((done, _, started)) = self.in_flight.pop_first() else { break };
                self.now = done;
                let took = done.saturating_sub(started);
                if self.failing > 0.0 && self.random.f64() < self.failing {
                    concurrency.failed(done, took);
                } else {
                    concurrency.answered(self.in_flight.len() + 1, took, done);
                }
                if self.now > middle {
                    sum += f64::from(u32::try_from(concurrency.limit()).unwrap());
                    count += 1.0;
                }
            }
            sum / count
        }

        fn call(&mut self) {
            let crowd = f64::from(u32::try_from(self.in_flight.len() + 1).unwrap());
            let noise = 1.0 + self.noise * (self.random.f64() * 2.0 - 1.0);
            let latency = self.base * (crowd / self.capacity).max(1.0) * noise;
            self.calls += 1;
            self.in_flight.insert((
                self.now + Duration::from_secs_f64(latency),
                self.calls,
                self.now,
            ));
        }
    }

    #[rstest]
    #[case::few(5.0, 0.0)]
    #[case::as_many_as_it_starts_with(16.0, 0.0)]
    #[case::some(40.0, 0.0)]
    #[case::many(150.0, 0.0)]
    #[case::some_and_noise(40.0, 0.3)]
    #[case::many_and_noise(150.0, 0.3)]
    fn it_settles_near_what_the_api_bears(#[case] capacity: f64, #[case] noise: f64) {
        let mut concurrency = Concurrency::new(256);
        let settled = Api::new(0.02, capacity, noise).serve(&mut concurrency, 120);
        let near = capacity * 0.8..=capacity * 1.2;
        assert!(near.contains(&settled), "settled at {settled:.1}, the API bears {capacity}");
    }

    #[rstest]
    #[case::steady(0.0)]
    #[case::noisy(0.5)]
    fn it_grows_to_the_most_while_the_api_keeps_up(#[case] noise: f64) {
        let mut concurrency = Concurrency::new(256);
        let settled = Api::new(0.02, 10_000.0, noise).serve(&mut concurrency, 60);
        assert!(settled > 240.0, "settled at {settled:.1}");
    }

    #[test]
    fn an_api_that_becomes_slower_by_itself_is_no_crowd() {
        let mut concurrency = Concurrency::new(100);
        let mut api = Api::new(0.02, 10_000.0, 0.1);
        api.serve(&mut concurrency, 20);
        api.base = 0.2;
        let settled = api.serve(&mut concurrency, 240);
        assert!(settled > 85.0, "collapsed to {settled:.1}");
    }

    #[test]
    fn an_unused_limit_does_not_grow() {
        let mut concurrency = Concurrency::new(256);
        for answer in 1..1_000 {
            let now = Duration::from_millis(20) * answer;
            concurrency.answered(1, Duration::from_millis(20), now);
        }
        assert_eq!(concurrency.limit(), 16);
    }

    #[rstest]
    #[case::one_in_twenty(0.05, 0.02)]
    #[case::one_in_ten(0.1, 0.02)]
    #[case::one_in_ten_of_a_slower_api(0.1, 0.1)]
    fn failures_among_many_in_flight_cut_nothing(#[case] failing: f64, #[case] base: f64) {
        let mut concurrency = Concurrency::new(256);
        let mut api = Api { failing, ..Api::new(base, 10_000.0, 0.1) };
        let settled = api.serve(&mut concurrency, 120);
        assert!(settled > 240.0, "settled at {settled:.1}");
    }

    #[test]
    fn every_other_failure_among_many_in_flight_leaves_few() {
        let mut concurrency = Concurrency::new(256);
        let mut api = Api { failing: 0.5, ..Api::new(0.02, 10_000.0, 0.1) };
        let settled = api.serve(&mut concurrency, 120);
        assert!(settled < 16.0, "settled at {settled:.1}");
    }

    /// Of 16 answers on, each `nth` fails.
    fn after_failures(nth: u64) -> usize {
        let mut concurrency = Concurrency::new(256);
        let took = Duration::from_millis(20);
        for answer in 1..20_000 {
            let now = took * answer;
            if u64::from(answer) % nth == 0 {
                concurrency.failed(now, took);
            } else {
                concurrency.answered(concurrency.limit(), took, now);
            }
        }
        concurrency.limit()
    }

    /// Such as those of a few recipients whose messages always fail.
    #[rstest]
    #[case::one_in_a_hundred(100)]
    #[case::one_in_ten(10)]
    fn failures_now_and_then_cut_nothing(#[case] nth: u64) {
        assert_eq!(after_failures(nth), 256);
    }

    /// They began long before the window that they end in.
    #[test]
    fn silence_is_counted_although_it_takes_longer_than_a_window() {
        let mut concurrency = Concurrency::new(256);
        let (took, silent) = (Duration::from_millis(20), Duration::from_secs(10));
        for answer in 1..20_000 {
            let now = silent + took * answer;
            if answer % 2 == 0 {
                concurrency.failed(now, silent);
            } else {
                concurrency.answered(concurrency.limit(), took, now);
            }
        }
        assert!(concurrency.limit() < 64, "{}", concurrency.limit());
    }

    #[test]
    fn an_api_that_fails_often_is_tried_with_few() {
        assert!(after_failures(3) < 10, "{}", after_failures(3));
    }

    /// As after a burst of messages that all fail by themselves.
    #[rstest]
    fn from_however_few_it_grows_again(#[values(1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12)] cuts: u32) {
        let mut concurrency = Concurrency::new(16);
        let took = Duration::from_millis(20);
        for cut in 1..=cuts {
            concurrency.rate_limited(took * cut * 2, took);
        }
        let before = concurrency.limit();
        for answer in 100..100 + 10 * LEAST_ANSWERS {
            concurrency.answered(concurrency.limit(), took, took * answer);
        }
        let after = concurrency.limit();
        assert!(after >= before + 3 || after == 16, "{before} to {after}");
    }

    #[test]
    fn a_burst_of_complaints_cuts_once_and_never_below_one() {
        let mut concurrency = Concurrency::new(9);
        let took = Duration::from_millis(100);
        for _ in 0..50 {
            concurrency.rate_limited(Duration::from_secs(1), took);
        }
        assert_eq!(concurrency.limit(), 6);
        for second in 2..30 {
            concurrency.rate_limited(Duration::from_secs(second), took);
        }
        assert_eq!(concurrency.limit(), 1);
    }

    #[test]
    fn a_complaint_that_takes_longer_than_a_window_cuts_too() {
        let mut concurrency = Concurrency::new(256);
        let took = Duration::from_millis(20);
        for answer in 1..100 {
            concurrency.answered(concurrency.limit(), took, took * answer);
        }
        let before = concurrency.limit();
        concurrency.rate_limited(Duration::from_secs(2), Duration::from_secs(1));
        assert!(concurrency.limit() < before);
    }
}
