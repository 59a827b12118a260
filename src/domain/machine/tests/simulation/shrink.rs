//! The shortest history: of a run that breaks a guarantee, the pieces without which it would not.

use std::collections::BTreeSet;
use std::fmt;

use super::history::{Failure, Piece, Run};
use super::mutation::Mutation;
use super::plan::Plan;
use super::world::World;

/// So many steps are shown of a shortest history, the last ones.
const SHOWN: usize = 80;

/// A history of which nothing can be left out: each piece is needed for the guarantee to break.
pub(super) struct Shortest {
    seed: u64,
    mutation: Mutation,
    pub(super) failure: Failure,
    /// How many pieces the run had that failed first.
    pub(super) from: usize,
    pub(super) pieces: BTreeSet<Piece>,
}

/// Whether the guarantee is broken in a run of these pieces alone; and which of them mattered.
fn breaks(
    seed: u64,
    mutation: Mutation,
    guarantee: &str,
    pieces: &BTreeSet<Piece>,
) -> Option<(Failure, BTreeSet<Piece>)> {
    let Run { odd, failure, .. } = World::of(seed, mutation, pieces).run();
    let failure = failure.filter(|failure| failure.guarantee == guarantee)?;
    // A mishap of something that did not happen any more is no part of the history.
    let mattered = |piece: &&Piece| !matches!(piece, Piece::Odd(of) if !odd.contains(of));
    Some((failure, pieces.iter().filter(mattered).copied().collect()))
}

/// Leaves out ever smaller parts of a run that breaks a guarantee, for as long as the same one
/// breaks. None where the seed breaks none.
pub(super) fn shortest(seed: u64, mutation: Mutation) -> Option<Shortest> {
    let first = World::new(seed, mutation).run();
    let mut failure = first.failure?;
    let guarantee = failure.guarantee;
    let mut pieces: BTreeSet<_> = Plan::draw(seed).pieces().collect();
    pieces.extend(first.odd.into_iter().map(Piece::Odd));
    let from = pieces.len();
    let mut size = from.div_ceil(2).max(1);
    loop {
        let mut shorter = false;
        let mut at = 0;
        while at < pieces.len() {
            let outside = |(index, _): &(usize, &Piece)| !(at..at + size).contains(index);
            let rest = pieces.iter().enumerate().filter(outside).map(|(_, piece)| *piece).collect();
            if let Some((still, needed)) = breaks(seed, mutation, guarantee, &rest) {
                (failure, pieces, shorter) = (still, needed, true);
            } else {
                at += size;
            }
        }
        match size {
            1 if !shorter => break,
            1 => {}
            _ => size = size.div_ceil(2),
        }
    }
    Some(Shortest { seed, mutation, failure, from, pieces })
}

impl Shortest {
    /// Whether the same guarantee breaks without one of the pieces.
    pub(super) fn breaks_without(&self, piece: Piece) -> bool {
        let mut rest = self.pieces.clone();
        rest.remove(&piece);
        breaks(self.seed, self.mutation, self.failure.guarantee, &rest).is_some()
    }
}

impl fmt::Display for Shortest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let plan = Plan::draw(self.seed);
        let Failure { guarantee, what } = &self.failure;
        writeln!(f, "seed {}: {guarantee}: {what}", self.seed)?;
        writeln!(f, "the shortest history, {} of {} pieces:", self.pieces.len(), self.from)?;
        writeln!(f, "  {}", plan.terms())?;
        for piece in &self.pieces {
            writeln!(f, "  {}", piece.tell(&plan))?;
        }
        writeln!(f, "and so it goes (p0@3#1 is message 1 of partition 0's record at offset 3):")?;
        let steps = World::of(self.seed, self.mutation, &self.pieces).told().run().steps;
        let before = steps.len().saturating_sub(SHOWN);
        if before > 0 {
            writeln!(f, "  … {before} steps before these")?;
        }
        steps[before..].iter().try_for_each(|step| writeln!(f, "  {step}"))
    }
}
