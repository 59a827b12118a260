//! What a schema refused, in words that hold nothing of the event but names that the schema has.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use jsonschema::ValidationError;
use jsonschema::error::{TypeKind, ValidationErrorKind};
use percent_encoding::percent_decode_str;
use serde_json::Value;

use super::Schema;
use super::files::index_of;
use crate::domain::words::bounded;

/// The longest detail, in bytes.
const DETAIL_LIMIT: usize = 500;
/// Above this size, in bytes, only the first violation of an event is told.
const EVERY_VIOLATION_LIMIT: usize = 64 << 10;
/// Above this size, in bytes, and below so many levels no violation of a choice is told.
const CHOICES_SIZE_LIMIT: usize = 16 << 10;
const CHOICES_DEPTH_LIMIT: usize = 8;
/// The longest pointer.
const POINTER_LIMIT: usize = 120;
/// The most violations that are told.
const VIOLATIONS_LIMIT: usize = 3;

/// The names of all properties of schema documents.
pub(super) fn properties(documents: &[Value]) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    let mut left: Vec<&Value> = documents.iter().collect();
    while let Some(value) = left.pop() {
        match value {
            Value::Object(keywords) => {
                if let Some(Value::Object(properties)) = keywords.get("properties") {
                    names.extend(properties.keys().cloned());
                }
                left.extend(keywords.values());
            }
            Value::Array(items) => left.extend(items),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
        }
    }
    names
}

/// Whether the documents let an event choose between schemas.
pub(super) fn offers_choices(documents: &[Value]) -> bool {
    let mut left: Vec<&Value> = documents.iter().collect();
    while let Some(value) = left.pop() {
        match value {
            Value::Object(keywords) => {
                if keywords.contains_key("oneOf") || keywords.contains_key("anyOf") {
                    return true;
                }
                left.extend(keywords.values());
            }
            Value::Array(items) => left.extend(items),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
        }
    }
    false
}

fn is_deeper_than(event: &Value, levels: usize) -> bool {
    let mut below: Vec<&Value> = match event {
        Value::Object(properties) => properties.values().collect(),
        Value::Array(items) => items.iter().collect(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => return false,
    };
    levels == 0 || below.drain(..).any(|value| is_deeper_than(value, levels - 1))
}

/// The detail of a rejection: the first few violations, each with the place in the event, the
/// keyword and its place in the schema. `size` is that of the event's text, in bytes.
///
/// Listing every violation of a large event could take far more memory than the event itself, so
/// of such a one only the first is told. Where the schema offers choices, that one tells what is wrong
/// by each of them, and at each level below as well: then not even that.
pub(super) fn describe(schema: &Schema, event: &Value, size: usize) -> String {
    let is_much = size > CHOICES_SIZE_LIMIT || is_deeper_than(event, CHOICES_DEPTH_LIMIT);
    if schema.offers_choices && is_much {
        return "breaks the schema; the event is too large or too deep to tell where".to_owned();
    }
    let mut errors = if size > EVERY_VIOLATION_LIMIT {
        Vec::from_iter(schema.validator.validate(event).err())
    } else {
        schema.validator.iter_errors(event).collect()
    };
    let others = errors.len().saturating_sub(VIOLATIONS_LIMIT);
    errors.truncate(VIOLATIONS_LIMIT);
    let mut detail = String::new();
    for error in &errors {
        if !detail.is_empty() {
            detail.push_str("; ");
        }
        let place = event_place(error.instance_path().as_str(), event, &schema.properties);
        let place = if place.is_empty() { "the event" } else { &place };
        let schema_place = schema_place(error, &schema.names);
        let _ = write!(detail, "{place}: {} ({schema_place})", rule(error));
    }
    if others > 0 {
        let _ = write!(detail, "; and {others} more");
    }
    bounded(&detail, DETAIL_LIMIT).into_owned()
}

/// The pointer into the event. A name that the schema does not know stands as `*`: in a map by
/// recipient it would be the recipient.
fn event_place(pointer: &str, event: &Value, known: &BTreeSet<String>) -> String {
    let mut shown = String::new();
    let mut at = Some(event);
    for segment in pointer.split('/').skip(1) {
        let name = segment.replace("~1", "/").replace("~0", "~");
        let (step, next) = match at {
            Some(Value::Array(items)) => {
                (segment, name.parse().ok().and_then(|index: usize| items.get(index)))
            }
            Some(value) if known.contains(&name) => (segment, value.get(&name)),
            Some(value) => ("*", value.get(&name)),
            None => ("*", None),
        };
        shown.push('/');
        shown.push_str(step);
        at = next;
    }
    printable(&shown, POINTER_LIMIT)
}

/// The rule that was broken, by values of the schema alone.
fn rule(error: &ValidationError<'_>) -> String {
    let kind = error.kind();
    if let ValidationErrorKind::Required { property } = kind {
        return format!("{property} is missing");
    }
    if let ValidationErrorKind::Type { kind } = kind {
        return match kind {
            TypeKind::Single(json_type) => format!("is not of type {json_type}"),
            TypeKind::Multiple(_) => "is of none of the types allowed".to_owned(),
        };
    }
    if let ValidationErrorKind::Format { format } = kind {
        return format!("is not a {format}");
    }
    format!("breaks `{}`", kind.keyword())
}

/// `file#pointer`, where the file is told apart only if the rule is not in the topic's own.
fn schema_place(error: &ValidationError<'_>, names: &[String]) -> String {
    let location = error.absolute_keyword_location().map(jsonschema::Uri::as_str);
    let (address, pointer) = match location.and_then(|location| location.split_once('#')) {
        // A URI has names that are not ASCII in percent-encoding (RFC 3986, 2.1).
        Some((address, fragment)) => (address, percent_decode_str(fragment).decode_utf8_lossy()),
        None => ("", error.schema_path().as_str().into()),
    };
    let file = index_of(address).and_then(|index| names.get(index)).map_or("", String::as_str);
    printable(&format!("{file}#{pointer}"), POINTER_LIMIT)
}

/// Control characters escaped, and cut to `limit` bytes.
fn printable(text: &str, limit: usize) -> String {
    let mut shown = String::new();
    for letter in text.chars() {
        if shown.len() > limit {
            break;
        }
        if letter.is_control() || is_invisible(letter) {
            shown.extend(letter.escape_unicode());
        } else {
            shown.push(letter);
        }
    }
    bounded(&shown, limit).into_owned()
}

/// Characters that turn the direction of a text or hide in it (Unicode, general category Cf and
/// the separators of lines and paragraphs).
fn is_invisible(letter: char) -> bool {
    matches!(letter, '\u{200B}'..='\u{200F}' | '\u{2028}'..='\u{202E}' | '\u{2060}'..='\u{206F}' | '\u{FEFF}')
}
