//! What a member's consumer does: it polls its partitions, pauses them, and brings records.

use std::time::Duration;

use super::chance::About;
use super::history::Odd;
use super::mutation::Mutation;
use super::step::{Sort, Step, Who};
use super::world::{Event, World, between};
use crate::domain::machine::Input;
use crate::domain::machine::tests::rig;
use crate::domain::message::{Decision, OnAmbiguous, Verdict};
use crate::domain::record::{Epoch, Record, RecordOffset, TopicPartition};

/// A partition as its consumer sees it.
#[derive(Debug)]
pub(super) struct View {
    pub(super) partition: usize,
    /// The index of the record with which it began, and of the one that is read next.
    pub(super) first: usize,
    pub(super) next: usize,
    pub(super) paused: bool,
    /// It was revoked, and has to be released until then.
    pub(super) leaving: Option<Duration>,
    pub(super) last_arrival: Duration,
    pub(super) polling: bool,
    /// Its position was not in the log.
    pub(super) out_of_range: bool,
}

impl View {
    pub(super) fn new(partition: usize, next: usize) -> Self {
        let last_arrival = Duration::ZERO;
        Self {
            partition,
            first: next,
            next,
            paused: false,
            leaving: None,
            last_arrival,
            polling: true,
            out_of_range: false,
        }
    }
}

impl World {
    pub(super) fn set_paused(&mut self, member: usize, source: &TopicPartition, paused: bool) {
        let partition = self.plan.index_of(source);
        let Some(epoch) = self.members[member].epoch_of(partition) else { return };
        let Some(view) = self.members[member].views.get_mut(&epoch) else { return };
        view.paused = paused;
        if !paused && !std::mem::replace(&mut view.polling, true) {
            self.after(Duration::from_millis(1), Event::Poll(Who { member, epoch }));
        }
    }

    /// The consumer polls: a few records are on their way, and come even if it pauses meanwhile.
    pub(super) fn poll(&mut self, who: Who) {
        let Some(view) = self.members[who.member].views.get_mut(&who.epoch) else { return };
        view.polling = false;
        if view.paused {
            return;
        }
        let partition = view.partition;
        if self.now < self.out_of_range_until[partition] && !self.is_passed_over(who) {
            return self.out_of_range(who, partition);
        }
        let mut rng = self.draw(About::Poll, partition);
        let (most, pauses) = (rng.usize(1..6), between(&mut rng, 1, 100));
        let goes_back = rng.u32(0..15) == 0 && !self.calm();
        self.go_back(who, goes_back);
        let Some(view) = self.members[who.member].views.get_mut(&who.epoch) else { return };
        let records = &self.plan.partitions[partition].records;
        let mut arrivals = Vec::new();
        for _ in 0..most {
            if let Some(record) = records.get(view.next)
                && record.available <= self.now
            {
                let on_its_way =
                    self.chance.of(About::Arrival, [partition as u64, record.offset, 0]);
                view.last_arrival =
                    view.last_arrival.max(self.now) + between(&mut { on_its_way }, 0, 9);
                arrivals.push((view.last_arrival, view.next));
                view.next += 1;
            }
        }
        if let Some(next) = records.get(view.next) {
            view.polling = true;
            let at = next.available.max(self.now + pauses);
            self.at(at, Event::Poll(who));
        }
        for (at, index) in arrivals {
            self.at(at, Event::Arrive(who, index));
        }
    }

    /// The consumer reads the last record once more.
    fn go_back(&mut self, who: Who, drawn: bool) {
        let Some(view) = self.members[who.member].views.get(&who.epoch) else { return };
        let Some(last) = view.next.checked_sub(1).filter(|last| *last >= view.first) else {
            return;
        };
        let Some(record) = self.plan.partitions[view.partition].records.get(last) else { return };
        let offset = record.offset;
        let again = Odd::ReadAgain { partition: view.partition, offset };
        if self.goes_wrong(again, drawn)
            && let Some(view) = self.members[who.member].views.get_mut(&who.epoch)
        {
            view.next = last;
        }
    }

    /// Whether a position that is out of range goes unnoticed, by a mutation.
    fn is_passed_over(&mut self, who: Who) -> bool {
        if self.mutation != Mutation::JumpWhenOutOfRange {
            return false;
        }
        if let Some(view) = self.members[who.member].views.get_mut(&who.epoch) {
            view.next += 1;
        }
        true
    }

    /// The broker does not know the position from which it was to read.
    fn out_of_range(&mut self, who: Who, partition: usize) {
        if let Some(view) = self.members[who.member].views.get_mut(&who.epoch) {
            view.out_of_range = true;
        }
        self.step(&Step::OutOfRange { who, partition });
        let sources = self.plan.partitions.iter().map(|of| &of.source).cloned();
        let sources: Vec<_> = match self.mutation {
            Mutation::HideOutOfRange => Vec::new(),
            Mutation::AllOutOfRange => sources.collect(),
            _ => sources.skip(partition).take(1).collect(),
        };
        for source in sources {
            self.tell(who.member, Input::OutOfRange(source));
        }
    }

    pub(super) fn arrive(&mut self, who: Who, index: usize) {
        let Some(view) = self.members[who.member].views.get(&who.epoch) else { return };
        let partition = view.partition;
        if self.mutation == Mutation::ForgetRecords && index % 5 == 2 {
            return;
        }
        let of = &self.plan.partitions[partition];
        let record = Record {
            source: of.source.clone(),
            offset: RecordOffset(of.records[index].offset),
            timestamp: rig::record(0, 0).timestamp,
            key: None,
            value: Some(vec![0; of.records[index].bytes]),
            headers: Vec::new(),
        };
        let broken = self.now < self.broken_until[partition];
        let planned = &of.records[index];
        let mut decision = if broken { planned.broken() } else { planned.decision.clone() };
        self.mutate_decision(&mut decision);
        let offset = record.offset.0;
        let sort = match decision.verdict {
            Verdict::Skip(_) => Sort::Skipped,
            Verdict::Reject(_) | Verdict::Deliver(_) if broken => Sort::Broken,
            Verdict::Reject(_) | Verdict::Deliver(_) => Sort::Good,
        };
        self.step(&Step::Read { who, partition, offset, sort });
        let (epoch, record) = (Epoch(who.epoch), record.into());
        self.tell(who.member, Input::Record { epoch, record, decision });
    }

    fn mutate_decision(&self, decision: &mut Decision) {
        let Verdict::Deliver(parts) = &mut decision.verdict else { return };
        for message in parts.iter_mut().flatten() {
            match self.mutation {
                Mutation::LaterDeadlines => {
                    message.deadline = message.deadline.plus(Duration::from_mins(1));
                }
                Mutation::RetryAnyway => message.on_ambiguous = OnAmbiguous::Retry,
                _ => {}
            }
        }
    }
}
