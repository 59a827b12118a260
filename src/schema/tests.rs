use std::fs;

use rstest::rstest;
use tempfile::TempDir;

use super::*;

/// A directory with these files; the first is the topic's schema.
fn files(files: &[(&str, &str)]) -> (TempDir, PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    for (name, text) in files {
        let path = dir.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    let root = dir.path().join(files[0].0);
    (dir, root)
}

fn schema(text: &str) -> Schema {
    let (_dir, root) = files(&[("t.json", text)]);
    Schema::load(&root).unwrap()
}

fn mistakes(texts: &[(&str, &str)]) -> Vec<(String, String)> {
    let (_dir, root) = files(texts);
    let mistakes = Schema::load(&root).unwrap_err();
    mistakes.into_iter().map(|mistake| (mistake.pointer, mistake.message)).collect()
}

#[rstest]
#[case::misspelt_keyword(r#"{"requird":["a"]}"#, "/requird", "did you mean `required`?")]
#[case::misspelt_deep_down(
    r#"{"properties":{"a":{"items":{"minlength":1}}}}"#,
    "/properties/a/items/minlength",
    "`minLength`"
)]
#[case::other_draft(
    r#"{"$schema":"http://json-schema.org/draft-07/schema#"}"#,
    "/$schema",
    "only draft 2020-12"
)]
#[case::bad_type(r#"{"properties":{"a":{"type":"strin"}}}"#, "/properties/a/type", "strin")]
#[case::bad_value(r#"{"minLength":-1}"#, "/minLength", "-1")]
#[case::unknown_format(r#"{"format":"date-tim"}"#, "/format", "unknown format `date-tim`")]
#[case::look_around(r#"{"pattern":"(?=a)"}"#, "/pattern", "(?=a)")]
#[case::too_large(r#"{"pattern":"\\p{L}{1000}"}"#, "/pattern", "too large")]
#[case::bad_pattern_property(
    r#"{"patternProperties":{"(":{}}}"#,
    "/patternProperties",
    "regular expression"
)]
#[case::from_a_network(
    r#"{"$ref":"https://example.com/a.json"}"#,
    "/$ref",
    "nothing is fetched from a network"
)]
#[case::by_another_scheme(r#"{"$ref":"file:///etc/passwd"}"#, "/$ref", "nothing is fetched")]
#[case::by_another_host(r#"{"$ref":"//example.com/a.json"}"#, "/$ref", "nothing is fetched")]
#[case::file_missing(r#"{"$ref":"nowhere.json"}"#, "/$ref", "nowhere.json: no such file")]
#[case::pointer_missing(r##"{"$ref":"#/$defs/a"}"##, "/$ref", "has no `#/$defs/a`")]
#[case::anchor_missing(r##"{"$ref":"#a"}"##, "/$ref", "has no `#a`")]
#[case::nested_id(r#"{"items":{"$id":"https://e.com/a"}}"#, "/items/$id", "at the top")]
#[case::endless(r##"{"$ref":"#"}"##, "/$ref", "never end")]
#[case::endless_in_two(
    r##"{"$ref":"#/$defs/a","$defs":{"a":{"allOf":[{"$ref":"#/$defs/b"}]},"b":{"anyOf":[{"$ref":"#/$defs/a"}]}}}"##,
    "/$defs/b/anyOf/0/$ref",
    "never end"
)]
#[case::not_json("{", "", "not JSON")]
#[case::a_key_twice(r#"{"type":"object","type":"array"}"#, "", "key twice")]
#[case::not_a_schema("[]", "", "not of type")]
fn a_mistake_is_told_with_its_place(#[case] text: &str, #[case] place: &str, #[case] says: &str) {
    let found = mistakes(&[("t.json", text)]);
    let hit = found.iter().any(|(pointer, message)| pointer == place && message.contains(says));
    assert!(hit, "{found:?}");
}

#[test]
fn every_mistake_of_every_file_comes_at_once() {
    let found = mistakes(&[
        (
            "t.json",
            r#"{"requird":[],"properties":{"a":{"$ref":"c/d.json#/x"},"b":{"typ":"null"}}}"#,
        ),
        ("c/d.json", r#"{"titel":"x","$ref":"gone.json"}"#),
    ]);
    let places: Vec<&str> = found.iter().map(|(pointer, _)| pointer.as_str()).collect();
    assert_eq!(places, ["/properties/b/typ", "/requird", "/titel", "/$ref", "/properties/a/$ref"]);
}

#[test]
fn a_byte_order_mark_is_passed_over() {
    let (_dir, root) = files(&[("t.json", "\u{feff}{\"titel\":\"x\"}")]);
    let found = Schema::load(&root).unwrap_err();
    assert_eq!(found[0].place, Some(TextPlace { line: 1, column: 2 }), "{}", found[0]);
}

#[test]
fn a_missing_file_is_one_mistake() {
    let found = Schema::load(Path::new("/nowhere/t.json")).unwrap_err();
    assert_eq!(found.len(), 1);
    assert!(found[0].to_string().starts_with("/nowhere/t.json#: "), "{}", found[0]);
}

#[test]
fn references_go_between_files_in_both_directions() {
    let (_dir, root) = files(&[
        (
            "s/t.json",
            r#"{"$id":"https://example.com/t","properties":{"child":{"$ref":"../c.json#/$defs/node"}},
               "$defs":{"name":{"type":"string"}}}"#,
        ),
        (
            "c.json",
            r##"{"$defs":{"node":{"properties":{"name":{"$ref":"https://example.com/t#/$defs/name"},
               "next":{"$ref":"#/$defs/node"},"top":{"$ref":"s/t.json"}}}}}"##,
        ),
    ]);
    let schema = Schema::load(&root).unwrap();
    assert!(schema.decode(br#"{"child":{"name":"a","next":{"next":{"name":"b"}}}}"#).is_ok());
    let rejection = schema.decode(br#"{"child":{"next":{"next":{"name":1}}}}"#).unwrap_err();
    assert_eq!(
        rejection.detail,
        "/child/next/next/name: is not of type string (t.json#/$defs/name/type)"
    );
    assert!(schema.decode(br#"{"child":{"top":{"child":{"name":1}}}}"#).is_err());
}

#[test]
fn a_schema_may_refer_to_the_meta_schema_and_to_anchors() {
    let schema = schema(
        r##"{"properties":{"a":{"$ref":"https://json-schema.org/draft/2020-12/schema"},
            "b":{"$ref":"#name"}},"$defs":{"n":{"$anchor":"name","type":"string"}},"x-owner":1}"##,
    );
    assert!(schema.decode(br#"{"a":{"type":"string"},"b":"x"}"#).is_ok());
    assert!(schema.decode(br#"{"a":{"type":1}}"#).is_err());
    assert!(schema.decode(br#"{"b":1}"#).is_err());
}

#[rstest]
#[case::empty(b"", "the value is empty")]
#[case::wire_format_alone(b"\0\0\0\0\x01", "the value is empty")]
#[case::short_wire_format(b"\0\0", "not JSON")]
#[case::not_utf_8(b"{\"a\":\"\xff\"}", "not UTF-8 from byte 6")]
#[case::not_json(b"secret", "not JSON: expected value at line 1 column 1")]
#[case::trailing(b"{} {}", "not JSON: trailing characters at line 1 column 4")]
#[case::cut(b"{\"secret\":", "not JSON: EOF")]
#[case::text_number(b"{\"a\":01}", "not JSON")]
fn what_is_not_json_is_undecodable(#[case] value: &[u8], #[case] says: &str) {
    let rejection = schema("{}").decode(value).unwrap_err();
    assert_eq!(rejection.reason, Reason::Undecodable);
    assert!(rejection.detail.starts_with(says), "{}", rejection.detail);
    assert!(!rejection.detail.contains("secret"));
}

#[test]
fn too_deep_and_too_large_are_undecodable() {
    let schema = schema("{}");
    let deep = "[".repeat(200_000);
    assert_eq!(schema.decode(deep.as_bytes()).unwrap_err().reason, Reason::Undecodable);
    let mut large = vec![b' '; VALUE_LIMIT];
    large.push(b'1');
    assert_eq!(schema.decode(&large).unwrap_err().reason, Reason::Undecodable);
    assert!(schema.decode(&large[1..]).is_ok());
}

#[test]
fn the_wire_format_is_passed_over() {
    assert_eq!(schema("{}").decode(b"\0\0\0\0\x07{\"a\":1}").unwrap()["a"], 1);
}

#[rstest]
#[case::required("{}", r#"the event: "a" is missing (t.json#/required)"#)]
#[case::type_(r#"{"a":true}"#, "/a: is not of type string (t.json#/properties/a/type)")]
#[case::format(r#"{"a":"hush"}"#, "/a: is not a date-time (t.json#/properties/a/format)")]
#[case::enumeration(
    r#"{"a":"2026-11-09T10:00:00Z","b":"hush"}"#,
    "/b: breaks `enum` (t.json#/properties/b/enum)"
)]
#[case::pattern(
    r#"{"a":"2026-11-09T10:00:00Z","c":"hush"}"#,
    "/c: breaks `pattern` (t.json#/properties/c/pattern)"
)]
#[case::thai_name(
    r#"{"a":"2026-11-09T10:00:00Z","ราคา %":"hush"}"#,
    "/ราคา %: is not of type number (t.json#/properties/ราคา %/type)"
)]
#[case::several(
    r#"{"a":1,"b":"hush","c":"hush","d":1}"#,
    "/a: is not of type string (t.json#/properties/a/type); /b: breaks `enum` (t.json#/properties/b/enum); /c: breaks `pattern` (t.json#/properties/c/pattern)"
)]
fn a_violation_names_the_place_and_the_rule_and_no_value(#[case] event: &str, #[case] says: &str) {
    let schema = schema(
        r#"{"required":["a"],"properties":{"a":{"type":"string","format":"date-time"},
            "b":{"enum":["x"]},"c":{"pattern":"^[0-9]+$"},"ราคา %":{"type":"number"}}}"#,
    );
    let rejection = schema.decode(event.as_bytes()).unwrap_err();
    assert_eq!(
        rejection,
        Rejection { reason: Reason::Schema, detail: says.to_owned(), rule: None }
    );
}

#[test]
fn hostile_names_are_escaped_and_bounded() {
    let long = "é".repeat(5_000);
    let schema = schema(&format!(
        r#"{{"properties":{{"a\nb\u202e\u0000":{{"type":"string"}},"{long}":{{"type":"string"}}}}}}"#
    ));
    let rejection = schema.decode(b"{\"a\\nb\\u202e\\u0000\":1}").unwrap_err();
    assert!(rejection.detail.starts_with("/a\\u{a}b\\u{202e}\\u{0}: "), "{}", rejection.detail);
    let rejection = schema.decode(format!("{{\"{long}\":1}}").as_bytes()).unwrap_err();
    assert!(rejection.detail.len() <= 500, "{}", rejection.detail.len());
}

#[rstest]
#[case::in_a_map(r#"{"byUser":{"U4af4980629":{"status":1}}}"#, "/byUser/*/status: ")]
#[case::a_number(r#"{"byUser":{"4980629":{"status":1}}}"#, "/byUser/*/status: ")]
#[case::in_a_list(r#"{"byUser":{"U4":{"status":["a",1]}}}"#, "/byUser/*/status/1: ")]
fn a_name_that_the_schema_does_not_have_is_not_shown(#[case] event: &str, #[case] place: &str) {
    let status =
        r#"{"properties":{"status":{"type":["array","string"],"items":{"type":"string"}}}}"#;
    let schema =
        schema(&format!(r#"{{"properties":{{"byUser":{{"additionalProperties":{status}}}}}}}"#));
    let rejection = schema.decode(event.as_bytes()).unwrap_err();
    assert!(rejection.detail.starts_with(place), "{}", rejection.detail);
}

#[test]
fn a_large_event_of_nothing_but_violations_is_told_by_its_first() {
    let schema = schema(r#"{"items":{"type":"string"}}"#);
    let event = format!("[{}0]", "0,".repeat(400_000));
    let rejection = schema.decode(event.as_bytes()).unwrap_err();
    assert_eq!(rejection.detail, "/0: is not of type string (t.json#/items/type)");
}

/// The first violation of a choice tells of each violation of each of its schemas.
#[test]
fn a_large_event_that_fits_none_of_several_schemas_is_told_in_a_few_words() {
    let kind = |name: &str| {
        format!(
            r#"{{"properties":{{"kind":{{"const":"{name}"}},"lines":{{"items":{{"required":["id"]}}}}}}}}"#
        )
    };
    let schema = schema(&format!(r#"{{"oneOf":[{},{}]}}"#, kind("placed"), kind("paid")));
    let event = |count| format!(r#"{{"kind":"placed","lines":[{}{{}}]}}"#, "{},".repeat(count));
    let small = schema.decode(event(1).as_bytes()).unwrap_err();
    assert_eq!(small.detail, "the event: breaks `oneOf` (t.json#/oneOf)");
    let large = schema.decode(event(300_000).as_bytes()).unwrap_err();
    assert!(large.detail.contains("too large"), "{}", large.detail);
}

/// Such as conditions of conditions: each level offers the choice again.
#[test]
fn a_deep_event_that_fits_none_of_several_schemas_is_told_in_a_few_words() {
    let schema = schema(
        r##"{"anyOf":[{"required":["and"],"properties":{"and":{"$ref":"#"}}},{"required":["or","and"],"properties":{"and":{"$ref":"#"}}}]}"##,
    );
    let event = |depth| format!("{}0{}", r#"{"and":"#.repeat(depth), "}".repeat(depth));
    for depth in [5, 14] {
        let event = event(depth).replace('0', "{}");
        let detail = schema.decode(event.as_bytes()).unwrap_err().detail;
        assert_eq!(detail.contains("too deep"), depth > 8, "{detail}");
    }
}
