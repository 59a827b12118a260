//! What expressions and templates see: `event` and `record`.

use std::fmt;
use std::sync::Arc;

use minijinja::Value;
use minijinja::value::{Enumerator, Object, ObjectRepr};
use serde_json::Value as Json;

use crate::domain::record::Record;

/// The deepest event that is looked into, in levels. The reader of events takes no more.
const DEPTH_LIMIT: usize = 128;

/// The two names, as the root of every evaluation.
pub(super) fn of(event: Json, record: Option<&Record>) -> Value {
    Value::from_object(Fields(vec![
        ("event".into(), value(event, 0)),
        ("record".into(), record.map_or(Value::UNDEFINED, record_value)),
    ]))
}

/// The names that `record` has.
pub(super) const RECORD_FIELDS: [&str; 6] =
    ["headers", "key", "offset", "partition", "timestamp", "topic"];

/// A header or key that is null or not UTF-8 is left out, so that using it is an error.
fn record_value(record: &Record) -> Value {
    let mut headers = Vec::new();
    for header in &record.headers {
        if let Some(text) = header.value.as_deref().and_then(as_text) {
            headers.push((header.name.clone(), text));
        }
    }
    let mut fields: Vec<(String, Value)> = vec![
        ("headers".into(), Fields::sorted(headers)),
        ("offset".into(), record.offset.0.into()),
        ("partition".into(), record.source.partition.into()),
        ("timestamp".into(), record.timestamp.0.into()),
        ("topic".into(), Value::from(&record.source.topic)),
    ];
    if let Some(key) = record.key.as_deref().and_then(as_text) {
        fields.push(("key".into(), key));
    }
    Fields::sorted(fields)
}

fn as_text(bytes: &[u8]) -> Option<Value> {
    std::str::from_utf8(bytes).ok().map(Value::from)
}

/// Consumes the event: its names, which are many, are not copied.
pub(super) fn value(json: Json, depth: usize) -> Value {
    if depth > DEPTH_LIMIT {
        return Value::UNDEFINED;
    }
    match json {
        Json::Null => Value::from(()),
        Json::Bool(value) => Value::from(value),
        Json::Number(number) => {
            if let Some(value) = number.as_i64() {
                Value::from(value)
            } else if let Some(value) = number.as_u64() {
                Value::from(value)
            } else {
                let value = number.as_f64().unwrap_or(f64::NAN);
                whole(value).map_or_else(|| Value::from(value), Value::from)
            }
        }
        Json::String(text) => Value::from(text),
        Json::Array(items) => Value::from_object(Items(
            items.into_iter().map(|item| value(item, depth + 1)).collect(),
        )),
        Json::Object(entries) => Fields::sorted(
            entries.into_iter().map(|(name, entry)| (name, value(entry, depth + 1))).collect(),
        ),
    }
}

/// From here on, floats say nothing exact.
const EXACT: f64 = 9_007_199_254_740_992.0;

/// The whole number that a float such as `3.0` or `1e3` says: JSON knows but one kind of numbers, and a
/// customer is to read `3`.
#[expect(clippy::cast_possible_truncation, reason = "it is whole, and within ±2^53")]
fn whole(value: f64) -> Option<i64> {
    (value.fract() == 0.0 && value.abs() < EXACT).then_some(value as i64)
}

/// An object, its names sorted. Its `Debug` tells no value: the engine may print it.
struct Fields(Vec<(String, Value)>);

impl Fields {
    /// Of two fields of one name, the later one counts, as in Kafka's headers.
    fn sorted(mut fields: Vec<(String, Value)>) -> Value {
        fields.reverse();
        fields.sort_by(|(a, _), (b, _)| a.cmp(b));
        fields.dedup_by(|(later, _), (earlier, _)| later == earlier);
        Value::from_object(Self(fields))
    }
}

impl fmt::Debug for Fields {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "an object of {} fields", self.0.len())
    }
}

impl Object for Fields {
    fn get_value(self: &Arc<Self>, key: &Value) -> Option<Value> {
        self.get_value_by_str(key.as_str()?)
    }

    fn get_value_by_str(self: &Arc<Self>, key: &str) -> Option<Value> {
        let index = self.0.binary_search_by(|(name, _)| name.as_str().cmp(key)).ok()?;
        self.0.get(index).map(|(_, value)| value.clone())
    }

    fn enumerate(self: &Arc<Self>) -> Enumerator {
        Enumerator::Values(self.0.iter().map(|(name, _)| Value::from(name.as_str())).collect())
    }
}

/// An array.
struct Items(Vec<Value>);

impl fmt::Debug for Items {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "an array of {} items", self.0.len())
    }
}

impl Object for Items {
    fn repr(self: &Arc<Self>) -> ObjectRepr {
        ObjectRepr::Seq
    }

    fn get_value(self: &Arc<Self>, key: &Value) -> Option<Value> {
        self.0.get(key.as_usize()?).cloned()
    }

    fn enumerate(self: &Arc<Self>) -> Enumerator {
        Enumerator::Seq(self.0.len())
    }
}
