//! The world around the members: virtual time, what happens next, and what is true.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use fastrand::Rng;

use super::api::Api;
use super::chance::{About, Chance};
use super::guarantees::{self, Guarantee};
use super::history::{Failure, Odd, Piece, Run};
use super::member::Member;
use super::mutation::Mutation;
use super::plan::{Key, Plan};
use super::step::{Step, Who};
use super::trouble::Trouble;
use crate::domain::clock::{Moment, Timestamp};
use crate::domain::machine::tests::rig::START;
use crate::domain::machine::{CommitFailure, CommitRequest, LetterId};
use crate::domain::record::Epoch;

/// How long after the last fault everything has to be done.
const PATIENCE: Duration = Duration::from_mins(40);

/// More steps than any run takes that does not turn in circles.
const MOST_EVENTS: u32 = 100_000;

#[derive(Clone, Copy, Debug)]
pub(super) enum Event {
    Trouble(Trouble),
    /// What was wrong with a topic or a log is mended: all members start again.
    Mended,
    Poll(Who),
    /// A polled record comes to the core.
    Arrive(Who, usize),
    Wake(usize),
    Accept(Key),
    Answer(u64),
    Listed {
        member: usize,
        life: u64,
    },
    LetterWritten(Key),
    LetterEnded {
        member: usize,
        life: u64,
        letter: LetterId,
        acknowledged: bool,
    },
    CommitApplied(u64),
    CommitTold(u64),
    Heartbeat(usize),
    Assign {
        who: Who,
        partition: usize,
    },
    TellLost {
        who: Who,
        partition: usize,
    },
    GiveAway(usize),
    Rejoin(usize),
    Expire {
        member: usize,
        life: u64,
    },
    Reach {
        member: usize,
        life: u64,
    },
}

/// An attempt on the wire.
#[derive(Clone, Debug)]
pub(super) struct OnWire {
    pub(super) who: Who,
    pub(super) life: u64,
    pub(super) delivery: crate::domain::delivery::DeliveryId,
    pub(super) key: Key,
    pub(super) started: Duration,
    pub(super) class: crate::domain::outcome::Class,
}

#[derive(Debug)]
pub(super) struct Commit {
    pub(super) member: usize,
    pub(super) life: u64,
    pub(super) requests: Vec<CommitRequest>,
    pub(super) results: Vec<(Epoch, Result<(), CommitFailure>)>,
}

/// What has truly become of a message.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Truth {
    pub(super) accepted: u32,
    pub(super) letters: u32,
    /// How often it was sent, and its dead letter.
    pub(super) tries: u64,
    pub(super) letter_tries: u64,
}

pub(super) struct World {
    pub(super) plan: Plan,
    pub(super) mutation: Mutation,
    pub(super) chance: Chance,
    pub(super) now: Duration,
    pub(super) wall_shift: i64,
    pub(super) queue: BTreeMap<(Duration, u64), Event>,
    last_id: u64,
    pub(super) members: Vec<Member>,
    /// Who has each partition, as the group's coordinator sees it.
    pub(super) owner: Vec<Option<Who>>,
    /// Who is to have each partition next.
    pub(super) heir: Vec<Option<usize>>,
    pub(super) committed: Vec<(u64, String)>,
    /// How many commits there were of each partition.
    pub(super) commits_asked: Vec<u64>,
    pub(super) commits: BTreeMap<u64, Commit>,
    pub(super) api: Api,
    pub(super) wire: BTreeMap<u64, OnWire>,
    pub(super) commits_fail_until: Duration,
    pub(super) letters_fail_until: Duration,
    /// Until when the rules of each partition's topic fail.
    pub(super) broken_until: Vec<Duration>,
    /// Until when the position in each partition is not in its log.
    pub(super) out_of_range_until: Vec<Duration>,
    /// The pieces of which the run is made; all that there are where it is none.
    pieces: Option<BTreeSet<Piece>>,
    odd: BTreeSet<Odd>,
    truth: BTreeMap<Key, Truth>,
    undone: usize,
    guarantees: Vec<Box<dyn Guarantee>>,
    /// What has happened, where that is to be told.
    steps: Option<Vec<String>>,
    failure: Option<Failure>,
}

impl World {
    /// All that a seed stands for.
    pub(super) fn new(seed: u64, mutation: Mutation) -> Self {
        Self::planned(seed, mutation, Plan::draw(seed), None)
    }

    /// Some pieces of what a seed stands for, and nothing else.
    pub(super) fn of(seed: u64, mutation: Mutation, pieces: &BTreeSet<Piece>) -> Self {
        let mut plan = Plan::draw(seed);
        plan.keep(pieces);
        Self::planned(seed, mutation, plan, Some(pieces.clone()))
    }

    /// The run will tell its steps.
    pub(super) fn told(self) -> Self {
        Self { steps: Some(Vec::new()), ..self }
    }

    fn planned(seed: u64, mutation: Mutation, plan: Plan, pieces: Option<BTreeSet<Piece>>) -> Self {
        let partitions = plan.partitions.len();
        let mut truth = BTreeMap::new();
        for (partition, of) in plan.partitions.iter().enumerate() {
            for record in &of.records {
                for part in 0..record.parts() {
                    let key = Key { partition, offset: record.offset, part };
                    truth.insert(key, Truth::default());
                }
            }
        }
        let mut world = Self {
            mutation,
            chance: Chance(seed),
            now: Duration::from_millis(1),
            wall_shift: 0,
            queue: BTreeMap::new(),
            last_id: 0,
            members: (0..plan.members).map(|_| Member::default()).collect(),
            owner: vec![None; partitions],
            heir: vec![None; partitions],
            committed: vec![(0, String::new()); partitions],
            commits_asked: vec![0; partitions],
            commits: BTreeMap::new(),
            api: Api::default(),
            wire: BTreeMap::new(),
            commits_fail_until: Duration::ZERO,
            letters_fail_until: Duration::ZERO,
            broken_until: vec![Duration::ZERO; partitions],
            out_of_range_until: vec![Duration::ZERO; partitions],
            pieces,
            odd: BTreeSet::new(),
            undone: truth.len(),
            truth,
            guarantees: guarantees::all(),
            steps: None,
            failure: None,
            plan,
        };
        for (at, trouble) in world.plan.troubles.clone() {
            world.at(at, Event::Trouble(trouble));
        }
        for member in 0..world.members.len() {
            let phase = world.soon(About::Heartbeat, member, 1, 2_000);
            world.after(phase, Event::Heartbeat(member));
            if member == 0 || world.has(Piece::Member(member)) {
                world.rejoin(member);
            }
        }
        world
    }

    /// Runs until all is done, or a guarantee is broken.
    pub(super) fn run(mut self) -> Run {
        let mut events = 0;
        while !self.is_over() && self.failure.is_none() {
            let Some(((at, _), event)) = self.queue.pop_first() else { break };
            events += 1;
            self.now = at;
            if at > self.plan.calm_from + PATIENCE || events > MOST_EVENTS {
                break;
            }
            self.happen(event);
        }
        self.step(&Step::Over);
        let steps = self.steps.unwrap_or_default();
        Run { events, odd: self.odd, failure: self.failure, steps }
    }

    fn has(&self, piece: Piece) -> bool {
        self.pieces.as_ref().is_none_or(|pieces| pieces.contains(&piece))
    }

    /// Whether something that goes wrong by chance does so.
    pub(super) fn goes_wrong(&mut self, odd: Odd, drawn: bool) -> bool {
        let happens = drawn && self.has(Piece::Odd(odd));
        if happens {
            self.odd.insert(odd);
        }
        happens
    }

    fn is_over(&self) -> bool {
        self.now >= self.plan.calm_from && self.undone == 0 && self.uncommitted().is_none()
    }

    /// A partition of which not everything is committed.
    pub(super) fn uncommitted(&self) -> Option<usize> {
        (0..self.owner.len()).find(|at| self.committed[*at].0 < self.plan.end(*at))
    }

    /// Messages that are neither accepted nor set aside.
    pub(super) fn undone(&self) -> impl Iterator<Item = Key> {
        self.truth.iter().filter(|(_, truth)| !truth.is_done()).map(|(key, _)| *key)
    }

    pub(super) fn truth(&self, key: Key) -> Truth {
        self.truth.get(&key).copied().unwrap_or_default()
    }

    pub(super) fn change(&mut self, key: Key, change: impl FnOnce(&mut Truth)) {
        let truth = self.truth.get_mut(&key).unwrap();
        let was_done = truth.is_done();
        change(truth);
        self.undone -= usize::from(truth.is_done() && !was_done);
    }

    /// Whether every message of a record is done with, and so a record that makes none.
    pub(super) fn is_done(&self, partition: usize, offset: u64) -> bool {
        let parts = self.plan.record(partition, offset).map_or(0, super::plan::Planned::parts);
        (0..parts).all(|part| self.truth(Key { partition, offset, part }).is_done())
    }

    pub(super) fn moment(&self) -> Moment {
        let millis = i64::try_from(self.now.as_millis()).unwrap();
        Moment { elapsed: self.now, wall: Timestamp(START + millis + self.wall_shift) }
    }

    pub(super) fn calm(&self) -> bool {
        self.now >= self.plan.calm_from
    }

    pub(super) fn next_id(&mut self) -> u64 {
        self.last_id += 1;
        self.last_id
    }

    pub(super) fn at(&mut self, at: Duration, event: Event) {
        let id = self.next_id();
        self.queue.insert((at.max(self.now), id), event);
    }

    pub(super) fn after(&mut self, wait: Duration, event: Event) {
        self.at(self.now + wait, event);
    }

    /// Chance for what a member or a partition meets at this time.
    pub(super) fn draw(&self, about: About, which: usize) -> Rng {
        let now = u64::try_from(self.now.as_micros()).unwrap();
        self.chance.of(about, [which as u64, now, 0])
    }

    /// Chance for a try of a message or of its dead letter.
    pub(super) fn draw_for(&self, about: About, key: Key, nth: u64) -> Rng {
        let Key { partition, offset, part } = key;
        self.chance.of(about, [(partition * 8 + part) as u64, offset, nth])
    }

    /// A time drawn between two numbers of milliseconds.
    pub(super) fn soon(&self, about: About, which: usize, from: u64, to: u64) -> Duration {
        between(&mut self.draw(about, which), from, to)
    }

    /// Shows a step to every guarantee; the first one that is broken ends the run.
    pub(super) fn step(&mut self, step: &Step) {
        if self.failure.is_some() {
            return;
        }
        let mut guarantees = std::mem::take(&mut self.guarantees);
        for guarantee in &mut guarantees {
            if let Err(what) = guarantee.check(self, step) {
                let guarantee = guarantee.name();
                self.failure = Some(Failure { guarantee, what });
                break;
            }
        }
        self.guarantees = guarantees;
        if let Some(steps) = &mut self.steps
            && !matches!(step, Step::Looked { .. })
        {
            steps.push(format!("{:>11.6} s  {step}", self.now.as_secs_f64()));
        }
    }

    fn happen(&mut self, event: Event) {
        match event {
            Event::Trouble(trouble) => self.trouble(trouble),
            Event::Mended => (0..self.members.len()).for_each(|member| self.drain(member)),
            Event::Poll(who) => self.poll(who),
            Event::Arrive(who, index) => self.arrive(who, index),
            Event::Wake(member) => self.wake(member),
            Event::Accept(key) => {
                self.change(key, |truth| truth.accepted += 1);
                self.step(&Step::Accepted { key });
            }
            Event::Answer(wire) => self.answer(wire),
            Event::Listed { member, life } => self.listed(member, life),
            Event::LetterWritten(key) => {
                self.change(key, |truth| truth.letters += 1);
                self.step(&Step::LetterWritten { key });
            }
            Event::LetterEnded { member, life, letter, acknowledged } => {
                self.letter_ended(member, life, letter, acknowledged);
            }
            Event::CommitApplied(id) => self.commit_applied(id),
            Event::CommitTold(id) => self.commit_told(id),
            Event::Heartbeat(member) => self.heartbeat(member),
            Event::Assign { who, partition } => self.assign(who, partition),
            Event::TellLost { who, partition } => self.tell_lost(who, partition),
            Event::GiveAway(member) => self.give_away(member),
            Event::Rejoin(member) => self.rejoin(member),
            Event::Expire { member, life } => self.expire(member, life),
            Event::Reach { member, life } => self.reach(member, life),
        }
    }
}

/// A time drawn between two numbers of milliseconds.
pub(super) fn between(rng: &mut Rng, from: u64, to: u64) -> Duration {
    Duration::from_micros(rng.u64(from * 1_000..to * 1_000))
}

impl Truth {
    pub(super) fn is_done(self) -> bool {
        self.accepted > 0 || self.letters > 0
    }
}
