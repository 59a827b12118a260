//! The configuration with all that it names: each part is read or looked at by the module that knows it.

use std::path::Path;
use std::time::Duration;

use crate::bridge;
use crate::config::{
    Channels, Config, Environment, Examine, Kafka, Loaded, Locations, Mistake, Mistakes, Severity,
    Strictness, Topic,
};
use crate::topics::Topics;

/// Reads all of it, or tells all that is wrong with it.
pub fn load(
    path: &Path,
    env: &Environment<'_>,
    strictness: Strictness,
) -> Result<(Loaded, Topics), Mistakes> {
    let mut examiner = Examiner { topics: Some(Topics::default()), strictness };
    let loaded = Config::load(path, env, strictness, &mut examiner)?;
    let topics = examiner.topics.unwrap_or_default();
    let topics = topics.redriven_on(&loaded.config.dead_letters.redrive_topic);
    Ok((loaded, topics))
}

/// The same without the rules and schemas, of which whoever asks has no need.
pub fn load_config(
    path: &Path,
    env: &Environment<'_>,
    strictness: Strictness,
) -> Result<Config, Mistakes> {
    let mut examiner = Examiner { topics: None, strictness };
    Config::load(path, env, strictness, &mut examiner).map(|loaded| loaded.config)
}

struct Examiner {
    /// None where they are not looked at.
    topics: Option<Topics>,
    strictness: Strictness,
}

impl Examine for Examiner {
    fn topic(&mut self, topic: &Topic, channels: &Channels, at: &Locations) -> Vec<Mistake> {
        let topics = self.topics.as_mut();
        topics.map_or_else(Vec::new, |topics| topics.add(topic, channels, at, self.strictness))
    }

    fn kafka(
        &mut self,
        kafka: &Kafka,
        attempt: Option<Duration>,
        are_all: bool,
        at: &Locations,
    ) -> Vec<Mistake> {
        let settings = bridge::kafka_settings_of(kafka, attempt.unwrap_or_default());
        let place =
            |(name, why): (String, String)| at.mistake_at_key(&["kafka", "properties", &name], why);
        let mut mistakes: Vec<_> = settings.refused_properties().into_iter().map(place).collect();
        if let Some(attempt) = attempt.filter(|_| mistakes.is_empty()) {
            mistakes.extend(settings.wrong_times(attempt).map(place));
        }
        if are_all && mistakes.is_empty() {
            mistakes.extend(settings.refused_client().map(|(name, why)| match name {
                Some(name) => place((name, why)),
                None => at.mistake_at_key(&["kafka", "properties"], why),
            }));
        }
        // Where a configuration is only checked, what is mounted into the bridge's pod is not there.
        let severity = match self.strictness {
            Strictness::Run => Severity::Error,
            Strictness::Check | Strictness::Part => Severity::Warning,
        };
        let missing = settings.missing_files().into_iter().map(place);
        mistakes.extend(missing.map(|mistake| Mistake { severity, ..mistake }));
        mistakes
    }
}

#[cfg(test)]
mod shipped;
#[cfg(test)]
mod tests;
