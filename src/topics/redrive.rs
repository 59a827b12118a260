//! What becomes of a dead letter that an operator has redriven.

use std::sync::Arc;

use super::Topics;
use crate::domain::dead_letter::{Reason, Rejection};
use crate::domain::letter::{Letter, REDRIVES_LIMIT};
use crate::domain::message::{Decision, Redrive, Verdict};
use crate::domain::record::Record;
use crate::domain::rules::RedriveOptions;

impl Topics {
    /// What becomes of a record of the redrive topic, the one topic whose headers are believed.
    pub(super) fn decide_redriven(&self, record: &Record) -> Decision {
        let event_time = record.timestamp;
        let letter = match Letter::read(record.clone()) {
            Ok(letter) => letter,
            Err(why) => {
                let detail = format!("not a dead letter that was redriven: {why}");
                let rejection = Rejection { reason: Reason::Undecodable, detail, rule: None };
                let verdict = Verdict::Reject(rejection);
                return Decision { event_time, verdict, redrive: None };
            }
        };
        let verdict = self.verdict_redriven(&letter);
        let (redrives, may_repeat) = (letter.redrives, letter.may_repeat());
        let redrive = Some(Redrive { original: Arc::new(letter.original), redrives, may_repeat });
        Decision { event_time, verdict, redrive }
    }

    fn verdict_redriven(&self, letter: &Letter) -> Verdict {
        let Letter { original, rule, .. } = letter;
        let rejected = |reason, detail: String| {
            // The next redrive is to take the same rules as this one.
            let rule = rule.clone();
            let detail = if letter.ended_the_search() {
                format!("when: failed before, and was not asked again: {detail}")
            } else {
                detail
            };
            Verdict::Reject(Rejection { reason, detail, rule })
        };
        if letter.redrives > REDRIVES_LIMIT {
            let detail = format!("redriven more than {REDRIVES_LIMIT} times");
            return rejected(letter.reason, detail);
        }
        let Some(topic) = self.by_name.get(&original.source.topic) else {
            return rejected(Reason::NoRule, "its topic is none of `topics`".to_owned());
        };
        if rule.as_deref().is_some_and(|named| !topic.rules.has(named)) {
            let detail = "its rule is none of its topic's: it was renamed or removed";
            return rejected(Reason::NoRule, detail.to_owned());
        }
        let Some(value) = &original.value else {
            return rejected(Reason::Undecodable, "redriven without its value".to_owned());
        };
        let event = match topic.schema.decode(value) {
            Ok(event) => event,
            Err(rejection) => return rejected(rejection.reason, rejection.detail),
        };
        let options = RedriveOptions {
            rule: rule.as_deref(),
            and_those_after: letter.ended_the_search(),
            deadline_from: letter.ignores_expiry().then_some(letter.at),
        };
        match topic.rules.decide_redriven(event, original, options).verdict {
            Verdict::Reject(Rejection { reason, detail, rule: None }) => rejected(reason, detail),
            verdict @ (Verdict::Skip(_) | Verdict::Reject(_) | Verdict::Deliver(_)) => verdict,
        }
    }
}

#[cfg(test)]
mod tests;
