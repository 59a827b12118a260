//! Counts that add up, and bounds that hold.

use std::collections::{BTreeMap, BTreeSet};

use super::super::plan::Key;
use super::super::step::{Step, Who};
use super::super::world::World;
use super::Guarantee;
use super::settling::counts_as_accepted;
use crate::domain::machine::PartitionStatus;
use crate::domain::metadata::Beyond;

/// Tracked = settled + held + dropped.
pub(super) struct Conservation;

impl Guarantee for Conservation {
    fn check(&mut self, world: &World, step: &Step) -> Result<(), String> {
        let Step::Looked { member } = *step else { return Ok(()) };
        let Some(machine) = &world.members[member].machine else { return Ok(()) };
        let partitions = &world.members[member].status.partitions;
        let held: usize = partitions.iter().map(|partition| partition.held).sum();
        let mut counts = machine.conservation();
        if world.mutation == super::super::mutation::Mutation::ForgetDropped {
            counts.dropped = 0;
        }
        if let Some(at) = partitions.iter().find(|at| (at.held == 0) != (at.held_bytes == 0)) {
            return Err(format!("{} held in {} bytes", at.held, at.held_bytes));
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
    /// Of each member: the partitions held back since it was within the bound without them.
    held_back: BTreeMap<usize, BTreeSet<usize>>,
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
    fn look(&mut self, world: &World, member: usize) -> Result<(), String> {
        let of = &world.members[member];
        let most = world.plan.settings.max_in_flight;
        let mine = world.wire.values().filter(|wire| wire.who.member == member);
        let on_wire = mine.filter(|wire| wire.life == of.life).count();
        if on_wire > most {
            return Err(format!("{on_wire} attempts in flight, more than {most}"));
        }
        // What it has let go of is the next owner's to repeat.
        let owned = of.status.partitions.iter();
        let owned: BTreeSet<_> = owned.map(|at| world.plan.index_of(&at.source)).collect();
        let uncommitted = self.uncommitted.iter().filter(|(who, _)| who.member == member);
        let uncommitted = uncommitted.flat_map(|(_, keys)| keys);
        let uncommitted = uncommitted.filter(|key| owned.contains(&key.partition)).count();
        // A partition whose messages can't be committed does not use the others' bound up. It goes on
        // record by record, each of three messages at most.
        let held_back = of.status.partitions.iter().filter(|partition| partition.held_back);
        let held_back = held_back.map(|at| world.plan.index_of(&at.source));
        let all = self.held_back.entry(member).or_default();
        if uncommitted + on_wire <= most {
            all.clear();
        }
        all.extend(held_back);
        if uncommitted > (2 + all.len()) * most + 3 * all.len() {
            return Err(format!("{uncommitted} are accepted and not committed"));
        }
        let settings = &world.plan.settings;
        let shares = of.status.partitions.len().max(1);
        let (records, bytes) =
            ((settings.held_records / shares).max(1), settings.held_bytes / shares);
        let full = |at: &&PartitionStatus| at.held >= records || at.held_bytes >= bytes;
        for partition in of.status.partitions.iter().filter(full) {
            let at = world.plan.index_of(&partition.source);
            let mut views = of.views.values();
            let view = views.find(|view| view.partition == at);
            if view.is_some_and(|view| !view.paused && view.leaving.is_none()) {
                let PartitionStatus { held, held_bytes, .. } = partition;
                return Err(format!("partition {at} holds {held} ({held_bytes} bytes), reads on"));
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
