//! Record by record, and what comes between them.

use std::sync::Arc;
use std::time::Duration;

use rdkafka::Message as _;
use rdkafka::consumer::Consumer as _;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{BorrowedMessage, Headers as _};

use super::super::foreign;
use super::super::outage::is_of_connection;
use super::super::rebalance::{Callback, is_unknown_topic};
use super::super::rights::missing;
use super::positions::ANSWER_LATER;
use super::{Member, READ, list, unread};
use crate::domain::clock::Timestamp;
use crate::domain::ports::LogEvent;
use crate::domain::record::{Epoch, Header, Record, RecordOffset, TopicPartition};

/// How many records are polled before the thread tells of them and looks at its commands again.
const BATCH: usize = 32;

/// After so many bytes of them it tells of them before.
const BATCH_BYTES: usize = 256 << 10;

impl Member {
    /// Takes what is there. Returns whether there may be more.
    pub(super) fn poll(&mut self) -> bool {
        let mut more = false;
        for _ in 0..BATCH {
            let polled = self
                .consumer
                .poll(Duration::ZERO)
                .map(|polled| polled.map(|message| own(&message, || self.now().1)));
            more = polled.is_some();
            match polled {
                None => {}
                Some(Ok(record)) => self.deliver(record),
                Some(Err(error)) => self.failed(&error),
            }
            more |= self.look_at_callbacks();
            if !more {
                break;
            }
        }
        self.tell_records();
        self.assign_what_waits();
        more
    }

    fn look_at_callbacks(&mut self) -> bool {
        let callbacks = self.consumer.context().take();
        let any = !callbacks.is_empty();
        for callback in callbacks {
            match callback {
                Callback::Assign(sources) => {
                    self.to_assign.retain(|source| !sources.contains(source));
                    self.to_assign.extend(sources);
                    self.assignment_waits = true;
                    self.to_assign_since = self.now().0;
                    self.assign_not_before = None;
                    self.assign_what_waits();
                }
                Callback::Revoke { sources, lost } => self.revoke(sources, lost),
                Callback::Seen(seen) => {
                    let at = self.made + seen.age;
                    let mut unread = self.unread.look(at, &seen, &mut self.assigned);
                    unread.extend(self.made_anew(unread::suspects(&self.assigned)));
                    self.tell_out_of_range(unread);
                    self.join_without_partitions(seen.requests);
                    let coordinator = seen.coordinator.map(|heard| self.made + heard);
                    let ends = self.ends(at, seen.ends);
                    let unread = self.unread();
                    self.tell(LogEvent::Seen { coordinator, ends, unread });
                }
            }
        }
        any
    }

    fn deliver(&mut self, mut record: Record) {
        // A record of a partition that has gone meanwhile is the next owner's.
        let Some(assigned) = self.assigned.get_mut(&record.source) else { return };
        assigned.next = record.offset.next();
        record.source.topic = Arc::clone(&assigned.topic);
        let epoch = assigned.epoch;
        self.records_bytes += record.held_bytes();
        self.records.push((epoch, record));
        if self.records_bytes >= BATCH_BYTES {
            self.tell_records();
        }
    }

    fn revoke(&mut self, sources: Vec<TopicPartition>, lost: bool) {
        self.to_assign.retain(|source| !sources.contains(source));
        let waiting = &self.to_assign;
        self.not_begun.retain(|topic, _| waiting.iter().any(|source| source.topic == *topic));
        if lost {
            self.has_joined = false;
            self.tell(LogEvent::Left);
            self.let_go(sources.clone());
            return self.tell(LogEvent::Lost(sources));
        }
        let deleted = self.deleted(&sources);
        if !deleted.is_empty() {
            // A commit for them that waits here already would be refused as any other's: it might be
            // on another topic of the same name.
            for source in &deleted {
                if let Some(assigned) = self.assigned.get_mut(source) {
                    self.last_epoch += 1;
                    assigned.epoch = Epoch(self.last_epoch);
                }
            }
            self.tell(LogEvent::Deleted(deleted));
        }
        // A pause of one that is not assigned would outlive that: nobody would take it back.
        let assigned = sources.iter().filter(|source| self.assigned.contains_key(*source));
        let assigned: Vec<_> = assigned.cloned().collect();
        if let Err(error) = self.consumer.pause(&list(&assigned)) {
            tracing::warn!(%error, "revoked partitions could not be paused");
        }
        self.to_release.extend_from_slice(&sources);
        self.tell(LogEvent::Revoked(sources));
    }

    fn tell_out_of_range(&mut self, sources: Vec<TopicPartition>) {
        let mut is_answered = true;
        for source in sources {
            let Some(position) = self.assigned.get(&source).map(|assigned| assigned.next) else {
                continue;
            };
            // Where one is not answered, the next one would wait as long, while nothing is polled.
            let asked = is_answered.then(|| {
                (self.turned)(ANSWER_LATER);
                self.consumer.fetch_watermarks(&source.topic, source.partition, ANSWER_LATER)
            });
            let log = asked.and_then(Result::ok);
            is_answered = log.is_some();
            self.tell(LogEvent::OutOfRange { source, position, log });
        }
    }

    fn failed(&mut self, error: &KafkaError) {
        if matches!(error, KafkaError::MessageConsumption(RDKafkaErrorCode::AutoOffsetReset)) {
            self.unread.out_of_range(self.now().0);
        } else if matches!(error, KafkaError::MessageConsumptionFatal(_)) {
            self.tell(LogEvent::Fatal(fatal(error)));
        } else if is_unknown_topic(error) {
            self.unread.unknown_topic(&self.assigned);
        } else if is_of_connection(error) {
            tracing::debug!(%error, "told by its callback as well");
        } else {
            tracing::warn!(%error, grant = missing(error, READ), "Kafka reports an error");
        }
    }
}

/// Why the client can't go on, and what is to be done where that is known.
fn fatal(error: &KafkaError) -> String {
    let way_out = match error.rdkafka_error_code() {
        // librdkafka says the one or the other, as the broker's version has it.
        Some(RDKafkaErrorCode::UnsupportedVersion | RDKafkaErrorCode::UnsupportedFeature) => {
            "; the brokers don't have the consumer protocol (Apache Kafka has it from 4.0 on, unless `group.coordinator.rebalance.protocols` leaves it out): remove `group.protocol` from `kafka.properties`"
        }
        Some(RDKafkaErrorCode::GroupAuthorizationFailed) => {
            "; under the consumer protocol that ends the client: grant the bridge Read on the group, and start it again"
        }
        Some(_) | None => "",
    };
    format!("{error}{way_out}")
}

/// Copies a record out of librdkafka's memory.
pub(in crate::kafka) fn own(
    message: &BorrowedMessage<'_>,
    now: impl FnOnce() -> Timestamp,
) -> Record {
    let topic: Arc<str> = message.topic().into();
    Record {
        source: TopicPartition { topic, partition: message.partition() },
        offset: RecordOffset(u64::try_from(message.offset()).unwrap_or(0)),
        timestamp: message.timestamp().to_millis().map_or_else(now, Timestamp),
        key: message.key().map(<[u8]>::to_vec),
        value: message.payload().map(<[u8]>::to_vec),
        headers: headers(message),
    }
}

/// The headers. One whose name is not UTF-8 is left out: rdkafka has no way to read it.
fn headers(message: &BorrowedMessage<'_>) -> Vec<Header> {
    let Some(all) = message.headers() else { return Vec::new() };
    let owned = |index| {
        let header = all.try_get(index)?;
        Some(Header { name: header.key.to_owned(), value: header.value.map(<[u8]>::to_vec) })
    };
    let read: Vec<_> =
        (0..all.count()).filter_map(|index| foreign::read(|| owned(index)).flatten()).collect();
    if read.len() < all.count() {
        let (topic, partition, offset) = (message.topic(), message.partition(), message.offset());
        let left_out = all.count() - read.len();
        tracing::warn!(
            topic,
            partition,
            offset,
            left_out,
            "headers with names that are not UTF-8 are left out"
        );
    }
    read
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case::brokers_without_the_protocol(
        RDKafkaErrorCode::UnsupportedVersion,
        "remove `group.protocol` from `kafka.properties`"
    )]
    #[case::no_right_to_use_the_group(
        RDKafkaErrorCode::GroupAuthorizationFailed,
        "grant the bridge Read on the group"
    )]
    fn an_end_that_somebody_can_mend_says_how(
        #[case] code: RDKafkaErrorCode,
        #[case] way_out: &str,
    ) {
        let why = fatal(&KafkaError::MessageConsumptionFatal(code));
        assert!(why.contains(way_out), "{why}");
    }
}
