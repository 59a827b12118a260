//! The only room that knows rdkafka.

pub mod consumer;
pub mod dead_letters;
pub mod preflight;
mod rebalance;
mod settings;

pub use settings::{Settings, Start, owned_property};
