//! Log lines on standard error: JSON, or for a person where that is a terminal.

use std::io::IsTerminal as _;
use std::sync::atomic::{AtomicBool, Ordering};

use super::verbosity;

/// Whether whoever reads standard error expects nothing but JSON there.
static ALL_JSON: AtomicBool = AtomicBool::new(false);

/// Starts the log of the service, to which the reason of its end belongs as well.
pub(super) fn start_of_service() {
    ALL_JSON.store(!std::io::stderr().is_terminal(), Ordering::Relaxed);
    start("info");
}

/// Starts logging. `usual` is what is logged unless the command line or `LINE_BRIDGE_LOG` says
/// otherwise.
pub(super) fn start(usual: &str) {
    crate::kafka::silence_expected_panics();
    // Where standard error is gone, a complaint about that could only panic.
    let lines = tracing_subscriber::fmt().log_internal_errors(false);
    let lines = lines.with_env_filter(verbosity::filter(usual)).with_writer(std::io::stderr);
    let stderr = std::io::stderr();
    let started = if stderr.is_terminal() {
        lines.with_target(false).with_ansi(verbosity::may_be_coloured(&stderr)).try_init()
    } else {
        lines.json().flatten_event(true).with_ansi(false).try_init()
    };
    if let Err(error) = started {
        verbosity::eprint_line(format_args!("line-bridge: no log can be written: {error}"));
    }
}

/// Says why the process ends.
pub(super) fn end(text: &str) {
    if ALL_JSON.load(Ordering::Relaxed) && tracing::enabled!(tracing::Level::ERROR) {
        for line in text.lines() {
            tracing::error!("{line}");
        }
    } else {
        verbosity::eprint_line(text);
    }
}
