//! The HTTP client of the API.
//!
//! # Sent once
//!
//! A POST is written to a connection at most once. reqwest repeats requests of its own accord on
//! some HTTP/2 errors (a stream refused, a `GOAWAY`); that is switched off. The pool below it
//! repeats one only when it gets it back unwritten from a connection that the server had closed
//! while it was idle, which is safe. The module `attempt` makes sure of both: a body that cannot be
//! copied cannot be sent twice.
//!
//! # HTTP/1.1
//!
//! Over HTTP/2 all requests share one connection, and when it breaks, every delivery in flight is
//! ambiguous at once; a server that retires a connection, as many do after a thousand requests,
//! also catches those that are on their way to it. Over HTTP/1.1 a broken connection costs one
//! delivery its certainty, and a server announces the end of a connection in its last answer.
//! For messages that must not be repeated that is worth some more connections.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use reqwest::header::{ACCEPT, AUTHORIZATION, HeaderMap, HeaderName, HeaderValue};
use reqwest::{Method, Request, Url};
use secrecy::ExposeSecret as _;
use serde::Serialize;

use super::answers::{Failure, Unanswered, classify};
use super::attempt::{Bounds, exchange};
use super::token::Token;
use crate::domain::clock::Timestamp;
use crate::domain::message::{Message, Recipient};
use crate::domain::outcome::Outcome;

/// The most bytes read of the answer to a send request; the documented one has some 200.
const ANSWER_LIMIT: usize = 64 * 1024;

/// How long a connection may be idle and still be used. Node's HTTP server closes one after 5 s,
/// the shortest default in common use; a request that crosses such a close is ambiguous, and a
/// new connection is cheap beside that.
const IDLE_LIMIT: Duration = Duration::from_secs(4);

/// A connection is made within a third of the attempt's time, and within this.
const LONGEST_CONNECT: Duration = Duration::from_secs(5);

/// How a message is written into the body of a request.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Encoding {
    #[default]
    Json,
    /// `application/x-www-form-urlencoded`.
    Form,
}

/// What the client needs to know of the configuration.
#[derive(Clone, Debug)]
pub struct Settings {
    /// `https://api.klink.cloud`, or wherever `/api/v1` is to be found: `https` or `http`, without
    /// user, password, query and fragment.
    pub base_url: Url,
    pub encoding: Encoding,
    /// For one whole attempt, connection and answer included; more than zero.
    pub timeout: Duration,
    /// The header that carries the stable id of a delivery. The vendor documents none.
    pub delivery_id_header: Option<HeaderName>,
    pub user_agent: String,
}

/// Why there can be no client.
#[derive(Debug, thiserror::Error)]
#[error("the HTTP client can't be built: {0}; check the system's TLS certificates")]
pub struct ClientError(#[from] reqwest::Error);

/// Sends messages and asks for the channel listing. Connections are kept and shared by all who
/// share the client.
pub struct Client {
    http: reqwest::Client,
    base: Url,
    send_url: Url,
    encoding: Encoding,
    delivery_id_header: Option<HeaderName>,
    bounds: Bounds,
    token: Arc<Token>,
    /// Why the last request could not be made.
    told: Mutex<Option<String>>,
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client")
            .field("base", &self.base.as_str())
            .field("encoding", &self.encoding)
            .finish_non_exhaustive()
    }
}

/// The body of a send request. The documented names, and nothing besides.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Payload<'a> {
    channel_id: &'a str,
    message: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    contact_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    platform_user_id: Option<&'a str>,
}

impl<'a> From<&'a Message> for Payload<'a> {
    fn from(message: &'a Message) -> Self {
        let (contact_id, platform_user_id) = match &message.recipient {
            Recipient::Contact(id) => (Some(&**id), None),
            Recipient::LineUser(id) => (None, Some(&**id)),
        };
        let channel_id = &*message.channel.id;
        Self { channel_id, message: message.text.as_str(), contact_id, platform_user_id }
    }
}

impl Client {
    /// No connection is made yet.
    pub fn new(settings: &Settings, token: Arc<Token>) -> Result<Self, ClientError> {
        let base = settings.base_url.clone();
        Ok(Self {
            http: http_client(settings)?,
            send_url: below(&base, &["api", "v1", "message", "send"]),
            base,
            encoding: settings.encoding,
            delivery_id_header: settings.delivery_id_header.clone(),
            bounds: Bounds { time: settings.timeout, body: ANSWER_LIMIT },
            token,
            told: Mutex::default(),
        })
    }

    /// Makes one attempt to send a message. `delivery_id` is the same for every attempt of the
    /// same delivery; it is asked for only where a header carries it.
    ///
    /// Dropping the future gives the attempt up; whether the message was sent is unknown then.
    pub async fn send(&self, message: &Message, delivery_id: impl fmt::Display) -> Outcome {
        let Ok(request) = self.send_request(message, delivery_id) else {
            return Outcome::without_answer(Failure::Transport.into());
        };
        match exchange(&self.http, request, self.bounds).await {
            Ok(received) => {
                self.note_cause(None);
                classify(&received.answer(), now())
            }
            Err(Unanswered { failure, cause }) => {
                if cause.is_some() {
                    self.note_cause(cause);
                }
                Outcome::without_answer(failure.into())
            }
        }
    }

    /// Tells each cause once, until an answer has come.
    fn note_cause(&self, cause: Option<String>) {
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(cause) = cause.as_ref().filter(|cause| told.as_ref() != Some(cause)) {
            tracing::warn!(cause, "a request could not be made");
        }
        *told = cause;
    }

    fn send_request(
        &self,
        message: &Message,
        delivery_id: impl fmt::Display,
    ) -> Result<Request, CannotBeMade> {
        let payload = Payload::from(message);
        let request = self.http.post(self.send_url.clone());
        let request = match self.encoding {
            Encoding::Json => request.json(&payload),
            Encoding::Form => request.form(&payload),
        };
        let mut request = request.build().map_err(|_| CannotBeMade)?;
        let headers = request.headers_mut();
        self.add_headers(headers)?;
        if let Some(name) = &self.delivery_id_header {
            let value = HeaderValue::try_from(delivery_id.to_string()).map_err(|_| CannotBeMade)?;
            headers.insert(name.clone(), value);
        }
        Ok(request)
    }

    /// A GET of the API, `path` below the base, with the query `pairs`.
    pub(super) fn get(
        &self,
        path: &[&str],
        pairs: &[(&str, &str)],
    ) -> Result<Request, CannotBeMade> {
        let mut url = below(&self.base, path);
        url.query_pairs_mut().extend_pairs(pairs);
        let mut request = Request::new(Method::GET, url);
        self.add_headers(request.headers_mut())?;
        Ok(request)
    }

    fn add_headers(&self, headers: &mut HeaderMap) -> Result<(), CannotBeMade> {
        let bearer = format!("Bearer {}", self.token.current().expose_secret());
        let mut bearer = HeaderValue::try_from(bearer).map_err(|_| CannotBeMade)?;
        bearer.set_sensitive(true);
        headers.insert(AUTHORIZATION, bearer);
        headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
        Ok(())
    }

    pub(super) fn http(&self) -> &reqwest::Client {
        &self.http
    }

    /// The time for one attempt.
    pub(super) fn timeout(&self) -> Duration {
        self.bounds.time
    }
}

/// A request that can't be written: the token is no header value.
#[derive(Debug)]
pub(super) struct CannotBeMade;

/// The time of day at which an answer came; a `Retry-After` may be a date.
#[expect(clippy::disallowed_methods, reason = "an answer's date is measured from its arrival")]
pub(super) fn now() -> Timestamp {
    let since_epoch = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    Timestamp(0).plus(since_epoch)
}

/// The URL with `segments` after the path of `base`, whether that ends in a slash or not.
fn below(base: &Url, segments: &[&str]) -> Url {
    let mut url = base.clone();
    // The schemes that a base has are those that have a path.
    if let Ok(mut path) = url.path_segments_mut() {
        path.pop_if_empty().extend(segments);
    }
    url
}

fn http_client(settings: &Settings) -> Result<reqwest::Client, reqwest::Error> {
    let builder = reqwest::Client::builder()
        .http1_only()
        .retry(reqwest::retry::never())
        .redirect(reqwest::redirect::Policy::none())
        .referer(false)
        .connect_timeout(LONGEST_CONNECT.min(settings.timeout / 3))
        .pool_idle_timeout(IDLE_LIMIT)
        .user_agent(&settings.user_agent);
    // The proxy of the environment (HTTPS_PROXY, NO_PROXY) is often the only way out of a network,
    // and for https it sees a tunnel. Plain http it would read: the token, the text and the
    // recipient. That is for a sandbox or a test beside the bridge, which needs no proxy.
    let builder = if settings.base_url.scheme() == "http" { builder.no_proxy() } else { builder };
    builder.build()
}

#[cfg(test)]
pub(super) mod tests;
