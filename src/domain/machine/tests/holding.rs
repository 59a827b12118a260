//! What one partition can't commit holds up no other.

use std::time::Duration;

use super::rig::*;
use crate::domain::machine::*;
use crate::domain::message::{Decision, Message};
use crate::domain::outcome::{Ambiguity, Class, Listing, Scope, StopReason};
use crate::domain::record::*;

const BAD: i32 = 1;

/// It owns partitions 0 and 1, in epochs of the same numbers.
fn owning_two(settings: Settings) -> Rig {
    let mut rig = Rig::new(settings);
    let assignment = |partition: u8| Assignment {
        source: source(partition.into()),
        epoch: Epoch(partition.into()),
        position: CommitOffset(0),
        metadata: String::new(),
    };
    let assignments = vec![assignment(0), assignment(1)];
    rig.input(Input::Assigned { assignments, partitions_in_all: 2 });
    rig
}

fn read_of(rig: &mut Rig, partition: u8, offset: u64, channel_name: &str) {
    let mut message = message(&format!("r{partition}-{offset}"));
    message.channel = channel(channel_name);
    let record = record(partition.into(), offset);
    let decision = deliver(vec![Ok(message)]);
    rig.input(Input::Record { epoch: Epoch(partition.into()), record, decision });
}

#[test]
fn a_partition_whose_commits_fail_does_not_block_the_others() {
    let mut rig = owning_two(settings());
    for offset in 0..40 {
        read_of(&mut rig, 1, offset, "support");
    }
    let (mut good, mut next, mut most) = (0, 0, 0);
    let mut bad_works = false;
    for round in 0..800 {
        bad_works |= round == 600;
        if next < 500 {
            read_of(&mut rig, 0, next, "support");
            next += 1;
        }
        for attempt in rig.sent() {
            good += u32::from(attempt.source.partition != BAD);
            rig.answer(&attempt, Class::Accepted);
        }
        most = most.max(rig.machine.status(rig.now).uncommitted);
        for commit in rig.commits() {
            let result = |request: &CommitRequest| {
                let fails = request.source.partition == BAD && !bad_works;
                (request.epoch, if fails { Err(CommitFailure::Other) } else { Ok(()) })
            };
            let results = commit.iter().map(result).collect();
            rig.input(Input::Committed(results));
        }
        rig.pass(Duration::from_millis(100));
    }
    assert_eq!(good, 500, "the good partition goes on");
    assert!(most < 3 * settings().max_in_flight, "{most} uncommitted at once");
    // When the right is back, it goes on as the others do.
    assert_eq!((rig.held(), rig.machine.status(rig.now).uncommitted), (0, 0));
}

/// Nothing of the stopped channel can be sent, and it holds the frontier up. The other one's
/// messages of the partition fill the metadata.
#[test]
fn a_stopped_channel_of_one_partition_does_not_stop_the_other_partitions() {
    let bounds = Settings { held_records: 10_000, held_bytes: 1 << 30, ..settings() };
    let mut rig = owning_two(bounds);
    let forbidden = Class::Stop(Scope::Channel, StopReason::Forbidden);
    for offset in 0..4_000 {
        read_of(&mut rig, 1, offset, if offset % 2 == 0 { "alerts" } else { "support" });
        for attempt in rig.sent() {
            let stopped = &*attempt.message.channel.name == "alerts";
            rig.answer(&attempt, if stopped { forbidden } else { Class::Accepted });
        }
        rig.pass(Duration::from_millis(20));
        for commit in rig.commits() {
            rig.commit_ended(&commit, Ok(()));
        }
        if rig.asked_to(&Effect::List) {
            rig.input(Input::Listed(Listing::Failed(Class::Permanent)));
        }
    }
    for offset in 0..2_000 {
        read_of(&mut rig, 0, offset, "support");
    }
    let mut sent = 0;
    // Ten seconds of an API that takes 50 ms, and a commit that takes as long.
    for _ in 0..200 {
        let (attempts, commits) = (rig.sent(), rig.commits());
        rig.pass(Duration::from_millis(50));
        for attempt in attempts {
            sent += u32::from(attempt.source.partition != BAD);
            rig.answer(&attempt, Class::Accepted);
        }
        for commit in commits {
            rig.commit_ended(&commit, Ok(()));
        }
    }
    assert!(sent >= 1_000, "{sent} of the other partition in 10 s");
    // When the channel works again, all of it goes out, in whatever time.
    for _ in 0..20_000 {
        if rig.held() == 0 {
            break;
        }
        if rig.asked_to(&Effect::List) {
            rig.list(&["support", "alerts"]);
        }
        for attempt in rig.sent() {
            rig.answer(&attempt, Class::Accepted);
        }
        rig.pass(Duration::from_millis(20));
        for commit in rig.commits() {
            rig.commit_ended(&commit, Ok(()));
        }
    }
    assert_eq!(rig.held(), 0, "nothing is left aside");
}

fn through(channel_name: &str, recipient: &str) -> Decision {
    deliver(vec![Ok(Message { channel: channel(channel_name), ..message(recipient) })])
}

/// The oldest record becomes a message to somebody whose other message has been tried, so it waits
/// behind that one.
#[test]
fn a_partition_held_back_goes_on_with_the_message_that_its_oldest_waits_for() {
    let mut bounds = Settings { held_records: 10_000, held_bytes: 1 << 30, ..settings() };
    bounds.paused.channels.insert("alerts".into());
    let mut rig = Rig::owning(bounds.clone());
    let tried = "tried before";
    for offset in 0..4_000 {
        let recipient = if offset == 1 { tried.to_owned() } else { format!("{offset}") };
        let channel_name = if offset % 2 == 0 { "alerts" } else { "support" };
        rig.read(offset, through(channel_name, &recipient));
        for attempt in rig.sent() {
            let ambiguous = Class::Ambiguous(Ambiguity::NoAnswer);
            let again = attempt.offset == RecordOffset(1);
            rig.answer(&attempt, if again { ambiguous } else { Class::Accepted });
        }
        rig.pass(Duration::from_millis(20));
        for commit in rig.commits() {
            rig.commit_ended(&commit, Ok(()));
        }
    }
    assert!(rig.machine.status(rig.now).partitions[0].held_back);
    bounds.fingerprints.insert("orders".into(), 8);
    rig.reconfigure_as(bounds, |offset| match offset {
        0 => through("support", tried),
        _ => through("alerts", &format!("{offset}")),
    });
    let mut sent = Vec::new();
    for _ in 0..2_000 {
        for commit in rig.commits() {
            rig.commit_ended(&commit, Ok(()));
        }
        for attempt in rig.sent() {
            sent.push(attempt.offset.0);
            rig.answer(&attempt, Class::Accepted);
        }
        rig.pass(Duration::from_millis(20));
    }
    assert_eq!(sent, [1, 0]);
}
