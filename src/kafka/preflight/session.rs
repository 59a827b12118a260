//! The session of a group of the consumer protocol, which is the brokers' to say.

use std::time::Duration;

use rdkafka::admin::{AdminClient, ResourceSpecifier};
use rdkafka::client::DefaultClientContext;
use rdkafka::error::KafkaError;

use super::super::settings::{BROKERS_SESSION, Protocol, Settings};
use super::{Refused, ask};

/// Refuses one that is shorter than what the bridge counts on: a member that was cut off would send
/// beside its successor. A broker that does not tell is no fault: hardly anybody shortens it, and the
/// right to describe groups is not one that the bridge needs. Returns a warning.
pub(in crate::kafka) fn look(
    settings: &Settings,
    admin: &AdminClient<DefaultClientContext>,
) -> Result<Option<String>, Refused> {
    if settings.protocol() == Protocol::Classic {
        return Ok(None);
    }
    let group = &settings.group;
    let told = match ask(admin, ResourceSpecifier::Group(group)) {
        // rdkafka does not know the source of a value that was set for the group.
        Err(KafkaError::AdminOpCreation(_)) => {
            return Ok(Some(format!(
                "the group `{group}` has a configuration of its own, which the Kafka client can't read: see that its `consumer.session.timeout.ms` is {} or more",
                BROKERS_SESSION.as_millis()
            )));
        }
        told => told.ok().flatten(),
    };
    let session = told
        .and_then(|group| group.get("consumer.session.timeout.ms")?.value.as_ref()?.parse().ok())
        .map(Duration::from_millis);
    match session {
        Some(session) if session < BROKERS_SESSION => {
            Err(Refused::ShortSession { group: group.clone(), session })
        }
        Some(_) | None => Ok(None),
    }
}
