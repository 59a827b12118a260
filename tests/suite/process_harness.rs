//! The helpers that run programs hold what they promise, shown on programs simpler than the bridge.

use std::net::TcpListener;
use std::time::Duration;

use axum::Router;
use axum::routing::get;

use crate::harness::bridge::{Bridge, Workspace};
use crate::harness::unique;
use crate::harness::wait::wait_until;

const LIMIT: Duration = Duration::from_secs(30);

fn shell(workspace: &Workspace, script: &str) -> Bridge {
    workspace.start_program("sh", &["-c", script])
}

#[test]
fn a_program_runs_in_the_workspace_with_its_files_and_environment() {
    let mut workspace = Workspace::new();
    workspace.file("schemas/orders.json", "{}");
    workspace.env("LINE_TOKEN", "secret");
    let mut program = shell(&workspace, "cat schemas/*.json; echo $LINE_TOKEN >&2; exit 3");
    assert_eq!(program.wait_exit(LIMIT).code(), Some(3));
    assert_eq!(program.stdout(), "{}");
    assert_eq!(program.stderr(), "secret\n");
}

#[test]
fn a_drained_program_ends_by_itself() {
    let workspace = Workspace::new();
    let mut program =
        shell(&workspace, "trap 'exit 0' TERM; echo ready; while :; do sleep 0.05; done");
    wait_until(LIMIT, "the trap is set", || {
        if program.stdout().is_empty() { Err("no output") } else { Ok(()) }
    });
    assert_eq!(program.drain(LIMIT).code(), Some(0));
}

#[test]
fn a_killed_program_has_no_say_in_it() {
    let workspace = Workspace::new();
    let mut program = shell(&workspace, "trap '' TERM; while :; do sleep 0.05; done");
    program.kill();
    assert_eq!(program.wait_exit(LIMIT).code(), None);
}

#[test]
fn the_programs_of_a_test_process_that_was_killed_end_too() {
    // One program plays the test process: it starts another with a lifeline, and is killed.
    let workspace = Workspace::new();
    let left = workspace.path().join("left");
    let lifeline = r#"
        mkdir left
        mkfifo pipe
        sh -c "$LIFELINE" watched "$PWD/left" sh -c 'echo $$ > started; exec sleep 600' <pipe &
        exec 9>pipe
        exec sleep 600"#;
    let mut workspace = workspace;
    workspace.env("LIFELINE", crate::harness::LIFELINE);
    let mut parent = shell(&workspace, lifeline);
    let started = workspace.path().join("started");
    let pid = wait_until(LIMIT, "the grandchild runs", || {
        std::fs::read_to_string(&started).ok().filter(|pid| pid.ends_with('\n')).ok_or("no pid")
    });
    parent.kill();
    let process = format!("/proc/{}/cmdline", pid.trim());
    wait_until(LIMIT, "the grandchild is gone with its folder", || {
        // A dead process that nobody has waited for has an empty command line.
        let runs = std::fs::read(&process).is_ok_and(|command| !command.is_empty());
        if runs || left.exists() { Err(format!("runs: {runs}")) } else { Ok(()) }
    });
}

#[test]
fn the_bridge_itself_is_started_on_its_configuration() {
    let workspace = Workspace::new();
    let mut bridge = workspace.run("{}");
    // A configuration that names no brokers gives it nothing to do.
    assert!(bridge.wait_exit(LIMIT).code().is_some());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_admin_address_is_read_from_the_log_and_the_metrics_from_there() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    listener.set_nonblocking(true).expect("a listener for tokio");
    let address = listener.local_addr().expect("an address").to_string();
    let page = "# HELP line_bridge_records_total Records.\n\
                line_bridge_records_total{topic=\"orders\"} 2\n\
                line_bridge_records_total{topic=\"a } b\"} 3\n\
                line_bridge_in_flight 1.5\n";
    let router = Router::new().route("/metrics", get(move || async move { page }));
    let listener = tokio::net::TcpListener::from_std(listener).expect("a listener");
    let server = tokio::spawn(async move { axum::serve(listener, router).await });

    let workspace = Workspace::new();
    let line =
        format!(r#"{{"level":"INFO","fields":{{"message":"listening","address":"{address}"}}}}"#);
    workspace.file("log", &line);
    let mut program = shell(&workspace, "echo not JSON; cat log; exec sleep 600");
    assert_eq!(program.admin_address(), address);
    assert_eq!(program.get("/readyz").0, 404);
    let metrics = program.metrics();
    assert_eq!(metrics.get("line_bridge_records_total{topic=\"orders\"}"), Some(2.0));
    assert_eq!(metrics.get("line_bridge_records_total"), None);
    assert!((metrics.sum("line_bridge_records_total") - 5.0).abs() < f64::EPSILON);
    assert!((metrics.sum("line_bridge_in_flight") - 1.5).abs() < f64::EPSILON);
    server.abort();
}

#[test]
#[should_panic(expected = "waited 0ns for this: the impossible. Last seen: nothing")]
fn what_was_awaited_in_vain_is_named() {
    wait_until(Duration::ZERO, "the impossible", || Err::<(), _>("nothing"));
}

#[test]
fn unique_names_differ_and_keep_their_stem() {
    let [one, other] = [unique("orders"), unique("orders")];
    assert!(one.starts_with("orders-") && other.starts_with("orders-"));
    assert_ne!(one, other);
}
