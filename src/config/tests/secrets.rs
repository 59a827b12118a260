use proptest::prelude::*;
use rstest::rstest;

use super::super::Strictness;
use super::{MINIMAL, TOKEN, load, said, with};

/// Every place where a secret may stand, or may have been put by mistake.
#[rstest]
#[case::token_inline("line: {token: SECRET}")]
#[case::token_in_a_list("line: {token: [SECRET]}")]
#[case::token_as_a_file("line: {token: {file: SECRET}}")]
#[case::token_as_a_variable("line: {token: {env: SECRET}}")]
#[case::token_in_both_cases("line: {token: {env: SECRET_abc}}")]
#[case::token_that_is_long("line: {token: {env: SECRET_0123456789_0123456789_0123456789_X}}")]
#[case::token_as_an_odd_variable("line: {token: {env: SECRET-x}}")]
#[case::token_under_another_key("line: {token: {value: SECRET}}")]
#[case::token_as_a_key("line: {token: {SECRET}}")]
#[case::token_as_a_key_twice("line: {token: {SECRET: 1, SECRET: 2, file: token}}")]
#[case::token_with_a_dollar("line: {token: {file: \"SECRET${SECRET}\"}}")]
#[case::token_as_a_tag("line: {token: !SECRET }")]
#[case::token_in_the_url("line: {base_url: \"https://u:SECRET@host\", token: {env: LINE_TOKEN}}")]
#[case::bad_url("line: {base_url: \"SECRET\", token: {env: LINE_TOKEN}}")]
#[case::property_list("kafka: {brokers: k, group: g, properties: {sasl.password: [SECRET]}}")]
#[case::property_map("kafka: {brokers: k, group: g, properties: {sasl.password: {a: SECRET}}}")]
#[case::property_owned("kafka: {brokers: k, group: g, properties: {acks: SECRET}}")]
#[case::property_with_a_dollar(
    "kafka: {brokers: k, group: g, properties: {sasl.password: \"pa${SECRET}ss\"}}"
)]
#[case::property_with_half_a_variable(
    "kafka: {brokers: k, group: g, properties: {sasl.password: \"${SECRET\"}}"
)]
#[case::property_without_a_space("kafka: {brokers: k, group: g, properties: {a.b:SECRET}}")]
#[case::property_with_a_comma("kafka: {brokers: k, group: g, properties: {a.b: 1,SECRET}}")]
#[case::token_without_a_space("line: {token:SECRET}")]
#[case::token_after_a_comma("line: {token: ,SECRET}")]
#[case::properties_as_text("kafka: {brokers: k, group: g, properties: SECRET}")]
fn a_mistake_shows_no_secret(#[case] section: &str) {
    let text = said(&with(section), Strictness::Run);
    assert!(!text.is_empty(), "a mistake was expected");
    assert!(!text.contains("SECRET"), "{text}");
}

#[rstest]
#[case::password("kafka: {brokers: k, group: \"${PASSWORD}\", start: \"${PASSWORD}\"}")]
#[case::number("delivery: {max_in_flight: \"${PASSWORD}\", drain_timeout: \"${PASSWORD}\"}")]
#[case::topic("dead_letters: {topic: \"${PASSWORD}\"}")]
fn a_mistake_shows_nothing_of_the_environment(#[case] section: &str) {
    let text = said(&with(section), Strictness::Run);
    assert!(!text.is_empty(), "a mistake was expected");
    assert!(!text.contains("hunter2"), "{text}");
}

#[test]
fn debug_shows_no_secret() {
    let properties =
        "kafka: {brokers: k, group: g, properties: {sasl.password: hunter2, x: \"${PASSWORD}\"}}";
    let loaded = load(&with(properties), Strictness::Run).unwrap();
    let text = format!("{loaded:#?}");
    assert!(!text.contains("hunter2") && !text.contains(TOKEN), "{text}");
}

#[test]
fn a_variable_that_is_the_whole_value_is_named() {
    let section =
        "kafka: {brokers: k, group: g, properties: {sasl.password: \"${KAFKA_PASSWORD}\"}}";
    assert!(said(&with(section), Strictness::Run).contains("`KAFKA_PASSWORD` is not set"));
}

proptest! {
    /// Wherever one letter is put in, the token and the password stay hidden.
    #[test]
    fn damage_shows_no_secret(at in 0..300_usize, letter in "[-:{}\\[\\],\"'# \n&*!|]") {
        let mut text = MINIMAL.replace(
            "group: line-bridge",
            "group: g, properties: {sasl.password: \"hunter2\"}",
        );
        let at = at % text.len();
        let inside = text.find("hunter2").unwrap();
        prop_assume!(!(inside..=inside + 8).contains(&at));
        text.insert_str(at, &letter);
        let text = said(&text, Strictness::Run);
        prop_assert!(!text.contains("hunter2") && !text.contains(TOKEN), "{}", text);
    }
}
