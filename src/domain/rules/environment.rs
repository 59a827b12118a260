//! The language of the rules: minijinja's, made strict, bounded and plain.
//!
//! - An undefined name is an error, and so is a null, a boolean, a list or an object in a text.
//! - Texts are plain: nothing is escaped for HTML, and the filters for it are gone.
//! - Fuel bounds what an evaluation may do and write, whatever the event holds.
//! - There is no loader, `include`, `import` or macro: the crate is built without them.

use std::sync::LazyLock;

use minijinja::{AutoEscape, Environment, Error, Output, State, UndefinedBehavior, Value, context};

use super::{numbers, strict, time};
use crate::domain::words::nearest;

/// What one evaluation may spend: a unit an instruction, and a unit for 64 bytes written or read by
/// a filter. It bounds a text at about 2 MB, far above what LINE takes, and below what hurts.
const FUEL: u64 = 30_000;

/// The one environment, without templates. Expressions are compiled in it, templates in copies,
/// which share its filters.
pub(super) static LANGUAGE: LazyLock<Environment<'static>> = LazyLock::new(|| {
    let mut language = Environment::new();
    language.set_undefined_behavior(UndefinedBehavior::Strict);
    language.set_auto_escape_callback(|_| AutoEscape::None);
    language.set_formatter(write_value);
    language.set_fuel(Some(FUEL));
    // `indent` would make an empty text of what is undefined.
    for name in ["safe", "escape", "e", "pprint", "indent"] {
        language.remove_filter(name);
    }
    for name in ["safe", "escaped"] {
        language.remove_test(name);
    }
    language.remove_global("debug");
    strict::add_filters(&mut language);
    language.add_filter("money", numbers::money);
    language.add_filter("number", numbers::number);
    language.add_filter("plural", numbers::plural);
    language.add_filter("date", time::date);
    language.add_filter("time", time::time);
    language.add_filter("datetime", time::datetime);
    language
});

/// The filters that a slip may have been meant for. The engine tells no list of them.
const FILTERS: &str = "\
    abs attr batch bool capitalize chain count date datetime default dictsort first float \
    format groupby int items join last length lines list lower map max min money \
    number plural reject rejectattr replace reverse round select selectattr slice sort split \
    string sum time title trim unique upper zip";

/// The same of the tests.
const TESTS: &str = "\
    boolean defined divisibleby endingwith eq equalto even false float ge greaterthan gt in \
    integer iterable le lessthan lower lt mapping ne none number odd sameas sequence \
    startingwith string undefined";

/// The names that are not the event's or the record's.
pub(super) fn is_global(name: &str) -> bool {
    LANGUAGE.globals().any(|(global, _)| global == name)
}

/// Why there is no such filter, if there is none.
pub(super) fn no_filter(name: &str) -> Option<String> {
    (!holds("name is filter", name)).then(|| lacking("filter", name, FILTERS))
}

/// Why there is no such test, if there is none.
pub(super) fn no_test(name: &str) -> Option<String> {
    (!holds("name is test", name)).then(|| lacking("test", name, TESTS))
}

/// The methods that there are, all of a loop's own `loop`.
const METHODS: [&str; 2] = ["cycle", "changed"];

/// What methods of Python and JavaScript are here.
const INSTEAD: [(&str, &str); 9] = [
    ("contains", "`\"…\" in …`"),
    ("endsWith", "`… is endingwith(\"…\")`"),
    ("endswith", "`… is endingwith(\"…\")`"),
    ("get", "the filter `default`"),
    ("includes", "`\"…\" in …`"),
    ("startsWith", "`… is startingwith(\"…\")`"),
    ("startswith", "`… is startingwith(\"…\")`"),
    ("strip", "the filter `trim`"),
    ("toFixed", "the filter `round`"),
];

/// Why there is no such method, if there is none.
pub(super) fn no_method(name: &str) -> Option<String> {
    if METHODS.contains(&name) {
        return None;
    }
    let instead = INSTEAD.iter().find(|(method, _)| *method == name);
    let filter = || {
        let name = name.to_lowercase();
        let name = name.trim_start_matches("to").trim_end_matches("case");
        no_filter(name).is_none().then(|| format!("the filter `{name}`"))
    };
    let instead = instead.map(|(_, instead)| (*instead).to_owned()).or_else(filter);
    let instead = instead.unwrap_or_else(|| "filters, such as `… | upper`".to_owned());
    Some(format!("values have no methods, such as `.{name}()`; use {instead}"))
}

fn lacking(what: &str, name: &str, known: &str) -> String {
    let near = nearest(name, known.split(' '));
    let hint = near.map_or(String::new(), |near| format!("; did you mean `{near}`?"));
    format!("there is no {what} `{name}`{hint}")
}

fn holds(question: &'static str, name: &str) -> bool {
    LANGUAGE
        .compile_expression(question)
        .and_then(|question| question.eval(context! { name }))
        .is_ok_and(|answer| answer.is_true())
}

/// Plainly, also between `{% autoescape true %}` and its end.
fn write_value(out: &mut Output<'_>, _: &mut State<'_, '_>, value: &Value) -> Result<(), Error> {
    match strict::not_in_a_text(value) {
        Some(fault) => Err(fault),
        None => Ok(write!(out, "{value}")?),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_filter_and_test_that_is_suggested_exists() {
        let lacking = FILTERS.split(' ').filter_map(no_filter);
        let lacking: Vec<_> = lacking.chain(TESTS.split(' ').filter_map(no_test)).collect();
        assert!(lacking.is_empty(), "{lacking:?}");
    }
}
