//! Counts that add up, and bounds that hold.

use std::collections::{BTreeMap, BTreeSet};

use super::super::plan::Key;
use super::super::step::{Step, Who};
use super::super::world::World;
use super::Guarantee;
use super::settling::counts_as_accepted;
use crate::domain::metadata::Beyond;

/// Tracked = settled + held + dropped.
pub(super) struct Conservation;

impl Guarantee for Conservation {
    fn check(&mut self, world: &World, step: &Step) -> Result<(), String> {
        let Step::Looked { member } = *step else { return Ok(()) };
        let Some(machine) = &world.members[member].machine else { return Ok(()) };
        let status = machine.status(world.moment());
        let held: usize = status.partitions.iter().map(|partition| partition.held).sum();
        let mut counts = machine.conservation();
        if world.mutation == super::super::mutation::Mutation::ForgetDropped {
            counts.dropped = 0;
        }
        if counts.tracked == counts.settled + held as u64 + counts.dropped {
            return Ok(());
        }
        Err(format!("{counts:?} and {held} held"))
    }
}

/// A partition that holds its share is paused, unless it is leaving; attempts in flight, and
/// messages that a crash now would repeat, are bounded.
#[derive(Default)]
pub(super) struct Bounds {
    /// Accepted, as its member knows, and not covered by a commit.
    uncommitted: BTreeMap<Who, BTreeSet<Key>>,
    lost: BTreeSet<Who>,
}

fn is_covered(key: Key, partition: usize, offset: u64, beyond: &Beyond) -> bool {
    let settled = |partial: &crate::domain::metadata::Partial| {
        partial.offset == key.offset && partial.settled.get(key.part) == Some(&true)
    };
    key.partition == partition
        && (key.offset < offset
            || beyond.runs.iter().any(|run| run.contains(&key.offset))
            || beyond.partials.iter().any(settled))
}

impl Bounds {
    fn look(&self, world: &World, member: usize) -> Result<(), String> {
        let of = &world.members[member];
        let Some(machine) = &of.machine else { return Ok(()) };
        let most = world.plan.settings.max_in_flight;
        let mine = world.wire.values().filter(|wire| wire.who.member == member);
        let on_wire = mine.filter(|wire| wire.life == of.life).count();
        if on_wire > most {
            return Err(format!("{on_wire} attempts in flight, more than {most}"));
        }
        let uncommitted = self.uncommitted.iter().filter(|(who, _)| who.member == member);
        let uncommitted: usize = uncommitted.map(|(_, keys)| keys.len()).sum();
        if uncommitted > 2 * most {
            return Err(format!("{uncommitted} are accepted and not committed"));
        }
        let status = machine.status(world.moment());
        let share = (world.plan.settings.held_records / status.partitions.len().max(1)).max(1);
        for partition in status.partitions.iter().filter(|partition| partition.held >= share) {
            let at = world.plan.index_of(&partition.source);
            let mut views = of.views.values();
            let view = views.find(|view| view.partition == at);
            if view.is_some_and(|view| !view.paused && view.leaving.is_none()) {
                return Err(format!("partition {at} holds {} and reads on", partition.held));
            }
        }
        Ok(())
    }
}

impl Guarantee for Bounds {
    fn check(&mut self, world: &World, step: &Step) -> Result<(), String> {
        match step {
            Step::Answered { who, key, class }
                if counts_as_accepted(*class) && !self.lost.contains(who) =>
            {
                self.uncommitted.entry(*who).or_default().insert(*key);
            }
            Step::Committed { partition, offset, beyond } => {
                for keys in self.uncommitted.values_mut() {
                    keys.retain(|key| !is_covered(*key, *partition, *offset, beyond));
                }
            }
            Step::Lost { who, .. } | Step::Released { who, .. } => {
                self.uncommitted.remove(who);
                self.lost.insert(*who);
            }
            Step::Looked { member } => return self.look(world, *member),
            _ => {}
        }
        Ok(())
    }
}
