//! The real program as a child process: its files, its start, its log, its metrics, its end.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;

use super::lifeline::{Process, tail};
use super::metrics::Metrics;
use super::wait::{block_on, wait_until};

const LISTEN_LIMIT: Duration = Duration::from_secs(30);
const HTTP_LIMIT: Duration = Duration::from_secs(10);
const LOG_TAIL_LINES: usize = 60;

/// A folder with configuration files, and the programs that are started in it.
pub(crate) struct Workspace {
    folder: Arc<TempDir>,
    environment: Vec<(String, String)>,
    started: AtomicU32,
}

impl Workspace {
    pub(crate) fn new() -> Self {
        let folder = tempfile::Builder::new().prefix("line-bridge-test-").tempdir();
        let folder = Arc::new(folder.expect("a folder for the test"));
        Self { folder, environment: Vec::new(), started: AtomicU32::new(0) }
    }

    /// Writes a file at a path relative to the folder; once more to change it. A program that reads
    /// it meanwhile finds the one or the other.
    pub(crate) fn file(&self, path: &str, text: &str) -> PathBuf {
        let path = self.path().join(path);
        fs::create_dir_all(path.parent().expect("a path inside the folder")).expect("a folder");
        let whole = path.with_added_extension("new");
        fs::write(&whole, text).expect("a file of the test");
        fs::rename(&whole, &path).expect("a file of the test");
        path
    }

    /// Sets an environment variable for all programs started from now on.
    pub(crate) fn env(&mut self, name: &str, value: &str) {
        self.environment.push((name.to_owned(), value.to_owned()));
    }

    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Starts `line-bridge run` with this configuration, written to `bridge.yaml`.
    pub(crate) fn run(&self, config: &str) -> Bridge {
        self.file("bridge.yaml", config);
        self.start(&["run", "--config", "bridge.yaml"])
    }

    /// Starts `line-bridge` in this folder with any arguments: the one that was built along with the
    /// tests, or the one that `LINE_BRIDGE_TEST_PROGRAM` names, such as a release build.
    pub(crate) fn start(&self, arguments: &[&str]) -> Bridge {
        let other = std::env::var("LINE_BRIDGE_TEST_PROGRAM").ok();
        let built = env!("CARGO_BIN_EXE_line-bridge");
        self.start_program(other.as_deref().unwrap_or(built), arguments)
    }

    /// Starts any program in this folder.
    pub(crate) fn start_program(&self, program: &str, arguments: &[&str]) -> Bridge {
        let number = self.started.fetch_add(1, Ordering::Relaxed);
        let stdout = self.path().join(format!("{number}.stdout"));
        let stderr = self.path().join(format!("{number}.stderr"));
        let mut command = Command::new(program);
        command.args(arguments).current_dir(self.path());
        command.envs(self.environment.iter().map(|(name, value)| (name, value)));
        let process = Process::start(&command, self.path(), &stdout, &stderr);
        Bridge { process, stdout, stderr, _folder: Arc::clone(&self.folder) }
    }
}

/// A started program. Dropped, it is killed; when its test fails, the end of its log is printed.
pub(crate) struct Bridge {
    process: Process,
    stdout: PathBuf,
    stderr: PathBuf,
    /// Keeps the files for as long as the program may use them.
    _folder: Arc<TempDir>,
}

impl Bridge {
    /// Sends a signal by its short name, such as `TERM`, `STOP` or `CONT`.
    pub(crate) fn signal(&self, signal: &str) {
        self.process.signal(signal);
    }

    /// Ends the program with SIGKILL.
    pub(crate) fn kill(&mut self) {
        self.process.kill();
    }

    /// Waits for the program to end by itself; panics after `limit`.
    pub(crate) fn wait_exit(&mut self, limit: Duration) -> ExitStatus {
        self.process.wait_exit(limit)
    }

    /// Asks for an orderly end and waits for it.
    pub(crate) fn drain(&mut self, limit: Duration) -> ExitStatus {
        self.signal("TERM");
        self.wait_exit(limit)
    }

    pub(crate) fn stdout(&self) -> String {
        fs::read_to_string(&self.stdout).expect("output in UTF-8")
    }

    pub(crate) fn stderr(&self) -> String {
        fs::read_to_string(&self.stderr).expect("output in UTF-8")
    }

    /// The lines of both outputs that are JSON, as the log's are.
    pub(crate) fn log(&self) -> Vec<Value> {
        let [stdout, stderr] = [self.stdout(), self.stderr()];
        let lines = stdout.lines().chain(stderr.lines());
        lines.filter_map(|line| serde_json::from_str(line).ok()).collect()
    }

    /// Where the admin endpoints are, as logged by a program told to listen on port 0.
    pub(crate) fn admin_address(&mut self) -> String {
        wait_until(LISTEN_LIMIT, "the program says where it listens", || {
            let found = self.log().iter().find_map(listening).map(str::to_owned);
            if found.is_none()
                && let Some(status) = self.process.ended()
            {
                panic!("the program ended ({status}) and never said where it listens");
            }
            found.ok_or("no such line")
        })
    }

    /// The status and the body of a path of the admin endpoints, such as `/readyz`.
    pub(crate) fn get(&mut self, path: &str) -> (u16, String) {
        let url = format!("http://{}{path}", self.admin_address());
        let answer = block_on(async {
            let client = reqwest::Client::builder().no_proxy().timeout(HTTP_LIMIT).build()?;
            let response = client.get(&url).send().await?;
            let status = response.status().as_u16();
            reqwest::Result::Ok((status, response.text().await?))
        });
        answer.unwrap_or_else(|error| panic!("{path}: {error}"))
    }

    /// One scrape of `/metrics`.
    pub(crate) fn metrics(&mut self) -> Metrics {
        let (status, body) = self.get("/metrics");
        assert_eq!(status, 200, "/metrics answers: {body}");
        Metrics::parse(&body)
    }
}

impl Drop for Bridge {
    fn drop(&mut self) {
        self.process.kill();
        if std::thread::panicking() {
            for output in [&self.stdout, &self.stderr] {
                eprintln!("{} ends:\n{}", output.display(), tail(output, LOG_TAIL_LINES));
            }
        }
    }
}

/// The address in a log line that says `listening`, its fields nested or not.
fn listening(line: &Value) -> Option<&str> {
    let fields = line.get("fields").unwrap_or(line);
    (fields.get("message")? == "listening").then(|| fields.get("address")?.as_str()).flatten()
}
