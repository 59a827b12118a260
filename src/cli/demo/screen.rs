//! What the demonstration shows, on standard output.

use std::io::{self, Write};

use super::super::counted;
use super::super::output::on_lines;
use super::super::verbosity::may_be_coloured;

/// Puts a text's further lines below its first.
const INDENT: &str = "               ";

/// Something that became of a record. It has no `Debug`: it holds a recipient and a text.
pub(super) enum Sight {
    Accepted {
        /// Its topic and rule; none where somebody else sent the message.
        origin: Option<(String, String)>,
        recipient: String,
        text: String,
    },
    DeadLetter {
        reason: String,
        detail: String,
        topic: String,
        rule: Option<String>,
    },
    Skipped {
        topic: String,
        why: &'static str,
    },
}

#[derive(Clone, Copy)]
enum Colour {
    Green,
    Red,
    Grey,
    Bold,
}

/// Writes, and counts what it has shown. Every call may fail where nobody reads any more.
#[derive(Debug)]
pub(super) struct Screen<W> {
    out: W,
    coloured: bool,
    pub(super) accepted: u64,
    pub(super) dead_letters: u64,
}

impl Screen<io::Stdout> {
    pub(super) fn standard() -> Self {
        let out = io::stdout();
        let coloured = may_be_coloured(&out);
        Self::new(out, coloured)
    }
}

impl<W: Write> Screen<W> {
    fn new(out: W, coloured: bool) -> Self {
        Self { out, coloured, accepted: 0, dead_letters: 0 }
    }

    pub(super) fn heading(&mut self, text: &str) -> io::Result<()> {
        let text = self.in_colour(Colour::Bold, text);
        write!(self.out, "\n{text}\n\n")?;
        self.out.flush()
    }

    pub(super) fn line(&mut self, text: &str) -> io::Result<()> {
        writeln!(self.out, "{text}")?;
        self.out.flush()
    }

    pub(super) fn show(&mut self, sight: &Sight) -> io::Result<()> {
        match sight {
            Sight::Accepted { origin, recipient, text } => {
                self.accepted += 1;
                let label = self.in_colour(Colour::Green, "  accepted     ");
                let origin = match origin {
                    Some((topic, rule)) => format!("{topic}, rule {rule}"),
                    None => "from elsewhere".to_owned(),
                };
                writeln!(self.out, "{label}{} to {}", origin, printable(recipient))?;
                writeln!(self.out, "{INDENT}{}", printable(text))?;
            }
            Sight::DeadLetter { reason, detail, topic, rule } => {
                self.dead_letters += 1;
                let label = self.in_colour(Colour::Red, "  dead letter  ");
                let reason = self.in_colour(Colour::Bold, &printable(reason));
                let rule = rule.as_ref().map(|rule| format!(", rule {}", printable(rule)));
                let rule = rule.unwrap_or_default();
                writeln!(self.out, "{label}{reason}: {}{rule}", printable(topic))?;
                writeln!(self.out, "{INDENT}{}", printable(detail))?;
            }
            Sight::Skipped { topic, why } => {
                let label = self.in_colour(Colour::Grey, "  skipped      ");
                writeln!(self.out, "{label}{topic}: {why}")?;
            }
        }
        self.out.flush()
    }

    /// What was shown so far, in numbers.
    pub(super) fn count(&self) -> String {
        format!("{} accepted, {}", self.accepted, counted(self.dead_letters, "dead letter"))
    }

    fn in_colour(&self, colour: Colour, text: &str) -> String {
        let code = match colour {
            Colour::Green => 32,
            Colour::Red => 31,
            Colour::Grey => 90,
            Colour::Bold => 1,
        };
        if self.coloured { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() }
    }
}

/// Lines stay lines; nothing steers the terminal.
fn printable(text: &str) -> String {
    on_lines(text, INDENT)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(sights: &[Sight], coloured: bool) -> (String, String) {
        let mut screen = Screen::new(Vec::new(), coloured);
        for sight in sights {
            screen.show(sight).unwrap();
        }
        (screen.count(), String::from_utf8(screen.out).unwrap())
    }

    fn accepted(text: &str) -> Sight {
        let origin = Some(("orders".to_owned(), "shipped".to_owned()));
        Sight::Accepted { origin, recipient: "c-1".to_owned(), text: text.to_owned() }
    }

    fn dead_letter() -> Sight {
        Sight::DeadLetter {
            reason: "schema".to_owned(),
            detail: "/orderId: missing".to_owned(),
            topic: "orders".to_owned(),
            rule: None,
        }
    }

    #[test]
    fn messages_and_dead_letters_are_shown_and_counted() {
        let skipped = Sight::Skipped { topic: "orders".to_owned(), why: "no rule matches" };
        let (count, text) = shown(&[accepted("Shipped."), dead_letter(), skipped], false);
        assert_eq!(count, "1 accepted, 1 dead letter");
        assert_eq!(
            text,
            "  accepted     orders, rule shipped to c-1\n               Shipped.\n  \
             dead letter  schema: orders\n               /orderId: missing\n  \
             skipped      orders: no rule matches\n"
        );
    }

    #[test]
    fn what_an_event_brings_cannot_steer_the_terminal() {
        let (_, text) = shown(&[accepted("a\x1b[2J\r\nb")], false);
        assert!(text.ends_with("a\\u{1b}[2J\\r\n               b\n"), "{text:?}");
    }

    #[test]
    fn colours_are_for_terminals_alone() {
        assert!(shown(&[accepted("a"), dead_letter()], true).1.contains('\x1b'));
        assert!(!shown(&[accepted("a"), dead_letter()], false).1.contains('\x1b'));
    }
}
