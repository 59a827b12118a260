use proptest::prelude::*;
use rstest::rstest;

use super::*;

/// Sun, 06 Nov 1994 08:49:37 GMT, the example date of RFC 9110.
const NOW: Timestamp = Timestamp(784_111_777_000);

const SAMPLE: &str = r#"{"status":"success","channel":"Line","message":"Successfully sent message to platform user Id U0123","requestId":"557520e4-7197-4d56-8a24-ee8c2782d6e4"}"#;
const HTML: &str = "<!doctype html><title>Welcome</title>";
const MONTHLY: &str = r#"{"message":"You have reached your monthly limit."}"#;
const RETRY_KEY: &str = r#"{"message":"The retry key is already accepted"}"#;

const UNCLEAR: Class = Class::Ambiguous(Ambiguity::Unclear);
const NOT_JSON: Class = Class::Ambiguous(Ambiguity::NotJson);
const SERVER_ERROR: Class = Class::Ambiguous(Ambiguity::ServerError);
const RATE_LIMITED: Class = Class::NotApplied(NotApplied::RateLimited);
const UNAUTHORIZED: Class = Class::Stop(Scope::Account, StopReason::Unauthorized);
const FORBIDDEN: Class = Class::Stop(Scope::Channel, StopReason::Forbidden);
const REDIRECT: Class = Class::Stop(Scope::Account, StopReason::Redirect);
const CONTRACT: Class = Class::Stop(Scope::Account, StopReason::Contract);
const MONTH: Class = Class::Stop(Scope::Channel, StopReason::MonthlyLimit);

const fn after(seconds: u64) -> Class {
    Class::NotApplied(NotApplied::RetryAfter(Duration::from_secs(seconds)))
}

fn class(status: u16, retry_after: Option<&str>, body: &[u8]) -> Class {
    classify(&Answer { status, retry_after, body }, NOW).class
}

#[rstest]
#[case::the_vendors_sample(200, SAMPLE, Class::Accepted)]
#[case::another_2xx_line(201, SAMPLE, Class::Accepted)]
#[case::success_in_capitals(200, r#"{"status":"SUCCESS"}"#, Class::Accepted)]
#[case::integer_status(200, r#"{"status":200,"message":"ok","data":{"id":"1"}}"#, Class::Accepted)]
#[case::integer_as_text(200, r#"{"status":"200"}"#, Class::Accepted)]
#[case::spaces_around(200, " {\"status\" : \"success\"}\r\n", Class::Accepted)]
#[case::the_last_of_two_counts(200, r#"{"status":"error","status":"success"}"#, Class::Accepted)]
#[case::success_beside_half_a_surrogate(
    200,
    r#"{"message":"\ud800","status":"success"}"#,
    Class::Accepted
)]
#[case::empty(200, "", Class::Unverified)]
#[case::no_content(204, "", Class::Unverified)]
#[case::white_space(200, "\r\n ", Class::Unverified)]
#[case::cut_short(200, &SAMPLE[..20], Class::Unverified)]
#[case::cut_inside_the_status(200, r#"{"status":"succ"#, Class::Unverified)]
#[case::cut_after_an_error(200, r#"{"status":"error","mess"#, Class::Unverified)]
#[case::no_status(200, r#"{"requestId":"1"}"#, Class::Unverified)]
#[case::null_status(200, r#"{"status":null}"#, Class::Unverified)]
#[case::another_2xx_named(200, r#"{"status":202}"#, Class::Unverified)]
#[case::a_list(200, "[]", Class::Unverified)]
#[case::a_string(200, r#""success""#, Class::Unverified)]
#[case::null(200, "null", Class::Unverified)]
#[case::names_400(200, r#"{"status":400}"#, Class::Permanent)]
#[case::names_422_as_text(200, r#"{"status":"422"}"#, Class::Permanent)]
#[case::names_401(200, r#"{"status":401}"#, UNAUTHORIZED)]
#[case::names_403(200, r#"{"status":403}"#, FORBIDDEN)]
#[case::names_404(200, r#"{"status":404}"#, Class::NotFound)]
#[case::names_405(200, r#"{"status":405}"#, CONTRACT)]
#[case::names_409_with_the_key(
    200,
    r#"{"status":409,"message":"The retry key is already accepted"}"#,
    Class::Accepted
)]
#[case::names_429(200, r#"{"status":429}"#, RATE_LIMITED)]
#[case::names_429_and_the_month(
    200,
    r#"{"status":429,"message":"You have reached your monthly limit."}"#,
    MONTH
)]
#[case::names_500(200, r#"{"status":"500"}"#, SERVER_ERROR)]
#[case::names_503(200, r#"{"status":503}"#, SERVER_ERROR)]
#[case::names_a_redirect(200, r#"{"status":302}"#, UNCLEAR)]
#[case::names_100(200, r#"{"status":100}"#, UNCLEAR)]
#[case::names_zero(200, r#"{"status":0}"#, UNCLEAR)]
#[case::names_600(200, r#"{"status":600}"#, UNCLEAR)]
#[case::names_too_much(200, r#"{"status":99999999999999999999}"#, UNCLEAR)]
#[case::names_200_past_the_width(200, r#"{"status":65736}"#, UNCLEAR)]
#[case::names_less_than_nothing(200, r#"{"status":-400}"#, UNCLEAR)]
#[case::names_a_fraction(200, r#"{"status":400.5}"#, UNCLEAR)]
#[case::says_error(200, r#"{"status":"error","message":"no"}"#, UNCLEAR)]
#[case::says_failed(200, r#"{"status":"failed"}"#, UNCLEAR)]
#[case::says_nothing_in_text(200, r#"{"status":""}"#, UNCLEAR)]
#[case::true_status(200, r#"{"status":true}"#, UNCLEAR)]
#[case::object_status(200, r#"{"status":{"code":200}}"#, UNCLEAR)]
#[case::list_status(200, r#"{"status":[200]}"#, UNCLEAR)]
#[case::half_a_surrogate_as_status(200, r#"{"status":"\ud800"}"#, UNCLEAR)]
#[case::html(200, HTML, NOT_JSON)]
#[case::html_cut_short(200, &HTML[..9], NOT_JSON)]
#[case::plain_text(200, "OK", NOT_JSON)]
#[case::json_and_more(200, r#"{"status":"success"}<!-- 12 ms -->"#, NOT_JSON)]
#[case::moved(301, "", REDIRECT)]
#[case::found_with_success(302, SAMPLE, REDIRECT)]
#[case::not_modified(304, "", REDIRECT)]
#[case::temporary_redirect(307, "", REDIRECT)]
#[case::permanent_redirect(308, "", REDIRECT)]
#[case::bad_request(400, "", Class::Permanent)]
#[case::unauthorized(401, "", UNAUTHORIZED)]
#[case::payment_required(402, "", UNAUTHORIZED)]
#[case::forbidden(403, "", FORBIDDEN)]
#[case::not_found(404, "", Class::NotFound)]
#[case::method_not_allowed(405, "", CONTRACT)]
#[case::not_acceptable(406, "", CONTRACT)]
#[case::request_timeout(408, "", SERVER_ERROR)]
#[case::conflict(409, "", UNCLEAR)]
#[case::conflict_with_success(409, SAMPLE, UNCLEAR)]
#[case::conflict_of_another_key(409, r#"{"message":"invalid retry key"}"#, UNCLEAR)]
#[case::the_retry_key(409, RETRY_KEY, Class::Accepted)]
#[case::the_retry_key_in_capitals(409, "THE RETRY KEY IS ALREADY ACCEPTED", Class::Accepted)]
#[case::the_retry_key_nested(
    409,
    r#"{"error":{"details":["The retry key is already accepted."]}}"#,
    Class::Accepted
)]
#[case::the_retry_key_of_a_400(400, RETRY_KEY, Class::Permanent)]
#[case::gone(410, "", Class::Permanent)]
#[case::too_large(413, "", Class::Permanent)]
#[case::uri_too_long(414, "", Class::Permanent)]
#[case::media_type(415, "", CONTRACT)]
#[case::teapot(418, "", Class::Permanent)]
#[case::unprocessable(422, r#"{"status":"success"}"#, Class::Permanent)]
#[case::rate_limited(429, "", RATE_LIMITED)]
#[case::monthly_limit(429, MONTHLY, MONTH)]
#[case::monthly_limit_elsewhere(400, MONTHLY, Class::Permanent)]
#[case::headers_too_large(431, "", Class::Permanent)]
#[case::last_4xx(499, "", Class::Permanent)]
#[case::internal_error(500, SAMPLE, SERVER_ERROR)]
#[case::not_implemented(501, "", CONTRACT)]
#[case::bad_gateway(502, HTML, SERVER_ERROR)]
#[case::unavailable(503, "", SERVER_ERROR)]
#[case::gateway_timeout(504, "", SERVER_ERROR)]
#[case::last_5xx(599, "", SERVER_ERROR)]
#[case::switching_protocols(101, "", UNCLEAR)]
#[case::no_status_at_all(0, "", UNCLEAR)]
#[case::past_http(600, "", UNCLEAR)]
#[case::far_past_http(999, SAMPLE, UNCLEAR)]
fn every_row_of_the_table(#[case] status: u16, #[case] body: &str, #[case] expected: Class) {
    assert_eq!(class(status, None, body.as_bytes()), expected);
}

#[rstest]
#[case::seconds(429, "7", "", after(7))]
#[case::seconds_of_a_503(503, "7", "", after(7))]
#[case::spaces(429, " 7 ", "", after(7))]
#[case::zero_is_a_second(429, "0", "", after(1))]
#[case::a_day_is_an_hour(429, "86400", "", after(3_600))]
#[case::digits_without_end(429, "99999999999999999999999999", "", after(3_600))]
#[case::a_date(429, "Sun, 06 Nov 1994 08:50:07 GMT", "", after(30))]
#[case::a_date_of_a_503(503, "Sun, 06 Nov 1994 08:50:07 GMT", "", after(30))]
#[case::an_old_style_date(429, "Sunday, 06-Nov-94 08:50:07 GMT", "", after(30))]
#[case::a_date_that_has_passed(429, "Sun, 06 Nov 1994 08:00:00 GMT", "", after(1))]
#[case::a_date_far_ahead(503, "Fri, 31 Dec 9999 23:59:59 GMT", "", after(3_600))]
#[case::garbage(429, "soon", "", RATE_LIMITED)]
#[case::garbage_of_a_503(503, "soon", "", SERVER_ERROR)]
#[case::empty(429, "", "", RATE_LIMITED)]
#[case::negative(429, "-1", "", RATE_LIMITED)]
#[case::signed(429, "+5", "", RATE_LIMITED)]
#[case::fraction(429, "1.5", "", RATE_LIMITED)]
#[case::the_month_wins_over_a_wait(429, "7", MONTHLY, MONTH)]
#[case::named_by_a_200(200, "7", r#"{"status":429}"#, after(7))]
#[case::named_by_a_200_as_503(200, "7", r#"{"status":503}"#, after(7))]
#[case::no_wait_for_a_500(500, "7", "", SERVER_ERROR)]
#[case::no_wait_for_a_400(400, "7", "", Class::Permanent)]
#[case::no_wait_for_success(200, "7", SAMPLE, Class::Accepted)]
fn a_retry_after_counts_where_the_table_says_so(
    #[case] status: u16,
    #[case] retry_after: &str,
    #[case] body: &str,
    #[case] expected: Class,
) {
    assert_eq!(class(status, Some(retry_after), body.as_bytes()), expected);
}

#[rstest]
#[case::unreachable(Failure::Unreachable, Class::NotApplied(NotApplied::Unreachable))]
#[case::no_answer(Failure::NoAnswer, Class::Ambiguous(Ambiguity::NoAnswer))]
#[case::transport(Failure::Transport, Class::Stop(Scope::Account, StopReason::Transport))]
fn a_failure_has_its_class(#[case] failure: Failure, #[case] expected: Class) {
    assert_eq!(Class::from(failure), expected);
}

#[rstest]
#[case::the_vendors_sample(SAMPLE, Some("557520e4-7197-4d56-8a24-ee8c2782d6e4"))]
#[case::of_a_refusal(r#"{"requestId":"abc"}"#, Some("abc"))]
#[case::beside_depth(r#"{"x":[[[[{}]]]],"requestId":"abc"}"#, Some("abc"))]
#[case::empty(r#"{"requestId":""}"#, None)]
#[case::a_number(r#"{"requestId":12}"#, None)]
#[case::null(r#"{"requestId":null}"#, None)]
#[case::a_list(r#"{"requestId":["abc"]}"#, None)]
#[case::control_character(r#"{"requestId":"a\nb"}"#, None)]
#[case::not_ascii(r#"{"requestId":"ümlaut"}"#, None)]
#[case::of_html(HTML, None)]
#[case::none("", None)]
fn a_request_id_is_kept_where_it_can_be_shown(#[case] body: &str, #[case] kept: Option<&str>) {
    let answer = Answer { status: 500, retry_after: None, body: body.as_bytes() };
    assert_eq!(classify(&answer, NOW).request_id.as_deref(), kept);
}

#[rstest]
#[case::the_longest(128, true)]
#[case::longer(129, false)]
fn a_request_id_has_a_longest_length(#[case] length: usize, #[case] kept: bool) {
    let body = format!(r#"{{"requestId":"{}"}}"#, "a".repeat(length));
    let answer = Answer { status: 200, retry_after: None, body: body.as_bytes() };
    assert_eq!(classify(&answer, NOW).request_id.is_some(), kept);
}

#[test]
fn the_status_line_is_what_is_reported() {
    let answer = Answer { status: 200, retry_after: None, body: br#"{"status":404}"# };
    let outcome = classify(&answer, NOW);
    assert_eq!((outcome.class, outcome.status), (Class::NotFound, Some(200)));
}

#[rstest]
#[case::not_utf_8(&[b'{', b'"', 0xff, b'"', b':', b'1', b'}'])]
#[case::a_value_not_utf_8(b"{\"status\":\"success\",\"message\":\"\xe9\"}")]
#[case::not_utf_8_at_all(&[0xff, 0xfe, 0x00])]
#[case::zeros(&[0; 1000])]
fn bytes_that_are_no_text_are_not_json(#[case] body: &[u8]) {
    assert_eq!(class(200, None, body), NOT_JSON);
}

#[test]
fn depth_beside_the_status_does_not_hide_it() {
    let deep = format!("{}1{}", "[".repeat(20_000), "]".repeat(20_000));
    let body = format!(r#"{{"deep":{deep},"status":"success"}}"#);
    assert_eq!(class(200, None, body.as_bytes()), Class::Accepted);
    let body = format!(r#"{{"status":{deep}}}"#);
    assert_eq!(class(200, None, body.as_bytes()), UNCLEAR);
    assert_eq!(class(200, None, "[".repeat(60_000).as_bytes()), Class::Unverified);
}

#[test]
fn debug_leaves_the_body_out() {
    let shown = format!("{:?}", Answer { status: 200, retry_after: None, body: b"U0123" });
    assert_eq!(shown, "Answer(200, 5 bytes)");
}

proptest! {
    #[test]
    fn no_answer_panics(
        status in any::<u16>(),
        retry_after in proptest::option::of(".{0,40}"),
        body in proptest::collection::vec(any::<u8>(), 0..200),
        now in any::<i64>(),
    ) {
        let answer = Answer { status, retry_after: retry_after.as_deref(), body: &body };
        let _outcome = classify(&answer, Timestamp(now));
    }

    #[test]
    fn a_success_cut_anywhere_is_never_sent_again(end in 0..SAMPLE.len()) {
        prop_assert_eq!(class(200, None, &SAMPLE.as_bytes()[..end]), Class::Unverified);
    }

    #[test]
    fn a_wait_is_between_a_second_and_an_hour(text in "[0-9]{1,30}", now in any::<i64>()) {
        let wait = retry_after(&text, Timestamp(now)).unwrap();
        prop_assert!((SHORTEST_WAIT..=LONGEST_WAIT).contains(&wait));
    }
}
