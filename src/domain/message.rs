//! What LINE receives: channel, recipient and text.

use std::fmt;
use std::sync::Arc;

use super::clock::Timestamp;
use super::dead_letter::Rejection;
use super::record::Record;

/// The longest text LINE takes, in UTF-16 code units
/// (LINE Messaging API reference, *Text message*).
pub const TEXT_LIMIT: usize = 5_000;

/// A channel of the configuration. `name` is the operator's word for it and the metrics' label.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Channel {
    pub name: Arc<str>,
    /// The `channelId` of the API.
    pub id: Arc<str>,
}

/// Who receives a message. Its `Debug` tells the kind and never the id.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Recipient {
    /// The platform's contact, `contactId`.
    Contact(Arc<str>),
    /// The customer's LINE user id, `platformUserId`.
    LineUser(Arc<str>),
}

impl fmt::Debug for Recipient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Contact(_) => "Contact(…)",
            Self::LineUser(_) => "LineUser(…)",
        })
    }
}

/// Why a recipient or a text can't be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidMessage {
    #[error("`to.contact` is empty")]
    EmptyContact,
    #[error("`to.contact` is longer than 256 bytes or has a control character")]
    BadContact,
    #[error("`to.user` is not `U` and 32 lower-case hexadecimal digits")]
    BadLineUser,
    #[error("the text is empty")]
    EmptyText,
    #[error("the text has {units} UTF-16 code units; LINE takes at most {TEXT_LIMIT}")]
    TextTooLong { units: usize },
}

impl Recipient {
    /// A contact of the platform.
    pub fn contact(id: &str) -> Result<Self, InvalidMessage> {
        if id.trim().is_empty() {
            return Err(InvalidMessage::EmptyContact);
        }
        if id.len() > 256 || id.chars().any(char::is_control) {
            return Err(InvalidMessage::BadContact);
        }
        Ok(Self::Contact(id.into()))
    }

    /// A LINE user: `U` and 32 lower-case hexadecimal digits (LINE Messaging API reference).
    pub fn line_user(id: &str) -> Result<Self, InvalidMessage> {
        let hex = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
        match id.strip_prefix('U') {
            Some(digits) if digits.len() == 32 && digits.bytes().all(hex) => {
                Ok(Self::LineUser(id.into()))
            }
            Some(_) | None => Err(InvalidMessage::BadLineUser),
        }
    }
}

/// A text that LINE takes. Its `Debug` tells the length and never the text.
#[derive(Clone, PartialEq, Eq)]
pub struct Text(Arc<str>);

impl Text {
    /// Checks the text against LINE's limits: not empty, at most [`TEXT_LIMIT`] UTF-16 code units.
    pub fn new(text: &str) -> Result<Self, InvalidMessage> {
        if text.trim().is_empty() {
            return Err(InvalidMessage::EmptyText);
        }
        let units = text.encode_utf16().count();
        if units > TEXT_LIMIT {
            return Err(InvalidMessage::TextTooLong { units });
        }
        Ok(Self(text.into()))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Text({} bytes)", self.0.len())
    }
}

/// What a rule says of an attempt after which nobody knows whether the customer has the message.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnAmbiguous {
    /// Send again: the message may be repeated.
    #[default]
    Retry,
    /// Set aside: the message may be lost, and the dead letter says so.
    DeadLetter,
}

/// A message to send, as a rule made it from an event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    pub rule: Arc<str>,
    pub channel: Channel,
    pub recipient: Recipient,
    pub text: Text,
    /// After this it is not sent any more.
    pub deadline: Timestamp,
    pub on_ambiguous: OnAmbiguous,
}

impl Message {
    pub fn expired(&self, now: Timestamp) -> bool {
        self.deadline <= now
    }
}

/// Why a record gives no message and no dead letter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SkipReason {
    /// The record's value is null.
    Tombstone,
    /// No rule matched, and the topic says `unmatched: skip`.
    Unmatched,
}

/// What the schema and the rules make of a record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decision {
    /// The event's own time; the record's timestamp where the topic names no `event_time`, or
    /// where the record did not become an event. Of a redriven one, the time of the redrive.
    pub event_time: Timestamp,
    pub verdict: Verdict,
    /// Where the record is one that an operator has redriven.
    pub redrive: Option<Redrive>,
}

/// What a redriven record was before.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Redrive {
    /// With its own headers, and where it stood first.
    pub original: Arc<Record>,
    /// How often it has been redriven, this time included.
    pub redrives: u32,
    /// Nobody knows whether its customer had the message before it was set aside.
    pub may_repeat: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    Skip(SkipReason),
    /// The record as a whole goes to the dead-letter topic.
    Reject(Rejection),
    /// One part a rule that matched, in the rules' order; never empty. A part that could not be
    /// made into a message goes to the dead-letter topic by itself.
    Deliver(Vec<Result<Message, Rejection>>),
}
