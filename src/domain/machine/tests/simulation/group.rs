//! The consumer group and its broker: who has which partition, what is committed, what goes wrong.

use std::time::Duration;

use super::chance::About;
use super::consumer::View;
use super::member::Member;
use super::mutation::Mutation;
use super::step::{Step, Who};
use super::trouble::Trouble;
use super::world::{Event, World};
use crate::domain::machine::wire_time;
use crate::domain::machine::{Assignment, Input, Machine};
use crate::domain::record::{CommitOffset, Epoch};

/// What a revoke may take besides an attempt, as the machine has it.
const REVOKE_GRACE: Duration = Duration::from_secs(5);

impl World {
    pub(super) fn trouble(&mut self, trouble: Trouble) {
        self.step(&Step::Trouble(trouble));
        let until = |long: Duration| (self.now + long).min(self.plan.calm_from);
        match trouble {
            Trouble::Move(partition) => self.revoke(partition),
            Trouble::Lose(partition) => self.lose(partition),
            Trouble::Crash(member) => self.crash(member),
            Trouble::Drain(member) => self.drain(member),
            Trouble::CutOff(member, long) => self.cut_off(member, until(long)),
            Trouble::Api(fault, channel, long) => self.api.fail(fault, channel, until(long)),
            Trouble::ListingFails(long) => self.api.fail_listings(until(long)),
            Trouble::CommitsFail(long) => self.commits_fail_until = until(long),
            Trouble::LettersFail(long) => self.letters_fail_until = until(long),
            Trouble::BadRollout(partition, long) => {
                let topic = self.plan.partitions[partition].source.topic.clone();
                for (at, of) in self.plan.partitions.iter().enumerate() {
                    if of.source.topic == topic {
                        self.broken_until[at] = until(long).max(self.broken_until[at]);
                    }
                }
                self.at(until(long), Event::Mended);
            }
            Trouble::OutOfRange(partition, long) => {
                let set = &mut self.out_of_range_until[partition];
                *set = until(long).max(*set);
                self.at(until(long), Event::Mended);
            }
            Trouble::ClockSet(millis) => self.wall_shift += millis,
            Trouble::TokenChanged => {
                for member in 0..self.members.len() {
                    self.tell(member, Input::TokenChanged);
                }
            }
        }
    }

    /// Gives partitions that nobody has to members that can take them.
    pub(super) fn assign_free(&mut self) {
        for partition in 0..self.owner.len() {
            if self.owner[partition].is_some() {
                continue;
            }
            let able: Vec<_> =
                (0..self.members.len()).filter(|at| self.members[*at].is_able()).collect();
            if able.is_empty() {
                return;
            }
            let heir = self.heir[partition].take().filter(|heir| able.contains(heir));
            let member = heir.unwrap_or_else(|| {
                let mut rng = self.draw(About::Owner, partition);
                able[rng.usize(..able.len())]
            });
            self.members[member].epochs += 1;
            let who = Who { member, epoch: self.members[member].epochs };
            self.owner[partition] = Some(who);
            let wait = self.soon(About::Assignment, partition, 1, 300);
            self.after(wait, Event::Assign { who, partition });
        }
    }

    pub(super) fn assign(&mut self, who: Who, partition: usize) {
        if self.owner[partition] != Some(who) || self.members[who.member].machine.is_none() {
            return;
        }
        if let Some(old) = self.members[who.member].epoch_of(partition) {
            let old = Who { member: who.member, epoch: old };
            self.tell_lost(old, partition);
        }
        let (position, metadata) = self.committed[partition].clone();
        let metadata =
            if self.mutation == Mutation::IgnoreMetadata { String::new() } else { metadata };
        let records = &self.plan.partitions[partition].records;
        let next = records.partition_point(|record| record.offset < position);
        let source = self.plan.partitions[partition].source.clone();
        let member = &mut self.members[who.member];
        member.seen = self.now;
        let view = View { leaving: member.draining, ..View::new(partition, next) };
        member.views.insert(who.epoch, view);
        self.step(&Step::Assigned { who, partition, position });
        let skip = u64::from(self.mutation == Mutation::ReadPastPosition && position > 2);
        let position = CommitOffset(position + skip);
        let assignment =
            Assignment { source, epoch: Epoch(who.epoch), position, metadata: Some(metadata) };
        let partitions_in_all = self.owner.len();
        self.tell(who.member, Input::Assigned { assignments: vec![assignment], partitions_in_all });
        self.after(Duration::ZERO, Event::Poll(who));
    }

    fn free(&mut self, who: Who, partition: usize) {
        if self.owner[partition] == Some(who) {
            self.owner[partition] = None;
        }
        self.assign_free();
    }

    fn revoke(&mut self, partition: usize) {
        let Some(who) = self.owner[partition] else { return };
        let able = |at: &usize| *at != who.member && self.members[*at].is_able();
        let Some(heir) = (0..self.members.len()).find(able) else { return };
        let deadline = self.now + self.plan.settings.attempt_timeout + REVOKE_GRACE;
        let member = &mut self.members[who.member];
        if !member.is_able() {
            return;
        }
        let Some(view) = member.views.get_mut(&who.epoch).filter(|view| view.leaving.is_none())
        else {
            return;
        };
        view.leaving = Some(deadline);
        self.heir[partition] = Some(heir);
        let source = self.plan.partitions[partition].source.clone();
        if self.mutation == Mutation::ReleaseAtOnce {
            self.released(who.member, partition);
        }
        self.tell(who.member, Input::Revoked(vec![source]));
    }

    pub(super) fn released(&mut self, member: usize, partition: usize) {
        let Some(epoch) = self.members[member].epoch_of(partition) else { return };
        let who = Who { member, epoch };
        let Some(view) = self.members[member].views.remove(&epoch) else { return };
        let clean = view.leaving.is_some_and(|deadline| self.now < deadline);
        self.step(&Step::Released { who, partition, clean });
        self.free(who, partition);
    }

    fn lose(&mut self, partition: usize) {
        let Some(who) = self.owner[partition] else { return };
        let able = |at: &usize| *at != who.member && self.members[*at].is_able();
        self.heir[partition] = (0..self.members.len()).find(able);
        self.step(&Step::Lost { who, partition });
        let wait = self.soon(About::Loss, partition, 0, 2_000);
        self.after(wait, Event::TellLost { who, partition });
        self.free(who, partition);
    }

    pub(super) fn tell_lost(&mut self, who: Who, partition: usize) {
        if self.members[who.member].views.remove(&who.epoch).is_some() {
            let source = self.plan.partitions[partition].source.clone();
            self.tell(who.member, Input::Lost(vec![source]));
        }
    }

    fn crash(&mut self, member: usize) {
        if self.members[member].machine.is_none() {
            return;
        }
        let views = std::mem::take(&mut self.members[member].views);
        for (epoch, view) in views {
            let who = Who { member, epoch };
            self.step(&Step::Lost { who, partition: view.partition });
        }
        self.members[member].end();
        let noticed = self.soon(About::Crash, member, 0, 6_000);
        let started = self.soon(About::Restart, member, 500, 8_000);
        self.after(noticed, Event::GiveAway(member));
        self.after(started, Event::Rejoin(member));
    }

    /// The group notices that a member is gone.
    pub(super) fn give_away(&mut self, member: usize) {
        if self.members[member].machine.is_some() {
            return;
        }
        for owner in &mut self.owner {
            if owner.is_some_and(|who| who.member == member) {
                *owner = None;
            }
        }
        self.assign_free();
    }

    pub(super) fn rejoin(&mut self, member: usize) {
        if self.members[member].machine.is_some() {
            return;
        }
        let mut settings = self.plan.settings.clone();
        if self.mutation == Mutation::MoreInFlight {
            settings.max_in_flight *= 4;
        }
        if self.mutation == Mutation::MoreBytes {
            settings.held_bytes *= 100;
        }
        if self.mutation == Mutation::BrakeLater {
            settings.brake *= 2;
        }
        let life = self.members[member].life + 1;
        let mut jitter = self.chance.of(About::Jitter, [member as u64, life, 0]);
        let machine = Machine::new(settings, jitter.u64(..));
        let epochs = self.members[member].epochs;
        self.give_away(member);
        self.members[member] = Member { life, epochs, seen: self.now, ..Member::default() };
        self.members[member].machine = Some(machine);
        self.assign_free();
    }

    pub(super) fn drain(&mut self, member: usize) {
        let deadline = self.now + wire_time(self.plan.settings.drain_timeout);
        let of = &mut self.members[member];
        if of.machine.is_none() || of.draining.is_some() {
            return;
        }
        of.draining = Some(deadline);
        for view in of.views.values_mut() {
            view.leaving = Some(view.leaving.map_or(deadline, |set| set.min(deadline)));
        }
        self.tell(member, Input::Drain);
    }

    pub(super) fn drained(&mut self, member: usize) {
        for (epoch, view) in std::mem::take(&mut self.members[member].views) {
            let who = Who { member, epoch };
            let clean = view.leaving.is_some_and(|deadline| self.now < deadline);
            self.step(&Step::Released { who, partition: view.partition, clean });
        }
        self.members[member].end();
        self.give_away(member);
        let wait = self.soon(About::Restart, member, 100, 5_000);
        self.after(wait, Event::Rejoin(member));
    }

    fn cut_off(&mut self, member: usize, until: Duration) {
        let of = &mut self.members[member];
        if of.machine.is_none() || of.cut {
            return;
        }
        of.cut = true;
        let (life, seen) = (of.life, of.seen);
        self.at(until, Event::Reach { member, life });
        self.at(seen + self.plan.settings.session_timeout, Event::Expire { member, life });
    }

    pub(super) fn expire(&mut self, member: usize, life: u64) {
        let of = &mut self.members[member];
        if of.life != life || !of.cut || of.expired {
            return;
        }
        let ends = of.seen + self.plan.settings.session_timeout;
        if self.now < ends {
            return self.at(ends, Event::Expire { member, life });
        }
        of.expired = true;
        self.step(&Step::Expired { member });
        for partition in 0..self.owner.len() {
            if let Some(who) = self.owner[partition].filter(|who| who.member == member) {
                self.step(&Step::Lost { who, partition });
                self.owner[partition] = None;
            }
        }
        self.assign_free();
    }

    pub(super) fn reach(&mut self, member: usize, life: u64) {
        let of = &mut self.members[member];
        if of.life != life {
            return;
        }
        of.cut = false;
        of.seen = self.now;
        if std::mem::take(&mut of.expired) {
            let views = of.views.iter().map(|(epoch, view)| (*epoch, view.partition));
            for (epoch, partition) in views.collect::<Vec<_>>() {
                self.tell_lost(Who { member, epoch }, partition);
            }
        }
        self.assign_free();
    }

    pub(super) fn heartbeat(&mut self, member: usize) {
        self.after(Duration::from_secs(2), Event::Heartbeat(member));
        let told = self.mutation == Mutation::AlwaysHeard;
        if !self.members[member].cut {
            self.members[member].seen = self.now;
        } else if !told {
            return;
        }
        self.tell(member, Input::CoordinatorHeard { at: self.now });
    }
}
