//! Reading topics without being a member of a group: nobody loses a partition, nothing is
//! committed.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use rdkafka::TopicPartitionList;
use rdkafka::consumer::Consumer as _;
use rdkafka::error::KafkaError;
use rdkafka::topic_partition_list::{Offset, TopicPartitionListElem};
use tokio::sync::mpsc;
use tokio::task::{JoinError, JoinHandle};

use super::consumer;
use super::preflight::{Groupless, Refused, groupless, partitions_of, wait_until_reachable};
use super::settings::Settings;
use crate::domain::clock::Timestamp;
use crate::domain::metadata;
use crate::domain::offsets::Runs;
use crate::domain::ports::Start;
use crate::domain::record::{CommitOffset, Record, TopicPartition};

const ANSWER: Duration = Duration::from_secs(10);
const POLL: Duration = Duration::from_millis(100);

/// Where reading begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StartAt {
    Beginning,
    /// Where the group has committed, and where it has not, where it would start.
    Committed,
}

/// Why nothing can be read.
#[derive(Debug, thiserror::Error)]
pub enum TailError {
    #[error(transparent)]
    Refused(#[from] Refused),
    #[error("Kafka does not say where to begin: {0}")]
    Kafka(#[from] KafkaError),
    #[error("the reader has crashed: {0}")]
    Crashed(#[from] JoinError),
}

/// In how many partitions reading has begun.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Begun {
    pub partitions: usize,
    /// Those of them in which it has begun where the group has committed.
    pub committed: usize,
}

/// The records of some topics, as they come.
#[derive(Debug)]
pub struct Tail {
    records: mpsc::Receiver<Record>,
    begun: Begun,
    stopped: Arc<AtomicBool>,
    reader: JoinHandle<()>,
}

impl Tail {
    /// Looks the partitions up and starts to read them.
    pub async fn start(
        settings: &Settings,
        topics: Vec<String>,
        at: StartAt,
    ) -> Result<Self, TailError> {
        let settings = settings.clone();
        let begin = move || begin(&settings, &topics, at);
        let (reading, begun, settled) = tokio::task::spawn_blocking(begin).await??;
        let (tell, records) = mpsc::channel(64);
        let stopped = Arc::new(AtomicBool::new(false));
        let stop = Arc::clone(&stopped);
        let reader = tokio::task::spawn_blocking(move || {
            while !stop.load(Ordering::Relaxed) {
                match reading.poll(POLL) {
                    None => {}
                    Some(Ok(message)) => {
                        let record = consumer::own(&message, || Timestamp(0));
                        if !has_settled(&settled, &record) && tell.blocking_send(record).is_err() {
                            return;
                        }
                    }
                    Some(Err(error)) => tracing::warn!(%error, "Kafka reports an error"),
                }
            }
        });
        Ok(Self { records, begun, stopped, reader })
    }

    /// In how many partitions reading has begun, and where.
    pub fn begun(&self) -> Begun {
        self.begun
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

fn begin(
    settings: &Settings,
    topics: &[String],
    at: StartAt,
) -> Result<(Groupless, Begun, Settled), TailError> {
    let mut config = settings.consumer();
    // Nobody looks at them here, and librdkafka's client would log each.
    config.set("statistics.interval.ms", "0");
    let client = groupless(&config)?;
    if let Some(topic) = topics.first() {
        wait_until_reachable(&client, &settings.brokers, topic)?;
    }
    let mut list = TopicPartitionList::new();
    for topic in topics {
        let missing = Refused::NoTopic { topic: topic.clone() };
        for partition in partitions_of(&client, settings, topic, missing)? {
            list.add_partition_offset(topic, partition, Offset::Beginning)?;
        }
    }
    let mut begun = Begun { partitions: list.count(), committed: 0 };
    let mut settled = Settled::new();
    if at == StartAt::Committed {
        list = client.committed_offsets(list, ANSWER)?;
        let uncommitted: Vec<_> = list
            .elements()
            .iter()
            .filter(|element| element.offset() == Offset::Invalid)
            .map(|element| (element.topic().to_owned(), element.partition()))
            .collect();
        begun.committed = begun.partitions - uncommitted.len();
        settled = list.elements().iter().filter_map(settled_beyond).collect();
        let start = match settings.start {
            Start::Latest => Offset::End,
            Start::Earliest => Offset::Beginning,
        };
        for (topic, partition) in uncommitted {
            list.set_partition_offset(&topic, partition, start)?;
        }
    }
    client.assign(&list)?;
    Ok((client, begun, settled))
}

/// What the group's commits tell to have settled beyond them.
type Settled = BTreeMap<TopicPartition, Runs>;

fn settled_beyond(element: &TopicPartitionListElem<'_>) -> Option<(TopicPartition, Runs)> {
    let frontier = CommitOffset(u64::try_from(element.offset().to_raw()?).ok()?);
    // Which rules it was written for matters to partly settled records alone.
    let beyond = metadata::decode(&consumer::metadata(element), frontier, 0).ok()?;
    let source = TopicPartition { topic: element.topic().into(), partition: element.partition() };
    Some((source, beyond.runs))
}

fn has_settled(settled: &Settled, record: &Record) -> bool {
    let runs = settled.get(&record.source).map(Vec::as_slice).unwrap_or_default();
    runs.iter().any(|run| run.contains(&record.offset.0))
}
