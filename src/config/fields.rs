//! The maps and lists of the file, with the paths of what is in them.

use super::mistake::{KeyPath, Place, Severity};
use super::reader::{Reader, Seen};
use super::tree::{Entry, Kind, Node, place};
use crate::domain::words::{nearest, quoted_up_to};

/// A value with its path.
#[derive(Clone)]
pub(super) struct Item<'n> {
    pub(super) path: KeyPath,
    pub(super) node: &'n Node,
    /// Where its key stands, which is where a child that is missing would belong.
    home: Place,
    /// Neither the value nor anything below it is ever shown.
    pub(super) secret: bool,
    /// Environment variables are not expanded.
    pub(super) verbatim: bool,
}

impl<'n> Item<'n> {
    pub(super) fn root(node: &'n Node) -> Self {
        let home = Place::START;
        Self { path: KeyPath::default(), node, home, secret: false, verbatim: false }
    }

    pub(super) fn secret(mut self) -> Self {
        self.secret = true;
        self
    }

    pub(super) fn verbatim(mut self) -> Self {
        self.verbatim = true;
        self
    }

    pub(super) fn place(&self) -> Place {
        // The place of nothing is the colon before it.
        if matches!(self.node.value, Kind::Null) { self.home } else { place(self.node) }
    }

    /// A text as the file has it, before the environment is put in; empty where it is none.
    pub(super) fn written(&self) -> &'n str {
        if let Kind::Text(text) = &self.node.value { text } else { "" }
    }

    pub(super) fn is_map(&self) -> bool {
        matches!(self.node.value, Kind::Map(_))
    }

    pub(super) fn is_empty_map(&self) -> bool {
        let value = &self.node.value;
        matches!(value, Kind::Null) || matches!(value, Kind::Map(entries) if entries.is_empty())
    }

    fn child(&self, path: KeyPath, node: &'n Node, home: Place) -> Self {
        Self { path, node, home, secret: self.secret, verbatim: self.verbatim }
    }
}

/// A key that the operator chose (a channel, a topic, a property), and its value.
pub(super) struct Named<'n> {
    pub(super) name: &'n str,
    pub(super) name_place: Place,
    pub(super) item: Item<'n>,
}

/// A map whose keys are known.
pub(super) struct Fields<'n> {
    path: KeyPath,
    home: Place,
    known: Vec<Named<'n>>,
}

impl<'n> Fields<'n> {
    pub(super) fn get(&self, name: &str) -> Option<Item<'n>> {
        self.known.iter().find(|field| field.name == name).map(|field| field.item.clone())
    }
}

/// Whether a key may be shown where it could be a piece of a secret: a colon without a space
/// after it makes `password:secret` one key, and a comma makes the rest of a password a key
/// without a value.
fn is_shown(name: &str, node: &Node) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    !matches!(node.value, Kind::Null) && name.chars().all(plain)
}

impl Reader<'_> {
    /// The entries of a map, each name once; a null is an empty map.
    pub(super) fn entries<'n>(&mut self, item: &Item<'n>, expected: &str) -> Vec<Named<'n>> {
        let entries = match &item.node.value {
            Kind::Map(entries) => entries.as_slice(),
            Kind::Null => &[],
            Kind::List(_) => {
                self.expected(item, expected, "a list");
                &[]
            }
            Kind::Bool(_) | Kind::Whole(_) | Kind::Float(_) | Kind::Text(_) => {
                self.expected(item, expected, "a single value");
                &[]
            }
        };
        let mut seen = Seen::new();
        entries.iter().filter_map(|entry| self.entry(item, entry, &mut seen)).collect()
    }

    fn entry<'n>(
        &mut self,
        parent: &Item<'n>,
        (key, node): &'n Entry,
        seen: &mut Seen<'n>,
    ) -> Option<Named<'n>> {
        let (name, name_place) = (key.value.as_str(), place(key));
        let path = if parent.secret && !is_shown(name, node) {
            parent.path.clone()
        } else {
            parent.path.key(name)
        };
        if let Some(first) = seen.get(name) {
            let message = format!("duplicate key; it is already on line {}", first.line);
            let path = if parent.secret { &parent.path } else { &path };
            self.report(Severity::Error, name_place, path, message);
            return None;
        }
        seen.insert(name, name_place);
        Some(Named { name, name_place, item: parent.child(path, node, name_place) })
    }

    /// A map whose keys are known; every other key is a mistake. One that is a slip of a key that
    /// is not there is read as that key, so that the key is not missed as well, and the mistakes in
    /// its value are told.
    pub(super) fn fields<'n>(&mut self, item: &Item<'n>, known: &[&'static str]) -> Fields<'n> {
        let expected = format!("a map of {}", known.join(", "));
        let mut fields = self.entries(item, &expected);
        let mut given: Vec<&str> = fields.iter().map(|field| field.name).collect();
        for field in fields.iter_mut().filter(|field| !known.contains(&field.name)) {
            let near = self.unknown_key(item, field, known);
            if let Some(near) = near.filter(|near| !given.contains(near)) {
                field.name = near;
                given.push(near);
            }
        }
        fields.retain(|field| known.contains(&field.name));
        Fields { path: item.path.clone(), home: item.home, known: fields }
    }

    /// The known key that it is a slip of.
    fn unknown_key(
        &mut self,
        parent: &Item<'_>,
        field: &Named<'_>,
        known: &[&'static str],
    ) -> Option<&'static str> {
        let near = nearest(field.name, known.iter().copied());
        let shown = !parent.secret && (near.is_some() || is_shown(field.name, field.item.node));
        let path = if shown { &field.item.path } else { &parent.path };
        let message = match near {
            Some(near) => format!("unknown key; did you mean `{near}`?"),
            None => format!("unknown key; the keys here are {}", known.join(", ")),
        };
        self.report(Severity::Error, field.name_place, path, message);
        near
    }

    /// The map below a key; an empty one where it is left out.
    pub(super) fn section<'n>(
        &mut self,
        parent: &Fields<'n>,
        name: &str,
        known: &[&'static str],
    ) -> Fields<'n> {
        match parent.get(name) {
            Some(item) => self.fields(&item, known),
            None => Fields { path: parent.path.key(name), home: parent.home, known: Vec::new() },
        }
    }

    /// A key that must be there.
    pub(super) fn require<'n>(
        &mut self,
        fields: &Fields<'n>,
        name: &str,
        expected: &str,
    ) -> Option<Item<'n>> {
        let found = fields.get(name);
        if found.is_none() {
            self.missing(fields, name, expected);
        }
        found
    }

    pub(super) fn missing(&mut self, fields: &Fields<'_>, name: &str, expected: &str) {
        let path = fields.path.key(name);
        self.report(
            Severity::Error,
            fields.home,
            &path,
            format!("is missing; expected {expected}"),
        );
    }

    /// A warning at a key, or at the map where it is left out.
    pub(super) fn warn_at(&mut self, fields: &Fields<'_>, name: &str, message: &str) {
        let place = fields.get(name).map_or(fields.home, |item| item.place());
        self.report(Severity::Warning, place, &fields.path.key(name), message);
    }

    /// The items of a list.
    pub(super) fn list<'n>(&mut self, item: &Item<'n>, expected: &str) -> Vec<Item<'n>> {
        let Kind::List(nodes) = &item.node.value else {
            let found = match &item.node.value {
                Kind::Null => "nothing",
                Kind::Map(_) => "a map",
                Kind::Bool(_) | Kind::Whole(_) | Kind::Float(_) | Kind::Text(_) | Kind::List(_) => {
                    "a single value"
                }
            };
            self.expected(item, expected, found);
            return Vec::new();
        };
        if nodes.is_empty() {
            self.expected(item, expected, "an empty list");
        }
        let child = |(index, node)| item.child(item.path.index(index), node, place(node));
        nodes.iter().enumerate().map(child).collect()
    }

    /// A name that has to be one of several; the mistake suggests the nearest.
    pub(super) fn unknown_name<'c>(
        &mut self,
        item: &Item<'_>,
        what: &str,
        name: &str,
        known: impl Iterator<Item = &'c str> + Clone,
    ) {
        let shown = quoted_up_to(name, 40);
        let names: Vec<&str> = known.clone().take(10).collect();
        let message = match (nearest(name, known), names.as_slice()) {
            (Some(near), _) => format!("there is no {what} {shown}; did you mean `{near}`?"),
            (None, []) => format!("there is no {what} {shown}; `{what}s` is empty"),
            (None, names) => {
                format!("there is no {what} {shown}; expected one of {}", names.join(", "))
            }
        };
        self.error(item, message);
    }
}
