//! `dead-letters`: what has been set aside, and why; and sending it again.

mod chosen;
mod identity;
mod list;
mod newest;
mod outlook;
mod pointer;
mod redrive;
mod redriven;
mod report;
mod show;

use clap::{Args, Subcommand};

use chosen::Chosen;

use super::{Failure, eprint_line, logging};
use crate::bridge;
use crate::clock::SystemClock;
use crate::config::Config;
use crate::domain::clock::Timestamp;
use crate::domain::ports::Clock as _;
use crate::kafka;

#[derive(Args, Debug)]
#[command(after_help = "Examples:\n  \
    line-bridge dead-letters list --config line-bridge.yaml --since 24h\n  \
    line-bridge dead-letters show 2 1234 --config line-bridge.yaml\n  \
    line-bridge dead-letters redrive --config line-bridge.yaml \\\n    \
    --reason rejected --dry-run")]
pub(super) struct DeadLetters {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Counts them by topic, reason and rule, and shows the newest.
    List(list::List),
    /// Shows one: why it was set aside, its event, and what would become of it now.
    Show(show::Show),
    /// Sends the selected dead letters again, through the bridge.
    Redrive(redrive::Redrive),
}

impl DeadLetters {
    pub(super) async fn run(self) -> Result<(), Failure> {
        logging::start("warn");
        match self.command {
            Command::List(list) => list.run().await,
            Command::Show(show) => show.run().await,
            Command::Redrive(redrive) => redrive.run().await,
        }
    }
}

/// The sections of the configuration that the commands use.
const SECTIONS: [&str; 2] = ["kafka", "dead_letters"];

/// What each of the commands works with.
struct Context {
    config: Config,
    kafka: kafka::Settings,
    now: Timestamp,
}

impl Context {
    fn of(config: Config, chosen: &Chosen) -> Self {
        let now = SystemClock::start().now().wall;
        for warning in chosen.strange(&config, now) {
            eprint_line(format_args!("warning: {warning}"));
        }
        let kafka = bridge::kafka_settings(&config);
        Self { config, kafka, now }
    }

    fn redrive_topic(&self) -> &str {
        &self.config.dead_letters.redrive_topic
    }
}
