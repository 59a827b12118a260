//! `run`: the service.

use std::sync::Arc;

use clap::Args;

use super::{ConfigFile, Failure, interrupted, logging, moments, read, read_parts};
use crate::bridge;
use crate::clock::SystemClock;
use crate::config::{Config, Loaded, Strictness};
use crate::domain::clock::Timestamp;
use crate::domain::dead_letter::{Reason, Rejection};
use crate::domain::message::{Message, SkipReason, Verdict};
use crate::domain::paused::{Pause, Paused};
use crate::domain::ports::{Clock as _, Decide as _};
use crate::domain::record::Record;
use crate::kafka::tail::{Begun, From, Tail};
use crate::reload;
use crate::topics::Topics;

#[derive(Args, Debug)]
#[command(after_help = "Examples:\n  \
    line-bridge run --config line-bridge.yaml\n  \
    LINE_BRIDGE_CONFIG=line-bridge.yaml line-bridge run --dry-run\n\n\
    Changes of the configuration, the schemas and the token take effect within seconds;\n\
    SIGHUP has them looked at at once.")]
pub(super) struct Run {
    #[command(flatten)]
    file: ConfigFile,
    /// Reads and decides, and logs what would be sent; sends and commits nothing. It does not join
    /// the group, so it can run beside a bridge that does.
    #[arg(long)]
    dry_run: bool,
}

impl Run {
    pub(super) async fn run(self) -> Result<(), Failure> {
        logging::start("info");
        // The dry run reads from Kafka, and sends nothing: it can do without a token.
        let (Loaded { config, warnings }, topics) = if self.dry_run {
            read_parts(&self.file, &["kafka"])?
        } else {
            read(&self.file, Strictness::Run)?
        };
        for warning in warnings {
            tracing::warn!("{warning}");
        }
        if self.dry_run {
            return dry_run(&config, &topics).await;
        }
        let file = self.file.clone();
        let source = reload::Source {
            file: file.config.clone(),
            load: Arc::new(move || read(&file, Strictness::Run)),
        };
        let ran = bridge::run(config, topics, source, interrupted()).await;
        ran.map_err(|failure| Failure::Failed(format!("line-bridge: {failure}")))
    }
}

async fn dry_run(config: &Config, topics: &Topics) -> Result<(), Failure> {
    let kafka = bridge::kafka_settings(config);
    let interrupted = interrupted();
    tokio::pin!(interrupted);
    tracing::info!(brokers = kafka.brokers, "dry run: asking Kafka where to begin");
    let started = tokio::select! {
        started = Tail::start(&kafka, topics.names(), From::Committed) => started,
        () = &mut interrupted => return Ok(()),
    };
    let mut tail = started.map_err(|error| Failure::Failed(format!("line-bridge: {error}")))?;
    let Begun { partitions, committed } = tail.begun();
    tracing::info!(
        partitions,
        committed,
        start = kafka.start.label(),
        "dry run: nothing is sent, nothing is committed; waiting for events"
    );
    let clock = SystemClock::start();
    loop {
        tokio::select! {
            Some(record) = tail.next() => tell(&record, topics, &config.paused, clock.now().wall),
            () = &mut interrupted => return Ok(()),
        }
    }
}

/// Logs what would become of a record now; no text, recipient or value is in it.
fn tell(record: &Record, topics: &Topics, paused: &Paused, now: Timestamp) {
    match topics.decide(record).verdict {
        Verdict::Skip(why) => {
            let (topic, partition, offset) = place(record);
            let why = match why {
                SkipReason::Tombstone => "tombstone",
                SkipReason::Unmatched => "no rule matches",
            };
            tracing::info!(topic, partition, offset, why, "would skip");
        }
        Verdict::Reject(rejection) => tell_dead_letter(record, &rejection, paused),
        Verdict::Deliver(parts) => {
            for part in parts {
                match part {
                    Ok(message) => tell_message(record, &message, paused, now),
                    Err(rejection) => tell_dead_letter(record, &rejection, paused),
                }
            }
        }
    }
}

fn tell_message(record: &Record, message: &Message, paused: &Paused, now: Timestamp) {
    let (topic, partition, offset) = place(record);
    let expired = message.expired(now);
    // What has expired is set aside, paused or not.
    let pause = paused.holds(topic, message).filter(|_| !expired);
    tracing::info!(
        topic,
        partition,
        offset,
        rule = &*message.rule,
        channel = &*message.channel.name,
        utf16_units = message.text.as_str().encode_utf16().count(),
        deadline = moments::shown(message.deadline),
        reason = expired.then(|| Reason::Expired.label()),
        paused = pause.map(Pause::label),
        "would {}",
        match (expired, pause) {
            (true, _) => "dead-letter",
            (false, Some(_)) => "hold back",
            (false, None) => "send",
        }
    );
}

fn tell_dead_letter(record: &Record, rejection: &Rejection, paused: &Paused) {
    let (topic, partition, offset) = place(record);
    let held = paused.topics.contains(topic);
    tracing::info!(
        topic,
        partition,
        offset,
        reason = rejection.reason.label(),
        detail = rejection.detail,
        paused = held.then(|| Pause::Topic.label()),
        "would {}",
        if held { "hold back" } else { "dead-letter" }
    );
}

fn place(record: &Record) -> (&str, i32, u64) {
    (&record.source.topic, record.source.partition, record.offset.0)
}
