//! Partitions that librdkafka has stopped reading without a word of which.

use std::collections::BTreeMap;
use std::time::Duration;

use super::super::rebalance::Seen;
use super::Assigned;
use crate::domain::record::TopicPartition;

/// How many statistics after an error are searched for the partition that it was of.
const LOOKS: u32 = 5;

/// In how many statistics in a row a partition's fetches have to be refused: a new leader takes
/// some time.
const REFUSALS: u32 = 8;

/// For so many statistics after a topic was missing its partitions are watched, a minute each that it is
/// read.
const WATCHED: u32 = 30;

/// What is known of such partitions.
#[derive(Debug, Default)]
pub(super) struct Unread {
    /// Some position is out of range, and it is not known yet whose: how many more statistics are
    /// searched for it.
    looks_left: u32,
    /// When that was heard.
    out_of_range_at: Duration,
    /// Topics that were missing, and for how many more statistics a partition of them that is assigned
    /// is to be watched.
    missing: BTreeMap<String, u32>,
}

type All = BTreeMap<TopicPartition, Assigned>;

impl Unread {
    /// librdkafka says once that some position is out of range, and not whose, and reads that
    /// partition no further.
    pub(super) fn out_of_range(&mut self, now: Duration) {
        self.looks_left = LOOKS;
        self.out_of_range_at = now;
    }

    /// Some topic does not exist; it is not said which.
    pub(super) fn unknown_topic(&mut self, assigned: &All) {
        let topics = assigned.keys().map(|source| source.topic.to_string());
        self.missing.extend(topics.map(|topic| (topic, WATCHED)));
    }

    /// What the group knew of this topic is gone.
    pub(super) fn forgotten(&mut self, topic: &str) {
        self.missing.insert(topic.to_owned(), WATCHED);
    }

    /// Those that are found by statistics noted at `at`.
    pub(super) fn look(
        &mut self,
        at: Duration,
        seen: &Seen,
        assigned: &mut All,
    ) -> Vec<TopicPartition> {
        let mut found = self.look_for_out_of_range(at, &seen.stopped, assigned);
        found.extend(self.look_for_topics_made_anew(seen, assigned));
        found
    }

    /// To compare the positions with the logs would not find one whose log was cut off and has grown
    /// past it since; but what is assigned and not read shows.
    fn look_for_out_of_range(
        &mut self,
        at: Duration,
        stopped: &[TopicPartition],
        assigned: &mut All,
    ) -> Vec<TopicPartition> {
        let mut found = Vec::new();
        // After a question that took long there are old ones.
        if self.looks_left == 0 || at <= self.out_of_range_at {
            return found;
        }
        self.looks_left -= 1;
        // Those that were noted before it was assigned tell nothing of it.
        for (source, assigned) in assigned.iter_mut().filter(|(_, it)| it.since < at) {
            let is_stopped = stopped.contains(source);
            assigned.seen_stopped = if is_stopped { assigned.seen_stopped + 1 } else { 0 };
            match assigned.seen_stopped {
                // It may not have begun.
                1 => self.looks_left = self.looks_left.max(1),
                2 => found.push(source.clone()),
                _ => {}
            }
        }
        found
    }

    /// A topic that was deleted is there again, as another one of the same name. Where its leader's
    /// epoch was higher before, librdkafka takes the new one for old, and asks for records with an
    /// epoch that the broker refuses, for ever and in silence. Of a topic that was not missing the
    /// same sign means a leader or a right that is away, and that ends by itself.
    fn look_for_topics_made_anew(
        &mut self,
        seen: &Seen,
        assigned: &mut All,
    ) -> Vec<TopicPartition> {
        self.missing.extend(seen.missing.iter().map(|topic| (topic.clone(), WATCHED)));
        let mut found = Vec::new();
        for (source, assigned) in assigned {
            // What is paused is not fetched: it shows only later.
            assigned.watched = assigned.watched.saturating_sub(u32::from(!assigned.paused));
            let of_topic = self.missing.get(&*source.topic).copied();
            assigned.watched = assigned.watched.max(of_topic.unwrap_or_default());
            let is_refused = !assigned.paused && seen.refused.contains(source);
            let more = |count: u32, counts: bool| if counts { count.saturating_add(1) } else { 0 };
            assigned.seen_refused = more(assigned.seen_refused, is_refused);
            let is_away = !assigned.paused && seen.away.contains(source);
            assigned.seen_unread = more(assigned.seen_unread, is_refused || is_away);
            assigned.seen_refused_watched =
                more(assigned.seen_refused_watched, is_refused && assigned.watched > 0);
            if assigned.seen_refused_watched == REFUSALS {
                found.push(source.clone());
            }
        }
        self.missing.retain(|_, left| {
            *left -= 1;
            *left > 0
        });
        found
    }
}

/// Those that can't be read for longer than a new leader takes.
pub(super) fn unread(assigned: &All) -> Vec<TopicPartition> {
    let unread = assigned.iter().filter(|(_, assigned)| assigned.seen_unread >= REFUSALS);
    unread.map(|(source, _)| source.clone()).collect()
}

/// Those to be asked about: their fetches are refused for long, and nobody has seen their topic
/// missing. It may have been away too briefly for that.
pub(super) fn suspects(assigned: &All) -> Vec<TopicPartition> {
    let is_suspect = |assigned: &Assigned| {
        assigned.seen_refused_watched == 0
            && assigned.seen_refused > 0
            && assigned.seen_refused.is_multiple_of(REFUSALS)
    };
    let suspects = assigned.iter().filter(|(_, assigned)| is_suspect(assigned));
    suspects.map(|(source, _)| source.clone()).collect()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::domain::record::{CommitOffset, Epoch};

    fn source(topic: &str) -> TopicPartition {
        TopicPartition { topic: topic.into(), partition: 0 }
    }

    fn assigned(topics: &[&str]) -> All {
        let of = |topic: &&str| {
            let source = source(topic);
            let assigned = Assigned {
                topic: Arc::clone(&source.topic),
                epoch: Epoch(1),
                next: CommitOffset(0),
                reached: 0,
                since: Duration::ZERO,
                seen_stopped: 0,
                seen_refused: 0,
                seen_unread: 0,
                seen_refused_watched: 0,
                watched: 0,
                paused: false,
            };
            (source, assigned)
        };
        topics.iter().map(of).collect()
    }

    fn refused(topics: &[&str]) -> Seen {
        Seen { refused: topics.iter().map(|topic| source(topic)).collect(), ..Seen::default() }
    }

    /// How many of so many statistics that are all alike tell of something.
    fn told(unread: &mut Unread, all: &mut All, seen: &Seen, times: u32) -> Vec<TopicPartition> {
        (0..times).flat_map(|_| unread.look(Duration::from_secs(9), seen, all)).collect()
    }

    #[test]
    fn a_topic_that_was_missing_and_is_refused_is_told_once() {
        let (mut unread, mut all) = (Unread::default(), assigned(&["orders", "payments"]));
        let gone = Seen { missing: vec!["orders".to_owned()], ..Seen::default() };
        assert!(told(&mut unread, &mut all, &gone, 300).is_empty(), "it is away for long");
        let both = refused(&["orders", "payments"]);
        assert!(told(&mut unread, &mut all, &both, REFUSALS - 1).is_empty());
        assert_eq!(told(&mut unread, &mut all, &both, 100), [source("orders")]);
    }

    /// The redrive topic may be missing for as long as the bridge runs.
    #[test]
    fn a_topic_that_stays_missing_makes_no_refusal_a_topic_made_anew() {
        let (mut unread, mut all) = (Unread::default(), assigned(&["orders"]));
        let seen = Seen { missing: vec!["redrive".to_owned()], ..refused(&["orders"]) };
        assert!(told(&mut unread, &mut all, &seen, 100).is_empty());
    }

    #[test]
    fn what_is_refused_long_after_its_topic_was_missing_is_not_told() {
        let (mut unread, mut all) = (Unread::default(), assigned(&["orders"]));
        unread.unknown_topic(&all);
        assert!(told(&mut unread, &mut all, &Seen::default(), WATCHED).is_empty());
        assert!(told(&mut unread, &mut all, &refused(&["orders"]), 100).is_empty());
    }

    /// The coordinator takes the partitions of a deleted topic away.
    #[test]
    fn a_topic_that_was_missing_while_nobody_had_it_is_watched_when_it_is_assigned() {
        let (mut unread, mut none) = (Unread::default(), All::new());
        let gone = Seen { missing: vec!["orders".to_owned()], ..Seen::default() };
        assert!(told(&mut unread, &mut none, &gone, 1).is_empty());
        let (mut all, seen) = (assigned(&["orders"]), refused(&["orders"]));
        assert_eq!(told(&mut unread, &mut all, &seen, 100), [source("orders")]);
    }

    #[test]
    fn what_cant_be_read_for_long_is_unread_until_it_is_read_again() {
        let (mut at, mut all) = (Unread::default(), assigned(&["orders", "payments"]));
        let away = Seen { away: vec![source("payments")], ..refused(&["orders"]) };
        told(&mut at, &mut all, &away, REFUSALS - 1);
        assert!(unread(&all).is_empty());
        told(&mut at, &mut all, &away, 1);
        assert_eq!(unread(&all), [source("orders"), source("payments")]);
        told(&mut at, &mut all, &refused(&["payments"]), 1);
        assert_eq!(unread(&all), [source("payments")]);
        told(&mut at, &mut all, &Seen::default(), 1);
        assert!(unread(&all).is_empty());
    }

    /// A right or a leader may be away for as long: those are asked about, again and again.
    #[test]
    fn a_partition_that_is_refused_and_was_not_missing_is_a_suspect_now_and_then() {
        let (mut unread, mut all) = (Unread::default(), assigned(&["orders", "payments"]));
        let mut asked = Vec::new();
        for _ in 0..REFUSALS * 2 {
            assert!(told(&mut unread, &mut all, &refused(&["orders"]), 1).is_empty());
            asked.extend(suspects(&all));
        }
        assert_eq!(asked, [source("orders"), source("orders")]);
        set_paused(&mut all, true);
        assert!(told(&mut unread, &mut all, &refused(&["orders"]), REFUSALS).is_empty());
        assert!(suspects(&all).is_empty());
    }

    fn set_paused(all: &mut All, paused: bool) {
        for assigned in all.values_mut() {
            assigned.paused = paused;
        }
    }

    #[test]
    fn a_topic_made_anew_while_it_is_paused_is_told_when_it_is_read_again() {
        let (mut unread, mut all) = (Unread::default(), assigned(&["orders"]));
        let gone = Seen { missing: vec!["orders".to_owned()], ..Seen::default() };
        set_paused(&mut all, true);
        assert!(told(&mut unread, &mut all, &gone, 5).is_empty());
        assert!(told(&mut unread, &mut all, &refused(&["orders"]), 300).is_empty());
        set_paused(&mut all, false);
        assert_eq!(told(&mut unread, &mut all, &refused(&["orders"]), 100), [source("orders")]);
    }

    /// It may be so for days.
    #[test]
    fn a_partition_that_is_paused_keeps_no_other_one_under_suspicion() {
        let (mut unread, mut all) = (Unread::default(), assigned(&["orders"]));
        let other = TopicPartition { partition: 1, ..source("orders") };
        all.insert(other.clone(), all[&source("orders")].clone());
        unread.unknown_topic(&all);
        all.get_mut(&source("orders")).unwrap().paused = true;
        assert!(told(&mut unread, &mut all, &Seen::default(), WATCHED).is_empty());
        let seen = Seen { refused: vec![other], ..Seen::default() };
        assert!(told(&mut unread, &mut all, &seen, 100).is_empty());
    }

    #[test]
    fn a_leader_that_comes_back_in_time_is_no_topic_made_anew() {
        let (mut unread, mut all) = (Unread::default(), assigned(&["orders"]));
        unread.unknown_topic(&all);
        let orders = refused(&["orders"]);
        assert!(told(&mut unread, &mut all, &orders, REFUSALS - 1).is_empty());
        assert!(told(&mut unread, &mut all, &Seen::default(), 1).is_empty());
        assert!(told(&mut unread, &mut all, &orders, REFUSALS - 1).is_empty());
    }
}
