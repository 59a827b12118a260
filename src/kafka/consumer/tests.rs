//! What a broker does only now and then, made to happen by librdkafka's own mock of one.

use std::sync::atomic::{AtomicU64, Ordering};

use rdkafka::mocking::{MockCluster, MockCoordinator};
use rdkafka::producer::{BaseProducer, BaseRecord, DefaultProducerContext, Producer as _};
use rdkafka::types::{RDKafkaApiKey, RDKafkaRespErr};
use secrecy::SecretString;
use tokio::time::timeout;

use super::*;
use crate::domain::clock::Moment;

/// Goes on by a hundredth of a second whenever it is looked at.
#[derive(Default)]
struct Ticking(AtomicU64);

impl Clock for Ticking {
    fn now(&self) -> Moment {
        let millis = self.0.fetch_add(10, Ordering::Relaxed);
        Moment { elapsed: Duration::from_millis(millis), wall: Timestamp(0) }
    }
}

const LIMIT: Duration = Duration::from_mins(1);

/// The only member of its group, which has read five records of the first partition of `orders`.
struct Joined {
    consumer: Consumer,
    clock: Arc<Ticking>,
    events: channel::Receiver<LogEvent>,
    cluster: MockCluster<'static, DefaultProducerContext>,
    source: TopicPartition,
}

impl Joined {
    async fn with(properties: &[(&str, &str)]) -> Self {
        Self::of(1, properties).await
    }

    /// As many partitions as brokers, one of each.
    async fn of(brokers: i32, properties: &[(&str, &str)]) -> Self {
        let cluster = MockCluster::new(brokers).unwrap();
        cluster.create_topic("orders", brokers, 1).unwrap();
        for partition in 0..brokers {
            cluster.partition_leader("orders", partition, Some(partition + 1)).unwrap();
        }
        cluster.create_topic("redrive", 1, 1).unwrap();
        let property = |(name, value): &(&str, &str)| {
            ((*name).to_owned(), SecretString::from((*value).to_owned()))
        };
        let settings = Settings {
            brokers: cluster.bootstrap_servers(),
            group: "group".to_owned(),
            start: Start::Earliest,
            properties: properties.iter().map(property).collect(),
            session_timeout: Duration::from_secs(45),
        };
        let topics = vec!["orders".to_owned()];
        let clock = Arc::<Ticking>::default();
        let (consumer, events) = Consumer::join(
            &settings,
            topics,
            "redrive".to_owned(),
            Arc::<Ticking>::clone(&clock),
            Box::new(|_| {}),
        )
        .unwrap();
        let source = TopicPartition { topic: "orders".into(), partition: 0 };
        let mut joined = Self { consumer, clock, events, cluster, source };
        joined.produce_five();
        joined.read_five().await;
        joined
    }

    fn produce_five(&self) {
        let brokers = self.cluster.bootstrap_servers();
        let mut config = rdkafka::ClientConfig::new();
        let producer: BaseProducer = config.set("bootstrap.servers", brokers).create().unwrap();
        for _ in 0..5 {
            producer.send(BaseRecord::to("orders").partition(0).key("k").payload("{}")).unwrap();
        }
        producer.flush(LIMIT).unwrap();
    }

    /// Waits for what is wanted, and passes over everything else.
    async fn wait<T>(&mut self, wanted: impl Fn(&LogEvent) -> Option<T>) -> T {
        let waited = async {
            loop {
                let event = self.events.recv().await.expect("the thread is there");
                if let Some(found) = wanted(&event) {
                    return found;
                }
                assert!(!matches!(event, LogEvent::Fatal(_)), "{event:?}");
            }
        };
        timeout(LIMIT, waited).await.expect("in time")
    }

    async fn read_five(&mut self) {
        let mut read = 0;
        while read < 5 {
            let records = |event: &LogEvent| {
                if let LogEvent::Records(all) = event { Some(all.len()) } else { None }
            };
            read += self.wait(records).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pause_that_crosses_a_loss_does_not_outlive_it() {
    let mut joined =
        Joined::with(&[("heartbeat.interval.ms", "500"), ("session.timeout.ms", "6000")]).await;
    let unknown = RDKafkaRespErr::RD_KAFKA_RESP_ERR_UNKNOWN_MEMBER_ID;
    joined.cluster.request_errors(RDKafkaApiKey::Heartbeat, &[unknown]);
    joined.wait(|event| matches!(event, LogEvent::Lost(_)).then_some(())).await;
    // The driver has said so before it heard of the loss.
    joined.consumer.pause(joined.source.clone());
    joined.read_five().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_position_that_was_out_of_range_is_told_though_it_is_in_range_again() {
    let mut joined = Joined::with(&[]).await;
    let error = RDKafkaRespErr::RD_KAFKA_RESP_ERR_OFFSET_OUT_OF_RANGE;
    joined.cluster.request_errors(RDKafkaApiKey::Fetch, &[error]);
    // Whichever of the two partitions the refused request was for, or both.
    joined.wait(|event| matches!(event, LogEvent::OutOfRange { .. }).then_some(())).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_positions_that_are_out_of_range_one_after_the_other_are_both_told() {
    let mut joined = Joined::of(2, &[]).await;
    let error = RDKafkaRespErr::RD_KAFKA_RESP_ERR_OFFSET_OUT_OF_RANGE;
    let told_of = |event: &LogEvent| {
        let seen = matches!(event, LogEvent::Seen { .. }).then_some(None);
        let LogEvent::OutOfRange { source, .. } = event else { return seen };
        (&*source.topic == "orders").then_some(Some(source.partition))
    };
    let mut told = std::collections::BTreeSet::new();
    joined.cluster.request_errors(RDKafkaApiKey::Fetch, &[error]);
    let both = async {
        while told.len() < 2 {
            let partition = joined.wait(told_of).await;
            told.extend(partition);
            // The first one is seen once before the other one's error comes.
            if partition.is_none() {
                joined.cluster.request_errors(RDKafkaApiKey::Fetch, &[error]);
            }
        }
    };
    timeout(LIMIT, both).await.expect("both in time");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_end_of_a_paused_partition_is_seen_to_move() {
    let mut joined = Joined::with(&[]).await;
    joined.consumer.pause(joined.source.clone());
    joined.produce_five();
    let (source, all) = (joined.source.clone(), 10);
    let seen = |event: &LogEvent| {
        let LogEvent::Seen { ends, .. } = event else { return None };
        ends.contains(&(source.clone(), all)).then_some(())
    };
    joined.wait(seen).await;
}

/// As while the group waits for a member that has died, or in an outage, however long that is.
#[tokio::test(flavor = "multi_thread")]
async fn while_a_commit_has_no_answer_records_are_read() {
    let mut joined = Joined::of(2, &[]).await;
    joined.cluster.coordinator(MockCoordinator::Group("group".to_owned()), 2).unwrap();
    joined.cluster.broker_round_trip_time(2, LIMIT * 2).unwrap();
    let request = CommitRequest {
        source: joined.source.clone(),
        epoch: Epoch(1),
        offset: CommitOffset(5),
        metadata: String::new(),
    };
    joined.consumer.commit(vec![request]);
    joined.produce_five();
    joined.read_five().await;
    joined.clock.0.fetch_add(3_600_000, Ordering::Relaxed);
    joined.produce_five();
    joined.read_five().await;
}
