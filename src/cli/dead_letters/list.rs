//! `dead-letters list`: how many of what, and the newest of them.

use std::collections::BTreeMap;
use std::sync::Arc;

use clap::Args;
use serde_json::{Value, json};

use super::chosen::Chosen;
use super::redriven::Redriven;
use super::{Context, SECTIONS};
use crate::cli::output::{Output, on_one_line};
use crate::cli::table::table;
use crate::cli::{ConfigFile, Failure, counted, failed, load_config, print_line, times};
use crate::domain::clock::Timestamp;
use crate::domain::dead_letter::Reason;
use crate::domain::letter::{Letter, Place};
use crate::kafka::scan::Scan;

/// How much of a detail a row shows, in characters.
const DETAIL: usize = 80;

#[derive(Args, Debug)]
#[command(
    after_help = "Reads the dead-letter topic from its beginning to its end, without joining a group.\n\n\
    Examples:\n  \
    line-bridge dead-letters list --config line-bridge.yaml\n  \
    line-bridge dead-letters list --config line-bridge.yaml \\\n    \
    --topic orders --reason rejected --since 2h\n  \
    line-bridge dead-letters list --config line-bridge.yaml \\\n    \
    --limit 1000 --output json | jq -r '.letters[].detail'"
)]
pub(super) struct List {
    #[command(flatten)]
    file: ConfigFile,
    #[command(flatten)]
    chosen: Chosen,
    /// Only those that have not been redriven.
    #[arg(long)]
    open: bool,
    /// How many of the newest get a row; the summary counts all.
    #[arg(long, value_name = "N", default_value = "20")]
    limit: usize,
    /// How it is written to standard output.
    #[arg(long, value_enum, default_value = "text")]
    output: Output,
}

/// How many there are of a topic, a reason and a rule.
#[derive(Clone, Copy, Debug)]
struct Tally {
    count: u64,
    redriven: u64,
    oldest: Timestamp,
    newest: Timestamp,
}

type Kind = (Arc<str>, Reason, Option<Arc<str>>);

#[derive(Debug, Default)]
struct Found {
    tallies: BTreeMap<Kind, Tally>,
    /// The newest, with how often each has been redriven.
    newest: BTreeMap<(Timestamp, Place), (Letter, usize)>,
    /// How many dead letters were not chosen.
    others: u64,
    /// Records of the topic that no bridge has written.
    foreign: u64,
}

impl List {
    pub(super) async fn run(self) -> Result<(), Failure> {
        let config = load_config(&self.file, &SECTIONS)?;
        let context = Context::of(config, &self.chosen);
        let topic = &context.config.dead_letters.topic;
        let redriven = Redriven::read_if_any(&context).await.map_err(failed)?;
        let part = self.chosen.part(context.now);
        let mut scan = Scan::start(&context.kafka, topic, part).await.map_err(failed)?;
        let mut found = Found::default();
        while let Some(record) = scan.next().await.map_err(failed)? {
            let Ok(mut letter) = Letter::read(record) else {
                found.foreign += 1;
                continue;
            };
            let times = redriven.places(&letter).len();
            if self.chosen.fits(&letter, context.now) && !(self.open && times > 0) {
                // Of what is listed nobody needs the event.
                letter.original.value = None;
                found.add(letter, times, self.limit);
            } else {
                found.others += 1;
            }
        }
        match self.output {
            Output::Json => print_line(found.json(topic)),
            Output::Text => print_line(found.text(topic, context.now)),
        }
        Ok(())
    }
}

impl Found {
    fn add(&mut self, letter: Letter, times: usize, limit: usize) {
        let kind = (letter.original.source.topic.clone(), letter.reason, letter.rule.clone());
        let none = Tally { count: 0, redriven: 0, oldest: letter.at, newest: letter.at };
        let tally = self.tallies.entry(kind).or_insert(none);
        tally.count += 1;
        tally.redriven += u64::from(times > 0);
        tally.oldest = tally.oldest.min(letter.at);
        tally.newest = tally.newest.max(letter.at);
        self.newest.insert((letter.at, letter.place.clone()), (letter, times));
        if self.newest.len() > limit {
            self.newest.pop_first();
        }
    }

    fn count(&self) -> u64 {
        self.tallies.values().map(|tally| tally.count).sum()
    }

    fn text(&self, topic: &str, now: Timestamp) -> String {
        let others = match self.others {
            0 => String::new(),
            others => format!(", out of {} that were looked at", others + self.count()),
        };
        let mut parts = vec![format!("{topic}: {}{others}", counted(self.count(), "dead letter"))];
        if self.foreign > 0 {
            let records = counted(self.foreign, "record");
            parts.push(format!("{records} of the topic not written by line-bridge"));
        }
        if !self.tallies.is_empty() {
            let rows: Vec<_> =
                self.tallies.iter().map(|(kind, tally)| sum(kind, tally, now)).collect();
            let head = ["TOPIC", "REASON", "RULE", "COUNT", "REDRIVEN", "OLDEST", "NEWEST"];
            parts.push(table(&head, &rows));
        }
        if !self.newest.is_empty() {
            let rows: Vec<_> =
                self.newest.values().map(|(letter, times)| row(letter, *times)).collect();
            let head = [
                "PARTITION",
                "OFFSET",
                "SET ASIDE",
                "EVENT",
                "REASON",
                "RULE",
                "REDRIVEN",
                "DETAIL",
            ];
            if (rows.len() as u64) < self.count() {
                parts.push(format!("The newest {}:\n{}", rows.len(), table(&head, &rows)));
            } else {
                parts.push(table(&head, &rows));
            }
        }
        parts.join("\n\n")
    }

    fn json(&self, topic: &str) -> Value {
        let summary = self.tallies.iter().map(|((topic, reason, rule), tally)| {
            json!({
                "topic": &**topic,
                "reason": reason.label(),
                "rule": rule.as_deref(),
                "count": tally.count,
                "redriven": tally.redriven,
                "oldest": times::shown(tally.oldest),
                "newest": times::shown(tally.newest),
            })
        });
        let letters = self.newest.values().map(|(letter, times)| {
            json!({
                "partition": letter.place.source.partition,
                "offset": letter.place.offset.0,
                "at": times::shown(letter.at),
                "topic": &*letter.original.source.topic,
                "original_partition": letter.original.source.partition,
                "original_offset": letter.original.offset.0,
                "reason": letter.reason.label(),
                "rule": letter.rule.as_deref(),
                "detail": letter.detail,
                "redrives": letter.redrives,
                "redriven": times,
            })
        });
        json!({
            "dead_letters": topic,
            "count": self.count(),
            "foreign": self.foreign,
            "summary": summary.collect::<Vec<_>>(),
            "letters": letters.collect::<Vec<_>>(),
        })
    }
}

fn sum((topic, reason, rule): &Kind, tally: &Tally, now: Timestamp) -> Vec<String> {
    vec![
        topic.to_string(),
        reason.label().to_owned(),
        rule_name(rule.as_deref()),
        tally.count.to_string(),
        tally.redriven.to_string(),
        times::relative(tally.oldest, now),
        times::relative(tally.newest, now),
    ]
}

fn row(letter: &Letter, times: usize) -> Vec<String> {
    let original = &letter.original;
    let place = Place { source: original.source.clone(), offset: original.offset };
    vec![
        letter.place.source.partition.to_string(),
        letter.place.offset.0.to_string(),
        times::shown(letter.at),
        place.to_string(),
        letter.reason.label().to_owned(),
        rule_name(letter.rule.as_deref()),
        if times > 0 { "yes" } else { "no" }.to_owned(),
        shortened(&on_one_line(&letter.detail)),
    ]
}

fn rule_name(rule: Option<&str>) -> String {
    rule.unwrap_or("-").to_owned()
}

fn shortened(detail: &str) -> String {
    if detail.chars().count() <= DETAIL {
        return detail.to_owned();
    }
    detail.chars().take(DETAIL - 1).chain(['…']).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::record::{Record, RecordOffset, TopicPartition};

    const NOW: Timestamp = Timestamp(1_800_000_000_000);

    fn letter(offset: u64, minutes_ago: i64, detail: &str) -> Letter {
        let source = |topic: &str, partition| TopicPartition { topic: topic.into(), partition };
        Letter {
            place: Place { source: source("letters", 0), offset: RecordOffset(offset) },
            at: Timestamp(NOW.0 - minutes_ago * 60_000),
            original: Record {
                source: source("orders", 3),
                offset: RecordOffset(100 + offset),
                timestamp: NOW,
                key: None,
                value: None,
                headers: Vec::new(),
            },
            reason: Reason::Rejected,
            detail: detail.to_owned(),
            group: None,
            rule: (offset > 0).then(|| "shipped".into()),
            redrives: 0,
            added: Vec::new(),
        }
    }

    #[test]
    fn the_summary_counts_all_and_the_newest_get_a_row() {
        let mut found = Found::default();
        found.add(letter(0, 90, "no rule"), 0, 2);
        found.add(letter(1, 60, "refused\x1b[2J"), 1, 2);
        found.add(letter(2, 5, &"long ".repeat(30)), 0, 2);
        found.foreign = 1;
        insta::assert_snapshot!(found.text("letters", NOW), @r"
        letters: 3 dead letters

        1 record of the topic not written by line-bridge

        TOPIC   REASON    RULE     COUNT  REDRIVEN  OLDEST          NEWEST
        orders  rejected  -        1      0         1 h 30 min ago  1 h 30 min ago
        orders  rejected  shipped  2      1         1 h ago         5 min ago

        The newest 2:
        PARTITION  OFFSET  SET ASIDE             EVENT          REASON    RULE     REDRIVEN  DETAIL
        0          1       2027-01-15T07:00:00Z  orders[3]@101  rejected  shipped  yes       refused\u{1b}[2J
        0          2       2027-01-15T07:55:00Z  orders[3]@102  rejected  shipped  no        long long long long long long long long long long long long long long long long…
        ");
        let json = found.json("letters");
        assert_eq!((&json["count"], &json["letters"][1]["offset"]), (&json!(3), &json!(2)));
        assert_eq!(json["summary"][1]["redriven"], 1);
    }

    #[test]
    fn none_is_said_in_a_line() {
        assert_eq!(Found::default().text("letters", NOW), "letters: 0 dead letters");
    }
}
