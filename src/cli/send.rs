//! `send`: one message by hand.

use std::sync::Arc;

use clap::Args;
use serde_json::json;
use tokio::io::AsyncReadExt as _;
use uuid::Uuid;

use super::output::Output;
use super::{ConfigFile, Failure, eprint_note, failed, load_config, logging, print_line};
use crate::bridge;
use crate::config::Config;
use crate::domain::clock::Timestamp;
use crate::domain::message::{
    Channel, InvalidMessage, Message, OnAmbiguous, Recipient, TEXT_LIMIT, Text,
};
use crate::domain::outcome::{Class, Listing};
use crate::domain::words::nearest;

mod meaning;

/// The most that is read of standard input, in bytes: a text's longest, and a line end.
const INPUT_LIMIT: u64 = 4 * TEXT_LIMIT as u64 + 2;

#[derive(Args, Debug)]
#[command(
    after_help = "The message is attempted once. Exit code 0 means that the API has accepted it; LINE does not\n\
    say whether it was delivered. No Kafka is needed.\n\n\
    Examples:\n  \
    line-bridge send --config line-bridge.yaml --channel support \\\n    \
    --contact c-10001 'Hello.'\n  \
    line-bridge send --config line-bridge.yaml --channel support \\\n    \
    --user U4af4980629f1a7e2b0d3c5e6f7081929 - <message.txt"
)]
pub(super) struct Send {
    #[command(flatten)]
    file: ConfigFile,
    /// A name under `channels` in the configuration, or a channel's id.
    #[arg(long, value_name = "NAME OR ID")]
    channel: String,
    #[command(flatten)]
    to: To,
    /// The text, at most 5,000 UTF-16 code units; `-` reads it from standard input.
    #[arg(value_name = "MESSAGE")]
    message: String,
    /// How the answer is printed on standard output.
    #[arg(long, value_enum, default_value = "text")]
    output: Output,
}

#[derive(Args, Debug)]
#[group(required = true, multiple = false)]
struct To {
    /// The contact of the platform (`contactId`).
    #[arg(long, value_name = "ID")]
    contact: Option<String>,
    /// The customer's LINE user id (`platformUserId`): `U` and 32 lower-case hex digits.
    #[arg(long, value_name = "ID")]
    user: Option<String>,
}

impl Send {
    pub(super) async fn run(self) -> Result<(), Failure> {
        logging::start("warn");
        let config = load_config(&self.file, &["line", "channels"])?;
        let message = Message {
            rule: "by hand".into(),
            channel: self.channel(&config)?,
            recipient: self.to.recipient().map_err(Failure::Usage)?,
            text: self.text().await?,
            deadline: Timestamp(i64::MAX),
            on_ambiguous: OnAmbiguous::DeadLetter,
        };
        if config.paused.channels.contains(&message.channel.name) {
            let name = &message.channel.name;
            eprint_note(format_args!(
                "the channel `{name}` is paused; this message is sent all the same"
            ));
        }
        let (client, _) = bridge::line_client(&config).map_err(failed)?;
        let outcome = client.send(&message, &Uuid::new_v4().to_string()).await;
        // Only the listing tells whether it is the channel or the recipient that is not found.
        let not_found = matches!(outcome.class, Class::NotFound);
        let listing = if not_found { Some(client.list().await) } else { None };
        let listed = listing.and_then(|listing| match listing {
            Listing::Channels(ids) => Some(ids.iter().any(|id| **id == *message.channel.id)),
            Listing::Failed(_) => None,
        });
        let meaning = meaning::meaning(&outcome, listed);
        if self.output == Output::Json {
            print_line(json!({
                "result": outcome.label(),
                "accepted": meaning.accepted,
                "may_have_been_sent": meaning.may_have_been_sent,
                "http_status": outcome.status,
                "request_id": outcome.request_id,
                "channel_id": &*message.channel.id,
                "meaning": meaning.text,
            }));
        }
        match (meaning.accepted, self.output) {
            (true, Output::Text) => print_line(meaning.text),
            (true, Output::Json) => {}
            (false, _) => return Err(Failure::Failed(meaning.text)),
        }
        Ok(())
    }

    /// A slip of a configured name is not taken for an id.
    fn channel(&self, config: &Config) -> Result<Channel, Failure> {
        let wanted = self.channel.as_str();
        let channels = &config.channels;
        let known = channels.get(wanted);
        let known = known.or_else(|| channels.values().find(|channel| *channel.id == *wanted));
        if let Some(channel) = known {
            return Ok(channel.clone());
        }
        let shown = wanted.escape_debug();
        if let Some(near) = nearest(wanted, channels.keys().map(AsRef::as_ref)) {
            return Err(Failure::Usage(format!(
                "--channel: there is no channel `{shown}`; did you mean `{near}`?"
            )));
        }
        if wanted.trim().is_empty() || wanted.len() > 256 || wanted.chars().any(char::is_control) {
            return Err(Failure::Usage(format!("--channel: `{shown}` is not a channel's id")));
        }
        let id: Arc<str> = wanted.into();
        Ok(Channel { name: Arc::clone(&id), id })
    }

    async fn text(&self) -> Result<Text, Failure> {
        let wrong = |what: String| Failure::Usage(format!("MESSAGE: {what}"));
        if self.message != "-" {
            return Text::new(&self.message).map_err(|error| wrong(error.to_string()));
        }
        let mut input = Vec::new();
        let read = tokio::io::stdin().take(INPUT_LIMIT + 1).read_to_end(&mut input).await;
        read.map_err(|error| wrong(format!("standard input can't be read: {error}")))?;
        if input.len() as u64 > INPUT_LIMIT {
            return Err(wrong(format!("longer than {TEXT_LIMIT} UTF-16 code units")));
        }
        let text = String::from_utf8(input);
        let text = text.map_err(|_| wrong("standard input is not UTF-8".to_owned()))?;
        // `echo` and editors end the last line; that is not a part of the message.
        let text = text.strip_suffix('\n').unwrap_or(&text);
        let text = text.strip_suffix('\r').unwrap_or(text);
        Text::new(text).map_err(|error| wrong(error.to_string()))
    }
}

impl To {
    fn recipient(&self) -> Result<Recipient, String> {
        let (made, option) = match (&self.contact, &self.user) {
            (Some(id), None) => (Recipient::contact(id), "--contact"),
            (None, Some(id)) => (Recipient::line_user(id), "--user"),
            // The arguments' group lets neither both nor none through.
            (Some(_), Some(_)) | (None, None) => {
                return Err("expected one of --contact and --user".to_owned());
            }
        };
        made.map_err(|error| {
            let words = match error {
                InvalidMessage::EmptyContact => "is empty",
                InvalidMessage::BadContact => "is longer than 256 bytes or has a control character",
                InvalidMessage::BadLineUser => {
                    "is not a LINE user id, which is `U` and 32 lower-case hex digits"
                }
                InvalidMessage::EmptyText | InvalidMessage::TextTooLong { .. } => "is no recipient",
            };
            format!("{option}: {words}")
        })
    }
}
