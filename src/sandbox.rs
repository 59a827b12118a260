//! A local stand-in for the LINE Messaging API, with faults and an inbox.
//!
//! It answers as strictly as the documents allow, so that a client which works against it makes no
//! use of a server's leniency. It shares no type with that client: a mistake in one would otherwise
//! be a mistake in both, and no test would see it.
//!
//! | path | what is there |
//! |---|---|
//! | `GET /api/v1/channels`, `POST /api/v1/message/send` | the API |
//! | `GET /` | the inbox as a page |
//! | `GET`, `DELETE /_sandbox/inbox` | the accepted messages, `?after=SEQ&limit=N` |
//! | `GET /_sandbox/stats`, `GET /_sandbox/refusals` | what was counted, what was refused and why |
//! | `GET`, `PUT`, `DELETE /_sandbox/faults` | see [`Faults`] |
//! | `PUT /_sandbox/token` | `{"token": ...}`: from now on the only one that is known |
//! | `PUT`, `DELETE /_sandbox/channels/{id}` | `{"name", "type", "brandName", "deleted"}` |
//!
//! A message is accepted when its request has been read and checked, before any latency: a client
//! that gives up while it waits for the answer has sent its message all the same.

mod answer;
mod api;
mod channels;
mod clock;
mod connection;
mod control;
mod faults;
mod inbox;
mod injector;
mod lanes;
mod page;
mod rule;
mod send;
mod server;
#[cfg(test)]
mod tests;

use std::fmt;
use std::future::{Future, IntoFuture};
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinHandle;
use tokio_util::sync::{CancellationToken, DropGuard};

pub use channels::ChannelSeed;
pub use faults::{Fault, Faults, InvalidFaults, RetryAfter};
pub use inbox::{Inbox, Received, Refused, Stats};
pub use lanes::{Lane, LaneLoad, Recipient};
pub use rule::{Endpoint, Only, Rule, When};

use connection::{CuttableListener, Wire};
use server::Server;

/// How long [`Sandbox::stop`] waits for answers that are being written.
const STOP_GRACE: Duration = Duration::from_secs(2);

/// How a sandbox starts.
#[derive(Clone)]
pub struct Options {
    /// The bearer token that the API knows.
    pub token: String,
    pub channels: Vec<ChannelSeed>,
    pub faults: Faults,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            token: "sandbox-token".to_owned(),
            channels: ChannelSeed::samples(),
            faults: Faults::default(),
        }
    }
}

impl fmt::Debug for Options {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Options")
            .field("channels", &self.channels)
            .field("faults", &self.faults)
            .finish_non_exhaustive()
    }
}

/// A running sandbox. Dropped, it stops without waiting.
#[derive(Debug)]
pub struct Sandbox {
    addr: SocketAddr,
    server: Arc<Server>,
    task: JoinHandle<io::Result<()>>,
    closing: DropGuard,
}

impl Sandbox {
    /// Listens on `listen` (port 0: any free one) and serves in the background.
    ///
    /// Fails if it can't listen on the address, or if `options.faults` make no sense.
    pub async fn start(listen: SocketAddr, options: Options) -> io::Result<Self> {
        options.faults.check().map_err(|e| io::Error::new(io::ErrorKind::InvalidInput, e))?;
        let listener = CuttableListener::bind(listen).await.map_err(|e| {
            io::Error::new(e.kind(), format!("the sandbox can't listen on {listen}: {e}"))
        })?;
        let addr = axum::serve::Listener::local_addr(&listener)?;
        let closing = CancellationToken::new();
        let server = Arc::new(Server::new(options, closing.clone()));
        let service =
            server::router(Arc::clone(&server)).into_make_service_with_connect_info::<Wire>();
        let serving = axum::serve(listener, service)
            .with_graceful_shutdown(closing.clone().cancelled_owned())
            .into_future();
        Ok(Self { addr, server, task: tokio::spawn(serving), closing: closing.drop_guard() })
    }

    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// What a client takes as the API's base URL.
    pub fn base_url(&self) -> String {
        format!("http://{}", self.addr)
    }

    pub fn inbox(&self) -> Inbox {
        self.server.inbox.clone()
    }

    pub fn faults(&self) -> Faults {
        self.server.injector.faults()
    }

    /// Replaces all faults; the rules' counts start anew.
    pub fn set_faults(&self, faults: Faults) -> Result<(), InvalidFaults> {
        self.server.injector.set(faults)
    }

    /// Makes `token` the only one that is known.
    pub fn set_token(&self, token: &str) {
        self.server.set_token(token);
    }

    /// Adds a channel, or replaces the one with the same id.
    pub fn put_channel(&self, channel: ChannelSeed) {
        self.server.channels.put(channel);
    }

    /// Serves until `shutdown` is ready, then stops.
    pub async fn serve_until(mut self, shutdown: impl Future<Output = ()>) -> io::Result<()> {
        tokio::select! {
            () = shutdown => {
                self.stop().await;
                Ok(())
            }
            ended = &mut self.task => ended.map_err(io::Error::other)?,
        }
    }

    /// Takes no new connection, cuts those that wait, and lets answers that are being written end.
    pub async fn stop(self) {
        let Self { task, closing, .. } = self;
        closing.disarm().cancel();
        if tokio::time::timeout(STOP_GRACE, task).await.is_err() {
            tracing::warn!("the sandbox stopped with connections open");
        }
    }
}
