//! Regular expressions in a schema that can't be compiled, and why.

use super::lint::options;
use crate::domain::words::bounded;

/// The longest pattern that is told whole, in bytes.
const SHOWN: usize = 80;

const LOOK_AROUND: &str = "; look-around is not supported";
const BACK_REFERENCE: &str = "; back-references are not supported";

/// What other languages have, and what to say of it.
const FOREIGN: [(&str, &str); 9] = [
    ("(?=", LOOK_AROUND),
    ("(?!", LOOK_AROUND),
    ("(?<=", LOOK_AROUND),
    ("(?<!", LOOK_AROUND),
    ("(?>", "; atomic groups are not supported"),
    ("(?P=", BACK_REFERENCE),
    (r"\k", BACK_REFERENCE),
    (r"\Z", "; the end of the text is written `$`"),
    (r"\A", "; the beginning of the text is written `^`"),
];

/// Why it is no pattern; `None` where it is one.
pub(super) fn objection(pattern: &str) -> Option<String> {
    if compiles(pattern) {
        return None;
    }
    let shown = bounded(pattern, SHOWN);
    Some(if compiles(&without_counts(pattern)) {
        format!("`{shown}` is too large; repeat less, or limit the text with `maxLength`")
    } else {
        let hint = hint(pattern).unwrap_or_default();
        format!("`{shown}` is not a valid regular expression{hint}")
    })
}

fn compiles(pattern: &str) -> bool {
    options().build(&serde_json::json!({ "pattern": pattern })).is_ok()
}

/// With each thing once that is to be there a number of times. The engine does not say whether it
/// refuses a pattern for its size or for what it says, and only a pattern that says something is
/// valid without its size.
fn without_counts(pattern: &str) -> String {
    let mut small = String::new();
    let mut rest = pattern;
    while let Some(letter) = rest.chars().next() {
        let after_escape = letter == '\\';
        let length = letter.len_utf8()
            + rest.chars().nth(1).filter(|_| after_escape).map_or(0, char::len_utf8);
        // The braces after `\x` and the like hold no count.
        let is_count =
            letter == '{' && ![r"\x", r"\u", r"\U"].iter().any(|start| small.ends_with(start));
        let end = rest.find('}').filter(|_| is_count);
        match end.and_then(|end| rest.split_at_checked(end + 1)) {
            Some((braces, after)) if is_range(braces) => {
                small.push_str("{1}");
                rest = after;
            }
            Some(_) | None => {
                let (part, after) = rest.split_at(length);
                small.push_str(part);
                rest = after;
            }
        }
    }
    small
}

/// Whether this is `{2}`, `{2,}` or `{2,3}`, and not `{3,2}`.
fn is_range(braces: &str) -> bool {
    let inside = braces.trim_start_matches('{').trim_end_matches('}');
    let (least, most) = inside.split_once(',').unwrap_or((inside, ""));
    let number = |text: &str| text.parse::<u32>().ok();
    number(least).is_some_and(|least| most.is_empty() || number(most) >= Some(least))
}

fn hint(pattern: &str) -> Option<&'static str> {
    let mut rest = pattern;
    while !rest.is_empty() {
        let found = FOREIGN.iter().find(|(beginning, _)| rest.starts_with(beginning));
        if let Some((_, hint)) = found {
            return Some(hint);
        }
        let mut letters = rest.chars();
        if letters.next() == Some('\\') && letters.next().is_some_and(|c| ('1'..='9').contains(&c))
        {
            return Some(BACK_REFERENCE);
        }
        let mut letters = rest.chars();
        if letters.next() == Some('\\') {
            letters.next();
        }
        rest = letters.as_str();
    }
    None
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case::look_ahead("(?=a)", "; look-around is not supported")]
    #[case::look_behind("a(?<!b)", "; look-around is not supported")]
    #[case::back_reference(r"(a)\1", "; back-references are not supported")]
    #[case::by_its_name(r"(?<a>b)\k<a>", "; back-references are not supported")]
    #[case::atomic("(?>a)", "; atomic groups are not supported")]
    #[case::end(r"a\Z", "; the end of the text is written `$`")]
    #[case::unclosed("a(b", "")]
    #[case::unclosed_after_a_backslash(r"\\1(", "")]
    #[case::count_turned_around("a{5,2}", "")]
    #[case::no_such_letter(r"\x{110000}", "")]
    fn a_pattern_that_is_not_valid_is_told_with_the_hint_that_fits(
        #[case] pattern: &str,
        #[case] hint: &str,
    ) {
        let said = format!("`{pattern}` is not a valid regular expression{hint}");
        assert_eq!(objection(pattern), Some(said));
    }

    #[rstest]
    #[case::letters(r"\p{L}{1000}")]
    #[case::nested("(a{1000}){1000}")]
    #[case::more_than_can_be_counted("(a{9999}){99999}")]
    fn a_pattern_that_is_too_large_is_told_to_be(#[case] pattern: &str) {
        let said =
            format!("`{pattern}` is too large; repeat less, or limit the text with `maxLength`");
        assert_eq!(objection(pattern), Some(said));
    }

    #[rstest]
    #[case(r"^[A-Z]{2}\d{1,6}$")]
    #[case(r"\p{L}+")]
    #[case(r"[{]1000}")]
    fn a_pattern_passes(#[case] pattern: &str) {
        assert_eq!(objection(pattern), None);
    }

    #[test]
    fn a_long_pattern_is_cut() {
        let said = objection(&format!("({}", "ก".repeat(1000))).unwrap();
        assert!(said.len() < 200 && said.contains("…` is not a valid"), "{said}");
    }
}
