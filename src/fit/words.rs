//! The misfits in words: the thing, what is wrong, and the way out.

use std::collections::BTreeSet;
use std::sync::Arc;

use serde_json::Value as Json;

use super::shown;
use crate::domain::rules::reads::{Need, Step};
use crate::domain::words::nearest;
use crate::schema::outline::Kinds;

/// The most names or values that are told.
const TOLD_LIMIT: usize = 10;
/// The longest value that is told, in characters.
const VALUE_LIMIT: usize = 60;
const TIME: &str = "a text in RFC 3339, or whole milliseconds since 1970";

/// The beginning of the path, of so many steps.
fn beginning(path: &[Step], steps: usize) -> String {
    shown(path.get(..steps).unwrap_or(path))
}

pub(super) fn no_such(path: &[Step], at: usize, names: &BTreeSet<&str>) -> String {
    let name = match path.get(at) {
        Some(Step::Name(name)) => name.as_str(),
        Some(Step::Index(_) | Step::Each) | None => "",
    };
    let way_out = match nearest(name, names.iter().copied()) {
        Some(near) => format!("did you mean `{near}`?"),
        None if names.is_empty() => "it allows none there".to_owned(),
        None => format!("it has {}", listed(names.iter().map(|name| format!("`{name}`")))),
    };
    format!("`{}`: the schema has no such property; {way_out}", beginning(path, at + 1))
}

pub(super) fn leads(path: &[Step], at: usize, to: Kinds) -> String {
    let (of, whole) = (beginning(path, at), beginning(path, at + 1));
    let wanted = match path.get(at) {
        Some(Step::Index(_) | Step::Each) => "items",
        Some(Step::Name(_)) | None => "properties",
    };
    format!("`{whole}`: the schema says that `{of}` is {to}, which has no {wanted}")
}

pub(super) fn missing(path: &[Step], at: usize) -> String {
    let missing = beginning(path, at);
    let needed =
        if at < path.len() { format!(", needed for `{}`,", shown(path)) } else { String::new() };
    format!(
        "`{missing}`{needed} may be missing: the schema does not require it; guard it with \
         `{missing} is defined`, or use the filter `default`"
    )
}

pub(super) fn null(path: &[Step]) -> String {
    let path = shown(path);
    format!(
        "`{path}` may be null; use the filter `default(…, true)`, or guard it with `{path} is not none`"
    )
}

pub(super) fn not_always_set(name: &str) -> String {
    format!("`{name}` is not always set here: set it before the `if`, or in each of its branches")
}

/// Where a comparison, a test or a `not` is to be shown.
pub(super) const BOOLEAN_IN_A_TEXT: &str =
    "true or false can't stand in a text; choose one with `{{ \"…\" if … else \"…\" }}`";

/// `here` is what is left of the types after the conditions on the way.
pub(super) fn wrong_type(path: &[Step], (stated, here): (Kinds, Kinds), need: Need) -> String {
    let only = if here == stated { String::new() } else { format!(", and here only {here}") };
    format!("`{}`: the schema says that it is {stated}{only}; {}", shown(path), needed(need))
}

/// Of an operation.
pub(super) fn gives(what: &str, kinds: Kinds, need: Need) -> String {
    format!("{what} gives {kinds}; {}", needed(need))
}

/// Of a value that stands in the rule.
pub(super) fn constant(value: &Json, need: Need) -> String {
    format!("{} is {}; {}", written(value), Kinds::of(value), needed(need))
}

pub(super) const NO_ELSE: &str =
    "there is no value where the `if` does not hold; add an `else` to it";

fn needed(need: Need) -> String {
    let what = match need {
        Need::Condition => {
            return "a condition must give true or false: compare it".to_owned();
        }
        Need::Number | Need::Summed => {
            return "a number is needed here, which the filter `float` makes of a text".to_owned();
        }
        Need::Time => return format!("a time is needed here: {TIME}"),
        Need::Text | Need::Contact | Need::Convertible => "a string or a number",
        Need::Amount => "a number, or a string such as \"12.50\",",
        Need::String => "a string",
        Need::User => "the id of a LINE user",
        Need::Channel => "the name of a channel",
        Need::Currency => "a currency's code, such as \"THB\",",
        Need::Zone => "the name of a time zone, such as \"Asia/Bangkok\",",
        Need::Items | Need::Looped => "a list, a string or an object",
        Need::Sliced => "a list or a string",
        Need::List => "a list",
        Need::Object => "an object",
        Need::Nothing | Need::Name | Need::Defined | Need::Value => "a value that is not null",
    };
    format!("{what} is needed here")
}

pub(super) fn no_sum((one, of_one): (&str, Kinds), (other, of_other): (&str, Kinds)) -> String {
    format!(
        "`{one} + {other}` adds {of_one} and {of_other}; to concatenate, use `~` \
         instead of `+`"
    )
}

pub(super) fn never_a_time(path: &[Step], allowed: &[&Json]) -> String {
    format!(
        "`{}`: the schema allows only {}; a time is needed here: {TIME}",
        shown(path),
        listed(distinct(allowed).into_iter())
    )
}

pub(super) fn any_text(path: &[Step]) -> String {
    format!(
        "`{}`: a time is needed here, and the schema allows any text; give it \
         `\"format\": \"date-time\"`, or a text that is no time makes the event a dead letter",
        shown(path)
    )
}

pub(super) fn braces(inside: &str) -> String {
    let name = inside.trim();
    format!(
        "`{{{inside}}}` is sent literally; write the value as `{{{{ {name} }}}}`, \
         and the braces themselves as `{{{{ \"{{{name}}}\" }}}}`"
    )
}

pub(super) fn variable(inside: &str) -> String {
    format!(
        "`${{{inside}}}` is sent literally: environment variables are not expanded in rules; write the \
         text itself, or take it from the event"
    )
}

pub(super) fn type_of(path: &[Step], kinds: Kinds, value: &Json) -> String {
    format!(
        "`{}` is compared with {}, which is {}; the schema says that it is {kinds}",
        shown(path),
        written(value),
        Kinds::of(value)
    )
}

pub(super) fn two_types(one: &[Step], of_one: Kinds, other: &[Step], of_other: Kinds) -> String {
    format!(
        "`{}` is compared with `{}`; the schema says that the one is {of_one}, the other {of_other}",
        shown(one),
        shown(other)
    )
}

pub(super) fn not_allowed(path: &[Step], value: &Json, allowed: &[&Json]) -> String {
    let texts: Vec<&str> = allowed.iter().filter_map(|value| value.as_str()).collect();
    let near = value.as_str().and_then(|value| nearest(value, texts));
    let way_out = match near {
        Some(near) => format!("did you mean {}?", written(&Json::from(near))),
        None => format!("it allows {}", listed(distinct(allowed).into_iter())),
    };
    format!("`{}` is never {} according to the schema; {way_out}", shown(path), written(value))
}

pub(super) fn no_channel<'c>(
    value: &Json,
    channels: impl Iterator<Item = &'c Arc<str>> + Clone,
) -> String {
    let near = value.as_str().and_then(|name| nearest(name, channels.clone().map(|name| &**name)));
    let way_out = match near {
        Some(near) => format!("did you mean `{near}`?"),
        None => format!("it has {}", listed(channels.map(|name| format!("`{name}`")))),
    };
    format!("{} is not among `channels`; {way_out}", written(value))
}

pub(super) const GIVEN_UP: &str = "the schema and the rules have more alternatives than can be followed, so \
     not all of the rules is compared with it; try them with `examples`";

/// Of the names that may come, these are no channel, currency or time zone.
pub(super) fn not_all_exist<'c>(
    path: &[Step],
    others: BTreeSet<String>,
    need: Need,
    channels: impl Iterator<Item = &'c Arc<str>>,
) -> String {
    let channels: Vec<_> = channels.map(|name| format!("`{name}`")).collect();
    let (lack, mend) = if need == Need::Currency {
        ("which ISO 4217 does not have".to_owned(), "correct the schema")
    } else if need == Need::Zone {
        ("which the time zone database does not have".to_owned(), "correct the schema")
    } else if channels.is_empty() {
        ("but `channels` is empty".to_owned(), "add the channel")
    } else {
        (format!("but `channels` has only {}", listed(channels.into_iter())), "add the channel")
    };
    format!(
        "`{}` may be {} according to the schema, {lack}: such an event would become a dead letter; \
         {mend}, or exclude the value in `when`",
        shown(path),
        listed(others.into_iter()),
    )
}

pub(super) fn another_format(path: &[Step]) -> String {
    format!(
        "`{}`: by its `format` in the schema it is never a point in time, which is needed here: {TIME}",
        shown(path)
    )
}

fn distinct(values: &[&Json]) -> BTreeSet<String> {
    values.iter().map(|value| written(value)).collect()
}

pub(super) fn written(value: &Json) -> String {
    let text = value.to_string();
    let short: String = text.chars().take(VALUE_LIMIT).collect();
    if short.len() < text.len() { format!("{short}…") } else { short }
}

fn listed(mut names: impl Iterator<Item = String>) -> String {
    let told: Vec<String> = names.by_ref().take(TOLD_LIMIT).collect();
    let others = names.count();
    let told = told.join(", ");
    if others > 0 { format!("{told} and {others} more") } else { told }
}
