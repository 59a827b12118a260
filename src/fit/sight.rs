//! What the schema says of a place of the event, given what is known of the event.

use std::collections::BTreeSet;

use serde_json::Value as Json;

use super::known::Known;
use super::possible::{
    Answer, WAYS_LIMIT, allowed_kinds, candidates, child, container, possible, presence,
};
use crate::domain::rules::reads::Step;
use crate::schema::outline::{Condition, Kinds, Naming, Place, Texts, Way, When};

/// What the schema says of a path, whatever is known of the event.
#[derive(Debug)]
pub(super) enum Described<'s> {
    As {
        kinds: Kinds,
        values: Option<Vec<&'s Json>>,
        /// What is the least that is said of its texts, where it may be one.
        texts: Option<Texts>,
    },
    /// The object that the first so many steps lead to has no property of the next one's name.
    NoSuch { at: usize, names: BTreeSet<&'s str> },
    /// What the first so many steps lead to is never an object, or a list.
    Leads { at: usize, to: Kinds },
}

/// What is to be met at a path under what is known of the event.
#[derive(Clone, Copy, Debug)]
pub(super) enum Met {
    Value(Kinds),
    /// What the first so many steps lead to may be missing.
    Missing {
        at: usize,
    },
    Unknown,
}

/// Goes down the path, through every way that the schema knows.
pub(super) fn describe<'s>(root: &Place<'s>, path: &[Step]) -> Described<'s> {
    let mut ways = every_way(root);
    for (at, step) in path.iter().enumerate() {
        let kinds = kinds_of(&ways);
        let wanted = container(step);
        // A loop goes through the letters of a text and the names of an object as well.
        if *step == Step::Each && kinds != Kinds::ARRAY {
            return Described::As { kinds: Kinds::ALL, values: None, texts: None };
        }
        if !kinds.meets(wanted) && kinds != Kinds::NONE {
            return Described::Leads { at, to: kinds };
        }
        if let Step::Name(name) = step {
            let told: Vec<Naming> = ways
                .iter()
                .filter(|way| way.likely_kinds().meets(Kinds::OBJECT))
                .map(|way| way.naming(name))
                .collect();
            if told.contains(&Naming::NotNamed) && !told.contains(&Naming::Allowed) {
                let names = ways.iter().flat_map(Way::names).collect();
                return Described::NoSuch { at, names };
            }
        }
        let places: Vec<Place<'s>> = ways
            .iter()
            .filter(|way| way.likely_kinds().meets(wanted))
            .filter(|way| !matches!(step, Step::Name(name) if way.naming(name) == Naming::NotNamed))
            .map(|way| child(way, step))
            .collect();
        ways = places.iter().flat_map(every_way).take(WAYS_LIMIT + 1).collect();
        if ways.len() > WAYS_LIMIT {
            return Described::As { kinds: Kinds::ALL, values: None, texts: None };
        }
    }
    let mut values = Some(Vec::new());
    for way in &ways {
        match (&mut values, &way.values) {
            (Some(values), Some(others)) => values.extend(others),
            _ => values = None,
        }
    }
    let texts = |way: &Way<'_>| {
        let kinds = way.likely_kinds();
        let is_text = kinds != Kinds::ALL && kinds.meets(Kinds::STRING);
        Some(way.texts).filter(|_| is_text && way.values.is_none())
    };
    Described::As {
        kinds: kinds_of(&ways),
        values: values.filter(|values| !values.is_empty()),
        texts: ways.iter().filter_map(texts).min(),
    }
}

/// The ways of a place with every condition taken both ways.
fn every_way<'s>(place: &Place<'s>) -> Vec<Way<'s>> {
    let mut open = place.ways();
    let mut ways = Vec::new();
    while let Some(mut way) = open.pop() {
        let Some(Condition { when, then, requires, otherwise }) = way.conditions.pop() else {
            ways.push(way);
            continue;
        };
        let narrowed = match &when {
            When::Holds(schema) => way.and(schema),
            When::Has(_) => vec![way.clone()],
        };
        open.extend(narrowed.iter().flat_map(|way| way.and(&then)).map(|mut way| {
            way.required.extend(&requires);
            way
        }));
        open.extend(way.and(&otherwise));
        if open.len() + ways.len() > WAYS_LIMIT {
            return vec![Way::unknown(way.outline())];
        }
    }
    ways
}

fn kinds_of(ways: &[Way<'_>]) -> Kinds {
    ways.iter().fold(Kinds::NONE, |kinds, way| kinds.or(way.likely_kinds()))
}

/// What is met at the end of the path. What is missing there does no harm where `needs_end` is false.
pub(super) fn meet(root: &Place<'_>, known: &Known, path: &[Step], needs_end: bool) -> Met {
    let nothing = Known::default();
    let (ways, known) = match walk(root, (known, &nothing), path, needs_end) {
        Ok(arrived) => arrived,
        Err(met) => return met,
    };
    let mut kinds = ways.iter().fold(Kinds::NONE, |kinds, way| kinds.or(allowed_kinds(way, known)));
    let may_be_null = |way: &Way<'_>| allowed_kinds(way, known).meets(Kinds::NULL);
    let is_clear = |way: &Way<'_>| !way.vague && may_be_null(way);
    if !ways.iter().any(|way| !way.uncertain && is_clear(way)) && !ways.iter().all(is_clear) {
        kinds = kinds.without(Kinds::NULL);
    }
    if known.touched || kinds == Kinds::ALL || kinds == Kinds::NONE {
        Met::Unknown
    } else {
        Met::Value(kinds)
    }
}

/// The values that may be met at the end of the path, where they are counted, and where nothing on
/// the way there might exclude one that is not understood here.
pub(super) fn values(root: &Place<'_>, known: &Known, path: &[Step]) -> Option<Vec<Json>> {
    let nothing = Known::default();
    for length in 0..=path.len() {
        let (ways, known) = walk(root, (known, &nothing), path.get(..length)?, true).ok()?;
        if known.touched || ways.iter().any(|way| way.vague || way.uncertain) {
            return None;
        }
    }
    let (ways, known) = walk(root, (known, &nothing), path, true).ok()?;
    let mut values = Vec::new();
    for way in &ways {
        values.extend(candidates(way, known)?.into_iter().cloned());
    }
    Some(values)
}

/// Goes down the path in the ways that are possible; what keeps from arriving, if something does.
fn walk<'s, 'k>(
    root: &Place<'s>,
    (known, nothing): (&'k Known, &'k Known),
    path: &[Step],
    needs_end: bool,
) -> Result<(Vec<Way<'s>>, &'k Known), Met> {
    // What is known may be impossible, which nobody has found out.
    if root.outline().is_given_up() {
        return Err(Met::Unknown);
    }
    let mut known = known;
    let mut ways = possible(root, known);
    for (at, step) in path.iter().enumerate() {
        if known.touched {
            return Err(Met::Unknown);
        }
        let below = known.below(step).unwrap_or(nothing);
        if below.touched {
            return Err(Met::Unknown);
        }
        let is_end = at + 1 == path.len();
        match worst(&ways, |way| presence(way, known, step)) {
            Answer::Yes => {}
            Answer::Unknown => return Err(Met::Unknown),
            Answer::No | Answer::Either if is_end && !needs_end => return Err(Met::Unknown),
            Answer::No | Answer::Either => return Err(Met::Missing { at: at + 1 }),
        }
        ways = ways.iter().flat_map(|way| below_it(way, step, below)).collect();
        if ways.len() > WAYS_LIMIT {
            return Err(Met::Unknown);
        }
        known = below;
    }
    Ok((ways, known))
}

fn below_it<'s>(way: &Way<'s>, step: &Step, below: &Known) -> impl Iterator<Item = Way<'s>> {
    let uncertain = way.uncertain;
    possible(&child(way, step), below).into_iter().map(move |mut way| {
        way.uncertain |= uncertain;
        way
    })
}

/// No before everything else, and what is not known before a yes. What one way denies that may be none
/// is not known, unless all of them deny it.
fn worst(ways: &[Way<'_>], answer: impl Fn(&Way<'_>) -> Answer) -> Answer {
    let answers: Vec<(Answer, bool)> =
        ways.iter().map(|way| (answer(way), way.uncertain)).collect();
    let denies = |answer: &Answer| matches!(answer, Answer::No | Answer::Either);
    let is_certain = |(answer, uncertain): &(Answer, bool)| denies(answer) && !uncertain;
    if answers.iter().any(is_certain) {
        Answer::No
    } else if answers.is_empty() || answers.iter().any(|(answer, _)| *answer != Answer::Yes) {
        let all = !answers.is_empty() && answers.iter().all(|(answer, _)| denies(answer));
        if all { Answer::No } else { Answer::Unknown }
    } else {
        Answer::Yes
    }
}
