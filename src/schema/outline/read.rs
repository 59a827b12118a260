//! A schema's keywords → ways.

use serde_json::{Map, Value};

use super::{Condition, Kinds, Outline, Place, Texts, Way, When, product};

/// The formats of JSON Schema of which none is that of a point in time.
const WITHOUT_A_TIME: [&str; 9] =
    ["date", "duration", "email", "hostname", "ipv4", "ipv6", "time", "uri", "uuid"];
/// The ways of one schema, with what it refers to.
pub(super) fn ways_of<'s>(
    outline: &'s Outline,
    schema: &'s Value,
    visits: &mut usize,
) -> Vec<Way<'s>> {
    let Value::Object(keywords) = schema else {
        let allows_all = *schema != Value::Bool(false);
        return allows_all.then(|| Way::anything(outline)).into_iter().collect();
    };
    *visits = visits.saturating_sub(1);
    if *visits == 0 {
        return vec![Way::unknown(outline)];
    }
    let mut ways = vec![own(outline, keywords)];
    if let Some(reference) = keywords.get("$ref").and_then(Value::as_str) {
        let referred = match outline.target(reference) {
            Some(target) => ways_of(outline, target, visits),
            None => vec![Way::unknown(outline)],
        };
        ways = product(&ways, &referred);
    }
    for part in list(keywords, "allOf") {
        ways = product(&ways, &ways_of(outline, part, visits));
    }
    for keyword in ["anyOf", "oneOf"] {
        if keywords.contains_key(keyword) {
            let mut either = Vec::new();
            for part in list(keywords, keyword) {
                either.extend(ways_of(outline, part, visits));
            }
            ways = product(&ways, &either);
        }
    }
    ways
}

/// What the keywords themselves say, without the schemas that hold for the same value.
fn own<'s>(outline: &'s Outline, keywords: &'s Map<String, Value>) -> Way<'s> {
    let mut way = Way::anything(outline);
    way.kinds = keywords.get("type").map_or(Kinds::ALL, Kinds::stated);
    way.values = match (keywords.get("const"), keywords.get("enum").and_then(Value::as_array)) {
        (Some(value), _) => Some(vec![value]),
        (None, Some(values)) => Some(values.iter().collect()),
        (None, None) => None,
    };
    way.required = list(keywords, "required").filter_map(Value::as_str).collect();
    way.texts = match keywords.get("format").and_then(Value::as_str) {
        _ if keywords.contains_key("pattern") => Texts::Bounded,
        Some("date-time") => Texts::Bounded,
        Some(format) if WITHOUT_A_TIME.contains(&format) => Texts::NoTime,
        _ => Texts::Any,
    };
    way.min_items = least_items(keywords);
    way.min_letters = keywords.get("minLength").and_then(Value::as_u64).unwrap_or(0);
    if let Some(properties) = keywords.get("properties").and_then(Value::as_object) {
        way.properties =
            properties.iter().map(|(name, schema)| (name.as_str(), vec![schema])).collect();
    }
    let closing = |keyword| keywords.get(keyword) == Some(&Value::Bool(false));
    let says = |names: [&str; 2]| names.iter().any(|name| keywords.contains_key(*name));
    // `required` alone says who must be there, and nothing of who else may be.
    if keywords.contains_key("properties")
        || closing("additionalProperties")
        || closing("unevaluatedProperties")
    {
        way.described = Kinds::OBJECT;
    }
    if says(["prefixItems", "items"]) {
        way.described = way.described.or(Kinds::ARRAY);
    }
    for keyword in ["additionalProperties", "unevaluatedProperties"] {
        let schema = keywords.get(keyword).filter(|schema| **schema != Value::Bool(false));
        way.is_open |= schema.is_some();
        way.others.extend(schema);
    }
    // Which names a pattern takes in is not looked into, nor what it then says of them.
    if keywords.contains_key("patternProperties") {
        (way.is_open, way.vague) = (true, true);
        way.others.clear();
    }
    if closing("additionalProperties") && !keywords.contains_key("patternProperties") {
        way.closed_to = Some(way.properties.keys().copied().collect());
    }
    way.prefix = list(keywords, "prefixItems").map(|schema| vec![schema]).collect();
    way.items = keywords.get("items").into_iter().collect();
    let says_who_is_there = ["not", "minProperties", "$dynamicRef"];
    way.vague |= says_who_is_there.iter().any(|name| keywords.contains_key(*name));
    way.partial = keywords.keys().any(|keyword| !is_foretold(keyword));
    conditions(outline, keywords, &mut way);
    way
}

/// How many items a list has at least.
fn least_items(keywords: &Map<String, Value>) -> u64 {
    let stated = |name| keywords.get(name).and_then(Value::as_u64);
    let contained = keywords.get("contains").map(|_| stated("minContains").unwrap_or(1));
    stated("minItems").max(contained).unwrap_or(0)
}

fn conditions<'s>(outline: &'s Outline, keywords: &'s Map<String, Value>, way: &mut Way<'s>) {
    let place =
        |schema: Option<&'s Value>| Place { outline, schemas: schema.into_iter().collect() };
    if let Some(when) = keywords.get("if") {
        way.conditions.push(Condition {
            when: When::Holds(place(Some(when))),
            then: place(keywords.get("then")),
            requires: Vec::new(),
            otherwise: place(keywords.get("else")),
        });
    }
    for (name, schema) in entries(keywords, "dependentSchemas") {
        way.conditions.push(Condition {
            when: When::Has(name),
            then: place(Some(schema)),
            requires: Vec::new(),
            otherwise: place(None),
        });
    }
    for (name, names) in entries(keywords, "dependentRequired") {
        way.conditions.push(Condition {
            when: When::Has(name),
            then: place(None),
            requires: names.as_array().into_iter().flatten().filter_map(Value::as_str).collect(),
            otherwise: place(None),
        });
    }
}

fn entries<'s>(
    keywords: &'s Map<String, Value>,
    name: &str,
) -> impl Iterator<Item = (&'s str, &'s Value)> {
    let entries = keywords.get(name).and_then(Value::as_object);
    entries.into_iter().flatten().map(|(name, value)| (name.as_str(), value))
}

/// Whether a value's answer to a keyword can be told by its type, its properties' names, and values.
fn is_foretold(keyword: &str) -> bool {
    const FORETOLD: [&str; 9] =
        ["$ref", "allOf", "anyOf", "const", "enum", "oneOf", "properties", "required", "type"];
    const ANNOTATIONS: [&str; 12] = [
        "$anchor",
        "$comment",
        "$defs",
        "$id",
        "$schema",
        "default",
        "deprecated",
        "description",
        "examples",
        "readOnly",
        "title",
        "writeOnly",
    ];
    FORETOLD.contains(&keyword) || ANNOTATIONS.contains(&keyword) || keyword.starts_with("x-")
}

fn list<'s>(keywords: &'s Map<String, Value>, name: &str) -> impl Iterator<Item = &'s Value> {
    keywords.get(name).and_then(Value::as_array).into_iter().flatten()
}
