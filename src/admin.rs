//! `/metrics`, `/livez`, `/readyz` and `/status`.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use axum::routing::get;
use tokio::net::TcpListener;

use crate::domain::ports::Clock;
use crate::metrics::Metrics;

#[derive(Clone)]
struct Shown {
    metrics: Arc<Metrics>,
    clock: Arc<dyn Clock>,
}

/// The address can't be listened on.
#[derive(Debug, thiserror::Error)]
#[error(
    "`admin.listen: {address}` can't be listened on: {cause}; name another port, or stop what uses it"
)]
pub struct Busy {
    address: SocketAddr,
    cause: std::io::Error,
}

/// Takes the address, so that a busy one is known before anything else is begun.
pub async fn listen(address: SocketAddr) -> Result<TcpListener, Busy> {
    TcpListener::bind(address).await.map_err(|cause| Busy { address, cause })
}

/// Answers until the task is dropped.
pub async fn serve(listener: TcpListener, metrics: Arc<Metrics>, clock: Arc<dyn Clock>) {
    let router = Router::new()
        .route("/metrics", get(page))
        .route("/livez", get(livez))
        .route("/readyz", get(readyz))
        .route("/status", get(status))
        .with_state(Shown { metrics, clock });
    if let Err(error) = axum::serve(listener, router).await {
        tracing::error!(%error, "the admin server has ended");
    }
}

async fn page(State(shown): State<Shown>) -> impl IntoResponse {
    ([(header::CONTENT_TYPE, prometheus::TEXT_FORMAT)], shown.metrics.text())
}

async fn status(State(shown): State<Shown>) -> impl IntoResponse {
    axum::Json(shown.metrics.status(shown.clock.now()))
}

async fn livez(State(shown): State<Shown>) -> (StatusCode, &'static str) {
    if shown.metrics.health.is_alive(shown.clock.now()) {
        (StatusCode::OK, "alive\n")
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, "the driver or the poll loop stands still\n")
    }
}

async fn readyz(State(shown): State<Shown>) -> (StatusCode, &'static str) {
    if shown.metrics.health.is_ready() {
        (StatusCode::OK, "ready\n")
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, "not in the group yet, or draining\n")
    }
}
