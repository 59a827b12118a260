//! The redrive topic, without which the bridge runs well enough: what is wrong with it is a warning.

use std::time::Duration;

use super::super::settings::{Protocol, Settings};
use super::{Admin, Refused, compaction, described, groupless, partitions_of, retention};

/// What is wrong with the redrive topic. One that the bridge may not see is refused under the consumer
/// protocol: there the coordinator lets no member in that names such a topic.
pub(in crate::kafka) fn check(
    settings: &Settings,
    admin: &Admin,
    dead_letters: &str,
    topic: &str,
) -> Result<Vec<String>, Refused> {
    let client = groupless(&settings.client())?;
    let missing = Refused::NoRedriveTopic { topic: topic.to_owned() };
    if let Err(refused) = partitions_of(&client, settings, topic, missing) {
        let is_barred = matches!(refused, Refused::Forbidden { .. })
            && settings.protocol() == Protocol::Consumer;
        return if is_barred { Err(refused) } else { Ok(vec![refused.to_string()]) };
    }
    let mut warnings = Vec::new();
    let Some(described_topic) = described(admin, topic) else {
        return Ok(warnings);
    };
    if let Some(policy) = compaction(&described_topic) {
        warnings.push(format!(
            "the redrive topic `{topic}` is compacted (cleanup.policy={policy}): a redriven record would erase the one before it with the same key; set cleanup.policy=delete"
        ));
    }
    let kept = |retention: Option<Duration>| retention.unwrap_or(Duration::MAX);
    let letters = described(admin, dead_letters).map(|topic| kept(retention(&topic)));
    if letters.is_some_and(|letters| kept(retention(&described_topic)) < letters) {
        warnings.push(format!(
            "the redrive topic `{topic}` has a shorter retention (retention.ms) than the dead-letter topic `{dead_letters}`, so a later redrive may send again what has been redriven; raise it to that of the dead-letter topic"
        ));
    }
    Ok(warnings)
}
