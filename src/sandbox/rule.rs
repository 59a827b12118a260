//! Which calls a fault befalls, and how often.

use serde::{Deserialize, Serialize};

use super::faults::Fault;
use super::lanes::Recipient;

/// A fault, and the calls that it befalls.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "RuleFields", into = "RuleFields")]
pub struct Rule {
    pub fault: Fault,
    pub when: When,
    pub only: Only,
}

impl Rule {
    /// `fault`, for every call.
    pub fn always(fault: Fault) -> Self {
        Self { fault, when: When::Always, only: Only::default() }
    }

    /// `fault`, for the next `calls` calls.
    pub fn next(calls: u64, fault: Fault) -> Self {
        Self { when: When::Next(calls), ..Self::always(fault) }
    }

    /// `fault`, for every `nth` call.
    pub fn every(nth: u64, fault: Fault) -> Self {
        Self { when: When::Every(nth), ..Self::always(fault) }
    }

    /// `fault`, with a probability of 0 to 1.
    pub fn sometimes(probability: f64, fault: Fault) -> Self {
        Self { when: When::Probability(probability), ..Self::always(fault) }
    }

    #[must_use]
    pub fn on(mut self, endpoint: Endpoint) -> Self {
        self.only.endpoint = Some(endpoint);
        self
    }

    #[must_use]
    pub fn for_channel(mut self, id: &str) -> Self {
        self.only.channel_id = Some(id.to_owned());
        self
    }

    #[must_use]
    pub fn for_recipient(mut self, recipient: Recipient) -> Self {
        self.only.recipient = Some(recipient);
        self
    }
}

/// How often a rule fires. Calls are counted that reach the rule and fit it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum When {
    Always,
    /// From 0 to 1.
    Probability(f64),
    /// The next so many, then never again.
    Next(u64),
    /// Every so many-th.
    Every(u64),
}

/// Which calls a rule fits: all that is given must. One with a channel or a recipient fits sends
/// alone.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Only {
    pub endpoint: Option<Endpoint>,
    pub channel_id: Option<String>,
    pub recipient: Option<Recipient>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Endpoint {
    Send,
    Channels,
}

impl Rule {
    pub(super) fn check(&self) -> Result<(), &'static str> {
        let (fits, wanted) = match self.when {
            When::Always => (true, ""),
            When::Probability(p) => ((0.0..=1.0).contains(&p), "`probability` must be 0 to 1"),
            When::Next(calls) => (calls > 0, "`next` must be at least 1"),
            When::Every(nth) => (nth > 0, "`every` must be at least 1"),
        };
        if !fits {
            return Err(wanted);
        }
        let sends_only = self.only.channel_id.is_some() || self.only.recipient.is_some();
        if sends_only && self.only.endpoint == Some(Endpoint::Channels) {
            return Err("`endpoint: channels` has no channelId and no recipient");
        }
        self.fault.check()
    }
}

/// A rule as JSON has it.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct RuleFields {
    fault: Fault,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    probability: Option<f64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    next: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    every: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    endpoint: Option<Endpoint>,
    #[serde(default, skip_serializing_if = "Option::is_none", rename = "channelId")]
    channel_id: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none", rename = "contactId")]
    contact_id: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none", rename = "platformUserId")]
    platform_user_id: Option<String>,
}

impl TryFrom<RuleFields> for Rule {
    type Error = &'static str;

    fn try_from(fields: RuleFields) -> Result<Self, Self::Error> {
        let when = match (fields.probability, fields.next, fields.every) {
            (None, None, None) => When::Always,
            (Some(probability), None, None) => When::Probability(probability),
            (None, Some(calls), None) => When::Next(calls),
            (None, None, Some(nth)) => When::Every(nth),
            _ => return Err("a rule has one of `probability`, `next` and `every`, or none"),
        };
        let recipient = match (fields.contact_id, fields.platform_user_id) {
            (None, None) => None,
            (Some(id), None) => Some(Recipient::Contact(id)),
            (None, Some(id)) => Some(Recipient::PlatformUser(id)),
            (Some(_), Some(_)) => return Err("a rule has one of `contactId` and `platformUserId`"),
        };
        let only = Only { endpoint: fields.endpoint, channel_id: fields.channel_id, recipient };
        Ok(Self { fault: fields.fault, when, only })
    }
}

impl From<Rule> for RuleFields {
    fn from(rule: Rule) -> Self {
        let (mut probability, mut next, mut every) = (None, None, None);
        match rule.when {
            When::Always => {}
            When::Probability(p) => probability = Some(p),
            When::Next(calls) => next = Some(calls),
            When::Every(nth) => every = Some(nth),
        }
        let (contact_id, platform_user_id) = match rule.only.recipient {
            None => (None, None),
            Some(Recipient::Contact(id)) => (Some(id), None),
            Some(Recipient::PlatformUser(id)) => (None, Some(id)),
        };
        Self {
            fault: rule.fault,
            probability,
            next,
            every,
            endpoint: rule.only.endpoint,
            channel_id: rule.only.channel_id,
            contact_id,
            platform_user_id,
        }
    }
}
