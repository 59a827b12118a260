//! A name that stands alone is looked up without the engine.

use rstest::rstest;
use serde_json::json;

use super::{RecipientSource, RuleSource, part, rule};

/// In parentheses it is an expression like any other, which the engine evaluates.
#[rstest]
#[case::text("event.to")]
#[case::number("event.number")]
#[case::null("event.none")]
#[case::beyond_null("event.none.deeper")]
#[case::missing("event.missing")]
#[case::beyond_missing("event.missing.deeper")]
#[case::beyond_text("event.to.deeper")]
#[case::object("event.object")]
#[case::inside("event.object.inner")]
#[case::called_like_a_method("event.object.items")]
#[case::list("event.list")]
#[case::beyond_list("event.list.first")]
#[case::item("event.list.0")]
#[case::the_event("event")]
#[case::key("record.key")]
#[case::header("record.headers.raw")]
#[case::with_space_around_it(" event.to ")]
fn a_name_alone_is_what_the_engine_makes_of_it(#[case] name: &str) {
    let event = json!({
        "to": "c-1", "number": 7, "none": null, "list": ["c-2"],
        "object": {"inner": "c-3", "items": "c-4"},
    });
    let made = |to: String| {
        let rule = RuleSource { to: RecipientSource::Contact(to), ..rule("r", None, "text") };
        part(rule, &event).map(|message| message.recipient).map_err(|rejection| rejection.reason)
    };
    assert_eq!(made(name.to_owned()), made(format!("({name})")));
}
