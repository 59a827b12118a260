//! What a record costs, stage by stage, in time and allocations; no network, no broker.
//!
//! `cargo bench --bench stages` runs them all. The shipped configuration and schemas are what is
//! measured, so that the figures are those of a real topic.

#![expect(clippy::expect_used, reason = "a bench that can't measure has nothing better to do")]

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use divan::counter::ItemsCount;
use divan::{AllocProfiler, Bencher, black_box};
use line_bridge::config::{Config, Strictness};
use line_bridge::domain::clock::{Moment, Timestamp};
use line_bridge::domain::delivery::DeliveryId;
use line_bridge::domain::lanes::{Lane, Lanes};
use line_bridge::domain::machine::{Assignment, Effect, Input, Machine, Settings};
use line_bridge::domain::message::{
    Channel, Decision, Message, OnAmbiguous, Recipient, Text, Verdict,
};
use line_bridge::domain::metadata::{self, Beyond, METADATA_LIMIT};
use line_bridge::domain::offsets::{Offsets, Runs};
use line_bridge::domain::outcome::{Class, Outcome};
use line_bridge::domain::paused::Paused;
use line_bridge::domain::ports::Decide as _;
use line_bridge::domain::record::{CommitOffset, Epoch, Record, RecordOffset, TopicPartition};
use line_bridge::domain::rules::Rules;
use line_bridge::line::answers::{Answer, classify};
use line_bridge::loading;
use line_bridge::schema::Schema;
use line_bridge::topics::Topics;

#[global_allocator]
static ALLOCATIONS: AllocProfiler = AllocProfiler::system();

const NOW: Timestamp = Timestamp(1_800_000_000_000);
const SHIPPED: [&str; 5] = ["orders", "payments", "appointments", "logins", "deliveries"];

/// So many records are held, or settled beyond the frontier.
const MILLION: u64 = 1_000_000;

fn main() {
    divan::main();
}

fn path(relative: &str) -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(relative)
}

fn shipped() -> (Config, Topics) {
    let env = |_: &str| Some("localhost:9092".to_owned());
    let loaded = loading::load(&path("deploy/line-bridge.yaml"), &env, Strictness::Check);
    let (loaded, topics) = loaded.expect("the shipped configuration");
    (loaded.config, topics)
}

/// The first good example event of a shipped topic, which a rule makes a message of.
fn record(topic: &str) -> Record {
    let folder = std::fs::read_dir(path("schemas/examples").join(topic));
    let files = folder.expect("example events").map(|file| file.expect("a file").path());
    let mut files: Vec<_> = files.filter(|file| is_valid(file)).collect();
    files.sort();
    let (_, topics) = shipped();
    let records = files.into_iter().map(|file| Record {
        source: TopicPartition { topic: topic.into(), partition: 0 },
        offset: RecordOffset(0),
        timestamp: NOW,
        key: Some(b"c-10001".to_vec()),
        value: Some(std::fs::read(file).expect("an event")),
        headers: Vec::new(),
    });
    let gives_a_message =
        |record: &Record| matches!(topics.decide(record).verdict, Verdict::Deliver(_));
    records.into_iter().find(gives_a_message).expect("an event that is sent")
}

fn is_valid(example: &Path) -> bool {
    let name = example.file_name().and_then(|name| name.to_str());
    name.is_some_and(|name| name.starts_with("valid-"))
}

#[divan::bench(args = SHIPPED)]
fn decode_and_validate(bencher: Bencher<'_, '_>, topic: &str) {
    let schema = Schema::load(&path(&format!("schemas/{topic}.json"))).expect("a shipped schema");
    let value = record(topic).value.expect("a value");
    bencher.bench(|| schema.decode(black_box(&value)));
}

#[divan::bench(args = SHIPPED)]
fn rules_and_render(bencher: Bencher<'_, '_>, topic: &str) {
    let (config, _) = shipped();
    let source = &config.topics.get(topic).expect("a shipped topic").rules;
    let rules = Rules::compile(source, &config.channels).expect("the shipped rules");
    let schema = Schema::load(&path(&format!("schemas/{topic}.json"))).expect("a shipped schema");
    let record = record(topic);
    let event = schema.decode(record.value.as_deref().unwrap_or_default()).expect("an event");
    bencher
        .with_inputs(|| event.clone())
        .bench_values(|event| rules.decide(black_box(event), &record));
}

/// Record → message, as the driver does it.
#[divan::bench(args = SHIPPED)]
fn decide(bencher: Bencher<'_, '_>, topic: &str) {
    let (_, topics) = shipped();
    let record = record(topic);
    bencher.bench(|| topics.decide(black_box(&record)));
}

/// The whole way of a decided record through the core: tracked, sent, accepted, settled; a commit
/// for every hundred. The messages go to a thousand recipients.
#[divan::bench]
fn core(bencher: Bencher<'_, '_>) {
    const RECORDS: u64 = 10_000;
    bencher
        .counter(ItemsCount::new(RECORDS))
        .with_inputs(|| (machine(), (0..RECORDS).map(decided).collect::<Vec<_>>()))
        .bench_local_values(|(mut machine, records)| {
            let mut now = at(1);
            for (number, (record, decision)) in records.into_iter().enumerate() {
                machine.input(Input::Record { epoch: Epoch(0), record, decision }, now);
                if number % 100 == 99 {
                    now.elapsed += Duration::from_millis(100);
                    carry_out(&mut machine, now);
                }
            }
            machine
        });
}

/// Every message is accepted, every commit succeeds, until nothing is left to do.
fn carry_out(machine: &mut Machine, now: Moment) {
    loop {
        let mut more = false;
        for effect in machine.effects(now) {
            match effect {
                Effect::Send(attempt) => {
                    let outcome =
                        Outcome { class: Class::Accepted, status: Some(200), request_id: None };
                    let took = Duration::from_millis(20);
                    let delivery = attempt.delivery;
                    machine.input(Input::Answered { delivery, outcome, took }, now);
                    more = true;
                }
                Effect::Commit(requests) => {
                    let results = requests.into_iter().map(|request| (request.epoch, Ok(())));
                    machine.input(Input::Committed(results.collect()), now);
                    more = true;
                }
                Effect::List
                | Effect::DeadLetter { .. }
                | Effect::Pause(_)
                | Effect::Resume(_)
                | Effect::Release(_)
                | Effect::Drained
                | Effect::Report(_) => {}
            }
        }
        if !more {
            return;
        }
    }
}

fn at(seconds: u64) -> Moment {
    Moment { elapsed: Duration::from_secs(seconds), wall: NOW }
}

fn channel() -> Channel {
    Channel { name: "support".into(), id: "f6154dda-bd9a-4d03-8a77-ff3421070009".into() }
}

/// A machine that owns one partition.
fn machine() -> Machine {
    let settings = Settings {
        max_in_flight: 256,
        held_records: 20_000,
        held_bytes: 64 << 20,
        attempt_timeout: Duration::from_secs(15),
        session_timeout: Duration::from_secs(45),
        drain_timeout: Duration::from_secs(25),
        retry_max_elapsed: Duration::from_mins(15),
        requests_per_second: 1e9,
        brake: 50,
        channels: vec![channel()],
        fingerprints: [("orders".into(), 1)].into(),
        schemas: [("orders".into(), 1)].into(),
        paused: Paused::default(),
    };
    let mut machine = Machine::new(settings, 1);
    let assignment = Assignment {
        source: TopicPartition { topic: "orders".into(), partition: 0 },
        epoch: Epoch(0),
        position: CommitOffset(0),
        metadata: Some(String::new()),
    };
    let assigned = Input::Assigned { assignments: vec![assignment], partitions_in_all: 1 };
    machine.input(assigned, at(1));
    machine.input(Input::CoordinatorHeard { at: at(1).elapsed }, at(1));
    machine
}

fn decided(offset: u64) -> (Arc<Record>, Decision) {
    let record = Record {
        source: TopicPartition { topic: "orders".into(), partition: 0 },
        offset: RecordOffset(offset),
        timestamp: NOW,
        key: None,
        value: Some(b"{}".to_vec()),
        headers: Vec::new(),
    };
    let message = Message {
        rule: "shipped".into(),
        channel: channel(),
        recipient: recipient(offset % 1_000),
        text: Text::new("Your order #12345 has been shipped.").expect("a text"),
        deadline: NOW.plus(Duration::from_hours(24)),
        on_ambiguous: OnAmbiguous::Retry,
    };
    let verdict = Verdict::Deliver(vec![Ok(message)]);
    let decision = Decision { event_time: NOW, verdict, redrive: None };
    (Arc::new(record), decision)
}

fn recipient(number: u64) -> Recipient {
    Recipient::contact(&format!("c-{number}")).expect("a contact")
}

/// A record tracked, what a commit says asked for, and settled again, while so many others are held.
#[divan::bench(args = [1_000, MILLION])]
fn offsets_beside_held_records(bencher: Bencher<'_, '_>, held: u64) {
    let mut offsets = Offsets::starting_at(CommitOffset(0), Runs::new());
    for offset in 0..held {
        offsets.track(RecordOffset(offset), offset);
    }
    let mut next = held;
    bencher.bench_local(|| {
        offsets.track(RecordOffset(next), next);
        let committed = (offsets.frontier(), offsets.settled_beyond(metadata::ENTRIES_LIMIT));
        offsets.settle(RecordOffset(next));
        next += 1;
        committed
    });
}

/// A delivery queued and taken out again, while so many lanes hold others.
#[divan::bench(args = [1_000, MILLION])]
fn lanes_beside_held_deliveries(bencher: Bencher<'_, '_>, held: u64) {
    let channel: Arc<str> = "channel".into();
    let lane = |number| Lane {
        epoch: Epoch(0),
        channel: Arc::clone(&channel),
        recipient: recipient(number),
    };
    let mut lanes = Lanes::default();
    for number in 0..held {
        lanes.push(&lane(number), DeliveryId(number));
    }
    let other = lane(held);
    bencher.bench_local(|| {
        lanes.push(&other, DeliveryId(held));
        lanes.remove(&other, DeliveryId(held))
    });
}

/// So many records beyond the frontier, every second one of which has settled.
#[divan::bench(args = [0, 100, 10_000])]
fn metadata_encoding(bencher: Bencher<'_, '_>, beyond: u64) {
    let runs = (0..beyond / 2).map(|run| run * 2 + 1..run * 2 + 2).collect();
    let beyond = Beyond { runs, partials: Vec::new() };
    bencher.bench(|| metadata::encode(CommitOffset(0), 7, black_box(&beyond), METADATA_LIMIT));
}

#[divan::bench(args = [200, 400, 429, 502])]
fn answer_classification(bencher: Bencher<'_, '_>, status: u16) {
    let body: &[u8] = match status {
        200 => br#"{"requestId":"5b3a9f0e-8c5d-4ea8-9f2b-7a8c1d2e3f40","status":"success"}"#,
        _ => br#"{"requestId":"5b3a9f0e-8c5d-4ea8-9f2b-7a8c1d2e3f40","status":"error"}"#,
    };
    let answer = Answer { status, retry_after: None, body };
    bencher.bench(|| classify(black_box(&answer), NOW));
}
