//! The integration tests: one binary, so that all of them share one real Kafka broker.
//!
//! `tests/run` runs them with everything else; `cargo test --test suite` alone works too.

#![expect(
    clippy::disallowed_methods,
    reason = "tests read the real clock and environment, to bound what they wait for"
)]

// `cfg(test)` always holds here; saying so lets clippy know that helpers are test code as well.
#[cfg(test)]
mod alerts;
#[cfg(test)]
mod architecture;
#[cfg(test)]
mod assignments;
#[cfg(test)]
mod backlog;
#[cfg(test)]
mod broker;
#[cfg(test)]
mod by_hand;
#[cfg(test)]
mod dashboard;
#[cfg(test)]
mod dead_letter_topic;
#[cfg(test)]
mod demo;
#[cfg(test)]
mod deployment;
#[cfg(test)]
mod details;
#[cfg(test)]
mod endings;
#[cfg(test)]
mod events;
#[cfg(test)]
mod fan_out;
#[cfg(test)]
mod fleet;
#[cfg(test)]
mod gates;
#[cfg(test)]
mod harness;
#[cfg(test)]
mod hostile;
#[cfg(test)]
mod kafka_harness;
#[cfg(test)]
mod members;
#[cfg(test)]
mod online;
#[cfg(test)]
mod outages;
#[cfg(test)]
mod pause;
#[cfg(test)]
mod preview;
#[cfg(test)]
mod process_harness;
#[cfg(test)]
mod protocol;
#[cfg(test)]
mod redrive;
#[cfg(test)]
mod reloads;
#[cfg(test)]
mod restarts;
#[cfg(test)]
mod rights;
#[cfg(test)]
mod secured;
#[cfg(test)]
mod stage;
#[cfg(test)]
mod startup;
#[cfg(test)]
mod stream;
