//! What the bridge decides, without clock, randomness, I/O or vendor types: the time and the
//! jitter are arguments. It imports nothing of the rest of the crate.

pub mod clock;
pub mod dead_letter;
pub mod message;
pub mod outcome;
pub mod record;
pub mod rules;
