//! What stands still, and what goes on.

use std::collections::{BTreeMap, BTreeSet};

use super::super::step::{Sort, Step, Who};
use super::super::world::World;
use super::Guarantee;
use crate::domain::dead_letter::Reason;
use crate::domain::machine::PauseReason;

/// A member in one of its lives, and a topic by the first of its partitions.
type Reader = (usize, u64, usize);

/// A record as read in one tenure.
type Reading = (Who, usize, u64);

fn reader(world: &World, member: usize, partition: usize) -> Reader {
    let all = &world.plan.partitions;
    let topic = &all[partition].source.topic;
    let first = all.iter().position(|of| of.source.topic == *topic).unwrap_or(partition);
    (member, world.members[member].life, first)
}

/// A bad rollout spends no more dead letters in a row than the brake allows; from then on the
/// member reads nothing of that topic, and sets nothing of it aside, as long as it lives.
#[derive(Default)]
pub(super) struct BrakeHolds {
    /// How many good records were read.
    good: BTreeMap<Reader, u32>,
    /// After how many good ones each broken record was read.
    read: BTreeMap<Reading, u32>,
    /// The broken records that were set aside after so many good ones.
    spent: BTreeMap<(Reader, u32), BTreeSet<Reading>>,
    braked: BTreeSet<Reader>,
}

impl BrakeHolds {
    fn set_aside(&mut self, world: &World, record: Reading) -> Result<(), String> {
        let (who, partition, offset) = record;
        let Some(after) = self.read.get(&record) else { return Ok(()) };
        let reader = reader(world, who.member, partition);
        let spent = self.spent.entry((reader, *after)).or_default();
        if !spent.insert(record) {
            return Ok(());
        }
        if self.braked.contains(&reader) {
            return Err(format!("p{partition}@{offset} was set aside although the brake holds"));
        }
        if spent.len() >= world.plan.settings.brake as usize {
            self.braked.insert(reader);
        }
        Ok(())
    }
}

impl Guarantee for BrakeHolds {
    fn check(&mut self, world: &World, step: &Step) -> Result<(), String> {
        match *step {
            Step::Read { who, partition, offset, sort } => {
                let good = self.good.entry(reader(world, who.member, partition)).or_default();
                match sort {
                    Sort::Skipped => {}
                    Sort::Good => *good += 1,
                    Sort::Broken => {
                        self.read.entry((who, partition, offset)).or_insert(*good);
                    }
                }
                Ok(())
            }
            Step::LetterSent { who, key, reason: Reason::Schema | Reason::RuleError, .. } => {
                self.set_aside(world, (who, key.partition, key.offset))
            }
            Step::Looked { member } => {
                let mut views = world.members[member].views.values();
                let reads_on = views.find(|view| {
                    !view.paused
                        && view.leaving.is_none()
                        && self.braked.contains(&reader(world, member, view.partition))
                });
                reads_on.map_or(Ok(()), |view| {
                    Err(format!("partition {} is read on although the brake holds", view.partition))
                })
            }
            _ => Ok(()),
        }
    }
}

/// A partition whose position is not in its log is read no more in that tenure.
pub(super) struct OutOfRangeStands;

impl Guarantee for OutOfRangeStands {
    fn check(&mut self, world: &World, step: &Step) -> Result<(), String> {
        let Step::Looked { member } = *step else { return Ok(()) };
        let mut views = world.members[member].views.values();
        match views.find(|view| view.out_of_range && !view.paused && view.leaving.is_none()) {
            Some(view) => {
                Err(format!("partition {} is out of range and not paused", view.partition))
            }
            None => Ok(()),
        }
    }
}

/// A partition stands only while it is full, the brake holds its topic, its own position is out of
/// range, or it is leaving: what goes wrong with another partition does not hold it up.
#[derive(Default)]
pub(super) struct NothingElseStands {
    broken: BTreeMap<Reader, u32>,
}

impl Guarantee for NothingElseStands {
    fn check(&mut self, world: &World, step: &Step) -> Result<(), String> {
        let member = match *step {
            Step::Read { who, partition, sort: Sort::Broken, .. } => {
                *self.broken.entry(reader(world, who.member, partition)).or_default() += 1;
                return Ok(());
            }
            Step::Looked { member } => member,
            _ => return Ok(()),
        };
        let of = &world.members[member];
        for (epoch, view) in
            of.views.iter().filter(|(_, view)| view.paused && view.leaving.is_none())
        {
            let source = &world.plan.partitions[view.partition].source;
            let mut status = of.status.partitions.iter();
            let Some(status) = status.find(|status| status.source == *source) else { continue };
            let broken = self.broken.get(&reader(world, member, view.partition)).copied();
            let may = match status.paused.first() {
                Some(PauseReason::OffsetOutOfRange) => view.out_of_range,
                Some(PauseReason::Brake) => broken.unwrap_or(0) >= world.plan.settings.brake,
                Some(PauseReason::Paused) | None => status.full && status.held > 0,
            };
            if !may {
                let at = view.partition;
                return Err(format!("partition {at} (tenure {epoch}) stands without a reason"));
            }
        }
        Ok(())
    }
}
