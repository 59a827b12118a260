//! One topic's `examples`: events, and what the schema and the rules are to make of them.

use std::path::PathBuf;

use serde_json::{Map, Number, Value as Json};

use super::Strictness;
use super::fields::{Fields, Item};
use super::mistake::Place;
use super::reader::{Reader, Refusal};
use super::topics::{Channels, Missing, existing_file};
use super::tree::{Kind, Node, place};
use crate::domain::clock::Timestamp;
use crate::domain::dead_letter::Reason;
use crate::domain::rules::time_of;
use crate::domain::words::nearest;

/// An event, and what is expected of it.
#[derive(Clone, Debug)]
pub struct Example {
    pub event: ExampleEvent,
    /// What is known of its record, besides the value.
    pub key: Option<String>,
    pub headers: Vec<(String, String)>,
    /// Of the record: the beginning of 1970 where none is given.
    pub timestamp: Timestamp,
    /// A part for each message or dead letter; none where the event is skipped.
    pub expected: Vec<ExpectedPart>,
    /// Where in the file's list it stands.
    pub position: usize,
}

#[derive(Clone, Debug)]
pub enum ExampleEvent {
    /// Joined with the configuration's folder.
    File(PathBuf),
    Inline(Json),
}

/// What is expected of one message or dead letter; what is left out is not compared.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ExpectedPart {
    pub reason: Option<Reason>,
    pub message: Option<String>,
    pub rule: Option<String>,
    pub channel: Option<String>,
    pub contact: Option<String>,
    pub user: Option<String>,
}

impl ExpectedPart {
    /// The word that a text is most likely a slip of: it is itself a text that could be sent, so
    /// only whoever finds that it is not can tell.
    pub fn is_slip_of(&self) -> Option<&'static str> {
        nearest(self.message.as_deref()?, labels().into_iter().chain([SKIP]))
    }
}

/// What is expected of an event that no rule takes.
const SKIP: &str = "skip";

/// The reasons that show when an event is decided, before anything is sent.
const REASONS: [Reason; 5] = [
    Reason::Undecodable,
    Reason::Schema,
    Reason::NoRule,
    Reason::RuleError,
    Reason::InvalidMessage,
];

const EXAMPLES: &str = "a list of examples, each with its event and what to expect";
const EVENT: &str = "the path of a JSON file, or the event itself";
const EXPECT: &str = "`skip`, the reason of a dead letter, the text of the message, a map of \
                      message, rule, channel, to and reason, or a list of such";

pub(super) fn read(
    reader: &mut Reader<'_>,
    item: &Item<'_>,
    rules: &[&str],
    channels: &Channels,
) -> Vec<Example> {
    let items = reader.list(item, EXAMPLES);
    let known = Known { rules, channels };
    let read = |(at, item)| read_example(reader, at, item, &known);
    items.iter().enumerate().filter_map(read).collect()
}

/// The names that an example may speak of.
struct Known<'k> {
    rules: &'k [&'k str],
    channels: &'k Channels,
}

fn read_example(
    reader: &mut Reader<'_>,
    position: usize,
    item: &Item<'_>,
    known: &Known<'_>,
) -> Option<Example> {
    if !item.is_map() {
        reader.expected(item, "an example, which is a map of event and expect", "something else");
        return None;
    }
    let before = reader.found_so_far();
    let fields = reader.fields(item, &["name", "event", "record", "expect"]);
    if let Some(name) = fields.get("name") {
        reader.text(&name, "a name for the example");
    }
    let record = reader.section(&fields, "record", &["key", "headers", "timestamp"]);
    let text = "a text";
    let key = record.get("key").map(|item| reader.text(&item.verbatim(), text));
    let mut headers = Vec::new();
    if let Some(section) = record.get("headers") {
        for header in reader.entries(&section, "a map of header names to texts") {
            let value = reader.text(&header.item.verbatim(), text);
            headers.push((header.name.to_owned(), value));
        }
    }
    let timestamp = record.get("timestamp");
    let timestamp = timestamp.map_or(Timestamp(0), |item| timestamp_of(reader, &item));
    let event = reader.require(&fields, "event", EVENT).and_then(|item| event(reader, &item));
    let expected = reader
        .require(&fields, "expect", EXPECT)
        .and_then(|item| expected(reader, &item.verbatim(), known));
    let example = Example { event: event?, key, headers, timestamp, expected: expected?, position };
    // One with a mistake in it would come out otherwise for no other reason.
    (reader.found_so_far() == before).then_some(example)
}

fn timestamp_of(reader: &mut Reader<'_>, item: &Item<'_>) -> Timestamp {
    let expected = "a time such as 2026-03-03T10:00:00+07:00, or whole milliseconds since 1970";
    let time = json(item.node).ok().and_then(|value| time_of(&value));
    if time.is_none() {
        reader.error(item, format!("expected {expected}"));
    }
    time.unwrap_or(Timestamp(0))
}

fn event(reader: &mut Reader<'_>, item: &Item<'_>) -> Option<ExampleEvent> {
    match &item.node.value {
        Kind::Text(_) => {
            // Where the service runs, the files of its tests need not be.
            let missing = match reader.strictness {
                Strictness::Run | Strictness::Part => Missing::IsPassedOver,
                Strictness::Check => Missing::IsMistake,
            };
            existing_file(reader, item, EVENT, missing).map(ExampleEvent::File)
        }
        Kind::Null => {
            reader.expected(item, EVENT, "nothing");
            None
        }
        Kind::Bool(_) | Kind::Whole(_) | Kind::Float(_) | Kind::List(_) | Kind::Map(_) => {
            match json(item.node) {
                Ok(event) => Some(ExampleEvent::Inline(event)),
                Err((place, message)) => {
                    reader.report(super::Severity::Error, place, &item.path, message);
                    None
                }
            }
        }
    }
}

/// The value as JSON; a key that stands twice is a mistake at its second place.
fn json(node: &Node) -> Result<Json, (Place, &'static str)> {
    Ok(match &node.value {
        Kind::Null => Json::Null,
        Kind::Bool(value) => Json::Bool(*value),
        Kind::Whole(value) => match (i64::try_from(*value), u64::try_from(*value)) {
            (Ok(value), _) => value.into(),
            (Err(_), Ok(value)) => value.into(),
            (Err(_), Err(_)) => return Err((place(node), "the number is too large")),
        },
        Kind::Float(value) => Number::from_f64(*value).map_or(Json::Null, Json::Number),
        Kind::Text(text) => Json::String(text.clone()),
        Kind::List(items) => items.iter().map(json).collect::<Result<Json, _>>()?,
        Kind::Map(entries) => {
            let mut object = Map::new();
            for (key, value) in entries {
                if object.insert(key.value.clone(), json(value)?).is_some() {
                    return Err((place(key), "duplicate key of the event"));
                }
            }
            Json::Object(object)
        }
    })
}

fn expected(
    reader: &mut Reader<'_>,
    item: &Item<'_>,
    known: &Known<'_>,
) -> Option<Vec<ExpectedPart>> {
    if matches!(item.node.value, Kind::List(_)) {
        let items = reader.list(item, EXPECT);
        let parts: Vec<_> = items.iter().map(|item| part(reader, item, known)).collect();
        return parts.into_iter().collect();
    }
    if matches!(&item.node.value, Kind::Text(text) if text == SKIP) {
        return Some(Vec::new());
    }
    part(reader, item, known).map(|part| vec![part])
}

fn part(reader: &mut Reader<'_>, item: &Item<'_>, known: &Known<'_>) -> Option<ExpectedPart> {
    if item.is_map() {
        let fields = reader.fields(item, &["message", "rule", "channel", "to", "reason"]);
        return described(reader, item, &fields, known);
    }
    let text = reader.read(item, EXPECT, |given| {
        let text = given.text().filter(|text| !text.is_empty()).ok_or(Refusal::OtherForm)?;
        let label = Reason::ALL.into_iter().find(|reason| reason.label() == text);
        if label.is_some_and(|reason| !REASONS.contains(&reason)) {
            return Err(Refusal::Because(format!(
                "`{text}` occurs only when a message is sent; an example can expect {}",
                labels().join(", ")
            )));
        }
        Ok((text.to_owned(), label))
    });
    text.map(|(text, reason)| match reason {
        Some(reason) => ExpectedPart { reason: Some(reason), ..ExpectedPart::default() },
        None => ExpectedPart { message: Some(text), ..ExpectedPart::default() },
    })
}

fn described(
    reader: &mut Reader<'_>,
    item: &Item<'_>,
    fields: &Fields<'_>,
    known: &Known<'_>,
) -> Option<ExpectedPart> {
    let words = REASONS.map(|reason| (reason.label(), reason));
    let mut part = ExpectedPart {
        reason: fields.get("reason").and_then(|item| reader.choice(&item, &words)),
        message: fields.get("message").map(|item| reader.text(&item, "the text of the message")),
        ..ExpectedPart::default()
    };
    if let Some(rule) = fields.get("rule") {
        let name = reader.text(&rule, "the name of one of the topic's rules");
        if !name.is_empty() && !known.rules.contains(&name.as_str()) {
            reader.unknown_name(&rule, "rule", &name, known.rules.iter().copied());
        }
        part.rule = Some(name);
    }
    if let Some(channel) = fields.get("channel") {
        let name = reader.text(&channel, "the name of one of `channels`");
        if !name.is_empty() && !known.channels.contains_key(name.as_str()) {
            reader.unknown_name(
                &channel,
                "channel",
                &name,
                known.channels.keys().map(AsRef::as_ref),
            );
        }
        part.channel = Some(name);
    }
    if let Some(to) = fields.get("to") {
        let to = reader.fields(&to, &["contact", "user"]);
        part.contact = to.get("contact").map(|item| reader.text(&item, "a `contactId`"));
        part.user = to.get("user").map(|item| reader.text(&item, "a LINE user id"));
    }
    let of_message = ["message", "channel", "to"].iter().any(|key| fields.get(key).is_some());
    if part.reason.is_some() && of_message {
        reader.error(item, "a dead letter has a `reason` and at most a `rule`");
        return None;
    }
    if part == ExpectedPart::default() {
        reader.expected(item, EXPECT, "nothing to compare");
        return None;
    }
    Some(part)
}

fn labels() -> [&'static str; 5] {
    REASONS.map(Reason::label)
}
