//! Synchronous commits, each with its result.

use rdkafka::TopicPartitionList;
use rdkafka::consumer::{CommitMode, Consumer as _};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::topic_partition_list::Offset;

use super::Member;
use crate::domain::machine::{CommitFailure, CommitRequest};

type Committed = Vec<(CommitRequest, Result<(), CommitFailure>)>;

impl Member {
    /// Commits. A commit of several partitions returns one error and not whose it is: where it
    /// may be that of a single one, they are committed one by one.
    pub(super) fn commit(&self, requests: Vec<CommitRequest>) -> Committed {
        let together = self.commit_list(&requests);
        let single = requests.len() == 1;
        match together {
            Err(error) if !single && of_one_partition(&error) => {
                let alone = |request: CommitRequest| {
                    let result = self.commit_list(std::slice::from_ref(&request));
                    (request, result.map_err(|error| failure(&error)))
                };
                requests.into_iter().map(alone).collect()
            }
            result => {
                let result = result.map_err(|error| failure(&error));
                requests.into_iter().map(|request| (request, result)).collect()
            }
        }
    }

    fn commit_list(&self, requests: &[CommitRequest]) -> Result<(), KafkaError> {
        let mut list = TopicPartitionList::with_capacity(requests.len());
        for request in requests {
            let mut element = list.add_partition(&request.source.topic, request.source.partition);
            element
                .set_offset(Offset::Offset(i64::try_from(request.offset.0).unwrap_or(i64::MAX)))?;
            if !request.metadata.is_empty() {
                element.set_metadata(&request.metadata);
            }
        }
        let result = self.consumer.commit(&list, CommitMode::Sync);
        if let Err(error) = &result {
            tracing::warn!(%error, partitions = requests.len(), "a commit failed");
        }
        result
    }
}

/// Whether the fault may be that of one partition. All others concern the group or the broker,
/// and each more try could block for the session timeout.
fn of_one_partition(error: &KafkaError) -> bool {
    matches!(
        error.rdkafka_error_code(),
        Some(
            RDKafkaErrorCode::OffsetMetadataTooLarge
                | RDKafkaErrorCode::InvalidCommitOffsetSize
                | RDKafkaErrorCode::UnknownTopicOrPartition
                | RDKafkaErrorCode::TopicAuthorizationFailed
        )
    )
}

fn failure(error: &KafkaError) -> CommitFailure {
    match error.rdkafka_error_code() {
        Some(
            RDKafkaErrorCode::OffsetMetadataTooLarge | RDKafkaErrorCode::InvalidCommitOffsetSize,
        ) => CommitFailure::MetadataTooLarge,
        Some(_) | None => CommitFailure::Other,
    }
}
