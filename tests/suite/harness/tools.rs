//! The tools that `deploy/` is tested with: Helm, Prometheus, and the schemas of Kubernetes.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use super::lifeline::run_tool;

/// The file of a tool, or of a schema; see `tests/tools/fetch`.
pub(crate) fn tool(name: &str) -> PathBuf {
    static FOLDER: OnceLock<PathBuf> = OnceLock::new();
    let fetch = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/tools/fetch");
    FOLDER.get_or_init(|| PathBuf::from(run_tool(&mut Command::new(fetch)))).join(name)
}

/// A path of the checkout.
pub(crate) fn checkout(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// What `helm` prints; for which Kubernetes it renders is one of its arguments, since there is none
/// to ask.
pub(crate) fn helm(arguments: &[&str]) -> Command {
    let mut command = Command::new(tool("helm"));
    command.args(arguments).args(["--kube-version", "1.37.2"]);
    command
}
