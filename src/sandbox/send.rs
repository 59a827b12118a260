//! `POST /api/v1/message/send`.

use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::{ConnectInfo, DefaultBodyLimit, FromRequest, Request, State};
use axum::http::{HeaderMap, Method, StatusCode, header};
use axum::response::Response;
use axum::{Form, Json};
use serde::{Deserialize, Deserializer, Serialize};

use super::answer;
use super::api::{self, Refusal, SEND_PATH};
use super::clock;
use super::connection::Wire;
use super::inbox::Received;
use super::injector::Call;
use super::lanes::{Lane, Recipient};
use super::server::Server;

/// Room for 5,000 UTF-16 code units, each escaped in JSON or in a form, and some more.
const BODY_LIMIT: usize = 128 * 1024;
/// How long a client may take to send its body.
const BODY_TIMEOUT: Duration = Duration::from_secs(30);
/// The longest text, in UTF-16 code units (LINE Messaging API reference, *Text message*).
const TEXT_LIMIT: usize = 5_000;
/// A longer value of a header is shortened in the inbox.
const HEADER_SHOWN: usize = 256;

const JSON: &str = "application/json";
const FORM: &str = "application/x-www-form-urlencoded";

pub(super) fn body_limit() -> DefaultBodyLimit {
    DefaultBodyLimit::max(BODY_LIMIT)
}

/// The request's fields. A field that is null is not one that is absent.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Draft {
    channel_id: String,
    message: String,
    #[serde(default, deserialize_with = "present")]
    contact_id: Option<String>,
    #[serde(default, deserialize_with = "present")]
    platform_user_id: Option<String>,
}

fn present<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    String::deserialize(deserializer).map(Some)
}

/// A send that the API grants.
struct Order {
    lane: Lane,
    text: String,
    retry_key: Option<String>,
    x_request_id: Option<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Sent<'a> {
    status: &'a str,
    channel: &'a str,
    message: String,
    request_id: &'a str,
}

pub(super) async fn send(
    State(server): State<Arc<Server>>,
    ConnectInfo(wire): ConnectInfo<Wire>,
    request: Request,
) -> Response {
    let arrived_at_ms = clock::now_ms();
    server.inbox.count_attempt();
    let order = match take(&server, request).await {
        Ok(order) => order,
        Err(refusal) => return api::refuse_path(&server, &Method::POST, SEND_PATH, refusal),
    };
    let Order { lane, text, retry_key, x_request_id } = order;
    let flight = server.inbox.begin(lane);
    let call = Call::Send { lane: &flight.lane, concurrent: flight.concurrent };
    let verdict = server.injector.judge(call);
    let request_id = answer::request_id();
    let Lane { channel_id, recipient } = &flight.lane;
    let of = match recipient {
        Recipient::Contact(_) => "contact Id",
        Recipient::PlatformUser(_) => "platform user Id",
    };
    let success = answer::body(&Sent {
        status: "success",
        channel: "Line",
        message: format!("Successfully sent message to {of} {}", recipient.id()),
        request_id: &request_id,
    });
    if verdict.fault.as_ref().is_none_or(super::Fault::accepts) {
        server.inbox.accept(Received {
            seq: 0,
            arrived_at_ms,
            channel_id: channel_id.clone(),
            recipient: recipient.clone(),
            text,
            request_id,
            retry_key,
            x_request_id,
            fault: verdict.fault.as_ref().map(super::Fault::kind),
        });
    }
    let response = api::grant(&server, &wire, (&Method::POST, SEND_PATH), verdict, success).await;
    drop(flight);
    response
}

async fn take(server: &Server, request: Request) -> Result<Order, Refusal> {
    api::authorize(server, request.headers())?;
    if request.uri().query().is_some() {
        return Err(Refusal::bad_request("the fields go into the body, never into the URL"));
    }
    if request.headers().contains_key(header::CONTENT_ENCODING) {
        let reason = "a Content-Encoding is not understood";
        return Err(Refusal::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, reason));
    }
    let encoding = content_type(request.headers())?;
    let retry_key = shown(request.headers(), "x-line-retry-key");
    let x_request_id = shown(request.headers(), "x-request-id");
    let draft = draft(encoding, read(request).await?).await?;
    let lane = Lane { recipient: recipient(server, &draft)?, channel_id: draft.channel_id };
    match draft.message.encode_utf16().count() {
        0 => return Err(Refusal::bad_request("`message` is empty")),
        1..=TEXT_LIMIT => {}
        units => {
            return Err(Refusal::bad_request(format!(
                "`message` has {units} UTF-16 code units; at most {TEXT_LIMIT} are taken"
            )));
        }
    }
    server.channels.check(&lane.channel_id)?;
    Ok(Order { lane, text: draft.message, retry_key, x_request_id })
}

#[derive(Clone, Copy)]
enum Encoding {
    Json,
    Form,
}

fn content_type(headers: &HeaderMap) -> Result<Encoding, Refusal> {
    let value = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let essence = value.and_then(|value| value.split(';').next()).unwrap_or_default().trim();
    if essence.eq_ignore_ascii_case(JSON) {
        Ok(Encoding::Json)
    } else if essence.eq_ignore_ascii_case(FORM) {
        Ok(Encoding::Form)
    } else {
        let reason = format!("the Content-Type must be {JSON} or {FORM}");
        Err(Refusal::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, reason))
    }
}

async fn read(request: Request) -> Result<Bytes, Refusal> {
    match tokio::time::timeout(BODY_TIMEOUT, Bytes::from_request(request, &())).await {
        Ok(Ok(bytes)) => Ok(bytes),
        Ok(Err(rejection)) => Err(Refusal::new(rejection.status(), rejection.body_text())),
        Err(_) => Err(Refusal::new(StatusCode::REQUEST_TIMEOUT, "the body did not come")),
    }
}

async fn draft(encoding: Encoding, bytes: Bytes) -> Result<Draft, Refusal> {
    match encoding {
        Encoding::Json => Json::from_bytes(&bytes)
            .map(|Json(draft)| draft)
            .map_err(|rejection| Refusal::bad_request(rejection.body_text())),
        Encoding::Form => {
            // The form's extractor takes a whole request, of which only the body is left.
            let request = Request::post(SEND_PATH)
                .header(header::CONTENT_TYPE, FORM)
                .body(Body::from(bytes))
                .map_err(|e| Refusal::bad_request(e.to_string()))?;
            Form::from_request(request, &())
                .await
                .map(|Form(draft)| draft)
                .map_err(|rejection| Refusal::bad_request(rejection.body_text()))
        }
    }
}

fn recipient(server: &Server, draft: &Draft) -> Result<Recipient, Refusal> {
    match (&draft.contact_id, &draft.platform_user_id) {
        (None, None) => {
            Err(Refusal::bad_request("one of `contactId` and `platformUserId` is required"))
        }
        (Some(_), Some(_)) => {
            Err(Refusal::bad_request("only one of `contactId` and `platformUserId` is taken"))
        }
        (Some(id), None) if id.trim().is_empty() => {
            Err(Refusal::bad_request("`contactId` is empty"))
        }
        (Some(id), None) if server.injector.refuses(id) => {
            Err(Refusal::bad_request("no contact has this `contactId`"))
        }
        (Some(id), None) => Ok(Recipient::Contact(id.clone())),
        (None, Some(id)) if is_line_user(id) => Ok(Recipient::PlatformUser(id.clone())),
        (None, Some(_)) => Err(Refusal::bad_request(
            "`platformUserId` must be `U` and 32 lower-case hexadecimal digits",
        )),
    }
}

/// LINE Messaging API reference: a user id is `U[0-9a-f]{32}`.
fn is_line_user(id: &str) -> bool {
    id.len() == 33
        && id.strip_prefix('U').is_some_and(|digits| {
            digits.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
        })
}

fn shown(headers: &HeaderMap, name: &str) -> Option<String> {
    let value = headers.get(name)?;
    Some(String::from_utf8_lossy(value.as_bytes()).chars().take(HEADER_SHOWN).collect())
}
