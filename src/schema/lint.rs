//! The mistakes of one schema document, as far as they can be seen without the others.

use std::collections::BTreeSet;

use jsonschema::{Draft, PatternOptions, ValidationOptions};
use serde_json::{Map, Value};

use super::{keywords, patterns};
use crate::domain::words::nearest;

/// The meta-schema of the one draft that is taken.
pub(super) const META_SCHEMA: &str = "https://json-schema.org/draft/2020-12/schema";

/// The values of `type` (JSON Schema Validation, 2020-12, 6.1.1).
const TYPES: [&str; 7] = ["array", "boolean", "integer", "null", "number", "object", "string"];

/// The values of `format` (the same, 7.3) that the library knows.
const FORMATS: [&str; 17] = [
    "date",
    "date-time",
    "duration",
    "email",
    "hostname",
    "ipv4",
    "ipv6",
    "iri",
    "iri-reference",
    "json-pointer",
    "regex",
    "relative-json-pointer",
    "time",
    "uri",
    "uri-reference",
    "uri-template",
    "uuid",
];

/// A mistake and its place: a JSON pointer into the document.
pub(super) type Found = (String, String);

/// How every schema is compiled: draft 2020-12, nothing fetched, formats asserted, and patterns in
/// time linear in the text, whatever a producer sends.
pub(super) fn options<'i>() -> ValidationOptions<'i> {
    jsonschema::options()
        .with_draft(Draft::Draft202012)
        .offline()
        .should_validate_formats(true)
        .should_ignore_unknown_formats(false)
        .with_pattern_options(PatternOptions::regex())
}

/// Every mistake of a document, in the order of the places.
pub(super) fn check(document: &mut Value) -> Vec<Found> {
    let mut found = Vec::new();
    if let Some(dialect) = document.get("$schema").and_then(Value::as_str)
        && dialect.trim_end_matches('#') != META_SCHEMA
    {
        // Judging the rest by another draft's keywords would only hide this one.
        let message =
            format!("only draft 2020-12 is supported: write `{META_SCHEMA}`, or remove `$schema`");
        return vec![("/$schema".to_owned(), message)];
    }
    keywords::visit(document, &mut |schema, pointer| check_schema(schema, pointer, &mut found));
    // What the meta-schema refuses as well is told in our own words, which know the way out.
    let told: BTreeSet<String> = found.iter().map(|(place, _)| place.clone()).collect();
    for error in jsonschema::draft202012::meta::validator().iter_errors(document) {
        let place = error.instance_path().to_string();
        if !told.contains(&place) {
            found.push((place, error.to_string()));
        }
    }
    found.sort();
    found.dedup();
    found
}

fn check_schema(schema: &Map<String, Value>, pointer: &str, found: &mut Vec<Found>) {
    let mut add = |keyword: &str, message: String| {
        let mut place = pointer.to_owned();
        keywords::push(&mut place, keyword);
        found.push((place, message));
    };
    for keyword in schema.keys() {
        if let Some(objection) = keywords::objection(keyword) {
            add(keyword, objection);
        }
    }
    for keyword in ["$id", "$schema"] {
        if !pointer.is_empty() && schema.contains_key(keyword) {
            add(keyword, format!("`{keyword}` is only allowed at the top of a file"));
        }
    }
    for keyword in ["then", "else"] {
        if schema.contains_key(keyword) && !schema.contains_key("if") {
            add(keyword, format!("`{keyword}` says nothing without an `if` beside it"));
        }
    }
    for (name, near) in excluded(schema) {
        let hint = near.map_or(String::new(), |near| format!("; did you mean `{near}`?"));
        let message = format!("`{name}` is required, and excluded by `additionalProperties`{hint}");
        add("required", message);
    }
    if let Some(format) = schema.get("format").and_then(Value::as_str)
        && !options().is_known_format(Draft::Draft202012, format)
    {
        add("format", unknown("format", format, &FORMATS));
    }
    let types = match schema.get("type") {
        Some(Value::Array(types)) => types.as_slice(),
        Some(one) => std::slice::from_ref(one),
        None => &[],
    };
    for name in types.iter().filter_map(Value::as_str).filter(|name| !TYPES.contains(name)) {
        add("type", unknown("type", name, &TYPES));
    }
    if let Some(pattern) = schema.get("pattern").and_then(Value::as_str)
        && let Some(message) = patterns::objection(pattern)
    {
        add("pattern", message);
    }
    let named = schema.get("patternProperties").and_then(Value::as_object);
    for message in
        named.into_iter().flat_map(Map::keys).filter_map(|name| patterns::objection(name))
    {
        add("patternProperties", message);
    }
}

/// The properties that no object can have although it must, each with the one that may have been meant.
fn excluded(schema: &Map<String, Value>) -> Vec<(&str, Option<&str>)> {
    let is_closed = schema.get("additionalProperties") == Some(&Value::Bool(false));
    if !is_closed || schema.contains_key("patternProperties") {
        return Vec::new();
    }
    let properties = schema.get("properties").and_then(Value::as_object);
    let names = || properties.into_iter().flat_map(Map::keys).map(String::as_str);
    let required = schema.get("required").and_then(Value::as_array);
    let required = required.into_iter().flatten().filter_map(Value::as_str);
    let lacking = required.filter(|name| !names().any(|other| other == *name));
    lacking.map(|name| (name, nearest(name, names()))).collect()
}

fn unknown(keyword: &str, value: &str, known: &[&str]) -> String {
    match nearest(value, known.iter().copied()) {
        Some(near) => format!("unknown {keyword} `{value}`: did you mean `{near}`?"),
        None => format!("unknown {keyword} `{value}`: there are {}", known.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use serde_json::json;

    use super::*;

    #[test]
    fn every_format_that_is_named_is_known() {
        let unknown: Vec<_> = FORMATS
            .into_iter()
            .filter(|format| !options().is_known_format(Draft::Draft202012, format))
            .collect();
        assert!(unknown.is_empty(), "{unknown:?}");
    }

    #[rstest]
    #[case(json!({"required": ["a"], "patternProperties": {"^a": {}}, "additionalProperties": false}))]
    #[case(json!({"required": ["a"], "properties": {"b": {}}, "additionalProperties": {"type": "string"}}))]
    #[case(json!({"required": ["a"], "properties": {"a": {}}, "additionalProperties": false}))]
    #[case(json!({"if": {"required": ["a"]}, "else": false}))]
    fn what_an_object_may_have_passes(#[case] mut schema: Value) {
        assert_eq!(check(&mut schema), []);
    }

    #[rstest]
    #[case::a_type(json!({"type": "objet"}), "unknown type `objet`: did you mean `object`?")]
    #[case::one_of_the_types(json!({"type": ["strin", "null"]}), "unknown type `strin`: did you mean `string`?")]
    #[case::a_type_of_another_language(json!({"type": "float"}), "unknown type `float`: there are array, boolean, integer, null, number, object, string")]
    #[case::a_format(json!({"format": "datetime"}), "unknown format `datetime`: did you mean `date-time`?")]
    #[case::a_misspelt_requirement(json!({"required": ["id", "ordrId"], "properties": {"id": {}, "orderId": {}}, "additionalProperties": false}), "`ordrId` is required, and excluded by `additionalProperties`; did you mean `orderId`?")]
    #[case::a_requirement_without_properties(json!({"required": ["id"], "additionalProperties": false}), "`id` is required, and excluded by `additionalProperties`")]
    #[case::a_condition_without_its_if(json!({"then": {"required": ["a"]}}), "`then` says nothing without an `if` beside it")]
    #[case::the_other_half(json!({"else": false}), "`else` says nothing without an `if` beside it")]
    fn a_mistake_of_one_document_is_told_once(#[case] mut schema: Value, #[case] says: &str) {
        let found = check(&mut schema);
        let messages: Vec<&str> = found.iter().map(|(_, message)| message.as_str()).collect();
        assert_eq!(messages, [says]);
    }
}
