//! Synchronous commits, each with its result, on a thread of their own.
//!
//! An asynchronous commit of rdkafka never tells that it has failed; a synchronous one blocks for as
//! long as the coordinator has no answer. That may be for as long as a session: while the group waits
//! for a member that has died, the coordinator keeps the answers of all the others back. Meanwhile
//! records are to be read and sent.

use std::io;
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, Sender, TryRecvError};
use std::thread::JoinHandle;

use rdkafka::TopicPartitionList;
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer as _};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::topic_partition_list::Offset;

use super::super::rebalance::Callbacks;
use super::assignment::is_fenced;
use super::{Member, Wakeup};
use crate::domain::machine::{CommitFailure, CommitRequest};
use crate::domain::ports::LogEvent;

type Committed = Vec<(CommitRequest, Result<(), CommitFailure>)>;

impl Member {
    /// Commits. The result is told when it is there.
    ///
    /// What has been lost meanwhile is its next owner's to commit: this member may have joined the
    /// group anew, and then the broker would take a commit for any partition from it.
    pub(super) fn commit(&mut self, requests: Vec<CommitRequest>) {
        let is_ours = |request: &CommitRequest| {
            self.assigned.get(&request.source).is_some_and(|held| held.epoch == request.epoch)
        };
        let (ours, gone): (Vec<_>, Vec<_>) = requests.into_iter().partition(is_ours);
        let gone = gone.into_iter().map(|request| (request, Err(CommitFailure::Other)));
        self.committer.begin(ours, gone.collect());
    }

    /// Tells of a commit that has ended, and lets those partitions go that waited for that.
    pub(super) fn look_at_commit(&mut self) {
        match self.committer.ended() {
            Ok(results) => {
                let done = results.iter().filter(|(_, result)| result.is_ok());
                self.committed
                    .extend(done.map(|(request, _)| (request.source.clone(), request.offset)));
                for (request, result) in &results {
                    if *result == Err(CommitFailure::NoTopic) {
                        self.unread.forgotten(&request.source.topic);
                    }
                }
                self.unassign_what_waits();
                self.tell(LogEvent::Committed(results));
            }
            // For as long as brokers are away: librdkafka tries on until they have answered.
            Err(TryRecvError::Empty) => {}
            Err(TryRecvError::Disconnected) => {
                self.tell(LogEvent::Fatal("the thread that commits has crashed".to_owned()));
            }
        }
    }
}

/// The thread that commits; one commit at a time.
#[derive(Debug)]
pub(super) struct Committer {
    requests: Option<Sender<(Vec<CommitRequest>, Committed)>>,
    results: Receiver<Committed>,
    /// A commit is under way.
    busy: bool,
    thread: Option<JoinHandle<()>>,
}

impl Committer {
    pub(super) fn start(
        consumer: Arc<BaseConsumer<Callbacks>>,
        wakeup: Arc<Wakeup>,
    ) -> io::Result<Self> {
        let (requests, to_commit) = mpsc::channel::<(Vec<CommitRequest>, Committed)>();
        let (tell, results) = mpsc::channel();
        let builder = std::thread::Builder::new().name("kafka-commits".to_owned());
        let thread = builder.spawn(move || {
            for (ours, gone) in to_commit {
                let ours = commit(&consumer, ours);
                // The consumer's thread waits for this one before it ends.
                if tell.send(ours.into_iter().chain(gone).collect()).is_ok() {
                    wakeup.ring();
                }
            }
        })?;
        Ok(Self { requests: Some(requests), results, busy: false, thread: Some(thread) })
    }

    /// Whether a commit is under way. Until it has ended the member gives no partition away: it
    /// could join the group anew, and the broker would take the commit for one that is another's.
    pub(super) fn is_busy(&self) -> bool {
        self.busy
    }

    /// Commits the first ones; the others have failed already.
    fn begin(&mut self, ours: Vec<CommitRequest>, gone: Committed) {
        self.busy = true;
        // Where that thread has crashed, its results tell.
        let _sent = self.requests.as_ref().map(|requests| requests.send((ours, gone)));
    }

    fn ended(&mut self) -> Result<Committed, TryRecvError> {
        let results = self.results.try_recv()?;
        self.busy = false;
        Ok(results)
    }

    /// Waits for the commit that is under way: a consumer is not to be closed beside one.
    pub(super) fn end(&mut self) {
        self.requests = None;
        if self.thread.take().is_some_and(|thread| thread.join().is_err()) {
            tracing::error!("the thread that commits has crashed");
        }
        self.busy = false;
    }
}

/// A commit of several partitions returns one error and not whose it is: where it may be that of a
/// single one, they are committed one by one.
fn commit(consumer: &BaseConsumer<Callbacks>, requests: Vec<CommitRequest>) -> Committed {
    if requests.is_empty() {
        return Committed::new();
    }
    let single = requests.len() == 1;
    match commit_list(consumer, &requests) {
        Err(error) if !single && of_one_partition(&error) => {
            let alone = |request: CommitRequest| {
                let result = commit_list(consumer, std::slice::from_ref(&request));
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

fn commit_list(
    consumer: &BaseConsumer<Callbacks>,
    requests: &[CommitRequest],
) -> Result<(), KafkaError> {
    let mut list = TopicPartitionList::with_capacity(requests.len());
    for request in requests {
        let mut element = list.add_partition(&request.source.topic, request.source.partition);
        element.set_offset(Offset::Offset(i64::try_from(request.offset.0).unwrap_or(i64::MAX)))?;
        if !request.metadata.is_empty() {
            element.set_metadata(&request.metadata);
        }
    }
    let result = consumer.commit(&list, CommitMode::Sync);
    match &result {
        Ok(()) => {}
        // What every rebalance may bring: the next owner reads from the last one, and what has
        // settled since is told again with the next commit.
        Err(error) if is_fenced(error) => {
            tracing::info!(%error, partitions = requests.len(), "a commit was refused: the group is rebalancing");
        }
        Err(error) => tracing::warn!(%error, partitions = requests.len(), "a commit failed"),
    }
    result
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
        Some(RDKafkaErrorCode::UnknownTopicOrPartition) => CommitFailure::NoTopic,
        Some(_) | None => CommitFailure::Other,
    }
}
