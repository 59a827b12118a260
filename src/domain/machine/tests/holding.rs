//! What one partition can't commit holds up no other.

use std::time::Duration;

use super::rig::*;
use crate::domain::clock::Timestamp;
use crate::domain::machine::*;
use crate::domain::message::{Decision, Message};
use crate::domain::outcome::{Ambiguity, Class, Listing, Scope, StopReason};
use crate::domain::record::*;

const BAD: i32 = 1;

/// It owns partitions 0, 1 and so on, in epochs of the same numbers.
fn owning(count: u8, settings: Settings) -> Rig {
    let mut rig = Rig::new(settings);
    rig.input(Input::Assigned {
        assignments: (0..count).map(assignment).collect(),
        partitions_in_all: count.into(),
    });
    rig
}

fn assignment(partition: u8) -> Assignment {
    Assignment {
        source: source(partition.into()),
        epoch: Epoch(partition.into()),
        position: CommitOffset(0),
        metadata: Some(String::new()),
    }
}

const FORBIDDEN: Class = Class::Stop(Scope::Channel, StopReason::Forbidden);

/// Lets commits end as those of a broker that takes no metadata at all.
fn commit_without_metadata(rig: &mut Rig) {
    for _ in 0..50 {
        let commits = rig.commits();
        if commits.is_empty() {
            return;
        }
        for commit in commits {
            let result = |request: &CommitRequest| {
                let too_large = !request.metadata.is_empty();
                let result = if too_large { Err(CommitFailure::MetadataTooLarge) } else { Ok(()) };
                (request.epoch, result)
            };
            let results = commit.iter().map(result).collect();
            rig.input(Input::Committed(results));
        }
        rig.pass(Duration::from_millis(20));
    }
}

/// Answers for so many seconds; of `alerts` nothing is taken unless it works. How many were.
fn serve(rig: &mut Rig, alerts_work: bool, seconds: u32) -> usize {
    let mut accepted = 0;
    for _ in 0..seconds {
        if rig.asked_to(&Effect::List) {
            rig.list(&["support", "alerts"]);
        }
        for attempt in rig.sent() {
            let stopped = &*attempt.message.channel.name == "alerts" && !alerts_work;
            accepted += usize::from(!stopped);
            rig.answer(&attempt, if stopped { FORBIDDEN } else { Class::Accepted });
        }
        for (letter, _) in rig.letters() {
            rig.acknowledge(letter, true);
        }
        commit_without_metadata(rig);
        rig.pass(Duration::from_secs(1));
    }
    accepted
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
    let mut rig = owning(2, settings());
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
    let mut rig = owning(2, bounds);
    for offset in 0..4_000 {
        read_of(&mut rig, 1, offset, if offset % 2 == 0 { "alerts" } else { "support" });
        for attempt in rig.sent() {
            let stopped = &*attempt.message.channel.name == "alerts";
            rig.answer(&attempt, if stopped { FORBIDDEN } else { Class::Accepted });
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
        rig.answer_sent(Class::Accepted);
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

/// First the one, then the other has much to send; what they have sent can't be committed.
#[test]
fn two_partitions_whose_commits_fail_do_not_block_the_third() {
    let mut rig = owning(3, settings());
    let (mut good, mut most) = (0, 0);
    for round in 0..2_000 {
        let busy = match round {
            0 => Some(1),
            50 => Some(2),
            _ => None,
        };
        if let Some(partition) = busy {
            (0..40).for_each(|offset| read_of(&mut rig, partition, offset, "support"));
        }
        if round >= 100 {
            read_of(&mut rig, 0, round - 100, "support");
        }
        for attempt in rig.sent() {
            good += u32::from(attempt.source.partition == 0);
            rig.answer(&attempt, Class::Accepted);
        }
        for commit in rig.commits() {
            let result = |request: &CommitRequest| {
                let fails = request.source.partition != 0;
                (request.epoch, if fails { Err(CommitFailure::Other) } else { Ok(()) })
            };
            let results = commit.iter().map(result).collect();
            rig.input(Input::Committed(results));
        }
        rig.pass(Duration::from_millis(100));
        most = most.max(rig.machine.status(rig.now).uncommitted);
    }
    assert_eq!(good, 1_900);
    // As many as may be, of the first one and of the good one. One of the other shows that its
    // commits fail as well.
    assert!(most <= 2 * settings().max_in_flight + 1, "{most} uncommitted at once");
    let mut partitions = rig.machine.status(rig.now).partitions;
    partitions.retain(|partition| partition.held_back);
    let waits = partitions.into_iter().map(|partition| partition.oldest.unwrap().waits);
    assert_eq!(waits.collect::<Vec<_>>(), [Waits::Commits; 2]);
}

/// As where the topic of the offsets lacks replicas. The partitions have much to send one after the
/// other.
#[test]
fn while_all_commits_fail_no_partition_uses_up_a_bound_of_its_own() {
    let mut rig = owning(8, settings());
    let mut most = 0;
    for round in 0..400_u64 {
        let (partition, offset) = (u8::try_from(round / 50).unwrap(), round % 50);
        read_of(&mut rig, partition, offset, "support");
        rig.answer_sent(Class::Accepted);
        for commit in rig.commits() {
            rig.commit_ended(&commit, Err(CommitFailure::Other));
        }
        rig.pass(Duration::from_millis(100));
        most = most.max(rig.machine.status(rig.now).uncommitted);
    }
    // One of each partition shows that its commits fail as well.
    assert!(most <= settings().max_in_flight + 8, "{most} uncommitted at once");
}

#[test]
fn what_expires_aside_does_not_hold_up_what_is_aside_behind_it() {
    let mut rig = Rig::owning(settings());
    for (offset, minutes) in [(0, 1_440), (1, 10), (2, 1_440)] {
        let deadline = Timestamp(START).plus(Duration::from_mins(minutes));
        let message =
            Message { channel: channel("alerts"), deadline, ..message(&format!("a{offset}")) };
        rig.read(offset, deliver(vec![Ok(message)]));
        if offset == 0 {
            let attempt = rig.sent_one();
            rig.answer(&attempt, FORBIDDEN);
        }
    }
    (3..40).for_each(|offset| rig.read_for(offset, &format!("s{offset}")));
    serve(&mut rig, false, 1_000);
    assert!(rig.machine.status(rig.now).partitions[0].held_back);
    let machine = &rig.machine;
    let mut aside = machine.tenures.values().flat_map(|tenure| tenure.aside.values());
    assert!(aside.all(|id| machine.deliveries.contains_key(id)), "what has expired is forgotten");
    serve(&mut rig, true, 1_000);
    assert_eq!(rig.held(), 0);
}

/// The share of the bound is another one then.
#[test]
fn a_partition_that_comes_does_not_end_the_probing_of_a_stop() {
    let mut rig = owning(1, settings());
    read_of(&mut rig, 0, 0, "alerts");
    (1..13).for_each(|offset| read_of(&mut rig, 0, offset, "support"));
    assert_eq!(serve(&mut rig, false, 5), 12);
    rig.input(Input::Assigned { assignments: vec![assignment(1)], partitions_in_all: 2 });
    read_of(&mut rig, 1, 0, "alerts");
    (1..5).for_each(|offset| read_of(&mut rig, 1, offset, "support"));
    assert_eq!(serve(&mut rig, false, 60), 4);
    assert_eq!((serve(&mut rig, true, 600), rig.held()), (2, 0));
}

#[test]
fn a_smaller_bound_does_not_end_the_probing_of_a_stop() {
    let mut rig = owning(1, settings());
    read_of(&mut rig, 0, 0, "alerts");
    (1..13).for_each(|offset| read_of(&mut rig, 0, offset, "support"));
    assert_eq!(serve(&mut rig, false, 30), 12);
    rig.reconfigure(Settings { max_in_flight: 8, ..settings() });
    serve(&mut rig, false, 30);
    assert_eq!((serve(&mut rig, true, 600), rig.held()), (1, 0));
}

/// It is not known whether their commits fail as well, and its oldest message can't tell.
#[test]
fn a_partition_whose_oldest_message_is_stopped_shows_by_another_that_its_commits_work() {
    let mut rig = owning(2, settings());
    read_of(&mut rig, 0, 0, "alerts");
    serve(&mut rig, false, 5);
    (0..40).for_each(|offset| read_of(&mut rig, 1, offset, "support"));
    let mut good = 0;
    for round in 0..600 {
        if round == 100 {
            (1..200).for_each(|offset| read_of(&mut rig, 0, offset, "support"));
        }
        for attempt in rig.sent() {
            good += u32::from(attempt.source.partition != BAD);
            rig.answer(&attempt, Class::Accepted);
        }
        for commit in rig.commits() {
            let result = |request: &CommitRequest| {
                let fails = request.source.partition == BAD;
                (request.epoch, if fails { Err(CommitFailure::Other) } else { Ok(()) })
            };
            let results = commit.iter().map(result).collect();
            rig.input(Input::Committed(results));
        }
        rig.pass(Duration::from_millis(100));
    }
    assert!(good >= 199, "{good} of the good partition");
}

/// The API works again, but for the oldest message, which fails by itself, and is all that a partition
/// held back goes on with.
#[test]
fn a_channel_is_not_kept_stopped_by_the_oldest_message_of_a_partition_held_back() {
    let mut rig = owning(1, settings());
    (0..10).for_each(|offset| read_of(&mut rig, 0, offset, "alerts"));
    (10..40).for_each(|offset| read_of(&mut rig, 0, offset, "support"));
    let mut accepted = 0;
    for second in 0..660 {
        if rig.asked_to(&Effect::List) {
            rig.list(&["support", "alerts"]);
        }
        for attempt in rig.sent() {
            let alerts = &*attempt.message.channel.name == "alerts";
            let fails = attempt.offset.0 == 0 || alerts && second < 60;
            accepted += usize::from(alerts && !fails);
            let answer = Class::Ambiguous(Ambiguity::ServerError);
            rig.answer(&attempt, if fails { answer } else { Class::Accepted });
        }
        commit_without_metadata(&mut rig);
        rig.pass(Duration::from_secs(1));
    }
    assert!(accepted > 0, "none of the nine others in the ten minutes after the outage");
    assert_eq!(rig.machine.gates[1].stop, None);
}

#[test]
fn a_drain_counts_a_partition_whose_commit_does_not_tell_all() {
    let mut rig = owning(1, settings());
    read_of(&mut rig, 0, 0, "alerts");
    (1..5).for_each(|offset| read_of(&mut rig, 0, offset, "support"));
    assert_eq!(serve(&mut rig, false, 5), 4);
    rig.input(Input::Drain);
    serve(&mut rig, false, 30);
    assert_eq!(rig.machine.left_uncommitted(), 1);
}

/// Ends commits; those of the bad partition fail, and the others have no room for metadata.
fn commit_but_of_bad(rig: &mut Rig) {
    for commit in rig.commits() {
        let result = |request: &CommitRequest| match request.source.partition {
            BAD => Err(CommitFailure::Other),
            _ if request.metadata.is_empty() => Ok(()),
            _ => Err(CommitFailure::MetadataTooLarge),
        };
        let results = commit.iter().map(|request| (request.epoch, result(request))).collect();
        rig.input(Input::Committed(results));
    }
}

/// Serves while `alerts` is stopped and the bad partition's commits fail. How many messages of the
/// other one were accepted.
fn serve_beside_bad(rig: &mut Rig, seconds: u32) -> usize {
    let mut good = 0;
    for _ in 0..seconds {
        if rig.asked_to(&Effect::List) {
            rig.input(Input::Listed(Listing::Failed(Class::Permanent)));
        }
        for attempt in rig.sent() {
            let stopped = &*attempt.message.channel.name == "alerts";
            good += usize::from(!stopped && attempt.source.partition != BAD);
            rig.answer(&attempt, if stopped { FORBIDDEN } else { Class::Accepted });
        }
        commit_but_of_bad(rig);
        rig.pass(Duration::from_secs(1));
    }
    good
}

/// The other one's commits work, but have no room for all that it has sent: its oldest message's
/// channel is stopped. It has less than its share of that, and so may go on.
#[test]
fn a_partition_that_can_commit_is_not_stuck_where_the_commits_of_another_fail() {
    let mut rig = owning(2, settings());
    read_of(&mut rig, 0, 0, "alerts");
    read_of(&mut rig, 0, 1, "support");
    assert_eq!(serve_beside_bad(&mut rig, 10), 1);
    (0..40).for_each(|offset| read_of(&mut rig, 1, offset, "support"));
    serve_beside_bad(&mut rig, 60);
    (2..6).for_each(|offset| read_of(&mut rig, 0, offset, "support"));
    assert_eq!(serve_beside_bad(&mut rig, 600), 4);
}

#[test]
fn what_shows_that_commits_work_is_not_sought_behind_a_stopped_channel() {
    let mut rig = owning(2, settings());
    (0..40).for_each(|offset| read_of(&mut rig, 1, offset, "support"));
    serve_beside_bad(&mut rig, 30);
    (0..40).for_each(|offset| read_of(&mut rig, 0, offset, "alerts"));
    (40..45).for_each(|offset| read_of(&mut rig, 0, offset, "support"));
    assert!(serve_beside_bad(&mut rig, 5) > 0);
}
