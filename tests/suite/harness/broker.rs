//! One Apache Kafka broker in a JVM of its own: its configuration, its start and its end.

use std::fmt::Write;
use std::fs;
use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU16, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::{ClientConfig, TopicPartitionList};
use tempfile::TempDir;

use super::certificates::Certificates;
use super::lifeline::{Process, run_tool, tail};
use super::rights::{GUEST, GUEST_PASSWORD};
use super::wait::wait_until;

/// The one user of the SASL listeners, under PLAIN and both SCRAM mechanisms.
pub(crate) const SASL_USER: &str = "bridge";
/// That user's password.
pub(crate) const SASL_PASSWORD: &str = "correct-horse";

const START_LIMIT: Duration = Duration::from_secs(90);
const STOP_LIMIT: Duration = Duration::from_mins(1);
const STARTS: usize = 3;
const LOG_TAIL_LINES: usize = 40;

/// Any fixed id will do, since no two of these brokers ever meet.
const CLUSTER_ID: &str = "MkU3OEVBNTcwNTJENDM2Qg";

/// The ports of the listeners on 127.0.0.1.
#[derive(Clone, Copy)]
pub(crate) struct Ports {
    controller: u16,
    pub(crate) plaintext: u16,
    pub(crate) sasl: u16,
    pub(crate) ssl: u16,
    pub(crate) sasl_ssl: u16,
}

/// A broker with its data; the JVM may be down for a while.
pub(crate) struct Broker {
    folder: TempDir,
    kafka: PathBuf,
    pub(crate) certificates: Certificates,
    pub(crate) ports: Ports,
    process: Mutex<Option<Process>>,
}

impl Broker {
    /// Formats a data folder and starts a broker on it; ready when this returns.
    pub(crate) fn start_new() -> Self {
        let fetch = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/kafka/fetch");
        let kafka = PathBuf::from(run_tool(&mut Command::new(fetch)));
        let folder = tempfile::Builder::new().prefix("line-bridge-kafka-").tempdir();
        let folder = folder.expect("a folder for the broker");
        let certificates = Certificates::create(folder.path());
        let process = Mutex::default();
        let mut broker = Self { folder, kafka, certificates, ports: Ports::free(), process };
        broker.configure();
        broker.format();
        for _ in 1..STARTS {
            match broker.try_start() {
                // Another program took one of the ports in between.
                Err(log) if log.contains("Address already in use") => {
                    broker.ports = Ports::free();
                    broker.configure();
                }
                Err(log) => panic!("Kafka ended while it started:\n{log}"),
                Ok(()) => return broker,
            }
        }
        broker.start();
        broker
    }

    /// Starts the broker again on the data and the ports that it had.
    pub(crate) fn start(&self) {
        self.try_start().unwrap_or_else(|log| panic!("Kafka ended while it started:\n{log}"));
    }

    /// Stops the broker in an orderly way.
    pub(crate) fn stop(&self) {
        let process = self.process().take();
        let mut process = process.expect("the broker runs");
        process.signal("TERM");
        process.wait_exit(STOP_LIMIT);
    }

    /// Ends the broker at once, with SIGKILL.
    pub(crate) fn kill(&self) {
        let process = self.process().take();
        process.expect("the broker runs").kill();
    }

    /// The last lines of what the broker logged.
    pub(crate) fn log_tail(&self) -> String {
        tail(&self.log(), LOG_TAIL_LINES)
    }

    pub(crate) fn log(&self) -> PathBuf {
        self.folder.path().join("broker.log")
    }

    /// The bytes of all records that were in a topic when it was deleted, as they lay on the disk.
    pub(crate) fn deleted(&self, topic: &str) -> Vec<u8> {
        let folders = fs::read_dir(self.data()).expect("the broker's data");
        let folders = folders.map(|folder| folder.expect("a folder").path());
        // TOPIC-PARTITION.ID-delete, for as long as `log.segment.delete.delay.ms`.
        let deleted = folders.filter(|folder| {
            let name = folder.file_name().unwrap_or_default().to_string_lossy().into_owned();
            let rest = name.strip_prefix(topic).and_then(|rest| rest.strip_suffix("-delete"));
            rest.is_some_and(|rest| rest.starts_with('-'))
        });
        let files = deleted.flat_map(|folder| fs::read_dir(folder).expect("a partition"));
        let files = files.map(|file| file.expect("a file").path());
        let segments = files.filter(|file| file.extension().is_some_and(|kind| kind == "log"));
        segments.flat_map(|segment| fs::read(segment).expect("a segment")).collect()
    }

    fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    fn process(&self) -> std::sync::MutexGuard<'_, Option<Process>> {
        self.process.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn configuration(&self) -> PathBuf {
        self.folder.path().join("server.properties")
    }

    fn configure(&self) {
        let text = properties(self.folder.path(), &self.certificates, self.ports);
        fs::write(self.configuration(), text).expect("the broker's configuration is written");
    }

    fn java(&self) -> Command {
        let java = std::env::var("JAVA_HOME").map(|home| format!("{home}/bin/java"));
        let mut command = Command::new(java.unwrap_or_else(|_| "java".to_owned()));
        command.args(["-Xmx384m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"]);
        command.arg("-Dorg.slf4j.simpleLogger.defaultLogLevel=warn");
        command.arg("-Dorg.slf4j.simpleLogger.showDateTime=true");
        command.arg("-Dorg.slf4j.simpleLogger.dateTimeFormat=HH:mm:ss.SSS");
        command.arg("-cp").arg(self.kafka.join("*"));
        command
    }

    fn format(&self) {
        let mut command = self.java();
        command.args(["kafka.tools.StorageTool", "format", "--cluster-id", CLUSTER_ID]);
        command.arg("--config").arg(self.configuration());
        for mechanism in ["SCRAM-SHA-256", "SCRAM-SHA-512"] {
            for (user, password) in [(SASL_USER, SASL_PASSWORD), (GUEST, GUEST_PASSWORD)] {
                command.arg("--add-scram");
                command.arg(format!("{mechanism}=[name={user},password={password}]"));
            }
        }
        run_tool(&mut command);
    }

    /// Starts the JVM and waits until clients are served; the log's end if the JVM ends instead.
    fn try_start(&self) -> Result<(), String> {
        let mut command = self.java();
        command.arg("kafka.Kafka").arg(self.configuration());
        let log = self.log();
        let mut process = Process::start(&command, self.folder.path(), &log, &log);
        let client: BaseConsumer = ClientConfig::new()
            .set("bootstrap.servers", format!("127.0.0.1:{}", self.ports.plaintext))
            .set("group.id", "readiness")
            .set("reconnect.backoff.max.ms", "250")
            .set_log_level(rdkafka::config::RDKafkaLogLevel::Emerg)
            .create()
            .expect("a client of the broker");
        wait_until(START_LIMIT, "Kafka serves its clients", || {
            if process.ended().is_some() {
                return Ok(Err(self.log_tail()));
            }
            served(&client).map(Ok).map_err(|state| format!("{state}; log:\n{}", self.log_tail()))
        })?;
        *self.process() = Some(process);
        Ok(())
    }
}

/// Whether the broker is registered and its group coordinator has loaded; the state otherwise.
fn served(client: &BaseConsumer) -> Result<(), String> {
    const REQUEST: Duration = Duration::from_millis(500);
    let metadata = client.fetch_metadata(None, REQUEST).map_err(|error| error.to_string())?;
    if metadata.brokers().is_empty() {
        return Err("no brokers yet".to_owned());
    }
    let mut any = TopicPartitionList::new();
    any.add_partition("readiness", 0);
    client.committed_offsets(any, REQUEST).map(drop).map_err(|error| error.to_string())
}

impl Ports {
    fn free() -> Self {
        let [controller, plaintext, sasl, ssl, sasl_ssl] = std::array::from_fn(|_| free_port());
        Self { controller, plaintext, sasl, ssl, sasl_ssl }
    }
}

/// A port that nobody listens on, below those that Linux gives to outgoing connections: one of
/// them could take the port of a broker that is down for a moment.
pub(super) fn free_port() -> u16 {
    const FIRST: u16 = 20_000;
    const COUNT: u16 = 12_000;
    static NEXT: AtomicU16 = AtomicU16::new(0);
    if NEXT.load(Ordering::Relaxed) == 0 {
        NEXT.store(fastrand::u16(1..COUNT), Ordering::Relaxed);
    }
    (0..COUNT)
        .map(|_| FIRST + NEXT.fetch_add(1, Ordering::Relaxed) % COUNT)
        .find(|port| TcpListener::bind((Ipv4Addr::LOCALHOST, *port)).is_ok())
        .expect("a free port")
}

/// The broker's configuration: one node that is controller and broker, quick to start and to
/// rebalance, and as strict as a production broker in what it accepts. A killed broker can register
/// again only when its session has timed out, hence the short one. What was in a deleted topic is
/// kept on the disk, for the tests that look at it.
fn properties(folder: &Path, certificates: &Certificates, ports: Ports) -> String {
    let Ports { controller, plaintext, sasl, ssl, sasl_ssl } = ports;
    let data = folder.join("data").display().to_string();
    let authority = certificates.authority.display();
    let chain = certificates.broker.display();
    let mut text = format!(
        "process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:{controller}
controller.listener.names=CONTROLLER
inter.broker.listener.name=PLAINTEXT
listeners=CONTROLLER://127.0.0.1:{controller},PLAINTEXT://127.0.0.1:{plaintext},\
SASL_PLAINTEXT://127.0.0.1:{sasl},SSL://127.0.0.1:{ssl},SASL_SSL://127.0.0.1:{sasl_ssl}
listener.security.protocol.map=CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT,\
SASL_PLAINTEXT:SASL_PLAINTEXT,SSL:SSL,SASL_SSL:SASL_SSL
log.dirs={data}
auto.create.topics.enable=false
offsets.topic.replication.factor=1
offsets.topic.num.partitions=1
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
transaction.state.log.num.partitions=1
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
group.initial.rebalance.delay.ms=0
group.min.session.timeout.ms=1000
broker.session.timeout.ms=4000
broker.heartbeat.interval.ms=500
log.cleaner.dedupe.buffer.size=4194304
log.segment.delete.delay.ms=3600000
ssl.keystore.type=PEM
ssl.keystore.location={chain}
ssl.truststore.type=PEM
ssl.truststore.location={authority}
sasl.enabled.mechanisms=PLAIN,SCRAM-SHA-256,SCRAM-SHA-512
authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer
super.users=User:ANONYMOUS;User:{SASL_USER}
"
    );
    let modules = "org.apache.kafka.common.security";
    for listener in ["sasl_plaintext", "sasl_ssl"] {
        for (mechanism, module) in [
            (
                "plain",
                format!(
                    "plain.PlainLoginModule required user_{SASL_USER}=\"{SASL_PASSWORD}\" \
                     user_{GUEST}=\"{GUEST_PASSWORD}\""
                ),
            ),
            ("scram-sha-256", "scram.ScramLoginModule required".to_owned()),
            ("scram-sha-512", "scram.ScramLoginModule required".to_owned()),
        ] {
            writeln!(
                text,
                "listener.name.{listener}.{mechanism}.sasl.jaas.config={modules}.{module};"
            )
            .expect("a string takes all that is written");
        }
    }
    text
}
