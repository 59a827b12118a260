//! How the bridge's Kafka clients are set up.

use std::collections::BTreeMap;
use std::time::Duration;

use rdkafka::ClientConfig;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::error::KafkaError;
use rdkafka::types::RDKafkaConfRes;
use secrecy::{ExposeSecret as _, SecretString};

/// Where a group without commits starts to read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Start {
    Latest,
    Earliest,
}

#[derive(Clone, Debug)]
pub struct Settings {
    /// `host:port`, separated by commas.
    pub brokers: String,
    pub group: String,
    pub start: Start,
    /// Any librdkafka property, passed on.
    pub properties: BTreeMap<String, SecretString>,
    /// What the group's coordinator is told, unless the properties say `session.timeout.ms`.
    pub session_timeout: Duration,
}

/// What the consumer's queue in librdkafka may hold, in KiB. Its default of 64 MiB would be most
/// of the bridge's memory.
const QUEUED_KIB: &str = "8192";

/// The default of `heartbeat.interval.ms`.
const HEARTBEAT: Duration = Duration::from_secs(3);

/// For a heartbeat that comes a little late.
const MARGIN: Duration = Duration::from_secs(1);

/// How often librdkafka tells when the coordinator was last heard of.
const STATISTICS: Duration = Duration::from_secs(2);

impl Settings {
    /// The session timeout in force.
    pub fn session_timeout(&self) -> Duration {
        let set = self.properties.get("session.timeout.ms");
        let millis = set.and_then(|value| value.expose_secret().parse().ok());
        millis.map_or(self.session_timeout, Duration::from_millis)
    }

    /// What is wrong with a session that is over before an attempt is: nothing would ever be sent,
    /// for a member that was cut off must not send beside its successor.
    pub fn short_session(&self, attempt: Duration) -> Option<(String, String)> {
        let set = self.properties.get("heartbeat.interval.ms");
        let heartbeat = set.and_then(|value| value.expose_secret().parse().ok());
        let least = attempt + heartbeat.map_or(HEARTBEAT, Duration::from_millis) + MARGIN;
        if self.session_timeout() >= least {
            return None;
        }
        let why = format!(
            "too short beside `line.timeout`: make it {} or more, so that an attempt ends before the session of a member that was cut off",
            least.as_millis()
        );
        Some(("session.timeout.ms".to_owned(), why))
    }

    /// What every client of the bridge is set up with.
    pub(super) fn client(&self) -> ClientConfig {
        let mut config = ClientConfig::new();
        config
            .set("bootstrap.servers", &self.brokers)
            .set("client.id", "line-bridge")
            .set("allow.auto.create.topics", "false")
            .set_log_level(RDKafkaLogLevel::Warning);
        for (name, value) in &self.properties {
            config.set(name, value.expose_secret());
        }
        config
    }

    pub(super) fn consumer(&self) -> ClientConfig {
        let mut config = self.client();
        config
            .set("group.id", &self.group)
            .set("partition.assignment.strategy", "cooperative-sticky")
            .set("enable.auto.commit", "false")
            .set("enable.auto.offset.store", "false")
            // An offset out of range stops its partition; it never jumps.
            .set("auto.offset.reset", "error")
            .set("statistics.interval.ms", STATISTICS.as_millis().to_string());
        let defaults = [
            ("session.timeout.ms", self.session_timeout.as_millis().to_string()),
            ("queued.max.messages.kbytes", QUEUED_KIB.to_owned()),
        ];
        for (name, value) in defaults {
            if !self.properties.contains_key(name) {
                config.set(name, value);
            }
        }
        config
    }

    /// The properties that librdkafka does not know or does not take, each with what is wrong. A
    /// value is never told: it may be a secret.
    pub fn refused_properties(&self) -> Vec<(String, String)> {
        let mut refused = Vec::new();
        for (name, value) in &self.properties {
            let mut alone = ClientConfig::new();
            alone.set(name, value.expose_secret());
            let why = match alone.create_native_config() {
                Ok(_) => continue,
                Err(KafkaError::ClientConfig(result, ..)) => match result {
                    RDKafkaConfRes::RD_KAFKA_CONF_UNKNOWN => "librdkafka has no such property",
                    RDKafkaConfRes::RD_KAFKA_CONF_INVALID | RDKafkaConfRes::RD_KAFKA_CONF_OK => {
                        "librdkafka does not take this value (see its CONFIGURATION.md)"
                    }
                },
                Err(_) => "librdkafka does not take this property",
            };
            refused.push((name.clone(), why.to_owned()));
        }
        refused
    }

    pub(super) fn producer(&self) -> ClientConfig {
        let mut config = self.client();
        config
            .set("enable.idempotence", "true")
            .set("acks", "all")
            .set("message.timeout.ms", "30000")
            .set("linger.ms", "5");
        // As Java's producers do it, so that a key is in the partition where users expect it.
        if !self.properties.contains_key("partitioner") {
            config.set("partitioner", "murmur2_random");
        }
        // Properties that only a consumer has would make the producer log a warning each.
        for consumer_only in ["session.timeout.ms", "queued.max.messages.kbytes"] {
            config.remove(consumer_only);
        }
        config
    }
}
