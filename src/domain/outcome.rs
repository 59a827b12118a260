//! What an answer of the API means for the message, without HTTP.

use std::time::Duration;

/// The classification of one attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    pub class: Class,
    /// The HTTP status, where an answer came.
    pub status: Option<u16>,
    /// The API's id of the request, where it gave one.
    pub request_id: Option<String>,
}

/// What the bridge has to do with an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// The API said success; LINE gives no proof of delivery.
    Accepted,
    /// A 2xx with a body that is empty, cut short or without `status`: done, and counted apart.
    Unverified,
    /// The customer may have the message.
    Ambiguous(Ambiguity),
    /// The customer certainly does not have the message, and it may be sent again.
    NotApplied(NotApplied),
    /// This message is refused for good.
    Permanent,
    /// 404: the channel listing decides whether it is the channel or the recipient.
    NotFound,
    /// The fault is not this message's: nothing is spent, and deliveries wait.
    Stop(Scope, StopReason),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ambiguity {
    /// A reset, an end of file or a timeout after the request began.
    NoAnswer,
    /// 408, 5xx other than those of the contract.
    ServerError,
    /// A 2xx that is not JSON: a wrong host, or a proxy.
    NotJson,
    /// A 409 that does not name the retry key, or a 2xx whose `status` says an unknown thing.
    Unclear,
}

impl Ambiguity {
    pub fn label(self) -> &'static str {
        match self {
            Self::NoAnswer => "no_answer",
            Self::ServerError => "server_error",
            Self::NotJson => "not_json",
            Self::Unclear => "unclear",
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotApplied {
    /// DNS, refused, connect timeout: the request never left.
    Unreachable,
    /// 429 or 503 with `Retry-After`: the whole channel waits that long.
    RetryAfter(Duration),
    /// 429 without it: the channel's rate is cut.
    RateLimited,
}

/// How far a stop reaches.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Scope {
    Channel,
    /// The account: every channel.
    Account,
}

/// Why deliveries stop. The names are the values of the metrics' `reason` label.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum StopReason {
    /// 401 or 402.
    Unauthorized,
    /// 403.
    Forbidden,
    /// 404, and the listing lacks the channel.
    ChannelMissing,
    /// 404, and the listing failed as well.
    ListingFailed,
    /// 3xx.
    Redirect,
    /// 405, 406, 415, 501: the API is not the one this was written for.
    Contract,
    /// A bad certificate, URL or token syntax: the request can't be made.
    Transport,
    /// 429 that says the monthly limit is reached.
    MonthlyLimit,
    /// Five ambiguous answers in a row.
    Outage,
    /// Five attempts in a row that never reached the API.
    Unreachable,
    /// Five refusals alike in a row.
    Rejected,
    /// Five unverified answers in a row.
    Unverified,
    /// Five answers in a row that are not JSON.
    NotJson,
}

impl StopReason {
    pub const ALL: [Self; 13] = [
        Self::Unauthorized,
        Self::Forbidden,
        Self::ChannelMissing,
        Self::ListingFailed,
        Self::Redirect,
        Self::Contract,
        Self::Transport,
        Self::MonthlyLimit,
        Self::Outage,
        Self::Unreachable,
        Self::Rejected,
        Self::Unverified,
        Self::NotJson,
    ];

    pub fn label(self) -> &'static str {
        match self {
            Self::Unauthorized => "unauthorized",
            Self::Forbidden => "forbidden",
            Self::ChannelMissing => "channel_missing",
            Self::ListingFailed => "listing_failed",
            Self::Redirect => "redirect",
            Self::Contract => "contract",
            Self::Transport => "transport",
            Self::MonthlyLimit => "monthly_limit",
            Self::Outage => "outage",
            Self::Unreachable => "unreachable",
            Self::Rejected => "rejected",
            Self::Unverified => "unverified",
            Self::NotJson => "not_json",
        }
    }
}

impl Outcome {
    /// An outcome that no HTTP answer stands behind.
    pub fn without_answer(class: Class) -> Self {
        Self { class, status: None, request_id: None }
    }

    /// The value of the metrics' `outcome` label.
    pub fn label(&self) -> &'static str {
        match self.class {
            Class::Accepted => "accepted",
            Class::Unverified => "unverified",
            Class::Ambiguous(Ambiguity::NoAnswer) => "no_answer",
            Class::Ambiguous(Ambiguity::ServerError) => "server_error",
            Class::Ambiguous(Ambiguity::NotJson) => "not_json",
            Class::Ambiguous(Ambiguity::Unclear) => "unclear",
            Class::NotApplied(NotApplied::Unreachable) => "unreachable",
            Class::NotApplied(NotApplied::RetryAfter(_) | NotApplied::RateLimited) => {
                "rate_limited"
            }
            Class::Permanent => "rejected",
            Class::NotFound => "not_found",
            Class::Stop(_, reason) => reason.label(),
        }
    }
}

/// What the channel listing said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Listing {
    /// The ids of the channels that can be used: listed, not deleted, of type `line`.
    Channels(Vec<String>),
    /// No listing was had; the class of the answer says why.
    Failed(Class),
}
