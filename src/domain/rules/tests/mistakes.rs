//! What is found before any event.

use rstest::rstest;

use super::*;

fn mistakes(source: RuleSource) -> Vec<RuleMistake> {
    Rules::compile(&topic(vec![source]), &channels()).unwrap_err()
}

#[rstest]
#[case::syntax("event.a ==", "unexpected end of input")]
#[case::braces("{{ event.a }}", "are written without `{{` and `}}`")]
#[case::unknown_name(
    "evnet.a == 1",
    "there is no `evnet`, only `event` and `record`; did you mean `event`?"
)]
#[case::text_without_quotes(
    "event.status == shipped",
    "did you mean `event.shipped`, or the text \"shipped\"?"
)]
#[case::property_alone("customer.id == 'a'", "did you mean `event.customer.id`?")]
#[case::null("event.a == null", "did you mean `none`?")]
#[case::assignment(
    "event.a = 1",
    "unexpected input after expression in `event.a = 1`; to compare, write `==`"
)]
#[case::assignment_further_in("not (event.a = 1)", "to compare, write `==`")]
#[case::and_of_another_language("event.a == \"x\" && event.b == 1", "unexpected character")]
#[case::another_default("event.a ?? 'x'", "write `a | default(b)`")]
#[case::another_step("event.a?.b == 1", "for `a?.b`")]
#[case::and_is_told("event.a == \"x\" && event.b == 1", "; for `&&`, write `and`")]
#[case::cut_off_by_a_sign("event.a == 'x' & event.b", "unexpected character")]
#[case::cut_off_by_a_semicolon("event.a == 'x'; event.b", "unexpected character")]
#[case::cut_off_by_a_string("event.a == 'x' 'y", "unexpected end of string")]
#[case::or_of_another_language("event.a == 'x' || event.b", "; for `||`, write `or`")]
#[case::not_of_another_language("event.a != 'x' and !event.b", "; for `!`, write `not`")]
#[case::quotes_of_a_word_processor("event.a == 'x' or event.a == “y”", "in straight quotes")]
#[case::unknown_field("record.topik == 'a'", "`record` has no `topik`")]
#[case::unknown_filter(
    "event.a or event.b | uper == 'A'",
    "no filter `uper`; did you mean `upper`?"
)]
#[case::unknown_test("event.a is difined", "no test `difined`; did you mean `defined`?")]
#[case::unlike_any_test("event.a is not nul", "there is no test `nul`")]
#[case::unknown_function("nope(event.a)", "there is no `nope`")]
#[case::removed_filter("event.a | safe == 'a'", "there is no filter `safe`")]
#[case::constant("1", "a condition must give true or false")]
#[case::deep_parentheses(&"(".repeat(20_000), "")]
fn a_condition_is_looked_at_before_any_event(#[case] when: &str, #[case] says: &str) {
    let found = mistakes(rule("r", Some(when), "x"));
    assert_eq!((found[0].rule, found[0].key), (Some(0), "when"));
    assert!(found[0].message.contains(says), "{}", found[0].message);
}

#[rstest]
#[case::syntax("{{ event.a", "unexpected end of input")]
#[case::no_end_of_an_if("{% if event.a %}x", "an `{% endif %}`")]
#[case::no_end_of_a_for("{% for a in event.a %}x", "`{% endfor %}`")]
#[case::choice_of_another_language("{{ event.a ? 'b' : 'c' }}", "write `b if a else c`")]
#[case::assignment("{% if event.a = 1 %}{% endif %}", "to compare, write `==`")]
#[case::and_of_another_language("{% if 'x' == event.a && event.b %}{% endif %}", "write `and`")]
#[case::sign_behind_a_string("{{ 'x' & event.b }}", "unexpected end of input")]
#[case::line("a\n{% if %}", "(line 2 of the text)")]
#[case::rare_branch(
    "{% if event.rare %}{{ event.a | nope }}{% endif %}",
    "there is no filter `nope`"
)]
#[case::zone("{{ event.a | date('Asia/Bangkokk') }}", "`Asia/Bangkokk` is not a time zone")]
#[case::no_part_of_the_time("{{ event.a | date('Asia/Bangkok', 'Y-m-d') }}", "`Y-m-d` has no `%`")]
#[case::no_zone("{{ event.a | date }}", "is missing an argument")]
#[case::named_zone("{{ event.a | date(zone='UTC') }}", "have no names: leave out `zone=`")]
#[case::named_format("{{ event.a | date('UTC', format='%d') }}", "leave out `format=`")]
#[case::named_in_a_block(
    "{% filter number(decimals=2) %}1{% endfilter %}",
    "leave out `decimals=`"
)]
#[case::format("{{ event.a | date('UTC', '%!') }}", "`%!` is not a format")]
#[case::currency("{{ event.a | money('BAHT') }}", "`BAHT` is not a currency")]
#[case::plural("{{ event.a | plural('x') }}", "is missing an argument: plural(one, other)")]
#[case::none_at_all("{{ event.a | upper(1) }}", "the filter `upper` takes no arguments")]
#[case::more_than_it_takes("{{ event.a | round(2, 'floor', 1) }}", ": round(precision, method)")]
#[case::an_unknown_name(
    "{{ event.a | round(precison=2) }}",
    "the filter `round` has no argument `precison`: round(precision, method); did you mean `precision`?"
)]
#[case::a_second_name("{{ event.a | int(default=1, bsae=2) }}", "no argument `bsae`")]
#[case::by_name_only(
    "{{ event.l | sort('a') | join }}",
    "need their names: sort(attribute=…, case_sensitive=…, reverse=…)"
)]
#[case::a_text_for_a_number("{{ event.a | number('2') }}", "takes a number, not a text")]
#[case::more_by_name("{{ event.l | map('round', 1, digits=2) | join }}", "no argument `digits`")]
#[case::method("{{ event.a.strip() }}", "use the filter `trim`")]
#[case::method_of_another_language("{{ event.a.toUpperCase() }}", "use the filter `upper`")]
#[case::unlike_any_method("{{ 'a'.nope() }}", "values have no methods, such as `.nope()`")]
#[case::filter_by_name("{{ event.a | map('uper') | join }}", "there is no filter `uper`")]
#[case::test_by_name("{{ event.a | select('od') | join }}", "there is no test `od`")]
#[case::test_of_an_attribute(
    "{{ event.a | rejectattr('b', 'od') | join }}",
    "there is no test `od`"
)]
#[case::part_of_a_field("{{ record.topik[:3] }}", "`record` has no `topik`")]
#[case::filter_by_name_with_arguments(
    "{{ event.a | map('replace', 'a', 'b', 1) }}",
    "too many arguments for the filter `replace`"
)]
#[case::braces_that_do_not_close(
    "Order {{ event.s } shipped! Thanks",
    "unexpected `}`, expected end of variable block"
)]
#[case::some_of_them(
    "{{ event.a | replace('a', 'b', 1) }}",
    "too many arguments for the filter `replace`: replace(old, new)"
)]
#[case::include("{% include 'a' %}", "unknown statement")]
#[case::extends("{% extends 'a' %}", "unknown statement")]
#[case::import("{% import 'a' as b %}", "unknown statement")]
#[case::macros("{% macro a() %}{% endmacro %}", "unknown statement")]
#[case::debug("{{ debug() }}", "there is no `debug`")]
#[case::empty("  ", "the text is empty")]
fn a_template_is_looked_at_before_any_event(#[case] message: &str, #[case] says: &str) {
    let found = mistakes(rule("r", None, message));
    assert_eq!((found[0].rule, found[0].key), (Some(0), "message"));
    assert!(found[0].message.contains(says), "{}", found[0].message);
}

#[rstest]
#[case("{{ event.a.b.c[0] | upper | money('USD') }}")]
#[case("{{ event.a | date('Asia/' ~ event.city) }}")]
#[case("{% for x in event.l %}{{ x.a | int + loop.index }}{% endfor %}")]
#[case(
    "{% for x in event.l %}{{ loop.cycle('a', 'b') }}{% if loop.changed(x) %}{{ x }}{% endif %}{% endfor %}"
)]
#[case("{% for record in event.records %}{{ record.id }}{% endfor %}")]
#[case("{% set record = event.record %}{{ record.topik }}")]
#[case("{% with record = event.record, x = 1 %}{{ record.topik }}{% endwith %}")]
#[case("{{ event.a | replace(old='a', new='b') }}{{ event.l | map('money', 'THB') | join }}")]
#[case("{{ event.a[-4:] }}{{ event.l[1:] | map('upper') | join(', ') }}")]
#[case("{{ event.a | round(method='floor') }}{{ event.l | sum(attribute='a', start=2) }}")]
#[case("{{ event.a | round(*event.l) }}{{ event.l | map('round', 1, method='ceil') | join }}")]
#[case("{% set x = event.a %}{{ x is divisibleby 3 }}{{ namespace(a=1).a }}")]
fn a_template_that_only_lacks_an_event_is_taken(#[case] message: &str) {
    compile(vec![rule("r", None, message)]);
}

/// It would be so for every event.
#[rstest]
#[case::a_number_that_is_whole("17", true)]
#[case::a_number_that_is_not("1.5", false)]
#[case::a_boolean("true", false)]
#[case::nothing("none", false)]
fn a_constant_that_is_no_recipient_is_a_mistake(#[case] contact: &str, #[case] taken: bool) {
    let mut source = rule("a", None, "x");
    source.to = RecipientSource::Contact(contact.to_owned());
    let compiled = Rules::compile(&topic(vec![source]), &channels());
    assert_eq!(compiled.is_ok(), taken, "{:?}", compiled.err());
}

#[test]
fn every_mistake_of_every_rule_comes_at_once() {
    let mut first = rule("a", Some("nope"), "{{ nope }}");
    first.channel = ChannelSource::From("'nope'".to_owned());
    first.to = RecipientSource::LineUser("'Unope'".to_owned());
    first.expires = Expiry::At("'never'".to_owned());
    let mut topic = topic(vec![first, rule("b", None, "{{ nope }}")]);
    topic.event_time = Some("nope".to_owned());
    let found = Rules::compile(&topic, &channels()).unwrap_err();
    let places: Vec<_> = found.iter().map(|mistake| (mistake.rule, mistake.key)).collect();
    assert_eq!(
        places,
        [
            (None, "event_time"),
            (Some(0), "when"),
            (Some(0), "channel"),
            (Some(0), "to"),
            (Some(0), "message"),
            (Some(0), "expires_at"),
            (Some(1), "message"),
        ]
    );
}

#[rstest]
#[case::longest_sum(format!("1{}", "+1".repeat(499)))]
#[case::longest_attributes(format!("event{}", ".a".repeat(499)))]
#[case::longest_filters(format!("event{}", "|abs".repeat(499)))]
#[case::longest_conditions(format!("event.a{}", " and 1".repeat(498)))]
#[case::longest_choices(format!("1{}", " if 1 else 1".repeat(240)))]
#[case::longest_negations(format!("{}1", "not ".repeat(999)))]
#[case::sums("1+".repeat(16_000))]
#[case::attributes(format!("event{}", ".a".repeat(16_000)))]
#[case::filters(format!("event{}", "|abs".repeat(8_000)))]
#[case::negations("not ".repeat(8_000))]
#[case::lists("[".repeat(32_000))]
#[case::strings("'".to_owned())]
#[case::behind_a_sign(format!("'a' & {}1", "not ".repeat(8_000)))]
#[case::behind_a_number(format!("'a' 1_ {}1", "not ".repeat(8_000)))]
#[case::behind_an_escape(format!("'a' '\\x' {}1", "not ".repeat(8_000)))]
#[case::longer("a".repeat(40_000))]
fn an_expression_of_any_shape_leaves_the_stack_alone(#[case] when: String) {
    drop(Rules::compile(&topic(vec![rule("r", Some(&when), "x")]), &channels()));
    let template = format!("{{{{ {when} }}}}");
    drop(Rules::compile(&topic(vec![rule("r", None, &template)]), &channels()));
}

#[test]
fn a_template_of_any_depth_leaves_the_stack_alone() {
    let deep = "{% if 1 %}".repeat(3_000);
    assert!(!mistakes(rule("r", None, &deep)).is_empty());
    assert!(!mistakes(rule("r", None, &format!("{{% if 'a' 1_ %}}{deep}"))).is_empty());
    let chain = format!("{{% if 1 %}}{}{{% endif %}}", "{% elif 1 %}".repeat(2_600));
    assert!(!mistakes(rule("r", None, &chain)).is_empty());
    let longest = format!("{{% if 1 %}}x{}{{% endif %}}", "{% elif 1 %}".repeat(198));
    compile(vec![rule("r", None, &longest)]);
}
