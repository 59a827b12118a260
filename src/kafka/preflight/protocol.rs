//! What stands in the way of a member of the consumer protocol.

use std::time::Duration;

use rdkafka::admin::ResourceSpecifier;
use rdkafka::consumer::Consumer as _;
use rdkafka::error::KafkaError;
use rdkafka::groups::{GroupInfo, GroupList};

use super::super::settings::{BROKERS_SESSION, Protocol, Settings};
use super::{ANSWER, Admin, Refused, ask, groupless};

/// Refuses what can't go well. Returns a warning.
pub(in crate::kafka) fn check(
    settings: &Settings,
    admin: &Admin,
) -> Result<Option<String>, Refused> {
    match settings.protocol() {
        Protocol::Classic => Ok(None),
        Protocol::Consumer => {
            members(settings)?;
            session(settings, admin)
        }
    }
}

/// Refuses to join beside members of the classic protocol. The coordinator lets nobody in there, for
/// it would have to drop what the sticky assignor keeps with them, and each try holds up a rebalance
/// of theirs. It describes members of the classic protocol alone; where it does not answer, joining
/// tells.
fn members(settings: &Settings) -> Result<(), Refused> {
    let client = groupless(&settings.client())?;
    let groups = client.fetch_group_list(Some(&settings.group), ANSWER);
    let groups = groups.as_ref().map(GroupList::groups).unwrap_or_default();
    match groups.iter().map(GroupInfo::members).map(<[_]>::len).sum() {
        0 => Ok(()),
        members => Err(Refused::ClassicMembers { group: settings.group.clone(), members }),
    }
}

/// Refuses a session that is shorter than what the bridge counts on: a member that was cut off would
/// send beside its successor. A broker that does not tell is no fault: hardly anybody shortens it, and
/// the right to describe groups is not one that the bridge needs.
fn session(settings: &Settings, admin: &Admin) -> Result<Option<String>, Refused> {
    let group = &settings.group;
    let told = match ask(admin, ResourceSpecifier::Group(group)) {
        // rdkafka does not know the source of a value that was set for the group.
        Err(KafkaError::AdminOpCreation(_)) => {
            return Ok(Some(format!(
                "the group `{group}` has a configuration of its own, which the Kafka client can't read: make sure that its `consumer.session.timeout.ms` is {} or more",
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
