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
    ///
    /// What has been lost meanwhile is its next owner's to commit: this member may have joined the
    /// group anew, and then the broker would take a commit for any partition from it.
    pub(super) fn commit(&self, requests: Vec<CommitRequest>) -> Committed {
        let is_ours = |request: &CommitRequest| {
            self.assigned.get(&request.source).is_some_and(|held| held.epoch == request.epoch)
        };
        let (ours, gone): (Vec<_>, Vec<_>) = requests.into_iter().partition(is_ours);
        let gone = gone.into_iter().map(|request| (request, Err(CommitFailure::Other)));
        if ours.is_empty() {
            return gone.collect();
        }
        // A broker that is silent holds this thread up, and no restart would mend that.
        (self.turned)(self.longest_commit);
        self.commit_ours(ours).into_iter().chain(gone).collect()
    }

    fn commit_ours(&self, requests: Vec<CommitRequest>) -> Committed {
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
