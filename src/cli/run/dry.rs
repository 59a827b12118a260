//! `run --dry-run`: what would be sent, and nothing is.

use std::time::Duration;

use super::super::{Failure, failed, interrupted, times};
use crate::bridge;
use crate::clock::SystemClock;
use crate::config::Config;
use crate::domain::clock::Timestamp;
use crate::domain::dead_letter::{Reason, Rejection};
use crate::domain::message::{Message, SkipReason, Verdict};
use crate::domain::paused::{Pause, Paused};
use crate::domain::ports::{Clock as _, Decide as _};
use crate::domain::record::Record;
use crate::kafka::tail::{Begun, StartAt, Tail};
use crate::topics::Topics;

/// After so long without a record the sums are told: what there was has most likely been read.
const QUIET: Duration = Duration::from_secs(3);

pub(super) async fn run(config: &Config, topics: &Topics) -> Result<(), Failure> {
    let kafka = bridge::kafka_settings(config);
    let interrupted = interrupted();
    tokio::pin!(interrupted);
    tracing::info!(brokers = kafka.brokers, "dry run: asking Kafka where to begin");
    let started = tokio::select! {
        started = Tail::start(&kafka, topics.names(), StartAt::Committed) => started,
        () = &mut interrupted => return Ok(()),
    };
    let mut tail = started.map_err(failed)?;
    let Begun { partitions, committed } = tail.begun();
    tracing::info!(
        partitions,
        committed,
        start = kafka.start.label(),
        "dry run: nothing is sent, nothing is committed; waiting for events"
    );
    let clock = SystemClock::start();
    let mut sums = Sums { untold: true, ..Sums::default() };
    loop {
        tokio::select! {
            record = tail.next() => {
                let Some(record) = record else {
                    return Err(failed("the thread that reads from Kafka has ended; this is a bug: report it with the log"));
                };
                sums.records += 1;
                sums.untold = true;
                print(&record, topics, &config.paused, clock.now().wall, &mut sums);
            }
            () = tokio::time::sleep(QUIET), if sums.untold => {
                sums.tell("dry run: nothing more to read for now");
            }
            () = &mut interrupted => {
                sums.tell("dry run: ended");
                return Ok(());
            }
        }
    }
}

/// Of all that has been read so far: records, and the messages that came of them.
#[derive(Debug, Default)]
struct Sums {
    records: u64,
    send: u64,
    dead_letter: u64,
    hold_back: u64,
    skip: u64,
    /// They have changed since they were told.
    untold: bool,
}

impl Sums {
    fn tell(&mut self, what: &str) {
        self.untold = false;
        let Self { records, send, dead_letter, hold_back, skip, .. } = self;
        tracing::info!(
            records,
            would_send = send,
            would_dead_letter = dead_letter,
            would_hold_back = hold_back,
            would_skip = skip,
            "{what}"
        );
    }
}

/// Logs what would become of a record now; no text, recipient or value is in it.
fn print(record: &Record, topics: &Topics, paused: &Paused, now: Timestamp, sums: &mut Sums) {
    match topics.decide(record).verdict {
        Verdict::Skip(why) => {
            let (topic, partition, offset) = place(record);
            let why = match why {
                SkipReason::Tombstone => "tombstone",
                SkipReason::Unmatched => "no rule matches",
            };
            sums.skip += 1;
            tracing::info!(topic, partition, offset, why, "would skip");
        }
        Verdict::Reject(rejection) => tell_dead_letter(record, &rejection, paused, sums),
        Verdict::Deliver(parts) => {
            for part in parts {
                match part {
                    Ok(message) => tell_message(record, &message, paused, now, sums),
                    Err(rejection) => tell_dead_letter(record, &rejection, paused, sums),
                }
            }
        }
    }
}

fn tell_message(
    record: &Record,
    message: &Message,
    paused: &Paused,
    now: Timestamp,
    sums: &mut Sums,
) {
    let (topic, partition, offset) = place(record);
    let expired = message.expired(now);
    // What has expired is set aside, paused or not.
    let pause = paused.holds(topic, message).filter(|_| !expired);
    let (sum, verb) = match (expired, pause) {
        (true, _) => (&mut sums.dead_letter, "dead-letter"),
        (false, Some(_)) => (&mut sums.hold_back, "hold back"),
        (false, None) => (&mut sums.send, "send"),
    };
    *sum += 1;
    tracing::info!(
        topic,
        partition,
        offset,
        rule = &*message.rule,
        channel = &*message.channel.name,
        utf16_units = message.text.as_str().encode_utf16().count(),
        deadline = times::shown(message.deadline),
        reason = expired.then(|| Reason::Expired.label()),
        paused = pause.map(Pause::label),
        "would {verb}"
    );
}

fn tell_dead_letter(record: &Record, rejection: &Rejection, paused: &Paused, sums: &mut Sums) {
    let (topic, partition, offset) = place(record);
    let held = paused.topics.contains(topic);
    let (sum, verb) = if held {
        (&mut sums.hold_back, "hold back")
    } else {
        (&mut sums.dead_letter, "dead-letter")
    };
    *sum += 1;
    tracing::info!(
        topic,
        partition,
        offset,
        reason = rejection.reason.label(),
        detail = rejection.detail,
        paused = held.then(|| Pause::Topic.label()),
        "would {verb}"
    );
}

fn place(record: &Record) -> (&str, i32, u64) {
    (&record.source.topic, record.source.partition, record.offset.0)
}
