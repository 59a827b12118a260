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
