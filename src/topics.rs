//! Record → event → messages: the schemas and the rules of all topics, compiled.

mod redrive;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use crate::config::{Channels, Config, Environment, Loaded, Locations, Mistake, Mistakes};
use crate::config::{Strictness, Topic};
use crate::domain::message::{Decision, SkipReason, Verdict};
use crate::domain::ports::Decide;
use crate::domain::record::Record;
use crate::domain::rules::{Asked, RuleMistake, Rules, fingerprint_of_all};
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

/// Reads the configuration with everything that it names.
pub fn load(
    path: &std::path::Path,
    env: &Environment<'_>,
    strictness: Strictness,
) -> Result<(Loaded, Topics), Mistakes> {
    let mut topics = Topics::default();
    let mut compile = |topic: &Topic, channels: &Channels, locations: &Locations| {
        let (compiled, mistakes) = compile(topic, channels, locations);
        topics.by_name.extend(compiled.map(|compiled| (Arc::clone(&topic.name), compiled)));
        mistakes
    };
    let loaded = Config::load(path, env, strictness, &mut compile)?;
    topics.redrive = loaded.config.dead_letters.redrive_topic.as_str().into();
    Ok((loaded, topics))
}

fn compile(
    topic: &Topic,
    channels: &Channels,
    locations: &Locations,
) -> (Option<Compiled>, Vec<Mistake>) {
    let mut mistakes = Vec::new();
    let schema = Some(&topic.schema).filter(|path| **path != PathBuf::new());
    let schema = schema.and_then(|path| match Schema::load(path) {
        Ok(schema) => Some(schema),
        Err(found) => {
            let told = |found: SchemaMistake| {
                let message =
                    format!("{}#{}: {}", found.file.display(), found.pointer, found.message);
                locations.mistake_at(&topic.name, None, "schema", message)
            };
            mistakes.extend(found.into_iter().map(told));
            None
        }
    });
    let rules = Rules::compile(&topic.rules, channels).map_err(|found| {
        let told = |found: RuleMistake| {
            let rule = found.rule.and_then(|index| topic.positions.get(index)).copied();
            locations.mistake_at(&topic.name, rule, found.key, found.message)
        };
        mistakes.extend(found.into_iter().map(told));
    });
    let compiled = schema.zip(rules.ok()).map(|(schema, rules)| Compiled { schema, rules });
    (compiled, mistakes)
}

impl Topics {
    /// The topics that events come from.
    pub fn names(&self) -> Vec<String> {
        self.by_name.keys().map(ToString::to_string).collect()
    }

    /// The topic that dead letters come back on.
    pub fn redrive(&self) -> &str {
        &self.redrive
    }

    /// For each topic, what tells one set of rules from another. To the redrive topic the rules of
    /// all the others apply.
    pub fn fingerprints(&self) -> BTreeMap<Arc<str>, u64> {
        let fingerprint = |compiled: &Compiled| compiled.rules.fingerprint();
        let mut fingerprints: BTreeMap<_, _> = self
            .by_name
            .iter()
            .map(|(name, topic)| (Arc::clone(name), fingerprint(topic)))
            .collect();
        let all = fingerprint_of_all(&fingerprints);
        fingerprints.insert(Arc::clone(&self.redrive), all);
        fingerprints
    }

    /// What becomes of a record, and what each rule answered; none were asked of a record that did
    /// not become an event.
    pub fn explain(&self, record: &Record) -> (Decision, Vec<Asked>) {
        match self.event(record) {
            Ok((rules, event)) => rules.explain(&event, record),
            Err(decision) => (decision, Vec::new()),
        }
    }

    /// The record's event with the rules that it meets, or what becomes of a record without one.
    fn event(&self, record: &Record) -> Result<(&Rules, serde_json::Value), Decision> {
        let without_event =
            |verdict| Decision { event_time: record.timestamp, verdict, redrive: None };
        let Some(topic) = self.by_name.get(&record.source.topic) else {
            return Err(without_event(Verdict::Skip(SkipReason::Unmatched)));
        };
        let Some(value) = &record.value else {
            return Err(without_event(Verdict::Skip(SkipReason::Tombstone)));
        };
        match topic.schema.decode(value) {
            Ok(event) => Ok((&topic.rules, event)),
            Err(rejection) => Err(without_event(Verdict::Reject(rejection))),
        }
    }
}

impl Decide for Topics {
    fn decide(&self, record: &Record) -> Decision {
        if record.source.topic == self.redrive {
            return self.decide_redriven(record);
        }
        match self.event(record) {
            Ok((rules, event)) => rules.decide(&event, record),
            Err(decision) => decision,
        }
    }
}
