//! The core's promises: one test for each invariant, and a simulation of them all.

mod account;
mod blips;
mod bursts;
mod holding;
mod invariants;
mod pausing;
mod probing;
mod promises;
mod redriving;
mod regaining;
mod reloading;
mod reloads_at_random;
mod restored;
mod rig;
mod simulation;
mod stopping;
