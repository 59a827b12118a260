//! What is looked at before the bridge joins its group.

pub(super) mod protocol;
pub(super) mod redrive;

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use rdkafka::admin::{AdminClient, AdminOptions, ConfigResource, ResourceSpecifier};
use rdkafka::client::DefaultClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::{BaseConsumer, Consumer as _, ConsumerContext};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::{ClientConfig, ClientContext};

use super::settings::{BATCH_BYTES, BROKERS_SESSION, Settings, USUAL_SIZE};
use super::topic::{self, Topic};

/// How long the brokers may take to answer for the first time.
pub const REACHABLE_WITHIN: Duration = Duration::from_secs(30);

/// Between two looks at what the client library says.
const SLICE: Duration = Duration::from_secs(1);

/// How many looks it takes to believe that the bridge is not let in: another broker may do so.
const NOT_LET_IN_AFTER: u64 = 5;

/// After how many looks somebody who watches is told what is waited for.
const TOLD_AFTER: u64 = 3;

const ANSWER: Duration = Duration::from_secs(10);

/// Dead letters that are kept for less than this may be gone before anybody has looked at them.
const SHORT_RETENTION: Duration = Duration::from_hours(72);

#[derive(Debug, thiserror::Error)]
pub enum Refused {
    #[error(
        "no broker of `kafka.brokers: {brokers}` could be reached within {} s ({cause}); check the addresses, the network, and `kafka.properties` (security.protocol, sasl.*, ssl.*)",
        REACHABLE_WITHIN.as_secs()
    )]
    Unreachable { brokers: String, cause: String },
    #[error(
        "no broker of `kafka.brokers: {brokers}` accepts the bridge ({cause}); check `kafka.properties` (security.protocol, sasl.*, ssl.*)"
    )]
    NotLetIn { brokers: String, cause: String },
    #[error("the Kafka client refuses its configuration: {0}; check `kafka.properties`")]
    Configuration(KafkaError),
    #[error("the topic `{topic}` does not exist; create it, or remove it from `topics`")]
    NoTopic { topic: String },
    #[error(
        "the dead-letter topic `{topic}` does not exist; create it, or name another one in `dead_letters.topic`"
    )]
    NoDeadLetterTopic { topic: String },
    #[error(
        "the redrive topic `{topic}` does not exist, so dead letters can't be redriven; create it, with one partition and the dead-letter topic's retention, and the bridge finds it within a minute"
    )]
    NoRedriveTopic { topic: String },
    #[error(
        "the dead-letter topic `{topic}` is compacted (cleanup.policy={policy}): a dead letter would erase the one before it with the same key; set cleanup.policy=delete"
    )]
    Compacted { topic: String, policy: String },
    #[error(
        "Kafka does not let the bridge see the topic `{topic}`: {cause}; grant it Describe and Read (Describe and Write for the dead-letter topic)"
    )]
    Forbidden { topic: String, cause: String },
    #[error(
        "Kafka does not tell the partitions of the topic `{topic}`: {cause}; check the brokers, and try again"
    )]
    Unready { topic: String, cause: String },
    #[error(
        "the brokers' session for the group `{group}` is {} ms, and the bridge needs at least {}: set the group's `consumer.session.timeout.ms` (or the brokers' `group.consumer.session.timeout.ms`), or remove `group.protocol` from `kafka.properties`",
        session.as_millis(), BROKERS_SESSION.as_millis()
    )]
    ShortSession { group: String, session: Duration },
    #[error(
        "the group `{group}` has {members} of the classic protocol, and Kafka admits no member of the consumer protocol beside them: stop all instances, then start them with `group.protocol: consumer`",
        members = if *members == 1 { "1 member".to_owned() } else { format!("{members} members") }
    )]
    ClassicMembers { group: String, members: usize },
    #[error("{}", lines(.0))]
    Several(Vec<Self>),
}

fn lines(all: &[Refused]) -> String {
    all.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
}

/// Remembers why there is no connection, which the answer to a request does not tell.
#[derive(Debug, Default)]
pub(super) struct ConnectionErrors(Mutex<Option<ConnectionError>>);

#[derive(Clone, Debug)]
struct ConnectionError {
    text: String,
    not_let_in: bool,
}

impl ConnectionErrors {
    fn get(&self) -> Option<ConnectionError> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl ClientContext for ConnectionErrors {
    /// Better than nothing: a broker that hangs up on the wrong protocol is no error, but logged.
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        tracing::debug!(target: "librdkafka", ?level, facility, "{message}");
        if facility == "FAIL" {
            // The error that goes with it may come late, or never: librdkafka keeps repeats back.
            let not_let_in = message.contains("certificate verify failed")
                || message.contains("SASL authentication error");
            let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            if kept.as_ref().is_none_or(|kept| not_let_in && !kept.not_let_in) {
                *kept = Some(ConnectionError { text: message.to_owned(), not_let_in });
            }
        }
    }

    fn error(&self, error: KafkaError, reason: &str) {
        let code = error.rdkafka_error_code();
        let not_let_in =
            matches!(code, Some(RDKafkaErrorCode::Authentication | RDKafkaErrorCode::SSL));
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let better = kept.as_ref().is_none_or(|kept| not_let_in || !kept.not_let_in);
        if better && code != Some(RDKafkaErrorCode::AllBrokersDown) {
            *kept = Some(ConnectionError { text: reason.to_owned(), not_let_in });
        }
    }
}

impl ConsumerContext for ConnectionErrors {}

pub(super) type Groupless = BaseConsumer<ConnectionErrors>;

pub(super) type Admin = AdminClient<DefaultClientContext>;

pub(super) fn groupless(config: &ClientConfig) -> Result<Groupless, Refused> {
    config.create_with_context(ConnectionErrors::default()).map_err(Refused::Configuration)
}

pub(super) fn admin(settings: &Settings) -> Result<Admin, Refused> {
    settings.client().create().map_err(Refused::Configuration)
}

/// What the brokers tell before the start.
#[derive(Debug, Default)]
pub struct Looked {
    pub warnings: Vec<String>,
    /// The most bytes of records that the dead-letter topic takes at once, where a broker tells.
    pub dead_letter_bytes: Option<usize>,
}

/// Asks the brokers for the topics, and how dead letters are kept. Blocks for at most about a
/// minute.
pub fn check(
    settings: &Settings,
    topics: &[String],
    dead_letters: &str,
    redrive: &str,
) -> Result<Looked, Refused> {
    check_topics(settings, topics, dead_letters)?;
    let admin = admin(settings)?;
    let mut warnings: Vec<_> = protocol::check(settings, &admin)?.into_iter().collect();
    let letters = dead_letter_topic(&admin, dead_letters)?;
    warnings.extend(letters.warnings);
    warnings.extend(redrive::check(settings, &admin, dead_letters, redrive)?);
    Ok(Looked { warnings, dead_letter_bytes: letters.dead_letter_bytes })
}

/// Asks the brokers for the topics alone.
pub fn check_topics(
    settings: &Settings,
    topics: &[String],
    dead_letters: &str,
) -> Result<(), Refused> {
    let client = groupless(&settings.client())?;
    wait_until_reachable(&client, &settings.brokers, dead_letters)?;
    let none =
        topics.iter().map(|topic| (topic.as_str(), Refused::NoTopic { topic: topic.clone() }));
    let no_letters = Refused::NoDeadLetterTopic { topic: dead_letters.to_owned() };
    let mut refused = Vec::new();
    for (topic, missing) in none.chain([(dead_letters, no_letters)]) {
        match partitions_of(&client, settings, topic, missing) {
            Err(error @ Refused::Unreachable { .. }) => return Err(error),
            looked => refused.extend(looked.err()),
        }
    }
    match refused.len() {
        0 => Ok(()),
        1 => Err(refused.remove(0)),
        _ => Err(Refused::Several(refused)),
    }
}

/// Any topic will do, be it one that is not there: to ask for all would take long where there are many.
pub(super) fn wait_until_reachable(
    client: &Groupless,
    brokers: &str,
    topic: &str,
) -> Result<(), Refused> {
    let mut looked = 0;
    loop {
        let Err(error) = client.fetch_metadata(Some(topic), SLICE) else { return Ok(()) };
        looked += 1;
        // What there is to be told comes by polling; there is nothing else to be had.
        while client.poll(Duration::ZERO).is_some() {}
        let reason = client.context().get();
        let not_let_in = reason.as_ref().is_some_and(|reason| reason.not_let_in);
        let cause = reason.map_or_else(|| error.to_string(), |reason| reason.text);
        let brokers = brokers.to_owned();
        if not_let_in && looked >= NOT_LET_IN_AFTER {
            return Err(Refused::NotLetIn { brokers, cause });
        }
        if looked >= REACHABLE_WITHIN.as_secs() / SLICE.as_secs() {
            return Err(Refused::Unreachable { brokers, cause });
        }
        if looked == TOLD_AFTER {
            let limit_s = REACHABLE_WITHIN.as_secs();
            tracing::warn!(
                brokers,
                cause,
                limit_s,
                "no broker can be reached so far; still trying"
            );
        }
    }
}

/// The partitions of a topic. Fails with `missing` where there is no such topic.
pub(super) fn partitions_of<E: From<Refused>>(
    client: &Groupless,
    settings: &Settings,
    topic: &str,
    missing: E,
) -> Result<Vec<i32>, E> {
    let unreachable = |error: KafkaError| Refused::Unreachable {
        brokers: settings.brokers.clone(),
        cause: error.to_string(),
    };
    match topic::look_up(client, topic, ANSWER).map_err(unreachable)? {
        Topic::Missing => Err(missing),
        Topic::There(partitions) => Ok(partitions),
        Topic::Refused(code) => {
            let (topic, cause) = (topic.to_owned(), code.to_string());
            Err(if code == RDKafkaErrorCode::TopicAuthorizationFailed {
                Refused::Forbidden { topic, cause }.into()
            } else {
                Refused::Unready { topic, cause }.into()
            })
        }
    }
}

/// How a topic is set up; none where the broker does not tell.
fn described(admin: &Admin, topic: &str) -> Option<ConfigResource> {
    ask(admin, ResourceSpecifier::Topic(topic)).ok().flatten()
}

/// How a topic or a group is set up; none where the broker refuses to tell.
fn ask(
    admin: &Admin,
    resource: ResourceSpecifier<'_>,
) -> Result<Option<ConfigResource>, KafkaError> {
    let options = AdminOptions::new().request_timeout(Some(ANSWER));
    let resources = [resource];
    let asked = admin.describe_configs(&resources, &options);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build();
    let Ok(runtime) = runtime else { return Ok(None) };
    let told = runtime.block_on(asked)?.into_iter().next().and_then(Result::ok);
    // A broker that refuses to tell gives no entries; the error itself does not come this far.
    Ok(told.filter(|resource| !resource.entries.is_empty()))
}

/// The topic's `cleanup.policy`, where it is compacted.
fn compaction(topic: &ConfigResource) -> Option<String> {
    let policy = topic.get("cleanup.policy")?.value.clone()?;
    policy.contains("compact").then_some(policy)
}

/// How long the topic keeps its records; none where that is for ever.
fn retention(topic: &ConfigResource) -> Option<Duration> {
    let millis = topic.get("retention.ms")?.value.as_ref()?.parse().ok()?;
    Some(Duration::from_millis(millis))
}

/// The most bytes of records that the topic takes at once.
fn largest_batch(topic: &ConfigResource) -> Option<usize> {
    topic.get("max.message.bytes")?.value.as_ref()?.parse().ok()
}

/// Looks at how the dead-letter topic keeps its records. A broker that does not tell is no fault:
/// the right to describe configurations is not one that the bridge needs.
pub(super) fn dead_letter_topic(admin: &Admin, topic: &str) -> Result<Looked, Refused> {
    let Some(resource) = described(admin, topic) else {
        let warning = format!(
            "the configuration of the dead-letter topic `{topic}` can't be read; grant DescribeConfigs, or make sure yourself that it is not compacted (of dead letters larger than {USUAL_SIZE} bytes, only where the event is will be written)"
        );
        return Ok(Looked { warnings: vec![warning], dead_letter_bytes: None });
    };
    if let Some(policy) = compaction(&resource) {
        return Err(Refused::Compacted { topic: topic.to_owned(), policy });
    }
    let kept = retention(&resource).filter(|kept| *kept < SHORT_RETENTION).map(|kept| {
        format!(
            "the dead-letter topic `{topic}` keeps its records for only {} h (retention.ms); raise it to 72 h or more, to have time to look at dead letters",
            kept.as_secs() / 3600
        )
    });
    let dead_letter_bytes = largest_batch(&resource);
    let room = dead_letter_bytes.filter(|most| *most < BATCH_BYTES).map(|most| {
        format!(
            "the dead-letter topic `{topic}` takes at most {most} bytes at once (max.message.bytes): dead letters are written without their events where several come together; raise it to {BATCH_BYTES} or more, and not below what the source topics take"
        )
    });
    Ok(Looked { warnings: kept.into_iter().chain(room).collect(), dead_letter_bytes })
}
