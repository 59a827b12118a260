//! What an expression or a template reads of the event, and under which conditions: the language's
//! syntax tree with everything left out that says nothing of the event.
//!
//! Names that a template sets are put in the place where they are used, so that what remains speaks
//! of the event alone.

use serde_json::Value as Json;

use super::TopicRules;

mod filters;
mod items;
mod lower;
mod template;

pub(super) use template::set_in_branches;

/// What the `Reading::Other` of a name begins with that the template may set, and has not.
const UNSET: &str = "unset ";

/// A step into the event.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Step {
    Name(String),
    Index(usize),
    /// One of the items that a loop goes through.
    Each,
}

/// A place of the event, from its root.
pub type Path = Vec<Step>;

/// An expression.
#[derive(Clone, Debug, PartialEq)]
pub enum Reading {
    Path(Path),
    Constant(Json),
    Not(Box<Reading>),
    And(Box<Reading>, Box<Reading>),
    Or(Box<Reading>, Box<Reading>),
    Is(Test, Box<Reading>),
    Compare(Comparison, Box<Reading>, Box<Reading>),
    /// `then if when else otherwise`.
    Choice {
        when: Box<Reading>,
        then: Box<Reading>,
        otherwise: Option<Box<Reading>>,
    },
    /// The filter `default`; `or_empty` where it takes the place of null and what is empty as well.
    Default {
        value: Box<Reading>,
        other: Box<Reading>,
        or_empty: bool,
    },
    /// Anything else. Two of one name and with the same parts give the same.
    Other {
        name: String,
        parts: Vec<(Need, Reading)>,
    },
    /// Something that may depend on anything.
    Anything,
}

/// What an expression needs of a value, so that it does not fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Need {
    /// Nothing.
    Nothing,
    /// Nothing, and what it is of may be missing as well; it is only to be a name that there may be.
    Name,
    /// It is defined.
    Defined,
    /// It is defined and not null.
    Value,
    /// It is a string or a number.
    Text,
    /// It is a string.
    String,
    /// It is a string or a number, of whom the message is for.
    Contact,
    /// It is the id of a LINE user.
    User,
    /// It is the name of a channel.
    Channel,
    /// It is true or false.
    Condition,
    /// It is a number.
    Number,
    /// It is a number, or a string that says one.
    Amount,
    /// It is a number, or true or false, which count as 1 and 0.
    Summed,
    /// It is an amount, or true or false.
    Convertible,
    /// It is a list, or a string or an object, whose letters or names are its items.
    Items,
    /// It has items, or is null, which has none.
    Looped,
    /// It is a list, or a string.
    Sliced,
    /// It is a list.
    List,
    /// It is an object.
    Object,
    /// It is a point in time: a string or a number that says one.
    Time,
    /// It is the code of a currency.
    Currency,
    /// It is the name of a time zone.
    Zone,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Test {
    Defined,
    Undefined,
    Null,
    String,
    /// A boolean is one, too.
    Number,
    Boolean,
    List,
    Object,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Comparison {
    Equal,
    NotEqual,
    /// Less, or greater, or equal.
    Ordered,
    In,
    NotIn,
}

/// The items that a loop goes through.
#[derive(Clone, Debug)]
pub struct Items {
    pub of: Path,
    /// Any item of it may be among them; otherwise only those that are like something.
    pub any: bool,
}

/// A part of a template.
#[derive(Clone, Debug)]
pub enum Statement {
    /// What follows stands on these lines of the template, counted from 1; of a block, its head.
    Lines(usize, usize),
    /// Written into the text.
    Emit(Reading),
    /// Something in single braces, such as `{ event.id }`, which the text has as it stands.
    Braces {
        inside: String,
        /// It is written as a variable of the environment.
        is_variable: bool,
        /// The line of the template, counted from 1.
        line: usize,
    },
    /// Evaluated, and nothing more.
    Evaluate(Reading),
    If {
        condition: Reading,
        then: Vec<Statement>,
        otherwise: Vec<Statement>,
    },
    For {
        over: Reading,
        /// None where it is not known of what the items are.
        items: Option<Items>,
        filter: Option<Reading>,
        body: Vec<Statement>,
        otherwise: Vec<Statement>,
    },
}

/// What one rule reads; `None` where it does not parse, which is told elsewhere.
#[derive(Debug)]
pub struct RuleReads {
    /// `when`: always where it is left out.
    pub when: Option<Reading>,
    /// The other expressions, each with its key and its need.
    pub expressions: Vec<(&'static str, Need, Reading)>,
    pub message: Vec<Statement>,
}

/// What a topic's rules read.
#[derive(Debug)]
pub struct TopicReads {
    pub event_time: Option<Reading>,
    pub rules: Vec<RuleReads>,
}

/// Whether this names one of the four orders, by which a `Reading::Other` gives true or false.
pub fn is_order(name: &str) -> bool {
    matches!(name, "<" | "<=" | ">" | ">=")
}

impl TopicReads {
    pub fn of(topic: &TopicRules) -> Self {
        Self {
            event_time: topic.event_time.as_deref().and_then(lower::expression),
            rules: topic.rules.iter().map(lower::rule).collect(),
        }
    }
}

impl Reading {
    pub fn as_path(&self) -> Option<&Path> {
        if let Self::Path(path) = self { Some(path) } else { None }
    }

    /// The name that this stands for, where the template has not set it.
    pub fn as_unset(&self) -> Option<&str> {
        let Self::Other { name, parts } = self else { return None };
        name.strip_prefix(UNSET).filter(|_| parts.is_empty())
    }

    pub fn as_constant(&self) -> Option<&Json> {
        if let Self::Constant(value) = self { Some(value) } else { None }
    }

    /// Every path that has a say in the value; `None` where anything may have.
    pub fn mentions(&self) -> Option<Vec<&Path>> {
        let mut paths = Vec::new();
        self.collect(&mut paths).then_some(paths)
    }

    fn collect<'r>(&'r self, paths: &mut Vec<&'r Path>) -> bool {
        match self {
            Self::Path(path) => {
                if !paths.contains(&path) {
                    paths.push(path);
                }
                true
            }
            Self::Constant(_) => true,
            Self::Not(part) | Self::Is(_, part) => part.collect(paths),
            Self::And(one, other)
            | Self::Or(one, other)
            | Self::Compare(_, one, other)
            | Self::Default { value: one, other, .. } => one.collect(paths) && other.collect(paths),
            Self::Choice { when, then, otherwise } => {
                when.collect(paths)
                    && then.collect(paths)
                    && otherwise.as_ref().is_none_or(|part| part.collect(paths))
            }
            Self::Other { parts, .. } => parts.iter().all(|(_, part)| part.collect(paths)),
            Self::Anything => false,
        }
    }

    /// How many parts it has, in all.
    pub fn size(&self) -> usize {
        1 + match self {
            Self::Path(_) | Self::Constant(_) | Self::Anything => 0,
            Self::Not(part) | Self::Is(_, part) => part.size(),
            Self::And(one, other)
            | Self::Or(one, other)
            | Self::Compare(_, one, other)
            | Self::Default { value: one, other, .. } => one.size() + other.size(),
            Self::Choice { when, then, otherwise } => {
                when.size() + then.size() + otherwise.as_ref().map_or(0, |part| part.size())
            }
            Self::Other { parts, .. } => parts.iter().map(|(_, part)| part.size()).sum(),
        }
    }
}

#[cfg(test)]
mod tests;
