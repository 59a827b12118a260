//! The channel listing: which channels the account has.

use std::collections::BTreeSet;
use std::fmt;
use std::time::Duration;

use serde::Deserialize;
use serde_json::Value;

use super::answers::{Failure, Unanswered, refusal};
use super::attempt::{BodyEnd, Bounds, Received, exchange};
use super::client::{Client, now};
use crate::domain::outcome::{Ambiguity, Class, Listing};

/// The most channels a page may have (the vendor's documentation of the listing).
const PAGE_SIZE: &str = "100";

/// The most pages that are walked, against a `lastPage` that is wrong or runs away.
const PAGE_LIMIT: u32 = 1_000;

/// The most bytes of one page; one of a hundred channels has some 30 KiB.
const PAGE_BYTES: usize = 4 * 1024 * 1024;

/// The most bytes of all pages together.
const LISTING_BYTES: usize = 64 * 1024 * 1024;

/// The time for all pages together. A stopped channel waits for the listing.
const LISTING_TIME: Duration = Duration::from_mins(1);

/// A channel as the API lists it.
#[derive(Clone, Debug, PartialEq)]
pub struct ListedChannel {
    pub id: String,
    pub name: String,
    /// `line`, in letters of any case, or another platform.
    pub kind: String,
    pub deleted: bool,
    /// The API's own object, with whatever else it says.
    pub raw: Value,
}

impl ListedChannel {
    /// Whether messages can be sent through it.
    pub fn usable(&self) -> bool {
        !self.deleted && self.kind.eq_ignore_ascii_case("line")
    }

    fn read(raw: Value) -> Option<Self> {
        let text = |name| raw.get(name).and_then(Value::as_str).map(str::to_owned);
        Some(Self {
            id: text("id")?,
            name: text("name").unwrap_or_default(),
            kind: text("type").unwrap_or_default(),
            deleted: raw.get("deletedAt").is_some_and(|at| !at.is_null()),
            raw,
        })
    }
}

/// Why there is no listing. No variant holds what the API said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ListingError {
    /// An answer that is not 2xx, and its class.
    Refused {
        status: u16,
        class: Class,
    },
    Failed(Unanswered),
    /// The answer or all the pages took too long, or the connection ended within a body.
    CutShort,
    NotJson,
    /// JSON without the documented field, named here.
    Malformed(&'static str),
    /// More pages or bytes than any account has.
    TooLong,
}

impl ListingError {
    /// The class of the answer, in the words of a send request.
    pub fn class(&self) -> Class {
        match self {
            Self::Refused { class, .. } => *class,
            Self::Failed(unanswered) => unanswered.failure.into(),
            Self::CutShort => Class::Ambiguous(Ambiguity::NoAnswer),
            Self::NotJson => Class::Ambiguous(Ambiguity::NotJson),
            Self::Malformed(_) | Self::TooLong => Class::Ambiguous(Ambiguity::Unclear),
        }
    }
}

impl fmt::Display for ListingError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the channel listing (GET /api/v1/channels) ")?;
        match self {
            Self::Refused { status, .. } => {
                write!(f, "was refused with HTTP {status}; {}", way_out(*status))
            }
            Self::Failed(Unanswered { failure, cause }) => {
                let cause = cause.as_ref().map(|cause| format!(" ({cause})")).unwrap_or_default();
                match failure {
                    Failure::Unreachable => write!(
                        f,
                        "can't be reached{cause}; check `line.base_url`, the network and its proxy"
                    ),
                    Failure::NoAnswer => f.write_str("got no answer; try again"),
                    Failure::Transport => write!(
                        f,
                        "can't be requested{cause}; check the host's certificate, `line.base_url`, \
                         and `line.token` for characters that a header can't have"
                    ),
                }
            }
            Self::CutShort => f.write_str("was cut short; try again"),
            Self::NotJson => {
                f.write_str("is not JSON; check whether `line.base_url` is the API or a proxy")
            }
            Self::Malformed(field) => {
                write!(f, "lacks `{field}`; check whether `line.base_url` is this API")
            }
            Self::TooLong => f.write_str("does not end; check whether `line.base_url` is this API"),
        }
    }
}

impl std::error::Error for ListingError {}

fn way_out(status: u16) -> &'static str {
    match status {
        401..=403 => "check `line.token` and what it may do",
        429 => "wait and try again",
        500.. => "try again later",
        _ => "check `line.base_url`",
    }
}

#[derive(Deserialize)]
struct Page {
    data: Option<Vec<Value>>,
    #[serde(rename = "lastPage")]
    last_page: Option<u32>,
}

impl Client {
    /// All channels of the account, or those whose name has `keyword` in it, from all pages.
    pub async fn channels(
        &self,
        keyword: Option<&str>,
    ) -> Result<Vec<ListedChannel>, ListingError> {
        tokio::time::timeout(LISTING_TIME, self.walk(keyword))
            .await
            .unwrap_or(Err(ListingError::CutShort))
    }

    /// The ids of the channels that can be used, for whoever has to know whether one is missing.
    pub async fn list(&self) -> Listing {
        match self.channels(None).await {
            Ok(channels) => {
                let usable = channels.into_iter().filter(ListedChannel::usable);
                Listing::Channels(usable.map(|channel| channel.id).collect())
            }
            Err(error) => Listing::Failed(error.class()),
        }
    }

    async fn walk(&self, keyword: Option<&str>) -> Result<Vec<ListedChannel>, ListingError> {
        let mut channels = Vec::new();
        let mut seen = BTreeSet::new();
        let mut bytes = 0;
        for number in 1..=PAGE_LIMIT {
            let body = self.page(number, keyword).await?;
            bytes += body.len();
            if bytes > LISTING_BYTES {
                return Err(ListingError::TooLong);
            }
            let (data, last_page) = read_page(&body)?;
            for raw in data {
                let channel = ListedChannel::read(raw).ok_or(ListingError::Malformed("data.id"))?;
                // A channel that is created or deleted meanwhile moves others to the next page.
                if seen.insert(channel.id.clone()) {
                    channels.push(channel);
                }
            }
            if number >= last_page {
                return Ok(channels);
            }
        }
        Err(ListingError::TooLong)
    }

    async fn page(&self, number: u32, keyword: Option<&str>) -> Result<Vec<u8>, ListingError> {
        let number = number.to_string();
        let mut pairs = vec![("page", number.as_str()), ("pageSize", PAGE_SIZE)];
        pairs.extend(keyword.map(|keyword| ("keyword", keyword)));
        let request = self
            .get(&["api", "v1", "channels"], &pairs)
            .map_err(|_| ListingError::Failed(Unanswered::without_cause(Failure::Transport)))?;
        let bounds = Bounds { time: self.timeout(), body: PAGE_BYTES };
        let received =
            exchange(self.http(), request, bounds).await.map_err(ListingError::Failed)?;
        complete(received)
    }
}

fn complete(received: Received) -> Result<Vec<u8>, ListingError> {
    let status = received.status;
    if !(200..=299).contains(&status) {
        let class = refusal(status, &received.answer(), now());
        return Err(ListingError::Refused { status, class });
    }
    match received.end {
        BodyEnd::Complete => Ok(received.body),
        BodyEnd::Cut => Err(ListingError::CutShort),
        BodyEnd::TooLong => Err(ListingError::TooLong),
    }
}

fn read_page(body: &[u8]) -> Result<(Vec<Value>, u32), ListingError> {
    let page: Page = serde_json::from_slice(body).map_err(|error| match error.classify() {
        serde_json::error::Category::Eof => ListingError::CutShort,
        serde_json::error::Category::Data => ListingError::Malformed("data` or `lastPage"),
        serde_json::error::Category::Syntax | serde_json::error::Category::Io => {
            ListingError::NotJson
        }
    })?;
    let data = page.data.ok_or(ListingError::Malformed("data"))?;
    let last_page = page.last_page.ok_or(ListingError::Malformed("lastPage"))?;
    Ok((data, last_page))
}

#[cfg(test)]
mod tests;
