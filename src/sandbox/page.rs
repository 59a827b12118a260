//! `GET /`: the inbox as a page, in one piece and without scripts.

use std::sync::Arc;

use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use minijinja::Environment;
use minijinja::value::Serde;
use serde_json::json;

use super::faults::Faults;
use super::inbox::{Received, Refused, Stats};
use super::server::Server;
use super::{answer, clock};

const MESSAGES_SHOWN: usize = 100;
const REFUSALS_SHOWN: usize = 50;
/// The name ends in `.html`, so that everything that is put in is escaped.
const NAME: &str = "page.html";
const TEMPLATE: &str = include_str!("page.html");

pub(super) async fn show(State(server): State<Arc<Server>>) -> Response {
    let html = render(
        &server.inbox.stats(),
        &server.inbox.newest(MESSAGES_SHOWN),
        &server.inbox.refusals(REFUSALS_SHOWN),
        &server.injector.faults(),
    );
    let html = match html {
        Ok(html) => html,
        Err(error) => {
            tracing::error!(%error, "the sandbox's page could not be made");
            return answer::error(StatusCode::INTERNAL_SERVER_ERROR, "the page could not be made");
        }
    };
    let headers = [
        (header::CONTENT_TYPE, "text/html; charset=utf-8"),
        (header::CACHE_CONTROL, "no-store"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        // Escaping is the defence; this holds where it fails.
        (
            header::CONTENT_SECURITY_POLICY,
            "default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'; \
             frame-ancestors 'none'",
        ),
    ];
    (headers, html).into_response()
}

fn render(
    stats: &Stats,
    messages: &[Arc<Received>],
    refusals: &[Refused],
    faults: &Faults,
) -> Result<String, minijinja::Error> {
    let counts: [(&str, u64); 6] = [
        ("accepted", stats.accepted),
        ("attempts", stats.attempts),
        ("refused", stats.refused.values().sum()),
        ("faults injected", stats.faults.values().sum()),
        ("most at once", stats.max_concurrent_sends as u64),
        ("most at once per recipient", stats.max_concurrent_per_recipient as u64),
    ];
    let messages: Vec<&Received> = messages.iter().map(AsRef::as_ref).collect();
    let faults = (*faults != Faults::default())
        .then(|| serde_json::to_string_pretty(faults).unwrap_or_default());
    let shown = json!({
        "counts": counts, "messages": messages, "refusals": refusals, "faults": faults,
    });
    let mut language = Environment::new();
    language.add_filter("time", time);
    language.render_named_str(NAME, TEMPLATE, Serde(&shown))
}

fn time(ms: i64) -> String {
    let iso = clock::iso(ms);
    iso.split_once('T').map_or_else(|| iso.clone(), |(_, time)| time.replace('Z', ""))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sandbox::{Fault, Recipient, Rule};

    #[test]
    fn everything_that_came_from_outside_is_escaped() {
        let evil = "<script>alert('\"&')</script>";
        let message = Received {
            seq: 1,
            arrived_at_ms: 0,
            channel_id: evil.into(),
            recipient: Recipient::Contact(evil.into()),
            text: evil.into(),
            request_id: evil.into(),
            retry_key: Some(evil.into()),
            x_request_id: Some(evil.into()),
            fault: None,
        };
        let refused = Refused {
            at_ms: 0,
            method: evil.into(),
            path: evil.into(),
            status: None,
            reason: evil.into(),
        };
        let faults = Faults::rules([Rule::always(Fault::MonthlyLimit {}).for_channel(evil)]);
        let html = render(&Stats::default(), &[Arc::new(message)], &[refused], &faults);
        let html = html.unwrap();
        assert!(!html.contains("<script"), "{html}");
        assert_eq!(html.matches("&lt;script&gt;").count(), 7);
        let escaped = "&lt;script&gt;alert(&#x27;&quot;&amp;&#x27;)&lt;&#x2f;script&gt;";
        assert!(html.contains(escaped), "{html}");
    }

    #[test]
    fn the_page_says_what_was_accepted_and_what_was_refused() {
        let message = Received {
            seq: 7,
            arrived_at_ms: 1_740_933_773_796,
            channel_id: "a-channel".into(),
            recipient: Recipient::Contact("c-1".into()),
            text: "สวัสดี".into(),
            request_id: String::new(),
            retry_key: None,
            x_request_id: None,
            fault: Some("truncated"),
        };
        let refused = |status| Refused {
            at_ms: 0,
            method: "POST".into(),
            path: "the-path".into(),
            status,
            reason: "the reason".into(),
        };
        let stats = Stats { refused: [(400, 2), (404, 3)].into(), ..Stats::default() };
        let refusals = [refused(Some(404)), refused(None)];
        let html = render(&stats, &[Arc::new(message)], &refusals, &Faults::default()).unwrap();
        for piece in [
            "<b>5</b><span>refused</span>",
            "<td data-is=\"#\">7</td>",
            "<code>16:42:53.796</code>",
            "<span class=\"dim\">contactId</span> <code>c-1</code>",
            "<div dir=\"auto\">สวัสดี</div><div class=\"bad\">answer spoilt: truncated</div>",
            "<code>a-channel</code>",
            "<td data-is=\"Status\" class=\"bad\">404</td>",
            "<td data-is=\"Status\" class=\"bad\">fault</td>",
            "<code>POST the-path</code>",
            "<div>the reason</div>",
            "None. Set some",
        ] {
            assert!(html.contains(piece), "{piece}: {html}");
        }
    }
}
