//! The engine's syntax tree of an expression → what it reads.

use std::collections::BTreeMap;

use minijinja::Value;
use minijinja::machinery::ast::{self, BinOpKind, CallArg, CompareOpKind, Expr, UnaryOpKind};
use minijinja::machinery::parse_expr;
use serde_json::Value as Json;

use super::super::names;
use super::super::{ChannelSource, Expiry, RecipientSource, RuleSource};
use super::{Comparison, Need, Path, Reading, RuleReads, Step, Test, UNSET, is_order, template};

/// What the names of a template stand for.
pub(super) type Names = BTreeMap<String, Reading>;

/// The filters that fail on null as well, with what they need of their value and their arguments.
const STRICT: [(&str, Need, Need); 37] = [
    ("abs", Need::Value, Need::Nothing),
    ("capitalize", Need::Text, Need::Nothing),
    ("count", Need::Value, Need::Nothing),
    ("date", Need::Time, Need::Value),
    ("datetime", Need::Time, Need::Value),
    ("dictsort", Need::Value, Need::Nothing),
    ("first", Need::Value, Need::Nothing),
    ("float", Need::Value, Need::Nothing),
    ("format", Need::Text, Need::Text),
    ("groupby", Need::Value, Need::Nothing),
    ("int", Need::Value, Need::Nothing),
    ("items", Need::Value, Need::Nothing),
    ("join", Need::Value, Need::Text),
    ("last", Need::Value, Need::Nothing),
    ("length", Need::Value, Need::Nothing),
    ("lines", Need::Value, Need::Nothing),
    ("lower", Need::Text, Need::Nothing),
    ("map", Need::Value, Need::Nothing),
    ("max", Need::Value, Need::Nothing),
    ("min", Need::Value, Need::Nothing),
    ("money", Need::Value, Need::Value),
    ("number", Need::Value, Need::Value),
    ("plural", Need::Value, Need::Value),
    ("rejectattr", Need::Value, Need::Nothing),
    ("replace", Need::Text, Need::Text),
    ("reverse", Need::Value, Need::Nothing),
    ("round", Need::Value, Need::Nothing),
    ("selectattr", Need::Value, Need::Nothing),
    ("sort", Need::Value, Need::Nothing),
    ("split", Need::Value, Need::Nothing),
    ("string", Need::Text, Need::Nothing),
    ("sum", Need::Value, Need::Nothing),
    ("time", Need::Time, Need::Value),
    ("title", Need::Text, Need::Nothing),
    ("trim", Need::Text, Need::Nothing),
    ("unique", Need::Value, Need::Nothing),
    ("upper", Need::Text, Need::Nothing),
];

/// The filters that give some of the items of their list.
const ITEMS_LEFT: [&str; 7] =
    ["list", "reject", "rejectattr", "reverse", "select", "selectattr", "sort"];

/// `None` where it does not parse, or is too long to be parsed safely.
pub(super) fn expression(source: &str) -> Option<Reading> {
    if names::too_long(source, &names::expression(source)).is_some() {
        return None;
    }
    parse_expr(source).ok().map(|expression| reading(&expression, &Names::new()))
}

pub(super) fn rule(source: &RuleSource) -> RuleReads {
    let when = match source.when.as_deref() {
        None => Some(Reading::Constant(Json::Bool(true))),
        Some(when) => expression(when),
    };
    let mut expressions = Vec::new();
    let mut add = |key, need, source: &str| {
        expressions.extend(expression(source).map(|reading| (key, need, reading)));
    };
    if let ChannelSource::From(source) = &source.channel {
        add("channel", Need::Channel, source);
    }
    let (RecipientSource::Contact(to) | RecipientSource::LineUser(to)) = &source.to;
    add("to", Need::Text, to);
    if let Expiry::At(source) = &source.expires {
        add("expires_at", Need::Time, source);
    }
    RuleReads { when, expressions, message: template::statements(&source.message) }
}

pub(super) fn reading(expression: &Expr<'_>, names: &Names) -> Reading {
    if let Some(value) = expression.as_const() {
        return constant(&value);
    }
    let boxed = |expression: &Expr<'_>| Box::new(reading(expression, names));
    match expression {
        Expr::Var(variable) => match names.get(variable.id) {
            Some(reading) => reading.clone(),
            None if variable.id == "event" => Reading::Path(Vec::new()),
            None => not_set(variable.id),
        },
        Expr::Const(value) => constant(&value.value),
        Expr::UnaryOp(operation) => match operation.op {
            UnaryOpKind::Not => Reading::Not(boxed(&operation.expr)),
            UnaryOpKind::Neg => other("-", [(Need::Number, reading(&operation.expr, names))]),
        },
        Expr::BinOp(operation) => binary(operation, names),
        Expr::Compare(comparison) => compared(comparison, names),
        Expr::IfExpr(choice) => Reading::Choice {
            when: boxed(&choice.test_expr),
            then: boxed(&choice.true_expr),
            otherwise: choice.false_expr.as_ref().map(boxed),
        },
        Expr::Filter(filter) => filtered(filter, names),
        Expr::Test(test) => tested(test, names),
        Expr::GetAttr(attribute) => {
            let step = Step::Name(attribute.name.to_owned());
            below(reading(&attribute.expr, names), step, attribute.name)
        }
        Expr::GetItem(item) => {
            let of = reading(&item.expr, names);
            let subscript = reading(&item.subscript_expr, names);
            let constant = subscript.as_constant();
            if let Some(name) = constant.and_then(Json::as_str) {
                return below(of, Step::Name(name.to_owned()), name);
            }
            let index = constant.and_then(Json::as_u64);
            if let Some(index) = index.and_then(|index| usize::try_from(index).ok()) {
                return below(of, Step::Index(index), &index.to_string());
            }
            other("item", [(Need::Defined, of), (Need::Nothing, subscript)])
        }
        Expr::Slice(slice) => {
            let bounds = [&slice.start, &slice.stop, &slice.step];
            let bounds = bounds.into_iter().flatten();
            let bounds = bounds.map(|bound| (Need::Nothing, reading(bound, names)));
            let of = [(Need::Defined, reading(&slice.expr, names))];
            other("slice", of.into_iter().chain(bounds))
        }
        Expr::Call(call) => called(call, names),
        Expr::List(list) => other("list", nothing_of(&list.items, names)),
        Expr::Tuple(tuple) => other("tuple", nothing_of(&tuple.items, names)),
        Expr::Map(map) => {
            let keys = nothing_of(&map.keys, names);
            other("map", keys.into_iter().chain(nothing_of(&map.values, names)))
        }
    }
}

fn constant(value: &Value) -> Reading {
    let as_json = serde_json::to_value(value);
    as_json.map_or_else(|_| other(&format!("constant {value}"), []), Reading::Constant)
}

pub(super) fn other(name: &str, parts: impl IntoIterator<Item = (Need, Reading)>) -> Reading {
    Reading::Other { name: name.to_owned(), parts: parts.into_iter().collect() }
}

/// What a name stands for that the template does not set.
pub(super) fn not_set(name: &str) -> Reading {
    other(&format!("{UNSET}{name}"), [])
}

/// What is reached from a value by a step.
fn below(of: Reading, step: Step, name: &str) -> Reading {
    if let Reading::Path(mut path) = of {
        path.push(step);
        return Reading::Path(path);
    }
    if of == Reading::Anything {
        return of;
    }
    other(&format!(".{name}"), [(Need::Defined, of)])
}

fn nothing_of(items: &[Expr<'_>], names: &Names) -> Vec<(Need, Reading)> {
    items.iter().map(|item| (Need::Nothing, reading(item, names))).collect()
}

fn binary(operation: &ast::BinOp<'_>, names: &Names) -> Reading {
    let left = reading(&operation.left, names);
    let right = reading(&operation.right, names);
    let compare =
        |comparison, left, right| Reading::Compare(comparison, Box::new(left), Box::new(right));
    let sign = match operation.op {
        BinOpKind::Eq => return compare(Comparison::Equal, left, right),
        BinOpKind::Ne => return compare(Comparison::NotEqual, left, right),
        BinOpKind::In => return compare(Comparison::In, left, right),
        BinOpKind::ScAnd => return Reading::And(Box::new(left), Box::new(right)),
        BinOpKind::ScOr => return Reading::Or(Box::new(left), Box::new(right)),
        BinOpKind::Lt => "<",
        BinOpKind::Lte => "<=",
        BinOpKind::Gt => ">",
        BinOpKind::Gte => ">=",
        BinOpKind::Add => "+",
        BinOpKind::Sub => "-",
        BinOpKind::Mul => "*",
        BinOpKind::Div => "/",
        BinOpKind::FloorDiv => "//",
        BinOpKind::Rem => "%",
        BinOpKind::Pow => "**",
        BinOpKind::Concat => "~",
    };
    ordered_or_other(sign, left, right)
}

/// The four orders differ in their truth, so that each is a name of its own around its comparison.
fn ordered_or_other(sign: &str, left: Reading, right: Reading) -> Reading {
    if is_order(sign) {
        let compared = Reading::Compare(Comparison::Ordered, Box::new(left), Box::new(right));
        return other(sign, [(Need::Nothing, compared)]);
    }
    let need = match sign {
        "~" => Need::Text,
        // Two texts as well.
        "+" => Need::Value,
        _ => Need::Number,
    };
    other(sign, [(need, left), (need, right)])
}

/// `a == b`, and a chain such as `a < b < c`, which holds where each of its pairs does.
fn compared(comparison: &ast::Compare<'_>, names: &Names) -> Reading {
    let mut left = reading(&comparison.expr, names);
    let mut chain: Option<Reading> = None;
    for operation in &comparison.ops {
        let right = reading(&operation.expr, names);
        let pair = |comparison| {
            Reading::Compare(comparison, Box::new(left.clone()), Box::new(right.clone()))
        };
        let ordered = |sign| ordered_or_other(sign, left.clone(), right.clone());
        let link = match operation.op {
            CompareOpKind::Eq => pair(Comparison::Equal),
            CompareOpKind::Ne => pair(Comparison::NotEqual),
            CompareOpKind::In => pair(Comparison::In),
            CompareOpKind::NotIn => pair(Comparison::NotIn),
            CompareOpKind::Lt => ordered("<"),
            CompareOpKind::Lte => ordered("<="),
            CompareOpKind::Gt => ordered(">"),
            CompareOpKind::Gte => ordered(">="),
        };
        chain = Some(match chain {
            Some(before) => Reading::And(Box::new(before), Box::new(link)),
            None => link,
        });
        left = right;
    }
    chain.unwrap_or(left)
}

fn filtered(filter: &ast::Filter<'_>, names: &Names) -> Reading {
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
    let strict = STRICT.iter().find(|(name, ..)| *name == filter.name);
    let (of_value, of_arguments) = match strict {
        // With a number to take instead, null is none.
        Some(("float" | "int", ..)) if has_default(filter) => (Need::Defined, Need::Nothing),
        Some((_, of_value, of_arguments)) => (*of_value, *of_arguments),
        None if takes_undefined(filter.name) => (Need::Nothing, Need::Nothing),
        None => (Need::Defined, Need::Nothing),
    };
    let attribute = attribute_of_items(filter, names);
    let value = value.map(|value| (of_value, value));
    let of_first = match filter.name {
        "money" => Need::Currency,
        "date" | "datetime" | "time" => Need::Zone,
        _ => of_arguments,
    };
    let needs = std::iter::once(of_first).chain(std::iter::repeat(of_arguments));
    let arguments = needs.zip(arguments);
    other(&format!("|{}", filter.name), value.into_iter().chain(arguments).chain(attribute))
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
        Need::Defined
    };
    Some((need, Reading::Path(path)))
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

fn tested(test: &ast::Test<'_>, names: &Names) -> Reading {
    let value = reading(&test.expr, names);
    let known = match test.name {
        "defined" => Some(Test::Defined),
        "undefined" => Some(Test::Undefined),
        "none" => Some(Test::Null),
        "string" => Some(Test::String),
        "number" => Some(Test::Number),
        "boolean" => Some(Test::Boolean),
        "sequence" => Some(Test::List),
        "mapping" => Some(Test::Object),
        _ => None,
    };
    if let Some(known) = known {
        return told_of(known, value);
    }
    let arguments = arguments(&test.args, names);
    let arguments = arguments.into_iter().map(|argument| (Need::Nothing, argument));
    let value = [(Need::Nothing, value)];
    other(&format!("is {}", test.name), value.into_iter().chain(arguments))
}

/// Whether a name is set is known of each of the branches that may have set it.
fn told_of(test: Test, value: Reading) -> Reading {
    let asks_for_it = matches!(test, Test::Defined | Test::Undefined);
    match value {
        Reading::Choice { when, then, otherwise: Some(otherwise) } if asks_for_it => {
            let told = |value: Box<Reading>| Box::new(told_of(test, *value));
            Reading::Choice { when, then: told(then), otherwise: Some(told(otherwise)) }
        }
        Reading::Constant(_) if asks_for_it => Reading::Constant((test == Test::Defined).into()),
        value if asks_for_it && value.as_unset().is_some() => {
            Reading::Constant((test == Test::Undefined).into())
        }
        value => Reading::Is(test, Box::new(value)),
    }
}

fn called(call: &ast::Call<'_>, names: &Names) -> Reading {
    let arguments = arguments(&call.args, names);
    let arguments = arguments.into_iter().map(|argument| (Need::Nothing, argument));
    let (name, of) = match call.identify_call() {
        ast::CallType::Function(name) => (format!("call {name}"), None),
        ast::CallType::Method(of, name) => (format!("call .{name}"), Some(of)),
        ast::CallType::Object(of) => ("call".to_owned(), Some(of)),
    };
    let of = of.map(|of| (Need::Defined, reading(of, names)));
    other(&name, of.into_iter().chain(arguments))
}

fn arguments(arguments: &[CallArg<'_>], names: &Names) -> Vec<Reading> {
    let one = |argument: &CallArg<'_>| match argument {
        CallArg::Pos(value)
        | CallArg::Kwarg(_, value)
        | CallArg::PosSplat(value)
        | CallArg::KwargSplat(value) => reading(value, names),
    };
    arguments.iter().map(one).collect()
}
