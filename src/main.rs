//! Arguments in, exit code out.

use std::process::ExitCode;

fn main() -> ExitCode {
    line_bridge::cli::main()
}
