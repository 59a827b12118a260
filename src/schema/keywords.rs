//! The keywords of JSON Schema, draft 2020-12: which exist, and which hold schemas.

use serde_json::{Map, Value};

use crate::domain::words::nearest;

/// How a keyword holds other schemas.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Holds {
    /// None: its value is data.
    Nothing,
    /// A schema.
    One,
    /// An array of schemas.
    List,
    /// An object of schemas.
    Named,
}

/// Every keyword of the seven vocabularies (JSON Schema Core and Validation, 2020-12).
const KEYWORDS: &[(&str, Holds)] = &[
    ("$anchor", Holds::Nothing),
    ("$comment", Holds::Nothing),
    ("$defs", Holds::Named),
    ("$dynamicAnchor", Holds::Nothing),
    ("$dynamicRef", Holds::Nothing),
    ("$id", Holds::Nothing),
    ("$ref", Holds::Nothing),
    ("$schema", Holds::Nothing),
    ("additionalProperties", Holds::One),
    ("allOf", Holds::List),
    ("anyOf", Holds::List),
    ("const", Holds::Nothing),
    ("contains", Holds::One),
    ("contentEncoding", Holds::Nothing),
    ("contentMediaType", Holds::Nothing),
    ("contentSchema", Holds::One),
    ("default", Holds::Nothing),
    ("dependentRequired", Holds::Nothing),
    ("dependentSchemas", Holds::Named),
    ("deprecated", Holds::Nothing),
    ("description", Holds::Nothing),
    ("else", Holds::One),
    ("enum", Holds::Nothing),
    ("examples", Holds::Nothing),
    ("exclusiveMaximum", Holds::Nothing),
    ("exclusiveMinimum", Holds::Nothing),
    ("format", Holds::Nothing),
    ("if", Holds::One),
    ("items", Holds::One),
    ("maxContains", Holds::Nothing),
    ("maxItems", Holds::Nothing),
    ("maxLength", Holds::Nothing),
    ("maxProperties", Holds::Nothing),
    ("maximum", Holds::Nothing),
    ("minContains", Holds::Nothing),
    ("minItems", Holds::Nothing),
    ("minLength", Holds::Nothing),
    ("minProperties", Holds::Nothing),
    ("minimum", Holds::Nothing),
    ("multipleOf", Holds::Nothing),
    ("not", Holds::One),
    ("oneOf", Holds::List),
    ("pattern", Holds::Nothing),
    ("patternProperties", Holds::Named),
    ("prefixItems", Holds::List),
    ("properties", Holds::Named),
    ("propertyNames", Holds::One),
    ("readOnly", Holds::Nothing),
    ("required", Holds::Nothing),
    ("then", Holds::One),
    ("title", Holds::Nothing),
    ("type", Holds::Nothing),
    ("unevaluatedItems", Holds::One),
    ("unevaluatedProperties", Holds::One),
    ("uniqueItems", Holds::Nothing),
    ("writeOnly", Holds::Nothing),
];

/// Keywords of older drafts, which this one ignores without a word, and what took their place.
const REPLACED: &[(&str, &str)] = &[
    ("$recursiveAnchor", "$dynamicAnchor"),
    ("$recursiveRef", "$dynamicRef"),
    ("additionalItems", "items"),
    ("definitions", "$defs"),
    ("dependencies", "dependentRequired` or `dependentSchemas"),
    ("id", "$id"),
];

fn holds(keyword: &str) -> Option<Holds> {
    let index = KEYWORDS.binary_search_by_key(&keyword, |(name, _)| name).ok()?;
    KEYWORDS.get(index).map(|(_, holds)| *holds)
}

/// Why `keyword` is a mistake, if it is one.
pub(super) fn objection(keyword: &str) -> Option<String> {
    if keyword.starts_with("x-") || holds(keyword).is_some() {
        return None;
    }
    if let Some((_, instead)) = REPLACED.iter().find(|(old, _)| *old == keyword) {
        return Some(format!("draft 2020-12 has no keyword `{keyword}`: use `{instead}`"));
    }
    Some(match nearest(keyword, KEYWORDS.iter().map(|(name, _)| *name)) {
        Some(name) => format!("unknown keyword `{keyword}`: did you mean `{name}`?"),
        None => format!("unknown keyword `{keyword}`: start keywords of your own with `x-`"),
    })
}

/// Visits every schema that is an object, `root` first, with its JSON pointer. What is data (an
/// `enum`, a `default`, the names under `properties`) is not taken for a schema.
pub(super) fn visit(root: &mut Value, each: &mut impl FnMut(&mut Map<String, Value>, &str)) {
    visit_at(root, &mut String::new(), each);
}

fn visit_at(
    schema: &mut Value,
    pointer: &mut String,
    each: &mut impl FnMut(&mut Map<String, Value>, &str),
) {
    let Value::Object(keywords) = schema else { return };
    each(keywords, pointer);
    for (keyword, value) in keywords.iter_mut() {
        let here = pointer.len();
        push(pointer, keyword);
        match holds(keyword) {
            Some(Holds::One) => visit_at(value, pointer, each),
            Some(Holds::List) => {
                for (index, item) in value.as_array_mut().into_iter().flatten().enumerate() {
                    let list = pointer.len();
                    push(pointer, &index.to_string());
                    visit_at(item, pointer, each);
                    pointer.truncate(list);
                }
            }
            Some(Holds::Named) => {
                for (name, item) in value.as_object_mut().into_iter().flatten() {
                    let map = pointer.len();
                    push(pointer, name);
                    visit_at(item, pointer, each);
                    pointer.truncate(map);
                }
            }
            Some(Holds::Nothing) | None => {}
        }
        pointer.truncate(here);
    }
}

/// Adds a segment to a JSON pointer (RFC 6901).
pub(super) fn push(pointer: &mut String, segment: &str) {
    pointer.push('/');
    for letter in segment.chars() {
        match letter {
            '~' => pointer.push_str("~0"),
            '/' => pointer.push_str("~1"),
            other => pointer.push(other),
        }
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use serde_json::json;

    use super::*;

    #[test]
    fn the_table_is_sorted() {
        assert!(KEYWORDS.is_sorted_by_key(|(name, _)| *name));
    }

    #[rstest]
    #[case::a_letter_missing("requird", "did you mean `required`?")]
    #[case::wrong_case("minlength", "did you mean `minLength`?")]
    #[case::plural("propertys", "did you mean `properties`?")]
    #[case::old_draft("definitions", "use `$defs`")]
    #[case::far_from_all("colour", "with `x-`")]
    fn an_unknown_keyword_is_named_with_the_way_out(#[case] keyword: &str, #[case] says: &str) {
        let text = objection(keyword).unwrap();
        assert!(text.contains(says) && text.contains(keyword), "{text}");
    }

    #[rstest]
    #[case("x-owner")]
    #[case("$comment")]
    #[case("unevaluatedProperties")]
    fn known_and_own_keywords_pass(#[case] keyword: &str) {
        assert_eq!(objection(keyword), None);
    }

    #[test]
    fn visits_schemas_and_not_data() {
        let mut schema = json!({
            "properties": {"$ref": {"type": "string"}, "a/b": {"items": {"type": "null"}}},
            "enum": [{"requird": 1}],
            "allOf": [true, {"not": {}}],
        });
        let mut seen = Vec::new();
        visit(&mut schema, &mut |_, pointer| seen.push(pointer.to_owned()));
        seen.sort();
        assert_eq!(
            seen,
            [
                "",
                "/allOf/1",
                "/allOf/1/not",
                "/properties/$ref",
                "/properties/a~1b",
                "/properties/a~1b/items"
            ]
        );
    }
}
