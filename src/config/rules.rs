//! One topic's `rules`. Expressions and templates stay text; whoever compiles them reports their
//! mistakes through [`Locations`](super::Locations).

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use crate::domain::message::{Channel, OnAmbiguous};
use crate::domain::rules::{ChannelSource, EXPIRES_AFTER, Expiry, RecipientSource, RuleSource};

use super::fields::{Fields, Item};
use super::mistake::Place;
use super::reader::{Given, Reader, Refusal};
use super::topics::{Channels, is_paused};

const KEYS: [&str; 10] = [
    "name",
    "when",
    "channel",
    "to",
    "message",
    "expires_after",
    "expires_at",
    "on_ambiguous",
    "continue",
    "paused",
];
const SECOND: Duration = Duration::from_secs(1);
const YEAR: Duration = Duration::from_hours(365 * 24);

const NAME: &str = "the rule's name: a line of up to 100 characters";
const TO: &str = "{contact: EXPRESSION} or {user: EXPRESSION}";
const MESSAGE: &str = "the text of the message, a template";
/// An expression that nothing is said of, for one that has a mistake already.
const STAND_IN: &str = "record.key";
const CHANNEL: &str = "the name of one of `channels` or {from: EXPRESSION}";

/// The rules with their places in the list, and the names of those that are paused.
pub(super) fn read(
    reader: &mut Reader<'_>,
    items: &[Item<'_>],
    channels: &Channels,
) -> (Vec<(usize, RuleSource)>, BTreeSet<Arc<str>>) {
    let mut names = BTreeMap::new();
    let mut rules = Vec::new();
    let mut paused = BTreeSet::new();
    for (at, item) in items.iter().enumerate() {
        if let Some((rule, is_paused)) = read_rule(reader, item, channels, &mut names) {
            if is_paused {
                paused.insert(Arc::clone(&rule.name));
            }
            rules.push((at, rule));
        }
    }
    (rules, paused)
}

/// The rule, and whether it is paused; `None` where it is no rule at all.
fn read_rule(
    reader: &mut Reader<'_>,
    item: &Item<'_>,
    channels: &Channels,
    names: &mut BTreeMap<String, Place>,
) -> Option<(RuleSource, bool)> {
    if !item.is_map() {
        reader.expected(
            item,
            "a rule, which is a map of name, channel, to and message",
            "something else",
        );
        return None;
    }
    let fields = reader.fields(item, &KEYS);
    // Each is read before any is missed, so that every mistake of the rule is told.
    let name = reader.require(&fields, "name", NAME).map(|item| name(reader, &item, names));
    let when = fields.get("when").map(|item| when(reader, &item));
    // A condition that is not known yet takes nothing from the rules after it.
    let is_open = when.as_ref().is_some_and(|when| when.trim().is_empty());
    let channel = channel(reader, &fields, channels);
    let to = reader.require(&fields, "to", TO).and_then(|item| to(reader, &item));
    let message = reader.require(&fields, "message", MESSAGE).map(|item| message(reader, &item));
    let expires = expires(reader, &fields);
    let words = [("retry", OnAmbiguous::Retry), ("dead_letter", OnAmbiguous::DeadLetter)];
    let on_ambiguous = fields.get("on_ambiguous").and_then(|item| reader.choice(&item, &words));
    let continues = fields.get("continue").and_then(|item| reader.boolean(&item));
    let is_paused = is_paused(reader, &fields);
    // What has a mistake is stood in for, so that the mistakes in the rest are told as well.
    let or = |text: Option<String>, other: &str| match text {
        Some(text) if !text.trim().is_empty() => text,
        Some(_) | None => other.to_owned(),
    };
    let no_channel = || ChannelSource::Fixed(Channel { name: "".into(), id: "".into() });
    let rule = RuleSource {
        name: Arc::from(name.unwrap_or_default()),
        when: when.map(|when| or(Some(when), STAND_IN)),
        channel: channel.unwrap_or_else(no_channel),
        to: to.unwrap_or_else(|| RecipientSource::Contact(STAND_IN.to_owned())),
        message: or(message, "…"),
        expires,
        on_ambiguous: on_ambiguous.unwrap_or_default(),
        continues: is_open || continues.unwrap_or(false),
    };
    Some((rule, is_paused))
}

/// A rule's name is a metrics label and a dead-letter header, so it is one short line.
fn name(reader: &mut Reader<'_>, item: &Item<'_>, names: &mut BTreeMap<String, Place>) -> String {
    let name = reader.text_where(item, NAME, |name| {
        name.chars().count() <= 100 && !name.chars().any(char::is_control)
    });
    if name.is_empty() {
        return name;
    }
    if let Some(first) = names.get(&name) {
        let message =
            format!("duplicate rule name; the rule on line {} already has it", first.line);
        reader.error(item, message);
    } else {
        names.insert(name.clone(), item.place());
    }
    name
}

fn message(reader: &mut Reader<'_>, item: &Item<'_>) -> String {
    if reader.is_cut_short(item) {
        reader.warn(
            item,
            "the text ends before the `#`: after a space it begins a comment in YAML; quote the text",
        );
    }
    reader.text(item, MESSAGE)
}

fn when(reader: &mut Reader<'_>, item: &Item<'_>) -> String {
    let expected = "an expression such as event.status == \"shipped\"";
    let read = reader.read(item, expected, |given| match given {
        Given::Bool(value) => Ok(value.to_string()),
        Given::Text { text, .. } if !text.trim().is_empty() => Ok(text.clone().into_owned()),
        Given::Text { .. } | Given::Whole(_) | Given::Float(_) => Err(Refusal::OtherForm),
    });
    read.unwrap_or_default()
}

fn channel(
    reader: &mut Reader<'_>,
    fields: &Fields<'_>,
    channels: &Channels,
) -> Option<ChannelSource> {
    let Some(item) = fields.get("channel") else {
        // With one channel there is nothing to choose.
        let mut all = channels.values();
        if let (Some(only), None) = (all.next(), all.next()) {
            return Some(ChannelSource::Fixed(only.clone()));
        }
        reader.missing(fields, "channel", CHANNEL);
        return None;
    };
    if item.is_map() {
        let fields = reader.fields(&item, &["from"]);
        let expected = "an expression that gives the name of one of `channels`";
        let from = reader.require(&fields, "from", expected)?;
        if channels.is_empty() {
            reader.error(
                &from,
                "`channels` is empty, so no channel can be chosen; add the channels there",
            );
        }
        return Some(ChannelSource::From(reader.text(&from, expected)));
    }
    let name = reader.text(&item, CHANNEL);
    if let Some(channel) = channels.get(name.as_str()) {
        return Some(ChannelSource::Fixed(channel.clone()));
    }
    if !name.trim().is_empty() {
        reader.unknown_name(&item, "channel", &name, channels.keys().map(AsRef::as_ref));
    }
    None
}

fn to(reader: &mut Reader<'_>, item: &Item<'_>) -> Option<RecipientSource> {
    if !item.is_map() {
        reader.error(item, format!("expected {TO}"));
        return None;
    }
    let fields = reader.fields(item, &["contact", "user"]);
    let expected = "an expression that gives the recipient, such as event.customer.contactId";
    let contact = fields.get("contact").map(|item| reader.text(&item, expected));
    let user = fields.get("user").map(|item| reader.text(&item, expected));
    // What is empty here has its mistake already.
    let given = |text: &String| !text.trim().is_empty();
    match (contact, user) {
        (Some(contact), None) => Some(contact).filter(given).map(RecipientSource::Contact),
        (None, Some(user)) => Some(user).filter(given).map(RecipientSource::LineUser),
        (Some(_), Some(_)) | (None, None) => {
            reader.error(item, format!("expected exactly one of `contact` and `user`: {TO}"));
            None
        }
    }
}

fn expires(reader: &mut Reader<'_>, fields: &Fields<'_>) -> Expiry {
    let after = fields.get("expires_after");
    let at = fields.get("expires_at");
    if let (Some(_), Some(at)) = (&after, &at) {
        reader.error(at, "a rule has `expires_after` or `expires_at`, not both");
    }
    let after = after.and_then(|item| reader.duration(&item, SECOND..=YEAR));
    let at = at.map(|item| reader.text(&item, "an expression such as event.startsAt"));
    at.map_or_else(|| Expiry::After(after.unwrap_or(EXPIRES_AFTER)), Expiry::At)
}
