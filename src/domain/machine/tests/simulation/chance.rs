//! Chance that stays what it is when something else is left out: every draw comes from the seed and
//! from what it is about, and none from the draws before it.

use fastrand::Rng;

/// Where all the chance of a run comes from.
#[derive(Clone, Copy, Debug)]
pub(super) struct Chance(pub(super) u64);

/// What a draw is about.
#[derive(Clone, Copy, Debug)]
pub(super) enum About {
    Jitter,
    Heartbeat,
    Look,
    Poll,
    Arrival,
    Owner,
    Assignment,
    Loss,
    Crash,
    Restart,
    Listing,
    Attempt,
    Letter,
    Commit,
    CommitResult,
}

impl Chance {
    /// The same for the same seed, subject and numbers, whatever else happens.
    pub(super) fn of(self, about: About, which: [u64; 3]) -> Rng {
        let mix =
            |mixed: u64, of: u64| (mixed ^ of).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(29);
        Rng::with_seed(which.into_iter().fold(mix(self.0, about as u64), mix))
    }
}
