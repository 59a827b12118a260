//! A message is sent again only where nobody can know that it need not be.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::super::plan::{Key, channel_of};
use super::super::step::{Step, Who};
use super::super::world::World;
use super::Guarantee;
use super::settling::counts_as_accepted;
use crate::domain::message::OnAmbiguous;
use crate::domain::metadata::METADATA_LIMIT;
use crate::domain::outcome::Class;

/// What is known of the attempts of a message, as far as no tenure ended badly after them.
#[derive(Debug, Default)]
struct Known {
    accepted: bool,
    unanswered: u32,
    /// When the last attempt began.
    began: Duration,
    /// By whom it was tried ambiguously, and when that attempt began.
    ambiguous: Vec<(usize, Duration)>,
    by: BTreeSet<Who>,
}

/// A message is sent again only after an attempt that failed plainly; after an ambiguous one if its
/// rule retries, or its channel stopped after it had begun; or after a tenure that ended badly: by loss, by a crash, or
/// beyond its time. Nothing is known of what a broker with a low limit for metadata made us forget.
#[derive(Default)]
pub(super) struct DuplicatesExplained {
    known: BTreeMap<Key, Known>,
    lost: BTreeSet<Who>,
    /// Until when (for ever, where it still is) a channel of a member was last stopped, or all.
    stopped: BTreeMap<(usize, Option<usize>), Duration>,
}

impl DuplicatesExplained {
    fn forgive(&mut self, who: Who) {
        self.known.retain(|_, known| !known.by.contains(&who));
    }

    fn may_send(&self, world: &World, key: Key) -> Result<(), String> {
        let Some(known) = self.known.get(&key) else { return Ok(()) };
        if known.accepted {
            return Err(format!("{key} was sent again although it was accepted"));
        }
        if known.unanswered > 0 {
            return Err(format!("{key} was sent again before it was answered"));
        }
        let message = world.plan.message(key).unwrap();
        let channel = channel_of(message);
        let stopped = |(member, at): &(usize, Duration)| {
            let stops = [Some(channel), None].map(|of| self.stopped.get(&(*member, of)));
            stops.into_iter().flatten().any(|until| until >= at)
        };
        if message.on_ambiguous == OnAmbiguous::DeadLetter && !known.ambiguous.iter().all(stopped) {
            return Err(format!("{key} was sent again although its rule forbids it"));
        }
        Ok(())
    }
}

impl Guarantee for DuplicatesExplained {
    fn check(&mut self, world: &World, step: &Step) -> Result<(), String> {
        match *step {
            Step::Sent { who, key } if !self.lost.contains(&who) => {
                self.may_send(world, key)?;
                let known = self.known.entry(key).or_default();
                known.unanswered += 1;
                known.began = world.now;
                known.by.insert(who);
            }
            Step::Answered { who, key, class } if !self.lost.contains(&who) => {
                let Some(known) = self.known.get_mut(&key) else { return Ok(()) };
                known.unanswered = known.unanswered.saturating_sub(1);
                known.accepted |= counts_as_accepted(class);
                if let Class::Ambiguous(_) = class {
                    known.ambiguous.push((who.member, known.began));
                }
            }
            Step::Stopped { member, channel, stopped } => {
                let until = if stopped { Duration::MAX } else { world.now };
                self.stopped.insert((member, channel), until);
            }
            Step::Lost { who, .. } => {
                self.lost.insert(who);
                self.forgive(who);
            }
            Step::Released { who, clean, .. } => {
                if !clean || world.plan.metadata_limit < METADATA_LIMIT {
                    self.forgive(who);
                }
            }
            _ => {}
        }
        Ok(())
    }
}
