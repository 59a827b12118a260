//! What templates show, and what they can't.

use rstest::rstest;
use serde_json::{Value as Json, json};

use super::{part, rule};

/// The text, or the detail of the rejection.
fn text(template: &str, event: Json) -> Result<String, String> {
    let mut event = event;
    event["to"] = "c-1".into();
    let made = part(rule("r", None, template), &event);
    made.map(|message| message.text.as_str().to_owned()).map_err(|rejection| rejection.detail)
}

#[rstest]
#[case::dollars("{{ 50 | money('USD') }}", "$50.00")]
#[case::decimal_string("{{ '1250.5' | money('THB') }}", "฿1,250.50")]
#[case::no_minor_unit("{{ 1000 | money('JPY') }}", "¥1,000")]
#[case::three_decimals("{{ 1.2345 | money('KWD') }}", "KWD 1.235")]
#[case::by_code("{{ 12.5 | money('SGD') }}", "SGD 12.50")]
#[case::float("{{ (0.1 + 0.2) | money('USD') }}", "$0.30")]
#[case::half_a_cent("{{ 1.005 | money('USD') }}", "$1.01")]
#[case::negative("{{ -1234567.891 | money('EUR') }}", "-€1,234,567.89")]
#[case::negative_nothing("{{ '-0.001' | money('USD') }}", "$0.00")]
#[case::grouped("{{ 1234567.5 | number }}", "1,234,567.5")]
#[case::rounded("{{ 999.995 | number(2) }}", "1,000.00")]
#[case::whole("{{ '007.00' | number }}", "7")]
#[case::one("{{ 1 | plural('parcel', 'parcels') }}", "1 parcel")]
#[case::one_as_text("{{ '1.0' | plural('parcel', 'parcels') }}", "1 parcel")]
#[case::many("{{ 1000 | plural('parcel', 'parcels') }}", "1,000 parcels")]
#[case::none("{{ 0 | plural('parcel', 'parcels') }}", "0 parcels")]
#[case::date("{{ '2026-03-02T20:00:00Z' | date('Asia/Bangkok') }}", "3 Mar 2026")]
#[case::time("{{ '2026-03-03T10:00:00+07:00' | time('Asia/Tokyo') }}", "12:00")]
#[case::datetime("{{ 0 | datetime('America/New_York') }}", "31 Dec 1969, 19:00")]
#[case::format(
    "{{ '2026-03-03T10:05:00+07:00' | datetime('Asia/Bangkok', '%A, %-d %B at %-I:%M %p') }}",
    "Tuesday, 3 March at 10:05 AM"
)]
#[case::daylight_saving("{{ '2026-07-01T12:00:00Z' | time('Europe/Berlin') }}", "14:00")]
#[case::nothing_escaped("{{ \"<a href='x'>&</a>\" }}", "<a href='x'>&</a>")]
#[case::nothing_escaped_for_the_asking("{% autoescape true %}{{ '<&' }}{% endautoescape %}", "<&")]
#[case::silent_else("a{{ 'x' if false }}b", "ab")]
fn a_filter_shows_values_as_customers_read_them(#[case] template: &str, #[case] shown: &str) {
    assert_eq!(text(template, json!({})), Ok(shown.to_owned()));
}

#[rstest]
#[case::missing("{{ event.name | default('customer') }}", json!({}), "customer")]
#[case::null("{{ event.name | default('customer', true) }}", json!({"name": null}), "customer")]
#[case::empty("{{ event.name | default('customer', true) }}", json!({"name": ""}), "customer")]
#[case::there("{{ event.name | default('customer', true) }}", json!({"name": "Nok"}), "Nok")]
#[case::guarded("{% if event.name is defined %}{{ event.name }}{% else %}you{% endif %}", json!({}), "you")]
#[case::key_named_as_a_method("{{ event.items }}", json!({"items": "x"}), "x")]
#[case::loops("{% for i in event.l %}{{ loop.index }}{{ i.a }} {% endfor %}", json!({"l": [{"a": "x"}, {"a": "y"}]}), "1x 2y ")]
#[case::index("{{ event.l[1] }}{{ event.l | length }}", json!({"l": [1, 2.5]}), "2.52")]
#[case::record("{{ record.topic }} {{ record.partition }} {{ record.offset }} {{ record.timestamp }} {{ record.key }}", json!({}), "orders 3 42 1762654445000 the-key")]
#[case::header("{{ record.headers['trace-id'] }}", json!({}), "t-1")]
#[case::binary_header("{{ 'yes' if record.headers.raw is defined else 'no' }}", json!({}), "no")]
#[case::large_number("{{ event.n }}", json!({"n": u64::MAX}), "18446744073709551615")]
#[case::whole_numbers(
    "{{ event.l | join(' ') }}",
    json!({"l": [3.0, 1e3, -0.0, 2.5, 9_007_199_254_740_992.0]}),
    "3 1000 0 2.5 9007199254740992.0"
)]
#[case::thai_name("{{ event.ลูกค้า.ชื่อ }}", json!({"ลูกค้า": {"ชื่อ": "นก"}}), "นก")]
#[case::trailing_newline("{{ event.n }}\n", json!({"n": 7}), "7")]
#[case::last_digits("{{ event.card[-4:] }}", json!({"card": "4111222233334444"}), "4444")]
#[case::attributes(
    "{{ event.l | sum('p') }} {{ event.l | map(attribute='q.0') | join('+') }} {{ event.l | length }}",
    json!({"l": [{"p": 1, "q": ["x"]}, {"p": 2, "q": ["y"]}]}),
    "3 x+y 2"
)]
#[case::numbers_by_default(
    "{{ event.n | int(7) }} {{ event.n | float(default=1.5) }}",
    json!({"n": null}),
    "7 1.5"
)]
#[case::in_order("{{ event.t | replace(old='a', new='o') }}", json!({"t": "cat"}), "cot")]
#[case::attributes_that_may_be_missing(
    "{{ event.l | map(attribute='p', default=0) | sum }} {{ event.l | selectattr('p', 'defined') | length }}",
    json!({"l": [{"p": 1}, {}]}),
    "1 1"
)]
fn a_template_sees_the_event_and_the_record(
    #[case] template: &str,
    #[case] event: Json,
    #[case] shown: &str,
) {
    assert_eq!(text(template, event), Ok(shown.to_owned()));
}

#[rstest]
#[case::missing(
    "Hi {{ event.name }}",
    "message: undefined value in `Hi {{ event.name }}`: there is no `event.name`"
)]
#[case::missing_parent("{{ event.a.b.c }}", "there is no `event.a`")]
#[case::missing_thai_name("{{ event.ชื่อ }}", "there is no `event.ชื่อ`")]
#[case::missing_in_a_filter("{{ event.a | money('USD') }}", "there is no `event.a`")]
#[case::missing_currency("{{ 1 | money(event.a) }}", "there is no `event.a`")]
#[case::missing_in_a_condition("{% if event.a %}x{% endif %}", "there is no `event.a`")]
#[case::missing_in_a_concatenation("{{ 'x' ~ event.a }}", "there is no `event.a`")]
#[case::missing_header("{{ record.headers.nope }}", "no `record.headers.nope`")]
#[case::null("{{ event.null }}", "message: null can't stand in a text")]
#[case::boolean("{{ event.list == 1 }}", "true or false can't stand in a text")]
#[case::list("{{ event.list }}", "a list can't stand in a text")]
#[case::object("{{ event.object }}", "an object can't stand in a text")]
#[case::not_money("{{ event.secret | money('USD') }}", "neither a number nor a plain decimal")]
#[case::not_a_currency("{{ 1 | money(event.secret) }}", "a currency that ISO 4217 does not have")]
#[case::not_a_zone("{{ 0 | date(event.secret) }}", "unknown time zone")]
#[case::not_a_time("{{ event.secret | date('UTC') }}", "not a time: RFC 3339")]
#[case::seconds(
    "{{ (event.list | length + 1767225600) | date('UTC') }}",
    "seconds since 1970; multiply it by 1000"
)]
#[case::not_a_format("{{ 0 | date('UTC', event.bad) }}", "unknown format of a time")]
#[case::not_a_number("{{ event.secret + 1 }}", "invalid operation in `{{ event.secret + 1 }}`")]
#[case::not_an_integer("{{ event.secret | int }}", "invalid operation in")]
#[case::null_in_upper_case("{{ event.null | upper }}", "null can't stand in a text")]
#[case::boolean_as_a_string("{{ (event.list == 1) | string }}", "true or false can't stand in")]
#[case::list_as_a_string("{{ event.list | string }}", "a list can't stand in a text")]
#[case::null_as_a_number("{{ event.null | int }}", "the value is null")]
#[case::null_as_a_number_of_a_base("{{ event.null | int(base=16) }}", "the value is null")]
#[case::null_among_others("{{ ['a', event.null] | join }}", "null can't stand in a text")]
#[case::null_of_items("{{ [event] | join(', ', attribute='null') }}", "null can't stand in a text")]
#[case::null_joined("{{ event.null | join }}", "the value is null")]
#[case::null_formatted("{{ '%s' | format(event.null) }}", "null can't stand in a text")]
#[case::null_by_its_name("{{ '%(k)s' | format(k=event.null) }}", "null can't stand in a text")]
#[case::null_in_place_of("{{ 'Hi X' | replace('X', event.null) }}", "null can't stand in a text")]
#[case::null_between("{{ ['a', 'b'] | join(event.null) }}", "null can't stand in a text")]
#[case::missing_among_others("{{ ['a', event.nope] | join }}", "there is no `event.nope`")]
#[case::null_summed("{{ event.null | sum }}", "the value is null")]
#[case::null_gone_through("{{ event.null | map('upper') | join }}", "the value is null")]
#[case::group_nothing_by_default(
    "{{ event.nope | groupby('a', default='x') }}",
    "there is no `event.nope`"
)]
#[case::place_that_is_missing(
    "{{ [event.list] | map(attribute=3) | join }}",
    "an item of the list lacks"
)]
#[case::two_attributes_of_a_sum("{{ [event] | sum('secret,bad') }}", "an item of the list lacks")]
#[case::groups_without_end(
    "{% set r = range(9999) %}{% for i in range(999) %}{{ r | groupby('x', default=1) | length }}{% endfor %}",
    "engine ran out of fuel"
)]
#[case::sum_of_what_is_missing(
    "{{ [event] | sum('nope') }}",
    "an item of the list lacks the attribute"
)]
#[case::computed_attribute(
    "{{ [event] | sum(event.secret) }}",
    "an item of the list lacks the attribute"
)]
#[case::sort_by_what_is_missing(
    "{{ [event] | sort(attribute='secret,nope') | length }}",
    "an item of"
)]
#[case::map_to_what_is_missing("{{ [event] | map(attribute='a.b') | length }}", "an item of")]
#[case::group_by_what_is_missing("{{ [event] | groupby('nope') | length }}", "an item of")]
#[case::group_nothing("{{ event.nope | groupby('nope') | length }}", "there is no `event.nope`")]
#[case::select_by_what_is_missing("{{ [event] | selectattr('nope') | length }}", "an item of")]
#[case::least_of_what_is_missing("{{ ([event] | min(attribute='nope')).secret }}", "an item of")]
#[case::unique_by_what_is_missing(
    "{{ [event] | unique(attribute='nope') | length }}",
    "an item of"
)]
#[case::without_end(
    "{% for i in range(99999) %}{% for j in range(99999) %}{{ event.secret }}{% endfor %}{% endfor %}",
    "engine ran out of fuel"
)]
#[case::memory("{{ event.secret * 99999999 }}", "engine ran out of fuel")]
#[case::the_failing_line("a\n{{ event.a }}\nb", "in `a\n{{ event.a }}\nb`: there is no `event.a`")]
#[case::empty("{{ event.empty }}", "message: the text is empty")]
#[case::too_long(
    "{{ event.secret * 1000 }}",
    "message: the text has 6000 UTF-16 code units; LINE takes at most 5000"
)]
fn what_a_template_can_not_show_is_told_without_values(#[case] template: &str, #[case] says: &str) {
    let event = json!({
        "secret": "hushed", "null": null, "list": ["hushed"], "object": {"hushed": 1},
        "bad": "%!", "empty": " ",
    });
    let detail = text(template, event).unwrap_err();
    assert!(detail.contains(says), "{detail}");
    assert!(!detail.contains("hushed") && detail.len() <= 300, "{detail}");
}
