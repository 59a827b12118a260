//! What each channel's attempts met last: one line for each kind of answer, nothing of its body.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Value, json};

use crate::domain::outcome::Outcome;

/// So many kinds of answer are kept for a channel; of more, the oldest gives way.
const KINDS: usize = 12;

#[derive(Debug, Default)]
pub(super) struct LastAnswers(BTreeMap<String, Vec<Kind>>);

/// The attempts that met one kind of answer.
#[derive(Debug)]
struct Kind {
    outcome: &'static str,
    http_status: Option<u16>,
    count: u64,
    /// Of the last one: how long it took, and when it came, since the process started.
    took: Duration,
    at: Duration,
}

impl LastAnswers {
    pub(super) fn note(&mut self, channel: &str, outcome: &Outcome, took: Duration, at: Duration) {
        if !self.0.contains_key(channel) {
            self.0.insert(channel.to_owned(), Vec::new());
        }
        let Some(kinds) = self.0.get_mut(channel) else { return };
        let (label, http_status) = (outcome.label(), outcome.status);
        let same = |kind: &&mut Kind| (kind.outcome, kind.http_status) == (label, http_status);
        if let Some(kind) = kinds.iter_mut().find(same) {
            kind.count += 1;
            (kind.took, kind.at) = (took, at);
            return;
        }
        if kinds.len() >= KINDS {
            let oldest = kinds.iter().enumerate().min_by_key(|(_, kind)| kind.at);
            if let Some((oldest, _)) = oldest {
                kinds.swap_remove(oldest);
            }
        }
        kinds.push(Kind { outcome: label, http_status, count: 1, took, at });
    }

    /// The newest first; times in seconds.
    pub(super) fn of(&self, channel: &str, now: Duration) -> Vec<Value> {
        let mut kinds: Vec<&Kind> = self.0.get(channel).into_iter().flatten().collect();
        kinds.sort_by_key(|kind| std::cmp::Reverse(kind.at));
        let shown = |kind: &&Kind| {
            json!({
                "outcome": kind.outcome,
                "http_status": kind.http_status,
                "count": kind.count,
                "took": kind.took.as_secs_f64(),
                "ago": now.saturating_sub(kind.at).as_secs_f64(),
            })
        };
        kinds.iter().map(shown).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::outcome::Class;

    fn answer(class: Class, status: u16) -> Outcome {
        Outcome { class, status: Some(status), request_id: Some("r-1".to_owned()) }
    }

    #[test]
    fn each_kind_is_counted_and_the_newest_comes_first() {
        let mut last = LastAnswers::default();
        let at = Duration::from_secs;
        last.note("support", &answer(Class::Accepted, 200), at(1), at(10));
        last.note("support", &answer(Class::Permanent, 400), at(2), at(11));
        last.note("support", &answer(Class::Accepted, 200), at(3), at(12));
        last.note("sales", &answer(Class::Permanent, 422), at(1), at(13));
        let expected = vec![
            json!({"outcome": "accepted", "http_status": 200, "count": 2, "took": 3.0, "ago": 8.0}),
            json!({"outcome": "rejected", "http_status": 400, "count": 1, "took": 2.0, "ago": 9.0}),
        ];
        assert_eq!(last.of("support", at(20)), expected);
        assert!(last.of("unheard of", at(20)).is_empty());
    }

    #[test]
    fn of_too_many_kinds_the_oldest_gives_way() {
        let mut last = LastAnswers::default();
        for status in 400..500 {
            let at = Duration::from_secs(status.into());
            last.note("support", &answer(Class::Permanent, status), at, at);
        }
        let kept = last.of("support", Duration::from_secs(500));
        assert_eq!(kept.len(), KINDS);
        assert_eq!((&kept[0]["http_status"], &kept[11]["http_status"]), (&json!(499), &json!(488)));
    }
}
