//! Log lines on standard error: JSON, or for a person where that is a terminal.

use std::io::IsTerminal as _;

use super::voice;

/// Starts logging. `usual` is what is logged unless the command line or `LINE_BRIDGE_LOG` says
/// otherwise.
pub(super) fn start(usual: &str) {
    crate::kafka::silence_expected_panics();
    // Where standard error is gone, a complaint about that could only panic.
    let lines = tracing_subscriber::fmt().log_internal_errors(false);
    let lines = lines.with_env_filter(voice::filter(usual)).with_writer(std::io::stderr);
    let stderr = std::io::stderr();
    let started = if stderr.is_terminal() {
        lines.with_target(false).with_ansi(voice::may_be_coloured(&stderr)).try_init()
    } else {
        lines.json().flatten_event(true).with_ansi(false).try_init()
    };
    if let Err(error) = started {
        voice::complain(format_args!("line-bridge: no log can be written: {error}"));
    }
}
