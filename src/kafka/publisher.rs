//! Events to a topic, each acknowledged.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use rdkafka::error::KafkaError;
use rdkafka::producer::{FutureProducer, FutureRecord, Producer as _};
use tokio::sync::{Mutex, Semaphore};
use tokio::task::JoinSet;

use super::acknowledged::{Unwritten, written};
use super::settings::Settings;

/// How many events are under way at once.
const UNDER_WAY: usize = 1_000;

const ANSWER: Duration = Duration::from_secs(10);

#[derive(Debug, thiserror::Error)]
pub enum PublishError {
    #[error(
        "no broker of `kafka.brokers: {brokers}` could be reached ({cause}); check the addresses and `kafka.properties`"
    )]
    Unreachable { brokers: String, cause: KafkaError },
    #[error("the topic `{0}` does not exist; create it, or name another one with --topic")]
    NoTopic(String),
    #[error("an event was not acknowledged: {0}")]
    Refused(Unwritten),
}

/// Publishes to one topic; idempotent, in the order of the calls.
pub struct Publisher {
    producer: FutureProducer,
    topic: String,
    room: Arc<Semaphore>,
    sent: Arc<AtomicU64>,
    under_way: Mutex<JoinSet<Result<(), Unwritten>>>,
}

impl std::fmt::Debug for Publisher {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Publisher").field("topic", &self.topic).finish_non_exhaustive()
    }
}

impl Publisher {
    /// Connects, and looks whether the topic is there.
    pub async fn connect(settings: &Settings, topic: &str) -> Result<Self, PublishError> {
        let unreachable =
            |cause| PublishError::Unreachable { brokers: settings.brokers.clone(), cause };
        let producer: FutureProducer = settings.producer().create().map_err(unreachable)?;
        let (client, name) = (producer.clone(), topic.to_owned());
        let looked = move || {
            client.client().fetch_metadata(Some(&name), ANSWER).map(|metadata| {
                metadata
                    .topics()
                    .iter()
                    .any(|topic| topic.error().is_none() && !topic.partitions().is_empty())
            })
        };
        let looked = tokio::task::spawn_blocking(looked).await;
        let looked = looked.unwrap_or(Err(KafkaError::Canceled));
        if !looked.map_err(unreachable)? {
            return Err(PublishError::NoTopic(topic.to_owned()));
        }
        Ok(Self {
            producer,
            topic: topic.to_owned(),
            room: Arc::new(Semaphore::new(UNDER_WAY)),
            sent: Arc::default(),
            under_way: Mutex::default(),
        })
    }

    /// Hands one event over; waits only while too many are under way.
    pub async fn publish(&self, key: Option<&str>, event: &[u8]) -> Result<(), PublishError> {
        let Ok(place) = Arc::clone(&self.room).acquire_owned().await else { return Ok(()) };
        let mut under_way = self.under_way.lock().await;
        while let Some(done) = under_way.try_join_next() {
            flatten(done)?;
        }
        let mut record = FutureRecord::<str, [u8]>::to(&self.topic).payload(event);
        if let Some(key) = key {
            record = record.key(key);
        }
        let sending = self.producer.send_result(record);
        let sending = sending.map_err(|(error, _)| PublishError::Refused(error.into()))?;
        let sent = Arc::clone(&self.sent);
        under_way.spawn(async move {
            let delivered = sending.await;
            drop(place);
            written(delivered.map_err(|_| KafkaError::Canceled)?)?;
            sent.fetch_add(1, Ordering::Relaxed);
            Ok(())
        });
        Ok(())
    }

    /// Waits until all are acknowledged, and tells how many were.
    pub async fn finish(self) -> Result<u64, PublishError> {
        let mut under_way = self.under_way.lock().await;
        while let Some(done) = under_way.join_next().await {
            flatten(done)?;
        }
        Ok(self.sent.load(Ordering::Relaxed))
    }
}

fn flatten(
    done: Result<Result<(), Unwritten>, tokio::task::JoinError>,
) -> Result<(), PublishError> {
    let done = done.unwrap_or_else(|_| Err(KafkaError::Canceled.into()));
    done.map_err(PublishError::Refused)
}
