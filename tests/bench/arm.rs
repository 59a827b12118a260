//! What is measured: line-bridge, the floor, or another command, each a process of its own.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs::File;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::events::{CHANNELS, Keys, Source};
use crate::harness::kafka::KafkaCluster;
use crate::harness::{unique, wait};

pub(crate) const PARTITIONS: i32 = 12;

const READY_LIMIT: Duration = Duration::from_mins(1);
const END_LIMIT: Duration = Duration::from_secs(40);

/// The broker, and a folder for files.
pub(crate) struct Stage {
    pub(crate) kafka: KafkaCluster,
    folder: TempDir,
    dead_letters: String,
    /// Topics filled already, by keys and number of records.
    filled: RefCell<BTreeMap<(&'static str, usize), String>>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Arm {
    Bridge,
    Floor,
    Other(String),
}

impl Arm {
    pub(crate) fn label(&self) -> &str {
        match self {
            Self::Bridge => "line-bridge",
            Self::Floor => "floor",
            Self::Other(command) => command,
        }
    }
}

/// Where an arm reads and sends.
#[derive(Clone, Debug)]
pub(crate) struct Route<'a> {
    pub(crate) topic: &'a str,
    pub(crate) url: &'a str,
    pub(crate) in_flight: usize,
    /// How many messages there are: the floor makes its own.
    pub(crate) count: usize,
}

/// A started arm. It is killed when dropped.
pub(crate) struct Running {
    child: Child,
    pub(crate) started: Instant,
    admin: Option<u16>,
    log: PathBuf,
}

impl Stage {
    pub(crate) fn start() -> Self {
        eprintln!("bench: starting Kafka");
        let kafka = KafkaCluster::private();
        let folder = tempfile::Builder::new().prefix("line-bridge-bench-").tempdir();
        let dead_letters = unique("bench-dead-letters");
        kafka.create_topic(&dead_letters, 3, &[]);
        Self { kafka, folder: folder.expect("a folder"), dead_letters, filled: RefCell::default() }
    }

    pub(crate) fn empty_topic(&self) -> String {
        let topic = unique("bench");
        self.kafka.create_topic(&topic, PARTITIONS, &[]);
        topic
    }

    /// A topic with so many events in it; the same one for the same question.
    pub(crate) fn filled_topic(&self, keys: Keys, count: usize) -> String {
        /// So many are handed over at a time, so that few are in memory.
        const BATCH: usize = 50_000;
        let asked = (keys.label(), count);
        if let Some(topic) = self.filled.borrow().get(&asked) {
            return topic.clone();
        }
        eprintln!("bench: producing {count} events, keys {}", keys.label());
        let topic = self.empty_topic();
        let mut source = Source::new(keys);
        let mut left = count;
        while left > 0 {
            let batch = left.min(BATCH);
            self.kafka.produce(&topic, source.records(batch));
            left -= batch;
        }
        self.filled.borrow_mut().insert(asked, topic.clone());
        topic
    }

    pub(crate) fn spawn(&self, arm: &Arm, route: &Route<'_>) -> Running {
        let name = unique("arm");
        let log = self.folder.path().join(format!("{name}.log"));
        let (mut command, admin) = match arm {
            Arm::Bridge => self.bridge(&name, route),
            Arm::Floor => {
                let mut command = Command::new(std::env::current_exe().expect("this program"));
                command.args(["floor", "--url", route.url]);
                command.args(["--in-flight", &route.in_flight.to_string()]);
                command.args(["--count", &route.count.to_string()]);
                (command, None)
            }
            Arm::Other(line) => {
                let mut command = Command::new("sh");
                command.args(["-c", &format!("exec {line}")]);
                command.env("BROKERS", self.kafka.bootstrap()).env("TOPIC", route.topic);
                command.env("GROUP", &name).env("URL", route.url);
                command.env("DEAD_LETTERS", &self.dead_letters);
                command.env("IN_FLIGHT", route.in_flight.to_string());
                (command, None)
            }
        };
        command.stdin(Stdio::null()).stdout(Stdio::null());
        command.stderr(File::create(&log).expect("a file"));
        let started = Instant::now();
        let child = command.spawn().expect("the arm starts");
        Running { child, started, admin, log }
    }

    fn bridge(&self, name: &str, route: &Route<'_>) -> (Command, Option<u16>) {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
        let admin = listener.local_addr().expect("an address").port();
        let path = self.folder.path().join(format!("{name}.yaml"));
        std::fs::write(&path, self.configuration(name, admin, route)).expect("a file");
        let mut command = Command::new(env!("CARGO_BIN_EXE_line-bridge"));
        command.arg("run").arg("--config").arg(path).env("LINE_TOKEN", "sandbox-token");
        (command, Some(admin))
    }

    fn configuration(&self, group: &str, admin: u16, route: &Route<'_>) -> String {
        // The shipped orders, and the brand that chooses the channel.
        let schema = serde_json::json!({
            "$ref": concat!(env!("CARGO_MANIFEST_DIR"), "/schemas/orders.json"),
            "required": ["brand"],
            "properties": {"brand": {"type": "string"}},
        });
        let path = self.folder.path().join("orders.json");
        std::fs::write(path, schema.to_string()).expect("a file");
        let mut channels = String::new();
        for number in 0..CHANNELS {
            writeln!(channels, "  brand-{number}: channel-brand-{number}").expect("a line");
        }
        format!(
            r#"kafka: {{brokers: "{brokers}", group: {group}, start: earliest}}
line:
  base_url: {url}
  token: {{env: LINE_TOKEN}}
  timeout: 15s
  requests_per_second: 2000
delivery: {{max_in_flight: {in_flight}, drain_timeout: 25s}}
dead_letters: {{topic: {dead_letters}}}
admin: {{listen: "127.0.0.1:{admin}"}}
channels:
{channels}topics:
  {topic}:
    schema: orders.json
    event_time: event.occurredAt
    rules:
      - name: shipped
        when: event.status == "shipped"
        channel: {{from: event.brand}}
        to: {{contact: event.customer.contactId}}
        message: >-
          Your order #{{{{ event.orderId }}}} has been shipped.
          {{%- if event.trackingNumber | default("", true) %}} Tracking number: {{{{ event.trackingNumber }}}}.{{% endif %}}
"#,
            brokers = self.kafka.bootstrap(),
            url = route.url,
            in_flight = route.in_flight,
            dead_letters = self.dead_letters,
            topic = route.topic,
        )
    }
}

impl Running {
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Waits until line-bridge has joined its group; nothing can be asked of another arm.
    pub(crate) fn wait_ready(&self) {
        let Some(port) = self.admin else { return };
        let url = format!("http://127.0.0.1:{port}/readyz");
        wait::wait_until(READY_LIMIT, "line-bridge is ready", || {
            wait::block_on(async {
                let client = reqwest::Client::builder().no_proxy().build()?;
                client.get(&url).send().await?.error_for_status().map(drop)
            })
        });
    }

    /// All that it has logged: why it did not do what was expected of it.
    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }

    pub(crate) fn has_ended(&mut self) -> bool {
        self.child.try_wait().expect("a child can be asked").is_some()
    }

    /// Asks for an orderly end and waits for it.
    pub(crate) fn end(&mut self) {
        let told = Command::new("sh")
            .args(["-c", r#"kill -s TERM "$1""#, "sh", &self.pid().to_string()])
            .stderr(Stdio::null())
            .status();
        told.expect("sh runs");
        wait::wait_until(END_LIMIT, "the arm ends", || {
            if self.has_ended() { Ok(()) } else { Err("it runs") }
        });
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if !self.has_ended() {
            self.child.kill().expect("a child can be killed");
            self.child.wait().expect("a child can be waited for");
        }
    }
}
