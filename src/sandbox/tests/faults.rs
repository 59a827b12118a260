//! Each fault, as a client sees it.

use std::time::Duration;

use rstest::rstest;
use serde_json::Value;

use super::{Bench, CHANNEL, json_of};
use crate::sandbox::{Endpoint, Fault, Faults, Options, Recipient, RetryAfter, Rule};

/// How many messages there are, and the fault that the newest bears.
fn inbox(bench: &Bench) -> (u64, Option<&'static str>) {
    let inbox = bench.sandbox.inbox();
    (inbox.stats().accepted, inbox.newest(1).first().and_then(|message| message.fault))
}

fn status(status: u16, accept: bool) -> Fault {
    Fault::Status { status, body: None, content_type: None, accept }
}

#[rstest]
#[case::bad_gateway(status(502, false), 502, false)]
#[case::accepted_and_yet_500(status(500, true), 500, true)]
#[case::payment_required(status(402, false), 402, false)]
#[case::limited(Fault::RateLimited { retry_after: None }, 429, false)]
#[case::unavailable(Fault::Unavailable { retry_after: None }, 503, false)]
#[case::monthly(Fault::MonthlyLimit {}, 429, false)]
#[case::revoked(Fault::RevokedToken {}, 401, false)]
#[case::redirect(Fault::Redirect { location: None }, 302, false)]
#[case::html(Fault::Html { accept: false }, 200, false)]
#[case::empty(Fault::Empty { accept: true }, 200, true)]
#[case::truncated(Fault::Truncated { accept: true }, 200, true)]
#[tokio::test]
async fn a_fault_answers_with_its_status(
    #[case] fault: Fault,
    #[case] expected: u16,
    #[case] accepted: bool,
) {
    let kind = fault.kind();
    let bench = Bench::with([Rule::next(1, fault)]).await;
    let answer = bench.send("c").send().await.unwrap();
    assert_eq!(answer.status(), expected);
    assert!(!answer.headers().contains_key("retry-after"));
    assert_eq!(inbox(&bench), if accepted { (1, Some(kind)) } else { (0, None) });
    assert_eq!(bench.sandbox.inbox().stats().faults[kind], 1);
    assert_eq!(bench.sandbox.inbox().refusals(9).len(), usize::from(!accepted));
    assert_eq!(json_of(bench.send("c")).await.0, 200);
}

#[rstest]
#[case::seconds(RetryAfter::Seconds(7), "7")]
#[case::raw(RetryAfter::Raw("soon".into()), "soon")]
#[tokio::test]
async fn retry_after_is_sent_as_told(
    #[case] retry_after: RetryAfter,
    #[case] expected: &str,
    #[values(429, 503)] status: u16,
) {
    let retry_after = Some(retry_after);
    let fault = if status == 429 {
        Fault::RateLimited { retry_after }
    } else {
        Fault::Unavailable { retry_after }
    };
    let bench = Bench::with([Rule::always(fault)]).await;
    let answer = bench.send("c").send().await.unwrap();
    assert_eq!(answer.status(), status);
    assert_eq!(answer.headers()["retry-after"], expected);
}

#[tokio::test]
async fn retry_after_can_be_a_date() {
    let retry_after = Some(RetryAfter::DateInSeconds(3_600));
    let bench = Bench::with([Rule::always(Fault::RateLimited { retry_after })]).await;
    let answer = bench.send("c").send().await.unwrap();
    let header =
        |name: &str| httpdate::parse_http_date(answer.headers()[name].to_str().unwrap()).unwrap();
    let ahead = header("retry-after").duration_since(header("date")).unwrap();
    assert!((3_598..=3_602).contains(&ahead.as_secs()), "{ahead:?}");
}

#[tokio::test]
async fn the_monthly_limit_is_told_in_the_words_of_line() {
    let bench = Bench::with([Rule::always(Fault::MonthlyLimit {})]).await;
    let (_, body) = json_of(bench.send("c")).await;
    assert_eq!(body, serde_json::json!({"message": "You have reached your monthly limit."}));
}

#[tokio::test]
async fn a_status_can_have_any_body() {
    let fault = Fault::Status {
        status: 200,
        body: Some(r#"{"status":"error"}"#.into()),
        content_type: Some("text/json".into()),
        accept: false,
    };
    let bench = Bench::with([Rule::always(fault)]).await;
    let answer = bench.send("c").send().await.unwrap();
    assert_eq!(answer.headers()["content-type"], "text/json");
    assert_eq!(answer.text().await.unwrap(), r#"{"status":"error"}"#);
}

#[rstest]
#[case::before(Fault::ResetBeforeAcceptance {}, false)]
#[case::after(Fault::ResetAfterAcceptance {}, true)]
#[tokio::test]
async fn a_reset_gives_no_answer(#[case] fault: Fault, #[case] accepted: bool) {
    let kind = fault.kind();
    let bench = Bench::with([Rule::every(2, fault)]).await;
    // The first request opens the connection that the second one finds reset.
    assert_eq!(json_of(bench.send("c")).await.0, 200);
    let error = bench.send("c").send().await.unwrap_err();
    assert!(error.is_request() && !error.is_connect() && !error.is_timeout(), "{error:?}");
    assert!(format!("{error:?}").contains("ConnectionReset"), "{error:?}");
    assert_eq!(inbox(&bench), if accepted { (2, Some(kind)) } else { (1, None) });
    assert_eq!(bench.sandbox.inbox().stats().in_flight, 0);
    assert_eq!(json_of(bench.send("c")).await.0, 200);
    assert_eq!(bench.sandbox.inbox().stats().attempts, 3);
}

#[tokio::test]
async fn a_listing_can_be_reset_too() {
    let rule = Rule::always(Fault::ResetBeforeAcceptance {}).on(Endpoint::Channels);
    let bench = Bench::with([rule]).await;
    assert!(bench.get("/api/v1/channels").send().await.is_err());
    assert_eq!(json_of(bench.send("c")).await.0, 200);
}

#[rstest]
#[tokio::test]
async fn a_hanging_call_never_answers(#[values(true, false)] accept: bool) {
    let bench = Bench::with([Rule::always(Fault::Hang { accept, max_seconds: 120 })]).await;
    let error = bench.send("c").timeout(Duration::from_millis(200)).send().await.unwrap_err();
    assert!(error.is_timeout(), "{error:?}");
    assert_eq!(inbox(&bench).0, u64::from(accept));
    // The call ends here too once its client has left.
    bench.sandbox.inbox().wait_idle().await;
}

#[tokio::test]
async fn a_hanging_call_is_cut_in_the_end() {
    let bench = Bench::with([Rule::always(Fault::Hang { accept: false, max_seconds: 1 })]).await;
    let error = bench.send("c").send().await.unwrap_err();
    assert!(error.is_request() && !error.is_timeout(), "{error:?}");
}

#[tokio::test]
async fn an_answer_cut_short_has_a_status_and_no_end() {
    let bench = Bench::with([Rule::always(Fault::CutShort { accept: true })]).await;
    let mut answer = bench.send("c").send().await.unwrap();
    assert_eq!(answer.status(), 200);
    let announced = usize::try_from(answer.content_length().unwrap()).unwrap();
    let mut got = answer.chunk().await.unwrap().unwrap().len();
    let error = loop {
        match answer.chunk().await {
            Ok(piece) => got += piece.unwrap().len(),
            Err(error) => break error,
        }
    };
    assert!(!error.is_timeout(), "{error:?}");
    assert_eq!(got, announced / 2);
    assert_eq!(inbox(&bench), (1, Some("cut_short")));
}

#[tokio::test]
async fn a_truncated_answer_is_whole_and_not_json() {
    let bench = Bench::with([Rule::always(Fault::Truncated { accept: true })]).await;
    let body = bench.send("c").send().await.unwrap().text().await.unwrap();
    assert!(body.starts_with("{\"status\":\"success\""), "{body}");
    assert!(serde_json::from_str::<Value>(&body).is_err());
}

#[tokio::test]
async fn a_web_page_and_an_empty_body_are_what_they_say() {
    let rules = [
        Rule::next(1, Fault::Html { accept: false }),
        Rule::next(1, Fault::Empty { accept: true }),
    ];
    let bench = Bench::with(rules).await;
    let html = bench.send("c").send().await.unwrap();
    assert_eq!(html.headers()["content-type"], "text/html; charset=utf-8");
    assert!(html.text().await.unwrap().contains("<h1>"));
    assert_eq!(bench.send("c").send().await.unwrap().text().await.unwrap(), "");
}

#[tokio::test]
async fn a_slow_body_arrives_whole_and_late() {
    let fault = Fault::SlowBody { accept: true, duration_ms: 1_000 };
    let bench = Bench::with([Rule::always(fault)]).await;
    let error = async {
        let answer = bench.send("c").timeout(Duration::from_millis(400)).send().await.unwrap();
        answer.text().await.unwrap_err()
    };
    assert!(error.await.is_timeout());
    let (status, body) = json_of(bench.send("c")).await;
    assert_eq!((status, &body["status"]), (200, &Value::from("success")));
}

#[tokio::test]
async fn a_redirect_that_is_followed_is_refused() {
    let bench = Bench::with([Rule::always(Fault::Redirect { location: None })]).await;
    let follower = reqwest::Client::builder().no_proxy().build().unwrap();
    let request = bench.send("c").build().unwrap();
    assert_eq!(follower.execute(request).await.unwrap().status(), 405);
}

#[tokio::test]
async fn latency_delays_the_answer_and_not_the_acceptance() {
    let faults = Faults { latency_ms: 60_000, ..Faults::default() };
    let bench = Bench::start(Options { faults, ..Options::default() }).await;
    let inbox = bench.sandbox.inbox();
    tokio::select! {
        answer = bench.send("c").send() => panic!("answered: {answer:?}"),
        () = inbox.wait_for(1) => {}
    }
    assert_eq!(inbox.newest(1)[0].fault, None);
}

#[tokio::test]
async fn a_rule_befalls_its_recipient_alone() {
    let rule = Rule::always(Fault::ResetBeforeAcceptance {})
        .for_channel(CHANNEL)
        .for_recipient(Recipient::Contact("unlucky".into()));
    let bench = Bench::with([rule]).await;
    assert!(bench.send("unlucky").send().await.is_err());
    assert_eq!(json_of(bench.send("lucky")).await.0, 200);
}

#[tokio::test]
async fn a_refused_call_spends_no_fault() {
    let bench = Bench::with([Rule::next(1, Fault::MonthlyLimit {})]).await;
    assert_eq!(json_of(bench.post(&serde_json::json!({}))).await.0, 400);
    assert_eq!(json_of(bench.send("c")).await.0, 429);
}
