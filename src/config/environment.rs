//! `${NAME}` in a value: an environment variable, put in after the YAML is parsed, so that what
//! the environment holds can't become structure.

use crate::domain::words::is_identifier;

/// What a text with `${NAME}` in it becomes.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Expanded {
    /// There was nothing to put in; `$${` has become `${`.
    Plain(String),
    /// The environment gave a part of it or all of it.
    Substituted(String),
    /// These variables are not set, each named once.
    Missing(Vec<String>),
    /// A `${` without a name and a `}` after it.
    Malformed,
}

/// Puts the environment's values in. A value's own `${` is not looked at again.
pub(super) fn expand(text: &str, env: &dyn Fn(&str) -> Option<String>) -> Expanded {
    let mut out = String::with_capacity(text.len());
    let mut missing: Vec<String> = Vec::new();
    let mut substituted = false;
    let mut rest = text;
    while let Some(at) = rest.find('$') {
        let (before, from) = rest.split_at(at);
        out.push_str(before);
        if let Some(after) = from.strip_prefix("$${") {
            out.push_str("${");
            rest = after;
        } else if let Some(after) = from.strip_prefix("${") {
            let Some((name, after)) = after.split_once('}').filter(|(name, _)| is_identifier(name))
            else {
                return Expanded::Malformed;
            };
            match env(name) {
                Some(value) => out.push_str(&value),
                None if missing.iter().any(|known| known == name) => {}
                None => missing.push(name.to_owned()),
            }
            substituted = true;
            rest = after;
        } else {
            out.push('$');
            rest = from.strip_prefix('$').unwrap_or(from);
        }
    }
    out.push_str(rest);
    if !missing.is_empty() {
        Expanded::Missing(missing)
    } else if substituted {
        Expanded::Substituted(out)
    } else {
        Expanded::Plain(out)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use rstest::rstest;

    fn env(name: &str) -> Option<String> {
        match name {
            "A" => Some("one".to_owned()),
            "TRICK" => Some("${A}\nb: 2".to_owned()),
            "EMPTY" => Some(String::new()),
            _ => None,
        }
    }

    fn plain(text: &str) -> Expanded {
        Expanded::Plain(text.to_owned())
    }

    fn substituted(text: &str) -> Expanded {
        Expanded::Substituted(text.to_owned())
    }

    #[rstest]
    #[case::nothing_to_do("a b", plain("a b"))]
    #[case::whole("${A}", substituted("one"))]
    #[case::parts("x${A}y${A}z", substituted("xoneyonez"))]
    #[case::empty_value("${EMPTY}", substituted(""))]
    #[case::escaped("$${A}", plain("${A}"))]
    #[case::escaped_beside("$${A}${A}", substituted("${A}one"))]
    #[case::dollars("$A $ $$ 5$", plain("$A $ $$ 5$"))]
    #[case::value_is_not_expanded_again("${TRICK}", substituted("${A}\nb: 2"))]
    #[case::missing("${B}${A}${C}${B}", Expanded::Missing(vec!["B".into(), "C".into()]))]
    #[case::unclosed("${A", Expanded::Malformed)]
    #[case::no_name("${}", Expanded::Malformed)]
    #[case::default_syntax("${A:-x}", Expanded::Malformed)]
    #[case::digit_first("${1A}", Expanded::Malformed)]
    fn variables_are_put_in(#[case] text: &str, #[case] expected: Expanded) {
        assert_eq!(expand(text, &env), expected);
    }

    proptest! {
        #[test]
        fn a_text_without_dollars_stays(text in "[^$]{0,40}") {
            prop_assert_eq!(expand(&text, &env), Expanded::Plain(text.clone()));
        }

        #[test]
        fn no_text_panics(text in "[${}A-C_ é]{0,40}") {
            expand(&text, &env);
        }
    }
}
