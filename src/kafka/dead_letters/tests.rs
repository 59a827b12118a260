//! What librdkafka calls acknowledged, and is not.

use std::collections::BTreeMap;
use std::time::Duration;

use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::mocking::MockCluster;
use rdkafka::producer::DefaultProducerContext;
use rdkafka::types::{RDKafkaApiKey, RDKafkaRespErr};
use secrecy::SecretString;

use super::*;
use crate::domain::clock::Timestamp;
use crate::domain::dead_letter::{Reason, Rejection, Tries};
use crate::domain::ports::DeadLetters as _;
use crate::domain::ports::Start;
use crate::domain::record::{Record, RecordOffset, TopicPartition};

const TOPIC: &str = "dead-letters";
const LIMIT: Duration = Duration::from_secs(10);

fn letter(offset: u64) -> DeadLetter {
    let record = Record {
        source: TopicPartition { topic: "orders".into(), partition: 0 },
        offset: RecordOffset(offset),
        timestamp: Timestamp(0),
        key: Some(b"key".to_vec()),
        value: Some(b"{}".to_vec()),
        headers: Vec::new(),
    };
    let rejection = Rejection { reason: Reason::Schema, detail: String::new(), rule: None };
    DeadLetter {
        record: Arc::new(record),
        rejection,
        channel: None,
        tries: Tries::default(),
        redrives: 0,
        may_repeat: false,
    }
}

struct Written {
    cluster: MockCluster<'static, DefaultProducerContext>,
    settings: Settings,
    letters: DeadLetters,
}

/// A topic with one dead letter.
async fn written_one() -> Written {
    let cluster = MockCluster::new(1).expect("a cluster");
    cluster.create_topic(TOPIC, 1, 1).expect("a topic");
    let settings = Settings {
        brokers: cluster.bootstrap_servers(),
        group: "group".to_owned(),
        start: Start::Earliest,
        // Each dead letter has a request of its own.
        properties: BTreeMap::from([("batch.num.messages".to_owned(), SecretString::from("1"))]),
        session_timeout: Duration::from_secs(45),
    };
    let letters = DeadLetters::new(settings.clone(), TOPIC.to_owned(), None).expect("a producer");
    assert!(letters.produce(&letter(0)).await, "it is connected");
    Written { cluster, settings, letters }
}

#[tokio::test]
async fn a_producer_that_has_failed_for_good_is_replaced() {
    let Written { cluster, letters, .. } = written_one().await;
    let refused = RDKafkaRespErr::RD_KAFKA_RESP_ERR_OUT_OF_ORDER_SEQUENCE_NUMBER;
    cluster.request_errors(RDKafkaApiKey::Produce, &[refused]);
    assert!(!letters.produce(&letter(1)).await);
    assert!(letters.produce(&letter(1)).await, "by another one");
}

/// A topic that is made again while requests are on their way refuses the first and takes the
/// second, as this cluster does.
#[tokio::test]
async fn what_is_only_inferred_from_a_later_batch_is_not_acknowledged() {
    let Written { cluster, settings, letters } = written_one().await;
    // So long that both requests are on their way before the first answer comes.
    cluster.broker_round_trip_time(1, Duration::from_millis(300)).expect("a slow broker");
    let refused = RDKafkaRespErr::RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART;
    cluster.request_errors(RDKafkaApiKey::Produce, &[refused]);

    let (first, second) = (letter(1), letter(2));
    let (first, second) = tokio::join!(letters.produce(&first), letters.produce(&second));

    let consumer: BaseConsumer = settings.client().create().expect("a client");
    let (_, end) = consumer.fetch_watermarks(TOPIC, 0, LIMIT).expect("an end");
    let acknowledged = 1 + i64::from(first) + i64::from(second);
    assert!(acknowledged <= end, "{acknowledged} acknowledged, {end} written");
    assert!(second && !first);
    assert!(letters.produce(&letter(1)).await, "it goes on");
}
