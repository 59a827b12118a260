//! The core: a state machine, `(input, now) → effects`.
//!
//! Whatever happens outside comes in as an [`Input`]; whatever is to happen outside goes out as an
//! [`Effect`]. One driver performs the effects. Nothing here reads a clock, draws a random number
//! that the seed does not fix, or waits.
//!
//! | module | what happens there |
//! |---|---|
//! | `intake` | a record is tracked, and its decision carried out; the bounds and the brake |
//! | `dispatch` | which delivery starts next |
//! | `answers` | what an outcome means for its delivery |
//! | `verdicts` | verdicts that are held until it is known whose fault a failure is |
//! | `stops` | channels that stop, and go on |
//! | `probes` | the probing of stops |
//! | `settle` | a message is done with; dead letters and their acknowledgement |
//! | `commits` | when to commit what, and what a commit's result means |
//! | `tenure` | assignment, revoke, loss and drain of partitions |
//! | `reconfigure` | another configuration is put in force; pauses |
//! | `redecide` | held records are decided anew under it |

mod answers;
mod commits;
mod dispatch;
mod holding;
mod intake;
mod leaving;
mod probes;
mod reconfigure;
mod redecide;
mod regained;
mod report;
mod settle;
mod status;
mod stops;
mod tenure;
mod verdicts;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use super::clock::{Moment, Timestamp};
use super::dead_letter::DeadLetter;
use super::delivery::{Delivery, DeliveryId};
use super::gate::{Gate, Stop};
use super::lanes::Lanes;
use super::message::{Channel, Decision, Message};
use super::outcome::{Listing, Outcome};
use super::paused::Paused;
use super::record::{CommitOffset, Epoch, Record, RecordOffset, TopicPartition};
pub use leaving::wire_time;
pub use report::{PauseReason, Report, SettledAs};
pub use status::{ChannelStatus, Oldest, PartitionStatus, Status, Waits};
use stops::Cleared;
use tenure::Tenure;

/// What the machine has to know of the configuration.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The most deliveries in flight, and the most messages accepted and not yet committed.
    pub max_in_flight: usize,
    /// The most records held, over all partitions; each has an equal share.
    pub held_records: usize,
    /// The most bytes of records held, likewise.
    pub held_bytes: usize,
    /// After this an attempt is over, one way or another.
    pub attempt_timeout: Duration,
    /// After this without a sign of life the group gives the member's partitions away.
    pub session_timeout: Duration,
    pub drain_timeout: Duration,
    /// How long a message may fail, its channel being open, before it is set aside.
    pub retry_max_elapsed: Duration,
    /// For each channel, shared by the group.
    pub requests_per_second: f64,
    /// So many dead letters in a row for `schema` or `rule_error` pause their topic.
    pub brake: u32,
    pub channels: Vec<Channel>,
    /// For each topic, what tells one set of rules from another.
    pub fingerprints: BTreeMap<Arc<str>, u64>,
    /// For each topic, what tells one schema from another.
    pub schemas: BTreeMap<Arc<str>, u64>,
    pub paused: Paused,
}

/// A partition that the group has given to this member.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Assignment {
    pub source: TopicPartition,
    pub epoch: Epoch,
    /// Where reading begins.
    pub position: CommitOffset,
    /// The metadata of the commit that `position` comes from; none where the group has not committed
    /// yet. What is known of a topic of the same name then says nothing of this one.
    pub metadata: Option<String>,
}

/// One dead letter on its way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LetterId(pub u64);

/// A held record, decided by the schema and the rules that are in force from now on.
#[derive(Clone, Debug)]
pub struct Redecided {
    pub epoch: Epoch,
    pub offset: RecordOffset,
    pub decision: Decision,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CommitFailure {
    /// `OFFSET_METADATA_TOO_LARGE`: a shorter string will do.
    MetadataTooLarge,
    /// `UNKNOWN_TOPIC_OR_PARTITION`: it was deleted. One that takes its name has nothing of it.
    NoTopic,
    /// Anything else; it is tried again.
    Other,
}

impl CommitFailure {
    /// Whether the same commit is to be tried again, after a while.
    fn waits(self) -> bool {
        match self {
            Self::MetadataTooLarge => false,
            Self::NoTopic | Self::Other => true,
        }
    }
}

#[derive(Debug)]
pub enum Input {
    Assigned {
        assignments: Vec<Assignment>,
        /// The number of partitions of all the topics, whoever owns them.
        partitions_in_all: usize,
    },
    Record {
        epoch: Epoch,
        record: Arc<Record>,
        decision: Decision,
    },
    Answered {
        delivery: DeliveryId,
        outcome: Outcome,
        took: Duration,
    },
    /// Whether the broker has acknowledged a dead letter.
    DeadLettered {
        letter: LetterId,
        acknowledged: bool,
    },
    Committed(Vec<(Epoch, Result<(), CommitFailure>)>),
    Listed(Listing),
    /// The group takes partitions away, and waits until they are released.
    Revoked(Vec<TopicPartition>),
    /// The group has taken partitions away already.
    Lost(Vec<TopicPartition>),
    /// Their topics are gone. What comes back under these names is something else.
    Deleted(Vec<TopicPartition>),
    /// The position of a partition is not in its log (any more).
    OutOfRange(TopicPartition),
    /// When the group's coordinator was last heard of, on the monotonic clock.
    CoordinatorHeard {
        at: Duration,
    },
    TokenChanged,
    /// Another configuration is in force from now on. The timeouts of attempts and of the session
    /// are what they were.
    Reconfigured {
        settings: Box<Settings>,
        /// One for each record that [`Machine::to_decide_anew`] named.
        decisions: Vec<Redecided>,
    },
    /// Take nothing new, settle what is in flight, commit for the last time.
    Drain,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CommitRequest {
    pub epoch: Epoch,
    pub source: TopicPartition,
    pub offset: CommitOffset,
    pub metadata: String,
}

/// One attempt to make. Source, offset, timestamp and rule name the delivery for ever, whoever sends it:
/// where its record is redriven, they are those that it had before.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attempt {
    pub delivery: DeliveryId,
    pub message: Arc<Message>,
    pub source: TopicPartition,
    pub offset: RecordOffset,
    /// The record's.
    pub timestamp: Timestamp,
    pub part: usize,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect {
    Send(Attempt),
    /// Ask for the channel listing.
    List,
    DeadLetter {
        letter: LetterId,
        content: Arc<DeadLetter>,
    },
    /// Commit synchronously; exactly one [`Input::Committed`] answers it.
    Commit(Vec<CommitRequest>),
    Pause(TopicPartition),
    Resume(TopicPartition),
    /// These partitions may go: the answer to [`Input::Revoked`].
    Release(Vec<TopicPartition>),
    /// Nothing is held any more: the answer to [`Input::Drain`].
    Drained,
    Report(Report),
}

/// A dead letter that the broker has not acknowledged.
#[derive(Debug)]
struct PendingLetter {
    source: TopicPartition,
    epoch: Epoch,
    offset: RecordOffset,
    part: usize,
    delivery: Option<DeliveryId>,
    content: Arc<DeadLetter>,
    failures: u32,
}

/// Counts for invariant 6: tracked = settled + held + dropped.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Conservation {
    pub tracked: u64,
    pub settled: u64,
    pub dropped: u64,
}

/// The whole state of the bridge.
#[derive(Debug)]
pub struct Machine {
    settings: Settings,
    jitter: fastrand::Rng,
    tenures: BTreeMap<Epoch, Tenure>,
    /// Boxed, so that the map's free places cost little.
    deliveries: HashMap<DeliveryId, Box<Delivery>>,
    lanes: Lanes,
    letters: HashMap<LetterId, PendingLetter>,
    /// The gates of all attempts under way, whether or not their deliveries are still ours.
    on_wire: HashMap<DeliveryId, usize>,
    gates: Vec<Gate>,
    /// Every channel is stopped.
    account: Option<Stop>,
    /// The gate of the channel whose message met the fault first.
    account_stopped_by: usize,
    /// How the account's last stop ended.
    cleared: Option<Cleared>,
    /// Topics that the brake holds, and their dead letters in a row.
    brakes: BTreeMap<Arc<str>, u32>,
    timers: BTreeSet<(Duration, DeliveryId)>,
    letter_timers: BTreeSet<(Duration, LetterId)>,
    last_id: u64,
    next_gate: usize,
    listing: bool,
    listed_at: Duration,
    in_question: Vec<DeliveryId>,
    partitions_in_all: usize,
    commits: commits::Schedule,
    /// Messages accepted and not yet covered by a commit.
    uncommitted: usize,
    /// Those of them that are of partitions held back because of them.
    uncommitted_held_back: usize,
    coordinator_heard: Duration,
    gate_wakeup: Option<Duration>,
    revokes: Vec<Vec<TopicPartition>>,
    pasts: regained::Pasts,
    draining: Option<Draining>,
    conservation: Conservation,
    effects: Vec<Effect>,
}

#[derive(Clone, Copy, Debug)]
struct Draining {
    deadline: Duration,
    told: bool,
    /// Partitions that were let go although their last commit was not confirmed.
    uncommitted: usize,
}

impl Settings {
    fn gate(&self, channel: &Channel) -> Gate {
        let mut gate = Gate::new(channel.clone(), self.requests_per_second, self.max_in_flight);
        gate.paused = self.paused.channels.contains(&channel.name);
        gate
    }
}

impl Machine {
    /// A machine without partitions. `seed` fixes the jitter: the same seed and the same inputs
    /// give the same effects.
    pub fn new(settings: Settings, seed: u64) -> Self {
        Self {
            gates: settings.channels.iter().map(|channel| settings.gate(channel)).collect(),
            settings,
            jitter: fastrand::Rng::with_seed(seed),
            tenures: BTreeMap::new(),
            deliveries: HashMap::new(),
            lanes: Lanes::default(),
            letters: HashMap::new(),
            on_wire: HashMap::new(),
            account: None,
            account_stopped_by: 0,
            cleared: None,
            brakes: BTreeMap::new(),
            timers: BTreeSet::new(),
            letter_timers: BTreeSet::new(),
            last_id: 0,
            next_gate: 0,
            listing: false,
            listed_at: Duration::ZERO,
            in_question: Vec::new(),
            partitions_in_all: 0,
            commits: commits::Schedule::default(),
            uncommitted: 0,
            uncommitted_held_back: 0,
            coordinator_heard: Duration::ZERO,
            gate_wakeup: None,
            revokes: Vec::new(),
            pasts: BTreeMap::new(),
            draining: None,
            conservation: Conservation::default(),
            effects: Vec::new(),
        }
    }

    /// Takes one input in. What follows from it is in the next [`Machine::effects`].
    pub fn input(&mut self, input: Input, now: Moment) {
        match input {
            Input::Assigned { assignments, partitions_in_all } => {
                self.assigned(assignments, partitions_in_all, now);
            }
            Input::Record { epoch, record, decision } => self.record(epoch, record, decision, now),
            Input::Answered { delivery, outcome, took } => {
                self.answered(delivery, &outcome, took, now);
            }
            Input::DeadLettered { letter, acknowledged } => {
                self.dead_lettered(letter, acknowledged, now);
            }
            Input::Committed(results) => self.committed(results, now),
            Input::Listed(listing) => self.listed(&listing, now),
            Input::Revoked(sources) => self.revoked(sources, now),
            Input::Lost(sources) => self.lost(&sources, now),
            Input::Deleted(sources) => self.deleted(&sources, now),
            Input::OutOfRange(source) => self.out_of_range(&source),
            Input::CoordinatorHeard { at } => {
                self.coordinator_heard = self.coordinator_heard.max(at.min(now.elapsed));
            }
            Input::TokenChanged => self.token_changed(now),
            Input::Reconfigured { settings, decisions } => {
                self.reconfigured(*settings, decisions, now);
            }
            Input::Drain => self.drain(now),
        }
    }

    /// What is to happen now. To be called after every input, or every few, and at
    /// [`Machine::next_wakeup`].
    pub fn effects(&mut self, now: Moment) -> Vec<Effect> {
        self.fire_timers(now);
        self.gate_wakeup = None;
        self.probe(now);
        self.start(now);
        self.leave(now);
        self.commit(now);
        std::mem::take(&mut self.effects)
    }

    /// When [`Machine::effects`] has something to do even if nothing comes in, on the monotonic
    /// clock.
    pub fn next_wakeup(&self) -> Option<Duration> {
        let timers = self.timers.first().map(|(due, _)| *due);
        let letters = self.letter_timers.first().map(|(due, _)| *due);
        let waits = [timers, letters, self.gate_wakeup, self.commits.wakeup];
        let probes = self.next_probe();
        waits.into_iter().flatten().chain(probes).chain(self.next_departure()).min()
    }

    pub fn conservation(&self) -> Conservation {
        self.conservation
    }

    fn report(&mut self, report: Report) {
        self.effects.push(Effect::Report(report));
    }

    fn next_id(&mut self) -> u64 {
        self.last_id += 1;
        self.last_id
    }

    /// Sets, moves or (with none) clears the one timer of a delivery.
    fn set_timer(&mut self, id: DeliveryId, due: Option<Duration>) {
        let Some(delivery) = self.deliveries.get_mut(&id) else { return };
        if let Some(set) = std::mem::replace(&mut delivery.timer, due) {
            self.timers.remove(&(set, id));
        }
        if let Some(due) = due {
            self.timers.insert((due, id));
        }
    }
}

/// Where a point on the wall clock lies on the monotonic one, as things stand.
fn on_monotonic_clock(at: Timestamp, now: Moment) -> Duration {
    now.elapsed.saturating_add(at.since(now.wall))
}

#[cfg(test)]
mod tests;
