//! Redriven events: which rules are asked again, and until when their messages may be sent.

use super::{EXPIRES_AFTER, ExpiryRule, Rule, Rules};
use crate::domain::clock::Timestamp;
use crate::domain::message::Message;

/// What an operator wants of an event that is redriven. The default is an event's first time.
#[derive(Clone, Copy, Debug, Default)]
pub struct RedriveOptions<'a> {
    /// The rule that it was set aside for, which alone is asked; none: all of them.
    pub rule: Option<&'a str>,
    /// The search for a rule had ended there, so that those after it are asked as well.
    pub and_those_after: bool,
    /// A deadline that is earlier than it would be for an event of this time is put off until then.
    pub deadline_from: Option<Timestamp>,
}

impl Rules {
    /// Whether there is a rule of this name.
    pub fn has(&self, name: &str) -> bool {
        self.in_order.iter().any(|rule| *rule.name == *name)
    }

    /// The rules that are asked, in order: all, or the one that is named, or that one and those
    /// after it.
    pub(super) fn asked(&self, redrive: RedriveOptions<'_>) -> impl Iterator<Item = &Rule> {
        let before = move |rule: &&Rule| redrive.rule.is_some_and(|named| *rule.name != *named);
        let alone = redrive.rule.is_some() && !redrive.and_those_after;
        let number = if alone { 1 } else { usize::MAX };
        self.in_order.iter().skip_while(before).take(number)
    }
}

impl Rule {
    /// With a deadline that counts from a redrive, where an operator wants that and it is later.
    pub(super) fn postponed(&self, message: Message, redrive: RedriveOptions<'_>) -> Message {
        let time = match &self.expires {
            ExpiryRule::After(duration) => *duration,
            ExpiryRule::At(_) => EXPIRES_AFTER,
        };
        let anew = redrive.deadline_from.map(|from| from.plus(time));
        let deadline = anew.map_or(message.deadline, |anew| anew.max(message.deadline));
        Message { deadline, ..message }
    }
}
