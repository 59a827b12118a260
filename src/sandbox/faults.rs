//! The faults that a sandbox can be told to show, in code and as JSON.
//!
//! ```json
//! {"latency_ms": 20, "jitter_ms": 10,
//!  "rules": [{"fault": {"kind": "rate_limited", "retry_after": {"seconds": 2}}, "next": 3},
//!            {"fault": {"kind": "reset_after_acceptance"}, "every": 50, "contactId": "c-1"}]}
//! ```
//!
//! Faults befall calls that the API would have granted; the strict checks come first.

use std::collections::BTreeSet;
use std::fmt;

use axum::http::HeaderValue;
use serde::{Deserialize, Serialize};

use super::rule::Rule;

const MAX_DELAY_MS: u64 = 120_000;
const MAX_HANG_SECONDS: u64 = 120;
const MAX_RULES: usize = 1_000;

/// What goes wrong. The default is nothing.
#[derive(Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Faults {
    /// How long every granted call takes, in milliseconds.
    pub latency_ms: u64,
    /// Up to this much more, in milliseconds, at random.
    pub jitter_ms: u64,
    /// With more than this many sends at once, each takes `latency_ms` in proportion.
    pub capacity: Option<u32>,
    /// The `contactId`s that a send refuses with 400.
    pub refused_contacts: BTreeSet<String>,
    /// The first rule that fits a call and fires decides.
    pub rules: Vec<Rule>,
}

impl fmt::Debug for Faults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Faults")
            .field("latency_ms", &self.latency_ms)
            .field("jitter_ms", &self.jitter_ms)
            .field("capacity", &self.capacity)
            .field("refused_contacts", &self.refused_contacts.len())
            .field("rules", &self.rules)
            .finish()
    }
}

/// What befalls a call. `accept` says whether a message is accepted all the same.
// The empty braces make serde refuse unknown fields, which it does not for unit variants.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum Fault {
    /// Any status. Without a `body`, an error body of the API's kind.
    Status {
        status: u16,
        #[serde(default)]
        body: Option<String>,
        #[serde(default)]
        content_type: Option<String>,
        #[serde(default)]
        accept: bool,
    },
    /// 429.
    RateLimited {
        #[serde(default)]
        retry_after: Option<RetryAfter>,
    },
    /// 503.
    Unavailable {
        #[serde(default)]
        retry_after: Option<RetryAfter>,
    },
    /// 429 with the body by which LINE says that the month's messages are used up.
    MonthlyLimit {},
    /// 401, as for a token that has been revoked.
    RevokedToken {},
    /// The connection is reset, and the message was not accepted.
    ResetBeforeAcceptance {},
    /// The connection is reset, and the message was accepted.
    ResetAfterAcceptance {},
    /// No answer; after `max_seconds` (at most 120) the connection is reset.
    Hang {
        #[serde(default)]
        accept: bool,
        #[serde(default = "max_hang_seconds")]
        max_seconds: u64,
    },
    /// 200 with a web page, as of a proxy or a wrong host.
    Html {
        #[serde(default)]
        accept: bool,
    },
    /// 200 without a body.
    Empty {
        #[serde(default = "yes")]
        accept: bool,
    },
    /// 200 with half of the body that `Content-Length` announces; then the connection ends.
    CutShort {
        #[serde(default = "yes")]
        accept: bool,
    },
    /// 200 with a whole body that is half of the JSON.
    Truncated {
        #[serde(default = "yes")]
        accept: bool,
    },
    /// The right answer, its body spread over `duration_ms`.
    SlowBody {
        #[serde(default = "yes")]
        accept: bool,
        #[serde(default = "slow_body_ms")]
        duration_ms: u64,
    },
    /// 302; without a `location`, to the send endpoint, where a client that follows is refused.
    Redirect {
        #[serde(default)]
        location: Option<String>,
    },
}

/// The `Retry-After` header.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RetryAfter {
    Seconds(u32),
    /// An HTTP date, so many seconds from the answer.
    DateInSeconds(u32),
    /// As it is given, for what no server should say.
    Raw(String),
}

fn yes() -> bool {
    true
}

fn max_hang_seconds() -> u64 {
    MAX_HANG_SECONDS
}

fn slow_body_ms() -> u64 {
    2_000
}

impl Fault {
    /// The word for it in JSON and in the counters.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Status { .. } => "status",
            Self::RateLimited { .. } => "rate_limited",
            Self::Unavailable { .. } => "unavailable",
            Self::MonthlyLimit {} => "monthly_limit",
            Self::RevokedToken {} => "revoked_token",
            Self::ResetBeforeAcceptance {} => "reset_before_acceptance",
            Self::ResetAfterAcceptance {} => "reset_after_acceptance",
            Self::Hang { .. } => "hang",
            Self::Html { .. } => "html",
            Self::Empty { .. } => "empty",
            Self::CutShort { .. } => "cut_short",
            Self::Truncated { .. } => "truncated",
            Self::SlowBody { .. } => "slow_body",
            Self::Redirect { .. } => "redirect",
        }
    }

    /// Whether the message is accepted nevertheless.
    pub fn accepts(&self) -> bool {
        match self {
            Self::Status { accept, .. }
            | Self::Hang { accept, .. }
            | Self::Html { accept }
            | Self::Empty { accept }
            | Self::CutShort { accept }
            | Self::Truncated { accept }
            | Self::SlowBody { accept, .. } => *accept,
            Self::ResetAfterAcceptance {} => true,
            Self::RateLimited { .. }
            | Self::Unavailable { .. }
            | Self::MonthlyLimit {}
            | Self::RevokedToken {}
            | Self::ResetBeforeAcceptance {}
            | Self::Redirect { .. } => false,
        }
    }

    pub(super) fn check(&self) -> Result<(), &'static str> {
        let header =
            |value: Option<&String>| value.is_none_or(|value| HeaderValue::from_str(value).is_ok());
        let (fits, wanted) = match self {
            Self::Status { status, .. } if !(200..=599).contains(status) => {
                (false, "`status` must be 200 to 599")
            }
            Self::Status { content_type, .. } => {
                (header(content_type.as_ref()), "`content_type` is not a header's value")
            }
            Self::RateLimited { retry_after: Some(RetryAfter::Raw(value)) }
            | Self::Unavailable { retry_after: Some(RetryAfter::Raw(value)) } => {
                (header(Some(value)), "`retry_after` is not a header's value")
            }
            Self::Hang { max_seconds, .. } => {
                ((1..=MAX_HANG_SECONDS).contains(max_seconds), "`max_seconds` must be 1 to 120")
            }
            Self::SlowBody { duration_ms, .. } => {
                (*duration_ms <= MAX_DELAY_MS, "`duration_ms` must be at most 120000")
            }
            Self::Redirect { location } => {
                (header(location.as_ref()), "`location` is not a header's value")
            }
            Self::RateLimited { .. }
            | Self::Unavailable { .. }
            | Self::MonthlyLimit {}
            | Self::RevokedToken {}
            | Self::ResetBeforeAcceptance {}
            | Self::ResetAfterAcceptance {}
            | Self::Html { .. }
            | Self::Empty { .. }
            | Self::CutShort { .. }
            | Self::Truncated { .. } => (true, ""),
        };
        if fits { Ok(()) } else { Err(wanted) }
    }
}

/// Faults that make no sense.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidFaults {
    #[error("the faults can't be read: {0}")]
    Json(String),
    #[error("faults: {0}")]
    Field(&'static str),
    #[error("faults: `rules[{index}]`: {problem}")]
    Rule { index: usize, problem: &'static str },
}

impl Faults {
    /// Nothing but these rules.
    pub fn rules(rules: impl IntoIterator<Item = Rule>) -> Self {
        Self { rules: rules.into_iter().collect(), ..Self::default() }
    }

    /// Reads faults as `PUT /_sandbox/faults` takes them; unknown fields are refused by name.
    pub fn from_json(json: &str) -> Result<Self, InvalidFaults> {
        let axum::Json(faults) = axum::Json::<Self>::from_bytes(json.as_bytes())
            .map_err(|rejection| InvalidFaults::Json(rejection.body_text()))?;
        faults.check()?;
        Ok(faults)
    }

    /// Checks what the types leave open: ranges, and values that go into headers.
    pub fn check(&self) -> Result<(), InvalidFaults> {
        if self.latency_ms > MAX_DELAY_MS {
            return Err(InvalidFaults::Field("`latency_ms` must be at most 120000"));
        }
        if self.jitter_ms > MAX_DELAY_MS {
            return Err(InvalidFaults::Field("`jitter_ms` must be at most 120000"));
        }
        if self.capacity == Some(0) {
            return Err(InvalidFaults::Field("`capacity` must be at least 1"));
        }
        if self.capacity.is_some() && self.latency_ms == 0 {
            return Err(InvalidFaults::Field("`capacity` multiplies `latency_ms`, which is 0"));
        }
        if self.rules.len() > MAX_RULES {
            return Err(InvalidFaults::Field("`rules` has more than 1000"));
        }
        for (index, rule) in self.rules.iter().enumerate() {
            rule.check().map_err(|problem| InvalidFaults::Rule { index, problem })?;
        }
        Ok(())
    }
}
