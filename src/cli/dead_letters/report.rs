//! What a redrive has done, counted.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::cli::output::Output;
use crate::cli::{counted, print_line};
use crate::domain::dead_letter::Reason;
use crate::domain::letter::{Letter, Place};

/// What becomes of a dead letter that is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum RedriveOutcome {
    Redriven,
    Skipped(SkipCause),
    Failed(FailCause),
}

/// Why one is left as it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum SkipCause {
    RedrivenBefore,
    /// Another dead letter of the same message is taken: a newer one, or a copy.
    SameMessage,
    TooOften,
    Expired,
    Unmatched,
    Rejected(Reason),
    OtherGroup,
}

/// Why one can't be redriven although it was to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum FailCause {
    Gone,
    TooLarge,
}

impl RedriveOutcome {
    /// A word for programs, and the rest of a sentence for people.
    fn words(self) -> (String, String) {
        let rejected = |reason: Reason| {
            let label = reason.label();
            (format!("rejected_{label}"), format!("would be set aside again: {label}"))
        };
        let (word, sentence) = match self {
            Self::Redriven => ("redriven", "redriven"),
            Self::Skipped(SkipCause::RedrivenBefore) => {
                ("redriven_before", "redriven before (--again includes them)")
            }
            Self::Skipped(SkipCause::SameMessage) => {
                ("same_message", "superseded by another dead letter of the same message")
            }
            Self::Skipped(SkipCause::TooOften) => {
                ("too_often", "already redriven too many times (--max-redrives)")
            }
            Self::Skipped(SkipCause::Expired) => {
                ("expired", "past their deadline (--ignore-expiry includes them)")
            }
            Self::Skipped(SkipCause::Unmatched) => {
                ("skipped", "would be skipped: their rule does not match now")
            }
            Self::Skipped(SkipCause::Rejected(reason)) => return rejected(reason),
            Self::Skipped(SkipCause::OtherGroup) => {
                ("other_group", "set aside by a bridge of another group (--group)")
            }
            Self::Failed(FailCause::Gone) => (
                "gone",
                "whose event is gone: too large for the dead letter, and deleted from its topic since",
            ),
            Self::Failed(FailCause::TooLarge) => {
                ("too_large", "larger than the redrive topic allows (max.message.bytes)")
            }
        };
        (word.to_owned(), sentence.to_owned())
    }
}

#[derive(Debug)]
pub(super) struct Report {
    dry_run: bool,
    output: Output,
    counts: BTreeMap<RedriveOutcome, u64>,
    /// How many of the redriven ones may give their customers a message for the second time.
    may_repeat: u64,
    /// Of a dry run, each as JSON; otherwise none.
    letters: Vec<Value>,
    /// Records of the dead-letter topic that no bridge has written.
    pub(super) foreign: u64,
}

impl Report {
    pub(super) fn new(dry_run: bool, output: Output) -> Self {
        let counts = BTreeMap::new();
        Self { dry_run, output, counts, may_repeat: 0, letters: Vec::new(), foreign: 0 }
    }

    pub(super) fn count(&mut self, outcome: RedriveOutcome) {
        *self.counts.entry(outcome).or_default() += 1;
    }

    pub(super) fn redriven_one(&mut self, may_repeat: bool) {
        self.count(RedriveOutcome::Redriven);
        self.may_repeat += u64::from(may_repeat);
    }

    /// Counts one and, in a dry run, tells of it.
    pub(super) fn add(&mut self, letter: &Letter, outcome: RedriveOutcome, may_repeat: bool) {
        match outcome {
            RedriveOutcome::Redriven => self.redriven_one(may_repeat),
            RedriveOutcome::Skipped(_) | RedriveOutcome::Failed(_) => self.count(outcome),
        }
        if !self.dry_run {
            return;
        }
        let (word, sentence) = outcome.words();
        let Letter { place, original, .. } = letter;
        match self.output {
            Output::Json => self.letters.push(json!({
                "partition": place.source.partition,
                "offset": place.offset.0,
                "topic": &*original.source.topic,
                "original_partition": original.source.partition,
                "original_offset": original.offset.0,
                "fate": word,
                "may_repeat": may_repeat,
            })),
            Output::Text => {
                let event = Place { source: original.source.clone(), offset: original.offset };
                let would = if outcome == RedriveOutcome::Redriven { "would be " } else { "" };
                print_line(format_args!("{place} {event}: {would}{sentence}"));
            }
        }
    }

    pub(super) fn redriven(&self) -> u64 {
        self.counts.get(&RedriveOutcome::Redriven).copied().unwrap_or(0)
    }

    /// How many were to be redriven, and could not be.
    pub(super) fn lost(&self) -> u64 {
        let lost = |(outcome, count): (&RedriveOutcome, &u64)| {
            matches!(outcome, RedriveOutcome::Failed(_)).then_some(*count)
        };
        self.counts.iter().filter_map(lost).sum()
    }

    pub(super) fn told(&self) -> String {
        match self.output {
            Output::Json => self.json().to_string(),
            Output::Text => self.text(),
        }
    }

    fn text(&self) -> String {
        let would = if self.dry_run { "would be " } else { "" };
        let mut lines =
            vec![format!("{} {would}redriven", counted(self.redriven(), "dead letter"))];
        if self.may_repeat > 0 {
            let repeats = self.may_repeat;
            lines.push(format!(
                "  {repeats} of these may give their customers the message a second time (ambiguous, retries_exhausted, redriven before)"
            ));
        }
        let others =
            self.counts.iter().filter(|(outcome, _)| **outcome != RedriveOutcome::Redriven);
        lines.extend(others.map(|(outcome, count)| format!("  {count} {}", outcome.words().1)));
        if self.foreign > 0 {
            let records = counted(self.foreign, "record");
            lines.push(format!("  {records} of the topic not written by line-bridge"));
        }
        lines.join("\n")
    }

    fn json(&self) -> Value {
        let of = |wanted: fn(&RedriveOutcome) -> bool| {
            let counts = self.counts.iter().filter(|(outcome, _)| wanted(outcome));
            counts.map(|(outcome, count)| (outcome.words().0, *count)).collect::<BTreeMap<_, _>>()
        };
        json!({
            "dry_run": self.dry_run,
            "redriven": self.redriven(),
            "may_repeat": self.may_repeat,
            "left": of(|outcome| matches!(outcome, RedriveOutcome::Skipped(_))),
            "failed": of(|outcome| matches!(outcome, RedriveOutcome::Failed(_))),
            "foreign": self.foreign,
            "letters": self.letters,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_done_comes_first_and_what_was_left_has_its_reason() {
        let mut report = Report::new(false, Output::Text);
        for outcome in [
            RedriveOutcome::Failed(FailCause::Gone),
            RedriveOutcome::Skipped(SkipCause::Rejected(Reason::Schema)),
            RedriveOutcome::Skipped(SkipCause::RedrivenBefore),
            RedriveOutcome::Skipped(SkipCause::RedrivenBefore),
        ] {
            report.count(outcome);
        }
        report.redriven_one(false);
        report.redriven_one(true);
        report.foreign = 2;
        insta::assert_snapshot!(report.told(), @r"
        2 dead letters redriven
          1 of these may give their customers the message a second time (ambiguous, retries_exhausted, redriven before)
          2 redriven before (--again includes them)
          1 would be set aside again: schema
          1 whose event is gone: too large for the dead letter, and deleted from its topic since
          2 records of the topic not written by line-bridge
        ");
        assert_eq!((report.redriven(), report.lost()), (2, 1));
        report.output = Output::Json;
        let told: Value = serde_json::from_str(&report.told()).unwrap();
        assert_eq!(told["left"], json!({"redriven_before": 2, "rejected_schema": 1}));
        assert_eq!(told["may_repeat"], 1);
        assert_eq!(told["failed"], json!({"gone": 1}));
    }
}
