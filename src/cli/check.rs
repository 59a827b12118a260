//! `check`: all that can be known before running.

use clap::{Args, ValueEnum};

use super::{ConfigFile, Failure, read, say};
use crate::config::{Mistake, Severity, Strictness};

#[derive(Args, Debug)]
#[command(after_help = "Examples:\n  \
    line-bridge check --config line-bridge.yaml\n  \
    line-bridge check --config line-bridge.yaml --output json")]
pub(super) struct Check {
    #[command(flatten)]
    file: ConfigFile,
    /// How the mistakes are written to standard output.
    #[arg(long, value_enum, default_value = "text")]
    output: Output,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Output {
    /// A line each: file, line, column, key and what is wrong.
    Text,
    /// An array of objects.
    Json,
}

impl Check {
    pub(super) fn run(&self) -> Result<(), Failure> {
        let (found, sound) = match read(&self.file, Strictness::Check) {
            Ok((loaded, topics)) => {
                let (file, topics) = (self.file.config.display(), topics.names().len());
                (loaded.warnings, Some(format!("{file}: ok, {topics} topics")))
            }
            Err(mistakes) => (mistakes.0, None),
        };
        let lines = found.iter().map(ToString::to_string).chain(sound.clone());
        match self.output {
            Output::Json => say(serde_json::json!(found)),
            Output::Text => lines.for_each(say),
        }
        if sound.is_some() { Ok(()) } else { Err(Failure::Usage(said(&found))) }
    }
}

fn said(found: &[Mistake]) -> String {
    let is_error = |mistake: &&Mistake| mistake.severity == Severity::Error;
    match found.iter().filter(is_error).count() {
        1 => "1 mistake".to_owned(),
        number => format!("{number} mistakes"),
    }
}
