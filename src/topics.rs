//! Record → event → messages: the schemas and the rules of all topics, compiled.

mod examples;
mod redrive;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::config::{Channels, Locations, Mistake, Place, Severity, Strictness, Topic};
use crate::domain::message::{Decision, SkipReason, Verdict};
use crate::domain::ports::Decide;
use crate::domain::record::Record;
use crate::domain::rules::{RuleMistake, RuleTrace, Rules, Spot, fingerprint_of_all};
use crate::fit::{self, Misfit};
use crate::schema::{Schema, SchemaMistake};

/// What is known of every topic.
#[derive(Debug, Default)]
pub struct Topics {
    by_name: BTreeMap<Arc<str>, Compiled>,
    /// Where dead letters come back on.
    redrive: Arc<str>,
}

#[derive(Debug)]
struct Compiled {
    schema: Schema,
    rules: Rules,
}

fn compile(
    topic: &Topic,
    channels: &Channels,
    locations: &Locations,
    strictness: Strictness,
) -> (Option<Compiled>, Vec<Mistake>) {
    let mut mistakes = Vec::new();
    let schema = Some(&topic.schema).filter(|path| **path != PathBuf::new());
    let schema = schema.and_then(|path| match Schema::load(path) {
        Ok(schema) => Some(schema),
        Err(found) => {
            let told = |found| in_schema(found, topic, locations);
            mistakes.extend(found.into_iter().map(told));
            None
        }
    });
    let in_rule = |rule: Option<usize>, key: &str, spot: Option<Spot>, message: String| {
        let place = spot.and_then(|spot| spot.place(&topic.rules, rule, key));
        let rule = rule.and_then(|index| topic.positions.get(index)).copied();
        locations.mistake_in_text(&topic.name, rule, key, place, message)
    };
    let rules = Rules::compile(&topic.rules, channels).map_err(|found| {
        let told = |found: RuleMistake| in_rule(found.rule, found.key, found.spot, found.message);
        mistakes.extend(found.into_iter().map(told));
    });
    if let Some(schema) = &schema {
        let told = |misfit: Misfit| {
            let severity = if misfit.is_warning { Severity::Warning } else { Severity::Error };
            Mistake { severity, ..in_rule(misfit.rule, misfit.key, misfit.spot, misfit.message) }
        };
        mistakes.extend(fit::check(schema.outline(), &topic.rules, channels).into_iter().map(told));
    }
    let compiled = schema.zip(rules.ok()).map(|(schema, rules)| Compiled { schema, rules });
    if let Some(compiled) = &compiled {
        mistakes.extend(examples::run(topic, compiled, locations, strictness));
    }
    (compiled, mistakes)
}

/// At its place in the schema's file; where that can't be read, at the topic's `schema`.
fn in_schema(found: SchemaMistake, topic: &Topic, locations: &Locations) -> Mistake {
    let Some(place) = found.place else {
        return locations.mistake_at(&topic.name, None, "schema", found.to_string());
    };
    Mistake {
        file: found.file.display().to_string(),
        place: Some(Place { line: place.line, column: place.column }),
        key: if found.pointer.is_empty() { String::new() } else { format!("#{}", found.pointer) },
        message: found.message,
        severity: Severity::Error,
    }
}

impl Topics {
    /// Compiles one more, and tells what is wrong with its schema, rules and examples.
    pub fn add(
        &mut self,
        topic: &Topic,
        channels: &Channels,
        locations: &Locations,
        strictness: Strictness,
    ) -> Vec<Mistake> {
        let (compiled, mistakes) = compile(topic, channels, locations, strictness);
        self.by_name.extend(compiled.map(|compiled| (Arc::clone(&topic.name), compiled)));
        mistakes
    }

    /// Dead letters come back on this topic.
    #[must_use]
    pub fn redriven_on(self, redrive: &str) -> Self {
        Self { redrive: redrive.into(), ..self }
    }

    /// The topics that events come from.
    pub fn names(&self) -> Vec<String> {
        self.by_name.keys().map(ToString::to_string).collect()
    }

    /// The topic that dead letters come back on.
    pub fn redrive(&self) -> &str {
        &self.redrive
    }

    /// The files of all schemas.
    pub fn files(&self) -> impl Iterator<Item = &Path> {
        self.by_name.values().flat_map(|compiled| compiled.schema.files()).map(PathBuf::as_path)
    }

    /// For each topic, what tells one schema from another within this process.
    pub fn schemas(&self) -> BTreeMap<Arc<str>, u64> {
        self.of_each(|compiled| compiled.schema.digest())
    }

    /// For each topic, what tells one set of rules from another.
    pub fn fingerprints(&self) -> BTreeMap<Arc<str>, u64> {
        self.of_each(|compiled| compiled.rules.fingerprint())
    }

    /// The redrive topic has a number as well: to it the schemas and the rules of all the others
    /// apply.
    fn of_each(&self, number: impl Fn(&Compiled) -> u64) -> BTreeMap<Arc<str>, u64> {
        let mut numbers: BTreeMap<_, _> =
            self.by_name.iter().map(|(name, topic)| (Arc::clone(name), number(topic))).collect();
        let all = fingerprint_of_all(&numbers);
        numbers.insert(Arc::clone(&self.redrive), all);
        numbers
    }

    /// What becomes of a record, and what each rule answered; none were asked of a record that did
    /// not become an event.
    pub fn explain(&self, record: &Record) -> (Decision, Vec<RuleTrace>) {
        match self.event(record) {
            Ok((rules, event)) => rules.explain(event, record),
            Err(decision) => (decision, Vec::new()),
        }
    }

    /// The record's event with the rules that it meets, or what becomes of a record without one.
    fn event(&self, record: &Record) -> Result<(&Rules, serde_json::Value), Decision> {
        match self.by_name.get(&record.source.topic) {
            Some(topic) => topic.event(record),
            None => Err(without_event(record, Verdict::Skip(SkipReason::Unmatched))),
        }
    }
}

impl Decide for Topics {
    fn decide(&self, record: &Record) -> Decision {
        if record.source.topic == self.redrive {
            return self.decide_redriven(record);
        }
        match self.event(record) {
            Ok((rules, event)) => rules.decide(event, record),
            Err(decision) => decision,
        }
    }
}

impl Compiled {
    fn event(&self, record: &Record) -> Result<(&Rules, serde_json::Value), Decision> {
        let Some(value) = &record.value else {
            return Err(without_event(record, Verdict::Skip(SkipReason::Tombstone)));
        };
        match self.schema.decode(value) {
            Ok(event) => Ok((&self.rules, event)),
            Err(rejection) => Err(without_event(record, Verdict::Reject(rejection))),
        }
    }

    fn decide(&self, record: &Record) -> Decision {
        match self.event(record) {
            Ok((rules, event)) => rules.decide(event, record),
            Err(decision) => decision,
        }
    }
}

/// Of a record that did not become an event, no other time is known.
fn without_event(record: &Record, verdict: Verdict) -> Decision {
    Decision { event_time: record.timestamp, verdict, redrive: None }
}

#[cfg(test)]
mod tests;
