use rstest::rstest;

use super::super::Strictness;
use super::{MINIMAL, load, said, with, with_rule};

#[test]
fn every_mistake_is_told_at_once_with_its_line() {
    let source = r#"kafka:
  broker: kafka-0:9092
  start: newest
  properties:
    sasl.password: [hunter2]
    enable.auto.commit: true
    bootstrap.servers: kafka:9092
line:
  base_url: http://api.example.com
  token: hunter2
  encoding: xml
  timeout: 15
  timeout: 20s
  requests_per_second: 5000
delivery:
  max_in_flight: 0
  held_records: "many"
  drain_timeout: 5 s
  retry: {max_elapsed: 2w}
channels:
  support: ""
  sup port: a1
  sales: b2
  orders: b2
dead_letters: {topic: orders}
topics:
  orders:
    schema: schemas/missing.json
    rules:
      - name: shipped
        when: 5
        channel: suport
        to: {contact: event.a, user: event.b}
        message: ""
        expires_after: 24
        expires_at: event.startsAt
        on_ambiguous: drop
        continue: maybe
      - name: shipped
        mesage: "x"
    unmatched: ignore
  pay ments:
    rules: []
loging: {}
"#;
    insta::assert_snapshot!(said(source, Strictness::Run), @r##"
    line-bridge.yaml:1:1: kafka.group: is missing; expected the name of the consumer group
    line-bridge.yaml:2:3: kafka.broker: unknown key; did you mean `brokers`?
    line-bridge.yaml:3:10: kafka.start: expected `latest` or `earliest`, found the text "newest"
    line-bridge.yaml:5:20: kafka.properties."sasl.password": expected text, a number or a boolean, found a list
    line-bridge.yaml:6:25: kafka.properties."enable.auto.commit": the bridge sets this property itself: the bridge commits what has settled, and nothing else
    line-bridge.yaml:7:24: kafka.properties."bootstrap.servers": the bridge sets this property itself: set `kafka.brokers` instead
    line-bridge.yaml:9:13: warning: line.base_url: the token and the messages would travel in the clear; use https
    line-bridge.yaml:10:10: line.token: expected {file: PATH} or {env: NAME}; never put the token itself into this file
    line-bridge.yaml:11:13: line.encoding: expected `json` or `form`, found the text "xml"
    line-bridge.yaml:12:12: line.timeout: expected a duration such as 30s, 15m or 24h, found the number 15
    line-bridge.yaml:13:3: line.timeout: duplicate key; it is already on line 12
    line-bridge.yaml:14:24: line.requests_per_second: expected a number above 0 and up to 2000, found the number 5000
    line-bridge.yaml:16:18: delivery.max_in_flight: expected a whole number from 1 to 10000, found the number 0
    line-bridge.yaml:17:17: delivery.held_records: expected a whole number from 1 to 10000000, found the text "many"
    line-bridge.yaml:18:18: delivery.drain_timeout: expected a duration such as 30s, 15m or 24h, found the text "5 s"
    line-bridge.yaml:19:24: delivery.retry.max_elapsed: expected a duration such as 30s, 15m or 24h, found the text "2w"
    line-bridge.yaml:21:12: channels.support: expected a channel's id, found the text ""
    line-bridge.yaml:22:3: channels."sup port": a channel's name has 1 to 100 letters (a-z, A-Z), digits, `-` or `_`
    line-bridge.yaml:24:11: channels.orders: the channel `sales` has this id already
    line-bridge.yaml:25:23: dead_letters.topic: this is one of `topics`, so the bridge would read its own dead letters; use another topic
    line-bridge.yaml:28:13: topics.orders.schema: schemas/missing.json: no such file
    line-bridge.yaml:31:15: topics.orders.rules[0].when: expected an expression such as event.status == "shipped", found the number 5
    line-bridge.yaml:32:18: topics.orders.rules[0].channel: there is no channel "suport"; did you mean `sup port`?
    line-bridge.yaml:33:13: topics.orders.rules[0].to: expected exactly one of `contact` and `user`: {contact: EXPRESSION} or {user: EXPRESSION}
    line-bridge.yaml:34:18: topics.orders.rules[0].message: expected the text of the message, a template, found the text ""
    line-bridge.yaml:35:24: topics.orders.rules[0].expires_after: expected a duration such as 30s, 15m or 24h, found the number 24
    line-bridge.yaml:36:21: topics.orders.rules[0].expires_at: a rule has `expires_after` or `expires_at`, not both
    line-bridge.yaml:37:23: topics.orders.rules[0].on_ambiguous: expected `retry` or `dead_letter`, found the text "drop"
    line-bridge.yaml:38:19: topics.orders.rules[0].continue: expected true or false, found the text "maybe"
    line-bridge.yaml:39:9: topics.orders.rules[1].channel: is missing; expected the name of one of `channels` or {from: EXPRESSION}
    line-bridge.yaml:39:9: topics.orders.rules[1].to: is missing; expected {contact: EXPRESSION} or {user: EXPRESSION}
    line-bridge.yaml:39:15: topics.orders.rules[1].name: duplicate rule name; the rule on line 30 already has it
    line-bridge.yaml:40:9: topics.orders.rules[1].mesage: unknown key; did you mean `message`?
    line-bridge.yaml:41:16: topics.orders.unmatched: expected `skip` or `dead_letter`, found the text "ignore"
    line-bridge.yaml:42:3: topics."pay ments": expected a Kafka topic's name: 1 to 249 letters, digits, `.`, `_` or `-`, and not `.` or `..`
    line-bridge.yaml:42:3: topics."pay ments".schema: is missing; expected the path of the topic's JSON Schema
    line-bridge.yaml:43:12: topics."pay ments".rules: expected a list of at least one rule, found an empty list
    line-bridge.yaml:44:1: loging: unknown key; the keys here are kafka, line, delivery, channels, dead_letters, topics, admin
    "##);
}

#[rstest]
#[case::nothing_required("admin: {}\n", "\
line-bridge.yaml:1:1: kafka.brokers: is missing; expected brokers such as kafka-0:9092,kafka-1:9092
line-bridge.yaml:1:1: kafka.group: is missing; expected the name of the consumer group
line-bridge.yaml:1:1: line.token: is missing; expected {file: PATH} or {env: NAME}
line-bridge.yaml:1:1: topics: is missing; expected a map of topic names, each with its schema and rules
line-bridge.yaml:1:1: dead_letters.topic: is missing; expected a Kafka topic's name: 1 to 249 letters, digits, `.`, `_` or `-`, and not `.` or `..`")]
#[case::required_in_a_section(&with("kafka: {group: g}"), "line-bridge.yaml:1:1: kafka.brokers: is missing; expected brokers such as kafka-0:9092,kafka-1:9092")]
#[case::null_for_text(&with("kafka:\n  brokers:\n  group: g"), "line-bridge.yaml:2:3: kafka.brokers: expected brokers such as kafka-0:9092,kafka-1:9092, found nothing")]
#[case::number_for_text(&with("kafka: {brokers: k, group: 12}"), "line-bridge.yaml:1:28: kafka.group: expected the name of the consumer group; quote a number or a boolean that is meant as text")]
#[case::section_as_text(&with("admin: yes"), "line-bridge.yaml:1:8: admin: expected a map of listen, found a single value")]
#[case::address(&with("admin: {listen: \":9090\"}"), "line-bridge.yaml:1:17: admin.listen: expected an IP address and a port such as 0.0.0.0:9090, found the text \":9090\"")]
#[case::rate_of_zero(&with("line: {token: {env: LINE_TOKEN}, requests_per_second: 0}"), "line-bridge.yaml:1:55: line.requests_per_second: expected a number above 0 and up to 2000, found the number 0")]
#[case::duration_below(&with("line: {token: {env: LINE_TOKEN}, timeout: 500ms}"), "line-bridge.yaml:1:43: line.timeout: expected a duration from 1s to 5m")]
#[case::duration_as_number(&with("delivery: {drain_timeout: 25}"), "line-bridge.yaml:1:27: delivery.drain_timeout: expected a duration such as 30s, 15m or 24h, found the number 25")]
#[case::duration_out_of_order(&with("delivery: {drain_timeout: 30m1h}"), "line-bridge.yaml:1:27: delivery.drain_timeout: expected a duration with its larger unit first and each unit once, such as 1h30m")]
#[case::url_with_query(&with("line: {base_url: \"https://h/?a=b\", token: {env: LINE_TOKEN}}"), "line-bridge.yaml:1:18: line.base_url: expected a URL without `?` and `#`; the bridge adds the path of each call")]
#[case::url_with_a_fragment(&with("line: {base_url: \"https://h#a\", token: {env: LINE_TOKEN}}"), "line-bridge.yaml:1:18: line.base_url: expected a URL without `?` and `#`; the bridge adds the path of each call")]
#[case::url_without_a_host(&with("line: {base_url: \"https://\", token: {env: LINE_TOKEN}}"), "line-bridge.yaml:1:18: line.base_url: expected a URL such as https://api.klink.cloud, found something else (not shown)")]
#[case::url_of_another_scheme(&with("line: {base_url: \"ftp://h\", token: {env: LINE_TOKEN}}"), "line-bridge.yaml:1:18: line.base_url: expected a URL that begins with https://")]
#[case::header_taken(&with("line: {delivery_id_header: Authorization, token: {env: LINE_TOKEN}}"), "line-bridge.yaml:1:28: line.delivery_id_header: expected the name of a header that nothing else uses, such as X-Line-Retry-Key, found the text \"Authorization\"")]
#[case::token_twice(&with("line: {token: {env: LINE_TOKEN, file: token}}"), "line-bridge.yaml:1:15: line.token: expected exactly one of `file` and `env`: {file: PATH} or {env: NAME}")]
#[case::token_nowhere(&with("line: {token: {}}"), "line-bridge.yaml:1:15: line.token: expected exactly one of `file` and `env`: {file: PATH} or {env: NAME}")]
#[case::token_file_missing(&with("line: {token: {file: nowhere}}"), "line-bridge.yaml:1:22: line.token.file: the token's file can't be read: no such file")]
#[case::token_file_empty(&with("line: {token: {file: empty}}"), "line-bridge.yaml:1:22: line.token.file: the token is empty")]
#[case::token_file_binary(&with("line: {token: {file: binary}}"), "line-bridge.yaml:1:22: line.token.file: the token has a character that a header can't carry; expected visible ASCII alone, without `Bearer` before it")]
#[case::token_variable_missing(&with("line: {token: {env: NOT_SET}}"), "line-bridge.yaml:1:21: line.token.env: the environment variable `NOT_SET` is not set")]
#[case::token_variable_long(&with("line: {token: {env: LONG}}"), "line-bridge.yaml:1:21: line.token.env: the token is longer than 8 KiB: is it the right one?")]
#[case::token_variable_empty(&with("line: {token: {env: EMPTY}}"), "line-bridge.yaml:1:21: line.token.env: the token is empty")]
#[case::variable_missing(&with("dead_letters: {topic: \"${A}-${B}\"}"), "line-bridge.yaml:1:23: dead_letters.topic: the environment variables `A`, `B` are not set")]
#[case::variable_malformed(&with("dead_letters: {topic: \"${A\"}"), "line-bridge.yaml:1:23: dead_letters.topic: `${` must be followed by a variable's name and `}`; write `$${` for a literal `${`")]
#[case::variable_of_another_form(&with("delivery: {brake: \"${GROUP}\"}"), "line-bridge.yaml:1:19: delivery.brake: expected a whole number from 1 to 1000000, found something else in the environment variable (not shown)")]
#[case::redrive_is_dead_letters(&with("dead_letters: {topic: a, redrive_topic: a}"), "line-bridge.yaml:1:41: dead_letters.redrive_topic: this is `dead_letters.topic`; redriven events need a topic of their own")]
#[case::redrive_is_a_source(&with("dead_letters: {topic: a, redrive_topic: orders}"), "line-bridge.yaml:1:41: dead_letters.redrive_topic: this is one of `topics`, so the bridge would read its own dead letters; use another topic")]
#[case::redrive_too_long(&with(&format!("dead_letters: {{topic: {}}}", "x".repeat(249))), "line-bridge.yaml:1:23: dead_letters.topic: too long to append `.redrive`; set `dead_letters.redrive_topic` as well")]
#[case::no_topics(&with("topics: {}"), "line-bridge.yaml:1:9: topics: expected a map of topic names, each with its schema and rules, found none")]
#[case::channel_left_out_of_two(&MINIMAL.replace("channels: {", "channels: {sales: b, "), "line-bridge.yaml:9:9: topics.orders.rules[0].channel: is missing; expected the name of one of `channels` or {from: EXPRESSION}")]
#[case::no_channels(&MINIMAL.replace("channels: {support: f6154dda-bd9a-4d03-8a77-ff3421070009}\n", ""), "line-bridge.yaml:8:9: topics.orders.rules[0].channel: is missing; expected the name of one of `channels` or {from: EXPRESSION}")]
#[case::channel_id_left_out(&with("channels: {support: {}}"), "line-bridge.yaml:1:12: channels.support.id: is missing; expected a channel's id")]
#[case::channel_perhaps_paused(&with("channels: {support: {id: a, paused: maybe}}"), "line-bridge.yaml:1:37: channels.support.paused: expected true or false, found the text \"maybe\"")]
#[case::rule_perhaps_paused(&with_rule("name: a\nmessage: b\nto: {contact: c}\npaused: 1"), "line-bridge.yaml:8:17: topics.orders.rules[0].paused: expected true or false, found the number 1")]
#[case::rule_is_text(&with_rule("shipped"), "line-bridge.yaml:5:9: topics.orders.rules[0]: expected a rule, which is a map of name, channel, to and message, found something else")]
#[case::rule_with_a_slip(&with_rule("nme: a\nmessage: b\nto: {contact: c}"), "line-bridge.yaml:5:9: topics.orders.rules[0].nme: unknown key; did you mean `name`?")]
#[case::slips_at_two_levels(&with_rule("name: a\nmesage: b\nto: {contct: \"\"}"), "\
line-bridge.yaml:6:9: topics.orders.rules[0].mesage: unknown key; did you mean `message`?
line-bridge.yaml:7:14: topics.orders.rules[0].to.contct: unknown key; did you mean `contact`?
line-bridge.yaml:7:22: topics.orders.rules[0].to.contct: expected an expression that gives the recipient, such as event.customer.contactId, found the text \"\"")]
#[case::slip_beside_the_key(&with("admin: {listen: 0.0.0.0:9090, listn: 1}"), "line-bridge.yaml:1:31: admin.listn: unknown key; did you mean `listen`?")]
#[case::rule_without_to(&with_rule("name: a\nmessage: b"), "line-bridge.yaml:5:9: topics.orders.rules[0].to: is missing; expected {contact: EXPRESSION} or {user: EXPRESSION}")]
#[case::to_is_text(&with_rule("name: a\nmessage: b\nto: event.contactId"), "line-bridge.yaml:7:13: topics.orders.rules[0].to: expected {contact: EXPRESSION} or {user: EXPRESSION}")]
#[case::variable_in_a_rule(&with_rule("name: a\nmessage: b\nto: {contact: c}\nexpires_after: ${TIME}"), "line-bridge.yaml:8:24: topics.orders.rules[0].expires_after: expected a duration such as 30s, 15m or 24h, found the text \"${TIME}\"; environment variables are not expanded in rules")]
#[case::rules_as_a_map(&with("topics: {orders: {schema: schemas/orders.json, rules: {name: a}}}"), "line-bridge.yaml:1:55: topics.orders.rules: expected a list of at least one rule, found a map")]
#[case::schema_is_a_folder(&MINIMAL.replace("schemas/orders.json", "schemas"), "line-bridge.yaml:7:13: topics.orders.schema: schemas: it is not a file")]
#[case::schema_from_the_environment(&MINIMAL.replace("schemas/orders.json", "${SCHEMAS}/none.json"), "line-bridge.yaml:7:13: topics.orders.schema: ${SCHEMAS}/none.json: no such file")]
#[case::block_out_of_line(
    "topics:\n  orders:\n    rules:\n      - name: a\n       to: x\n",
    "line-bridge.yaml:5:8: this is not YAML: while parsing a block collection, did not find expected '-' indicator; check the indentation: what belongs together begins in the same column"
)]
#[case::not_yaml("kafka: {\n", "line-bridge.yaml:1:8: this is not YAML: unclosed bracket '{'")]
fn a_mistake_names_its_place_and_the_expected_form(#[case] source: &str, #[case] expected: &str) {
    assert_eq!(said(source, Strictness::Run), expected);
    assert!(load(source, Strictness::Run).is_err());
}

#[rstest]
#[case::plain_http(&with("line: {base_url: \"http://10.0.0.1\", token: {env: LINE_TOKEN}}"), "line-bridge.yaml:1:18: warning: line.base_url: the token and the messages would travel in the clear; use https")]
#[case::short_drain(&with("delivery: {drain_timeout: 17s}"), "line-bridge.yaml:1:27: warning: delivery.drain_timeout: less than `line.timeout` is left for attempts, because the last 3 s are for the last commit: a drain may cut attempts off, and nobody knows then whether the customer has the message")]
#[case::short_retry(&with("delivery: {retry: {max_elapsed: 15s}}"), "line-bridge.yaml:1:33: warning: delivery.retry.max_elapsed: not longer than `line.timeout`, so an attempt that times out is never retried; make this longer")]
#[case::few_held(&with("delivery: {held_records: 10}"), "line-bridge.yaml:1:26: warning: delivery.held_records: less than `delivery.max_in_flight`, so that many attempts can never be in flight; raise this, or lower `delivery.max_in_flight`")]
#[case::a_text_cut_short(&with_rule("name: a\nmessage: Order #{{ event.orderId }} is here\nto: {contact: c}"), "line-bridge.yaml:6:18: warning: topics.orders.rules[0].message: the text ends before the `#`: after a space it begins a comment in YAML; quote the text")]
#[case::a_comment(&with_rule("name: a\nmessage: Order # of a customer\nto: {contact: c}"), "")]
#[case::a_hash_in_quotes(&with_rule("name: a\nmessage: \"Order #1\" #really\nto: {contact: c}"), "")]
#[case::a_hash_in_a_block(&with_rule("name: a\nmessage: >-\n  Order #1\nto: {contact: c}"), "")]
#[case::loopback(&with("line: {base_url: \"http://localhost:8080\", token: {env: LINE_TOKEN}}"), "")]
fn what_is_odd_is_a_warning(#[case] source: &str, #[case] expected: &str) {
    assert_eq!(said(source, Strictness::Run), expected);
    assert!(load(source, Strictness::Run).is_ok());
}

#[rstest]
#[case::brokers("bootstrap.servers")]
#[case::broker_list("metadata.broker.list")]
#[case::group("group.id")]
#[case::instance("group.instance.id")]
#[case::assignor("group.remote.assignor")]
#[case::auto_commit("enable.auto.commit")]
#[case::auto_commit_interval("auto.commit.interval.ms")]
#[case::offset_store("enable.auto.offset.store")]
#[case::offset_reset("auto.offset.reset")]
#[case::assignment("partition.assignment.strategy")]
#[case::idempotence("enable.idempotence")]
#[case::acks("acks")]
#[case::reports("delivery.report.only.error")]
#[case::dead_letters_time("delivery.timeout.ms")]
#[case::dead_letters_wait("linger.ms")]
#[case::dead_letters_share_a_limit("batch.size")]
#[case::required_acks("request.required.acks")]
#[case::in_flight("max.in.flight")]
#[case::in_flight_per_connection("max.in.flight.requests.per.connection")]
#[case::create_topics("allow.auto.create.topics")]
#[case::partition_eof("enable.partition.eof")]
#[case::statistics("statistics.interval.ms")]
#[case::gapless("enable.gapless.guarantee")]
#[case::transactions("transactional.id")]
fn a_property_that_the_bridge_owns_is_refused(#[case] name: &str) {
    let section = format!("kafka: {{brokers: k, group: g, properties: {{{name}: x}}}}");
    let text = said(&with(&section), Strictness::Run);
    assert!(text.contains("the bridge sets this property itself: "), "{text}");
    assert!(text.contains(&format!(
        "kafka.properties.{}",
        super::super::mistake::KeyPath::default().key(name).as_str()
    )));
}

#[rstest]
#[case::isolation("isolation.level: read_committed")]
#[case::session("session.timeout.ms: 10000")]
#[case::tls("ssl.ca.location: /etc/ca.pem")]
fn other_properties_are_passed_on(#[case] property: &str) {
    let section = format!("kafka: {{brokers: k, group: g, properties: {{{property}}}}}");
    assert_eq!(said(&with(&section), Strictness::Run), "");
}

#[test]
fn mistakes_are_the_same_in_json() {
    let mistakes = load(&with("admin: {listen: 1}"), Strictness::Run).unwrap_err();
    let json = serde_json::to_value(&mistakes).unwrap();
    assert_eq!(json[0]["line"], 1);
    assert_eq!(json[0]["column"], 17);
    assert_eq!(json[0]["key"], "admin.listen");
    assert_eq!(json[0]["severity"], "error");
}
