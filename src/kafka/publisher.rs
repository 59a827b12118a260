//! Records to a topic, each acknowledged.

use std::sync::Arc;

use rdkafka::error::KafkaError;
use rdkafka::message::OwnedHeaders;
use rdkafka::producer::{FutureProducer, FutureRecord};
use tokio::sync::Semaphore;

use super::acknowledged::{Unwritten, written};
use super::preflight::{ConnectionErrors, Refused, groupless, partitions_of, wait_until_reachable};
use super::settings::{ANY_SIZE, Settings};
use crate::domain::record::Header;

/// How many events are under way at once.
const UNDER_WAY: usize = 1_000;

#[derive(Debug, thiserror::Error)]
pub enum PublishError {
    #[error(transparent)]
    Refused(#[from] Refused),
    #[error("the topic `{0}` does not exist; create it, or name another one with --topic")]
    NoTopic(String),
    #[error("a record was not acknowledged: {0}")]
    Unwritten(Unwritten),
    #[error("a record is larger than the topic allows (its max.message.bytes)")]
    TooLarge,
}

impl From<Unwritten> for PublishError {
    fn from(unwritten: Unwritten) -> Self {
        if unwritten.too_large() { Self::TooLarge } else { Self::Unwritten(unwritten) }
    }
}

impl From<KafkaError> for PublishError {
    fn from(error: KafkaError) -> Self {
        Unwritten::from(error).into()
    }
}

/// What is published: a record without its place.
#[derive(Clone, Copy, Debug)]
pub struct Outgoing<'r> {
    pub key: Option<&'r [u8]>,
    pub value: &'r [u8],
    pub headers: &'r [Header],
}

/// Publishes to one topic; idempotent, in the order of the calls.
pub struct Publisher {
    /// What goes wrong is told by the record that it happens to; the client's own lines would only
    /// repeat it.
    producer: FutureProducer<ConnectionErrors>,
    topic: String,
    room: Arc<Semaphore>,
}

impl std::fmt::Debug for Publisher {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Publisher").field("topic", &self.topic).finish_non_exhaustive()
    }
}

impl Publisher {
    /// Connects, and looks whether the topic is there.
    pub async fn connect(settings: &Settings, topic: &str) -> Result<Self, PublishError> {
        let (client, name) = (settings.clone(), topic.to_owned());
        let looked = tokio::task::spawn_blocking(move || check(&client, &name)).await;
        looked.unwrap_or(Err(KafkaError::Canceled.into()))?;
        let producer = settings.producer(ANY_SIZE).create_with_context(ConnectionErrors::default());
        let producer = producer.map_err(Refused::Configuration)?;
        Ok(Self { producer, topic: topic.to_owned(), room: Arc::new(Semaphore::new(UNDER_WAY)) })
    }

    /// Hands one record over; waits only while too many are under way. The future that it gives is
    /// done when the broker has acknowledged the record.
    pub async fn send(
        &self,
        outgoing: Outgoing<'_>,
    ) -> Result<impl Future<Output = Result<(), PublishError>> + Send + 'static, PublishError> {
        let place = Arc::clone(&self.room).acquire_owned().await;
        let place = place.map_err(|_| KafkaError::Canceled)?;
        let mut record = FutureRecord::<[u8], [u8]>::to(&self.topic).payload(outgoing.value);
        if let Some(key) = outgoing.key {
            record = record.key(key);
        }
        if !outgoing.headers.is_empty() {
            let none = OwnedHeaders::new_with_capacity(outgoing.headers.len());
            let headers = outgoing.headers.iter().fold(none, |headers, header| {
                let value = header.value.as_deref();
                headers.insert(rdkafka::message::Header { key: &header.name, value })
            });
            record = record.headers(headers);
        }
        let sending = self.producer.send_result(record).map_err(|(error, _)| error)?;
        Ok(async move {
            let delivered = sending.await;
            drop(place);
            Ok(written(delivered.map_err(|_| KafkaError::Canceled)?)?)
        })
    }
}

/// Reaches a broker, and sees that the topic is there.
fn check(settings: &Settings, topic: &str) -> Result<(), PublishError> {
    let client = groupless(&settings.client())?;
    wait_until_reachable(&client, &settings.brokers, topic)?;
    partitions_of(&client, settings, topic, PublishError::NoTopic(topic.to_owned())).map(drop)
}
