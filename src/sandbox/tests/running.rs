//! The sandbox steered and watched while it runs, and its end.

use std::sync::Arc;
use std::time::Duration;

use rstest::rstest;
use serde_json::{Value, json};

use super::{Bench, CHANNEL, json_of};
use crate::sandbox::{ChannelSeed, Fault, Faults, Lane, Options, Recipient, Rule, Sandbox};

impl Bench {
    async fn put(&self, path: &str, body: Value) -> u16 {
        let request = self.client.put(self.url(path)).json(&body);
        request.send().await.unwrap().status().as_u16()
    }

    async fn delete(&self, path: &str) -> u16 {
        self.client.delete(self.url(path)).send().await.unwrap().status().as_u16()
    }

    /// The body of one of the sandbox's own paths, which take no token.
    async fn own(&self, path: &str) -> Value {
        json_of(self.client.get(self.url(path))).await.1
    }
}

#[tokio::test]
async fn faults_are_set_and_cleared_while_it_runs() {
    let bench = Bench::plain().await;
    let faults = json!({"rules": [
        {"fault": {"kind": "rate_limited", "retry_after": {"seconds": 2}}, "next": 1},
        {"fault": {"kind": "status", "status": 502}, "endpoint": "channels"},
        {"fault": {"kind": "revoked_token"}, "contactId": "c-2", "channelId": CHANNEL},
    ]});
    assert_eq!(bench.put("/_sandbox/faults", faults).await, 200);
    let shown = bench.own("/_sandbox/faults").await;
    assert_eq!(shown["rules"][2]["contactId"], "c-2");
    assert_eq!(Faults::from_json(&shown.to_string()).unwrap(), bench.sandbox.faults());
    assert_eq!(json_of(bench.send("c-1")).await.0, 429);
    assert_eq!(json_of(bench.send("c-1")).await.0, 200);
    assert_eq!(json_of(bench.send("c-2")).await.0, 401);
    assert_eq!(json_of(bench.get("/api/v1/channels")).await.0, 502);
    assert_eq!(bench.delete("/_sandbox/faults").await, 204);
    assert_eq!(json_of(bench.send("c-2")).await.0, 200);
    assert_eq!(json_of(bench.get("/api/v1/channels")).await.0, 200);
    bench.sandbox.set_faults(Faults::rules([Rule::always(Fault::MonthlyLimit {})])).unwrap();
    assert_eq!(json_of(bench.send("c-2")).await.0, 429);
}

#[rstest]
#[case::unknown_field(json!({"latencyMs": 5}), "unknown field `latencyMs`")]
#[case::unknown_rule_field(
    json!({"rules": [{"fault": {"kind": "html"}, "chance": 1}]}), "rules[0].chance: unknown field `chance`")]
#[case::unknown_fault_field(
    json!({"rules": [{"fault": {"kind": "html", "bodi": "x"}}]}), "unknown field `bodi`")]
#[case::field_of_a_bare_fault(
    json!({"rules": [{"fault": {"kind": "monthly_limit", "status": 429}}]}),
    "unknown field `status`")]
#[case::unknown_kind(json!({"rules": [{"fault": {"kind": "flood"}}]}), "unknown variant `flood`")]
#[case::no_fault(json!({"rules": [{"next": 1}]}), "missing field `fault`")]
#[case::two_triggers(
    json!({"rules": [{"fault": {"kind": "html"}, "next": 1, "every": 2}]}), "one of `probability`")]
#[case::two_recipients(
    json!({"rules": [{"fault": {"kind": "html"}, "contactId": "a", "platformUserId": "b"}]}),
    "one of `contactId`")]
#[case::probability(
    json!({"rules": [{"fault": {"kind": "html"}, "probability": 1.5}]}), "`probability` must")]
#[case::never(json!({"rules": [{"fault": {"kind": "html"}, "every": 0}]}), "`rules[0]`: `every`")]
#[case::status(
    json!({"rules": [{"fault": {"kind": "status", "status": 99}}]}), "`status` must be 200 to 599")]
#[case::header(
    json!({"rules": [{"fault": {"kind": "redirect", "location": "a\nb"}}]}), "`location`")]
#[case::endless_hang(
    json!({"rules": [{"fault": {"kind": "hang", "max_seconds": 121}}]}), "`max_seconds`")]
#[case::listing_of_a_channel(
    json!({"rules": [{"fault": {"kind": "html"}, "endpoint": "channels", "channelId": "a"}]}),
    "`endpoint: channels`")]
#[case::latency(json!({"latency_ms": 120_001}), "`latency_ms`")]
#[case::capacity_of_none(json!({"latency_ms": 1, "capacity": 0}), "`capacity`")]
#[case::capacity_without_latency(json!({"capacity": 5}), "`latency_ms`, which is 0")]
#[tokio::test]
async fn wrong_faults_are_refused_and_change_nothing(#[case] faults: Value, #[case] why: &str) {
    let bench = Bench::with([Rule::always(Fault::MonthlyLimit {})]).await;
    let request = bench.client.put(bench.url("/_sandbox/faults")).json(&faults);
    let (status, body) = json_of(request).await;
    let message = body["message"].as_str().unwrap();
    assert!(status == 400 && message.contains(why), "{status}: {message}");
    assert_eq!(bench.sandbox.faults(), Faults::rules([Rule::always(Fault::MonthlyLimit {})]));
    assert!(Faults::from_json(&faults.to_string()).is_err());
}

#[tokio::test]
async fn wrong_faults_do_not_start() {
    let faults = Faults::rules([Rule::next(0, Fault::MonthlyLimit {})]);
    let options = Options { faults, ..Options::default() };
    let error = Sandbox::start("127.0.0.1:0".parse().unwrap(), options).await.unwrap_err();
    assert!(error.to_string().contains("`rules[0]`: `next`"), "{error}");
}

#[tokio::test]
async fn a_token_can_be_revoked_for_another() {
    let bench = Bench::plain().await;
    assert_eq!(bench.put("/_sandbox/token", json!({"token": "second"})).await, 204);
    assert_eq!(json_of(bench.send("c")).await.0, 401);
    let url = bench.url("/api/v1/channels");
    assert_eq!(json_of(bench.client.get(url).bearer_auth("second")).await.0, 200);
    assert_eq!(bench.put("/_sandbox/token", json!({"tokn": "third"})).await, 400);
    bench.sandbox.set_token("sandbox-token");
    assert_eq!(json_of(bench.send("c")).await.0, 200);
}

#[tokio::test]
async fn a_channel_can_go_missing_and_come_back() {
    let bench = Bench::plain().await;
    let path = format!("/_sandbox/channels/{CHANNEL}");
    assert_eq!(bench.delete(&path).await, 204);
    assert_eq!(bench.delete(&path).await, 404);
    assert_eq!(json_of(bench.send("c")).await.0, 404);
    let (_, listing) = json_of(bench.get("/api/v1/channels?keyword=KURO")).await;
    assert_eq!(listing["total"], 0);
    assert_eq!(bench.put(&path, json!({"name": "KURO"})).await, 204);
    assert_eq!(json_of(bench.send("c")).await.0, 200);
    assert_eq!(bench.put(&path, json!({"name": "KURO", "deleted": true})).await, 204);
    assert_eq!(json_of(bench.send("c")).await.0, 404);
    bench.sandbox.put_channel(ChannelSeed::line(CHANNEL, "KURO"));
    assert_eq!(json_of(bench.send("c")).await.0, 200);
    assert_eq!(bench.put(&path, json!({"nam": "KURO"})).await, 400);
}

#[tokio::test]
async fn the_inbox_is_read_in_pieces_and_emptied() {
    let bench = Bench::plain().await;
    for contact in ["a", "b", "c"] {
        assert_eq!(json_of(bench.send(contact)).await.0, 200);
    }
    let shown = bench.own("/_sandbox/inbox?after=1&limit=1").await;
    assert_eq!((&shown["last_seq"], &shown["dropped"]), (&json!(3), &json!(0)));
    let messages = shown["messages"].as_array().unwrap();
    assert_eq!(messages.len(), 1);
    assert_eq!(messages[0]["seq"], 2);
    assert_eq!(messages[0]["recipient"], json!({"contactId": "b"}));
    assert_eq!(messages[0]["text"], "Hello");
    assert_eq!(bench.delete("/_sandbox/inbox").await, 204);
    assert_eq!(bench.own("/_sandbox/inbox").await["messages"], json!([]));
    assert_eq!(bench.own("/_sandbox/stats").await["accepted"], 0);
    let bad = bench.client.get(bench.url("/_sandbox/inbox?limit=0")).send().await.unwrap();
    assert_eq!(bad.status(), 400);
}

#[tokio::test]
async fn sends_under_way_at_once_are_counted_per_recipient() {
    let faults = Faults { latency_ms: 60_000, ..Faults::default() };
    let bench = Arc::new(Bench::start(Options { faults, ..Options::default() }).await);
    let mut calls = tokio::task::JoinSet::new();
    for contact in ["a", "a", "b"] {
        let bench = Arc::clone(&bench);
        calls.spawn(async move { bench.send(contact).send().await.is_ok() });
    }
    let inbox = bench.sandbox.inbox();
    inbox.wait_for(3).await;
    let stats = bench.own("/_sandbox/stats").await;
    assert_eq!(stats["in_flight"], 3);
    assert_eq!(stats["max_concurrent_sends"], 3);
    assert_eq!(stats["max_concurrent_per_recipient"], 2);
    assert_eq!(
        stats["overlapping"],
        json!([{"channelId": CHANNEL, "recipient": {"contactId": "a"}, "max_concurrent": 2}])
    );
    let lane = Lane { channel_id: CHANNEL.into(), recipient: Recipient::Contact("b".into()) };
    assert_eq!(inbox.max_concurrent(&lane), 1);
}

#[tokio::test]
async fn the_page_shows_messages_and_refusals_and_nothing_of_it_runs() {
    let bench = Bench::with([Rule::next(1, Fault::MonthlyLimit {})]).await;
    assert_eq!(json_of(bench.send("c")).await.0, 429);
    let evil = json!({"channelId": CHANNEL, "contactId": "c", "message": "<script>1</script>"});
    assert_eq!(json_of(bench.post(&evil)).await.0, 200);
    assert_eq!(json_of(bench.post(&json!({"oops": 1}))).await.0, 400);
    let answer = bench.client.get(bench.url("/")).send().await.unwrap();
    let policy = answer.headers()["content-security-policy"].to_str().unwrap().to_owned();
    assert!(policy.starts_with("default-src 'none'"));
    let page = answer.text().await.unwrap();
    for part in [
        "http-equiv=\"refresh\"",
        "&lt;script&gt;1&lt;&#x2f;script&gt;",
        "unknown field `oops`",
        "injected fault `monthly_limit`",
    ] {
        assert!(page.contains(part), "{part} is not on the page: {page}");
    }
    assert!(!page.contains("<script"));
}

#[tokio::test]
async fn a_stop_ends_calls_that_hang_and_frees_the_address() {
    let hang = Rule::always(Fault::Hang { accept: true, max_seconds: 120 });
    let Bench { sandbox, client } = Bench::with([hang]).await;
    let (addr, inbox) = (sandbox.addr(), sandbox.inbox());
    let url = format!("{}/api/v1/message/send", sandbox.base_url());
    let body = json!({"channelId": CHANNEL, "contactId": "c", "message": "Hello"});
    let call = client.post(url).bearer_auth("sandbox-token").json(&body).send();
    let call = tokio::spawn(call);
    inbox.wait_for(1).await;
    tokio::time::timeout(Duration::from_secs(10), sandbox.stop()).await.unwrap();
    let error = call.await.unwrap().unwrap_err();
    assert!(!error.is_timeout(), "{error:?}");
    Sandbox::start(addr, Options::default()).await.unwrap().stop().await;
}

#[tokio::test]
async fn it_serves_until_it_is_told_to_stop() {
    let sandbox = Sandbox::start("127.0.0.1:0".parse().unwrap(), Options::default()).await.unwrap();
    let addr = sandbox.addr();
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let serving = tokio::spawn(sandbox.serve_until(async { stopped.await.unwrap() }));
    drop(tokio::net::TcpStream::connect(addr).await.unwrap());
    stop.send(()).unwrap();
    serving.await.unwrap().unwrap();
    assert!(tokio::net::TcpStream::connect(addr).await.is_err());
}

#[tokio::test]
async fn an_address_in_use_is_named() {
    let bench = Bench::plain().await;
    let addr = bench.sandbox.addr();
    let error = Sandbox::start(addr, Options::default()).await.unwrap_err();
    assert!(error.to_string().contains(&addr.to_string()), "{error}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn under_load_every_message_is_in_the_inbox_once() {
    let rules = [
        Rule::sometimes(0.05, Fault::ResetAfterAcceptance {}),
        Rule::sometimes(0.05, Fault::ResetBeforeAcceptance {}),
    ];
    let bench = Arc::new(Bench::with(rules).await);
    let mut workers = tokio::task::JoinSet::new();
    for worker in 0..32 {
        let bench = Arc::clone(&bench);
        workers.spawn(async move {
            let mut answered = 0_u64;
            for _ in 0..60 {
                let contact = format!("contact-{worker}");
                answered += u64::from(bench.send(&contact).send().await.is_ok());
            }
            answered
        });
    }
    let answered: u64 = workers.join_all().await.into_iter().sum();
    let stats = bench.sandbox.inbox().stats();
    let resets = |kind: &str| stats.faults.get(kind).copied().unwrap_or(0);
    let (after, before) = (resets("reset_after_acceptance"), resets("reset_before_acceptance"));
    assert!(after > 0 && before > 0, "{stats:?}");
    assert_eq!((stats.attempts, stats.accepted), (32 * 60, answered + after));
    assert_eq!(answered + after + before, 32 * 60);
    assert_eq!((stats.max_concurrent_per_recipient, stats.in_flight), (1, 0));
    let seqs: Vec<_> = bench.sandbox.inbox().messages().iter().map(|m| m.seq).collect();
    assert_eq!(seqs, (1..=stats.accepted).collect::<Vec<_>>());
}
