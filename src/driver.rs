//! The event loop: tells the core what happens, and does what it says.
//!
//! One task owns the core. Attempts, listings and dead letters run as tasks of their own and come
//! back as `Done`; the source topics come as [`LogEvent`]s.

mod journal;
mod tasks;

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};

use crate::domain::clock::Moment;
use crate::domain::machine::{Effect, Input, Machine, Redecided, Settings};
use crate::domain::ports::{Api, Clock, DeadLetters, Decide, Log, LogEvent, Observe};
use crate::domain::record::{Epoch, Record};
use tasks::{Done, Tasks};

/// How many answers are taken in before the effects of them are carried out.
const BATCH: usize = 256;

/// How often the figures are brought up to date; also the longest that the loop sleeps.
const TICK: Duration = Duration::from_secs(1);

/// What the bridge around it asks of the driver.
#[derive(Debug)]
pub enum Order {
    /// Take nothing new, settle what is in flight, commit for the last time, and end.
    Drain,
    /// The token is another one now.
    TokenChanged,
    Reconfigure(Reconfiguration),
}

/// Another configuration: from then on, records are decided by it and nothing else.
pub struct Reconfiguration {
    pub settings: Box<Settings>,
    pub decide: Arc<dyn Decide>,
    /// Told once it is in force.
    pub done: oneshot::Sender<()>,
}

impl std::fmt::Debug for Reconfiguration {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Reconfiguration").finish_non_exhaustive()
    }
}

/// What the driver works with.
pub struct Ports<L, A, D> {
    pub log: L,
    pub events: mpsc::Receiver<LogEvent>,
    pub api: Arc<A>,
    pub dead_letters: Arc<D>,
    pub decide: Arc<dyn Decide>,
    pub clock: Arc<dyn Clock>,
    pub observe: Arc<dyn Observe>,
    pub orders: mpsc::Receiver<Order>,
}

/// The driver ended before it was told to.
#[derive(Debug, thiserror::Error)]
#[error("fatal error of the Kafka client, so the bridge stops: {0}")]
pub struct Broken(String);

/// The end of a driver that was told to drain.
#[derive(Debug)]
pub struct Drained<L> {
    /// To be closed.
    pub log: L,
    /// Partitions whose last commit was not confirmed, or does not tell of all that has settled.
    pub uncommitted: usize,
}

pub struct Driver<L, A, D> {
    machine: Machine,
    ports: Ports<L, A, D>,
    tasks: Tasks<A, D>,
    done: mpsc::UnboundedReceiver<Done>,
    figures_due: Duration,
    silence: journal::Silence,
    /// Records have been decided since the attempts had their turn.
    has_decided: bool,
}

impl<L, A, D> std::fmt::Debug for Ports<L, A, D> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Ports").finish_non_exhaustive()
    }
}

enum Next {
    Log(Option<LogEvent>),
    Done(Done),
    Order(Option<Order>),
    Time,
}

impl<L, A, D> std::fmt::Debug for Driver<L, A, D> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Driver").field("machine", &self.machine).finish_non_exhaustive()
    }
}

impl<L: Log, A: Api, D: DeadLetters> Driver<L, A, D> {
    /// `attempt_timeout` is what the API's own timeout is backed by; a coordinator that is silent
    /// for longer than `silence` is told of.
    pub fn new(
        machine: Machine,
        ports: Ports<L, A, D>,
        attempt_timeout: Duration,
        silence: Duration,
    ) -> Self {
        let (tell, done) = mpsc::unbounded_channel();
        let (api, letters) = (Arc::clone(&ports.api), Arc::clone(&ports.dead_letters));
        let tasks = Tasks { api, letters, clock: Arc::clone(&ports.clock), tell, attempt_timeout };
        Self {
            machine,
            ports,
            tasks,
            done,
            figures_due: Duration::ZERO,
            silence: journal::Silence::longer_than(silence),
            has_decided: false,
        }
    }

    /// Runs until it has drained.
    pub async fn run(mut self) -> Result<Drained<L>, Broken> {
        loop {
            let next = self.next().await;
            let now = self.ports.clock.now();
            self.take(next, now)?;
            self.take_what_waits(now)?;
            let mut effects = self.machine.effects(now);
            let mut drained = false;
            for effect in effects.drain(..) {
                drained |= effect == Effect::Drained;
                self.perform(effect);
            }
            self.figures(now);
            if drained {
                let uncommitted = self.machine.left_uncommitted();
                return Ok(Drained { log: self.ports.log, uncommitted });
            }
        }
    }

    async fn next(&mut self) -> Next {
        // The attempts run on the same thread: they go on however many records there are to read.
        if std::mem::take(&mut self.has_decided) {
            tokio::task::yield_now().await;
        }
        let now = self.ports.clock.now().elapsed;
        let wakeup = self.machine.next_wakeup().map_or(TICK, |at| at.saturating_sub(now));
        tokio::select! {
            Some(done) = self.done.recv() => Next::Done(done),
            order = self.ports.orders.recv() => Next::Order(order),
            event = self.ports.events.recv() => Next::Log(event),
            () = tokio::time::sleep(wakeup.min(TICK)) => Next::Time,
        }
    }

    fn take(&mut self, next: Next, now: Moment) -> Result<(), Broken> {
        match next {
            Next::Log(Some(event)) => self.hear(event, now)?,
            Next::Log(None) => return Err(Broken("the consumer's thread has ended".to_owned())),
            Next::Done(done) => self.finished(done, now),
            // Whoever could give orders is gone, and with it the process soon.
            Next::Order(Some(Order::Drain) | None) => self.machine.input(Input::Drain, now),
            Next::Order(Some(Order::TokenChanged)) => self.machine.input(Input::TokenChanged, now),
            Next::Order(Some(Order::Reconfigure(new))) => self.reconfigure(new, now),
            Next::Time => {}
        }
        Ok(())
    }

    /// Takes in what is there already, so that one look at the effects serves for all of it; of the
    /// log no more than one event, for it may bring many records.
    fn take_what_waits(&mut self, now: Moment) -> Result<(), Broken> {
        for _ in 0..BATCH {
            let Ok(done) = self.done.try_recv() else { break };
            self.finished(done, now);
        }
        if let Ok(event) = self.ports.events.try_recv() {
            self.hear(event, now)?;
        }
        Ok(())
    }

    fn hear(&mut self, event: LogEvent, now: Moment) -> Result<(), Broken> {
        self.ports.observe.log(&event);
        journal::log_event(&event);
        let input = match event {
            LogEvent::Assigned { assignments, partitions_in_all } => {
                Input::Assigned { assignments, partitions_in_all }
            }
            LogEvent::Records(records) => {
                self.has_decided = true;
                for (epoch, record) in records {
                    self.decide(epoch, record, now);
                }
                return Ok(());
            }
            LogEvent::Revoked(sources) => Input::Revoked(sources),
            LogEvent::Lost(sources) => Input::Lost(sources),
            LogEvent::Deleted(sources) => Input::Deleted(sources),
            LogEvent::Committed(results) => {
                let result = |(request, result): (_, _)| {
                    let request: crate::domain::machine::CommitRequest = request;
                    (request.epoch, result)
                };
                Input::Committed(results.into_iter().map(result).collect())
            }
            LogEvent::OutOfRange { source, .. } => Input::OutOfRange(source),
            LogEvent::Seen { coordinator: Some(at), .. } => Input::CoordinatorHeard { at },
            LogEvent::Left | LogEvent::Seen { coordinator: None, .. } => return Ok(()),
            LogEvent::Fatal(why) => return Err(Broken(why)),
        };
        self.machine.input(input, now);
        Ok(())
    }

    fn decide(&mut self, epoch: Epoch, record: Record, now: Moment) {
        let decision = self.ports.decide.decide(&record);
        journal::decision(&decision);
        self.machine.input(Input::Record { epoch, record: Arc::new(record), decision }, now);
    }

    /// Decides what is held anew and whatever comes from now on, with nothing in between.
    fn reconfigure(&mut self, new: Reconfiguration, now: Moment) {
        let Reconfiguration { settings, decide, done } = new;
        let decided = |(epoch, record): (_, Arc<Record>)| Redecided {
            epoch,
            offset: record.offset,
            decision: decide.decide(&record),
        };
        let records = self.machine.to_decide_anew(&settings);
        let decisions = records.into_iter().map(decided).collect();
        self.machine.input(Input::Reconfigured { settings, decisions }, now);
        self.ports.decide = decide;
        // Whoever asked may have gone.
        done.send(()).ok();
    }

    fn finished(&mut self, done: Done, now: Moment) {
        let input = match done {
            Done::Answered { delivery, channel, outcome, took } => {
                self.ports.observe.attempted(&channel, &outcome, took, now);
                Input::Answered { delivery, outcome, took }
            }
            Done::DeadLettered { letter, acknowledged } => {
                Input::DeadLettered { letter, acknowledged }
            }
            Done::Listed(listing) => Input::Listed(listing),
        };
        self.machine.input(input, now);
    }

    fn perform(&self, effect: Effect) {
        match effect {
            Effect::Send(attempt) => self.tasks.send(attempt),
            Effect::List => self.tasks.list(),
            Effect::DeadLetter { letter, content } => self.tasks.dead_letter(letter, content),
            Effect::Commit(requests) => self.ports.log.commit(requests),
            Effect::Pause(source) => self.ports.log.pause(source),
            Effect::Resume(source) => self.ports.log.resume(source),
            Effect::Release(sources) => self.ports.log.release(sources),
            Effect::Report(report) => {
                self.ports.observe.report(&report);
                journal::report(&report);
            }
            Effect::Drained => {}
        }
    }

    fn figures(&mut self, now: Moment) {
        self.ports.observe.turned(now);
        if now.elapsed >= self.figures_due {
            let status = self.machine.status(now);
            self.silence.look(&status);
            self.ports.observe.gauges(&status, now);
            self.figures_due = now.elapsed + TICK;
        }
    }
}
