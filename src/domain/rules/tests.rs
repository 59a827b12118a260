use proptest::prelude::*;
use rstest::rstest;
use serde_json::{Value as Json, json};

use super::super::record::{Header, RecordOffset, TopicPartition};
use super::*;

mod mistakes;
mod names;
mod texts;

const NOW: Timestamp = Timestamp(1_762_654_445_000);

fn channel(name: &str) -> Channel {
    Channel { name: name.into(), id: format!("id-of-{name}").into() }
}

fn channels() -> BTreeMap<Arc<str>, Channel> {
    ["support", "shop"].iter().map(|name| ((*name).into(), channel(name))).collect()
}

fn rule(name: &str, when: Option<&str>, message: &str) -> RuleSource {
    RuleSource {
        name: name.into(),
        when: when.map(str::to_owned),
        channel: ChannelSource::Fixed(channel("support")),
        to: RecipientSource::Contact("event.to".to_owned()),
        message: message.to_owned(),
        expires: Expiry::After(Duration::from_hours(24)),
        on_ambiguous: OnAmbiguous::Retry,
        continues: false,
    }
}

fn topic(rules: Vec<RuleSource>) -> TopicRules {
    TopicRules { event_time: None, unmatched: Unmatched::Skip, rules }
}

fn compile(rules: Vec<RuleSource>) -> Rules {
    Rules::compile(&topic(rules), &channels()).unwrap()
}

fn record() -> Record {
    let header = |name: &str, value: &[u8]| Header { name: name.into(), value: Some(value.into()) };
    Record {
        source: TopicPartition { topic: "orders".into(), partition: 3 },
        offset: RecordOffset(42),
        timestamp: NOW,
        key: Some(b"the-key".to_vec()),
        value: None,
        headers: vec![
            header("trace-id", b"old"),
            header("trace-id", b"t-1"),
            header("raw", b"\xff"),
        ],
    }
}

fn decide(rule: RuleSource, event: &Json) -> Verdict {
    compile(vec![rule]).decide(event.clone(), &record()).verdict
}

/// What the one rule, which matches always, makes of the event.
fn part(rule: RuleSource, event: &Json) -> Result<Message, Rejection> {
    match decide(rule, event) {
        Verdict::Deliver(mut parts) => parts.remove(0),
        verdict @ (Verdict::Skip(_) | Verdict::Reject(_)) => panic!("{verdict:?}"),
    }
}

#[rstest]
#[case::undefined(
    "event.status == 'x'",
    "when: undefined value in `event.status == 'x'`: there is no `event.status`"
)]
#[case::alone("event.flag", "when: undefined value in `event.flag`")]
#[case::not_a_boolean(
    "event.n",
    "when: a condition must give true or false, but this one gives a number"
)]
#[case::a_string("event.s", "this one gives a string")]
#[case::null("event.z", "this one gives null")]
fn a_condition_that_fails_rejects_the_record(#[case] when: &str, #[case] detail: &str) {
    let event = json!({"to": "c", "n": 1, "s": "true", "z": null});
    let Verdict::Reject(rejection) = decide(rule("r", Some(when), "x"), &event) else { panic!() };
    assert_eq!(rejection.reason, Reason::RuleError);
    assert_eq!(rejection.rule.as_deref(), Some("r"));
    assert!(rejection.detail.contains(detail), "{}", rejection.detail);
}

#[rstest]
#[case::contact("event.a", json!({"a": "c-1"}), Ok("c-1"))]
#[case::numbered("event.a", json!({"a": 17}), Ok("17"))]
#[case::missing("event.a", json!({}), Err((Reason::RuleError, "to: undefined value in `event.a`")))]
#[case::null("event.a", json!({"a": null}), Err((Reason::InvalidMessage, "to: the expression does not give a string")))]
#[case::float("event.a", json!({"a": 1.5}), Err((Reason::InvalidMessage, "to: the expression does not give a string")))]
#[case::empty("event.a", json!({"a": ""}), Err((Reason::InvalidMessage, "to: `to.contact` is empty")))]
fn a_contact_is_a_string_or_a_whole_number(
    #[case] to: &str,
    #[case] event: Json,
    #[case] expected: Result<&str, (Reason, &str)>,
) {
    let mut source = rule("r", None, "x");
    source.to = RecipientSource::Contact(to.to_owned());
    match (part(source, &event), expected) {
        (Ok(message), Ok(id)) => assert_eq!(message.recipient, Recipient::contact(id).unwrap()),
        (Err(rejection), Err((reason, detail))) => {
            assert_eq!((rejection.reason, rejection.detail.as_str()), (reason, detail));
        }
        (made, _) => panic!("{made:?}"),
    }
}

#[test]
fn a_line_user_is_checked() {
    let mut source = rule("r", None, "x");
    source.to = RecipientSource::LineUser("event.u".to_owned());
    let user = format!("U{}", "0a".repeat(16));
    assert!(part(source.clone(), &json!({"u": user})).is_ok());
    let rejection = part(source, &json!({"u": user.to_uppercase()})).unwrap_err();
    assert_eq!(rejection.reason, Reason::InvalidMessage);
}

#[rstest]
#[case::known(json!({"to": "c", "brand": "shop"}), Ok("id-of-shop"))]
#[case::unknown(json!({"to": "c", "brand": "nope"}), Err(Reason::InvalidMessage))]
#[case::not_a_name(json!({"to": "c", "brand": 1}), Err(Reason::InvalidMessage))]
#[case::missing(json!({"to": "c"}), Err(Reason::RuleError))]
fn a_channel_can_be_computed(#[case] event: Json, #[case] expected: Result<&str, Reason>) {
    let mut source = rule("r", None, "x");
    source.channel = ChannelSource::From("event.brand".to_owned());
    let made = part(source, &event);
    let found = made.as_ref().map(|message| &*message.channel.id).map_err(|it| it.reason);
    assert_eq!(found, expected);
}

/// The texts of the parts that were made, and the rules of those that were not.
fn parts(rules: Vec<RuleSource>, event: &Json) -> Vec<Result<String, String>> {
    match compile(rules).decide(event.clone(), &record()).verdict {
        Verdict::Deliver(parts) => parts
            .into_iter()
            .map(|part| match part {
                Ok(message) => Ok(message.text.as_str().to_owned()),
                Err(rejection) => Err(rejection.rule.unwrap().to_string()),
            })
            .collect(),
        Verdict::Skip(_) => Vec::new(),
        Verdict::Reject(rejection) => panic!("{rejection:?}"),
    }
}

fn going_on(rule: RuleSource) -> RuleSource {
    RuleSource { continues: true, ..rule }
}

#[rstest]
#[case::first_wins(json!({"to": "c", "a": true, "b": true}), vec![Ok("a"), Ok("b")])]
#[case::second(json!({"to": "c", "a": false, "b": true}), vec![Ok("b")])]
#[case::last(json!({"to": "c", "a": false, "b": false}), vec![Ok("c")])]
#[case::goes_on_past_one_that_ends(json!({"to": "c", "a": true, "b": false}), vec![Ok("a"), Ok("c")])]
#[case::an_error_after_a_part_ends_the_search(json!({"to": "c", "a": true}), vec![Ok("a"), Err("b")])]
fn the_first_rule_that_matches_wins_unless_it_goes_on(
    #[case] event: Json,
    #[case] expected: Vec<Result<&str, &str>>,
) {
    let rules = vec![
        going_on(rule("a", Some("event.a"), "a")),
        rule("b", Some("event.b"), "b"),
        rule("c", None, "c"),
    ];
    let found = parts(rules, &event);
    let found: Vec<_> = found.iter().map(|part| part.as_deref().map_err(String::as_str)).collect();
    assert_eq!(found, expected);
}

#[test]
fn a_part_that_fails_leaves_the_others() {
    let rules = vec![going_on(rule("a", None, "{{ event.nope }}")), rule("b", None, "b")];
    assert_eq!(parts(rules, &json!({"to": "c"})), [Err("a".to_owned()), Ok("b".to_owned())]);
}

#[rstest]
#[case(Unmatched::Skip, Verdict::Skip(SkipReason::Unmatched))]
#[case(Unmatched::DeadLetter, Verdict::Reject(Rejection {
    reason: Reason::NoRule, detail: "no rule of the topic matches".to_owned(), rule: None,
}))]
fn an_event_that_no_rule_matches(#[case] unmatched: Unmatched, #[case] expected: Verdict) {
    let mut topic = topic(vec![rule("r", Some("false"), "x")]);
    topic.unmatched = unmatched;
    let rules = Rules::compile(&topic, &channels()).unwrap();
    assert_eq!(rules.decide(json!({}), &record()).verdict, expected);
}

#[rstest]
#[case::rfc_3339(json!({"at": "1970-01-01T07:00:01.5+07:00"}), Ok(1_500))]
#[case::never(json!({"at": "9999-12-31T23:59:59Z"}), Ok(253_402_207_200_999))]
#[case::millis(json!({"at": 1_800_000_000_500_i64}), Ok(1_800_000_000_500))]
#[case::seconds(json!({"at": 1_800_000_000}), Err("event_time: not a time: the number looks like seconds"))]
#[case::no_offset(json!({"at": "1970-01-01T00:00:01"}), Err("event_time: not a time"))]
#[case::float(json!({"at": 1.5}), Err("event_time: not a time"))]
#[case::far_away(json!({"at": i64::MAX}), Err("event_time: not a time"))]
#[case::missing(json!({}), Err("event_time: undefined value in `event.at`"))]
fn the_event_tells_its_own_time(#[case] event: Json, #[case] expected: Result<i64, &str>) {
    let mut event = event;
    event["to"] = "c".into();
    let mut topic = topic(vec![rule("r", None, "x")]);
    topic.event_time = Some("event.at".to_owned());
    let decision = Rules::compile(&topic, &channels()).unwrap().decide(event, &record());
    match (decision.verdict, expected) {
        (Verdict::Deliver(parts), Ok(millis)) => {
            assert_eq!(decision.event_time, Timestamp(millis));
            let day = Duration::from_hours(24);
            assert_eq!(parts[0].as_ref().unwrap().deadline, Timestamp(millis).plus(day));
        }
        (Verdict::Reject(rejection), Err(says)) => {
            assert_eq!((rejection.reason, rejection.rule), (Reason::RuleError, None));
            assert!(rejection.detail.starts_with(says), "{}", rejection.detail);
            assert_eq!(decision.event_time, NOW);
        }
        (verdict, _) => panic!("{verdict:?}"),
    }
}

#[test]
fn a_deadline_can_be_a_point_in_time() {
    let mut source = rule("r", None, "x");
    source.expires = Expiry::At("event.starts".to_owned());
    let event = json!({"to": "c", "starts": "1970-01-01T00:00:02Z"});
    assert_eq!(part(source.clone(), &event).unwrap().deadline, Timestamp(2_000));
    let rejection = part(source, &json!({"to": "c", "starts": "soon"})).unwrap_err();
    assert_eq!(rejection.reason, Reason::RuleError);
    assert!(rejection.detail.starts_with("expires_at: not a time"), "{}", rejection.detail);
}

#[test]
fn the_fingerprint_changes_with_every_part_of_a_rule() {
    let edits: Vec<fn(&mut TopicRules)> = vec![
        |_| {},
        |topic| topic.event_time = Some("event.at".to_owned()),
        |topic| topic.unmatched = Unmatched::DeadLetter,
        |topic| topic.rules[0].name = "s".into(),
        |topic| topic.rules[0].when = Some("true".to_owned()),
        |topic| topic.rules[0].channel = ChannelSource::Fixed(channel("shop")),
        |topic| topic.rules[0].channel = ChannelSource::From("event.brand".to_owned()),
        |topic| topic.rules[0].to = RecipientSource::LineUser("event.to".to_owned()),
        |topic| topic.rules[0].message = "y".to_owned(),
        |topic| topic.rules[0].expires = Expiry::After(Duration::from_hours(1)),
        |topic| topic.rules[0].expires = Expiry::At("event.at".to_owned()),
        |topic| topic.rules[0].on_ambiguous = OnAmbiguous::DeadLetter,
        |topic| topic.rules[0].continues = true,
        |topic| topic.rules.insert(0, rule("before", Some("event.b"), "x")),
    ];
    let prints: std::collections::BTreeSet<u64> = edits
        .iter()
        .map(|edit| {
            let mut topic = topic(vec![rule("r", None, "x")]);
            edit(&mut topic);
            Rules::compile(&topic, &channels()).unwrap().fingerprint()
        })
        .collect();
    assert_eq!(prints.len(), edits.len());
}

#[test]
fn the_fingerprint_stays_the_same_from_version_to_version() {
    let rules = compile(vec![rule("r", Some("event.a"), "x")]);
    assert_eq!(rules.fingerprint(), 8_610_524_007_369_972_673);
}

fn any_json() -> impl Strategy<Value = Json> {
    let leaf = prop_oneof![
        Just(Json::Null),
        any::<bool>().prop_map(Json::from),
        any::<i64>().prop_map(Json::from),
        any::<u64>().prop_map(Json::from),
        any::<f64>().prop_map(Json::from),
        ".{0,40}".prop_map(Json::from),
        "[-0-9.eE+:TZ]{0,30}".prop_map(Json::from),
    ];
    let name =
        prop_oneof![Just("a".to_owned()), Just("b".to_owned()), Just("to".to_owned()), ".{0,8}"];
    leaf.prop_recursive(6, 64, 8, move |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..8).prop_map(Json::from),
            proptest::collection::btree_map(name.clone(), inner, 0..8)
                .prop_map(|map| map.into_iter().collect::<Json>()),
        ]
    })
}

proptest! {
    #[test]
    fn no_event_makes_the_rules_panic(event in any_json()) {
        let mut computed = rule("computed", Some("event.a != event.b"), "{{ event.a | money(event.b) }}");
        computed.channel = ChannelSource::From("event.a".to_owned());
        computed.expires = Expiry::At("event.a".to_owned());
        let rules = vec![
            going_on(rule("all", None, "{{ event.a }}{{ event.b | default('x', true) }}")),
            going_on(rule("times", None, "{{ event.a | datetime('Asia/Tokyo', event.b) }}")),
            going_on(rule("number", None, "{{ event.a | number(2) }}{{ event.b | plural('a', 'b') }}")),
            going_on(rule("mixed", None, "{{ event.a + event.b }}{{ event.a[event.b] }}{{ event.a[1:9] }}")),
            going_on(rule("loop", None, "{% for x in event.a %}{{ x }}{% endfor %}{{ event.a | join(',') }}")),
            computed,
        ];
        let decision = compile(rules).decide(event, &record());
        if let Verdict::Deliver(parts) = decision.verdict {
            for rejection in parts.into_iter().filter_map(Result::err) {
                prop_assert!(rejection.detail.len() <= 300);
            }
        }
    }
}

#[test]
fn a_huge_text_and_a_deep_event_are_only_rejected() {
    let huge = "あ".repeat(340_000);
    let rejection = part(rule("r", None, "{{ event.a }}"), &json!({"to": "c", "a": huge}));
    assert_eq!(rejection.unwrap_err().reason, Reason::InvalidMessage);
    let mut deep = json!(1);
    for _ in 0..2_000 {
        deep = Json::Array(vec![deep]);
    }
    let event = serde_json::Map::from_iter([("to".to_owned(), "c".into()), ("a".to_owned(), deep)]);
    let event = Json::Object(event);
    let made = part(rule("r", None, "{{ event.a | string }}"), &event);
    assert!(made.is_ok() || made.is_err());
}

/// For each rule, what it answered, and whether the decision was the same without the trace.
fn explained(rules: Vec<RuleSource>, event: &Json) -> Vec<RuleAnswer> {
    let rules = compile(rules);
    let (decision, asked) = rules.explain(event.clone(), &record());
    assert_eq!(decision, rules.decide(event.clone(), &record()));
    asked.into_iter().map(|asked| asked.answer).collect()
}

#[rstest]
#[case::the_first_that_matches_ends_the_search(
    json!({"to": "c", "n": 2}),
    &[RuleAnswer::False, RuleAnswer::True, RuleAnswer::NotAsked]
)]
#[case::the_last_matches_always(json!({"to": "c", "n": 3}), &[RuleAnswer::False, RuleAnswer::False, RuleAnswer::Always])]
#[case::a_failure_ends_the_search(
    json!({"to": "c", "m": 1}),
    &[RuleAnswer::Failed("when: undefined value in `event.n == 1`: there is no `event.n`".to_owned()), RuleAnswer::NotAsked, RuleAnswer::NotAsked]
)]
fn it_is_told_what_each_rule_answered(#[case] event: Json, #[case] expected: &[RuleAnswer]) {
    let rules = vec![
        rule("one", Some("event.n == 1"), "x"),
        rule("two", Some("event.n == 2"), "x"),
        rule("rest", None, "x"),
    ];
    assert_eq!(explained(rules, &event), expected);
}

#[test]
fn a_rule_that_goes_on_has_the_next_one_asked() {
    let mut first = rule("first", None, "{{ event.nowhere }}");
    first.continues = true;
    let rules = vec![first, rule("second", None, "x")];
    assert_eq!(explained(rules, &json!({"to": "c"})), [RuleAnswer::Always, RuleAnswer::Always]);
}

#[test]
fn without_an_event_time_no_rule_is_asked() {
    let source = TopicRules {
        event_time: Some("event.at".to_owned()),
        ..topic(vec![rule("one", None, "x")])
    };
    let rules = Rules::compile(&source, &channels()).unwrap();
    let (decision, asked) = rules.explain(json!({"to": "c"}), &record());
    assert!(matches!(decision.verdict, Verdict::Reject(_)));
    assert_eq!(asked[0].answer, RuleAnswer::NotAsked);
}
