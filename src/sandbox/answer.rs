//! The answers: right ones, refusals, and those that a fault makes of them.

use std::collections::VecDeque;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::body::Body;
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use tokio::io::{AsyncRead, ReadBuf};
use tokio_util::io::ReaderStream;
use tokio_util::sync::CancellationToken;

use super::clock;
use super::connection::Wire;
use super::faults::{Fault, RetryAfter};

/// What LINE answers when the month's messages are used up
/// (LINE Messaging API reference, *Error responses*).
const MONTHLY_LIMIT: &str = r#"{"message":"You have reached your monthly limit."}"#;
const HTML: &str = "<!doctype html><title>Welcome</title><h1>It works!</h1>";
const JSON: HeaderValue = HeaderValue::from_static("application/json");
const SLOW_PIECES: usize = 10;
/// Time for the first half of a body to leave before the connection ends.
const BEFORE_THE_CUT: Duration = Duration::from_millis(5);

/// A new request id: every answer carries its own.
pub(super) fn request_id() -> String {
    uuid::Uuid::new_v4().to_string()
}

/// An answer's body, ready to be sent or spoilt.
pub(super) fn body(value: &impl Serialize) -> Vec<u8> {
    // Structs of strings and numbers always serialize.
    serde_json::to_vec(value).unwrap_or_default()
}

pub(super) fn json(status: StatusCode, body: impl Into<Body>) -> Response {
    with(status, header::CONTENT_TYPE, JSON, body)
}

/// No error body is documented; this one resembles the documented success.
pub(super) fn error(status: StatusCode, message: &str) -> Response {
    #[derive(Serialize)]
    #[serde(rename_all = "camelCase")]
    struct ErrorBody<'a> {
        status: &'a str,
        message: &'a str,
        request_id: String,
    }
    let refusal = ErrorBody { status: "error", message, request_id: request_id() };
    let mut response = json(status, body(&refusal));
    if status == StatusCode::UNAUTHORIZED {
        let scheme = HeaderValue::from_static("Bearer");
        response.headers_mut().insert(header::WWW_AUTHENTICATE, scheme);
    }
    response
}

pub(super) fn unauthorized() -> Response {
    error(StatusCode::UNAUTHORIZED, "the token is unknown or has been revoked")
}

fn with(
    status: StatusCode,
    name: HeaderName,
    value: HeaderValue,
    body: impl Into<Body>,
) -> Response {
    (status, [(name, value)], body.into()).into_response()
}

/// Waits, unless the sandbox stops; `false` where it did.
pub(super) async fn pause(closing: &CancellationToken, duration: Duration) -> bool {
    if duration.is_zero() {
        return true;
    }
    closing.run_until_cancelled(tokio::time::sleep(duration)).await.is_some()
}

/// What `fault` makes of the right answer, whose body is `success`.
pub(super) async fn faulted(
    fault: &Fault,
    success: Vec<u8>,
    wire: &Wire,
    closing: &CancellationToken,
) -> Response {
    match fault {
        Fault::Status { status, body, content_type, .. } => {
            any_status(*status, body.as_deref(), content_type.as_deref())
        }
        Fault::RateLimited { retry_after } => {
            wait_first(StatusCode::TOO_MANY_REQUESTS, "too many requests", retry_after.as_ref())
        }
        Fault::Unavailable { retry_after } => {
            wait_first(StatusCode::SERVICE_UNAVAILABLE, "unavailable", retry_after.as_ref())
        }
        Fault::MonthlyLimit {} => json(StatusCode::TOO_MANY_REQUESTS, MONTHLY_LIMIT),
        Fault::RevokedToken {} => unauthorized(),
        Fault::ResetBeforeAcceptance {} | Fault::ResetAfterAcceptance {} => wire.cut(),
        Fault::Hang { max_seconds, .. } => {
            pause(closing, Duration::from_secs(*max_seconds)).await;
            wire.cut()
        }
        Fault::Html { .. } => {
            let html = HeaderValue::from_static("text/html; charset=utf-8");
            with(StatusCode::OK, header::CONTENT_TYPE, html, HTML)
        }
        Fault::Empty { .. } => StatusCode::OK.into_response(),
        Fault::CutShort { .. } => cut_short(&success, closing),
        Fault::Truncated { .. } => {
            let mut half = success;
            half.truncate(half.len() / 2);
            json(StatusCode::OK, half)
        }
        Fault::SlowBody { duration_ms, .. } => {
            slow(&success, Duration::from_millis(*duration_ms), closing)
        }
        Fault::Redirect { location } => {
            let location = location.as_deref().unwrap_or("/api/v1/message/send");
            let location = HeaderValue::from_str(location)
                .unwrap_or_else(|_| HeaderValue::from_static("/api/v1/message/send"));
            with(StatusCode::FOUND, header::LOCATION, location, Body::empty())
        }
    }
}

fn any_status(status: u16, body: Option<&str>, content_type: Option<&str>) -> Response {
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let Some(body) = body else { return error(status, "injected by the sandbox") };
    let kind = content_type.and_then(|kind| HeaderValue::from_str(kind).ok()).unwrap_or(JSON);
    with(status, header::CONTENT_TYPE, kind, body.to_owned())
}

fn wait_first(status: StatusCode, message: &str, retry_after: Option<&RetryAfter>) -> Response {
    let value = retry_after.map(|retry_after| match retry_after {
        RetryAfter::Seconds(seconds) => seconds.to_string(),
        RetryAfter::DateInSeconds(seconds) => clock::http_date_in(*seconds),
        RetryAfter::Raw(raw) => raw.clone(),
    });
    let mut response = error(status, message);
    if let Some(value) = value.and_then(|value| HeaderValue::from_str(&value).ok()) {
        response.headers_mut().insert(header::RETRY_AFTER, value);
    }
    response
}

fn cut_short(success: &[u8], closing: &CancellationToken) -> Response {
    let (half, _) = success.split_at(success.len() / 2);
    let steps = [Step::Bytes(half.to_vec()), Step::Wait(BEFORE_THE_CUT), Step::Cut];
    scripted(success.len(), steps.into(), closing)
}

fn slow(success: &[u8], duration: Duration, closing: &CancellationToken) -> Response {
    let piece = success.len().div_ceil(SLOW_PIECES).max(1);
    let wait = duration / u32::try_from(SLOW_PIECES).unwrap_or(1);
    let steps = success
        .chunks(piece)
        .flat_map(|bytes| [Step::Bytes(bytes.to_vec()), Step::Wait(wait)])
        .collect();
    scripted(success.len(), steps, closing)
}

fn scripted(announced: usize, steps: VecDeque<Step>, closing: &CancellationToken) -> Response {
    let script = Script { steps, waiting: None, closing: closing.clone() };
    let mut response = json(StatusCode::OK, Body::from_stream(ReaderStream::new(script)));
    response.headers_mut().insert(header::CONTENT_LENGTH, announced.into());
    response
}

enum Step {
    Bytes(Vec<u8>),
    Wait(Duration),
    Cut,
}

/// A body that comes in steps. An error in it makes the server end the connection.
struct Script {
    steps: VecDeque<Step>,
    /// Ready with `false` when the sandbox stops.
    waiting: Option<Pin<Box<dyn Future<Output = bool> + Send>>>,
    closing: CancellationToken,
}

impl AsyncRead for Script {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        loop {
            if let Some(waiting) = &mut self.waiting {
                let waited = ready!(waiting.as_mut().poll(cx));
                self.waiting = None;
                if !waited {
                    return Poll::Ready(Err(io::ErrorKind::ConnectionAborted.into()));
                }
            }
            match self.steps.pop_front() {
                None => return Poll::Ready(Ok(())),
                Some(Step::Bytes(mut bytes)) => {
                    let rest = bytes.split_off(bytes.len().min(buf.remaining()));
                    buf.put_slice(&bytes);
                    if !rest.is_empty() {
                        self.steps.push_front(Step::Bytes(rest));
                    }
                    return Poll::Ready(Ok(()));
                }
                Some(Step::Wait(duration)) => {
                    let closing = self.closing.clone();
                    self.waiting = Some(Box::pin(async move { pause(&closing, duration).await }));
                }
                Some(Step::Cut) => {
                    return Poll::Ready(Err(io::ErrorKind::UnexpectedEof.into()));
                }
            }
        }
    }
}
