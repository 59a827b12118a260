//! What an answer of the API means for the message: a table of conditions, of which the first that
//! fits wins.
//!
//! The vendor documents one success body and nothing else, so the rules for everything else rest
//! on HTTP and on what LINE says of its own Messaging API, which the vendor wraps.

use std::collections::BTreeMap;
use std::fmt;
use std::time::{Duration, SystemTime};

use serde::de::IgnoredAny;
use serde_json::Value;
use serde_json::value::RawValue;

use crate::domain::clock::Timestamp;
use crate::domain::outcome::{Ambiguity, Class, NotApplied, Outcome, Scope, StopReason};

/// The shortest wait that a `Retry-After` may ask for: zero, or a date that has passed, would
/// make the channel a busy loop against an API that has just said no.
const SHORTEST_WAIT: Duration = Duration::from_secs(1);

/// The longest: a date that is wrong, or a clock that is, must not silence a channel for days.
/// Asking again once an hour costs one refused request.
const LONGEST_WAIT: Duration = Duration::from_hours(1);

/// What LINE says in a 409 whose `X-Line-Retry-Key` it has seen before (LINE Messaging API
/// reference, *Retry failed API requests*).
const RETRY_KEY_ACCEPTED: &[u8] = b"retry key is already accepted";

/// What LINE says in a 429 when the account's messages of the month are used up (LINE Messaging
/// API reference, *Error messages*).
const MONTHLY_LIMIT: &[u8] = b"you have reached your monthly limit";

/// A request id longer than this is no id.
const REQUEST_ID_LIMIT: usize = 128;

/// An answer as it came. Its `Debug` leaves the body out: the API echoes the recipient.
#[derive(Clone, Copy)]
pub struct Answer<'a> {
    pub status: u16,
    /// The text of the `Retry-After` header.
    pub retry_after: Option<&'a str>,
    /// What arrived of the body; the connection may have ended before the body did.
    pub body: &'a [u8],
}

impl fmt::Debug for Answer<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Answer({}, {} bytes)", self.status, self.body.len())
    }
}

/// Why there is no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failure {
    /// The request never left: DNS, a refused connection, a connection that was not made in time.
    Unreachable,
    /// The request began, and a reset, an end of file or the timeout came before a status line.
    NoAnswer,
    /// The request can't be made: a bad certificate, URL or token syntax.
    Transport,
}

/// A request to which no answer came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unanswered {
    pub failure: Failure,
    /// What the system or the TLS library says of a connection that was not made.
    pub cause: Option<String>,
}

impl Unanswered {
    pub(super) fn without_cause(failure: Failure) -> Self {
        Self { failure, cause: None }
    }
}

impl From<Failure> for Class {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Unreachable => Self::NotApplied(NotApplied::Unreachable),
            Failure::NoAnswer => Self::Ambiguous(Ambiguity::NoAnswer),
            Failure::Transport => Self::Stop(Scope::Account, StopReason::Transport),
        }
    }
}

/// Classifies an answer to a send request; `now` is what a `Retry-After` date is measured from.
pub fn classify(answer: &Answer<'_>, now: Timestamp) -> Outcome {
    let body = Body::read(answer.body);
    let class = match answer.status {
        200..=299 => success(&body, answer, now),
        status => refusal(status, answer, now),
    };
    Outcome { class, status: Some(answer.status), request_id: body.request_id() }
}

/// The 2xx rows. None of them is "no answer": once the status line has come, an API that keeps to
/// HTTP has taken the message, whatever became of the body.
fn success(body: &Body<'_>, answer: &Answer<'_>, now: Timestamp) -> Class {
    match body.verdict() {
        Verdict::Success => Class::Accepted,
        Verdict::Nothing => Class::Unverified,
        Verdict::Refused(status) => refusal(status, answer, now),
        Verdict::Unknown => Class::Ambiguous(Ambiguity::Unclear),
        Verdict::NotJson => Class::Ambiguous(Ambiguity::NotJson),
    }
}

/// The rows of every status but 2xx, which is never asked for here: a body's own `status` comes
/// this way too, and must not end up in the rows it came from.
pub(super) fn refusal(status: u16, answer: &Answer<'_>, now: Timestamp) -> Class {
    let wait = || answer.retry_after.and_then(|text| retry_after(text, now));
    match status {
        300..=399 => Class::Stop(Scope::Account, StopReason::Redirect),
        401 | 402 => Class::Stop(Scope::Account, StopReason::Unauthorized),
        403 => Class::Stop(Scope::Channel, StopReason::Forbidden),
        404 => Class::NotFound,
        405 | 406 | 415 | 501 => Class::Stop(Scope::Account, StopReason::Contract),
        408 => Class::Ambiguous(Ambiguity::ServerError),
        409 if says(answer.body, RETRY_KEY_ACCEPTED) => Class::Accepted,
        409 => Class::Ambiguous(Ambiguity::Unclear),
        // The limit comes first: a wait of some seconds would not bring the next month.
        429 if says(answer.body, MONTHLY_LIMIT) => {
            Class::Stop(Scope::Channel, StopReason::MonthlyLimit)
        }
        429 => Class::NotApplied(wait().map_or(NotApplied::RateLimited, NotApplied::RetryAfter)),
        503 => wait().map_or(Class::Ambiguous(Ambiguity::ServerError), |wait| {
            Class::NotApplied(NotApplied::RetryAfter(wait))
        }),
        400..=499 => Class::Permanent,
        500..=599 => Class::Ambiguous(Ambiguity::ServerError),
        // 1xx that are no final answer, and numbers that HTTP does not have: nothing is known.
        _ => Class::Ambiguous(Ambiguity::Unclear),
    }
}

/// The wait that a `Retry-After` asks for, in seconds or as an HTTP date (RFC 9110, 10.2.3),
/// within [`SHORTEST_WAIT`] and [`LONGEST_WAIT`]. What is neither counts as absent.
fn retry_after(text: &str, now: Timestamp) -> Option<Duration> {
    let text = text.trim();
    let wait = if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
        // More digits than a number holds are still a number: the longest wait.
        Duration::from_secs(text.parse().unwrap_or(u64::MAX))
    } else {
        let date = httpdate::parse_http_date(text).ok()?;
        let since_epoch = date.duration_since(SystemTime::UNIX_EPOCH).ok()?;
        Timestamp(0).plus(since_epoch).since(now)
    };
    Some(wait.clamp(SHORTEST_WAIT, LONGEST_WAIT))
}

/// Whether the body says `phrase` (in lower case), in letters of any case. The whole body is
/// searched, because the shape of the vendor's error bodies is not documented.
fn says(body: &[u8], phrase: &[u8]) -> bool {
    body.windows(phrase.len()).any(|window| window.eq_ignore_ascii_case(phrase))
}

/// A body as far as it can be read. Values stay unparsed until they are asked for, so that one
/// odd value (too deep, half a surrogate pair) does not hide the others.
enum Body<'a> {
    Object(BTreeMap<String, &'a RawValue>),
    /// JSON that is no object, or that ends early, or nothing at all.
    WithoutFields,
    NotJson,
}

/// What a 2xx body says.
enum Verdict {
    Success,
    /// Nothing that counts: no `status`, or one that is no error and not the documented success.
    Nothing,
    /// An error, by the number of an HTTP status.
    Refused(u16),
    Unknown,
    NotJson,
}

impl<'a> Body<'a> {
    fn read(bytes: &'a [u8]) -> Self {
        if let Ok(fields) = serde_json::from_slice(bytes) {
            return Self::Object(fields);
        }
        match serde_json::from_slice::<IgnoredAny>(bytes) {
            // An object that is not in UTF-8, which JSON has to be (RFC 8259).
            Ok(IgnoredAny) if bytes.trim_ascii_start().starts_with(b"{") => Self::NotJson,
            Ok(IgnoredAny) => Self::WithoutFields,
            // Good so far, and then the end: empty or cut short.
            Err(error) if error.is_eof() => Self::WithoutFields,
            Err(_) => Self::NotJson,
        }
    }

    fn field(&self, name: &str) -> Option<Value> {
        match self {
            Self::Object(fields) => {
                // A value that can't be parsed is there, but says nothing that is understood.
                let raw = fields.get(name)?;
                Some(serde_json::from_str(raw.get()).unwrap_or(Value::Bool(false)))
            }
            Self::WithoutFields | Self::NotJson => None,
        }
    }

    fn verdict(&self) -> Verdict {
        if matches!(self, Self::NotJson) {
            return Verdict::NotJson;
        }
        // The vendor's API writes a string, its newer generation a number.
        let number = match self.field("status") {
            None | Some(Value::Null) => return Verdict::Nothing,
            Some(Value::String(text)) if text.eq_ignore_ascii_case("success") => {
                return Verdict::Success;
            }
            Some(Value::String(text)) => text.parse().ok(),
            Some(Value::Number(number)) => number.as_u64(),
            Some(Value::Bool(_) | Value::Array(_) | Value::Object(_)) => None,
        };
        match number.and_then(|number| u16::try_from(number).ok()) {
            Some(200) => Verdict::Success,
            Some(201..=299) => Verdict::Nothing,
            Some(status @ 400..=599) => Verdict::Refused(status),
            Some(_) | None => Verdict::Unknown,
        }
    }

    /// The API's id of the request, where it is one that can go into a log and a header.
    fn request_id(&self) -> Option<String> {
        let Value::String(id) = self.field("requestId")? else { return None };
        let is_printable = id.bytes().all(|byte| byte.is_ascii_graphic());
        ((1..=REQUEST_ID_LIMIT).contains(&id.len()) && is_printable).then_some(id)
    }
}

#[cfg(test)]
mod tests;
