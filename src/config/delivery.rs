//! The sections `delivery`, `dead_letters` and `admin`.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use super::fields::Fields;
use super::kafka::{TOPIC_NAME, is_topic_name};
use super::line::Line;
use super::reader::{Reader, Refusal};
use crate::domain::machine::wire_time;

/// The bounds of what is taken on at once, and of how long it is tried.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delivery {
    /// The most deliveries on the wire at once, and the most accepted and not yet committed.
    pub max_in_flight: u32,
    /// The most records tracked and not settled.
    pub held_records: u32,
    /// How long a drain may take.
    pub drain_timeout: Duration,
    pub retry: Retry,
    /// How many dead letters in a row for `schema` or `rule_error` pause a topic.
    pub brake: u32,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Retry {
    /// How long a delivery is tried.
    pub max_elapsed: Duration,
}

/// Where records go that can't be sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeadLetters {
    pub topic: String,
    /// Where an operator puts them to be sent after all.
    pub redrive_topic: String,
}

/// Metrics, probes and status.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Admin {
    pub listen: SocketAddr,
}

const MINUTE: Duration = Duration::from_mins(1);
const SECOND: Duration = Duration::from_secs(1);

pub(super) fn read(reader: &mut Reader<'_>, root: &Fields<'_>, line: Option<&Line>) -> Delivery {
    let keys = ["max_in_flight", "held_records", "drain_timeout", "retry", "brake"];
    let fields = reader.section(root, "delivery", &keys);
    let retry = reader.section(&fields, "retry", &["max_elapsed"]);
    let mut whole = |key, bounds, default| {
        fields.get(key).and_then(|item| reader.whole(&item, bounds)).unwrap_or(default)
    };
    let max_in_flight = whole("max_in_flight", 1..=10_000, 256);
    let held_records = whole("held_records", 1..=10_000_000, 5_000);
    let brake = whole("brake", 1..=1_000_000, 50);
    let mut duration = |fields: &Fields<'_>, key, most, default| {
        fields.get(key).and_then(|item| reader.duration(&item, SECOND..=most)).unwrap_or(default)
    };
    let drain_timeout = duration(&fields, "drain_timeout", 10 * MINUTE, 25 * SECOND);
    let max_elapsed = duration(&retry, "max_elapsed", 7 * 24 * 60 * MINUTE, 15 * MINUTE);
    let delivery = Delivery {
        max_in_flight,
        held_records,
        drain_timeout,
        retry: Retry { max_elapsed },
        brake,
    };
    cross_check(reader, &fields, &retry, &delivery, line);
    delivery
}

/// Values that are right by themselves and odd together.
fn cross_check(
    reader: &mut Reader<'_>,
    fields: &Fields<'_>,
    retry: &Fields<'_>,
    delivery: &Delivery,
    line: Option<&Line>,
) {
    if delivery.held_records < delivery.max_in_flight {
        let message = "less than `delivery.max_in_flight`, so that many attempts can never be in flight; raise this, or lower `delivery.max_in_flight`";
        reader.warn_at(fields, "held_records", message);
    }
    let Some(timeout) = line.map(|line| line.timeout) else { return };
    if wire_time(delivery.drain_timeout) < timeout {
        let message = "less than `line.timeout` is left for attempts, because the last 3 s are for the \
                       last commit: a drain may cut attempts off, and nobody knows then whether the \
                       customer has the message";
        reader.warn_at(fields, "drain_timeout", message);
    }
    if delivery.retry.max_elapsed <= timeout {
        let message = "not longer than `line.timeout`, so an attempt that times out is never retried; make this longer";
        reader.warn_at(retry, "max_elapsed", message);
    }
}

const REDRIVE_SUFFIX: &str = ".redrive";

/// `sources` are the names of the topics that events come from.
pub(super) fn read_dead_letters<'s>(
    reader: &mut Reader<'_>,
    root: &Fields<'_>,
    sources: &(impl Iterator<Item = &'s str> + Clone),
) -> DeadLetters {
    let fields = reader.section(root, "dead_letters", &["topic", "redrive_topic"]);
    let topic = reader.require(&fields, "topic", TOPIC_NAME);
    let redrive_topic = fields.get("redrive_topic");
    let mut name = |item| {
        let name = reader.text_where(&item, TOPIC_NAME, is_topic_name);
        if sources.clone().any(|source| source == name) {
            reader
                .error(&item, "this is one of `topics`, so the bridge would read its own dead letters; use another topic");
        }
        name
    };
    let topic_name = topic.clone().map(&mut name).unwrap_or_default();
    let redrive_name = redrive_topic.clone().map(&mut name);
    if let Some(item) = redrive_topic
        && redrive_name.as_deref() == Some(&topic_name)
    {
        reader.error(
            &item,
            "this is `dead_letters.topic`; redriven events need a topic of their own",
        );
    }
    let default = || {
        let name = format!("{topic_name}{REDRIVE_SUFFIX}");
        if let Some(item) = &topic
            && is_topic_name(&topic_name)
        {
            if !is_topic_name(&name) {
                reader.error(
                    item,
                    "too long to append `.redrive`; set `dead_letters.redrive_topic` as well",
                );
            } else if sources.clone().any(|source| source == name) {
                let message = "with `.redrive` appended, this is one of `topics`; set `dead_letters.redrive_topic`";
                reader.error(item, message);
            }
        }
        name
    };
    let redrive_topic = redrive_name.unwrap_or_else(default);
    DeadLetters { topic: topic_name, redrive_topic }
}

const DEFAULT_LISTEN: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), 9090);

pub(super) fn read_admin(reader: &mut Reader<'_>, root: &Fields<'_>) -> Admin {
    let fields = reader.section(root, "admin", &["listen"]);
    let listen = fields.get("listen").and_then(|item| {
        reader.read(&item, "an IP address and a port such as 0.0.0.0:9090", |given| {
            let text = given.text().ok_or(Refusal::OtherForm)?;
            text.trim().parse().map_err(|_| Refusal::OtherForm)
        })
    });
    Admin { listen: listen.unwrap_or(DEFAULT_LISTEN) }
}
