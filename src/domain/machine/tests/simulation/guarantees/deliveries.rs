//! What may be sent, and when.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::super::plan::{Key, channel_of};
use super::super::step::{Step, Who};
use super::super::world::World;
use super::Guarantee;
use super::settling::counts_as_accepted;
use crate::domain::dead_letter::Reason;
use crate::domain::message::{Message, Recipient};
use crate::domain::outcome::{Class, NotApplied};

type Lane = (Who, usize, Recipient);

fn lane(world: &World, who: Who, key: Key) -> Lane {
    let message = world.plan.message(key).unwrap();
    (who, channel_of(message), message.recipient.clone())
}

/// Within a tenure, the message that was sent last in a lane is the only one that may be sent
/// until it has ended, and not before it was answered.
#[derive(Default)]
pub(super) struct OneInFlightPerLane {
    open: BTreeMap<Lane, (Key, bool)>,
}

impl Guarantee for OneInFlightPerLane {
    fn check(&mut self, world: &World, step: &Step) -> Result<(), String> {
        match *step {
            Step::Sent { who, key } => {
                let open = self.open.insert(lane(world, who, key), (key, true));
                if let Some((other, on_wire)) = open.filter(|open| *open != (key, false)) {
                    let state = if on_wire { "is in flight" } else { "has not ended" };
                    return Err(format!("{key} was sent while {other} {state}"));
                }
                if !world.members[who.member].views.contains_key(&who.epoch) {
                    return Err(format!("{key} was sent by {who}, who does not have it"));
                }
            }
            Step::Answered { who, key, class } => {
                let lane = lane(world, who, key);
                if counts_as_accepted(class) {
                    self.open.remove(&lane);
                } else if let Some((_, on_wire)) = self.open.get_mut(&lane) {
                    *on_wire = false;
                }
            }
            Step::LetterAcknowledged { who, key } if world.plan.message(key).is_some() => {
                let lane = lane(world, who, key);
                if self.open.get(&lane).is_some_and(|(open, _)| *open == key) {
                    self.open.remove(&lane);
                }
            }
            _ => {}
        }
        Ok(())
    }
}

/// No message is sent to a recipient before all older ones of its partition and channel are done,
/// in whichever tenure: order holds over a hand-over, and a retry goes before newer messages.
pub(super) struct RecipientOrder;

impl Guarantee for RecipientOrder {
    fn check(&mut self, world: &World, step: &Step) -> Result<(), String> {
        let Step::Sent { key, .. } = *step else { return Ok(()) };
        let message = world.plan.message(key).unwrap();
        let alike = |other: &Message| {
            Arc::ptr_eq(&other.channel.id, &message.channel.id)
                || (other.channel.id == message.channel.id)
        };
        let records = &world.plan.partitions[key.partition].records;
        for record in records.iter().take_while(|record| record.offset <= key.offset) {
            for part in 0..record.parts() {
                let older = Key { offset: record.offset, part, ..key };
                let same = |m: &Message| alike(m) && m.recipient == message.recipient;
                if older < key
                    && world.plan.message(older).is_some_and(same)
                    && !world.truth(older).is_done()
                {
                    return Err(format!("{key} was sent before {older}"));
                }
            }
        }
        Ok(())
    }
}

pub(super) struct NothingAfterTheDeadline;

impl Guarantee for NothingAfterTheDeadline {
    fn check(&mut self, world: &World, step: &Step) -> Result<(), String> {
        let Step::Sent { key, .. } = *step else { return Ok(()) };
        if world.moment().wall < world.plan.message(key).unwrap().deadline {
            return Ok(());
        }
        Err(format!("{key} was sent after its deadline"))
    }
}

/// When the group has given up a member that it has not heard of, that one has nothing on the wire
/// and starts nothing until it has heard of the group again.
#[derive(Default)]
pub(super) struct CutOffStaysQuiet {
    expired: BTreeSet<usize>,
}

impl Guarantee for CutOffStaysQuiet {
    fn check(&mut self, world: &World, step: &Step) -> Result<(), String> {
        match *step {
            Step::Expired { member } => {
                self.expired.insert(member);
                let life = world.members[member].life;
                let mine = |wire: &&super::super::world::OnWire| {
                    wire.who.member == member && wire.life == life
                };
                match world.wire.values().find(mine) {
                    Some(wire) => Err(format!("{} of the lost member is on the wire", wire.key)),
                    None => Ok(()),
                }
            }
            Step::Sent { who, key } if world.members[who.member].expired => {
                Err(format!("{key} was sent by a member that the group has given up"))
            }
            _ => Ok(()),
        }
    }
}

/// A message whose every attempt met a fault that is plainly not its own (a stop, a refused rate,
/// an API that can't be reached, a channel that is not listed) is set aside for nothing but its
/// deadline.
#[derive(Default)]
pub(super) struct OutageSpendsNothing {
    /// Attempts without an answer.
    unanswered: BTreeMap<Key, u32>,
    /// Messages that have met something else.
    suspect: BTreeSet<Key>,
    in_question: BTreeSet<(usize, Key)>,
}

impl Guarantee for OutageSpendsNothing {
    fn check(&mut self, world: &World, step: &Step) -> Result<(), String> {
        match *step {
            Step::Sent { key, .. } => *self.unanswered.entry(key).or_default() += 1,
            Step::Answered { who, key, class } => {
                *self.unanswered.entry(key).or_default() -= 1;
                match class {
                    Class::Stop(..)
                    | Class::NotApplied(
                        NotApplied::Unreachable
                        | NotApplied::RetryAfter(_)
                        | NotApplied::RateLimited,
                    ) => {}
                    Class::NotFound => {
                        self.in_question.insert((who.member, key));
                    }
                    Class::Accepted
                    | Class::Unverified
                    | Class::Ambiguous(_)
                    | Class::Permanent => {
                        self.suspect.insert(key);
                    }
                }
            }
            Step::Listed { member, channels } => {
                let mine: Vec<_> =
                    self.in_question.iter().filter(|(of, _)| *of == member).copied().collect();
                for (of, key) in mine {
                    self.in_question.remove(&(of, key));
                    let channel = channel_of(world.plan.message(key).unwrap());
                    if channels.is_some_and(|listed| listed[channel]) {
                        self.suspect.insert(key);
                    }
                }
            }
            Step::LetterSent { key, reason, .. } => {
                let spent = matches!(
                    reason,
                    Reason::Rejected | Reason::Ambiguous | Reason::RetriesExhausted
                );
                let unanswered = self.unanswered.get(&key).is_some_and(|count| *count > 0);
                if spent && !unanswered && !self.suspect.contains(&key) {
                    return Err(format!("{key} was set aside ({reason:?}) for another's fault"));
                }
                // A dead letter is repeated as it was, whatever has been answered since.
                if unanswered {
                    self.suspect.insert(key);
                }
            }
            _ => {}
        }
        Ok(())
    }
}
