//! Why an event was decided as it was: what each rule answered.

use std::sync::Arc;

use super::Rule;
use crate::domain::dead_letter::Rejection;

/// A rule, and what became of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Asked {
    pub rule: Arc<str>,
    pub answer: Answer,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// Its `when` is true.
    True,
    /// It has no `when`, and matches every event.
    Always,
    /// Its `when` is false.
    False,
    /// Its `when` failed; the text says at what, and holds no value of the event.
    Failed(String),
    /// The search had ended before.
    NotAsked,
}

impl Answer {
    pub fn matches(&self) -> bool {
        matches!(self, Self::True | Self::Always)
    }
}

pub(super) fn asked(rule: &Rule, matches: &Result<bool, Rejection>) -> Asked {
    let answer = match matches {
        Ok(true) if rule.when.is_none() => Answer::Always,
        Ok(true) => Answer::True,
        Ok(false) => Answer::False,
        Err(rejection) => Answer::Failed(rejection.detail.clone()),
    };
    Asked { rule: Arc::clone(&rule.name), answer }
}

pub(super) fn not_asked(rule: &Rule) -> Asked {
    Asked { rule: Arc::clone(&rule.name), answer: Answer::NotAsked }
}
