//! Where every key of the file stands, for mistakes that show only after it was read: in an
//! expression, a template, a schema, or in what Kafka and the API say of it.

use std::collections::BTreeMap;

use super::mistake::{KeyPath, Mistake, Place, Severity};
use super::tree::{Kind, Node, place};

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Locations {
    file: String,
    places: BTreeMap<KeyPath, Place>,
}

impl Locations {
    /// Of a file that was found right, so that it has no more keys than a configuration can have.
    pub(super) fn new(file: &str, root: &Node) -> Self {
        let mut places = BTreeMap::new();
        collect(root, &KeyPath::default(), &mut places);
        Self { file: file.to_owned(), places }
    }

    /// Where a key of a topic or of one of its rules stands, such as `schema`, `message` or
    /// `to.contact`; where it is left out, what it would belong to.
    pub fn place(&self, topic: &str, rule: Option<usize>, key: &str) -> Place {
        self.nearest(&steps(topic, rule.map(|rule| ("rules", rule)), key))
    }

    /// A mistake in a key of a topic or of one of its rules, counted from 0.
    pub fn mistake_at(
        &self,
        topic: &str,
        rule: Option<usize>,
        key: &str,
        message: impl Into<String>,
    ) -> Mistake {
        self.mistake(&steps(topic, rule.map(|rule| ("rules", rule)), key), message.into())
    }

    /// A mistake in a key of one of a topic's examples, counted from 0.
    pub fn mistake_in_example(
        &self,
        topic: &str,
        example: usize,
        key: &str,
        message: impl Into<String>,
    ) -> Mistake {
        self.mistake(&steps(topic, Some(("examples", example)), key), message.into())
    }

    /// A mistake in any other key, by the names on the way to it, such as
    /// `["kafka", "properties", "sasl.mechanism"]`.
    pub fn mistake_at_key(&self, names: &[&str], message: impl Into<String>) -> Mistake {
        let mut steps = vec![KeyPath::default()];
        for name in names {
            push(&mut steps, |path| path.key(name));
        }
        self.mistake(&steps, message.into())
    }

    fn mistake(&self, steps: &[KeyPath], message: String) -> Mistake {
        Mistake {
            file: self.file.clone(),
            place: Some(self.nearest(steps)),
            key: steps.last().map(|path| path.as_str().to_owned()).unwrap_or_default(),
            message,
            severity: Severity::Error,
        }
    }

    fn nearest(&self, steps: &[KeyPath]) -> Place {
        let found = steps.iter().rev().find_map(|path| self.places.get(path));
        found.copied().unwrap_or(Place::START)
    }
}

/// The path and all those before it, the root first.
fn steps(topic: &str, item: Option<(&str, usize)>, key: &str) -> Vec<KeyPath> {
    let mut steps = vec![KeyPath::default().key("topics")];
    push(&mut steps, |path| path.key(topic));
    if let Some((list, index)) = item {
        push(&mut steps, |path| path.key(list));
        push(&mut steps, |path| path.index(index));
    }
    for name in key.split('.') {
        push(&mut steps, |path| path.key(name));
    }
    steps
}

fn push(steps: &mut Vec<KeyPath>, next: impl FnOnce(&KeyPath) -> KeyPath) {
    if let Some(last) = steps.last() {
        steps.push(next(last));
    }
}

fn collect(node: &Node, path: &KeyPath, places: &mut BTreeMap<KeyPath, Place>) {
    places.insert(path.clone(), place(node));
    match &node.value {
        Kind::Map(entries) => {
            for (key, value) in entries {
                collect(value, &path.key(&key.value), places);
            }
        }
        Kind::List(items) => {
            for (index, item) in items.iter().enumerate() {
                collect(item, &path.index(index), places);
            }
        }
        Kind::Null | Kind::Bool(_) | Kind::Whole(_) | Kind::Float(_) | Kind::Text(_) => {}
    }
}
