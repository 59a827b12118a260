//! What one seed stands for: the log and its decisions, the settings, and what goes wrong when.

use std::sync::Arc;
use std::time::Duration;

use fastrand::Rng;

use crate::domain::clock::Timestamp;
use crate::domain::dead_letter::{Reason, Rejection};
use crate::domain::machine::Settings;
use crate::domain::machine::tests::rig::{self, START};
use crate::domain::message::{
    Decision, Message, OnAmbiguous, Recipient, SkipReason, Text, Verdict,
};
use crate::domain::metadata::METADATA_LIMIT;
use crate::domain::record::TopicPartition;

pub(super) const CHANNELS: [&str; 2] = ["support", "alerts"];

/// Names one message for ever, whoever sends it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Key {
    pub(super) partition: usize,
    pub(super) offset: u64,
    pub(super) part: usize,
}

#[derive(Debug)]
pub(super) struct Planned {
    pub(super) offset: u64,
    /// When the producer writes it.
    pub(super) available: Duration,
    pub(super) decision: Decision,
}

#[derive(Debug)]
pub(super) struct Partition {
    pub(super) source: TopicPartition,
    pub(super) records: Vec<Planned>,
}

/// A fault that every delivery of a channel meets, or of all channels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    Unauthorized,
    Redirect,
    Forbidden,
    MonthlyLimit,
    Missing,
    Outage,
    Unreachable,
    NotJson,
    Unverified,
    Rejected,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Chaos {
    /// The group moves a partition, and waits for its release.
    Move(usize),
    /// The group takes a partition at once, and tells its owner later.
    Lose(usize),
    Crash(usize),
    Drain(usize),
    /// A member can't reach the coordinator.
    CutOff(usize, Duration),
    /// A fault of a channel (every channel where none is named).
    Api(Fault, Option<usize>, Duration),
    ListingFails(Duration),
    CommitsFail(Duration),
    LettersFail(Duration),
    /// The wall clock is set, by so many milliseconds.
    ClockSet(i64),
    TokenChanged,
}

#[derive(Debug)]
pub(super) struct Plan {
    pub(super) settings: Settings,
    pub(super) members: usize,
    pub(super) partitions: Vec<Partition>,
    /// How many of a thousand attempts meet an odd answer of their own.
    pub(super) noise: u32,
    /// The longest metadata string that the broker takes.
    pub(super) metadata_limit: usize,
    pub(super) chaos: Vec<(Duration, Chaos)>,
    /// From here on nothing goes wrong any more.
    pub(super) calm_from: Duration,
}

fn pick<T: Copy>(rng: &mut Rng, of: &[T]) -> T {
    of[rng.usize(..of.len())]
}

fn millis(rng: &mut Rng, from: u64, to: u64) -> Duration {
    Duration::from_millis(rng.u64(from..to))
}

impl Plan {
    pub(super) fn draw(rng: &mut Rng) -> Self {
        let calm_from = Duration::from_secs(pick(rng, &[5, 20, 40]));
        let members = rng.usize(1..=3);
        let partitions = rng.usize(1..=3);
        let topics: [Arc<str>; 2] = ["orders".into(), "bookings".into()];
        let recipients = rng.usize(1..=8);
        let partition = |(index, rng): (usize, &mut Rng)| Partition {
            source: TopicPartition {
                topic: Arc::clone(&topics[usize::from(index == 2)]),
                partition: i32::from(index == 1),
            },
            records: records(rng, recipients, calm_from),
        };
        let partitions = (0..partitions).map(|index| partition((index, rng))).collect::<Vec<_>>();
        let mut settings = settings(rng);
        let metadata_limit = pick(rng, &[METADATA_LIMIT, METADATA_LIMIT, METADATA_LIMIT, 48, 0]);
        if metadata_limit < METADATA_LIMIT {
            // What does not fit counts as uncommitted until the frontier has passed it.
            settings.max_in_flight = 200;
        }
        let troubles = pick(rng, &[0, 3, 8, 20]);
        let mut chaos: Vec<_> = (0..troubles)
            .map(|_| (millis(rng, 100, 40_000).min(calm_from), trouble(rng, members, &partitions)))
            .collect();
        chaos.sort_by_key(|(at, _)| *at);
        Self {
            settings,
            members,
            partitions,
            noise: pick(rng, &[0, 50, 400]),
            metadata_limit,
            chaos,
            calm_from,
        }
    }

    pub(super) fn index_of(&self, source: &TopicPartition) -> usize {
        self.partitions.iter().position(|partition| partition.source == *source).unwrap()
    }

    pub(super) fn record(&self, partition: usize, offset: u64) -> Option<&Planned> {
        let records = &self.partitions[partition].records;
        let at = records.binary_search_by_key(&offset, |record| record.offset).ok()?;
        Some(&records[at])
    }

    pub(super) fn message(&self, key: Key) -> Option<&Message> {
        match &self.record(key.partition, key.offset)?.decision.verdict {
            Verdict::Deliver(parts) => parts.get(key.part)?.as_ref().ok(),
            Verdict::Skip(_) | Verdict::Reject(_) => None,
        }
    }

    /// The offset after the partition's last record.
    pub(super) fn end(&self, partition: usize) -> u64 {
        self.partitions[partition].records.last().map_or(0, |record| record.offset + 1)
    }
}

/// Which of the channels a message goes through.
pub(super) fn channel_of(message: &Message) -> usize {
    CHANNELS.iter().position(|name| **name == *message.channel.name).unwrap()
}

impl Planned {
    /// How many messages, or dead letters in their stead, the record makes.
    pub(super) fn parts(&self) -> usize {
        match &self.decision.verdict {
            Verdict::Skip(_) => 0,
            Verdict::Reject(_) => 1,
            Verdict::Deliver(parts) => parts.len(),
        }
    }
}

fn settings(rng: &mut Rng) -> Settings {
    Settings {
        max_in_flight: pick(rng, &[2, 4, 16]),
        held_records: pick(rng, &[3, 12, 100]),
        attempt_timeout: Duration::from_secs(4),
        session_timeout: Duration::from_secs(12),
        drain_timeout: Duration::from_secs(pick(rng, &[1, 5, 12])),
        retry_max_elapsed: Duration::from_secs(pick(rng, &[10, 900])),
        requests_per_second: pick(rng, &[20.0, 1_000_000.0]),
        brake: 1_000,
        fingerprints: [("orders".into(), 7), ("bookings".into(), 8)].into(),
        ..rig::settings()
    }
}

fn records(rng: &mut Rng, recipients: usize, until: Duration) -> Vec<Planned> {
    let count = rng.usize(0..16);
    let spread = pick(rng, &[1, 5_000, 30_000]);
    let mut available: Vec<_> = (0..count).map(|_| millis(rng, 0, spread).min(until)).collect();
    available.sort_unstable();
    let mut next = rng.u64(0..3);
    let planned = |available| {
        let offset = next;
        next += pick(rng, &[1, 1, 1, 2, 7]);
        Planned { offset, available, decision: decision(rng, recipients) }
    };
    available.into_iter().map(planned).collect()
}

fn rejection(reason: Reason, part: usize) -> Rejection {
    Rejection { reason, detail: "planned".to_owned(), rule: Some(rule(part)) }
}

/// The rule's name tells the part, for a dead letter names its rule.
fn rule(part: usize) -> Arc<str> {
    format!("{part}").into()
}

fn decision(rng: &mut Rng, recipients: usize) -> Decision {
    let verdict = match rng.u32(0..100) {
        0..8 => Verdict::Skip(SkipReason::Unmatched),
        8..16 => Verdict::Reject(rejection(pick(rng, &[Reason::Schema, Reason::NoRule]), 0)),
        16..32 => {
            let part = |part, rng: &mut Rng| match rng.u32(0..5) {
                0 => Err(rejection(Reason::InvalidMessage, part)),
                _ => Ok(message(rng, recipients, part)),
            };
            Verdict::Deliver((0..rng.usize(2..=3)).map(|at| part(at, rng)).collect())
        }
        _ => Verdict::Deliver(vec![Ok(message(rng, recipients, 0))]),
    };
    Decision { event_time: Timestamp(START), verdict }
}

fn message(rng: &mut Rng, recipients: usize, part: usize) -> Message {
    let recipient = match rng.u32(0..100) {
        0..4 => "refused".to_owned(),
        4..7 => "unknown".to_owned(),
        _ => format!("good {}", rng.usize(..recipients)),
    };
    let seconds = if rng.u32(0..8) == 0 { rng.u64(1..60) } else { 86_400 };
    Message {
        rule: rule(part),
        channel: rig::channel(pick(rng, &CHANNELS)),
        recipient: Recipient::contact(&recipient).unwrap(),
        text: Text::new("planned").unwrap(),
        deadline: Timestamp(START).plus(Duration::from_secs(seconds)),
        on_ambiguous: pick(rng, &[OnAmbiguous::Retry, OnAmbiguous::DeadLetter]),
    }
}

fn trouble(rng: &mut Rng, members: usize, partitions: &[Partition]) -> Chaos {
    let partition = rng.usize(..partitions.len());
    let member = rng.usize(..members);
    let long = millis(rng, 500, 20_000);
    match rng.u32(0..20) {
        0..3 => Chaos::Move(partition),
        3..5 => Chaos::Lose(partition),
        5..7 => Chaos::Crash(member),
        7..9 => Chaos::Drain(member),
        9 => Chaos::CutOff(member, long + Duration::from_secs(8)),
        10..15 => {
            let (fault, account) = pick(
                rng,
                &[
                    (Fault::Unauthorized, true),
                    (Fault::Redirect, true),
                    (Fault::Forbidden, false),
                    (Fault::MonthlyLimit, false),
                    (Fault::Missing, false),
                    (Fault::Outage, false),
                    (Fault::Outage, true),
                    (Fault::Unreachable, true),
                    (Fault::NotJson, true),
                    (Fault::Unverified, false),
                    (Fault::Rejected, false),
                ],
            );
            Chaos::Api(fault, (!account).then(|| rng.usize(..CHANNELS.len())), long)
        }
        15 => Chaos::ListingFails(long),
        16 => Chaos::CommitsFail(long),
        17 => Chaos::LettersFail(long),
        18 => Chaos::ClockSet(rng.i64(-20_000..20_000)),
        _ => Chaos::TokenChanged,
    }
}
