//! What becomes of every record, as far as it can be seen from outside the bridge: in the topics
//! and in the sandbox's inbox.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Interval, MissedTickBehavior};

use super::screen::Sight;
use crate::bridge;
use crate::domain::dead_letter::HEADER_PREFIX;
use crate::domain::message::{SkipReason, Verdict};
use crate::domain::ports::Decide as _;
use crate::domain::record::Record;
use crate::kafka::tail::Tail;
use crate::sandbox::{Inbox, Received};
use crate::topics::Topics;

/// How often the inbox is looked at.
const LOOK: Duration = Duration::from_millis(50);
/// A message whose record has not been read after so many looks is not the bridge's.
const PATIENCE: u32 = 40;
/// How many messages are looked for at a time.
const AT_ONCE: usize = 1_000;
/// How many messages may be expected: those of dead letters are never seen in the inbox.
const EXPECTED: usize = 10_000;

pub(super) struct Watch {
    tail: Tail,
    inbox: Inbox,
    topics: Topics,
    dead_letters: String,
    look: Interval,
    /// The number of the last message that was taken from the inbox.
    seen: u64,
    /// The topic and the rule of what the bridge may send, by the delivery's id.
    expected: BTreeMap<String, (String, String)>,
    order: VecDeque<String>,
    /// Messages that came before their records were read, with the looks that they have waited.
    unexplained: Vec<(Arc<Received>, u32)>,
    sights: VecDeque<Sight>,
}

impl Watch {
    /// `tail` has the topics of events and that of dead letters.
    pub(super) fn new(tail: Tail, inbox: Inbox, topics: Topics, dead_letters: String) -> Self {
        let mut look = tokio::time::interval(LOOK);
        look.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Self {
            tail,
            inbox,
            topics,
            dead_letters,
            look,
            seen: 0,
            expected: BTreeMap::new(),
            order: VecDeque::new(),
            unexplained: Vec::new(),
            sights: VecDeque::new(),
        }
    }

    /// What happens next. Nothing is lost where the future is dropped.
    pub(super) async fn next(&mut self) -> Sight {
        loop {
            if let Some(sight) = self.sights.pop_front() {
                return sight;
            }
            tokio::select! {
                Some(record) = self.tail.next() => self.read(&record),
                _ = self.look.tick() => self.look_into_inbox(),
            }
        }
    }

    pub(super) async fn close(self) {
        self.tail.close().await;
    }

    fn read(&mut self, record: &Record) {
        if *record.source.topic == *self.dead_letters {
            return self.sights.push_back(dead_letter(record));
        }
        match self.topics.decide(record).verdict {
            Verdict::Skip(why) => {
                let why = match why {
                    SkipReason::Tombstone => "it has no value",
                    SkipReason::Unmatched => "no rule matches, so nobody is told",
                };
                let topic = record.source.topic.to_string();
                self.sights.push_back(Sight::Skipped { topic, why });
            }
            // It becomes a dead letter, which is shown when it is read.
            Verdict::Reject(_) => {}
            Verdict::Deliver(parts) => {
                for message in parts.into_iter().flatten() {
                    let Record { source, offset, timestamp, .. } = record;
                    let id = bridge::id_of_delivery(source, *offset, *timestamp, &message.rule);
                    let origin = (source.topic.to_string(), message.rule.to_string());
                    self.expect(id, origin);
                }
            }
        }
    }

    fn expect(&mut self, id: String, origin: (String, String)) {
        if self.order.len() >= EXPECTED
            && let Some(oldest) = self.order.pop_front()
        {
            self.expected.remove(&oldest);
        }
        self.order.push_back(id.clone());
        self.expected.insert(id, origin);
    }

    fn look_into_inbox(&mut self) {
        let new = self.inbox.after(self.seen, AT_ONCE);
        self.seen = new.last().map_or(self.seen, |newest| newest.seq);
        let waiting = std::mem::take(&mut self.unexplained);
        for (received, looks) in waiting.into_iter().chain(new.into_iter().map(|new| (new, 0))) {
            let id = received.retry_key.as_ref();
            let origin = id.and_then(|id| self.expected.get(id)).cloned();
            if origin.is_none() && looks < PATIENCE {
                self.unexplained.push((received, looks + 1));
                continue;
            }
            let recipient = received.recipient.id().to_owned();
            let text = received.text.clone();
            self.sights.push_back(Sight::Accepted { origin, recipient, text });
        }
    }
}

fn dead_letter(record: &Record) -> Sight {
    let header = |wanted: &str| {
        // What the bridge adds stands behind the record's own headers.
        let mut headers = record.headers.iter().rev();
        let name = |name: &str| name.strip_prefix(HEADER_PREFIX) == Some(wanted);
        let value = headers.find(|header| name(&header.name))?.value.as_ref()?;
        Some(String::from_utf8_lossy(value).into_owned())
    };
    Sight::DeadLetter {
        reason: header("reason").unwrap_or_default(),
        detail: header("detail").unwrap_or_default(),
        topic: header("topic").unwrap_or_default(),
        rule: header("rule"),
    }
}
