//! Nodes → typed values. It collects every mistake instead of stopping at the first: a reading
//! that fails gives `None` or a stand-in, and the caller goes on.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::path::Path;
use std::time::Duration;

use super::duration::NoDuration;
use super::environment::{self, Expanded};
use super::fields::Item;
use super::mistake::{KeyPath, Mistake, Place, Severity};
use super::tree::{self, Kind, spelling};
use super::{Environment, Strictness, duration};
use crate::domain::words::quoted_up_to;

/// The longest text that a mistake shows.
const SHOWN_TEXT: usize = 40;

pub(super) struct Reader<'a> {
    file: &'a str,
    source: &'a str,
    /// Where relative paths start.
    pub(super) folder: &'a Path,
    pub(super) env: &'a Environment<'a>,
    pub(super) strictness: Strictness,
    mistakes: Vec<Mistake>,
}

/// A scalar of the file, environment variables put in.
pub(super) enum Given<'n> {
    Text { text: Cow<'n, str>, substituted: bool },
    Whole(i128),
    Float(f64),
    Bool(bool),
}

/// Why a scalar is not what was asked for.
pub(super) enum Refusal {
    /// Its form is another: the mistake names the expected form and what was found.
    OtherForm,
    /// The mistake says this and nothing else.
    Because(String),
}

impl Given<'_> {
    /// A text as such.
    pub(super) fn text(&self) -> Option<&str> {
        if let Self::Text { text, .. } = self { Some(text) } else { None }
    }

    /// A text that the environment gave, which stands for a number as well.
    fn substituted(&self) -> Option<&str> {
        if let Self::Text { text, substituted: true } = self { Some(text.trim()) } else { None }
    }

    fn whole(&self) -> Option<i128> {
        if let Self::Whole(number) = self {
            Some(*number)
        } else {
            self.substituted()?.parse().ok()
        }
    }

    fn number(&self) -> Option<f64> {
        match self {
            #[expect(clippy::cast_precision_loss, reason = "what is this large is out of bounds")]
            Self::Whole(number) => Some(*number as f64),
            Self::Float(number) => Some(*number),
            Self::Text { .. } | Self::Bool(_) => self.substituted()?.parse().ok(),
        }
    }
}

impl<'a> Reader<'a> {
    pub(super) fn new(
        file: &'a str,
        source: &'a str,
        folder: &'a Path,
        env: &'a Environment<'a>,
        strictness: Strictness,
    ) -> Self {
        Self { file, source, folder, env, strictness, mistakes: Vec::new() }
    }

    /// Everything that was found, in the file's order, and then that of other files. What several
    /// topics find in one schema is told once.
    pub(super) fn into_mistakes(mut self) -> Vec<Mistake> {
        let order =
            |mistake: &Mistake| (mistake.file != self.file, mistake.file.clone(), mistake.place);
        self.mistakes.sort_by_key(order);
        self.mistakes.dedup();
        self.mistakes
    }

    /// How many mistakes were found so far.
    pub(super) fn found_so_far(&self) -> usize {
        self.mistakes.len()
    }

    /// Whether a mistake was found at one of these keys or below.
    pub(super) fn has_found_at(&self, keys: &[&str]) -> bool {
        let is_at = |mistake: &Mistake| keys.iter().any(|key| mistake.key.starts_with(key));
        self.mistakes.iter().any(is_at)
    }

    /// Adds what others found in the file.
    pub(super) fn add(&mut self, mistakes: Vec<Mistake>) {
        self.mistakes.extend(mistakes);
    }

    pub(super) fn report(
        &mut self,
        severity: Severity,
        place: Place,
        path: &KeyPath,
        message: impl Into<String>,
    ) {
        self.mistakes.push(Mistake {
            file: self.file.to_owned(),
            place: Some(place),
            key: path.as_str().to_owned(),
            message: message.into(),
            severity,
        });
    }

    pub(super) fn error(&mut self, item: &Item<'_>, message: impl Into<String>) {
        self.report(Severity::Error, item.place(), &item.path, message);
    }

    pub(super) fn warn(&mut self, item: &Item<'_>, message: impl Into<String>) {
        self.report(Severity::Warning, item.place(), &item.path, message);
    }

    /// Something outside the file is not there: `run` can't do without, `check` can.
    pub(super) fn absent(&mut self, item: &Item<'_>, message: impl Into<String>) {
        let severity = match self.strictness {
            Strictness::Run => Severity::Error,
            Strictness::Check | Strictness::Part => Severity::Warning,
        };
        self.report(severity, item.place(), &item.path, message);
    }

    pub(super) fn expected(&mut self, item: &Item<'_>, expected: &str, found: &str) {
        self.error(item, format!("expected {expected}, found {found}"));
    }

    /// Reads a scalar. `None` where a mistake was reported, or where `check` lacks a variable.
    pub(super) fn read<T>(
        &mut self,
        item: &Item<'_>,
        expected: &str,
        parse: impl FnOnce(&Given<'_>) -> Result<T, Refusal>,
    ) -> Option<T> {
        let given = self.scalar(item, expected)?;
        match parse(&given) {
            Ok(value) => Some(value),
            Err(Refusal::Because(message)) => {
                self.error(item, message);
                None
            }
            Err(Refusal::OtherForm) => {
                let found = self.found(item, &given);
                self.expected(item, expected, &found);
                None
            }
        }
    }

    fn scalar<'n>(&mut self, item: &Item<'n>, expected: &str) -> Option<Given<'n>> {
        match &item.node.value {
            Kind::Bool(value) => Some(Given::Bool(*value)),
            Kind::Whole(value) => Some(Given::Whole(*value)),
            Kind::Float(value) => Some(Given::Float(*value)),
            Kind::Text(text) if item.verbatim => {
                Some(Given::Text { text: Cow::Borrowed(text), substituted: false })
            }
            Kind::Text(text) => self.expand(item, text),
            Kind::Null => {
                self.expected(item, expected, "nothing");
                None
            }
            Kind::List(_) => {
                self.expected(item, expected, "a list");
                None
            }
            Kind::Map(_) => {
                self.expected(item, expected, "a map");
                None
            }
        }
    }

    fn expand<'n>(&mut self, item: &Item<'_>, text: &str) -> Option<Given<'n>> {
        let given = |text, substituted| Some(Given::Text { text: Cow::Owned(text), substituted });
        match environment::expand(text, self.env) {
            Expanded::Plain(text) => given(text, false),
            Expanded::Substituted(text) => given(text, true),
            Expanded::Missing(names) => {
                self.absent(item, missing(item, text, &names));
                None
            }
            Expanded::Malformed => {
                let form = "`${` must be followed by a variable's name and `}`; write `$${` for a literal `${`";
                self.error(item, form);
                None
            }
        }
    }

    /// What stands there, short, and never what a secret or the environment holds.
    fn found(&self, item: &Item<'_>, given: &Given<'_>) -> String {
        if item.secret {
            return "something else (not shown)".to_owned();
        }
        let written = || spelling(item.node, self.source).unwrap_or_default();
        match given {
            Given::Text { substituted: true, .. } => {
                "something else in the environment variable (not shown)".to_owned()
            }
            Given::Text { text, .. } if item.verbatim && text.contains("${") => {
                let text = quoted_up_to(text, SHOWN_TEXT);
                format!("the text {text}; environment variables are not expanded in rules")
            }
            Given::Text { text, .. } => format!("the text {}", quoted_up_to(text, SHOWN_TEXT)),
            Given::Whole(_) | Given::Float(_) => {
                format!("the number {}", written().chars().take(SHOWN_TEXT).collect::<String>())
            }
            Given::Bool(value) => value.to_string(),
        }
    }

    /// A text that is not blank. A number or a boolean is not taken for text: `010` would not be
    /// what it seems. Where a mistake is reported or a variable is absent, the text as written
    /// stands in.
    pub(super) fn text(&mut self, item: &Item<'_>, expected: &str) -> String {
        self.text_where(item, expected, |_| true)
    }

    /// A text that is not blank and satisfies `holds`; otherwise as [`Self::text`]. White space
    /// around it is left out, which the environment often brings; a rule's text stays as it is.
    pub(super) fn text_where(
        &mut self,
        item: &Item<'_>,
        expected: &str,
        holds: impl FnOnce(&str) -> bool,
    ) -> String {
        let trims = !item.verbatim;
        let read = self.read(item, expected, |given| match given {
            Given::Text { text, .. } if !text.trim().is_empty() && holds(text.trim()) => {
                Ok(if trims { text.trim() } else { text }.to_owned())
            }
            Given::Text { .. } => Err(Refusal::OtherForm),
            Given::Whole(_) | Given::Float(_) | Given::Bool(_) => Err(Refusal::Because(format!(
                "expected {expected}; quote a number or a boolean that is meant as text"
            ))),
        });
        read.unwrap_or_else(|| item.written().to_owned())
    }

    pub(super) fn duration(
        &mut self,
        item: &Item<'_>,
        bounds: RangeInclusive<Duration>,
    ) -> Option<Duration> {
        let (least, most) = (duration::format(*bounds.start()), duration::format(*bounds.end()));
        self.read(item, "a duration such as 30s, 15m or 24h", |given| {
            let text = given.text().ok_or(Refusal::OtherForm)?;
            let read = duration::parse(text).map_err(|why| match why {
                NoDuration::OtherForm => Refusal::OtherForm,
                NoDuration::UnitsOutOfOrder => Refusal::Because(
                    "expected a duration with its larger unit first and each unit once, such as 1h30m".to_owned(),
                ),
            })?;
            if bounds.contains(&read) {
                Ok(read)
            } else {
                Err(Refusal::Because(format!("expected a duration from {least} to {most}")))
            }
        })
    }

    pub(super) fn whole(&mut self, item: &Item<'_>, bounds: RangeInclusive<u32>) -> Option<u32> {
        let expected = format!("a whole number from {} to {}", bounds.start(), bounds.end());
        self.read(item, &expected, |given| {
            let read = given.whole().and_then(|number| u32::try_from(number).ok());
            read.filter(|number| bounds.contains(number)).ok_or(Refusal::OtherForm)
        })
    }

    /// A number above 0 and up to `most`.
    pub(super) fn rate(&mut self, item: &Item<'_>, most: f64) -> Option<f64> {
        let expected = format!("a number above 0 and up to {most}");
        self.read(item, &expected, |given| {
            given.number().filter(|rate| *rate > 0.0 && *rate <= most).ok_or(Refusal::OtherForm)
        })
    }

    /// One of a few words.
    pub(super) fn choice<T: Copy>(&mut self, item: &Item<'_>, words: &[(&str, T)]) -> Option<T> {
        let names: Vec<String> = words.iter().map(|(word, _)| format!("`{word}`")).collect();
        self.read(item, &names.join(" or "), |given| {
            let text = given.text().ok_or(Refusal::OtherForm)?;
            let found = words.iter().find(|(word, _)| *word == text);
            found.map(|(_, value)| *value).ok_or(Refusal::OtherForm)
        })
    }

    pub(super) fn boolean(&mut self, item: &Item<'_>) -> Option<bool> {
        self.read(item, "true or false", |given| match (given, given.substituted()) {
            (Given::Bool(value), _) => Ok(*value),
            (_, Some("true")) => Ok(true),
            (_, Some("false")) => Ok(false),
            _ => Err(Refusal::OtherForm),
        })
    }

    /// Whether a comment takes the end of a text away.
    pub(super) fn is_cut_short(&self, item: &Item<'_>) -> bool {
        tree::is_cut_short(item.node, self.source)
    }

    /// A scalar of any kind, as the file spells it.
    pub(super) fn spelled(&mut self, item: &Item<'_>, expected: &str) -> Option<String> {
        let spelled = spelling(item.node, self.source).map(str::to_owned);
        self.read(item, expected, |given| match given {
            Given::Text { text, .. } => Ok(text.clone().into_owned()),
            Given::Bool(value) => Ok(value.to_string()),
            Given::Whole(value) => Ok(spelled.unwrap_or_else(|| value.to_string())),
            Given::Float(value) => Ok(spelled.unwrap_or_else(|| value.to_string())),
        })
    }
}

fn missing(item: &Item<'_>, written: &str, names: &[String]) -> String {
    // A password may hold a `${`; only a value that is nothing but a variable is shown.
    let alone = matches!(names, [name] if written.trim() == format!("${{{name}}}"));
    if item.secret && !alone {
        return "an environment variable in this value is not set; write `$${` for a plain `${`"
            .to_owned();
    }
    let names: Vec<String> = names.iter().map(|name| format!("`{}`", shortened(name))).collect();
    match names.as_slice() {
        [name] => format!("the environment variable {name} is not set"),
        names => format!("the environment variables {} are not set", names.join(", ")),
    }
}

fn shortened(name: &str) -> String {
    name.chars().take(SHOWN_TEXT).collect()
}

/// Which names were seen, and where first.
pub(super) type Seen<'n> = BTreeMap<&'n str, Place>;
