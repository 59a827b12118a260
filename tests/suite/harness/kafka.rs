//! The Kafka cluster of the tests: shared by all that only read and write, private for those that
//! take it down.

use std::fmt::Write as _;
use std::path::Path;
use std::sync::OnceLock;
use std::time::Duration;

use rdkafka::ClientConfig;
use rdkafka::admin::{
    AdminClient, AdminOptions, AlterConfig, NewTopic, ResourceSpecifier, TopicReplication,
};
use rdkafka::client::DefaultClientContext;
use rdkafka::consumer::{BaseConsumer, Consumer};

use super::broker::Broker;
pub(crate) use super::broker::{SASL_PASSWORD, SASL_USER};
use super::wait::{block_on, wait_until};

/// How long any one request to the broker may take.
pub(crate) const REQUEST_LIMIT: Duration = Duration::from_secs(30);

/// A Kafka cluster and what tests ask of it.
pub(crate) struct KafkaCluster {
    plaintext: String,
    /// Absent for brokers that were there before the tests.
    broker: Option<Broker>,
}

impl KafkaCluster {
    /// The cluster that most tests share, started by the first of them: one broker of their own, or
    /// the brokers that `LINE_BRIDGE_TEST_BROKERS` names.
    pub(crate) fn shared() -> &'static Self {
        static OUTSIDE: OnceLock<KafkaCluster> = OnceLock::new();
        match std::env::var("LINE_BRIDGE_TEST_BROKERS") {
            Ok(brokers) if !brokers.is_empty() => {
                OUTSIDE.get_or_init(|| Self { plaintext: brokers, broker: None })
            }
            Ok(_) | Err(_) => Self::secured(),
        }
    }

    /// Like [`shared`](Self::shared), but never an outside one, for tests of TLS and SASL.
    pub(crate) fn secured() -> &'static Self {
        static SHARED: OnceLock<KafkaCluster> = OnceLock::new();
        SHARED.get_or_init(|| {
            let cluster = Self::private();
            print_log_on_panic(cluster.own().log());
            cluster
        })
    }

    /// A cluster for one test, which may stop, start and kill it; it ends when dropped.
    pub(crate) fn private() -> Self {
        let broker = Broker::start_new();
        Self { plaintext: local(broker.ports.plaintext), broker: Some(broker) }
    }

    /// `bootstrap.servers` without encryption or authentication.
    pub(crate) fn bootstrap(&self) -> &str {
        &self.plaintext
    }

    /// `bootstrap.servers` for `security.protocol=SSL`; see [`ca_pem_path`](Self::ca_pem_path).
    pub(crate) fn ssl_bootstrap(&self) -> String {
        local(self.own().ports.ssl)
    }

    /// `bootstrap.servers` for `SASL_PLAINTEXT`, with [`SASL_USER`] and [`SASL_PASSWORD`] under
    /// PLAIN, SCRAM-SHA-256 and SCRAM-SHA-512.
    pub(crate) fn sasl_bootstrap(&self) -> String {
        local(self.own().ports.sasl)
    }

    /// The same for `SASL_SSL`.
    pub(crate) fn sasl_ssl_bootstrap(&self) -> String {
        local(self.own().ports.sasl_ssl)
    }

    /// The certificate authority that a client must trust (`ssl.ca.location`).
    pub(crate) fn ca_pem_path(&self) -> &Path {
        &self.own().certificates.authority
    }

    /// Stops the broker in an orderly way; only for a private cluster.
    pub(crate) fn stop_broker(&self) {
        self.own().stop();
    }

    /// Ends the broker with SIGKILL; only for a private cluster.
    pub(crate) fn kill_broker(&self) {
        self.own().kill();
    }

    /// Starts a stopped or killed broker again, on the same data and ports.
    pub(crate) fn start_broker(&self) {
        self.own().start();
    }

    /// The end of the broker's log, for the message of a failing test.
    pub(crate) fn log_tail(&self) -> String {
        self.broker.as_ref().map_or_else(String::new, Broker::log_tail)
    }

    /// A client configuration without encryption or authentication.
    pub(crate) fn client(&self) -> ClientConfig {
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", self.bootstrap());
        config
    }

    /// Creates a topic and waits until it can be used; `config` such as `cleanup.policy`.
    pub(crate) fn create_topic(&self, name: &str, partitions: i32, config: &[(&str, &str)]) {
        let mut topic = NewTopic::new(name, partitions, TopicReplication::Fixed(1));
        for (key, value) in config {
            topic = topic.set(key, value);
        }
        let created = block_on(async { self.admin().create_topics([&topic], &options()).await });
        self.check_each("created", created);
        self.wait_for_partitions(name, usize::try_from(partitions).expect("some partitions"));
    }

    /// Replaces the configuration of a topic; what is left out is the broker's default again.
    pub(crate) fn configure_topic(&self, name: &str, config: &[(&str, &str)]) {
        let wanted = AlterConfig::new(ResourceSpecifier::Topic(name));
        let wanted = config.iter().fold(wanted, |wanted, (key, value)| wanted.set(key, value));
        let altered = block_on(async { self.admin().alter_configs([&wanted], &options()).await });
        let altered = altered.expect("an answer").into_iter().all(|topic| topic.is_ok());
        assert!(altered, "the topic {name} was not configured");
    }

    /// Deletes a topic and waits until it is gone.
    pub(crate) fn delete_topic(&self, name: &str) {
        let deleted = block_on(async { self.admin().delete_topics(&[name], &options()).await });
        self.check_each("deleted", deleted);
        self.wait_for_partitions(name, 0);
    }

    /// The bytes of all that was in a topic of that name whenever it was deleted.
    pub(crate) fn deleted(&self, topic: &str) -> Vec<u8> {
        self.own().deleted(topic)
    }

    /// How many partitions a topic has; 0 for one that does not exist.
    pub(crate) fn partitions(&self, topic: &str) -> i32 {
        let client: BaseConsumer = self.client().create().expect("a consumer");
        let metadata = client.fetch_metadata(Some(topic), REQUEST_LIMIT);
        let metadata = metadata
            .unwrap_or_else(|error| panic!("no metadata of {topic}: {error}\n{}", self.log_tail()));
        let count = metadata.topics().first().map_or(0, |topic| {
            topic.partitions().iter().filter(|partition| partition.leader() >= 0).count()
        });
        i32::try_from(count).expect("few partitions")
    }

    fn own(&self) -> &Broker {
        self.broker.as_ref().expect("a broker that the tests started, not an outside one")
    }

    fn admin(&self) -> AdminClient<DefaultClientContext> {
        self.client().create().expect("an admin client")
    }

    fn check_each(
        &self,
        done: &str,
        results: rdkafka::error::KafkaResult<Vec<rdkafka::admin::TopicResult>>,
    ) {
        let mut failures = String::new();
        match results {
            Err(error) => failures = error.to_string(),
            Ok(topics) => {
                for (topic, error) in topics.into_iter().filter_map(Result::err) {
                    write!(failures, "{topic}: {error}; ").expect("a string takes all");
                }
            }
        }
        assert!(failures.is_empty(), "not {done}: {failures}\n{}", self.log_tail());
    }

    fn wait_for_partitions(&self, topic: &str, wanted: usize) {
        let what = format!("topic {topic} has {wanted} partitions");
        wait_until(REQUEST_LIMIT, &what, || {
            let seen = self.partitions(topic);
            if usize::try_from(seen) == Ok(wanted) { Ok(()) } else { Err(format!("{seen}")) }
        });
    }
}

fn local(port: u16) -> String {
    format!("127.0.0.1:{port}")
}

fn options() -> AdminOptions {
    AdminOptions::new().request_timeout(Some(REQUEST_LIMIT)).operation_timeout(Some(REQUEST_LIMIT))
}

/// Any failing test may have failed for a reason that only the broker knows.
fn print_log_on_panic(log: std::path::PathBuf) {
    const LINES: usize = 15;
    let previous = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        previous(panic);
        let tail = super::lifeline::tail(&log, LINES);
        eprintln!("The shared broker's log ends:\n{tail}");
    }));
}
