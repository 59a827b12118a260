//! What the bridge decides, without clock, randomness, I/O or vendor types: the time and the
//! jitter are arguments. It imports nothing of the rest of the crate.

pub mod clock;
pub mod concurrency;
pub mod dead_letter;
pub mod delivery;
pub mod gate;
pub mod lanes;
pub mod letter;
pub mod machine;
pub mod message;
pub mod metadata;
pub mod offsets;
pub mod outcome;
pub mod paused;
pub mod ports;
pub mod rate;
pub mod record;
pub mod retry;
pub mod rules;
pub mod words;
