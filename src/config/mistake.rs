//! A mistake in a file that an operator wrote, and the list of them.

use std::fmt;

use serde::Serialize;

use crate::domain::words::quoted_up_to;

/// A place in a file; both count from 1, columns in characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct Place {
    pub line: u64,
    pub column: u64,
}

impl Place {
    pub(super) const START: Self = Self { line: 1, column: 1 };

    /// `None` where the parser knows no place, which it says with a line of 0.
    pub(super) fn new(line: u64, column: u64) -> Option<Self> {
        (line > 0).then_some(Self { line, column: column.max(1) })
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    Error,
    Warning,
}

/// What is wrong at one place. It names the key and the expected form, and never a secret.
///
/// Its `Display` is one line: `file:line:column: key: message`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Mistake {
    /// The file, as the operator named it.
    pub file: String,
    /// Left out where the file as a whole is meant.
    #[serde(flatten)]
    pub place: Option<Place>,
    /// The path of the key, such as `topics.orders.rules[1].channel`, or in a schema its JSON
    /// pointer, such as `#/properties/status`; empty for the whole file.
    pub key: String,
    pub message: String,
    pub severity: Severity,
}

impl Mistake {
    /// Whether it is an error in one of these sections.
    pub fn is_error_in(&self, sections: &[&str]) -> bool {
        let section = self.key.split('.').next().unwrap_or_default();
        self.severity == Severity::Error && sections.contains(&section)
    }
}

impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.file)?;
        if let Some(place) = self.place {
            write!(f, ":{}:{}", place.line, place.column)?;
        }
        f.write_str(": ")?;
        if self.severity == Severity::Warning {
            f.write_str("warning: ")?;
        }
        if !self.key.is_empty() {
            write!(f, "{}: ", self.key)?;
        }
        f.write_str(&self.message)
    }
}

/// Every mistake that was found, warnings among them, in the file's order; never empty.
///
/// Its `Display` is a line for each.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Mistakes(pub Vec<Mistake>);

impl fmt::Display for Mistakes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, mistake) in self.0.iter().enumerate() {
            if index > 0 {
                f.write_str("\n")?;
            }
            write!(f, "{mistake}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Mistakes {}

/// The longest key that is shown whole.
const SHOWN_KEY: usize = 60;

/// The path of a key in the file. A name that has more than letters, digits, `-` and `_` stands in
/// quotes, so that its dots are not taken for steps.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct KeyPath(String);

impl KeyPath {
    pub(super) fn key(&self, name: &str) -> Self {
        let mut path = self.0.clone();
        if !path.is_empty() {
            path.push('.');
        }
        let plain = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
        if !name.is_empty() && name.len() <= SHOWN_KEY && name.chars().all(plain) {
            path.push_str(name);
        } else {
            path.push_str(&quoted_up_to(name, SHOWN_KEY));
        }
        Self(path)
    }

    pub(super) fn index(&self, index: usize) -> Self {
        Self(format!("{}[{index}]", self.0))
    }

    pub(super) fn as_str(&self) -> &str {
        &self.0
    }
}
