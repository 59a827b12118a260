//! What commands write to standard output: JSON for programs, text for people. What comes from
//! elsewhere (an event, the API) cannot steer the terminal.

use clap::ValueEnum;

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Output {
    /// For people.
    Text,
    /// For programs.
    Json,
}

/// A text of others on one line.
pub(super) fn on_one_line(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for character in text.chars() {
        push(character, &mut shown);
    }
    shown
}

/// A text of others; its lines stay lines, those after the first behind `indent`.
pub(super) fn on_lines(text: &str, indent: &str) -> String {
    text.split('\n').map(on_one_line).collect::<Vec<_>>().join(&format!("\n{indent}"))
}

fn push(character: char, shown: &mut String) {
    // The marks that turn the direction of writing can make a text look like another one.
    let turns = matches!(character, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    if character.is_control() || turns {
        shown.extend(character.escape_default());
    } else {
        shown.push(character);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_comes_from_elsewhere_cannot_steer_the_terminal() {
        let hostile = "a\x1b[2J\r\nb\u{9b}\u{202e}c";
        assert_eq!(on_one_line(hostile), "a\\u{1b}[2J\\r\\nb\\u{9b}\\u{202e}c");
        assert_eq!(on_lines(hostile, "  "), "a\\u{1b}[2J\\r\n  b\\u{9b}\\u{202e}c");
    }
}
