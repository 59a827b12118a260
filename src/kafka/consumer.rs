//! The member of the consumer group: one thread owns it and polls it.
//!
//! Another one makes its commits, but for the first of a group. That one, and the questions where to
//! begin and where paused logs end, hold this thread up; the driver goes on, and hears of the results
//! as of everything else.

mod assignment;
mod commit;
mod ends;
mod poll;
mod positions;
mod recreated;
#[cfg(test)]
mod tests;
mod unread;

pub(super) use poll::own;
pub(super) use positions::metadata;

use std::collections::BTreeMap;
use std::sync::mpsc::{self, Receiver, Sender, TryRecvError};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::error::KafkaError;
use rdkafka::{Offset, TopicPartitionList};
use tokio::sync::mpsc as channel;

use self::commit::Committer;
use super::rebalance::Callbacks;
use super::settings::{Protocol, Settings};
use crate::domain::clock::Timestamp;
use crate::domain::machine::CommitRequest;
use crate::domain::ports::{Clock, Log, LogEvent, Start};
use crate::domain::record::{CommitOffset, Epoch, Record, TopicPartition};
use unread::Unread;

/// How many events wait for the driver before the thread waits for it; one of them may bring a batch
/// of records.
const EVENTS: usize = 2;

/// The right that is missing where a topic is refused.
const READ: &str = "Read on the topic";

/// How long the thread sleeps when neither Kafka nor the driver has anything for it.
const NAP: Duration = Duration::from_millis(20);

/// The tries of the first commit of a group at a coordinator that takes the request and never answers:
/// three, of `socket.timeout.ms` each.
const SILENT_COORDINATOR: Duration = Duration::from_mins(3);

/// Called whenever the poll loop has turned, with the time for which it may stand still.
pub type Turned = Box<dyn Fn(Duration) + Send>;

/// A member of the consumer group.
#[derive(Debug)]
pub struct Consumer {
    commands: Sender<Command>,
    wakeup: Arc<Wakeup>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Debug)]
enum Command {
    Commit(Vec<CommitRequest>),
    Pause(TopicPartition),
    Resume(TopicPartition),
    Release(Vec<TopicPartition>),
    Close,
}

/// Wakes the thread.
#[derive(Debug, Default)]
struct Wakeup {
    rung: Mutex<bool>,
    waiter: Condvar,
}

impl Wakeup {
    fn ring(&self) {
        *self.rung.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.waiter.notify_one();
    }

    fn wait(&self, at_most: Duration) {
        let rung = self.rung.lock().unwrap_or_else(PoisonError::into_inner);
        let waited = self.waiter.wait_timeout_while(rung, at_most, |rung| !*rung);
        *waited.unwrap_or_else(PoisonError::into_inner).0 = false;
    }
}

/// What goes round in the thread.
struct Member {
    consumer: Arc<BaseConsumer<Callbacks>>,
    committer: Committer,
    topics: Vec<String>,
    /// One of the topics, which is read from its beginning whatever `start` says: what an operator
    /// redrives is not to be missed because no member had it yet.
    redrive: String,
    start: Start,
    clock: Arc<dyn Clock>,
    /// When the client was made, or a little before.
    made: Duration,
    commands: Receiver<Command>,
    wakeup: Arc<Wakeup>,
    events: channel::Sender<LogEvent>,
    /// Polled, and not told yet: one wake-up of the driver serves for all of them.
    records: Vec<(Epoch, Record)>,
    /// What they hold.
    records_bytes: usize,
    turned: Turned,
    longest_commit: Duration,
    protocol: Protocol,
    /// An assignment has been told, be it an empty one.
    has_joined: bool,
    /// The requests to the coordinator that the last statistics counted.
    requests: Option<u64>,
    assigned: BTreeMap<TopicPartition, Assigned>,
    /// What is committed as far as this member knows, also of partitions that it has no more.
    committed: BTreeMap<TopicPartition, CommitOffset>,
    /// Given by the group, and not yet answered: where to begin could not be found out.
    to_assign: Vec<TopicPartition>,
    /// An assignment is to be answered, be it empty: a member that gives no answer is stuck, and
    /// with it the group.
    assignment_waits: bool,
    to_assign_since: Duration,
    assign_not_before: Option<Duration>,
    /// Since when statistics have found some left over.
    left_over_since: Option<Duration>,
    /// Topics that the member with their first partition is to begin, and since when that is known.
    not_begun: BTreeMap<Arc<str>, Duration>,
    /// What was said of topics whose partitions wait for that, and when.
    told_unknown: BTreeMap<Arc<str>, (String, Duration)>,
    /// Taken by the group, and not yet let go: what is in flight settles first.
    to_release: Vec<TopicPartition>,
    /// Let go, each list at once, as soon as no commit is under way.
    to_unassign: Vec<Vec<TopicPartition>>,
    unread: Unread,
    /// How many statistics are let pass before the ends of paused partitions are asked for again.
    ends_not_before: u32,
    last_epoch: u64,
    partitions_in_all: usize,
}

#[derive(Clone, Debug)]
struct Assigned {
    /// The topic's name, which all its records share.
    topic: Arc<str>,
    epoch: Epoch,
    /// The offset of the next record.
    next: CommitOffset,
    /// There is no record between that one and this offset, nor was there one to be read.
    reached: u64,
    /// Since when it is assigned.
    since: Duration,
    /// How often in a row it was seen that it is not read.
    seen_stopped: u32,
    /// How often in a row it was seen that its fetches are refused.
    seen_refused: u32,
    /// The same of any sign that it can't be read.
    seen_unread: u32,
    /// The same of those while it was watched.
    seen_refused_watched: u32,
    /// In how many more statistics refused fetches mean that its topic was made anew.
    watched: u32,
    paused: bool,
}

impl Consumer {
    /// Joins the group, for the topics that events come from and the one that dead letters come
    /// back on.
    pub fn join(
        settings: &Settings,
        mut topics: Vec<String>,
        redrive: String,
        clock: Arc<dyn Clock>,
        turned: Turned,
    ) -> Result<(Self, channel::Receiver<LogEvent>), KafkaError> {
        let made = clock.now().elapsed;
        let no_thread = |error| {
            KafkaError::ClientCreation(format!("the consumer's thread did not start: {error}"))
        };
        let mut consumer: BaseConsumer<Callbacks> =
            settings.consumer().create_with_context(Callbacks::default())?;
        let wakeup = Arc::new(Wakeup::default());
        let ringer = Arc::clone(&wakeup);
        consumer.set_nonempty_callback(move || ringer.ring());
        topics.push(redrive.clone());
        consumer.subscribe(&topics.iter().map(String::as_str).collect::<Vec<_>>())?;
        let (commands, to_obey) = mpsc::channel();
        let (events, to_hear) = channel::channel(EVENTS);
        let consumer = Arc::new(consumer);
        let committer =
            Committer::start(Arc::clone(&consumer), Arc::clone(&wakeup)).map_err(no_thread)?;
        let member = Member {
            consumer,
            committer,
            topics,
            redrive,
            start: settings.start,
            clock,
            made,
            commands: to_obey,
            wakeup: Arc::clone(&wakeup),
            events,
            records: Vec::new(),
            records_bytes: 0,
            turned,
            longest_commit: settings.session_timeout() + SILENT_COORDINATOR,
            protocol: settings.protocol(),
            has_joined: false,
            requests: None,
            assigned: BTreeMap::new(),
            committed: BTreeMap::new(),
            to_assign: Vec::new(),
            assignment_waits: false,
            to_assign_since: Duration::ZERO,
            assign_not_before: None,
            left_over_since: None,
            not_begun: BTreeMap::new(),
            told_unknown: BTreeMap::new(),
            to_release: Vec::new(),
            to_unassign: Vec::new(),
            unread: Unread::default(),
            ends_not_before: 0,
            last_epoch: 0,
            partitions_in_all: 0,
        };
        let builder = std::thread::Builder::new().name("kafka-consumer".to_owned());
        let thread = builder.spawn(move || member.run()).map_err(no_thread)?;
        Ok((Self { commands, wakeup, thread: Some(thread) }, to_hear))
    }

    /// Leaves the group. Returns false where that is not done within `deadline`; the group then
    /// learns of it by the session timeout.
    pub async fn close(mut self, deadline: Duration) -> bool {
        self.tell(Command::Close);
        let Some(thread) = self.thread.take() else { return true };
        let joined = tokio::task::spawn_blocking(move || thread.join().is_ok());
        matches!(tokio::time::timeout(deadline, joined).await, Ok(Ok(true)))
    }

    fn tell(&self, command: Command) {
        // The thread is gone only when the process is about to be as well.
        if self.commands.send(command).is_ok() {
            self.wakeup.ring();
        }
    }
}

impl Log for Consumer {
    fn commit(&self, requests: Vec<CommitRequest>) {
        self.tell(Command::Commit(requests));
    }

    fn pause(&self, source: TopicPartition) {
        self.tell(Command::Pause(source));
    }

    fn resume(&self, source: TopicPartition) {
        self.tell(Command::Resume(source));
    }

    fn release(&self, sources: Vec<TopicPartition>) {
        self.tell(Command::Release(sources));
    }
}

impl Member {
    fn run(mut self) {
        loop {
            (self.turned)(Duration::ZERO);
            loop {
                match self.commands.try_recv() {
                    // Without a driver nobody would ever read what it polls.
                    Ok(Command::Close) | Err(TryRecvError::Disconnected) => {
                        self.committer.end();
                        self.answer_what_waits();
                        return;
                    }
                    Ok(command) => self.obey(command),
                    Err(TryRecvError::Empty) => break,
                }
            }
            self.look_at_commit();
            if !self.poll() {
                self.wakeup.wait(NAP);
            }
        }
    }

    fn obey(&mut self, command: Command) {
        let result = match command {
            Command::Commit(requests) => return self.commit(requests),
            Command::Pause(source) => self.pause(&source),
            Command::Resume(source) => self.resume(&source),
            Command::Release(sources) => {
                self.to_release.retain(|source| !sources.contains(source));
                return self.let_go(sources);
            }
            Command::Close => Ok(()),
        };
        if let Err(error) = result {
            tracing::warn!(%error, "the Kafka consumer could not carry out a command");
        }
    }

    fn pause(&mut self, source: &TopicPartition) -> Result<(), KafkaError> {
        // It was lost meanwhile: the pause would outlive that, and nobody would take it back.
        let Some(assigned) = self.assigned.get_mut(source) else { return Ok(()) };
        assigned.paused = true;
        self.consumer.pause(&list(std::slice::from_ref(source)))
    }

    /// Reads a partition on from where it paused. librdkafka would know that by itself, but nothing
    /// wakes its thread that fetches: where every partition was paused, that sleeps for up to a
    /// second more. A seek wakes it.
    fn resume(&mut self, source: &TopicPartition) -> Result<(), KafkaError> {
        let Some(assigned) = self.assigned.get_mut(source) else { return Ok(()) };
        assigned.paused = false;
        self.consumer.resume(&list(std::slice::from_ref(source)))?;
        let next = Offset::Offset(i64::try_from(assigned.next.0).unwrap_or(i64::MAX));
        self.consumer.seek(&source.topic, source.partition, next, Duration::ZERO)
    }

    /// Lets partitions go. librdkafka would refuse the whole list for one that it was never told
    /// to read, and with it the rebalance would never end.
    fn let_go(&mut self, mut sources: Vec<TopicPartition>) {
        sources.retain(|source| self.assigned.remove(source).is_some());
        self.to_unassign.push(sources);
        if !self.committer.is_busy() {
            self.unassign_what_waits();
        }
    }

    fn unassign_what_waits(&mut self) {
        for sources in std::mem::take(&mut self.to_unassign) {
            if let Err(error) = self.unassign(&sources) {
                tracing::warn!(%error, "partitions could not be unassigned");
            }
        }
    }

    /// A pause outlives the assignment in librdkafka: were it not taken back, a partition that comes
    /// back to this member would never be read again. What is fetched in between is not delivered.
    fn unassign(&self, sources: &[TopicPartition]) -> Result<(), KafkaError> {
        let sources = list(sources);
        if let Err(error) = self.consumer.resume(&sources) {
            tracing::warn!(%error, "partitions that are let go could not be resumed");
        }
        self.consumer.incremental_unassign(&sources)
    }

    /// Answers the rebalance that is under way, if any: librdkafka leaves the group only then.
    fn answer_what_waits(&mut self) {
        self.consumer.context().close();
        if std::mem::take(&mut self.assignment_waits)
            && let Err(error) = self.consumer.incremental_assign(&TopicPartitionList::new())
        {
            tracing::warn!(%error, "the group's rebalance could not be answered while closing");
        }
        self.unassign_what_waits();
        let to_release = std::mem::take(&mut self.to_release);
        if !to_release.is_empty() {
            self.let_go(to_release);
        }
    }

    /// Tells what has been polled so far, and then this.
    fn tell(&mut self, event: LogEvent) {
        self.tell_records();
        self.send(event);
    }

    fn tell_records(&mut self) {
        if !self.records.is_empty() {
            self.records_bytes = 0;
            let records = std::mem::take(&mut self.records);
            self.send(LogEvent::Records(records));
        }
    }

    /// Waits while the driver has too much to do: then nothing is to be polled either.
    fn send(&self, event: LogEvent) {
        if self.events.blocking_send(event).is_err() {
            tracing::debug!("nobody listens to the consumer any more");
        }
    }

    fn now(&self) -> (Duration, Timestamp) {
        let now = self.clock.now();
        (now.elapsed, now.wall)
    }
}

fn list(sources: &[TopicPartition]) -> TopicPartitionList {
    let mut list = TopicPartitionList::with_capacity(sources.len());
    for source in sources {
        list.add_partition(&source.topic, source.partition);
    }
    list
}
