//! `check --online`: what Kafka and the LINE API say of the configuration. Nothing is sent,
//! committed or joined.

use std::collections::BTreeMap;

use super::super::{ConfigFile, counted, eprint_note, read};
use super::{Findings, paused};
use crate::bridge;
use crate::config::{Config, DeadLetters, Mistake, Mistakes, Severity, Strictness};
use crate::domain::message::Channel;
use crate::domain::outcome::{Ambiguity, Class, NotApplied, Scope, StopReason};
use crate::kafka::inquiry::{self, About, Answers, DeadLetterTopics};
use crate::line::listing::{ListedChannel, ListingError};

mod near;

/// Reads the configuration, and asks those that it names.
pub(super) async fn look(file: &ConfigFile) -> Result<Findings, Mistakes> {
    // What is absent (the token, a variable) keeps what it belongs to from being asked, and is a
    // mistake here.
    let (config, found) = match read(file, Strictness::Run) {
        Ok((loaded, _)) => (loaded.config, loaded.warnings),
        Err(strict) => (read(file, Strictness::Check)?.0.config, strict.0),
    };
    let mut looked = Findings { found, ..Findings::default() };
    let topics = counted(config.topics.len() as u64, "topic");
    looked.told.push(format!("{}: ok, {topics}", file.config.display()));
    looked.told.extend(paused(&config));
    let no_kafka = looked.lacks(&["kafka", "dead_letters", "topics"]);
    let no_line = looked.lacks(&["line", "channels"]);
    if !no_kafka {
        eprint_note(format_args!("asking Kafka at {}", config.kafka.brokers));
    }
    if !no_line {
        eprint_note(format_args!("asking the LINE API at {}", config.line.base_url));
    }
    let (kafka, line) = tokio::join!(ask_kafka(&config, no_kafka), ask_line(&config, no_line));
    looked.add(kafka);
    looked.add(line);
    looked.found.sort_by_key(|mistake| mistake.place);
    Ok(looked)
}

impl Findings {
    /// Whether something is missing in one of these sections.
    fn lacks(&self, sections: &[&str]) -> bool {
        self.found.iter().any(|mistake| mistake.is_error_in(sections))
    }

    fn add(&mut self, other: Self) {
        self.found.extend(other.found);
        self.told.extend(other.told);
        self.unanswered += other.unanswered;
    }

    fn wrong(&mut self, config: &Config, keys: &[&str], message: String) {
        self.found.push(config.locations.mistake_at_key(keys, message));
    }

    fn not_answered(&mut self, config: &Config, keys: &[&str], message: &str) {
        self.unanswered += 1;
        self.wrong(config, keys, format!("could not be checked: {message}"));
    }

    fn warn(&mut self, config: &Config, keys: &[&str], message: String) {
        let mistake = config.locations.mistake_at_key(keys, message);
        self.found.push(Mistake { severity: Severity::Warning, ..mistake });
    }
}

async fn ask_kafka(config: &Config, lacking: bool) -> Findings {
    let mut looked = Findings::default();
    if lacking {
        return looked;
    }
    let settings = bridge::kafka_settings(config);
    let topics: Vec<String> = config.topics.keys().map(ToString::to_string).collect();
    let DeadLetters { topic: dead_letters, redrive_topic: redrive } = config.dead_letters.clone();
    let asked = move || {
        let aside = DeadLetterTopics { dead_letters: &dead_letters, redrive: &redrive };
        inquiry::ask(&settings, &topics, aside, near::topic)
    };
    match tokio::task::spawn_blocking(asked).await {
        Ok(answers) => looked.hear_kafka(config, answers),
        Err(error) => looked.not_answered(config, &["kafka", "brokers"], &error.to_string()),
    }
    looked
}

impl Findings {
    fn hear_kafka(&mut self, config: &Config, answers: Answers) {
        for finding in answers.findings {
            let keys: &[&str] = match &finding.about {
                About::Brokers => &["kafka", "brokers"],
                About::Properties => &["kafka", "properties"],
                About::Group => &["kafka", "group"],
                About::Topic(name) => &["topics", name],
                About::DeadLetters => &["dead_letters", "topic"],
                About::Redrive => &["dead_letters", "redrive_topic"],
            };
            match finding.severity {
                inquiry::Severity::Wrong => self.wrong(config, keys, finding.message),
                inquiry::Severity::Unanswered => self.not_answered(config, keys, &finding.message),
                inquiry::Severity::Warning => self.warn(config, keys, finding.message),
            }
        }
        let told = |(name, number): &(String, usize)| {
            format!("{name} ({})", counted(*number as u64, "partition"))
        };
        let told: Vec<String> = answers.partitions.iter().map(told).collect();
        self.told.push(format!("Kafka: {}", told.join(", ")));
    }
}

async fn ask_line(config: &Config, lacking: bool) -> Findings {
    let mut looked = Findings::default();
    if lacking {
        return looked;
    }
    let client = match bridge::line_client(config) {
        Ok((client, _)) => client,
        Err(failure) => {
            looked.wrong(config, &["line"], failure.to_string());
            return looked;
        }
    };
    match client.channels(None).await {
        Ok(listed) => looked.hear_listing(config, &listed),
        Err(error) => looked.hear_no_listing(config, &error),
    }
    looked
}

impl Findings {
    fn hear_listing(&mut self, config: &Config, listed: &[ListedChannel]) {
        let by_id: BTreeMap<&str, &ListedChannel> =
            listed.iter().map(|channel| (channel.id.as_str(), channel)).collect();
        for channel in config.channels.values() {
            let objection = objection(channel, by_id.get(&*channel.id).copied(), listed);
            if let Some(objection) = objection {
                self.wrong(config, &["channels", &channel.name], objection);
            }
        }
        let listed = counted(listed.len() as u64, "channel");
        let configured = config.channels.len();
        self.told
            .push(format!("LINE API: accepts the token, lists {listed}; {configured} configured"));
    }

    fn hear_no_listing(&mut self, config: &Config, error: &ListingError) {
        let status = if let ListingError::Refused { status, .. } = error {
            format!(" (HTTP {status})")
        } else {
            String::new()
        };
        match error.class() {
            Class::Stop(Scope::Account, StopReason::Unauthorized) => self.wrong(
                config,
                &["line", "token"],
                format!(
                    "the API does not accept the token{status}: it is wrong, expired or revoked"
                ),
            ),
            Class::Stop(_, StopReason::Forbidden) => self.wrong(
                config,
                &["line", "token"],
                format!("the API accepts the token, but it may not list the channels{status}; grant it that right, or use another token"),
            ),
            // It may be right the next time.
            Class::NotApplied(
                NotApplied::Unreachable | NotApplied::RetryAfter(_) | NotApplied::RateLimited,
            )
            | Class::Ambiguous(Ambiguity::NoAnswer | Ambiguity::ServerError) => {
                self.not_answered(config, &["line", "base_url"], &error.to_string());
            }
            Class::Accepted
            | Class::Unverified
            | Class::Ambiguous(_)
            | Class::Permanent
            | Class::NotFound
            | Class::Stop(..) => self.wrong(config, &["line", "base_url"], error.to_string()),
        }
    }
}

/// What keeps messages from being sent through a configured channel.
fn objection(
    channel: &Channel,
    found: Option<&ListedChannel>,
    listed: &[ListedChannel],
) -> Option<String> {
    let wrong = match found {
        Some(found) if found.usable() => return None,
        None => "the account has no channel with this id".to_owned(),
        Some(found) if found.deleted => {
            format!("the channel {} has been deleted", near::shown(found))
        }
        Some(found) => format!(
            "the channel {} is of the type {}, but messages can only be sent through the type `line`",
            near::shown(found),
            near::quoted(&found.kind)
        ),
    };
    Some(format!("{wrong}; {}", near::instead(channel, listed)))
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use serde_json::Value;

    use super::*;
    use crate::line::answers::{Failure, Unanswered};

    fn listed(id: &str, kind: &str, deleted: bool) -> ListedChannel {
        let (id, name, kind) = (id.to_owned(), format!("Name of {id}"), kind.to_owned());
        ListedChannel { id, name, kind, deleted, raw: Value::Null }
    }

    fn config() -> Config {
        let text = "kafka: {brokers: b, group: g}\nline: {token: {env: T}}\n\
                    channels:\n  a: id-a\n  b: id-b\n  c: id-c\n  d: {id: id-d}\n\
                    dead_letters: {topic: d}\ntopics:\n  o:\n    schema: Cargo.toml\n    \
                    rules: [{name: r, channel: a, to: {contact: event.c}, message: m}]\n";
        let path = std::path::Path::new("f.yaml");
        let loaded = Config::from_text(text, path, &|_| None, Strictness::Check, &mut ());
        loaded.unwrap().config
    }

    fn told(looked: &Findings) -> Vec<String> {
        looked.found.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn each_channel_that_messages_cannot_be_sent_through_is_named_with_its_place() {
        let mut looked = Findings::default();
        let all = [
            listed("id-a", "Line", false),
            listed("id-b", "line", true),
            listed("id-c", "x", false),
        ];
        looked.hear_listing(&config(), &all);
        let instead = "there is \"Name of id-a\" (id-a)";
        assert_eq!(
            told(&looked),
            [
                format!(
                    "f.yaml:5:6: channels.b: the channel \"Name of id-b\" (id-b) has been deleted; {instead}"
                ),
                format!(
                    "f.yaml:6:6: channels.c: the channel \"Name of id-c\" (id-c) is of the type \"x\", but messages can only be sent through the type `line`; {instead}"
                ),
                format!(
                    "f.yaml:7:6: channels.d: the account has no channel with this id; {instead}"
                ),
            ]
        );
        assert_eq!(looked.unanswered, 0);
    }

    const UNAUTHORIZED: Class = Class::Stop(Scope::Account, StopReason::Unauthorized);
    const FORBIDDEN: Class = Class::Stop(Scope::Channel, StopReason::Forbidden);

    #[rstest]
    #[case::unauthorized(ListingError::Refused { status: 401, class: UNAUTHORIZED }, "line.token: the API does not accept the token (HTTP 401)", 0)]
    #[case::forbidden(ListingError::Refused { status: 403, class: FORBIDDEN }, "line.token: the API accepts the token", 0)]
    #[case::elsewhere(ListingError::Refused { status: 404, class: Class::NotFound }, "line.base_url: the channel listing", 0)]
    #[case::not_json(ListingError::NotJson, "line.base_url: the channel listing", 0)]
    #[case::away(
        ListingError::Failed(Unanswered { failure: Failure::Unreachable, cause: None }),
        "line.base_url: could not be checked",
        1
    )]
    #[case::cut_short(ListingError::CutShort, "line.base_url: could not be checked", 1)]
    fn without_a_listing_it_is_told_whose_fault_that_is(
        #[case] error: ListingError,
        #[case] says: &str,
        #[case] unanswered: usize,
    ) {
        let mut looked = Findings::default();
        looked.hear_no_listing(&config(), &error);
        let told = told(&looked);
        assert!(told.len() == 1 && told[0].contains(says), "{told:?}");
        assert_eq!(looked.unanswered, unanswered);
    }
}
