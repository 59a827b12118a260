//! `/metrics`, `/livez`, `/readyz` and `/status`.

mod connections;
mod page;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use tokio::net::TcpListener;

use crate::domain::ports::Clock;
use crate::metrics::Metrics;

/// How long one request and its answer may take; a page of metrics takes milliseconds.
const EXCHANGE: Duration = Duration::from_secs(10);

#[derive(Clone)]
struct Shown {
    metrics: Arc<Metrics>,
    clock: Arc<dyn Clock>,
}

/// It can't listen on the address.
#[derive(Debug, thiserror::Error)]
#[error(
    "can't listen on `admin.listen: {address}`: {cause}; choose another port, or stop what uses it"
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
        .route("/", get(status))
        .route("/metrics", get(figures))
        .route("/livez", get(livez))
        .route("/readyz", get(readyz))
        .route("/status", get(status))
        .with_state(Shown { metrics, clock });
    connections::serve(listener, router, EXCHANGE).await;
}

async fn figures(State(shown): State<Shown>) -> impl IntoResponse {
    ([(header::CONTENT_TYPE, prometheus::TEXT_FORMAT)], shown.metrics.text())
}

/// A page for a browser, JSON for everybody else.
async fn status(State(shown): State<Shown>, headers: HeaderMap) -> Response {
    let status = shown.metrics.status(shown.clock.now());
    let differs = [(header::VARY, "accept"), (header::CACHE_CONTROL, "no-store")];
    if page::is_wanted(&headers) {
        (differs, page::show(&status)).into_response()
    } else {
        (differs, axum::Json(status)).into_response()
    }
}

async fn livez(State(shown): State<Shown>) -> (StatusCode, &'static str) {
    if shown.metrics.health.is_alive(shown.clock.now()) {
        (StatusCode::OK, "alive\n")
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, "the driver or the poll loop is stuck\n")
    }
}

async fn readyz(State(shown): State<Shown>) -> (StatusCode, &'static str) {
    if shown.metrics.health.is_ready() {
        (StatusCode::OK, "ready\n")
    } else {
        (
            StatusCode::SERVICE_UNAVAILABLE,
            "not in the group (yet, or because no broker can be reached), or draining\n",
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::SystemClock;
    use crate::metrics::Labels;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpStream;
    use tokio_util::task::AbortOnDropHandle;

    async fn get(address: SocketAddr, path: &str, accept: &str) -> String {
        let mut connection = TcpStream::connect(address).await.unwrap();
        let request = format!("GET {path} HTTP/1.1\r\nHost: x\r\nAccept: {accept}\r\n\r\n");
        connection.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        connection.read_to_string(&mut answer).await.unwrap();
        answer
    }

    #[tokio::test]
    async fn a_browser_and_a_program_get_the_same_status_each_in_its_form() {
        let labels = Labels { config: "0123456789ab".to_owned(), ..Labels::default() };
        let metrics = Arc::new(Metrics::new(&labels).unwrap());
        let listener = listen("127.0.0.1:0".parse().unwrap()).await.unwrap();
        let address = listener.local_addr().unwrap();
        let serving = serve(listener, metrics, Arc::new(SystemClock::start()));
        let _serving = AbortOnDropHandle::new(tokio::spawn(serving));
        for path in ["/", "/status"] {
            let page = get(address, path, "text/html,*/*;q=0.8").await;
            assert!(page.contains("content-type: text/html; charset=utf-8\r\n"), "{page}");
            assert!(page.contains("content-security-policy: default-src 'none'"), "{page}");
            assert!(page.contains("<code>0123456789ab</code>"), "{page}");
            let json = get(address, path, "*/*").await;
            assert!(json.contains("content-type: application/json\r\n"), "{json}");
            let (_, json) = json.split_once("\r\n\r\n").unwrap();
            let json: serde_json::Value = serde_json::from_str(json).unwrap();
            assert_eq!(json["config"], "0123456789ab");
        }
    }
}
