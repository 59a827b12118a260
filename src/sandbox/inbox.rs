//! What the sandbox accepted, what it refused and why, and what it counted.

use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde::Serialize;
use tokio::sync::Notify;

use super::lanes::{Lane, LaneLoad, Lanes, Recipient};

/// How many refusals are kept.
const REFUSALS_KEPT: usize = 200;
/// How many overlapping lanes [`Stats`] lists.
const OVERLAPS_LISTED: usize = 100;
/// What a message takes in memory besides its own bytes, about.
const MESSAGE_OVERHEAD: usize = 256;

/// An accepted message. Its `Debug` tells neither the recipient nor the text.
#[derive(Clone, PartialEq, Eq, Serialize)]
pub struct Received {
    /// From 1, without gaps; it goes on when the inbox is cleared.
    pub seq: u64,
    /// When its request arrived: milliseconds since 1970-01-01T00:00:00Z.
    pub arrived_at_ms: i64,
    #[serde(rename = "channelId")]
    pub channel_id: String,
    pub recipient: Recipient,
    pub text: String,
    /// The `requestId` of the answer, whether or not the client got it.
    #[serde(rename = "requestId")]
    pub request_id: String,
    /// `X-Line-Retry-Key` of the request.
    pub retry_key: Option<String>,
    /// `X-Request-Id` of the request.
    pub x_request_id: Option<String>,
    /// The fault that befell the answer after the message was accepted.
    pub fault: Option<&'static str>,
}

impl Received {
    fn size(&self) -> usize {
        MESSAGE_OVERHEAD
            + self.channel_id.len()
            + self.recipient.id().len()
            + self.text.len()
            + self.retry_key.as_ref().map_or(0, String::len)
            + self.x_request_id.as_ref().map_or(0, String::len)
    }
}

impl fmt::Debug for Received {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Received")
            .field("seq", &self.seq)
            .field("request_id", &self.request_id)
            .field("fault", &self.fault)
            .finish_non_exhaustive()
    }
}

/// A call that was not granted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Refused {
    pub at_ms: i64,
    pub method: String,
    pub path: String,
    /// `None` where the client got another answer than a refusal, or none.
    pub status: Option<u16>,
    pub reason: String,
}

/// What was counted since the start, or since the inbox was last cleared.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Stats {
    /// Calls of the send endpoint, refused ones too.
    pub attempts: u64,
    /// Calls of the channel listing, refused ones too.
    pub listings: u64,
    pub accepted: u64,
    /// What the API itself refused, by status; faults are not among them.
    pub refused: BTreeMap<u16, u64>,
    /// Injected faults by kind.
    pub faults: BTreeMap<&'static str, u64>,
    pub in_flight: usize,
    pub max_concurrent_sends: usize,
    /// The most sends under way at once for one channel and recipient. A client that times out and
    /// tries again at once can be here before its hang-up is: that counts as two.
    pub max_concurrent_per_recipient: usize,
    /// The lanes that ever had more than one under way; the first hundred.
    pub overlapping: Vec<LaneLoad>,
    /// How many messages the inbox holds.
    pub kept: usize,
    /// How many messages it let go of to stay within its bounds.
    pub dropped: u64,
    /// The number of the newest message; 0 where there was none.
    pub last_seq: u64,
}

/// A handle to the sandbox's inbox.
#[derive(Clone)]
pub struct Inbox(Arc<Shared>);

struct Shared {
    state: Mutex<State>,
    changed: Notify,
    messages_limit: usize,
    bytes_limit: usize,
}

#[derive(Default)]
struct State {
    messages: VecDeque<Arc<Received>>,
    bytes: usize,
    refusals: VecDeque<Refused>,
    lanes: Lanes,
    stats: Stats,
}

impl fmt::Debug for Inbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Inbox").field("kept", &self.state().messages.len()).finish_non_exhaustive()
    }
}

impl Inbox {
    pub(super) fn new(messages_limit: usize, bytes_limit: usize) -> Self {
        Self(Arc::new(Shared {
            state: Mutex::default(),
            changed: Notify::new(),
            messages_limit,
            bytes_limit,
        }))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Nothing under the lock can panic half-way, so a poisoned state is a whole one.
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// All accepted messages that are kept, in the order of their acceptance.
    pub fn messages(&self) -> Vec<Arc<Received>> {
        self.after(0, usize::MAX)
    }

    /// The first `limit` messages that came after the one numbered `seq`.
    pub fn after(&self, seq: u64, limit: usize) -> Vec<Arc<Received>> {
        let state = self.state();
        let first = state.messages.front().map_or(0, |message| message.seq);
        let skip = seq.saturating_add(1).saturating_sub(first);
        let skip = usize::try_from(skip).unwrap_or(usize::MAX);
        state.messages.iter().skip(skip).take(limit).cloned().collect()
    }

    /// The newest `limit` messages, the newest first.
    pub fn newest(&self, limit: usize) -> Vec<Arc<Received>> {
        self.state().messages.iter().rev().take(limit).cloned().collect()
    }

    /// The newest `limit` refusals, the newest first.
    pub fn refusals(&self, limit: usize) -> Vec<Refused> {
        self.state().refusals.iter().rev().take(limit).cloned().collect()
    }

    /// The most sends that were ever under way at once for this channel and recipient.
    pub fn max_concurrent(&self, lane: &Lane) -> usize {
        self.state().lanes.max_of(lane)
    }

    pub fn stats(&self) -> Stats {
        let state = self.state();
        Stats {
            in_flight: state.lanes.in_flight(),
            max_concurrent_sends: state.lanes.max_in_flight(),
            max_concurrent_per_recipient: state.lanes.max_in_a_lane(),
            overlapping: state.lanes.overlapping(OVERLAPS_LISTED),
            kept: state.messages.len(),
            ..state.stats.clone()
        }
    }

    /// Empties the inbox and its counters. Message numbers go on, so a reader's `after` stays good.
    pub fn clear(&self) {
        let mut state = self.state();
        let last_seq = state.stats.last_seq;
        let mut lanes = std::mem::take(&mut state.lanes);
        lanes.reset();
        *state = State { lanes, stats: Stats { last_seq, ..Stats::default() }, ..State::default() };
    }

    /// Waits until `accepted` messages have been accepted since the inbox was last cleared.
    pub async fn wait_for(&self, accepted: u64) {
        self.wait_until(|state| state.stats.accepted >= accepted).await;
    }

    /// Waits until `attempts` sends have arrived since the inbox was last cleared.
    pub async fn wait_for_attempts(&self, attempts: u64) {
        self.wait_until(|state| state.stats.attempts >= attempts).await;
    }

    /// Waits until no send is under way; one that was timed out ends when its client has hung up.
    pub async fn wait_idle(&self) {
        self.wait_until(|state| state.lanes.in_flight() == 0).await;
    }

    async fn wait_until(&self, done: impl Fn(&State) -> bool) {
        loop {
            let mut changed = std::pin::pin!(self.0.changed.notified());
            // Enlisted before the look, or a message between the two would go unnoticed.
            changed.as_mut().enable();
            if done(&self.state()) {
                return;
            }
            changed.await;
        }
    }

    pub(super) fn count_attempt(&self) {
        self.state().stats.attempts += 1;
        self.0.changed.notify_waiters();
    }

    pub(super) fn count_listing(&self) {
        self.state().stats.listings += 1;
    }

    pub(super) fn count_fault(&self, kind: &'static str) {
        *self.state().stats.faults.entry(kind).or_default() += 1;
    }

    /// A call that the API refused.
    pub(super) fn refuse(&self, refused: Refused) {
        let mut state = self.state();
        if let Some(status) = refused.status {
            *state.stats.refused.entry(status).or_default() += 1;
        }
        if state.refusals.len() == REFUSALS_KEPT {
            state.refusals.pop_front();
        }
        state.refusals.push_back(refused);
    }

    /// Takes a message in; its `seq` is given here.
    pub(super) fn accept(&self, mut message: Received) {
        let mut state = self.state();
        state.stats.accepted += 1;
        state.stats.last_seq += 1;
        message.seq = state.stats.last_seq;
        state.bytes += message.size();
        state.messages.push_back(Arc::new(message));
        while state.messages.len() > self.0.messages_limit || state.bytes > self.0.bytes_limit {
            let Some(oldest) = state.messages.pop_front() else { break };
            state.bytes = state.bytes.saturating_sub(oldest.size());
            state.stats.dropped += 1;
        }
        drop(state);
        self.0.changed.notify_waiters();
    }

    /// A send begins; it ends when what is returned is dropped.
    pub(super) fn begin(&self, lane: Lane) -> Flight {
        let concurrent = self.state().lanes.begin(lane.clone());
        Flight { inbox: self.clone(), lane, concurrent }
    }
}

/// A send under way.
#[derive(Debug)]
pub(super) struct Flight {
    inbox: Inbox,
    pub(super) lane: Lane,
    /// How many were under way when it began, itself among them.
    pub(super) concurrent: usize,
}

impl Drop for Flight {
    fn drop(&mut self) {
        self.inbox.state().lanes.end(&self.lane);
        self.inbox.0.changed.notify_waiters();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(text: &str) -> Received {
        Received {
            seq: 0,
            arrived_at_ms: 0,
            channel_id: "c".into(),
            recipient: Recipient::Contact("contact-77".into()),
            text: text.into(),
            request_id: "r".into(),
            retry_key: None,
            x_request_id: None,
            fault: None,
        }
    }

    fn seqs(messages: &[Arc<Received>]) -> Vec<u64> {
        messages.iter().map(|message| message.seq).collect()
    }

    #[test]
    fn the_oldest_messages_go_at_the_bound_and_are_counted() {
        let inbox = Inbox::new(2, usize::MAX);
        for _ in 0..5 {
            inbox.accept(message("text"));
        }
        let stats = inbox.stats();
        assert_eq!((stats.accepted, stats.kept, stats.dropped), (5, 2, 3));
        assert_eq!(seqs(&inbox.messages()), [4, 5]);
        assert_eq!(seqs(&inbox.after(4, 9)), [5]);
        assert_eq!(seqs(&inbox.after(1, 1)), [4]);
        assert_eq!(seqs(&inbox.after(u64::MAX, 9)), [0_u64; 0]);
    }

    #[test]
    fn the_bytes_are_bounded_too() {
        let inbox = Inbox::new(usize::MAX, 3 * (MESSAGE_OVERHEAD + 1_100));
        for _ in 0..5 {
            inbox.accept(message(&"x".repeat(1_000)));
        }
        assert_eq!(inbox.stats().kept, 3);
    }

    #[test]
    fn numbers_go_on_after_a_clear() {
        let inbox = Inbox::new(9, usize::MAX);
        inbox.accept(message("text"));
        inbox.clear();
        inbox.accept(message("text"));
        assert_eq!(seqs(&inbox.messages()), [2]);
        assert_eq!(inbox.stats().accepted, 1);
    }

    #[test]
    fn a_message_never_shows_in_debug() {
        let shown = format!("{:?}", message("a secret"));
        assert!(!shown.contains("secret") && !shown.contains("contact-77"), "{shown}");
    }
}
