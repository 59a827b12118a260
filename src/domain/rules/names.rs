//! Which names, filters, tests and methods an expression or a template uses.
//!
//! The engine finds an unknown filter only when it comes to it, which for a rare branch may be
//! weeks after the rollout. The tokens are the engine's own: it cuts a text into them without
//! recursion, so they can be counted before it may parse them, and parses nothing that it can't cut.

use minijinja::machinery::{Token as Cut, tokenize};
use minijinja::syntax::SyntaxConfig;

/// A filter, a test or a method by its name, with the arguments that are plain strings.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Use<'s> {
    pub(super) kind: Kind,
    pub(super) name: &'s str,
    pub(super) arguments: Vec<Option<&'s str>>,
    /// The names of those that have one, as in `round(precision=2)`.
    pub(super) names: Vec<&'s str>,
    /// There is something like `*list` among them, which may be any number of them.
    pub(super) is_spread: bool,
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
    /// A sign or a number.
    Mark(&'s str),
    /// All that is left, where the engine can't cut it.
    Uncut(&'s str),
}

/// The longest expression or template, in bytes. Nothing of a longer one is cut or parsed: the engine
/// counts the columns of a line in 16 bits, and panics in a debug build where they overflow.
const SOURCE_LIMIT: usize = 32 << 10;
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
    code(source, true)
}

/// Every `{{ }}` and `{% %}` of a template.
pub(super) fn template(source: &str) -> Vec<Code<'_>> {
    code(source, false)
}

fn code(source: &str, is_expression: bool) -> Vec<Code<'_>> {
    let begun = |is_statement| Code { tokens: Vec::new(), is_statement };
    let mut found: Vec<_> = is_expression.then(|| begun(false)).into_iter().collect();
    if source.len() > SOURCE_LIMIT {
        return found;
    }
    let mut end = 0;
    for cut in tokenize(source, is_expression, SyntaxConfig::default()) {
        let token = match &cut {
            Ok((Cut::VariableStart, _)) => {
                found.push(begun(false));
                None
            }
            Ok((Cut::BlockStart, _)) => {
                found.push(begun(true));
                None
            }
            Ok((Cut::TemplateData(_) | Cut::VariableEnd | Cut::BlockEnd, _)) => None,
            Ok((Cut::Ident(name), _)) => Some(Token::Name(name)),
            Ok((Cut::Str(text), _)) => Some(Token::Text(Some(text))),
            Ok((Cut::String(_), _)) => Some(Token::Text(None)),
            Ok((_, span)) => {
                let sign = source.get(span.start_offset as usize..span.end_offset as usize);
                sign.map(Token::Mark)
            }
            Err(_) => source.get(end..).map(|rest| Token::Uncut(rest.trim_start())),
        };
        if let Some(code) = found.last_mut() {
            code.tokens.extend(token);
        }
        // Behind an error, the tokenizer may give the same one without end.
        let Ok((_, span)) = cut else { break };
        end = span.end_offset as usize;
    }
    found
}

/// Whether the text or any of its code is too long to be compiled.
pub(super) fn too_long(source: &str, code: &[Code<'_>]) -> Option<String> {
    if source.len() > SOURCE_LIMIT {
        return Some(format!("longer than {SOURCE_LIMIT} bytes"));
    }
    if code.iter().filter(|code| code.is_statement).count() > STATEMENTS_LIMIT {
        return Some(format!("a text of more than {STATEMENTS_LIMIT} `{{% %}}`"));
    }
    code.iter()
        .any(|code| code.tokens.len() > TOKENS_LIMIT)
        .then(|| format!("an expression of more than {TOKENS_LIMIT} names, signs and numbers"))
}

/// How a sign is written here that code which does not compile has from another language.
pub(super) fn of_another_language(code: &[Code<'_>]) -> Option<&'static str> {
    let is_or = |code: &Code<'_>| {
        code.tokens.windows(2).any(|pair| pair == [Token::Mark("|"), Token::Mark("|")])
    };
    if code.iter().any(is_or) {
        return Some("; for `||`, write `or`");
    }
    let Token::Uncut(rest) = code.last()?.tokens.last()? else { return None };
    let longer = [
        ("&&", "; for `&&`, write `and`"),
        ("??", "; for `a ?? b`, write `a | default(b)`"),
        ("?.", "; for `a?.b`, write `a.b`, and ask before whether `a is defined`"),
    ];
    if let Some((_, hint)) = longer.iter().find(|(sign, _)| rest.starts_with(sign)) {
        return Some(hint);
    }
    match rest.chars().next()? {
        '!' => Some("; for `!`, write `not`"),
        '?' => Some("; for `a ? b : c`, write `b if a else c`"),
        '“' | '”' | '„' | '‘' | '’' => {
            Some("; a text stands in straight quotes, `\"` or `'`")
        }
        _ => None,
    }
}

/// Whether the text sets a name itself, as `{% for event in … %}` does: what it then stands for is
/// not looked into.
pub(super) fn is_set(code: &[Code<'_>], name: &str) -> bool {
    let sets = |tokens: &[Token<'_>]| {
        let mut names = tokens.iter().enumerate().filter(|(_, token)| **token == Token::Name(name));
        let head = tokens.iter().position(|token| *token == Token::Name("in"));
        match tokens.first() {
            Some(Token::Name("for")) => names.any(|(at, _)| Some(at) < head),
            // It is followed by `=`, by another name that is set, or by nothing.
            Some(Token::Name("set" | "with")) => names.any(|(at, _)| {
                let after = tokens.get(at + 1..);
                matches!(after, Some([] | [Token::Mark("=" | "," | ")" | "|"), ..]))
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
                && before != Some(Token::Mark("."))
            {
                let mut name = (*root).to_owned();
                while let [Token::Mark("."), Token::Name(step), tail @ ..] = rest {
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
    let wanted: Vec<_> = expression(wanted).into_iter().flat_map(|code| code.tokens).collect();
    let mut found = Vec::new();
    for code in code {
        let mut before = None;
        for window in code.tokens.windows(wanted.len().max(1)) {
            let name = window.iter().find_map(|token| match token {
                Token::Name(name) => Some(*name),
                Token::Text(_) | Token::Mark(_) | Token::Uncut(_) => None,
            });
            if window == wanted.as_slice() && before != Some(Token::Mark(".")) {
                found.extend(name);
            }
            before = window.first().copied();
        }
    }
    found
}

/// `{% filter name %}`.
fn filter_block<'s>(block: &[Token<'s>]) -> Option<Use<'s>> {
    let [Token::Name("filter"), Token::Name(name), rest @ ..] = block else { return None };
    Some(filter(name, rest))
}

fn uses_in<'s>(tokens: &[Token<'s>]) -> Vec<Use<'s>> {
    let mut found = Vec::new();
    let mut before = None;
    let mut rest = tokens;
    while let Some((token, tail)) = rest.split_first() {
        match (token, tail) {
            (Token::Mark("|"), [Token::Name(name), tail @ ..]) => {
                found.push(filter(name, tail));
            }
            (
                Token::Name("is"),
                [Token::Name("not"), Token::Name(name), ..] | [Token::Name(name), ..],
            ) if before != Some(Token::Mark(".")) => {
                found.push(Use::of(Kind::Test, name));
            }
            (Token::Mark("."), [Token::Name(name), Token::Mark("("), ..]) => {
                found.push(Use::of(Kind::Method, name));
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
    let mut found = Use::of(Kind::Filter, name);
    found.take_arguments(tokens);
    found
}

impl<'s> Use<'s> {
    fn of(kind: Kind, name: &'s str) -> Self {
        Self { kind, name, arguments: Vec::new(), names: Vec::new(), is_spread: false }
    }

    /// Takes the arguments of a call whose parenthesis, if any, comes next.
    fn take_arguments(&mut self, tokens: &[Token<'s>]) {
        let Some((Token::Mark("("), mut rest)) = tokens.split_first() else { return };
        let mut argument: &[Token<'s>] = rest;
        let mut length = 0;
        let mut depth = 0_usize;
        while let Some((token, tail)) = rest.split_first() {
            let closes = depth == 0 && *token == Token::Mark(")");
            if closes || (depth == 0 && *token == Token::Mark(",")) {
                self.take_argument(argument.get(..length).unwrap_or_default());
                if closes {
                    break;
                }
                argument = tail;
                length = 0;
            } else {
                length += 1;
            }
            match token {
                Token::Mark("(" | "[" | "{") => depth += 1,
                Token::Mark(")" | "]" | "}") => depth = depth.saturating_sub(1),
                Token::Mark(_) | Token::Name(_) | Token::Text(_) | Token::Uncut(_) => {}
            }
            rest = tail;
        }
    }

    fn take_argument(&mut self, tokens: &[Token<'s>]) {
        let text = match tokens {
            [] => return,
            [Token::Text(text)] => *text,
            [Token::Name(name), Token::Mark("="), ..] => {
                self.names.push(name);
                None
            }
            [Token::Mark("*" | "**"), ..] => {
                self.is_spread = true;
                None
            }
            _ => None,
        };
        self.arguments.push(text);
    }
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
    #[case::raw_about_raw("{% raw %}endraw {{ x | a }}{%- endraw +%}{{ x | b }}", "|b()")]
    #[case::braces_in_comments("{#- }} {{ -#}{{ x | a }}", "|a()")]
    #[case::braces_of_an_object_in_a_string("{{ {'a': '}}'} | a }}{{ x | b }}", "|a() |b()")]
    #[case::trimmed(
        "{%- if x is a -%}{{- x | b -}}{%+ filter c +%}x{% endfilter %}",
        "is a() |b() |c()"
    )]
    #[case::another_script("{{ x.ชื่อ() | ชื่อ }}", ".ชื่อ() |ชื่อ()")]
    #[case::filter_blocks("{% filter a('x') | b %}{% endfilter %}", "|b() |a(x)")]
    fn finds_the_uses_of_a_template(#[case] source: &str, #[case] found: &str) {
        assert_eq!(shown(&uses(&template(source))), found);
    }

    #[rstest]
    #[case::one("{% set a = 1 %}", true)]
    #[case::block("{% set a %}x{% endset %}", true)]
    #[case::trimmed_block("{%- set a -%}x{% endset %}", true)]
    #[case::block_not_trimmed("{%+ set a +%}x{% endset %}", true)]
    #[case::several("{% for a, b in x %}{% endfor %}", true)]
    #[case::compared("{% set b = a == 1 %}", false)]
    #[case::less_something("{% set b = a - 1 %}", false)]
    #[case::raw("{% raw %}{% set a = 1 %}{% endraw %}", false)]
    fn knows_what_a_template_sets(#[case] source: &str, #[case] expected: bool) {
        assert_eq!(is_set(&template(source), "a"), expected);
    }

    #[rstest]
    #[case::openings("{{")]
    #[case::braces("{{{ ")]
    #[case::code("{{}}")]
    #[case::statements("{% a -%}")]
    #[case::comments("{##}")]
    #[case::raw("{% raw %}")]
    #[case::raw_and_its_end("{% raw %}{% endraw %}")]
    #[case::quotes("{{'")]
    #[case::escapes("{{'\\")]
    #[case::numbers("{{1.")]
    #[case::another_script("{{ชื่อ“")]
    #[case::nul("{{\0")]
    fn a_hostile_text_is_cut_without_a_panic(#[case] piece: &str) {
        for code in [template, expression] {
            for length in [SOURCE_LIMIT, 1 << 20] {
                let text = piece.repeat(length / piece.len());
                let code = code(&text);
                drop((too_long(&text, &code), uses(&code), dotted(&code, &["a"])));
                drop((of_another_language(&code), is_set(&code, "a"), find(&code, "a")));
            }
        }
    }
}
