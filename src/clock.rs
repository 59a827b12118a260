//! The one place that reads the clocks.
#![expect(clippy::disallowed_methods, reason = "everybody else is told the time")]

use std::time::{Instant, SystemTime, UNIX_EPOCH};

use crate::domain::clock::{Moment, Timestamp};
use crate::domain::ports::Clock;

/// The machine's clocks.
#[derive(Clone, Copy, Debug)]
pub struct SystemClock {
    started: Instant,
}

impl SystemClock {
    pub fn start() -> Self {
        Self { started: Instant::now() }
    }
}

impl Clock for SystemClock {
    fn now(&self) -> Moment {
        let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let wall = Timestamp(i64::try_from(since_epoch.as_millis()).unwrap_or(i64::MAX));
        Moment { elapsed: self.started.elapsed(), wall }
    }
}
