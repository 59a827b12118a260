//! A simulation of the whole core: a seed gives a log, a group of members, and an API, a broker and
//! a clock that misbehave; and every step of it is judged.
//!
//! `LINE_BRIDGE_SEEDS` says how many seeds are run, and `LINE_BRIDGE_SEED` which is the first: a
//! failure names its seed, and `LINE_BRIDGE_SEED=<seed> LINE_BRIDGE_SEEDS=1 cargo test --lib
//! simulation` shows it again, step by step.
#![expect(clippy::disallowed_methods, reason = "which seeds to run is said from outside")]
#![expect(clippy::wildcard_enum_match_arm, reason = "a guarantee looks at a few kinds of step")]
#![expect(
    clippy::collapsible_match,
    reason = "an arm says which step, and its body what is judged"
)]

mod api;
mod group;
mod guarantees;
mod member;
mod mutation;
mod plan;
mod step;
mod world;

use rstest::rstest;

use mutation::Mutation;
use world::World;

/// How many seeds are run unless the environment says otherwise.
const SEEDS: u64 = 500;

fn from_environment(name: &str, otherwise: u64) -> u64 {
    std::env::var(name).map_or(otherwise, |value| value.parse().unwrap())
}

#[test]
fn every_guarantee_holds_for_every_seed() {
    let first = from_environment("LINE_BRIDGE_SEED", 1);
    let mut events = 0;
    for seed in first..first + from_environment("LINE_BRIDGE_SEEDS", SEEDS) {
        match World::new(seed, Mutation::None).run() {
            Ok(taken) => events += taken,
            Err(failure) => {
                let world::Failure { guarantee, what, trace } = failure;
                panic!("seed {seed}: {guarantee}: {what}\nthe last steps:{trace}");
            }
        }
    }
    assert!(events > 0);
}

#[test]
fn a_seed_gives_the_same_run_every_time() {
    for seed in 1..20 {
        let run = || World::new(seed, Mutation::None).run().map_err(|failure| failure.trace);
        assert_eq!(run(), run());
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
fn a_mutation_is_noticed_by_its_guarantee(#[case] mutation: Mutation, #[case] guarantees: &[&str]) {
    let mut others = std::collections::BTreeSet::new();
    for seed in 1..=ENOUGH {
        if let Err(failure) = World::new(seed, mutation).run() {
            if guarantees.contains(&failure.guarantee) {
                return;
            }
            others.insert(failure.guarantee);
        }
    }
    panic!("{mutation:?} was not noticed; others did: {others:?}");
}
