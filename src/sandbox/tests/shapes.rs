//! What is documented: the shapes, the pages, the keyword.

use std::collections::BTreeMap;

use rstest::rstest;
use serde_json::{Value, json};

use super::{Bench, CHANNEL, USER, json_of};
use crate::sandbox::{ChannelSeed, Options, Recipient};

const CHANNELS: &str = include_str!("../../../tests/fixtures/line/channels.json");
const SEND: &str = include_str!("../../../tests/fixtures/line/send.json");

/// The keys and the types of a JSON value; an array counts by its first element.
fn shape(value: &Value) -> Value {
    match value {
        Value::Null => json!("null"),
        Value::Bool(_) => json!("boolean"),
        Value::Number(number) => json!(if number.is_u64() { "integer" } else { "number" }),
        Value::String(_) => json!("string"),
        Value::Array(items) => Value::Array(items.first().map(shape).into_iter().collect()),
        Value::Object(fields) => {
            let shapes: BTreeMap<_, _> = fields.iter().map(|(k, v)| (k, shape(v))).collect();
            json!(shapes)
        }
    }
}

fn sample(text: &str) -> Value {
    serde_json::from_str(text).unwrap()
}

#[tokio::test]
async fn the_listing_has_the_documented_shape() {
    let bench = Bench::plain().await;
    let (status, listing) = json_of(bench.get("/api/v1/channels")).await;
    assert_eq!(status, 200);
    assert_eq!(shape(&listing), shape(&sample(CHANNELS)));
    assert_eq!(listing["data"][0]["id"], sample(CHANNELS)["data"][0]["id"]);
    let created = listing["data"][0]["createdAt"].as_str().unwrap();
    assert!(created.len() == 24 && created.ends_with('Z'), "{created}");
}

#[tokio::test]
async fn the_listing_shows_deleted_and_foreign_channels_as_such() {
    let bench = Bench::plain().await;
    let (_, listing) = json_of(bench.get("/api/v1/channels")).await;
    let data = listing["data"].as_array().unwrap();
    let usable = data.iter().filter(|c| c["deletedAt"].is_null() && c["type"] == "line").count();
    assert_eq!((data.len(), usable), (6, 4));
    assert!(data.iter().any(|channel| channel["deletedAt"].is_string()));
    assert!(data.iter().any(|channel| channel["type"] == "facebook"));
}

#[rstest]
#[case::contact("contactId", "c-1", Recipient::Contact("c-1".into()))]
#[case::user("platformUserId", USER, Recipient::PlatformUser(USER.into()))]
#[tokio::test]
async fn a_send_has_the_documented_shape_and_lands_in_the_inbox(
    #[case] field: &str,
    #[case] id: &str,
    #[case] recipient: Recipient,
    #[values("json", "form")] encoding: &str,
) {
    let bench = Bench::plain().await;
    let text = "Your order #12345 has been shipped. ありがとう 😀 a+b&c=d";
    let body = json!({"channelId": CHANNEL, field: id, "message": text});
    let request = bench
        .client
        .post(bench.url("/api/v1/message/send"))
        .bearer_auth("sandbox-token")
        .header("X-Line-Retry-Key", "key-1")
        .header("X-Request-Id", "delivery-1");
    let request = if encoding == "json" { request.json(&body) } else { request.form(&body) };
    let (status, answer) = json_of(request).await;
    assert_eq!(status, 200);
    assert_eq!(shape(&answer), shape(&sample(SEND)));
    assert_eq!(answer["status"], sample(SEND)["status"]);
    assert_eq!(answer["channel"], sample(SEND)["channel"]);
    let messages = bench.sandbox.inbox().messages();
    assert_eq!(messages.len(), 1);
    let message = &messages[0];
    assert_eq!((message.seq, message.channel_id.as_str(), message.fault), (1, CHANNEL, None));
    assert_eq!((&message.recipient, message.text.as_str()), (&recipient, text));
    assert_eq!(answer["requestId"], message.request_id);
    assert_eq!(message.retry_key.as_deref(), Some("key-1"));
    assert_eq!(message.x_request_id.as_deref(), Some("delivery-1"));
    assert!(message.arrived_at_ms > 1_700_000_000_000);
}

async fn many() -> Bench {
    let channels = (1..=73).map(|n| ChannelSeed::line(&format!("id-{n}"), &format!("Shop {n:02}")));
    Bench::start(Options { channels: channels.collect(), ..Options::default() }).await
}

#[rstest]
#[case::default("", 1, 10, 8, 73, 10, "Shop 01")]
#[case::last_page("?page=8", 8, 10, 8, 73, 3, "Shop 71")]
#[case::page_size("?page=2&pageSize=50", 2, 50, 2, 73, 23, "Shop 51")]
#[case::largest("?pageSize=100", 1, 100, 1, 73, 73, "Shop 01")]
#[case::beyond_the_last("?page=9", 9, 10, 8, 73, 0, "")]
#[case::keyword("?keyword=7", 1, 10, 2, 11, 10, "Shop 07")]
#[case::keyword_in_another_case("?keyword=sHOP%2042", 1, 10, 1, 1, 1, "Shop 42")]
#[case::keyword_of_none("?keyword=none", 1, 10, 1, 0, 0, "")]
#[tokio::test]
async fn the_listing_comes_in_pages(
    #[case] query: &str,
    #[case] page: u64,
    #[case] page_size: u64,
    #[case] last_page: u64,
    #[case] total: u64,
    #[case] length: usize,
    #[case] first: &str,
) {
    let bench = many().await;
    let (status, listing) = json_of(bench.get(&format!("/api/v1/channels{query}"))).await;
    assert_eq!(status, 200);
    let numbers = ["page", "pageSize", "lastPage", "total"].map(|key| listing[key].as_u64());
    assert_eq!(numbers, [page, page_size, last_page, total].map(Some));
    let data = listing["data"].as_array().unwrap();
    assert_eq!(data.len(), length);
    assert_eq!(data.first().map_or("", |channel| channel["name"].as_str().unwrap()), first);
}

#[tokio::test]
async fn the_pages_together_are_all_channels_once() {
    let bench = many().await;
    let mut ids = Vec::new();
    for page in 1..=8 {
        let (_, listing) = json_of(bench.get(&format!("/api/v1/channels?page={page}"))).await;
        let data = listing["data"].as_array().unwrap().clone();
        ids.extend(data.into_iter().map(|channel| channel["id"].as_str().unwrap().to_owned()));
    }
    let expected: Vec<_> = (1..=73).map(|n| format!("id-{n}")).collect();
    assert_eq!(ids, expected);
}
