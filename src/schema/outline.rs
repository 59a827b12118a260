//! What a schema says of the values at a place of the event, for whoever wants to know before any
//! event comes: which properties there are, which are required, which types and values are allowed.
//!
//! A schema is looked at as the *ways* in which a value may satisfy it: `anyOf` and `oneOf` give a
//! way each, `allOf` and `$ref` narrow a way down. What can't be told that way leaves a mark on it,
//! so that nobody takes "not said" for "not so".

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicU32, Ordering};

use serde_json::Value;

use super::files::{index_of, percent_decoded};

mod kinds;
mod read;

pub use kinds::{Kinds, equal};

use read::ways_of;

/// The most ways that a place is taken apart into; beyond, nothing is said of it.
const WAYS_LIMIT: usize = 64;
/// The most schemas that are looked at for one place.
const VISITS_LIMIT: usize = 2_000;

/// The most ways that are looked at in all, a fraction of a second's work; the shipped schemas take some
/// thousand. A few dozen conditions that depend on each other would take hours, while a changed
/// configuration, or token, waits.
const WORK_LIMIT: u32 = 300_000;

/// So many properties are as much work as a way.
const USUAL_SIZE: usize = 16;

/// The documents of a schema, the topic's own first, their references resolved.
#[derive(Debug, Default)]
pub struct Outline {
    documents: Vec<Value>,
    /// How many ways have been looked at.
    work: AtomicU32,
}

/// A place of the event: all of these schemas hold there. None: nothing is said of it.
#[derive(Clone, Debug)]
pub struct Place<'s> {
    outline: &'s Outline,
    schemas: Vec<&'s Value>,
}

/// One way in which a value at a place may satisfy its schemas.
#[expect(clippy::struct_excessive_bools, reason = "each is a doubt of its own")]
#[derive(Clone, Debug)]
pub struct Way<'s> {
    outline: &'s Outline,
    /// The types that are stated; all of them where none is.
    pub kinds: Kinds,
    /// The values of `enum` and `const`.
    pub values: Option<Vec<&'s Value>>,
    pub required: BTreeSet<&'s str>,
    pub min_items: u64,
    pub min_letters: u64,
    pub texts: Texts,
    /// Those that wait for an answer before they narrow the way down.
    pub conditions: Vec<Condition<'s>>,
    /// Something else may have a say in which properties there are.
    pub vague: bool,
    /// There are keywords whose answer can't be foretold.
    pub partial: bool,
    /// It may be that no event goes this way.
    pub uncertain: bool,
    properties: BTreeMap<&'s str, Vec<&'s Value>>,
    /// Schemas of properties that are not named.
    others: Vec<&'s Value>,
    /// Properties that are not named are allowed in so many words.
    is_open: bool,
    /// There are no properties but these.
    closed_to: Option<BTreeSet<&'s str>>,
    prefix: Vec<Vec<&'s Value>>,
    items: Vec<&'s Value>,
    /// Objects or arrays, if anything is said of what is in them.
    described: Kinds,
}

/// `if`, `then` and `else`, or what depends on a property.
#[derive(Clone, Debug)]
pub struct Condition<'s> {
    pub when: When<'s>,
    pub then: Place<'s>,
    /// Properties that are required then.
    pub requires: Vec<&'s str>,
    pub otherwise: Place<'s>,
}

#[derive(Clone, Debug)]
pub enum When<'s> {
    Holds(Place<'s>),
    Has(&'s str),
}

/// What a way says of its texts, beside their `enum` and `const`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Texts {
    Any,
    /// By a `format` that says something else than a point in time.
    NoTime,
    /// A point in time, by `format: date-time`; or whatever a pattern allows, which is not looked
    /// into.
    Bounded,
}

/// What a way says of a property's name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Naming {
    /// Nothing at all: neither of this property nor of others.
    Unsaid,
    /// It is named, or properties that are not named are allowed in so many words.
    Allowed,
    /// Others are named, and this one is not.
    NotNamed,
}

impl Outline {
    pub(super) fn new(documents: Vec<Value>) -> Self {
        Self { documents, work: AtomicU32::new(0) }
    }

    /// The event itself.
    pub fn root(&self) -> Place<'_> {
        Place { outline: self, schemas: self.documents.first().into_iter().collect() }
    }

    /// Whether the schema has more alternatives than were followed, so that not all that is wrong has been
    /// told.
    pub fn is_given_up(&self) -> bool {
        self.work.load(Ordering::Relaxed) >= WORK_LIMIT
    }

    /// Takes work into account, if it may still be done; that of one way is 1.
    pub fn may_do(&self, work: usize) -> bool {
        let may = !self.is_given_up();
        if may {
            self.work.fetch_add(u32::try_from(work).unwrap_or(WORK_LIMIT), Ordering::Relaxed);
        }
        may
    }

    /// The schema that a resolved reference names, where it is a JSON pointer.
    fn target(&self, reference: &str) -> Option<&Value> {
        let (address, fragment) = reference.split_once('#').unwrap_or((reference, ""));
        self.documents.get(index_of(address)?)?.pointer(&percent_decoded(fragment)?)
    }
}

impl<'s> Place<'s> {
    pub fn outline(&self) -> &'s Outline {
        self.outline
    }

    /// Whether the very same schemas hold at both.
    pub fn is_same(&self, other: &Self) -> bool {
        let same = |(one, other): (&&Value, &&Value)| std::ptr::eq(*one, *other);
        self.schemas.len() == other.schemas.len()
            && self.schemas.iter().zip(&other.schemas).all(same)
    }

    /// The ways in which a value may be here; none where no value may.
    pub fn ways(&self) -> Vec<Way<'s>> {
        let mut visits = VISITS_LIMIT;
        let mut ways = vec![Way::anything(self.outline)];
        for schema in &self.schemas {
            ways = product(&ways, &ways_of(self.outline, schema, &mut visits));
        }
        if visits == 0 { vec![Way::unknown(self.outline)] } else { ways }
    }
}

impl<'s> Way<'s> {
    fn anything(outline: &'s Outline) -> Self {
        Self {
            outline,
            kinds: Kinds::ALL,
            values: None,
            required: BTreeSet::new(),
            min_items: 0,
            min_letters: 0,
            texts: Texts::Any,
            conditions: Vec::new(),
            vague: false,
            partial: false,
            uncertain: false,
            properties: BTreeMap::new(),
            others: Vec::new(),
            is_open: false,
            closed_to: None,
            prefix: Vec::new(),
            items: Vec::new(),
            described: Kinds::NONE,
        }
    }

    /// A way of which nothing can be told.
    pub fn unknown(outline: &'s Outline) -> Self {
        Self { vague: true, partial: true, ..Self::anything(outline) }
    }

    pub fn outline(&self) -> &'s Outline {
        self.outline
    }

    /// The types that a value may have. Whoever names properties and no type means an object.
    pub fn likely_kinds(&self) -> Kinds {
        if self.kinds != Kinds::ALL {
            self.kinds
        } else if let Some(values) = &self.values {
            values.iter().fold(Kinds::NONE, |kinds, value| kinds.or(Kinds::of(value)))
        } else if self.described == Kinds::OBJECT || self.described == Kinds::ARRAY {
            self.described
        } else {
            Kinds::ALL
        }
    }

    pub fn names(&self) -> impl Iterator<Item = &'s str> {
        self.properties.keys().copied()
    }

    pub fn naming(&self, name: &str) -> Naming {
        if self.properties.contains_key(name) || self.is_open || self.required.contains(name) {
            Naming::Allowed
        } else if self.described.meets(Kinds::OBJECT) {
            Naming::NotNamed
        } else {
            Naming::Unsaid
        }
    }

    /// Whether there can't be a property of this name.
    pub fn excludes(&self, name: &str) -> bool {
        self.closed_to.as_ref().is_some_and(|names| !names.contains(name))
    }

    pub fn property(&self, name: &str) -> Place<'s> {
        let named = self.properties.get(name);
        self.place(named.unwrap_or(&self.others).clone())
    }

    /// The item at an index, or each of them.
    pub fn item(&self, index: Option<usize>) -> Place<'s> {
        let place = match index {
            Some(index) => self.prefix.get(index).unwrap_or(&self.items).clone(),
            None if self.prefix.is_empty() => self.items.clone(),
            None => Vec::new(),
        };
        self.place(place)
    }

    /// The ways that remain when the value must satisfy these schemas as well.
    pub fn and(&self, place: &Place<'s>) -> Vec<Self> {
        product(std::slice::from_ref(self), &place.ways())
    }

    fn place(&self, schemas: Vec<&'s Value>) -> Place<'s> {
        Place { outline: self.outline, schemas }
    }

    /// What it costs to narrow it down, in ways of a usual size.
    fn work_with(&self, other: &Self) -> usize {
        let size = |way: &Self| way.properties.len() + way.required.len() + way.conditions.len();
        1 + (size(self) + size(other)) / USUAL_SIZE
    }

    /// `None` where no value can satisfy both.
    fn merged(&self, other: &Self) -> Option<Self> {
        let kinds = self.kinds.and(other.kinds);
        let values = match (&self.values, &other.values) {
            (Some(some), Some(others)) => {
                let both = |value: &&&Value| others.iter().any(|other| equal(value, other));
                Some(some.iter().filter(both).copied().collect::<Vec<_>>())
            }
            (some, others) => some.clone().or_else(|| others.clone()),
        };
        if kinds == Kinds::NONE || values.as_ref().is_some_and(Vec::is_empty) {
            return None;
        }
        let mut merged = self.clone();
        (merged.kinds, merged.values) = (kinds, values);
        merged.required.extend(&other.required);
        merged.texts = self.texts.max(other.texts);
        merged.min_items = self.min_items.max(other.min_items);
        merged.min_letters = self.min_letters.max(other.min_letters);
        merged.conditions.extend(other.conditions.iter().cloned());
        for (name, schemas) in &other.properties {
            merged.properties.entry(name).or_default().extend(schemas);
        }
        merged.others.extend(&other.others);
        for (index, schemas) in other.prefix.iter().enumerate() {
            match merged.prefix.get_mut(index) {
                Some(held) => held.extend(schemas),
                None => merged.prefix.push(schemas.clone()),
            }
        }
        merged.items.extend(&other.items);
        merged.vague |= other.vague;
        merged.partial |= other.partial;
        merged.uncertain |= other.uncertain;
        merged.described = merged.described.or(other.described);
        merged.is_open |= other.is_open;
        merged.closed_to = match (&self.closed_to, &other.closed_to) {
            (Some(some), Some(others)) => Some(some & others),
            (some, others) => some.clone().or_else(|| others.clone()),
        };
        Some(merged)
    }
}

fn product<'s>(some: &[Way<'s>], others: &[Way<'s>]) -> Vec<Way<'s>> {
    let mut ways = Vec::new();
    for one in some {
        for other in others {
            if !one.outline.may_do(one.work_with(other)) {
                return vec![Way::unknown(one.outline)];
            }
            ways.extend(one.merged(other));
        }
        if ways.len() > WAYS_LIMIT {
            return vec![Way::unknown(one.outline)];
        }
    }
    ways
}
