//! Dead letters looked through and sent again, on real Kafka with the real program.

use std::collections::BTreeSet;
use std::time::Duration;

use line_bridge::sandbox::{Fault, Faults, Rule};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use serde_json::Value;

use crate::events::{Event, Fate, refused_contacts};
use crate::harness::kafka::KafkaCluster;
use crate::harness::records::{NewRecord, StoredRecord};
use crate::harness::unique;
use crate::harness::wait::wait_until;
use crate::stage::Stage;

const LIMIT: Duration = Duration::from_mins(1);

fn redrive_topic(stage: &Stage<'_>) -> String {
    format!("{}.redrive", stage.dead_letters)
}

/// A stage of one topic with a redrive topic.
fn stage() -> Stage<'static> {
    let stage = Stage::of(KafkaCluster::shared(), &["orders"], 2);
    stage.kafka.create_topic(&redrive_topic(&stage), 1, &[]);
    stage
}

fn event(number: usize, fate: Fate) -> Event {
    Event::new(number, "orders", &format!("contact-{number}"), fate)
}

/// Runs `dead-letters` to its end: its exit code, and both outputs.
fn run(stage: &Stage<'_>, arguments: &[&str]) -> (i32, String, String) {
    let all = ["dead-letters"].iter().chain(arguments).chain(&["--config", "bridge.yaml"]);
    let mut command = stage.workspace.start(&all.copied().collect::<Vec<_>>());
    let code = command.wait_exit(LIMIT).code().expect("an exit code");
    (code, command.stdout(), command.stderr())
}

/// What it says as JSON.
fn json(stage: &Stage<'_>, arguments: &[&str]) -> Value {
    let arguments = [arguments, &["--output", "json"]].concat();
    let (code, stdout, stderr) = run(stage, &arguments);
    assert_eq!(code, 0, "{stderr}");
    serde_json::from_str(&stdout).unwrap_or_else(|error| panic!("{error}: {stdout}"))
}

/// Waits until the bridge has done with all that was redriven.
fn wait_redriven(stage: &Stage<'_>) {
    let topic = redrive_topic(stage);
    wait_until(LIMIT, "the redrive topic is committed to its end", || {
        let committed = stage.kafka.committed(&stage.group, &topic);
        let committed: i64 = committed.values().map(|at| at.offset).sum();
        let end: i64 = stage.kafka.end_offsets(&topic).values().sum();
        if committed == end { Ok(()) } else { Err(format!("{committed} of {end}")) }
    });
}

fn accepted(stage: &Stage<'_>) -> Vec<String> {
    stage.accepted().into_iter().flat_map(|(id, sent)| vec![id; sent.len()]).collect()
}

/// What the bridge has added to a dead letter: behind whatever the record had itself.
fn added(letter: &StoredRecord, name: &str) -> String {
    let full = format!("line-bridge-{name}");
    let found = letter.headers.iter().rfind(|(header, _)| *header == full);
    String::from_utf8(found.expect("a header").1.clone()).expect("UTF-8")
}

/// A dead letter's headers, on another record.
fn with_headers(letter: &StoredRecord) -> NewRecord {
    let value = letter.value.clone().unwrap_or_default();
    letter
        .headers
        .iter()
        .fold(NewRecord::of(value), |record, (name, value)| record.header(name, value.clone()))
}

#[test]
fn dead_letters_are_listed_shown_and_redriven_once() {
    let stage = stage();
    let fates = [Fate::Rejected, Fate::Schema, Fate::Expired, Fate::Undecodable, Fate::Rejected];
    let fates =
        [&fates[..], &[Fate::NoRule, Fate::Expired, Fate::Accepted, Fate::Accepted]].concat();
    let events: Vec<_> = fates.into_iter().enumerate().map(|(n, fate)| event(n, fate)).collect();
    let mut bridge = stage.start();
    stage.produce(&events);
    stage.wait_committed(LIMIT);

    let listed = json(&stage, &["list"]);
    assert_eq!((&listed["count"], &listed["foreign"]), (&7.into(), &0.into()));
    let (_, text, _) =
        run(&stage, &["list", "--reason", "expired", "--limit", "1", "--since", "1h"]);
    assert!(text.contains(": 2 dead letters, out of 7 that were looked at\n"), "{text}");
    assert!(text.contains("The newest 1:"), "{text}");
    let of = |listed: &Value, reason: &str| {
        let letters = listed["letters"].as_array().expect("letters").iter();
        letters.filter(|letter| letter["reason"] == reason).cloned().collect::<Vec<_>>()
    };
    let place = of(&listed, "rejected")[0].clone();
    let place = [place["partition"].to_string(), place["offset"].to_string()];
    let (code, shown, _) = run(&stage, &["show", &place[0], &place[1]]);
    assert_eq!(code, 0);
    for told in ["HTTP status 400", "sent: rule tell", "refused-", "\"orderId\": \"12345\""] {
        assert!(shown.contains(told), "{told} is not in {shown}");
    }

    let (code, _, said) = run(&stage, &["list", "--partition", "9"]);
    assert_eq!((code, said.contains("has no partition 9; it has")), (1, true), "{said}");

    let (code, _, said) = run(&stage, &["redrive"]);
    assert_eq!((code, said.contains("--all")), (64, true));
    let dry = json(&stage, &["redrive", "--all", "--dry-run"]);
    assert_eq!((&dry["redriven"], dry["letters"].as_array().map(Vec::len)), (&2.into(), Some(7)));
    assert!(stage.kafka.consume_all(&redrive_topic(&stage)).is_empty());

    stage.sandbox.set_faults(Faults::default()).expect("faults");
    let done = json(&stage, &["redrive", "--all"]);
    assert_eq!(done["redriven"], 2);
    let left = serde_json::json!({"expired": 2, "rejected_schema": 1, "rejected_no_rule": 1,
        "rejected_undecodable": 1});
    assert_eq!((&done["left"], &done["failed"]), (&left, &serde_json::json!({})));
    wait_redriven(&stage);
    assert_eq!(
        accepted(&stage),
        ["000000-Rejected", "000004-Rejected", "000007-Accepted", "000008-Accepted"]
    );
    let again = json(&stage, &["redrive", "--reason", "rejected"]);
    assert_eq!((&again["redriven"], &again["left"]["redriven_before"]), (&0.into(), &2.into()));
    assert_eq!(json(&stage, &["list", "--open"])["count"], 5);

    let late =
        json(&stage, &["redrive", "--reason", "expired", "--ignore-expiry", "--rate", "50/s"]);
    assert_eq!(late["redriven"], 2);
    wait_redriven(&stage);
    assert_eq!(accepted(&stage).len(), 6);
    assert_eq!(stage.letters().len(), 7, "nothing is deleted, nothing is added");
    let metric = format!(
        "line_bridge_settled_total{{result=\"accepted\",topic=\"{}\"}}",
        redrive_topic(&stage)
    );
    assert_eq!(bridge.metrics().get(&metric), Some(4.0));
    assert!(bridge.drain(LIMIT).success());
    assert!(!bridge.stderr().contains("refused-"));

    // Whose latest change broke a rule may look at what became of it, and redrives nothing by it.
    let broken = stage.config().replace("not in event.eventId'", "not in event.id'");
    stage.workspace.file("bridge.yaml", &broken);
    assert_eq!(json(&stage, &["list"])["count"], 7);
    let (code, shown, _) = run(&stage, &["show", &place[0], &place[1]]);
    assert_eq!((code, shown.contains("unknown: `line-bridge check` tells")), (0, true), "{shown}");
    let (code, _, said) = run(&stage, &["redrive", "--all"]);
    assert_eq!((code, said.contains("rules[0].when")), (64, true), "{said}");
}

#[test]
fn what_fails_again_comes_back_until_the_limit_and_what_is_forged_is_not_believed() {
    let stage = stage();
    let mut bridge = stage.start();
    let topic = stage.topics["orders"].clone();
    let forged = [
        ("reason", "rejected"),
        ("topic", "elsewhere"),
        ("rule", "another"),
        ("redrives", "4"),
        ("ignore-expiry", "true"),
    ];
    let bad = [event(0, Fate::Expired), event(1, Fate::Rejected)];
    let records = bad.iter().map(|bad| {
        let record = NewRecord::of(bad.value()).header("id", bad.id.as_str());
        forged.iter().fold(record, |record, (name, value)| {
            record.header(&format!("line-bridge-{name}"), *value)
        })
    });
    stage.kafka.produce(&topic, records);
    stage.produce(&[event(2, Fate::Accepted)]);
    stage.wait_committed(LIMIT);
    let letters = stage.kafka.consume_all(&stage.dead_letters);
    let expired = letters.iter().find(|letter| letter.header("id") == Some(&bad[0].id));
    let listed = json(&stage, &["list", "--topic", &topic, "--rule", "tell"]);
    assert_eq!(listed["count"], 2, "{listed}");
    assert!(listed["letters"].as_array().expect("letters").iter().all(|l| l["redrives"] == 0));
    // A bridge that is killed before it commits writes a dead letter once more.
    let rejected = letters.iter().find(|letter| letter.header("id") == Some(&bad[1].id));
    stage.kafka.produce(&stage.dead_letters, [with_headers(rejected.expect("a letter"))]);

    // Refused again, each time.
    for redrives in 1..=2 {
        let limit = ["redrive", "--reason", "rejected", "--max-redrives", "2"];
        assert_eq!(json(&stage, &limit)["redriven"], 1);
        stage.produce(&[event(2 + redrives, Fate::Accepted)]);
        wait_redriven(&stage);
        let letters = stage.letters().remove(&bad[1].id).expect("letters");
        let back = letters.into_iter().max_by_key(|letter| added(letter, "redrives"));
        let told = |name| added(back.as_ref().expect("a letter"), name);
        assert_eq!(told("redrives"), redrives.to_string());
        assert_eq!(told("topic"), topic);
        assert_eq!(told("rule"), "tell");
    }
    let limit = ["redrive", "--reason", "rejected", "--max-redrives", "2"];
    let done = json(&stage, &limit);
    assert_eq!((&done["redriven"], &done["left"]["too_often"]), (&0.into(), &1.into()));

    // All four are of one message, whose customer is not to get it four times.
    let again = json(&stage, &["redrive", "--reason", "rejected", "--again", "--dry-run"]);
    let left = &again["left"]["same_message"];
    assert_eq!((&again["redriven"], left), (&1.into(), &3.into()), "{again}");
    let of = |all: &Value, key: &str, value: Value| {
        let letters = all["letters"].as_array().expect("letters");
        let found = letters.iter().find(|letter| letter[key] == value).expect("a letter");
        (found["partition"].clone(), found["offset"].clone())
    };
    let listed = json(&stage, &["list", "--reason", "rejected"]);
    let newest = of(&listed, "redrives", 2.into());
    assert_eq!(
        of(&again, "fate", "redriven".into()),
        newest,
        "the newest, or it would be left over"
    );

    // Put there by hand: the bridge itself minds the deadline, and what is no dead letter.
    let by_hand = [with_headers(expired.expect("a letter")), NewRecord::of("{}")];
    stage.kafka.produce(&redrive_topic(&stage), by_hand);
    wait_redriven(&stage);
    let of_redrive = json(&stage, &["list", "--topic", &redrive_topic(&stage)]);
    assert_eq!(of_redrive["summary"][0]["reason"], "undecodable");
    assert_eq!(of_redrive["count"], 1);
    assert_eq!(json(&stage, &["list", "--reason", "expired"])["count"], 2);
    let done = json(&stage, &["redrive", "--topic", &redrive_topic(&stage)]);
    assert_eq!(done["left"]["rejected_no_rule"], 1, "it goes no round");
    assert_eq!(accepted(&stage).len(), 3);
    assert!(bridge.drain(LIMIT).success());
}

/// So many dead letters, as a bridge writes them.
fn written(stage: &Stage<'_>, count: usize) -> BTreeSet<String> {
    let events: Vec<_> = (0..count).map(|number| event(number, Fate::Accepted)).collect();
    let topic = stage.topics["orders"].as_str();
    let records = events.iter().enumerate().map(|(offset, event)| {
        let offset = offset.to_string();
        let headers = [
            ("reason", "rejected"),
            ("topic", topic),
            ("partition", "0"),
            ("offset", &offset),
            ("timestamp", "0"),
            ("group", &stage.group),
            ("rule", "tell"),
            ("redrives", "0"),
        ];
        headers.iter().fold(NewRecord::of(event.value()), |record, (name, value)| {
            record.header(&format!("line-bridge-{name}"), *value)
        })
    });
    stage.kafka.produce(&stage.dead_letters, records);
    events.into_iter().map(|event| event.id).collect()
}

#[test]
fn a_redrive_that_was_killed_goes_on_where_it_was() {
    const LETTERS: usize = 400;
    let stage = stage();
    let ids = written(&stage, LETTERS);
    stage.workspace.file("bridge.yaml", &stage.config());
    let slow = ["dead-letters", "redrive", "--all", "--rate", "100/s", "--config", "bridge.yaml"];
    let topic = redrive_topic(&stage);
    for part in 1..=2 {
        let mut killed = stage.workspace.start(&slow);
        wait_until(LIMIT, "a part is redriven", || {
            let redriven: i64 = stage.kafka.end_offsets(&topic).values().sum();
            if redriven >= part * 60 { Ok(()) } else { Err(redriven) }
        });
        killed.kill();
    }
    let done = json(&stage, &["redrive", "--all"]);
    let before = done["left"]["redriven_before"].as_u64().expect("some before");
    assert!((120..LETTERS as u64).contains(&before), "{before} before");
    assert_eq!(stage.kafka.consume_all(&topic).len(), LETTERS);
    // A bridge that starts only now misses none of them, whatever `kafka.start` says.
    let mut bridge =
        stage.workspace.run(&stage.config().replace("start: earliest", "start: latest"));
    wait_redriven(&stage);
    let sent = accepted(&stage);
    assert_eq!(sent.len(), LETTERS);
    assert_eq!(sent.into_iter().collect::<BTreeSet<_>>(), ids);
    assert!(bridge.drain(LIMIT).success());
}

#[test]
fn one_message_of_several_is_redriven_alone_also_where_its_event_was_too_large() {
    let mut stage = Stage::of(KafkaCluster::shared(), &["orders"], 1);
    stage.dead_letters = unique("small-dead-letters");
    stage.kafka.create_topic(&stage.dead_letters, 1, &[("max.message.bytes", "2000")]);
    stage.properties.push(("topic.metadata.refresh.interval.ms", "1000".to_owned()));
    let also = "        continue: true\n      - name: also\n        channel: orders\n        \
                to: {contact: '\"refused-7\"'}\n        message: 'also {{ event.eventId }}'\n";
    let config = stage.config() + also;
    let mut bridge = stage.workspace.run(&config);
    let small = event(0, Fate::Accepted);
    let large = event(1, Fate::Accepted);
    let mut padded: Value = serde_json::from_slice(&large.value()).expect("JSON");
    padded["padding"] = "x".repeat(10_000).into();
    let record =
        |event: &Event, value: String| NewRecord::of(value).header("id", event.id.as_str());
    let records = [
        record(&small, String::from_utf8(small.value()).expect("JSON")),
        record(&large, padded.to_string()),
    ];
    stage.kafka.produce(&stage.topics["orders"], records);
    stage.produce(&[event(2, Fate::Schema)]);
    stage.wait_committed(LIMIT);
    assert_eq!(accepted(&stage), [small.id.as_str(), &large.id]);

    let (code, _, said) = run(&stage, &["redrive", "--rule", "also"]);
    assert_eq!(code, 1);
    assert!(said.contains("does not exist; create it"), "{said}");
    assert!(bridge.stderr().contains("so dead letters can't be redriven; create it"));
    // The bridge finds the topic without a restart.
    stage.kafka.create_topic(&redrive_topic(&stage), 1, &[]);
    stage.sandbox.set_faults(Faults::default()).expect("faults");
    assert!(refused_contacts().contains(&"refused-7".to_owned()));
    assert_eq!(json(&stage, &["redrive", "--rule", "also"])["redriven"], 2);
    stage.wait_accepted(4, LIMIT);
    wait_redriven(&stage);
    let texts: Vec<_> = stage.sandbox.inbox().messages().iter().map(|m| m.text.clone()).collect();
    let of = |start: &str| texts.iter().filter(|text| text.starts_with(start)).count();
    assert_eq!((of("orders"), of("also")), (2, 2), "{texts:?}");
    assert!(bridge.drain(LIMIT).success());
}

#[test]
fn what_is_wrong_with_the_topics_for_dead_letters_is_a_warning() {
    let mut stage = Stage::of(KafkaCluster::shared(), &["orders"], 1);
    stage.dead_letters = unique("small-dead-letters");
    let small = [("max.message.bytes", "12000"), ("retention.ms", "7200000")];
    stage.kafka.create_topic(&stage.dead_letters, 1, &small);
    let kept = [("cleanup.policy", "compact,delete"), ("retention.ms", "3600000")];
    stage.kafka.create_topic(&redrive_topic(&stage), 1, &kept);
    let mut bridge = stage.start();
    stage.produce(&[event(0, Fate::Accepted)]);
    stage.wait_committed(LIMIT);
    let said = bridge.stderr();
    assert!(said.contains("is compacted (cleanup.policy=compact,delete)"), "{said}");
    assert!(said.contains("has a shorter retention (retention.ms)"), "{said}");
    assert!(said.contains("keeps its records for only 2 h (retention.ms)"), "{said}");
    assert!(said.contains("takes at most 12000 bytes at once (max.message.bytes)"), "{said}");
    assert!(bridge.drain(LIMIT).success());
}

#[test]
fn the_end_of_the_log_is_found_behind_marks_and_what_was_aborted() {
    let stage = stage();
    stage.workspace.file("bridge.yaml", &stage.config());
    let id = unique("transactions");
    let producer: BaseProducer =
        stage.kafka.client().set("transactional.id", id).create().expect("a producer");
    producer.init_transactions(LIMIT).expect("a transactional producer");
    for commits in [true, true, false] {
        producer.begin_transaction().expect("a transaction");
        let record = BaseRecord::<str, str>::to(&stage.dead_letters).partition(1).payload("{}");
        producer.send(record).map_err(|(error, _)| error).expect("a record");
        if commits {
            producer.commit_transaction(LIMIT).expect("a commit");
        } else {
            producer.flush(LIMIT).expect("sent");
            producer.abort_transaction(LIMIT).expect("an abort");
        }
    }
    let listed = json(&stage, &["list"]);
    assert_eq!((&listed["count"], &listed["foreign"]), (&0.into(), &2.into()));
    let (code, _, said) = run(&stage, &["show", "1", "0"]);
    assert_eq!(
        (code, said.contains("is not a dead letter: it has no header")),
        (1, true),
        "{said}"
    );
    let (code, _, said) = run(&stage, &["show", "1", "1"]);
    assert_eq!((code, said.contains("there is no record")), (1, true), "a mark: {said}");
}

/// An API that honours the id then tells nobody twice.
#[test]
fn a_redriven_message_has_the_id_that_it_had() {
    let stage = Stage::of(KafkaCluster::shared(), &["payments"], 1);
    stage.kafka.create_topic(&redrive_topic(&stage), 1, &[]);
    let config = stage.config();
    let config = config.replace("line:\n", "line:\n  delivery_id_header: X-Line-Retry-Key\n");
    let events: Vec<_> = (0..2)
        .map(|n| Event::new(n, "payments", &format!("contact-{n}"), Fate::Accepted))
        .collect();
    let unclear = Rule::next(1, Fault::ResetAfterAcceptance {});
    stage.sandbox.set_faults(Faults::rules([unclear])).expect("faults");
    let mut bridge = stage.workspace.run(&config);
    stage.produce(&events[..1]);
    stage.wait_accepted(1, LIMIT);
    // With the next one it turns out that the channel works.
    stage.produce(&events[1..]);
    stage.wait_committed(LIMIT);
    assert_eq!(json(&stage, &["redrive", "--reason", "ambiguous"])["redriven"], 1);
    wait_redriven(&stage);
    let keys = |id: &str| {
        let accepted = stage.accepted();
        accepted[id].iter().map(|sent| sent.retry_key.clone()).collect::<Vec<_>>()
    };
    let (first, second) = (keys(&events[0].id), keys(&events[1].id));
    assert_eq!((first.len(), second.len()), (2, 1));
    assert!(first[0].is_some() && first[0] == first[1] && first[0] != second[0], "{first:?}");
    assert!(bridge.drain(LIMIT).success());
}
