//! Events of the five topics, good ones and bad ones of each kind.

use std::time::{Duration, SystemTime};

use serde_json::{Value, json};

/// The shipped topics.
pub(crate) const KINDS: [&str; 5] = ["orders", "payments", "appointments", "logins", "deliveries"];

/// What is to become of an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Fate {
    Accepted,
    Undecodable,
    Schema,
    NoRule,
    RuleError,
    InvalidMessage,
    Expired,
    Rejected,
}

impl Fate {
    /// The ways in which an event can be bad by itself.
    pub(crate) const BAD: [Self; 7] = [
        Self::Undecodable,
        Self::Schema,
        Self::NoRule,
        Self::RuleError,
        Self::InvalidMessage,
        Self::Expired,
        Self::Rejected,
    ];

    /// The header `line-bridge-reason` of its dead letter.
    pub(crate) fn reason(self) -> Option<&'static str> {
        Some(match self {
            Self::Accepted => return None,
            Self::Undecodable => "undecodable",
            Self::Schema => "schema",
            Self::NoRule => "no_rule",
            Self::RuleError => "rule_error",
            Self::InvalidMessage => "invalid_message",
            Self::Expired => "expired",
            Self::Rejected => "rejected",
        })
    }
}

/// One event, as it is to be produced.
#[derive(Clone, Debug)]
pub(crate) struct Event {
    /// Stands in the text of its message, and in a header of its record.
    pub(crate) id: String,
    pub(crate) kind: &'static str,
    pub(crate) contact: String,
    pub(crate) fate: Fate,
}

/// Contacts that the sandbox refuses.
pub(crate) fn refused_contacts() -> Vec<String> {
    (0..20).map(|number| format!("refused-{number}")).collect()
}

impl Event {
    pub(crate) fn new(number: usize, kind: &'static str, contact: &str, fate: Fate) -> Self {
        // The sandbox refuses contacts, and a login's message goes to a LINE user.
        let refused = fate == Fate::Rejected;
        let kind = if refused && kind == "logins" { "orders" } else { kind };
        let contact = if refused { format!("refused-{}", number % 20) } else { contact.to_owned() };
        Self { id: format!("{number:06}-{fate:?}"), kind, contact, fate }
    }

    /// The bytes of the record's value.
    pub(crate) fn value(&self) -> Vec<u8> {
        let mut event = self.valid();
        match self.fate {
            Fate::Undecodable => return b"{\"eventId\": ".to_vec(),
            Fate::Schema => event["occurredAt"] = json!("yesterday"),
            Fate::Expired => event["occurredAt"] = json!(timestamp(Duration::from_hours(72))),
            Fate::Accepted
            | Fate::NoRule
            | Fate::RuleError
            | Fate::InvalidMessage
            | Fate::Rejected => {}
        }
        serde_json::to_vec(&event).expect("JSON")
    }

    fn valid(&self) -> Value {
        let now = timestamp(Duration::ZERO);
        // LINE's ids are hexadecimal, so a contact is known by its number.
        let number: u64 = self
            .contact
            .bytes()
            .fold(7, |hash: u64, byte| hash.wrapping_mul(31).wrapping_add(u64::from(byte)));
        let customer = json!({"contactId": self.contact, "lineUserId": format!("U{number:032x}")});
        let mut event = json!({"eventId": self.id, "occurredAt": now, "customer": customer});
        let more = match self.kind {
            "orders" => json!({"orderId": "12345", "status": "shipped"}),
            "payments" => json!({"paymentId": "P-1", "status": "succeeded",
                "amount": {"value": "50.00", "currency": "USD"}}),
            "appointments" => json!({"appointmentId": "A-1", "kind": "reminder",
                "startsAt": "2099-11-10T10:00:00+07:00", "timeZone": "Asia/Bangkok"}),
            "logins" => json!({"risk": "suspicious", "timeZone": "Asia/Bangkok"}),
            _ => json!({"deliveryId": "D-1", "orderId": "12345", "status": "out_for_delivery",
                "parcels": 2, "expectedAt": "2099-11-09T15:30:00+07:00",
                "timeZone": "Asia/Bangkok"}),
        };
        let more = more.as_object().expect("an object").clone();
        event.as_object_mut().expect("an object").extend(more);
        event
    }
}

/// So long ago, in the form of RFC 3339.
fn timestamp(ago: Duration) -> String {
    jiff::Timestamp::try_from(SystemTime::now() - ago).expect("a time").to_string()
}
