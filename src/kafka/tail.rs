//! Reading topics without being a member of a group: nobody loses a partition, nothing is
//! committed.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use rdkafka::TopicPartitionList;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::error::KafkaError;
use rdkafka::topic_partition_list::Offset;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use super::settings::Settings;
use crate::domain::clock::Timestamp;
use crate::domain::record::Record;

const ANSWER: Duration = Duration::from_secs(10);
const POLL: Duration = Duration::from_millis(100);

/// Where reading begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum From {
    Beginning,
    /// Where the group has committed; the end where it has not.
    Committed,
}

/// The records of some topics, as they come.
#[derive(Debug)]
pub struct Tail {
    records: mpsc::Receiver<Record>,
    stopped: Arc<AtomicBool>,
    reader: JoinHandle<()>,
}

impl Tail {
    /// Looks the partitions up and starts to read them.
    pub async fn start(
        settings: &Settings,
        topics: Vec<String>,
        from: From,
    ) -> Result<Self, KafkaError> {
        let mut config = settings.consumer();
        // Nobody looks at them here, and librdkafka's client would log each.
        config.set("statistics.interval.ms", "0");
        let begin = move || {
            let consumer: BaseConsumer = config.create()?;
            consumer.assign(&positions(&consumer, &topics, from)?)?;
            Ok::<_, KafkaError>(consumer)
        };
        let began = tokio::task::spawn_blocking(begin).await;
        let consumer = began.map_err(|error| KafkaError::ClientCreation(error.to_string()))??;
        let (tell, records) = mpsc::channel(64);
        let stopped = Arc::new(AtomicBool::new(false));
        let stop = Arc::clone(&stopped);
        let reader = tokio::task::spawn_blocking(move || {
            while !stop.load(Ordering::Relaxed) {
                match consumer.poll(POLL) {
                    None => {}
                    Some(Ok(message)) => {
                        let record = super::consumer::own(&message, || Timestamp(0));
                        if tell.blocking_send(record).is_err() {
                            return;
                        }
                    }
                    Some(Err(error)) => tracing::warn!(%error, "Kafka"),
                }
            }
        });
        Ok(Self { records, stopped, reader })
    }

    /// The next record; none only when the reader has gone.
    pub async fn next(&mut self) -> Option<Record> {
        self.records.recv().await
    }

    /// Stops, and waits until the connections are closed. A dropped tail does not wait.
    pub async fn close(mut self) {
        self.stopped.store(true, Ordering::Relaxed);
        self.records.close();
        if let Err(error) = (&mut self.reader).await {
            tracing::warn!(%error, "the reader has crashed");
        }
    }
}

impl Drop for Tail {
    fn drop(&mut self) {
        self.stopped.store(true, Ordering::Relaxed);
    }
}

fn positions(
    consumer: &BaseConsumer,
    topics: &[String],
    from: From,
) -> Result<TopicPartitionList, KafkaError> {
    let mut list = TopicPartitionList::new();
    for topic in topics {
        let metadata = consumer.fetch_metadata(Some(topic), ANSWER)?;
        for found in metadata.topics() {
            for partition in found.partitions() {
                list.add_partition_offset(topic, partition.id(), Offset::Beginning)?;
            }
        }
    }
    if from == From::Committed {
        list = consumer.committed_offsets(list, ANSWER)?;
        let uncommitted: Vec<_> = list
            .elements()
            .iter()
            .filter(|element| element.offset() == Offset::Invalid)
            .map(|element| (element.topic().to_owned(), element.partition()))
            .collect();
        for (topic, partition) in uncommitted {
            list.set_partition_offset(&topic, partition, Offset::End)?;
        }
    }
    Ok(list)
}
