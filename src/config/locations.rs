//! Where every key of the file stands, for mistakes that show only after it was read: in an
//! expression, a template, a schema, or in what Kafka and the API say of it.

use std::collections::BTreeMap;

use super::mistake::{KeyPath, Mistake, Place, Severity};
use super::tree::{Kind, Node, place};
use crate::domain::rules::InText;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Locations {
    file: String,
    places: BTreeMap<KeyPath, Place>,
    /// Of every text, where its lines begin, as far as the file has them as they are read.
    lines: BTreeMap<KeyPath, Vec<Place>>,
}

impl Locations {
    /// Of a file that was found right, so that it has no more keys than a configuration can have.
    pub(super) fn new(file: &str, source: &str, root: &Node) -> Self {
        let (places, lines) = (BTreeMap::new(), BTreeMap::new());
        let mut locations = Self { file: file.to_owned(), places, lines };
        locations.collect(root, &KeyPath::default(), &mut Source::new(source));
        locations
    }

    /// A mistake in a key of a topic or of one of its rules, counted from 0, such as `schema`, `message`
    /// or `to.contact`; where that is left out, at what it would belong to.
    pub fn mistake_at(
        &self,
        topic: &str,
        rule: Option<usize>,
        key: &str,
        message: impl Into<String>,
    ) -> Mistake {
        self.mistake(&steps(topic, rule.map(|rule| ("rules", rule)), key), message.into())
    }

    /// The same at a place in the key's text; at the key where that is not known in the file.
    pub fn mistake_in_text(
        &self,
        topic: &str,
        rule: Option<usize>,
        key: &str,
        place: Option<InText>,
        message: impl Into<String>,
    ) -> Mistake {
        let steps = steps(topic, rule.map(|rule| ("rules", rule)), key);
        let mistake = self.mistake(&steps, message.into());
        let lines = steps.last().and_then(|path| self.lines.get(path));
        let in_file = place.zip(lines).and_then(|(InText { line, column }, lines)| {
            let start = lines.get(line)?;
            Some(Place { line: start.line, column: start.column + u64::try_from(column).ok()? })
        });
        Mistake { place: in_file.or(mistake.place), ..mistake }
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

    fn collect(&mut self, node: &Node, path: &KeyPath, source: &mut Source<'_>) {
        self.places.insert(path.clone(), place(node));
        match &node.value {
            Kind::Map(entries) => {
                for (key, value) in entries {
                    self.collect(value, &path.key(&key.value), source);
                }
            }
            Kind::List(items) => {
                for (index, item) in items.iter().enumerate() {
                    self.collect(item, &path.index(index), source);
                }
            }
            Kind::Text(text) => {
                let lines = lines(text, place(node), source);
                self.lines.extend(lines.map(|lines| (path.clone(), lines)));
            }
            Kind::Null | Kind::Bool(_) | Kind::Whole(_) | Kind::Float(_) => {}
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

/// The lines of the file. Where a column is, is found from the one asked for before: of rules that
/// all stand on one line, it would otherwise be counted from the line's beginning each time.
struct Source<'s> {
    lines: Vec<&'s str>,
    /// A line, counted from 0, a column in it, and the same column in bytes.
    last: (usize, usize, usize),
}

impl<'s> Source<'s> {
    fn new(source: &'s str) -> Self {
        Self { lines: source.lines().collect(), last: (0, 0, 0) }
    }

    /// What stands on a line from a column on, both counted from 0.
    fn rest(&mut self, line: usize, column: usize) -> Option<&'s str> {
        let text: &'s str = self.lines.get(line)?;
        let (from, start) = match self.last {
            (held, from, start) if held == line && from <= column => (from, start),
            _ => (0, 0),
        };
        let mut rest = text.get(start..)?.chars();
        rest.by_ref().take(column - from).for_each(drop);
        let rest = rest.as_str();
        let end = text.len() - rest.len();
        self.last = if rest.is_empty() { (line, 0, 0) } else { (line, column, end) };
        Some(rest)
    }
}

/// Where the lines of a text begin that starts at this place, as far as the file has them just as
/// they are read: what is folded or escaped stands elsewhere in the file than in the text.
fn lines(text: &str, start: Place, source: &mut Source<'_>) -> Option<Vec<Place>> {
    let mut texts = text.lines();
    let first = texts.next().filter(|first| !first.trim().is_empty())?;
    let at = usize::try_from(start.line).ok()?.checked_sub(1)?;
    let skipped = usize::try_from(start.column).ok()?.checked_sub(1)?;
    let rest = source.rest(at, skipped)?;
    let quoted = rest.strip_prefix(['"', '\'']);
    let inside = quoted.is_some_and(|quoted| quoted.starts_with(first));
    if !inside && !rest.starts_with(first) {
        return None;
    }
    let mut found = vec![Place { column: start.column + u64::from(inside), ..start }];
    // In quotes, and in a text without them, a line of the file is not one of the text.
    let block = if rest == first { source.lines.as_slice() } else { &[] };
    for (text, line) in texts.zip(block.iter().skip(at + 1)) {
        let Some(indentation) = line.strip_suffix(text) else { break };
        if !indentation.bytes().all(|byte| byte == b' ') {
            break;
        }
        let (line, column) = (found.len(), indentation.len() + 1);
        let count = |number: usize| u64::try_from(number).unwrap_or(u64::MAX);
        found.push(Place { line: start.line + count(line), column: count(column) });
    }
    Some(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_column_is_found_after_and_before_the_one_found_last() {
        let mut source = Source::new("กa{b, ค}\nx y");
        let asked = [(0, 1), (0, 3), (0, 3), (0, 6), (1, 2), (0, 0), (0, 99), (0, 6), (2, 0)];
        let found = asked.map(|(line, column)| source.rest(line, column).unwrap_or("none"));
        assert_eq!(found, ["a{b, ค}", "b, ค}", "b, ค}", "ค}", "y", "กa{b, ค}", "", "ค}", "none"]);
    }
}
