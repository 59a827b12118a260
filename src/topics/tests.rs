//! What is told of the rules, the examples and the schemas, at its place in the files.

use std::fs;

use rstest::rstest;

use super::*;
use crate::config::Mistakes;
use crate::loading;

const SCHEMA: &str = r#"{
  "type": "object",
  "required": ["id", "status", "contact"],
  "properties": {
    "id": {"type": "string"},
    "status": {"enum": ["shipped", "lost"]},
    "contact": {"type": "string"},
    "note": {"type": "string"}
  }
}"#;

const CONFIG: &str = r#"kafka: {brokers: "localhost:9092", group: g}
line: {token: {env: TOKEN}}
channels: {support: a, sales: b}
dead_letters: {topic: dead}
topics:
  orders:
    schema: orders.json
    unmatched: skip
    rules:
      - name: shipped
        when: event.status == "shipped"
        channel: support
        to: {contact: event.contact}
        message: "Order {{ event.id }}{{ event.note | default('') }} is on its way."
        continue: true
      - name: keyed
        when: record.key is defined
        channel: {from: record.headers.channel | default("sales")}
        to: {contact: event.contact}
        message: "Key {{ record.key }} at {{ record.timestamp | time('UTC') }}"
"#;

/// What is said of a configuration with this schema, a line each, the folder left out.
fn said(schema: &str, config: &str, strictness: Strictness) -> String {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| fs::write(folder.path().join(name), text).unwrap();
    write("orders.json", schema);
    write("shipped.json", r#"{"id": "1", "status": "shipped", "contact": "c-1"}"#);
    write("broken.json", "{");
    write("line-bridge.yaml", config);
    let env = |_: &str| Some("token".to_owned());
    let mistakes = match loading::load(&folder.path().join("line-bridge.yaml"), &env, strictness) {
        Ok((loaded, _)) => Mistakes(loaded.warnings),
        Err(mistakes) => mistakes,
    };
    mistakes.to_string().replace(&format!("{}/", folder.path().display()), "")
}

fn said_of_examples(examples: &str, strictness: Strictness) -> String {
    let indented = examples.replace('\n', "\n      ");
    said(SCHEMA, &format!("{CONFIG}    examples:\n      {indented}\n"), strictness)
}

#[rstest]
#[case::text("- {event: shipped.json, expect: Order 1 is on its way.}")]
#[case::text_in_a_map(
    "- {event: shipped.json, expect: {message: Order 1 is on its way., rule: shipped, channel: support, to: {contact: c-1}}}"
)]
#[case::rule_alone("- {name: a name, event: shipped.json, expect: {rule: shipped}}")]
#[case::inline(
    "- {event: {id: \"1\", status: shipped, contact: c, note: \" (2)\"}, expect: Order 1 (2) is on its way.}"
)]
#[case::several(
    "- {event: shipped.json, record: {key: k, timestamp: \"2026-03-03T10:00:00Z\"}, expect: [{rule: shipped}, Key k at 10:00]}"
)]
#[case::header(
    "- {event: shipped.json, record: {key: k, headers: {channel: support}}, expect: [{rule: shipped}, {channel: support}]}"
)]
#[case::in_milliseconds(
    "- {event: shipped.json, record: {key: k, timestamp: 1767225660000}, expect: [{rule: shipped}, Key k at 00:01]}"
)]
#[case::part_that_fails(
    "- {event: shipped.json, record: {key: k, headers: {channel: nope}}, expect: [{rule: shipped}, {reason: invalid_message, rule: keyed}]}"
)]
#[case::skip("- {event: {id: \"1\", status: lost, contact: c}, expect: skip}")]
#[case::schema("- {event: {id: 1, status: lost, contact: c}, expect: schema}")]
#[case::undecodable("- {event: broken.json, expect: undecodable}")]
#[case::no_object("- {event: [1, -2, 1.5, null, true], expect: {reason: schema}}")]
#[case::invalid("- {event: {id: \"1\", status: shipped, contact: \"\"}, expect: invalid_message}")]
fn an_example_that_comes_out_as_expected_is_fine(#[case] examples: &str) {
    assert_eq!(said_of_examples(examples, Strictness::Check), "");
}

#[rstest]
#[case::text(
    "- {event: shipped.json, expect: Order 2 is on its way.}",
    r#"22:39: topics.orders.examples[0].expect: expected the text "Order 2 is on its way."; the rules give the text "Order 1 is on its way." of the rule "shipped""#
)]
#[case::slip_of_a_reason(
    "- {event: {id: 1}, expect: [scheme]}",
    r#"22:34: topics.orders.examples[0].expect: expected the text "scheme"; the rules give the dead letter `schema`: the event: "status" is missing (orders.json#/required); the event: "contact" is missing (orders.json#/required); /id: is not of type string (orders.json#/properties/id/type); did you mean `schema`?"#
)]
#[case::slip_of_skip(
    "- {event: shipped.json, expect: skp}",
    r#"22:39: topics.orders.examples[0].expect: expected the text "skp"; the rules give the text "Order 1 is on its way." of the rule "shipped"; did you mean `skip`?"#
)]
#[case::second_of_two(
    "- {event: shipped.json, expect: {rule: shipped}}\n- event: shipped.json\n  expect: skip",
    r#"24:17: topics.orders.examples[1].expect: expected nothing (`skip`); the rules give the text "Order 1 is on its way." of the rule "shipped""#
)]
#[case::one_of_two(
    "- {event: shipped.json, record: {key: k}, expect: {rule: shipped}}",
    r#"22:57: topics.orders.examples[0].expect: expected the rule "shipped"; the rules give the text "Order 1 is on its way." of the rule "shipped", then the text "Key k at 00:00" of the rule "keyed""#
)]
#[case::channel_and_recipient(
    "- {event: shipped.json, expect: {channel: sales, to: {user: c-2}}}",
    r#"22:39: topics.orders.examples[0].expect: expected the channel "sales" with the user "c-2"; the rules give the text "Order 1 is on its way." of the rule "shipped" with the channel "support" with the contact "c-1""#
)]
#[case::dead_letter(
    "- {event: {id: \"1\"}, expect: skip}",
    r#"22:36: topics.orders.examples[0].expect: expected nothing (`skip`); the rules give the dead letter `schema`: the event: "status" is missing (orders.json#/required); the event: "contact" is missing (orders.json#/required)"#
)]
#[case::message_for_a_dead_letter(
    "- {event: shipped.json, expect: rule_error}",
    r#"22:39: topics.orders.examples[0].expect: expected the dead letter `rule_error`; the rules give the text "Order 1 is on its way." of the rule "shipped""#
)]
fn an_example_that_comes_out_otherwise_tells_both(#[case] examples: &str, #[case] expected: &str) {
    assert_eq!(
        said_of_examples(examples, Strictness::Check),
        format!("line-bridge.yaml:{expected}")
    );
}

#[rstest]
#[case::no_rules(
    "orders:\n    rules: []",
    "7:12: topics.orders.rules: expected a list of at least one rule, found an empty list"
)]
#[case::no_recipient(
    "orders:\n    rules: [{name: a, channel: support, message: x}]",
    "7:13: topics.orders.rules[0].to: is missing; expected {contact: EXPRESSION} or {user: EXPRESSION}"
)]
#[case::a_recipient_that_is_a_number(
    "orders:\n    rules: [{name: a, channel: support, to: {contact: 5}, message: x}]",
    "7:55: topics.orders.rules[0].to.contact: expected an expression that gives the recipient, such as event.customer.contactId; quote a number or a boolean that is meant as text"
)]
fn rules_with_a_mistake_are_not_asked_about_examples(#[case] rules: &str, #[case] expected: &str) {
    let before = CONFIG.split("orders:").next().unwrap();
    let examples = "schema: orders.json\n    examples: [{event: shipped.json, expect: x}]";
    let config = format!("{before}{rules}\n    {examples}\n");
    let told = said(SCHEMA, &config, Strictness::Check);
    assert_eq!(told, format!("line-bridge.yaml:{expected}"));
}

#[test]
fn run_passes_over_an_example_whose_file_is_not_where_it_runs() {
    let examples = "- {event: elsewhere.json, expect: skip}";
    assert_eq!(said_of_examples(examples, Strictness::Run), "");
    let told = said_of_examples(examples, Strictness::Check);
    assert!(told.contains("examples[0].event: "), "{told}");
}

#[test]
fn run_refuses_what_comes_out_otherwise_and_shows_no_text() {
    let examples = "- {event: shipped.json, expect: Order 2 is on its way.}";
    assert_eq!(
        said_of_examples(examples, Strictness::Run),
        "line-bridge.yaml:22:39: topics.orders.examples[0].expect: \
         the example gives a different result; `line-bridge check` shows both"
    );
}

#[test]
fn what_is_wrong_with_an_example_itself_is_told() {
    let examples = "\
- {event: nowhere.json, expect: skip}
- {event: shipped.json}
- {expect: skip}
- {event: shipped.json, expect: expired}
- {event: shipped.json, expect: {}}
- {event: shipped.json, expect: {reason: schema, message: x}}
- {event: shipped.json, expect: {rule: shiped}}
- {event: shipped.json, expect: {channel: suport}}
- {event: shipped.json, expect: 5}
- {event: shipped.json, expect: []}
- {event: shipped.json, expct: skip}
- {event: {a: 1, a: 2}, expect: skip}
- {event: , expect: skip}
- {event: shipped.json, record: {timestamp: soon, kye: x}, expect: skip}
- skip";
    insta::assert_snapshot!(said_of_examples(examples, Strictness::Check), @r##"
    line-bridge.yaml:22:17: topics.orders.examples[0].event: nowhere.json: no such file
    line-bridge.yaml:23:9: topics.orders.examples[1].expect: is missing; expected `skip`, the reason of a dead letter, the text of the message, a map of message, rule, channel, to and reason, or a list of such
    line-bridge.yaml:24:9: topics.orders.examples[2].event: is missing; expected the path of a JSON file, or the event itself
    line-bridge.yaml:25:39: topics.orders.examples[3].expect: `expired` occurs only when a message is sent; an example can expect undecodable, schema, no_rule, rule_error, invalid_message
    line-bridge.yaml:26:39: topics.orders.examples[4].expect: expected `skip`, the reason of a dead letter, the text of the message, a map of message, rule, channel, to and reason, or a list of such, found nothing to compare
    line-bridge.yaml:27:39: topics.orders.examples[5].expect: a dead letter has a `reason` and at most a `rule`
    line-bridge.yaml:28:46: topics.orders.examples[6].expect.rule: there is no rule "shiped"; did you mean `shipped`?
    line-bridge.yaml:29:49: topics.orders.examples[7].expect.channel: there is no channel "suport"; did you mean `support`?
    line-bridge.yaml:30:39: topics.orders.examples[8].expect: expected `skip`, the reason of a dead letter, the text of the message, a map of message, rule, channel, to and reason, or a list of such, found the number 5
    line-bridge.yaml:31:39: topics.orders.examples[9].expect: expected `skip`, the reason of a dead letter, the text of the message, a map of message, rule, channel, to and reason, or a list of such, found an empty list
    line-bridge.yaml:32:31: topics.orders.examples[10].expct: unknown key; did you mean `expect`?
    line-bridge.yaml:33:24: topics.orders.examples[11].event: duplicate key of the event
    line-bridge.yaml:34:10: topics.orders.examples[12].event: expected the path of a JSON file, or the event itself, found nothing
    line-bridge.yaml:35:51: topics.orders.examples[13].record.timestamp: expected a time such as 2026-03-03T10:00:00+07:00, or whole milliseconds since 1970
    line-bridge.yaml:35:57: topics.orders.examples[13].record.kye: unknown key; did you mean `key`?
    line-bridge.yaml:36:9: topics.orders.examples[14]: expected an example, which is a map of event and expect, found something else
    "##);
}

#[test]
fn a_rule_that_does_not_fit_its_schema_is_told_at_its_line_with_all_other_mistakes() {
    let config = CONFIG
        .replace("event.status == \"shipped\"", "event.status == \"shiped\"")
        .replace("{{ event.note | default('') }}", "{{ event.note }}{{ event.nope")
        .replace("to: {contact: event.contact}", "to: {contact: event.contct}")
        .replace("group: g", "group: 5");
    insta::assert_snapshot!(said(SCHEMA, &config, Strictness::Run), @r##"
    line-bridge.yaml:1:43: kafka.group: expected the name of the consumer group; quote a number or a boolean that is meant as text
    line-bridge.yaml:11:15: topics.orders.rules[0].when: `event.status` is never "shiped" according to the schema; did you mean "shipped"?
    line-bridge.yaml:13:13: topics.orders.rules[0].to: `event.contct`: the schema has no such property; did you mean `contact`?
    line-bridge.yaml:14:19: topics.orders.rules[0].message: unexpected identifier, expected end of variable block (line 1 of the text)
    line-bridge.yaml:19:13: topics.orders.rules[1].to: `event.contct`: the schema has no such property; did you mean `contact`?
    "##);
}

/// The line and the column of the one mistake, with this for the first rule's message.
fn place_of(message: &str) -> String {
    let written = CONFIG.lines().find(|line| line.contains("Order {{")).unwrap();
    let config = CONFIG.replace(written, &format!("        message: {message}"));
    let told = said(SCHEMA, &config, Strictness::Check);
    let place = told.split(": topics.orders.rules[0].message: ").next().unwrap();
    assert_eq!(told.lines().count(), 1, "{told}");
    place.replace("line-bridge.yaml:", "")
}

#[rstest]
#[case::block("|\n          Hello\n\n          ก {{ evnt.id }}", "17:16")]
#[case::block_kept("|+\n          Hello\n            {{ evnt.id }}\n\n", "16:16")]
#[case::block_indented_by_number("|2\n            Hello\n           {{ evnt.id }}", "16:15")]
#[case::syntax("|-\n          Hello\n          {% if %}", "16:11")]
#[case::filter("|\n          Hello\n          {{ event.id | uper }}", "16:25")]
#[case::property("|\n          Hello\n          {{ event.idd }}", "16:14")]
#[case::comparison(
    "|\n          Hello\n          {% if event.status == 'shiped' %}x{% endif %}",
    "16:17"
)]
#[case::guarded_once(
    "|\n          Hello\n          {% if event.note is defined %}x{% endif %}\n          {{ event.note }}",
    "17:14"
)]
#[case::by_another_name("|\n          {% set n = event.id %}\n          ก {{ n * 2 }}", "16:11")]
#[case::one_of_two("|\n          {{ 0 | date('UTC') }}\n          {{ 0 | date('UTCC') }}", "16:18")]
#[case::folded(">\n          Hello\n          {{ evnt.id }}", "15:11")]
#[case::folded_paragraphs(">\n          Hello\n\n          {{ evnt.id }}", "15:11")]
#[case::one_line("Hello {{ evnt.id }}", "14:27")]
#[case::quoted("\"Hello {{ evnt.id }}\"", "14:28")]
#[case::single_quotes("'Hello {{ evnt.id }}'", "14:28")]
#[case::escaped("\"\\u0048ello {{ evnt.id }}\"", "14:18")]
#[case::quoted_lines("\"Hello\\n{{ evnt.id }}\"", "14:18")]
#[case::quoted_over_lines("\"Hello\n\n          {{ evnt.id }}\"", "14:18")]
fn a_mistake_in_a_text_is_told_where_it_stands(#[case] message: &str, #[case] place: &str) {
    assert_eq!(place_of(message), place);
}

#[test]
fn a_rule_that_is_never_asked_is_a_warning() {
    let config = CONFIG.replace("when: record.key is defined", "when: event.status == \"shipped\"");
    let config = config.replace("        continue: true\n", "");
    assert_eq!(
        said(SCHEMA, &config, Strictness::Run),
        "line-bridge.yaml:16:15: warning: topics.orders.rules[1].when: never true: `shipped` before \
         it has the same condition, and has no `continue: true`"
    );
}

#[test]
fn a_mistake_in_a_schema_is_told_at_its_line_once_for_all_topics() {
    let schema = SCHEMA
        .replace("\"required\"", "\"requird\"")
        .replace("{\"type\": \"string\"}\n  }", "{\"$ref\": \"#/nope\"}\n  }");
    let topic = CONFIG.split("topics:\n").nth(1).unwrap();
    let config = format!("{CONFIG}{}", topic.replace("  orders:", "  returns:"));
    insta::assert_snapshot!(said(&schema, &config, Strictness::Run), @r##"
    orders.json:3:3: #/requird: unknown keyword `requird`: did you mean `required`?
    orders.json:8:14: #/properties/note/$ref: `#/nope`: orders.json has no `#/nope`
    "##);
    assert_eq!(
        said("{\n  \"type\": strin\n}", CONFIG, Strictness::Run),
        "orders.json:2:11: not JSON: expected value at line 2 column 11"
    );
}
