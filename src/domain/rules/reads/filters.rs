//! What a filter needs of its value, and what it reads of the items of a list.

use std::collections::BTreeMap;

use minijinja::machinery::ast::{self, CallArg, Expr};
use serde_json::Value as Json;

use super::lower::{Names, arguments, other, reading};
use super::{Need, Path, Reading, Step};

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

/// The filters that give some of the items of their list.
const ITEMS_LEFT: [&str; 7] =
    ["list", "reject", "rejectattr", "reverse", "select", "selectattr", "sort"];

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
    let needs = NEEDS.iter().find(|(name, ..)| *name == filter.name);
    let (of_value, of_arguments) = match needs {
        // With a number to take instead, null is none.
        Some(("float" | "int", ..)) if has_default(filter) => (Need::Defined, Need::Nothing),
        Some((_, of_value, of_arguments)) => (*of_value, *of_arguments),
        None if takes_undefined(filter.name) => (Need::Nothing, Need::Nothing),
        None => (Need::Defined, Need::Nothing),
    };
    let of_items = attribute_of_items(filter, names).or_else(|| items_themselves(filter, names));
    let value = value.map(|value| (of_value, value));
    let of_first = match filter.name {
        "money" => Need::Currency,
        "date" | "datetime" | "time" => Need::Zone,
        _ => of_arguments,
    };
    let needs = std::iter::once(of_first).chain(std::iter::repeat(of_arguments));
    let arguments = needs.zip(arguments);
    other(&format!("|{}", filter.name), value.into_iter().chain(arguments).chain(of_items))
}

fn has_default(filter: &ast::Filter<'_>) -> bool {
    filter.args.iter().any(|argument| match argument {
        CallArg::Pos(_) => true,
        CallArg::Kwarg(name, _) => *name == "default",
        CallArg::PosSplat(_) | CallArg::KwargSplat(_) => false,
    })
}

/// What a filter such as `sum(attribute="price")` reads of each item.
fn attribute_of_items(filter: &ast::Filter<'_>, names: &Names) -> Option<(Need, Reading)> {
    let mut positional = Vec::new();
    let mut named = BTreeMap::new();
    for argument in &filter.args {
        match argument {
            CallArg::Pos(value) => positional.push(value),
            CallArg::Kwarg(name, value) => drop(named.insert(*name, value)),
            CallArg::PosSplat(_) | CallArg::KwargSplat(_) => return None,
        }
    }
    let index = match filter.name {
        "groupby" | "rejectattr" | "selectattr" | "sum" => Some(0),
        "join" => Some(1),
        "map" | "max" | "min" | "sort" | "unique" => None,
        _ => return None,
    };
    let given = index.and_then(|index| positional.get(index)).or_else(|| named.get("attribute"));
    let attribute = given?.as_const()?;
    let attribute = attribute.as_str()?;
    if filter.name == "sort" && attribute.contains(',') {
        return None;
    }
    let (mut path, all_left) = items(filter.expr.as_ref()?, names)?;
    path.extend(attribute.split('.').map(|step| match step.parse() {
        Ok(index) => Step::Index(index),
        Err(_) => Step::Name(step.to_owned()),
    }));
    let test = positional.get(1).and_then(|test| test.as_const());
    let asks = filter.name.ends_with("attr")
        && test.is_some_and(|test| matches!(test.as_str(), Some("defined" | "undefined")));
    let need = if named.contains_key("default") || !all_left {
        Need::Name
    } else if asks {
        Need::Nothing
    } else {
        of_each(filter.name).unwrap_or(Need::Defined)
    };
    Some((need, Reading::Path(path)))
}

/// What is needed of each item, or of the attribute that is taken of it.
fn of_each(filter: &str) -> Option<Need> {
    match filter {
        "join" => Some(Need::Text),
        "sum" => Some(Need::Summed),
        _ => None,
    }
}

/// What a filter such as `join` reads of the items, or of what a `map` before it has taken of them.
fn items_themselves(filter: &ast::Filter<'_>, names: &Names) -> Option<(Need, Reading)> {
    let first = filter.args.first().and_then(|argument| match argument {
        CallArg::Pos(value) if filter.name == "map" => value.as_const(),
        CallArg::Pos(_) | CallArg::Kwarg(..) | CallArg::PosSplat(_) | CallArg::KwargSplat(_) => {
            None
        }
    });
    let by_filter =
        first.as_ref().and_then(|name| NEEDS.iter().find(|it| Some(it.0) == name.as_str()));
    let need = by_filter.map(|(_, need, _)| *need).or_else(|| of_each(filter.name))?;
    let list = filter.expr.as_ref()?;
    if let Expr::Filter(map) = list
        && map.name == "map"
    {
        let (of_attribute, attribute) = attribute_of_items(map, names)?;
        return (of_attribute == Need::Defined).then_some((need, attribute));
    }
    let (path, all_left) = items(list, names)?;
    all_left.then_some((need, Reading::Path(path)))
}

/// The path of the items of a list, and whether none of them is left out.
fn items(list: &Expr<'_>, names: &Names) -> Option<(Path, bool)> {
    if let Expr::Filter(filter) = list
        && ITEMS_LEFT.contains(&filter.name)
    {
        let (path, all_left) = items(filter.expr.as_ref()?, names)?;
        let leaves_out = matches!(filter.name, "reject" | "rejectattr" | "select" | "selectattr");
        return Some((path, all_left && !leaves_out));
    }
    let mut path = reading(list, names).as_path()?.clone();
    path.push(Step::Each);
    Some((path, true))
}

/// Whether a filter of the engine makes something of an undefined value, rather than fail.
pub(super) fn takes_undefined(filter: &str) -> bool {
    matches!(filter, "chain" | "d" | "default" | "zip")
}
