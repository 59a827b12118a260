//! Which records of one partition are settled, and up to where the partition may be committed.
//!
//! Only what is *not* settled is kept: between the frontier and the last record tracked, every
//! offset that is not held has settled, or never was (compaction and transaction markers leave
//! gaps, which cost nothing). So memory follows the held records and not the backlog, and what a
//! commit has to say costs the number of its runs, however many records are held.

use std::collections::BTreeMap;
use std::ops::Range;

use super::record::{CommitOffset, RecordOffset};

/// Ascending, disjoint runs of settled offsets.
pub type Runs = Vec<Range<u64>>;

/// What became of a record that was to be tracked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tracked {
    /// It is held from now on.
    Held,
    /// It settled before this epoch, and does not have to be sent again.
    SettledBefore,
    /// It has been tracked already in this epoch.
    Repeated,
}

/// The records of one partition within one epoch; `T` is what is known of a held one.
#[derive(Debug)]
pub struct Offsets<T> {
    /// Boxed, so that the map's nodes are small and quickly searched.
    held: BTreeMap<u64, Box<T>>,
    /// The offset after the last one tracked.
    next: u64,
    /// What lies between the held ones, and between the last of them and `next`: for the start of
    /// each run, its end.
    between: BTreeMap<u64, u64>,
    /// What had settled beyond the frontier when the epoch began.
    restored: Runs,
}

impl<T> Offsets<T> {
    /// A partition that is read from `position`, of which `restored` has settled before.
    pub fn starting_at(position: CommitOffset, restored: Runs) -> Self {
        Self { held: BTreeMap::new(), next: position.0, between: BTreeMap::new(), restored }
    }

    /// Takes a record in, in the partition's order.
    pub fn track(&mut self, offset: RecordOffset, item: T) -> Tracked {
        if offset.0 < self.next {
            return Tracked::Repeated;
        }
        self.restored.retain(|run| run.end > offset.0);
        let settled_before = self.restored.first().is_some_and(|run| run.contains(&offset.0));
        let next = offset.next().0;
        let passed = self.next..if settled_before { next } else { offset.0 };
        self.next = next;
        if !self.held.is_empty() && !passed.is_empty() {
            self.put_between(passed);
        }
        if settled_before {
            return Tracked::SettledBefore;
        }
        self.held.insert(offset.0, Box::new(item));
        Tracked::Held
    }

    /// Takes a held record out; none where it is not held (any more).
    pub fn settle(&mut self, offset: RecordOffset) -> Option<T> {
        let item = self.held.remove(&offset.0)?;
        let after = offset.next().0;
        match self.held.first_key_value() {
            None => self.between.clear(),
            // It was the first: the frontier passes what had settled between it and the next one.
            Some((first, _)) if *first > offset.0 => drop(self.between.remove(&after)),
            Some(_) => self.put_between(offset.0..after),
        }
        Some(*item)
    }

    /// Adds what is held no more, joined to its neighbours.
    fn put_between(&mut self, run: Range<u64>) {
        let end = self.between.remove(&run.end).unwrap_or(run.end);
        match self.between.range_mut(..run.start).next_back() {
            Some((_, before)) if *before == run.start => *before = end,
            Some(_) | None => drop(self.between.insert(run.start, end)),
        }
    }

    pub fn get(&self, offset: RecordOffset) -> Option<&T> {
        self.held.get(&offset.0).map(|item| &**item)
    }

    pub fn get_mut(&mut self, offset: RecordOffset) -> Option<&mut T> {
        self.held.get_mut(&offset.0).map(|item| &mut **item)
    }

    /// The held records, in the partition's order.
    pub fn held(&self) -> impl Iterator<Item = (RecordOffset, &T)> {
        self.held.iter().map(|(offset, item)| (RecordOffset(*offset), &**item))
    }

    pub fn held_count(&self) -> usize {
        self.held.len()
    }

    /// The offset after the last record that was tracked.
    pub fn next(&self) -> RecordOffset {
        RecordOffset(self.next)
    }

    /// The committable offset: the end of the contiguous settled prefix, plus one.
    pub fn frontier(&self) -> CommitOffset {
        CommitOffset(self.held.keys().next().copied().unwrap_or(self.next))
    }

    /// The oldest held record.
    pub fn oldest(&self) -> Option<(RecordOffset, &T)> {
        self.held().next()
    }

    /// What has settled beyond the frontier, nearest the frontier first: about so many runs of it.
    pub fn settled_beyond(&self, most: usize) -> Runs {
        let between = self.between.iter().take(most);
        let mut runs: Runs = between.map(|(start, end)| *start..*end).collect();
        for run in self.restored.iter().take(most - runs.len()) {
            push(&mut runs, run.start.max(self.next)..run.end);
        }
        runs
    }
}

/// Appends a run, joined to the last one where they touch.
fn push(runs: &mut Runs, run: Range<u64>) {
    if run.is_empty() {
        return;
    }
    match runs.last_mut() {
        Some(last) if last.end == run.start => last.end = run.end,
        Some(_) | None => runs.push(run),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    /// Runs of which there is one.
    fn run(run: Range<u64>) -> Runs {
        [run].to_vec()
    }

    fn tracking(offsets: Range<u64>) -> Offsets<()> {
        let mut tracked = Offsets::starting_at(CommitOffset(offsets.start), Runs::new());
        for offset in offsets {
            assert_eq!(tracked.track(RecordOffset(offset), ()), Tracked::Held);
        }
        tracked
    }

    #[test]
    fn an_empty_partition_is_committable_where_it_starts() {
        assert_eq!(tracking(7..7).frontier(), CommitOffset(7));
    }

    #[test]
    fn settling_out_of_order_does_not_move_the_frontier() {
        let mut offsets = tracking(10..14);
        offsets.settle(RecordOffset(12));
        assert_eq!(offsets.frontier(), CommitOffset(10));
        assert_eq!(offsets.settled_beyond(usize::MAX), run(12..13));
        offsets.settle(RecordOffset(10));
        assert_eq!(offsets.frontier(), CommitOffset(11));
        offsets.settle(RecordOffset(11));
        assert_eq!(offsets.frontier(), CommitOffset(13));
        assert!(offsets.settled_beyond(usize::MAX).is_empty());
    }

    #[test]
    fn a_gap_does_not_hold_the_frontier_up() {
        let mut offsets = Offsets::starting_at(CommitOffset(0), Runs::new());
        offsets.track(RecordOffset(5), ());
        offsets.track(RecordOffset(900), ());
        offsets.settle(RecordOffset(5));
        assert_eq!(offsets.frontier(), CommitOffset(900));
        offsets.settle(RecordOffset(900));
        assert_eq!(offsets.frontier(), CommitOffset(901));
    }

    #[test]
    fn a_record_that_settled_before_is_not_held_again() {
        let mut offsets = Offsets::starting_at(CommitOffset(3), run(4..6));
        assert_eq!(offsets.track(RecordOffset(3), ()), Tracked::Held);
        assert_eq!(offsets.track(RecordOffset(4), ()), Tracked::SettledBefore);
        assert_eq!(offsets.track(RecordOffset(5), ()), Tracked::SettledBefore);
        assert_eq!(offsets.track(RecordOffset(6), ()), Tracked::Held);
        assert_eq!(offsets.settled_beyond(usize::MAX), run(4..6));
    }

    #[test]
    fn what_settled_before_is_remembered_until_the_frontier_has_passed_it() {
        let mut offsets = Offsets::starting_at(CommitOffset(3), vec![4..6, 8..9]);
        offsets.track(RecordOffset(3), ());
        assert_eq!(offsets.settled_beyond(usize::MAX), [4..6, 8..9]);
        offsets.settle(RecordOffset(3));
        assert_eq!(offsets.frontier(), CommitOffset(4));
        assert_eq!(offsets.settled_beyond(usize::MAX), [4..6, 8..9]);
    }

    #[test]
    fn a_record_polled_twice_is_tracked_once() {
        let mut offsets = tracking(0..2);
        assert_eq!(offsets.track(RecordOffset(1), ()), Tracked::Repeated);
        assert_eq!(offsets.held_count(), 2);
    }

    proptest! {
        /// The naive model keeps every offset it has seen.
        #[test]
        fn agrees_with_a_naive_model(
            gaps in proptest::collection::vec(1_u64..4, 1..60),
            settling in proptest::collection::vec(any::<prop::sample::Index>(), 0..120),
            tracked_first in 0_usize..60,
            before in proptest::collection::vec(any::<bool>(), 60),
        ) {
            let all: Vec<u64> = gaps.iter().scan(0, |at, gap| { *at += gap; Some(*at) }).collect();
            let settled_before = |offset: &u64| before[usize::try_from(*offset).unwrap() % 60];
            let mut restored = Runs::new();
            all.iter().filter(|o| settled_before(o)).for_each(|o| push(&mut restored, *o..o + 1));
            let mut offsets = Offsets::starting_at(CommitOffset(0), restored);
            let mut unsettled = BTreeSet::new();
            let (early, late) = all.split_at(tracked_first.min(all.len()));
            for part in [early, late] {
                for offset in part {
                    let tracked = offsets.track(RecordOffset(*offset), ());
                    prop_assert_eq!(tracked == Tracked::SettledBefore, settled_before(offset));
                    if tracked == Tracked::Held {
                        unsettled.insert(*offset);
                    }
                }
                for index in &settling {
                    let offset = all[index.index(all.len())];
                    let held = offsets.settle(RecordOffset(offset)).is_some();
                    prop_assert_eq!(held, unsettled.remove(&offset));
                    let last = part.last().copied().unwrap_or(0);
                    let frontier = offsets.frontier().0;
                    for settled in all.iter().filter(|o| **o <= last && !unsettled.contains(o)) {
                        let beyond = offsets.settled_beyond(usize::MAX).iter().any(|run| run.contains(settled));
                        prop_assert_eq!(*settled >= frontier, beyond);
                    }
                    prop_assert!(unsettled.iter().all(|held| *held >= frontier));
                    let runs = offsets.settled_beyond(usize::MAX);
                    prop_assert!(runs.iter().all(|run| !run.is_empty()));
                    prop_assert!(runs.windows(2).all(|two| two[0].end < two[1].start));
                    let in_runs = |held: &u64| runs.iter().any(|run| run.contains(held));
                    prop_assert!(!unsettled.iter().any(in_runs));
                }
            }
        }
    }
}
