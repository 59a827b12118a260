//! What is known of an event at some point of a rule: what the conditions on the way there have
//! shown.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use serde_json::{Value as Json, json};

use crate::domain::rules::reads::{Items, Path, Reading, Step};
use crate::schema::outline::{Kinds, equal};

/// What is known of the value at one place, and of what is below it.
#[derive(Clone, Debug)]
pub(super) struct Known {
    /// Whether there is a value; not known where it is `None`.
    pub(super) present: Option<bool>,
    /// The types that it may have, if there is one.
    pub(super) kinds: Kinds,
    /// It is one of these.
    only: Option<Vec<Json>>,
    /// It is none of these; the texts may be as many as there are rules.
    never: Vec<Json>,
    never_texts: Rc<BTreeSet<String>>,
    /// Whether it counts as true: neither false nor null, nor zero or empty.
    pub(super) truthy: Option<bool>,
    /// A condition has looked at it in a way that is not understood, and may have shown anything.
    pub(super) touched: bool,
    below: BTreeMap<Step, Known>,
}

impl Default for Known {
    fn default() -> Self {
        Self {
            present: None,
            kinds: Kinds::ALL,
            only: None,
            never: Vec::new(),
            never_texts: Rc::default(),
            truthy: None,
            touched: false,
            below: BTreeMap::new(),
        }
    }
}

impl Known {
    pub(super) fn below(&self, step: &Step) -> Option<&Self> {
        self.below.get(step)
    }

    pub(super) fn children(&self) -> impl Iterator<Item = (&Step, &Self)> {
        self.below.iter()
    }

    /// Whether nothing is known but that there is a value.
    pub(super) fn is_unknown(&self) -> bool {
        self.kinds == Kinds::ALL
            && self.only.is_none()
            && self.never.is_empty()
            && self.never_texts.is_empty()
            && self.truthy.is_none()
            && !self.touched
            && self.below.is_empty()
    }

    /// Whether it may be this value.
    pub(super) fn allows(&self, value: &Json) -> bool {
        self.kinds.meets(Kinds::of(value))
            && self.only.as_ref().is_none_or(|only| only.iter().any(|one| equal(one, value)))
            && !self.is_never(value)
            && self.truthy.is_none_or(|truthy| truthy == is_truthy(value))
    }

    fn is_never(&self, value: &Json) -> bool {
        match value.as_str() {
            Some(text) => self.never_texts.contains(text),
            None => self.never.iter().any(|one| equal(one, value)),
        }
    }

    /// The types that it may have and still be none of their empty value.
    pub(super) fn never_empty(&self) -> Kinds {
        let empty = [json!(""), json!([]), json!({})];
        let never = empty.iter().filter(|value| self.is_never(value)).map(Kinds::of);
        never.fold(Kinds::NONE, Kinds::or)
    }

    /// The values that it may have, where they are counted.
    pub(super) fn values(&self) -> Option<impl Iterator<Item = &Json>> {
        let only = self.only.as_ref()?;
        Some(only.iter().filter(|value| self.allows(value)))
    }
}

/// One thing that a condition shows of a place.
#[derive(Clone, Debug)]
pub(super) enum Fact {
    Present,
    Absent,
    Kinds(Kinds),
    Only(Vec<Json>),
    Never(Vec<Json>),
    Truthy(bool),
}

/// One of the ways in which the conditions so far can have come out.
#[derive(Clone, Debug, Default)]
pub(super) struct World {
    pub(super) event: Known,
    /// Conditions that are not understood, and their answers: they give the same each time.
    answers: Vec<(Reading, bool)>,
}

impl World {
    /// With a fact more; `None` where it contradicts what is known.
    pub(super) fn with(&self, path: &Path, fact: &Fact) -> Option<Self> {
        let mut world = self.clone();
        let mut known = &mut world.event;
        for (at, step) in path.iter().enumerate() {
            known = known.below.entry(step.clone()).or_default();
            // Looking below what is missing fails, so that everything on the way is there.
            let is_there = at + 1 < path.len() || !matches!(fact, Fact::Absent);
            if known.present == Some(!is_there) {
                return None;
            }
            known.present = Some(is_there);
        }
        match fact {
            Fact::Present | Fact::Absent => {}
            Fact::Kinds(kinds) => known.kinds = known.kinds.and(*kinds),
            Fact::Only(values) => {
                let held = known.only.take();
                let allowed = |value: &&Json| {
                    held.as_ref().is_none_or(|held| held.iter().any(|one| equal(one, value)))
                };
                known.only = Some(values.iter().filter(allowed).cloned().collect());
            }
            Fact::Never(values) => {
                if values.contains(&Json::Null) {
                    known.kinds = known.kinds.without(Kinds::NULL);
                }
                for value in values {
                    match value {
                        Json::String(text) => {
                            Rc::make_mut(&mut known.never_texts).insert(text.clone());
                        }
                        Json::Null
                        | Json::Bool(_)
                        | Json::Number(_)
                        | Json::Array(_)
                        | Json::Object(_) => known.never.push(value.clone()),
                    }
                }
            }
            Fact::Truthy(truthy) => {
                if known.truthy == Some(!truthy) {
                    return None;
                }
                known.truthy = Some(*truthy);
                if *truthy {
                    known.kinds = known.kinds.without(Kinds::NULL);
                }
            }
        }
        let none_left = known.values().is_some_and(|mut values| values.next().is_none());
        (known.kinds != Kinds::NONE && !none_left).then_some(world)
    }

    /// With the answer of a condition that is not understood; `None` where it was another before.
    pub(super) fn answered(&self, condition: &Reading, answer: bool) -> Option<Self> {
        let before = self.answers.iter().find(|(held, _)| held == condition);
        if let Some((_, before)) = before {
            return (*before == answer).then(|| self.clone());
        }
        let mut world = self.clone();
        match condition.mentions() {
            Some(paths) => {
                for path in paths {
                    world.at(path).touched = true;
                }
                world.answers.push((condition.clone(), answer));
            }
            None => world.event.touched = true,
        }
        Some(world)
    }

    /// The world of whom nothing is asked any more.
    pub(super) fn unknown() -> Self {
        let mut world = Self::default();
        world.event.touched = true;
        world
    }

    /// In a round of a loop: there is an item, of which nothing is known yet.
    pub(super) fn in_loop(&self, items: &Items) -> Option<Self> {
        let mut world = self.with(&items.of, &Fact::Truthy(true))?;
        let item = Known { present: Some(true), touched: !items.any, ..Known::default() };
        world.at(&items.of).below.insert(Step::Each, item);
        Some(world)
    }

    /// Whether a condition that is not understood has looked at one of the places that a value depends
    /// on: it may have asked for that very value.
    pub(super) fn doubts(&self, reading: &Reading) -> bool {
        let is_touched = |path: &&Path| {
            let mut known = &self.event;
            for step in *path {
                match known.below(step) {
                    Some(below) if !known.touched => known = below,
                    Some(_) | None => break,
                }
            }
            known.touched
        };
        reading.mentions().is_none_or(|paths| paths.iter().any(is_touched))
    }

    fn at(&mut self, path: &Path) -> &mut Known {
        path.iter()
            .fold(&mut self.event, |known, step| known.below.entry(step.clone()).or_default())
    }
}

/// The worlds in which something is told of one of the values that the whole may have. Of one that stands
/// in for another, nothing is told where a condition may have asked for it.
pub(super) fn told_for<'w>(
    whole: &Reading,
    part: Option<&Reading>,
    worlds: &'w [World],
) -> Cow<'w, [World]> {
    // Where there is no part, nothing stands in.
    let stands_in = |part: &Reading| part.as_constant().is_some() || part.as_unset().is_some();
    if part.is_none_or(stands_in) {
        worlds.iter().filter(|world| !world.doubts(whole)).cloned().collect()
    } else {
        worlds.into()
    }
}

/// As the language counts it.
pub(super) fn is_truthy(value: &Json) -> bool {
    match value {
        Json::Null => false,
        Json::Bool(value) => *value,
        Json::Number(number) => number.as_f64() != Some(0.0),
        Json::String(text) => !text.is_empty(),
        Json::Array(items) => !items.is_empty(),
        Json::Object(entries) => !entries.is_empty(),
    }
}
