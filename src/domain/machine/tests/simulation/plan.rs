//! What one seed stands for: the log and its decisions, the settings, and what goes wrong when.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use fastrand::Rng;

use super::history::Piece;
use super::trouble::{Trouble, trouble};
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

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "p{}@{}#{}", self.partition, self.offset, self.part)
    }
}

#[derive(Debug)]
pub(super) struct Planned {
    pub(super) offset: u64,
    /// When the producer writes it.
    pub(super) available: Duration,
    pub(super) decision: Decision,
    /// The size of its value.
    pub(super) bytes: usize,
}

#[derive(Debug)]
pub(super) struct Partition {
    pub(super) source: TopicPartition,
    pub(super) records: Vec<Planned>,
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
    pub(super) troubles: Vec<(Duration, Trouble)>,
    /// From here on nothing goes wrong any more.
    pub(super) calm_from: Duration,
}

pub(super) fn pick<T: Copy>(rng: &mut Rng, of: &[T]) -> T {
    of[rng.usize(..of.len())]
}

pub(super) fn millis(rng: &mut Rng, from: u64, to: u64) -> Duration {
    Duration::from_millis(rng.u64(from..to))
}

impl Plan {
    pub(super) fn draw(seed: u64) -> Self {
        let rng = &mut Rng::with_seed(seed);
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
            // What does not fit counts as uncommitted until the frontier has passed it, and so holds
            // its partition back.
            settings.max_in_flight = pick(rng, &[2, 4, 8]);
        }
        let count = pick(rng, &[0, 3, 8, 20]);
        let mut troubles: Vec<_> = (0..count)
            .map(|_| (millis(rng, 100, 40_000).min(calm_from), trouble(rng, members, &partitions)))
            .collect();
        troubles.sort_by_key(|(at, _)| *at);
        Self {
            settings,
            members,
            partitions,
            noise: pick(rng, &[0, 50, 400]),
            metadata_limit,
            troubles,
            calm_from,
        }
    }

    /// All that can be left out of it.
    pub(super) fn pieces(&self) -> impl Iterator<Item = Piece> {
        let records = self.partitions.iter().enumerate().flat_map(|(partition, of)| {
            of.records.iter().map(move |record| Piece::Record { partition, offset: record.offset })
        });
        let troubles = (0..self.troubles.len()).map(Piece::Trouble);
        (1..self.members).map(Piece::Member).chain(records).chain(troubles)
    }

    /// Leaves out whatever is not among the pieces; a member that is not simply never comes.
    pub(super) fn keep(&mut self, pieces: &BTreeSet<Piece>) {
        for (partition, of) in self.partitions.iter_mut().enumerate() {
            let piece = |offset| Piece::Record { partition, offset };
            of.records.retain(|record| pieces.contains(&piece(record.offset)));
        }
        let mut at = 0..;
        self.troubles.retain(|_| at.next().is_some_and(|at| pieces.contains(&Piece::Trouble(at))));
    }

    /// The terms under which the members work, as a line of text.
    pub(super) fn terms(&self) -> String {
        let Settings { max_in_flight, held_records, held_bytes, brake, .. } = &self.settings;
        let Settings { drain_timeout, retry_max_elapsed, requests_per_second, .. } = &self.settings;
        format!(
            "at most {max_in_flight} in flight, {held_records} records and {held_bytes} bytes held, \
             {requests_per_second} a second, {} bytes of metadata; brake {brake}, drain \
             {drain_timeout:?}, retries {retry_max_elapsed:?}; calm from {:?}",
            self.metadata_limit, self.calm_from
        )
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
    /// What a bad rollout makes of the record: a dead letter for each of its messages.
    pub(super) fn broken(&self) -> Decision {
        let verdict = match &self.decision.verdict {
            Verdict::Skip(why) => Verdict::Skip(*why),
            Verdict::Reject(_) => Verdict::Reject(rejection(Reason::Schema, 0)),
            Verdict::Deliver(parts) => {
                let parts = 0..parts.len();
                Verdict::Deliver(parts.map(|at| Err(rejection(Reason::RuleError, at))).collect())
            }
        };
        Decision { verdict, ..self.decision.clone() }
    }

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
        held_bytes: pick(rng, &[1 << 20, 1 << 20, 8_000, 2_500]),
        attempt_timeout: Duration::from_secs(4),
        session_timeout: Duration::from_secs(12),
        drain_timeout: Duration::from_secs(pick(rng, &[1, 5, 12])),
        retry_max_elapsed: Duration::from_secs(pick(rng, &[10, 900])),
        requests_per_second: pick(rng, &[20.0, 1_000_000.0]),
        brake: pick(rng, &[1_000, 1_000, 2, 4]),
        fingerprints: [("orders".into(), 7), ("bookings".into(), 8)].into(),
        ..rig::settings()
    }
}

fn records(rng: &mut Rng, recipients: usize, until: Duration) -> Vec<Planned> {
    let count = rng.usize(0..40);
    let spread = pick(rng, &[1, 5_000, 30_000]);
    let mut available: Vec<_> = (0..count).map(|_| millis(rng, 0, spread).min(until)).collect();
    available.sort_unstable();
    let mut next = rng.u64(0..3);
    let planned = |available| {
        let offset = next;
        next += pick(rng, &[1, 1, 1, 2, 7]);
        let bytes = pick(rng, &[0, 20, 20, 900]);
        Planned { offset, available, decision: decision(rng, recipients), bytes }
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
        8..16 => Verdict::Reject(rejection(pick(rng, &[Reason::Undecodable, Reason::NoRule]), 0)),
        16..32 => {
            let part = |part, rng: &mut Rng| match rng.u32(0..5) {
                0 => Err(rejection(Reason::InvalidMessage, part)),
                _ => Ok(message(rng, recipients, part)),
            };
            Verdict::Deliver((0..rng.usize(2..=3)).map(|at| part(at, rng)).collect())
        }
        _ => Verdict::Deliver(vec![Ok(message(rng, recipients, 0))]),
    };
    Decision { event_time: Timestamp(START), verdict, redrive: None }
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

impl fmt::Display for Planned {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let available = self.available.as_secs_f64();
        write!(f, "({} bytes) comes at {available:.3} s: ", self.bytes)?;
        let set_aside = |reason: Reason| format!("a dead letter ({})", reason.label());
        let part = |part: &Result<Message, Rejection>| match part {
            Err(rejection) => set_aside(rejection.reason),
            Ok(message) => {
                let Recipient::Contact(to) = &message.recipient else { return String::new() };
                let within = message.deadline.since(Timestamp(START));
                let channel = &message.channel.name;
                let then = match message.on_ambiguous {
                    OnAmbiguous::Retry => "retried",
                    OnAmbiguous::DeadLetter => "set aside",
                };
                format!("`{to}` through {channel} within {within:?}, {then} where ambiguous")
            }
        };
        match &self.decision.verdict {
            Verdict::Skip(_) => write!(f, "skipped"),
            Verdict::Reject(rejection) => f.write_str(&set_aside(rejection.reason)),
            Verdict::Deliver(parts) => {
                f.write_str(&parts.iter().map(part).collect::<Vec<_>>().join("; "))
            }
        }
    }
}
