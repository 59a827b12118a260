//! The one file that an operator writes → a typed configuration, or every mistake in it at once,
//! each with file, line and key.
//!
//! The environment and the strictness are arguments. Relative paths start at the file's folder.
//! No mistake, and no `Debug`, shows a token or the value of a Kafka property.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use uuid::Uuid;

use crate::domain::paused::Paused;

mod delivery;
mod duration;
mod environment;
mod examples;
mod fields;
mod file;
mod kafka;
mod line;
mod locations;
mod mistake;
mod reader;
mod restart;
mod rules;
mod token;
mod topics;
mod tree;

pub use delivery::{Admin, DeadLetters, Delivery, Retry};
pub use duration::parse as parse_duration;
pub use examples::{Example, ExampleEvent, ExpectedPart};
pub use kafka::Kafka;
pub use line::{Encoding, Line};
pub use locations::Locations;
pub use mistake::{Mistake, Mistakes, Place, Severity};
pub use restart::needs_restart;
pub use token::{NoToken, Token, TokenSource, read_token_file};
pub use topics::{Channels, Topic};

use fields::Item;
use reader::Reader;

/// The JSON Schema (draft 2020-12) of the file, for editors. It is kept by hand; the tests hold it
/// against the reader, key by key.
pub const JSON_SCHEMA: &str = include_str!("../schemas/line-bridge.config.json");

/// Gives the value of an environment variable.
pub type Environment<'a> = dyn Fn(&str) -> Option<String> + 'a;

/// What only other modules can tell of what was read: it is asked while the file is read, so that their
/// mistakes come with all the others.
pub trait Examine {
    /// Looks at the schema, the expressions and the templates of a topic; called for every topic that
    /// could be read.
    fn topic(&mut self, topic: &Topic, channels: &Channels, at: &Locations) -> Vec<Mistake>;

    /// Looks at the properties for librdkafka: one by one, beside the time of an `attempt`, and together
    /// where they `are_all` there.
    fn kafka(
        &mut self,
        kafka: &Kafka,
        attempt: Option<Duration>,
        are_all: bool,
        at: &Locations,
    ) -> Vec<Mistake>;
}

/// Asks nobody.
impl Examine for () {
    fn topic(&mut self, _: &Topic, _: &Channels, _: &Locations) -> Vec<Mistake> {
        Vec::new()
    }

    fn kafka(&mut self, _: &Kafka, _: Option<Duration>, _: bool, _: &Locations) -> Vec<Mistake> {
        Vec::new()
    }
}

/// What to think of a token or an environment variable that is not there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Strictness {
    /// It is an error: the service can't run without it.
    Run,
    /// It is a warning: a file is often checked where its secrets are not. A value without its
    /// variable stays as it is written, or is the default where it can't be a text.
    Check,
    /// It is a warning, and so is a token that can't be one: what is asked for does without.
    Part,
}

/// Everything that the file says, defaults filled in.
#[derive(Clone, Debug)]
pub struct Config {
    pub kafka: Kafka,
    pub line: Line,
    pub delivery: Delivery,
    pub channels: Channels,
    pub dead_letters: DeadLetters,
    pub topics: BTreeMap<Arc<str>, Topic>,
    pub admin: Admin,
    /// What is not to be sent for now.
    pub paused: Paused,
    /// Where the keys stand, to report what is found later.
    pub locations: Locations,
    hash: String,
}

/// A configuration without errors, and what is odd about it.
#[derive(Clone, Debug)]
pub struct Loaded {
    pub config: Config,
    pub warnings: Vec<Mistake>,
}

const KEYS: [&str; 7] =
    ["kafka", "line", "delivery", "channels", "dead_letters", "topics", "admin"];

/// The times of the group and of an attempt, which have to go together.
const TIMES: [&str; 5] = [
    "line.timeout",
    "kafka.properties.\"session.timeout.ms\"",
    "kafka.properties.\"heartbeat.interval.ms\"",
    "kafka.properties.\"max.poll.interval.ms\"",
    "kafka.properties.\"group.protocol\"",
];

impl Config {
    /// Reads the file, the token that it names, and through `examine` all else that it names.
    pub fn load(
        path: &Path,
        env: &Environment<'_>,
        strictness: Strictness,
        examine: &mut dyn Examine,
    ) -> Result<Loaded, Mistakes> {
        let source = file::read(path)?;
        Self::from_text(&source, path, env, strictness, examine)
    }

    /// Reads a text as if it were the content of the file `path`.
    pub fn from_text(
        source: &str,
        path: &Path,
        env: &Environment<'_>,
        strictness: Strictness,
        examine: &mut dyn Examine,
    ) -> Result<Loaded, Mistakes> {
        let file = path.display().to_string();
        let root = file::parse(&file, source)?;
        let folder = path.parent().unwrap_or(Path::new(""));
        let mut reader = Reader::new(&file, source, folder, env, strictness);
        let locations = Locations::new(&file, source, &root);
        let config =
            Self::from_sections(&mut reader, &Item::root(&root), locations, hash(source), examine);
        let mistakes = reader.into_mistakes();
        let is_error = |mistake: &Mistake| mistake.severity == Severity::Error;
        match config.filter(|_| !mistakes.iter().any(is_error)) {
            Some(config) => Ok(Loaded { config, warnings: mistakes }),
            None => Err(Mistakes(mistakes)),
        }
    }

    fn from_sections(
        reader: &mut Reader<'_>,
        root: &Item<'_>,
        locations: Locations,
        hash: String,
        examine: &mut dyn Examine,
    ) -> Option<Self> {
        let root = reader.fields(root, &KEYS);
        let kafka = kafka::read(reader, &root);
        let line = line::read(reader, &root);
        let attempt = line.as_ref().map(|line| line.timeout);
        let attempt = attempt.filter(|_| !reader.has_found_at(&TIMES));
        let are_all = !reader.has_found_at(&["kafka.properties"]);
        reader.add(examine.kafka(&kafka, attempt, are_all, &locations));
        let delivery = delivery::read(reader, &root, line.as_ref());
        let mut paused = Paused::default();
        let channels = topics::read_channels(reader, &root, &mut paused);
        let topics = topics::read_topics(reader, &root, &channels, &mut paused);
        for topic in topics.values() {
            reader.add(examine.topic(topic, &channels, &locations));
        }
        let names = topics.keys().map(AsRef::as_ref);
        let dead_letters = delivery::read_dead_letters(reader, &root, &names);
        let admin = delivery::read_admin(reader, &root);
        let line = line?;
        Some(Self {
            kafka,
            line,
            delivery,
            channels,
            dead_letters,
            topics,
            admin,
            paused,
            locations,
            hash,
        })
    }

    /// 12 hexadecimal digits that are the same for the same content of the file, whatever the
    /// environment.
    pub fn hash(&self) -> &str {
        &self.hash
    }
}

fn hash(source: &str) -> String {
    let digest = Uuid::new_v5(&Uuid::NAMESPACE_OID, source.as_bytes());
    digest.simple().to_string().chars().take(12).collect()
}

#[cfg(test)]
mod tests;
