//! `run`: the service.

mod dry;

use std::sync::Arc;

use clap::Args;

use super::{ConfigFile, Failure, failed, interrupted, logging, read, read_parts, read_without};
use crate::bridge;
use crate::config::{Loaded, Mistake, Mistakes, Severity, Strictness};
use crate::reload;
use crate::topics::Topics;

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
            load: Arc::new(move || read_beside_the_token(&file)),
        };
        bridge::run(config, topics, source, interrupted()).await.map_err(failed)
    }
}

/// Reads a change for a bridge that has its token, and follows that by itself: while the next one is
/// being written, a pause is not to be refused.
fn read_beside_the_token(file: &ConfigFile) -> Result<(Loaded, Topics), Mistakes> {
    let is_of_another = |mistake: &Mistake| !mistake.key.starts_with("line.token");
    let is_missed =
        |mistake: &Mistake| mistake.severity == Severity::Error && is_of_another(mistake);
    let (mut loaded, topics) = read_without(|strictness| read(file, strictness), is_missed)?;
    loaded.warnings.retain(is_of_another);
    Ok((loaded, topics))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use rstest::rstest;

    use super::*;

    const CONFIG: &str = "\
kafka: {brokers: \"localhost:9092\", group: g}
line: {token: {file: token}}
channels: {support: a-channel}
dead_letters: {topic: dead-letters}
topics:
  orders:
    schema: orders.json
    rules: [{name: r, to: {contact: \"'c'\"}, message: \"Hello { event.id }\"}]
";

    /// What is wrong, or the warnings.
    fn read(token: Option<&str>, config: &str) -> Result<Vec<String>, String> {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("orders.json"), r#"{"type": "object"}"#).unwrap();
        fs::write(folder.path().join("bridge.yaml"), config).unwrap();
        if let Some(token) = token {
            fs::write(folder.path().join("token"), token).unwrap();
        }
        let file = ConfigFile { config: folder.path().join("bridge.yaml") };
        let read = read_beside_the_token(&file).map_err(|mistakes| mistakes.to_string());
        Ok(read?.0.warnings.into_iter().map(|warning| warning.message).collect())
    }

    #[rstest]
    fn a_change_does_not_wait_for_the_token(
        #[values(None, Some(""), Some("two words"), Some("token"))] token: Option<&str>,
    ) {
        let warnings = read(token, CONFIG).unwrap();
        assert!(warnings.len() == 1 && warnings[0].contains("sent literally"), "{warnings:?}");
    }

    #[rstest]
    #[case::a_variable_that_is_not_set("a-channel", "\"${NO_SUCH_VARIABLE}\"", "NO_SUCH_VARIABLE")]
    #[case::an_odd_key("{file: token}", "{fil: token}", "line.token")]
    #[case::a_token_in_its_place("{file: token}", "s3cret", "line.token: expected")]
    fn anything_else_that_is_wrong_is_refused(
        #[case] from: &str,
        #[case] to: &str,
        #[case] says: &str,
    ) {
        let said = read(Some("two words"), &CONFIG.replace(from, to)).unwrap_err();
        assert!(said.contains(says) && !said.contains("s3cret"), "{said}");
    }
}
