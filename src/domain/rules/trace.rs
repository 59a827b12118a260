//! Why an event was decided as it was: what each rule answered.

use std::sync::Arc;

use super::Rule;
use crate::domain::dead_letter::Rejection;

/// A rule, and what became of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RuleTrace {
    pub rule: Arc<str>,
    pub answer: RuleAnswer,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RuleAnswer {
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

impl RuleAnswer {
    pub fn matches(&self) -> bool {
        matches!(self, Self::True | Self::Always)
    }
}

pub(super) fn asked(rule: &Rule, matches: &Result<bool, Rejection>) -> RuleTrace {
    let answer = match matches {
        Ok(true) if rule.when.is_none() => RuleAnswer::Always,
        Ok(true) => RuleAnswer::True,
        Ok(false) => RuleAnswer::False,
        Err(rejection) => RuleAnswer::Failed(rejection.detail.clone()),
    };
    RuleTrace { rule: Arc::clone(&rule.name), answer }
}

pub(super) fn not_asked(rule: &Rule) -> RuleTrace {
    RuleTrace { rule: Arc::clone(&rule.name), answer: RuleAnswer::NotAsked }
}
