//! Rules that can never match, because of those before them or of themselves.

use std::sync::Arc;

use super::conditions::assume;
use super::known::World;
use crate::domain::rules::TopicRules;
use crate::domain::rules::reads::{Reading, RuleReads};
use crate::schema::outline::Place;

/// What the rules so far have left to those that follow.
pub(super) struct Remaining<'r> {
    rules: &'r TopicRules,
    worlds: Vec<World>,
    /// The rules that end the search where they match.
    ending: Vec<(Arc<str>, Option<Reading>)>,
}

impl<'r> Remaining<'r> {
    pub(super) fn new(rules: &'r TopicRules) -> Self {
        Self { rules, worlds: vec![World::default()], ending: Vec::new() }
    }

    pub(super) fn worlds(&self) -> &[World] {
        &self.worlds
    }

    /// Takes a rule in which these worlds have matched; why it never does, where that is so.
    pub(super) fn after(
        &mut self,
        root: &Place<'_>,
        index: usize,
        reads: &RuleReads,
        matched: &[World],
    ) -> Option<String> {
        let when = reads.when.as_ref();
        let never = if matched.is_empty() { self.reason(root, when) } else { None };
        let Some(rule) = self.rules.rules.get(index) else { return never };
        if !rule.continues {
            let when = when.unwrap_or(&Reading::Anything);
            self.worlds = assume(root, when, false, &self.worlds);
            self.ending.push((Arc::clone(&rule.name), reads.when.clone()));
        }
        never
    }

    fn reason(&self, root: &Place<'_>, when: Option<&Reading>) -> Option<String> {
        // Somebody has switched the rule off in so many words.
        if matches!(when, Some(Reading::Constant(_))) && !self.worlds.is_empty() {
            return None;
        }
        let always = Reading::Constant(true.into());
        for (name, earlier) in &self.ending {
            if earlier.as_ref() == Some(&always) {
                return Some(format!(
                    "never evaluated: `{name}` before it always matches, without `continue: true`; move this rule up, or set `continue` there"
                ));
            }
            if when.is_some() && earlier.as_ref() == when {
                return Some(format!(
                    "never true: `{name}` before it has the same condition, and has no `continue: true`"
                ));
            }
        }
        let alone = when.map(|when| assume(root, when, true, &[World::default()]));
        Some(if alone.is_some_and(|alone| alone.is_empty()) {
            "never true: no event that satisfies the schema can match; correct the condition or the schema".to_owned()
        } else {
            "never true: the rules before it match every event that it would, and do not say `continue: true`"
                .to_owned()
        })
    }
}
