//! The sample events: the shipped examples, as if they had happened just now.

use jiff::tz::TimeZone;
use jiff::{SignedDuration, Zoned};
use serde_json::Value;

use crate::domain::clock::Timestamp;

/// The sandbox refuses to send to this contact.
pub(super) const REFUSED: &str = "c-unknown";
/// Whoever is sent something at these gets an error that does not say whether it arrived.
pub(super) const UNCERTAIN: &str = "c-unlucky";
pub(super) const FAILING: &str = "c-unreachable";

const ORDER_PLACED: &str =
    include_str!("../../../schemas/examples/orders/valid-placed-which-tells-nobody.json");
const ORDER_SHIPPED: &str = include_str!("../../../schemas/examples/orders/valid-shipped.json");
const ORDER_WITHOUT_ID: &str =
    include_str!("../../../schemas/examples/orders/invalid-order-id-missing.json");
const PAYMENT: &str = include_str!("../../../schemas/examples/payments/valid-succeeded.json");
const REMINDER: &str = include_str!("../../../schemas/examples/appointments/valid-reminder.json");
const LOGIN: &str = include_str!("../../../schemas/examples/logins/valid-suspicious.json");
const OUT_FOR_DELIVERY: &str =
    include_str!("../../../schemas/examples/deliveries/valid-out-for-delivery.json");
const DELIVERED: &str = include_str!("../../../schemas/examples/deliveries/valid-delivered.json");

/// What is published.
pub(super) struct Event {
    pub(super) topic: &'static str,
    pub(super) key: String,
    pub(super) value: String,
}

/// Makes events that happen now.
#[derive(Debug)]
pub(super) struct Events {
    now: Zoned,
}

impl Events {
    pub(super) fn at(now: Timestamp) -> Self {
        let zone = TimeZone::get("Asia/Bangkok").unwrap_or(TimeZone::UTC);
        let now = jiff::Timestamp::from_millisecond(now.0).unwrap_or_default();
        Self { now: now.to_zoned(zone) }
    }

    /// One for each use, and one that tells nobody.
    pub(super) fn for_messages(&self) -> Vec<Event> {
        vec![
            self.event("orders", ORDER_SHIPPED, &[]),
            self.event("payments", PAYMENT, &[]),
            self.event("appointments", REMINDER, &[]),
            self.event("logins", LOGIN, &[]),
            self.event("deliveries", OUT_FOR_DELIVERY, &[]),
            self.event("orders", ORDER_PLACED, &[]),
        ]
    }

    /// One for each reason for which nothing is sent.
    pub(super) fn never_sent(&self) -> Vec<Event> {
        let hour_ago = rfc_3339(&self.now.saturating_sub(SignedDuration::from_hours(1)));
        let not_json = "order 12345 has been shipped".to_owned();
        vec![
            Event { topic: "orders", key: "c-10001".to_owned(), value: not_json },
            self.event("orders", ORDER_WITHOUT_ID, &[]),
            self.event("payments", PAYMENT, &[("/status", Some("pending".into()))]),
            self.event("payments", PAYMENT, &[("/amount/currency", Some("ZZZ".into()))]),
            self.event(
                "orders",
                ORDER_SHIPPED,
                &[("/status", Some("completed".into())), ("/total", None)],
            ),
            self.event("logins", LOGIN, &[("/occurredAt", Some(hour_ago.into()))]),
        ]
    }

    /// One that the API refuses, and one of which it does not say what became.
    pub(super) fn refused_and_uncertain(&self) -> Vec<Event> {
        vec![to("orders", REFUSED, self, ORDER_SHIPPED), to("payments", UNCERTAIN, self, PAYMENT)]
    }

    /// One that the API never answers plainly, and one that it accepts.
    pub(super) fn failing_and_accepted(&self) -> Vec<Event> {
        vec![to("orders", FAILING, self, ORDER_SHIPPED), self.event("deliveries", DELIVERED, &[])]
    }

    /// For somebody to publish by hand: short, and with nothing that a shell would take as its own.
    pub(super) fn by_hand(&self) -> Event {
        let event = serde_json::json!({
            "eventId": "mine-1",
            "occurredAt": rfc_3339(&self.now),
            "orderId": "777",
            "status": "shipped",
            "customer": {"contactId": "c-me"},
        });
        Event { topic: "orders", key: "c-me".to_owned(), value: event.to_string() }
    }

    /// The example with its times moved to now, and then changed: a property is set, or taken out.
    fn event(
        &self,
        topic: &'static str,
        example: &str,
        changes: &[(&str, Option<Value>)],
    ) -> Event {
        let mut event: Value = serde_json::from_str(example).unwrap_or_default();
        let tomorrow = self
            .now
            .tomorrow()
            .and_then(|day| day.with().hour(10).minute(0).second(0).subsec_nanosecond(0).build());
        let times = [
            ("occurredAt", &self.now),
            ("startsAt", tomorrow.as_ref().unwrap_or(&self.now)),
            ("expectedAt", &self.now.saturating_add(SignedDuration::from_hours(3))),
        ];
        for (name, time) in times {
            if let Some(found) = event.get_mut(name) {
                *found = rfc_3339(time).into();
            }
        }
        for (pointer, change) in changes {
            set(&mut event, pointer, change.clone());
        }
        let key = event.pointer("/customer/contactId").and_then(Value::as_str);
        Event { topic, key: key.unwrap_or_default().to_owned(), value: event.to_string() }
    }
}

fn to(topic: &'static str, contact: &str, events: &Events, example: &str) -> Event {
    events.event(topic, example, &[("/customer/contactId", Some(contact.into()))])
}

fn set(event: &mut Value, pointer: &str, value: Option<Value>) {
    let Some((parent, name)) = pointer.rsplit_once('/') else { return };
    let Some(Value::Object(parent)) = event.pointer_mut(parent) else { return };
    match value {
        Some(value) => drop(parent.insert(name.to_owned(), value)),
        None => drop(parent.remove(name)),
    }
}

fn rfc_3339(time: &Zoned) -> String {
    time.strftime("%Y-%m-%dT%H:%M:%S%:z").to_string()
}
