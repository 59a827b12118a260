//! A record set aside, with its reason.

use std::sync::Arc;

use super::clock::Timestamp;
use super::record::Record;

/// Why a record is set aside: a closed set, the value of the header `line-bridge-reason`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Reason {
    /// The value is not JSON in UTF-8, or is too large or too deep.
    Undecodable,
    /// The value does not satisfy the topic's schema.
    Schema,
    /// No rule matched, and the topic says `unmatched: dead_letter`.
    NoRule,
    /// A rule's expression or template failed on this event.
    RuleError,
    /// The rules made a message that LINE does not take.
    InvalidMessage,
    /// The deadline passed before the message could be sent.
    Expired,
    /// The API refused the message for good.
    Rejected,
    /// Nobody knows whether the customer has the message, and the rule does not retry.
    Ambiguous,
    /// `retry.max_elapsed` passed without a plain answer.
    RetriesExhausted,
}

impl Reason {
    pub const ALL: [Self; 9] = [
        Self::Undecodable,
        Self::Schema,
        Self::NoRule,
        Self::RuleError,
        Self::InvalidMessage,
        Self::Expired,
        Self::Rejected,
        Self::Ambiguous,
        Self::RetriesExhausted,
    ];

    pub fn label(self) -> &'static str {
        match self {
            Self::Undecodable => "undecodable",
            Self::Schema => "schema",
            Self::NoRule => "no_rule",
            Self::RuleError => "rule_error",
            Self::InvalidMessage => "invalid_message",
            Self::Expired => "expired",
            Self::Rejected => "rejected",
            Self::Ambiguous => "ambiguous",
            Self::RetriesExhausted => "retries_exhausted",
        }
    }
}

/// What the schema or a rule refused, before anything was sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rejection {
    pub reason: Reason,
    /// Names the place (a JSON pointer, a rule's key) and what is wrong, never a value of the event.
    pub detail: String,
    /// The rule that failed, where it had come to one.
    pub rule: Option<Arc<str>>,
}

/// What was tried before a message was set aside.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tries {
    pub attempts: u32,
    pub first: Option<Timestamp>,
    pub last: Option<Timestamp>,
    /// Of the last answer.
    pub http_status: Option<u16>,
    /// The API's id of the last request.
    pub request_id: Option<String>,
}

/// What goes to the dead-letter topic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeadLetter {
    pub record: Arc<Record>,
    pub rejection: Rejection,
    /// The name of the channel, where a rule had come to one.
    pub channel: Option<Arc<str>>,
    pub tries: Tries,
}

/// The prefix of the headers that a dead letter carries besides its record's own.
pub const HEADER_PREFIX: &str = "line-bridge-";

impl DeadLetter {
    /// The headers that say why, in UTF-8, numbers in decimal and times in milliseconds since
    /// 1970. A header that has nothing to say is left out.
    pub fn headers(&self, group: &str, version: &str) -> Vec<(String, String)> {
        let (record, tries) = (&self.record, &self.tries);
        let time = |time: Option<Timestamp>| time.map(|time| time.0.to_string());
        let all = [
            ("reason", Some(self.rejection.reason.label().to_owned())),
            ("detail", Some(self.rejection.detail.clone())),
            ("topic", Some(record.source.topic.to_string())),
            ("partition", Some(record.source.partition.to_string())),
            ("offset", Some(record.offset.0.to_string())),
            ("timestamp", Some(record.timestamp.0.to_string())),
            ("group", Some(group.to_owned())),
            ("rule", self.rejection.rule.as_ref().map(ToString::to_string)),
            ("channel", self.channel.as_ref().map(ToString::to_string)),
            ("attempts", Some(tries.attempts.to_string())),
            ("first-attempt", time(tries.first)),
            ("last-attempt", time(tries.last)),
            ("http-status", tries.http_status.map(|status| status.to_string())),
            ("request-id", tries.request_id.clone()),
            ("version", Some(version.to_owned())),
            ("redrives", Some("0".to_owned())),
        ];
        let named = all.into_iter().filter_map(|(name, value)| Some((name, value?)));
        named.map(|(name, value)| (format!("{HEADER_PREFIX}{name}"), value)).collect()
    }
}
