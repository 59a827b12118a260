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
    /// How often it had been set aside and redriven before.
    pub redrives: u32,
    /// Before a redrive it had been set aside for an attempt of which nobody knows how it ended.
    pub may_repeat: bool,
}

/// The prefix of the headers that a dead letter carries besides its record's own.
pub const HEADER_PREFIX: &str = "line-bridge-";

impl DeadLetter {
    /// The headers that say why, in UTF-8, numbers in decimal and times in milliseconds since
    /// 1970. A header that has nothing to say is left out. The reason is always there and always
    /// the first, for a reader to tell where the record's own headers end.
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
            ("redrives", Some(self.redrives.to_string())),
            ("may-repeat", self.may_repeat.then(|| "true".to_owned())),
        ];
        let named = all.into_iter().filter_map(|(name, value)| Some((name, value?)));
        named.map(|(name, value)| (format!("{HEADER_PREFIX}{name}"), value)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn letter(tries: Tries) -> DeadLetter {
        let record = Record {
            timestamp: Timestamp(1_800_000_000_000),
            value: Some(b"{}".to_vec()),
            ..Record::at("orders", 3, 17)
        };
        let rejection = Rejection {
            reason: Reason::Rejected,
            detail: "the API refused the message: HTTP status 400".to_owned(),
            rule: Some("shipped".into()),
        };
        let (record, channel) = (Arc::new(record), Some("support".into()));
        DeadLetter { record, rejection, channel, tries, redrives: 0, may_repeat: false }
    }

    fn lines(letter: &DeadLetter) -> String {
        let headers = letter.headers("line-bridge", "0.1.0");
        let lines = headers.iter().map(|(name, value)| format!("{name}: {value}"));
        lines.collect::<Vec<_>>().join("\n")
    }

    #[test]
    fn the_headers_tell_where_it_comes_from_and_what_was_tried() {
        let tries = Tries {
            attempts: 2,
            first: Some(Timestamp(1_800_000_000_500)),
            last: Some(Timestamp(1_800_000_001_500)),
            http_status: Some(400),
            request_id: Some("557520e4".to_owned()),
        };
        insta::assert_snapshot!(lines(&letter(tries)), @"
        line-bridge-reason: rejected
        line-bridge-detail: the API refused the message: HTTP status 400
        line-bridge-topic: orders
        line-bridge-partition: 3
        line-bridge-offset: 17
        line-bridge-timestamp: 1800000000000
        line-bridge-group: line-bridge
        line-bridge-rule: shipped
        line-bridge-channel: support
        line-bridge-attempts: 2
        line-bridge-first-attempt: 1800000000500
        line-bridge-last-attempt: 1800000001500
        line-bridge-http-status: 400
        line-bridge-request-id: 557520e4
        line-bridge-version: 0.1.0
        line-bridge-redrives: 0
        ");
    }

    #[test]
    fn what_was_never_sent_has_no_attempts_to_tell_of() {
        let told = lines(&letter(Tries::default()));
        assert!(told.contains("line-bridge-attempts: 0"));
        assert!(!told.contains("first-attempt") && !told.contains("http-status"));
    }
}
