//! `/status` for a browser: what its JSON says, as a page in one piece and without scripts.

use std::sync::LazyLock;
use std::time::Duration;

use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use minijinja::Environment;
use serde_json::Value;

use crate::domain::words;

/// The name ends in `.html`, so that everything that is put in is escaped.
const NAME: &str = "status.html";

const TEMPLATE: &str = include_str!("status.html");

static LANGUAGE: LazyLock<Environment<'static>> = LazyLock::new(|| {
    let mut language = Environment::new();
    language.add_filter("span", span);
    language
});

/// Whether the client would rather have HTML than JSON. What takes anything, as curl does, gets
/// JSON.
pub(super) fn is_wanted(headers: &HeaderMap) -> bool {
    let named = headers.get_all(header::ACCEPT).iter().filter_map(|accept| accept.to_str().ok());
    let ranges: Vec<&str> = named.flat_map(|accept| accept.split(',')).collect();
    let weight = |kind: &str| ranges.iter().find_map(|range| weight_of(range, kind)).unwrap_or(0.0);
    weight("text/html") > weight("application/json")
}

/// The weight that a range such as `text/html;q=0.9` gives to this kind; none where it is another.
fn weight_of(range: &str, kind: &str) -> Option<f32> {
    let mut parts = range.split(';').map(str::trim);
    if !parts.next()?.eq_ignore_ascii_case(kind) {
        return None;
    }
    let weight = parts.find_map(|part| part.strip_prefix("q=")?.parse().ok());
    Some(weight.unwrap_or(1.0))
}

pub(super) fn show(status: &Value) -> Response {
    let page = match render(status) {
        Ok(page) => page,
        Err(error) => {
            tracing::error!(%error, "the status page could not be made");
            return StatusCode::INTERNAL_SERVER_ERROR.into_response();
        }
    };
    let headers = [
        (header::CONTENT_TYPE, "text/html; charset=utf-8"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        // Escaping is the defence; this holds where it fails.
        (
            header::CONTENT_SECURITY_POLICY,
            "default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; \
             form-action 'none'; frame-ancestors 'none'",
        ),
    ];
    (headers, page).into_response()
}

fn render(status: &Value) -> Result<String, minijinja::Error> {
    LANGUAGE.render_named_str(NAME, TEMPLATE, minijinja::value::Serde(status))
}

/// A number of seconds as people say it, in its two largest units.
fn span(seconds: f64) -> String {
    if seconds < 1.0 {
        return format!("{:.0} ms", (seconds * 1000.0).max(0.0));
    }
    words::span(Duration::try_from_secs_f64(seconds).unwrap_or(Duration::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;
    use serde_json::json;

    #[rstest]
    #[case::a_browser("text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", true)]
    #[case::curl("*/*", false)]
    #[case::a_program("application/json", false)]
    #[case::rather_json("text/html;q=0.5, application/json", false)]
    #[case::rather_html("application/json;q=0.5, Text/HTML", true)]
    #[case::not_html("text/html;q=0", false)]
    #[case::nothing("", false)]
    fn a_browser_gets_the_page(#[case] accept: &str, #[case] html: bool) {
        let mut headers = HeaderMap::new();
        headers.insert(header::ACCEPT, accept.parse().unwrap());
        assert_eq!(is_wanted(&headers), html);
    }

    #[rstest]
    #[case(-1.0, "0 ms")]
    #[case(0.0123, "12 ms")]
    #[case(1.9, "1 s")]
    #[case(60.0, "1 min")]
    #[case(3_725.0, "1 h 2 min")]
    #[case(86_405.0, "1 d")]
    #[case(1e300, "213503982334601 d 7 h")]
    fn a_span_is_said_in_its_two_largest_units(#[case] seconds: f64, #[case] said: &str) {
        assert_eq!(span(seconds), said);
    }

    fn status() -> Value {
        let oldest = json!({
            "offset": 41, "age": 75.0, "attempts": 2, "last_http_status": 502, "channel": "support", "rule": "shipped",
            "waits_for": "its channel to work again", "stopped": "outage",
        });
        let answer = json!({
            "outcome": "server_error", "http_status": 502, "count": 7, "took": 0.02, "ago": 3.0,
        });
        json!({
            "version": "0.1.0", "config": "0123456789ab", "config_pending": "refused", "uptime": 90.0, "ready": true,
            "coordinator_silent": 16.0, "in_flight": 1, "accepted_uncommitted": 0,
            "unread": [{"topic": "payments", "partition": 7}],
            "partitions": [{
                "topic": "orders", "partition": 3, "frontier": 41, "committed": 41, "lag": 12,
                "held": 12, "held_bytes": 2048, "full": false, "paused": null, "leaving": false,
                "oldest_unsettled": oldest,
            }],
            "channels": [{
                "name": "support", "state": "stopped", "stopped": "outage", "stopped_for": 42.0,
                "rate": 100.0, "concurrency": 16, "in_flight": 0, "retry_after": null,
                "last_answers": [answer],
            }],
        })
    }

    #[test]
    fn the_page_says_who_is_blocked_and_by_what() {
        let page = render(&status()).unwrap();
        let text = ["its channel to work again (outage)", "1 min 15 s", "<td data-is=\"Lag\">12"];
        for piece in text.iter().chain(&[
            "server_error 502, 7 times, 3 s ago",
            "does not let it read payments/7:",
            "0123456789ab",
            "they have errors",
        ]) {
            assert!(page.contains(piece), "{piece}: {page}");
        }
    }

    #[test]
    fn a_bridge_that_has_just_started_has_a_page_as_well() {
        let mut status = status();
        for list in ["partitions", "channels"] {
            status[list] = json!([]);
        }
        assert!(render(&status).unwrap().contains("No partition"));
    }

    #[test]
    fn everything_that_is_put_in_is_escaped() {
        let hostile = "<script>alert('\"&')</script>";
        let mut status = status();
        for name in ["/config", "/partitions/0/topic", "/partitions/0/oldest_unsettled/channel"] {
            *status.pointer_mut(name).unwrap() = json!(hostile);
        }
        *status.pointer_mut("/channels/0/name").unwrap() = json!(hostile);
        let page = render(&status).unwrap();
        assert!(!page.contains("<script"), "{page}");
        assert_eq!(page.matches("&lt;script&gt;").count(), 4);
    }
}
