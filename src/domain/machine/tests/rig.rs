//! A machine to which a test tells what happens, step by step, under a clock that it sets.

use std::sync::Arc;
use std::time::Duration;

use crate::domain::clock::{Moment, Timestamp};
use crate::domain::dead_letter::{Reason, Rejection};
use crate::domain::machine::{
    Assignment, Attempt, CommitFailure, CommitRequest, Effect, Input, LetterId, Machine, Redecided,
    Report, Settings,
};
use crate::domain::message::{
    Channel, Decision, Message, OnAmbiguous, Recipient, SkipReason, Text, Verdict,
};
use crate::domain::outcome::{Ambiguity, Class, Listing, Outcome, StopReason};
use crate::domain::paused::Paused;
use crate::domain::record::{CommitOffset, Epoch, Record, RecordOffset, TopicPartition};

/// When the tests take place.
pub(super) const START: i64 = 1_800_000_000_000;

pub(super) struct Rig {
    pub(super) machine: Machine,
    pub(super) now: Moment,
    /// All that the machine has asked for and the test has not taken.
    pub(super) effects: Vec<Effect>,
    /// The last commit that `commit_all` let succeed.
    pub(super) last_commit: Option<CommitRequest>,
}

pub(super) fn channel(name: &str) -> Channel {
    Channel { name: name.into(), id: format!("id-of-{name}").into() }
}

pub(super) fn settings() -> Settings {
    Settings {
        max_in_flight: 16,
        held_records: 100,
        held_bytes: 1 << 20,
        attempt_timeout: Duration::from_secs(15),
        session_timeout: Duration::from_secs(45),
        drain_timeout: Duration::from_secs(25),
        retry_max_elapsed: Duration::from_mins(15),
        requests_per_second: 1_000_000.0,
        brake: 50,
        channels: vec![channel("support"), channel("alerts")],
        fingerprints: [("orders".into(), 7)].into(),
        schemas: [("orders".into(), 1)].into(),
        paused: Paused::default(),
    }
}

pub(super) fn source(partition: i32) -> TopicPartition {
    TopicPartition { topic: "orders".into(), partition }
}

pub(super) fn record(partition: i32, offset: u64) -> Arc<Record> {
    Arc::new(Record {
        source: source(partition),
        offset: RecordOffset(offset),
        timestamp: Timestamp(START),
        key: None,
        value: Some(b"{}".to_vec()),
        headers: Vec::new(),
    })
}

/// A message of the rule `shipped` through `support`, which expires after a day.
pub(super) fn message(recipient: &str) -> Message {
    Message {
        rule: "shipped".into(),
        channel: channel("support"),
        recipient: Recipient::contact(recipient).unwrap(),
        text: Text::new("shipped").unwrap(),
        deadline: Timestamp(START).plus(Duration::from_hours(24)),
        on_ambiguous: OnAmbiguous::Retry,
    }
}

pub(super) fn deliver(parts: Vec<Result<Message, Rejection>>) -> Decision {
    Decision { event_time: Timestamp(START), verdict: Verdict::Deliver(parts), redrive: None }
}

pub(super) fn skip() -> Decision {
    Decision {
        event_time: Timestamp(START),
        verdict: Verdict::Skip(SkipReason::Unmatched),
        redrive: None,
    }
}

pub(super) fn reject(reason: Reason) -> Decision {
    let rejection = Rejection { reason, detail: "for a test".to_owned(), rule: None };
    Decision { event_time: Timestamp(START), verdict: Verdict::Reject(rejection), redrive: None }
}

pub(super) fn outcome(class: Class) -> Outcome {
    let statuses = [
        (matches!(class, Class::Permanent), 400),
        (matches!(class, Class::Ambiguous(Ambiguity::ServerError)), 502),
        (matches!(class, Class::Stop(_, StopReason::Unauthorized)), 401),
    ];
    let status = statuses.into_iter().find_map(|(applies, status)| applies.then_some(status));
    Outcome { class, status, request_id: None }
}

impl Rig {
    pub(super) fn new(settings: Settings) -> Self {
        let now = Moment { elapsed: Duration::from_secs(1), wall: Timestamp(START) };
        Self { machine: Machine::new(settings, 1), now, effects: Vec::new(), last_commit: None }
    }

    /// A machine that owns partition 0 in epoch 0, from offset 0.
    pub(super) fn owning(settings: Settings) -> Self {
        let mut rig = Self::new(settings);
        rig.assign(0, 0, "");
        rig
    }

    pub(super) fn input(&mut self, input: Input) {
        self.machine.input(input, self.now);
        self.look();
    }

    pub(super) fn look(&mut self) {
        self.effects.extend(self.machine.effects(self.now));
    }

    pub(super) fn assign(&mut self, epoch: u64, position: u64, metadata: &str) {
        let assignment = Assignment {
            source: source(0),
            epoch: Epoch(epoch),
            position: CommitOffset(position),
            metadata: Some(metadata.to_owned()),
        };
        self.input(Input::Assigned { assignments: vec![assignment], partitions_in_all: 1 });
    }

    /// Lets time pass, stopping wherever the machine asked to be woken.
    pub(super) fn pass(&mut self, time: Duration) {
        let end = self.now.elapsed + time;
        while let Some(at) = self.machine.next_wakeup().filter(|at| *at <= end) {
            self.set_clock(at.max(self.now.elapsed + Duration::from_millis(1)));
            self.look();
        }
        self.set_clock(end);
        // As the driver does between two heartbeats of the group.
        self.input(Input::CoordinatorHeard { at: self.now.elapsed });
    }

    fn set_clock(&mut self, elapsed: Duration) {
        self.now.wall = self.now.wall.plus(elapsed.saturating_sub(self.now.elapsed));
        self.now.elapsed = self.now.elapsed.max(elapsed);
    }

    pub(super) fn read(&mut self, offset: u64, decision: Decision) {
        self.read_in(0, offset, decision);
    }

    pub(super) fn read_in(&mut self, epoch: u64, offset: u64, decision: Decision) {
        let record = record(0, offset);
        self.input(Input::Record { epoch: Epoch(epoch), record, decision });
    }

    pub(super) fn read_for(&mut self, offset: u64, recipient: &str) {
        self.read(offset, deliver(vec![Ok(message(recipient))]));
    }

    /// Reads this many, each for a recipient of its own.
    pub(super) fn read_many(&mut self, count: u64, on_ambiguous: OnAmbiguous) {
        for offset in 0..count {
            let message = Message { on_ambiguous, ..message(&format!("recipient {offset}")) };
            self.read(offset, deliver(vec![Ok(message)]));
        }
    }

    /// Reads one for a channel, for a recipient of its own.
    pub(super) fn read_through(&mut self, name: &str, offset: u64) {
        let message = Message { channel: channel(name), ..message(&format!("recipient {offset}")) };
        self.read(offset, deliver(vec![Ok(message)]));
    }

    /// Lets time pass under an API that answers so by the channel's name, lists all channels, and
    /// acknowledges dead letters. Gives what was tried, as second and offset, and how many were set
    /// aside.
    pub(super) fn endure(
        &mut self,
        seconds: u64,
        answers: &dyn Fn(&str) -> Class,
    ) -> (Vec<(u64, u64)>, usize) {
        self.endure_by(seconds, &|attempt| answers(&attempt.message.channel.name))
    }

    /// The same under one that answers by the attempt.
    pub(super) fn endure_by(
        &mut self,
        seconds: u64,
        answers: &dyn Fn(&Attempt) -> Class,
    ) -> (Vec<(u64, u64)>, usize) {
        let (mut tried, mut set_aside) = (Vec::new(), 0);
        for second in 1..=seconds {
            self.pass(Duration::from_secs(1));
            if self.asked_to(&Effect::List) {
                self.list(&["support", "alerts", "third"]);
            }
            for attempt in self.sent() {
                tried.push((second, attempt.offset.0));
                self.answer(&attempt, answers(&attempt));
            }
            for (letter, _) in self.letters() {
                self.acknowledge(letter, true);
                set_aside += 1;
            }
            self.commit_all();
        }
        (tried, set_aside)
    }

    /// Lists the channel, acknowledges dead letters and ends commits, in no time.
    pub(super) fn serve(&mut self) {
        if self.asked_to(&Effect::List) {
            self.list(&["support"]);
        }
        for (letter, _) in self.letters() {
            self.acknowledge(letter, true);
        }
        for commit in self.commits() {
            self.commit_ended(&commit, Ok(()));
        }
    }

    pub(super) fn answer(&mut self, attempt: &Attempt, class: Class) {
        let took = Duration::from_millis(20);
        let delivery = attempt.delivery;
        self.input(Input::Answered { delivery, outcome: outcome(class), took });
    }

    /// Answers the attempts that were started since last asked.
    pub(super) fn answer_sent(&mut self, class: Class) {
        for attempt in self.sent() {
            self.answer(&attempt, class);
        }
    }

    /// Answers until nothing more is started.
    pub(super) fn answer_all(&mut self, class: Class) {
        while self.effects.iter().any(|effect| matches!(effect, Effect::Send(_))) {
            self.answer_sent(class);
        }
    }

    pub(super) fn acknowledge(&mut self, letter: LetterId, acknowledged: bool) {
        self.input(Input::DeadLettered { letter, acknowledged });
    }

    /// Puts other settings in force; records that are to be decided anew have one message to
    /// `recipient`.
    pub(super) fn reconfigure(&mut self, settings: Settings) {
        self.reconfigure_as(settings, |_| deliver(vec![Ok(message("recipient"))]));
    }

    /// Puts other settings in force, under which the record of an offset is decided so.
    pub(super) fn reconfigure_as(&mut self, settings: Settings, decide: impl Fn(u64) -> Decision) {
        let records = self.machine.to_decide_anew(&settings);
        let decided = |(epoch, record): (_, Arc<Record>)| {
            let decision = decide(record.offset.0);
            Redecided { epoch, offset: record.offset, decision }
        };
        let decisions = records.into_iter().map(decided).collect();
        self.input(Input::Reconfigured { settings: Box::new(settings), decisions });
    }

    pub(super) fn list(&mut self, channels: &[&str]) {
        let ids = channels.iter().map(|name| channel(name).id.to_string());
        self.input(Input::Listed(Listing::Channels(ids.collect())));
    }

    pub(super) fn commit_ended(
        &mut self,
        requests: &[CommitRequest],
        result: Result<(), CommitFailure>,
    ) {
        let results = requests.iter().map(|request| (request.epoch, result)).collect();
        self.input(Input::Committed(results));
    }

    fn take<T>(&mut self, pick: impl Fn(&Effect) -> Option<T>) -> Vec<T> {
        let picked = self.effects.iter().filter_map(&pick).collect();
        self.effects.retain(|effect| pick(effect).is_none());
        picked
    }

    /// The attempts that were started since last asked.
    pub(super) fn sent(&mut self) -> Vec<Attempt> {
        self.take(
            |effect| if let Effect::Send(attempt) = effect { Some(attempt.clone()) } else { None },
        )
    }

    pub(super) fn sent_one(&mut self) -> Attempt {
        let sent = self.sent();
        assert_eq!(sent.len(), 1, "one attempt was to start");
        sent[0].clone()
    }

    /// The offsets of the attempts that were started since last asked.
    pub(super) fn sent_offsets(&mut self) -> Vec<u64> {
        self.sent().iter().map(|attempt| attempt.offset.0).collect()
    }

    pub(super) fn letters(&mut self) -> Vec<(LetterId, Reason)> {
        self.take(|effect| {
            let Effect::DeadLetter { letter, content } = effect else { return None };
            Some((*letter, content.rejection.reason))
        })
    }

    /// What the dead letters since last asked say of why.
    pub(super) fn details(&mut self) -> Vec<String> {
        self.take(|effect| {
            let Effect::DeadLetter { content, .. } = effect else { return None };
            Some(content.rejection.detail.clone())
        })
    }

    /// The commits that were asked for since last asked; each is under way.
    pub(super) fn commits(&mut self) -> Vec<Vec<CommitRequest>> {
        self.take(|effect| if let Effect::Commit(c) = effect { Some(c.clone()) } else { None })
    }

    /// Lets every commit succeed until there is none to make, and returns the last one's offset
    /// and metadata.
    pub(super) fn commit_all(&mut self) -> Option<(u64, String)> {
        let mut last = None;
        loop {
            self.pass(Duration::from_millis(100));
            let commits = self.commits();
            if commits.is_empty() {
                return last;
            }
            for commit in commits {
                last = commit.last().map(|c| (c.offset.0, c.metadata.clone()));
                self.last_commit = commit.last().cloned();
                self.commit_ended(&commit, Ok(()));
            }
        }
    }

    pub(super) fn reports(&mut self) -> Vec<Report> {
        self.take(
            |effect| if let Effect::Report(report) = effect { Some(report.clone()) } else { None },
        )
    }

    /// Why channels, or all of them, have stopped since last asked.
    pub(super) fn stops(&mut self) -> Vec<StopReason> {
        let reason =
            |report| if let Report::Stopped { reason, .. } = report { Some(reason) } else { None };
        self.reports().into_iter().filter_map(reason).collect()
    }

    pub(super) fn asked_to(&mut self, wanted: &Effect) -> bool {
        !self.take(|effect| (effect == wanted).then_some(())).is_empty()
    }

    pub(super) fn held(&self) -> usize {
        self.machine.status(self.now).partitions.iter().map(|partition| partition.held).sum()
    }
}
