use std::time::Duration;

use rstest::rstest;

use super::*;
use crate::domain::message::{Channel, OnAmbiguous};
use crate::domain::rules::{ChannelSource, Expiry, RecipientSource, RuleSource, Unmatched};
use crate::fit::words::BOOLEAN_IN_A_TEXT;
use crate::schema::Schema;

mod doubts;
mod items;
mod keywords;
mod needs;
mod world;

/// An order, as a schema with a bit of everything.
const ORDER: &str = r#"{
  "type": "object",
  "required": ["id", "status", "customer", "items", "kind", "flag", "count"],
  "properties": {
    "id": {"type": "string"},
    "status": {"enum": ["placed", "shipped", "cancelled"]},
    "customer": {"$ref": "common.json#/$defs/customer"},
    "note": {"type": ["string", "null"]},
    "carrier": {"oneOf": [{"type": "null"}, {"type": "object", "required": ["name"], "properties": {"name": {"type": "string"}}}]},
    "tracking": {"type": "string"},
    "items": {"type": "array", "items": {"type": "object", "required": ["name"], "properties": {"name": {"type": "string"}, "size": {"type": "number"}, "more": {"type": "object", "properties": {"x": {"type": "number"}}}}}},
    "pair": {"type": "array", "minItems": 2, "items": {"type": "string"}},
    "labels": {"type": "object", "additionalProperties": {"type": "string"}},
    "extra": {"type": "object"},
    "anything": true,
    "kind": {"const": "order"},
    "flag": {"type": "boolean"},
    "count": {"type": "integer"},
    "level": {"enum": [1, 2, 3]},
    "nothing": {"type": "object", "additionalProperties": false},
    "odd name": {"type": "string"}
  },
  "if": {"properties": {"status": {"enum": ["shipped"]}}},
  "then": {"required": ["tracking", "note"]}
}"#;

const COMMON: &str = r#"{"$defs": {"customer": {
  "type": "object", "required": ["contactId"],
  "properties": {"contactId": {"type": "string"}, "name": {"type": ["string", "null"]}, "address": {"type": "object", "required": ["city"], "properties": {"city": {"type": "string"}}}}
}}}"#;

fn schema(text: &str) -> Schema {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("common.json"), COMMON).unwrap();
    std::fs::write(folder.path().join("t.json"), text).unwrap();
    Schema::load(&folder.path().join("t.json")).unwrap_or_else(|found| panic!("{found:?}"))
}

fn channel(name: &str) -> Channel {
    Channel { name: name.into(), id: format!("id-of-{name}").into() }
}

fn channels() -> BTreeMap<Arc<str>, Channel> {
    ["placed", "support"].map(|name| (name.into(), channel(name))).into()
}

fn rule(name: &str, when: Option<&str>, message: &str) -> RuleSource {
    RuleSource {
        name: name.into(),
        when: when.map(str::to_owned),
        channel: ChannelSource::Fixed(channel("support")),
        to: RecipientSource::Contact("'c-1'".to_owned()),
        message: message.to_owned(),
        expires: Expiry::After(Duration::from_hours(24)),
        on_ambiguous: OnAmbiguous::Retry,
        continues: false,
    }
}

fn topic(rules: Vec<RuleSource>) -> TopicRules {
    TopicRules { event_time: None, unmatched: Unmatched::Skip, rules }
}

/// What is said of the rules, a line each.
fn said_of(schema: &Schema, rules: Vec<RuleSource>) -> String {
    let found = check(schema.outline(), &topic(rules), &channels());
    let line = |found: &Misfit| {
        let rule = found.rule.map_or(String::new(), |rule| format!("{rule}."));
        let warning = if found.is_warning { "warning: " } else { "" };
        format!("{rule}{}: {warning}{}", found.key, found.message)
    };
    found.iter().map(line).collect::<Vec<_>>().join("\n")
}

fn said_of_message(message: &str) -> String {
    said_of(&schema(ORDER), vec![rule("r", None, message)])
}

fn said_of_when(when: &str) -> String {
    said_of(&schema(ORDER), vec![rule("r", Some(when), "x")])
}

#[rstest]
#[case::misspelt(
    "{{ event.custmer.name }}",
    "`event.custmer`: the schema has no such property; did you mean `customer`?"
)]
#[case::misspelt_in_another_file(
    "{{ event.customer.contactID }}",
    "`event.customer.contactID`: the schema has no such property; did you mean `contactId`?"
)]
#[case::far_from_all(
    "{{ event.customer.zzzzzz }}",
    "`event.customer.zzzzzz`: the schema has no such property; it has `address`, `contactId`, `name`"
)]
#[case::in_a_guard(
    "{% if event.trakcing is defined %}x{% endif %}",
    "`event.trakcing`: the schema has no such property; did you mean `tracking`?"
)]
#[case::by_its_name_in_brackets(
    "{{ event['custmer'] }}",
    "`event.custmer`: the schema has no such property; did you mean `customer`?"
)]
#[case::of_an_item(
    "{% for item in event.items %}{{ item.nam }}{% endfor %}",
    "`event.items[…].nam`: the schema has no such property; did you mean `name`?"
)]
#[case::of_an_indexed_item(
    "{{ event.items[0].nam | default('') }}",
    "`event.items[0].nam`: the schema has no such property; did you mean `name`?"
)]
#[case::through_a_name(
    "{% set c = event.customer %}{{ c.nmae }}",
    "`event.customer.nmae`: the schema has no such property; did you mean `name`?"
)]
#[case::in_a_way_of_one_of(
    "{{ event.carrier.nam | default('') }}",
    "`event.carrier.nam`: the schema has no such property; did you mean `name`?"
)]
#[case::closed_and_empty(
    "{{ event.nothing.a | default('') }}",
    "`event.nothing.a`: the schema has no such property; it allows none there"
)]
#[case::of_a_text(
    "{{ event.id.name }}",
    "`event.id.name`: the schema says that `event.id` is a string, which has no properties"
)]
#[case::item_of_a_number(
    "{{ event.count[0] }}",
    "`event.count[0]`: the schema says that `event.count` is a number, which has no items"
)]
#[case::property_of_a_list(
    "{{ event.items.name }}",
    "`event.items.name`: the schema says that `event.items` is a list, which has no properties"
)]
fn what_the_schema_does_not_have_is_a_mistake(#[case] message: &str, #[case] expected: &str) {
    let said = said_of_message(message);
    assert!(said.lines().any(|line| line == format!("0.message: {expected}")), "{said}");
}

#[rstest]
#[case::optional(
    "{{ event.tracking }}",
    "`event.tracking` may be missing: the schema does not require it; guard it with `event.tracking is defined`, or use the filter `default`"
)]
#[case::in_a_condition(
    "{% if event.tracking %}x{% endif %}",
    "`event.tracking` may be missing: the schema does not require it; guard it with `event.tracking is defined`, or use the filter `default`"
)]
#[case::on_the_way(
    "{{ event.customer.address.city }}",
    "`event.customer.address`, needed for `event.customer.address.city`, may be missing: the schema does not require it; guard it with `event.customer.address is defined`, or use the filter `default`"
)]
#[case::on_the_way_to_a_default(
    "{{ event.customer.address.city | default('') }}",
    "`event.customer.address`, needed for `event.customer.address.city`, may be missing: the schema does not require it; guard it with `event.customer.address is defined`, or use the filter `default`"
)]
#[case::through_a_filter(
    "{{ event.tracking | upper }}",
    "`event.tracking` may be missing: the schema does not require it; guard it with `event.tracking is defined`, or use the filter `default`"
)]
#[case::guarded_the_wrong_way(
    "{% if event.tracking is defined %}x{% else %}{{ event.tracking }}{% endif %}",
    "`event.tracking` may be missing: the schema does not require it; guard it with `event.tracking is defined`, or use the filter `default`"
)]
#[case::guarded_by_another(
    "{% if event.note is defined %}{{ event.tracking }}{% endif %}",
    "`event.tracking` may be missing: the schema does not require it; guard it with `event.tracking is defined`, or use the filter `default`"
)]
#[case::after_its_guard(
    "{% if event.tracking is defined %}x{% endif %}{{ event.tracking }}",
    "`event.tracking` may be missing: the schema does not require it; guard it with `event.tracking is defined`, or use the filter `default`"
)]
#[case::of_an_item(
    "{% for item in event.items %}{{ item.size }}{% endfor %}",
    "`event.items[…].size` may be missing: the schema does not require it; guard it with `event.items[…].size is defined`, or use the filter `default`"
)]
#[case::item_of_a_list(
    "{{ event.items[0].name }}",
    "`event.items[0]`, needed for `event.items[0].name`, may be missing: the schema does not require it; guard it with `event.items[0] is defined`, or use the filter `default`"
)]
#[case::second_of_a_list_that_is_not_empty(
    "{% if event.items != [] %}{{ event.items[1].size | default('') }}{% endif %}",
    "`event.items[1]`, needed for `event.items[1].size`, may be missing: the schema does not require it; guard it with `event.items[1] is defined`, or use the filter `default`"
)]
#[case::later_than_the_one_that_is_there(
    "{% if event.items[1] is defined %}{{ event.items[2].name }}{% endif %}",
    "`event.items[2]`, needed for `event.items[2].name`, may be missing: the schema does not require it; guard it with `event.items[2] is defined`, or use the filter `default`"
)]
#[case::third_of_two(
    "{% if event.pair is defined %}{{ event.pair[2] }}{% endif %}",
    "`event.pair[2]` may be missing: the schema does not require it; guard it with `event.pair[2] is defined`, or use the filter `default`"
)]
#[case::one_of_many(
    "{% if event.labels is defined %}{{ event.labels.a }}{% endif %}",
    "`event.labels.a` may be missing: the schema does not require it; guard it with `event.labels.a is defined`, or use the filter `default`"
)]
#[case::of_what_may_be_null(
    "{% if event.carrier is defined %}{{ event.carrier.name }}{% endif %}",
    "`event.carrier.name` may be missing: the schema does not require it; guard it with `event.carrier.name is defined`, or use the filter `default`"
)]
#[case::null(
    "{{ event.customer.name | default('x') }}",
    "`event.customer.name` may be null; use the filter `default(…, true)`, or guard it with `event.customer.name is not none`"
)]
#[case::null_in_a_filter(
    "{% if event.note is defined %}{{ event.note | plural('a', 'b') }}{% endif %}",
    "`event.note` may be null; use the filter `default(…, true)`, or guard it with `event.note is not none`"
)]
#[case::object_in_a_text(
    "{{ event.customer }}",
    "`event.customer`: the schema says that it is an object; a string or a number is needed here"
)]
#[case::comparison_in_a_text("{{ event.status == 'placed' }}", BOOLEAN_IN_A_TEXT)]
#[case::test_in_a_text("{{ event.tracking is defined }}", BOOLEAN_IN_A_TEXT)]
#[case::negation_in_a_text("{{ not event.kind }}", BOOLEAN_IN_A_TEXT)]
#[case::set_in_one_branch(
    "{% if event.flag %}{% set g = 'x' %}{% endif %}{{ g }}",
    "`g` is not always set here: set it before the `if`, or in each of its branches"
)]
#[case::set_in_some_branches(
    "{% if event.flag %}{% set g = 'x' %}{% elif event.count > 1 %}y{% else %}{% set g = 'z' %}{% endif %}{{ g | upper }}",
    "`g` is not always set here: set it before the `if`, or in each of its branches"
)]
#[case::set_in_a_loop(
    "{% for i in event.items %}{% if loop.first %}{% set g = 'x' %}{% endif %}{% endfor %}{{ g }}",
    "`g` is not always set here: set it before the `if`, or in each of its branches"
)]
#[case::order_in_a_text("{{ event.count > 3 }}", BOOLEAN_IN_A_TEXT)]
#[case::chain_in_a_text("{{ 1 < event.count < 3 }}", BOOLEAN_IN_A_TEXT)]
#[case::either_in_a_text("{{ event.count or event.count > -1 }}", BOOLEAN_IN_A_TEXT)]
#[case::order_of_a_choice("{{ event.count > 3 if event.flag else '' }}", BOOLEAN_IN_A_TEXT)]
#[case::boolean_in_a_text(
    "{{ event.flag }}",
    "`event.flag`: the schema says that it is a boolean; a string or a number is needed here"
)]
#[case::the_default_itself(
    "{{ event.tracking | default(event.note) }}",
    "`event.note` may be missing: the schema does not require it; guard it with `event.note is defined`, or use the filter `default`"
)]
fn what_may_be_missing_or_null_is_guarded(#[case] message: &str, #[case] expected: &str) {
    assert_eq!(said_of_message(message), format!("0.message: {expected}"));
}

#[rstest]
#[case("{{ event.id }} {{ event.customer.contactId | upper }} {{ event.count + 1 }}")]
#[case("{{ event.id is defined and event.id }}")]
#[case("{{ event.tracking is not defined and 'none' or event.tracking }}")]
#[case("{% if event.tracking is defined %}{{ event.tracking }}{% endif %}")]
#[case("{% if not event.tracking is undefined %}{{ event.tracking }}{% endif %}")]
#[case("{% if event.tracking is undefined %}x{% else %}{{ event.tracking }}{% endif %}")]
#[case("{{ event.tracking | default('none') }}{{ event.tracking | d('x') | upper }}")]
#[case("{{ event.tracking if event.tracking is defined else 'none' }}")]
#[case("{{ event.customer.name | default('you', true) }}")]
#[case("{% if event.note | default('', true) %}{{ event.note }}{% endif %}")]
#[case("{% if event.note is defined and event.note %}{{ event.note }}{% endif %}")]
#[case("{% if event.note is defined and event.note is not none %}{{ event.note }}{% endif %}")]
#[case("{% if event.note is string %}{{ event.note }}{% endif %}")]
#[case("{% if event.note is defined and event.note != none %}{{ event.note }}{% endif %}")]
#[case("{% if event.status == 'shipped' %}{{ event.tracking }}{% endif %}")]
#[case("{% if event.status not in ['placed', 'cancelled'] %}{{ event.tracking }}{% endif %}")]
#[case(
    "{% if event.status != 'placed' and event.status != 'cancelled' %}{{ event.tracking }}{% endif %}"
)]
#[case(
    "{% if event.tracking is defined or event.note is defined %}{% if event.tracking is defined %}{{ event.tracking }}{% else %}{{ event.note | default('', true) }}{% endif %}{% endif %}"
)]
#[case(
    "{% if event.tracking is not defined %}x{% elif event.tracking == 'y' %}{{ event.tracking }}{% endif %}"
)]
#[case("{% if event.customer.address is defined %}{{ event.customer.address.city }}{% endif %}")]
#[case("{% if event.carrier is defined and event.carrier %}{{ event.carrier.name }}{% endif %}")]
#[case("{% for item in event.items if item.size is defined %}{{ item.size }}{% endfor %}")]
#[case(
    "{% for item in event.items %}{{ loop.index }} {{ item.name }}{% if item.size is defined %}{{ item.size }}{% endif %}{% endfor %}"
)]
#[case("{% for item in event.items %}{{ event.items[0].name }}{% endfor %}")]
#[case("{% if event.items %}{{ event.items[0].name }}{% endif %}")]
#[case("{% if event.items | length > 0 %}{{ event.items[0].name }}{% endif %}")]
#[case("{% if event.items != [] %}{{ event.items[0].name }}{% endif %}")]
#[case("{{ event.status[5] }}{% if event.id == 'ab' %}{{ event.id[1] }}{% endif %}")]
#[case("{% if event.items[1] is defined %}{{ event.items[0].name }}{% endif %}")]
#[case("{% if event.pair is defined %}{{ event.pair[1] }}{% endif %}")]
#[case(
    "{% set t = event.tracking | default('') %}{% if t %}{{ event.tracking }} {{ t }}{% endif %}"
)]
#[case("{% if event.flag %}{% set g = 'x' %}{% else %}{% set g = 'y' %}{% endif %}{{ g }}")]
#[case(
    "{% if event.flag %}{% set g = 'x' %}{% elif event.count > 1 %}{% set g %}y{% endset %}{% else %}{% set g = event.id %}{% endif %}{{ g | upper }}"
)]
#[case("{% if event.flag %}{% set g = 'x' %}{% endif %}{{ g | default('n') }}")]
#[case("{% if event.flag %}{% set g = 'x' %}{% endif %}{% if event.flag %}{{ g }}{% endif %}")]
#[case("{% if event.flag %}{% set g = 'x' %}{% endif %}{% if g is defined %}{{ g }}{% endif %}")]
#[case(
    "{% for i in event.items %}{% if loop.first %}{% set g = 'x' %}{% else %}{% set g = 'y' %}{% endif %}{{ g }}{% endfor %}"
)]
#[case(
    "{% if event.tracking is defined %}{% set t = event.tracking %}{% else %}{% set t = event.id %}{% endif %}{{ t }}"
)]
#[case("{% set has = event.tracking is defined %}{% if has %}{{ event.tracking }}{% endif %}")]
#[case(
    "{% set ns = namespace(t='') %}{% for i in event.items %}{% if event.tracking is defined %}{% set ns.t = 'x' %}{% endif %}{% endfor %}{% if ns.t %}{{ event.tracking }}{% endif %}"
)]
#[case(
    "{% if event.anything is defined %}{{ event.anything.a.b }}{{ event.anything[3] }}{% endif %}"
)]
#[case("{% if event.extra is defined %}{{ event.extra.a }}{% endif %}")]
#[case("{% for key, value in event.customer | items %}{{ key }}{{ value.x }}{% endfor %}")]
#[case(
    "{% for key in event.customer %}{{ key.x }}{% endfor %}{% for c in event.id %}{{ c }}{% endfor %}"
)]
#[case("{{ event.items | map(attribute='name') | join(', ') }}{{ (event.items | first).name }}")]
#[case("{% with t = event.tracking | default('-') %}{{ t }}{% endwith %}")]
#[case("{% filter upper %}{{ event.id }}{% endfilter %}{{ record.key }}{{ record.headers.x }}")]
#[case("{% if (event.tracking | default('x')) == 'y' %}{{ event.tracking }}{% endif %}")]
#[case("{% if 'x' in (event.tracking | default('')) %}{{ event.tracking }}{% endif %}")]
#[case("{{ event['odd name'] | default('') }}{{ event.status[0:2] }}")]
fn what_is_guarded_passes(#[case] message: &str) {
    assert_eq!(said_of_message(message), "");
}

#[rstest]
#[case::not_in_the_enum(
    "event.status == 'shiped'",
    "`event.status` is never \"shiped\" according to the schema; did you mean \"shipped\"?"
)]
#[case::far_from_all(
    "event.status != 'zzzzzzzz'",
    "`event.status` is never \"zzzzzzzz\" according to the schema; it allows \"cancelled\", \"placed\", \"shipped\""
)]
#[case::on_the_other_side(
    "'shiped' == event.status",
    "`event.status` is never \"shiped\" according to the schema; did you mean \"shipped\"?"
)]
#[case::among_several(
    "event.status in ['placed', 'shiped']",
    "`event.status` is never \"shiped\" according to the schema; did you mean \"shipped\"?"
)]
#[case::not_the_constant(
    "event.kind == 'orders'",
    "`event.kind` is never \"orders\" according to the schema; did you mean \"order\"?"
)]
#[case::not_the_number(
    "event.level is defined and event.level == 7",
    "`event.level` is never 7 according to the schema; it allows 1, 2, 3"
)]
#[case::text_above_a_number(
    "event.status > 100",
    "`event.status` is compared with 100, which is a number; the schema says that it is a string"
)]
#[case::text_and_number(
    "event.count == '5'",
    "`event.count` is compared with \"5\", which is a string; the schema says that it is a number"
)]
#[case::nullable_text_and_number(
    "event.customer.name is defined and event.customer.name == 5",
    "`event.customer.name` is compared with 5, which is a number; the schema says that it is a string or null"
)]
#[case::two_properties(
    "event.count == event.id",
    "`event.count` is compared with `event.id`; the schema says that the one is a number, the other a string"
)]
#[case::with_a_default(
    "event.tracking | default(0) == 5",
    "`event.tracking` is compared with 5, which is a number; the schema says that it is a string"
)]
#[case::no_condition(
    "event.id",
    "`event.id`: the schema says that it is a string; a condition must give true or false: compare it"
)]
#[case::optional(
    "event.tracking == 'x'",
    "`event.tracking` may be missing: the schema does not require it; guard it with `event.tracking is defined`, or use the filter `default`"
)]
#[case::guard_too_late(
    "event.tracking == 'x' and event.tracking is defined",
    "`event.tracking` may be missing: the schema does not require it; guard it with `event.tracking is defined`, or use the filter `default`"
)]
fn a_comparison_that_says_nothing_is_a_mistake(#[case] when: &str, #[case] expected: &str) {
    let said = said_of_when(when);
    assert_eq!(said, format!("0.when: {expected}"));
}

#[rstest]
#[case("event.status == 'shipped' and event.tracking == 'x'")]
#[case("event.flag")]
#[case("event.flag == true and event.flag == 1 and not event.flag")]
#[case("event.count == 5.0 and event.count > 1 and 1 < event.count < 9")]
#[case("event.level is defined and event.level == 2.0")]
#[case("event.note is defined and event.note == none")]
#[case("event.tracking is defined and event.tracking == event.id")]
#[case("event.status | upper == 'SHIPPED'")]
#[case("event.tracking | default('none') == 'none'")]
#[case("event.labels is defined and event.labels.a is defined")]
#[case("'x' in event.id and event.id is startingwith('x')")]
#[case("event.extra is defined and event.extra.a == 5")]
fn a_comparison_that_can_come_out_both_ways_passes(#[case] when: &str) {
    assert_eq!(said_of_when(when), "");
}

#[rstest]
#[case::always(&[None, Some("event.flag")], "1.when: warning: never evaluated: `r0` before it always matches, without `continue: true`; move this rule up, or set `continue` there")]
#[case::always_in_words(&[Some("true"), Some("event.flag")], "1.when: warning: never evaluated: `r0` before it always matches, without `continue: true`; move this rule up, or set `continue` there")]
#[case::the_same(&[Some("event.count > 5"), Some("event.count  >  5")], "1.when: warning: never true: `r0` before it has the same condition, and has no `continue: true`")]
#[case::included(&[Some("event.count > 5"), Some("event.count > 5 and event.flag")], "1.when: warning: never true: the rules before it match every event that it would, and do not say `continue: true`")]
#[case::used_up(&[Some("event.status in ['placed', 'shipped']"), Some("event.status == 'cancelled'"), Some("event.flag")], "2.when: warning: never true: the rules before it match every event that it would, and do not say `continue: true`")]
#[case::contradiction(&[Some("event.status == 'placed' and event.status == 'shipped'")], "0.when: warning: never true: no event that satisfies the schema can match; correct the condition or the schema")]
#[case::by_the_schema(&[Some("event.kind != 'order'")], "0.when: warning: never true: no event that satisfies the schema can match; correct the condition or the schema")]
#[case::switched_off(&[Some("false"), Some("event.flag")], "")]
#[case::different(&[Some("event.count > 5"), Some("event.count < 5"), Some("event.flag"), None], "")]
#[case::no_schema_for_it(&[Some("record.key == 'a'"), Some("record.key == 'b'")], "")]
fn a_rule_that_never_matches_is_a_warning(#[case] whens: &[Option<&str>], #[case] expected: &str) {
    let rules = whens.iter().enumerate();
    let rules = rules.map(|(at, when)| rule(&format!("r{at}"), *when, "x")).collect();
    assert_eq!(said_of(&schema(ORDER), rules), expected);
}

#[test]
fn a_rule_that_goes_on_takes_nothing_away() {
    let mut first = rule("first", None, "x");
    first.continues = true;
    assert_eq!(said_of(&schema(ORDER), vec![first, rule("second", None, "x")]), "");
}

#[test]
fn what_the_rules_before_have_excluded_is_known() {
    let rules = vec![
        rule("first", Some("event.tracking is not defined"), "x"),
        rule("second", None, "{{ event.tracking }}"),
    ];
    assert_eq!(said_of(&schema(ORDER), rules), "");
}

#[test]
fn every_key_of_a_rule_is_looked_at() {
    let mut all = rule("r", Some("event.a == 1"), "{{ event.b }}");
    all.channel = ChannelSource::From("event.c".to_owned());
    all.to = RecipientSource::LineUser("event.customer".to_owned());
    all.expires = Expiry::At("event.flag".to_owned());
    let mut topic = topic(vec![all]);
    topic.event_time = Some("event.flag".to_owned());
    let found = check(schema(ORDER).outline(), &topic, &channels());
    let keys: Vec<_> = found.iter().map(|misfit| (misfit.rule, misfit.key)).collect();
    assert_eq!(
        keys,
        [
            (None, "event_time"),
            (Some(0), "when"),
            (Some(0), "channel"),
            (Some(0), "to"),
            (Some(0), "expires_at"),
            (Some(0), "message")
        ]
    );
}

/// Thirty conditions, each of which has a say in the next one's.
#[test]
fn a_schema_that_would_take_hours_is_given_up_and_said_to_be() {
    let mut properties = serde_json::Map::new();
    let mut conditions = Vec::new();
    for at in 0..30 {
        let next = (at + 1) % 30;
        properties.insert(format!("p{at}"), serde_json::json!({"enum": ["x", "y", "z"]}));
        conditions.push(serde_json::json!({
            "if": {"properties": {format!("p{at}"): {"const": "x"}}},
            "then": {"required": [format!("q{at}")]},
            "else": {"properties": {format!("p{next}"): {"enum": ["x", "y"]}}}
        }));
    }
    let text = serde_json::json!({"properties": properties, "allOf": conditions}).to_string();
    let rules = ["p1", "p9", "p17"].map(|name| {
        let when = format!("event.{name} == 'x' or event.p2 == 'y' and event.p4 != 'z'");
        rule(name, Some(&when), "{{ event.p3 }}")
    });
    let said = said_of(&schema(&text), rules.into());
    assert!(
        said.contains("schema: warning: the schema and the rules have more alternatives"),
        "{said}"
    );
}
