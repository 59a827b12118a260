//! The engine's syntax tree of an expression → what it reads.

use std::collections::BTreeMap;

use minijinja::Value;
use minijinja::machinery::ast::{self, BinOpKind, CallArg, CompareOpKind, Expr, UnaryOpKind};
use minijinja::machinery::parse_expr;
use serde_json::Value as Json;

use super::super::names;
use super::super::{ChannelSource, Expiry, RecipientSource, RuleSource};
use super::filters::filtered;
use super::{Comparison, Need, Reading, RuleReads, Step, Test, UNSET, is_order, template};

/// What the names of a template stand for.
pub(super) type Names = BTreeMap<String, Reading>;

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
    match &source.to {
        RecipientSource::Contact(to) => add("to", Need::Contact, to),
        RecipientSource::LineUser(to) => add("to", Need::User, to),
    }
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
            None => other(&format!("name {}", variable.id), []),
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
            let of = [(Need::Sliced, reading(&slice.expr, names))];
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

/// What a name stands for until the template has set it.
pub(super) fn before_set(name: &str) -> Reading {
    match name {
        "event" => Reading::Path(Vec::new()),
        "record" | "loop" => Reading::Anything,
        _ => other(&format!("{UNSET}{name}"), []),
    }
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
    // All others hold, or don't, of what there is not.
    let need = match test.name {
        "startingwith" | "endingwith" => Need::Defined,
        _ => Need::Nothing,
    };
    let arguments = arguments(&test.args, names);
    let arguments = arguments.into_iter().map(|argument| (need, argument));
    let value = [(need, value)];
    other(&format!("is {}", test.name), value.into_iter().chain(arguments))
}

/// Whether a name is set is known of each of the branches that may have set it.
fn told_of(test: Test, value: Reading) -> Reading {
    if let Reading::Choice { when, then, otherwise } = value {
        let told = |value: Box<Reading>| Box::new(told_of(test, *value));
        let nothing = || Box::new(Reading::Constant((test == Test::Undefined).into()));
        let otherwise = Some(otherwise.map_or_else(nothing, told));
        return Reading::Choice { when, then: told(then), otherwise };
    }
    if value.as_unset().is_some() {
        return Reading::Constant((test == Test::Undefined).into());
    }
    Reading::Is(test, Box::new(value))
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

pub(super) fn arguments(arguments: &[CallArg<'_>], names: &Names) -> Vec<Reading> {
    let one = |argument: &CallArg<'_>| match argument {
        CallArg::Pos(value)
        | CallArg::Kwarg(_, value)
        | CallArg::PosSplat(value)
        | CallArg::KwargSplat(value) => reading(value, names),
    };
    arguments.iter().map(one).collect()
}
