//! Follows the files: what changes in the configuration, the schemas and the token is put in force
//! without a restart, or refused with the reason while the old goes on.
//!
//! The files are looked at, not listened to: a mounted volume changes by a symbolic link somewhere
//! on the path, which no notification of the file itself tells of.

use std::collections::BTreeMap;
use std::fs::File;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinError;

use crate::config::{Config, Loaded, Mistakes, needs_restart};
use crate::domain::machine::Settings;
use crate::domain::paused::Paused;
use crate::driver::{Order, Reconfiguration};
use crate::line::token::{Change, Token};
use crate::metrics::{Labels, Metrics, Reload};
use crate::topics::Topics;

/// How often the files are looked at.
const LOOK: Duration = Duration::from_secs(2);

/// More of a file is not looked at: none that is read may be larger.
const SIZE_LIMIT: u64 = 1 << 20;

/// Where the configuration comes from.
#[derive(Clone)]
pub struct Source {
    pub file: PathBuf,
    /// Reads and checks all of it, as at the start.
    pub load: Arc<dyn Fn() -> Result<(Loaded, Topics), Mistakes> + Send + Sync>,
}

impl std::fmt::Debug for Source {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Source").field("file", &self.file).finish_non_exhaustive()
    }
}

/// What of a configuration the bridge around has to be told.
pub(crate) struct Views {
    pub(crate) settings: fn(&Config, &Topics) -> Settings,
    pub(crate) labels: fn(&Config, &Topics) -> Labels,
}

/// What is in force, and what of the files it is not.
pub(crate) struct Follower {
    source: Source,
    views: Views,
    token: Arc<Token>,
    orders: mpsc::Sender<Order>,
    metrics: Arc<Metrics>,
    running: Running,
    /// A configuration that came through a pipe can't be read again.
    is_file: bool,
    /// The files that it was read from, and their digest; none until that is known.
    files: Vec<PathBuf>,
    in_force: Option<u64>,
    /// The digest of the last look, where it was another.
    seen: Option<u64>,
    /// What was said of the files that are not in force.
    refusal: Option<Refusal>,
    token_refusal: Option<String>,
}

/// The configuration in force.
pub(crate) struct Running {
    pub(crate) config: Config,
    pub(crate) schemas: BTreeMap<Arc<str>, u64>,
}

/// Why what the files say is not put in force.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Refusal {
    Mistakes(String),
    NeedsRestart(Vec<String>),
}

/// Why a look came to no end.
enum Unlooked {
    BridgeEnded,
    Crashed(JoinError),
}

impl From<JoinError> for Unlooked {
    fn from(error: JoinError) -> Self {
        Self::Crashed(error)
    }
}

/// The files as they were read, and their digest right after.
type Reading = (Result<(Loaded, Topics), Mistakes>, Vec<PathBuf>, u64);

impl Follower {
    pub(crate) fn new(
        source: Source,
        views: Views,
        token: Arc<Token>,
        orders: mpsc::Sender<Order>,
        metrics: Arc<Metrics>,
        running: Running,
    ) -> Self {
        let files = vec![source.file.clone()];
        let is_file = std::fs::metadata(&source.file).map_or(true, |found| found.is_file());
        Self {
            source,
            views,
            token,
            orders,
            metrics,
            running,
            is_file,
            files,
            in_force: None,
            seen: None,
            refusal: None,
            token_refusal: None,
        }
    }

    /// Looks every two seconds, and at once when asked by SIGHUP, until the bridge has ended.
    pub(crate) async fn run(mut self) {
        say_paused(&self.running.config.paused);
        if !self.is_file {
            tracing::info!("the configuration does not come from a file: changes need a restart");
        }
        let mut look = tokio::time::interval(LOOK);
        let mut hangup = match signal(SignalKind::hangup()) {
            Ok(hangup) => hangup,
            Err(error) => {
                return tracing::error!(%error, "SIGHUP can't be handled: changes need a restart");
            }
        };
        loop {
            let looked = tokio::select! {
                _ = look.tick() => self.look().await,
                _ = hangup.recv() => self.look_now().await,
            };
            match looked {
                Ok(()) => {}
                Err(Unlooked::BridgeEnded) => return,
                Err(Unlooked::Crashed(error)) => {
                    tracing::warn!(%error, "the files could not be checked for changes");
                }
            }
        }
    }

    /// Whoever asks says that the files are whole, and wants to hear what becomes of them.
    async fn look_now(&mut self) -> Result<(), Unlooked> {
        tracing::info!("SIGHUP: checking the files for changes");
        let was_refused = self.refusal.take().is_some() | self.token_refusal.take().is_some();
        self.look().await?;
        self.look().await?;
        let is_whole = self.seen.is_none() || self.seen == self.in_force;
        if was_refused && is_whole && self.refusal.is_none() && self.token_refusal.is_none() {
            tracing::info!("the files match what is in force again");
        }
        Ok(())
    }

    async fn look(&mut self) -> Result<(), Unlooked> {
        self.look_at_token().await?;
        self.look_at_files().await?;
        let refused = self.token_refusal.as_ref().map(|_| Reload::Refused);
        self.metrics.reload_pending(self.refusal.as_ref().map(Refusal::result).or(refused));
        Ok(())
    }

    async fn look_at_token(&mut self) -> Result<(), Unlooked> {
        let token = Arc::clone(&self.token);
        match tokio::task::spawn_blocking(move || token.replace_if_changed()).await? {
            Ok(Change::Replaced) => {
                tracing::info!("the token has changed and is in force");
                self.token_refusal = None;
                self.metrics.reloaded(Reload::Applied);
                let sent = self.orders.send(Order::TokenChanged).await;
                return sent.map_err(|_| Unlooked::BridgeEnded);
            }
            Ok(Change::Seen) => {}
            Ok(Change::None) => {
                if self.token_refusal.take().is_some() {
                    tracing::info!("the token that is in force is there again");
                }
            }
            Err(error) => {
                let said = Some(error.to_string());
                if said != self.token_refusal {
                    tracing::error!(%error, "the changed token is refused; the old one stays");
                    self.metrics.reloaded(Reload::Refused);
                    self.token_refusal = said;
                }
            }
        }
        Ok(())
    }

    /// Reads the files where they are not known to say what is in force. What they say counts once
    /// they were the same before and after it was read: then nobody was writing meanwhile.
    async fn look_at_files(&mut self) -> Result<(), Unlooked> {
        if !self.is_file {
            return Ok(());
        }
        let (source, files, in_force) = (self.source.clone(), self.files.clone(), self.in_force);
        let read = tokio::task::spawn_blocking(move || read(&source, files, in_force)).await?;
        let Some((loaded, files, digest)) = read else {
            self.seen = None;
            if self.refusal.take().is_some() {
                tracing::info!("the files match the configuration in force again");
            }
            return Ok(());
        };
        if self.seen.replace(digest) != Some(digest) {
            return Ok(());
        }
        match judge(&self.running, loaded) {
            Err(why) => self.refuse(why),
            Ok(Sound { changed, loaded, topics }) => {
                let running = Running { config: loaded.config, schemas: topics.schemas() };
                if changed {
                    for warning in loaded.warnings {
                        tracing::warn!("{warning}");
                    }
                    self.apply(&running.config, topics).await?;
                }
                (self.running, self.files, self.in_force) = (running, files, Some(digest));
                self.refusal = None;
            }
        }
        Ok(())
    }

    /// Tells once what is wrong.
    fn refuse(&mut self, why: Refusal) {
        if self.refusal.as_ref() == Some(&why) {
            return;
        }
        match &why {
            Refusal::Mistakes(mistakes) => tracing::error!(
                errors = mistakes,
                "the changed configuration is refused; the previous one stays in force"
            ),
            Refusal::NeedsRestart(keys) => tracing::error!(
                keys = keys.join(", "),
                "the changed configuration needs a restart, because these keys can't change while the \
                 bridge runs; until then all of the previous one stays in force"
            ),
        }
        self.metrics.reloaded(why.result());
        self.refusal = Some(why);
    }

    async fn apply(&self, config: &Config, topics: Topics) -> Result<(), Unlooked> {
        let settings = Box::new((self.views.settings)(config, &topics));
        let labels = (self.views.labels)(config, &topics);
        let (done, in_force) = oneshot::channel();
        let decide = Arc::new(topics);
        let order = Order::Reconfigure(Reconfiguration { settings, decide, done });
        self.orders.send(order).await.map_err(|_| Unlooked::BridgeEnded)?;
        in_force.await.map_err(|_| Unlooked::BridgeEnded)?;
        self.metrics.reconfigured(&labels);
        self.metrics.reloaded(Reload::Applied);
        if config.paused != self.running.config.paused {
            say_paused(&config.paused);
            if config.paused == Paused::default() {
                tracing::info!("nothing is paused any more");
            }
        }
        Ok(())
    }
}

impl Refusal {
    fn result(&self) -> Reload {
        match self {
            Self::Mistakes(_) => Reload::Refused,
            Self::NeedsRestart(_) => Reload::NeedsRestart,
        }
    }
}

/// What the files say can be put in force.
struct Sound {
    /// It is something else than what is in force.
    changed: bool,
    loaded: Loaded,
    topics: Topics,
}

/// What is to become of what the files say.
fn judge(running: &Running, read: Result<(Loaded, Topics), Mistakes>) -> Result<Sound, Refusal> {
    let (loaded, topics) = read.map_err(|mistakes| Refusal::Mistakes(mistakes.to_string()))?;
    let keys = needs_restart(&running.config, &loaded.config);
    if !keys.is_empty() {
        return Err(Refusal::NeedsRestart(keys));
    }
    let same = running.config.hash() == loaded.config.hash();
    let changed = !same || running.schemas != topics.schemas();
    Ok(Sound { changed, loaded, topics })
}

/// Reads all that the configuration names; none where the digest is that of what is in force.
fn read(source: &Source, files: Vec<PathBuf>, in_force: Option<u64>) -> Option<Reading> {
    if in_force == Some(digest(&files)) {
        return None;
    }
    let loaded = (source.load)();
    let files = match &loaded {
        Ok((_, topics)) => {
            let schemas = topics.files().map(Path::to_owned);
            std::iter::once(source.file.clone()).chain(schemas).collect()
        }
        Err(_) => files,
    };
    let digest = digest(&files);
    Some((loaded, files, digest))
}

/// Tells the contents of files, or their absence, from any other.
fn digest(files: &[PathBuf]) -> u64 {
    let mut hasher = DefaultHasher::new();
    for file in files {
        let mut content = Vec::new();
        let read = File::open(file)
            .and_then(|opened| opened.take(SIZE_LIMIT + 1).read_to_end(&mut content));
        (file, content, read.map_err(|error| error.kind())).hash(&mut hasher);
    }
    hasher.finish()
}

/// A pause that is forgotten holds messages until they expire.
fn say_paused(paused: &Paused) {
    let Paused { channels, topics, rules } = paused;
    for channel in channels {
        tracing::warn!(channel = &**channel, "paused: nothing is sent through this channel");
    }
    for topic in topics {
        tracing::warn!(topic = &**topic, "paused: no message of this topic is sent");
    }
    for (topic, rules) in rules {
        for rule in rules {
            tracing::warn!(
                topic = &**topic,
                rule = &**rule,
                "paused: no message of this rule is sent"
            );
        }
    }
}

#[cfg(test)]
mod tests;
