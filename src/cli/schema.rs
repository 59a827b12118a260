//! `schema`: the configuration's own JSON Schema.

use clap::Args;

use super::print_line;
use crate::config::JSON_SCHEMA;

#[derive(Args, Debug)]
#[command(after_help = "Examples:\n  \
    line-bridge schema > line-bridge.schema.json\n\n\
    Editors with the YAML language server use it if this line is at the top of the configuration:\n  \
    # yaml-language-server: $schema=line-bridge.schema.json")]
pub(super) struct Schema {}

impl Schema {
    pub(super) fn print() {
        print_line(JSON_SCHEMA.trim_end());
    }
}
