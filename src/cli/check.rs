//! `check`: all that can be known before running.

use clap::{Args, ValueEnum};

use super::{ConfigFile, Failure, counted, logging, print_line, read};
use crate::config::{Config, Mistake, Mistakes, Severity, Strictness};

mod annotations;
mod online;

#[derive(Args, Debug)]
#[command(after_help = "Examples:\n  \
    line-bridge check --config line-bridge.yaml\n  \
    line-bridge check --config line-bridge.yaml --output json\n  \
    line-bridge check --config line-bridge.yaml --output github # in a workflow\n  \
    line-bridge check --config line-bridge.yaml --online")]
pub(super) struct Check {
    #[command(flatten)]
    file: ConfigFile,
    /// Asks Kafka for the topics and rights, and the LINE API for the token and every channel.
    /// Nothing is sent, committed or joined. Exit code 1 means that nothing was found wrong, but
    /// something could not be checked.
    #[arg(long)]
    online: bool,
    /// How errors and warnings are written to standard output.
    #[arg(long, value_enum, default_value = "text")]
    output: Output,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Output {
    /// A line each: file, line, column, key and what is wrong.
    Text,
    /// An array of objects.
    Json,
    /// Annotations, which a GitHub workflow shows at the lines of a pull request.
    Github,
}

/// What was found.
#[derive(Debug, Default)]
struct Findings {
    found: Vec<Mistake>,
    /// What is told where no mistake was found, in lines.
    told: Vec<String>,
    /// How many of the mistakes are questions that nobody answered.
    unanswered: usize,
}

impl Check {
    pub(super) async fn run(&self) -> Result<(), Failure> {
        let looked = if self.online {
            logging::start("off");
            online::look(&self.file).await
        } else {
            offline(&self.file)
        };
        let Findings { found, told, unanswered } =
            looked.unwrap_or_else(|Mistakes(found)| Findings { found, ..Findings::default() });
        let errors = found.iter().filter(|found| found.severity == Severity::Error).count();
        match self.output {
            Output::Json => print_line(serde_json::json!(found)),
            Output::Text => found.iter().for_each(print_line),
            Output::Github => found.iter().map(annotations::of).for_each(print_line),
        }
        if self.output != Output::Json {
            told.iter().filter(|_| errors == 0).for_each(print_line);
        }
        match errors {
            0 => Ok(()),
            errors if errors == unanswered => {
                let questions = counted(errors as u64, "question");
                Err(Failure::Failed(format!("{questions} could not be answered")))
            }
            errors => Err(Failure::Usage(counted(errors as u64, "error"))),
        }
    }
}

/// A pause that is forgotten holds messages until they expire.
fn paused(config: &Config) -> impl Iterator<Item = String> {
    config.paused.phrases().into_iter().map(|what| format!("paused: {what}"))
}

fn offline(file: &ConfigFile) -> Result<Findings, Mistakes> {
    let (loaded, topics) = read(file, Strictness::Check)?;
    let examples: usize = loaded.config.topics.values().map(|topic| topic.examples.len()).sum();
    let topics = counted(topics.names().len() as u64, "topic");
    let examples = counted(examples as u64, "example");
    let mut told = vec![format!("{}: ok, {topics}, {examples}", file.config.display())];
    told.extend(paused(&loaded.config));
    Ok(Findings { found: loaded.warnings, told, unanswered: 0 })
}
