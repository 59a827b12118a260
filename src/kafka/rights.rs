//! Which right is missing where Kafka refuses something.

use rdkafka::error::{KafkaError, RDKafkaErrorCode};

/// The right to be granted, for a log line; `of_topic` is the one that the asker needs of its topic.
pub(super) fn missing(error: &KafkaError, of_topic: &'static str) -> Option<&'static str> {
    match error.rdkafka_error_code() {
        Some(RDKafkaErrorCode::GroupAuthorizationFailed) => Some("Read on the group"),
        Some(RDKafkaErrorCode::TopicAuthorizationFailed) => Some(of_topic),
        Some(_) | None => None,
    }
}
