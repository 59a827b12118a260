use std::time::Duration;

use proptest::prelude::*;
use rstest::rstest;
use secrecy::ExposeSecret as _;

use super::super::*;
use super::{MINIMAL, TOKEN, env, folder, load, short, with, with_rule};
use crate::domain::message::OnAmbiguous;
use crate::domain::paused::Paused;
use crate::domain::ports::Start;
use crate::domain::rules::{ChannelSource, Expiry, RecipientSource, RuleSource, Unmatched};

/// The example of the design document.
const DOCUMENTED: &str = r#"kafka:
  brokers: kafka-0:9092,kafka-1:9092
  group: line-bridge
  start: latest                                 # or earliest, for a group without commits
  properties: {security.protocol: SASL_SSL}     # any librdkafka property
line:
  base_url: https://api.klink.cloud
  token: {file: token}                          # or {env: LINE_TOKEN}
  encoding: json                                # or form
  timeout: 15s
  requests_per_second: 100                      # per channel, shared by the group
delivery: {max_in_flight: 256, held_records: 5000, drain_timeout: 25s, retry: {max_elapsed: 15m}}
channels:                                       # names for channel ids
  support: f6154dda-bd9a-4d03-8a77-ff3421070009
dead_letters: {topic: line-bridge.dead-letters}
topics:
  orders:
    schema: schemas/orders.json
    rules:                                      # in order
      - name: shipped
        when: event.status == "shipped"
        channel: support                        # a name above
        to: {contact: event.customer.contactId} # or {user: event.customer.lineUserId}
        message: "Your order #{{ event.orderId }} has been shipped."
        expires_after: 24h                      # from the event's time
        on_ambiguous: retry                     # or dead_letter
    event_time: event.occurredAt                # left out: the record's timestamp
    unmatched: skip                             # or dead_letter
"#;

fn config(source: &str) -> Config {
    match load(source, Strictness::Run) {
        Ok(loaded) => loaded.config,
        Err(mistakes) => panic!("{mistakes}"),
    }
}

fn rule(config: &Config) -> &RuleSource {
    &config.topics["orders"].rules.rules[0]
}

#[test]
fn the_documented_example_gives_what_it_says() {
    let loaded = load(DOCUMENTED, Strictness::Run).unwrap();
    assert_eq!(loaded.warnings, []);
    let config = loaded.config;
    assert_eq!(config.kafka.brokers, "kafka-0:9092,kafka-1:9092");
    assert_eq!(config.kafka.group, "line-bridge");
    assert_eq!(config.kafka.start, Start::Latest);
    assert_eq!(config.kafka.properties["security.protocol"].expose_secret(), "SASL_SSL");
    assert_eq!(config.line.base_url.as_str(), "https://api.klink.cloud/");
    assert!(
        matches!(&config.line.token.source, TokenSource::File(path) if path.ends_with("token"))
    );
    assert_eq!(config.line.token.value.as_ref().unwrap().expose_secret(), TOKEN);
    assert_eq!(config.channels["support"].id.as_ref(), "f6154dda-bd9a-4d03-8a77-ff3421070009");
    let topic = &config.topics["orders"];
    assert!(topic.schema.ends_with("schemas/orders.json"));
    assert_eq!(topic.rules.event_time.as_deref(), Some("event.occurredAt"));
    let rule = rule(&config);
    assert_eq!(rule.when.as_deref(), Some("event.status == \"shipped\""));
    assert_eq!(rule.message, "Your order #{{ event.orderId }} has been shipped.");
    assert!(matches!(&rule.to, RecipientSource::Contact(to) if to == "event.customer.contactId"));
}

/// What the example spells out are the defaults; the minimal file leaves them out.
#[rstest]
#[case::documented(DOCUMENTED)]
#[case::minimal(MINIMAL)]
fn the_defaults_are_the_documented_ones(#[case] source: &str) {
    let config = config(source);
    assert_eq!(config.kafka.start, Start::Latest);
    assert_eq!(config.line.base_url.as_str(), "https://api.klink.cloud/");
    assert_eq!(config.line.encoding, Encoding::Json);
    assert_eq!(config.line.timeout, Duration::from_secs(15));
    assert!((config.line.requests_per_second - 100.0).abs() < f64::EPSILON);
    assert_eq!(config.line.delivery_id_header, None);
    let delivery = Delivery {
        max_in_flight: 256,
        held_records: 5_000,
        drain_timeout: Duration::from_secs(25),
        retry: Retry { max_elapsed: Duration::from_mins(15) },
        brake: 50,
    };
    assert_eq!(config.delivery, delivery);
    assert_eq!(config.dead_letters.topic, "line-bridge.dead-letters");
    assert_eq!(config.dead_letters.redrive_topic, "line-bridge.dead-letters.redrive");
    assert_eq!(config.admin.listen.to_string(), "0.0.0.0:9090");
    assert_eq!(config.topics["orders"].rules.unmatched, Unmatched::Skip);
    let rule = rule(&config);
    assert_eq!(rule.on_ambiguous, OnAmbiguous::Retry);
    assert!(matches!(rule.expires, Expiry::After(after) if after == Duration::from_hours(24)));
    assert!(matches!(&rule.channel, ChannelSource::Fixed(channel) if &*channel.name == "support"));
    assert!(!rule.continues);
}

#[test]
fn a_channel_a_topic_and_a_rule_can_be_paused_and_are_not_unless_they_say_so() {
    let paused = MINIMAL
        .replace("{support: f6154dda", "{spare: {id: b, paused: true}, support: f6154dda")
        .replace("    schema:", "    paused: true\n    schema:")
        .replace("        to:", "        channel: support\n        paused: true\n        to:");
    let Paused { channels, topics, rules } = config(&paused).paused;
    assert_eq!((channels, topics), (["spare".into()].into(), ["orders".into()].into()));
    assert_eq!(rules, [("orders".into(), ["shipped".into()].into())].into());
    let not = paused.replace("paused: true", "paused: false");
    assert_eq!(config(&not).paused, Paused::default());
}

#[test]
fn every_choice_can_be_made() {
    let source = with_rule(
        "name: shipped\nwhen: true\ncontinue: true\nchannel: {from: event.brand}\n\
         to: {user: event.user}\nmessage: |\n  two\n  lines ${NOT_SET} $${A}\n\
         expires_at: event.startsAt\non_ambiguous: dead_letter",
    );
    let source = source
        + "admin: {listen: \"[::1]:80\"}\ndelivery: {brake: 3, retry: {max_elapsed: 1h30m}}\n";
    let config = config(&source);
    let rule = rule(&config);
    assert_eq!(rule.when.as_deref(), Some("true"));
    assert!(rule.continues);
    assert!(matches!(&rule.channel, ChannelSource::From(from) if from == "event.brand"));
    assert!(matches!(&rule.to, RecipientSource::LineUser(to) if to == "event.user"));
    assert!(matches!(&rule.expires, Expiry::At(at) if at == "event.startsAt"));
    assert_eq!(rule.message, "two\nlines ${NOT_SET} $${A}\n", "the environment is not for rules");
    assert_eq!(rule.on_ambiguous, OnAmbiguous::DeadLetter);
    assert_eq!(config.delivery.brake, 3);
    assert_eq!(config.delivery.retry.max_elapsed, Duration::from_mins(90));
    assert_eq!(config.admin.listen.port(), 80);
}

#[test]
fn properties_keep_their_spelling() {
    let config = config(&with(
        "kafka: {brokers: k, group: g, properties: {a: 010, b: 1.50, c: true, d: \" x \", e: -1}}",
    ));
    let text = |name: &str| config.kafka.properties[name].expose_secret().to_owned();
    assert_eq!(["a", "b", "c", "d", "e"].map(text), ["010", "1.50", "true", " x ", "-1"]);
}

#[test]
fn the_environment_is_put_in_after_the_yaml_is_parsed() {
    let config = config(&with(
        "kafka:\n  brokers: k\n  group: x-${GROUP}\n  properties: {sasl.password: \"${PASSWORD}\", a: \"$${GROUP}\"}\n\
         delivery: {max_in_flight: \"${NUMBER}\", drain_timeout: \"${TIME}\"}",
    ));
    assert_eq!(config.kafka.group, "x-from-environment");
    assert_eq!(config.kafka.properties["sasl.password"].expose_secret(), "hunter2: [");
    assert_eq!(config.kafka.properties["a"].expose_secret(), "${GROUP}");
    assert_eq!(config.delivery.max_in_flight, 12);
    assert_eq!(config.delivery.drain_timeout, Duration::from_secs(45));
}

#[test]
fn a_check_goes_on_without_the_environment() {
    let source = MINIMAL
        .replace("env: LINE_TOKEN", "file: nowhere")
        .replace("group: line-bridge", "group: \"${NOT_SET}\"")
        + "delivery: {max_in_flight: \"${NOT_SET}\"}\n";
    assert!(load(&source, Strictness::Run).is_err());
    let loaded = load(&source, Strictness::Check).unwrap();
    assert_eq!(loaded.warnings.len(), 3);
    assert_eq!(loaded.config.kafka.group, "${NOT_SET}");
    assert_eq!(loaded.config.delivery.max_in_flight, 256);
    assert!(loaded.config.line.token.value.is_none());
}

#[test]
fn an_alias_and_a_merge_are_read() {
    let source = MINIMAL.replace("  orders:\n", "  orders: &orders\n")
        + "  returns:\n    <<: *orders\n    unmatched: dead_letter\n  refunds: *orders\n";
    let config = config(&source);
    assert_eq!(config.topics.len(), 3);
    assert_eq!(config.topics["returns"].rules.unmatched, Unmatched::DeadLetter);
    assert_eq!(config.topics["refunds"].rules.rules.len(), 1);
}

#[test]
fn later_mistakes_find_their_line() {
    let config = config(DOCUMENTED);
    let locations = &config.locations;
    let at = |mistake: Mistake| {
        let place = mistake.place.unwrap();
        (mistake.key, place.line, place.column)
    };
    let message = locations.mistake_at("orders", Some(0), "message", "an undefined name");
    assert_eq!(at(message), ("topics.orders.rules[0].message".to_owned(), 24, 18));
    let contact = locations.mistake_at("orders", Some(0), "to.contact", "");
    assert_eq!(at(contact), ("topics.orders.rules[0].to.contact".to_owned(), 23, 23));
    let left_out = locations.mistake_at("orders", Some(0), "expires_at", "");
    assert_eq!(at(left_out), ("topics.orders.rules[0].expires_at".to_owned(), 20, 9));
    let schema = locations.mistake_at("orders", None, "schema", "");
    assert_eq!(at(schema), ("topics.orders.schema".to_owned(), 18, 13));
    let property = locations.mistake_at_key(&["kafka", "properties", "security.protocol"], "");
    assert_eq!(at(property), ("kafka.properties.\"security.protocol\"".to_owned(), 5, 35));
    assert_eq!(at(locations.mistake_at("unknown", None, "schema", "")).1, 17);
}

#[test]
fn the_hash_is_the_contents() {
    let hash = config(MINIMAL).hash().to_owned();
    assert_eq!(hash, config(MINIMAL).hash());
    assert_ne!(hash, config(&format!("{MINIMAL}# a comment\n")).hash());
    assert_eq!(hash.len(), 12);
    assert!(hash.bytes().all(|byte| byte.is_ascii_hexdigit()));
}

#[rstest]
#[case::no_file(None, "f.yaml: the file can't be read: no such file")]
#[case::empty(
    Some(Vec::new()),
    "f.yaml: the file is empty; it needs `kafka`, `line`, `dead_letters` and `topics`"
)]
#[case::only_a_comment(
    Some("# nothing\n".into()),
    "f.yaml: the file is empty; it needs `kafka`, `line`, `dead_letters` and `topics`"
)]
#[case::not_utf8(
    Some(b"a: 1\nb: \xe9\n".into()),
    "f.yaml:2:4: this is not UTF-8; save the file as UTF-8"
)]
#[case::a_list(
    Some("- a\n".into()),
    "f.yaml:1:1: expected keys and values, such as `kafka:` and below it `group: NAME`"
)]
#[case::too_large(Some("#".repeat(1024 * 1024 + 1).into()), "f.yaml: the file is larger than 1 MiB: is it the right one?")]
fn a_file_that_is_none_is_refused(#[case] content: Option<Vec<u8>>, #[case] expected: &str) {
    let folder = folder();
    let path = folder.path().join("f.yaml");
    if let Some(content) = content {
        std::fs::write(&path, content).unwrap();
    }
    let mistakes = Config::load(&path, &env, Strictness::Check, &mut ()).unwrap_err();
    assert_eq!(short(&mistakes, folder.path()), expected);
}

#[test]
fn standard_input_is_no_file() {
    let mistakes = Config::load(Path::new("-"), &env, Strictness::Check, &mut ()).unwrap_err();
    assert!(mistakes.to_string().ends_with("is read from a file, not from standard input"));
}

#[test]
fn a_folder_is_no_file() {
    let folder = folder();
    let mistakes = Config::load(folder.path(), &env, Strictness::Run, &mut ()).unwrap_err();
    assert!(mistakes.to_string().ends_with("the file can't be read: it is a folder"));
}

#[test]
fn a_byte_order_mark_is_nothing() {
    let folder = folder();
    let path = folder.path().join("f.yaml");
    std::fs::write(&path, format!("\u{feff}{MINIMAL}")).unwrap();
    assert!(Config::load(&path, &env, Strictness::Run, &mut ()).is_ok());
}

/// Without the files: the readings that fail are enough.
fn try_to_load(source: &str, strictness: Strictness) {
    let _result =
        Config::from_text(source, Path::new("nowhere/line-bridge.yaml"), &env, strictness, &mut ());
}

proptest! {
    #[test]
    fn no_text_panics(text in "(?s).{0,200}") {
        try_to_load(&text, Strictness::Run);
    }

    #[test]
    fn no_text_of_yaml_panics(text in "([\\-a-c0-9:?&*!|>'\"%@`{}\\[\\],# \t\n$<]|<<: |kafka: |\\$\\{|&a |\\*a ){0,60}") {
        try_to_load(&text, Strictness::Check);
    }

    /// A valid file with a piece put in somewhere comes near every branch.
    #[test]
    fn no_damaged_file_panics(
        at in 0..DOCUMENTED.len(),
        cut in 0..30_usize,
        piece in "[\\-a-c0-9:&*!|'\"{}\\[\\],# \t\n$é]{0,12}",
    ) {
        let mut text = DOCUMENTED.to_owned();
        let end = (at + cut).min(text.len());
        text.replace_range(at..end, &piece);
        try_to_load(&text, Strictness::Run);
    }
}
