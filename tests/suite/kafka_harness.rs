//! The helpers of the broker hold what they promise, and the broker is as strict as a real one.

use std::time::Duration;

use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::{ClientConfig, Offset, TopicPartitionList};
use rstest::rstest;

use crate::harness::kafka::{KafkaCluster, SASL_PASSWORD, SASL_USER};
use crate::harness::records::NewRecord;
use crate::harness::unique;

const LIMIT: Duration = Duration::from_secs(30);

fn commit(
    cluster: &KafkaCluster,
    group: &str,
    topic: &str,
    offset: i64,
    metadata: &str,
) -> Result<(), KafkaError> {
    let mut config = cluster.client();
    config.set("group.id", group).set("enable.auto.commit", "false");
    let consumer: BaseConsumer = config.create().expect("a consumer");
    let mut list = TopicPartitionList::new();
    let mut partition = list.add_partition(topic, 1);
    partition.set_offset(Offset::Offset(offset)).expect("an offset");
    partition.set_metadata(metadata);
    consumer.commit(&list, CommitMode::Sync)
}

#[test]
fn what_is_produced_is_consumed_unchanged() {
    let cluster = KafkaCluster::shared();
    let topic = unique("orders");
    cluster.create_topic(&topic, 3, &[]);
    let record = NewRecord::of("shipped")
        .key("order-1")
        .partition(2)
        .timestamp(1_700_000_000_000)
        .header("source", "shop")
        .header("raw", [0xff, 0x00]);
    let placed = cluster.produce(&topic, [record, NewRecord::tombstone().partition(2)]);
    assert_eq!(placed, [(2, 0), (2, 1)]);

    let records = cluster.consume_all(&topic);
    assert_eq!(records.len(), 2);
    assert_eq!((records[0].partition, records[0].offset), (2, 0));
    assert_eq!(records[0].timestamp, Some(1_700_000_000_000));
    assert_eq!(records[0].key.as_deref(), Some(b"order-1".as_slice()));
    assert_eq!(records[0].text(), "shipped");
    assert_eq!(records[0].header("source"), Some("shop"));
    assert_eq!(records[0].headers[1], ("raw".to_owned(), vec![0xff, 0x00]));
    assert_eq!((records[1].key.as_ref(), records[1].value.as_ref()), (None, None));
    assert!(records[1].headers.is_empty());
    assert_eq!(cluster.end_offsets(&topic), [(0, 0), (1, 0), (2, 2)].into());
}

#[test]
fn twenty_thousand_records_keep_their_order_and_their_keys_partition() {
    const RECORDS: usize = 20_000;
    const KEYS: usize = 100;
    let cluster = KafkaCluster::shared();
    let topic = unique("many");
    cluster.create_topic(&topic, 4, &[]);
    let record = |n: usize| NewRecord::of(n.to_string()).key(format!("key-{}", n % KEYS));
    let placed = cluster.produce(&topic, (0..RECORDS).map(record));
    assert_eq!(placed.len(), RECORDS);

    let records = cluster.consume_all(&topic);
    assert_eq!(records.len(), RECORDS);
    let mut last_of_key = vec![None; KEYS];
    for record in &records {
        let number: usize = record.text().parse().expect("a number");
        assert_eq!(placed[number], (record.partition, record.offset));
        let last = last_of_key[number % KEYS].replace((record.partition, number));
        assert!(
            last.is_none_or(|(partition, before)| partition == record.partition && before < number)
        );
    }
}

#[test]
fn a_commits_metadata_comes_back() {
    let cluster = KafkaCluster::shared();
    let [topic, group] = [unique("orders"), unique("group")];
    cluster.create_topic(&topic, 2, &[]);
    assert!(cluster.committed(&group, &topic).is_empty());
    commit(cluster, &group, &topic, 7, "v1:7:AAEC").expect("a commit");
    let committed = cluster.committed(&group, &topic);
    assert_eq!(committed.keys().collect::<Vec<_>>(), [&1]);
    assert_eq!((committed[&1].offset, committed[&1].metadata.as_str()), (7, "v1:7:AAEC"));
}

#[test]
fn metadata_of_4096_bytes_is_taken_and_one_byte_more_is_refused() {
    let cluster = KafkaCluster::shared();
    let [topic, group] = [unique("orders"), unique("group")];
    cluster.create_topic(&topic, 2, &[]);
    commit(cluster, &group, &topic, 1, &"x".repeat(4096)).expect("a commit at the limit");
    let refused = commit(cluster, &group, &topic, 2, &"x".repeat(4097));
    assert_eq!(
        refused.map_err(|error| error.rdkafka_error_code()),
        Err(Some(RDKafkaErrorCode::OffsetMetadataTooLarge))
    );
    assert_eq!(cluster.committed(&group, &topic)[&1].offset, 1);
}

#[test]
fn topics_come_only_by_creation_with_their_settings_and_go() {
    let cluster = KafkaCluster::shared();
    let topic = unique("compacted");
    assert_eq!(cluster.partitions(&topic), 0);
    cluster.create_topic(&topic, 1, &[("cleanup.policy", "compact")]);
    // A compacted topic takes no record without a key.
    let keyed = cluster.produce(&topic, [NewRecord::of("value").key("key")]);
    assert_eq!(keyed, [(0, 0)]);
    let keyless = std::panic::catch_unwind(|| cluster.produce(&topic, [NewRecord::of("value")]));
    assert!(keyless.is_err());
    cluster.delete_topic(&topic);
    assert_eq!(cluster.partitions(&topic), 0);
}

fn tls(cluster: &KafkaCluster, protocol: &str) -> ClientConfig {
    let mut config = ClientConfig::new();
    config.set(
        "bootstrap.servers",
        match protocol {
            "ssl" => cluster.ssl_bootstrap(),
            "sasl_ssl" => cluster.sasl_ssl_bootstrap(),
            other => {
                assert_eq!(other, "sasl_plaintext");
                cluster.sasl_bootstrap()
            }
        },
    );
    config.set("security.protocol", protocol);
    config.set("ssl.ca.location", cluster.ca_pem_path().to_str().expect("a path in UTF-8"));
    config
}

fn connect(config: &ClientConfig) -> Result<usize, KafkaError> {
    let client: BaseConsumer = config.create()?;
    client.fetch_metadata(None, LIMIT).map(|metadata| metadata.brokers().len())
}

#[test]
fn a_client_that_trusts_the_authority_connects_by_tls() {
    assert_eq!(connect(&tls(KafkaCluster::secured(), "ssl")), Ok(1));
}

#[rstest]
#[case::plain("sasl_plaintext", "PLAIN")]
#[case::scram_256("sasl_plaintext", "SCRAM-SHA-256")]
#[case::scram_512("sasl_plaintext", "SCRAM-SHA-512")]
#[case::plain_by_tls("sasl_ssl", "PLAIN")]
#[case::scram_256_by_tls("sasl_ssl", "SCRAM-SHA-256")]
#[case::scram_512_by_tls("sasl_ssl", "SCRAM-SHA-512")]
fn the_user_connects_with_the_right_password_alone(
    #[case] protocol: &str,
    #[case] mechanism: &str,
) {
    let mut config = tls(KafkaCluster::secured(), protocol);
    config.set("sasl.mechanism", mechanism).set("sasl.username", SASL_USER);
    config.set("sasl.password", SASL_PASSWORD);
    assert_eq!(connect(&config), Ok(1));

    config.set("sasl.password", "wrong");
    let client: BaseConsumer = config.create().expect("a consumer");
    let refused = client.fetch_metadata(None, Duration::from_secs(2)).map(|_| ());
    assert!(refused.is_err(), "a wrong password was taken");
}

#[test]
fn a_private_broker_keeps_its_data_over_a_stop_and_a_kill() {
    let cluster = KafkaCluster::private();
    let [topic, group] = [unique("orders"), unique("group")];
    cluster.create_topic(&topic, 2, &[]);
    cluster.produce(&topic, [NewRecord::of("one").partition(1)]);
    commit(&cluster, &group, &topic, 1, "kept").expect("a commit");

    cluster.stop_broker();
    let client: BaseConsumer = cluster.client().create().expect("a consumer");
    assert!(client.fetch_metadata(None, Duration::from_millis(500)).is_err());
    cluster.start_broker();
    cluster.produce(&topic, [NewRecord::of("two").partition(1)]);

    cluster.kill_broker();
    cluster.start_broker();
    let texts: Vec<_> = cluster.consume_all(&topic).iter().map(|r| r.text().to_owned()).collect();
    assert_eq!(texts, ["one", "two"]);
    assert_eq!(cluster.committed(&group, &topic)[&1].metadata, "kept");
}
