//! A world that is small enough to be gone through: what is said of a random template and a random
//! schema is compared with what becomes of every event there can be.

use std::collections::BTreeMap;

use proptest::prelude::*;
use serde_json::{Value as Json, json};

use super::*;
use crate::domain::dead_letter::Reason;
use crate::domain::message::Verdict;
use crate::domain::record::Record;
use crate::domain::rules::Rules;

/// Every event: each property missing, or with each of its values.
fn events() -> Vec<Json> {
    let values = [
        ("s", vec![json!("x"), json!("y")]),
        ("a", vec![json!(null), json!(""), json!("v")]),
        (
            "o",
            vec![
                json!(null),
                json!({}),
                json!({"d": 1}),
                json!({"c": null}),
                json!({"c": ""}),
                json!({"c": "w"}),
            ],
        ),
        (
            "l",
            vec![
                json!([]),
                json!([{}]),
                json!([{"d": 1}]),
                json!([{"c": "w"}]),
                json!([{"c": "w"}, {}]),
                json!([{"c": "w"}, {"c": ""}]),
                json!([{}, {"c": "w"}]),
                json!([{"c": ""}, {}]),
                json!([{"c": ""}]),
            ],
        ),
    ];
    let mut events = vec![json!({})];
    for (name, values) in values {
        for event in events.clone() {
            for value in &values {
                let mut event = event.clone();
                event[name] = value.clone();
                events.push(event);
            }
        }
    }
    events
}

fn any_schema() -> impl Strategy<Value = Json> {
    let text = || {
        prop::sample::select(vec![json!({"type": "string"}), json!({"type": ["string", "null"]})])
    };
    let names = || prop::sample::subsequence(vec!["s", "a", "o", "l"], 0..=4);
    let object = (text(), any::<bool>(), any::<bool>()).prop_map(|(c, required, nullable)| {
        let required = if required { vec!["c"] } else { vec![] };
        let of_type = if nullable { json!(["object", "null"]) } else { json!("object") };
        json!({"type": of_type, "required": required, "properties": {"c": c}})
    });
    let list = (any::<bool>(), 0..2).prop_map(|(required, least)| {
        let required = if required { vec!["c"] } else { vec![] };
        json!({"type": "array", "minItems": least, "items": {
            "type": "object", "required": required, "properties": {"c": {"type": "string"}}
        }})
    });
    let status = prop::sample::select(vec![json!({"enum": ["x", "y"]}), json!({"const": "x"})]);
    let more = prop_oneof![
        Just(json!({})),
        (names(), names()).prop_map(|(then, otherwise)| json!({
            "if": {"properties": {"s": {"const": "x"}}},
            "then": {"required": then},
            "else": {"required": otherwise},
        })),
        (names(), names()).prop_map(|(then, otherwise)| json!({
            "if": {"required": ["a"]},
            "then": {"required": then},
            "else": {"required": otherwise},
        })),
        (names(), names()).prop_map(|(one, other)| json!({
            "anyOf": [{"required": one}, {"required": other}],
        })),
        (names(), names()).prop_map(|(one, other)| json!({
            "oneOf": [
                {"properties": {"s": {"const": "x"}}, "required": ["s"], "allOf": [{"required": one}]},
                {"properties": {"s": {"const": "y"}}, "required": ["s"], "allOf": [{"required": other}]},
            ],
        })),
    ];
    (names(), status, text(), object, list, more).prop_map(|(required, s, a, o, l, more)| {
        let mut schema = json!({
            "type": "object", "required": required,
            "properties": {"s": s, "a": a, "o": o, "l": l},
        });
        for (keyword, value) in more.as_object().unwrap() {
            schema[keyword] = value.clone();
        }
        schema
    })
}

fn path() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec!["event.s", "event.a", "event.o.c", "event.l[0].c"])
}

fn condition() -> impl Strategy<Value = String> {
    let container = prop::sample::select(vec!["event.o", "event.l", "event.l[0]"]);
    let leaf = prop_oneof![
        path().prop_map(|path| format!("{path} is defined")),
        container.clone().prop_map(|path| format!("{path} is defined")),
        container.prop_map(|path| format!("(({path} | default('', true)) or false)")),
        path().prop_map(|path| format!("({path} is undefined)")),
        path().prop_map(|path| format!("{path} is none")),
        path().prop_map(|path| format!("{path} is string")),
        path().prop_map(|path| format!("({path} | default('', true))")),
        path().prop_map(|path| format!("({path} | default('x'))")),
        path().prop_map(str::to_owned),
        Just("event.s == 'x'".to_owned()),
        Just("event.s in ['y']".to_owned()),
        Just("event.a != none".to_owned()),
        Just("event.l != []".to_owned()),
        Just("event.l == []".to_owned()),
        Just("event.l[1] is defined".to_owned()),
        Just("(event.s | default('x')) == 'x'".to_owned()),
    ];
    leaf.prop_recursive(3, 8, 2, |inner| {
        prop_oneof![
            inner.clone().prop_map(|one| format!("(not {one})")),
            (inner.clone(), inner.clone()).prop_map(|(one, other)| format!("({one} and {other})")),
            (inner.clone(), inner).prop_map(|(one, other)| format!("({one} or {other})")),
        ]
    })
}

fn template() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        path().prop_map(|path| format!("{{{{ {path} }}}}")),
        path().prop_map(|path| format!("{{{{ {path} | default('-') }}}}")),
        path().prop_map(|path| format!("{{{{ {path} | default('-', true) }}}}")),
        (path(), condition())
            .prop_map(|(path, when)| format!("{{{{ {path} if {when} else '-' }}}}")),
        (path(), condition()).prop_map(|(path, when)| {
            format!("{{% set known = {when} %}}{{% if known %}}{{{{ {path} }}}}{{% endif %}}")
        }),
        Just("{% for i in event.l %}{{ i.c }}{% endfor %}".to_owned()),
        Just("{% for i in event.l if i.c is defined %}{{ i.c }}{% endfor %}".to_owned()),
        Just("{% for i in event.l | default([]) %}{{ i.c }}{% endfor %}".to_owned()),
        Just(
            "{% for i in event.l %}{% for j in event.l %}{{ i.c }}{% endfor %}{% endfor %}"
                .to_owned()
        ),
        Just("{{ event.l | default([]) | join('', attribute='c') }}".to_owned()),
        path().prop_map(|path| format!("{{% for i in event.l %}}{{{{ {path} }}}}{{% endfor %}}")),
    ];
    leaf.prop_recursive(4, 12, 3, |inner| {
        let several = || proptest::collection::vec(inner.clone(), 1..3).prop_map(|it| it.concat());
        prop_oneof![
            several(),
            (condition(), several())
                .prop_map(|(when, then)| format!("{{% if {when} %}}{then}{{% endif %}}")),
            (condition(), several(), several()).prop_map(|(when, then, otherwise)| {
                format!("{{% if {when} %}}{then}{{% else %}}{otherwise}{{% endif %}}")
            }),
        ]
    })
}

/// The first event that satisfies the schema and that the rules fail on.
fn failing(schema: &Schema, rules: &Rules) -> Option<String> {
    events().iter().find_map(|event| {
        let value = event.to_string().into_bytes();
        let event = schema.decode(&value).ok()?;
        let rejection = match rules.decide(event.clone(), &Record::at("t", 0, 0)).verdict {
            Verdict::Reject(rejection) => rejection,
            Verdict::Deliver(parts) => parts.into_iter().find_map(Result::err)?,
            Verdict::Skip(_) => return None,
        };
        (rejection.reason == Reason::RuleError).then(|| format!("{event}: {}", rejection.detail))
    })
}

proptest! {
    // Each goes through some 900 events, and the same every time; more cases go on from there.
    #![proptest_config(ProptestConfig {
        cases: ProptestConfig::default().cases / 4,
        rng_seed: proptest::test_runner::RngSeed::Fixed(1),
        ..ProptestConfig::default()
    })]

    /// Clean means that no event can fail; a mistake means that some event does.
    #[test]
    fn what_is_said_is_what_happens(text in any_schema(), message in template()) {
        let schema = schema(&text.to_string());
        let source = topic(vec![rule("r", None, &format!("x{message}"))]);
        let rules = Rules::compile(&source, &BTreeMap::new()).unwrap();
        let found: Vec<String> = check(schema.outline(), &source, &channels())
            .into_iter()
            .map(|misfit| misfit.message)
            .filter(|message| !message.contains("according to the schema"))
            .collect();
        let failing = failing(&schema, &rules);
        prop_assert_eq!(found.is_empty(), failing.is_none(), "{} | {} | {:?} | {:?}", text, message, found, failing);
    }
}
