//! The engine's syntax tree of a template → its statements, with the names that it sets resolved.

use std::collections::BTreeSet;

use minijinja::machinery::ast::{self, Expr, Stmt};
use minijinja::machinery::parse;

use super::super::names;
use super::items::items;
use super::lower::{Names, before_set, other, reading};
use super::{Need, Path, Reading, Statement, Step};
use crate::domain::words::is_identifier;

/// The largest value that a name stands for as it is. A name that is set by means of others could
/// otherwise double at each step.
const NAME_LIMIT: usize = 30;
/// The longest that is taken for a name in single braces, in bytes.
const SHOWN_LIMIT: usize = 100;

/// None where the template does not parse, or is too long to be parsed safely.
pub(super) fn statements(source: &str) -> Vec<Statement> {
    if names::too_long(source, &names::template(source)).is_some() {
        return Vec::new();
    }
    match parse(source, "message", minijinja::syntax::SyntaxConfig::default()) {
        Ok(Stmt::Template(template)) => {
            let mut set = Vec::new();
            in_branches(&template.children, &mut set);
            let names = set.into_iter().map(|name| (name.to_owned(), before_set(name))).collect();
            Lowering { names, unknowns: 0, loops: Vec::new() }.block(&template.children)
        }
        Ok(_) | Err(_) => Vec::new(),
    }
}

/// What stands in single braces as a name would, such as `{ event.id }` or `${NAME}`.
fn braces(text: &str, mut line: usize) -> impl Iterator<Item = Statement> {
    // A name of another script has no ending that tells it from a word that is meant to stand there.
    let is_any_step = |step: &str| {
        let stands = |letter: char| letter.is_alphanumeric() || letter == '_' || !letter.is_ascii();
        !step.is_empty() && step.chars().all(|letter| stands(letter) && !letter.is_whitespace())
    };
    let is_path = move |name: &str| {
        name.starts_with("event.") && name.split('.').all(is_any_step)
            || name.split('.').all(is_identifier)
    };
    let mut pieces = text.split('{');
    let mut before = pieces.next().unwrap_or_default();
    line += before.matches('\n').count();
    pieces.filter_map(move |opened| {
        let at = line;
        line += opened.matches('\n').count();
        let is_variable = std::mem::replace(&mut before, opened).ends_with('$');
        let (inside, _) = opened.split_once('}')?;
        let is_name = inside.len() <= SHOWN_LIMIT && is_path(inside.trim());
        // `${event.total}` is more likely a sum in dollars.
        let is_variable = is_variable && !inside.contains('.');
        is_name.then(|| Statement::Braces { inside: inside.to_owned(), is_variable, line: at })
    })
}

struct Lowering {
    names: Names,
    /// Tells one value that is not known apart from another.
    unknowns: usize,
    /// The lists that the loops around go through.
    loops: Vec<Path>,
}

impl Lowering {
    fn block(&mut self, statements: &[Stmt<'_>]) -> Vec<Statement> {
        let mut lowered = Vec::new();
        for statement in statements {
            let (from, to) = lines(statement);
            lowered.push(Statement::Lines(from, to));
            self.statement(statement, &mut lowered);
        }
        lowered
    }

    fn reading(&self, expression: &Expr<'_>) -> Reading {
        reading(expression, &self.names)
    }

    fn statement(&mut self, statement: &Stmt<'_>, out: &mut Vec<Statement>) {
        match statement {
            Stmt::Template(template) => out.extend(self.block(&template.children)),
            Stmt::EmitExpr(emit) => out.push(Statement::Emit(self.reading(&emit.expr))),
            Stmt::EmitRaw(raw) => out.extend(braces(raw.raw, raw.span().start_line.into())),
            Stmt::ForLoop(each) => out.push(self.each(each)),
            Stmt::IfCond(condition) => out.push(self.condition(condition)),
            Stmt::WithBlock(with) => {
                let before = self.names.clone();
                for (target, value) in &with.assignments {
                    out.push(Statement::Evaluate(self.reading(value)));
                    let value = self.reading(value);
                    self.assign(target, value);
                }
                out.extend(self.block(&with.body));
                self.names = before;
            }
            Stmt::Set(set) => {
                let value = self.reading(&set.expr);
                out.push(Statement::Evaluate(value.clone()));
                self.assign(&set.target, value);
            }
            Stmt::SetBlock(set) => {
                out.extend(self.block(&set.body));
                out.extend(set.filter.iter().map(|it| Statement::Evaluate(self.reading(it))));
                self.assign(&set.target, Reading::Anything);
            }
            Stmt::AutoEscape(escape) => out.extend(self.block(&escape.body)),
            Stmt::FilterBlock(filter) => {
                out.push(Statement::Evaluate(self.reading(&filter.filter)));
                out.extend(self.block(&filter.body));
            }
            Stmt::Do(call) => {
                for argument in &call.call.args {
                    let (ast::CallArg::Pos(value)
                    | ast::CallArg::Kwarg(_, value)
                    | ast::CallArg::PosSplat(value)
                    | ast::CallArg::KwargSplat(value)) = argument;
                    out.push(Statement::Evaluate(self.reading(value)));
                }
            }
        }
    }

    fn set(&mut self, name: String, value: Reading) {
        let value = if value.size() > NAME_LIMIT { self.summary(&value) } else { value };
        self.names.insert(name, value);
    }

    fn assign(&mut self, target: &Expr<'_>, value: Reading) {
        if let Expr::Var(name) = target {
            return self.set(name.id.to_owned(), value);
        }
        // A field of a namespace is set, or several names at once.
        for name in assigned(target) {
            self.names.insert(name.to_owned(), Reading::Anything);
        }
    }

    /// A value of which only what it depends on is known.
    fn summary(&mut self, value: &Reading) -> Reading {
        self.unknowns += 1;
        let name = format!("unknown {}", self.unknowns);
        value.mentions().map_or(Reading::Anything, |paths| {
            let parts = paths.into_iter().map(|path| (Need::Nothing, Reading::Path(path.clone())));
            other(&name, parts)
        })
    }

    /// What a body sets, it sets for what follows as well: the condition chooses there.
    fn condition(&mut self, condition: &ast::IfCond<'_>) -> Statement {
        let test = self.reading(&condition.expr);
        let before = self.names.clone();
        let then = self.block(&condition.true_body);
        let after_then = std::mem::replace(&mut self.names, before);
        let otherwise = self.block(&condition.false_body);
        let after_otherwise = self.names.clone();
        let names: BTreeSet<&String> = after_then.keys().chain(after_otherwise.keys()).collect();
        for name in names {
            let value = |names: &Names| names.get(name).cloned().unwrap_or(Reading::Anything);
            let (one, other) = (value(&after_then), value(&after_otherwise));
            if one != other {
                let value = if one == Reading::Anything || other == Reading::Anything {
                    Reading::Anything
                } else {
                    let when = Box::new(test.clone());
                    Reading::Choice { when, then: Box::new(one), otherwise: Some(Box::new(other)) }
                };
                self.set(name.clone(), value);
            }
        }
        Statement::If { condition: test, then, otherwise }
    }

    fn each(&mut self, each: &ast::ForLoop<'_>) -> Statement {
        let over = self.reading(&each.iter);
        let before = self.names.clone();
        // A name that the body sets still has its value in the next round.
        let mut set = Vec::new();
        names_set(&each.body, &mut set);
        for name in &set {
            self.names.insert((*name).to_owned(), Reading::Anything);
        }
        // Of two loops over one list, the path could not tell whose item it is.
        let items = items(&each.iter, &self.names)
            .filter(|items| !each.recursive && !self.loops.contains(&items.of));
        let item = match &items {
            Some(items) => Reading::Path(items.of.iter().cloned().chain([Step::Each]).collect()),
            None => self.summary(&over),
        };
        if let Expr::Var(name) = &each.target {
            self.names.insert(name.id.to_owned(), item);
        } else {
            let part = self.summary(&item);
            for name in assigned(&each.target) {
                self.names.insert(name.to_owned(), part.clone());
            }
        }
        let filter = each.filter_expr.as_ref().map(|filter| self.reading(filter));
        self.loops.extend(items.iter().map(|items| items.of.clone()));
        let body = self.block(&each.body);
        self.loops.truncate(self.loops.len() - usize::from(items.is_some()));
        self.names = before;
        // The fields of a namespace, unlike a plain name, keep what the body has set.
        for name in set {
            if let Some(held) = self.names.get_mut(name)
                && held.as_unset().is_none()
            {
                *held = Reading::Anything;
            }
        }
        let otherwise = self.block(&each.else_body);
        Statement::For { over, items, filter, body, otherwise }
    }
}

/// The lines that a statement stands on, counted from 1; of a block, that on which its head begins.
fn lines(statement: &Stmt<'_>) -> (usize, usize) {
    let (span, is_block) = match statement {
        Stmt::Template(it) => (it.span(), true),
        Stmt::ForLoop(it) => (it.span(), true),
        Stmt::IfCond(it) => (it.span(), true),
        Stmt::WithBlock(it) => (it.span(), true),
        Stmt::SetBlock(it) => (it.span(), true),
        Stmt::AutoEscape(it) => (it.span(), true),
        Stmt::FilterBlock(it) => (it.span(), true),
        Stmt::EmitExpr(it) => (it.span(), false),
        Stmt::EmitRaw(it) => (it.span(), false),
        Stmt::Set(it) => (it.span(), false),
        Stmt::Do(it) => (it.span(), false),
    };
    let from = span.start_line.into();
    (from, if is_block { from } else { span.end_line.into() })
}

/// The names that a target assigns to.
fn assigned<'a>(target: &Expr<'a>) -> Vec<&'a str> {
    if let Expr::Var(name) = target {
        vec![name.id]
    } else if let Expr::GetAttr(attribute) = target {
        assigned(&attribute.expr)
    } else if let Expr::List(list) = target {
        list.items.iter().flat_map(assigned).collect()
    } else if let Expr::Tuple(tuple) = target {
        tuple.items.iter().flat_map(assigned).collect()
    } else {
        Vec::new()
    }
}

/// The names that are set within an `if`, from which on they stand for what follows as well. The engine
/// takes them for unknown, although it would find them.
pub(in super::super) fn set_in_branches(source: &str) -> BTreeSet<String> {
    let mut found = Vec::new();
    if let Ok(template) = parse(source, "message", minijinja::syntax::SyntaxConfig::default()) {
        in_branches(std::slice::from_ref(&template), &mut found);
    }
    found.into_iter().map(str::to_owned).collect()
}

fn in_branches<'a>(statements: &[Stmt<'a>], found: &mut Vec<&'a str>) {
    for statement in statements {
        if matches!(statement, Stmt::IfCond(_)) {
            names_set(std::slice::from_ref(statement), found);
        } else {
            for block in blocks(statement) {
                in_branches(block, found);
            }
        }
    }
}

/// The names that are set anywhere below.
fn names_set<'a>(statements: &[Stmt<'a>], found: &mut Vec<&'a str>) {
    for statement in statements {
        if let Stmt::Set(set) = statement {
            found.extend(assigned(&set.target));
        } else if let Stmt::SetBlock(set) = statement {
            found.extend(assigned(&set.target));
        }
        for block in blocks(statement) {
            names_set(block, found);
        }
    }
}

/// The blocks of statements directly within a statement.
fn blocks<'s, 'a>(statement: &'s Stmt<'a>) -> [&'s [Stmt<'a>]; 2] {
    match statement {
        Stmt::IfCond(it) => [&it.true_body, &it.false_body],
        Stmt::ForLoop(it) => [&it.body, &it.else_body],
        Stmt::WithBlock(it) => [&it.body, &[]],
        Stmt::SetBlock(it) => [&it.body, &[]],
        Stmt::AutoEscape(it) => [&it.body, &[]],
        Stmt::FilterBlock(it) => [&it.body, &[]],
        Stmt::Template(it) => [&it.children, &[]],
        Stmt::EmitExpr(_) | Stmt::EmitRaw(_) | Stmt::Set(_) | Stmt::Do(_) => [&[], &[]],
    }
}
