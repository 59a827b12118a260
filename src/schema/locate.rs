//! Where a JSON pointer leads to in the text of a file, as a line and a column.

use std::{fmt, fs};

use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

use super::SchemaMistake;

/// A place in a file; both count from 1, columns in characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct TextPlace {
    pub line: u64,
    pub column: u64,
}

/// Adds the places to mistakes that lack theirs, as far as their files can be read.
pub(super) fn locate(mistakes: &mut [SchemaMistake]) {
    for mistake in mistakes.iter_mut().filter(|mistake| mistake.place.is_none()) {
        let Ok(text) = fs::read_to_string(&mistake.file) else { continue };
        let text = text.strip_prefix('\u{feff}').unwrap_or(&text);
        mistake.place = find(text, &mistake.pointer).map(|at| place(text, at));
    }
}

fn place(text: &str, at: usize) -> TextPlace {
    let before = text.get(..at).unwrap_or_default();
    let last = before.rsplit('\n').next().unwrap_or_default();
    let count = |number: usize| u64::try_from(number).unwrap_or(u64::MAX);
    TextPlace {
        line: count(before.matches('\n').count()) + 1,
        column: count(last.chars().count()) + 1,
    }
}

/// Where the key stands that the pointer's last step names, or the item of a list.
fn find(text: &str, pointer: &str) -> Option<usize> {
    // What is borrowed from the text tells by its address where in the text it stands.
    let offset = |part: &RawValue| part.get().as_ptr().addr().checked_sub(text.as_ptr().addr());
    let mut value: &RawValue = serde_json::from_str(text).ok()?;
    let mut found = offset(value)?;
    for segment in pointer.split('/').skip(1) {
        let segment = segment.replace("~1", "/").replace("~0", "~");
        if value.get().starts_with('{') {
            let Members(members) = serde_json::from_str(value.get()).ok()?;
            let is_named = |(key, _): &(&RawValue, &RawValue)| {
                serde_json::from_str::<String>(key.get()).is_ok_and(|key| key == segment)
            };
            let (key, inner) = members.into_iter().find(is_named)?;
            (found, value) = (offset(key)?, inner);
        } else {
            let items: Vec<&RawValue> = serde_json::from_str(value.get()).ok()?;
            value = items.get(segment.parse::<usize>().ok()?).copied()?;
            found = offset(value)?;
        }
    }
    Some(found)
}

/// The members of an object as they are written, keys too.
struct Members<'t>(Vec<(&'t RawValue, &'t RawValue)>);

impl<'t> Deserialize<'t> for Members<'t> {
    fn deserialize<D: Deserializer<'t>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(Reader)
    }
}

struct Reader;

impl<'t> Visitor<'t> for Reader {
    type Value = Members<'t>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'t>>(self, mut object: A) -> Result<Members<'t>, A::Error> {
        let mut members = Vec::new();
        while let Some(member) = object.next_entry()? {
            members.push(member);
        }
        Ok(Members(members))
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    const TEXT: &str =
        "{\n  \"a\": [1, {\"b/c\": \"}\\\"]\"}, [2, 3]],\n  \"é\": {\"d\": null, \"e\": true}\n}";

    #[rstest]
    #[case::whole("", 1, 1)]
    #[case::key("/a", 2, 3)]
    #[case::item("/a/0", 2, 9)]
    #[case::in_an_item("/a/1/b~1c", 2, 13)]
    #[case::nested_list("/a/2/1", 2, 33)]
    #[case::after_letters_of_two_bytes("/é/e", 3, 20)]
    fn a_pointer_is_found(#[case] pointer: &str, #[case] line: u64, #[case] column: u64) {
        let found = find(TEXT, pointer).map(|at| place(TEXT, at));
        assert_eq!(found, Some(TextPlace { line, column }));
    }

    #[rstest]
    #[case::no_such_key(TEXT, "/b")]
    #[case::no_such_item(TEXT, "/a/7")]
    #[case::below_a_number(TEXT, "/a/0/x")]
    #[case::no_json("{\"a\"", "/a")]
    #[case::unclosed("{\"a\": [1", "/a/1")]
    #[case::empty("", "/a")]
    fn what_is_not_there_is_not_found(#[case] text: &str, #[case] pointer: &str) {
        assert_eq!(find(text, pointer), None);
    }
}
