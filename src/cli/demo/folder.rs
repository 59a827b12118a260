//! The demonstration's files: its configuration, the shipped schemas and the sandbox's token.

use std::fs::{self, DirBuilder};
use std::io;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::PathBuf;

const CONFIG: &str = include_str!("line-bridge.yaml");

const SCHEMAS: [(&str, &str); 6] = [
    ("common.json", include_str!("../../../schemas/common.json")),
    ("orders.json", include_str!("../../../schemas/orders.json")),
    ("payments.json", include_str!("../../../schemas/payments.json")),
    ("appointments.json", include_str!("../../../schemas/appointments.json")),
    ("logins.json", include_str!("../../../schemas/logins.json")),
    ("deliveries.json", include_str!("../../../schemas/deliveries.json")),
];

/// A folder of its own among the temporary files; dropped, it is removed.
#[derive(Debug)]
pub(super) struct Folder(PathBuf);

impl Folder {
    /// Makes it and fills it. The configuration names the addresses themselves, so that another
    /// terminal needs nothing but the file.
    pub(super) fn fill(brokers: &str, base_url: &str, token: &str) -> io::Result<Self> {
        let name = format!("line-bridge-demo-{}-{:08x}", std::process::id(), fastrand::u32(..));
        let path = std::env::temp_dir().join(name);
        // The token is nobody else's business, even that of a stand-in.
        DirBuilder::new().mode(0o700).create(&path)?;
        let folder = Self(path);
        let schemas = folder.0.join("schemas");
        fs::create_dir(&schemas)?;
        for (name, schema) in SCHEMAS {
            fs::write(schemas.join(name), schema)?;
        }
        fs::write(folder.0.join("token"), token)?;
        let config = CONFIG.replace("${KAFKA_BROKERS}", brokers);
        fs::write(folder.config(), config.replace("${LINE_BASE_URL}", base_url))?;
        Ok(folder)
    }

    pub(super) fn config(&self) -> PathBuf {
        self.0.join("line-bridge.yaml")
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_dir_all(&self.0) {
            tracing::warn!(%error, folder = %self.0.display(), "could not be removed");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Strictness;
    use crate::domain::clock::Timestamp;
    use crate::domain::dead_letter::Reason;
    use crate::domain::message::{SkipReason, Verdict};
    use crate::domain::ports::Decide as _;
    use crate::domain::record::{Record, RecordOffset, TopicPartition};
    use crate::loading;
    use crate::topics::Topics;

    use super::super::events::{Event, Events};

    /// 2026-11-09T02:00:00Z.
    const NOW: Timestamp = Timestamp(1_794_189_600_000);

    fn load() -> (Folder, Topics) {
        let folder = Folder::fill("127.0.0.1:1", "http://127.0.0.1:2", "token").unwrap();
        let loaded = loading::load(&folder.config(), &|_| None, Strictness::Run);
        let (loaded, topics) = loaded.unwrap_or_else(|mistakes| panic!("{mistakes}"));
        assert_eq!(loaded.warnings, []);
        (folder, topics)
    }

    fn verdict(topics: &Topics, event: &Event) -> Verdict {
        let source = TopicPartition { topic: event.topic.into(), partition: 0 };
        let value = Some(event.value.clone().into_bytes());
        let offset = RecordOffset(0);
        let headers = Vec::new();
        topics.decide(&Record { source, offset, timestamp: NOW, key: None, value, headers }).verdict
    }

    #[test]
    fn the_folder_goes_with_its_guard() {
        let folder = Folder::fill("127.0.0.1:1", "http://127.0.0.1:2", "token").unwrap();
        let path = folder.0.clone();
        assert!(path.join("schemas/common.json").is_file());
        drop(folder);
        assert!(!path.exists());
    }

    #[test]
    fn each_use_has_its_message_with_its_time_moved_to_now() {
        let (_folder, topics) = load();
        let verdicts = Events::at(NOW).for_messages();
        let verdicts = verdicts.iter().map(|event| verdict(&topics, event));
        let texts: Vec<String> = verdicts
            .map(|verdict| match verdict {
                Verdict::Deliver(parts) => {
                    let message = parts[0].as_ref().unwrap();
                    assert!(message.deadline > NOW);
                    message.text.as_str().to_owned()
                }
                Verdict::Skip(SkipReason::Unmatched) => "skipped".to_owned(),
                other @ (Verdict::Skip(_) | Verdict::Reject(_)) => panic!("{other:?}"),
            })
            .collect();
        assert_eq!(
            texts,
            [
                "Your order #12345 has been shipped.",
                "Payment of $50.00 was successfully received.",
                "Reminder: Your appointment is scheduled for Tuesday, 10 November 2026 at 10:00 AM.",
                "Suspicious login detected on your account. Device: Chrome on Windows.",
                "Your order #12345 (2 parcels) is out for delivery and should arrive by 12:00.",
                "skipped",
            ]
        );
    }

    #[test]
    fn the_events_that_are_never_sent_have_a_reason_each() {
        let (_folder, topics) = load();
        let events = Events::at(NOW).never_sent();
        let reasons: Vec<Reason> = events
            .iter()
            .map(|event| match verdict(&topics, event) {
                Verdict::Reject(rejection) => rejection.reason,
                Verdict::Deliver(parts) => match &parts[0] {
                    Ok(message) if message.deadline < NOW => Reason::Expired,
                    Ok(message) => panic!("{message:?} would be sent"),
                    Err(rejection) => rejection.reason,
                },
                Verdict::Skip(why) => panic!("{why:?}"),
            })
            .collect();
        assert_eq!(
            reasons,
            [
                Reason::Undecodable,
                Reason::Schema,
                Reason::NoRule,
                Reason::RuleError,
                Reason::InvalidMessage,
                Reason::Expired,
            ]
        );
    }

    #[test]
    fn the_event_to_publish_by_hand_makes_a_message() {
        let (_folder, topics) = load();
        let verdict = verdict(&topics, &Events::at(NOW).by_hand());
        let Verdict::Deliver(parts) = verdict else { panic!("{verdict:?}") };
        assert_eq!(parts[0].as_ref().unwrap().text.as_str(), "Your order #777 has been shipped.");
    }
}
