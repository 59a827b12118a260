//! Which way an event goes through its schema, where that is not certain.

use super::*;

/// Methods of payment, of which one demands digits; whatever else may be missing, may be missing.
const PAYMENT: &str = r#"{
  "type": "object",
  "required": ["method", "gift"],
  "properties": {"method": {"type": "string"}, "gift": {"type": "boolean"}, "last4": {"type": "string"}, "note": {"type": "string"}},
  "if": {"properties": {"method": {"const": "card"}}},
  "then": {"required": ["last4"]}
}"#;
const BY_PATTERN: &str = r#"{
  "type": "object",
  "required": ["id"],
  "properties": {"id": {"type": "string"}, "a": {"type": ["string", "null"]}, "b": {"type": "string"}, "note": {"type": "string"}},
  "oneOf": [
    {"properties": {"id": {"pattern": "^A"}, "a": {"type": "string"}}, "required": ["a"]},
    {"properties": {"id": {"pattern": "^B"}}, "required": ["b"]}
  ]
}"#;
const BY_NUMBER: &str = r#"{
  "type": "object",
  "required": ["n"],
  "properties": {"n": {"type": "number"}, "m": {"type": "string"}},
  "anyOf": [{"properties": {"n": {"maximum": 4}}}, {"required": ["m"]}]
}"#;
const EITHER: &str = r#"{
  "type": "object",
  "required": ["s"],
  "properties": {"s": {"enum": ["a", "b", "c"]}, "x": {"type": "string"}},
  "if": {"anyOf": [{"properties": {"s": {"const": "a"}}}, {"properties": {"s": {"const": "b"}}}]},
  "then": {"required": ["x"]}
}"#;
const ASKED_FOR: &str = r#"{
  "type": "object",
  "properties": {"coupon": {"type": "string"}},
  "dependentRequired": {"coupon": ["discount"]},
  "if": {"properties": {"kind": {"const": "gift"}}, "required": ["kind"]},
  "then": {"required": ["coupon"]}
}"#;
const AT_LEAST_ONE: &str = r#"{
  "type": "object",
  "required": ["code", "items"],
  "properties": {
    "code": {"type": "string", "minLength": 1},
    "items": {"type": "array", "items": {"type": "string"}, "contains": {"const": "a"}}
  }
}"#;

#[rstest]
#[case::either_way(PAYMENT, "{{ event.note }}", "event.note")]
#[case::one_way(PAYMENT, "{{ event.last4 }}", "event.last4")]
#[case::the_other_way(
    PAYMENT,
    "{% if event.method != 'card' %}{{ event.last4 }}{% endif %}",
    "event.last4"
)]
#[case::whichever_way(
    BY_PATTERN,
    "{% if event.id is startingwith('A') %}{{ event.note }}{% endif %}",
    "event.note"
)]
fn what_no_way_requires_may_be_missing_in_doubt_as_well(
    #[case] text: &str,
    #[case] message: &str,
    #[case] missing: &str,
) {
    let said = said_of(&schema(text), vec![rule("r", None, message)]);
    assert!(said.starts_with(&format!("0.message: `{missing}` may be missing")), "{said}");
}

#[rstest]
#[case(PAYMENT, "{% if event.method == 'card' %}{{ event.last4 }}{% endif %}")]
#[case(BY_PATTERN, "{% if event.id is startingwith('A') %}{{ event.a }}{% endif %}")]
#[case(BY_NUMBER, "{% if event.n > 4 %}{{ event.m }}{% endif %}")]
#[case(EITHER, "{% if event.s in ['a', 'b'] %}{{ event.x }}{% endif %}")]
#[case(ASKED_FOR, "{% if event.coupon is defined %}{{ event.discount }}{% endif %}")]
#[case(ASKED_FOR, "{% if event.kind is defined %}{{ event.kind }}{% endif %}")]
#[case(AT_LEAST_ONE, "{{ event.code[0] }}{{ event.items[0] }}")]
fn what_a_way_requires_that_may_be_the_only_one_passes(#[case] text: &str, #[case] message: &str) {
    assert_eq!(said_of(&schema(text), vec![rule("r", None, message)]), "");
}

/// What may be missing has a stand-in, which is asked for before it is used.
const OPTIONAL: &str = r#"{
  "type": "object",
  "required": ["flag", "st", "list"],
  "properties": {
    "flag": {"type": "boolean"}, "st": {"enum": ["a", "b"]},
    "name": {"type": "string"}, "num": {"type": "number"}, "t": {"type": "string", "format": "date-time"},
    "cur": {"enum": ["THB", "USD"]},
    "list": {"type": ["array", "null"], "items": {"type": "string"}},
    "items": {"type": "array", "items": {"type": "object", "required": ["price"], "properties": {"price": {"type": "number"}}}}
  }
}"#;

#[rstest]
#[case::set_before(
    "{% set name = none %}{% if event.name is defined %}{% set name = event.name %}{% endif %}Hello{% if name is not none %} {{ name }}{% endif %}"
)]
#[case::null(
    "{% set n = event.num | default(none) %}{% if n is not none %}{{ n | number }}{% endif %}{{ '-' if n is none else n | number }}"
)]
#[case::choice(
    "{% set n = event.num if event.num is defined else none %}{% if n is not none %}{{ n | number }}{% endif %}"
)]
#[case::chosen(
    "{% set w = none %}{% if event.num is defined %}{% set w = event.num %}{% endif %}{{ w | money('THB') if w is not none else '-' }}"
)]
#[case::empty(
    "{% set n = '' %}{% if event.num is defined %}{% set n = event.num %}{% endif %}{% if n != '' %}{{ n | number }}{% endif %}"
)]
#[case::word(
    "{% set n = event.num | default('n/a', true) %}{% if n != 'n/a' %}{{ n | number }}{% endif %}"
)]
#[case::type_of_it(
    "{% set n = event.num | default(none) %}{% if n is number %}{{ n | number }}{% endif %}"
)]
#[case::compared(
    "{% if event.flag %}{% set n = event.num | default(none) %}{% else %}{% set n = none %}{% endif %}{% if n != none %}{{ n | number }}{% endif %}"
)]
#[case::joined(
    "{% set title = none %}{% if event.flag %}{% set title = 'a' %}{% elif event.st == 'a' %}{% set title = 'b' %}{% endif %}x{{ title ~ ' ' if title is not none else '' }}"
)]
#[case::currency(
    "{% set cur = event.cur | default(none) %}{% if cur is not none %}{{ 5 | money(cur) }}{% endif %}"
)]
#[case::computed(
    "{{ (event.t | default('')) | date('UTC') if (event.t | default('')) | length > 0 else '-' }}"
)]
#[case::no_else(
    "{% set a = event.num if event.num is defined %}{% if a is defined %}{{ a | number }}{% endif %}"
)]
#[case::no_else_computed(
    "{% set a = event.num if event.num is defined %}{% if event.num | default(0) > 0 %}{{ a | number }}{% endif %}"
)]
#[case::not_set(
    "{% if event.items is defined %}{% set a = event.items %}{% endif %}{% if event.items | default([]) | length > 0 %}{{ a | length }}{% endif %}"
)]
#[case::constant(
    "{% set w = none %}{% if w is not none %}{{ w | number }}{% endif %}{% if w == none %}x{% else %}{{ w | number }}{% endif %}"
)]
#[case::items("{% for i in event.list | default([], true) if i is not none %}{{ i }}{% endfor %}")]
#[case::list_or_text(
    "{% set x = event.items | default('-') %}{{ x if x is string else x | length }}"
)]
#[case::only_null(
    "{% if event.list == none or event.num is defined %}{% for i in event.list %}{{ i }}{% endfor %}{% endif %}"
)]
#[case::empty_list(
    "{{ event.items | default | sum(attribute='price') }}{{ event.items | default('') | selectattr('price') | list | length }}"
)]
fn a_stand_in_that_is_asked_for_passes(#[case] message: &str) {
    assert_eq!(said_of(&schema(OPTIONAL), vec![rule("r", None, message)]), "");
}

#[rstest]
#[case::null("{% set n = event.num | default(none) %}{{ n | number }}", "null is null")]
#[case::elsewhere(
    "{% set n = event.num | default('-') %}{% if event.st == 'a' %}{{ n | number }}{% endif %}",
    "\"-\" is a string"
)]
#[case::constant("{% set w = none %}{% if w is none %}{{ w | number }}{% endif %}", "null is null")]
fn a_stand_in_that_is_not_asked_for_is_told(#[case] message: &str, #[case] expected: &str) {
    let said = said_of(&schema(OPTIONAL), vec![rule("r", None, message)]);
    assert!(said.starts_with(&format!("0.message: {expected}")), "{said}");
}

#[rstest]
#[case(r#"{"type": "object", "required": ["s"], "properties": {"s": {"allOf": [{"type": ["array", "string"], "minItems": 2}, {"type": "string"}]}}}"#, "not event.s", true)]
#[case(r#"{"type": "object", "required": ["s"], "properties": {"s": {"type": "string", "allOf": [{"minLength": 1}]}}}"#, "not event.s", false)]
fn an_empty_text_is_possible_unless_letters_are_demanded(
    #[case] text: &str,
    #[case] when: &str,
    #[case] is_possible: bool,
) {
    let said = said_of(&schema(text), vec![rule("r", Some(when), "x")]);
    assert_eq!(said.is_empty(), is_possible, "{said}");
}

#[test]
fn null_that_a_not_excludes_is_not_told() {
    let text = r#"{"type": "object", "required": ["k"], "properties": {"k": {"type": ["number", "null"], "not": {"type": "null"}}}}"#;
    assert_eq!(said_of(&schema(text), vec![rule("r", None, "{{ event.k }}")]), "");
}

const CARD: &str = r#"{"type": "object", "properties": {"card": {"type": "string"}, "bill": {"type": "string"}}, "dependentRequired": {"card": ["bill"]}}"#;
const REACHED: &str = r#"{"type": "object", "properties": {"phone": {"type": "string"}, "email": {"type": "string"}}, "anyOf": [{"required": ["phone"]}, {"required": ["email"]}]}"#;
const CLOSED: &str = r#"{"oneOf": [
  {"type": "object", "required": ["a"], "properties": {"a": {"type": "string"}}, "additionalProperties": false},
  {"type": "object", "required": ["b", "c"], "properties": {"b": {"type": "string"}, "c": {"type": "string"}}, "additionalProperties": false}
]}"#;
const NOTES: &str = r#"{"type": "object", "required": ["l"], "properties": {"l": {"type": "array", "items": {"type": ["string", "null"]}}}}"#;

#[rstest]
#[case(CARD, "x{% if event.card | default(none) is not none %}{{ event.bill }}{% endif %}", "")]
#[case(
    CARD,
    "x{% if event.card | default(none) is none %}{{ event.bill }}{% endif %}",
    "`event.bill` may be missing"
)]
#[case(
    REACHED,
    "{% set c = event.phone | default(none) %}{% if c is none %}{{ event.email }}{% else %}{{ c }}{% endif %}",
    ""
)]
#[case(
    REACHED,
    "{% set c = none %}{% if event.phone is defined %}{% set c = event.phone %}{% endif %}{% if c is not none %}{{ event.email }}{% endif %}",
    "`event.email` may be missing"
)]
#[case(CLOSED, "x{% if event.b is defined %}{{ event.c }}{% endif %}", "")]
#[case(CLOSED, "x{% if event.a is defined %}{{ event.c }}{% endif %}", "`event.c` may be missing")]
#[case(NOTES, "{% for i in event.l if i is not none %}{{ i }}{% endfor %}", "")]
#[case(
    NOTES,
    "{% for i in event.l %}{% if i is none %}-{% else %}{{ i }}{% endif %}{% endfor %}",
    ""
)]
#[case(NOTES, "{% for i in event.l %}{{ i }}{% endfor %}", "`event.l[…]` may be null")]
fn a_test_of_a_stand_in_or_of_an_item_tells_what_it_tells(
    #[case] text: &str,
    #[case] message: &str,
    #[case] expected: &str,
) {
    let said = said_of(&schema(text), vec![rule("r", None, message)]);
    let beginning = if expected.is_empty() { "" } else { "0.message: " };
    assert!(said.starts_with(&format!("{beginning}{expected}")), "{said}");
    assert_eq!(said.is_empty(), expected.is_empty(), "{said}");
}
