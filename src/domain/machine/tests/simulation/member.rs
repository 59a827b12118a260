//! The members: what the driver does in reality, carrying effects out and telling what comes of it.

use std::collections::BTreeMap;
use std::time::Duration;

use super::chance::About;
use super::consumer::View;
use super::history::Odd;
use super::mutation::Mutation;
use super::plan::{CHANNELS, Key};
use super::step::{Step, Who};
use super::world::{Event, OnWire, World, between};
use crate::domain::dead_letter::DeadLetter;
use crate::domain::machine::tests::rig::{channel, outcome};
use crate::domain::machine::{Attempt, Effect, Input, LetterId, Machine, Report, Status};
use crate::domain::outcome::{Class, Listing};

/// One process of the group; none of the state outlives it but what counts its lives.
#[derive(Debug, Default)]
pub(super) struct Member {
    pub(super) machine: Option<Machine>,
    pub(super) life: u64,
    pub(super) epochs: u64,
    pub(super) views: BTreeMap<u64, View>,
    pub(super) draining: Option<Duration>,
    /// The coordinator is out of its reach.
    pub(super) cut: bool,
    /// And has given it up.
    pub(super) expired: bool,
    /// When the coordinator last heard of it.
    pub(super) seen: Duration,
    pub(super) wake: Option<Duration>,
    pub(super) letters: BTreeMap<LetterId, (Who, Key)>,
    /// What the machine told of itself when it was last looked at.
    pub(super) status: Status,
}

impl Member {
    /// Whether it can be given partitions.
    pub(super) fn is_able(&self) -> bool {
        self.machine.is_some() && self.draining.is_none() && !self.cut
    }

    pub(super) fn epoch_of(&self, partition: usize) -> Option<u64> {
        self.views.iter().find(|(_, view)| view.partition == partition).map(|(epoch, _)| *epoch)
    }

    /// The process ends.
    pub(super) fn end(&mut self) {
        *self = Self { life: self.life + 1, epochs: self.epochs, ..Self::default() };
    }
}

impl World {
    pub(super) fn tell(&mut self, member: usize, input: Input) {
        let now = self.moment();
        let Some(machine) = self.members[member].machine.as_mut() else { return };
        machine.input(input, now);
        // The driver takes in what waits before it looks at the effects.
        if self.draw(About::Look, member).u32(0..6) == 0 {
            self.wake_at(member, self.now + Duration::from_micros(100));
        } else {
            self.look(member);
        }
    }

    fn wake_at(&mut self, member: usize, at: Duration) {
        let at = at.max(self.now + Duration::from_micros(100));
        if self.members[member].wake.is_none_or(|set| at < set) {
            self.members[member].wake = Some(at);
            self.at(at, Event::Wake(member));
        }
    }

    pub(super) fn wake(&mut self, member: usize) {
        if self.members[member].wake.is_some_and(|at| at <= self.now) {
            self.members[member].wake = None;
            self.look(member);
        }
    }

    fn look(&mut self, member: usize) {
        let now = self.moment();
        let Some(machine) = self.members[member].machine.as_mut() else { return };
        for effect in machine.effects(now) {
            self.perform(member, effect);
        }
        let now = self.moment();
        if let Some(machine) = self.members[member].machine.as_ref() {
            self.members[member].status = machine.status(now);
            self.step(&Step::Looked { member });
        }
        let machine = self.members[member].machine.as_ref();
        if let Some(at) = machine.and_then(Machine::next_wakeup) {
            self.wake_at(member, at);
        }
    }

    fn perform(&mut self, member: usize, effect: Effect) {
        match effect {
            Effect::Send(attempt) => self.send(member, &attempt),
            Effect::List => {
                let wait = self.soon(About::Listing, member, 1, 500);
                let life = self.members[member].life;
                self.after(wait, Event::Listed { member, life });
            }
            Effect::DeadLetter { letter, content } => self.dead_letter(member, letter, &content),
            Effect::Commit(requests) => self.ask_commit(member, requests),
            Effect::Pause(source) => {
                let paused = self.mutation != Mutation::IgnorePauses;
                self.set_paused(member, &source, paused);
            }
            Effect::Resume(source) => self.set_paused(member, &source, false),
            Effect::Release(sources) => {
                for source in sources {
                    self.released(member, self.plan.index_of(&source));
                }
            }
            Effect::Drained => self.drained(member),
            Effect::Report(report) => self.reported(member, report),
        }
    }

    fn reported(&mut self, member: usize, report: Report) {
        let at = |name: &str| CHANNELS.iter().position(|channel| *channel == name);
        let stopped = matches!(report, Report::Stopped { .. });
        match report {
            Report::Stopped { channel, .. } | Report::Resumed { channel, .. } => {
                let channel = channel.and_then(|name| at(&name));
                self.step(&Step::Stopped { member, channel, stopped });
            }
            Report::DeadLettered { source, offset, content } => {
                let reason = content.rejection.reason;
                let partition = self.plan.index_of(&source);
                self.step(&Step::LetterReported { partition, offset: offset.0, reason });
            }
            _ => {}
        }
    }

    fn send(&mut self, member: usize, attempt: &Attempt) {
        let partition = self.plan.index_of(&attempt.source);
        let epoch = self.members[member].epoch_of(partition).unwrap_or(0);
        let who = Who { member, epoch };
        let mut key = Key { partition, offset: attempt.offset.0, part: attempt.part };
        match self.mutation {
            Mutation::SwapWithNextOfLane => key = self.neighbour(key, true),
            Mutation::RetryBehind if self.truth(key).tries > 0 => key = self.neighbour(key, true),
            Mutation::SendPreviousAgain => key = self.neighbour(key, false),
            Mutation::SendTwice => self.start(who, attempt, key),
            _ => {}
        }
        self.start(who, attempt, key);
    }

    fn start(&mut self, who: Who, attempt: &Attempt, key: Key) {
        self.change(key, |truth| truth.tries += 1);
        let nth = self.truth(key).tries;
        let mut rng = self.draw_for(About::Attempt, key, nth);
        let noisy = rng.u32(0..1_000) < self.plan.noise && !self.calm();
        let noisy = self.goes_wrong(Odd::Attempt(key, nth), noisy);
        let message = self.plan.message(key).unwrap();
        let fate = self.api.fate(&self.plan, message, self.now, noisy, &mut rng);
        self.step(&Step::Sent { who, key });
        let life = self.members[who.member].life;
        let (delivery, started) = (attempt.delivery, self.now);
        let id = self.next_id();
        self.wire.insert(id, OnWire { who, life, delivery, key, started, class: fate.class });
        if let Some(at) = fate.accepted {
            self.at(at, Event::Accept(key));
        }
        self.at(fate.answered, Event::Answer(id));
    }

    /// The message before or after this one in its lane, if there is one.
    fn neighbour(&self, key: Key, after: bool) -> Key {
        let of = &self.plan.partitions[key.partition].records;
        let keys = of.iter().flat_map(|record| {
            (0..record.parts()).map(|part| Key { offset: record.offset, part, ..key })
        });
        let message = self.plan.message(key).unwrap();
        let alike = |other: &Key| {
            let other = self.plan.message(*other);
            other.is_some_and(|m| m.channel == message.channel && m.recipient == message.recipient)
        };
        let mut lane = keys.filter(alike);
        if after { lane.find(|at| *at > key) } else { lane.take_while(|at| *at < key).last() }
            .unwrap_or(key)
    }

    pub(super) fn answer(&mut self, id: u64) {
        let Some(OnWire { who, life, mut delivery, key, started, class }) = self.wire.remove(&id)
        else {
            return;
        };
        if self.members[who.member].life != life
            || (self.mutation == Mutation::SwallowAnswers && id.is_multiple_of(7))
        {
            return;
        }
        if self.members[who.member].views.contains_key(&who.epoch) {
            self.step(&Step::Answered { who, key, class });
        }
        if self.mutation == Mutation::ForgetTheEpoch {
            // The answer of an old epoch counts for the message's attempt of now.
            let mut wires = self.wire.values();
            let newer = wires.find(|wire| wire.key == key && wire.who.member == who.member);
            delivery = newer.map_or(delivery, |wire| wire.delivery);
        }
        if self.mutation == Mutation::AnswerAnother {
            let mut wires = self.wire.values();
            let other = wires.find(|wire| wire.who.member == who.member && wire.life == life);
            delivery = other.map_or(delivery, |wire| wire.delivery);
        }
        let told = match class {
            Class::Stop(..) if self.mutation == Mutation::StopsAsRefusals => Class::Permanent,
            class => class,
        };
        let took = self.now.saturating_sub(started);
        self.tell(who.member, Input::Answered { delivery, outcome: outcome(told), took });
    }

    pub(super) fn listed(&mut self, member: usize, life: u64) {
        if self.members[member].life != life {
            return;
        }
        let listing = self.api.list(self.now);
        let channels = match &listing {
            Listing::Channels(ids) => {
                Some(CHANNELS.map(|name| ids.iter().any(|id| **id == *channel(name).id)))
            }
            Listing::Failed(_) => None,
        };
        self.step(&Step::Listed { member, channels });
        self.tell(member, Input::Listed(listing));
    }

    fn dead_letter(&mut self, member: usize, letter: LetterId, content: &DeadLetter) {
        let partition = self.plan.index_of(&content.record.source);
        let part = content.rejection.rule.as_ref().unwrap().parse().unwrap();
        let key = Key { partition, offset: content.record.offset.0, part };
        let who = Who { member, epoch: self.members[member].epoch_of(partition).unwrap_or(0) };
        self.members[member].letters.insert(letter, (who, key));
        self.step(&Step::LetterSent { who, key, letter, reason: content.rejection.reason });
        self.change(key, |truth| truth.letter_tries += 1);
        let nth = self.truth(key).letter_tries;
        let mut rng = self.draw_for(About::Letter, key, nth);
        let fails = if self.now < self.letters_fail_until {
            rng.u32(0..10) < 8
        } else {
            let drawn = rng.u32(0..10) == 0 && !self.calm();
            self.goes_wrong(Odd::Letter(key, nth), drawn)
        };
        let written = !fails || rng.bool();
        let slow = if self.calm() { 50 } else { 3_000 };
        let at = self.now + between(&mut rng, 1, slow);
        let late = if rng.u32(0..4) == 0 { slow } else { 10 };
        let ends = at + between(&mut rng, 1, late);
        if written && self.mutation != Mutation::SwallowLetters {
            self.at(at, Event::LetterWritten(key));
        }
        let early = self.mutation == Mutation::AcknowledgeEarly;
        let ends = if early { self.now } else { ends };
        let (life, acknowledged) = (self.members[member].life, !fails || early);
        self.at(ends, Event::LetterEnded { member, life, letter, acknowledged });
    }

    pub(super) fn letter_ended(
        &mut self,
        member: usize,
        life: u64,
        letter: LetterId,
        acknowledged: bool,
    ) {
        if self.members[member].life != life {
            return;
        }
        if let Some((who, key)) = self.members[member].letters.get(&letter).copied()
            && acknowledged
            && self.members[member].views.contains_key(&who.epoch)
        {
            self.step(&Step::LetterAcknowledged { who, key });
        }
        self.tell(member, Input::DeadLettered { letter, acknowledged });
    }
}
