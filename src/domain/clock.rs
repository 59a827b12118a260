//! The time, as the core is told it.

use std::time::Duration;

/// A point in time: milliseconds since 1970-01-01T00:00:00Z, as Kafka counts its timestamps.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(pub i64);

impl Timestamp {
    /// This point plus `duration`; at the end of what can be counted, the end.
    #[must_use]
    pub fn plus(self, duration: Duration) -> Self {
        let millis = i64::try_from(duration.as_millis()).unwrap_or(i64::MAX);
        Self(self.0.saturating_add(millis))
    }

    /// How long it is from `earlier` to this point; zero where `earlier` is the later one.
    pub fn since(self, earlier: Self) -> Duration {
        let millis = self.0.saturating_sub(earlier.0);
        Duration::from_millis(u64::try_from(millis).unwrap_or(0))
    }
}

/// Now, on both clocks: what is waited for is measured on the one that never jumps, what an event
/// says of its own time on the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Moment {
    /// The time since the process started, on the monotonic clock.
    pub elapsed: Duration,
    /// The time of day.
    pub wall: Timestamp,
}
