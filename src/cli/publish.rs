//! `publish`: events to a topic.

use std::path::PathBuf;

use clap::Args;
use tokio::io::{AsyncBufReadExt as _, AsyncRead, AsyncReadExt as _, BufReader};

use super::{ConfigFile, Failure, counted, eprint_note, failed, load_parts, logging};
use crate::bridge;
use crate::domain::rules::KeyExpression;
use crate::domain::words::file_reason;
use crate::kafka::publisher::Publisher;

/// The longest line that is taken, in bytes: what a Kafka broker takes by default.
const LINE_LIMIT: usize = 1 << 20;

#[derive(Args, Debug)]
#[command(after_help = "Examples:\n  \
    line-bridge publish --config line-bridge.yaml --topic orders events.jsonl\n  \
    jq -c . order.json | line-bridge publish --config line-bridge.yaml --topic orders \\\n    \
    --key event.customer.contactId")]
pub(super) struct Publish {
    #[command(flatten)]
    file: ConfigFile,
    /// The topic.
    #[arg(long)]
    topic: String,
    /// The record's key: an expression over the event. Events with one key stay in order.
    #[arg(long, value_name = "EXPRESSION")]
    key: Option<String>,
    /// A file of events, one JSON value per line; default: standard input.
    #[arg(value_name = "FILE")]
    events: Option<PathBuf>,
}

impl Publish {
    pub(super) async fn run(self) -> Result<(), Failure> {
        logging::start("warn");
        let (config, _) = load_parts(&self.file, &["kafka"])?;
        let key = self.key.as_deref().map(KeyExpression::compile).transpose();
        let key =
            key.map_err(|mistakes| Failure::Usage(format!("--key: {}", mistakes.join("; "))))?;
        let settings = bridge::kafka_settings(&config);
        let publisher = Publisher::connect(&settings, &self.topic).await.map_err(failed)?;
        let input: Box<dyn AsyncRead + Unpin> = match &self.events {
            None => Box::new(tokio::io::stdin()),
            Some(path) => {
                let file = tokio::fs::File::open(path).await;
                let unreadable = |error| {
                    let why = file_reason(&error);
                    Failure::Usage(format!("{}: can't be read: {why}", path.display()))
                };
                Box::new(file.map_err(unreadable)?)
            }
        };
        let place = |line: u64| match &self.events {
            None => format!("standard input, line {line}"),
            Some(path) => format!("{}:{line}", path.display()),
        };
        let published = publish(input, &publisher, key.as_ref(), &place).await;
        let sent = publisher.finish().await.map_err(failed)?;
        let published_so_far = format!("{} published to {}", counted(sent, "event"), self.topic);
        if published.is_err() && sent > 0 {
            eprint_note(format_args!(
                "{published_so_far}; fix the next line, and continue from there"
            ));
        } else {
            eprint_note(published_so_far);
        }
        published
    }
}

/// Publishes line by line, so that a stream without an end is published as it comes.
async fn publish(
    input: Box<dyn AsyncRead + Unpin>,
    publisher: &Publisher,
    key: Option<&KeyExpression>,
    place: &(dyn Fn(u64) -> String + Sync),
) -> Result<(), Failure> {
    let mut lines = BufReader::new(input);
    let mut number = 0;
    let mut line = Vec::new();
    loop {
        line.clear();
        number += 1;
        let wrong = |what: String| Failure::Usage(format!("{}: {what}", place(number)));
        let most = LINE_LIMIT as u64 + 2;
        let read = (&mut lines).take(most).read_until(b'\n', &mut line).await;
        if read.map_err(|error| wrong(format!("can't be read: {}", file_reason(&error))))? == 0 {
            return Ok(());
        }
        let event = line.trim_ascii();
        let is_cut = line.len() as u64 == most && !line.ends_with(b"\n");
        if event.len() > LINE_LIMIT || is_cut {
            return Err(wrong(format!("longer than {LINE_LIMIT} bytes")));
        }
        if event.is_empty() {
            continue;
        }
        let json: serde_json::Value = serde_json::from_slice(event).map_err(|error| {
            wrong(format!("not one JSON value (column {}); one event a line", error.column()))
        })?;
        let key = key.map(|key| key.key(json)).transpose();
        let key = key.map_err(|why| wrong(format!("--key: {why}")))?;
        publisher.publish(key.as_deref(), event).await.map_err(failed)?;
    }
}
