//! How much a command says on standard error, and where it may use colours.

use std::io::{IsTerminal, Write as _};
use std::sync::OnceLock;

use clap::Args;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::LevelFilter;

use super::{Failure, environment};

/// What was chosen on the command line, for as long as the process lasts: the log and the panics'
/// silence are the process's as well.
static CHOSEN: OnceLock<Verbosity> = OnceLock::new();

#[derive(Args, Clone, Debug, Default)]
pub(super) struct Verbosity {
    /// Prints only errors on standard error.
    #[arg(short, long, global = true, conflicts_with = "verbose")]
    quiet: bool,
    /// Prints more on standard error.
    #[arg(short, long, global = true)]
    verbose: bool,
    /// What `LINE_BRIDGE_LOG` says.
    #[arg(skip)]
    wanted: Option<String>,
}

impl Verbosity {
    /// Takes it for the rest of the process. It fails where `LINE_BRIDGE_LOG` makes no sense.
    pub(super) fn adopt(mut self) -> Result<(), Failure> {
        self.wanted = environment()("LINE_BRIDGE_LOG").filter(|wanted| !wanted.trim().is_empty());
        if self.wanted.as_deref().is_some_and(|wanted| !is_filter(wanted)) {
            let form = "LINE_BRIDGE_LOG: expected error, warn, info or debug, or a filter such as \
                        warn,line_bridge::driver=debug";
            return Err(Failure::Usage(form.to_owned()));
        }
        drop(CHOSEN.set(self));
        Ok(())
    }

    /// The option wins over the variable, and the variable over what the command usually logs.
    fn level<'v>(&'v self, usual: &'v str) -> &'v str {
        match (self.quiet, self.verbose, &self.wanted) {
            // A command that tells all by itself logs nothing as it is.
            (true, _, _) if usual == "off" => "off",
            (true, _, _) => "error",
            // The libraries' own debug lines would drown the program's.
            (_, true, _) => "info,line_bridge=debug",
            (false, false, wanted) => wanted.as_deref().unwrap_or(usual),
        }
    }
}

/// A misspelt level would be taken for the name of a module, and nothing would be logged.
fn is_filter(text: &str) -> bool {
    let is_directive = |directive: &str| {
        let names = directive.contains(['=', '[']) || directive.contains("::");
        names || directive.trim().parse::<LevelFilter>().is_ok()
    };
    text.split(',').all(is_directive) && EnvFilter::try_new(text).is_ok()
}

fn chosen() -> Verbosity {
    CHOSEN.get().cloned().unwrap_or_default()
}

/// What is logged; `usual` where nothing else is asked for.
pub(super) fn filter(usual: &str) -> EnvFilter {
    let chosen = chosen();
    EnvFilter::new(chosen.level(usual))
}

/// Tells how a command gets on, which is no part of its result.
pub(super) fn eprint_note(line: impl std::fmt::Display) {
    if !chosen().quiet {
        eprint_line(line);
    }
}

/// Writes a line to standard error. Where nobody reads it, there is nobody to be told.
pub(super) fn eprint_line(line: impl std::fmt::Display) {
    drop(writeln!(std::io::stderr().lock(), "{line}"));
}

/// Whether what is written there may be coloured: to a terminal that takes colours, and unless
/// `NO_COLOR` (<https://no-color.org>) forbids it.
pub(super) fn may_be_coloured(stream: &impl IsTerminal) -> bool {
    let says = |name: &str| environment()(name).unwrap_or_default();
    stream.is_terminal() && says("NO_COLOR").is_empty() && says("TERM") != "dumb"
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case::a_level("debug", true)]
    #[case::upper_case("INFO", true)]
    #[case::nothing_at_all("off", true)]
    #[case::modules("warn,line_bridge::driver=debug,librdkafka=info", true)]
    #[case::misspelt("inof", false)]
    #[case::misspelt_beside_another("info,debgu", false)]
    #[case::no_level("line_bridge=loud", false)]
    fn a_filter_is_known_from_a_slip(#[case] text: &str, #[case] expected: bool) {
        assert_eq!(is_filter(text), expected);
    }

    #[rstest]
    #[case::as_usual(false, false, None, "warn")]
    #[case::the_variable(false, false, Some("trace"), "trace")]
    #[case::quiet(true, false, Some("trace"), "error")]
    #[case::verbose(false, true, Some("error"), "info,line_bridge=debug")]
    fn the_option_wins_over_the_variable(
        #[case] quiet: bool,
        #[case] verbose: bool,
        #[case] wanted: Option<&str>,
        #[case] expected: &str,
    ) {
        let verbosity = Verbosity { quiet, verbose, wanted: wanted.map(str::to_owned) };
        assert_eq!(verbosity.level("warn"), expected);
    }
}
