//! `channels`: the channels that the account has.

use clap::Args;
use serde_json::Value;

use super::output::{Output, on_one_line};
use super::{
    ConfigFile, Failure, counted, eprint_note, failed, load_config, logging, print_line, table,
};
use crate::bridge;
use crate::config::Config;
use crate::line::listing::ListedChannel;

#[derive(Args, Debug)]
#[command(
    after_help = "Messages can be sent through those whose STATE is `ok`. No Kafka is needed.\n\n\
    Examples:\n  \
    line-bridge channels --config line-bridge.yaml\n  \
    line-bridge channels --config line-bridge.yaml --keyword support\n  \
    line-bridge channels --config line-bridge.yaml --output json | jq -r '.[].id'"
)]
pub(super) struct Channels {
    #[command(flatten)]
    file: ConfigFile,
    /// Only channels whose name contains this.
    #[arg(long)]
    keyword: Option<String>,
    /// A table, or an array of the API's own objects.
    #[arg(long, value_enum, default_value = "text")]
    output: Output,
}

impl Channels {
    pub(super) async fn run(self) -> Result<(), Failure> {
        logging::start("warn");
        let config = load_config(&self.file, &["line"])?;
        let (client, _) = bridge::line_client(&config).map_err(failed)?;
        let listed = client.channels(self.keyword.as_deref()).await.map_err(failed)?;
        match self.output {
            Output::Json => {
                let objects: Vec<&Value> = listed.iter().map(|channel| &channel.raw).collect();
                print_line(serde_json::json!(objects));
            }
            Output::Text => {
                print_line(table(&listed, &config));
                eprint_note(self.summary(&listed, &config));
            }
        }
        Ok(())
    }

    fn summary(&self, listed: &[ListedChannel], config: &Config) -> String {
        let usable = listed.iter().filter(|channel| channel.usable()).count();
        let all = counted(listed.len() as u64, "channel");
        let mut lines = vec![format!("{all}; messages can be sent through {usable}")];
        let is_listed = |id: &str| listed.iter().any(|channel| channel.id == id);
        // With a keyword, what is left out is not missing.
        let missing = config.channels.values().filter(|known| !is_listed(&known.id));
        lines.extend(missing.filter(|_| self.keyword.is_none()).map(|known| {
            let (name, id) = (&known.name, on_one_line(&known.id));
            format!("the configured channel `{name}` ({id}) is not among them")
        }));
        lines.join("\n")
    }
}

fn table(listed: &[ListedChannel], config: &Config) -> String {
    let row = |channel: &ListedChannel| {
        let configured = config.channels.values().find(|known| *known.id == *channel.id);
        vec![
            channel.id.clone(),
            channel.kind.clone(),
            state(channel).to_owned(),
            configured.map_or_else(|| "-".to_owned(), |known| known.name.to_string()),
            channel.name.clone(),
        ]
    };
    let rows: Vec<_> = listed.iter().map(row).collect();
    table::table(&["ID", "TYPE", "STATE", "CONFIGURED AS", "NAME"], &rows)
}

fn state(channel: &ListedChannel) -> &'static str {
    match (channel.usable(), channel.deleted) {
        (true, _) => "ok",
        (false, true) => "deleted",
        (false, false) => "not LINE",
    }
}
