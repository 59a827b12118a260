//! A dead letter, read back: from its topic, or from the redrive topic on its way to a second try.

use std::fmt;
use std::sync::Arc;

use super::clock::Timestamp;
use super::dead_letter::{HEADER_PREFIX, Reason};
use super::record::{Header, Record, RecordOffset, TopicPartition};

/// So often a dead letter may be redriven at all. An operator's own limit is far below it; this one
/// ends what a script repeats for ever.
pub const REDRIVES_LIMIT: u32 = 100;

/// The header that begins those of the bridge. What stands before it is the record's own, whatever
/// it is called: a producer can write any header, but none behind those that the bridge adds.
const FIRST: &str = "reason";

/// On the redrive topic: the dead letter that is redriven.
const DEAD_LETTER: &str = "dead-letter";

/// On the redrive topic: `true` where deadlines that have passed are to be forgotten.
const IGNORE_EXPIRY: &str = "ignore-expiry";

/// `true` where the customer may have had the message before the last redrive.
const MAY_REPEAT: &str = "may-repeat";

/// The longest name of a topic that Kafka takes, in bytes.
const TOPIC_LIMIT: usize = 249;

/// Where a record stands.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Place {
    pub source: TopicPartition,
    pub offset: RecordOffset,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}", self.source, self.offset.0)
    }
}

/// What a dead letter tells. Its `Debug` shows where it stands and never what is in it.
#[derive(Clone, PartialEq, Eq)]
pub struct Letter {
    /// Where it stands itself.
    pub place: Place,
    /// When it was set aside or, on the redrive topic, redriven.
    pub at: Timestamp,
    /// The record as it was, where it was. Without a value it is a pointer: the record was too
    /// large to be set aside as a whole.
    pub original: Record,
    pub reason: Reason,
    pub detail: String,
    /// The consumer group of the bridge that set it aside.
    pub group: Option<String>,
    /// The rule whose message it is, where the event had come to one.
    pub rule: Option<Arc<str>>,
    /// How often it has been redriven, this time included.
    pub redrives: u32,
    /// The headers that the bridge has added, as they are.
    pub added: Vec<Header>,
}

impl fmt::Debug for Letter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Letter({})", self.place)
    }
}

/// Why a record is not a dead letter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotALetter {
    #[error("it has no header `{HEADER_PREFIX}{0}`")]
    Missing(&'static str),
    #[error("its header `{HEADER_PREFIX}{0}` is not as line-bridge writes it")]
    Unreadable(&'static str),
}

impl Letter {
    /// Reads the headers that the bridge has added, and believes them: only for a record of the
    /// dead-letter topic or the redrive topic.
    pub fn read(record: Record) -> Result<Self, NotALetter> {
        let Record { source, offset, timestamp, key, value, mut headers } = record;
        let first = headers.iter().rposition(|header| short(header) == Some(FIRST));
        let added = Added(headers.split_off(first.ok_or(NotALetter::Missing(FIRST))?));
        let of_topic = |name: &str| {
            let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
            (1..=TOPIC_LIMIT).contains(&name.len()) && name.bytes().all(allowed)
        };
        let of_reason = |label: &str| Reason::ALL.into_iter().find(|one| one.label() == label);
        let from = TopicPartition {
            topic: added.needed("topic", |name| of_topic(name).then(|| name.into()))?,
            partition: added.needed("partition", |text| text.parse().ok().filter(|at| *at >= 0))?,
        };
        let from_offset = added.needed("offset", offset_of)?;
        let from_timestamp = added.needed("timestamp", |text| text.parse().ok())?;
        let text = |name| added.text(name).map(str::to_owned);
        Ok(Self {
            at: timestamp,
            reason: added.needed(FIRST, of_reason)?,
            detail: text("detail").unwrap_or_default(),
            group: text("group"),
            rule: added.optional("rule")?.map(Arc::from),
            redrives: added.needed("redrives", |text| text.parse().ok())?,
            original: Record {
                source: from,
                offset: from_offset,
                timestamp: Timestamp(from_timestamp),
                key,
                value,
                headers,
            },
            place: Place { source, offset },
            added: added.0,
        })
    }

    /// The value of one of the added headers, by its name without the prefix.
    pub fn told(&self, name: &str) -> Option<&str> {
        find(&self.added, name).and_then(as_text)
    }

    /// Whether the event is not in it, only where the event is.
    pub fn is_pointer(&self) -> bool {
        self.original.value.is_none()
    }

    /// Whether it was not found out if its rule matches. Then no rule after it was asked either. The
    /// detail begins with the rule's key that failed.
    pub fn ended_the_search(&self) -> bool {
        self.detail.starts_with("when:")
    }

    /// Whether its customer may have the message: nobody knows how its last attempts ended, or those
    /// before it was redriven.
    pub fn may_repeat(&self) -> bool {
        matches!(self.reason, Reason::Ambiguous | Reason::RetriesExhausted)
            || self.told(MAY_REPEAT) == Some("true")
    }

    /// Of a redriven one: the dead letter that it was.
    pub fn redriven_from(&self) -> Option<Place> {
        let (source, offset) = self.told(DEAD_LETTER)?.rsplit_once('@')?;
        let (topic, partition) = source.strip_suffix(']')?.rsplit_once('[')?;
        let source = TopicPartition { topic: topic.into(), partition: partition.parse().ok()? };
        Some(Place { source, offset: offset_of(offset)? })
    }

    /// Of a redriven one: whether a deadline that has passed is to be forgotten.
    pub fn ignores_expiry(&self) -> bool {
        self.told(IGNORE_EXPIRY) == Some("true")
    }

    /// The headers with which it goes to the redrive topic: its own, and those that were added,
    /// the redrive counted in. `may_repeat` says that its customer may have the message.
    pub fn redriven(&self, ignore_expiry: bool, may_repeat: bool) -> Vec<Header> {
        let replaced = ["redrives", DEAD_LETTER, IGNORE_EXPIRY, MAY_REPEAT];
        let may_repeat = may_repeat || self.may_repeat();
        let stays = |header: &&Header| short(header).is_none_or(|name| !replaced.contains(&name));
        let kept = self.original.headers.iter().chain(self.added.iter().filter(stays)).cloned();
        let new = [
            ("redrives", Some(self.redrives.saturating_add(1).to_string())),
            (DEAD_LETTER, Some(self.place.to_string())),
            (IGNORE_EXPIRY, ignore_expiry.then(|| "true".to_owned())),
            (MAY_REPEAT, may_repeat.then(|| "true".to_owned())),
        ];
        let new = new.into_iter().filter_map(|(name, value)| {
            let value = Some(value?.into_bytes());
            Some(Header { name: format!("{HEADER_PREFIX}{name}"), value })
        });
        kept.chain(new).collect()
    }
}

/// The headers that the bridge has added.
struct Added(Vec<Header>);

impl Added {
    fn text(&self, name: &str) -> Option<&str> {
        find(&self.0, name).and_then(as_text)
    }

    fn optional(&self, name: &'static str) -> Result<Option<&str>, NotALetter> {
        let Some(header) = find(&self.0, name) else { return Ok(None) };
        as_text(header).map(Some).ok_or(NotALetter::Unreadable(name))
    }

    fn needed<T>(
        &self,
        name: &'static str,
        read: impl Fn(&str) -> Option<T>,
    ) -> Result<T, NotALetter> {
        let text = self.optional(name)?.ok_or(NotALetter::Missing(name))?;
        read(text).ok_or(NotALetter::Unreadable(name))
    }
}

/// A header's name without the prefix of those that the bridge adds.
fn short(header: &Header) -> Option<&str> {
    header.name.strip_prefix(HEADER_PREFIX)
}

fn find<'h>(headers: &'h [Header], name: &str) -> Option<&'h Header> {
    headers.iter().rev().find(|header| short(header) == Some(name))
}

fn as_text(header: &Header) -> Option<&str> {
    std::str::from_utf8(header.value.as_deref()?).ok()
}

/// Kafka counts offsets in a signed 64-bit number.
fn offset_of(text: &str) -> Option<RecordOffset> {
    let offset = text.parse().ok().filter(|offset| i64::try_from(*offset).is_ok());
    offset.map(RecordOffset)
}

#[cfg(test)]
mod tests;
