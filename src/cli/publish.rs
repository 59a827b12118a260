//! `publish`: events to a topic.

use std::collections::BTreeMap;
use std::path::PathBuf;

use clap::Args;
use tokio::io::{AsyncBufReadExt as _, AsyncRead, AsyncReadExt as _, BufReader};
use tokio::task::{JoinError, JoinSet};

use super::{ConfigFile, Failure, counted, eprint_note, failed, load_config, logging};
use crate::bridge;
use crate::domain::rules::KeyExpression;
use crate::domain::words::file_reason;
use crate::kafka::publisher::{Outgoing, PublishError, Publisher};

/// So many lines are told with what was wrong with them; of more, only the numbers.
const NAMED: usize = 10;

/// The longest line that is taken, in bytes: what a Kafka broker takes by default.
const LINE_LIMIT: usize = 1 << 20;

#[derive(Args, Debug)]
#[command(after_help = "Examples:\n  \
    line-bridge publish --config line-bridge.yaml --topic orders events.jsonl\n  \
    jq -c . order.json |\n    \
    line-bridge publish --config line-bridge.yaml --topic orders \\\n    \
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
        let config = load_config(&self.file, &["kafka"])?;
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
        let mut events = Events::default();
        let read = publish(input, &publisher, &mut events, key.as_ref(), &place).await;
        events.wait_for_all().await;
        let Events { acknowledged, failed: refused, stopped_after, .. } = events;
        let published = format!("{} published to {}", counted(acknowledged, "event"), self.topic);
        if !refused.is_empty() {
            let (up_to, on) = stopped_after.map_or_else(Default::default, |last| {
                (format!(" up to line {last}"), format!(", and continue after line {last}"))
            });
            eprint_note(format_args!(
                "{published}: all{up_to} but those named here; publish these{on}"
            ));
            let named = refused.iter().take(NAMED);
            let mut lines: Vec<_> =
                named.map(|(number, error)| format!("{}: {error}", place(*number))).collect();
            if refused.len() > NAMED {
                let more = refused.keys().skip(NAMED).map(u64::to_string).collect::<Vec<_>>();
                lines.push(format!("nor were these lines: {}", more.join(", ")));
            }
            return Err(match read {
                Err(Failure::Usage(wrong)) => {
                    Failure::Usage(format!("{}\n{wrong}", lines.join("\n")))
                }
                Err(_) | Ok(()) => failed(lines.join("\n")),
            });
        }
        if read.is_err() && acknowledged > 0 {
            eprint_note(format_args!("{published}; fix the next line, and continue from there"));
        } else {
            eprint_note(published);
        }
        read
    }
}

/// Those that are under way, by their lines, and what became of the others.
#[derive(Default)]
struct Events {
    under_way: JoinSet<(u64, Result<(), PublishError>)>,
    acknowledged: u64,
    failed: BTreeMap<u64, PublishError>,
    /// The last line that was handed over, where the end was not reached.
    stopped_after: Option<u64>,
}

impl Events {
    async fn publish(
        &mut self,
        publisher: &Publisher,
        number: u64,
        key: Option<&str>,
        event: &[u8],
    ) {
        let outgoing = Outgoing { key: key.map(str::as_bytes), value: event, headers: &[] };
        match publisher.send(outgoing).await {
            Ok(acknowledged) => {
                self.under_way.spawn(async move { (number, acknowledged.await) });
            }
            Err(error) => drop(self.failed.insert(number, error)),
        }
    }

    /// Is done as soon as one has failed.
    async fn one_fails(&mut self) {
        while self.failed.is_empty() {
            match self.under_way.join_next().await {
                Some(done) => self.ended(done),
                None => std::future::pending().await,
            }
        }
    }

    async fn wait_for_all(&mut self) {
        while let Some(done) = self.under_way.join_next().await {
            self.ended(done);
        }
    }

    fn ended(&mut self, done: Result<(u64, Result<(), PublishError>), JoinError>) {
        // None of these tasks panics, and none is aborted.
        let Ok((number, result)) = done else { return };
        match result {
            Ok(()) => self.acknowledged += 1,
            Err(error) => drop(self.failed.insert(number, error)),
        }
    }
}

/// Publishes line by line, so that a stream without an end is published as it comes. Ends where one
/// has failed.
async fn publish(
    input: Box<dyn AsyncRead + Unpin>,
    publisher: &Publisher,
    events: &mut Events,
    key: Option<&KeyExpression>,
    place: &(dyn Fn(u64) -> String + Sync),
) -> Result<(), Failure> {
    let mut lines = BufReader::new(input);
    let mut number = 0;
    let mut line = Vec::new();
    loop {
        line.clear();
        events.stopped_after = Some(number);
        number += 1;
        let wrong = |what: String| Failure::Usage(format!("{}: {what}", place(number)));
        let most = LINE_LIMIT as u64 + 2;
        let mut limited = (&mut lines).take(most);
        let read = tokio::select! {
            biased;
            () = events.one_fails() => return Ok(()),
            read = limited.read_until(b'\n', &mut line) => read,
        };
        if read.map_err(|error| wrong(format!("can't be read: {}", file_reason(&error))))? == 0 {
            events.stopped_after = None;
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
            let column = error.column();
            wrong(format!(
                "not one JSON value (column {column}); one event a line, as `jq -c .` writes them"
            ))
        })?;
        let key = key.map(|key| key.key(json)).transpose();
        let key = key.map_err(|why| wrong(format!("--key: {why}")))?;
        events.publish(publisher, number, key.as_deref(), event).await;
    }
}
