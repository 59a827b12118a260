//! A record settles when it is truly done with, once, and none is lost.

use std::collections::{BTreeMap, BTreeSet};

use super::super::plan::Key;
use super::super::step::{Step, Who};
use super::super::world::World;
use super::Guarantee;
use crate::domain::machine::LetterId;

/// Whatever lies below a commit's offset, or is claimed by its metadata, is done: accepted,
/// skipped, or written to the dead-letter topic.
#[derive(Default)]
pub(super) struct NeverCommitsAhead {
    /// The highest offset asked for, for each partition: what lies below has been looked at.
    looked_at: BTreeMap<usize, u64>,
}

impl Guarantee for NeverCommitsAhead {
    fn check(&mut self, world: &World, step: &Step) -> Result<(), String> {
        let Step::CommitAsked { partition, offset, beyond, .. } = step else { return Ok(()) };
        let (partition, offset) = (*partition, *offset);
        if offset > world.plan.end(partition) {
            return Err(format!("{offset} is beyond the end of partition {partition}"));
        }
        let from = self.looked_at.entry(partition).or_default();
        let done = |from: u64, to: u64| {
            let records = &world.plan.partitions[partition].records;
            let first = records.partition_point(|record| record.offset < from);
            let within = records[first..].iter().take_while(|record| record.offset < to);
            match within.map(|record| record.offset).find(|at| !world.is_done(partition, *at)) {
                Some(open) => Err(format!("{open} of partition {partition} is not done")),
                None => Ok(()),
            }
        };
        done(*from, offset)?;
        *from = offset.max(*from);
        for run in &beyond.runs {
            done(run.start, run.end)?;
        }
        for partial in &beyond.partials {
            let settled = partial.settled.iter().enumerate().filter(|(_, settled)| **settled);
            for (part, _) in settled {
                let key = Key { partition, offset: partial.offset, part };
                if !world.truth(key).is_done() {
                    return Err(format!("{key} is not done"));
                }
            }
        }
        Ok(())
    }
}

/// A dead letter counts when it is in its topic, and not before.
pub(super) struct DeadLetterBeforeSettle;

impl Guarantee for DeadLetterBeforeSettle {
    fn check(&mut self, world: &World, step: &Step) -> Result<(), String> {
        let Step::LetterReported { partition, offset, .. } = *step else { return Ok(()) };
        let parts = world.plan.record(partition, offset).unwrap().parts();
        let written = |part| world.truth(Key { partition, offset, part }).letters > 0;
        if (0..parts).any(written) {
            return Ok(());
        }
        Err(format!("no dead letter of {offset} in partition {partition} was written"))
    }
}

/// Within a tenure a message that has ended is neither sent nor set aside again.
#[derive(Default)]
pub(super) struct NoDoubleSettle {
    ended: BTreeSet<(Who, Key)>,
    letters: BTreeMap<(Who, Key), LetterId>,
}

impl Guarantee for NoDoubleSettle {
    fn check(&mut self, world: &World, step: &Step) -> Result<(), String> {
        match *step {
            Step::Answered { who, key, class } if counts_as_accepted(class) => {
                // An attempt that was given up (its tenure is overdue) settles nothing.
                if !self.letters.contains_key(&(who, key)) {
                    self.ended.insert((who, key));
                }
            }
            Step::LetterAcknowledged { who, key } => {
                if !self.ended.insert((who, key)) {
                    return Err(format!("{key} was set aside after it had ended"));
                }
            }
            Step::Sent { who, key } => {
                if self.ended.contains(&(who, key)) {
                    return Err(format!("{key} was sent after it had ended"));
                }
                if self.letters.contains_key(&(who, key)) {
                    return Err(format!("{key} was sent while its dead letter was on its way"));
                }
            }
            Step::LetterSent { who, key, letter, .. } => {
                if self.ended.contains(&(who, key)) {
                    return Err(format!("{key} was set aside after it had ended"));
                }
                if *self.letters.entry((who, key)).or_insert(letter) != letter {
                    return Err(format!("{key} was set aside twice"));
                }
            }
            Step::Looked { member } => {
                if let Some(machine) = &world.members[member].machine {
                    let counts = machine.conservation();
                    if counts.settled > counts.tracked {
                        return Err(format!("more settled than there were: {counts:?}"));
                    }
                }
            }
            _ => {}
        }
        Ok(())
    }
}

pub(super) fn counts_as_accepted(class: crate::domain::outcome::Class) -> bool {
    use crate::domain::outcome::Class;
    matches!(class, Class::Accepted | Class::Unverified)
}

/// Once nothing goes wrong any more, everything is done and committed within a bounded time.
pub(super) struct NoLoss;

impl Guarantee for NoLoss {
    fn check(&mut self, world: &World, step: &Step) -> Result<(), String> {
        let Step::Over = step else { return Ok(()) };
        let open: Vec<_> = world.undone().take(5).map(|key| key.to_string()).collect();
        if !open.is_empty() {
            return Err(format!("never done, among others: {}", open.join(", ")));
        }
        match world.uncommitted() {
            Some(at) => Err(format!("partition {at} stays at {}", world.committed[at].0)),
            None => Ok(()),
        }
    }
}
