//! Which types do for what is needed, and which type comes of an operation.

use serde_json::{Map, Value as Json};

use crate::domain::message::Recipient;
use crate::domain::rules::reads::{Need, Reading, is_order};
use crate::domain::rules::{is_amount, is_currency, is_zone, time_of};
use crate::schema::outline::Kinds;

/// The types that do; all of them where nothing is said of them.
pub(super) fn fitting(need: Need) -> Kinds {
    match need {
        Need::Nothing | Need::Name | Need::Defined | Need::Value => Kinds::ALL,
        Need::Text | Need::Contact | Need::Time | Need::Amount => Kinds::STRING.or(Kinds::NUMBER),
        Need::Convertible => Kinds::STRING.or(Kinds::NUMBER).or(Kinds::BOOLEAN),
        Need::String | Need::User | Need::Channel | Need::Currency | Need::Zone => Kinds::STRING,
        Need::Condition => Kinds::BOOLEAN,
        Need::Number => Kinds::NUMBER,
        Need::Summed => Kinds::NUMBER.or(Kinds::BOOLEAN),
        Need::Items | Need::Looped => Kinds::STRING.or(Kinds::ARRAY).or(Kinds::OBJECT),
        Need::Sliced => Kinds::STRING.or(Kinds::ARRAY),
        Need::List => Kinds::ARRAY,
        Need::Object => Kinds::OBJECT,
    }
}

/// Whether null would do as well.
pub(super) fn allows_null(need: Need) -> bool {
    matches!(need, Need::Nothing | Need::Name | Need::Defined | Need::Looped | Need::Sliced)
}

/// What a part needs where this is needed of the whole: a slice of a list, or of null, is a list.
pub(super) fn of_part(part: Need, whole: Need) -> Need {
    let is_text = part == Need::Sliced && !fitting(whole).meets(Kinds::ARRAY);
    if is_text { Need::String } else { part }
}

/// Whether nothing would do, which an `if` without `else` gives.
pub(super) fn allows_nothing(need: Need) -> bool {
    match need {
        Need::Nothing
        | Need::Name
        | Need::Defined
        | Need::Value
        | Need::Text
        | Need::Convertible
        | Need::Items
        | Need::Looped
        | Need::List
        | Need::Object => true,
        Need::String
        | Need::Contact
        | Need::User
        | Need::Channel
        | Need::Condition
        | Need::Number
        | Need::Summed
        | Need::Amount
        | Need::Time
        | Need::Currency
        | Need::Zone
        | Need::Sliced => false,
    }
}

/// Whether a value that stands in the rule does.
pub(super) fn is_met(need: Need, value: &Json) -> bool {
    if value.is_null() && allows_null(need) {
        return true;
    }
    let text_is = |exists: fn(&str) -> bool| value.as_str().is_none_or(exists);
    // What is empty has no items, whatever it is of.
    let is_empty = value.as_str() == Some("") || value.as_object().is_some_and(Map::is_empty);
    if is_empty && need == Need::List {
        return true;
    }
    fitting(need).meets(Kinds::of(value))
        && match need {
            Need::Currency => text_is(is_currency),
            Need::Zone => text_is(is_zone),
            Need::Amount => text_is(is_amount),
            Need::User => text_is(|id| Recipient::line_user(id).is_ok()),
            Need::Time => time_of(value).is_some(),
            Need::Nothing
            | Need::Name
            | Need::Defined
            | Need::Value
            | Need::Text
            | Need::String
            | Need::Contact
            | Need::Channel
            | Need::Condition
            | Need::Number
            | Need::Summed
            | Need::Convertible
            | Need::Items
            | Need::Looped
            | Need::Sliced
            | Need::List
            | Need::Object => true,
        }
}

/// The type of what an operation gives, and its name; none where that depends on its parts.
pub(super) fn result(reading: &Reading) -> Option<(String, Kinds)> {
    let name = match reading {
        Reading::Not(_) => return Some(("`not`".to_owned(), Kinds::BOOLEAN)),
        Reading::Is(..) => return Some(("`is`".to_owned(), Kinds::BOOLEAN)),
        Reading::Compare(..) => return Some(("a comparison".to_owned(), Kinds::BOOLEAN)),
        Reading::Other { name, .. } => name.as_str(),
        Reading::Path(_)
        | Reading::Constant(_)
        | Reading::And(..)
        | Reading::Or(..)
        | Reading::Choice { .. }
        | Reading::Default { .. }
        | Reading::Anything => return None,
    };
    if let Some(filter) = name.strip_prefix('|') {
        return Some((format!("the filter `{filter}`"), by_filter(filter)?));
    }
    let kinds = match name {
        "~" => Kinds::STRING,
        "-" | "/" | "//" | "%" | "**" => Kinds::NUMBER,
        "list" | "tuple" => return Some(("`[…]`".to_owned(), Kinds::ARRAY)),
        "map" => return Some(("`{…}`".to_owned(), Kinds::OBJECT)),
        name if is_order(name) => Kinds::BOOLEAN,
        name if name.starts_with("is ") => return Some(("`is`".to_owned(), Kinds::BOOLEAN)),
        _ => return None,
    };
    Some((format!("`{name}`"), kinds))
}

fn by_filter(filter: &str) -> Option<Kinds> {
    Some(match filter {
        "capitalize" | "date" | "datetime" | "format" | "join" | "lower" | "money" | "number"
        | "plural" | "replace" | "string" | "time" | "title" | "trim" | "upper" => Kinds::STRING,
        "abs" | "count" | "float" | "int" | "length" | "round" => Kinds::NUMBER,
        "batch" | "dictsort" | "groupby" | "lines" | "list" | "map" | "reject" | "rejectattr"
        | "select" | "selectattr" | "slice" | "sort" | "split" | "unique" => Kinds::ARRAY,
        "bool" => Kinds::BOOLEAN,
        _ => return None,
    })
}
