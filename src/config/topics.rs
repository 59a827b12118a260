//! The sections `channels` and `topics`.

use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use crate::domain::message::Channel;
use crate::domain::paused::Paused;
use crate::domain::rules::{RuleSource, TopicRules, Unmatched};
use crate::domain::words::file_reason;

use super::examples::{self, Example};
use super::fields::{Fields, Item};
use super::kafka::{TOPIC_NAME, is_topic_name};
use super::mistake::Severity;
use super::reader::{Reader, Refusal};
use super::rules;

/// The channels by their names.
pub type Channels = BTreeMap<Arc<str>, Channel>;

/// A topic that events come from.
#[derive(Clone, Debug)]
pub struct Topic {
    pub name: Arc<str>,
    /// The file of its JSON Schema, joined with the configuration's folder; empty beside a mistake.
    pub schema: PathBuf,
    pub rules: TopicRules,
    /// Where in the file's list each of the rules stands: one with a mistake is left out.
    pub positions: Vec<usize>,
    pub examples: Vec<Example>,
}

const CHANNELS: &str = "a map of channel names to channel ids";
const CHANNEL_ID: &str = "a channel's id";

pub(super) fn read_channels(
    reader: &mut Reader<'_>,
    root: &Fields<'_>,
    paused: &mut Paused,
) -> Channels {
    let mut channels = Channels::new();
    let Some(section) = root.get("channels") else { return channels };
    let mut ids: BTreeMap<String, &str> = BTreeMap::new();
    for named in reader.entries(&section, CHANNELS) {
        if !is_channel_name(named.name) {
            let message = "a channel's name has 1 to 100 letters (a-z, A-Z), digits, `-` or `_`";
            reader.report(Severity::Error, named.name_place, &named.item.path, message);
        }
        let (id_item, is_paused) = channel_id(reader, &named.item);
        let id = id_item.map(|item| reader.text(&item, CHANNEL_ID));
        let id = id.unwrap_or_default();
        if !id.is_empty() {
            if let Some(first) = ids.get(&id) {
                reader.error(&named.item, format!("the channel `{first}` has this id already"));
            } else {
                ids.insert(id.clone(), named.name);
            }
        }
        let name: Arc<str> = named.name.into();
        if is_paused {
            paused.channels.insert(name.clone());
        }
        channels.insert(name.clone(), Channel { name, id: id.into() });
    }
    channels
}

/// The id itself, or the one of a map, and whether the channel is paused.
fn channel_id<'n>(reader: &mut Reader<'_>, item: &Item<'n>) -> (Option<Item<'n>>, bool) {
    if !item.is_map() {
        return (Some(item.clone()), false);
    }
    let fields = reader.fields(item, &["id", "paused"]);
    let paused = is_paused(reader, &fields);
    (reader.require(&fields, "id", CHANNEL_ID), paused)
}

/// Whether a channel, a topic or a rule is held back.
pub(super) fn is_paused(reader: &mut Reader<'_>, fields: &Fields<'_>) -> bool {
    fields.get("paused").and_then(|item| reader.boolean(&item)).unwrap_or(false)
}

fn is_channel_name(name: &str) -> bool {
    let allowed = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    (1..=100).contains(&name.len()) && name.chars().all(allowed)
}

const TOPICS: &str = "a map of topic names, each with its schema and rules";
const SCHEMA: &str = "the path of the topic's JSON Schema";
const RULES: &str = "a list of at least one rule";

pub(super) fn read_topics(
    reader: &mut Reader<'_>,
    root: &Fields<'_>,
    channels: &Channels,
    paused: &mut Paused,
) -> BTreeMap<Arc<str>, Topic> {
    let mut topics = BTreeMap::new();
    let Some(section) = reader.require(root, "topics", TOPICS) else { return topics };
    let entries = reader.entries(&section, TOPICS);
    if entries.is_empty() && section.is_empty_map() {
        reader.error(&section, format!("expected {TOPICS}, found none"));
    }
    for named in entries {
        if !is_topic_name(named.name) {
            let message = format!("expected {TOPIC_NAME}");
            reader.report(Severity::Error, named.name_place, &named.item.path, message);
        }
        let name: Arc<str> = named.name.into();
        let topic = read_topic(reader, name.clone(), &named.item, channels, paused);
        topics.insert(name, topic);
    }
    topics
}

fn read_topic(
    reader: &mut Reader<'_>,
    name: Arc<str>,
    item: &Item<'_>,
    channels: &Channels,
    paused: &mut Paused,
) -> Topic {
    let keys = ["schema", "rules", "event_time", "unmatched", "examples", "paused"];
    let before = reader.found_so_far();
    let fields = reader.fields(item, &keys);
    if is_paused(reader, &fields) {
        paused.topics.insert(Arc::clone(&name));
    }
    let schema = reader.require(&fields, "schema", SCHEMA);
    let rules = reader.require(&fields, "rules", RULES);
    let event_time = fields.get("event_time");
    let rules = rules
        .map(|item| reader.list(&item.verbatim(), RULES))
        .map(|items| {
            let (rules, held) = rules::read(reader, &items, channels);
            if !held.is_empty() {
                paused.rules.insert(Arc::clone(&name), held);
            }
            rules
        })
        .unwrap_or_default();
    let (positions, rules): (Vec<usize>, Vec<RuleSource>) = rules.into_iter().unzip();
    let names: Vec<&str> = rules.iter().map(|rule| &*rule.name).collect();
    let is_sound = reader.found_so_far() == before;
    let examples = fields
        .get("examples")
        .map(|item| examples::read(reader, &item, &names, channels))
        .unwrap_or_default();
    let words = [("skip", Unmatched::Skip), ("dead_letter", Unmatched::DeadLetter)];
    Topic {
        name,
        schema: schema
            .and_then(|item| existing_file(reader, &item, SCHEMA, Missing::IsMistake))
            .unwrap_or_default(),
        rules: TopicRules {
            event_time: event_time.map(|item| {
                reader.text(&item.verbatim(), "an expression such as event.occurredAt")
            }),
            unmatched: fields
                .get("unmatched")
                .and_then(|item| reader.choice(&item, &words))
                .unwrap_or_default(),
            rules,
        },
        positions,
        // With a mistake in the rules, they would come out otherwise for no other reason.
        examples: if is_sound { examples } else { Vec::new() },
    }
}

/// What to think of a file that is not there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Missing {
    IsMistake,
    IsPassedOver,
}

/// The path as joined, once the file is known to be there. What it holds is checked elsewhere.
pub(super) fn existing_file(
    reader: &mut Reader<'_>,
    item: &Item<'_>,
    expected: &str,
    missing: Missing,
) -> Option<PathBuf> {
    let text = reader.read(item, expected, |given| {
        let text = given.text().filter(|text| !text.trim().is_empty());
        text.map(str::to_owned).ok_or(Refusal::OtherForm)
    })?;
    let path = reader.folder.join(text.trim());
    // Looked at before it is opened: a pipe would be waited for.
    let opened = std::fs::metadata(&path).and_then(|found| {
        if found.is_file() {
            File::open(&path).map(drop)
        } else {
            Err(io::Error::other("it is not a file"))
        }
    });
    if let Err(error) = opened {
        if missing == Missing::IsPassedOver && error.kind() == io::ErrorKind::NotFound {
            return None;
        }
        // As written: what the environment put in is not shown.
        reader.error(item, format!("{}: {}", item.written().escape_debug(), file_reason(&error)));
        return None;
    }
    Some(path)
}
