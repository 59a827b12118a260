//! What is sent, and what is refused before anything is.

use std::sync::Mutex;

use rstest::rstest;
use secrecy::SecretString;

use super::*;
use crate::line::test_server::{Server, answer, answer_with, header};
use crate::line::token::Change;

async fn sent(client: impl FnOnce(&str) -> Client, message: &Message) -> String {
    let server = Server::answering(vec![answer(200, SUCCESS)]).await;
    let outcome = client(&server.base_url).send(message, "delivery-1").await;
    assert_eq!(outcome.class, Class::Accepted);
    server.seen().requests.remove(0)
}

#[tokio::test]
async fn a_message_is_one_json_object_with_the_documented_names() {
    let request = sent(client, &message()).await;
    let (head, body) = request.split_once("\r\n\r\n").unwrap();
    assert!(head.starts_with("POST /api/v1/message/send HTTP/1.1\r\n"), "{head}");
    assert_eq!(header(&request, "authorization"), Some("Bearer t0ken-of-the-test"));
    assert_eq!(header(&request, "content-type"), Some("application/json"));
    assert_eq!(header(&request, "accept"), Some("application/json"));
    assert_eq!(header(&request, "user-agent"), Some("line-bridge/test"));
    assert_eq!(header(&request, "x-delivery-id"), Some("delivery-1"));
    assert_eq!(header(&request, "content-length"), Some(body.len().to_string().as_str()));
    assert_eq!(header(&request, "transfer-encoding"), None);
    let expected = format!(
        r#"{{"channelId":"f6154dda-bd9a-4d03-8a77-ff3421070009","message":"{TEXT}","platformUserId":"{USER}"}}"#
    );
    assert_eq!(body, expected);
}

#[tokio::test]
async fn a_contact_is_sent_as_contact_id_alone() {
    let message = Message { recipient: Recipient::contact("c-1").unwrap(), ..message() };
    let request = sent(client, &message).await;
    assert!(request.contains(r#""contactId":"c-1"}"#), "{request}");
    assert!(!request.contains("platformUserId"), "{request}");
}

#[tokio::test]
async fn a_form_has_the_same_names() {
    let form = |base: &str| {
        let settings = Settings {
            encoding: Encoding::Form,
            delivery_id_header: None,
            ..settings(&format!("{base}/"))
        };
        Client::new(&settings, token(TOKEN)).unwrap()
    };
    let request = sent(form, &message()).await;
    let (head, body) = request.split_once("\r\n\r\n").unwrap();
    assert!(head.starts_with("POST /api/v1/message/send HTTP/1.1\r\n"), "{head}");
    assert_eq!(header(&request, "content-type"), Some("application/x-www-form-urlencoded"));
    assert_eq!(header(&request, "x-delivery-id"), None);
    let start = "channelId=f6154dda-bd9a-4d03-8a77-ff3421070009&message=Payment+of+%2450+%26+more";
    assert!(body.starts_with(start), "{body}");
    assert!(body.ends_with(&format!("&platformUserId={USER}")), "{body}");
}

#[tokio::test]
async fn a_path_of_the_base_url_is_kept() {
    let below = |base: &str| client(&format!("{base}/gateway/line"));
    let request = sent(below, &message()).await;
    assert!(request.starts_with("POST /gateway/line/api/v1/message/send HTTP"), "{request}");
}

#[tokio::test]
async fn an_answer_gives_its_status_and_request_id() {
    let server = Server::answering(vec![answer(422, r#"{"requestId":"req-9"}"#)]).await;
    let outcome = client(&server.base_url).send(&message(), "1").await;
    let expected = Outcome {
        class: Class::Permanent,
        status: Some(422),
        request_id: Some("req-9".to_owned()),
    };
    assert_eq!(outcome, expected);
}

#[tokio::test]
async fn the_retry_after_header_is_read() {
    let server = Server::answering(vec![answer_with(429, "Retry-After: 7\r\n", "")]).await;
    let outcome = client(&server.base_url).send(&message(), "1").await;
    let wait = NotApplied::RetryAfter(Duration::from_secs(7));
    assert_eq!(outcome.class, Class::NotApplied(wait));
}

#[rstest]
#[case::moved(301)]
#[case::found(302)]
#[case::see_other(303)]
#[case::temporary(307)]
#[case::permanent(308)]
#[tokio::test]
async fn a_redirect_is_never_followed(#[case] status: u16) {
    let elsewhere = Server::answering(vec![answer(200, SUCCESS)]).await;
    let location = format!("Location: {}/api/v1/message/send\r\n", elsewhere.base_url);
    let server = Server::answering(vec![answer_with(status, &location, "")]).await;
    let outcome = client(&server.base_url).send(&message(), "1").await;
    assert_eq!(outcome.class, Class::Stop(Scope::Account, StopReason::Redirect));
    assert_eq!(elsewhere.seen().connections, 0);
    assert_eq!(server.seen().requests.len(), 1);
}

#[tokio::test]
async fn a_new_token_holds_for_the_next_request() {
    let read = Arc::new(Mutex::new("first"));
    let reads = Arc::clone(&read);
    let source = move || Ok(SecretString::from(*reads.lock().unwrap()));
    let token = Arc::new(Token::load(Box::new(source)).unwrap());
    let server = Server::answering(vec![answer(401, ""), answer(200, SUCCESS)]).await;
    let client = Client::new(&settings(&server.base_url), Arc::clone(&token)).unwrap();

    let outcome = client.send(&message(), "1").await;
    assert_eq!(outcome.class, Class::Stop(Scope::Account, StopReason::Unauthorized));
    *read.lock().unwrap() = "second";
    assert_eq!(token.replace_if_changed().unwrap(), Change::Seen, "it may still be being written");
    assert_eq!(token.replace_if_changed().unwrap(), Change::Replaced);
    assert_eq!(client.send(&message(), "1").await.class, Class::Accepted);

    let requests = server.seen().requests;
    let tokens: Vec<_> = requests.iter().map(|r| header(r, "authorization").unwrap()).collect();
    assert_eq!(tokens, ["Bearer first", "Bearer second"]);
}

#[rstest]
#[case::token_with_a_line_end("two\nlines", "1")]
#[case::token_with_a_zero("a\0b", "1")]
#[case::delivery_id_with_a_line_end("token", "1\r\nX-Evil: 1")]
#[tokio::test]
async fn what_no_header_can_hold_is_not_sent(#[case] secret: &str, #[case] delivery_id: &str) {
    let server = Server::answering(vec![]).await;
    let client = Client::new(&settings(&server.base_url), token(secret)).unwrap();
    assert_eq!(client.send(&message(), delivery_id).await.class, TRANSPORT);
    assert_eq!(server.seen().connections, 0);
}

#[tokio::test]
async fn nothing_that_can_be_shown_holds_token_text_or_recipient() {
    let echo = format!(r#"{{"status":"error","message":"{TOKEN} {TEXT} {USER}"}}"#);
    let server = Server::answering(vec![answer(400, &echo), answer(200, &echo)]).await;
    let settings = settings(&server.base_url);
    let client = Client::new(&settings, token(TOKEN)).unwrap();
    let request = client.send_request(&message(), "1").unwrap();
    let mut outcomes = vec![
        client.send(&message(), "1").await,
        client.send(&message(), "1").await,
        super::client("http://127.0.0.1:1").send(&message(), "1").await,
    ];
    let unmakeable = Client::new(&settings, token("t0ken-of-the-test\nU0123")).unwrap();
    outcomes.push(unmakeable.send(&message(), "1").await);
    let shown = format!("{settings:?} {client:?} {request:?} {:?} {outcomes:?}", message());
    for secret in [TOKEN, TEXT, USER, "t0ken", "U0123", "Payment"] {
        assert!(!shown.contains(secret), "{secret} in {shown}");
    }
}
