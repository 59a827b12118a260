//! Log lines on standard error: JSON, or for a person where that is a terminal.

use std::io::IsTerminal as _;

use tracing_subscriber::EnvFilter;

/// Starts logging. `default` is what is logged unless `LINE_BRIDGE_LOG` says otherwise.
pub(super) fn start(default: &str) {
    crate::kafka::silence_expected_panics();
    let set = super::environment()("LINE_BRIDGE_LOG");
    let wanted = set.as_deref().unwrap_or(default);
    let filter = EnvFilter::try_new(wanted).unwrap_or_else(|_| EnvFilter::new(default));
    let terminal = std::io::stderr().is_terminal();
    let lines = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    let started = if terminal {
        lines.with_target(false).try_init()
    } else {
        lines.json().flatten_event(true).with_ansi(false).try_init()
    };
    if let Err(error) = started {
        eprintln!("line-bridge: no log can be written: {error}");
    }
}
