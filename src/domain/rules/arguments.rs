//! What a filter takes, and what is wrong with the arguments that it is given: the engine tells only once
//! it comes to them, which for a rare branch may be weeks after the rollout.

use super::environment::{no_filter, no_test};
use super::names::Use;
use super::{numbers, time};
use crate::domain::words::nearest;

/// A filter's arguments, without the value that it is applied to.
struct Takes {
    filter: &'static str,
    least: usize,
    /// By their place, that is without a name.
    most: usize,
    /// As in `round(precision, method)`.
    parameters: &'static [&'static str],
    has_names: bool,
}

const fn nothing(filter: &'static str) -> Takes {
    by_place(filter, 0, &[])
}

const fn by_place(
    filter: &'static str,
    least: usize,
    parameters: &'static [&'static str],
) -> Takes {
    Takes { filter, least, most: parameters.len(), parameters, has_names: false }
}

const fn by_either(
    filter: &'static str,
    least: usize,
    parameters: &'static [&'static str],
) -> Takes {
    Takes { has_names: true, ..by_place(filter, least, parameters) }
}

const fn by_name(filter: &'static str, parameters: &'static [&'static str]) -> Takes {
    Takes { most: 0, ..by_either(filter, 0, parameters) }
}

/// Those that take others' names, or whatever comes, are not among them.
const FILTERS: [Takes; 40] = [
    nothing("abs"),
    by_place("attr", 1, &["name"]),
    by_place("batch", 1, &["count", "fill_with"]),
    nothing("bool"),
    nothing("capitalize"),
    nothing("count"),
    by_place("d", 0, &["other", "or_empty"]),
    by_place("date", 1, &["zone", "format"]),
    by_place("datetime", 1, &["zone", "format"]),
    by_place("default", 0, &["other", "or_empty"]),
    by_name("dictsort", &["by", "case_sensitive", "reverse"]),
    nothing("first"),
    by_either("float", 0, &["default"]),
    Takes { most: 1, ..by_either("groupby", 1, &["attribute", "default", "case_sensitive"]) },
    by_either("int", 0, &["default", "base"]),
    nothing("items"),
    by_either("join", 0, &["d", "attribute"]),
    nothing("last"),
    nothing("length"),
    nothing("lines"),
    nothing("list"),
    nothing("lower"),
    by_name("max", &["attribute", "case_sensitive"]),
    by_name("min", &["attribute", "case_sensitive"]),
    by_place("money", 1, &["currency"]),
    by_place("number", 0, &["decimals"]),
    by_place("plural", 2, &["one", "other"]),
    by_either("replace", 2, &["old", "new"]),
    nothing("reverse"),
    by_either("round", 0, &["precision", "method"]),
    by_place("slice", 1, &["count", "fill_with"]),
    by_name("sort", &["attribute", "case_sensitive", "reverse"]),
    by_place("split", 0, &["by", "most"]),
    nothing("string"),
    by_either("sum", 0, &["attribute", "start"]),
    by_place("time", 1, &["zone", "format"]),
    nothing("title"),
    by_place("trim", 0, &["characters"]),
    by_name("unique", &["attribute", "case_sensitive"]),
    nothing("upper"),
];

/// What is wrong with the arguments of a filter that exists, as far as it can be seen without an event.
pub(super) fn objection(found: &Use<'_>) -> Option<String> {
    of(found.name, &found.arguments, found)
}

/// The arguments that are no plain text are `None`.
fn of(filter: &str, arguments: &[Option<&str>], found: &Use<'_>) -> Option<String> {
    let text = |index: usize| arguments.get(index).copied().flatten();
    match filter {
        "map" => {
            let behind = || of(text(0)?, arguments.get(1..).unwrap_or_default(), found);
            return no_filter(text(0)?).or_else(behind);
        }
        "select" | "reject" => return no_test(text(0)?),
        "selectattr" | "rejectattr" => return no_test(text(1)?),
        _ => {}
    }
    let takes = FILTERS.iter().find(|takes| takes.filter == filter)?;
    if found.is_spread {
        return None;
    }
    takes.objection(arguments.len(), &found.names).or_else(|| in_words(takes, &text))
}

impl Takes {
    fn objection(&self, given: usize, names: &[&str]) -> Option<String> {
        let (filter, usage) = (self.filter, self.usage());
        let takes = |name: &&&str| self.has_names && self.parameters.contains(*name);
        if let Some(name) = names.iter().find(|name| !takes(name)) {
            if !self.has_names {
                let what = format!("the arguments of the filter `{filter}` have no names");
                return Some(format!("{what}: leave out `{name}=`"));
            }
            let near = nearest(name, self.parameters.iter().copied());
            let hint = near.map_or(String::new(), |near| format!("; did you mean `{near}`?"));
            return Some(format!("the filter `{filter}` has no argument `{name}`: {usage}{hint}"));
        }
        if given < self.least {
            return Some(format!("the filter `{filter}` is missing an argument: {usage}"));
        }
        if given.saturating_sub(names.len()) <= self.most && given <= self.parameters.len() {
            return None;
        }
        Some(match (self.parameters, self.most) {
            ([], _) => format!("the filter `{filter}` takes no arguments"),
            (_, 0) => format!("the arguments of the filter `{filter}` need their names: {usage}"),
            _ => format!("too many arguments for the filter `{filter}`: {usage}"),
        })
    }

    fn usage(&self) -> String {
        let named = |name: &&str| format!("{name}=…");
        let parameters = match self.most {
            0 => self.parameters.iter().map(named).collect::<Vec<_>>().join(", "),
            _ => self.parameters.join(", "),
        };
        format!("{}({parameters})", self.filter)
    }
}

/// What is wrong with arguments that are written out.
fn in_words<'a>(takes: &Takes, text: &impl Fn(usize) -> Option<&'a str>) -> Option<String> {
    let first = text(0)?;
    match takes.filter {
        "batch" | "number" | "round" | "slice" => {
            let usage = takes.usage();
            Some(format!("the filter `{}` takes a number, not a text: {usage}", takes.filter))
        }
        "money" if !numbers::is_currency(first) => {
            Some(format!("`{first}` is not a currency of ISO 4217, such as `THB`"))
        }
        "date" | "datetime" | "time" if !time::is_zone(first) => {
            Some(format!("`{first}` is not a time zone, such as `Asia/Bangkok`"))
        }
        "date" | "datetime" | "time" => format_objection(text(1)?),
        _ => None,
    }
}

fn format_objection(format: &str) -> Option<String> {
    if !time::is_format(format) {
        return Some(format!("`{format}` is not a format of strftime, such as `%-d %b %Y`"));
    }
    // Valid, and never meant: it would give the same for every time.
    let constant = !format.contains('%');
    constant.then(|| format!("`{format}` has no `%`, so it shows no part of the time"))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use minijinja::{Error, ErrorKind};

    use super::super::environment::LANGUAGE;
    use super::*;

    /// For each filter a value, and arguments of the kinds that it takes, in the order of its parameters.
    const SAMPLES: [(&str, &str, &[&str]); 40] = [
        ("abs", "1", &[]),
        ("attr", "{'a': 1}", &["'a'"]),
        ("batch", "[1]", &["2", "0"]),
        ("bool", "1", &[]),
        ("capitalize", "'a'", &[]),
        ("count", "'a'", &[]),
        ("d", "1", &["2", "true"]),
        ("date", "0", &["'UTC'", "'%d'"]),
        ("datetime", "0", &["'UTC'", "'%d'"]),
        ("default", "1", &["2", "true"]),
        ("dictsort", "{'a': 1}", &["'value'", "true", "true"]),
        ("first", "'a'", &[]),
        ("float", "1", &["2.0"]),
        ("groupby", "[{'a': 1}]", &["'a'", "1", "true"]),
        ("int", "'1'", &["2", "10"]),
        ("items", "{'a': 1}", &[]),
        ("join", "[{'a': 1}]", &["','", "'a'"]),
        ("last", "'a'", &[]),
        ("length", "'a'", &[]),
        ("lines", "'a'", &[]),
        ("list", "'a'", &[]),
        ("lower", "'a'", &[]),
        ("max", "[{'a': 1}]", &["'a'", "true"]),
        ("min", "[{'a': 1}]", &["'a'", "true"]),
        ("money", "1", &["'THB'"]),
        ("number", "1", &["2"]),
        ("plural", "1", &["'a'", "'b'"]),
        ("replace", "'a'", &["'a'", "'b'"]),
        ("reverse", "'a'", &[]),
        ("round", "1.5", &["1", "'floor'"]),
        ("slice", "[1]", &["2", "0"]),
        ("sort", "[{'a': 1}]", &["'a'", "true", "true"]),
        ("split", "'a'", &["'a'", "1"]),
        ("string", "'a'", &[]),
        ("sum", "[{'a': 1}]", &["'a'", "0"]),
        ("time", "0", &["'UTC'", "'%d'"]),
        ("title", "'a'", &[]),
        ("trim", "'a'", &["'a'"]),
        ("unique", "[{'a': 1}]", &["'a'", "true"]),
        ("upper", "'a'", &[]),
    ];

    fn answer(value: &str, filter: &str, arguments: &[String]) -> Result<(), Error> {
        let code = format!("{value} | {filter}({})", arguments.join(", "));
        LANGUAGE.compile_expression(&code).unwrap().eval(()).map(drop)
    }

    fn named(takes: &Takes, arguments: &[&str]) -> Vec<String> {
        takes
            .parameters
            .iter()
            .zip(arguments)
            .map(|(name, value)| format!("{name}={value}"))
            .collect()
    }

    #[test]
    fn every_filter_takes_of_the_engine_what_is_written_down_and_no_more() {
        let listed: BTreeSet<&str> = FILTERS.iter().map(|takes| takes.filter).collect();
        assert_eq!(listed, SAMPLES.iter().map(|(filter, ..)| *filter).collect());
        for takes in &FILTERS {
            let (filter, value, arguments) =
                SAMPLES.iter().find(|(filter, ..)| *filter == takes.filter).unwrap();
            assert_eq!(arguments.len(), takes.parameters.len(), "{filter}");
            let by_place: Vec<String> = arguments.iter().map(ToString::to_string).collect();
            let (placed, rest) = by_place.split_at(takes.most);
            let names = named(takes, arguments);
            if takes.has_names {
                let mixed = [placed, &names[takes.most..]].concat();
                for given in [&mixed, &names] {
                    assert!(answer(value, filter, given).is_ok(), "{filter}: {given:?}");
                }
            } else {
                assert!(rest.is_empty(), "{filter}");
                for name in &names {
                    assert!(
                        answer(value, filter, std::slice::from_ref(name)).is_err(),
                        "{filter}: {name}"
                    );
                }
            }
            assert!(answer(value, filter, placed).is_ok(), "{filter}: {placed:?}");
            let one_more = [placed, &["1".to_owned()]].concat();
            let error = answer(value, filter, &one_more).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::TooManyArguments, "{filter}: {one_more:?}");
            if takes.least > 0 {
                let one_less = &by_place[..takes.least - 1];
                assert!(answer(value, filter, one_less).is_err(), "{filter}: {one_less:?}");
            }
            let unknown = ["nope=1".to_owned()];
            assert!(answer(value, filter, &unknown).is_err(), "{filter}: {unknown:?}");
        }
    }
}
