use minijinja::{ErrorKind, context};
use proptest::prelude::*;
use rstest::rstest;

use super::super::environment::LANGUAGE;
use super::filters::takes_undefined;
use super::lower::expression;
use super::*;

/// What is taken for granted of the engine, asked of the engine itself.
#[rstest]
fn a_filter_fails_on_what_is_undefined_or_is_known_not_to(
    #[values(
        "abs",
        "batch(2)",
        "bool",
        "capitalize",
        "chain([1])",
        "count",
        "d",
        "default",
        "dictsort",
        "first",
        "float",
        "format",
        "groupby('a')",
        "int",
        "items",
        "join",
        "last",
        "length",
        "lines",
        "list",
        "lower",
        "map('upper')",
        "max",
        "min",
        "reject",
        "rejectattr('a')",
        "replace('a', 'b')",
        "reverse",
        "round",
        "select",
        "selectattr('a')",
        "slice(2)",
        "sort",
        "split",
        "string",
        "sum",
        "title",
        "trim",
        "unique",
        "upper",
        "zip([1])",
        "attr('a')",
        "money('USD')",
        "number",
        "plural('a', 'b')",
        "date('UTC')",
        "time('UTC')",
        "datetime('UTC')"
    )]
    filter: &str,
) {
    let source = format!("(event.x | {filter}) is defined");
    let evaluated = LANGUAGE.compile_expression(&source).unwrap();
    let evaluated = evaluated.eval(context! { event => context! {} });
    let name = filter.split('(').next().unwrap();
    assert_eq!(evaluated.is_ok(), takes_undefined(name), "{evaluated:?}");
}

#[rstest]
#[case::in_a_comparison("event.x == 1", true)]
#[case::as_a_truth("not event.x", true)]
#[case::below("event.x.y is defined", true)]
#[case::below_null("event.n.y is defined", false)]
#[case::in_a_test("event.x is none", false)]
#[case::in_a_list("[event.x] is defined", false)]
#[case::gone_through("event.x is defined or event.n | list == []", false)]
#[case::of_two("event.s is defined or event.x", false)]
fn the_language_fails_on_what_is_undefined(#[case] source: &str, #[case] fails: bool) {
    let evaluated = LANGUAGE.compile_expression(source).unwrap();
    let event = context! { n => (), s => "s" };
    let evaluated = evaluated.eval(context! { event });
    let failed = evaluated.is_err_and(|error| error.kind() == ErrorKind::UndefinedError);
    assert_eq!(failed, fails);
}

#[rstest]
#[case::path("event.a[0]['b c']", r#"Path([Name("a"), Index(0), Name("b c")])"#)]
#[case::guard("event.a is not defined", r#"Not(Is(Defined, Path([Name("a")])))"#)]
#[case::list(
    "event.a in ['x', 1]",
    r#"Compare(In, Path([Name("a")]), Constant(Array [String("x"), Number(1)]))"#
)]
#[case::default(
    "event.a | d('x', true)",
    r#"Default { value: Path([Name("a")]), other: Constant(String("x")), or_empty: true }"#
)]
#[case::computed(
    "event[event.a]",
    r#"Other { name: "item", parts: [(Defined, Path([])), (Nothing, Path([Name("a")]))] }"#
)]
#[case::attribute_of_items(
    "event.a | sort | sum('b.c')",
    r#"Other { name: "|sum", parts: [(List, Other { name: "|sort", parts: [(Items, Path([Name("a")]))] }), (Nothing, Constant(String("b.c"))), (Summed, Path([Name("a"), Each, Name("b"), Name("c")]))] }"#
)]
fn an_expression_is_brought_down_to_what_it_reads(#[case] source: &str, #[case] expected: &str) {
    assert_eq!(format!("{:?}", expression(source).unwrap()), expected);
}

#[test]
fn names_that_double_at_each_step_stay_small() {
    let doubling = "{% set a = a ~ a %}".repeat(150);
    let source = format!("{{% set a = event.x ~ event.y %}}{doubling}{{{{ a }}}}");
    let lowered = template::statements(&source);
    let Some(Statement::Emit(last)) = lowered.last() else { panic!("{lowered:?}") };
    assert_eq!(last.mentions().map(|paths| paths.len()), Some(2));
}

proptest! {
    #[test]
    fn no_template_makes_it_panic(
        parts in proptest::collection::vec(
            prop::sample::select(vec![
                "{{ ", " }}", "{% ", " %}", "if ", "else", "elif ", "endif", "for ", "x", " in ",
                "endfor", "set ", "=", "event", ".a", "[0]", "['b']", " is ", "not ", "defined",
                "none", " | ", "default", "(", ")", ",", "'s'", "1", " and ", " or ", " == ", " < ",
                "with ", "endwith", "filter ", "upper", "endfilter", "-", "~", "[", "]", "{", ":",
                "}", "loop.index", "recursive", "endset", "do ", "namespace",
            ]),
            0..40,
        ),
    ) {
        let source = parts.concat();
        drop(template::statements(&source));
        drop(expression(&source));
    }
}
