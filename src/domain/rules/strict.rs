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

/// What a filter is not to be given.
type Check = fn(&mut State<'_, '_>, &mut [Value]) -> Result<(), Error>;

/// Puts the strict ones in the place of the engine's.
pub(super) fn add_filters(language: &mut Environment<'_>) {
    add(language, "capitalize", a_text, filters::capitalize);
    add(language, "lower", a_text, filters::lower);
    add(language, "replace", a_text, filters::replace);
    add(language, "string", a_text, filters::string);
    add(language, "title", a_text, filters::title);
    add(language, "trim", a_text, filters::trim);
    add(language, "upper", a_text, filters::upper);
    add(language, "format", all_texts, filters::format);
    add(language, "float", a_number, filters::float);
    add(language, "int", a_number, filters::int);
    add(language, "groupby", |state, all| items_with(state, all, first), filters::groupby);
    add(language, "join", items_that_are_texts, filters::join);
    add(language, "map", |state, all| items_with(state, all, named), filters::map);
    add(language, "max", |state, all| items_with(state, all, named), filters::max);
    add(language, "min", |state, all| items_with(state, all, named), filters::min);
    add(language, "rejectattr", |state, all| items_with(state, all, tested), filters::rejectattr);
    add(language, "selectattr", |state, all| items_with(state, all, tested), filters::selectattr);
    add(language, "sort", |state, all| items_with(state, all, named), filters::sort);
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
        let mut all = all.into_values();
        check(state, &mut all)?;
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

fn a_text(_: &mut State<'_, '_>, all: &mut [Value]) -> Result<(), Error> {
    all.first().map_or(Ok(()), text)
}

fn all_texts(_: &mut State<'_, '_>, all: &mut [Value]) -> Result<(), Error> {
    all.iter().filter(|value| !value.is_kwargs()).try_for_each(text)
}

fn a_number(_: &mut State<'_, '_>, all: &mut [Value]) -> Result<(), Error> {
    all.first().map_or(Ok(()), not_null)
}

fn not_null(value: &Value) -> Result<(), Error> {
    let is_null = || fault("null is no value; use the filter `default`, or an `if`");
    if value.is_none() { Err(is_null()) } else { Ok(()) }
}

/// Which attribute a filter asks for, in its arguments without the list.
type Asked = fn(&[Value], &Kwargs) -> Option<String>;

fn named(_: &[Value], named: &Kwargs) -> Option<String> {
    // It may be a number, which is a place in a list.
    named.get::<Option<&str>>("attribute").ok().flatten().map(str::to_owned)
}

fn first(positional: &[Value], arguments: &Kwargs) -> Option<String> {
    let first = positional.first().and_then(Value::as_str);
    first.map(str::to_owned).or_else(|| named(positional, arguments))
}

/// Whether it is there may be what is to be found out.
fn tested(positional: &[Value], _: &Kwargs) -> Option<String> {
    let text = |index: usize| positional.get(index).and_then(Value::as_str);
    let asks = matches!(text(1), Some("defined" | "undefined"));
    text(0).filter(|_| !asks).map(str::to_owned)
}

fn second(positional: &[Value], arguments: &Kwargs) -> Option<String> {
    let second = positional.get(1).and_then(Value::as_str);
    second.map(str::to_owned).or_else(|| named(positional, arguments))
}

fn items_with(state: &mut State<'_, '_>, all: &mut [Value], asked: Asked) -> Result<(), Error> {
    attributes(state, all, asked).map(drop)
}

fn items_that_are_texts(state: &mut State<'_, '_>, all: &mut [Value]) -> Result<(), Error> {
    if let Some(found) = attributes(state, all, second)? {
        return found.iter().try_for_each(text);
    }
    let Some(list) = all.first_mut() else { return Ok(()) };
    not_null(list)?;
    *list = as_list(state, list)?;
    list.try_iter()?.try_for_each(|item| text(&item))
}

/// The attribute of every item, where one is asked for; several may be, divided by commas.
fn attributes(
    state: &mut State<'_, '_>,
    all: &mut [Value],
    asked: Asked,
) -> Result<Option<Vec<Value>>, Error> {
    let Some((list, arguments)) = all.split_first_mut() else { return Ok(None) };
    let (positional, arguments): (&[Value], Kwargs) = from_args(arguments)?;
    let Some(attributes) = asked(positional, &arguments) else { return Ok(None) };
    if arguments.has("default") {
        return Ok(None);
    }
    *list = as_list(state, list)?;
    let mut found = Vec::new();
    for item in list.try_iter()? {
        for attribute in attributes.split(',').map(str::trim) {
            let value = at(&item, attribute).filter(|value| !value.is_undefined());
            // The attribute's name may be of the event.
            let lacks = || fault("undefined value: an item of the list lacks the attribute");
            found.push(value.ok_or_else(lacks)?);
        }
    }
    Ok(Some(found))
}

/// What can be gone through once only is gone through here, and paid for with fuel.
fn as_list(state: &mut State<'_, '_>, list: &Value) -> Result<Value, Error> {
    if list.is_undefined() {
        return Err(ErrorKind::UndefinedError.into());
    }
    state.apply_filter("list", std::slice::from_ref(list))
}

fn at(item: &Value, attribute: &str) -> Option<Value> {
    attribute.split('.').try_fold(item.clone(), |value, step| {
        let found = match step.parse::<usize>() {
            Ok(index) => value.get_item_by_index(index),
            Err(_) => value.get_attr(step),
        };
        found.ok()
    })
}
