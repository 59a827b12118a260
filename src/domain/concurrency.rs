//! How many deliveries a channel has in flight at once: what the API bears, found out by trying.

use std::time::Duration;

/// Where a channel starts, and starts again after a stop.
const FIRST: f64 = 16.0;

/// Grows by one a round trip while the API keeps up (doubling until it first complains), and
/// shrinks by a third when it does not.
#[derive(Clone, Debug)]
pub struct Concurrency {
    limit: f64,
    most: f64,
    /// Whether the API has complained since the start.
    complained: bool,
    last_cut: Option<Duration>,
}

impl Concurrency {
    pub fn new(most: usize) -> Self {
        let most = f64::from(u32::try_from(most.max(1)).unwrap_or(u32::MAX));
        Self { limit: FIRST.min(most), most, complained: false, last_cut: None }
    }

    pub fn limit(&self) -> usize {
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "1 ..= most")]
        let limit = self.limit as usize;
        limit
    }

    /// An attempt was accepted while `in_flight` (with it) were under way.
    pub fn accepted(&mut self, in_flight: usize) {
        // A limit that is not used says nothing about the API.
        if in_flight * 2 < self.limit() {
            return;
        }
        self.limit =
            (self.limit + if self.complained { 1.0 / self.limit } else { 1.0 }).min(self.most);
    }

    /// The API refused, failed or fell silent; `took` is how long the attempt was under way, so
    /// that what started before a cut does not cut again.
    pub fn complained(&mut self, now: Duration, took: Duration) {
        let started = now.saturating_sub(took);
        if self.last_cut.is_none_or(|cut| started >= cut) {
            self.limit = (self.limit * 2.0 / 3.0).max(1.0);
            self.complained = true;
            self.last_cut = Some(now);
        }
    }

    /// After a stop the API is approached gently.
    pub fn restart(&mut self) {
        self.limit = self.limit.min(FIRST).min(self.most);
        self.complained = true;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn grows_to_the_most_while_the_api_keeps_up() {
        let mut concurrency = Concurrency::new(256);
        for _ in 0..300 {
            let in_flight = concurrency.limit();
            concurrency.accepted(in_flight);
        }
        assert_eq!(concurrency.limit(), 256);
    }

    #[test]
    fn an_unused_limit_does_not_grow() {
        let mut concurrency = Concurrency::new(256);
        for _ in 0..300 {
            concurrency.accepted(1);
        }
        assert_eq!(concurrency.limit(), 16);
    }

    #[test]
    fn a_burst_of_complaints_cuts_once_and_never_below_one() {
        let mut concurrency = Concurrency::new(9);
        let took = Duration::from_millis(100);
        for _ in 0..50 {
            concurrency.complained(Duration::from_secs(1), took);
        }
        assert_eq!(concurrency.limit(), 6);
        for second in 2..30 {
            concurrency.complained(Duration::from_secs(second), took);
        }
        assert_eq!(concurrency.limit(), 1);
    }
}
