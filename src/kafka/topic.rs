//! Whether a topic is there, asked without being a member of a group.

use std::time::Duration;

use rdkafka::consumer::{BaseConsumer, Consumer as _, ConsumerContext};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::metadata::MetadataPartition;

/// What the brokers say of a topic.
pub(super) enum Topic {
    Missing,
    Refused(RDKafkaErrorCode),
    /// Its partitions' numbers, in order.
    There(Vec<i32>),
}

/// Asks for one topic; the answer may take as long as `patience`.
pub(super) fn look_up<C: ConsumerContext>(
    client: &BaseConsumer<C>,
    topic: &str,
    patience: Duration,
) -> Result<Topic, KafkaError> {
    let metadata = client.fetch_metadata(Some(topic), patience)?;
    let Some(found) = metadata.topics().iter().find(|found| found.name() == topic) else {
        return Ok(Topic::Missing);
    };
    match found.error().map(RDKafkaErrorCode::from) {
        Some(RDKafkaErrorCode::UnknownTopicOrPartition) => Ok(Topic::Missing),
        Some(error) => Ok(Topic::Refused(error)),
        None if found.partitions().is_empty() => Ok(Topic::Missing),
        None => {
            let mut partitions: Vec<_> =
                found.partitions().iter().map(MetadataPartition::id).collect();
            partitions.sort_unstable();
            Ok(Topic::There(partitions))
        }
    }
}
