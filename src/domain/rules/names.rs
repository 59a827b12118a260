//! Which names, filters, tests and methods an expression or a template uses.
//!
//! The engine finds an unknown filter only when it comes to it, which for a rare branch may be
//! weeks after the rollout. The tokens are read here once more, for they have to be counted before
//! the engine may parse them. Malformed text gives some tokens or other, and the engine's own error.

/// A filter, a test or a method by its name, with the arguments that are plain strings.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Use<'s> {
    pub(super) kind: Kind,
    pub(super) name: &'s str,
    pub(super) arguments: Vec<Option<&'s str>>,
    /// The name of the first argument that has one, as in `date(zone='UTC')`.
    pub(super) named: Option<&'s str>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Filter,
    Test,
    /// Called on a value, as in `event.name.upper()`.
    Method,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Token<'s> {
    Name(&'s str),
    /// Without its quotes; none where it holds an escape.
    Text(Option<&'s str>),
    Mark(char),
}

/// The most tokens that an expression, or one `{{ }}` or `{% %}`, may have. The engine walks its
/// syntax tree by recursion and bounds only what is nested by brackets, not a chain of operators:
/// far longer ones would overflow the stack.
const TOKENS_LIMIT: usize = 1_000;
/// The most `{% %}` of a template, for the same reason: an `elif` is nested in the one before.
const STATEMENTS_LIMIT: usize = 200;

/// An expression, cut into tokens.
pub(super) struct Code<'s> {
    tokens: Vec<Token<'s>>,
    is_statement: bool,
}

/// An expression as a whole.
pub(super) fn expression(source: &str) -> Vec<Code<'_>> {
    vec![Code { tokens: tokens(source, None).0, is_statement: false }]
}

/// Every `{{ }}` and `{% %}` of a template.
pub(super) fn template(source: &str) -> Vec<Code<'_>> {
    let mut found = Vec::new();
    let mut rest = source;
    while let Some((opening, code)) = next_code(rest) {
        if opening == "{#" {
            rest = code.split_once("#}").map_or("", |(_, after)| after);
            continue;
        }
        let is_statement = opening == "{%";
        let (tokens, after) = tokens(code, Some(if is_statement { "%}" } else { "}}" }));
        let first = tokens.iter().find(|token| matches!(token, Token::Name(_)));
        rest = if is_statement && first == Some(&Token::Name("raw")) {
            after.split_once("endraw").map_or("", |(_, after)| after)
        } else {
            after
        };
        found.push(Code { tokens, is_statement });
    }
    found
}

/// Whether any of the code is too long to be compiled.
pub(super) fn too_long(code: &[Code<'_>]) -> Option<String> {
    if code.iter().filter(|code| code.is_statement).count() > STATEMENTS_LIMIT {
        return Some(format!("a text of more than {STATEMENTS_LIMIT} `{{% %}}`"));
    }
    code.iter()
        .any(|code| code.tokens.len() > TOKENS_LIMIT)
        .then(|| format!("an expression of more than {TOKENS_LIMIT} names, signs and numbers"))
}

/// How a sign is written here that code which does not compile has from another language.
pub(super) fn of_another_language(code: &[Code<'_>]) -> Option<&'static str> {
    let mut pairs = code.iter().flat_map(|code| {
        let next = code.tokens.iter().skip(1).map(Some).chain([None]);
        code.tokens.iter().zip(next)
    });
    pairs.find_map(|(token, next)| match (token, next) {
        (Token::Mark('&'), Some(Token::Mark('&'))) => Some("; for `&&`, write `and`"),
        (Token::Mark('|'), Some(Token::Mark('|'))) => Some("; for `||`, write `or`"),
        (Token::Mark('!'), next) if next != Some(&Token::Mark('=')) => {
            Some("; for `!`, write `not`")
        }
        (Token::Mark('?'), _) => Some("; for `a ? b : c`, write `b if a else c`"),
        (Token::Mark('“' | '”' | '„' | '‘' | '’'), _) => {
            Some("; a text stands in straight quotes, `\"` or `'`")
        }
        _ => None,
    })
}

/// Whether the text sets a name itself, as `{% for event in … %}` does: what it then stands for is
/// not looked into.
pub(super) fn is_set(code: &[Code<'_>], name: &str) -> bool {
    let sets = |tokens: &[Token<'_>]| {
        let mut names = tokens.iter().enumerate().filter(|(_, token)| **token == Token::Name(name));
        let first = tokens.iter().find(|token| matches!(token, Token::Name(_)));
        let head = tokens.iter().position(|token| *token == Token::Name("in"));
        match first {
            Some(Token::Name("for")) => names.any(|(at, _)| Some(at) < head),
            // It is followed by `=`, by another name that is set, or by nothing.
            Some(Token::Name("set" | "with")) => names.any(|(at, _)| {
                let after = tokens.get(at + 1..).unwrap_or_default();
                !after.starts_with(&[Token::Mark('='), Token::Mark('=')])
                    && matches!(after, [] | [Token::Mark('=' | ',' | ')' | '-' | '|'), ..])
            }),
            _ => false,
        }
    };
    code.iter().any(|code| code.is_statement && sets(&code.tokens))
}

/// The names such as `event.customer.id` that begin with one of these roots.
pub(super) fn dotted(code: &[Code<'_>], roots: &[&str]) -> Vec<String> {
    let mut found = Vec::new();
    for code in code {
        let mut before = None;
        let mut rest = code.tokens.as_slice();
        while let Some((token, tail)) = rest.split_first() {
            rest = tail;
            if let Token::Name(root) = token
                && roots.contains(root)
                && before != Some(Token::Mark('.'))
            {
                let mut name = (*root).to_owned();
                while let [Token::Mark('.'), Token::Name(step), tail @ ..] = rest {
                    name.push('.');
                    name.push_str(step);
                    rest = tail;
                }
                found.push(name);
            }
            before = Some(*token);
        }
    }
    found
}

/// The filters, tests and methods that are used.
pub(super) fn uses<'s>(code: &[Code<'s>]) -> Vec<Use<'s>> {
    let mut found = Vec::new();
    for code in code {
        found.extend(uses_in(&code.tokens));
        if code.is_statement {
            found.extend(filter_block(&code.tokens));
        }
    }
    found
}

/// Every place where this piece of code stands: the first name of each. A name that is a step of
/// another one is something else.
pub(super) fn find<'s>(code: &[Code<'s>], wanted: &str) -> Vec<&'s str> {
    let (wanted, _) = tokens(wanted, None);
    let mut found = Vec::new();
    for code in code {
        let mut before = None;
        for window in code.tokens.windows(wanted.len().max(1)) {
            let name = window.iter().find_map(|token| match token {
                Token::Name(name) => Some(*name),
                Token::Text(_) | Token::Mark(_) => None,
            });
            if window == wanted.as_slice() && before != Some(Token::Mark('.')) {
                found.extend(name);
            }
            before = window.first().copied();
        }
    }
    found
}

/// The next opening and what follows it.
fn next_code(text: &str) -> Option<(&str, &str)> {
    let at = ["{{", "{%", "{#"].iter().filter_map(|opening| text.find(opening)).min()?;
    text.get(at..)?.split_at_checked(2)
}

/// `{% filter name %}`.
fn filter_block<'s>(block: &[Token<'s>]) -> Option<Use<'s>> {
    let at = block.iter().position(|token| matches!(token, Token::Name(_)))?;
    let [Token::Name("filter"), Token::Name(name), rest @ ..] = block.get(at..)? else {
        return None;
    };
    Some(filter(name, rest))
}

fn uses_in<'s>(tokens: &[Token<'s>]) -> Vec<Use<'s>> {
    let mut found = Vec::new();
    let mut before = None;
    let mut rest = tokens;
    while let Some((token, tail)) = rest.split_first() {
        match (token, tail) {
            (Token::Mark('|'), [Token::Name(name), tail @ ..]) => {
                found.push(filter(name, tail));
            }
            (
                Token::Name("is"),
                [Token::Name("not"), Token::Name(name), ..] | [Token::Name(name), ..],
            ) if before != Some(Token::Mark('.')) => {
                found.push(Use { kind: Kind::Test, name, arguments: Vec::new(), named: None });
            }
            (Token::Mark('.'), [Token::Name(name), Token::Mark('('), ..]) => {
                found.push(Use { kind: Kind::Method, name, arguments: Vec::new(), named: None });
            }
            _ => {}
        }
        before = Some(*token);
        rest = tail;
    }
    found
}

/// A filter whose parenthesis, if any, comes next.
fn filter<'s>(name: &'s str, tokens: &[Token<'s>]) -> Use<'s> {
    let (arguments, named) = arguments(tokens);
    Use { kind: Kind::Filter, name, arguments, named }
}

/// The arguments of a call whose parenthesis, if any, comes next, and the first name of one.
fn arguments<'s>(tokens: &[Token<'s>]) -> (Vec<Option<&'s str>>, Option<&'s str>) {
    let (mut arguments, mut named) = (Vec::new(), None);
    let Some((Token::Mark('('), mut rest)) = tokens.split_first() else {
        return (arguments, named);
    };
    let mut argument: &[Token<'s>] = rest;
    let mut length = 0;
    let mut depth = 0_usize;
    while let Some((token, tail)) = rest.split_first() {
        let closes = depth == 0 && *token == Token::Mark(')');
        if closes || (depth == 0 && *token == Token::Mark(',')) {
            match argument.get(..length) {
                Some([]) | None => {}
                Some([Token::Text(text)]) => arguments.push(*text),
                Some([Token::Name(name), Token::Mark('='), value, ..])
                    if *value != Token::Mark('=') =>
                {
                    named = named.or(Some(*name));
                    arguments.push(None);
                }
                Some(_) => arguments.push(None),
            }
            if closes {
                break;
            }
            argument = tail;
            length = 0;
        } else {
            length += 1;
        }
        match token {
            Token::Mark('(' | '[' | '{') => depth += 1,
            Token::Mark(')' | ']' | '}') => depth = depth.saturating_sub(1),
            Token::Mark(_) | Token::Name(_) | Token::Text(_) => {}
        }
        rest = tail;
    }
    (arguments, named)
}

/// The tokens up to `close`, and what follows it. A `}}` that ends two objects does not close.
fn tokens<'s>(source: &'s str, close: Option<&str>) -> (Vec<Token<'s>>, &'s str) {
    let mut tokens = Vec::new();
    let mut rest = source;
    let mut depth = 0_usize;
    while let Some(first) = rest.chars().next() {
        if depth == 0
            && let Some(after) = close.and_then(|close| rest.strip_prefix(close))
        {
            return (tokens, after);
        }
        let length = match first {
            '"' | '\'' => {
                let (text, length) = string(rest, first);
                tokens.push(Token::Text(text));
                length
            }
            first if first.is_alphabetic() || first == '_' => {
                let end = rest.find(|letter: char| !letter.is_alphanumeric() && letter != '_');
                let (name, _) = rest.split_at(end.unwrap_or(rest.len()));
                tokens.push(Token::Name(name));
                name.len()
            }
            mark => {
                match mark {
                    '(' | '[' | '{' => depth += 1,
                    ')' | ']' | '}' => depth = depth.saturating_sub(1),
                    _ => {}
                }
                if !mark.is_whitespace() {
                    tokens.push(Token::Mark(mark));
                }
                mark.len_utf8()
            }
        };
        rest = rest.get(length..).unwrap_or_default();
    }
    (tokens, "")
}

/// The string that `text` begins with, and its length with both quotes.
fn string(text: &str, quote: char) -> (Option<&str>, usize) {
    let mut escaped = false;
    let mut plain = true;
    for (at, letter) in text.char_indices().skip(1) {
        if escaped {
            escaped = false;
        } else if letter == '\\' {
            (escaped, plain) = (true, false);
        } else if letter == quote {
            return (text.get(1..at).filter(|_| plain), at + 1);
        }
    }
    (None, text.len())
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    fn shown(uses: &[Use<'_>]) -> String {
        let one = |found: &Use<'_>| {
            let kind = match found.kind {
                Kind::Filter => "|",
                Kind::Test => "is ",
                Kind::Method => ".",
            };
            let arguments: Vec<&str> =
                found.arguments.iter().map(|text| text.unwrap_or("?")).collect();
            format!("{kind}{}({})", found.name, arguments.join(","))
        };
        uses.iter().map(one).collect::<Vec<_>>().join(" ")
    }

    #[rstest]
    #[case::none("event.a == 'x | nope'", "")]
    #[case::filter("event.a|upper", "|upper()")]
    #[case::arguments("event.a | date('Asia/Tokyo', event.f)", "|date(Asia/Tokyo,?)")]
    #[case::nested("(a|b(c|d('x'), [1, 2])) is defined", "|b(?,?) |d(x) is defined()")]
    #[case::negated("event.a is not none", "is none()")]
    #[case::attribute_named_is("event.is.a", "")]
    #[case::method("event.a.strip() ~ 'x'.upper()", ".strip() .upper()")]
    #[case::escape("a|money('\\u0055SD')", "|money(?)")]
    fn finds_the_uses_of_an_expression(#[case] source: &str, #[case] found: &str) {
        assert_eq!(shown(&uses(&expression(source))), found);
    }

    #[rstest]
    #[case::text_is_no_code("a | b {{ event.a | c }} | d", "|c()")]
    #[case::braces_in_strings("{{ '}}' | a }} | b", "|a()")]
    #[case::objects("{{ {'a': {'b': 1}} | a }}", "|a()")]
    #[case::blocks("{% if event.a is odd %}{{ x | a }}{% endif %}", "is odd() |a()")]
    #[case::comments("{# {{ x | a }} #}{{ x | b }}", "|b()")]
    #[case::raw("{%- raw -%}{{ x | a }}{% endraw %}{{ x | b }}", "|b()")]
    #[case::filter_blocks("{% filter a('x') | b %}{% endfilter %}", "|b() |a(x)")]
    fn finds_the_uses_of_a_template(#[case] source: &str, #[case] found: &str) {
        assert_eq!(shown(&uses(&template(source))), found);
    }
}
