//! What tests write to a cluster and read back from it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{BorrowedMessage, DeliveryResult, Header, Headers, OwnedHeaders};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer, ProducerContext};
use rdkafka::{ClientContext, Message, Offset, TopicPartitionList};

use super::kafka::{KafkaCluster, REQUEST_LIMIT};
use super::wait::wait_until;

/// A record to be produced.
#[derive(Clone, Default)]
pub(crate) struct NewRecord {
    key: Option<Vec<u8>>,
    value: Option<Vec<u8>>,
    partition: Option<i32>,
    timestamp: Option<i64>,
    headers: Vec<(String, Vec<u8>)>,
}

impl NewRecord {
    /// A record with a value, without a key.
    pub(crate) fn of(value: impl Into<Vec<u8>>) -> Self {
        Self { value: Some(value.into()), ..Self::default() }
    }

    /// A record without a value.
    pub(crate) fn tombstone() -> Self {
        Self::default()
    }

    pub(crate) fn key(self, key: impl Into<Vec<u8>>) -> Self {
        Self { key: Some(key.into()), ..self }
    }

    /// Left out, the key decides.
    pub(crate) fn partition(self, partition: i32) -> Self {
        Self { partition: Some(partition), ..self }
    }

    /// In milliseconds since 1970; left out, it is now.
    pub(crate) fn timestamp(self, milliseconds: i64) -> Self {
        Self { timestamp: Some(milliseconds), ..self }
    }

    pub(crate) fn header(mut self, name: &str, value: impl Into<Vec<u8>>) -> Self {
        self.headers.push((name.to_owned(), value.into()));
        self
    }
}

/// A record as it lies in a topic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct StoredRecord {
    pub(crate) partition: i32,
    pub(crate) offset: i64,
    /// In milliseconds since 1970.
    pub(crate) timestamp: Option<i64>,
    pub(crate) key: Option<Vec<u8>>,
    pub(crate) value: Option<Vec<u8>>,
    /// In the record's order; a header without a value is empty here.
    pub(crate) headers: Vec<(String, Vec<u8>)>,
}

impl StoredRecord {
    /// The first header of that name, as text.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let (_, value) = self.headers.iter().find(|(header, _)| header == name)?;
        Some(std::str::from_utf8(value).expect("a header in UTF-8"))
    }

    /// The value as text; empty without one.
    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(self.value.as_deref().unwrap_or_default()).expect("a value in UTF-8")
    }

    fn read(message: &BorrowedMessage<'_>) -> Self {
        let headers = message.headers().map(|headers| {
            let owned = |header: Header<'_, &[u8]>| {
                (header.key.to_owned(), header.value.unwrap_or_default().to_vec())
            };
            headers.iter().map(owned).collect()
        });
        Self {
            partition: message.partition(),
            offset: message.offset(),
            timestamp: message.timestamp().to_millis(),
            key: message.key().map(<[u8]>::to_vec),
            value: message.payload().map(<[u8]>::to_vec),
            headers: headers.unwrap_or_default(),
        }
    }
}

/// What a group has committed for one partition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Committed {
    pub(crate) offset: i64,
    pub(crate) metadata: String,
}

impl KafkaCluster {
    /// Writes records and waits until all are acknowledged: their partitions and offsets, in the
    /// order given.
    pub(crate) fn produce(
        &self,
        topic: &str,
        records: impl IntoIterator<Item = NewRecord>,
    ) -> Vec<(i32, i64)> {
        let mut config = self.client();
        config.set("enable.idempotence", "true").set("linger.ms", "5");
        // What a record may be is the topic's to say.
        config.set("message.max.bytes", "104857600");
        let producer: BaseProducer<Acknowledged> =
            config.create_with_context(Acknowledged::default()).expect("a producer");
        for (index, record) in records.into_iter().enumerate() {
            producer.context().places().push(Err("never answered".to_owned()));
            send(&producer, topic, index, &record);
        }
        let flushed = producer.flush(REQUEST_LIMIT);
        flushed
            .unwrap_or_else(|error| panic!("not all acknowledged: {error}\n{}", self.log_tail()));
        let places = std::mem::take(&mut *producer.context().places());
        let acknowledged = |place: Result<_, _>| {
            place.unwrap_or_else(|error| panic!("a record was not acknowledged: {error}"))
        };
        places.into_iter().map(acknowledged).collect()
    }

    /// Every record of a topic, by partition and offset.
    pub(crate) fn consume_all(&self, topic: &str) -> Vec<StoredRecord> {
        let mut config = self.client();
        config.set("group.id", "consume-all").set("enable.auto.commit", "false");
        config.set("enable.partition.eof", "true").set("isolation.level", "read_committed");
        let consumer: BaseConsumer = config.create().expect("a consumer");
        let mut from_start = TopicPartitionList::new();
        for partition in 0..self.partitions(topic) {
            from_start
                .add_partition_offset(topic, partition, Offset::Beginning)
                .expect("every partition has a beginning");
        }
        consumer.assign(&from_start).expect("an assignment");

        let partitions = from_start.count();
        let mut records = Vec::new();
        let mut ended = BTreeSet::new();
        while ended.len() < partitions {
            match consumer.poll(REQUEST_LIMIT) {
                Some(Ok(message)) => records.push(StoredRecord::read(&message)),
                Some(Err(KafkaError::PartitionEOF(partition))) => {
                    ended.insert(partition);
                }
                Some(Err(error)) => panic!("{topic} cannot be read: {error}\n{}", self.log_tail()),
                None => panic!("{topic} fell silent before its end\n{}", self.log_tail()),
            }
        }
        records.sort_by_key(|record| (record.partition, record.offset));
        records
    }

    /// What the broker holds for a group, by partition; without a commit a partition is absent.
    pub(crate) fn committed(&self, group: &str, topic: &str) -> BTreeMap<i32, Committed> {
        let mut config = self.client();
        // It asks as the group, but never joins it.
        config.set("group.id", group).set("enable.auto.commit", "false");
        let consumer: BaseConsumer = config.create().expect("a consumer");
        let mut asked = TopicPartitionList::new();
        asked.add_partition_range(topic, 0, self.partitions(topic) - 1);
        // The coordinator may be about to load, or to move.
        let answer = wait_until(REQUEST_LIMIT, "the commits of a group", || {
            consumer.committed_offsets(asked.clone(), REQUEST_LIMIT)
        });
        let committed = answer.elements().into_iter().filter_map(|partition| {
            partition.error().unwrap_or_else(|error| panic!("no commit of {group}: {error}"));
            let Offset::Offset(offset) = partition.offset() else { return None };
            let metadata = partition.metadata().to_owned();
            Some((partition.partition(), Committed { offset, metadata }))
        });
        committed.collect()
    }

    /// The offset that the next record of each partition will have.
    pub(crate) fn end_offsets(&self, topic: &str) -> BTreeMap<i32, i64> {
        let consumer: BaseConsumer = self.client().create().expect("a consumer");
        let end = |partition| {
            let (_, end) = consumer
                .fetch_watermarks(topic, partition, REQUEST_LIMIT)
                .unwrap_or_else(|error| panic!("no end of {topic}/{partition}: {error}"));
            (partition, end)
        };
        (0..self.partitions(topic)).map(end).collect()
    }
}

fn send(producer: &BaseProducer<Acknowledged>, topic: &str, index: usize, record: &NewRecord) {
    const ROOM: Duration = Duration::from_millis(100);
    let mut base: BaseRecord<'_, [u8], [u8], Box<usize>> =
        BaseRecord::with_opaque_to(topic, Box::new(index));
    base.key = record.key.as_deref();
    base.payload = record.value.as_deref();
    base.partition = record.partition;
    base.timestamp = record.timestamp;
    if !record.headers.is_empty() {
        let empty = OwnedHeaders::new_with_capacity(record.headers.len());
        base.headers = Some(record.headers.iter().fold(empty, |headers, (name, value)| {
            headers.insert(Header { key: name, value: Some(value) })
        }));
    }
    loop {
        match producer.send(base) {
            Ok(()) => return,
            Err((KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), unsent)) => {
                producer.poll(ROOM);
                base = unsent;
            }
            Err((error, _)) => panic!("a record for {topic} cannot be sent: {error}"),
        }
    }
}

/// Notes where each record of one `produce` came to lie.
#[derive(Default)]
struct Acknowledged {
    places: Mutex<Vec<Result<(i32, i64), String>>>,
}

impl Acknowledged {
    fn places(&self) -> MutexGuard<'_, Vec<Result<(i32, i64), String>>> {
        self.places.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl ClientContext for Acknowledged {}

impl ProducerContext for Acknowledged {
    type DeliveryOpaque = Box<usize>;

    fn delivery(&self, result: &DeliveryResult<'_>, index: Box<usize>) {
        self.places()[*index] = match result {
            Ok(message) => Ok((message.partition(), message.offset())),
            Err((error, _)) => Err(error.to_string()),
        };
    }
}
