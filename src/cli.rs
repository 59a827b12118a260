//! The command line: one file a command.

mod channels;
mod check;
mod completions;
mod dead_letters;
mod demo;
mod logging;
mod output;
mod preview;
mod publish;
mod run;
mod sandbox;
mod schema;
mod send;
mod table;
#[cfg(test)]
mod tests;
mod times;
mod verbosity;

use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};

use crate::config::{Config, Environment, Loaded, Mistake, Mistakes, Strictness};
use crate::loading;
use crate::topics::Topics;

use verbosity::{Verbosity, eprint_line, eprint_note};

/// Takes events from Kafka and sends them as LINE messages: in order per recipient, once wherever
/// that is possible, never lost.
#[derive(Debug, Parser)]
#[command(name = "line-bridge", version, max_term_width = 100)]
#[command(after_help = "Examples:\n  \
    line-bridge demo\n  \
    line-bridge check --config line-bridge.yaml\n  \
    line-bridge run --config line-bridge.yaml\n\n\
    Exit codes: 0 done, 1 failed, 64 bad usage or configuration.\n\
    LINE_BRIDGE_LOG sets what is logged on standard error: error, warn, info (what run does) or\n\
    debug. -q and -v override it. NO_COLOR turns colours off.")]
struct Cli {
    #[command(flatten)]
    verbosity: Verbosity,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Runs the bridge until SIGTERM, then settles what is in flight and leaves.
    Run(run::Run),
    /// Shows everything at work without any setup: a broker, a stand-in for the API, events, the bridge.
    Demo(demo::Demo),
    /// Reports every error in the configuration, its schemas, expressions and templates.
    Check(check::Check),
    /// Shows what an event would send, and why; sends nothing.
    Preview(preview::Preview),
    /// Publishes events (JSON lines) to a topic.
    Publish(publish::Publish),
    /// Lists the account's channels.
    Channels(channels::Channels),
    /// Sends one message by hand.
    Send(send::Send),
    /// Lists dead letters, shows them, and sends them again.
    DeadLetters(dead_letters::DeadLetters),
    /// Runs a stand-in for the LINE API, with faults and an inbox page.
    Sandbox(sandbox::Sandbox),
    /// Prints the configuration's own JSON Schema, for editors.
    Schema(schema::Schema),
    /// Prints shell completions.
    Completions(completions::Completions),
}

/// The configuration file.
#[derive(Args, Clone, Debug)]
struct ConfigFile {
    /// The configuration file.
    #[arg(long, env = "LINE_BRIDGE_CONFIG", value_name = "FILE")]
    config: PathBuf,
}

/// Why a command ends with a code other than zero. The text is for the operator.
#[derive(Debug)]
enum Failure {
    /// The usage or the configuration is bad.
    Usage(String),
    Failed(String),
}

impl Failure {
    /// Tells it; the exit code that goes with it.
    fn end(self) -> ExitCode {
        let (text, code) = match self {
            Self::Usage(text) => (text, 64),
            Self::Failed(text) => (text, 1),
        };
        logging::end(&text);
        ExitCode::from(code)
    }
}

impl From<Mistakes> for Failure {
    fn from(mistakes: Mistakes) -> Self {
        Self::Usage(mistakes.to_string())
    }
}

/// Runs the command that the arguments name.
pub fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => return explain(&error),
    };
    if let Err(failure) = cli.verbosity.adopt() {
        return failure.end();
    }
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprint_line(format_args!("line-bridge: the runtime could not be started: {error}"));
            return ExitCode::FAILURE;
        }
    };
    let result = runtime.block_on(async {
        match cli.command {
            Command::Run(run) => run.run().await,
            Command::Demo(demo) => demo.run().await,
            Command::Check(check) => check.run().await,
            Command::Preview(preview) => preview.run().await,
            Command::Publish(publish) => publish.run().await,
            Command::Channels(channels) => channels.run().await,
            Command::Send(send) => send.run().await,
            Command::DeadLetters(dead_letters) => dead_letters.run().await,
            Command::Sandbox(sandbox) => sandbox.run().await,
            Command::Schema(_) => {
                schema::Schema::print();
                Ok(())
            }
            Command::Completions(completions) => {
                completions.print();
                Ok(())
            }
        }
    });
    // What is still running by now is an attempt that was given up, or a consumer that could not
    // leave its group in time: neither is waited for.
    runtime.shutdown_background();
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => failure.end(),
    }
}

/// Help and the version are no mistakes. Whoever closed the output does not want them.
fn explain(error: &clap::Error) -> ExitCode {
    drop(error.print());
    if error.use_stderr() { ExitCode::from(64) } else { ExitCode::SUCCESS }
}

/// Reads the configuration and all that it names.
fn read(file: &ConfigFile, strictness: Strictness) -> Result<(Loaded, Topics), Mistakes> {
    loading::load(&file.config, environment(), strictness)
}

/// Reads what does without anything that is absent, or is no token, unless it is `missed` there.
fn read_without<T>(
    read: impl Fn(Strictness) -> Result<T, Mistakes>,
    missed: impl Fn(&Mistake) -> bool,
) -> Result<T, Mistakes> {
    let strict = match read(Strictness::Run) {
        Ok(read) => return Ok(read),
        Err(strict) => strict,
    };
    let missed: Vec<Mistake> = strict.0.into_iter().filter(missed).collect();
    if missed.is_empty() { read(Strictness::Part) } else { Err(Mistakes(missed)) }
}

/// Reads the configuration for a command that uses these sections besides `topics`.
fn read_parts(file: &ConfigFile, sections: &[&str]) -> Result<(Loaded, Topics), Failure> {
    let missed = |mistake: &Mistake| mistake.is_error_in(sections);
    Ok(read_without(|strictness| read(file, strictness), missed)?)
}

/// The same, its warnings left to `check`.
fn load_parts(file: &ConfigFile, sections: &[&str]) -> Result<(Config, Topics), Failure> {
    read_parts(file, sections).map(|(loaded, topics)| (loaded.config, topics))
}

/// Reads the configuration for a command that uses these sections, and no rule or schema: it is there
/// for an operator whose latest change broke one.
fn load_config(file: &ConfigFile, sections: &[&str]) -> Result<Config, Failure> {
    let read = |strictness| loading::load_config(&file.config, environment(), strictness);
    Ok(read_without(read, |mistake| mistake.is_error_in(sections))?)
}

/// The work could not be done, for this reason.
fn failed(error: impl std::fmt::Display) -> Failure {
    Failure::Failed(format!("line-bridge: {error}"))
}

/// Writes a line to standard output. Whoever closed it does not want to read on, which is no
/// fault of the command.
fn print_line(line: impl std::fmt::Display) {
    let mut out = std::io::stdout().lock();
    drop(writeln!(out, "{line}").and_then(|()| out.flush()));
}

/// A number of things: "1 event", "2 events".
fn counted(number: u64, one: &str) -> String {
    if number == 1 { format!("1 {one}") } else { format!("{number} {one}s") }
}

/// The process's environment, for the configuration.
fn environment() -> &'static Environment<'static> {
    #[expect(clippy::disallowed_methods, reason = "this is where the configuration's is read")]
    let read: &Environment<'static> = &|name| std::env::var(name).ok();
    read
}

/// Done when the process is asked to end: SIGTERM, or Ctrl-C. From the call on, neither ends it
/// by itself.
fn interrupted() -> impl Future<Output = ()> {
    use tokio::signal::unix::{SignalKind, signal};
    let signals = (signal(SignalKind::terminate()), signal(SignalKind::interrupt()));
    async move {
        let (Ok(mut term), Ok(mut interrupt)) = signals else { return };
        tokio::select! {
            _ = term.recv() => {}
            _ = interrupt.recv() => {}
        }
    }
}
