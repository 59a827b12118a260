//! Event → messages, or a skip, or a rejection: the rules of one topic.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use minijinja::Value;
use minijinja::value::ValueKind;

use super::clock::Timestamp;
use super::dead_letter::{Reason, Rejection};
use super::message::{
    Channel, Decision, Message, OnAmbiguous, Recipient, SkipReason, Text, Verdict,
};
use super::record::Record;
use super::words::bounded;

mod arguments;
mod compile;
mod environment;
mod fault;
mod fingerprint;
mod key;
mod language;
mod names;
mod numbers;
pub mod reads;
mod redriven;
mod scope;
mod spot;
mod strict;
mod time;
mod trace;

pub use fingerprint::of_all as fingerprint_of_all;
pub use key::KeyExpression;
use language::{Expression, Template};
pub use numbers::{is_amount, is_currency};
pub use redriven::RedriveOptions;
pub use spot::{InText, Spot};
pub use time::is_zone;
pub use trace::{RuleAnswer, RuleTrace};

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
    pub continues: bool,
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

/// After so long a message expires, unless its rule says otherwise.
pub const EXPIRES_AFTER: Duration = Duration::from_hours(24);

/// A mistake in a topic's rules, found before any event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RuleMistake {
    /// The index of the rule; none where it is the topic's own.
    pub rule: Option<usize>,
    /// The configuration's key: `when`, `message`, `event_time` and so on.
    pub key: &'static str,
    pub message: String,
    /// Where in the key's text, as far as it is known.
    pub spot: Option<Spot>,
}

/// The rules of one topic, compiled.
pub struct Rules {
    event_time: Option<Expression>,
    unmatched: Unmatched,
    in_order: Vec<Rule>,
    channels: BTreeMap<Arc<str>, Channel>,
    /// Whether anything uses `record`, which is only then made ready.
    uses_record: bool,
    fingerprint: u64,
}

struct Rule {
    name: Arc<str>,
    when: Option<Expression>,
    channel: ChannelRule,
    to: RecipientRule,
    message: Template,
    expires: ExpiryRule,
    on_ambiguous: OnAmbiguous,
    continues: bool,
}

enum ChannelRule {
    Fixed(Channel),
    From(Expression),
}

enum RecipientRule {
    Contact(Expression),
    LineUser(Expression),
}

enum ExpiryRule {
    After(Duration),
    At(Expression),
}

impl fmt::Debug for Rules {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<&str> = self.in_order.iter().map(|rule| &*rule.name).collect();
        f.debug_struct("Rules").field("rules", &names).finish_non_exhaustive()
    }
}

impl Rules {
    /// Compiles a topic's rules. `channels` are those of the configuration, by name, which a
    /// computed channel is looked up in. Every mistake comes at once.
    pub fn compile(
        topic: &TopicRules,
        channels: &BTreeMap<Arc<str>, Channel>,
    ) -> Result<Self, Vec<RuleMistake>> {
        compile::compile(topic, channels)
    }

    /// A number that stands for these rules: the same in every run and version of the program, and
    /// another one as soon as anything in them changes.
    pub fn fingerprint(&self) -> u64 {
        self.fingerprint
    }

    /// What becomes of an event. It depends on the event and the record alone.
    pub fn decide(&self, event: serde_json::Value, record: &Record) -> Decision {
        self.decide_traced(event, record, RedriveOptions::default(), |_, _| {})
    }

    /// The same, with what each rule answered, in the rules' order.
    pub fn explain(&self, event: serde_json::Value, record: &Record) -> (Decision, Vec<RuleTrace>) {
        let mut traces = Vec::new();
        let decision =
            self.decide_traced(event, record, RedriveOptions::default(), |rule, matches| {
                traces.push(trace::asked(rule, matches));
            });
        let not_asked = self.in_order.iter().skip(traces.len()).map(trace::not_asked);
        traces.extend(not_asked);
        (decision, traces)
    }

    /// What becomes of an event that is redriven; `record` is the one that it was set aside from.
    pub fn decide_redriven(
        &self,
        event: serde_json::Value,
        record: &Record,
        redrive: RedriveOptions<'_>,
    ) -> Decision {
        self.decide_traced(event, record, redrive, |_, _| {})
    }

    /// Decides, and lets `trace` have the answer of each rule that is asked.
    fn decide_traced(
        &self,
        event: serde_json::Value,
        record: &Record,
        redrive: RedriveOptions<'_>,
        trace: impl FnMut(&Rule, &Result<bool, Rejection>),
    ) -> Decision {
        let scope = scope::of(event, self.uses_record.then_some(record));
        let event_time = match &self.event_time {
            None => record.timestamp,
            Some(expression) => match point_in_time(expression, &scope) {
                Ok(event_time) => event_time,
                Err(words) => {
                    let rejection = rejected(Reason::RuleError, "event_time", &words, None);
                    let verdict = Verdict::Reject(rejection);
                    return Decision { event_time: record.timestamp, verdict, redrive: None };
                }
            },
        };
        let verdict = self.verdict(&scope, event_time, redrive, trace);
        Decision { event_time, verdict, redrive: None }
    }

    fn verdict(
        &self,
        scope: &Value,
        event_time: Timestamp,
        redrive: RedriveOptions<'_>,
        mut trace: impl FnMut(&Rule, &Result<bool, Rejection>),
    ) -> Verdict {
        let mut parts = Vec::new();
        for rule in self.asked(redrive) {
            let matches = rule.matches(scope);
            trace(rule, &matches);
            match matches {
                Ok(false) => continue,
                Ok(true) => {
                    let message = rule.message(scope, event_time, &self.channels);
                    let postponed = |message: Message| rule.postponed(message, redrive);
                    parts.push(message.map(postponed));
                }
                // Whether this rule would have ended the search is unknown, so it ends here.
                Err(rejection) if parts.is_empty() => return Verdict::Reject(rejection),
                Err(rejection) => {
                    parts.push(Err(rejection));
                    break;
                }
            }
            if !rule.continues {
                break;
            }
        }
        if !parts.is_empty() {
            return Verdict::Deliver(parts);
        }
        match self.unmatched {
            Unmatched::Skip => Verdict::Skip(SkipReason::Unmatched),
            Unmatched::DeadLetter => Verdict::Reject(Rejection {
                reason: Reason::NoRule,
                detail: "no rule of the topic matches".to_owned(),
                rule: None,
            }),
        }
    }
}

impl RecipientRule {
    /// The recipient that the expression's value names, or why it names none.
    fn recipient(&self, id: &Value) -> Result<Recipient, String> {
        let id = match id.as_str() {
            Some(id) => Cow::Borrowed(id),
            // A platform may number its contacts.
            None if id.is_integer() => Cow::Owned(id.to_string()),
            None => return Err("the expression does not give a string".to_owned()),
        };
        let made = match self {
            Self::Contact(_) => Recipient::contact(&id),
            Self::LineUser(_) => Recipient::line_user(&id),
        };
        made.map_err(|error| error.to_string())
    }
}

impl Rule {
    fn matches(&self, scope: &Value) -> Result<bool, Rejection> {
        let Some(when) = &self.when else { return Ok(true) };
        when.value(scope)
            .and_then(|value| boolean(&value))
            .map_err(|words| self.failed("when", &words))
    }

    fn message(
        &self,
        scope: &Value,
        event_time: Timestamp,
        channels: &BTreeMap<Arc<str>, Channel>,
    ) -> Result<Message, Rejection> {
        let channel = self.channel(scope, channels)?;
        let recipient = self.recipient(scope)?;
        let text = self.message.text(scope).map_err(|words| self.failed("message", &words))?;
        let text = Text::new(&text).map_err(|error| self.invalid("message", &error.to_string()))?;
        let deadline = match &self.expires {
            ExpiryRule::After(duration) => event_time.plus(*duration),
            ExpiryRule::At(expression) => point_in_time(expression, scope)
                .map_err(|words| self.failed("expires_at", &words))?,
        };
        Ok(Message {
            rule: Arc::clone(&self.name),
            channel,
            recipient,
            text,
            deadline,
            on_ambiguous: self.on_ambiguous,
        })
    }

    fn channel(
        &self,
        scope: &Value,
        channels: &BTreeMap<Arc<str>, Channel>,
    ) -> Result<Channel, Rejection> {
        let expression = match &self.channel {
            ChannelRule::Fixed(channel) => return Ok(channel.clone()),
            ChannelRule::From(expression) => expression,
        };
        let name = expression.value(scope).map_err(|words| self.failed("channel", &words))?;
        let channel = name.as_str().and_then(|name| channels.get(name));
        channel.cloned().ok_or_else(|| self.invalid("channel", UNKNOWN_CHANNEL))
    }

    fn recipient(&self, scope: &Value) -> Result<Recipient, Rejection> {
        let (RecipientRule::Contact(expression) | RecipientRule::LineUser(expression)) = &self.to;
        let id = expression.value(scope).map_err(|words| self.failed("to", &words))?;
        self.to.recipient(&id).map_err(|why| self.invalid("to", &why))
    }

    fn failed(&self, key: &str, words: &str) -> Rejection {
        rejected(Reason::RuleError, key, words, Some(&self.name))
    }

    fn invalid(&self, key: &str, words: &str) -> Rejection {
        rejected(Reason::InvalidMessage, key, words, Some(&self.name))
    }
}

const UNKNOWN_CHANNEL: &str = "the expression gives a name that is not under `channels`";

fn boolean(value: &Value) -> Result<bool, String> {
    if value.kind() == ValueKind::Bool {
        return Ok(value.is_true());
    }
    let kind = if value.is_none() { "null".to_owned() } else { format!("a {}", value.kind()) };
    Err(format!("a condition must give true or false, but this one gives {kind}"))
}

fn point_in_time(expression: &Expression, scope: &Value) -> Result<Timestamp, String> {
    let value = expression.value(scope)?;
    time::timestamp(&value).map_err(str::to_owned)
}

/// A point in time as an event may have it: an RFC 3339 string with its offset, or a whole number
/// of milliseconds since 1970.
pub fn time_of(value: &serde_json::Value) -> Option<Timestamp> {
    time::timestamp(&scope::value(value.clone(), 0)).ok()
}

fn rejected(reason: Reason, key: &str, words: &str, rule: Option<&Arc<str>>) -> Rejection {
    let detail = bounded(&format!("{key}: {words}"), fault::DETAIL_LIMIT).into_owned();
    Rejection { reason, detail, rule: rule.cloned() }
}

#[cfg(test)]
mod tests;
