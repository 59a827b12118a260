//! What the items of a list must be for the filters that take them together.

use super::*;

const LINES: &str = r#"{
  "type": "object",
  "required": ["lines", "notes", "by", "stock", "title"],
  "properties": {
    "lines": {"type": "array", "items": {
      "type": "object",
      "required": ["name", "note", "price", "count", "is_gift"],
      "properties": {"name": {"type": "string"}, "note": {"type": ["string", "null"]}, "price": {"type": "string"}, "count": {"type": "integer"}, "is_gift": {"type": "boolean"}}
    }},
    "notes": {"type": "array", "items": {"type": ["string", "null"]}},
    "more": {"type": "array", "items": {"type": "object", "required": ["name"], "properties": {"name": {"type": "string"}, "size": {"type": ["string", "null"]}}}},
    "by": {"enum": ["name", "price"]},
    "stock": {"type": "object", "additionalProperties": {"type": "integer"}},
    "title": {"type": ["string", "null"]},
    "groups": {"type": "array", "items": {"type": "object", "required": ["tags"], "properties": {"tags": {"type": "array", "items": {"type": "string"}}}}}
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
#[case("{{ event.notes | unique | join }}{{ event.by }}", "`event.notes[…]` may be null")]
#[case(
    "{{ event.more | default([]) | join(', ', attribute='size') }}",
    "`event.more[…].size` may be missing"
)]
#[case(
    "{{ event.lines | sum(attribute='price', start=1) }}",
    "`event.lines[…].price`: the schema says that it is a string; a number"
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
#[case("{{ event.lines | join(', ', attribute=event.by) }}")]
#[case("{% set key = 'count' %}{{ event.lines | sum(attribute=key) }}{{ event.lines | sum(key) }}")]
#[case("{{ event.notes | map('int', 0) | sum }}")]
#[case("{{ (event.groups | default([])) | sum(attribute='tags', start=[]) | join(', ') }}")]
#[case("{{ event.more | default([]) | join(', ', attribute='name') }}")]
#[case("{% if event.notes != [] and event.notes[0] %}{{ event.notes[:1] | join }}{% endif %}")]
#[case("{{ event.notes[1:] | join }}{% if not event.notes %}{{ event.notes | join }}{% endif %}")]
fn items_that_do_for_what_is_needed_pass(#[case] message: &str) {
    assert_eq!(said_of(&schema(LINES), vec![rule("r", None, message)]), "");
}

#[rstest]
#[case::over_the_names_of_an_object(
    "{% for sku in event.stock %}{{ sku }}{{ event.title }}{% endfor %}",
    "`event.title` may be null"
)]
#[case::over_what_may_be_missing(
    "{% for line in event.more | default([]) %}{{ line.nmae }}{% endfor %}",
    "`event.more[…].nmae`: the schema has no such property; did you mean `name`?"
)]
#[case::in_another_order(
    "{% for line in event.more | default([]) | sort(attribute='name') %}{{ line.size }}{% endfor %}",
    "`event.more[…].size` may be missing"
)]
#[case::over_some_of_them(
    "{% for line in event.lines | selectattr('note') %}{{ line.nmae }}{% endfor %}",
    "`event.lines[…].nmae`: the schema has no such property"
)]
fn the_rounds_of_a_loop_are_looked_at(#[case] message: &str, #[case] expected: &str) {
    let said = said_of(&schema(LINES), vec![rule("r", None, message)]);
    assert!(said.starts_with(&format!("0.message: {expected}")), "{said}");
}

#[rstest]
#[case::that_was_asked(
    "{% for a in event.more | default([]) if a.size is string %}{% for b in event.more | default([]) if b.name != a.name %}{{ a.size }}{% endfor %}{% endfor %}"
)]
#[case::that_a_filter_left(
    "{% for line in event.lines | selectattr('note') %}{{ line.note }}{% endfor %}"
)]
#[case::after_another_loop(
    "{% for a in event.lines %}{{ a.name }}{% endfor %}{% for a in event.lines if a.note %}{{ a.note }}{% endfor %}"
)]
fn an_item_is_what_it_was_shown_to_be(#[case] message: &str) {
    assert_eq!(said_of(&schema(LINES), vec![rule("r", None, message)]), "");
}
