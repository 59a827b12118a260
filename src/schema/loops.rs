//! References that go in a circle without taking a step into the event.
//!
//! A schema may well refer to itself (a tree does), as long as every round goes one level deeper
//! into the event: events are at most 128 levels deep. A round that stays where it is would never
//! end.

use std::collections::BTreeMap;

use serde_json::Value;

use super::files::{Document, index_of, percent_decoded};
use super::{SchemaMistake, keywords};

/// A schema: its document and its JSON pointer there.
type Place = (usize, String);

#[derive(Clone, Copy, PartialEq, Eq)]
enum Mark {
    Open,
    Done,
}

/// A mistake for every circle.
pub(super) fn find(documents: &[Document]) -> Vec<SchemaMistake> {
    let mut search = Search { documents, marks: BTreeMap::new(), mistakes: Vec::new() };
    for (index, document) in documents.iter().enumerate() {
        let mut schema = document.schema.clone();
        let mut places = Vec::new();
        keywords::visit(&mut schema, &mut |_, pointer| places.push(pointer.to_owned()));
        for pointer in places {
            search.enter((index, pointer), 0);
        }
    }
    search.mistakes
}

struct Search<'d> {
    documents: &'d [Document],
    marks: BTreeMap<Place, Mark>,
    mistakes: Vec<SchemaMistake>,
}

/// The longest chain of references that stay in place.
const CHAIN_LIMIT: usize = 200;

impl Search<'_> {
    /// Whether a circle, or a chain beyond all measure, goes through `place`.
    fn enter(&mut self, place: Place, depth: usize) -> bool {
        match self.marks.get(&place) {
            Some(Mark::Done) => return false,
            Some(Mark::Open) => return true,
            None => {}
        }
        if depth > CHAIN_LIMIT {
            return true;
        }
        self.marks.insert(place.clone(), Mark::Open);
        for (keyword, next) in self.steps(&place) {
            if self.enter(next, depth + 1) {
                self.add(&place, keyword);
            }
        }
        self.marks.insert(place, Mark::Done);
        false
    }

    fn add(&mut self, (index, pointer): &Place, keyword: &str) {
        let Some(document) = self.documents.get(*index) else { return };
        let mut pointer = pointer.clone();
        keywords::push(&mut pointer, keyword);
        self.mistakes.push(SchemaMistake {
            file: document.path.clone(),
            pointer,
            place: None,
            message: "refers back to itself without descending into the event, so validation would never end; put it below `properties` or `items`"
                .to_owned(),
        });
    }

    /// The schemas that apply to the same value as the one at `place`.
    fn steps(&self, (index, pointer): &Place) -> Vec<(&'static str, Place)> {
        let schema =
            self.documents.get(*index).and_then(|document| document.schema.pointer(pointer));
        let Some(Value::Object(schema)) = schema else { return Vec::new() };
        let mut steps = Vec::new();
        let below = |keyword: &str, segment: Option<&str>| {
            let mut place = pointer.clone();
            keywords::push(&mut place, keyword);
            if let Some(segment) = segment {
                keywords::push(&mut place, segment);
            }
            (*index, place)
        };
        for keyword in ["if", "then", "else", "not"] {
            if schema.contains_key(keyword) {
                steps.push((keyword, below(keyword, None)));
            }
        }
        for keyword in ["allOf", "anyOf", "oneOf"] {
            let items = schema.get(keyword).and_then(Value::as_array).map_or(0, Vec::len);
            steps.extend((0..items).map(|at| (keyword, below(keyword, Some(&at.to_string())))));
        }
        let dependent = schema.get("dependentSchemas").and_then(Value::as_object);
        for name in dependent.into_iter().flat_map(serde_json::Map::keys) {
            steps.push(("dependentSchemas", below("dependentSchemas", Some(name))));
        }
        for keyword in ["$ref", "$dynamicRef"] {
            let target = schema.get(keyword).and_then(Value::as_str).and_then(target);
            steps.extend(target.map(|place| (keyword, place)));
        }
        steps
    }
}

/// The place that a resolved reference names, where it is a JSON pointer.
fn target(reference: &str) -> Option<Place> {
    let (address, fragment) = reference.split_once('#').unwrap_or((reference, ""));
    Some((index_of(address)?, percent_decoded(fragment)?))
}
