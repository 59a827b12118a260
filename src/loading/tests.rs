//! What is wrong with the Kafka properties is told beside all other mistakes.

use std::fs;

use rstest::rstest;

use super::*;

/// What is told of a configuration with these properties and this `line` section, without the folder.
fn told(properties: &str, line: &str) -> Vec<String> {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("any.json"), "{}").unwrap();
    let file = folder.path().join("f.yaml");
    let text = format!(
        "kafka: {{brokers: b, group: g}}\n\
         line: {{{line}token: {{env: T}}}}\n\
         channels: {{a: id-a}}\n\
         dead_letters: {{topic: d}}\n\
         topics: {{o: {{schema: any.json, rules: [{{name: r, channel: a, to: {{user: event.u}}, message: m}}]}}}}\n"
    );
    let text = text.replace("group: g", &format!("group: g, properties: {properties}"));
    fs::write(&file, text).unwrap();
    let told = match load(&file, &|name| (name == "T").then(|| "t".to_owned()), Strictness::Check) {
        Ok((loaded, _)) => Mistakes(loaded.warnings).to_string(),
        Err(mistakes) => mistakes.to_string(),
    };
    told.lines().map(|line| line.rsplit_once("f.yaml:").unwrap().1.to_owned()).collect()
}

#[test]
fn the_mistakes_come_with_all_others_in_the_order_of_the_file() {
    let told = told("{no.such: 1, sasl.mechanism: OAUTHBEARER}", "timeout: 5, ");
    let [property, mechanism, timeout] = told.as_slice() else { panic!("{told:#?}") };
    assert!(property.starts_with("1:"), "{property}");
    assert!(property.contains("no.such"), "{property}");
    assert!(mechanism.contains("sasl.mechanism"), "{mechanism}");
    assert!(timeout.starts_with("2:") && timeout.contains("line.timeout"), "{timeout}");
}

/// A pipeline that checks a configuration has no passwords.
#[rstest]
#[case::a_password(
    "{security.protocol: sasl_ssl, sasl.mechanism: PLAIN, sasl.username: u, sasl.password: \"${P}\"}"
)]
#[case::a_time("{session.timeout.ms: \"${P}\", max.poll.interval.ms: 30000}")]
fn a_property_whose_variable_is_absent_is_told_as_a_warning_alone(#[case] properties: &str) {
    let told = told(properties, "");
    let [warning] = told.as_slice() else { panic!("{told:#?}") };
    assert!(warning.contains("warning: kafka.properties."), "{warning}");
    assert!(warning.ends_with("the environment variable `P` is not set"), "{warning}");
}

#[test]
fn times_are_held_against_each_other_though_a_password_is_absent() {
    let told = told("{session.timeout.ms: 10000, sasl.password: \"${P}\"}", "");
    let [session, password] = told.as_slice() else { panic!("{told:#?}") };
    assert!(session.contains("too short for `line.timeout`"), "{session}");
    assert!(password.contains("warning"), "{password}");
}

#[test]
fn times_are_not_held_against_a_timeout_that_cannot_be_read() {
    let told = told("{session.timeout.ms: 10000}", "timeout: 5, ");
    let [timeout] = told.as_slice() else { panic!("{told:#?}") };
    assert!(timeout.contains("line.timeout"), "{timeout}");
}
