//! `preview`: what an event would send, and why.

use std::io::IsTerminal as _;
use std::path::PathBuf;

use clap::Args;
use tokio::io::{AsyncRead, AsyncReadExt as _};

use super::output::Output;
use super::{ConfigFile, Failure, eprint_note, failed, load_parts, logging, print_line, times};
use crate::bridge;
use crate::clock::SystemClock;
use crate::config::Config;
use crate::domain::clock::Timestamp;
use crate::domain::ports::Clock as _;
use crate::domain::record::{Header, Record, RecordOffset, TopicPartition};
use crate::domain::words::{file_reason, nearest};
use crate::kafka::lookup;

mod explanation;
mod input;

/// The most that is read of a file or of standard input, in bytes.
const INPUT_LIMIT: u64 = 16 << 20;

#[derive(Args, Debug)]
#[command(
    after_help = "Several events in one input (JSON lines) are reported one after the other.\n\
    Nothing is sent, and no token is needed. Exit code 0 means that the result could be\n\
    shown, not that a message would be sent.\n\n\
    Examples:\n  \
    line-bridge preview --config line-bridge.yaml --topic orders \\\n    \
    --event order.json\n  \
    echo '{\"orderId\": \"1\"}' |\n    \
    line-bridge preview --config line-bridge.yaml --topic orders\n  \
    line-bridge preview --config line-bridge.yaml --topic orders \\\n    \
    --partition 0 --offset 17\n  \
    line-bridge preview --config line-bridge.yaml --topic orders \\\n    \
    --event order.json --output json | jq -r '.messages[].text'"
)]
pub(super) struct Preview {
    #[command(flatten)]
    file: ConfigFile,
    /// The topic whose schema and rules apply.
    #[arg(long)]
    topic: String,
    /// The file of the event; default, or with `-`: standard input.
    #[arg(long, value_name = "FILE")]
    event: Option<PathBuf>,
    /// The record's key, for rules that read `record.key`.
    #[arg(long)]
    key: Option<String>,
    /// A header of the record, for rules that read `record.headers`; may be repeated.
    #[arg(long = "header", value_name = "NAME=VALUE", value_parser = input::header)]
    headers: Vec<Header>,
    /// The record's timestamp, in RFC 3339 or in milliseconds since 1970; default: now.
    #[arg(long, value_name = "TIME", value_parser = times::read, allow_hyphen_values = true)]
    timestamp: Option<Timestamp>,
    /// Asks about a record of the real topic instead: its partition. The group is not joined.
    #[arg(
        long,
        value_name = "P",
        requires = "offset",
        conflicts_with_all = ["event", "key", "headers", "timestamp"],
        value_parser = clap::value_parser!(i32).range(0..)
    )]
    partition: Option<i32>,
    /// The record's offset in that partition.
    #[arg(
        long,
        value_name = "N",
        requires = "partition",
        value_parser = clap::value_parser!(u64).range(..=i64::MAX as u64)
    )]
    offset: Option<u64>,
    /// How it is printed on standard output; JSON is one object per event and line.
    #[arg(long, value_enum, default_value = "text")]
    output: Output,
}

impl Preview {
    pub(super) async fn run(self) -> Result<(), Failure> {
        logging::start("warn");
        let of_kafka = self.partition.zip(self.offset);
        let sections: &[&str] = if of_kafka.is_some() { &["kafka"] } else { &[] };
        let (config, topics) = load_parts(&self.file, sections)?;
        self.check_topic(&config)?;
        let now = SystemClock::start().now().wall;
        let preview = |record: &Record, place: Option<String>| {
            let (decision, asked) = topics.explain(record);
            let (decision, asked, paused) = (&decision, &asked[..], &config.paused);
            let told = explanation::Explanation { record, decision, asked, paused, now };
            match self.output {
                Output::Json => print_line(told.json()),
                Output::Text => print_line(told.text(place.as_deref())),
            }
        };
        if let Some((partition, offset)) = of_kafka {
            let source = TopicPartition { topic: self.topic.as_str().into(), partition };
            let settings = bridge::kafka_settings(&config);
            let record = lookup::record(&settings, &source, RecordOffset(offset)).await;
            preview(&record.map_err(failed)?, Some(format!("{source}@{offset}")));
            return Ok(());
        }
        let input = self.read().await?;
        let events = input::events(&input);
        if events.is_empty() {
            return Err(Failure::Usage(format!("{}: contains no event", self.place())));
        }
        let several = events.len() > 1;
        for (index, (line, event)) in events.into_iter().enumerate() {
            if index > 0 && self.output == Output::Text {
                print_line("");
            }
            let record = self.record(event, now);
            preview(&record, several.then(|| format!("{}, line {line}", self.place())));
        }
        Ok(())
    }

    fn check_topic(&self, config: &Config) -> Result<(), Failure> {
        if config.topics.contains_key(self.topic.as_str()) {
            return Ok(());
        }
        let names: Vec<&str> = config.topics.keys().map(AsRef::as_ref).collect();
        let hint = match nearest(&self.topic, names.iter().copied()) {
            Some(near) => format!("did you mean `{near}`?"),
            None => format!("there are {}", names.join(", ")),
        };
        let (file, topic) = (self.file.config.display(), self.topic.escape_debug());
        Err(Failure::Usage(format!("--topic: {file} has no topic `{topic}`; {hint}")))
    }

    /// The record that a producer would make of the event.
    fn record(&self, event: &[u8], now: Timestamp) -> Record {
        Record {
            source: TopicPartition { topic: self.topic.as_str().into(), partition: 0 },
            offset: RecordOffset(0),
            timestamp: self.timestamp.unwrap_or(now),
            key: self.key.as_ref().map(|key| key.clone().into_bytes()),
            value: Some(event.to_vec()),
            headers: self.headers.clone(),
        }
    }

    fn file(&self) -> Option<&PathBuf> {
        self.event.as_ref().filter(|path| path.as_os_str() != "-")
    }

    fn place(&self) -> String {
        self.file().map_or_else(|| "standard input".to_owned(), |path| path.display().to_string())
    }

    async fn read(&self) -> Result<Vec<u8>, Failure> {
        let wrong = |what: String| Failure::Usage(format!("{}: {what}", self.place()));
        let unreadable = |error| wrong(format!("can't be read: {}", file_reason(&error)));
        if self.file().is_none() && std::io::stdin().is_terminal() {
            eprint_note("reading an event from standard input; end it with Ctrl-D");
        }
        let source: Box<dyn AsyncRead + Unpin> = match self.file() {
            Some(path) => Box::new(tokio::fs::File::open(path).await.map_err(unreadable)?),
            None => Box::new(tokio::io::stdin()),
        };
        let mut input = Vec::new();
        source.take(INPUT_LIMIT + 1).read_to_end(&mut input).await.map_err(unreadable)?;
        if input.len() as u64 > INPUT_LIMIT {
            return Err(wrong(format!("longer than {INPUT_LIMIT} bytes; give it in pieces")));
        }
        Ok(input)
    }
}
