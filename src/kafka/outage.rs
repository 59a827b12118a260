//! Which brokers can't be reached. librdkafka says it with each connection that fails, for each of
//! its connections, and never that it is over; an operator wants to hear of both once.

use std::collections::BTreeSet;

use rdkafka::error::{KafkaError, RDKafkaErrorCode};

/// What librdkafka calls its second connection to whichever broker coordinates the group.
const COORDINATOR: &str = "GroupCoordinator";

/// Whether the connection is at fault, and not what was asked for over it.
pub(super) fn is_of_connection(error: &KafkaError) -> bool {
    matches!(
        error.rdkafka_error_code(),
        Some(
            RDKafkaErrorCode::AllBrokersDown
                | RDKafkaErrorCode::BrokerTransportFailure
                | RDKafkaErrorCode::Resolve
                | RDKafkaErrorCode::OperationTimedOut
        )
    )
}

#[derive(Debug, Default)]
pub(super) struct Outage {
    away: BTreeSet<String>,
    /// None is left that could be reached.
    all: bool,
}

impl Outage {
    /// A connection has failed. Whether that is news; `reason` begins with the broker's name.
    pub(super) fn failed(&mut self, error: &KafkaError, reason: &str) -> bool {
        if error.rdkafka_error_code() == Some(RDKafkaErrorCode::AllBrokersDown) {
            return !std::mem::replace(&mut self.all, true);
        }
        let broker = address(reason.split(": ").next().unwrap_or_default());
        broker != COORDINATOR && self.away.insert(broker.to_owned())
    }

    /// Hears of all brokers that the client knows, each with whether it is reached. Tells those
    /// that are reached again.
    pub(super) fn seen(&mut self, brokers: &[(&str, bool)]) -> Vec<String> {
        let reached = brokers.iter().filter(|(name, reached)| *reached && *name != COORDINATOR);
        let reached: BTreeSet<&str> = reached.map(|(name, _)| address(name)).collect();
        let after_all = self.all && !reached.is_empty();
        let news = |broker: &&str| after_all || self.away.contains(*broker);
        let again: Vec<_> = reached.iter().copied().filter(news).map(str::to_owned).collect();
        self.all &= reached.is_empty();
        // One that the client does not list any more is none of the cluster's.
        let listed: BTreeSet<&str> = brokers.iter().map(|(name, _)| address(name)).collect();
        self.away.retain(|broker| {
            listed.contains(broker.as_str()) && !reached.contains(broker.as_str())
        });
        again
    }
}

/// A broker's name without its number, or without the word for an address of the configuration: the
/// client may know the same one by both.
fn address(name: &str) -> &str {
    // Over TLS or SASL it is `sasl_ssl://kafka-1:9092/1`.
    let name = name.split_once("://").map_or(name, |(_, name)| name);
    name.split('/').next().unwrap_or(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: &str = "kafka-1:9092/1";
    const TWO: &str = "kafka-2:9092/2";

    fn error(code: RDKafkaErrorCode) -> KafkaError {
        KafkaError::Global(code)
    }

    fn refused(outage: &mut Outage, broker: &str) -> bool {
        let reason = format!("{broker}: Connect to ipv4#10.0.0.1:9092 failed: Connection refused");
        outage.failed(&error(RDKafkaErrorCode::BrokerTransportFailure), &reason)
    }

    #[test]
    fn each_broker_is_told_once_and_once_more_when_it_is_reached_again() {
        let mut outage = Outage::default();
        assert!(refused(&mut outage, ONE) && refused(&mut outage, TWO));
        assert!(!refused(&mut outage, ONE), "told before");
        assert!(!refused(&mut outage, "kafka-1:9092/bootstrap"), "the same one");
        assert!(!refused(&mut outage, COORDINATOR), "it is one of the two");
        assert!(outage.seen(&[(ONE, false), (TWO, false)]).is_empty());
        assert_eq!(outage.seen(&[(ONE, true), (TWO, false)]), ["kafka-1:9092"]);
        assert!(outage.seen(&[(ONE, true), (TWO, false)]).is_empty());
        assert!(refused(&mut outage, ONE), "another outage");
        assert!(!refused(&mut outage, TWO), "still the same");
    }

    #[test]
    fn brokers_over_tls_are_told_apart() {
        let (one, two) = ("sasl_ssl://kafka-1:9092/1", "sasl_ssl://kafka-2:9092/2");
        let mut outage = Outage::default();
        assert!(refused(&mut outage, one));
        assert!(outage.seen(&[(one, false), (two, true)]).is_empty(), "it is another one");
        assert!(!refused(&mut outage, one), "told before");
        assert!(refused(&mut outage, two));
        assert_eq!(outage.seen(&[(one, true), (two, false)]), ["kafka-1:9092"]);
    }

    #[test]
    fn a_broker_that_was_taken_out_and_put_in_again_is_told_anew() {
        let mut outage = Outage::default();
        assert!(refused(&mut outage, ONE));
        assert!(outage.seen(&[(TWO, true)]).is_empty());
        assert!(refused(&mut outage, ONE));
    }

    #[test]
    fn that_none_is_left_is_told_once_an_outage() {
        let mut outage = Outage::default();
        let down = error(RDKafkaErrorCode::AllBrokersDown);
        assert!(outage.failed(&down, "2/2 brokers are down"));
        assert!(!outage.failed(&down, "2/2 brokers are down"));
        assert!(outage.seen(&[(ONE, false), (COORDINATOR, true)]).is_empty());
        assert!(!outage.failed(&down, "2/2 brokers are down"));
        assert_eq!(outage.seen(&[(ONE, true), (TWO, false)]), ["kafka-1:9092"]);
        assert!(outage.failed(&down, "2/2 brokers are down"));
    }
}
