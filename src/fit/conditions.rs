//! What a condition shows of an event by being true, or false.

use serde_json::Value as Json;

use super::compare::is_zero_or_one;
use super::known::{Fact, World, is_truthy};
use super::possible::is_possible;
use crate::domain::rules::reads::{Comparison, Path, Reading, Test};
use crate::schema::outline::{Kinds, Place, equal};

/// The most worlds that are told apart; beyond, nothing is said of what follows.
const WORLDS_LIMIT: usize = 32;
/// The largest condition that is taken apart, in parts.
const SIZE_LIMIT: usize = 300;

/// As many worlds as are told apart.
pub(super) fn bounded(worlds: Vec<World>) -> Vec<World> {
    if worlds.len() > WORLDS_LIMIT { vec![World::unknown()] } else { worlds }
}

/// The worlds in which a condition holds, and those in which it does not.
struct Outcome {
    holds: Vec<World>,
    fails: Vec<World>,
}

/// Those of the worlds, taken apart where needed, in which `condition` is `truth`.
pub(super) fn assume(
    root: &Place<'_>,
    condition: &Reading,
    truth: bool,
    worlds: &[World],
) -> Vec<World> {
    let condition = if condition.size() > SIZE_LIMIT { &Reading::Anything } else { condition };
    let outcome = outcome(root, condition, worlds);
    if truth { outcome.holds } else { outcome.fails }
}

/// Each part of a condition is gone through once for all worlds, which keeps the work in bounds.
fn outcome(root: &Place<'_>, condition: &Reading, worlds: &[World]) -> Outcome {
    let part = |part: &Reading, worlds: &[World]| outcome(root, part, worlds);
    let outcome = match condition {
        Reading::Not(inner) => {
            let Outcome { holds, fails } = part(inner, worlds);
            Outcome { holds: fails, fails: holds }
        }
        Reading::And(one, other) => {
            let first = part(one, worlds);
            let second = part(other, &first.holds);
            Outcome { holds: second.holds, fails: joined(first.fails, second.fails) }
        }
        Reading::Or(one, other) => {
            let first = part(one, worlds);
            let second = part(other, &first.fails);
            Outcome { holds: joined(first.holds, second.holds), fails: second.fails }
        }
        Reading::Choice { when, then, otherwise: Some(otherwise) } => {
            let when = part(when, worlds);
            let (first, second) = (part(then, &when.holds), part(otherwise, &when.fails));
            Outcome {
                holds: joined(first.holds, second.holds),
                fails: joined(first.fails, second.fails),
            }
        }
        Reading::Constant(_)
        | Reading::Path(_)
        | Reading::Is(..)
        | Reading::Default { .. }
        | Reading::Compare(..)
        | Reading::Choice { .. }
        | Reading::Other { .. }
        | Reading::Anything => {
            let in_those = |truth| {
                let those = worlds.iter();
                those.flat_map(|world| told(root, condition, truth, world)).collect()
            };
            Outcome { holds: in_those(true), fails: in_those(false) }
        }
    };
    Outcome { holds: bounded(outcome.holds), fails: bounded(outcome.fails) }
}

fn joined(mut some: Vec<World>, others: Vec<World>) -> Vec<World> {
    some.extend(others);
    some
}

/// What a condition without parts tells of one world by being `truth`.
fn told(root: &Place<'_>, condition: &Reading, truth: bool, world: &World) -> Vec<World> {
    if let Some(answer) = answer_without_event(condition) {
        return if answer == truth { vec![world.clone()] } else { Vec::new() };
    }
    match shown(condition, truth) {
        Some((path, facts)) => {
            let with = facts.iter().filter_map(|fact| world.with(path, fact));
            with.filter(|world| is_possible(root, &world.event)).collect()
        }
        None => world.answered(condition, truth).into_iter().collect(),
    }
}

/// The answer where it has nothing to do with the event.
fn answer_without_event(condition: &Reading) -> Option<bool> {
    if let Reading::Is(test, of) = condition {
        let stands_in =
            matches!(&**of, Reading::Default { other, .. } if other.as_constant().is_some());
        return match kinds_of(*test) {
            // Where a constant stands in, there is always one of the two.
            None if stands_in || of.as_constant().is_some() => Some(*test == Test::Defined),
            None => None,
            Some(kinds) => Some(kinds.meets(Kinds::of(of.as_constant()?))),
        };
    }
    if let Some(value) = condition.as_constant() {
        return Some(is_truthy(value));
    }
    let Reading::Compare(comparison, one, other) = condition else { return None };
    let (one, other) = (one.as_constant()?, other.as_constant()?);
    // To the language `true` is `1`.
    let is_alike = Kinds::of(one) == Kinds::of(other) || one.is_null() || other.is_null();
    let is_equal = matches!(comparison, Comparison::Equal);
    let is_comparison = is_equal || matches!(comparison, Comparison::NotEqual);
    (is_comparison && is_alike).then(|| equal(one, other) == is_equal)
}

/// A path, and the ways in which it may be for the condition to come out so; `None` where the
/// condition is not understood.
fn shown(condition: &Reading, truth: bool) -> Option<(&Path, Vec<Fact>)> {
    if let Reading::Is(test, of) = condition {
        return tested(*test, of, truth);
    }
    if let Reading::Compare(comparison, one, other) = condition {
        return compared(*comparison, one, other, truth);
    }
    let Reading::Default { value, other, or_empty } = condition else {
        return Some((condition.as_path()?, vec![Fact::Truthy(truth)]));
    };
    let (path, other) = (value.as_path()?, is_truthy(other.as_constant()?));
    let mut facts = vec![Fact::Truthy(truth)];
    if other == truth {
        facts.push(Fact::Absent);
    }
    // In the place of what is empty, the other would be taken.
    (!(other && *or_empty)).then_some((path, facts))
}

/// What a test shows of a path, or of the path that a constant stands in for: each of the facts is one
/// way in which it can come out so.
fn tested(test: Test, of: &Reading, truth: bool) -> Option<(&Path, Vec<Fact>)> {
    let Some(kinds) = kinds_of(test) else {
        let is_there = (test == Test::Defined) == truth;
        return Some((of.as_path()?, vec![if is_there { Fact::Present } else { Fact::Absent }]));
    };
    let fact = Fact::Kinds(if truth { kinds } else { Kinds::ALL.without(kinds) });
    let (path, absent_too) = if let Reading::Default { value, other, or_empty: false } = of {
        (value.as_path()?, kinds.meets(Kinds::of(other.as_constant()?)) == truth)
    } else {
        (of.as_path()?, !truth)
    };
    Some((path, if absent_too { vec![Fact::Absent, fact] } else { vec![fact] }))
}

/// The types that a test asks for; none where it asks whether there is a value.
fn kinds_of(test: Test) -> Option<Kinds> {
    match test {
        Test::Defined | Test::Undefined => None,
        Test::Null => Some(Kinds::NULL),
        Test::String => Some(Kinds::STRING),
        Test::Number => Some(Kinds::NUMBER.or(Kinds::BOOLEAN)),
        Test::Boolean => Some(Kinds::BOOLEAN),
        Test::List => Some(Kinds::ARRAY),
        Test::Object => Some(Kinds::OBJECT),
    }
}

/// What the comparison of a path with constants shows.
fn compared<'r>(
    comparison: Comparison,
    one: &'r Reading,
    other: &'r Reading,
    truth: bool,
) -> Option<(&'r Path, Vec<Fact>)> {
    let (positive, values) = match (comparison, one, other) {
        (Comparison::Equal | Comparison::NotEqual, Reading::Constant(value), _)
        | (Comparison::Equal | Comparison::NotEqual, _, Reading::Constant(value)) => {
            (comparison == Comparison::Equal, vec![value.clone()])
        }
        (Comparison::In | Comparison::NotIn, _, Reading::Constant(Json::Array(values))) => {
            (comparison == Comparison::In, values.clone())
        }
        _ => return None,
    };
    let of = if matches!(one, Reading::Constant(_)) { other } else { one };
    // To the language `true` is `1`, which it is to no schema.
    if values.iter().any(is_zero_or_one) {
        return None;
    }
    let is_so = positive == truth;
    let fact = if is_so { Fact::Only(values.clone()) } else { Fact::Never(values.clone()) };
    if let Reading::Default { value, other, or_empty: false } = of {
        let (path, other) = (value.as_path()?, other.as_constant()?);
        let by_default = values.iter().any(|value| equal(value, other)) == is_so;
        return Some((path, if by_default { vec![Fact::Absent, fact] } else { vec![fact] }));
    }
    Some((of.as_path()?, vec![fact]))
}
