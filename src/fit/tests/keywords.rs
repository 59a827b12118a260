//! What the keywords of JSON Schema have to say.

use super::*;

#[rstest]
#[case::any_of(r#"{"type":"object","anyOf":[{"required":["a"]},{"required":["b"]}],"properties":{"a":{"type":"string"},"b":{"type":"string"}}}"#, "{% if event.a is defined %}{{ event.a }}{% else %}{{ event.b }}{% endif %}", true)]
#[case::any_of_unguarded(r#"{"type":"object","anyOf":[{"required":["a"]},{"required":["b"]}],"properties":{"a":{"type":"string"},"b":{"type":"string"}}}"#, "{{ event.a }}", false)]
#[case::by_a_mark(r#"{"type":"object","oneOf":[{"required":["t","a"],"properties":{"t":{"const":"x"},"a":{"type":"string"}}},{"required":["t","b"],"properties":{"t":{"const":"y"},"b":{"type":"string"}}}]}"#, "{% if event.t == 'x' %}{{ event.a }}{% else %}{{ event.b }}{% endif %}", true)]
#[case::by_the_wrong_mark(r#"{"type":"object","oneOf":[{"required":["t","a"],"properties":{"t":{"const":"x"},"a":{"type":"string"}}},{"required":["t","b"],"properties":{"t":{"const":"y"},"b":{"type":"string"}}}]}"#, "{% if event.t == 'y' %}{{ event.a }}{% endif %}", false)]
#[case::all_of(
    r#"{"type":"object","allOf":[{"required":["a"]},{"properties":{"a":{"type":"string"}}}]}"#,
    "{{ event.a }}",
    true
)]
#[case::otherwise(r#"{"type":"object","required":["s"],"properties":{"s":{"enum":[1,2]},"a":{"type":"string"}},"if":{"properties":{"s":{"const":2}}},"else":{"required":["a"]}}"#, "{% if event.s != 2 %}{{ event.a }}{% endif %}", true)]
#[case::condition_not_understood(r#"{"type":"object","required":["s"],"properties":{"s":{"type":"string"},"a":{"type":"string"}},"if":{"properties":{"s":{"pattern":"^x"}}},"then":{"required":["a"]}}"#, "{{ event.a }}", true)]
#[case::required_by_a_detour(
    r#"{"type":"object","properties":{"s":{"enum":["x","y"]}},"if":{"properties":{"s":{"const":"x"}}},"then":{"required":["s"]}}"#,
    "{{ event.s }}",
    true
)]
#[case::condition_by_presence(r#"{"type":"object","properties":{"s":{"type":"string"},"a":{"type":"string"}},"if":{"required":["s"]},"then":{"required":["a"]}}"#, "{% if event.s is defined %}{{ event.a }}{% endif %}", true)]
#[case::named_in_then(r#"{"type":"object","properties":{"s":{"type":"string"}},"if":{"required":["s"]},"then":{"properties":{"a":{"type":"string"}}}}"#, "{{ event.a | default('') }}", true)]
#[case::dependent(r#"{"type":"object","properties":{"s":{"type":"string"}},"dependentSchemas":{"s":{"required":["a"],"properties":{"a":{"type":"string"}}}}}"#, "{% if event.s is defined %}{{ event.a }}{% endif %}", true)]
#[case::dependent_required(
    r#"{"type":"object","properties":{"s":{},"a":{}},"dependentRequired":{"s":["a"]}}"#,
    "{% if event.s is defined %}{{ event.a }}{% endif %}",
    true
)]
#[case::dependent_required_unguarded(
    r#"{"type":"object","properties":{"s":{},"a":{}},"dependentRequired":{"s":["a"]}}"#,
    "{{ event.a }}",
    false
)]
#[case::at_least_one(
    r#"{"type":"object","properties":{"a":{}},"additionalProperties":false,"minProperties":1}"#,
    "{{ event.a }}",
    true
)]
#[case::additional(
    r#"{"type":"object","properties":{"a":{}},"additionalProperties":true}"#,
    "{{ event.b | default('') }}",
    true
)]
#[case::by_a_pattern(
    r#"{"type":"object","properties":{"a":{}},"patternProperties":{"^b":{}}}"#,
    "{{ event.b }}",
    true
)]
#[case::says_nothing("{}", "{{ event.a.b }}{{ event.c[0] }}", true)]
#[case::true_itself("true", "{{ event.a.b }}", true)]
#[case::no_type(
    r#"{"required":["a"],"properties":{"a":{"required":["b"],"properties":{"b":{}}}}}"#,
    "{{ event.a.b }}",
    true
)]
#[case::required_and_not_named(r#"{"type":"object","required":["a"]}"#, "{{ event.a }}", true)]
#[case::to_itself(r##"{"type":"object","required":["a"],"properties":{"a":{"type":"string"},"next":{"$ref":"#"}}}"##, "{% if event.next is defined %}{{ event.next.a }}{% endif %}", true)]
#[case::to_itself_without_guard(r##"{"type":"object","required":["a"],"properties":{"a":{"type":"string"},"next":{"$ref":"#"}}}"##, "{{ event.next.a }}", false)]
#[case::meta_schema(
    r#"{"$ref":"https://json-schema.org/draft/2020-12/schema"}"#,
    "{{ event.a }}",
    true
)]
#[case::anchor(
    r##"{"$ref":"#x","$defs":{"y":{"$anchor":"x","properties":{}}}}"##,
    "{{ event.a }}",
    true
)]
#[case::tuple(r#"{"type":"object","required":["a"],"properties":{"a":{"type":"array","minItems":1,"prefixItems":[{"type":"object","required":["b"],"properties":{"b":{}}}]}}}"#, "{{ event.a[0].b }}", true)]
#[case::misspelt_in_a_tuple(r#"{"type":"object","required":["a"],"properties":{"a":{"type":"array","minItems":1,"prefixItems":[{"type":"object","required":["b"],"properties":{"b":{}}}]}}}"#, "{{ event.a[0].c }}", false)]
fn every_keyword_counts(#[case] text: &str, #[case] message: &str, #[case] passes: bool) {
    let said = said_of(&schema(text), vec![rule("r", None, message)]);
    assert_eq!(said.is_empty(), passes, "{said}");
}

#[rstest]
#[case::chain(format!("event.id is string{}", " or event.note is string".repeat(190)))]
#[case::to_the_right(format!("{}event.flag{}", "(event.note is string or ".repeat(60), ")".repeat(60)))]
#[case::by_turns(format!(
    "{}event.flag{}",
    "(event.note is string or (event.tracking is string and ".repeat(30),
    "))".repeat(30)
))]
#[case::choices(format!("{}event.flag{}", "(event.flag if ".repeat(60), " else event.flag)".repeat(60)))]
fn a_condition_of_countless_parts_is_left_alone(#[case] when: String) {
    let said = said_of_when(&when);
    assert!(said.is_empty() || said == format!("schema: warning: {}", words::GIVEN_UP), "{said}");
}

#[test]
fn a_value_that_many_stand_in_for_is_left_alone() {
    let names: Vec<String> = (0..40).map(|at| format!("a{at}")).collect();
    let properties = names.iter().map(|name| format!(r#""{name}":{{"type":["string","null"]}}"#));
    let text = properties.collect::<Vec<_>>().join(",");
    let text = format!(r#"{{"type":"object","properties":{{{text}}}}}"#);
    let first = names.iter().map(|name| format!("event.{name} | default("));
    let message = format!("{{{{ {}'z'{} }}}}", first.collect::<String>(), ", true)".repeat(40));
    assert_eq!(said_of(&schema(&text), vec![rule("r", None, &message)]), "");
}

#[test]
fn a_schema_of_countless_ways_is_left_alone() {
    let two = r#"{"anyOf":[{"required":["a"]},{"required":["b"]}]}"#;
    let text = format!(
        r#"{{"type":"object","allOf":[{}],"properties":{{"a":{{}},"b":{{}}}}}}"#,
        [two; 12].join(",")
    );
    assert_eq!(said_of(&schema(&text), vec![rule("r", None, "{{ event.a }}")]), "");
    let levels: Vec<String> = (0..40)
        .map(|at| {
            format!(
                r##""l{at}":{{"allOf":[{{"$ref":"#/$defs/l{0}"}},{{"$ref":"#/$defs/l{0}"}}]}}"##,
                at + 1
            )
        })
        .collect();
    let text = format!(r##"{{"$ref":"#/$defs/l0","$defs":{{{},"l40":{{}}}}}}"##, levels.join(","));
    assert_eq!(said_of(&schema(&text), vec![rule("r", None, "{{ event.a }}")]), "");
}

#[rstest]
#[case::at_the_root(
    r##"{"$defs":{"node":{"type":"object","properties":{"child":{"$ref":"#/$defs/node"}}}},
    "type":"object","required":["c"],"properties":{"c":{"type":"string"}},
    "if":{"$ref":"#/$defs/node"},"then":{"required":["c"]}}"##
)]
#[case::in_a_property(
    r##"{"$defs":{"node":{"type":"object","properties":{"a":{"$ref":"#/$defs/node"},"b":{"$ref":"#/$defs/node"},"c":{"$ref":"#/$defs/node"}}}},
    "type":"object","required":["c"],"properties":{"c":{"type":"object","if":{"$ref":"#/$defs/node"},"then":{"required":["a"]}}}}"##
)]
fn a_condition_that_refers_to_itself_is_looked_into_so_far_and_no_further(#[case] text: &str) {
    let said = said_of(&schema(text), vec![rule("r", None, "{{ event.d }}")]);
    assert!(said.contains("`event.d`: the schema"), "{said}");
}
