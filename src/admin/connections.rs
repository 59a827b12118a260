//! Connections that nobody can hold on to: each carries one request and has its time, and so many
//! are there at once. Else a client that sends slowly would keep the probes from answering.

use std::time::Duration;

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::TokioIo;
use hyper_util::service::TowerToHyperService;
use tokio::net::TcpListener;
use tokio::task::JoinSet;

/// More than probes, scrapes and a few people with browsers need.
const AT_ONCE: usize = 256;

/// How long to wait where accepting fails for want of file descriptors or memory.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Answers until the task is dropped. A connection ends after `lifetime` at the latest.
pub(super) async fn serve(listener: TcpListener, router: Router, lifetime: Duration) {
    let mut connections = JoinSet::new();
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept(), if connections.len() < AT_ONCE => accepted,
            Some(_) = connections.join_next() => continue,
        };
        let stream = match accepted {
            Ok((stream, _)) => stream,
            Err(error) => {
                tracing::warn!(%error, "the admin server can't accept a connection");
                tokio::time::sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        let service = TowerToHyperService::new(router.clone());
        connections.spawn(async move {
            let mut http = http1::Builder::new();
            let exchange = http.keep_alive(false).serve_connection(TokioIo::new(stream), service);
            // Who is too slow, or hangs up, is no concern of the bridge.
            drop(tokio::time::timeout(lifetime, exchange).await);
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::routing::get;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpStream;
    use tokio_util::task::AbortOnDropHandle;

    async fn server(lifetime: Duration) -> (std::net::SocketAddr, AbortOnDropHandle<()>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let router = Router::new().route("/livez", get(|| async { "alive\n" }));
        (address, AbortOnDropHandle::new(tokio::spawn(serve(listener, router, lifetime))))
    }

    async fn all_of(connection: &mut TcpStream) -> String {
        let mut answer = String::new();
        connection.read_to_string(&mut answer).await.unwrap();
        answer
    }

    #[tokio::test]
    async fn a_request_is_answered_and_its_connection_closed() {
        let (address, _server) = server(Duration::from_mins(10)).await;
        let mut connection = TcpStream::connect(address).await.unwrap();
        connection.write_all(b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
        let answer = all_of(&mut connection).await;
        assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
        assert!(answer.ends_with("\r\n\r\nalive\n"), "{answer}");
    }

    /// More of them than there is room for, each with half a request.
    #[tokio::test]
    async fn whoever_sends_too_slowly_is_cut_off_and_others_get_their_turn() {
        let (address, _server) = server(Duration::from_millis(100)).await;
        let mut slow = Vec::new();
        for _ in 0..=AT_ONCE {
            let mut connection = TcpStream::connect(address).await.unwrap();
            connection.write_all(b"GET /livez HT").await.unwrap();
            slow.push(connection);
        }
        for connection in &mut slow {
            assert_eq!(all_of(connection).await, "");
        }
    }
}
