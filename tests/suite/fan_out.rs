//! One event that gives several messages: each is settled by itself, also across a crash.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use line_bridge::sandbox::{Fault, Faults, Rule};

use crate::events::{Event, Fate};
use crate::harness::kafka::KafkaCluster;
use crate::harness::wait::wait_until;
use crate::stage::{Stage, channel_id};

const LIMIT: Duration = Duration::from_mins(2);
const EVENTS: usize = 10;

/// The rules of the topic: the second's message is empty, which LINE does not take; the third's
/// channel hangs.
const RULES: &str = r#"      - name: first
        channel: orders
        to: {contact: event.customer.contactId}
        message: "first {{ event.eventId }}"
        continue: true
      - name: second
        channel: orders
        to: {contact: event.customer.contactId}
        message: "{% if event.status == 'placed' %}second{% endif %}"
        continue: true
      - name: third
        channel: payments
        to: {contact: event.customer.contactId}
        message: "third {{ event.eventId }}"
"#;

/// The entries of a partition's metadata that is committed at its beginning, past the frontier and
/// the fingerprint.
fn entries(stage: &Stage<'_>) -> Vec<u8> {
    let committed = stage.kafka.committed(&stage.group, &stage.topics["orders"]);
    let Some(at) = committed.get(&0).filter(|at| at.offset == 0) else { return Vec::new() };
    let encoded = at.metadata.strip_prefix("lb1:").unwrap_or_default();
    let bytes = URL_SAFE_NO_PAD.decode(encoded).expect("base64");
    bytes.get(9..).unwrap_or_default().to_vec()
}

#[test]
fn what_an_event_has_settled_is_not_sent_again_after_a_crash_while_the_rest_of_it_waits() {
    let mut stage = Stage::of(KafkaCluster::shared(), &["orders"], 1);
    stage.properties.push(("session.timeout.ms", "8000".to_owned()));
    stage.timeout = "2s";
    let hang = Fault::Hang { accept: false, max_seconds: 120 };
    let hanging = Faults {
        rules: vec![Rule::always(hang).for_channel(&channel_id("payments"))],
        ..Faults::default()
    };
    stage.sandbox.set_faults(hanging).expect("faults");
    let config = stage.config();
    let (head, _) = config.split_once("      - name:").expect("rules");
    let config = format!("{head}{RULES}");
    let event = |n: usize| Event::new(n, "orders", &format!("contact-{n}"), Fate::Accepted);
    let events: Vec<_> = (0..EVENTS).map(event).collect();
    stage.produce(&events);

    let mut bridge = stage.workspace.run(&config);
    // No gap, three messages, the first two of them settled.
    let two_of_three = [0b0000_0001, 3, 0b011].repeat(EVENTS);
    wait_until(LIMIT, "two of three messages of each event are committed as settled", || {
        let seen = entries(&stage);
        if seen == two_of_three { Ok(()) } else { Err(format!("{seen:?}")) }
    });
    bridge.kill();
    stage.sandbox.set_faults(Faults::default()).expect("faults");
    let mut bridge = stage.workspace.run(&config);
    stage.wait_committed(LIMIT);

    let messages = stage.sandbox.inbox().messages();
    assert_eq!(messages.len(), 2 * EVENTS);
    for event in &events {
        for rule in ["first", "third"] {
            let text = format!("{rule} {}", event.id);
            let sent = messages.iter().filter(|message| message.text == text).count();
            assert_eq!(sent, 1, "{text}");
        }
    }
    let letters = stage.letters();
    assert_eq!(letters.len(), EVENTS);
    for letter in letters.values() {
        let told: Vec<_> = letter.iter().map(|letter| letter.header("line-bridge-rule")).collect();
        assert_eq!(told, [Some("second")]);
    }
    assert!(bridge.drain(LIMIT).success());
}
