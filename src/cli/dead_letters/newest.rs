//! The newest dead letter of each message, for a redrive that takes what was redriven before.

use std::collections::BTreeMap;

use super::Context;
use super::identity::{OfMessage, message};
use crate::domain::letter::{Letter, Place};
use crate::kafka::scan::{Part, Scan, ScanError};

/// Of each message, the dead letter with the most redrives, and of these the last.
#[derive(Debug, Default)]
pub(super) struct Newest(BTreeMap<OfMessage, (u32, Place)>);

impl Newest {
    /// Reads the whole dead-letter topic, for what this group has set aside.
    pub(super) async fn read(context: &Context, group: &str) -> Result<Self, ScanError> {
        let mut newest = Self::default();
        let topic = &context.config.dead_letters.topic;
        let mut scan = Scan::start(&context.kafka, topic, Part::default()).await?;
        while let Some(record) = scan.next().await? {
            let Ok(letter) = Letter::read(record) else { continue };
            if letter.group.as_deref() == Some(group) {
                newest.add(&letter);
            }
        }
        Ok(newest)
    }

    fn add(&mut self, letter: &Letter) {
        let this = (letter.redrives, letter.place.clone());
        let newest = self.0.entry(message(letter)).or_insert_with(|| this.clone());
        *newest = this.max(newest.clone());
    }

    /// Whether a newer dead letter tells of the same message: redriven instead of that one, this one
    /// would leave it for the next redrive, and with it the message once more. The newer one of an
    /// event that had not come to its rule is of any rule, if this one was redriven before.
    pub(super) fn has_newer_than(&self, letter: &Letter, was_redriven: bool) -> bool {
        let (record, rule) = message(letter);
        let is_of_any = was_redriven && (rule.is_none() || letter.ended_the_search());
        let of_record = self.0.range((record.clone(), None)..);
        let mut of_record = of_record.take_while(|((other, _), _)| *other == record);
        of_record.any(|((_, other), (redrives, place))| {
            if *other == rule {
                (*redrives, place) > (letter.redrives, &letter.place)
            } else {
                is_of_any && *redrives > letter.redrives
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;
    use crate::domain::clock::Timestamp;
    use crate::domain::dead_letter::Reason;
    use crate::domain::record::{Record, RecordOffset, TopicPartition};

    fn place(topic: &str, offset: u64) -> Place {
        let source = TopicPartition { topic: topic.into(), partition: 0 };
        Place { source, offset: RecordOffset(offset) }
    }

    /// At `at` of the dead-letter topic, of the record 5 of `orders`.
    fn letter(at: u64, rule: Option<&str>, redrives: u32) -> Letter {
        let Place { source, offset } = place("orders", 5);
        let (timestamp, key, value, headers) = (Timestamp(7), None, None, Vec::new());
        Letter {
            place: place("letters", at),
            at: Timestamp(8),
            original: Record { source, offset, timestamp, key, value, headers },
            reason: Reason::Rejected,
            detail: String::new(),
            group: None,
            rule: rule.map(Into::into),
            redrives,
            added: Vec::new(),
        }
    }

    fn with_detail(detail: &str, letter: Letter) -> Letter {
        Letter { detail: detail.to_owned(), ..letter }
    }

    #[rstest]
    #[case::it_came_back(letter(0, Some("a"), 0), letter(1, Some("a"), 1), true)]
    #[case::it_was_written_twice(letter(0, Some("a"), 0), letter(1, Some("a"), 0), true)]
    #[case::it_came_back_on_another_partition(
        letter(1, Some("a"), 0),
        letter(0, Some("a"), 1),
        true
    )]
    #[case::another_rules(letter(0, Some("a"), 0), letter(1, Some("b"), 1), false)]
    #[case::the_event_has_come_to_a_rule(letter(0, None, 0), letter(1, Some("a"), 1), true)]
    #[case::it_has_come_to_a_later_rule(
        with_detail("when: undefined", letter(0, Some("a"), 0)),
        letter(1, Some("b"), 1),
        true
    )]
    #[case::beside_an_earlier_rule_that_goes_on(
        with_detail("when: undefined", letter(0, Some("b"), 0)),
        letter(1, Some("a"), 0),
        false
    )]
    fn the_older_one_is_left(#[case] older: Letter, #[case] newer: Letter, #[case] left: bool) {
        let mut newest = Newest::default();
        newest.add(&newer);
        newest.add(&older);
        assert_eq!(newest.has_newer_than(&older, true), left);
        assert!(!newest.has_newer_than(&newer, true));
    }

    #[test]
    fn a_record_of_a_topic_that_was_made_anew_is_another() {
        let mut newest = Newest::default();
        newest.add(&letter(1, Some("a"), 1));
        let mut before = letter(0, Some("a"), 0);
        before.original.timestamp = Timestamp(6);
        newest.add(&before);
        assert!(!newest.has_newer_than(&before, true));
    }

    #[test]
    fn what_another_rule_has_come_back_with_is_not_of_one_that_was_not_redriven() {
        let mut newest = Newest::default();
        newest.add(&letter(1, Some("a"), 1));
        let ended = with_detail("when: undefined", letter(0, Some("b"), 0));
        newest.add(&ended);
        assert!(!newest.has_newer_than(&ended, false));
    }
}
