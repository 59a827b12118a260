//! Bytes → a JSON value, without the surprises of `serde_json::Value`'s own reader.
//!
//! That reader treats an object's key `$serde_json::private::RawValue` as an order to parse the
//! value once more, with a fresh recursion limit: a producer could overflow the stack with it. Here
//! every key is only a key.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

/// What to make of an object that has a key twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum DuplicateKeys {
    /// The last one counts, as in most producers' own readers.
    LastWins,
    Refused,
}

/// Reads one JSON document. The error has the line and the column, and no content.
pub(super) fn parse(bytes: &[u8], duplicates: DuplicateKeys) -> Result<Value, serde_json::Error> {
    let mut reader = serde_json::Deserializer::from_slice(bytes);
    let value = Node(duplicates).deserialize(&mut reader)?;
    reader.end()?;
    Ok(value)
}

#[derive(Clone, Copy)]
struct Node(DuplicateKeys);

impl<'de> DeserializeSeed<'de> for Node {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Node {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(Value::Number(value.into()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(Value::Number(value.into()))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(Number::from_f64(value).map_or(Value::Null, Value::Number))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(Value::String(value.to_owned()))
    }

    fn visit_string<E>(self, value: String) -> Result<Value, E> {
        Ok(Value::String(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut array = Vec::new();
        while let Some(item) = items.next_element_seed(self)? {
            array.push(item);
        }
        Ok(Value::Array(array))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Value, A::Error> {
        let mut object = Map::new();
        while let Some(key) = entries.next_key::<String>()? {
            let value = entries.next_value_seed(self)?;
            let replaced = object.insert(key, value);
            if replaced.is_some() && self.0 == DuplicateKeys::Refused {
                return Err(A::Error::custom("an object has a key twice"));
            }
        }
        Ok(Value::Object(object))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RAW_VALUE: &str = "$serde_json::private::RawValue";

    #[test]
    fn reads_what_serde_json_reads() {
        let text =
            r#"{"a":[1,-2,3.5,1e400000,"\u00e9",null,true,{"b":{}}],"n":18446744073709551615}"#;
        let text = text.replace("1e400000", "1e40");
        let ours = parse(text.as_bytes(), DuplicateKeys::LastWins).unwrap();
        assert_eq!(ours, serde_json::from_str::<Value>(&text).unwrap());
    }

    #[test]
    fn the_raw_value_key_is_only_a_key() {
        let text = format!(r#"{{"{RAW_VALUE}":"{{\"a\":1}}"}}"#);
        let value = parse(text.as_bytes(), DuplicateKeys::LastWins).unwrap();
        assert_eq!(value[RAW_VALUE], "{\"a\":1}");
    }

    #[test]
    fn the_recursion_limit_holds_through_raw_value_keys() {
        let text = format!(r#"{{"{RAW_VALUE}":"#).repeat(20_000);
        let error = parse(text.as_bytes(), DuplicateKeys::LastWins).unwrap_err();
        assert!(error.to_string().contains("recursion limit"), "{error}");
    }

    #[test]
    fn a_key_twice_is_refused_only_where_asked() {
        let text = br#"{"a":1,"a":2}"#;
        assert_eq!(parse(text, DuplicateKeys::LastWins).unwrap()["a"], 2);
        assert!(parse(text, DuplicateKeys::Refused).is_err());
    }
}
