//! Composition: builds the adapters, starts the driver, drains it.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio_util::task::AbortOnDropHandle;

use crate::admin;
use crate::clock::SystemClock;
use crate::config::{self, Config};
use crate::domain::clock::Timestamp;
use crate::domain::machine::{Attempt, Machine, Settings};
use crate::domain::outcome::{Listing, Outcome};
use crate::domain::ports::{self, Clock, Observe};
use crate::domain::record::{RecordOffset, TopicPartition};
use crate::driver::{Broken, Drained, Driver, Order, Ports};
use crate::kafka;
use crate::kafka::consumer::Consumer;
use crate::kafka::dead_letters::DeadLetters;
use crate::kafka::preflight::{self, Looked};
use crate::line::client::{self, Client, ClientError};
use crate::line::token::{self, NoToken, Token};
use crate::metrics::{Labels, Metrics};
use crate::reload::{self, Follower, Running, Views};
use crate::topics::Topics;

/// The bytes of records held; librdkafka's own queue comes on top.
const HELD_BYTES: usize = 64 << 20;

/// The least that a group's coordinator is told to wait for a sign of life.
const LEAST_SESSION: Duration = Duration::from_secs(45);

/// Between two words on joining the group, which takes some seconds.
const JOINING: Duration = Duration::from_secs(10);

/// How long the consumer may take to leave its group.
const LEAVE: Duration = Duration::from_secs(5);

/// Why the bridge did not start, or ended before it was told to.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    #[error(transparent)]
    Busy(#[from] admin::Busy),
    #[error(transparent)]
    Refused(#[from] preflight::Refused),
    #[error(transparent)]
    Token(#[from] NoToken),
    #[error(transparent)]
    Client(#[from] ClientError),
    #[error("the Kafka client could not be created: {0}")]
    Kafka(#[from] rdkafka::error::KafkaError),
    #[error("the metrics could not be registered: {0}")]
    Metrics(#[from] prometheus::Error),
    #[error(transparent)]
    Broken(#[from] Broken),
    #[error(
        "the last commit was not confirmed for {}, or had no room for everything that was sent, or a dead letter was not written: some messages may be sent again; check that the brokers can be reached, that the dead-letter topic can be written, and that no other instance has just died",
        if *partitions == 1 { "1 partition".to_owned() } else { format!("{partitions} partitions") }
    )]
    Uncommitted { partitions: usize },
    #[error(
        "an internal task has failed: {0}; this is a bug: start the bridge again, and report it with the log"
    )]
    Crashed(#[from] tokio::task::JoinError),
}

/// The LINE client as the driver's port to it.
#[derive(Debug)]
struct Api(Client);

impl ports::Api for Api {
    async fn send(&self, attempt: &Attempt) -> Outcome {
        self.0.send(&attempt.message, IdOf(attempt)).await
    }

    async fn list(&self) -> Listing {
        self.0.list().await
    }
}

/// Shows the id of an attempt's delivery, which takes a hash to know.
struct IdOf<'a>(&'a Attempt);

impl fmt::Display for IdOf<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Attempt { source, offset, timestamp, message, .. } = self.0;
        f.write_str(&id_of_delivery(source, *offset, *timestamp, &message.rule))
    }
}

/// A UUID that is the same whoever sends the message, and whenever: a redrive has it too. A rule
/// makes at most one message of a record. The timestamp tells apart what has the same offset in a topic
/// of the same name, made anew or on other brokers: an API that honours the id would take the second
/// message for the first one, and nobody would get it.
pub(crate) fn id_of_delivery(
    source: &TopicPartition,
    offset: RecordOffset,
    timestamp: Timestamp,
    rule: &str,
) -> String {
    let name = format!("{source}@{}/{}/{rule}", offset.0, timestamp.0);
    uuid::Uuid::new_v5(&uuid::Uuid::NAMESPACE_OID, name.as_bytes()).to_string()
}

/// How the Kafka clients are to be set up.
pub fn kafka_settings(config: &Config) -> kafka::Settings {
    kafka_settings_of(&config.kafka, config.line.timeout)
}

/// The same of the section alone, where an attempt takes so long at most.
pub fn kafka_settings_of(section: &config::Kafka, attempt: Duration) -> kafka::Settings {
    kafka::Settings {
        brokers: section.brokers.clone(),
        group: section.group.clone(),
        start: section.start,
        properties: section.properties.clone(),
        session_timeout: LEAST_SESSION.max(attempt * 3),
    }
}

/// A client of the LINE API, and the token that it sends. No connection is made yet.
pub fn line_client(config: &Config) -> Result<(Client, Arc<Token>), Failure> {
    let token = Arc::new(Token::load(token_source(config))?);
    let client = Client::new(&client_settings(config), Arc::clone(&token))?;
    Ok((client, token))
}

/// Runs until `shutdown` is done and everything in flight has settled. Changes of what `source`
/// names are put in force meanwhile.
pub async fn run(
    config: Config,
    topics: Topics,
    source: reload::Source,
    shutdown: impl Future<Output = ()>,
) -> Result<(), Failure> {
    let listener = admin::listen(config.admin.listen).await?;
    run_on(listener, Brokers::Real, config, topics, Some(source), shutdown).await
}

/// What the bridge reads from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Brokers {
    Real,
    /// It has no controller, the only one that could tell how a topic keeps its records: the
    /// question would wait in vain.
    Embedded,
}

/// The same, with the admin endpoints on a listener that is there already: where the
/// configuration leaves the port open, the caller knows which it is.
pub async fn run_on(
    listener: TcpListener,
    brokers: Brokers,
    config: Config,
    topics: Topics,
    source: Option<reload::Source>,
    shutdown: impl Future<Output = ()>,
) -> Result<(), Failure> {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::start());
    let metrics = Arc::new(Metrics::new(&labels(&config, &topics))?);
    if let Ok(address) = listener.local_addr() {
        tracing::info!(%address, "listening");
    }
    let serving = admin::serve(listener, Arc::clone(&metrics), Arc::clone(&clock));
    let _serving = AbortOnDropHandle::new(tokio::spawn(serving));

    let (api, token) = line_client(&config)?;
    let kafka = kafka_settings(&config);
    tokio::pin!(shutdown);
    let looked = look_at_kafka(brokers, &config, &kafka, &topics);
    let looked = tokio::select! {
        looked = looked => looked?,
        () = &mut shutdown => return Ok(()),
    };

    let letters = config.dead_letters.topic.clone();
    let dead_letters = DeadLetters::new(kafka.clone(), letters, looked.dead_letter_bytes)?;
    let machine = Machine::new(machine_settings(&config, &topics), fastrand::u64(..));
    let (pulse, pulse_clock) = (Arc::clone(&metrics), Arc::clone(&clock));
    let turned = Box::new(move |excused| pulse.health.polled(pulse_clock.now(), excused));
    let redrive = topics.redrive().to_owned();
    let (log, events) =
        Consumer::join(&kafka, topics.names(), redrive, Arc::clone(&clock), turned)?;
    let (orders, to_obey) = mpsc::channel(4);
    let running = Running { schemas: topics.schemas(), config };
    let timeout = running.config.line.timeout;
    let ports = Ports {
        log,
        events,
        api: Arc::new(Api(api)),
        dead_letters: Arc::new(dead_letters),
        decide: Arc::new(topics),
        clock: Arc::clone(&clock),
        observe: Arc::clone(&metrics) as Arc<dyn Observe>,
        orders: to_obey,
    };
    let driver = Driver::new(machine, ports, timeout, kafka.silence(timeout));
    let mut driver = tokio::spawn(driver.run());
    tracing::info!(
        group = kafka.group,
        topics = running.config.topics.len(),
        "line-bridge is running"
    );
    let joining = tell_while_joining(Arc::clone(&metrics), kafka.session_timeout());
    let _joining = AbortOnDropHandle::new(tokio::spawn(joining));
    let _following = source.map(|source| {
        let views = Views { settings: machine_settings, labels };
        let told = Arc::clone(&metrics);
        let follower = Follower::new(source, views, token, orders.clone(), told, running);
        AbortOnDropHandle::new(tokio::spawn(follower.run()))
    });

    tokio::select! {
        ended = &mut driver => return Ok(ended?.map(drop)?),
        () = &mut shutdown => {}
    }
    tracing::info!("draining: nothing new starts, what is in flight settles");
    metrics.health.draining();
    if orders.send(Order::Drain).await.is_err() {
        tracing::debug!("the driver has ended already");
    }
    let Drained { log, uncommitted } = driver.await??;
    if log.close(LEAVE).await {
        tracing::info!("drained");
    } else {
        tracing::warn!(
            "drained, but leaving the group took too long; the group notices when the session expires"
        );
    }
    match uncommitted {
        0 => Ok(()),
        partitions => Err(Failure::Uncommitted { partitions }),
    }
}

/// Says why nothing is sent yet, where joining takes longer than it usually does: at first every ten
/// seconds, and after a minute every minute.
async fn tell_while_joining(metrics: Arc<Metrics>, session_timeout: Duration) {
    let mut looks = tokio::time::interval(JOINING);
    looks.tick().await;
    let mut without = 0_u32;
    loop {
        looks.tick().await;
        without = if metrics.health.has_joined() { 0 } else { without.saturating_add(1) };
        if (1..=6).contains(&without) || (without > 6 && without.is_multiple_of(6)) {
            tracing::info!(
                session_timeout_s = session_timeout.as_secs(),
                "still joining the group: its coordinator can't be reached, or waits until the session of a member that did not leave cleanly (after kill -9, for example) has expired"
            );
        }
    }
}

async fn look_at_kafka(
    brokers: Brokers,
    config: &Config,
    kafka: &kafka::Settings,
    topics: &Topics,
) -> Result<Looked, Failure> {
    let (settings, names) = (kafka.clone(), topics.names());
    let config::DeadLetters { topic: dead_letters, redrive_topic: redrive } =
        config.dead_letters.clone();
    let look = move || match brokers {
        Brokers::Real => preflight::check(&settings, &names, &dead_letters, &redrive),
        Brokers::Embedded => {
            preflight::check_topics(&settings, &names, &dead_letters).map(|()| Looked::default())
        }
    };
    tracing::info!(brokers = kafka.brokers, "asking Kafka for the topics");
    let looked = tokio::task::spawn_blocking(look).await??;
    for warning in &looked.warnings {
        tracing::warn!("{warning}");
    }
    Ok(looked)
}

fn labels(config: &Config, topics: &Topics) -> Labels {
    let redrive = std::iter::once(topics.redrive().to_owned());
    let rules = config.topics.iter().flat_map(|(name, topic)| {
        topic.rules.rules.iter().map(|rule| (name.to_string(), rule.name.to_string()))
    });
    Labels {
        topics: topics.names().into_iter().chain(redrive).collect(),
        rules: rules.collect(),
        channels: config.channels.keys().map(ToString::to_string).collect(),
        config: config.hash().to_owned(),
    }
}

fn token_source(config: &Config) -> token::Source {
    let config::Token { source, value } = config.line.token.clone();
    match source {
        config::TokenSource::File(path) => Box::new(move || {
            let read = config::read_token_file(&path);
            read.map_err(|why| NoToken(format!("`line.token.file`: {why}")))
        }),
        config::TokenSource::Env(_) | config::TokenSource::Unknown => {
            let none = "`line.token`: its environment variable is not set";
            Box::new(move || value.clone().ok_or_else(|| NoToken(none.to_owned())))
        }
    }
}

fn client_settings(config: &Config) -> client::Settings {
    client::Settings {
        base_url: config.line.base_url.clone(),
        encoding: match config.line.encoding {
            config::Encoding::Json => client::Encoding::Json,
            config::Encoding::Form => client::Encoding::Form,
        },
        timeout: config.line.timeout,
        delivery_id_header: config.line.delivery_id_header.clone(),
        user_agent: concat!("line-bridge/", env!("CARGO_PKG_VERSION")).to_owned(),
    }
}

pub(crate) fn machine_settings(config: &Config, topics: &Topics) -> Settings {
    let delivery = &config.delivery;
    Settings {
        max_in_flight: delivery.max_in_flight as usize,
        held_records: delivery.held_records as usize,
        held_bytes: HELD_BYTES,
        attempt_timeout: config.line.timeout,
        session_timeout: kafka_settings(config).session_timeout(),
        drain_timeout: delivery.drain_timeout,
        retry_max_elapsed: delivery.retry.max_elapsed,
        requests_per_second: config.line.requests_per_second,
        brake: delivery.brake,
        channels: config.channels.values().cloned().collect(),
        fingerprints: topics.fingerprints(),
        schemas: topics.schemas(),
        paused: config.paused.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_id_of_a_delivery_stays_and_is_no_other_records() {
        let source = TopicPartition { topic: "orders".into(), partition: 3 };
        let id = |offset, timestamp, rule| {
            id_of_delivery(&source, RecordOffset(offset), Timestamp(timestamp), rule)
        };
        // Were it another one with another version, what that one sends again would be repeated.
        let known = id(7, 1_764_230_400_000, "shipped");
        assert_eq!(known, "e8d98169-62c8-57e9-8d68-31838c496b49");
        let others = [id(8, 1, "shipped"), id(7, 2, "shipped"), id(7, 1, "delayed")];
        assert!(!others.contains(&id(7, 1, "shipped")));
    }
}
