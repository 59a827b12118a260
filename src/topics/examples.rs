//! The examples of a topic's configuration, decided like any record: at their own time, so that
//! they come out the same every day.

use std::fmt::Write as _;
use std::fs::File;
use std::io::{self, Read as _};
use std::path::Path;

use super::Compiled;
use crate::config::{Example, ExampleEvent, ExpectedPart, Locations, Mistake, Strictness, Topic};
use crate::domain::dead_letter::Rejection;
use crate::domain::message::{Message, Recipient, Verdict};
use crate::domain::record::{Header, Record, RecordOffset, TopicPartition};
use crate::domain::words::{file_reason, quoted};
use crate::schema::VALUE_LIMIT;

/// What became of an event: a part for each message or dead letter, none where it was skipped.
type Parts = Vec<Result<Message, Rejection>>;

/// A mistake for every example that comes out otherwise than expected.
pub(super) fn run(
    topic: &Topic,
    compiled: &Compiled,
    locations: &Locations,
    strictness: Strictness,
) -> Vec<Mistake> {
    let mut mistakes = Vec::new();
    for example in &topic.examples {
        let mut add = |key, message: String| {
            mistakes.push(locations.mistake_in_example(
                &topic.name,
                example.position,
                key,
                message,
            ));
        };
        match record(topic, example) {
            Err(error) => add("event", file_reason(&error)),
            Ok(record) => {
                let parts = match compiled.decide(&record).verdict {
                    Verdict::Skip(_) => Vec::new(),
                    Verdict::Reject(rejection) => vec![Err(rejection)],
                    Verdict::Deliver(parts) => parts,
                };
                if let Some(message) = objection(&example.expected, &parts, strictness) {
                    add("expect", message);
                }
            }
        }
    }
    mistakes
}

fn record(topic: &Topic, example: &Example) -> io::Result<Record> {
    let value = match &example.event {
        ExampleEvent::File(path) => read(path)?,
        ExampleEvent::Inline(event) => event.to_string().into_bytes(),
    };
    let header = |(name, value): &(String, String)| Header {
        name: name.clone(),
        value: Some(value.clone().into_bytes()),
    };
    Ok(Record {
        source: TopicPartition { topic: topic.name.clone(), partition: 0 },
        offset: RecordOffset(0),
        timestamp: example.timestamp,
        key: example.key.clone().map(String::into_bytes),
        value: Some(value),
        headers: example.headers.iter().map(header).collect(),
    })
}

/// One byte more than an event may have is enough to see that it has too many.
fn read(path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let most = u64::try_from(VALUE_LIMIT).unwrap_or(u64::MAX).saturating_add(1);
    File::open(path)?.take(most).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// What is not as expected. An example may hold what a customer has been sent, so only `check`
/// shows texts and recipients.
fn objection(expected: &[ExpectedPart], parts: &Parts, strictness: Strictness) -> Option<String> {
    let as_expected = expected.len() == parts.len()
        && expected.iter().zip(parts).all(|(expected, part)| is_met(expected, part));
    if as_expected {
        return None;
    }
    if strictness == Strictness::Run {
        return Some(
            "the example gives a different result; `line-bridge check` shows both".to_owned(),
        );
    }
    let wanted = listed(expected.iter().map(wanted));
    let given = listed(parts.iter().zip(wider(expected)).map(|(part, by)| given(part, by)));
    let slip = expected.iter().find_map(ExpectedPart::is_slip_of);
    let hint = slip.map_or(String::new(), |word| format!("; did you mean `{word}`?"));
    Some(format!("expected {wanted}; the rules give {given}{hint}"))
}

/// What each part is compared by; nothing for those that were not expected.
fn wider(expected: &[ExpectedPart]) -> impl Iterator<Item = Option<&ExpectedPart>> {
    expected.iter().map(Some).chain(std::iter::repeat(None))
}

fn is_met(expected: &ExpectedPart, part: &Result<Message, Rejection>) -> bool {
    let same = |wanted: &Option<String>, found: Option<&str>| {
        wanted.as_deref().is_none_or(|wanted| Some(wanted) == found)
    };
    match part {
        Err(rejection) => {
            expected.reason == Some(rejection.reason)
                && same(&expected.rule, rejection.rule.as_deref())
        }
        Ok(message) => {
            let (contact, user) = match &message.recipient {
                Recipient::Contact(id) => (Some(&**id), None),
                Recipient::LineUser(id) => (None, Some(&**id)),
            };
            expected.reason.is_none()
                && same(&expected.message, Some(message.text.as_str()))
                && same(&expected.rule, Some(&message.rule))
                && same(&expected.channel, Some(&message.channel.name))
                && same(&expected.contact, contact)
                && same(&expected.user, user)
        }
    }
}

fn wanted(part: &ExpectedPart) -> String {
    let ExpectedPart { reason, message, rule, channel, contact, user } = part;
    let quoted = |name: &str, text: &Option<String>| {
        text.as_ref().map(|text| format!("{name}{}", quoted(text)))
    };
    let all = [
        reason.map(|reason| format!("the dead letter `{}`", reason.label())),
        quoted("the text ", message),
        quoted("the rule ", rule),
        quoted("the channel ", channel),
        quoted("the contact ", contact),
        quoted("the user ", user),
    ];
    all.into_iter().flatten().collect::<Vec<_>>().join(" with ")
}

/// Of a message what it was compared by, and its text and rule.
fn given(part: &Result<Message, Rejection>, by: Option<&ExpectedPart>) -> String {
    match part {
        Err(rejection) => {
            let of_rule = rejection.rule.as_ref();
            let of_rule =
                of_rule.map_or(String::new(), |rule| format!(" of the rule {}", quoted(rule)));
            format!("the dead letter `{}`{of_rule}: {}", rejection.reason.label(), rejection.detail)
        }
        Ok(message) => {
            let mut shown = format!(
                "the text {} of the rule {}",
                quoted(message.text.as_str()),
                quoted(&message.rule)
            );
            if by.is_some_and(|by| by.channel.is_some()) {
                let _ = write!(shown, " with the channel {}", quoted(&message.channel.name));
            }
            if by.is_some_and(|by| by.contact.is_some() || by.user.is_some()) {
                let _ = match &message.recipient {
                    Recipient::Contact(id) => write!(shown, " with the contact {}", quoted(id)),
                    Recipient::LineUser(id) => write!(shown, " with the user {}", quoted(id)),
                };
            }
            shown
        }
    }
}

fn listed(parts: impl Iterator<Item = String>) -> String {
    let parts: Vec<String> = parts.collect();
    match parts.as_slice() {
        [] => "nothing (`skip`)".to_owned(),
        [one] => one.clone(),
        several => several.join(", then "),
    }
}
