//! Everything that the demonstration stands on, within this process.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::events::{FAILING, REFUSED, UNCERTAIN};
use super::folder::Folder;
use super::watch::Watch;
use crate::admin;
use crate::bridge;
use crate::cli::Failure;
use crate::config::{Config, Strictness};
use crate::kafka;
use crate::kafka::embedded::EmbeddedBroker;
use crate::kafka::tail::{StartAt, Tail};
use crate::loading;
use crate::sandbox::{Fault, Faults, Options, Recipient, Rule, Sandbox};
use crate::topics::Topics;

/// How long the bridge may take to drain: its own bounds, and some more.
const DRAIN: Duration = Duration::from_secs(15);

/// The partitions of a topic.
const PARTITIONS: i32 = 2;

/// Any free port, for this machine alone.
const LOOPBACK: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 0);

/// The topics that show what becomes of the events: the configuration's own, and that of dead
/// letters.
const TOPICS: [&str; 6] =
    ["orders", "payments", "appointments", "logins", "deliveries", "line-bridge.dead-letters"];

const REDRIVE: &str = "line-bridge.dead-letters.redrive";

/// A broker, the sandbox and the files, ready for the bridge.
#[derive(Debug)]
pub(super) struct Stage {
    pub(super) folder: Folder,
    pub(super) sandbox: Sandbox,
    pub(super) kafka: kafka::Settings,
    config: Config,
    dead_letters: String,
    _broker: EmbeddedBroker,
}

impl Stage {
    pub(super) async fn set() -> Result<Self, Failure> {
        let options = Options { faults: faults(), ..Options::default() };
        let token = options.token.clone();
        let sandbox = Sandbox::start(LOOPBACK, options).await.map_err(|error| failed(&error))?;
        let topics = TOPICS.into_iter().chain([REDRIVE]).map(str::to_owned).collect();
        let broker = tokio::task::spawn_blocking(|| EmbeddedBroker::start(topics, PARTITIONS));
        let broker = broker.await.map_err(|error| failed(&error))?;
        let broker = broker
            .map_err(|error| failed(&format!("the embedded broker can't be started: {error}")))?;
        let folder =
            Folder::fill(&broker.brokers, &sandbox.base_url(), &token).map_err(|error| {
                let folder = std::env::temp_dir();
                failed(&format!("no files can be written in {}: {error}", folder.display()))
            })?;
        let (config, _) = load(&folder)?;
        Ok(Self {
            kafka: bridge::kafka_settings(&config),
            dead_letters: config.dead_letters.topic.clone(),
            config,
            folder,
            sandbox,
            _broker: broker,
        })
    }

    /// Starts the bridge as `run` does, with its admin endpoints on a port that is known.
    pub(super) async fn start_bridge(&self) -> Result<Bridge, Failure> {
        let listener = admin::listen(self.config.admin.listen).await;
        let listener: TcpListener = listener.map_err(|error| failed(&error))?;
        let admin = listener.local_addr().map_err(|error| failed(&error))?;
        let (config, topics) = load(&self.folder)?;
        let drain = CancellationToken::new();
        let told = drain.clone().cancelled_owned();
        let ends = bridge::run_on(listener, bridge::Brokers::Embedded, config, topics, None, told);
        let ends = tokio::spawn(ends);
        Ok(Bridge { ends, drain, admin })
    }

    /// Reads all topics from their beginning.
    pub(super) async fn watch(&self) -> Result<Watch, Failure> {
        let topics = TOPICS.map(str::to_owned).to_vec();
        let tail = Tail::start(&self.kafka, topics, StartAt::Beginning).await;
        let tail = tail
            .map_err(|error| failed(&format!("the embedded broker can't be read from: {error}")))?;
        let (_, topics) = load(&self.folder)?;
        Ok(Watch::new(tail, self.sandbox.inbox(), topics, self.dead_letters.clone()))
    }
}

fn load(folder: &Folder) -> Result<(Config, Topics), Failure> {
    let loaded = loading::load(&folder.config(), &|_| None, Strictness::Run);
    // It is no configuration of the user's, so a mistake in it is not one in the usage.
    let (loaded, topics) = loaded.map_err(|mistakes| failed(&mistakes))?;
    Ok((loaded.config, topics))
}

/// What the sandbox does to those that the events name.
fn faults() -> Faults {
    let no_answer = |contact: &str| {
        let fault = Fault::Status { status: 502, body: None, content_type: None, accept: false };
        Rule::always(fault).for_recipient(Recipient::Contact(contact.to_owned()))
    };
    Faults {
        refused_contacts: [REFUSED.to_owned()].into(),
        ..Faults::rules([no_answer(UNCERTAIN), no_answer(FAILING)])
    }
}

/// The bridge at work.
#[derive(Debug)]
pub(super) struct Bridge {
    ends: JoinHandle<Result<(), bridge::Failure>>,
    drain: CancellationToken,
    pub(super) admin: SocketAddr,
}

impl Bridge {
    /// Done only when the bridge has failed; afterwards there is nothing left to drain.
    pub(super) async fn fails(&mut self) -> Failure {
        match (&mut self.ends).await {
            Ok(Ok(())) => failed(&"the bridge stopped unexpectedly"),
            Ok(Err(failure)) => failed(&failure),
            Err(error) => failed(&format!("the bridge has crashed: {error}")),
        }
    }

    /// Lets what is in flight settle, and leaves.
    pub(super) async fn drain(self) -> Result<(), Failure> {
        self.drain.cancel();
        match tokio::time::timeout(DRAIN, self.ends).await {
            Ok(Ok(Ok(()))) => Ok(()),
            Ok(Ok(Err(failure))) => Err(failed(&failure)),
            Ok(Err(error)) => Err(failed(&format!("the bridge has crashed: {error}"))),
            Err(_) => {
                Err(failed(&format!("the bridge has not drained within {} s", DRAIN.as_secs())))
            }
        }
    }
}

fn failed(what: &dyn std::fmt::Display) -> Failure {
    Failure::Failed(format!("line-bridge demo: {what}"))
}
