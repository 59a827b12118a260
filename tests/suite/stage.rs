//! What a test of the whole needs: topics on a real broker, the stand-in for the API, and a
//! configuration for the real program.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::net::SocketAddr;
use std::time::Duration;

use line_bridge::sandbox::{ChannelSeed, Faults, Options, Received, Sandbox};
use tokio::runtime::Runtime;

use crate::events::{Event, KINDS, refused_contacts};
use crate::harness::bridge::{Bridge, Workspace};
use crate::harness::kafka::KafkaCluster;
use crate::harness::records::{NewRecord, StoredRecord};
use crate::harness::unique;
use crate::harness::wait::wait_until;

pub(crate) const TOKEN: &str = "sandbox-token";

pub(crate) struct Stage<'k> {
    pub(crate) kafka: &'k KafkaCluster,
    pub(crate) workspace: Workspace,
    pub(crate) sandbox: Sandbox,
    pub(crate) group: String,
    pub(crate) dead_letters: String,
    /// The topic of each kind.
    pub(crate) topics: BTreeMap<&'static str, String>,
    /// Lines of `delivery:` in which a test differs.
    pub(crate) delivery: String,
    /// Where the bridge finds the brokers, unless it is in plain text.
    pub(crate) brokers: Option<String>,
    pub(crate) properties: Vec<(&'static str, String)>,
    /// Of one attempt.
    pub(crate) timeout: &'static str,
    /// The sandbox runs on it.
    _runtime: Runtime,
}

impl<'k> Stage<'k> {
    /// Topics of so many partitions each, of these kinds.
    pub(crate) fn of(kafka: &'k KafkaCluster, kinds: &[&'static str], partitions: i32) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .expect("a runtime for the sandbox");
        let channel = |kind: &&str| ChannelSeed::line(&channel_id(kind), kind);
        let options = Options {
            token: TOKEN.to_owned(),
            channels: KINDS.iter().map(channel).collect(),
            faults: Faults {
                refused_contacts: refused_contacts().into_iter().collect(),
                ..Faults::default()
            },
        };
        let listen: SocketAddr = "127.0.0.1:0".parse().expect("an address");
        let sandbox = runtime.block_on(Sandbox::start(listen, options)).expect("the sandbox");
        let dead_letters = unique("dead-letters");
        kafka.create_topic(&dead_letters, 3, &[]);
        let mut topics = BTreeMap::new();
        for kind in kinds {
            let topic = unique(kind);
            kafka.create_topic(&topic, partitions, &[]);
            topics.insert(*kind, topic);
        }
        let workspace = Workspace::new();
        workspace.file("token", TOKEN);
        Self {
            kafka,
            workspace,
            sandbox,
            group: unique("group"),
            dead_letters,
            topics,
            delivery: String::new(),
            brokers: None,
            properties: Vec::new(),
            timeout: "15s",
            _runtime: runtime,
        }
    }

    /// The configuration of a bridge, for the broker at `brokers`.
    pub(crate) fn config(&self) -> String {
        let brokers = self.brokers.as_deref().unwrap_or(self.kafka.bootstrap());
        let mut kafka = format!("brokers: \"{brokers}\", group: {}, start: earliest", self.group);
        if !self.properties.is_empty() {
            let set = self.properties.iter().map(|(name, value)| format!("{name}: \"{value}\""));
            let set: Vec<_> = set.collect();
            write!(kafka, ", properties: {{{}}}", set.join(", ")).expect("a line");
        }
        let mut config = format!(
            "kafka: {{{kafka}}}\n\
             line:\n  base_url: {}\n  token: {{file: token}}\n  requests_per_second: 2000\n  timeout: {}\n\
             delivery:\n  brake: 50\n{}\
             dead_letters: {{topic: {}}}\n\
             admin: {{listen: \"127.0.0.1:0\"}}\nchannels:\n",
            self.sandbox.base_url(),
            self.timeout,
            self.delivery,
            self.dead_letters,
        );
        for kind in KINDS {
            writeln!(config, "  {kind}: {}", channel_id(kind)).expect("a line");
        }
        config.push_str("topics:\n");
        for (kind, topic) in &self.topics {
            config.push_str(&topic_config(kind, topic));
        }
        config
    }

    pub(crate) fn start(&self) -> Bridge {
        self.workspace.run(&self.config())
    }

    /// A dry run that has begun, beside whatever else runs.
    pub(crate) fn dry_run(&self, config: &str) -> Bridge {
        let dry = self.workspace.start(&["run", "--dry-run", "--config", config]);
        wait_until(Duration::from_mins(1), "the dry run has begun", || {
            let said = dry.stderr();
            if said.contains("dry run: nothing is sent") { Ok(()) } else { Err(said) }
        });
        dry
    }

    /// Puts the events into their topics, each contact's in their order.
    pub(crate) fn produce(&self, events: &[Event]) {
        for (kind, topic) in &self.topics {
            let of_kind = events.iter().filter(|event| event.kind == *kind);
            let records = of_kind.map(|event| {
                NewRecord::of(event.value())
                    .key(event.contact.as_str())
                    .header("id", event.id.as_str())
            });
            self.kafka.produce(topic, records);
        }
    }

    /// How many records of all topics are committed, and how many there are.
    pub(crate) fn progress(&self) -> (i64, i64) {
        let mut progress = (0, 0);
        for topic in self.topics.values() {
            let committed = self.kafka.committed(&self.group, topic);
            progress.0 += committed.values().map(|at| at.offset).sum::<i64>();
            progress.1 += self.kafka.end_offsets(topic).values().sum::<i64>();
        }
        progress
    }

    /// Waits until every partition is committed to its end.
    pub(crate) fn wait_committed(&self, limit: Duration) {
        wait_until(limit, "every partition is committed to its end", || {
            let (committed, end) = self.progress();
            if committed == end { Ok(()) } else { Err(format!("{committed} of {end}")) }
        });
    }

    pub(crate) fn wait_accepted(&self, count: usize, limit: Duration) {
        wait_until(limit, "messages are accepted", || {
            let accepted = self.sandbox.inbox().messages().len();
            if accepted >= count { Ok(()) } else { Err(format!("{accepted} of {count}")) }
        });
    }

    /// The dead letters by the id of their event.
    pub(crate) fn letters(&self) -> BTreeMap<String, Vec<StoredRecord>> {
        let mut letters: BTreeMap<String, Vec<StoredRecord>> = BTreeMap::new();
        for letter in self.kafka.consume_all(&self.dead_letters) {
            let id = letter.header("id").map_or_else(|| self.pointed_at(&letter), str::to_owned);
            letters.entry(id).or_default().push(letter);
        }
        letters
    }

    /// The id of the record that a dead letter without the record's own headers points at.
    fn pointed_at(&self, letter: &StoredRecord) -> String {
        let told = |name: &str| letter.header(name).expect("where the record is").to_owned();
        let partition: i32 = told("line-bridge-partition").parse().expect("a partition");
        let offset: i64 = told("line-bridge-offset").parse().expect("an offset");
        let records = self.kafka.consume_all(&told("line-bridge-topic"));
        let found = records.iter().find(|r| (r.partition, r.offset) == (partition, offset));
        found.and_then(|record| record.header("id")).expect("a record of the test").to_owned()
    }

    /// How many messages were accepted again that had been accepted before.
    pub(crate) fn repeated(&self) -> f64 {
        counted(self.accepted().values().map(|sent| sent.len() - 1).sum())
    }

    /// The accepted messages by the id of their event, in the order of their arrival.
    pub(crate) fn accepted(&self) -> BTreeMap<String, Vec<std::sync::Arc<Received>>> {
        let mut accepted: BTreeMap<String, Vec<_>> = BTreeMap::new();
        for message in self.sandbox.inbox().messages() {
            accepted.entry(id_of(&message)).or_default().push(message);
        }
        accepted
    }
}

/// A count beside a metric's value.
pub(crate) fn counted(count: usize) -> f64 {
    f64::from(u32::try_from(count).expect("a count of a test"))
}

/// The id that the text of every message of the tests ends with.
pub(crate) fn id_of(message: &Received) -> String {
    message.text.rsplit(' ').next().expect("an id").to_owned()
}

pub(crate) fn channel_id(kind: &str) -> String {
    format!("channel-of-{kind}")
}

/// The rules under which every kind of event has the fate that its id says.
fn topic_config(kind: &str, topic: &str) -> String {
    let schemas = concat!(env!("CARGO_MANIFEST_DIR"), "/schemas");
    let on_ambiguous = if kind == "payments" { "dead_letter" } else { "retry" };
    let expires = if kind == "appointments" { "expires_after: 48h" } else { "expires_after: 24h" };
    let to = if kind == "logins" {
        "{user: event.customer.lineUserId}"
    } else {
        "{contact: event.customer.contactId}"
    };
    format!(
        r#"  {topic}:
    schema: {schemas}/{kind}.json
    event_time: event.occurredAt
    unmatched: dead_letter
    rules:
      - name: tell
        when: '"NoRule" not in event.eventId'
        channel: {kind}
        to: {to}
        message: >-
          {{% if "InvalidMessage" in event.eventId %}}{{% else %}}{kind}
          {{% if "RuleError" in event.eventId %}}{{{{ event.eventId | money("THB") }}}}{{% endif %}}
          {{{{ event.eventId }}}}{{% endif %}}
        {expires}
        on_ambiguous: {on_ambiguous}
"#
    )
}
