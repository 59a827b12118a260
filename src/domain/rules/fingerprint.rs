//! A number that stands for the rules of a topic: the same in every run and every version, another
//! one as soon as anything in them changes.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::{ChannelSource, Expiry, RecipientSource, TopicRules, Unmatched};
use crate::domain::message::{Channel, OnAmbiguous};

/// FNV-1a, 64 bits, over a description that has a tag or a length before each part, so that no two
/// different rules are written alike. Its constants never change: restarts compare its results.
struct Writer(u64);

const OFFSET_BASIS: u64 = 0xcbf2_9ce4_8422_2325;
const PRIME: u64 = 0x0000_0100_0000_01b3;

impl Writer {
    fn bytes(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = (self.0 ^ u64::from(*byte)).wrapping_mul(PRIME);
        }
    }

    fn tag(&mut self, tag: u8) {
        self.bytes(&[tag]);
    }

    fn number(&mut self, number: u128) {
        self.bytes(&number.to_le_bytes());
    }

    fn text(&mut self, text: &str) {
        self.number(text.len() as u128);
        self.bytes(text.as_bytes());
    }

    fn optional(&mut self, text: Option<&str>) {
        self.tag(u8::from(text.is_some()));
        self.text(text.unwrap_or_default());
    }

    fn tagged(&mut self, tag: u8, text: &str) {
        self.tag(tag);
        self.text(text);
    }

    fn channel(&mut self, channel: &Channel) {
        self.text(&channel.name);
        self.text(&channel.id);
    }
}

pub(super) fn of(topic: &TopicRules, channels: &BTreeMap<Arc<str>, Channel>) -> u64 {
    let mut writer = Writer(OFFSET_BASIS);
    writer.optional(topic.event_time.as_deref());
    writer.tag(match topic.unmatched {
        Unmatched::Skip => 0,
        Unmatched::DeadLetter => 1,
    });
    let mut computed = false;
    for rule in &topic.rules {
        writer.text(&rule.name);
        writer.optional(rule.when.as_deref());
        match &rule.channel {
            ChannelSource::Fixed(channel) => {
                writer.tag(0);
                writer.channel(channel);
            }
            ChannelSource::From(expression) => {
                computed = true;
                writer.tagged(1, expression);
            }
        }
        match &rule.to {
            RecipientSource::Contact(expression) => writer.tagged(0, expression),
            RecipientSource::LineUser(expression) => writer.tagged(1, expression),
        }
        writer.text(&rule.message);
        match &rule.expires {
            Expiry::After(duration) => {
                writer.tag(0);
                writer.number(duration.as_nanos());
            }
            Expiry::At(expression) => writer.tagged(1, expression),
        }
        writer.tag(match rule.on_ambiguous {
            OnAmbiguous::Retry => 0,
            OnAmbiguous::DeadLetter => 1,
        });
        writer.tag(u8::from(rule.continues));
    }
    if computed {
        // What a computed name leads to is part of the rules.
        for (name, channel) in channels {
            writer.text(name);
            writer.channel(channel);
        }
    }
    writer.0
}

/// One number for the rules of all topics, given the number of each.
pub fn of_all(topics: &BTreeMap<Arc<str>, u64>) -> u64 {
    let mut writer = Writer(OFFSET_BASIS);
    for (topic, fingerprint) in topics {
        writer.text(topic);
        writer.number(u128::from(*fingerprint));
    }
    writer.0
}
