//! The producer of dead letters.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rdkafka::client::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::error::KafkaError;
use rdkafka::message::{Header, OwnedHeaders};
use rdkafka::producer::{FutureProducer, FutureRecord, Producer as _};

use super::acknowledged::{Unwritten, written};
use super::outage::is_of_connection;
use super::settings::{Settings, USUAL_SIZE};
use crate::domain::dead_letter::DeadLetter;
use crate::domain::ports;
use crate::domain::record::TopicPartition;

#[cfg(test)]
mod tests;

/// How long a dead letter waits for a place in the producer's queue.
const QUEUE: Duration = Duration::from_secs(1);

/// How much of its record a dead letter carries. The headers that say why, and where the record is,
/// are in each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Carried {
    All,
    KeyAndHeaders,
    Nothing,
}

#[derive(Clone, Debug, Default)]
struct Logging;

impl ClientContext for Logging {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        super::rebalance::log(level, facility, message);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        // The consumer's connections go to the same brokers, and it tells when it is over.
        if is_of_connection(&error) {
            tracing::debug!(%error, reason, "Kafka reports an error");
        } else {
            tracing::warn!(%error, reason, "Kafka reports an error");
        }
    }
}

type Idempotent = FutureProducer<Logging>;

/// Writes to the dead-letter topic; idempotent, and acknowledged by all replicas in sync.
pub struct DeadLetters {
    /// Made for the first dead letter: most bridges have none to write for days, and its connections
    /// and threads would have to be kept all that time.
    producer: Mutex<Option<Arc<Idempotent>>>,
    settings: Settings,
    topic: String,
    /// The most bytes that a dead letter may have. Some brokers hang up on one that is too large, and an
    /// outage looks no different: so what the topic does not take must not be sent.
    limit: usize,
}

impl std::fmt::Debug for DeadLetters {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("DeadLetters").field("topic", &self.topic).finish_non_exhaustive()
    }
}

impl DeadLetters {
    /// `largest` is what the topic takes, where that is known.
    pub fn new(
        settings: Settings,
        topic: String,
        largest: Option<usize>,
    ) -> Result<Self, KafkaError> {
        let limit = largest.unwrap_or(USUAL_SIZE);
        settings.producer(limit).create_native_config()?;
        Ok(Self { producer: Mutex::new(None), settings, topic, limit })
    }

    fn kept(&self) -> MutexGuard<'_, Option<Arc<Idempotent>>> {
        self.producer.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn producer(&self) -> Result<Arc<Idempotent>, KafkaError> {
        let mut kept = self.kept();
        if let Some(producer) = kept.as_ref() {
            return Ok(Arc::clone(producer));
        }
        let made = Arc::new(self.settings.producer(self.limit).create_with_context(Logging)?);
        *kept = Some(Arc::clone(&made));
        Ok(made)
    }

    /// Once its record is gone from the source topic, it can't be redriven.
    fn tell_what_is_left_out(&self, letter: &DeadLetter) {
        let TopicPartition { topic, partition } = &letter.record.source;
        tracing::warn!(
            %topic,
            partition,
            offset = letter.record.offset.0,
            limit = self.limit,
            "a dead letter is larger than its topic is known to take, and was written without its event: it can be redriven only while the event's own topic keeps the event"
        );
    }

    async fn send(&self, letter: &DeadLetter, carried: Carried) -> Result<(), Unwritten> {
        let record = &letter.record;
        let mut headers = OwnedHeaders::new();
        for header in record.headers.iter().filter(|_| carried != Carried::Nothing) {
            headers = headers.insert(Header { key: &header.name, value: header.value.as_deref() });
        }
        for (key, value) in letter.headers(&self.settings.group, env!("CARGO_PKG_VERSION")) {
            headers = headers.insert(Header { key: &key, value: Some(value.as_bytes()) });
        }
        let mut future = FutureRecord::<[u8], [u8]>::to(&self.topic).headers(headers);
        if let Some(key) = record.key.as_ref().filter(|_| carried != Carried::Nothing) {
            future = future.key(key);
        }
        if let Some(value) = record.value.as_ref().filter(|_| carried == Carried::All) {
            future = future.payload(value);
        }
        let producer = self.producer()?;
        let sent = written(producer.send(future, QUEUE).await);
        // A fatal error ends an idempotent producer for good: another one takes its place.
        if sent.is_err() && producer.client().fatal_error().is_some() {
            let mut kept = self.kept();
            kept.take_if(|kept| Arc::ptr_eq(kept, &producer));
        }
        sent
    }
}

impl ports::DeadLetters for DeadLetters {
    async fn produce(&self, letter: &DeadLetter) -> bool {
        let mut sent = self.send(letter, Carried::All).await;
        // What the topic does not take goes as a pointer: the headers say where the record is.
        for carried in [Carried::KeyAndHeaders, Carried::Nothing] {
            if sent.as_ref().is_err_and(Unwritten::too_large) {
                sent = self.send(letter, carried).await;
                if sent.is_ok() {
                    self.tell_what_is_left_out(letter);
                }
            }
        }
        if let Err(error) = &sent {
            let grant = error.grant();
            tracing::warn!(%error, topic = self.topic, grant, "a dead letter was not acknowledged");
        }
        sent.is_ok()
    }
}
