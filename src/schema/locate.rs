//! Where a JSON pointer leads to in the text of a file, as a line and a column.

use std::fs;

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
    let mut scan = Scan { text, at: 0 };
    scan.space();
    let mut found = scan.at;
    for segment in pointer.split('/').skip(1) {
        let segment = segment.replace("~1", "/").replace("~0", "~");
        found = match scan.next()? {
            '{' => scan.member(&segment)?,
            '[' => scan.item(segment.parse().ok()?)?,
            _ => return None,
        };
    }
    Some(found)
}

/// Goes through a JSON text. Of a text that is none, it finds something or nothing.
struct Scan<'t> {
    text: &'t str,
    at: usize,
}

impl Scan<'_> {
    fn rest(&self) -> &str {
        self.text.get(self.at..).unwrap_or_default()
    }

    fn space(&mut self) {
        self.at += self.rest().len() - self.rest().trim_start().len();
    }

    /// The next character that is no white space, which is passed over.
    fn next(&mut self) -> Option<char> {
        self.space();
        let next = self.rest().chars().next()?;
        self.at += next.len_utf8();
        Some(next)
    }

    /// In an object: goes to the value of a key; where the key stands.
    fn member(&mut self, name: &str) -> Option<usize> {
        loop {
            self.space();
            let key_at = self.at;
            self.value()?;
            let key = self.text.get(key_at..self.at)?;
            if self.next()? != ':' {
                return None;
            }
            if serde_json::from_str::<String>(key).is_ok_and(|key| key == name) {
                self.space();
                return Some(key_at);
            }
            self.value()?;
            if self.next()? != ',' {
                return None;
            }
        }
    }

    /// In a list: goes to an item; where it stands.
    fn item(&mut self, index: usize) -> Option<usize> {
        for _ in 0..index {
            self.value()?;
            if self.next()? != ',' {
                return None;
            }
        }
        self.space();
        Some(self.at)
    }

    /// Passes over a value.
    fn value(&mut self) -> Option<()> {
        let mut depth = 0_usize;
        loop {
            match self.next()? {
                '"' => self.string()?,
                '{' | '[' => depth += 1,
                '}' | ']' => depth = depth.checked_sub(1)?,
                ',' | ':' => {}
                _ => self.at += self.rest().find([',', ']', '}', ':', ' ', '\n', '\r', '\t'])?,
            }
            if depth == 0 {
                return Some(());
            }
        }
    }

    /// Passes over the rest of a string.
    fn string(&mut self) -> Option<()> {
        let mut escaped = false;
        for (at, letter) in self.rest().char_indices() {
            match letter {
                _ if escaped => escaped = false,
                '\\' => escaped = true,
                '"' => {
                    self.at += at + 1;
                    return Some(());
                }
                _ => {}
            }
        }
        None
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
