//! A record set aside, with its reason.

use std::sync::Arc;

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
