//! `completions`: what a shell needs to complete the command line.

use clap::{Args, CommandFactory as _};
use clap_complete::Shell;

use super::{Cli, print_line};

#[derive(Args, Debug)]
#[command(after_help = "Examples:\n  \
    line-bridge completions bash > /etc/bash_completion.d/line-bridge\n  \
    line-bridge completions zsh > \"${fpath[1]}/_line-bridge\"\n  \
    line-bridge completions fish > ~/.config/fish/completions/line-bridge.fish")]
pub(super) struct Completions {
    /// The shell.
    #[arg(value_enum)]
    shell: Shell,
}

impl Completions {
    pub(super) fn print(&self) {
        let mut script = Vec::new();
        clap_complete::generate(self.shell, &mut Cli::command(), "line-bridge", &mut script);
        print_line(String::from_utf8_lossy(&script).trim_end());
    }
}
