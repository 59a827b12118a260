//! How the bridge's Kafka clients are set up.

use std::collections::BTreeMap;
use std::time::Duration;

use rdkafka::ClientConfig;
use rdkafka::config::RDKafkaLogLevel;
use secrecy::{ExposeSecret as _, SecretString};

use crate::domain::ports::Start;

#[derive(Clone, Debug)]
pub struct Settings {
    /// `host:port`, separated by commas.
    pub brokers: String,
    pub group: String,
    pub start: Start,
    /// Any librdkafka property, passed on.
    pub properties: BTreeMap<String, SecretString>,
    /// What the group's coordinator is told, unless the properties say `session.timeout.ms`, or it is
    /// the coordinator that says it.
    pub session_timeout: Duration,
}

/// How the members of the group come to their partitions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Protocol {
    /// They all join anew whenever one comes or goes, and wait for each other. All brokers have it.
    Classic,
    /// The coordinator tells each what to take and what to give back; nobody waits for a member that
    /// has died (KIP-848). Brokers have it from Apache Kafka 4.0 on.
    Consumer,
}

/// What the consumer's queue in librdkafka may hold, in KiB. Its default of 64 MiB would be most
/// of the bridge's memory, and the records that the bridge holds are the stock that it lives on.
const QUEUED_KIB: &str = "1024";

/// What one answer of a broker brings of one partition, in bytes; of a larger record at least that
/// record comes all the same. Its default of 1 MiB costs memory for every partition, and what has
/// been fetched of one that reaches its bound and pauses is thrown away.
const FETCHED_BYTES: &str = "65536";

/// Two names of one property, of which librdkafka takes whichever it is given last.
const FETCHED: [&str; 2] = ["fetch.message.max.bytes", "max.partition.fetch.bytes"];

/// How long librdkafka waits with the next fetch when its queue is full. Its default of a second is
/// longer than what is queued lasts: the bridge would stand still for most of it.
const FULL_QUEUE: Duration = Duration::from_millis(10);

/// How long a broker may wait for new records before it answers a fetch. There is one fetch at a
/// time, so a partition that resumes has to wait for the answer to one that asks for others; the
/// default of half a second is longer than the records of a small share last.
const FETCH_WAIT: Duration = Duration::from_millis(100);

/// Which of the two protocols.
pub(super) const PROTOCOL: &str = "group.protocol";

/// Properties of a consumer, which would make a producer log a warning each.
const CONSUMER_ONLY: [&str; 13] = [
    "session.timeout.ms",
    "heartbeat.interval.ms",
    "group.instance.id",
    "isolation.level",
    "check.crcs",
    "fetch.min.bytes",
    "fetch.error.backoff.ms",
    "max.poll.interval.ms",
    "queued.max.messages.kbytes",
    FETCHED[0],
    FETCHED[1],
    "fetch.queue.backoff.ms",
    "fetch.wait.max.ms",
];

/// How often is looked for new partitions, and for a redrive topic that is made later.
const REFRESH: &str = "topic.metadata.refresh.interval.ms";
const METADATA: Duration = Duration::from_mins(1);

/// The default of `heartbeat.interval.ms`.
const HEARTBEAT: Duration = Duration::from_secs(3);

/// The brokers' own default of it under the consumer protocol (`group.consumer.heartbeat.interval.ms`).
const BROKERS_HEARTBEAT: Duration = Duration::from_secs(5);

/// The session under the consumer protocol, which is the brokers' to say: their default, and the least
/// that they let anybody set (`group.consumer.session.timeout.ms`, and its `min`).
pub(super) const BROKERS_SESSION: Duration = Duration::from_secs(45);

/// The most that is written at once, in bytes, besides a single record that is larger.
pub(super) const BATCH_BYTES: usize = 16 << 10;

/// The producer's own limit on a record, in bytes, and what it may be set to. Its default is less than a
/// topic takes by default, and would stand however much a topic is set to take.
const SIZE_LIMIT: &str = "message.max.bytes";
const SIZES: std::ops::RangeInclusive<usize> = 1_000..=1_000_000_000;

/// What a topic takes by default.
pub(super) const USUAL_SIZE: usize = 1_048_588;

/// For records of which only the brokers can tell whether they are too large.
pub(super) const ANY_SIZE: usize = 100 << 20;

/// The default of `max.poll.interval.ms`.
const POLL_INTERVAL: Duration = Duration::from_mins(5);

/// How often librdkafka tells when the coordinator was last heard of.
pub(super) const STATISTICS: Duration = Duration::from_secs(2);

impl Settings {
    pub(super) fn protocol(&self) -> Protocol {
        match self.properties.get(PROTOCOL) {
            // As librdkafka reads it.
            Some(set) if set.expose_secret().eq_ignore_ascii_case("consumer") => Protocol::Consumer,
            Some(_) | None => Protocol::Classic,
        }
    }

    /// The session timeout in force; under the consumer protocol, the least that it can be. Heartbeats
    /// alone renew that one, while other answers are signs of life of the coordinator as well: the last
    /// heartbeat may be one interval older.
    pub fn session_timeout(&self) -> Duration {
        match self.protocol() {
            Protocol::Classic => {
                self.duration("session.timeout.ms").unwrap_or(self.session_timeout)
            }
            Protocol::Consumer => BROKERS_SESSION.saturating_sub(BROKERS_HEARTBEAT),
        }
    }

    pub(super) fn heartbeat(&self) -> Duration {
        match self.protocol() {
            Protocol::Classic => self.duration("heartbeat.interval.ms").unwrap_or(HEARTBEAT),
            Protocol::Consumer => BROKERS_HEARTBEAT,
        }
    }

    /// So long without a sign of life of the coordinator is no late heartbeat: two of them, and the
    /// statistics that tell of them. After the second of the two nothing is started any more.
    pub fn silence(&self, attempt: Duration) -> Duration {
        let late = 2 * (self.heartbeat() + STATISTICS);
        late.min(self.session_timeout().saturating_sub(attempt))
    }

    /// A property in milliseconds, where it is set.
    pub(super) fn duration(&self, property: &str) -> Option<Duration> {
        let millis = self.properties.get(property)?.expose_secret().parse().ok()?;
        Some(Duration::from_millis(millis))
    }

    /// What every client of the bridge is set up with.
    pub(super) fn client(&self) -> ClientConfig {
        let mut config = ClientConfig::new();
        config
            .set("bootstrap.servers", &self.brokers)
            .set("client.id", "line-bridge")
            .set("allow.auto.create.topics", "false")
            .set_log_level(RDKafkaLogLevel::Warning);
        // Only a member of the group has a use for the protocol.
        for (name, value) in self.properties.iter().filter(|(name, _)| *name != PROTOCOL) {
            config.set(name, value.expose_secret());
        }
        config
    }

    pub(super) fn consumer(&self) -> ClientConfig {
        let mut config = self.client();
        config
            .set("group.id", &self.group)
            .set("enable.auto.commit", "false")
            .set("enable.auto.offset.store", "false")
            // An offset out of range stops its partition; it never jumps.
            .set("auto.offset.reset", "error")
            .set("statistics.interval.ms", STATISTICS.as_millis().to_string());
        match self.protocol() {
            Protocol::Classic => config
                .set("partition.assignment.strategy", "cooperative-sticky")
                .set("session.timeout.ms", self.session_timeout().as_millis().to_string()),
            Protocol::Consumer => config.set(PROTOCOL, "consumer"),
        };
        let defaults = [
            // Under the classic protocol librdkafka refuses one that is shorter than the session.
            (
                "max.poll.interval.ms",
                POLL_INTERVAL.max(self.session_timeout()).as_millis().to_string(),
            ),
            ("queued.max.messages.kbytes", QUEUED_KIB.to_owned()),
            (FETCHED[0], FETCHED_BYTES.to_owned()),
            ("fetch.queue.backoff.ms", FULL_QUEUE.as_millis().to_string()),
            ("fetch.wait.max.ms", FETCH_WAIT.as_millis().to_string()),
            (REFRESH, METADATA.as_millis().to_string()),
        ];
        for (name, value) in defaults {
            let names: &[&str] = if FETCHED.contains(&name) { &FETCHED } else { &[name] };
            if !names.iter().any(|name| self.properties.contains_key(*name)) {
                config.set(name, value);
            }
        }
        config
    }

    /// A consumer that is no member of the group, and is told where a partition ends.
    pub(super) fn reader(&self) -> ClientConfig {
        let mut config = self.consumer();
        config.set("statistics.interval.ms", "0").set("enable.partition.eof", "true");
        config
    }

    /// A topic's `max.message.bytes` is for what is written at once, so that records which all fit could
    /// be refused together: what is written at once is kept small. That a limit is smaller still is told at the start.
    ///
    /// A record of more than `limit` bytes is refused by the client, unless it may be smaller on its way.
    pub(super) fn producer(&self, limit: usize) -> ClientConfig {
        let compression = ["compression.type", "compression.codec"];
        let set = compression.iter().filter_map(|name| self.properties.get(*name));
        let compresses = set.into_iter().any(|how| how.expose_secret() != "none");
        let limit = if compresses { ANY_SIZE } else { limit };
        let limit = limit.clamp(*SIZES.start(), *SIZES.end()).to_string();
        let mut config = self.client();
        config
            .set("enable.idempotence", "true")
            .set("acks", "all")
            .set("message.timeout.ms", "30000")
            .set("linger.ms", "5")
            .set("batch.size", BATCH_BYTES.to_string());
        // Partitions as Java's producers choose them, so that a key is where users expect it.
        for (name, value) in [("partitioner", "murmur2_random"), (SIZE_LIMIT, limit.as_str())] {
            if !self.properties.contains_key(name) {
                config.set(name, value);
            }
        }
        for property in CONSUMER_ONLY {
            config.remove(property);
        }
        config
    }
}
