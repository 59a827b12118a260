//! Rights on the secured brokers, granted in Kafka's own protocol: rdkafka has no call for it.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;

use super::kafka::KafkaCluster;

/// The user of the SASL listeners, under PLAIN, who may do nothing but what a test grants.
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

const LITERAL: u8 = 3;
const ALLOW: u8 = 3;

fn string(text: &str, to: &mut Vec<u8>) {
    to.extend(i16::try_from(text.len()).expect("a short text").to_be_bytes());
    to.extend(text.as_bytes());
}

/// Grants the guest a right (`CreateAcls`, version 1). It holds soon after this returns.
pub(crate) fn grant(kafka: &KafkaCluster, resource: Resource<'_>, operation: Operation) {
    let (kind, name) = match resource {
        Resource::Topic(name) => (2, name),
        Resource::Group(name) => (3, name),
    };
    let mut request = vec![0, 30, 0, 1, 0, 0, 0, 7, 0xff, 0xff, 0, 0, 0, 1, kind];
    string(name, &mut request);
    request.push(LITERAL);
    string(&format!("User:{GUEST}"), &mut request);
    string("*", &mut request);
    request.extend([operation as u8, ALLOW]);
    let length = u32::try_from(request.len()).expect("a short request").to_be_bytes();
    let mut broker = TcpStream::connect(kafka.bootstrap()).expect("the broker listens");
    broker.write_all(&[&length[..], &request].concat()).expect("a request");
    let mut size = [0; 4];
    broker.read_exact(&mut size).expect("an answer");
    let mut answer = vec![0; usize::try_from(u32::from_be_bytes(size)).expect("a size")];
    broker.read_exact(&mut answer).expect("an answer");
    // Correlation id, throttle time, one result, and its error code.
    assert_eq!(answer[8..14], [0, 0, 0, 1, 0, 0], "the right is not granted: {answer:?}");
}
