//! What both endpoints of the API have in common.

use axum::extract::Request;
use axum::http::{HeaderMap, Method, StatusCode, header};
use axum::response::Response;

use super::answer;
use super::clock;
use super::connection::Wire;
use super::inbox::Refused;
use super::injector::Verdict;
use super::server::Server;

pub(super) const CHANNELS_PATH: &str = "/api/v1/channels";
pub(super) const SEND_PATH: &str = "/api/v1/message/send";
/// A longer path is shortened in the list of refusals.
const PATH_SHOWN: usize = 128;

/// Why the API does not grant a call.
#[derive(Debug)]
pub(super) struct Refusal {
    status: StatusCode,
    reason: String,
}

impl Refusal {
    pub(super) fn new(status: StatusCode, reason: impl Into<String>) -> Self {
        Self { status, reason: reason.into() }
    }

    pub(super) fn bad_request(reason: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, reason)
    }
}

/// Checks that the call carries the one token that is known.
pub(super) fn authorize(server: &Server, headers: &HeaderMap) -> Result<(), Refusal> {
    let refused = |reason: &str| Err(Refusal::new(StatusCode::UNAUTHORIZED, reason));
    let mut values = headers.get_all(header::AUTHORIZATION).iter();
    let Some(value) = values.next() else {
        return refused("the Authorization header is missing");
    };
    if values.next().is_some() {
        return refused("there are several Authorization headers");
    }
    match value.to_str().ok().and_then(|value| value.strip_prefix("Bearer ")) {
        None | Some("") => refused("the Authorization header is not `Bearer {token}`"),
        Some(token) if server.knows_token(token) => Ok(()),
        Some(_) => refused("the token is unknown or has been revoked"),
    }
}

/// Refuses a call and remembers why.
pub(super) fn refuse(server: &Server, request: &Request, refusal: Refusal) -> Response {
    refuse_path(server, request.method(), request.uri().path(), refusal)
}

pub(super) fn refuse_path(
    server: &Server,
    method: &Method,
    path: &str,
    refusal: Refusal,
) -> Response {
    let Refusal { status, reason } = refusal;
    let response = answer::error(status, &reason);
    note(server, method, path, Some(status), reason);
    response
}

fn note(server: &Server, method: &Method, path: &str, status: Option<StatusCode>, reason: String) {
    server.inbox.refuse(Refused {
        at_ms: clock::now_ms(),
        method: method.as_str().chars().take(PATH_SHOWN).collect(),
        path: path.chars().take(PATH_SHOWN).collect(),
        status: status.map(|status| status.as_u16()),
        reason,
    });
}

/// Answers a call that the API grants: with `success`, or as the verdict has it.
pub(super) async fn grant(
    server: &Server,
    wire: &Wire,
    (method, path): (&Method, &str),
    verdict: Verdict,
    success: Vec<u8>,
) -> Response {
    let Verdict { fault, delay } = verdict;
    if let Some(fault) = &fault {
        server.inbox.count_fault(fault.kind());
        if path == CHANNELS_PATH || !fault.accepts() {
            note(server, method, path, None, format!("injected fault `{}`", fault.kind()));
        }
    }
    if !answer::pause(&server.closing, delay).await {
        return wire.cut();
    }
    match fault {
        None => answer::json(StatusCode::OK, success),
        Some(fault) => answer::faulted(&fault, success, wire, &server.closing).await,
    }
}
