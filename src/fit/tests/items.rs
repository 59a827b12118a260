//! What the items of a list must be for the filters that take them together.

use super::*;

const LINES: &str = r#"{
  "type": "object",
  "required": ["lines", "notes"],
  "properties": {
    "lines": {"type": "array", "items": {
      "type": "object",
      "required": ["name", "note", "price", "count", "is_gift"],
      "properties": {"name": {"type": "string"}, "note": {"type": ["string", "null"]}, "price": {"type": "string"}, "count": {"type": "integer"}, "is_gift": {"type": "boolean"}}
    }},
    "notes": {"type": "array", "items": {"type": ["string", "null"]}}
  }
}"#;

#[rstest]
#[case("{{ event.notes | sort | join(', ') }}", "`event.notes[…]` may be null")]
#[case(
    "{{ event.lines | map(attribute='note') | join(', ') }}",
    "`event.lines[…].note` may be null"
)]
#[case(
    "{{ event.lines | join(', ', attribute='is_gift') }}",
    "`event.lines[…].is_gift`: the schema says that it is a boolean; a string or a number"
)]
#[case(
    "{{ event.lines | sum(attribute='price') }}",
    "`event.lines[…].price`: the schema says that it is a string; a number"
)]
#[case(
    "{{ event.lines | map('upper') | join }}",
    "`event.lines[…]`: the schema says that it is an object; a string or a number"
)]
fn the_items_of_a_list_do_for_what_is_needed(#[case] message: &str, #[case] expected: &str) {
    let said = said_of(&schema(LINES), vec![rule("r", None, message)]);
    assert!(said.starts_with(&format!("0.message: {expected}")), "{said}");
}

#[rstest]
#[case(
    "{{ event.notes | select | join(', ') }}{{ event.notes | map('default', '-', true) | join }}"
)]
#[case("{{ event.lines | map(attribute='name') | map('upper') | join(', ') }}")]
#[case("{{ event.lines | sum(attribute='count') }}{{ event.lines | sum(attribute='is_gift') }}")]
#[case("{{ event.lines | map(attribute='price') | map('float') | sum }}")]
#[case("{{ event.lines | selectattr('note') | map(attribute='note') | join(', ') }}")]
#[case("{{ event.lines | map(attribute='note', default='-') | join(', ') }}")]
fn items_that_do_for_what_is_needed_pass(#[case] message: &str) {
    assert_eq!(said_of(&schema(LINES), vec![rule("r", None, message)]), "");
}
