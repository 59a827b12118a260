//! In which ways an event may satisfy its schema, given what is known of it.

use serde_json::Value as Json;

use super::known::{Known, is_truthy};
use crate::domain::rules::reads::Step;
use crate::schema::outline::{Condition, Kinds, Naming, Place, Way, When, equal};

/// The most ways that are gone through for one place.
pub(super) const WAYS_LIMIT: usize = 64;

/// How far down a condition is looked into: a schema may refer to itself, and has no end then.
const DEPTH_LIMIT: usize = 4;

/// Whether something is so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Answer {
    Yes,
    No,
    /// Some events say yes, and some no.
    Either,
    Unknown,
}

pub(super) fn container(step: &Step) -> Kinds {
    match step {
        Step::Name(_) => Kinds::OBJECT,
        // A text has items as well: its letters.
        Step::Index(_) => Kinds::ARRAY.or(Kinds::STRING),
        // A loop goes through the names of an object.
        Step::Each => Kinds::ARRAY.or(Kinds::STRING).or(Kinds::OBJECT),
    }
}

pub(super) fn child<'s>(way: &Way<'s>, step: &Step) -> Place<'s> {
    match step {
        Step::Name(name) => way.property(name),
        Step::Index(index) => way.item(Some(*index)),
        Step::Each => way.item(None),
    }
}

/// Whether an event that goes this way has something at the step.
pub(super) fn presence(way: &Way<'_>, known: &Known, step: &Step) -> Answer {
    let below = known.below(step);
    let optional = if way.vague { Answer::Unknown } else { Answer::Either };
    match below.and_then(|below| below.present) {
        Some(false) => return Answer::No,
        Some(true) => return Answer::Yes,
        None => {}
    }
    let kinds = allowed_kinds(way, known);
    if *step == Step::Each {
        let is_list = kinds != Kinds::ALL && kinds.without(Kinds::NULL) == Kinds::ARRAY;
        return if is_list && may_have(way, known, step) { Answer::Yes } else { Answer::Unknown };
    }
    if kinds == Kinds::ALL {
        return Answer::Unknown;
    }
    if kinds.without(container(step)) != Kinds::NONE {
        return optional;
    }
    match step {
        Step::Index(index) if has_item(way, known, kinds, *index) => Answer::Yes,
        Step::Name(name) if way.required.contains(name.as_str()) => Answer::Yes,
        Step::Name(name) if way.excludes(name) => Answer::No,
        Step::Name(name) if way.naming(name) == Naming::Unsaid => Answer::Unknown,
        Step::Index(_) | Step::Name(_) | Step::Each => optional,
    }
}

/// Whether there is an item with this index for sure, or a letter.
fn has_item(way: &Way<'_>, known: &Known, kinds: Kinds, index: usize) -> bool {
    let is_filled = known.truthy == Some(true) || kinds.without(known.never_empty()) == Kinds::NONE;
    let is_later = |step: &Step| matches!(step, Step::Index(at) if *at > index);
    index < least(way, kinds)
        || (index == 0 && is_filled)
        || candidates(way, known).is_some_and(|all| all.iter().all(|value| has_at(value, index)))
        || known.children().any(|(step, at)| is_later(step) && at.present == Some(true))
}

fn has_at(value: &Json, index: usize) -> bool {
    let letter = || value.as_str().and_then(|text| text.chars().nth(index));
    value.get(index).is_some() || letter().is_some()
}

/// How many items there are at least, or letters.
fn least(way: &Way<'_>, kinds: Kinds) -> usize {
    let stated = match (kinds.meets(Kinds::ARRAY), kinds.meets(Kinds::STRING)) {
        (true, true) => way.min_items.min(way.min_letters),
        (true, false) => way.min_items,
        (false, _) => way.min_letters,
    };
    usize::try_from(stated).unwrap_or(usize::MAX)
}

pub(super) fn allowed_kinds(way: &Way<'_>, known: &Known) -> Kinds {
    let mut kinds = way.likely_kinds().and(known.kinds);
    if known.truthy == Some(false) {
        let filled = [
            (way.min_items > 0, Kinds::ARRAY),
            (way.min_letters > 0, Kinds::STRING),
            (!way.required.is_empty(), Kinds::OBJECT),
        ];
        // What has something in it counts as true.
        let filled = filled.iter().filter(|(is_filled, _)| *is_filled).map(|(_, kinds)| *kinds);
        kinds = kinds.without(filled.fold(known.never_empty(), Kinds::or));
    }
    match candidates(way, known) {
        Some(values) => values.iter().fold(Kinds::NONE, |all, value| all.or(Kinds::of(value))),
        None => kinds,
    }
}

fn has_enough(way: &Way<'_>, value: &Json) -> bool {
    if let Some(items) = value.as_array() {
        items.len() as u64 >= way.min_items
    } else {
        value.as_str().is_none_or(|text| text.chars().count() as u64 >= way.min_letters)
    }
}

/// The values that may be here, where they are counted.
pub(super) fn candidates<'a>(way: &'a Way<'_>, known: &'a Known) -> Option<Vec<&'a Json>> {
    let fits = |value: &&Json| {
        way.kinds.meets(Kinds::of(value)) && has_enough(way, value) && known.allows(value)
    };
    match (&way.values, known.values()) {
        (Some(values), _) => Some(values.iter().copied().filter(fits).collect()),
        (None, Some(values)) => Some(values.filter(fits).collect()),
        (None, None) => None,
    }
}

/// Whether an event that is known so may satisfy the schema at all.
pub(super) fn is_possible(root: &Place<'_>, known: &Known) -> bool {
    !possible(root, known).is_empty()
}

/// The ways that go together with what is known, their conditions answered.
pub(super) fn possible<'s>(place: &Place<'s>, known: &Known) -> Vec<Way<'s>> {
    let mut ways = possible_below(place, known, 0);
    // What tells one way from another may be something that is known in words alone.
    let is_doubtful = |way: &Way<'s>| {
        known.children().any(|(step, below)| {
            let here = child(way, step);
            let tells_apart = ways.iter().any(|other| !child(other, step).is_same(&here));
            tells_apart && !is_told(&here, below)
        })
    };
    let doubtful: Vec<bool> = ways.iter().map(is_doubtful).collect();
    for (way, is_doubtful) in ways.iter_mut().zip(doubtful) {
        way.uncertain |= is_doubtful;
    }
    ways
}

/// Whether it can be told of what is known that it goes together with the schema, or that it does not.
fn is_told(place: &Place<'_>, known: &Known) -> bool {
    let is_clear = |way: &Way<'_>| !(way.partial || way.vague);
    known.present == Some(false)
        || known.is_unknown()
        || !known.touched
            && place.ways().iter().all(|way| {
                is_clear(way)
                    && known.children().all(|(step, below)| is_told(&child(way, step), below))
            })
}

/// The same, asked for by a condition so far above.
fn possible_below<'s>(place: &Place<'s>, known: &Known, depth: usize) -> Vec<Way<'s>> {
    if place.outline().is_given_up() {
        return vec![Way::unknown(place.outline())];
    }
    let mut open = place.ways();
    let mut ways = Vec::new();
    while let Some(mut way) = open.pop() {
        if !goes_with(&way, known, depth) {
            continue;
        }
        let Some(Condition { when, then, requires, otherwise }) = way.conditions.pop() else {
            ways.push(way);
            continue;
        };
        let answer = answer(&when, &way, known, depth);
        if answer != Answer::No {
            let mut narrowed = vec![way.clone()];
            if let When::Holds(schema) = &when {
                narrowed = way.and(schema);
            }
            open.extend(narrowed.iter().flat_map(|way| way.and(&then)).map(|mut way| {
                way.required.extend(&requires);
                way.uncertain |= answer == Answer::Unknown;
                way
            }));
        }
        if answer != Answer::Yes {
            // What holds without the condition may be what makes it true.
            let without = way.and(&otherwise).into_iter();
            let without =
                without.filter(|way| self::answer(&when, way, known, depth) != Answer::Yes);
            let denied = sole_property(&when);
            open.extend(without.map(|mut way| {
                way.required.extend(denied);
                way.uncertain |= answer == Answer::Unknown;
                way
            }));
        }
        if open.len() + ways.len() > WAYS_LIMIT {
            return vec![Way::unknown(way.outline())];
        }
    }
    ways
}

/// The property that an `if` asks about, if it asks nothing else: an event without it would satisfy
/// the `if`, so whatever does not has it.
fn sole_property<'s>(when: &When<'s>) -> Option<&'s str> {
    let When::Holds(schema) = when else { return None };
    let ways = schema.ways();
    let [asked] = ways.as_slice() else { return None };
    let mut names = asked.names();
    let name = names.next()?;
    let asks_more = asked.partial
        || names.next().is_some()
        || asked.kinds != Kinds::ALL
        || asked.values.is_some()
        || !asked.required.is_empty()
        || !asked.conditions.is_empty();
    (!asks_more).then_some(name)
}

fn goes_with(way: &Way<'_>, known: &Known, depth: usize) -> bool {
    if allowed_kinds(way, known) == Kinds::NONE
        || candidates(way, known).is_some_and(|left| left.is_empty())
    {
        return false;
    }
    // What must be there and can't be.
    if way.likely_kinds() == Kinds::OBJECT
        && way.required.iter().any(|name| way.property(name).ways().is_empty())
    {
        return false;
    }
    let contains_only = |step| way.kinds.and(known.kinds).without(container(step)) == Kinds::NONE;
    known.children().all(|(step, below)| match (below.present, step) {
        (None, _) | (Some(false), Step::Each) => true,
        (Some(false), Step::Name(name)) => {
            !(contains_only(step) && way.required.contains(name.as_str()))
        }
        (Some(false), Step::Index(index)) => {
            let kinds = allowed_kinds(way, known);
            !(contains_only(step) && has_item(way, known, kinds, *index))
        }
        (Some(true), _) => {
            may_have(way, known, step)
                && !possible_below(&child(way, step), below, depth).is_empty()
        }
    })
}

/// Whether there may be something at the step.
fn may_have(way: &Way<'_>, known: &Known, step: &Step) -> bool {
    let has = |value: &&Json| match step {
        Step::Name(name) => value.get(name).is_some(),
        Step::Index(index) => has_at(value, *index),
        Step::Each => is_truthy(value),
    };
    // What has something in it counts as true.
    known.truthy != Some(false)
        && way.kinds.meets(container(step))
        && !matches!(step, Step::Name(name) if way.excludes(name))
        && candidates(way, known).is_none_or(|values| values.iter().any(has))
}

fn answer(when: &When<'_>, way: &Way<'_>, known: &Known, depth: usize) -> Answer {
    match when {
        When::Has(name) => presence(way, known, &Step::Name((*name).to_owned())),
        When::Holds(schema) => {
            let asked = schema.ways();
            let answers: Vec<Answer> =
                asked.iter().map(|asked| holds(asked, way, known, depth)).collect();
            if answers.contains(&Answer::Yes) {
                Answer::Yes
            } else if answers.iter().all(|answer| *answer == Answer::No) {
                Answer::No
            } else if answers.contains(&Answer::Unknown) || several_may(&answers) {
                Answer::Unknown
            } else {
                Answer::Either
            }
        }
    }
}

/// Two answers that are each yes for some events may be so for all of them together.
fn several_may(answers: &[Answer]) -> bool {
    answers.iter().filter(|answer| **answer != Answer::No).count() > 1
}

/// Whether a value that goes one way, and is known so, satisfies what another way asks.
fn holds(asked: &Way<'_>, way: &Way<'_>, known: &Known, depth: usize) -> Answer {
    if known.touched || !asked.conditions.is_empty() {
        return Answer::Unknown;
    }
    let mut answers = Vec::new();
    if asked.partial {
        answers.push(Answer::Unknown);
    }
    let kinds = allowed_kinds(way, known);
    answers.push(among(kinds.meets(asked.kinds), kinds.without(asked.kinds) != Kinds::NONE));
    if let Some(values) = &asked.values {
        let is_asked = |value: &&Json| values.iter().any(|one| equal(one, value));
        let booleans = [Json::Bool(true), Json::Bool(false)];
        let left = if kinds == Kinds::BOOLEAN {
            Some(booleans.iter().filter(|value| known.allows(value)).collect())
        } else {
            candidates(way, known)
        };
        let may_be = |value: &&Json| kinds.meets(Kinds::of(value)) && known.allows(value);
        answers.push(match left {
            Some(left) => among(left.iter().any(is_asked), !left.iter().all(is_asked)),
            None if !values.iter().any(may_be) => Answer::No,
            None if way.partial => Answer::Unknown,
            // There are always other texts and numbers.
            None => Answer::Either,
        });
    }
    for name in &asked.required {
        answers.push(presence(way, known, &Step::Name((*name).to_owned())));
    }
    for name in asked.names() {
        answers.push(property_holds(asked, way, known, name, depth));
    }
    if answers.contains(&Answer::No) {
        Answer::No
    } else if answers.contains(&Answer::Unknown) {
        Answer::Unknown
    } else if answers.contains(&Answer::Either) {
        Answer::Either
    } else {
        Answer::Yes
    }
}

/// A property that is not there satisfies everything.
fn property_holds(
    asked: &Way<'_>,
    way: &Way<'_>,
    known: &Known,
    name: &str,
    depth: usize,
) -> Answer {
    let step = Step::Name(name.to_owned());
    let there = presence(way, known, &step);
    if there == Answer::No {
        return Answer::Yes;
    }
    if depth == DEPTH_LIMIT {
        return Answer::Unknown;
    }
    let (nothing, depth) = (Known::default(), depth + 1);
    let below = known.below(&step).unwrap_or(&nothing);
    let when = When::Holds(asked.property(name));
    let ways = possible_below(&way.property(name), below, depth);
    let answers: Vec<Answer> = ways.iter().map(|way| answer(&when, way, below, depth)).collect();
    let all = |wanted| answers.iter().all(|answer| *answer == wanted);
    if all(Answer::Yes) {
        Answer::Yes
    } else if answers.contains(&Answer::Unknown) || there == Answer::Unknown {
        Answer::Unknown
    } else if all(Answer::No) && there == Answer::Yes {
        Answer::No
    } else {
        Answer::Either
    }
}

fn among(some: bool, others: bool) -> Answer {
    match (some, others) {
        (true, false) => Answer::Yes,
        (false, _) => Answer::No,
        (true, true) => Answer::Either,
    }
}
