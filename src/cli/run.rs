//! `run`: the service.

mod dry;

use std::sync::Arc;

use clap::Args;

use super::{ConfigFile, Failure, failed, interrupted, logging, read, read_parts};
use crate::bridge;
use crate::config::{Loaded, Strictness};
use crate::reload;

#[derive(Args, Debug)]
#[command(after_help = "Examples:\n  \
    line-bridge run --config line-bridge.yaml\n  \
    LINE_BRIDGE_CONFIG=line-bridge.yaml line-bridge run --dry-run\n\n\
    Changes of the configuration, the schemas and the token take effect within seconds;\n\
    SIGHUP applies them at once.")]
pub(super) struct Run {
    #[command(flatten)]
    file: ConfigFile,
    /// Reads and decides, and logs what would be sent; sends and commits nothing. It does not join
    /// the group, so it can run beside a bridge that does.
    #[arg(long)]
    dry_run: bool,
}

impl Run {
    pub(super) async fn run(self) -> Result<(), Failure> {
        logging::start_of_service();
        // The dry run reads from Kafka, and sends nothing: it can do without a token.
        let (Loaded { config, warnings }, topics) = if self.dry_run {
            read_parts(&self.file, &["kafka"])?
        } else {
            read(&self.file, Strictness::Run)?
        };
        for warning in warnings {
            tracing::warn!("{warning}");
        }
        if self.dry_run {
            return dry::run(&config, &topics).await;
        }
        let file = self.file.clone();
        let source = reload::Source {
            file: file.config.clone(),
            load: Arc::new(move || read(&file, Strictness::Run)),
        };
        bridge::run(config, topics, source, interrupted()).await.map_err(failed)
    }
}
