//! The `line` section, without its token.

use std::net::IpAddr;
use std::time::Duration;

use reqwest::Url;
use reqwest::header::HeaderName;

use super::fields::{Fields, Item};
use super::reader::{Reader, Refusal};
use super::token::{self, Token};

/// How to reach the LINE API.
#[derive(Clone, Debug)]
pub struct Line {
    /// Scheme, host and perhaps a path; no query, fragment, user or password.
    pub base_url: Url,
    pub token: Token,
    pub encoding: Encoding,
    /// Of one attempt.
    pub timeout: Duration,
    /// Per channel, shared by the group.
    pub requests_per_second: f64,
    /// The header that carries the delivery's stable id; none is sent where it is left out.
    pub delivery_id_header: Option<HeaderName>,
}

/// The form of a request's body.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Encoding {
    #[default]
    Json,
    Form,
}

const KEYS: [&str; 6] =
    ["base_url", "token", "encoding", "timeout", "requests_per_second", "delivery_id_header"];
const DEFAULT_BASE_URL: &str = "https://api.klink.cloud";
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(15);
const DEFAULT_RATE: f64 = 100.0;
/// LINE's own limit for pushes, per channel and second (LINE Messaging API reference).
const MOST_REQUESTS_PER_SECOND: f64 = 2_000.0;

/// Headers that the client sets, or that change what a request is: none can carry a delivery's id.
const TAKEN_HEADERS: [&str; 13] = [
    "accept",
    "authorization",
    "connection",
    "content-encoding",
    "content-length",
    "content-type",
    "cookie",
    "expect",
    "host",
    "te",
    "transfer-encoding",
    "upgrade",
    "user-agent",
];

/// `None` only where the default URL would not parse, which a test rules out.
pub(super) fn read(reader: &mut Reader<'_>, root: &Fields<'_>) -> Option<Line> {
    let fields = reader.section(root, "line", &KEYS);
    let base_url = fields.get("base_url").and_then(|item| base_url(reader, &item));
    let token = reader.require(&fields, "token", token::EXPECTED);
    let timeout = fields.get("timeout");
    let bounds = Duration::from_secs(1)..=Duration::from_mins(5);
    let rate = fields.get("requests_per_second");
    let words = [("json", Encoding::Json), ("form", Encoding::Form)];
    Some(Line {
        base_url: base_url.or_else(|| Url::parse(DEFAULT_BASE_URL).ok())?,
        token: token.map(|item| token::read(reader, &item.secret())).unwrap_or_default(),
        encoding: fields
            .get("encoding")
            .and_then(|item| reader.choice(&item, &words))
            .unwrap_or_default(),
        timeout: timeout.and_then(|item| reader.duration(&item, bounds)).unwrap_or(DEFAULT_TIMEOUT),
        requests_per_second: rate
            .and_then(|item| reader.rate(&item, MOST_REQUESTS_PER_SECOND))
            .unwrap_or(DEFAULT_RATE),
        delivery_id_header: fields
            .get("delivery_id_header")
            .and_then(|item| delivery_id_header(reader, &item)),
    })
}

fn delivery_id_header(reader: &mut Reader<'_>, item: &Item<'_>) -> Option<HeaderName> {
    let expected = "the name of a header that nothing else uses, such as X-Line-Retry-Key";
    reader.read(item, expected, |given| {
        given.text().and_then(|text| free_header(text.trim())).ok_or(Refusal::OtherForm)
    })
}

fn free_header(name: &str) -> Option<HeaderName> {
    let header = HeaderName::try_from(name).ok()?;
    (name.len() <= 100 && !TAKEN_HEADERS.contains(&header.as_str())).then_some(header)
}

fn base_url(reader: &mut Reader<'_>, item: &Item<'_>) -> Option<Url> {
    // A URL may hold a password, so it is not shown.
    let item = item.clone().secret();
    let because = |message: &str| Err(Refusal::Because(message.to_owned()));
    let url = reader.read(&item, "a URL such as https://api.klink.cloud", |given| {
        let text = given.text().ok_or(Refusal::OtherForm)?;
        let Ok(url) = Url::parse(text.trim()) else { return Err(Refusal::OtherForm) };
        if !matches!(url.scheme(), "http" | "https") || url.host_str().is_none() {
            because("expected a URL that begins with https://")
        } else if !url.username().is_empty() || url.password().is_some() {
            because("remove the user name and the password from the URL: the API asks for `line.token` alone")
        } else if url.query().is_some() || url.fragment().is_some() {
            because("expected a URL without `?` and `#`; the bridge adds the path of each call")
        } else {
            Ok(url)
        }
    })?;
    if url.scheme() == "http" && !is_loopback(&url) {
        reader.warn(&item, "the token and the messages would travel in the clear; use https");
    }
    Some(url)
}

fn is_loopback(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default();
    let address = host.trim_start_matches('[').trim_end_matches(']');
    host == "localhost" || address.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[test]
    fn the_default_url_parses() {
        assert!(Url::parse(DEFAULT_BASE_URL).is_ok());
    }

    #[rstest]
    #[case::line_retry_key("X-Line-Retry-Key", true)]
    #[case::empty("", false)]
    #[case::taken("Authorization", false)]
    #[case::content_type("content-type", false)]
    #[case::host("Host", false)]
    #[case::space("X Id", false)]
    #[case::line_break("X\r\nY", false)]
    #[case::colon("X:Y", false)]
    fn header_names_are_checked(#[case] name: &str, #[case] free: bool) {
        assert_eq!(free_header(name).is_some(), free);
    }

    #[rstest]
    #[case::name("http://localhost:8080", true)]
    #[case::ipv4("http://127.0.0.1", true)]
    #[case::ipv6("http://[::1]:80/x", true)]
    #[case::private("http://10.0.0.1", false)]
    #[case::look_alike("http://localhost.example", false)]
    fn loopback_hosts_are_known(#[case] url: &str, #[case] loopback: bool) {
        assert_eq!(is_loopback(&Url::parse(url).unwrap()), loopback);
    }
}
