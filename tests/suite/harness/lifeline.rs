//! Child processes that cannot outlive the test process, however that one ends.

use std::fs::{self, File};
use std::io::Write;
use std::path::Path;
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::time::Duration;

use super::wait::wait_until;

/// The shell becomes the program; a watcher beside it reads the lifeline, a pipe that only the test
/// process holds. Its end without a word means that the test process is gone: the watcher kills the
/// program and removes its folder. A word means that the program has ended already.
pub(crate) const WATCHED: &str = r#"
exec 3<&0 </dev/null
( read -r _ <&3 || { kill -9 $$; sleep 1; rm -rf "$1"; } ) &
exec 3<&-
shift
exec "$@"
"#;

/// A running program.
pub(crate) struct Process {
    name: String,
    child: Child,
    lifeline: Option<ChildStdin>,
}

impl Process {
    /// Starts `command`; `folder` is removed should the test process die before the program.
    pub(crate) fn start(command: &Command, folder: &Path, stdout: &Path, stderr: &Path) -> Self {
        let name = command.get_program().to_string_lossy().into_owned();
        let mut watched = Command::new("sh");
        watched.args(["-c", WATCHED, "watched"]).arg(folder);
        watched.arg(command.get_program()).args(command.get_args());
        for (variable, value) in command.get_envs() {
            match value {
                Some(value) => watched.env(variable, value),
                None => watched.env_remove(variable),
            };
        }
        if let Some(directory) = command.get_current_dir() {
            watched.current_dir(directory);
        }
        let mut child = watched
            .stdin(Stdio::piped())
            .stdout(append(stdout))
            .stderr(append(stderr))
            .spawn()
            .unwrap_or_else(|error| panic!("{name} cannot be started: {error}"));
        let lifeline = child.stdin.take();
        Self { name, child, lifeline }
    }

    /// Sends a signal by its short name, such as `TERM`, `STOP` or `CONT`.
    pub(crate) fn signal(&self, signal: &str) {
        // The shell's own kill: a bare Debian has no other.
        let status = Command::new("sh")
            .args(["-c", r#"kill -s "$1" "$2""#, "sh", signal, &self.child.id().to_string()])
            .status()
            .expect("sh runs");
        assert!(status.success(), "{signal} cannot be sent to {}", self.name);
    }

    /// The exit status, if the program has ended.
    pub(crate) fn ended(&mut self) -> Option<ExitStatus> {
        let status = self.child.try_wait().expect("a child can be waited for");
        if status.is_some() {
            self.release();
        }
        status
    }

    /// Waits for the program to end by itself; panics after `limit`.
    pub(crate) fn wait_exit(&mut self, limit: Duration) -> ExitStatus {
        let what = format!("{} ends", self.name);
        wait_until(limit, &what, || self.ended().ok_or("it runs"))
    }

    /// Kills the program with SIGKILL; nothing happens if it has ended.
    pub(crate) fn kill(&mut self) {
        if self.ended().is_none() {
            self.child.kill().expect("a child can be killed");
            self.child.wait().expect("a child can be waited for");
            self.release();
        }
    }

    /// Lets the watcher go, before the process id can belong to another program.
    fn release(&mut self) {
        if let Some(mut lifeline) = self.lifeline.take() {
            // The watcher may have been killed along with its process group.
            drop(lifeline.write_all(b"ended\n"));
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}

fn append(path: &Path) -> File {
    File::options()
        .create(true)
        .append(true)
        .open(path)
        .unwrap_or_else(|error| panic!("{} cannot be opened: {error}", path.display()))
}

/// The last lines of a log file, for the message of a failing test.
pub(crate) fn tail(log: &Path, lines: usize) -> String {
    let text = fs::read(log).map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
    let text = text.unwrap_or_else(|error| format!("{}: {error}", log.display()));
    let all: Vec<&str> = text.lines().collect();
    all[all.len().saturating_sub(lines)..].join("\n")
}

/// Runs a tool to its end; panics with what it printed unless it succeeds.
pub(crate) fn run_tool(command: &mut Command) -> String {
    let output = command.stdin(Stdio::null()).output();
    let output = output.unwrap_or_else(|error| panic!("{command:?} cannot be run: {error}"));
    let stdout = String::from_utf8_lossy(&output.stdout);
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {}\n{stdout}\n{stderr}", output.status);
    stdout.trim().to_owned()
}
