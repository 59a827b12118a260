//! `/status`: who is blocked, and by what. No recipient, text or event's value is in it.

use std::sync::{Arc, PoisonError};

use serde_json::{Value, json};

use super::{Metrics, Reload};
use crate::domain::clock::Moment;
use crate::domain::machine::{ChannelStatus, Oldest, PartitionStatus, Waits};
use crate::domain::paused::Pause;
use crate::domain::record::TopicPartition;

impl Metrics {
    /// Where the bridge stands, as JSON; ages and waits in seconds. It is at most a second or so
    /// old.
    pub fn status(&self, now: Moment) -> Value {
        let status = self.status.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let config = self.reloads.shown();
        let answers = self.answers.lock().unwrap_or_else(PoisonError::into_inner);
        let positions = self.positions.lock().unwrap_or_else(PoisonError::into_inner);
        let partition = |partition: &PartitionStatus| {
            let committed = partition.committed.0;
            let end = positions.end_of(&partition.source);
            json!({
                "topic": &*partition.source.topic,
                "partition": partition.source.partition,
                "frontier": partition.frontier.0,
                "committed": committed,
                "lag": end.map(|end| end.saturating_sub(committed)),
                "held": partition.held,
                "held_bytes": partition.held_bytes,
                "full": partition.full,
                "held_back": partition.held_back,
                "paused": partition.paused.first().map(|reason| reason.label()),
                "leaving": partition.leaving,
                "oldest_unsettled": partition.oldest.as_ref().map(|held| oldest(held, now)),
            })
        };
        let channel =
            |status: &ChannelStatus| channel(status, &answers.of(&status.name, now.elapsed));
        json!({
            "version": env!("CARGO_PKG_VERSION"),
            "config": config.hash,
            "config_pending": config.pending.map(Reload::label),
            "uptime": now.elapsed.as_secs_f64(),
            "ready": self.health.is_ready(),
            "coordinator_silent": status.coordinator_silent.as_secs_f64(),
            "in_flight": status.in_flight,
            "accepted_uncommitted": status.uncommitted,
            "unread": positions.unread.iter().map(place).collect::<Vec<_>>(),
            "partitions": status.partitions.iter().map(partition).collect::<Vec<_>>(),
            "channels": status.channels.iter().map(channel).collect::<Vec<_>>(),
        })
    }
}

fn place(source: &TopicPartition) -> Value {
    json!({"topic": &*source.topic, "partition": source.partition})
}

fn oldest(oldest: &Oldest, now: Moment) -> Value {
    let stopped = if let Waits::Stop(reason) = oldest.waits { Some(reason.label()) } else { None };
    json!({
        "offset": oldest.offset.0,
        "age": now.wall.since(oldest.event_time).as_secs_f64(),
        "attempts": oldest.attempts,
        "last_http_status": oldest.http_status,
        "channel": oldest.channel.as_deref(),
        "rule": oldest.rule.as_deref(),
        "waits_for": waits_for(oldest),
        "stopped": stopped,
    })
}

fn waits_for(oldest: &Oldest) -> String {
    let paused = |what: &str, name: &Option<Arc<str>>| {
        format!("{what} `{}`, which is paused", name.as_deref().unwrap_or_default())
    };
    let label = oldest.waits.label().to_owned();
    let Waits::Paused(pause) = oldest.waits else { return label };
    match pause {
        Pause::Topic => label,
        Pause::Rule => paused("rule", &oldest.rule),
        Pause::Channel => paused("channel", &oldest.channel),
    }
}

fn channel(channel: &ChannelStatus, last_answers: &[Value]) -> Value {
    json!({
        "name": &*channel.name,
        "state": channel.state.label(),
        "stopped": channel.stopped.map(|(reason, _)| reason.label()),
        "stopped_for": channel.stopped.map(|(_, since)| since.as_secs_f64()),
        "rate": (channel.rate * 1_000.0).round() / 1_000.0,
        "concurrency": channel.concurrency,
        "in_flight": channel.in_flight,
        "retry_after": channel.retry_after.map(|wait| wait.as_secs_f64()),
        "last_answers": last_answers,
    })
}
