//! `/_sandbox`: the sandbox seen and steered while it runs. No token is needed.

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::rejection::{BytesRejection, QueryRejection};
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, put};
use axum::{Json, Router};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::json;

use super::answer;
use super::channels::ChannelSeed;
use super::faults::Faults;
use super::server::Server;

const DEFAULT_LIMIT: usize = 1_000;
const MAX_LIMIT: usize = 10_000;
const REFUSALS_LISTED: usize = 200;

pub(super) fn router() -> Router<Arc<Server>> {
    Router::new()
        .route("/faults", get(show_faults).put(put_faults).delete(clear_faults))
        .route("/token", put(put_token))
        .route("/channels/{id}", put(put_channel).delete(remove_channel))
        .route("/inbox", get(show_inbox).delete(clear_inbox))
        .route("/stats", get(show_stats))
        .route("/refusals", get(show_refusals))
}

fn bad_request(reason: &str) -> Response {
    answer::error(StatusCode::BAD_REQUEST, reason)
}

/// A JSON body, whatever its content type: `curl -X PUT -d` announces a form.
#[expect(clippy::result_large_err, reason = "the error is the answer, and it is made once")]
fn read<T: DeserializeOwned>(body: Result<Bytes, BytesRejection>) -> Result<T, Response> {
    let bytes = body.map_err(IntoResponse::into_response)?;
    let Json(value) =
        Json::from_bytes(&bytes).map_err(|rejection| bad_request(&rejection.body_text()))?;
    Ok(value)
}

async fn show_faults(State(server): State<Arc<Server>>) -> Json<Faults> {
    Json(server.injector.faults())
}

async fn put_faults(
    State(server): State<Arc<Server>>,
    body: Result<Bytes, BytesRejection>,
) -> Result<Json<Faults>, Response> {
    let faults = read(body)?;
    server.injector.set(faults).map_err(|e| bad_request(&e.to_string()))?;
    Ok(Json(server.injector.faults()))
}

async fn clear_faults(State(server): State<Arc<Server>>) -> Result<StatusCode, Response> {
    server.injector.set(Faults::default()).map_err(|e| bad_request(&e.to_string()))?;
    Ok(StatusCode::NO_CONTENT)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct TokenFields {
    token: String,
}

async fn put_token(
    State(server): State<Arc<Server>>,
    body: Result<Bytes, BytesRejection>,
) -> Result<StatusCode, Response> {
    let TokenFields { token } = read(body)?;
    if token.is_empty() {
        return Err(bad_request("`token` is empty"));
    }
    server.set_token(&token);
    Ok(StatusCode::NO_CONTENT)
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct ChannelFields {
    name: String,
    #[serde(default = "line", rename = "type")]
    kind: String,
    brand_name: Option<String>,
    #[serde(default)]
    deleted: bool,
}

fn line() -> String {
    "line".to_owned()
}

async fn put_channel(
    State(server): State<Arc<Server>>,
    Path(id): Path<String>,
    body: Result<Bytes, BytesRejection>,
) -> Result<StatusCode, Response> {
    let ChannelFields { name, kind, brand_name, deleted } = read(body)?;
    let brand_name = brand_name.unwrap_or_else(|| name.clone());
    server.channels.put(ChannelSeed { id, name, kind, brand_name, deleted });
    Ok(StatusCode::NO_CONTENT)
}

async fn remove_channel(State(server): State<Arc<Server>>, Path(id): Path<String>) -> Response {
    if server.channels.remove(&id) {
        StatusCode::NO_CONTENT.into_response()
    } else {
        answer::error(StatusCode::NOT_FOUND, "no channel has this id")
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct InboxQuery {
    #[serde(default)]
    after: u64,
    limit: Option<usize>,
}

async fn show_inbox(
    State(server): State<Arc<Server>>,
    query: Result<Query<InboxQuery>, QueryRejection>,
) -> Result<Response, Response> {
    let Query(InboxQuery { after, limit }) =
        query.map_err(|rejection| bad_request(&rejection.body_text()))?;
    let limit = limit.unwrap_or(DEFAULT_LIMIT);
    if !(1..=MAX_LIMIT).contains(&limit) {
        return Err(bad_request("`limit` must be 1 to 10000"));
    }
    let mut messages = server.inbox.after(after, limit.saturating_add(1));
    let more = messages.len() > limit;
    messages.truncate(limit);
    let messages: Vec<_> = messages.iter().map(AsRef::as_ref).collect();
    let stats = server.inbox.stats();
    let shown = json!({
        "messages": messages, "more": more, "last_seq": stats.last_seq, "dropped": stats.dropped,
    });
    Ok(Json(shown).into_response())
}

async fn clear_inbox(State(server): State<Arc<Server>>) -> StatusCode {
    server.inbox.clear();
    StatusCode::NO_CONTENT
}

async fn show_stats(State(server): State<Arc<Server>>) -> Response {
    Json(server.inbox.stats()).into_response()
}

async fn show_refusals(State(server): State<Arc<Server>>) -> Response {
    Json(json!({ "refusals": server.inbox.refusals(REFUSALS_LISTED) })).into_response()
}
