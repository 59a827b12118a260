//! What would become of a record, told to people and to programs.

use serde_json::{Value, json};

use super::super::output::{on_lines, on_one_line};
use super::super::{counted, times};
use crate::domain::clock::Timestamp;
use crate::domain::dead_letter::Rejection;
use crate::domain::message::{
    Decision, Message, OnAmbiguous, Recipient, SkipReason, TEXT_LIMIT, Verdict,
};
use crate::domain::paused::{Pause, Paused};
use crate::domain::record::Record;
use crate::domain::rules::{RuleAnswer, RuleTrace};

/// Puts a text's further lines below its first.
const INDENT: &str = "                  ";

pub(super) struct Explanation<'a> {
    pub(super) record: &'a Record,
    pub(super) decision: &'a Decision,
    pub(super) asked: &'a [RuleTrace],
    pub(super) paused: &'a Paused,
    pub(super) now: Timestamp,
}

impl Explanation<'_> {
    /// One object; its first three keys are there whatever becomes of the record.
    pub(super) fn json(&self) -> Value {
        let messages: Vec<Value> =
            self.messages().map(|message| self.message_json(message)).collect();
        let rejections: Vec<&Rejection> = self.rejections().collect();
        let rejection = |rejection: &&Rejection| {
            let Rejection { reason, detail, rule } = rejection;
            json!({"reason": reason.label(), "detail": detail, "rule": rule.as_deref()})
        };
        let answers = self.asked.iter().enumerate().map(|(index, asked)| {
            let (answer, why) = self.answer(index, asked);
            json!({"rule": &*asked.rule, "answer": answer, "why": why})
        });
        json!({
            "messages": messages,
            "skipped": self.skipped().map(|why| match why {
                SkipReason::Tombstone => "tombstone",
                SkipReason::Unmatched => "unmatched",
            }),
            "rejected": rejections.first().map(|rejection| rejection.reason.label()),
            "detail": rejections.first().map(|rejection| &rejection.detail),
            "rejections": rejections.iter().map(rejection).collect::<Vec<_>>(),
            "rules": answers.collect::<Vec<_>>(),
            "topic": &*self.record.source.topic,
            "event_time": self.became_event().then(|| times::shown(self.decision.event_time)),
        })
    }

    fn message_json(&self, message: &Message) -> Value {
        json!({
            "rule": &*message.rule,
            "channel": &*message.channel.name,
            "channel_id": &*message.channel.id,
            "recipient": match &message.recipient {
                Recipient::Contact(id) => json!({"contactId": &**id}),
                Recipient::LineUser(id) => json!({"platformUserId": &**id}),
            },
            "text": message.text.as_str(),
            "utf16_units": units(message),
            "expires_at": times::shown(message.deadline),
            "expired": self.expired(message),
            "paused": self.pause(message).map(Pause::label),
            "on_ambiguous": word(message.on_ambiguous),
        })
    }

    /// For people; `place` tells one event from the others.
    pub(super) fn text(&self, place: Option<&str>) -> String {
        let place = place.map_or_else(|| self.record.source.topic.to_string(), on_one_line);
        let mut lines = vec![format!("{place}: {}", self.summary())];
        if self.became_event() {
            let time = self.decision.event_time;
            let seen = times::relative(time, self.now);
            lines.push(format!("  event time: {} ({seen})", times::shown(time)));
        }
        for (index, asked) in self.asked.iter().enumerate() {
            let (_, why) = self.answer(index, asked);
            lines.push(format!("  rule {}: {}", on_one_line(&asked.rule), on_one_line(&why)));
        }
        lines.extend(self.messages().map(|message| self.message_text(message)));
        lines.extend(self.rejections().map(rejection_text));
        lines.join("\n")
    }

    fn summary(&self) -> String {
        let (expired, sent): (Vec<_>, Vec<_>) =
            self.messages().partition(|message| self.expired(message));
        let letters = (expired.len() + self.rejections().count()) as u64;
        match (self.skipped(), sent.len() as u64, letters) {
            (Some(SkipReason::Tombstone), ..) => {
                "would be skipped: a record without a value (a tombstone)".to_owned()
            }
            (Some(SkipReason::Unmatched), ..) => "would be skipped: no rule matches".to_owned(),
            (None, number, 0) => {
                format!("would send {}{}", counted(number, "message"), self.waits(&sent))
            }
            (None, 0, letters) => {
                let letters = counted(letters, "dead letter");
                format!("would send nothing, and become {letters}{}", self.waits(&sent))
            }
            (None, number, letters) => format!(
                "would send {}, and become {}{}",
                counted(number, "message"),
                counted(letters, "dead letter"),
                self.waits(&sent)
            ),
        }
    }

    /// What of it the bridge would hold back for now.
    fn waits(&self, sent: &[&Message]) -> String {
        if self.paused.topics.contains(&self.record.source.topic) {
            return ", but not while its topic is paused".to_owned();
        }
        let mut pauses = sent.iter().filter_map(|message| self.pause(message));
        match (pauses.next(), pauses.count() + 1) {
            (None, _) => String::new(),
            (Some(pause), 1) if sent.len() == 1 => {
                format!(", but not while its {} is paused", pause.label())
            }
            (Some(_), waiting) => format!(", but {waiting} of them not while paused"),
        }
    }

    fn pause(&self, message: &Message) -> Option<Pause> {
        let pause = self.paused.holds(&self.record.source.topic, message);
        // What has expired is set aside, paused or not, unless the whole topic waits.
        pause.filter(|pause| *pause == Pause::Topic || !self.expired(message))
    }

    fn message_text(&self, message: &Message) -> String {
        let Message { rule, channel, recipient, text, deadline, on_ambiguous } = message;
        let (kind, id) = match recipient {
            Recipient::Contact(id) => ("contact", id),
            Recipient::LineUser(id) => ("user", id),
        };
        let end = if self.expired(message) { ": would be dead-lettered as `expired`" } else { "" };
        let seen = times::relative(*deadline, self.now);
        let paused = self.pause(message).map(|pause| {
            field("paused", &format!("its {} is paused, so it would wait", pause.label()))
        });
        let lines = [
            format!("  message of the rule {}", on_one_line(rule)),
            field("channel", &format!("{} ({})", channel.name, on_one_line(&channel.id))),
            field("to", &format!("{kind} {}", on_one_line(id))),
            field("text", &on_lines(text.as_str(), INDENT)),
            field("length", &format!("{} of {TEXT_LIMIT} UTF-16 code units", units(message))),
            field("expires", &format!("{} ({seen}){end}", times::shown(*deadline))),
            field("on_ambiguous", word(*on_ambiguous)),
        ];
        lines.into_iter().chain(paused).collect::<Vec<_>>().join("\n")
    }

    /// A word for programs and a sentence for people.
    fn answer(&self, index: usize, asked: &RuleTrace) -> (&'static str, String) {
        match &asked.answer {
            RuleAnswer::True => ("matched", "matches, its `when` is true".to_owned()),
            RuleAnswer::Always => ("matched", "matches, it has no `when`".to_owned()),
            RuleAnswer::False => ("not_matched", "does not match, its `when` is false".to_owned()),
            RuleAnswer::Failed(detail) => ("failed", format!("failed: {detail}")),
            RuleAnswer::NotAsked => ("not_asked", self.not_asked(index)),
        }
    }

    fn not_asked(&self, index: usize) -> String {
        let before = self.asked.iter().take(index).rev();
        let last = before.into_iter().find(|asked| asked.answer != RuleAnswer::NotAsked);
        match last {
            Some(RuleTrace { rule, answer }) if answer.matches() => {
                format!("not evaluated: `{rule}` matches, without `continue: true`")
            }
            Some(RuleTrace { rule, .. }) => format!("not evaluated: `{rule}` failed"),
            None => "not evaluated: `event_time` failed".to_owned(),
        }
    }

    /// Whether the record is an event, so that it has a time of its own.
    fn became_event(&self) -> bool {
        self.asked.iter().any(|asked| asked.answer != RuleAnswer::NotAsked)
    }

    fn skipped(&self) -> Option<SkipReason> {
        if let Verdict::Skip(why) = self.decision.verdict { Some(why) } else { None }
    }

    fn parts(&self) -> &[Result<Message, Rejection>] {
        if let Verdict::Deliver(parts) = &self.decision.verdict { parts } else { &[] }
    }

    fn messages(&self) -> impl Iterator<Item = &Message> {
        self.parts().iter().filter_map(|part| part.as_ref().ok())
    }

    fn rejections(&self) -> impl Iterator<Item = &Rejection> {
        let verdict = &self.decision.verdict;
        let whole = if let Verdict::Reject(rejection) = verdict { Some(rejection) } else { None };
        whole.into_iter().chain(self.parts().iter().filter_map(|part| part.as_ref().err()))
    }

    fn expired(&self, message: &Message) -> bool {
        message.expired(self.now)
    }
}

fn rejection_text(Rejection { reason, detail, rule }: &Rejection) -> String {
    let of_rule = rule.as_ref().map(|rule| format!(" of the rule {}", on_one_line(rule)));
    [
        format!("  dead letter{}", of_rule.unwrap_or_default()),
        field("reason", reason.label()),
        field("detail", &on_lines(detail, INDENT)),
    ]
    .join("\n")
}

fn field(name: &str, value: &str) -> String {
    format!("    {name:<14}{value}")
}

fn units(message: &Message) -> usize {
    message.text.as_str().encode_utf16().count()
}

fn word(on_ambiguous: OnAmbiguous) -> &'static str {
    match on_ambiguous {
        OnAmbiguous::Retry => "retry",
        OnAmbiguous::DeadLetter => "dead_letter",
    }
}

#[cfg(test)]
mod tests;
