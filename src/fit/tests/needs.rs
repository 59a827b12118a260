//! What a number, a sum, a time, a channel and a pair of braces need.

use super::*;

#[rstest]
#[case::difference(
    "{{ event.id - 1 }}",
    "`event.id`: the schema says that it is a string; a number is needed here, which the filter `float` makes of a text"
)]
#[case::product_by_default(
    "{{ event.tracking | default(1) * 2 }}",
    "`event.tracking`: the schema says that it is a string; a number is needed here, which the filter `float` makes of a text"
)]
#[case::negative(
    "{{ -event.id }}",
    "`event.id`: the schema says that it is a string; a number is needed here, which the filter `float` makes of a text"
)]
#[case::sum_with_a_number(
    "{{ event.id + 1 }}",
    "`event.id + 1` adds a string and a number; to concatenate, use `~` instead of `+`"
)]
#[case::sum_of_a_number(
    "{{ 'no. ' + event.count }}",
    "`\"no. \" + event.count` adds a string and a number; to concatenate, use `~` instead of `+`"
)]
#[case::sum_of_two(
    "{{ event.id + event.count }}",
    "`event.id + event.count` adds a string and a number; to concatenate, use `~` instead of `+`"
)]
fn arithmetic_with_a_text_is_a_mistake(#[case] message: &str, #[case] expected: &str) {
    assert_eq!(said_of_message(message), format!("0.message: {expected}"));
}

#[rstest]
#[case("{{ event.count + 1 }} {{ event.count * 2 / 3 }} {{ -event.count }}")]
#[case("{{ event.id + '!' }} {{ event.id ~ event.count }}")]
#[case("{{ event.id | int + 1 }}")]
#[case("{{ '*' * event.count }}")]
#[case("{{ event.extra.a + 1 if event.extra is defined }}")]
#[case("{{ event.level + 1 if event.level is defined }}")]
fn arithmetic_that_may_come_out_passes(#[case] message: &str) {
    assert_eq!(said_of_message(message), "");
}

#[rstest]
#[case::misspelt(
    "{{ event.items | map(attribute='nme') | join(', ') }}",
    "no such property; did you mean `name`?"
)]
#[case::misspelt_behind_a_choice(
    "{{ event.items | selectattr('size', 'defined') | sum(attribute='siz') }}",
    "no such property; did you mean `size`?"
)]
#[case::misspelt_in_the_choice(
    "{{ event.items | selectattr('siz', 'defined') | list | length }}",
    "no such property"
)]
#[case::asked_for_below_what_may_be_missing(
    "{{ event.items | selectattr('more.x', 'defined') | list | length }}",
    "`event.items[…].more`, needed for"
)]
#[case::not_in_all(
    "{{ event.items | sum('size') }}",
    "may be missing: the schema does not require it"
)]
#[case::null_in_upper_case(
    "{{ event.customer.name | default('x') | upper }}",
    "`event.customer.name` may be null"
)]
#[case::null_in_a_concatenation(
    "{{ event.customer.name | default('x') ~ '!' }}",
    "`event.customer.name` may be null"
)]
#[case::boolean_in_a_concatenation(
    "{{ event.flag ~ '!' }}",
    "it is a boolean; a string or a number is needed"
)]
#[case::missing_list("{{ event.anything | sum('a') }}", "`event.anything` may be missing")]
#[case::null_in_replace(
    "{{ event.id | replace('x', event.customer.name | default('y')) }}",
    "`event.customer.name` may be null"
)]
fn what_a_filter_or_a_concatenation_needs_is_told(#[case] message: &str, #[case] says: &str) {
    let said = said_of_message(message);
    assert!(said.contains(says), "{said}");
}

#[rstest]
#[case("{{ event.items | map(attribute='name') | join(', ') }}")]
#[case("{{ event.items | selectattr('size', 'defined') | sum(attribute='size') }}")]
#[case("{{ event.items | map(attribute='size', default=0) | sum }}")]
#[case("{{ event.items | map(attribute='more.x', default=0) | sum }}")]
#[case("{{ event.items | selectattr('more', 'defined') | sum(attribute='more.x') }}")]
#[case("{{ event.count | int(0) }}")]
#[case(
    "{{ event.id[-4:] }} {{ event.extra.l | map(attribute='x') | join if event.extra is defined }}"
)]
#[case("{{ event.customer.name | default('x', true) | upper }} {{ event.count | string }}")]
fn a_filter_that_has_what_it_needs_passes(#[case] message: &str) {
    assert_eq!(said_of_message(message), "");
}

/// What may exclude a value in a way that is not understood leaves no warning.
#[rstest]
#[case::not(r#"{"enum": ["placed", "zzz"], "not": {"const": "zzz"}}"#, "")]
#[case::not_further_up(
    r#"{"enum": ["placed", "zzz"]}"#,
    r#", "not": {"properties": {"b": {"const": "zzz"}}}"#
)]
#[case::another_text(
    "{}",
    r#", "if": {"properties": {"t": {"pattern": "^x"}}}, "then": {"properties": {"b": {"enum": ["placed"]}}}, "else": {"properties": {"b": {"enum": ["zzz"]}}}"#
)]
fn in_doubt_a_channel_that_is_chosen_passes(#[case] of_it: &str, #[case] beside: &str) {
    let text = format!(
        r#"{{"type": "object", "required": ["b", "t"], "properties": {{"b": {of_it}, "t": {{"type": "string"}}}}{beside}}}"#
    );
    let chosen = ChannelSource::From("event.b".to_owned());
    let rule = RuleSource { channel: chosen, ..rule("r", Some("event.t == 'x1'"), "x") };
    assert_eq!(said_of(&schema(&text), vec![rule]), "");
}

/// An event of whose `at` the schema says this.
fn said_of_time(at: &str, message: &str) -> String {
    let text = format!(r#"{{"type": "object", "required": ["at"], "properties": {{"at": {at}}}}}"#);
    let mut topic = topic(vec![rule("r", None, message)]);
    topic.rules[0].expires = Expiry::At("event.at".to_owned());
    topic.event_time = Some("event.at".to_owned());
    let found = check(schema(&text).outline(), &topic, &channels());
    let line = |found: &Misfit| {
        format!("{}{}{}", if found.is_warning { "warning: " } else { "" }, found.key, found.message)
    };
    found.iter().map(line).collect::<Vec<_>>().join("\n")
}

#[rstest]
#[case::any_text(
    r#"{"type": "string"}"#,
    "warning: K`event.at`: a time is needed here, and the schema allows any text; give it `\"format\": \"date-time\"`, or a text that is no time makes the event a dead letter"
)]
#[case::a_date(
    r#"{"type": "string", "format": "date"}"#,
    "K`event.at`: by its `format` in the schema it is never a point in time, which is needed here: a text in RFC 3339, or whole milliseconds since 1970"
)]
#[case::no_time_among_its_values(
    r#"{"enum": ["placed", "shipped"]}"#,
    "K`event.at`: the schema allows only \"placed\", \"shipped\"; a time is needed here: a text in RFC 3339, or whole milliseconds since 1970"
)]
#[case::no_text(
    r#"{"type": "boolean"}"#,
    "K`event.at`: the schema says that it is a boolean; a time is needed here: a text in RFC 3339, or whole milliseconds since 1970"
)]
#[case::perhaps_null(
    r#"{"type": ["string", "null"], "format": "date-time"}"#,
    "K`event.at` may be null; use the filter `default(…, true)`, or guard it with `event.at is not none`"
)]
fn what_may_be_no_time_is_told(#[case] at: &str, #[case] expected: &str) {
    let said = said_of_time(at, "{{ event.at | date('Asia/Bangkok') }}");
    let expected = ["event_time", "expires_at", "message"].map(|key| expected.replace('K', key));
    assert_eq!(said, expected.join("\n"));
}

#[rstest]
#[case::by_its_format(r#"{"type": "string", "format": "date-time"}"#)]
#[case::by_a_pattern(r#"{"type": "string", "pattern": "^2[0-9]{3}-.*Z$"}"#)]
#[case::in_milliseconds(r#"{"type": "integer"}"#)]
#[case::either(r#"{"anyOf": [{"type": "integer"}, {"type": "string", "format": "date-time"}]}"#)]
#[case::in_another_schema(r#"{"type": "string", "allOf": [{"format": "date-time"}]}"#)]
#[case::nothing_is_said("true")]
fn a_time_passes(#[case] at: &str) {
    assert_eq!(said_of_time(at, "{{ event.at | datetime('Asia/Bangkok') }}"), "");
}

#[rstest]
#[case::spaces(
    "Order { event.id }.",
    "`{ event.id }` is sent literally; write the value as `{{ event.id }}`, and the braces themselves as `{{ \"{event.id}\" }}`"
)]
#[case::a_variable(
    "See ${SHOP_URL}",
    "`${SHOP_URL}` is sent literally: environment variables are not expanded in rules; write the text itself, or take it from the event"
)]
#[case::a_sum_in_dollars(
    "It is ${event.total}",
    "`{event.total}` is sent literally; write the value as `{{ event.total }}`, and the braces themselves as `{{ \"{event.total}\" }}`"
)]
#[case::thai(
    "แต้ม { event.แต้ม }",
    "`{ event.แต้ม }` is sent literally; write the value as `{{ event.แต้ม }}`, and the braces themselves as `{{ \"{event.แต้ม}\" }}`"
)]
#[case::in_a_branch(
    "{% if event.flag %}{id}{% endif %}",
    "`{id}` is sent literally; write the value as `{{ id }}`, and the braces themselves as `{{ \"{id}\" }}`"
)]
fn a_name_in_single_braces_is_a_warning(#[case] message: &str, #[case] expected: &str) {
    assert_eq!(said_of_message(message), format!("0.message: warning: {expected}"));
}

#[test]
fn single_braces_are_told_at_their_line() {
    let rules = vec![rule("r", None, "{{ event.id }}\n{ \n\n{event.id}")];
    let found = check(schema(ORDER).outline(), &topic(rules), &channels());
    assert_eq!(found.iter().map(|found| &found.spot).collect::<Vec<_>>(), [&Some(Spot::Line(4))]);
}

#[rstest]
#[case("Sizes {1, 2}, {} and { , a smile :-}")]
#[case("{{ '{id}' }} {# {id} #} ${{ event.count }}")]
#[case("{ \"json\": 1 } }{ {ด่วน} {ก.พ.}")]
fn other_braces_are_just_a_text(#[case] message: &str) {
    assert_eq!(said_of_message(message), "");
}

#[rstest]
#[case::some_are_none(
    None,
    "event.status",
    "0.channel: warning: `event.status` may be \"cancelled\", \"shipped\" according to the schema, but \
     `channels` has only `placed`, `support`: such an event would become a dead letter; add the \
     channel, or exclude the value in `when`"
)]
#[case::left_out_by_a_condition(Some("event.status == 'placed'"), "event.status", "")]
#[case::left_out_one_by_one(
    Some("event.status not in ['shipped', 'cancelled']"),
    "event.status",
    ""
)]
#[case::left_out_by_a_condition_that_is_not_understood(
    Some("event.status | length < 7"),
    "event.status",
    ""
)]
#[case::chosen(None, "'placed' if event.flag else 'support'", "")]
#[case::chosen_and_misspelt(
    None,
    "'placed' if event.flag else 'suport'",
    "0.channel: \"suport\" is not among `channels`; did you mean `support`?"
)]
#[case::far_from_all(
    None,
    "'placed' if event.flag else 'zzz'",
    "0.channel: \"zzz\" is not among `channels`; it has `placed`, `support`"
)]
#[case::by_default(None, "event.tracking | default('support')", "")]
#[case::any_text(None, "event.id", "")]
#[case::a_number(
    None,
    "event.count",
    "0.channel: `event.count`: the schema says that it is a number; the name of a channel is \
     needed here"
)]
#[case::may_be_missing(
    None,
    "event.tracking",
    "0.channel: `event.tracking` may be missing: the schema does not require it; guard it with \
     `event.tracking is defined`, or use the filter `default`"
)]
fn a_channel_that_is_chosen_exists(
    #[case] when: Option<&str>,
    #[case] from: &str,
    #[case] said: &str,
) {
    let chosen = ChannelSource::From(from.to_owned());
    let rule = RuleSource { channel: chosen, ..rule("r", when, "x") };
    assert_eq!(said_of(&schema(ORDER), vec![rule]), said);
}

/// An event whose `c` and `z` are a currency and a time zone.
const PAID: &str = r#"{"type": "object", "required": ["n", "c", "z", "at"], "properties": {
    "n": {"type": "number"}, "c": {"enum": ["THB", "BAHT", "USD"]},
    "z": {"enum": ["Asia/Bangkok", "Bangkok"]}, "at": {"type": "string", "format": "date-time"}}}"#;

#[rstest]
#[case::a_currency(
    None,
    "{{ event.n | money(event.c) }}",
    "0.message: warning: `event.c` may be \"BAHT\" according to the schema, which ISO 4217 does not \
     have: such an event would become a dead letter; correct the schema, or exclude the value in `when`"
)]
#[case::a_currency_that_is_left_out(
    Some("event.c != 'BAHT'"),
    "{{ event.n | money(event.c) }}",
    ""
)]
#[case::a_zone(
    None,
    "{{ event.at | date(event.z) }}",
    "0.message: warning: `event.z` may be \"Bangkok\" according to the schema, which the time zone \
     database does not have: such an event would become a dead letter; correct the schema, or exclude \
     the value in `when`"
)]
#[case::a_number_for_a_currency(
    None,
    "{{ event.n | money(event.n) }}",
    "0.message: `event.n`: the schema says that it is a number; a currency's code, such as \"THB\", is \
     needed here"
)]
#[case::a_number_for_a_zone(
    None,
    "{{ event.at | time(event.n) }}",
    "0.message: `event.n`: the schema says that it is a number; the name of a time zone, such as \
     \"Asia/Bangkok\", is needed here"
)]
fn a_currency_or_a_time_zone_of_the_event_exists(
    #[case] when: Option<&str>,
    #[case] message: &str,
    #[case] said: &str,
) {
    assert_eq!(said_of(&schema(PAID), vec![rule("r", when, message)]), said);
}

/// The engine fails for null.
#[rstest]
#[case("{{ event.note | length }}")]
#[case("{{ event.note | first }}")]
#[case("{{ event.note | lines | join(', ') }}")]
#[case("{{ event.note | split('-') | join(', ') }}")]
#[case("{{ event.note | reverse }}")]
fn what_may_be_null_is_not_given_to_a_filter_that_fails_for_it(#[case] message: &str) {
    let said = said_of_message(&format!("{{% if event.note is defined %}}{message}{{% endif %}}"));
    assert!(said.starts_with("0.message: `event.note` may be null"), "{said}");
}

#[rstest]
#[case(
    "{{ event.flag | money('THB') }}",
    "`event.flag`: the schema says that it is a boolean; a number, or a string such as \"12.50\", is needed here"
)]
#[case(
    "{{ event.id | abs }}",
    "`event.id`: the schema says that it is a string; a number is needed here, which the filter `float` makes of a text"
)]
#[case(
    "{{ event.count | length }}",
    "`event.count`: the schema says that it is a number; a list, a string or an object is needed here"
)]
#[case(
    "{% for i in event.count %}x{% endfor %}",
    "`event.count`: the schema says that it is a number; a list, a string or an object is needed here"
)]
#[case(
    "{{ event.count[0:2] }}",
    "`event.count`: the schema says that it is a number; a string is needed here"
)]
#[case(
    "{{ 'x' if event.id in event.count }}",
    "`event.count`: the schema says that it is a number; a list, a string or an object is needed here"
)]
#[case(
    "{{ event.customer | split(',') | length }}",
    "`event.customer`: the schema says that it is an object; a string is needed here"
)]
#[case(
    "{{ event.id | items | list | length }}",
    "`event.id`: the schema says that it is a string; an object is needed here"
)]
#[case(
    "{{ event.id | sum }}",
    "`event.id`: the schema says that it is a string; a list is needed here"
)]
#[case(
    "{% if event.note is defined %}{{ event.note[:3] }}{% endif %}",
    "`event.note` may be null; use the filter `default(…, true)`, or guard it with `event.note is not none`"
)]
#[case(
    "{{ event.id | upper - 1 }}",
    "the filter `upper` gives a string; a number is needed here, which the filter `float` makes of a text"
)]
#[case(
    "{{ event.count | string | upper | items }}",
    "the filter `upper` gives a string; an object is needed here"
)]
#[case("{{ [event.id] }}", "`[…]` gives a list; a string or a number is needed here")]
#[case(
    "{{ event.count | money('THB' if event.flag else 'baht') }}",
    "\"baht\" is a string; a currency's code, such as \"THB\", is needed here"
)]
#[case(
    "{{ event.count | money(event.tracking | default('baht')) }}",
    "\"baht\" is a string; a currency's code, such as \"THB\", is needed here"
)]
#[case(
    "{{ event.level | default('none') | money('THB') }}",
    "\"none\" is a string; a number, or a string such as \"12.50\", is needed here"
)]
#[case("{{ event.tracking | default(none) }}", "null is null; a string or a number is needed here")]
#[case(
    "{{ event.count | money('THB' if event.flag) }}",
    "there is no value where the `if` does not hold; add an `else` to it"
)]
#[case(
    "{{ 'x' if event.tracking is startingwith('VIP') }}",
    "`event.tracking` may be missing: the schema does not require it; guard it with `event.tracking is defined`, or use the filter `default`"
)]
fn what_does_not_do_for_what_is_needed_is_a_mistake(#[case] message: &str, #[case] expected: &str) {
    assert_eq!(said_of_message(message), format!("0.message: {expected}"));
}

#[rstest]
#[case("{{ event.count | money('THB') }} {{ event.id | money('THB') }} {{ event.flag | int }}")]
#[case("{% for letter in event.id %}{{ letter }}{% endfor %}{{ event.id[:3] | upper }}")]
#[case(
    "{% for name in event.labels | default({}, true) %}{{ name }}{% endfor %}{{ event.items | length }}"
)]
#[case(
    "{{ event.customer | items | list | length }} {{ event.items | map(attribute='name') | join(', ') }}"
)]
#[case(
    "{{ 'x' if event.flag }}{{ ('x' if event.flag) | upper }}{{ event.count | default('0') | int + 1 }}"
)]
#[case(
    "{% if event.note is defined %}{{ event.note[:3] | length }}{{ event.items[:2] | length }}{% endif %}"
)]
#[case("{{ 'a' * 3 }}{{ '*' * event.count }}{{ event.count | default('12.50') | money('THB') }}")]
#[case(
    "{{ event.count | money('THB' if event.flag else 'USD') }}{% if event.flag is defined %}{{ event.count | money('THB' if event.flag is defined) }}{% endif %}"
)]
fn what_does_for_what_is_needed_passes(#[case] message: &str) {
    assert_eq!(said_of_message(message), "");
}

#[rstest]
#[case::text(
    "event.status == 'shipped' or 'placed'",
    "\"placed\" is a string; a condition must give true or false: compare it"
)]
#[case::length(
    "event.items | length",
    "the filter `length` gives a number; a condition must give true or false: compare it"
)]
#[case::joined(
    "event.flag and event.id ~ 'a'",
    "`~` gives a string; a condition must give true or false: compare it"
)]
#[case::no_else(
    "event.flag if event.count > 1",
    "there is no value where the `if` does not hold; add an `else` to it"
)]
#[case::optional(
    "event.tracking is endingwith('a')",
    "`event.tracking` may be missing: the schema does not require it; guard it with `event.tracking is defined`, or use the filter `default`"
)]
fn a_condition_that_gives_neither_true_nor_false_is_a_mistake(
    #[case] when: &str,
    #[case] expected: &str,
) {
    assert_eq!(said_of_when(when), format!("0.when: {expected}"));
}

#[rstest]
#[case::no_else(RecipientSource::Contact("event.id if event.flag".to_owned()), "there is no value where the `if` does not hold; add an `else` to it")]
#[case::comparison(RecipientSource::Contact("event.count > 1".to_owned()), "this gives a boolean; a string or a number is needed here")]
#[case::number(RecipientSource::LineUser("event.count".to_owned()), "`event.count`: the schema says that it is a number; the id of a LINE user is needed here")]
#[case::no_id(RecipientSource::LineUser("event.tracking | default('nobody')".to_owned()), "\"nobody\" is a string; the id of a LINE user is needed here")]
fn a_recipient_that_is_none_is_a_mistake(#[case] to: RecipientSource, #[case] expected: &str) {
    let rule = RuleSource { to, ..rule("r", None, "x") };
    assert_eq!(said_of(&schema(ORDER), vec![rule]), format!("0.to: {expected}"));
}
