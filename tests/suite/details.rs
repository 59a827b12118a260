//! Single things that users rely on, on real Kafka with the real program.

use std::collections::BTreeSet;
use std::time::Duration;

use line_bridge::domain::metadata::decode;
use line_bridge::domain::record::CommitOffset;
use line_bridge::sandbox::{Fault, Faults, Recipient, Rule};
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use rdkafka::{Offset, TopicPartitionList};
use serde_json::Value;

use crate::events::{Event, Fate};
use crate::harness::bridge::Bridge;
use crate::harness::kafka::KafkaCluster;
use crate::harness::records::NewRecord;
use crate::harness::unique;
use crate::harness::wait::wait_until;
use crate::stage::Stage;

const LIMIT: Duration = Duration::from_mins(1);

fn good(numbers: std::ops::Range<usize>) -> Vec<Event> {
    let event = |number| Event::new(number, "orders", &format!("contact-{number}"), Fate::Accepted);
    numbers.map(event).collect()
}

fn wait_metric(bridge: &mut Bridge, series: &str, wanted: f64) {
    wait_until(LIMIT, series, || {
        let value = bridge.metrics().get(series);
        let reached = value.is_some_and(|value| (value - wanted).abs() < 0.5);
        if reached { Ok(()) } else { Err(format!("{value:?} instead of {wanted}")) }
    });
}

#[test]
fn the_figures_and_the_probes_tell_what_is_going_on_and_no_log_tells_of_whom() {
    let stage = Stage::of(KafkaCluster::shared(), &["orders"], 3);
    let mut bridge = stage.start();
    wait_until(LIMIT, "it is ready", || {
        let (status, said) = bridge.get("/readyz");
        if status == 200 { Ok(()) } else { Err(said) }
    });
    let mut events = good(0..40);
    events.push(Event::new(40, "orders", "contact-0", Fate::Schema));
    stage.produce(&events);
    let topic = &stage.topics["orders"];
    stage.kafka.produce(topic, [NewRecord::tombstone().key("gone")]);
    stage.wait_committed(LIMIT);
    wait_metric(&mut bridge, &format!("line_bridge_records_total{{topic=\"{topic}\"}}"), 42.0);
    for (result, count) in [("accepted", 40.0), ("skipped", 1.0), ("dead_lettered", 1.0)] {
        let series = format!("line_bridge_settled_total{{result=\"{result}\",topic=\"{topic}\"}}");
        wait_metric(&mut bridge, &series, count);
    }
    for partition in 0..3 {
        let labels = format!("{{partition=\"{partition}\",topic=\"{topic}\"}}");
        wait_metric(&mut bridge, &format!("line_bridge_consumer_lag{labels}"), 0.0);
        let end = stage.kafka.end_offsets(topic)[&partition];
        let end = f64::from(i32::try_from(end).expect("a small offset"));
        wait_metric(&mut bridge, &format!("line_bridge_committed_offset{labels}"), end);
    }
    wait_metric(&mut bridge, &format!("line_bridge_held_records{{topic=\"{topic}\"}}"), 0.0);
    assert_eq!(bridge.get("/livez").0, 200);
    assert!(bridge.drain(LIMIT).success());
    let log = bridge.stderr();
    for private in ["contact-", "sandbox-token", "Accepted", "Your order"] {
        assert!(!log.contains(private), "{private} is in the log: {log}");
    }
}

#[test]
fn status_names_the_record_that_blocks_its_lane_and_why() {
    let stage = Stage::of(KafkaCluster::shared(), &["orders"], 1);
    let hang = Rule::always(Fault::Hang { accept: false, max_seconds: 60 });
    stage.sandbox.set_faults(Faults { rules: vec![hang], ..Faults::default() }).expect("faults");
    let event = |number| Event::new(number, "orders", "contact-0", Fate::Accepted);
    stage.produce(&[event(0), event(1)]);
    let mut bridge = stage.start();
    let topic = &stage.topics["orders"];
    let status = wait_until(LIMIT, "an attempt hangs", || {
        let status: Value = serde_json::from_str(&bridge.get("/status").1).expect("JSON");
        let oldest = &status["partitions"][0]["oldest_unsettled"];
        if oldest["attempts"] == 1 { Ok(status) } else { Err(status.to_string()) }
    });
    let partition = &status["partitions"][0];
    assert_eq!(partition["topic"], topic.as_str());
    assert_eq!((&partition["partition"], &partition["held"]), (&Value::from(0), &Value::from(2)));
    let oldest = &partition["oldest_unsettled"];
    assert_eq!((&oldest["offset"], &oldest["channel"]), (&Value::from(0), &Value::from("orders")));
    assert_eq!(oldest["waits_for"], "the API's answer");
    assert!(oldest["age"].as_f64().is_some_and(|age| age > 0.0));
    assert!(!status.to_string().contains("contact-"));
    bridge.kill();
}

#[test]
fn a_group_that_starts_at_the_latest_misses_nothing_once_it_has_begun() {
    let stage = Stage::of(KafkaCluster::shared(), &["orders"], 3);
    stage.produce(&good(0..10));
    let config = stage.config().replace("start: earliest", "start: latest");
    let mut bridge = stage.workspace.run(&config);
    wait_until(LIMIT, "the group has begun", || {
        let committed = stage.kafka.committed(&stage.group, &stage.topics["orders"]);
        if committed.len() == 3 { Ok(()) } else { Err(format!("{} committed", committed.len())) }
    });
    assert!(bridge.drain(LIMIT).success());
    let tells = |line: &Value| line["level"] == "WARN" && line["records"] == 10;
    assert!(bridge.log().iter().any(tells), "what it skips is told: {}", bridge.stderr());
    // While no member is there, and before it has ever settled a record.
    stage.produce(&good(10..20));
    let mut bridge = stage.workspace.run(&config);
    stage.wait_committed(LIMIT);
    let accepted: Vec<_> = stage.accepted().into_keys().collect();
    assert_eq!(accepted.len(), 10);
    assert!(accepted.iter().all(|id| id.as_str() >= "000010"), "{accepted:?}");
    assert!(bridge.drain(LIMIT).success());
    assert!(!bridge.log().iter().any(|line| line["records"].is_u64()), "it has begun before");
}

#[test]
fn an_offset_out_of_range_pauses_its_partition_and_jumps_nowhere() {
    let stage = Stage::of(KafkaCluster::shared(), &["orders"], 2);
    let topic = stage.topics["orders"].clone();
    for partition in 0..2 {
        let event = good(0..1).remove(0);
        stage.kafka.produce(&topic, [NewRecord::of(event.value()).partition(partition)]);
    }
    let client: BaseConsumer =
        stage.kafka.client().set("group.id", &stage.group).create().expect("a client");
    let mut list = TopicPartitionList::new();
    list.add_partition_offset(&topic, 0, Offset::Offset(100)).expect("an offset");
    list.add_partition_offset(&topic, 1, Offset::Offset(0)).expect("an offset");
    client.commit(&list, CommitMode::Sync).expect("a commit");
    let mut bridge = stage.start();
    let series =
        format!("line_bridge_topic_paused{{reason=\"offset_out_of_range\",topic=\"{topic}\"}}");
    wait_metric(&mut bridge, &series, 1.0);
    stage.wait_accepted(1, LIMIT);
    assert_eq!(stage.kafka.committed(&stage.group, &topic)[&0].offset, 100);
    assert!(bridge.drain(LIMIT).success());
    assert_eq!(stage.kafka.committed(&stage.group, &topic)[&0].offset, 100);
}

#[test]
fn a_record_that_the_dead_letter_topic_does_not_take_goes_there_as_a_pointer() {
    let mut stage = Stage::of(KafkaCluster::shared(), &["orders"], 1);
    stage.dead_letters = unique("small-dead-letters");
    stage.kafka.create_topic(&stage.dead_letters, 1, &[("max.message.bytes", "2000")]);
    let large = format!("{{\"padding\": \"{}\"}}", "x".repeat(10_000));
    let record = NewRecord::of(large).key("k").header("id", "large");
    stage.kafka.produce(&stage.topics["orders"], [record]);
    let mut bridge = stage.start();
    stage.wait_committed(LIMIT);
    let letters = stage.letters();
    let letter = &letters["large"][0];
    assert_eq!(letter.header("line-bridge-reason"), Some("schema"));
    assert_eq!(letter.header("line-bridge-offset"), Some("0"));
    assert_eq!(letter.key.as_deref(), Some(&b"k"[..]));
    assert_eq!(letter.value, None);
    assert!(bridge.stderr().contains("was written without its event"));
    assert!(bridge.drain(LIMIT).success());
}

/// The client library would not write more than 1,000,000 bytes, which is less than a topic takes.
#[test]
fn a_dead_letter_is_as_large_as_its_topic_allows() {
    let stage = Stage::of(KafkaCluster::shared(), &["orders"], 1);
    let topic = &stage.topics["orders"];
    for (topic, most) in [(topic, "3000000"), (&stage.dead_letters, "3100000")] {
        stage.kafka.configure_topic(topic, &[("max.message.bytes", most)]);
    }
    let event = |size| format!("{{\"padding\": \"{}\"}}", "x".repeat(size));
    let events = [event(1_040_000), event(2_900_000)];
    stage.kafka.produce(topic, events.iter().map(|event| NewRecord::of(event.as_str())));
    let mut bridge = stage.start();
    stage.wait_committed(LIMIT);
    let letters = stage.kafka.consume_all(&stage.dead_letters);
    let lengths: BTreeSet<_> = letters.iter().map(|it| it.value.as_ref().map(Vec::len)).collect();
    assert_eq!(lengths, events.iter().map(|event| Some(event.len())).collect());
    assert!(bridge.drain(LIMIT).success());
}

/// The broker's limit is for what is written at once.
#[test]
fn dead_letters_that_are_too_large_only_together_keep_their_events() {
    let mut stage = Stage::of(KafkaCluster::shared(), &["orders"], 1);
    stage.dead_letters = unique("small-dead-letters");
    stage.kafka.create_topic(&stage.dead_letters, 1, &[("max.message.bytes", "20000")]);
    let padding = "x".repeat(5_000);
    let records = (0..40).map(|number| {
        let value = format!("{{\"number\": {number}, \"padding\": \"{padding}\"}}");
        NewRecord::of(value).header("id", number.to_string())
    });
    stage.kafka.produce(&stage.topics["orders"], records);
    let mut bridge = stage.start();
    stage.wait_committed(LIMIT);
    let letters = stage.kafka.consume_all(&stage.dead_letters);
    assert_eq!(letters.len(), 40);
    let whole = letters.iter().filter(|letter| letter.value.is_some()).count();
    assert_eq!(whole, 40, "each fits alone");
    assert!(bridge.drain(LIMIT).success());
}

#[test]
fn confluents_wire_format_is_stepped_over_and_the_dead_letter_keeps_every_byte() {
    let stage = Stage::of(KafkaCluster::shared(), &["orders"], 1);
    let framed = |event: &Event| [&[0, 0, 0, 0, 7][..], &event.value()].concat();
    let events = [good(0..1).remove(0), Event::new(1, "orders", "contact-1", Fate::Schema)];
    let records = events.iter().map(|event| {
        NewRecord::of(framed(event)).header("id", event.id.as_str()).header("trace", "0af7")
    });
    stage.kafka.produce(&stage.topics["orders"], records);
    let mut bridge = stage.start();
    stage.wait_committed(LIMIT);
    assert_eq!(stage.accepted().len(), 1);
    let letters = stage.letters();
    let letter = &letters[&events[1].id][0];
    assert_eq!(letter.value, Some(framed(&events[1])));
    assert_eq!(letter.header("trace"), Some("0af7"));
    assert!(
        letter.header("line-bridge-detail").is_some_and(|detail| detail.contains("/occurredAt"))
    );
    assert!(bridge.drain(LIMIT).success());
}

#[test]
fn a_dry_run_sends_and_commits_nothing_and_disturbs_nobody() {
    let stage = Stage::of(KafkaCluster::shared(), &["orders"], 2);
    let mut bridge = stage.start();
    stage.produce(&good(0..5));
    stage.wait_committed(LIMIT);
    let mut dry = stage.dry_run("bridge.yaml");
    stage.produce(&good(5..10));
    wait_until(LIMIT, "the dry run tells of each event", || {
        let told = dry.stderr().matches("would send").count();
        if told == 5 { Ok(()) } else { Err(format!("{told} told")) }
    });
    wait_until(LIMIT, "it tells the sums", || {
        let said = dry.stderr();
        if said.contains("\"records\":5,\"would_send\":5,") { Ok(()) } else { Err(said) }
    });
    stage.wait_committed(LIMIT);
    assert_eq!(stage.sandbox.inbox().messages().len(), 10, "sent once, by the bridge");
    assert!((bridge.metrics().sum("line_bridge_rebalances_total") - 1.0).abs() < 0.5);
    assert!(dry.drain(LIMIT).success());
    assert!(!dry.stderr().contains("contact-"));
    assert!(bridge.drain(LIMIT).success());
}

#[test]
fn a_dry_run_does_not_tell_what_has_been_sent_behind_a_record_that_waits() {
    let stage = Stage::of(KafkaCluster::shared(), &["orders"], 1);
    let failing =
        Rule::always(Fault::Status { status: 503, body: None, content_type: None, accept: false });
    let waiting = failing.for_recipient(Recipient::Contact("contact-0".to_owned()));
    stage.sandbox.set_faults(Faults::rules([waiting])).expect("faults");
    let mut bridge = stage.start();
    stage.produce(&good(0..5));
    stage.wait_accepted(4, LIMIT);
    wait_until(LIMIT, "what was sent is in the commit's metadata", || {
        let committed = stage.kafka.committed(&stage.group, &stage.topics["orders"]);
        let beyond = committed.get(&0).map(|at| decode(&at.metadata, CommitOffset(0), 0));
        let all = beyond.as_ref().is_some_and(|beyond| {
            beyond.as_ref().is_ok_and(|beyond| beyond.runs.iter().eq([&(1..5)]))
        });
        if all { Ok(()) } else { Err(format!("{beyond:?}")) }
    });
    let mut dry = stage.dry_run("bridge.yaml");
    stage.produce(&good(5..6));
    wait_until(LIMIT, "the dry run tells of the last event", || {
        let told = dry.stderr();
        if told.contains("\"offset\":5") { Ok(()) } else { Err(told) }
    });
    assert_eq!(dry.stderr().matches("would send").count(), 2, "{}", dry.stderr());
    assert!(dry.drain(LIMIT).success());
    assert!(bridge.drain(LIMIT).success());
}

#[test]
fn publish_puts_json_lines_into_a_topic_by_their_key() {
    let stage = Stage::of(KafkaCluster::shared(), &["orders"], 3);
    stage.workspace.file("bridge.yaml", &stage.config());
    let events = good(0..30);
    let lines: Vec<_> =
        events.iter().map(|e| String::from_utf8(e.value()).expect("JSON")).collect();
    stage.workspace.file("events.jsonl", &lines.join("\n"));
    let topic = &stage.topics["orders"];
    let publish = |file: &str| {
        let mut published = stage.workspace.start(&[
            "publish",
            "--config",
            "bridge.yaml",
            "--topic",
            topic,
            "--key",
            "event.customer.contactId",
            file,
        ]);
        (published.wait_exit(LIMIT).code(), published.stderr())
    };
    let (code, said) = publish("events.jsonl");
    // A broker that has just started may have the producer wait for its id, which is logged before.
    assert!(said.ends_with(&format!("30 events published to {topic}\n")), "{said}");
    assert_eq!(code, Some(0));
    let stored = stage.kafka.consume_all(topic);
    assert_eq!(stored.len(), 30);
    for record in stored {
        let event: serde_json::Value = serde_json::from_str(record.text()).expect("JSON");
        let contact = event["customer"]["contactId"].as_str().expect("a contact");
        assert_eq!(record.key.as_deref(), Some(contact.as_bytes()));
    }
    stage.workspace.file("bad.jsonl", &format!("{}\n{{\"eventId\": \n", lines[0]));
    let (code, said) = publish("bad.jsonl");
    assert_eq!(code, Some(64));
    assert!(said.contains("bad.jsonl:2: not one JSON value"), "{said}");
    assert!(said.contains("as `jq -c .` writes them"), "{said}");
    assert!(said.contains("1 event published"), "{said}");
    assert!(said.contains("fix the next line, and continue from there"), "{said}");

    stage.kafka.configure_topic(topic, &[("max.message.bytes", "20000")]);
    let mut lines = lines;
    lines.insert(2, format!("{{\"customer\": {{\"contactId\": \"{}\"}}}}", "c".repeat(30_000)));
    stage.workspace.file("large.jsonl", &lines.join("\n"));
    let (code, said) = publish("large.jsonl");
    assert_eq!(code, Some(1));
    assert!(said.contains("large.jsonl:3: a record is larger than the topic allows"), "{said}");
    let published = stage.kafka.consume_all(topic).len() - 31;
    assert!(said.contains(&format!("{published} events published to {topic}: all")), "{said}");
    let whole = "but those named here; publish these\n";
    let last = published + 1;
    let part = format!(
        "up to line {last} but those named here; publish these, and continue after line {last}\n"
    );
    assert!(said.contains(&part) || (published == 30 && said.contains(whole)), "{said}");
}

/// It takes an offset, and nobody ever gets it.
#[test]
fn the_marker_at_the_end_of_a_transaction_is_no_lag() {
    let stage = Stage::of(KafkaCluster::shared(), &["orders"], 1);
    let topic = &stage.topics["orders"];
    let producer: BaseProducer =
        stage.kafka.client().set("transactional.id", topic).create().expect("a producer");
    producer.init_transactions(LIMIT).expect("an id");
    let in_transaction = |event: &Event| {
        let value = event.value();
        producer.begin_transaction().expect("a transaction");
        let record = BaseRecord::to(topic).key(&event.contact).payload(&value);
        producer.send(record).map_err(|(error, _)| error).expect("a place in the queue");
        producer.flush(LIMIT).expect("it is written");
    };
    let lag = format!("line_bridge_consumer_lag{{partition=\"0\",topic=\"{topic}\"}}");
    let events = good(0..3);
    in_transaction(&events[0]);
    producer.commit_transaction(LIMIT).expect("a commit");
    let mut bridge = stage.start();
    wait_metric(&mut bridge, &lag, 0.0);
    stage.wait_accepted(1, LIMIT);
    in_transaction(&events[1]);
    producer.abort_transaction(LIMIT).expect("the end of the transaction");
    in_transaction(&events[2]);
    producer.commit_transaction(LIMIT).expect("a commit");
    stage.wait_accepted(2, LIMIT);
    wait_metric(&mut bridge, &lag, 0.0);
    in_transaction(&events[0]);
    // The marker before it and the record: it may stay open, and what is behind it waits.
    wait_metric(&mut bridge, &lag, 2.0);
    producer.abort_transaction(LIMIT).expect("the end of the transaction");
    wait_metric(&mut bridge, &lag, 0.0);
    assert!(bridge.drain(LIMIT).success());
    let committed = stage.kafka.committed(&stage.group, topic)[&0].offset;
    assert!(committed < stage.kafka.end_offsets(topic)[&0], "there is a marker");
    let mut next = stage.start();
    wait_metric(&mut next, &lag, 0.0);
    assert!(next.drain(LIMIT).success());
}
