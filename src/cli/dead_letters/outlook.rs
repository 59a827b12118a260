//! What would become of a dead letter that is redriven now, under today's configuration.

use super::Context;
use crate::domain::clock::Timestamp;
use crate::domain::dead_letter::Rejection;
use crate::domain::letter::Letter;
use crate::domain::message::{Message, Verdict};
use crate::domain::ports::Decide as _;
use crate::domain::record::{Record, RecordOffset, TopicPartition};
use crate::topics::Topics;

/// In short: what comes first of this, if there are several messages.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Outlook {
    Sent,
    /// Its deadline has passed.
    Expired,
    /// No rule, or not the one that it was set aside for, matches it.
    Skipped,
    Rejected(Rejection),
}

/// What the bridge would decide of it.
pub(super) fn verdict(
    topics: &Topics,
    context: &Context,
    letter: &Letter,
    ignore_expiry: bool,
) -> Verdict {
    let redriven = Record {
        source: TopicPartition { topic: context.redrive_topic().into(), partition: 0 },
        offset: RecordOffset(0),
        timestamp: context.now,
        key: letter.original.key.clone(),
        value: letter.original.value.clone(),
        headers: letter.redriven(ignore_expiry, false),
    };
    topics.decide(&redriven).verdict
}

pub(super) fn of(verdict: &Verdict, now: Timestamp) -> Outlook {
    let parts = match verdict {
        Verdict::Skip(_) => return Outlook::Skipped,
        Verdict::Reject(rejection) => return Outlook::Rejected(rejection.clone()),
        Verdict::Deliver(parts) => parts,
    };
    let alive = |message: &Message| message.deadline > now;
    if parts.iter().flatten().any(alive) {
        return Outlook::Sent;
    }
    let rejection = parts.iter().find_map(|part| part.as_ref().err());
    match rejection {
        Some(rejection) if parts.iter().all(Result::is_err) => Outlook::Rejected(rejection.clone()),
        Some(_) | None => Outlook::Expired,
    }
}
