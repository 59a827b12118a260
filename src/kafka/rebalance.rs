//! What librdkafka calls back, kept for the consumer's thread to look at.
//!
//! A rebalance is only noted here and answered later: a partition is not given away before what
//! is in flight of it has settled and has been committed.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rdkafka::client::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::{BaseConsumer, Consumer as _, ConsumerContext};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::statistics::Partition;
use rdkafka::types::RDKafkaRespErr;
use rdkafka::{Statistics, TopicPartitionList};

use super::outage::{Outage, is_of_connection};
use super::rights::missing;
use crate::domain::record::TopicPartition;

/// One thing that librdkafka has called back.
#[derive(Debug)]
pub(super) enum Callback {
    Assign(Vec<TopicPartition>),
    Revoke { sources: Vec<TopicPartition>, lost: bool },
    Seen(Seen),
}

/// What the statistics show.
#[derive(Debug, Default)]
pub(super) struct Seen {
    /// When they were noted, since the client was made.
    pub(super) age: Duration,
    /// When the coordinator was last heard of, since the client was made: this may wait here for
    /// long, and is not to look any fresher for it.
    pub(super) coordinator: Option<Duration>,
    /// How many requests the coordinator has had of this client; none while one is unanswered.
    pub(super) requests: Option<u64>,
    pub(super) ends: Vec<End>,
    /// Those that are not read, be it because they are not assigned.
    pub(super) stopped: Vec<TopicPartition>,
    /// Those that exist, and whose last fetch was refused.
    pub(super) refused: Vec<TopicPartition>,
    /// Those that don't exist, or whose broker can't be reached, if they have one.
    pub(super) away: Vec<TopicPartition>,
    /// Topics of which no partition exists.
    pub(super) missing: Vec<String>,
}

/// The end of a partition's log.
#[derive(Clone, Debug)]
pub(super) struct End {
    pub(super) source: TopicPartition,
    pub(super) at: u64,
    /// All that there is before it has been polled.
    pub(super) is_reached: bool,
}

#[derive(Debug, Default)]
pub(super) struct Callbacks {
    waiting: Mutex<Vec<Callback>>,
    closing: AtomicBool,
    outage: Mutex<Outage>,
    /// What has been told of topics that don't exist; librdkafka says it several times a second.
    unknown: Mutex<BTreeSet<String>>,
}

impl Callbacks {
    fn unknown(&self) -> MutexGuard<'_, BTreeSet<String>> {
        self.unknown.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn outage(&self) -> MutexGuard<'_, Outage> {
        self.outage.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn take(&self) -> Vec<Callback> {
        std::mem::take(&mut *self.waiting.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// From now on a rebalance is answered at once: nobody is left to wait for.
    pub(super) fn close(&self) {
        self.closing.store(true, Ordering::Relaxed);
    }

    fn push(&self, callback: Callback) {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner).push(callback);
    }
}

impl ConsumerContext for Callbacks {
    fn rebalance(
        &self,
        consumer: &BaseConsumer<Self>,
        error: RDKafkaRespErr,
        list: &mut TopicPartitionList,
    ) {
        let assign = error == RDKafkaRespErr::RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS;
        if self.closing.load(Ordering::Relaxed) {
            let empty = TopicPartitionList::new();
            let answered = if assign {
                consumer.incremental_assign(&empty)
            } else {
                consumer.incremental_unassign(list)
            };
            if let Err(error) = answered {
                tracing::warn!(%error, "the group's rebalance could not be answered while closing");
            }
            return;
        }
        let sources = sources(list);
        self.push(if assign {
            Callback::Assign(sources)
        } else {
            Callback::Revoke { sources, lost: consumer.assignment_lost() }
        });
    }
}

impl ClientContext for Callbacks {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        log(level, facility, message);
    }

    fn stats(&self, statistics: Statistics) {
        let brokers = statistics.brokers.iter();
        let brokers: Vec<_> =
            brokers.map(|(name, broker)| (name.as_str(), broker.state == UP)).collect();
        let again = self.outage().seen(&brokers);
        if !again.is_empty() {
            tracing::info!(brokers = again.join(" "), "brokers can be reached again");
        }
        let coordinator = statistics.brokers.get("GroupCoordinator");
        let coordinator = coordinator.filter(|broker| broker.state == UP);
        let answered = coordinator.filter(|broker| broker.waitresp_cnt == 0);
        let heard = coordinator.map(|broker| statistics.age.saturating_sub(broker.rxidle));
        let micros = |micros: i64| u64::try_from(micros).ok().map(Duration::from_micros);
        let mut seen = Seen {
            age: micros(statistics.age).unwrap_or_default(),
            coordinator: heard.and_then(micros),
            requests: answered.map(|broker| broker.tx),
            ..Seen::default()
        };
        // What is not of any partition yet is counted under -1.
        let is_there = |(at, partition): (&i32, &Partition)| *at >= 0 && !partition.unknown;
        let missing =
            statistics.topics.iter().filter(|(_, topic)| !topic.partitions.iter().any(is_there));
        seen.missing = missing.map(|(name, _)| name.clone()).collect();
        let partitions = statistics.topics.iter().flat_map(|(topic, statistics)| {
            let all = statistics.partitions.iter();
            all.map(move |(partition, statistics)| (topic, *partition, statistics))
        });
        // What is not one broker of the cluster, such as the coordinator, has the number -1; a partition
        // without a leader is with one of that number as well.
        let up = statistics.brokers.values().filter(|it| it.state == UP && it.nodeid >= 0);
        let up: BTreeSet<_> = up.map(|broker| broker.nodeid).collect();
        let mut unknown = false;
        for (topic, partition, statistics) in partitions {
            let source = TopicPartition { topic: topic.as_str().into(), partition };
            if statistics.fetch_state == "none" {
                seen.stopped.push(source.clone());
            }
            // A refused fetch has the end -1; before the first one it is another number.
            if statistics.hi_offset == -1 && !statistics.unknown {
                seen.refused.push(source.clone());
            }
            if statistics.unknown || !up.contains(&statistics.broker) {
                seen.away.push(source.clone());
            }
            unknown |= statistics.unknown && statistics.desired;
            // What an open transaction holds back counts as well: it may have been left open.
            if let Ok(at) = u64::try_from(statistics.hi_offset) {
                // The queue is that of all partitions.
                let is_reached = statistics.fetch_state == "active"
                    && statistics.next_offset >= statistics.hi_offset
                    && statistics.fetchq_cnt == 0;
                seen.ends.push(End { source, at, is_reached });
            }
        }
        self.push(Callback::Seen(seen));
        if !unknown {
            self.unknown().clear();
        }
    }

    fn error(&self, error: KafkaError, reason: &str) {
        // What is refused is told by polling, too.
        if missing(&error, "").is_some() {
            return;
        }
        if is_unknown_topic(&error) {
            if self.unknown().insert(reason.to_owned()) {
                tracing::warn!(reason, "Kafka reports an error");
            }
            return;
        }
        if !is_of_connection(&error) {
            return tracing::warn!(%error, reason, "Kafka reports an error");
        }
        if self.outage().failed(&error, reason) {
            tracing::warn!(reason, "brokers can't be reached; retrying");
        } else {
            tracing::debug!(%error, reason, "brokers can't be reached");
        }
    }
}

pub(super) fn is_unknown_topic(error: &KafkaError) -> bool {
    error.rdkafka_error_code() == Some(RDKafkaErrorCode::UnknownTopicOrPartition)
}

/// The state of a broker that is connected, and has told what it can.
const UP: &str = "UP";

/// Of a connection that has failed. An error of the same words comes with it.
const FAILED: &str = "FAIL";

/// librdkafka's own log lines; they name brokers and never a record's content.
pub(super) fn log(level: RDKafkaLogLevel, facility: &str, message: &str) {
    match level {
        _ if facility == FAILED => tracing::debug!(target: "librdkafka", facility, "{message}"),
        RDKafkaLogLevel::Emerg
        | RDKafkaLogLevel::Alert
        | RDKafkaLogLevel::Critical
        | RDKafkaLogLevel::Error
        | RDKafkaLogLevel::Warning => tracing::warn!(target: "librdkafka", facility, "{message}"),
        RDKafkaLogLevel::Notice | RDKafkaLogLevel::Info | RDKafkaLogLevel::Debug => {
            tracing::debug!(target: "librdkafka", facility, "{message}");
        }
    }
}

fn sources(list: &TopicPartitionList) -> Vec<TopicPartition> {
    let elements = list.elements();
    let source = |element: &rdkafka::topic_partition_list::TopicPartitionListElem<'_>| {
        TopicPartition { topic: element.topic().into(), partition: element.partition() }
    };
    elements.iter().map(source).collect()
}

#[cfg(test)]
mod tests {
    use rdkafka::statistics::Broker;

    use super::*;

    /// They wait while the consumer's thread does, and are looked at long after.
    #[test]
    fn what_waits_to_be_heard_of_the_coordinator_looks_no_fresher_for_it() {
        let callbacks = Callbacks::default();
        let broker = Broker { state: "UP".to_owned(), rxidle: 3_000_000, ..Broker::default() };
        let brokers = [("GroupCoordinator".to_owned(), broker)].into();
        callbacks.stats(Statistics { age: 10_000_000, brokers, ..Statistics::default() });
        let heard = callbacks.take().into_iter().find_map(|callback| match callback {
            Callback::Seen(seen) => seen.coordinator,
            Callback::Assign(_) | Callback::Revoke { .. } => None,
        });
        assert_eq!(heard, Some(Duration::from_secs(7)));
    }

    #[test]
    fn a_partition_is_away_with_its_leader_whatever_else_can_be_reached() {
        let broker =
            |nodeid, state: &str| Broker { nodeid, state: state.to_owned(), ..Broker::default() };
        let brokers = [
            ("a:9092/1".to_owned(), broker(1, UP)),
            ("b:9092/2".to_owned(), broker(2, "CONNECT")),
            ("GroupCoordinator".to_owned(), broker(-1, UP)),
        ];
        let at = |number, broker| (number, Partition { broker, ..Partition::default() });
        let partitions = [at(0, 1), at(1, 2), at(2, -1)].into();
        let topic = rdkafka::statistics::Topic { partitions, ..Default::default() };
        let topics = [("orders".to_owned(), topic)].into();
        let callbacks = Callbacks::default();
        callbacks.stats(Statistics { brokers: brokers.into(), topics, ..Statistics::default() });
        let Some(Callback::Seen(seen)) = callbacks.take().pop() else { panic!("nothing is seen") };
        let away = seen.away.iter().map(|source| source.partition);
        assert_eq!(away.collect::<BTreeSet<_>>(), [1, 2].into());
    }
}
