//! Rights on the secured brokers, granted in Kafka's own protocol: rdkafka has no call for it.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

use super::kafka::KafkaCluster;
use super::wait::wait_until;

/// The user of the SASL listeners who may do nothing but what a test grants.
pub(crate) const GUEST: &str = "guest";
pub(crate) const GUEST_PASSWORD: &str = "battery-staple";

/// What a right is for, and its name (`AclResourceType` of Kafka's protocol).
#[derive(Clone, Copy)]
pub(crate) enum Resource<'n> {
    Topic(&'n str),
    Group(&'n str),
}

/// Numbered as in Kafka's `AclOperation`.
#[derive(Clone, Copy)]
pub(crate) enum Operation {
    Read = 3,
    Write = 4,
    Describe = 8,
    DescribeConfigs = 10,
}

const LIMIT: Duration = Duration::from_secs(30);

const LITERAL: u8 = 3;
const ALLOW: u8 = 3;

fn string(text: &str, to: &mut Vec<u8>) {
    to.extend(i16::try_from(text.len()).expect("a short text").to_be_bytes());
    to.extend(text.as_bytes());
}

/// Asks a broker for something; the answer without its length.
fn ask(kafka: &KafkaCluster, request: &[u8]) -> Vec<u8> {
    let length = u32::try_from(request.len()).expect("a short request").to_be_bytes();
    let mut broker = TcpStream::connect(kafka.bootstrap()).expect("the broker listens");
    broker.write_all(&[&length[..], request].concat()).expect("a request");
    let mut size = [0; 4];
    broker.read_exact(&mut size).expect("an answer");
    let mut answer = vec![0; usize::try_from(u32::from_be_bytes(size)).expect("a size")];
    broker.read_exact(&mut answer).expect("an answer");
    answer
}

/// How Kafka's protocol names a right of the guest, be it to create it or to find it.
fn named(resource: Resource<'_>, operation: Operation) -> Vec<u8> {
    let (kind, name) = match resource {
        Resource::Topic(name) => (2, name),
        Resource::Group(name) => (3, name),
    };
    let mut right = vec![kind];
    string(name, &mut right);
    right.push(LITERAL);
    string(&format!("User:{GUEST}"), &mut right);
    string("*", &mut right);
    right.extend([operation as u8, ALLOW]);
    right
}

/// Waits until the broker goes by so many rights of this name (`DescribeAcls`, version 1).
fn wait_for(kafka: &KafkaCluster, right: &[u8], count: u8) {
    let describe = [0, 29, 0, 1, 0, 0, 0, 8, 0xff, 0xff];
    wait_until(LIMIT, "the broker knows of the right", || {
        let answer = ask(kafka, &[&describe[..], right].concat());
        // Correlation id, throttle time, error code, an empty message, and how many resources.
        let found = answer.get(12..16) == Some(&[0, 0, 0, count]);
        if found { Ok(()) } else { Err(format!("{answer:?}")) }
    });
}

/// Grants the guest a right (`CreateAcls`, version 1).
pub(crate) fn grant(kafka: &KafkaCluster, resource: Resource<'_>, operation: Operation) {
    let right = named(resource, operation);
    let create = [0, 30, 0, 1, 0, 0, 0, 7, 0xff, 0xff, 0, 0, 0, 1];
    let answer = ask(kafka, &[&create[..], &right].concat());
    // Correlation id, throttle time, one result, and its error code.
    assert_eq!(answer[8..14], [0, 0, 0, 1, 0, 0], "the right is not granted: {answer:?}");
    wait_for(kafka, &right, 1);
}

/// Takes a right away again (`DeleteAcls`, version 1).
pub(crate) fn take_away(kafka: &KafkaCluster, resource: Resource<'_>, operation: Operation) {
    let right = named(resource, operation);
    let delete = [0, 31, 0, 1, 0, 0, 0, 9, 0xff, 0xff, 0, 0, 0, 1];
    let answer = ask(kafka, &[&delete[..], &right].concat());
    assert_eq!(answer[8..14], [0, 0, 0, 1, 0, 0], "the right is not taken away: {answer:?}");
    wait_for(kafka, &right, 0);
}
