//! The demonstration, as somebody would see it who tries line-bridge for the first time.

use std::path::PathBuf;
use std::time::Duration;

use crate::harness::bridge::{Bridge, Workspace};
use crate::harness::wait::wait_until;

const LIMIT: Duration = Duration::from_secs(90);

const TEXTS: [&str; 5] = [
    "Your order #12345 has been shipped.",
    "Payment of $50.00 was successfully received.",
    "Reminder: Your appointment is scheduled for",
    "Suspicious login detected on your account.",
    "Your order #12345 (2 parcels) is out for delivery",
];

const REASONS: [&str; 9] = [
    "undecodable",
    "schema",
    "no_rule",
    "rule_error",
    "invalid_message",
    "expired",
    "rejected",
    "ambiguous",
    "retries_exhausted",
];

/// What the demonstration prints last before it waits.
const READY: &str = "Ctrl-C ends the demonstration.";

fn wait_for(demo: &Bridge, texts: &[String]) -> String {
    wait_until(LIMIT, "the demonstration shows what it should", || {
        let shown = demo.stdout();
        match texts.iter().find(|text| !shown.contains(*text)) {
            None => Ok(shown),
            Some(missing) => Err(format!("no {missing:?} in\n{shown}")),
        }
    })
}

fn ready() -> [String; 1] {
    [READY.to_owned()]
}

/// What follows `label` on a line of its own.
fn labelled(shown: &str, label: &str) -> String {
    let mut lines = shown.lines().filter_map(|line| line.strip_prefix(label));
    lines.next().expect("a line with this label").trim().to_owned()
}

/// The configuration's folder, all of which is temporary.
fn folder(shown: &str) -> PathBuf {
    let config = PathBuf::from(labelled(shown, "Configuration:"));
    config.parent().expect("a folder").to_owned()
}

/// Has a shell elsewhere run the command that the demonstration shows below this line.
fn run_what_follows(shown: &str, line: &str) {
    let (_, command) = shown.split_once(line).expect("the line");
    let command = command.trim_start();
    let command = &command[..command.find("\n\n").expect("an end of the command")];
    let elsewhere = Workspace::new();
    let mut run = elsewhere.start_program("sh", &["-c", command]);
    assert_eq!(run.wait_exit(LIMIT).code(), Some(0), "{}", run.stderr());
}

#[test]
fn the_demo_shows_every_use_and_every_reason_takes_an_event_and_leaves_nothing() {
    let workspace = Workspace::new();
    let mut demo = workspace.start(&["demo"]);
    let mut expected = TEXTS.map(str::to_owned).to_vec();
    expected.extend(REASONS.map(|reason| format!("  dead letter  {reason}: ")));
    expected.push("6 accepted, 9 dead letters.".to_owned());
    expected.extend(ready());
    let shown = wait_for(&demo, &expected);
    assert!(folder(&shown).join("line-bridge.yaml").is_file());

    run_what_follows(&shown, "Publish an event of your own, from another terminal:");
    wait_for(&demo, &["Your order #777 has been shipped.".to_owned()]);
    run_what_follows(&shown, "Or have the message that came too late sent all the same:");
    let logins = |shown: &str| shown.matches("Suspicious login detected").count();
    wait_until(LIMIT, "the late login is told after the other one", || {
        let shown = demo.stdout();
        if logins(&shown) == 2 { Ok(()) } else { Err(shown) }
    });

    assert_eq!(demo.drain(LIMIT).code(), Some(0));
    assert!(demo.stdout().ends_with("Ended: 8 accepted, 9 dead letters.\n"), "{}", demo.stdout());
    assert_eq!(demo.stderr(), "");
    assert!(!folder(&shown).exists());
}

#[test]
fn two_demos_run_at_once() {
    let workspace = Workspace::new();
    let mut demos = [workspace.start(&["demo"]), workspace.start(&["demo"])];
    let inboxes = demos.each_ref().map(|demo| {
        let shown = wait_for(demo, &ready());
        labelled(&shown, "Inbox of the stand-in:")
    });
    assert_ne!(inboxes[0], inboxes[1]);
    for demo in &mut demos {
        assert_eq!(demo.drain(LIMIT).code(), Some(0));
    }
}

#[test]
fn a_demo_that_is_interrupted_as_it_starts_leaves_nothing() {
    let mut workspace = Workspace::new();
    let temporary = workspace.path().join("temporary");
    std::fs::create_dir(&temporary).expect("a folder");
    workspace.env("TMPDIR", temporary.to_str().expect("a path in UTF-8"));
    let mut demo = workspace.start(&["demo"]);
    let files = || std::fs::read_dir(&temporary).expect("a folder").count();
    wait_until(LIMIT, "the demonstration has written its files", || {
        if files() == 0 { Err("no files") } else { Ok(()) }
    });
    assert_eq!(demo.drain(LIMIT).code(), Some(0));
    assert_eq!(files(), 0);
}

#[test]
fn a_reader_that_goes_away_ends_the_demo_quietly() {
    let mut workspace = Workspace::new();
    workspace.env("DEMO", env!("CARGO_BIN_EXE_line-bridge"));
    let script = r#"{ "$DEMO" demo; echo "code $?" >&2; } | head -n 4"#;
    let mut shell = workspace.start_program("sh", &["-c", script]);
    assert_eq!(shell.wait_exit(LIMIT).code(), Some(0));
    assert_eq!(shell.stdout().lines().count(), 4);
    assert_eq!(shell.stderr(), "code 0\n");
}
