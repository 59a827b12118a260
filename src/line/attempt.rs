//! One request and what came of it, with bounds on its time and on the answer's size.

use std::error::Error;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Frame, SizeHint};
use reqwest::header::RETRY_AFTER;
use reqwest::{Body, Request, Response};

use super::answers::{Answer, Failure, Unanswered};

/// The bounds of one attempt.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bounds {
    /// From the first look for a connection to the last byte of the answer.
    pub(super) time: Duration,
    /// The most bytes of the answer's body that are read.
    pub(super) body: usize,
}

/// An answer: its status line came, and of its body as much as `end` says.
pub(super) struct Received {
    pub(super) status: u16,
    pub(super) retry_after: Option<String>,
    pub(super) body: Vec<u8>,
    pub(super) end: BodyEnd,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum BodyEnd {
    Complete,
    /// The connection or the time ended before the body did.
    Cut,
    /// The body is longer than the bound.
    TooLong,
}

impl Received {
    pub(super) fn answer(&self) -> Answer<'_> {
        Answer { status: self.status, retry_after: self.retry_after.as_deref(), body: &self.body }
    }

    fn head(response: &Response) -> Self {
        let retry_after = response.headers().get(RETRY_AFTER);
        Self {
            status: response.status().as_u16(),
            retry_after: retry_after.and_then(|value| value.to_str().ok()).map(str::to_owned),
            body: Vec::new(),
            end: BodyEnd::Cut,
        }
    }

    /// Reads the body chunk by chunk, so that neither a long one nor one that is cut short takes
    /// away what has come.
    async fn read(&mut self, mut response: Response, bound: usize) {
        while let Ok(chunk) = response.chunk().await {
            let Some(chunk) = chunk else {
                self.end = BodyEnd::Complete;
                return;
            };
            let room = bound.saturating_sub(self.body.len());
            if let Some(beginning) = chunk.get(..room)
                && chunk.len() > room
            {
                self.body.extend_from_slice(beginning);
                self.end = BodyEnd::TooLong;
                return;
            }
            self.body.extend_from_slice(&chunk);
        }
    }
}

/// Performs one request. Once a status line has come there is an answer, whatever follows it.
pub(super) async fn exchange(
    http: &reqwest::Client,
    mut request: Request,
    bounds: Bounds,
) -> Result<Received, Unanswered> {
    let begun = watch_body(&mut request);
    let mut received = None;
    let ended = tokio::time::timeout(bounds.time, async {
        let response = http.execute(request).await?;
        let answer = received.insert(Received::head(&response));
        answer.read(response, bounds.body).await;
        Ok::<(), reqwest::Error>(())
    })
    .await;
    match (received, ended) {
        (Some(received), _) => Ok(received),
        (None, Ok(Err(error))) => Err(unanswered(&error, begun.get())),
        (None, Ok(Ok(())) | Err(_)) => Err(Unanswered::without_cause(silence(begun.get()))),
    }
}

/// Whether a request has begun, as far as its body tells.
#[derive(Clone)]
struct Begun(Arc<AtomicBool>);

impl Begun {
    fn get(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }
}

/// A body that remembers whether it was asked for, and gives itself away once.
///
/// This is what tells "not applied" from "ambiguous". The connection asks for the body in the same
/// breath in which it begins to write the request, and an API cannot act on a request whose body
/// has not arrived; so while nobody has asked, nothing has been done, whatever went wrong. Error
/// kinds alone do not tell that: a connection that is closed before it was used, and the timeout
/// while one is being made, look like failures of the request.
///
/// Such a body cannot be copied either, so no layer below can send a request twice.
struct WatchedBody {
    body: Body,
    begun: Begun,
}

fn watch_body(request: &mut Request) -> Begun {
    // A request without a body can have arrived as soon as it was made.
    let begun = Begun(Arc::new(AtomicBool::new(request.body().is_none())));
    if let Some(body) = request.body_mut().take() {
        let body = WatchedBody { body, begun: begun.clone() };
        *request.body_mut() = Some(Body::wrap(body));
    }
    begun
}

impl http_body::Body for WatchedBody {
    type Data = Bytes;
    type Error = reqwest::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, reqwest::Error>>> {
        self.begun.0.store(true, Ordering::Release);
        Pin::new(&mut self.body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    /// Exact, so that the request has a `Content-Length` rather than chunks, which not every
    /// server takes.
    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

fn unanswered(error: &reqwest::Error, begun: bool) -> Unanswered {
    let failure = failure(error, begun);
    let cause = error.source().filter(|_| error.is_connect());
    Unanswered { failure, cause: cause.map(reason) }
}

/// The innermost error's text; the one around it where that says more.
fn reason(error: &dyn Error) -> String {
    let text = error.to_string();
    match error.source().map(reason) {
        Some(inner) if !text.starts_with(&inner) => inner,
        Some(_) | None => text,
    }
}

fn failure(error: &reqwest::Error, begun: bool) -> Failure {
    // A URL that can't be requested, or a certificate that is not the API's, will not mend by
    // trying again. Other faults of a TLS handshake (it was cut off, it took too long, a proxy's
    // error page came in its place) are those of a host that is not up.
    if error.is_builder() || (error.is_connect() && is_certificate(error)) {
        return Failure::Transport;
    }
    if error.is_connect() {
        return Failure::Unreachable;
    }
    silence(begun)
}

fn silence(begun: bool) -> Failure {
    if begun { Failure::NoAnswer } else { Failure::Unreachable }
}

/// Whether an error comes of a certificate. The TLS library has no type for it that reaches this
/// far, but it says so: OpenSSL's "certificate verify failed", and the alerts of a server that
/// wants a certificate of ours ("bad certificate", "certificate required").
fn is_certificate(error: &reqwest::Error) -> bool {
    let mut source = error.source();
    while let Some(cause) = source {
        if cause.to_string().to_ascii_lowercase().contains("certificate") {
            return true;
        }
        source = cause.source();
    }
    false
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;
    use crate::line::test_server::Server;
    use crate::line::test_server::Step::{Hang, Read};

    /// A client that knows no bound but that of the attempt, and repeats what reqwest repeats.
    fn post(base_url: &str) -> (reqwest::Client, Request) {
        let http = reqwest::Client::builder().no_proxy().build().unwrap();
        let request = http.post(base_url).body("text").build().unwrap();
        (http, request)
    }

    #[rstest]
    #[case::while_connecting("https:", Failure::Unreachable)]
    #[case::after_the_request("http:", Failure::NoAnswer)]
    #[tokio::test]
    async fn a_timeout_is_ambiguous_once_the_body_was_asked_for(
        #[case] scheme: &str,
        #[case] expected: Failure,
    ) {
        let server = Server::start(vec![vec![Read, Hang]]).await;
        let (http, request) = post(&server.base_url.replace("http:", scheme));
        let bounds = Bounds { time: Duration::from_millis(500), body: 10 };
        let failed = exchange(&http, request, bounds).await.err();
        assert_eq!(failed.map(|failed| failed.failure), Some(expected));
    }

    #[test]
    fn a_watched_body_cannot_be_copied_by_those_who_would_repeat_it() {
        let (_, mut request) = post("http://127.0.0.1");
        assert!(request.try_clone().is_some());
        let begun = watch_body(&mut request);
        assert!(request.try_clone().is_none());
        assert!(!begun.get());
    }

    #[test]
    fn a_request_without_a_body_may_have_begun_at_any_time() {
        let http = reqwest::Client::new();
        let mut request = http.get("http://127.0.0.1").build().unwrap();
        assert!(watch_body(&mut request).get());
    }
}
