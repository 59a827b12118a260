//! Whether a topic's rules fit its schema, told before any event comes: what they read must exist,
//! what may be missing or null must be guarded, and what is compared must be comparable.
//!
//! The rules are gone through as the language would, with a set of *worlds*: what the conditions on
//! the way have shown of the event. Where the schema or a condition says something that is not
//! understood, nothing is told: a doubt is no mistake.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::sync::Arc;

use serde_json::Value as Json;

use crate::domain::message::Channel;
use crate::domain::rules::reads::{
    Comparison, Need, Path, Reading, RuleReads, Statement, Step, TopicReads,
};
use crate::domain::rules::{Spot, TopicRules, time_of};
use crate::domain::words::{is_identifier, quoted};
use crate::schema::outline::{Kinds, Outline, Place, Texts};

mod booleans;
mod compare;
mod conditions;
mod known;
mod needs;
mod order;
mod possible;
mod sight;
mod words;

use conditions::{assume, bounded};
use known::{Fact, World, told_for};
use sight::{Described, Met};

/// Something in a topic's rules that does not fit its schema.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Misfit {
    /// The index of the rule; none where it is the topic's own.
    pub rule: Option<usize>,
    /// The configuration's key: `when`, `message`, `event_time` and so on.
    pub key: &'static str,
    pub message: String,
    /// Where in the key's text, as far as it is known.
    pub spot: Option<Spot>,
    /// It does no harm: it is only of no use.
    pub is_warning: bool,
}

/// Every misfit of a topic's rules; `channels` are those that they may choose from.
pub fn check(
    outline: &Outline,
    rules: &TopicRules,
    channels: &BTreeMap<Arc<str>, Channel>,
) -> Vec<Misfit> {
    let reads = TopicReads::of(rules);
    let root = outline.root();
    let mut check = Check { root, channels, found: Vec::new(), rule: None, key: "", lines: None };
    let start = [World::default()];
    if let Some(event_time) = &reads.event_time {
        check.at(None, "event_time");
        check.expression(event_time, &start, Need::Time);
    }
    let mut remaining = order::Remaining::new(rules);
    for (index, rule) in reads.rules.iter().enumerate() {
        let asked = remaining.worlds().to_vec();
        let matched = check.rule(index, rule, &asked);
        let never = remaining.after(&check.root, index, rule, &matched);
        // A condition that has a mistake already never matches because of it.
        if let Some(message) = never.filter(|_| !check.has_mistake(index, "when")) {
            check.at(Some(index), "when");
            check.add(message, None, true);
        }
    }
    if outline.is_given_up() {
        check.at(None, "schema");
        check.add(words::GIVEN_UP.to_owned(), None, true);
    }
    check.found
}

/// What is being looked at, and what was found so far.
struct Check<'s> {
    root: Place<'s>,
    channels: &'s BTreeMap<Arc<str>, Channel>,
    found: Vec<Misfit>,
    rule: Option<usize>,
    key: &'static str,
    /// The lines of the template that are looked at.
    lines: Option<(usize, usize)>,
}

impl Check<'_> {
    fn at(&mut self, rule: Option<usize>, key: &'static str) {
        (self.rule, self.key, self.lines) = (rule, key, None);
    }

    fn add(&mut self, message: String, path: Option<&Path>, is_warning: bool) {
        let spot = match (self.lines, path.map(|path| shown(path))) {
            (Some((from, to)), Some(code)) => Some(Spot::Among(from, to, code)),
            (Some((from, _)), None) => Some(Spot::Line(from)),
            (None, code) => code.map(Spot::Code),
        };
        self.add_at(message, spot, is_warning);
    }

    /// The same is told once, however many worlds and places it is met in.
    fn add_at(&mut self, message: String, spot: Option<Spot>, is_warning: bool) {
        let misfit = Misfit { rule: self.rule, key: self.key, message, spot, is_warning };
        let is_same = |found: &Misfit| {
            let told = |misfit: &Misfit| (misfit.rule, misfit.key, misfit.is_warning);
            told(found) == told(&misfit) && found.message == misfit.message
        };
        if !self.found.iter().any(is_same) {
            self.found.push(misfit);
        }
    }

    fn has_mistake(&self, rule: usize, key: &str) -> bool {
        self.found.iter().any(|found| found.rule == Some(rule) && found.key == key)
    }

    /// Looks at a rule that is asked in these worlds; those in which it matches.
    fn rule(&mut self, index: usize, rule: &RuleReads, asked: &[World]) -> Vec<World> {
        let when = rule.when.as_ref().unwrap_or(&Reading::Anything);
        // A rule that is never asked is looked at all the same: its mistakes are not gone by that.
        let all = [World::default()];
        let worlds = if asked.is_empty() { &all } else { asked };
        self.at(Some(index), "when");
        self.expression(when, worlds, Need::Condition);
        let matched = assume(&self.root, when, true, worlds);
        // A constant is looked at when the rules are compiled.
        let reads = |(_, _, reading): &&(_, _, _)| !matches!(reading, Reading::Constant(_));
        for (key, need, expression) in rule.expressions.iter().filter(reads) {
            self.at(Some(index), key);
            self.expression(expression, &matched, *need);
        }
        self.at(Some(index), "message");
        self.statements(&rule.message, &matched);
        if asked.is_empty() { Vec::new() } else { matched }
    }

    fn statements(&mut self, statements: &[Statement], worlds: &[World]) {
        for statement in statements {
            self.statement(statement, worlds);
        }
    }

    fn statement(&mut self, statement: &Statement, worlds: &[World]) {
        match statement {
            Statement::Lines(from, to) => self.lines = Some((*from, *to)),
            Statement::Emit(reading) => self.expression(reading, worlds, Need::Text),
            Statement::Braces { inside, is_variable, line } => {
                let message =
                    if *is_variable { words::variable(inside) } else { words::braces(inside) };
                self.add_at(message, Some(Spot::Line(*line)), true);
            }
            Statement::Evaluate(reading) => self.expression(reading, worlds, Need::Nothing),
            Statement::If { condition, then, otherwise } => {
                self.expression(condition, worlds, Need::Defined);
                self.statements(then, &assume(&self.root, condition, true, worlds));
                self.statements(otherwise, &assume(&self.root, condition, false, worlds));
            }
            Statement::For { over, items, filter, body, otherwise } => {
                self.expression(over, worlds, Need::Looped);
                let mut inside: Vec<World> = match items {
                    Some(items) => worlds
                        .iter()
                        .filter_map(|world| world.in_loop(items))
                        .filter(|world| possible::is_possible(&self.root, &world.event))
                        .collect(),
                    None => worlds.to_vec(),
                };
                if let Some(filter) = filter {
                    self.expression(filter, &inside, Need::Defined);
                    inside = assume(&self.root, filter, true, &inside);
                }
                self.statements(body, &inside);
                self.statements(otherwise, worlds);
            }
        }
    }

    fn expression(&mut self, reading: &Reading, worlds: &[World], need: Need) {
        self.result(reading, worlds, need);
        match reading {
            Reading::Path(path) => self.path(path, worlds, need),
            Reading::Constant(value) if !worlds.is_empty() => {
                if need == Need::Channel && !self.is_channel(value) {
                    let message = words::no_channel(value, self.channels.keys());
                    self.add(message, None, false);
                } else if !needs::is_met(need, value) {
                    self.add(words::constant(value, need), None, false);
                }
            }
            Reading::Constant(_) | Reading::Anything => {}
            Reading::Not(inner) => self.expression(inner, worlds, Need::Defined),
            Reading::Is(_, inner) => self.expression(inner, worlds, Need::Nothing),
            Reading::And(one, other) | Reading::Or(one, other) => {
                let needs = if need == Need::Condition { need } else { Need::Defined };
                self.expression(one, worlds, needs);
                let goes_on = matches!(reading, Reading::And(..));
                let worlds = assume(&self.root, one, goes_on, worlds);
                self.expression(other, &worlds, needs);
            }
            Reading::Compare(comparison, one, other) => {
                let in_list = matches!(comparison, Comparison::In | Comparison::NotIn);
                self.expression(one, worlds, Need::Defined);
                self.expression(other, worlds, if in_list { Need::Items } else { Need::Defined });
                let path = one.as_path().or(other.as_path());
                for message in compare::objections(&self.root, *comparison, one, other) {
                    self.add(message, path, false);
                }
            }
            Reading::Choice { when, then, otherwise } => {
                self.expression(when, worlds, Need::Defined);
                let those = told_for(reading, Some(then), worlds);
                self.expression(then, &assume(&self.root, when, true, &those), need);
                let those = told_for(reading, otherwise.as_deref(), worlds);
                let others = assume(&self.root, when, false, &those);
                match otherwise {
                    Some(otherwise) => self.expression(otherwise, &others, need),
                    None if others.is_empty() || needs::allows_nothing(need) => {}
                    None => self.add(words::NO_ELSE.to_owned(), None, false),
                }
            }
            Reading::Default { value, other, or_empty } => {
                self.default(reading, (value, other), *or_empty, (worlds, need));
            }
            Reading::Other { name, parts } => {
                if let ("+", [(_, one), (_, other)]) = (name.as_str(), parts.as_slice())
                    && let Some(message) = compare::unlike(&self.root, one, other)
                {
                    self.add(message, None, false);
                }
                if let Some(name) = reading.as_unset()
                    && need != Need::Nothing
                    && !worlds.is_empty()
                {
                    self.add(words::not_always_set(name), None, false);
                }
                for (need_of_it, part) in parts {
                    // The engine multiplies texts; the others are told when the rules are compiled.
                    let is_fine = name == "*" || matches!(need_of_it, Need::Currency | Need::Zone);
                    if !(is_fine && part.as_constant().is_some()) {
                        self.expression(part, worlds, needs::of_part(*need_of_it, need));
                    }
                }
            }
        }
    }

    /// Looks at the type that comes of an operation.
    fn result(&mut self, reading: &Reading, worlds: &[World], need: Need) {
        let fitting = needs::fitting(need);
        if !fitting.meets(Kinds::BOOLEAN) && booleans::is_one(&self.root, reading, worlds) {
            let message = if need == Need::Text {
                words::BOOLEAN_IN_A_TEXT.to_owned()
            } else {
                words::gives("this", Kinds::BOOLEAN, need)
            };
            return self.add(message, None, false);
        }
        if let Some((what, kinds)) = needs::result(reading)
            && !(fitting.meets(kinds) || worlds.is_empty())
        {
            self.add(words::gives(&what, kinds, need), None, false);
        }
    }

    /// The value where there is one, the other where there is none.
    fn default(
        &mut self,
        whole: &Reading,
        (value, other): (&Reading, &Reading),
        or_empty: bool,
        (worlds, need): (&[World], Need),
    ) {
        self.expression(value, worlds, Need::Nothing);
        let Reading::Path(path) = value else {
            self.expression(other, worlds, Need::Nothing);
            return;
        };
        let there = if or_empty { Fact::Truthy(true) } else { Fact::Present };
        let mut elsewhere = vec![Fact::Absent];
        elsewhere.extend(or_empty.then_some(Fact::Truthy(false)));
        let with = |facts: &[Fact]| -> Vec<World> {
            let worlds = worlds.iter();
            let with = worlds.flat_map(|world| facts.iter().map(|fact| world.with(path, fact)));
            let with = with.flatten();
            bounded(with.filter(|world| possible::is_possible(&self.root, &world.event)).collect())
        };
        let (given, replaced) = (with(&[there]), with(&elsewhere));
        self.expression(value, &given, need);
        self.expression(other, &told_for(whole, Some(other), &replaced), need);
    }

    fn path(&mut self, path: &Path, worlds: &[World], need: Need) {
        let described = match sight::describe(&self.root, path) {
            Described::NoSuch { at, names } => {
                return self.add(words::no_such(path, at, &names), Some(path), false);
            }
            Described::Leads { at, to } => {
                return self.add(words::leads(path, at, to), Some(path), false);
            }
            Described::As { kinds, values, texts } => {
                match texts.filter(|_| need == Need::Time) {
                    Some(Texts::NoTime) if kinds.without(Kinds::NULL) == Kinds::STRING => {
                        return self.add(words::another_format(path), Some(path), false);
                    }
                    Some(Texts::Any | Texts::NoTime) => {
                        self.add(words::any_text(path), Some(path), true);
                    }
                    Some(Texts::Bounded) | None => {}
                }
                let is_time = |value: &&Json| time_of(value).is_some();
                if let Some(values) = values.filter(|all| !all.iter().any(is_time))
                    && need == Need::Time
                {
                    return self.add(words::never_a_time(path, &values), Some(path), false);
                }
                kinds
            }
        };
        if need == Need::Name {
            return;
        }
        for world in worlds {
            if let Some(message) = self.met(path, world, need, described) {
                self.add(message, Some(path), false);
            }
        }
        if matches!(need, Need::Channel | Need::Currency | Need::Zone) {
            self.chosen(path, worlds, need);
        }
    }

    /// Values of which the schema says that they may come, and that name nothing that there is.
    fn chosen(&mut self, path: &Path, worlds: &[World], need: Need) {
        let exists = |value: &Json| {
            if need == Need::Channel { self.is_channel(value) } else { needs::is_met(need, value) }
        };
        let may_come = |known| sight::values(&self.root, known, path).unwrap_or_default();
        let values = worlds.iter().flat_map(|world| may_come(&world.event));
        let others = values.filter(|value| !value.is_null() && !exists(value));
        let others: BTreeSet<String> = others.map(|value| words::written(&value)).collect();
        if !others.is_empty() {
            let message = words::not_all_exist(path, others, need, self.channels.keys());
            self.add(message, Some(path), true);
        }
    }

    fn is_channel(&self, value: &Json) -> bool {
        value.as_str().is_some_and(|name| self.channels.contains_key(name))
    }

    fn met(&self, path: &Path, world: &World, need: Need, described: Kinds) -> Option<String> {
        let needs_end = need != Need::Nothing;
        let (kinds, may_be_null) = match sight::meet(&self.root, &world.event, path, needs_end) {
            Met::Missing { at } => {
                // That something is missing is told before what is missing of it.
                let itself = words::missing(path.get(..at).unwrap_or(path), at);
                let told = |found: &Misfit| {
                    (found.rule, found.key) == (self.rule, self.key) && found.message == itself
                };
                let is_told = at < path.len() && self.found.iter().any(told);
                return (!is_told).then(|| words::missing(path, at));
            }
            Met::Unknown => (described, false),
            Met::Value(kinds) => (kinds, kinds.meets(Kinds::NULL)),
        };
        let null = if needs::allows_null(need) { Kinds::NULL } else { Kinds::NONE };
        let fitting = needs::fitting(need).or(null);
        if described != Kinds::ALL && !kinds.meets(fitting) {
            return Some(words::wrong_type(path, (described, kinds), need));
        }
        (may_be_null && !needs::allows_null(need)).then(|| words::null(path))
    }
}

/// The path as the language writes it.
fn shown(path: &[Step]) -> String {
    let mut shown = "event".to_owned();
    for step in path {
        match step {
            Step::Name(name) if is_identifier(name) => {
                shown.push('.');
                shown.push_str(name);
            }
            Step::Name(name) => {
                let _ = write!(shown, "[{}]", quoted(name));
            }
            Step::Index(index) => {
                let _ = write!(shown, "[{index}]");
            }
            Step::Each => shown.push_str("[…]"),
        }
    }
    shown
}

#[cfg(test)]
mod tests;
