//! `channels` and `send`, on the stand-in for the API and without any Kafka.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::Query;
use axum::routing::get;
use line_bridge::sandbox::{ChannelSeed, Fault, Faults, Options, Rule, Sandbox};
use rstest::rstest;
use serde_json::{Value, json};
use tokio::runtime::Runtime;

use crate::harness::bridge::Workspace;

const LIMIT: Duration = Duration::from_mins(1);

/// A configuration whose Kafka does not exist, and the API it names.
struct Desk {
    workspace: Workspace,
    sandbox: Sandbox,
    _runtime: Arc<Runtime>,
}

fn runtime() -> Arc<Runtime> {
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    Arc::new(builder.worker_threads(1).enable_all().build().expect("a runtime"))
}

fn workspace(base_url: &str) -> Workspace {
    let workspace = Workspace::new();
    workspace.file("orders.json", "{}");
    workspace.file("token", "sandbox-token\n");
    let config = format!(
        r#"
kafka: {{brokers: "${{NO_BROKERS}}", group: g, properties: {{sasl.password: "${{NO_PASSWORD}}"}}}}
line: {{base_url: "{base_url}", token: {{file: token}}, timeout: 2s}}
channels: {{support: id-of-support, gone: id-of-gone}}
dead_letters: {{topic: d}}
topics:
  orders:
    schema: orders.json
    rules: [{{name: r, channel: support, to: {{contact: "'c'"}}, message: m}}]
"#
    );
    workspace.file("bridge.yaml", &config);
    workspace
}

impl Desk {
    fn new(channels: Vec<ChannelSeed>) -> Self {
        let runtime = runtime();
        let options = Options { channels, ..Options::default() };
        let listen = "127.0.0.1:0".parse().expect("an address");
        let sandbox = runtime.block_on(Sandbox::start(listen, options)).expect("the sandbox");
        Self { workspace: workspace(&sandbox.base_url()), sandbox, _runtime: runtime }
    }

    fn with_support() -> Self {
        Self::new(vec![ChannelSeed::line("id-of-support", "Support")])
    }

    /// Sends to the contact `c-1` of the channel `support`; what came of it, told as JSON.
    fn send(&self) -> (Option<i32>, Value, String) {
        let arguments = ["--channel", "support", "--contact", "c-1", "--output", "json", "Hello"];
        let (code, said, wrong) = run(&self.workspace, "send", &arguments);
        (code, serde_json::from_str(&said).expect("an object"), wrong)
    }
}

fn run(workspace: &Workspace, command: &str, more: &[&str]) -> (Option<i32>, String, String) {
    let mut arguments = vec![command, "--config", "bridge.yaml"];
    arguments.extend(more);
    let mut run = workspace.start(&arguments);
    (run.wait_exit(LIMIT).code(), run.stdout(), run.stderr())
}

#[test]
fn all_pages_of_the_listing_are_told_with_the_names_that_the_configuration_has() {
    let seed = |number| ChannelSeed::line(&format!("id-{number}"), &format!("Shop {number}"));
    let mut channels: Vec<ChannelSeed> = (0..250).map(seed).collect();
    channels.push(ChannelSeed::line("id-of-support", "Evil\x1b[2J\nname"));
    channels.push(ChannelSeed { deleted: true, ..ChannelSeed::line("id-of-gone", "Gone") });
    channels.push(ChannelSeed { kind: "facebook".to_owned(), ..seed(900) });
    let desk = Desk::new(channels);
    let (code, said, wrong) = run(&desk.workspace, "channels", &[]);
    assert_eq!(code, Some(0), "{wrong}");
    let lines: Vec<_> = said.lines().map(|l| l.split_whitespace().collect::<Vec<_>>()).collect();
    assert_eq!(lines.len(), 254);
    assert_eq!(lines[1], ["id-0", "line", "ok", "-", "Shop", "0"]);
    assert_eq!(lines[251], ["id-of-support", "line", "ok", "support", "Evil\\u{1b}[2J\\nname"]);
    assert_eq!(lines[252], ["id-of-gone", "line", "deleted", "gone", "Gone"]);
    assert_eq!(lines[253], ["id-900", "facebook", "not", "LINE", "-", "Shop", "900"]);
    assert_eq!(wrong, "253 channels; messages can be sent through 251\n");
    let (_, said, _) = run(&desk.workspace, "channels", &["--keyword", "gone", "--output", "json"]);
    let said: Value = serde_json::from_str(&said).expect("an array");
    assert_eq!(said.as_array().map(Vec::len), Some(1));
    assert_eq!((&said[0]["id"], &said[0]["brandName"]), (&json!("id-of-gone"), &json!("Gone")));
    assert!(said[0]["deletedAt"].is_string());
}

#[test]
fn a_configured_channel_that_is_not_listed_is_named() {
    let desk = Desk::with_support();
    let (code, _, wrong) = run(&desk.workspace, "channels", &[]);
    assert_eq!(code, Some(0));
    assert!(wrong.contains("`gone` (id-of-gone) is not among them"), "{wrong}");
}

#[test]
fn a_listing_that_never_ends_is_given_up() {
    let runtime = runtime();
    let listener = runtime.block_on(tokio::net::TcpListener::bind("127.0.0.1:0")).expect("a port");
    let url = format!("http://{}", listener.local_addr().expect("an address"));
    let page = |Query(query): Query<Value>| async move {
        let page: u64 = query["page"].as_str().and_then(|page| page.parse().ok()).expect("a page");
        axum::Json(json!({"lastPage": page + 1, "data": [{"id": page.to_string()}]}))
    };
    let router = Router::new().route("/api/v1/channels", get(page));
    runtime.spawn(async move { axum::serve(listener, router).await });
    let (code, said, wrong) = run(&workspace(&url), "channels", &[]);
    assert!(wrong.contains("does not end"), "{wrong}");
    assert_eq!((code, said.as_str()), (Some(1), ""));
}

#[test]
fn a_token_that_is_absent_or_not_taken_is_told() {
    let desk = Desk::with_support();
    desk.workspace.file("token", "another");
    for arguments in [&["channels"][..], &["send", "--channel", "support", "--contact", "c", "Hi"]]
    {
        let (code, _, wrong) = run(&desk.workspace, arguments[0], &arguments[1..]);
        assert!(wrong.contains("HTTP 401") && wrong.contains("`line.token`"), "{wrong}");
        assert_eq!(code, Some(1));
    }
    desk.workspace.file("token", "");
    let (code, _, wrong) = run(&desk.workspace, "channels", &[]);
    assert!(wrong.contains("line.token.file: the token is empty"), "{wrong}");
    assert_eq!(code, Some(64));
}

#[test]
fn a_rule_that_has_a_mistake_keeps_nobody_from_sending_by_hand() {
    let desk = Desk::with_support();
    desk.workspace.file("orders.json", "{\"type\": \"strin\"}");
    assert_eq!(run(&desk.workspace, "check", &[]).0, Some(64));
    assert_eq!(run(&desk.workspace, "channels", &[]).0, Some(0));
    assert_eq!(desk.send().0, Some(0));
}

#[rstest]
#[case::by_name(&["--channel", "support", "--contact", "c-1", "Hello"], json!({"contactId": "c-1"}))]
#[case::by_id(
    &["--channel", "id-of-support", "--user", "U4af4980629f1a7e2b0d3c5e6f7081929", "Hello"],
    json!({"platformUserId": "U4af4980629f1a7e2b0d3c5e6f7081929"})
)]
fn a_message_is_sent_by_hand(#[case] arguments: &[&str], #[case] recipient: Value) {
    let desk = Desk::with_support();
    let (code, said, wrong) = run(&desk.workspace, "send", arguments);
    assert!(said.starts_with("accepted; LINE does not say whether it is delivered"), "{said}");
    assert_eq!((code, wrong.as_str()), (Some(0), ""));
    let inbox = desk.sandbox.inbox().messages();
    assert_eq!(inbox.len(), 1);
    assert_eq!((inbox[0].text.as_str(), inbox[0].channel_id.as_str()), ("Hello", "id-of-support"));
    assert_eq!(serde_json::to_value(&inbox[0].recipient).expect("JSON"), recipient);
}

#[test]
fn a_text_on_standard_input_is_sent_without_its_last_line_end() {
    let desk = Desk::with_support();
    desk.workspace.file("text", "Two\nlines\n");
    let send = concat!(
        env!("CARGO_BIN_EXE_line-bridge"),
        " send --config bridge.yaml --channel support --contact c-1 - <text"
    );
    let mut sent = desk.workspace.start_program("sh", &["-c", send]);
    assert!(sent.wait_exit(LIMIT).success());
    assert_eq!(desk.sandbox.inbox().messages()[0].text, "Two\nlines");
}

#[rstest]
#[case::refused(Fault::RevokedToken {}, "unauthorized", false)]
#[case::hanging(Fault::Hang { accept: true, max_seconds: 60 }, "no_answer", true)]
#[case::a_proxy(Fault::Html { accept: true }, "not_json", true)]
fn what_is_not_accepted_is_tried_once_and_told(
    #[case] fault: Fault,
    #[case] result: &str,
    #[case] may_have_been_sent: bool,
) {
    let desk = Desk::with_support();
    desk.sandbox.set_faults(Faults::rules([Rule::always(fault)])).expect("faults");
    let (code, said, wrong) = desk.send();
    assert_eq!(code, Some(1));
    assert_eq!(said["result"], result);
    assert_eq!(
        (&said["accepted"], &said["may_have_been_sent"]),
        (&json!(false), &json!(may_have_been_sent))
    );
    assert_eq!(said["meaning"].as_str(), Some(wrong.trim_end()));
    assert_eq!(desk.sandbox.inbox().messages().len(), usize::from(may_have_been_sent));
}

#[rstest]
#[case::a_slip(&["--channel", "suport", "--contact", "c", "Hi"], "did you mean `support`?", 64)]
#[case::no_recipient(&["--channel", "support", "Hi"], "--contact", 64)]
#[case::a_bad_user(&["--channel", "support", "--user", "u", "Hi"], "--user: is not a LINE user id", 64)]
#[case::no_text(&["--channel", "support", "--contact", "c", " "], "MESSAGE: the text is empty", 64)]
#[case::no_such_channel(&["--channel", "gone", "--contact", "c", "Hi"], "`line-bridge channels`", 1)]
fn what_cannot_be_sent_says_why(#[case] arguments: &[&str], #[case] told: &str, #[case] code: i32) {
    let desk = Desk::with_support();
    let (ended, _, wrong) = run(&desk.workspace, "send", arguments);
    assert!(wrong.contains(told), "{wrong}");
    assert_eq!(ended, Some(code));
    assert_eq!(desk.sandbox.inbox().messages().len(), 0);
}
