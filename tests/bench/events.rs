//! The events: how their keys are spread, and the tag by which the sink knows a message again.

use std::collections::HashMap;
use std::time::{SystemTime, UNIX_EPOCH};

use clap::ValueEnum;

use crate::harness::records::NewRecord;
use crate::statistics::number;

/// So many channels share the messages, so that no channel's own rate is the limit.
pub(crate) const CHANNELS: usize = 16;

const DISTINCT_KEYS: usize = 10_000;

/// How the keys of the events are spread.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Keys {
    /// Evenly over 10,000.
    Uniform,
    /// By Zipf's law over 10,000: the first has a tenth of all.
    Zipf,
    /// One key: one message at a time.
    One,
}

impl Keys {
    pub(crate) fn label(self) -> &'static str {
        match self {
            Self::Uniform => "uniform",
            Self::Zipf => "zipf",
            Self::One => "one",
        }
    }
}

impl Keys {
    /// How many messages can be on the wire at once on average, if each key's are sent one after
    /// another: all are sent no sooner than those of the most frequent key.
    pub(crate) fn at_once(self) -> f64 {
        match self {
            Self::Uniform => f64::INFINITY,
            Self::Zipf => weights().last().copied().unwrap_or(1.0),
            Self::One => 1.0,
        }
    }
}

/// The sum of the keys' weights under Zipf's law up to each key; the first one's is 1.
fn weights() -> Vec<f64> {
    let mut sum = 0.0;
    let mut up_to = |rank: usize| {
        sum += 1.0 / number(rank + 1);
        sum
    };
    (0..DISTINCT_KEYS).map(&mut up_to).collect()
}

/// A message's place among those of its key, and when its event was produced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Tag {
    pub(crate) key: u32,
    pub(crate) sequence: u32,
    /// In microseconds since 1970.
    pub(crate) produced: u64,
}

/// What a tag begins with.
const MARK: &[u8] = b"bench-";

impl Tag {
    /// The text that stands in the event and in the message made of it.
    pub(crate) fn text(self) -> String {
        format!("bench-{}-{}-{}", self.key, self.sequence, self.produced)
    }

    /// The first tag in the body of a request.
    pub(crate) fn find(body: &[u8]) -> Option<Self> {
        let start = body.windows(MARK.len()).position(|window| window == MARK)? + MARK.len();
        let rest = body.get(start..)?;
        let is_of_tag = |byte: &u8| byte.is_ascii_digit() || *byte == b'-';
        let end = rest.iter().position(|byte| !is_of_tag(byte)).unwrap_or(rest.len());
        let text = std::str::from_utf8(rest.get(..end)?).ok()?;
        let mut numbers = text.splitn(3, '-').map(str::parse::<u64>);
        let mut next = || numbers.next()?.ok();
        let (key, sequence, produced) = (next()?, next()?, next()?);
        Some(Self {
            key: u32::try_from(key).ok()?,
            sequence: u32::try_from(sequence).ok()?,
            produced,
        })
    }
}

/// Makes events without end, each key's numbered from 0.
pub(crate) struct Source {
    keys: Keys,
    rng: fastrand::Rng,
    /// The sum of the keys' weights up to each key.
    weights: Vec<f64>,
    sequences: HashMap<u32, u32>,
}

impl Source {
    pub(crate) fn new(keys: Keys) -> Self {
        Self {
            keys,
            rng: fastrand::Rng::with_seed(1),
            weights: weights(),
            sequences: HashMap::new(),
        }
    }

    pub(crate) fn next(&mut self) -> Tag {
        let key = match self.keys {
            Keys::One => 0,
            Keys::Uniform => self.rng.usize(0..DISTINCT_KEYS),
            Keys::Zipf => {
                let sum = self.weights.last().copied().unwrap_or(1.0);
                let drawn = self.rng.f64() * sum;
                self.weights.partition_point(|upto| *upto < drawn)
            }
        };
        let key = u32::try_from(key).expect("few keys");
        let sequence = self.sequences.entry(key).or_default();
        let tag = Tag { key, sequence: *sequence, produced: now_micros() };
        *sequence += 1;
        tag
    }

    pub(crate) fn records(&mut self, count: usize) -> impl Iterator<Item = NewRecord> + '_ {
        (0..count).map(|_| {
            let tag = self.next();
            NewRecord::of(order(tag)).key(contact(tag))
        })
    }
}

/// An order that has been shipped: about 300 bytes, as the shipped schema has it.
pub(crate) fn order(tag: Tag) -> String {
    serde_json::json!({
        "eventId": format!("order-{}-{}", tag.key, tag.sequence),
        "occurredAt": jiff::Timestamp::now().to_string(),
        "orderId": tag.text(),
        "status": "shipped",
        "brand": channel(tag),
        "customer": {"contactId": contact(tag), "name": "Somchai Jaidee"},
        "total": {"value": "1250.00", "currency": "THB"},
        "trackingNumber": "TH0123456789",
    })
    .to_string()
}

pub(crate) fn contact(tag: Tag) -> String {
    format!("contact-{}", tag.key)
}

pub(crate) fn channel(tag: Tag) -> String {
    let channels = u32::try_from(CHANNELS).expect("few channels");
    format!("brand-{}", tag.key % channels)
}

pub(crate) fn now_micros() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).expect("a clock that is set");
    u64::try_from(since.as_micros()).expect("a time of this age")
}
