//! The play: three acts of events, and what becomes of them.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::path::Path;
use std::time::Duration;

use super::super::counted;
use super::Trouble;
use super::events::{Event, Events};
use super::screen::{Screen, Sight};
use super::stage::Stage;
use super::watch::Watch;
use crate::clock::SystemClock;
use crate::domain::dead_letter::Reason;
use crate::domain::ports::Clock as _;
use crate::kafka::publisher::{Outgoing, Publisher};

/// How long an act may take. The longest waits for the group to be joined.
const ACT: Duration = Duration::from_mins(1);

/// What an act waits for.
struct Goal {
    accepted: u64,
    reasons: BTreeSet<&'static str>,
}

impl Goal {
    fn new(accepted: u64, reasons: &[Reason]) -> Self {
        Self { accepted, reasons: reasons.iter().map(|reason| reason.label()).collect() }
    }

    fn is_reached(&self) -> bool {
        self.accepted == 0 && self.reasons.is_empty()
    }

    fn note(&mut self, sight: &Sight) {
        match sight {
            Sight::Accepted { .. } => self.accepted = self.accepted.saturating_sub(1),
            Sight::DeadLetter { reason, .. } => drop(self.reasons.remove(reason.as_str())),
            Sight::Skipped { .. } => {}
        }
    }

    fn missing(&self) -> String {
        let reasons = self.reasons.iter().map(|reason| format!("a dead letter `{reason}`"));
        let messages = (self.accepted > 0).then(|| counted(self.accepted, "message"));
        messages.into_iter().chain(reasons).collect::<Vec<_>>().join(", ")
    }
}

pub(super) struct Play<'a, W> {
    stage: &'a Stage,
    watch: &'a mut Watch,
    screen: &'a mut Screen<W>,
    publishers: BTreeMap<&'static str, Publisher>,
}

impl<'a, W: Write> Play<'a, W> {
    pub(super) fn new(stage: &'a Stage, watch: &'a mut Watch, screen: &'a mut Screen<W>) -> Self {
        Self { stage, watch, screen, publishers: BTreeMap::new() }
    }

    /// Plays it to the end; what comes afterwards is left to the caller.
    pub(super) async fn perform(mut self) -> Result<(), Trouble> {
        let events = Events::at(SystemClock::start().now().wall);
        self.publish(events.for_messages()).await?;
        self.screen.heading("1. Events of five topics, and the LINE messages that they become")?;
        self.until(Goal::new(5, &[])).await?;

        let text = "2. What can't become a message is set aside as a dead letter, with its reason";
        self.screen.heading(text)?;
        self.publish(events.never_sent()).await?;
        let reasons = [
            Reason::Undecodable,
            Reason::Schema,
            Reason::NoRule,
            Reason::RuleError,
            Reason::InvalidMessage,
            Reason::Expired,
        ];
        self.until(Goal::new(0, &reasons)).await?;

        let text = "3. So is what the API refuses, or does not answer clearly (this is retried \
                    for a while)";
        self.screen.heading(text)?;
        let inbox = self.stage.sandbox.inbox();
        let attempts = inbox.stats().attempts;
        self.publish(events.refused_and_uncertain()).await?;
        // A failure becomes its event's own when another message goes through afterwards.
        if tokio::time::timeout(ACT, inbox.wait_for_attempts(attempts + 2)).await.is_err() {
            return Err(stalled("two attempts to send"));
        }
        self.publish(events.failing_and_accepted()).await?;
        let reasons = [Reason::Rejected, Reason::Ambiguous, Reason::RetriesExhausted];
        self.until(Goal::new(1, &reasons)).await?;
        Ok(())
    }

    async fn publish(&mut self, events: Vec<Event>) -> Result<(), Trouble> {
        for Event { topic, key, value } in events {
            if !self.publishers.contains_key(topic) {
                let publisher = Publisher::connect(&self.stage.kafka, topic).await;
                let publisher = publisher.map_err(|error| Trouble::failed(&error))?;
                self.publishers.insert(topic, publisher);
            }
            let Some(publisher) = self.publishers.get(topic) else { continue };
            let (key, value) = (Some(key.as_bytes()), value.as_bytes());
            let handed_over = publisher.send(Outgoing { key, value, headers: &[] }).await;
            let acknowledged = handed_over.map_err(|error| Trouble::failed(&error))?;
            acknowledged.await.map_err(|error| Trouble::failed(&error))?;
        }
        Ok(())
    }

    async fn until(&mut self, mut goal: Goal) -> Result<(), Trouble> {
        let reached = async {
            while !goal.is_reached() {
                let sight = self.watch.next().await;
                self.screen.show(&sight)?;
                goal.note(&sight);
            }
            Ok(())
        };
        let reached = tokio::time::timeout(ACT, reached).await;
        reached.unwrap_or_else(|_| Err(stalled(&goal.missing())))
    }
}

fn stalled(missing: &str) -> Trouble {
    Trouble::failed(&format!(
        "the demo is stuck: still missing after {} s: {missing}; LINE_BRIDGE_LOG=info shows \
         what the bridge does",
        ACT.as_secs()
    ))
}

/// A command for another terminal that publishes the event.
pub(super) fn publish_command(program: &Path, config: &Path, event: &Event) -> String {
    format!(
        "echo {} | \\\n  {} publish --config {} \\\n  --topic {} --key event.customer.contactId",
        quoted(&event.value),
        quoted(&program.display().to_string()),
        quoted(&config.display().to_string()),
        event.topic,
    )
}

/// How the expired dead letter is tried again.
pub(super) fn redrive_command(program: &Path, config: &Path) -> String {
    format!(
        "{} dead-letters redrive --config {} \\\n  --reason expired --ignore-expiry",
        quoted(&program.display().to_string()),
        quoted(&config.display().to_string()),
    )
}

/// As one word of a shell.
fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case::plain("/usr/bin/line-bridge", "/usr/bin/line-bridge")]
    #[case::space("/my files/x", "'/my files/x'")]
    #[case::quote("it's", r"'it'\''s'")]
    #[case::dollar("$HOME", "'$HOME'")]
    #[case::empty("", "''")]
    fn a_word_stays_one_word_in_the_shell(#[case] word: &str, #[case] expected: &str) {
        assert_eq!(quoted(word), expected);
    }

    #[test]
    fn a_goal_names_what_is_missing() {
        let mut goal = Goal::new(1, &[Reason::Expired, Reason::Schema]);
        goal.note(&Sight::DeadLetter {
            reason: "schema".to_owned(),
            detail: String::new(),
            topic: "orders".to_owned(),
            rule: None,
        });
        assert_eq!(goal.missing(), "1 message, a dead letter `expired`");
        assert!(!goal.is_reached());
    }
}
