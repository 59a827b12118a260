//! `dead-letters show`: all that is known of one.

use clap::Args;
use serde_json::{Value, json};

use super::chosen::Chosen;
use super::redriven::Redriven;
use super::{Context, SECTIONS, outlook, pointer};
use crate::cli::output::{Output, on_lines, on_one_line};
use crate::cli::{ConfigFile, Failure, failed, load_config, load_parts, print_line, times};
use crate::domain::clock::Timestamp;
use crate::domain::dead_letter::{HEADER_PREFIX, Rejection};
use crate::domain::letter::{Letter, Place};
use crate::domain::message::{Message, Recipient, Verdict};
use crate::domain::record::{Header, RecordOffset, TopicPartition};
use crate::kafka::lookup;

/// How many bytes are shown of a value that is no text.
const HEX: usize = 256;

#[derive(Args, Debug)]
#[command(after_help = "It shows the whole event: mind who is watching.\n\n\
    Examples:\n  \
    line-bridge dead-letters show 0 17 --config line-bridge.yaml\n  \
    line-bridge dead-letters show 0 17 --config line-bridge.yaml \\\n    \
    --output json | jq .event")]
pub(super) struct Show {
    /// The partition of the dead-letter topic.
    #[arg(value_name = "PARTITION", value_parser = clap::value_parser!(i32).range(0..))]
    partition: i32,
    /// The offset in that partition.
    #[arg(value_name = "OFFSET", value_parser = clap::value_parser!(u64).range(..=i64::MAX as u64))]
    offset: u64,
    #[command(flatten)]
    file: ConfigFile,
    /// How it is written to standard output.
    #[arg(long, value_enum, default_value = "text")]
    output: Output,
}

/// A dead letter and what is known of it.
struct Shown {
    letter: Letter,
    /// The event was not in it, and stands where it points, or not any more.
    is_pointer: bool,
    redriven: Vec<Place>,
    /// What the bridge would decide if it were redriven; none where its event is gone, or the rules
    /// can't be used.
    verdict: Option<Verdict>,
    now: Timestamp,
}

impl Show {
    pub(super) async fn run(self) -> Result<(), Failure> {
        let config = load_config(&self.file, &SECTIONS)?;
        let topics = load_parts(&self.file, &SECTIONS).ok().map(|(_, topics)| topics);
        let context = Context::of(config, &Chosen::default());
        let topic = context.config.dead_letters.topic.as_str().into();
        let source = TopicPartition { topic, partition: self.partition };
        let offset = RecordOffset(self.offset);
        let record = lookup::record(&context.kafka, &source, offset).await.map_err(failed)?;
        let place = Place { source, offset };
        let mut letter = Letter::read(record)
            .map_err(|why| failed(format_args!("{place} is not a dead letter: {why}")))?;
        let redriven = Redriven::read_if_any(&context).await.map_err(failed)?;
        let redriven = redriven.places(&letter).to_vec();
        let is_pointer = letter.is_pointer();
        let has_event = pointer::follow(&mut letter, &context.kafka).await.map_err(failed)?;
        let verdict = topics.filter(|_| has_event);
        let verdict = verdict.map(|topics| outlook::verdict(&topics, &context, &letter, false));
        let shown = Shown { letter, is_pointer, redriven, verdict, now: context.now };
        match self.output {
            Output::Json => print_line(shown.json()),
            Output::Text => print_line(shown.text()),
        }
        Ok(())
    }
}

impl Shown {
    fn text(&self) -> String {
        let Letter { place, at, original, .. } = &self.letter;
        let seen = times::relative(*at, self.now);
        let mut lines = vec![
            format!("{place}, set aside {} ({seen})", times::shown(*at)),
            field("redriven", &self.redriven()),
        ];
        lines.extend(self.added().map(|(name, value)| field(name, &self.header(name, value))));
        if !original.headers.is_empty() {
            lines.push("headers of the record".to_owned());
            let own = original.headers.iter();
            lines.extend(own.map(|header| field(&on_one_line(&header.name), &shown_value(header))));
        }
        let key = original.key.as_deref();
        lines.push(format!("key\n  {}", key.map_or_else(|| "none".to_owned(), text_or_hex)));
        let event = original.value.as_deref().map_or_else(
            || "gone: it was too large for a dead letter, and its topic has deleted it".to_owned(),
            pretty,
        );
        let is_fetched = self.is_pointer && original.value.is_some();
        let from = if is_fetched { ", from its own topic" } else { "" };
        lines.push(format!("event{from}\n  {}", on_lines(&event, "  ")));
        lines.push(format!("redriven now\n  {}", self.outlook()));
        lines.join("\n")
    }

    /// The headers that the bridge has added, the first of them the reason.
    fn added(&self) -> impl Iterator<Item = (&str, String)> {
        self.letter.added.iter().filter_map(|header| {
            let name = header.name.strip_prefix(HEADER_PREFIX)?;
            Some((name, shown_value(header)))
        })
    }

    /// Times are written as such, for people.
    fn header(&self, name: &str, value: String) -> String {
        let is_time = matches!(name, "timestamp" | "first-attempt" | "last-attempt");
        match value.parse().ok().filter(|_| is_time).map(Timestamp) {
            Some(at) => format!("{} ({})", times::shown(at), times::relative(at, self.now)),
            None => value,
        }
    }

    fn redriven(&self) -> String {
        match self.redriven.as_slice() {
            [] => "no".to_owned(),
            places => places.iter().map(ToString::to_string).collect::<Vec<_>>().join(", "),
        }
    }

    fn outlook(&self) -> String {
        match &self.verdict {
            None if self.letter.original.value.is_none() => "nothing: there is no event".to_owned(),
            None => "unknown: `line-bridge check` tells what is wrong with the rules".to_owned(),
            Some(Verdict::Skip(_)) => {
                let rule = self.letter.rule.as_deref().map_or(
                    "no rule matches",
                    |_| "the rule that it was set aside for does not match",
                );
                format!("skipped: {rule}")
            }
            Some(Verdict::Reject(rejection)) => set_aside(rejection),
            Some(Verdict::Deliver(parts)) => {
                let told = parts.iter().map(|part| match part {
                    Ok(message) => self.message(message),
                    Err(rejection) => set_aside(rejection),
                });
                told.collect::<Vec<_>>().join("\n  ")
            }
        }
    }

    fn message(&self, message: &Message) -> String {
        let (kind, id) = recipient(&message.recipient);
        let deadline = times::shown(message.deadline);
        let seen = times::relative(message.deadline, self.now);
        let verb = if message.deadline > self.now { "sent" } else { "not sent" };
        format!(
            "{verb}: rule {}, channel {}, to {kind} {}, deadline {deadline} ({seen})\n    {}",
            on_one_line(&message.rule),
            message.channel.name,
            on_one_line(id),
            on_lines(message.text.as_str(), "    ")
        )
    }

    fn json(&self) -> Value {
        let Letter { place, at, original, .. } = &self.letter;
        let headers = |headers: &[Header]| {
            let shown =
                |header: &Header| json!({"name": header.name, "value": shown_value(header)});
            headers.iter().map(shown).collect::<Vec<_>>()
        };
        let event = original.value.as_deref();
        let decoded = event.and_then(|event| serde_json::from_slice::<Value>(event).ok());
        let raw = event.filter(|_| decoded.is_none()).map(text_or_hex);
        json!({
            "partition": place.source.partition,
            "offset": place.offset.0,
            "at": times::shown(*at),
            "told": self.added().collect::<std::collections::BTreeMap<_, _>>(),
            "redriven": self.redriven.iter().map(ToString::to_string).collect::<Vec<_>>(),
            "key": original.key.as_deref().map(text_or_hex),
            "headers": headers(&original.headers),
            "pointer": self.is_pointer,
            "event": decoded,
            "raw": raw,
            "outlook": self.outlook_json(),
        })
    }

    fn outlook_json(&self) -> Value {
        let rejected = |rejection: &Rejection| {
            json!({"reason": rejection.reason.label(), "detail": rejection.detail,
                "rule": rejection.rule.as_deref()})
        };
        let (skipped, parts) = match &self.verdict {
            None => return Value::Null,
            Some(Verdict::Skip(_)) => (true, Vec::new()),
            Some(Verdict::Reject(rejection)) => {
                (false, vec![json!({"rejected": rejected(rejection)})])
            }
            Some(Verdict::Deliver(parts)) => {
                let told = parts.iter().map(|part| match part {
                    Ok(message) => {
                        let (kind, id) = recipient(&message.recipient);
                        json!({"rule": &*message.rule, "channel": &*message.channel.name,
                            "recipient": {kind: id}, "text": message.text.as_str(),
                            "expires_at": times::shown(message.deadline),
                            "expired": message.deadline <= self.now})
                    }
                    Err(rejection) => json!({"rejected": rejected(rejection)}),
                });
                (false, told.collect())
            }
        };
        json!({"skipped": skipped, "messages": parts})
    }
}

fn recipient(recipient: &Recipient) -> (&'static str, &str) {
    match recipient {
        Recipient::Contact(id) => ("contactId", id),
        Recipient::LineUser(id) => ("platformUserId", id),
    }
}

fn set_aside(Rejection { reason, detail, .. }: &Rejection) -> String {
    format!("set aside again: {}: {}", reason.label(), on_one_line(detail))
}

fn field(name: &str, value: &str) -> String {
    format!("  {name:<14} {value}")
}

fn shown_value(header: &Header) -> String {
    header.value.as_deref().map_or_else(|| "none".to_owned(), text_or_hex)
}

/// On one line: as text where it is one, else its first bytes.
fn text_or_hex(bytes: &[u8]) -> String {
    if let Ok(text) = std::str::from_utf8(bytes) {
        return on_one_line(text);
    }
    let shown = bytes.iter().take(HEX).map(|byte| format!("{byte:02x}"));
    let more = if bytes.len() > HEX { " …" } else { "" };
    format!("{} bytes: {}{more}", bytes.len(), shown.collect::<Vec<_>>().join(" "))
}

/// JSON laid out; anything else as it is, as far as it can be shown.
fn pretty(event: &[u8]) -> String {
    let laid_out = serde_json::from_slice::<Value>(event).ok();
    let laid_out = laid_out.and_then(|event| serde_json::to_string_pretty(&event).ok());
    laid_out.unwrap_or_else(|| text_or_hex(event))
}

#[cfg(test)]
mod tests;
