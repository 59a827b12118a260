//! What the integration tests stand on: a real broker, the real program, and waiting for conditions.

pub(crate) mod bridge;
mod broker;
mod certificates;
pub(crate) mod cluster;
pub(crate) mod kafka;
mod lifeline;
pub(crate) mod metrics;
pub(crate) mod prometheus;
pub(crate) mod records;
pub(crate) mod rights;
pub(crate) mod tools;
pub(crate) mod wait;

pub(crate) use lifeline::{WATCHED as LIFELINE, run_tool};
use std::sync::atomic::{AtomicU32, Ordering};

/// A name that no other test, and no other run against the same broker, has.
pub(crate) fn unique(stem: &str) -> String {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let run = std::process::id();
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    format!("{stem}-{run}-{number}-{:08x}", fastrand::u32(..))
}
