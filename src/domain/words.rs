//! Words that more than one module uses: "did you mean ...?", what the operating system says of a
//! file, texts in quotes, and lengths of time.

use std::borrow::Cow;
use std::io;
use std::time::Duration;

/// Why a file can't be read or opened, in a few words and without its path.
pub fn file_reason(error: &io::Error) -> String {
    let known = [
        (io::ErrorKind::NotFound, "no such file"),
        (io::ErrorKind::PermissionDenied, "permission denied"),
        (io::ErrorKind::IsADirectory, "it is a folder"),
    ];
    let words = known.iter().find(|(kind, _)| *kind == error.kind());
    words.map_or_else(|| error.to_string(), |(_, words)| (*words).to_owned())
}

/// In quotes, and on one line whatever it holds. Unlike `Debug`, it leaves letters together with their
/// marks, without which Thai can't be read.
pub fn quoted(text: &str) -> String {
    format!("\"{}\"", text.escape_debug().to_string().replace("\\'", "'"))
}

/// In quotes, on one line, cut after `limit` characters.
pub fn quoted_up_to(text: &str, limit: usize) -> String {
    let mut shown: String = text.chars().take(limit).collect();
    if shown.len() < text.len() {
        shown.push('…');
    }
    quoted(&shown)
}

/// Cut to at most `limit` bytes, on a character's border.
pub fn bounded(text: &str, limit: usize) -> Cow<'_, str> {
    if text.len() <= limit {
        return Cow::Borrowed(text);
    }
    let end = text.floor_char_boundary(limit.saturating_sub('…'.len_utf8()));
    Cow::Owned(format!("{}…", text.split_at(end).0))
}

/// Whether this is a letter or `_`, then letters, digits and `_`: what can be the name of an
/// environment variable, or stand after a dot in an expression.
pub fn is_identifier(text: &str) -> bool {
    text.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_')
        && text.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}

/// A length of time in its two largest units, rounded down. Of less than a second, nothing.
pub fn span(duration: Duration) -> String {
    let units = [(86_400, "d"), (3_600, "h"), (60, "min"), (1, "s")];
    let mut rest = duration.as_secs();
    let largest = units.iter().position(|(size, _)| rest >= *size).unwrap_or(units.len());
    let mut said = Vec::new();
    for (size, unit) in units.iter().skip(largest).take(2) {
        if rest >= *size {
            said.push(format!("{} {unit}", rest / size));
        }
        rest %= size;
    }
    said.join(" ")
}

/// The candidate that `name` is most likely a slip of; `None` where none is near.
pub fn nearest<'a>(name: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let name = normal(name);
    // A third of the letters may be wrong: enough for a slip, too little for another word.
    let bound = name.len().clamp(3, 12) / 3;
    candidates
        .into_iter()
        .map(|candidate| (distance(&name, &normal(candidate)), candidate))
        .filter(|(distance, _)| *distance <= bound)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// How many letters two names are apart, as [`nearest`] counts them.
pub fn apart(name: &str, other: &str) -> usize {
    distance(&normal(name), &normal(other))
}

/// Names differ most often in case and in what joins their words. Long names are cut: what comes
/// from a file bounds the work.
fn normal(name: &str) -> Vec<char> {
    name.chars()
        .filter(|c| !matches!(c, '_' | '-' | '.' | ' '))
        .map(|c| c.to_ascii_lowercase())
        .take(64)
        .collect()
}

/// The least number of letters to insert, delete, replace or swap with their neighbour.
fn distance(from: &[char], to: &[char]) -> usize {
    let mut before: Vec<usize> = Vec::new();
    let mut last: Vec<usize> = (0..=to.len()).collect();
    let mut previous_letter = None;
    for (row, &letter) in from.iter().enumerate() {
        let mut current = vec![row + 1];
        let mut previous_goal = None;
        for (column, &goal) in to.iter().enumerate() {
            let at =
                |line: &[usize], column: usize| line.get(column).copied().unwrap_or(usize::MAX);
            let replaced = at(&last, column).saturating_add(usize::from(letter != goal));
            let deleted = at(&last, column + 1).saturating_add(1);
            let inserted = at(&current, column).saturating_add(1);
            let mut best = replaced.min(deleted).min(inserted);
            if previous_letter == Some(goal) && previous_goal == Some(letter) && column > 0 {
                best = best.min(at(&before, column - 1).saturating_add(1));
            }
            current.push(best);
            previous_goal = Some(goal);
        }
        before = std::mem::replace(&mut last, current);
        previous_letter = Some(letter);
    }
    last.last().copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    const NAMES: [&str; 6] = ["brokers", "group", "start", "properties", "expires_after", "to"];

    #[rstest]
    #[case::letter_missing("broker", Some("brokers"))]
    #[case::letters_swapped("brokesr", Some("brokers"))]
    #[case::other_case("Group", Some("group"))]
    #[case::other_joint("expires-after", Some("expires_after"))]
    #[case::camel_case("expiresAfter", Some("expires_after"))]
    #[case::short("ot", Some("to"))]
    #[case::another_word("colour", None)]
    #[case::empty("", None)]
    fn the_nearest_name_is_found(#[case] name: &str, #[case] expected: Option<&str>) {
        assert_eq!(nearest(name, NAMES), expected);
    }

    #[rstest]
    #[case::missing(io::ErrorKind::NotFound.into(), "no such file")]
    #[case::folder(io::ErrorKind::IsADirectory.into(), "it is a folder")]
    #[case::anything_else(io::Error::other("a stuck drum"), "a stuck drum")]
    fn a_file_that_cannot_be_read_is_told_in_a_few_words(
        #[case] error: io::Error,
        #[case] expected: &str,
    ) {
        assert_eq!(file_reason(&error), expected);
    }

    #[rstest]
    #[case::thai("คุณสมชาย ค้างส่ง", "\"คุณสมชาย ค้างส่ง\"")]
    #[case::quotes("it's \"so\"", r#""it's \"so\"""#)]
    #[case::a_backslash_before_a_quote(r"\'", r#""\\'""#)]
    #[case::lines("a\nb\t\u{1b}", r#""a\nb\t\u{1b}""#)]
    #[case::turned_around("a\u{202e}b", r#""a\u{202e}b""#)]
    fn a_text_in_quotes_can_be_read(#[case] text: &str, #[case] expected: &str) {
        assert_eq!(quoted(text), expected);
    }

    #[test]
    fn a_long_name_is_bounded() {
        assert_eq!(nearest(&"x".repeat(1_000_000), NAMES), None);
    }
}
