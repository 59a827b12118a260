//! Which dead letters are meant.

use std::ops::Range;

use clap::Args;
use clap::builder::{PossibleValuesParser, TypedValueParser as _};

use crate::cli::times;
use crate::config::{Config, parse_duration};
use crate::domain::clock::Timestamp;
use crate::domain::dead_letter::Reason;
use crate::domain::letter::Letter;
use crate::domain::words::{nearest, quoted};
use crate::kafka::scan::Part;

/// Those that fit all that is given. What may be given several times fits where one does.
#[derive(Args, Debug, Default)]
pub(super) struct Chosen {
    /// Only those whose event came from this topic; may be repeated.
    #[arg(long, value_name = "TOPIC")]
    topic: Vec<String>,
    /// Only those that were set aside for one of these reasons, comma-separated; may be
    /// repeated.
    #[arg(long, value_name = "REASON", value_delimiter = ',', value_parser = reasons())]
    reason: Vec<Reason>,
    /// Only those that are a message of this rule; may be repeated.
    #[arg(long, value_name = "RULE")]
    rule: Vec<String>,
    /// Only those that were set aside from then on: how long ago (2h, 1d12h), or RFC 3339.
    #[arg(long, value_name = "WHEN", value_parser = when)]
    since: Option<When>,
    /// Only those that were set aside before then: likewise.
    #[arg(long, value_name = "WHEN", value_parser = when)]
    until: Option<When>,
    /// Only those in this partition of the dead-letter topic.
    #[arg(long, value_name = "P", value_parser = clap::value_parser!(i32).range(0..))]
    partition: Option<i32>,
    /// Only those at these offsets of that partition: 17, or 17..20 with both ends, or several,
    /// comma-separated.
    #[arg(
        long,
        value_name = "OFFSETS",
        requires = "partition",
        value_delimiter = ',',
        value_parser = offsets
    )]
    offset: Vec<Range<u64>>,
}

/// A point in time, as an operator names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum When {
    Ago(std::time::Duration),
    At(Timestamp),
}

impl When {
    fn from(self, now: Timestamp) -> Timestamp {
        match self {
            Self::At(at) => at,
            Self::Ago(ago) => {
                let ago = i64::try_from(ago.as_millis()).unwrap_or(i64::MAX);
                Timestamp(now.0.saturating_sub(ago))
            }
        }
    }
}

impl Chosen {
    /// Whether anything is asked for, rather than all there are.
    pub(super) fn is_any(&self) -> bool {
        let Self { topic, reason, rule, since, until, partition, offset: _ } = self;
        let times = since.is_some() || until.is_some();
        !(topic.is_empty() && reason.is_empty() && rule.is_empty()) || times || partition.is_some()
    }

    /// What finds nothing because of a slip: names that the configuration does not know, and times
    /// the wrong way round. A topic or a rule may be gone, so the search goes on.
    pub(super) fn strange(&self, config: &Config, now: Timestamp) -> Vec<String> {
        let topics: Vec<&str> = config.topics.keys().map(AsRef::as_ref).collect();
        let rules = config.topics.values().flat_map(|topic| &topic.rules.rules);
        let rules: Vec<&str> = rules.map(|rule| &*rule.name).collect();
        let mut told = strange("topic", &self.topic, &topics);
        told.extend(strange("rule", &self.rule, &rules));
        told.extend(
            self.is_backwards(now)
                .then(|| "--since is not before --until, so nothing can match".to_owned()),
        );
        told
    }

    fn is_backwards(&self, now: Timestamp) -> bool {
        let since = self.since.map(|since| since.from(now));
        since.zip(self.until).is_some_and(|(since, until)| since >= until.from(now))
    }

    /// The part of the dead-letter topic that holds them all.
    pub(super) fn part(&self, now: Timestamp) -> Part {
        let start = self.offset.iter().map(|range| range.start).min();
        let end = self.offset.iter().map(|range| range.end).max();
        let offsets = start.unwrap_or(0)..end.unwrap_or(u64::MAX);
        let since = self.since.map(|since| since.from(now));
        Part { partition: self.partition, offsets, since }
    }

    pub(super) fn fits(&self, letter: &Letter, now: Timestamp) -> bool {
        let one_of = |given: &[String], name: Option<&str>| {
            given.is_empty() || given.iter().any(|given| name == Some(given.as_str()))
        };
        let offset = letter.place.offset.0;
        one_of(&self.topic, Some(&letter.original.source.topic))
            && one_of(&self.rule, letter.rule.as_deref())
            && (self.reason.is_empty() || self.reason.contains(&letter.reason))
            && self.since.is_none_or(|since| since.from(now) <= letter.at)
            && self.until.is_none_or(|until| letter.at < until.from(now))
            && self.partition.is_none_or(|partition| partition == letter.place.source.partition)
            && (self.offset.is_empty() || self.offset.iter().any(|range| range.contains(&offset)))
    }
}

fn strange(what: &str, given: &[String], known: &[&str]) -> Vec<String> {
    let unknown = given.iter().filter(|name| !known.contains(&name.as_str()));
    let told = unknown.map(|name| {
        let hint = match nearest(name, known.iter().copied()) {
            Some(near) => format!("did you mean `{near}`?"),
            None => format!("there are {}", known.join(", ")),
        };
        format!("--{what}: the configuration has no {what} {}; {hint}", quoted(name))
    });
    told.collect()
}

fn reasons() -> impl clap::builder::TypedValueParser<Value = Reason> {
    let label = |label: String| Reason::ALL.into_iter().find(|reason| reason.label() == label);
    PossibleValuesParser::new(Reason::ALL.map(Reason::label))
        .try_map(move |text| label(text).ok_or("no such reason"))
}

/// A number alone is milliseconds since 1970, and never one that small: its unit was forgotten.
const NO_TIME_BELOW: Timestamp = Timestamp(100_000_000_000);

fn when(text: &str) -> Result<When, &'static str> {
    let is_meant = |at: &Timestamp| *at >= NO_TIME_BELOW || text.parse::<i64>().is_err();
    let at = || times::read(text).ok().filter(is_meant).map(When::At);
    parse_duration(text).ok().map(When::Ago).or_else(at).ok_or(
        "expected how long ago with its unit, such as 2h, or a time such as 2026-03-02T10:00:00Z",
    )
}

fn offsets(text: &str) -> Result<Range<u64>, &'static str> {
    let read = || {
        let (first, last) = text.split_once("..").unwrap_or((text, text));
        let [first, last]: [u64; 2] = [first.trim().parse().ok()?, last.trim().parse().ok()?];
        Some(first..last.checked_add(1)?).filter(|range| !range.is_empty())
    };
    read().ok_or("expected an offset, or two such as 17..20")
}

#[cfg(test)]
mod tests {
    use clap::Parser;
    use rstest::rstest;

    use super::*;
    use crate::domain::letter::Place;
    use crate::domain::record::{Record, RecordOffset, TopicPartition};

    const NOW: Timestamp = Timestamp(1_800_000_000_000);

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        chosen: Chosen,
    }

    /// Of `orders`, `rejected`, the rule `shipped`, set aside an hour ago, at `[2]@17`.
    fn letter() -> Letter {
        let source = |topic: &str, partition| TopicPartition { topic: topic.into(), partition };
        Letter {
            place: Place { source: source("letters", 2), offset: RecordOffset(17) },
            at: Timestamp(NOW.0 - 3_600_000),
            original: Record {
                source: source("orders", 0),
                offset: RecordOffset(3),
                timestamp: NOW,
                key: None,
                value: None,
                headers: Vec::new(),
            },
            reason: Reason::Rejected,
            detail: String::new(),
            group: None,
            rule: Some("shipped".into()),
            redrives: 0,
            added: Vec::new(),
        }
    }

    #[rstest]
    #[case::known("orders", None)]
    #[case::a_slip("ordres", Some("has no topic \"ordres\"; did you mean `orders`?"))]
    #[case::another("x", Some("has no topic \"x\"; there are logins, orders"))]
    fn a_name_that_the_configuration_does_not_know_is_told(
        #[case] given: &str,
        #[case] says: Option<&str>,
    ) {
        let told = strange("topic", &[given.to_owned()], &["logins", "orders"]);
        let says = says.map(|says| format!("--topic: the configuration {says}"));
        assert_eq!(told, Vec::from_iter(says));
    }

    #[rstest]
    #[case::all("", true)]
    #[case::topic("--topic payments --topic orders", true)]
    #[case::another_topic("--topic payments", false)]
    #[case::reason("--reason schema --reason rejected", true)]
    #[case::another_reason("--reason schema", false)]
    #[case::rule("--rule shipped", true)]
    #[case::another_rule("--rule placed", false)]
    #[case::since("--since 2h", true)]
    #[case::too_late_since("--since 30m", false)]
    #[case::until("--until 30m", true)]
    #[case::too_early_until("--until 1h", false)]
    #[case::since_millis("--since 1799990000000", true)]
    #[case::since_a_time("--since 2027-01-15T07:00:00Z", true)]
    #[case::until_a_time("--until 2027-01-15T07:00:00Z", false)]
    #[case::partition("--partition 2", true)]
    #[case::another_partition("--partition 1", false)]
    #[case::offset("--partition 2 --offset 17", true)]
    #[case::offsets("--partition 2 --offset 1..3,15..17", true)]
    #[case::other_offsets("--partition 2 --offset 1..16,18", false)]
    #[case::both("--topic orders --reason schema", false)]
    fn it_fits_where_all_that_is_given_does(#[case] given: &str, #[case] fits: bool) {
        let line = std::iter::once("line").chain(given.split_whitespace());
        let chosen = Line::try_parse_from(line).map(|line| line.chosen).unwrap_or_default();
        assert_eq!(chosen.is_any(), !given.is_empty());
        assert_eq!(chosen.fits(&letter(), NOW), fits);
    }

    #[rstest]
    #[case::forwards("--since 2h --until 1h", false)]
    #[case::backwards("--since 1h --until 2h", true)]
    #[case::nothing_between("--since 1h --until 2027-01-15T07:00:00Z", true)]
    #[case::of_one_end("--until 2h", false)]
    fn times_the_wrong_way_round_are_told(#[case] given: &str, #[case] backwards: bool) {
        let line = std::iter::once("line").chain(given.split_whitespace());
        let chosen = Line::try_parse_from(line).unwrap().chosen;
        assert_eq!(chosen.is_backwards(NOW), backwards);
    }

    #[rstest]
    #[case::a_reason_that_there_is_not("--reason boredom")]
    #[case::a_time_in_words("--since yesterday")]
    #[case::no_unit("--since 2")]
    #[case::offsets_of_no_partition("--offset 3")]
    #[case::backwards("--partition 0 --offset 5..3")]
    #[case::a_negative_partition("--partition=-1")]
    fn what_makes_no_sense_is_refused(#[case] given: &str) {
        let line = std::iter::once("line").chain(given.split_whitespace());
        assert!(Line::try_parse_from(line).is_err());
    }

    #[test]
    fn no_more_of_the_topic_is_read_than_may_hold_them() {
        let line = ["line", "--partition", "2", "--offset", "9,3..5", "--since", "1h"];
        let part = Line::try_parse_from(line).unwrap().chosen.part(NOW);
        let since = Some(Timestamp(NOW.0 - 3_600_000));
        assert_eq!(part, Part { partition: Some(2), offsets: 3..10, since });
    }
}
