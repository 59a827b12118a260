//! Filters of the engine, made as strict as the language.
//!
//! The engine's make the text `None` of null, and go on with an undefined value where an item of a
//! list lacks the attribute that they ask for: a customer would read "Dear None", or that
//! `event.items | sum(attribute="prise")` is 0.

use minijinja::functions::Function;
use minijinja::value::{
    FunctionArgs, FunctionResult, Kwargs, Rest, ValueKind, ValueOrKwargs, from_args,
};
use minijinja::{Environment, Error, ErrorKind, State, Value, filters};

use super::fault::fault;

/// Refuses what a filter is not to be given, and brings its arguments into the engine's form.
type Check = fn(&mut State<'_, '_>, Vec<Value>) -> Result<Vec<Value>, Error>;

/// Puts the strict ones in the place of the engine's.
pub(super) fn add_filters(language: &mut Environment<'_>) {
    add(language, "capitalize", a_text, filters::capitalize);
    add(language, "lower", a_text, filters::lower);
    add(language, "replace", |_, all| texts_in_order(&all), filters::replace);
    add(language, "string", a_text, filters::string);
    add(language, "title", a_text, filters::title);
    add(language, "trim", a_text, filters::trim);
    add(language, "upper", a_text, filters::upper);
    add(language, "format", |_, all| texts(&all).map(|()| all), filters::format);
    add(language, "float", a_number, filters::float);
    add(language, "int", a_number, filters::int);
    add(language, "groupby", groups, filters::groupby);
    add(language, "join", items_that_are_texts, filters::join);
    add(language, "map", |state, all| items_with(state, all, named), filters::map);
    add(language, "max", |state, all| items_with(state, all, named), filters::max);
    add(language, "min", |state, all| items_with(state, all, named), filters::min);
    add(language, "rejectattr", |state, all| items_with(state, all, tested), filters::rejectattr);
    add(language, "selectattr", |state, all| items_with(state, all, tested), filters::selectattr);
    add(language, "sort", items_in_order, filters::sort);
    add(language, "sum", |state, all| items_with(state, all, first), filters::sum);
    add(language, "unique", |state, all| items_with(state, all, named), filters::unique);
}

fn add<F, Rv, Args>(language: &mut Environment<'_>, name: &'static str, check: Check, engines: F)
where
    F: Function<Rv, Args>,
    Rv: FunctionResult,
    Args: for<'a> FunctionArgs<'a>,
{
    let engines = Value::from_function(engines);
    let strict = move |state: &mut State<'_, '_>, all: Rest<ValueOrKwargs>| {
        let all = check(state, all.into_values())?;
        engines.call(state, &all)
    };
    language.add_filter(name, strict);
}

/// Why a value can't stand in a text.
pub(super) fn not_in_a_text(value: &Value) -> Option<Error> {
    let shown = match value.kind() {
        ValueKind::None => "null",
        // The engine would write Python's `True`, which no customer wants to read.
        ValueKind::Bool => "true or false",
        ValueKind::Bytes => "bytes",
        ValueKind::Seq | ValueKind::Iterable => "a list",
        ValueKind::Map => "an object",
        // An undefined one comes this far only from an `if` without `else`, where it means nothing,
        // or is an error of the engine's own.
        ValueKind::Undefined | ValueKind::Number | ValueKind::String | ValueKind::Invalid => {
            return None;
        }
        ValueKind::Plain | _ => "an object of the language",
    };
    Some(fault(format!("{shown} can't stand in a text; use the filter `default`, or an `if`")))
}

fn text(value: &Value) -> Result<(), Error> {
    not_in_a_text(value).map_or(Ok(()), Err)
}

fn a_text(_: &mut State<'_, '_>, all: Vec<Value>) -> Result<Vec<Value>, Error> {
    all.first().map_or(Ok(()), text)?;
    Ok(all)
}

fn texts(all: &[Value]) -> Result<(), Error> {
    let (positional, named): (&[Value], Kwargs) = from_args(all)?;
    positional.iter().try_for_each(text)?;
    named.args().try_for_each(|name| text(&named.peek::<Value>(name)?))
}

/// The engine's own `replace` takes its arguments by name as well; the one that it shows does not.
fn texts_in_order(all: &[Value]) -> Result<Vec<Value>, Error> {
    texts(all)?;
    let (positional, named): (&[Value], Kwargs) = from_args(all)?;
    let mut in_order = positional.to_vec();
    for name in ["old", "new"] {
        in_order.extend(named.get::<Option<Value>>(name)?);
    }
    named.assert_all_used()?;
    Ok(in_order)
}

/// Without a value to take instead, null is none.
fn a_number(_: &mut State<'_, '_>, all: Vec<Value>) -> Result<Vec<Value>, Error> {
    let (positional, named): (&[Value], Kwargs) = from_args(&all)?;
    if let [value] = positional
        && !named.has("default")
    {
        not_null(value)?;
    }
    Ok(all)
}

fn not_null(value: &Value) -> Result<(), Error> {
    let is_null = || fault("the value is null; use the filter `default`, or an `if`");
    if value.is_none() { Err(is_null()) } else { Ok(()) }
}

/// Which attribute a filter asks for, in its arguments without the list. It may be a number, which is
/// a place in a list.
type Asked = fn(&[Value], &Kwargs) -> Option<Value>;

fn named(_: &[Value], named: &Kwargs) -> Option<Value> {
    named.peek::<Option<Value>>("attribute").ok().flatten()
}

fn first(positional: &[Value], arguments: &Kwargs) -> Option<Value> {
    positional.first().cloned().or_else(|| named(positional, arguments))
}

/// Whether it is there may be what is to be found out.
fn tested(positional: &[Value], _: &Kwargs) -> Option<Value> {
    let test = positional.get(1).and_then(Value::as_str);
    positional.first().filter(|_| !matches!(test, Some("defined" | "undefined"))).cloned()
}

fn second(positional: &[Value], arguments: &Kwargs) -> Option<Value> {
    positional.get(1).cloned().or_else(|| named(positional, arguments))
}

fn items_with(
    state: &mut State<'_, '_>,
    mut all: Vec<Value>,
    asked: Asked,
) -> Result<Vec<Value>, Error> {
    each(state, &mut all, asked, |_| Ok(()))?;
    Ok(all)
}

fn groups(state: &mut State<'_, '_>, all: Vec<Value>) -> Result<Vec<Value>, Error> {
    let all = items_with(state, all, first)?;
    // The engine shows a `groupby` that costs no fuel, so this pays for its sort.
    let list = all.first().cloned().unwrap_or_default();
    state.apply_filter("sort", &[list])?;
    Ok(all)
}

/// The most attributes of `sort` that are looked at: more are nobody's, and looking costs no fuel.
const SORTED_BY: usize = 16;

/// `sort` takes several attributes, divided by commas.
fn items_in_order(state: &mut State<'_, '_>, mut all: Vec<Value>) -> Result<Vec<Value>, Error> {
    let (_, arguments): (&[Value], Kwargs) = from_args(all.get(1..).unwrap_or_default())?;
    let attributes = named(&[], &arguments);
    let Some(list) = all.first_mut() else { return Ok(all) };
    *list = as_list(state, list)?;
    let Some(attributes) = attributes.as_ref().and_then(Value::as_str) else { return Ok(all) };
    let attributes = attributes.split(',').map(|attribute| Value::from(attribute.trim()));
    attributes.filter(Value::is_true).take(SORTED_BY).try_for_each(|attribute| {
        list.try_iter()?.try_for_each(|item| at(&item, &attribute).map(drop))
    })?;
    Ok(all)
}

fn items_that_are_texts(
    state: &mut State<'_, '_>,
    mut all: Vec<Value>,
) -> Result<Vec<Value>, Error> {
    texts(all.get(1..).unwrap_or_default())?;
    each(state, &mut all, second, |value| match value {
        value if value.is_undefined() => Err(ErrorKind::UndefinedError.into()),
        value => text(value),
    })?;
    Ok(all)
}

/// Looks at each item of the list, or at its attribute where one is asked for.
fn each(
    state: &mut State<'_, '_>,
    all: &mut [Value],
    asked: Asked,
    look: fn(&Value) -> Result<(), Error>,
) -> Result<(), Error> {
    let Some((list, arguments)) = all.split_first_mut() else { return Ok(()) };
    let (positional, arguments): (&[Value], Kwargs) = from_args(arguments)?;
    *list = as_list(state, list)?;
    match asked(positional, &arguments) {
        // Those that lack it have a value all the same.
        Some(_) if arguments.has("default") => Ok(()),
        Some(attribute) => list.try_iter()?.try_for_each(|item| look(&at(&item, &attribute)?)),
        None => list.try_iter()?.try_for_each(|item| look(&item)),
    }
}

/// What can be gone through once only is gone through here, and paid for with fuel.
fn as_list(state: &mut State<'_, '_>, list: &Value) -> Result<Value, Error> {
    if list.is_undefined() {
        return Err(ErrorKind::UndefinedError.into());
    }
    not_null(list)?;
    state.apply_filter("list", std::slice::from_ref(list))
}

/// The attribute of an item. Its name may be of the event, and is not told.
fn at(item: &Value, attribute: &Value) -> Result<Value, Error> {
    let step = |value: Value, step: &str| match step.parse::<usize>() {
        Ok(index) => value.get_item_by_index(index),
        Err(_) => value.get_attr(step),
    };
    let found = match attribute.as_str() {
        Some(path) => path.split('.').try_fold(item.clone(), step),
        None => item.get_item(attribute),
    };
    found
        .ok()
        .filter(|value| !value.is_undefined())
        .ok_or_else(|| fault("undefined value: an item of the list lacks the attribute"))
}
