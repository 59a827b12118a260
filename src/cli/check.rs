//! `check`: all that can be known before running.

use clap::{Args, ValueEnum};

use super::{ConfigFile, Failure, environment};
use crate::bridge;
use crate::config::{Mistake, Strictness};
use crate::topics;

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
        let loaded = topics::load(&self.file.config, environment(), Strictness::Check);
        let (found, sound) = match loaded {
            Ok((loaded, topics)) => {
                let mut found = loaded.warnings;
                let refused = bridge::kafka_settings(&loaded.config).refused_properties();
                let sound = refused.is_empty();
                found.extend(refused.into_iter().map(|(name, why)| {
                    loaded.config.locations.mistake_at_key(&["kafka", "properties", &name], why)
                }));
                let ok =
                    format!("{}: ok, {} topics", self.file.config.display(), topics.names().len());
                (found, sound.then_some(ok))
            }
            Err(mistakes) => (mistakes.0, None),
        };
        self.tell(&found, sound.as_deref())?;
        if sound.is_some() { Ok(()) } else { Err(Failure::Usage(said(&found))) }
    }

    fn tell(&self, found: &[Mistake], sound: Option<&str>) -> Result<(), Failure> {
        match self.output {
            Output::Json => {
                let json = serde_json::to_string_pretty(found)
                    .map_err(|error| Failure::Failed(format!("line-bridge: {error}")))?;
                println!("{json}");
            }
            Output::Text => {
                for mistake in found {
                    println!("{mistake}");
                }
                if let Some(sound) = sound {
                    println!("{sound}");
                }
            }
        }
        Ok(())
    }
}

fn said(found: &[Mistake]) -> String {
    let is_error = |mistake: &&Mistake| mistake.severity == crate::config::Severity::Error;
    match found.iter().filter(is_error).count() {
        1 => "1 mistake".to_owned(),
        number => format!("{number} mistakes"),
    }
}
