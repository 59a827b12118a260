//! Reading a topic as it is now, from its beginning to its end, without being a member of a group.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use rdkafka::TopicPartitionList;
use rdkafka::consumer::Consumer as _;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::topic_partition_list::Offset;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use super::preflight::{Groupless, Refused, groupless, wait_until_reachable};
use super::settings::Settings;
use super::topic::{self, Topic};
use crate::domain::clock::Timestamp;
use crate::domain::record::Record;

const ANSWER: Duration = Duration::from_secs(10);
const POLL: Duration = Duration::from_millis(100);

/// How many polls in a row may bring nothing before the brokers are taken to be away: 30 s.
const SILENT_POLLS: u32 = 300;

#[derive(Debug, thiserror::Error)]
pub enum ScanError {
    #[error(transparent)]
    Refused(#[from] Refused),
    #[error("the reader has crashed: {0}")]
    Crashed(#[from] tokio::task::JoinError),
    #[error("the topic `{0}` does not exist; create it, or correct its name under `dead_letters`")]
    NoTopic(String),
    #[error("the topic `{topic}` has no partition {partition}; it has {}", numbered(.partitions))]
    NoPartition { topic: String, partition: i32, partitions: Vec<i32> },
    #[error("the topic `{topic}` can't be read: {cause}")]
    Kafka { topic: String, cause: KafkaError },
    #[error("the topic `{0}` can't be read to its end: Kafka has not answered for 30 s")]
    Silent(String),
}

/// The numbers of all partitions, of which Kafka leaves none out.
fn numbered(partitions: &[i32]) -> String {
    match partitions {
        [] | [_] => "partition 0 only".to_owned(),
        [first, .., last] => format!("the partitions {first} to {last}"),
    }
}

/// Which part of a topic is read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part {
    /// One partition; none: all.
    pub partition: Option<i32>,
    pub offsets: Range<u64>,
    /// From the first record of this time on, as far as Kafka can tell: records before it whose
    /// time is later may be left out, and such after it that are earlier are not.
    pub since: Option<Timestamp>,
}

impl Default for Part {
    fn default() -> Self {
        Self { partition: None, offsets: 0..u64::MAX, since: None }
    }
}

/// The records of a topic, each partition's in order.
#[derive(Debug)]
pub struct Scan {
    records: mpsc::Receiver<Result<Record, ScanError>>,
    /// None once its end has been seen.
    reader: Option<JoinHandle<()>>,
    offsets: u64,
    stopped: Arc<AtomicBool>,
}

impl Scan {
    /// Looks up where the topic begins and ends, and starts to read.
    pub async fn start(settings: &Settings, topic: &str, part: Part) -> Result<Self, ScanError> {
        let stopped = Arc::new(AtomicBool::new(false));
        let mut reader = Reader {
            consumer: consumer(settings)?,
            brokers: settings.brokers.clone(),
            topic: topic.to_owned(),
            left: BTreeMap::new(),
            stopped: Arc::clone(&stopped),
        };
        let began = tokio::task::spawn_blocking(move || reader.begin(&part).map(|()| reader));
        let reader = began.await??;
        let offsets = reader.left.values().map(|range| range.end - range.start).sum();
        let (tell, records) = mpsc::channel(64);
        let reader = Some(tokio::task::spawn_blocking(move || reader.read(&tell)));
        Ok(Self { records, reader, offsets, stopped })
    }

    /// How many offsets are read; of some there may be no record.
    pub fn offsets(&self) -> u64 {
        self.offsets
    }

    /// The next record; none at the end.
    pub async fn next(&mut self) -> Result<Option<Record>, ScanError> {
        if let Some(record) = self.records.recv().await {
            return record.map(Some);
        }
        // A reader that has crashed has not read to the end. It is kept until that is known, for
        // whoever asks may ask something else meanwhile, and then again.
        if let Some(reader) = &mut self.reader {
            let ended = reader.await;
            self.reader = None;
            ended?;
        }
        Ok(None)
    }
}

impl Drop for Scan {
    fn drop(&mut self) {
        self.stopped.store(true, Ordering::Relaxed);
    }
}

fn consumer(settings: &Settings) -> Result<Groupless, Refused> {
    let mut config = settings.reader();
    // What retention has deleted meanwhile is passed over.
    config.set("auto.offset.reset", "earliest");
    groupless(&config)
}

struct Reader {
    consumer: Groupless,
    brokers: String,
    topic: String,
    /// What is left to be read of each partition.
    left: BTreeMap<i32, Range<u64>>,
    stopped: Arc<AtomicBool>,
}

impl Reader {
    fn begin(&mut self, part: &Part) -> Result<(), ScanError> {
        wait_until_reachable(&self.consumer, &self.brokers, &self.topic)?;
        let found = topic::look_up(&self.consumer, &self.topic, ANSWER);
        let mut partitions = match found.map_err(|cause| self.failed(cause))? {
            Topic::Missing => return Err(ScanError::NoTopic(self.topic.clone())),
            Topic::Refused(error) => return Err(self.failed(KafkaError::MetadataFetch(error))),
            Topic::There(partitions) => partitions,
        };
        if let Some(partition) = part.partition {
            if !partitions.contains(&partition) {
                let topic = self.topic.clone();
                return Err(ScanError::NoPartition { topic, partition, partitions });
            }
            partitions = vec![partition];
        }
        for id in partitions {
            let (low, high) = self
                .consumer
                .fetch_watermarks(&self.topic, id, ANSWER)
                .map_err(|cause| self.failed(cause))?;
            let [low, high] = [low, high].map(|offset| u64::try_from(offset).unwrap_or(0));
            let range = low.max(part.offsets.start)..high.min(part.offsets.end);
            if !range.is_empty() {
                self.left.insert(id, range);
            }
        }
        if let Some(since) = part.since {
            self.skip_until(since).map_err(|cause| self.failed(cause))?;
        }
        self.assign().map_err(|cause| self.failed(cause))
    }

    /// Passes over what is older, as Kafka's index of times has it.
    fn skip_until(&mut self, since: Timestamp) -> Result<(), KafkaError> {
        if self.left.is_empty() {
            return Ok(());
        }
        let mut asked = TopicPartitionList::with_capacity(self.left.len());
        for partition in self.left.keys() {
            asked.add_partition_offset(&self.topic, *partition, Offset::Offset(since.0))?;
        }
        let found = self.consumer.offsets_for_times(asked, ANSWER)?;
        for element in found.elements() {
            element.error()?;
            let Some(range) = self.left.get_mut(&element.partition()) else { continue };
            // No record is of that time or later.
            let from = element.offset().to_raw().and_then(|from| u64::try_from(from).ok());
            range.start = from.map_or(range.end, |from| range.start.max(from));
        }
        self.left.retain(|_, range| !range.is_empty());
        Ok(())
    }

    fn assign(&self) -> Result<(), KafkaError> {
        let mut list = TopicPartitionList::with_capacity(self.left.len());
        for (partition, range) in &self.left {
            let from = Offset::Offset(i64::try_from(range.start).unwrap_or(i64::MAX));
            list.add_partition_offset(&self.topic, *partition, from)?;
        }
        self.consumer.assign(&list)
    }

    fn read(mut self, tell: &mpsc::Sender<Result<Record, ScanError>>) {
        let mut silent = 0;
        while !self.left.is_empty() && !self.stopped.load(Ordering::Relaxed) {
            let polled = self.consumer.poll(POLL);
            let polled = polled.map(|polled| {
                polled.map(|message| super::consumer::own(&message, || Timestamp(0)))
            });
            silent = match polled {
                Some(Ok(_) | Err(KafkaError::PartitionEOF(_))) => 0,
                // Brokers that can't be reached are no sign of life, however often that is said.
                Some(Err(_)) => silent,
                None => silent + 1,
            };
            let told = match polled {
                Some(Ok(record)) => self.take(record).map(Ok),
                Some(Err(KafkaError::PartitionEOF(partition))) => {
                    self.left.remove(&partition);
                    None
                }
                Some(Err(cause)) if is_final(&cause) => Some(Err(self.failed(cause))),
                Some(Err(error)) => {
                    tracing::debug!(%error, "Kafka reports an error");
                    None
                }
                None if silent > SILENT_POLLS => Some(Err(ScanError::Silent(self.topic.clone()))),
                None => None,
            };
            let failed = matches!(told, Some(Err(_)));
            if told.is_some_and(|told| tell.blocking_send(told).is_err()) || failed {
                return;
            }
        }
    }

    /// Takes a record, if it is one of those that are wanted.
    fn take(&mut self, record: Record) -> Option<Record> {
        let range = self.left.get_mut(&record.source.partition)?;
        let wanted = range.contains(&record.offset.0);
        range.start = range.start.max(record.offset.next().0);
        if range.is_empty() {
            self.left.remove(&record.source.partition);
        }
        wanted.then_some(record)
    }

    fn failed(&self, cause: KafkaError) -> ScanError {
        ScanError::Kafka { topic: self.topic.clone(), cause }
    }
}

/// Whether asking again would not help. The rest of what the client says passes by itself, or ends
/// in silence. What it says of the group does not matter: none is joined.
fn is_final(error: &KafkaError) -> bool {
    matches!(
        error.rdkafka_error_code(),
        Some(
            RDKafkaErrorCode::TopicAuthorizationFailed
                | RDKafkaErrorCode::UnknownTopicOrPartition
                | RDKafkaErrorCode::UnknownTopic
                | RDKafkaErrorCode::UnknownPartition
        )
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_crash_is_told_however_often_the_question_was_given_up() {
        let (tell, records) = mpsc::channel(1);
        let (crash, crashes) = tokio::sync::oneshot::channel::<()>();
        drop(tell);
        let reader = tokio::spawn(async move { crashes.await.expect("a crash") });
        let stopped = Arc::new(AtomicBool::new(false));
        let mut scan = Scan { records, reader: Some(reader), offsets: 1, stopped };
        tokio::select! {
            biased;
            _ = scan.next() => panic!("it has not ended"),
            () = std::future::ready(()) => {}
        }
        drop(crash);
        assert!(scan.next().await.is_err());
    }
}
