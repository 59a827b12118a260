use std::sync::Arc;

use rstest::rstest;
use serde_json::json;

use super::*;
use crate::domain::outcome::{NotApplied, Scope, StopReason};
use crate::line::client::Settings;
use crate::line::client::tests::{client, settings, token};
use crate::line::test_server::Step::{Close, Hang, Read, Write};
use crate::line::test_server::{Server, answer};

/// The vendor's sample.
const SAMPLE: &str = r#"{"requestId":"557520e4-7197-4d56-8a24-ee8c2782d6e4","page":1,"pageSize":10,"lastPage":1,"total":73,
 "data":[{"id":"f6154dda-bd9a-4d03-8a77-ff3421070009","createdAt":"2025-03-02T16:42:53.796Z",
          "updatedAt":"2025-03-02T16:42:54.078Z","deletedAt":null,"name":"K-Link BSS UAT DEMO KURO",
          "type":"line","brandName":"K-Link BSS UAT DEMO KURO"}]}"#;

fn page(last_page: u32, ids: &[&str]) -> Vec<u8> {
    let data: Vec<_> = ids.iter().map(|id| json!({"id": id, "type": "line"})).collect();
    answer(200, &json!({"lastPage": last_page, "data": data}).to_string())
}

fn first_lines(server: &Server) -> Vec<String> {
    let requests = server.seen().requests;
    requests.iter().map(|request| request.lines().next().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn the_vendors_sample_is_read() {
    let server = Server::answering(vec![answer(200, SAMPLE)]).await;
    let channels = client(&server.base_url).channels(None).await.unwrap();
    let channel = &channels[0];
    assert_eq!(channel.id, "f6154dda-bd9a-4d03-8a77-ff3421070009");
    assert_eq!(channel.name, "K-Link BSS UAT DEMO KURO");
    assert!(channel.usable());
    assert_eq!(channel.raw["brandName"], "K-Link BSS UAT DEMO KURO");
    assert_eq!(first_lines(&server), ["GET /api/v1/channels?page=1&pageSize=100 HTTP/1.1"]);
}

#[tokio::test]
async fn all_pages_are_walked_and_a_channel_counts_once() {
    let pages = vec![page(3, &["a", "b"]), page(3, &["b", "c"]), page(3, &["d"])];
    let server = Server::answering(pages).await;
    let listing = client(&server.base_url).list().await;
    let ids = ["a", "b", "c", "d"].map(str::to_owned).to_vec();
    assert_eq!(listing, Listing::Channels(ids));
    let lines = first_lines(&server);
    assert_eq!(lines.len(), 3);
    assert!(lines[2].starts_with("GET /api/v1/channels?page=3&pageSize=100 "), "{lines:?}");
}

#[tokio::test]
async fn a_keyword_is_part_of_every_query() {
    let server = Server::answering(vec![page(2, &["a"]), page(2, &[])]).await;
    client(&server.base_url).channels(Some("K & link")).await.unwrap();
    for line in first_lines(&server) {
        assert!(line.contains("&pageSize=100&keyword=K+%26+link "), "{line}");
    }
}

#[rstest]
#[case::line(json!({"id": "a", "type": "line", "deletedAt": null}), true)]
#[case::as_the_send_response_writes_it(json!({"id": "a", "type": "Line"}), true)]
#[case::deleted(json!({"id": "a", "type": "line", "deletedAt": "2025-03-02"}), false)]
#[case::another_platform(json!({"id": "a", "type": "whatsapp", "deletedAt": null}), false)]
#[case::no_type(json!({"id": "a"}), false)]
fn a_channel_is_usable_when_it_is_there_and_of_line(#[case] raw: Value, #[case] usable: bool) {
    assert_eq!(ListedChannel::read(raw).unwrap().usable(), usable);
}

#[tokio::test]
async fn only_usable_channels_are_told_to_probes() {
    let body = json!({"lastPage": 1, "data": [
        {"id": "a", "type": "LINE"},
        {"id": "b", "type": "line", "deletedAt": "2025-03-02T16:42:53.796Z"},
        {"id": "c", "type": "facebook"},
    ]});
    let server = Server::answering(vec![answer(200, &body.to_string())]).await;
    let listing = client(&server.base_url).list().await;
    assert_eq!(listing, Listing::Channels(vec!["a".to_owned()]));
}

const UNAUTHORIZED: Class = Class::Stop(Scope::Account, StopReason::Unauthorized);

#[rstest]
#[case::unauthorized(401, "", UNAUTHORIZED, "`line.token`")]
#[case::redirect(302, "", Class::Stop(Scope::Account, StopReason::Redirect), "HTTP 302")]
#[case::not_found(404, "", Class::NotFound, "`line.base_url`")]
#[case::rate_limited(429, "", Class::NotApplied(NotApplied::RateLimited), "wait")]
#[case::outage(503, "", Class::Ambiguous(Ambiguity::ServerError), "later")]
#[case::html(200, "<html>", Class::Ambiguous(Ambiguity::NotJson), "a proxy")]
#[case::empty(200, "", Class::Ambiguous(Ambiguity::NoAnswer), "cut short")]
#[case::no_data(200, r#"{"lastPage":1}"#, Class::Ambiguous(Ambiguity::Unclear), "`data`")]
#[case::no_last_page(200, r#"{"data":[]}"#, Class::Ambiguous(Ambiguity::Unclear), "`lastPage`")]
#[case::data_of_another_type(
    200,
    r#"{"lastPage":1,"data":"hunter2"}"#,
    Class::Ambiguous(Ambiguity::Unclear),
    "`data`"
)]
#[case::no_id(
    200,
    r#"{"lastPage":1,"data":[{"name":"hunter2"}]}"#,
    Class::Ambiguous(Ambiguity::Unclear),
    "`data.id`"
)]
#[tokio::test]
async fn a_listing_that_fails_says_why(
    #[case] status: u16,
    #[case] body: &str,
    #[case] class: Class,
    #[case] says: &str,
) {
    let server = Server::answering(vec![answer(status, body); 2]).await;
    let client = client(&server.base_url);
    let error = client.channels(None).await.unwrap_err();
    let text = format!("{error} {error:?}");
    assert!(text.contains(says) && text.contains("GET /api/v1/channels"), "{text}");
    assert!(!text.contains("hunter2"), "{text}");
    assert_eq!(client.list().await, Listing::Failed(class));
}

#[tokio::test]
async fn a_listing_that_cannot_be_asked_for_has_a_class_too() {
    let client = client("http://127.0.0.1:1");
    let error = client.channels(None).await.unwrap_err();
    let expected = "can't be reached (Connection refused (os error 111)); check `line.base_url`";
    assert!(error.to_string().contains(expected), "{error}");
    let unreachable = Class::NotApplied(NotApplied::Unreachable);
    assert_eq!(client.list().await, Listing::Failed(unreachable));
}

#[tokio::test]
async fn a_page_cut_short_fails_the_whole_listing() {
    let head = b"HTTP/1.1 200 OK\r\nContent-Length: 900\r\n\r\n{\"data\":[".to_vec();
    let script = vec![Read, Write(page(2, &["a"])), Read, Write(head), Close];
    let server = Server::start(vec![script]).await;
    assert_eq!(client(&server.base_url).channels(None).await, Err(ListingError::CutShort));
}

#[tokio::test]
async fn a_page_longer_than_the_bound_is_refused() {
    let head = b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n{\"data\":[".to_vec();
    let mut script = vec![Read, Write(head)];
    script.extend(vec![Write(vec![b' '; PAGE_BYTES / 4]); 6]);
    script.push(Hang);
    let server = Server::start(vec![script]).await;
    assert_eq!(client(&server.base_url).channels(None).await, Err(ListingError::TooLong));
}

#[tokio::test]
async fn a_listing_without_a_last_page_ends() {
    let pages = (1..=PAGE_LIMIT).map(|number| page(number + 1, &[])).collect();
    let server = Server::answering(pages).await;
    assert_eq!(client(&server.base_url).channels(None).await, Err(ListingError::TooLong));
    assert_eq!(server.seen().requests.len(), 1_000);
}

#[tokio::test]
async fn a_page_that_never_comes_ends_with_the_attempts_timeout() {
    let server = Server::start(vec![vec![Read, Hang]]).await;
    let settings = Settings { timeout: Duration::from_millis(200), ..settings(&server.base_url) };
    let client = Client::new(&settings, Arc::clone(&token("t0ken"))).unwrap();
    let expected = Err(ListingError::Failed(Unanswered::without_cause(Failure::NoAnswer)));
    assert_eq!(client.channels(None).await, expected);
}
