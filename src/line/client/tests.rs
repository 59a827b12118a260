mod connections;
mod requests;

use secrecy::SecretString;

use super::*;
use crate::domain::message::{Channel, OnAmbiguous, Text};
use crate::domain::outcome::{Ambiguity, Class, NotApplied, Scope, StopReason};

const TOKEN: &str = "t0ken-of-the-test";
const TEXT: &str = "Payment of $50 & more: 50 % は完了しました";
const USER: &str = "U0123456789abcdef0123456789abcdef";
const SUCCESS: &str = r#"{"status":"success","channel":"Line","message":"Successfully sent message to platform user Id ...","requestId":"req-1"}"#;

const NO_ANSWER: Class = Class::Ambiguous(Ambiguity::NoAnswer);
const UNREACHABLE: Class = Class::NotApplied(NotApplied::Unreachable);
const TRANSPORT: Class = Class::Stop(Scope::Account, StopReason::Transport);

pub(crate) fn settings(base_url: &str) -> Settings {
    Settings {
        base_url: base_url.parse().unwrap(),
        encoding: Encoding::Json,
        timeout: Duration::from_secs(5),
        delivery_id_header: Some(HeaderName::from_static("x-delivery-id")),
        user_agent: "line-bridge/test".to_owned(),
    }
}

pub(crate) fn token(text: &str) -> Arc<Token> {
    let text = SecretString::from(text);
    Arc::new(Token::load(Box::new(move || Ok(text.clone()))).unwrap())
}

pub(crate) fn client(base_url: &str) -> Client {
    Client::new(&settings(base_url), token(TOKEN)).unwrap()
}

/// A client for tests of what takes too long.
fn hasty(base_url: &str) -> Client {
    let settings = Settings { timeout: Duration::from_millis(1_200), ..settings(base_url) };
    Client::new(&settings, token(TOKEN)).unwrap()
}

fn message() -> Message {
    Message {
        rule: "paid".into(),
        channel: Channel {
            name: "support".into(),
            id: "f6154dda-bd9a-4d03-8a77-ff3421070009".into(),
        },
        recipient: Recipient::line_user(USER).unwrap(),
        text: Text::new(TEXT).unwrap(),
        deadline: Timestamp(i64::MAX),
        on_ambiguous: OnAmbiguous::Retry,
    }
}
