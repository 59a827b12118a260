//! Which dead letters tell of the same message.

use std::sync::Arc;

use crate::domain::clock::Timestamp;
use crate::domain::letter::Letter;
use crate::domain::record::{RecordOffset, TopicPartition};

/// The record that a message is of. Its time tells a topic that was made anew.
pub(super) type OfRecord = (TopicPartition, RecordOffset, Timestamp);

/// The message that a dead letter is of; without a rule, of an event that had not come to one.
pub(super) type OfMessage = (OfRecord, Option<Arc<str>>);

pub(super) fn message(letter: &Letter) -> OfMessage {
    let original = &letter.original;
    let record = (original.source.clone(), original.offset, original.timestamp);
    (record, letter.rule.clone())
}

/// A failed try of a message. A bridge that was killed may have written it twice.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct FailedTry {
    message: OfMessage,
    group: Option<String>,
    redrives: u32,
}

impl FailedTry {
    pub(super) fn of(letter: &Letter) -> Self {
        Self { message: message(letter), group: letter.group.clone(), redrives: letter.redrives }
    }

    /// The one that a letter on the redrive topic was redriven for; none where it is not from there.
    pub(super) fn redriven(letter: &Letter) -> Option<Self> {
        letter.redriven_from()?;
        Some(Self { redrives: letter.redrives.checked_sub(1)?, ..Self::of(letter) })
    }
}
