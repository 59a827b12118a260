//! What is not documented is refused.

use reqwest::Method;
use rstest::rstest;
use serde_json::{Value, json};

use super::{Bench, CHANNEL, USER, json_of};
use crate::sandbox::{Faults, Options};

const DELETED: &str = "0b7c2f0e-5d0a-4c57-9d1e-2f5a64c1a004";
const FACEBOOK: &str = "0b7c2f0e-5d0a-4c57-9d1e-2f5a64c1a005";

/// The refusal has a JSON error body, says why, is remembered, and nothing was accepted.
async fn assert_refused(bench: &Bench, request: reqwest::RequestBuilder, status: u16, why: &str) {
    let (got, body) = json_of(request).await;
    let message = body["message"].as_str().unwrap();
    assert!(got == status && message.contains(why), "{got}: {message}");
    assert_eq!(body["status"], "error");
    assert!(body["requestId"].is_string());
    let inbox = bench.sandbox.inbox();
    assert_eq!(inbox.messages().len(), 0);
    assert_eq!(inbox.stats().refused[&status], 1);
    let refused = &inbox.refusals(1)[0];
    assert_eq!((refused.status, refused.reason.as_str()), (Some(status), message));
}

#[rstest]
#[case::missing(None, "missing")]
#[case::another_scheme(Some("Basic c2FuZGJveC10b2tlbg=="), "Bearer {token}")]
#[case::without_a_scheme(Some("sandbox-token"), "Bearer {token}")]
#[case::without_a_token(Some("Bearer "), "Bearer {token}")]
#[case::unknown(Some("Bearer sandbox-tokem"), "unknown")]
#[case::two_spaces(Some("Bearer  sandbox-token"), "unknown")]
#[tokio::test]
async fn a_call_without_the_token_is_refused(
    #[case] header: Option<&str>,
    #[case] why: &str,
    #[values(Method::GET, Method::POST)] method: Method,
) {
    let bench = Bench::plain().await;
    let path = if method == Method::GET { "/api/v1/channels" } else { "/api/v1/message/send" };
    let mut request = bench.client.request(method, bench.url(path)).json(&good());
    if let Some(header) = header {
        request = request.header("Authorization", header);
    }
    assert_refused(&bench, request, 401, why).await;
}

#[tokio::test]
async fn two_tokens_are_refused() {
    let bench = Bench::plain().await;
    let request = bench.send("c").header("Authorization", "Bearer sandbox-token");
    assert_refused(&bench, request, 401, "several").await;
}

fn good() -> Value {
    json!({"channelId": CHANNEL, "contactId": "c", "message": "Hello"})
}

fn with(field: &str, value: impl Into<Value>) -> Value {
    let mut body = good();
    body[field] = value.into();
    body
}

fn without(field: &str) -> Value {
    let mut body = good();
    body.as_object_mut().unwrap().remove(field);
    body
}

fn to_user(id: &str) -> Value {
    json!({"channelId": CHANNEL, "platformUserId": id, "message": "Hello"})
}

#[rstest]
#[case::no_channel(without("channelId"), 400, "missing field `channelId`")]
#[case::no_message(without("message"), 400, "missing field `message`")]
#[case::no_recipient(without("contactId"), 400, "one of `contactId`")]
#[case::both_recipients(with("platformUserId", USER), 400, "only one of")]
#[case::unknown_field(with("messageType", "text"), 400, "unknown field `messageType`")]
#[case::null_recipient(with("platformUserId", Value::Null), 400, "null")]
#[case::number_for_text(with("message", 5), 400, "message")]
#[case::empty_text(with("message", ""), 400, "`message` is empty")]
#[case::long_text(with("message", "x".repeat(5_001)), 400, "5001 UTF-16")]
#[case::long_in_utf16(with("message", format!("x{}", "😀".repeat(2_500))), 400, "5001 UTF-16")]
#[case::empty_contact(with("contactId", " "), 400, "`contactId` is empty")]
#[case::refused_contact(with("contactId", "gone"), 400, "no contact")]
#[case::short_user(to_user(&USER[..32]), 400, "`platformUserId` must be")]
#[case::long_user(to_user(&format!("{USER}0")), 400, "`platformUserId` must be")]
#[case::upper_case_user(to_user(&USER.to_uppercase()), 400, "`platformUserId` must be")]
#[case::group_for_user(to_user(&USER.replace('U', "C")), 400, "`platformUserId` must be")]
#[case::unknown_channel(with("channelId", "nowhere"), 404, "no channel")]
#[case::deleted_channel(with("channelId", DELETED), 404, "deleted")]
#[case::foreign_channel(with("channelId", FACEBOOK), 404, "type `line`")]
#[case::not_an_object(json!("Hello"), 400, "invalid type")]
#[tokio::test]
async fn a_wrong_body_is_refused(#[case] body: Value, #[case] status: u16, #[case] why: &str) {
    let faults = Faults { refused_contacts: ["gone".to_owned()].into(), ..Faults::default() };
    let bench = Bench::start(Options { faults, ..Options::default() }).await;
    assert_refused(&bench, bench.post(&body), status, why).await;
}

#[rstest]
#[case::plain_text("text/plain", "{}", 415, "Content-Type")]
#[case::multipart("multipart/form-data", "", 415, "Content-Type")]
#[case::other_json("application/vnd.api+json", "{}", 415, "Content-Type")]
#[case::broken_json("application/json", "{\"channelId\":", 400, "JSON")]
#[case::trailing("application/json", "{\"channelId\":\"a\",\"message\":\"b\"} x", 400, "trailing")]
#[case::form_as_json("application/json", "channelId=a&message=b", 400, "JSON")]
#[case::twice(
    "application/json",
    "{\"message\":\"a\",\"message\":\"b\"}",
    400,
    "duplicate field `message`"
)]
#[case::form_unknown(
    "application/x-www-form-urlencoded",
    "channelId=a&message=b&contactId=c&type=text",
    400,
    "unknown field `type`"
)]
#[case::form_twice(
    "application/x-www-form-urlencoded",
    "message=a&message=b",
    400,
    "duplicate field `message`"
)]
#[tokio::test]
async fn a_wrong_encoding_is_refused(
    #[case] content_type: &str,
    #[case] body: &'static str,
    #[case] status: u16,
    #[case] why: &str,
) {
    let bench = Bench::plain().await;
    let request = bench
        .client
        .post(bench.url("/api/v1/message/send"))
        .bearer_auth("sandbox-token")
        .header("Content-Type", content_type)
        .body(body);
    assert_refused(&bench, request, status, why).await;
}

#[tokio::test]
async fn a_body_without_a_content_type_is_refused() {
    let bench = Bench::plain().await;
    let url = bench.url("/api/v1/message/send");
    let request = bench.client.post(url).bearer_auth("sandbox-token").body(good().to_string());
    assert_refused(&bench, request, 415, "Content-Type").await;
}

#[tokio::test]
async fn a_compressed_body_is_refused() {
    let bench = Bench::plain().await;
    let request = bench.send("c").header("Content-Encoding", "gzip");
    assert_refused(&bench, request, 415, "Content-Encoding").await;
}

#[tokio::test]
async fn a_huge_body_is_refused() {
    let bench = Bench::plain().await;
    let request = bench.post(&with("message", "x".repeat(200_000)));
    assert_refused(&bench, request, 413, "limit").await;
}

#[tokio::test]
async fn a_message_in_the_url_is_refused() {
    let bench = Bench::plain().await;
    let url = bench.url("/api/v1/message/send?message=Hello");
    let request = bench.client.post(url).bearer_auth("sandbox-token").json(&good());
    assert_refused(&bench, request, 400, "never into the URL").await;
    assert_eq!(bench.sandbox.inbox().refusals(1)[0].path, "/api/v1/message/send");
}

#[rstest]
#[case::get_to_send(Method::GET, "/api/v1/message/send?message=Hello", 405)]
#[case::put_to_send(Method::PUT, "/api/v1/message/send", 405)]
#[case::post_to_channels(Method::POST, "/api/v1/channels", 405)]
#[case::newer_api(Method::POST, "/api/v1/messages/send", 404)]
#[case::slash(Method::GET, "/api/v1/channels/", 404)]
#[case::page_zero(Method::GET, "/api/v1/channels?page=0", 400)]
#[case::page_of_letters(Method::GET, "/api/v1/channels?page=two", 400)]
#[case::no_page_size(Method::GET, "/api/v1/channels?pageSize=0", 400)]
#[case::page_size_over(Method::GET, "/api/v1/channels?pageSize=101", 400)]
#[case::negative(Method::GET, "/api/v1/channels?pageSize=-1", 400)]
#[case::unknown_parameter(Method::GET, "/api/v1/channels?limit=5", 400)]
#[case::page_twice(Method::GET, "/api/v1/channels?page=1&page=2", 400)]
#[tokio::test]
async fn a_wrong_method_path_or_query_is_refused(
    #[case] method: Method,
    #[case] path: &str,
    #[case] status: u16,
) {
    let bench = Bench::plain().await;
    let request = bench.client.request(method, bench.url(path)).bearer_auth("sandbox-token");
    assert_refused(&bench, request, status, "").await;
}

#[tokio::test]
async fn head_is_not_get() {
    let bench = Bench::plain().await;
    let url = bench.url("/api/v1/channels");
    let answer = bench.client.head(url).bearer_auth("sandbox-token").send().await.unwrap();
    assert_eq!(answer.status(), 405);
}

#[rstest]
#[case::longest_text(with("message", "x".repeat(5_000)))]
#[case::longest_in_utf16(with("message", "😀".repeat(2_500)))]
#[case::other_contact(with("contactId", "here"))]
#[case::user(to_user(USER))]
#[tokio::test]
async fn what_is_just_within_the_limits_is_accepted(#[case] body: Value) {
    let faults = Faults { refused_contacts: ["gone".to_owned()].into(), ..Faults::default() };
    let bench = Bench::start(Options { faults, ..Options::default() }).await;
    assert_eq!(json_of(bench.post(&body)).await.0, 200);
    assert_eq!(bench.sandbox.inbox().stats().accepted, 1);
}
