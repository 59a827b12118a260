//! Expressions and templates: compiled, evaluated, and their errors put into words.

use std::sync::Arc;

use minijinja::machinery::{parse_expr, tokenize};
use minijinja::syntax::SyntaxConfig;
use minijinja::{Environment, Error, Value};

use super::arguments;
use super::environment::{self, LANGUAGE};
use super::fault::{self, describe};
use super::names::{self, Code, Kind, Use};
use super::reads;
use super::scope::RECORD_FIELDS;
use super::spot::{InText, Spot};
use crate::domain::words::{bounded, is_identifier, nearest};

/// An expression, such as `event.status == "shipped"`.
pub(super) struct Expression {
    source: Arc<str>,
    compiled: minijinja::Expression<'static, 'static>,
    names: Vec<String>,
    /// It is nothing but a name, such as `event.customer.contactId`: it is looked up without the
    /// engine, which allocates some kilobytes for each evaluation.
    is_name: bool,
}

/// A template, such as `Your order #{{ event.orderId }} has been shipped.`
pub(super) struct Template {
    source: Arc<str>,
    /// Holds this one template, under the name of its key.
    compiled: Environment<'static>,
    names: Vec<String>,
}

/// A mistake that can be seen without an event, and where it stands as far as that is known.
#[derive(Debug)]
pub(super) struct Found {
    pub(super) message: String,
    pub(super) spot: Option<Spot>,
}

impl Found {
    fn at_code(message: String, code: &str) -> Self {
        Self { message, spot: Some(Spot::Code(code.to_owned())) }
    }

    fn of_engine(message: String, error: &Error) -> Self {
        Self { message, spot: error.line().map(Spot::Line) }
    }
}

impl From<String> for Found {
    fn from(message: String) -> Self {
        Self { message, spot: None }
    }
}

/// The name of the one template in its environment.
const TEMPLATE: &str = "message";

impl Expression {
    /// Compiles, or tells every mistake that can be seen without an event.
    pub(super) fn compile(source: &str) -> Result<Self, Vec<Found>> {
        let code = names::expression(source);
        check_length(source, &code)?;
        let compiled = LANGUAGE
            .compile_expression_owned(source.to_owned())
            .and_then(|compiled| read_whole(source).map(|()| compiled))
            .map_err(|error| vec![in_expression(source, &code, &error)])?;
        let names = used(compiled.undeclared_variables(true), &code);
        check(source, &names, &names::uses(&code))?;
        let is_name = is_name(source, &names);
        Ok(Self { source: source.into(), compiled, names, is_name })
    }

    /// The value, which is defined. The error is in words that hold nothing of the event.
    pub(super) fn value(&self, scope: &Value) -> Result<Value, String> {
        if self.is_name {
            return look_up(self.source.trim(), scope)
                .ok_or_else(|| fault::undefined(&self.source, &self.names, scope));
        }
        match self.compiled.eval(scope.clone()) {
            Ok(value) if value.is_undefined() => {
                Err(fault::undefined(&self.source, &self.names, scope))
            }
            Ok(value) => Ok(value),
            Err(error) => Err(describe(&error, &self.source, &self.names, scope)),
        }
    }

    /// The value of an expression that uses neither the event nor the record.
    pub(super) fn constant(&self) -> Option<Result<Value, String>> {
        self.names.is_empty().then(|| self.value(&Value::UNDEFINED))
    }

    pub(super) fn uses_record(&self) -> bool {
        uses_record(&self.names)
    }
}

impl Template {
    /// Compiles, or tells every mistake that can be seen without an event.
    pub(super) fn compile(source: &str) -> Result<Self, Vec<Found>> {
        let code = names::template(source);
        check_length(source, &code)?;
        let mut compiled = LANGUAGE.clone();
        compiled
            .add_template_owned(TEMPLATE, source.to_owned())
            .map_err(|error| vec![in_template(&code, &error)])?;
        let template =
            compiled.get_template(TEMPLATE).map_err(|error| vec![error.to_string().into()])?;
        let mut names = used(template.undeclared_variables(true), &code);
        let set = reads::set_in_branches(source);
        let root = |name: &String| name.split('.').next().unwrap_or_default().to_owned();
        names.retain(|name| is_of_ours(name) || !set.contains(&root(name)));
        check(source, &names, &names::uses(&code))?;
        Ok(Self { source: source.into(), compiled, names })
    }

    /// The text. The error is in words that hold nothing of the event.
    pub(super) fn text(&self, scope: &Value) -> Result<String, String> {
        self.compiled
            .get_template(TEMPLATE)
            .and_then(|template| template.render(scope.clone()))
            .map_err(|error| describe(&error, &self.source, &self.names, scope))
    }

    /// The text of a template that uses neither the event nor the record.
    pub(super) fn constant(&self) -> Option<Result<String, String>> {
        self.names.is_empty().then(|| self.text(&Value::UNDEFINED))
    }

    pub(super) fn uses_record(&self) -> bool {
        uses_record(&self.names)
    }
}

/// What expressions and templates see.
const ROOTS: [&str; 2] = ["event", "record"];

/// Whether an expression that uses these names is one of them and nothing else. A step that is no
/// word means something else to the engine, as in `event.items.0`; a name of the engine's own is
/// not looked up in the scope.
fn is_name(source: &str, names: &[String]) -> bool {
    matches!(names, [name] if name == source.trim() && is_of_ours(name) && name.split('.').all(is_identifier))
}

fn is_of_ours(name: &str) -> bool {
    ROOTS.contains(&name.split('.').next().unwrap_or(name))
}

fn look_up(name: &str, scope: &Value) -> Option<Value> {
    let mut value = scope.clone();
    for step in name.split('.') {
        value = value.get_attr(step).ok()?;
    }
    Some(value).filter(|value| !value.is_undefined())
}

/// Behind a string, the engine takes what it can't read for the end of an expression:
/// `event.status == "paid" && event.total > 5` would be half of what was written.
fn read_whole(source: &str) -> Result<(), Error> {
    tokenize(source, true, SyntaxConfig::default()).try_for_each(|token| token.map(drop))
}

fn check_length(source: &str, code: &[Code<'_>]) -> Result<(), Vec<Found>> {
    names::too_long(source, code).map_or(Ok(()), |message| Err(vec![message.into()]))
}

/// The engine's words for an expression that does not compile: no event is in sight yet.
fn in_expression(source: &str, code: &[Code<'_>], error: &Error) -> Found {
    let words = error.detail().map_or_else(|| error.kind().to_string(), str::to_owned);
    // In parentheses, the engine names what it did not expect after an expression.
    let in_parentheses = || parse_expr(&format!("({source})")).err();
    let hint = if source.contains("{{") {
        "; expressions are written without `{{` and `}}`"
    } else {
        foreign(&words, code)
            .or_else(|| comparison(in_parentheses()?.detail()?))
            .unwrap_or_default()
    };
    let shown = bounded(source.trim(), 200);
    Found::of_engine(format!("{words} in `{shown}`{hint}"), error)
}

/// Where the engine has come to something that it can't read.
fn foreign(words: &str, code: &[Code<'_>]) -> Option<&'static str> {
    let is_sign = ["unexpected character", "unexpected `|`", "unexpected end of input"];
    let is_sign = is_sign.iter().any(|beginning| words.starts_with(beginning));
    if is_sign { names::of_another_language(code) } else { None }
}

fn comparison(words: &str) -> Option<&'static str> {
    words.starts_with("unexpected `=`").then_some("; to compare, write `==`")
}

fn unclosed(words: &str) -> Option<&'static str> {
    words
        .ends_with("expected end of block")
        .then_some("; a `%}` is missing, or an `{% endif %}` or `{% endfor %}`")
}

fn in_template(code: &[Code<'_>], error: &Error) -> Found {
    let words = error.detail().map_or_else(|| error.kind().to_string(), str::to_owned);
    let hint = foreign(&words, code).or_else(|| comparison(&words)).or_else(|| unclosed(&words));
    let hint = hint.unwrap_or_default();
    let line = error.line().map_or(String::new(), |line| format!(" (line {line} of the text)"));
    Found::of_engine(format!("{words}{line}{hint}"), error)
}

/// Names, filters and methods that do not exist, whatever the event holds.
fn check(source: &str, names: &[String], uses: &[Use<'_>]) -> Result<(), Vec<Found>> {
    let unknown = |name: &String| Some(Found::at_code(unknown_name(name)?, name));
    let mut mistakes: Vec<Found> = names.iter().filter_map(unknown).collect();
    for found in uses {
        let name = found.name;
        let message = match found.kind {
            Kind::Filter => environment::no_filter(name).or_else(|| arguments::objection(found)),
            Kind::Test => environment::no_test(name),
            Kind::Method => environment::no_method(name),
        };
        let spot = InText::of(name, source).map(Spot::At);
        mistakes.extend(message.map(|message| Found { message, spot }));
    }
    mistakes.sort_by(|one, other| one.message.cmp(&other.message));
    mistakes.dedup_by(|one, other| one.message == other.message);
    if mistakes.is_empty() { Ok(()) } else { Err(mistakes) }
}

fn unknown_name(name: &str) -> Option<String> {
    let mut segments = name.split('.');
    let root = segments.next().unwrap_or_default();
    if root == "record" {
        let field = segments.next()?;
        return (!RECORD_FIELDS.contains(&field))
            .then(|| format!("`record` has no `{field}`; it has {}", RECORD_FIELDS.join(", ")));
    }
    if root == "event" || environment::is_global(root) {
        return None;
    }
    let hint = match nearest(root, ROOTS) {
        Some(near) => format!("`{near}`"),
        None if root == "null" => "`none`".to_owned(),
        // A word without quotes is as often meant for a text as for what the event has.
        None if root == name => format!("`event.{name}`, or the text \"{name}\""),
        None => format!("`event.{name}`"),
    };
    Some(format!("there is no `{root}`, only `event` and `record`; did you mean {hint}?"))
}

fn uses_record(names: &[String]) -> bool {
    names.iter().any(|name| name.split('.').next() == Some("record"))
}

/// Every name that is used and not set in the text itself. The engine leaves out what is sliced, as
/// `event.id` in `event.id[-4:]`.
fn used(found: impl IntoIterator<Item = String>, code: &[Code<'_>]) -> Vec<String> {
    let roots: Vec<&str> = ROOTS.into_iter().filter(|root| !names::is_set(code, root)).collect();
    let mut names: Vec<String> = found.into_iter().chain(names::dotted(code, &roots)).collect();
    names.sort();
    names.dedup();
    names
}
