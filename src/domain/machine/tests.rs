//! The core's promises: one test for each invariant, and a simulation of them all.

mod invariants;
mod redriving;
mod rig;
mod simulation;
mod stopping;
