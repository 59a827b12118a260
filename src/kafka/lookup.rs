//! One record of a topic, read without joining the group.

use std::time::Duration;

use rdkafka::TopicPartitionList;
use rdkafka::consumer::Consumer as _;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::topic_partition_list::Offset;

use super::consumer;
use super::preflight::{Groupless, Refused, groupless, wait_until_reachable};
use super::settings::Settings;
use super::topic::{self, Topic};
use crate::domain::clock::Timestamp;
use crate::domain::record::{Record, RecordOffset, TopicPartition};

/// How long the broker may take for each question.
const ANSWER: Duration = Duration::from_secs(10);

/// How often the record is polled for, and for how long each time: half a minute in all.
const POLLS: u32 = 60;
const POLL: Duration = Duration::from_millis(500);

/// Why there is no record.
#[derive(Debug, thiserror::Error)]
pub enum NotFound {
    #[error(transparent)]
    Refused(#[from] Refused),
    #[error("the topic `{0}` does not exist in Kafka")]
    NoTopic(String),
    #[error("the topic `{topic}` has no partition {partition}; it has {partitions}, from 0")]
    NoPartition { topic: String, partition: i32, partitions: usize },
    #[error("{place} is empty")]
    Empty { place: TopicPartition },
    #[error("{place} has no offset {offset}; it has {first} to {last}")]
    OutOfRange { place: TopicPartition, offset: u64, first: i64, last: i64 },
    #[error(
        "there is no record at {place}@{offset}: it was compacted away, its transaction was aborted, or it is a transaction marker{}",
        next.map(|next| format!("; the next one is at {next}")).unwrap_or_default()
    )]
    Gone { place: TopicPartition, offset: u64, next: Option<u64> },
    #[error("{place}@{offset} could not be read: {cause}")]
    Failed { place: TopicPartition, offset: u64, cause: String },
}

/// Reads the record at `offset`. It takes at most about a minute and a half; nothing is committed.
pub async fn record(
    settings: &Settings,
    source: &TopicPartition,
    offset: RecordOffset,
) -> Result<Record, NotFound> {
    let (settings, wanted) = (settings.clone(), source.clone());
    let read = tokio::task::spawn_blocking(move || read(&settings, &wanted, offset));
    let crashed = |error: tokio::task::JoinError| failed(source, offset, &error.to_string());
    read.await.unwrap_or_else(|error| Err(crashed(error)))
}

fn read(
    settings: &Settings,
    source: &TopicPartition,
    offset: RecordOffset,
) -> Result<Record, NotFound> {
    let consumer = groupless(&settings.reader())?;
    wait_until_reachable(&consumer, &settings.brokers, &source.topic)?;
    let failed = |cause: KafkaError| failed(source, offset, &cause.to_string());
    exists(&consumer, source, offset)?;
    let range = consumer.fetch_watermarks(&source.topic, source.partition, ANSWER);
    let (first, end) = range.map_err(failed)?;
    let at = i64::try_from(offset.0).unwrap_or(i64::MAX);
    if first >= end {
        return Err(NotFound::Empty { place: source.clone() });
    }
    if !(first..end).contains(&at) {
        let (place, last) = (source.clone(), end - 1);
        return Err(NotFound::OutOfRange { place, offset: offset.0, first, last });
    }
    let mut list = TopicPartitionList::new();
    list.add_partition_offset(&source.topic, source.partition, Offset::Offset(at))
        .map_err(failed)?;
    consumer.assign(&list).map_err(failed)?;
    first_record(&consumer, source, offset)
}

fn exists(
    consumer: &Groupless,
    source: &TopicPartition,
    offset: RecordOffset,
) -> Result<(), NotFound> {
    let topic = source.topic.to_string();
    let found = topic::look_up(consumer, &topic, ANSWER);
    match found.map_err(|error| failed(source, offset, &error.to_string()))? {
        Topic::Missing => Err(NotFound::NoTopic(topic)),
        Topic::Refused(error) => Err(failed(source, offset, &error.to_string())),
        Topic::There(partitions) if partitions.contains(&source.partition) => Ok(()),
        Topic::There(partitions) => {
            let (partition, partitions) = (source.partition, partitions.len());
            Err(NotFound::NoPartition { topic, partition, partitions })
        }
    }
}

/// What is polled first, if it is the record: the one after it comes where there is none.
fn first_record(
    consumer: &Groupless,
    source: &TopicPartition,
    offset: RecordOffset,
) -> Result<Record, NotFound> {
    let gone = |next| NotFound::Gone { place: source.clone(), offset: offset.0, next };
    let mut cause = "no answer".to_owned();
    for _ in 0..POLLS {
        match consumer.poll(POLL) {
            None => {}
            Some(Ok(message)) => {
                let record = consumer::own(&message, || Timestamp(0));
                let found = record.offset;
                return if found == offset { Ok(record) } else { Err(gone(Some(found.0))) };
            }
            Some(Err(KafkaError::PartitionEOF(_))) => return Err(gone(None)),
            Some(Err(error)) => {
                let forbidden = RDKafkaErrorCode::TopicAuthorizationFailed;
                if error.rdkafka_error_code() == Some(forbidden) {
                    return Err(failed(source, offset, &error.to_string()));
                }
                cause = error.to_string();
            }
        }
    }
    Err(failed(source, offset, &cause))
}

fn failed(source: &TopicPartition, offset: RecordOffset, cause: &str) -> NotFound {
    NotFound::Failed { place: source.clone(), offset: offset.0, cause: cause.to_owned() }
}
