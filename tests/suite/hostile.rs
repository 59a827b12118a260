//! Records and commits that other clients may write and no sensible one does: each is set aside or
//! stepped over, and what comes behind it goes on.

use std::collections::BTreeSet;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

use rstest::rstest;

use crate::events::{Event, Fate};
use crate::harness::kafka::KafkaCluster;
use crate::harness::records::NewRecord;
use crate::harness::unique;
use crate::stage::Stage;

const LIMIT: Duration = Duration::from_mins(1);

fn good(number: usize) -> Event {
    Event::new(number, "orders", &format!("contact-{number}"), Fate::Accepted)
}

/// A number in Kafka's zigzag encoding of variable length.
fn varint(number: i64, to: &mut Vec<u8>) {
    let mut left = (number << 1) ^ (number >> 63);
    while left & !0x7f != 0 {
        to.push(u8::try_from(left & 0x7f).expect("seven bits") | 0x80);
        left >>= 7;
    }
    to.push(u8::try_from(left).expect("seven bits"));
}

fn field(bytes: &[u8], to: &mut Vec<u8>) {
    varint(i64::try_from(bytes.len()).expect("a short field"), to);
    to.extend_from_slice(bytes);
}

fn length(bytes: &[u8]) -> [u8; 4] {
    i32::try_from(bytes.len()).expect("a short field").to_be_bytes()
}

fn crc32c(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(!0, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| {
            if crc & 1 == 1 { (crc >> 1) ^ 0x82f6_3b78 } else { crc >> 1 }
        })
    })
}

/// A batch of one record (magic 2, <https://kafka.apache.org/documentation/#recordbatch>).
fn batch(value: &[u8], header: (&[u8], &[u8])) -> Vec<u8> {
    let mut record = vec![0, 0, 0];
    varint(-1, &mut record);
    field(value, &mut record);
    varint(1, &mut record);
    field(header.0, &mut record);
    field(header.1, &mut record);
    let now = jiff::Timestamp::now().as_millisecond().to_be_bytes();
    let checked = [
        &[0; 2][..],
        &[0; 4],
        &now,
        &now,
        &[0xff; 8],
        &[0xff; 2],
        &[0xff; 4],
        &1_i32.to_be_bytes(),
    ];
    let mut checked = checked.concat();
    field(&record, &mut checked);
    let after = [&[0xff; 4][..], &[2], &crc32c(&checked).to_be_bytes(), &checked].concat();
    [&[0; 8][..], &length(&after), &after].concat()
}

/// One request in Kafka's own protocol, and its answer.
fn ask(brokers: &str, request: &[u8]) -> Vec<u8> {
    let mut broker = TcpStream::connect(brokers).expect("the broker listens");
    broker.write_all(&[&length(request)[..], request].concat()).expect("a request");
    let mut size = [0; 4];
    broker.read_exact(&mut size).expect("an answer");
    let mut answer = vec![0; usize::try_from(u32::from_be_bytes(size)).expect("a size")];
    broker.read_exact(&mut answer).expect("an answer");
    answer
}

fn string(bytes: &[u8]) -> Vec<u8> {
    let length = i16::try_from(bytes.len()).expect("a short text").to_be_bytes();
    [&length, bytes].concat()
}

/// Commits for partition 0 (`OffsetCommit`, version 2), with metadata that no client library writes.
fn commit_raw(brokers: &str, group: &str, topic: &str, offset: i64, metadata: &[u8]) {
    let request = [
        &[0, 8, 0, 2, 0, 0, 0, 7, 0xff, 0xff][..],
        &string(group.as_bytes()),
        // No member of the group, and kept for as long as the broker likes.
        &(-1_i32).to_be_bytes(),
        &string(b""),
        &(-1_i64).to_be_bytes(),
        &1_i32.to_be_bytes(),
        &string(topic.as_bytes()),
        &[0, 0, 0, 1, 0, 0, 0, 0],
        &offset.to_be_bytes(),
        &string(metadata),
    ];
    let answer = ask(brokers, &request.concat());
    assert!(answer.ends_with(&[0, 0]), "the commit is refused: {answer:?}");
}

/// Produces one record in Kafka's own protocol (Produce, version 3): client libraries in Rust and
/// Java write header names in UTF-8, those of other languages take any bytes.
fn produce_raw(brokers: &str, topic: &str, value: &[u8], header: (&[u8], &[u8])) {
    let batch = batch(value, header);
    let name = string(topic.as_bytes());
    let request = [
        &[0, 0, 0, 3, 0, 0, 0, 7, 0xff, 0xff][..],
        &[0xff, 0xff, 0xff, 0xff, 0, 0, 0x75, 0x30, 0, 0, 0, 1],
        &name,
        &[0, 0, 0, 1, 0, 0, 0, 0],
        &length(&batch),
        &batch,
    ];
    let answer = ask(brokers, &request.concat());
    // Correlation id, the topic, its partition, and then the error code.
    let error = 4 + 4 + name.len() + 4 + 4;
    assert_eq!(answer[error..error + 2], [0, 0], "the record is refused: {answer:?}");
}

#[test]
fn a_header_name_that_is_not_utf_8_stops_nothing() {
    let stage = Stage::of(KafkaCluster::shared(), &["orders"], 1);
    let topic = stage.topics["orders"].clone();
    let bytes = (&[0xff, 0xfe, b'x'][..], &b"value"[..]);
    produce_raw(stage.kafka.bootstrap(), &topic, &good(0).value(), bytes);
    produce_raw(stage.kafka.bootstrap(), &topic, b"no event", bytes);
    stage.produce(&[good(1)]);
    let mut bridge = stage.start();
    stage.wait_committed(LIMIT);
    assert_eq!(stage.accepted().len(), 2);
    let letters = stage.kafka.consume_all(&stage.dead_letters);
    assert_eq!(letters.len(), 1);
    assert_eq!(letters[0].header("line-bridge-offset"), Some("1"));
    assert_eq!(letters[0].value.as_deref(), Some(&b"no event"[..]));
    assert!(bridge.drain(LIMIT).success());
}

#[test]
fn a_dead_letter_whose_key_and_headers_are_too_large_goes_without_them() {
    let mut stage = Stage::of(KafkaCluster::shared(), &["orders"], 1);
    stage.dead_letters = unique("small-dead-letters");
    stage.kafka.create_topic(&stage.dead_letters, 1, &[("max.message.bytes", "2000")]);
    let records = [
        NewRecord::of("no event").header("large", "x".repeat(10_000)),
        NewRecord::of("no event").key("k".repeat(10_000)),
    ];
    stage.kafka.produce(&stage.topics["orders"], records);
    stage.produce(&[good(0)]);
    let mut bridge = stage.start();
    stage.wait_committed(LIMIT);
    assert_eq!(stage.accepted().len(), 1);
    let letters = stage.kafka.consume_all(&stage.dead_letters);
    let offsets: BTreeSet<_> =
        letters.iter().filter_map(|letter| letter.header("line-bridge-offset")).collect();
    assert_eq!(offsets, BTreeSet::from(["0", "1"]));
    assert!(bridge.drain(LIMIT).success());
}

#[rstest]
#[case::not_utf_8(&[0xff, 0xfe, 0x80])]
#[case::ours_cut_off(b"lb1:AQ")]
#[case::ours_and_not_utf_8(b"lb1:AQ\xff\xff")]
#[case::long(&[b'x'; 4_000])]
fn metadata_of_others_is_ignored_and_the_offset_counts(#[case] metadata: &[u8]) {
    let stage = Stage::of(KafkaCluster::shared(), &["orders"], 1);
    stage.produce(&(0..5).map(good).collect::<Vec<_>>());
    commit_raw(stage.kafka.bootstrap(), &stage.group, &stage.topics["orders"], 2, metadata);
    let mut bridge = stage.start();
    stage.wait_committed(LIMIT);
    let accepted: Vec<_> = stage.accepted().into_keys().collect();
    assert_eq!(accepted, [2, 3, 4].map(|number| good(number).id));
    assert!(bridge.stderr().contains("the commit's metadata is ignored"));
    assert!(bridge.drain(LIMIT).success());
}

#[test]
fn records_of_any_shape_settle() {
    let stage = Stage::of(KafkaCluster::shared(), &["orders"], 1);
    let many_headers = (0..10_000).fold(NewRecord::of(good(0).value()), |record, number| {
        record.header(&format!("h{number}"), "")
    });
    let nested = |open: &str, close: &str| [open.repeat(100_000), close.repeat(100_000)].concat();
    let large = format!("{{\"padding\": \"{}\"}}", "x".repeat(900_000));
    let records = [
        many_headers,
        NewRecord::of(large),
        NewRecord::of(nested("[", "]")),
        NewRecord::of(nested("{\"a\":", "")),
        NewRecord::of(format!("{{\"eventId\": 1{}}}", "0".repeat(100_000))),
        NewRecord::of("{\"eventId\": 1e999999999}"),
        NewRecord::of(vec![0xff; 1000]),
        NewRecord::of(""),
        NewRecord::of(good(1).value()).timestamp(0),
        NewRecord::of("no event").timestamp(1),
        NewRecord::of(good(2).value()).key(vec![0xff; 100]),
    ];
    stage.kafka.produce(&stage.topics["orders"], records);
    let mut bridge = stage.start();
    stage.wait_committed(LIMIT);
    assert_eq!(stage.accepted().len(), 3);
    assert_eq!(stage.kafka.consume_all(&stage.dead_letters).len(), 8);
    assert!(bridge.drain(LIMIT).success());
}
