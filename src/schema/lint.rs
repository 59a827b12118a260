//! The mistakes of one schema document, as far as they can be seen without the others.

use jsonschema::{Draft, PatternOptions, ValidationOptions};
use serde_json::{Map, Value};

use super::keywords;

/// The meta-schema of the one draft that is taken.
pub(super) const META_SCHEMA: &str = "https://json-schema.org/draft/2020-12/schema";

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
            format!("only draft 2020-12 is taken: write `{META_SCHEMA}`, or leave it out");
        return vec![("/$schema".to_owned(), message)];
    }
    for error in jsonschema::draft202012::meta::validator().iter_errors(document) {
        found.push((error.instance_path().to_string(), error.to_string()));
    }
    keywords::visit(document, &mut |schema, pointer| check_schema(schema, pointer, &mut found));
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
            add(keyword, format!("`{keyword}` stands at the top of a file alone"));
        }
    }
    if let Some(format) = schema.get("format").and_then(Value::as_str)
        && !options().is_known_format(Draft::Draft202012, format)
    {
        add("format", format!("unknown format `{format}`"));
    }
    if let Some(pattern) = schema.get("pattern").and_then(Value::as_str)
        && !is_pattern(pattern)
    {
        add("pattern", not_a_pattern(pattern));
    }
    let named = schema.get("patternProperties").and_then(Value::as_object);
    for pattern in named.into_iter().flat_map(Map::keys).filter(|pattern| !is_pattern(pattern)) {
        add("patternProperties", not_a_pattern(pattern));
    }
}

fn is_pattern(pattern: &str) -> bool {
    options().build(&serde_json::json!({ "pattern": pattern })).is_ok()
}

fn not_a_pattern(pattern: &str) -> String {
    format!("`{pattern}` is not a regular expression without look-around and back-references")
}
