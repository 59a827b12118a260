//! What takes time: each runs as a task of its own and tells the driver when it is done.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc::UnboundedSender;

use crate::domain::dead_letter::DeadLetter;
use crate::domain::delivery::DeliveryId;
use crate::domain::machine::{Attempt, LetterId};
use crate::domain::outcome::{Ambiguity, Class, Listing, NotApplied, Outcome};
use crate::domain::ports::{Api, Clock, DeadLetters};

/// How much longer than its own timeout an attempt gets before it is given up.
const GRACE: Duration = Duration::from_secs(1);

/// How long the producer may take before a dead letter is tried again.
const DEAD_LETTER: Duration = Duration::from_mins(1);

#[derive(Debug)]
pub(super) enum Done {
    Answered { delivery: DeliveryId, channel: Arc<str>, outcome: Outcome, took: Duration },
    DeadLettered { letter: LetterId, acknowledged: bool },
    Listed(Listing),
}

/// Tells the driver, even if the task panics: a delivery that never ends would hold its
/// recipient up for ever.
struct Reply {
    tell: UnboundedSender<Done>,
    done: Option<Done>,
}

impl Reply {
    fn done(mut self, done: Done) {
        self.done = Some(done);
    }
}

impl Drop for Reply {
    fn drop(&mut self) {
        if let Some(done) = self.done.take() {
            // The driver is gone only once it has drained.
            drop(self.tell.send(done));
        }
    }
}

pub(super) struct Tasks<A, D> {
    pub(super) api: Arc<A>,
    pub(super) letters: Arc<D>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) tell: UnboundedSender<Done>,
    pub(super) attempt_timeout: Duration,
}

impl<A: Api, D: DeadLetters> Tasks<A, D> {
    pub(super) fn send(&self, attempt: Attempt) {
        let delivery = attempt.delivery;
        let channel = Arc::clone(&attempt.message.channel.name);
        let (api, clock) = (Arc::clone(&self.api), Arc::clone(&self.clock));
        let limit = self.attempt_timeout + GRACE;
        let answered = move |outcome: Outcome, took: Duration| Done::Answered {
            delivery,
            channel: Arc::clone(&channel),
            outcome,
            took,
        };
        let silence = || Outcome::without_answer(Class::Ambiguous(Ambiguity::NoAnswer));
        let reply = self.reply(answered(silence(), limit));
        tokio::spawn(async move {
            let started = clock.now().elapsed;
            let outcome = tokio::time::timeout(limit, api.send(&attempt)).await;
            let took = clock.now().elapsed.saturating_sub(started);
            reply.done(answered(outcome.unwrap_or_else(|_| silence()), took));
        });
    }

    pub(super) fn list(&self) {
        let failed = Listing::Failed(Class::NotApplied(NotApplied::Unreachable));
        let reply = self.reply(Done::Listed(failed));
        let api = Arc::clone(&self.api);
        tokio::spawn(async move {
            reply.done(Done::Listed(api.list().await));
        });
    }

    pub(super) fn dead_letter(&self, letter: LetterId, content: Arc<DeadLetter>) {
        let reply = self.reply(Done::DeadLettered { letter, acknowledged: false });
        let letters = Arc::clone(&self.letters);
        tokio::spawn(async move {
            let sent = tokio::time::timeout(DEAD_LETTER, letters.produce(&content)).await;
            let acknowledged = sent.unwrap_or_else(|_| {
                let seconds = DEAD_LETTER.as_secs();
                tracing::warn!(
                    seconds,
                    "a dead letter was not acknowledged in time; writing it again"
                );
                false
            });
            reply.done(Done::DeadLettered { letter, acknowledged });
        });
    }

    fn reply(&self, unless_told: Done) -> Reply {
        Reply { tell: self.tell.clone(), done: Some(unless_told) }
    }
}
