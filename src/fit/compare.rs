//! Comparisons that can't come out both ways: with a value that the schema does not allow, or
//! between types that are never the same.

use serde_json::Value as Json;

use super::sight::{self, Described};
use super::words;
use crate::domain::rules::reads::{Comparison, Path, Reading};
use crate::schema::outline::{Kinds, Place, equal};

/// What the schema says of one side.
struct Side<'s, 'r> {
    path: &'r Path,
    kinds: Kinds,
    values: Option<Vec<&'s Json>>,
    /// What stands in where the event has nothing.
    by_default: Option<&'r Json>,
}

pub(super) fn objections(
    root: &Place<'_>,
    comparison: Comparison,
    one: &Reading,
    other: &Reading,
) -> Vec<String> {
    match (side(root, one), one.as_constant(), side(root, other), other.as_constant()) {
        (Some(side), _, _, Some(value)) => match (comparison, value) {
            (Comparison::In | Comparison::NotIn, Json::Array(values)) => {
                values.iter().filter_map(|value| side.objection(value, false)).collect()
            }
            (Comparison::In | Comparison::NotIn, _) => Vec::new(),
            _ => side.objection(value, comparison == Comparison::Ordered).into_iter().collect(),
        },
        (_, Some(value), Some(side), _)
            if !matches!(comparison, Comparison::In | Comparison::NotIn) =>
        {
            side.objection(value, comparison == Comparison::Ordered).into_iter().collect()
        }
        (Some(side), _, Some(other), _)
            if !matches!(comparison, Comparison::In | Comparison::NotIn) =>
        {
            let apart = !comparable(side.kinds).meets(comparable(other.kinds));
            let message = || words::two_types(side.path, side.kinds, other.path, other.kinds);
            apart.then(message).into_iter().collect()
        }
        _ => Vec::new(),
    }
}

/// Why `+` can't add two values: it takes two numbers, two texts or two lists.
pub(super) fn unlike(root: &Place<'_>, one: &Reading, other: &Reading) -> Option<String> {
    let described = |reading: &Reading| match (side(root, reading), reading.as_constant()) {
        (Some(side), _) => Some((super::shown(side.path), side.kinds)),
        (None, Some(value)) => Some((words::written(value), Kinds::of(value))),
        (None, None) => None,
    };
    let (one, of_one) = described(one)?;
    let (other, of_other) = described(other)?;
    (!comparable(of_one).meets(comparable(of_other)))
        .then(|| words::no_sum((&one, of_one), (&other, of_other)))
}

fn side<'s, 'r>(root: &Place<'s>, reading: &'r Reading) -> Option<Side<'s, 'r>> {
    let (path, by_default) = if let Reading::Default { value, other, .. } = reading {
        (value.as_path()?, Some(other.as_constant()?))
    } else {
        (reading.as_path()?, None)
    };
    match sight::describe(root, path) {
        Described::As { kinds, values, .. } => Some(Side { path, kinds, values, by_default }),
        Described::NoSuch { .. } | Described::Leads { .. } => None,
    }
}

impl Side<'_, '_> {
    fn objection(&self, value: &Json, is_ordered: bool) -> Option<String> {
        // Asking for null where there is none is only careful.
        if value.is_null() || self.by_default.is_some_and(|other| equal(other, value)) {
            return None;
        }
        if !comparable(self.kinds).meets(comparable(Kinds::of(value))) {
            return Some(words::type_of(self.path, self.kinds, value));
        }
        let values = self.values.as_ref().filter(|_| !is_ordered)?;
        let allowed = values.iter().any(|allowed| {
            equal(allowed, value) || (is_zero_or_one(allowed) && is_zero_or_one(value))
        });
        (!allowed).then(|| words::not_allowed(self.path, value, values))
    }
}

/// To the language, `true` is `1`. Null compares with everything, and with nothing well.
fn comparable(kinds: Kinds) -> Kinds {
    let bits = Kinds::BOOLEAN.or(Kinds::NUMBER);
    if kinds.meets(bits) { kinds.or(bits) } else { kinds }.without(Kinds::NULL)
}

/// Whether it may be the same to the language as a value of another type.
pub(super) fn is_zero_or_one(value: &Json) -> bool {
    matches!(value, Json::Bool(_)) || [0, 1].iter().any(|bit| equal(&Json::from(*bit), value))
}
