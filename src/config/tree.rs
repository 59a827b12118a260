//! YAML text → a tree of nodes that know where they stand. What a node means is asked elsewhere.

use std::fmt;
use std::ops::Range;

use serde::Deserialize;
use serde::de::{Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use serde_saphyr::options::{DuplicateKeyPolicy, NonFiniteFloatPolicy};
use serde_saphyr::{MessageFormatter as _, Spanned, UserMessageFormatter};

use super::mistake::Place;

/// A value of the file. `referenced` is where it is used, `defined` where an alias points.
pub(super) type Node = Spanned<Kind>;

/// A key of a map, and its value.
pub(super) type Entry = (Spanned<String>, Node);

/// It has no `Debug`, which would show secrets.
pub(super) enum Kind {
    Null,
    Bool(bool),
    Whole(i128),
    Float(f64),
    Text(String),
    List(Vec<Node>),
    /// In the file's order. A key that stands twice is here twice, so that every one is reported.
    Map(Vec<Entry>),
}

/// Why a text is not YAML that can be read, and where.
pub(super) struct NotYaml {
    pub(super) message: String,
    pub(super) place: Option<Place>,
}

/// Far more than a configuration needs, and little enough that no file can exhaust the process.
const DEPTH_LIMIT: usize = 32;
const NODE_LIMIT: usize = 100_000;
const ALIAS_LIMIT: usize = 1_000;

/// Reads one YAML document; an empty one is a null.
pub(super) fn parse(source: &str) -> Result<Node, NotYaml> {
    serde_saphyr::from_str_with_options(source, options()).map_err(|error| not_yaml(&error, source))
}

fn options() -> serde_saphyr::Options {
    serde_saphyr::options! {
        budget: serde_saphyr::budget! {
            max_depth: DEPTH_LIMIT,
            max_nodes: NODE_LIMIT,
            max_aliases: ALIAS_LIMIT,
        },
        alias_limits: serde_saphyr::alias_limits! { max_total_replayed_events: NODE_LIMIT },
        duplicate_keys: DuplicateKeyPolicy::PassThrough,
        non_finite_float_policy: NonFiniteFloatPolicy::AsString,
        strict_booleans: true,
        reject_unsupported_tags: true,
        with_snippet: false,
    }
}

fn not_yaml(error: &serde_saphyr::Error, source: &str) -> NotYaml {
    use serde_saphyr::Error as Yaml;
    let mut cause = error;
    while let Yaml::AliasError { error, .. } = cause {
        cause = error;
    }
    let place = error.location().and_then(|at| Place::new(at.line(), at.column()));
    let said = UserMessageFormatter.format_message(cause).replace(char::is_control, " ");
    let message = if matches!(cause, Yaml::UnsupportedTag { .. }) {
        // The parser's own words show the tag, which may be a password that begins with `!`.
        "a text that begins with `!` must be quoted; YAML tags are not used here".to_owned()
    } else if matches!(cause, Yaml::Unexpected { expected: "string scalar", .. }) {
        "expected a key; a text that begins with `{` or `[` must be quoted".to_owned()
    } else if let Some(key) = place.and_then(|place| key_without_colon(&said, source, place)) {
        let message = "this is not YAML: a key needs a `:` after it".to_owned();
        return NotYaml { message, place: Some(key) };
    } else {
        match place.and_then(|place| hint(&said, source, place)) {
            Some(hint) => format!("this is not YAML: {said}; {hint}"),
            None => format!("this is not YAML: {said}"),
        }
    };
    NotYaml { message, place }
}

/// Where the key of a map stands that lacks its colon. The parser takes it for a text that goes on
/// in the deeper lines below, and stumbles over the first colon there.
fn key_without_colon(said: &str, source: &str, place: Place) -> Option<Place> {
    let lines: Vec<&str> = source.lines().take(usize::try_from(place.line).ok()?).collect();
    let (last, before) = lines.split_last()?;
    let is_blank = |line: &str| matches!(line.trim_start().chars().next(), None | Some('#'));
    let at = before.iter().rposition(|line| !is_blank(line))?;
    let line = before.get(at)?;
    let indentation = |line: &str| line.len() - line.trim_start_matches(' ').len();
    let is_deeper = indentation(last) > indentation(line);
    // After a comment, which ends the text, the parser waits for another document instead.
    let stumbles = said.contains("mapping values") || said.contains("<document start>");
    let is_key = stumbles && is_deeper && !line.contains(':');
    let count = |number: usize| u64::try_from(number + 1).unwrap_or(u64::MAX);
    is_key.then(|| Place { line: count(at), column: count(indentation(line)) })
}

/// The way out of the traps that operators fall into most.
fn hint(said: &str, source: &str, place: Place) -> Option<&'static str> {
    let line = usize::try_from(place.line).ok()?.checked_sub(1)?;
    let line = source.lines().nth(line)?;
    if said.contains("tab") && line.contains('\t') {
        Some("indent with spaces")
    } else if said.contains("mapping values") {
        Some("a text that contains `: ` must be quoted")
    } else if said.contains("after double-quoted") {
        Some("a text that contains `\"` must be in single quotes")
    } else if said.contains("after single-quoted") {
        Some("a text that contains `'` must be in double quotes")
    } else if said.contains("while parsing a block") {
        Some("check the indentation: what belongs together begins in the same column")
    } else if said.contains("simple key expected") {
        Some("a key needs a `:` after it")
    } else if said.contains("flow mapping") && line.contains("${") {
        Some("between `{` and `}`, a `${NAME}` must be quoted")
    } else {
        None
    }
}

/// Where a value or a key stands in the file.
pub(super) fn place<T>(node: &Spanned<T>) -> Place {
    Place::new(node.referenced.line(), node.referenced.column()).unwrap_or(Place::START)
}

/// A number or a boolean as the file spells it: `010` and `1.50` are not what their values print.
pub(super) fn spelling<'s>(node: &Node, source: &'s str) -> Option<&'s str> {
    source.get(span(node)?).map(str::trim).filter(|text| !text.is_empty())
}

fn span(node: &Node) -> Option<Range<usize>> {
    let span = node.defined.span();
    let start = usize::try_from(span.byte_offset()?).ok()?;
    let length = usize::try_from(span.byte_len()?).ok()?;
    Some(start..start.checked_add(length)?)
}

/// Whether a text without quotes is followed by something like `#42`: a comment for YAML, and most
/// likely more of the text for whoever wrote it.
pub(super) fn is_cut_short(node: &Node, source: &str) -> bool {
    let Some(span) = span(node) else { return false };
    let (Some(text), Some(after)) = (source.get(span.clone()), source.get(span.end..)) else {
        return false;
    };
    // The line is not cut out: a whole configuration may stand on it.
    let comment = after.trim_start_matches(|c: char| c.is_whitespace() && c != '\n');
    let comment = comment.strip_prefix('#');
    let goes_on = |comment: &str| comment.starts_with(|c: char| !c.is_whitespace() && c != '#');
    !text.starts_with(['"', '\'', '|', '>']) && comment.is_some_and(goes_on)
}

impl<'de> Deserialize<'de> for Kind {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(KindVisitor)
    }
}

struct KindVisitor;

impl<'de> Visitor<'de> for KindVisitor {
    type Value = Kind;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a YAML value")
    }

    fn visit_unit<E>(self) -> Result<Kind, E> {
        Ok(Kind::Null)
    }

    fn visit_none<E>(self) -> Result<Kind, E> {
        Ok(Kind::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Kind, E> {
        Ok(Kind::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Kind, E> {
        Ok(Kind::Whole(value.into()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Kind, E> {
        Ok(Kind::Whole(value.into()))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Kind, E> {
        Ok(Kind::Float(value))
    }

    fn visit_str<E>(self, value: &str) -> Result<Kind, E> {
        Ok(Kind::Text(value.to_owned()))
    }

    fn visit_string<E>(self, value: String) -> Result<Kind, E> {
        Ok(Kind::Text(value))
    }

    fn visit_bytes<E: serde::de::Error>(self, _: &[u8]) -> Result<Kind, E> {
        Err(E::custom("binary values are not used here"))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Kind, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = list.next_element()? {
            items.push(item);
        }
        Ok(Kind::List(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Kind, A::Error> {
        let mut entries = Vec::new();
        while let Some(key) = map.next_key()? {
            entries.push((key, map.next_value()?));
            if entries.len() > NODE_LIMIT {
                return Err(A::Error::custom("the map has too many keys"));
            }
        }
        Ok(Kind::Map(entries))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case::leading_zero("a: 010", "010")]
    #[case::trailing_zero("a: 1.50", "1.50")]
    #[case::beyond_64_bits("a: 99999999999999999999", "99999999999999999999")]
    #[case::through_an_alias("x: &x 007\na: *x", "007")]
    #[case::boolean("a: true", "true")]
    fn a_scalar_keeps_its_spelling(#[case] source: &str, #[case] expected: &str) {
        let Kind::Map(entries) = parse(source).ok().unwrap().value else { panic!("a map") };
        assert_eq!(spelling(&entries.last().unwrap().1, source), Some(expected));
    }

    #[rstest]
    #[case::tab("a:\n\t- b\n", 2, "indent with spaces")]
    #[case::colon_in_text("a: b: c\n", 1, "must be quoted")]
    #[case::key_without_colon("kafka\n\n  # the address\n  brokers: k\n", 1, "a key needs a `:`")]
    #[case::key_further_in_without_colon("a:\n  kafka\n    brokers: k\n", 2, "a key needs a `:`")]
    #[case::colon_in_a_text_of_two_lines("a: x\n  b: c\n", 2, "must be quoted")]
    #[case::template_without_quotes("a: {{ event.x }}\n", 1, "must be quoted")]
    #[case::variable_in_flow("a: {x: ${N}}\n", 1, "a `${NAME}` must be quoted")]
    #[case::quotes_in_quotes("a: \"x \"y\" z\"\n", 1, "must be in single quotes")]
    #[case::apostrophe_in_quotes("a: 'it's'\n", 1, "must be in double quotes")]
    #[case::unclosed_quote("a: 'x\nb: 1\n", 1, "unclosed quote")]
    #[case::two_documents("a: 1\n---\nb: 2\n", 3, "multiple")]
    #[case::unknown_anchor("a: *x\n", 1, "unknown")]
    #[case::recursive_anchor("a: &a {b: *a}\n", 1, "Recursive")]
    #[case::list_as_key("? [a, b]\n: c\n", 1, "expected a key")]
    #[case::null_key("~: x\n", 1, "null")]
    #[case::control_character("a: 1\nb: \u{0}\n", 2, "unexpected character")]
    fn what_is_not_yaml_is_told_with_its_line(
        #[case] source: &str,
        #[case] line: u64,
        #[case] message: &str,
    ) {
        let refused = parse(source).err().unwrap();
        assert_eq!(refused.place.map(|place| place.line), Some(line), "{}", refused.message);
        assert!(refused.message.contains(message), "{}", refused.message);
    }

    #[rstest]
    #[case::lists("[".repeat(10_000))]
    #[case::maps("{a: ".repeat(10_000))]
    #[case::block_lists("- ".repeat(10_000))]
    fn deep_nesting_is_refused(#[case] source: String) {
        assert!(parse(&source).is_err());
    }

    #[test]
    fn an_alias_bomb_is_refused() {
        let mut source = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
        for level in 1..8 {
            let aliases = vec![format!("*a{}", level - 1); 10].join(", ");
            source = format!("{source}a{level}: &a{level} [{aliases}]\n");
        }
        assert!(parse(&source).err().unwrap().message.contains("too large or too complex"));
    }

    #[test]
    fn a_tag_is_refused_without_showing_it() {
        assert!(!parse("token: !hunter2\n").err().unwrap().message.contains("hunter2"));
    }
}
