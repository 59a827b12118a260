//! The key of a record that is to be published, out of its event.

use minijinja::value::ValueKind;
use serde_json::Value as Json;

use super::language::{Expression, Found};
use super::scope;

/// An expression such as `event.customer.contactId`, in the language of the rules.
pub struct KeyExpression(Expression);

impl std::fmt::Debug for KeyExpression {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("KeyExpression")
    }
}

impl KeyExpression {
    /// Compiles, or tells every mistake.
    pub fn compile(source: &str) -> Result<Self, Vec<String>> {
        let told = |found: Vec<Found>| found.into_iter().map(|found| found.message).collect();
        Expression::compile(source).map(Self).map_err(told)
    }

    /// The key, or what is wrong in words that hold nothing of the event.
    pub fn key(&self, event: Json) -> Result<String, String> {
        let value = self.0.value(&scope::of(event, None))?;
        let kind = value.kind();
        if matches!(kind, ValueKind::String | ValueKind::Number) {
            Ok(value.to_string())
        } else {
            Err(format!("a key is a string or a number, and this is of the kind {kind}"))
        }
    }
}
