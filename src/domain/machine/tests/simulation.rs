//! A simulation of the whole core: a seed gives a log, a group of members, and an API, a broker and
//! a clock that misbehave; and every step of it is judged.
//!
//! `LINE_BRIDGE_SEEDS` says how many seeds are run, and `LINE_BRIDGE_SEED` which is the first. A
//! failure names its seed, and the shortest history that breaks the same guarantee: the fewest
//! records, members, troubles and mishaps of that seed, and what then happens, step by step.
#![expect(clippy::disallowed_methods, reason = "which seeds to run is said from outside")]
#![expect(clippy::wildcard_enum_match_arm, reason = "a guarantee looks at a few kinds of step")]
#![expect(
    clippy::collapsible_match,
    reason = "an arm says which step, and its body what is judged"
)]

mod api;
mod chance;
mod commits;
mod consumer;
mod group;
mod guarantees;
mod history;
mod member;
mod mutation;
mod plan;
mod shrink;
mod step;
mod trouble;
mod world;

use std::sync::atomic::{AtomicU64, Ordering};

use rstest::rstest;

use history::Failure;
use mutation::Mutation;
use shrink::shortest;
use world::World;

/// How many seeds are run unless the environment says otherwise.
const SEEDS: u64 = 4_000;

fn from_environment(name: &str, otherwise: u64) -> u64 {
    std::env::var(name).map_or(otherwise, |value| value.parse().unwrap())
}

/// Runs every seed, on all cores, and returns the lowest that fails.
fn first_failing(seeds: std::ops::Range<u64>, mutation: Mutation) -> Option<u64> {
    let next = AtomicU64::new(seeds.start);
    let failing = AtomicU64::new(seeds.end);
    let run = || {
        loop {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed >= failing.load(Ordering::Relaxed) {
                return;
            }
            if World::new(seed, mutation).run().failure.is_some() {
                failing.fetch_min(seed, Ordering::Relaxed);
            }
        }
    };
    std::thread::scope(|scope| {
        for _ in 0..std::thread::available_parallelism().map_or(1, usize::from) {
            scope.spawn(run);
        }
    });
    Some(failing.into_inner()).filter(|seed| seeds.contains(seed))
}

#[test]
fn every_guarantee_holds_for_every_seed() {
    let first = from_environment("LINE_BRIDGE_SEED", 1);
    let seeds = first..first + from_environment("LINE_BRIDGE_SEEDS", SEEDS);
    if let Some(seed) = first_failing(seeds, Mutation::None) {
        panic!("{}", shortest(seed, Mutation::None).unwrap());
    }
}

#[test]
fn a_seed_gives_the_same_run_every_time() {
    for seed in 1..20 {
        let run = || World::new(seed, Mutation::None).told().run();
        assert_eq!(run(), run());
        assert!(run().events > 0);
    }
}

#[test]
fn all_pieces_of_a_run_together_are_that_run() {
    for seed in 1..20 {
        let whole = World::new(seed, Mutation::None).told().run();
        let plan = plan::Plan::draw(seed);
        let odd = whole.odd.iter().copied().map(history::Piece::Odd);
        let pieces = plan.pieces().chain(odd).collect();
        assert_eq!(World::of(seed, Mutation::None, &pieces).told().run(), whole);
    }
}

/// So many seeds are enough to notice any of the mutations.
const ENOUGH: u64 = 2_000;

#[rstest]
#[case::a_commit_one_too_far(Mutation::CommitOneAhead, &["NeverCommitsAhead"])]
#[case::metadata_that_claims_too_much(Mutation::ClaimTooMuch, &["NeverCommitsAhead"])]
#[case::an_early_acknowledgement(Mutation::AcknowledgeEarly, &["DeadLetterBeforeSettle"])]
#[case::dead_letters_swallowed(Mutation::SwallowLetters, &["DeadLetterBeforeSettle"])]
#[case::answers_swallowed(Mutation::SwallowAnswers, &["NoLoss"])]
#[case::answers_mixed_up(Mutation::AnswerAnother, &["NeverCommitsAhead"])]
#[case::two_of_a_lane_swapped(Mutation::SwapWithNextOfLane, &["RecipientOrder"])]
#[case::one_sent_after_it_ended(Mutation::SendPreviousAgain, &["NoDoubleSettle"])]
#[case::two_in_flight(Mutation::SendTwice, &["OneInFlightPerLane"])]
#[case::failed_commits_called_good(Mutation::CallFailedCommitsGood, &["DuplicatesExplained"])]
#[case::metadata_ignored(Mutation::IgnoreMetadata, &["DuplicatesExplained"])]
#[case::read_past_the_position(Mutation::ReadPastPosition, &["NeverCommitsAhead"])]
#[case::records_forgotten(Mutation::ForgetRecords, &["NeverCommitsAhead"])]
#[case::pauses_ignored(Mutation::IgnorePauses, &["Bounds"])]
#[case::always_heard(Mutation::AlwaysHeard, &["CutOffStaysQuiet"])]
#[case::released_at_once(Mutation::ReleaseAtOnce, &["DuplicatesExplained"])]
#[case::more_in_flight(Mutation::MoreInFlight, &["Bounds"])]
#[case::later_deadlines(Mutation::LaterDeadlines, &["NothingAfterTheDeadline"])]
#[case::stops_taken_for_refusals(Mutation::StopsAsRefusals, &["OutageSpendsNothing"])]
#[case::retries_that_the_rule_forbids(Mutation::RetryAnyway, &["DuplicatesExplained"])]
#[case::dropped_records_not_counted(Mutation::ForgetDropped, &["Conservation"])]
#[case::retries_behind_newer_ones(Mutation::RetryBehind, &["RecipientOrder"])]
#[case::answers_of_an_old_epoch(Mutation::ForgetTheEpoch, &["OneInFlightPerLane"])]
#[case::more_bytes_held(Mutation::MoreBytes, &["Bounds"])]
#[case::a_brake_that_comes_late(Mutation::BrakeLater, &["BrakeHolds"])]
#[case::a_jump_to_where_the_log_begins(Mutation::JumpWhenOutOfRange, &["NeverCommitsAhead"])]
#[case::out_of_range_unnoticed(Mutation::HideOutOfRange, &["OutOfRangeStands"])]
#[case::out_of_range_everywhere(Mutation::AllOutOfRange, &["NothingElseStands"])]
fn a_mutation_is_noticed_by_its_guarantee(#[case] mutation: Mutation, #[case] guarantees: &[&str]) {
    let mut others = std::collections::BTreeSet::new();
    for seed in 1..=ENOUGH {
        if let Some(Failure { guarantee, .. }) = World::new(seed, mutation).run().failure {
            if guarantees.contains(&guarantee) {
                return;
            }
            others.insert(guarantee);
        }
    }
    panic!("{mutation:?} was not noticed; others did: {others:?}");
}

#[rstest]
#[case::a_commit(Mutation::CommitOneAhead)]
#[case::an_order(Mutation::SwapWithNextOfLane)]
#[case::a_dead_letter(Mutation::SwallowLetters)]
#[case::a_hand_over(Mutation::ReleaseAtOnce)]
#[case::a_stop(Mutation::StopsAsRefusals)]
#[case::a_brake(Mutation::BrakeLater)]
#[case::a_crash(Mutation::IgnoreMetadata)]
fn a_failing_seed_is_cut_down_to_what_it_needs(#[case] mutation: Mutation) {
    let seed = first_failing(1..ENOUGH, mutation).unwrap();
    let first = World::new(seed, mutation).run().failure.unwrap();
    let history = shortest(seed, mutation).unwrap();
    assert_eq!(history.failure.guarantee, first.guarantee);
    let (left, from) = (history.pieces.len(), history.from);
    assert!(left <= 20 && left * 2 <= from, "{left} of {from}:\n{history}");
    for piece in &history.pieces {
        assert!(!history.breaks_without(*piece), "{piece:?} is not needed:\n{history}");
    }
    assert_eq!(history.to_string(), shortest(seed, mutation).unwrap().to_string());
}
