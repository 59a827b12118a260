//! `GET /`: the inbox as a page, in one piece and without scripts.

use std::fmt::Write as _;
use std::sync::Arc;

use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};

use super::clock;
use super::faults::Faults;
use super::inbox::{Received, Refused, Stats};
use super::server::Server;

const MESSAGES_SHOWN: usize = 100;
const REFUSALS_SHOWN: usize = 50;
const STYLE: &str = include_str!("page.css");

pub(super) async fn show(State(server): State<Arc<Server>>) -> Response {
    let html = render(
        &server.inbox.stats(),
        &server.inbox.newest(MESSAGES_SHOWN),
        &server.inbox.refusals(REFUSALS_SHOWN),
        &server.injector.faults(),
    );
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
) -> String {
    let mut html = String::with_capacity(32 * 1024);
    html.push_str(
        "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\
         <meta http-equiv=\"refresh\" content=\"2\"><link rel=\"icon\" href=\"data:,\">\
         <title>LINE sandbox</title><style>",
    );
    html.push_str(STYLE);
    html.push_str(
        "</style><header><h1>LINE sandbox</h1><p>A local stand-in for the LINE API. \
         Nothing here reaches a phone.</p></header><main>",
    );
    counts(&mut html, stats);
    message_table(&mut html, messages);
    refusal_table(&mut html, refusals);
    html.push_str("<h2>Faults</h2>");
    if *faults == Faults::default() {
        html.push_str("<p class=\"dim\">None. Set some with PUT /_sandbox/faults.</p>");
    } else {
        let json = serde_json::to_string_pretty(faults).unwrap_or_default();
        push(&mut html, format_args!("<pre>{}</pre>", escape(&json)));
    }
    html.push_str("</main></html>\n");
    html
}

fn counts(html: &mut String, stats: &Stats) {
    let counts: [(&str, u64); 6] = [
        ("accepted", stats.accepted),
        ("attempts", stats.attempts),
        ("refused", stats.refused.values().sum()),
        ("faults injected", stats.faults.values().sum()),
        ("most at once", stats.max_concurrent_sends as u64),
        ("most at once per recipient", stats.max_concurrent_per_recipient as u64),
    ];
    html.push_str("<section class=\"counts\">");
    for (name, count) in counts {
        push(html, format_args!("<div><b>{count}</b><span>{name}</span></div>"));
    }
    html.push_str("</section>");
}

fn message_table(html: &mut String, messages: &[Arc<Received>]) {
    html.push_str("<h2>Inbox</h2>");
    if messages.is_empty() {
        html.push_str("<p class=\"dim\">No message yet.</p>");
        return;
    }
    html.push_str(
        "<table><thead><tr><th>#<th>Time (UTC)<th>Recipient<th>Message<th>Channel</thead><tbody>",
    );
    for message in messages {
        push(
            html,
            format_args!(
                "<tr><td data-is=\"#\">{}<td data-is=\"Time\" class=\"time\"><code>{}</code>\
                 <td data-is=\"Recipient\" class=\"id\"><div><span class=\"dim\">{}</span> <code>{}</code></div>\
                 <td data-is=\"Message\" class=\"text\"><div dir=\"auto\">{}",
                message.seq,
                time(message.arrived_at_ms),
                message.recipient.kind(),
                escape(message.recipient.id()),
                escape(&message.text),
            ),
        );
        if let Some(fault) = message.fault {
            push(html, format_args!("</div><div class=\"bad\">answer spoilt: {fault}"));
        }
        push(
            html,
            format_args!(
                "</div><td data-is=\"Channel\" class=\"id\"><code>{}</code></tr>",
                escape(&message.channel_id)
            ),
        );
    }
    html.push_str("</table>");
}

fn refusal_table(html: &mut String, refusals: &[Refused]) {
    html.push_str("<h2>Refused</h2>");
    if refusals.is_empty() {
        html.push_str("<p class=\"dim\">Nothing was refused.</p>");
        return;
    }
    html.push_str("<table><thead><tr><th>Time (UTC)<th>Status<th>Call<th>Reason</thead><tbody>");
    for refused in refusals {
        let status = refused.status.map_or_else(|| "fault".to_owned(), |status| status.to_string());
        push(
            html,
            format_args!(
                "<tr><td data-is=\"Time\" class=\"time\"><code>{}</code>\
                 <td data-is=\"Status\" class=\"bad\">{status}<td data-is=\"Call\" class=\"id\"><code>{} {}</code>\
                 <td data-is=\"Reason\" class=\"text\"><div>{}</div></tr>",
                time(refused.at_ms),
                escape(&refused.method),
                escape(&refused.path),
                escape(&refused.reason),
            ),
        );
    }
    html.push_str("</table>");
}

fn time(ms: i64) -> String {
    let iso = clock::iso(ms);
    iso.split_once('T').map_or_else(|| iso.clone(), |(_, time)| time.replace('Z', ""))
}

fn push(html: &mut String, piece: std::fmt::Arguments<'_>) {
    // Writing to a string never fails.
    if html.write_fmt(piece).is_err() {}
}

/// Text made safe for HTML, in elements and in quoted attributes.
fn escape(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            '\'' => safe.push_str("&#39;"),
            other => safe.push(other),
        }
    }
    safe
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
        assert!(!html.contains("<script"), "{html}");
        assert_eq!(html.matches("&lt;script&gt;").count(), 7);
        assert!(html.contains("&lt;script&gt;alert(&#39;&quot;&amp;&#39;)&lt;/script&gt;"));
    }
}
