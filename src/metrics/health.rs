//! What the probes answer.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use crate::domain::clock::Moment;

/// How long the driver and the poll loop may stand still and count as alive.
const ALIVE_WITHIN: Duration = Duration::from_mins(1);

/// When the loops last turned, in milliseconds since the start, and where the member stands.
#[derive(Debug, Default)]
pub struct Health {
    driver: AtomicU64,
    poll: AtomicU64,
    joined: AtomicBool,
    draining: AtomicBool,
}

impl Health {
    /// The driver's loop has turned.
    pub fn driven(&self, now: Moment) {
        self.driver.store(millis(now.elapsed), Ordering::Relaxed);
    }

    /// The poll loop has turned, and may stand still for `excused` and then as long as ever.
    pub fn polled(&self, now: Moment, excused: Duration) {
        self.poll.store(millis(now.elapsed + excused), Ordering::Relaxed);
    }

    pub fn joined(&self) {
        self.joined.store(true, Ordering::Relaxed);
    }

    /// The group has moved on without this member.
    pub fn left(&self) {
        self.joined.store(false, Ordering::Relaxed);
    }

    pub fn draining(&self) {
        self.draining.store(true, Ordering::Relaxed);
    }

    /// Whether both loops turn. Whether a broker or the API can be reached does not matter: no
    /// restart would mend that.
    pub fn is_alive(&self, now: Moment) -> bool {
        let turned = |at: &AtomicU64| {
            let at = Duration::from_millis(at.load(Ordering::Relaxed));
            now.elapsed.saturating_sub(at) <= ALIVE_WITHIN
        };
        turned(&self.driver) && turned(&self.poll)
    }

    /// Whether the member belongs to its group.
    pub fn has_joined(&self) -> bool {
        self.joined.load(Ordering::Relaxed)
    }

    /// The same, and that it does not drain. A stop or a pause does not change that.
    pub fn is_ready(&self) -> bool {
        self.has_joined() && !self.draining.load(Ordering::Relaxed)
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
