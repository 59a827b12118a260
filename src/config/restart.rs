//! What a running bridge can't change: the keys that only a restart puts in force.

use std::collections::BTreeMap;

use secrecy::{ExposeSecret as _, SecretString};

use super::{Admin, Config, DeadLetters, Delivery, Kafka, Line};

/// The keys in which two configurations differ and which take a restart, in the file's order.
pub fn needs_restart(old: &Config, new: &Config) -> Vec<String> {
    let fixed = fixed(old).into_iter().zip(fixed(new));
    let changed = fixed.filter(|(old, new)| old != new);
    let mut keys: Vec<_> = changed.map(|((key, _), _)| key.to_owned()).collect();
    let missing = |these: &Config, those: &Config, what: &str| {
        let names = these.topics.keys().filter(|name| !those.topics.contains_key(*name));
        names.map(|name| format!("topics.{name} ({what})")).collect::<Vec<_>>()
    };
    keys.extend(missing(new, old, "added"));
    keys.extend(missing(old, new, "removed"));
    keys
}

/// A value that is compared and never shown.
#[derive(PartialEq)]
enum Value<'c> {
    Text(String),
    Secrets(BTreeMap<&'c str, &'c str>),
    Token(&'c super::TokenSource),
}

/// Every key that takes a restart, with its value. The sections are taken apart, so that a key
/// that comes to one of them later has to be given its place: here, or among those that do not.
fn fixed(config: &Config) -> Vec<(&'static str, Value<'_>)> {
    let Config {
        kafka: Kafka { brokers, group, start, properties },
        line:
            Line { base_url, token, encoding, timeout, requests_per_second: _, delivery_id_header },
        delivery:
            Delivery { max_in_flight: _, held_records: _, drain_timeout: _, retry: _, brake: _ },
        channels: _,
        dead_letters: DeadLetters { topic, redrive_topic },
        topics: _,
        admin: Admin { listen },
        paused: _,
        locations: _,
        hash: _,
    } = config;
    let shown = |value: &dyn std::fmt::Debug| Value::Text(format!("{value:?}"));
    vec![
        ("kafka.brokers", shown(brokers)),
        ("kafka.group", shown(group)),
        ("kafka.start", shown(start)),
        ("kafka.properties", Value::Secrets(exposed(properties))),
        ("line.base_url", shown(base_url)),
        ("line.token", Value::Token(&token.source)),
        ("line.encoding", shown(encoding)),
        ("line.timeout", shown(timeout)),
        ("line.delivery_id_header", shown(delivery_id_header)),
        ("dead_letters.topic", shown(topic)),
        ("dead_letters.redrive_topic", shown(redrive_topic)),
        ("admin.listen", shown(listen)),
    ]
}

fn exposed(properties: &BTreeMap<String, SecretString>) -> BTreeMap<&str, &str> {
    let exposed = |(name, value)| {
        let (name, value): (&String, &SecretString) = (name, value);
        (name.as_str(), value.expose_secret())
    };
    properties.iter().map(exposed).collect()
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::super::Strictness;
    use super::super::tests::{MINIMAL, load, with};
    use super::*;

    fn changed(to: &str) -> Vec<String> {
        let [old, new] = [MINIMAL, to].map(|source| load(source, Strictness::Run).unwrap().config);
        needs_restart(&old, &new)
    }

    #[rstest]
    #[case::nothing(MINIMAL, &[])]
    #[case::group(&with("kafka: {brokers: \"localhost:9092\", group: other}"), &["kafka.group"])]
    #[case::a_secret_property(
        &with("kafka: {brokers: \"localhost:9092\", group: line-bridge, properties: {sasl.password: x}}"),
        &["kafka.properties"]
    )]
    #[case::the_place_of_the_token(&with("line: {token: {file: token}}"), &["line.token"])]
    #[case::several(
        &with("line: {token: {env: LINE_TOKEN}, encoding: form, timeout: 3s}"),
        &["line.encoding", "line.timeout"]
    )]
    #[case::dead_letters(
        &with("dead_letters: {topic: other}"),
        &["dead_letters.topic", "dead_letters.redrive_topic"]
    )]
    #[case::rate(&with("line: {token: {env: LINE_TOKEN}, requests_per_second: 3}"), &[])]
    #[case::delivery(&with("delivery: {max_in_flight: 4, brake: 7}"), &[])]
    #[case::a_channel(&with("channels: {support: {id: other, paused: true}}"), &[])]
    #[case::a_text(&MINIMAL.replace("message: shipped", "message: sent"), &[])]
    #[case::another_topic(
        &MINIMAL.replace("  orders:\n", "  parcels:\n"),
        &["topics.parcels (added)", "topics.orders (removed)"]
    )]
    fn the_keys_that_take_a_restart_are_named(#[case] to: &str, #[case] keys: &[&str]) {
        assert_eq!(changed(to), keys);
    }
}
