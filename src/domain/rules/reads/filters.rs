//! What a filter needs of its value and of its arguments.

use minijinja::machinery::ast::{self, CallArg};
use serde_json::Value as Json;

use super::items::read_by;
use super::lower::{Names, arguments, other, reading};
use super::{Need, Reading};

/// What the filters need of their value and of their arguments, beside that there is one.
const NEEDS: [(&str, Need, Need); 42] = [
    ("abs", Need::Number, Need::Nothing),
    ("batch", Need::Looped, Need::Nothing),
    ("capitalize", Need::Text, Need::Nothing),
    ("count", Need::Items, Need::Nothing),
    ("date", Need::Time, Need::Value),
    ("datetime", Need::Time, Need::Value),
    ("dictsort", Need::Object, Need::Nothing),
    ("first", Need::Items, Need::Nothing),
    ("float", Need::Convertible, Need::Nothing),
    ("format", Need::String, Need::Text),
    ("groupby", Need::List, Need::Nothing),
    ("int", Need::Convertible, Need::Nothing),
    ("items", Need::Object, Need::Nothing),
    ("join", Need::Items, Need::Text),
    ("last", Need::Items, Need::Nothing),
    ("length", Need::Items, Need::Nothing),
    ("lines", Need::String, Need::Nothing),
    ("list", Need::Looped, Need::Nothing),
    ("lower", Need::Text, Need::Nothing),
    ("map", Need::Items, Need::Nothing),
    ("max", Need::Items, Need::Nothing),
    ("min", Need::Items, Need::Nothing),
    ("money", Need::Amount, Need::Value),
    ("number", Need::Amount, Need::Value),
    ("plural", Need::Amount, Need::Value),
    ("reject", Need::Looped, Need::Nothing),
    ("rejectattr", Need::List, Need::Nothing),
    ("replace", Need::Text, Need::Text),
    ("reverse", Need::Items, Need::Nothing),
    ("round", Need::Number, Need::Nothing),
    ("select", Need::Looped, Need::Nothing),
    ("selectattr", Need::List, Need::Nothing),
    ("slice", Need::Looped, Need::Nothing),
    ("sort", Need::Items, Need::Nothing),
    ("split", Need::String, Need::Nothing),
    ("string", Need::Text, Need::Nothing),
    ("sum", Need::List, Need::Nothing),
    ("time", Need::Time, Need::Value),
    ("title", Need::Text, Need::Nothing),
    ("trim", Need::Text, Need::Nothing),
    ("unique", Need::Items, Need::Nothing),
    ("upper", Need::Text, Need::Nothing),
];

pub(super) fn filtered(filter: &ast::Filter<'_>, names: &Names) -> Reading {
    // A filter without a value stands in a block, whose text is always there.
    let value = filter.expr.as_ref().map(|expression| reading(expression, names));
    let arguments = arguments(&filter.args, names);
    if matches!(filter.name, "default" | "d")
        && let Some(value) = &value
        && filter.args.iter().all(|argument| matches!(argument, CallArg::Pos(_)))
    {
        let mut given = arguments.iter().cloned();
        let other = given.next().unwrap_or_else(|| Reading::Constant(Json::from("")));
        let or_empty = match given.next() {
            None | Some(Reading::Constant(Json::Bool(false))) => Some(false),
            Some(Reading::Constant(Json::Bool(true))) => Some(true),
            Some(_) => None,
        };
        if let Some(or_empty) = or_empty {
            let (value, other) = (Box::new(value.clone()), Box::new(other));
            return Reading::Default { value, other, or_empty };
        }
    }
    let unlisted = if takes_undefined(filter.name) { Need::Nothing } else { Need::Defined };
    let (of_value, of_arguments) =
        needs_of(filter.name, has_default(filter)).unwrap_or((unlisted, Need::Nothing));
    let value = value.map(|value| (of_value, value));
    let of_first = match filter.name {
        "money" => Need::Currency,
        "date" | "datetime" | "time" => Need::Zone,
        _ => of_arguments,
    };
    let needs = std::iter::once(of_first).chain(std::iter::repeat(of_arguments));
    let arguments = needs.zip(arguments);
    other(
        &format!("|{}", filter.name),
        value.into_iter().chain(arguments).chain(read_by(filter, names)),
    )
}

/// What a filter needs of its value and of its arguments, where anything is said of it.
pub(super) fn needs_of(filter: &str, has_default: bool) -> Option<(Need, Need)> {
    if has_default && matches!(filter, "float" | "int") {
        // With a number to take instead, null is none.
        return Some((Need::Defined, Need::Nothing));
    }
    let (_, of_value, of_arguments) = NEEDS.iter().find(|(name, ..)| *name == filter)?;
    Some((*of_value, *of_arguments))
}

fn has_default(filter: &ast::Filter<'_>) -> bool {
    filter.args.iter().any(|argument| match argument {
        CallArg::Pos(_) => true,
        CallArg::Kwarg(name, _) => *name == "default",
        CallArg::PosSplat(_) | CallArg::KwargSplat(_) => false,
    })
}

/// Whether a filter of the engine makes something of an undefined value, rather than fail.
pub(super) fn takes_undefined(filter: &str) -> bool {
    matches!(filter, "chain" | "d" | "default" | "zip")
}
