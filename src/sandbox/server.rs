//! What the handlers share, and the routes.

use std::sync::{Arc, PoisonError, RwLock};

use axum::Router;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::response::Response;
use axum::routing::{get, post};
use tokio_util::sync::CancellationToken;

use super::api::{self, Refusal};
use super::channels::{self, Channels};
use super::inbox::Inbox;
use super::injector::Injector;
use super::{Options, answer, control, page, send};

/// The sandbox's own paths; what goes wrong there is not counted as the API's.
const CONTROL: &str = "/_sandbox";

pub(super) struct Server {
    token: RwLock<String>,
    pub(super) channels: Channels,
    pub(super) injector: Injector,
    pub(super) inbox: Inbox,
    /// Cancelled when the sandbox stops, so that nothing waits any longer.
    pub(super) closing: CancellationToken,
}

/// Of the randomness of faults and jitter: the same calls have the same faults.
const SEED: u64 = 0;

/// How many accepted messages the inbox keeps; beyond it the oldest go, and are counted.
const INBOX_MESSAGES: usize = 500_000;

/// How many bytes of accepted messages the inbox keeps, about.
const INBOX_BYTES: usize = 256 * 1024 * 1024;

impl std::fmt::Debug for Server {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Server")
            .field("channels", &self.channels)
            .field("inbox", &self.inbox)
            .finish_non_exhaustive()
    }
}

impl Server {
    pub(super) fn new(options: Options, closing: CancellationToken) -> Self {
        let Options { token, channels, faults } = options;
        Self {
            token: RwLock::new(token),
            channels: Channels::new(channels),
            injector: Injector::new(faults, SEED),
            inbox: Inbox::new(INBOX_MESSAGES, INBOX_BYTES),
            closing,
        }
    }

    pub(super) fn set_token(&self, token: &str) {
        token.clone_into(&mut self.token.write().unwrap_or_else(PoisonError::into_inner));
    }

    pub(super) fn knows_token(&self, token: &str) -> bool {
        *self.token.read().unwrap_or_else(PoisonError::into_inner) == token
    }
}

pub(super) fn router(server: Arc<Server>) -> Router {
    Router::new()
        .route(api::CHANNELS_PATH, get(channels::list))
        .route(api::SEND_PATH, post(send::send).layer(send::body_limit()))
        .route("/", get(page::show))
        .nest(CONTROL, control::router())
        .fallback(not_found)
        .method_not_allowed_fallback(wrong_method)
        .with_state(server)
}

async fn not_found(State(server): State<Arc<Server>>, request: Request) -> Response {
    let reason = "there is no such path";
    if request.uri().path().starts_with(CONTROL) {
        return answer::error(StatusCode::NOT_FOUND, reason);
    }
    api::refuse(&server, &request, Refusal::new(StatusCode::NOT_FOUND, reason))
}

async fn wrong_method(State(server): State<Arc<Server>>, request: Request) -> Response {
    let reason = "this path takes another method";
    let path = request.uri().path();
    if path.starts_with(CONTROL) {
        return answer::error(StatusCode::METHOD_NOT_ALLOWED, reason);
    }
    if path == api::SEND_PATH {
        server.inbox.count_attempt();
    }
    api::refuse(&server, &request, Refusal::new(StatusCode::METHOD_NOT_ALLOWED, reason))
}
