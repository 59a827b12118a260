//! What the operator holds back: `paused: true` in the configuration.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::message::Message;

/// The channels, topics and rules that are paused, by their names.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Paused {
    pub channels: BTreeSet<Arc<str>>,
    pub topics: BTreeSet<Arc<str>>,
    /// Of each topic.
    pub rules: BTreeMap<Arc<str>, BTreeSet<Arc<str>>>,
}

/// What of a message is paused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pause {
    Topic,
    Rule,
    Channel,
}

impl Pause {
    /// In a word.
    pub fn label(self) -> &'static str {
        match self {
            Self::Topic => "topic",
            Self::Rule => "rule",
            Self::Channel => "channel",
        }
    }
}

impl Paused {
    /// Whether nothing is held back.
    pub fn is_empty(&self) -> bool {
        self.channels.is_empty() && self.topics.is_empty() && self.rules.is_empty()
    }

    /// Each of them, as a phrase.
    pub fn phrases(&self) -> Vec<String> {
        let channels = self.channels.iter().map(|channel| format!("the channel `{channel}`"));
        let topics = self.topics.iter().map(|topic| format!("the topic `{topic}`"));
        let rules = self.rules.iter().flat_map(|(topic, rules)| {
            rules.iter().map(move |rule| format!("the rule `{rule}` of `{topic}`"))
        });
        channels.chain(topics).chain(rules).collect()
    }

    /// What holds a message of this topic back, the widest first; none where nothing does.
    pub fn holds(&self, topic: &str, message: &Message) -> Option<Pause> {
        if self.topics.contains(topic) {
            Some(Pause::Topic)
        } else if self.rules.get(topic).is_some_and(|rules| rules.contains(&message.rule)) {
            Some(Pause::Rule)
        } else if self.channels.contains(&message.channel.name) {
            Some(Pause::Channel)
        } else {
            None
        }
    }
}
