//! The only module that knows rdkafka.

mod acknowledged;
pub mod consumer;
pub mod dead_letters;
pub mod embedded;
mod foreign;
pub mod inquiry;
pub mod lookup;
mod outage;
pub mod preflight;
mod properties;
pub mod publisher;
mod rebalance;
mod rights;
pub mod scan;
mod settings;
pub mod tail;
mod topic;

pub use acknowledged::Unwritten;
pub use foreign::silence_expected_panics;
pub use settings::Settings;
