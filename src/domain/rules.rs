//! Event → messages, or a skip, or a rejection: the rules of one topic.

use std::sync::Arc;
use std::time::Duration;

use super::message::{Channel, OnAmbiguous};

/// The rules of one topic, as the configuration has them: expressions and templates are text still.
#[derive(Clone, Debug)]
pub struct TopicRules {
    /// An expression that gives the event's own time: an RFC 3339 string, or a number of
    /// milliseconds since 1970. Left out: the record's timestamp.
    pub event_time: Option<String>,
    /// Whether an event that no rule matches is a dead letter (`no_rule`) or skipped.
    pub unmatched: Unmatched,
    /// In order: the first that matches wins, unless it says `continue`.
    pub rules: Vec<RuleSource>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Unmatched {
    #[default]
    Skip,
    DeadLetter,
}

#[derive(Clone, Debug)]
pub struct RuleSource {
    pub name: Arc<str>,
    /// An expression that must give a boolean; left out: always.
    pub when: Option<String>,
    pub channel: ChannelSource,
    pub to: RecipientSource,
    /// A template.
    pub message: String,
    pub expires: Expiry,
    pub on_ambiguous: OnAmbiguous,
    /// Whether the rules after this one are asked as well (`continue: true`).
    pub goes_on: bool,
}

#[derive(Clone, Debug)]
pub enum ChannelSource {
    Fixed(Channel),
    /// An expression that gives the name of one of the configuration's channels.
    From(String),
}

#[derive(Clone, Debug)]
pub enum RecipientSource {
    /// An expression that gives a `contactId`.
    Contact(String),
    /// An expression that gives a `platformUserId`.
    LineUser(String),
}

#[derive(Clone, Debug)]
pub enum Expiry {
    /// From the event's time.
    After(Duration),
    /// An expression that gives a time, as `event_time` does.
    At(String),
}
