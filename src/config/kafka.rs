//! The `kafka` section.

use std::collections::BTreeMap;

use secrecy::SecretString;

use super::fields::{Fields, Item};
use super::reader::Reader;
use crate::domain::ports::Start;

/// How to reach Kafka, and as whom.
#[derive(Clone, Debug)]
pub struct Kafka {
    /// `host:port`, several with commas between them.
    pub brokers: String,
    /// The consumer group.
    pub group: String,
    pub start: Start,
    /// Properties for librdkafka, which checks their names and values itself. Any may be a
    /// secret, so none shows in `Debug`.
    pub properties: BTreeMap<String, SecretString>,
}

/// librdkafka's properties that the bridge sets itself (names: its CONFIGURATION.md), and what
/// stands in their way.
pub(super) const OWNED: [(&str, &str); 32] = [
    ("bootstrap.servers", "set `kafka.brokers` instead"),
    ("metadata.broker.list", "set `kafka.brokers` instead"),
    ("group.id", "set `kafka.group` instead"),
    ("auto.offset.reset", "set `kafka.start` instead"),
    (
        "group.instance.id",
        "every instance would have the same id, and ids must be unique in the group",
    ),
    ("group.protocol.type", "the bridge is a consumer"),
    ("group.remote.assignor", "the brokers' own choice leaves partitions where they are"),
    (
        "partition.assignment.strategy",
        "the bridge needs cooperative-sticky to hand partitions over",
    ),
    ("enable.auto.commit", "the bridge commits what has settled, and nothing else"),
    ("auto.commit.enable", "the bridge commits what has settled, and nothing else"),
    ("auto.commit.interval.ms", "the bridge commits what has settled, and nothing else"),
    ("enable.auto.offset.store", "the bridge commits what has settled, and nothing else"),
    ("offset.store.method", "the bridge commits to the brokers"),
    ("enable.idempotence", "dead letters are written exactly once, by an idempotent producer"),
    ("retries", "dead letters are written exactly once, by an idempotent producer"),
    (
        "message.send.max.retries",
        "dead letters are written exactly once, by an idempotent producer",
    ),
    ("acks", "a dead letter counts only when all in-sync replicas have it"),
    ("request.required.acks", "a dead letter counts only when all in-sync replicas have it"),
    ("max.in.flight", "it would break the order of dead letters"),
    ("max.in.flight.requests.per.connection", "it would break the order of dead letters"),
    ("delivery.report.only.error", "a dead letter settles its record when its success is reported"),
    (
        "message.timeout.ms",
        "the bridge itself repeats a dead letter that is not acknowledged in time",
    ),
    (
        "delivery.timeout.ms",
        "the bridge itself repeats a dead letter that is not acknowledged in time",
    ),
    ("linger.ms", "commits wait for dead letters"),
    ("queue.buffering.max.ms", "commits wait for dead letters"),
    ("batch.size", "what is written at once has to fit into the dead-letter topic's size limit"),
    ("enable.gapless.guarantee", "one dead letter that fails must not fail the others"),
    ("transactional.id", "dead letters are written without transactions"),
    ("transaction.timeout.ms", "dead letters are written without transactions"),
    ("allow.auto.create.topics", "a missing topic is an error; the bridge never creates one"),
    ("enable.partition.eof", "the bridge reads on at the end of a partition"),
    ("statistics.interval.ms", "the bridge's own metrics need it"),
];

pub(super) const KEYS: [&str; 4] = ["brokers", "group", "start", "properties"];

pub(super) fn read(reader: &mut Reader<'_>, root: &Fields<'_>) -> Kafka {
    let fields = reader.section(root, "kafka", &KEYS);
    let brokers = reader.require(&fields, "brokers", BROKERS);
    let group = reader.require(&fields, "group", GROUP);
    let start = fields.get("start");
    let words = [("latest", Start::Latest), ("earliest", Start::Earliest)];
    Kafka {
        brokers: brokers
            .map(|item| reader.text_where(&item, BROKERS, are_brokers))
            .unwrap_or_default(),
        group: group.map(|item| reader.text(&item, GROUP)).unwrap_or_default(),
        start: start.and_then(|item| reader.choice(&item, &words)).unwrap_or_default(),
        properties: fields
            .get("properties")
            .map(|item| properties(reader, &item.secret()))
            .unwrap_or_default(),
    }
}

const BROKERS: &str = "brokers such as kafka-0:9092,kafka-1:9092";
const GROUP: &str = "the name of the consumer group";

fn properties(reader: &mut Reader<'_>, item: &Item<'_>) -> BTreeMap<String, SecretString> {
    let mut properties = BTreeMap::new();
    for named in reader.entries(item, "a map of librdkafka properties") {
        if let Some((_, why)) = OWNED.iter().find(|(owned, _)| *owned == named.name) {
            reader.error(&named.item, format!("the bridge sets this property itself: {why}"));
        } else if let Some(value) = reader.spelled(&named.item, "text, a number or a boolean") {
            properties.insert(named.name.to_owned(), value.into());
        }
    }
    properties
}

/// Entries of `host`, `host:port` or `protocol://host:port`, as librdkafka takes them.
fn are_brokers(text: &str) -> bool {
    const PROTOCOLS: [&str; 4] = ["plaintext", "ssl", "sasl_plaintext", "sasl_ssl"];
    text.split(',').all(|broker| {
        let broker = broker.trim();
        let (protocol, address) = broker.split_once("://").unwrap_or((PROTOCOLS[0], broker));
        let host_and_port = match address.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
            Some((host, after)) => (host, after.strip_prefix(':')),
            None => match address.split_once(':') {
                Some((host, port)) => (host, Some(port)),
                None => (address, None),
            },
        };
        let (host, port) = host_and_port;
        PROTOCOLS.iter().any(|known| known.eq_ignore_ascii_case(protocol))
            && !host.is_empty()
            && !address.contains(char::is_whitespace)
            && port.is_none_or(|port| port.parse::<u16>().is_ok_and(|port| port > 0))
    })
}

pub(super) const TOPIC_NAME: &str =
    "a Kafka topic's name: 1 to 249 letters, digits, `.`, `_` or `-`, and not `.` or `..`";

/// Kafka's own rule (`org.apache.kafka.common.internals.Topic`).
pub(super) fn is_topic_name(name: &str) -> bool {
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    (1..=249).contains(&name.len()) && name.chars().all(allowed) && name != "." && name != ".."
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case::one("kafka:9092", true)]
    #[case::several("kafka-0:9092, kafka-1:9092", true)]
    #[case::no_port("kafka", true)]
    #[case::protocol("SASL_SSL://kafka:9092", true)]
    #[case::another_protocol("kafka://kafka:9092", false)]
    #[case::ipv6("[::1]:9092", true)]
    #[case::nothing_after_a_comma("kafka:9092,", false)]
    #[case::no_host(":9092", false)]
    #[case::port_in_words("kafka:http", false)]
    #[case::port_zero("kafka:0", false)]
    #[case::spaces_instead_of_commas("kafka-0:9092 kafka-1:9092", false)]
    fn brokers_are_checked(#[case] text: &str, #[case] valid: bool) {
        assert_eq!(are_brokers(text), valid);
    }

    #[rstest]
    #[case::usual("line-bridge.dead_letters", true)]
    #[case::longest(&"x".repeat(249), true)]
    #[case::too_long(&"x".repeat(250), false)]
    #[case::empty("", false)]
    #[case::dot(".", false)]
    #[case::dots("..", false)]
    #[case::slash("a/b", false)]
    #[case::thai("ก", false)]
    fn topic_names_are_checked(#[case] name: &str, #[case] valid: bool) {
        assert_eq!(is_topic_name(name), valid);
    }
}
