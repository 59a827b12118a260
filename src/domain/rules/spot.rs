//! Where in the text of an expression or a template a mistake stands.

use super::names::{self, Code};
use super::{Expiry, TopicRules};

/// What is known of it without the text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Spot {
    /// It is there.
    At(InText),
    /// It is on this line, counted from 1.
    Line(usize),
    /// It is the first such piece of code on these lines, counted from 1, and somewhere on the first
    /// of them where there is none.
    Among(usize, usize, String),
    /// It is this piece of code. One that stands there again may be right where it is guarded or
    /// set before, so only the place of one that stands there once is known.
    Code(String),
}

/// A place in a text; both count from 0, columns in characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InText {
    pub line: usize,
    pub column: usize,
}

impl Spot {
    /// Its place in the text of a key of the topic or of one of its rules; none where it is not
    /// known exactly.
    pub fn place(&self, topic: &TopicRules, rule: Option<usize>, key: &str) -> Option<InText> {
        let rule = rule.and_then(|rule| topic.rules.get(rule));
        let source = match (rule, key) {
            (None, "event_time") => topic.event_time.as_deref()?,
            (Some(rule), "when") => rule.when.as_deref()?,
            (Some(rule), "message") => return self.among(&rule.message, names::template),
            (Some(rule), "expires_at") => match &rule.expires {
                Expiry::At(source) => source,
                Expiry::After(_) => return None,
            },
            _ => return None,
        };
        self.among(source, names::expression)
    }

    fn among<'s>(&self, source: &'s str, code: fn(&'s str) -> Vec<Code<'s>>) -> Option<InText> {
        match self {
            Self::At(place) => Some(*place),
            Self::Line(line) => {
                let line = line.checked_sub(1)?;
                let text = source.lines().nth(line)?;
                let column = text.chars().take_while(|letter| letter.is_whitespace()).count();
                Some(InText { line, column })
            }
            Self::Among(from, to, wanted) => {
                let found = names::find(&code(source), wanted);
                let mut places = found.iter().filter_map(|part| InText::of(part, source));
                let is_there = |place: &InText| (*from..=*to).contains(&(place.line + 1));
                places.find(is_there).or_else(|| Self::Line(*from).among(source, code))
            }
            Self::Code(wanted) => {
                let found = names::find(&code(source), wanted);
                let [one] = found.as_slice() else { return None };
                InText::of(one, source)
            }
        }
    }
}

impl InText {
    /// Where a part of the text, cut out of it, stands.
    pub(super) fn of(part: &str, text: &str) -> Option<Self> {
        let at = (part.as_ptr() as usize).checked_sub(text.as_ptr() as usize)?;
        let before = text.get(..at)?;
        let line = before.rsplit('\n').next().unwrap_or_default();
        Some(Self { line: before.matches('\n').count(), column: line.chars().count() })
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    fn code(text: &str) -> Spot {
        Spot::Code(text.to_owned())
    }

    fn on(line: usize, text: &str) -> Spot {
        Spot::Among(line, line, text.to_owned())
    }

    #[rstest]
    #[case::on_the_first_line(code("evnt"), "ก {{ evnt.a }}", Some((0, 5)))]
    #[case::further_down(code("event.b.c"), "a\n\n  {{ event.b }} {{ event.b.c.d }}", Some((2, 19)))]
    #[case::in_brackets(code("event.a[0]"), "\n{% if event.a[0] %}x{% endif %}", Some((1, 6)))]
    #[case::filter(code("|mony"), "mony\n{{ event.a | mony('THB') }}", Some((1, 13)))]
    #[case::twice(code("event.a"), "{{ event.a }}\n{{ event.a }}", None)]
    #[case::a_longer_name(code("event.a"), "{{ event.ab }}", None)]
    #[case::a_step_of_that_name(code("a"), "{{ event.a }}", None)]
    #[case::in_the_text_alone(code("event.a"), "event.a", None)]
    #[case::nothing(code(""), "{{ event.a }}", None)]
    #[case::a_line(Spot::Line(2), "a\n  {% if %}", Some((1, 2)))]
    #[case::no_such_line(Spot::Line(3), "a\nb", None)]
    #[case::there(Spot::At(InText { line: 4, column: 2 }), "a", Some((4, 2)))]
    #[case::on_its_line(on(2, "event.a"), "{{ event.a }}\n{{ event.a }}", Some((1, 3)))]
    #[case::not_on_its_line(on(2, "event.a"), "{{ event.a }}\n b\n{{ event.a }}", Some((1, 1)))]
    fn the_place_of_a_mistake_is_found(
        #[case] spot: Spot,
        #[case] template: &str,
        #[case] expected: Option<(usize, usize)>,
    ) {
        let found = spot.among(template, names::template);
        assert_eq!(found.map(|place| (place.line, place.column)), expected);
    }
}
