//! What went wrong in an expression or a template, in words that hold nothing of the event.

use std::borrow::Cow;
use std::error::Error as _;

use minijinja::{Error, ErrorKind, Value};

use crate::domain::words::bounded;

/// The longest detail of a rejection, in bytes.
pub(super) const DETAIL_LIMIT: usize = 300;
/// How much of an expression's or a template's own text is shown, in bytes.
const SOURCE_LIMIT: usize = 120;

/// A fault that one of our own filters found. The engine's own errors may quote the values they
/// stumbled over, so of those only the kind is told; of ours, which never do, the words.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct Fault(Cow<'static, str>);

/// An error of a filter. The words must hold no value of the event.
pub(super) fn fault(words: impl Into<Cow<'static, str>>) -> Error {
    Error::new(ErrorKind::InvalidOperation, "a filter failed").with_source(Fault(words.into()))
}

/// What `error` says of `source`, evaluated in `scope`; `names` are those that `source` uses.
pub(super) fn describe(error: &Error, source: &str, names: &[String], scope: &Value) -> String {
    let line = error.line().and_then(|line| source.lines().nth(line.saturating_sub(1)));
    let shown = bounded(line.unwrap_or(source).trim(), SOURCE_LIMIT);
    if let Some(fault) = error.source().and_then(|source| source.downcast_ref::<Fault>()) {
        return format!("{fault}, in `{shown}`");
    }
    if error.kind() == ErrorKind::UndefinedError {
        return undefined(source, names, scope);
    }
    format!("{} in `{shown}`", error.kind())
}

/// An undefined name was used: which one, as far as can be told.
pub(super) fn undefined(source: &str, names: &[String], scope: &Value) -> String {
    let shown = bounded(source.trim(), SOURCE_LIMIT);
    let missing: Vec<&str> = names.iter().filter_map(|name| first_missing(name, scope)).collect();
    if missing.is_empty() || missing == [source.trim()] {
        return format!("undefined value in `{shown}`");
    }
    format!("undefined value in `{shown}`: there is no `{}`", missing.join("`, no `"))
}

/// The shortest beginning of a dotted name that is undefined.
fn first_missing<'n>(name: &'n str, scope: &Value) -> Option<&'n str> {
    let mut value = scope.clone();
    let mut end = 0;
    for segment in name.split('.') {
        end += segment.len();
        value = value.get_attr(segment).unwrap_or(Value::UNDEFINED);
        if value.is_undefined() {
            return name.get(..end);
        }
        end += 1;
    }
    None
}
