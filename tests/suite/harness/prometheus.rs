//! A real Prometheus that scrapes bridges and evaluates rules.

use std::collections::BTreeMap;
use std::fs;
use std::process::Command;
use std::time::Duration;

use serde_json::{Value, json};
use tempfile::TempDir;

use super::broker::free_port;
use super::lifeline::{Process, tail};
use super::tools::tool;
use super::wait::{block_on, wait_until};

const START_LIMIT: Duration = Duration::from_mins(1);
const HTTP_LIMIT: Duration = Duration::from_secs(30);

/// Scrapes often, since the tests shorten what is counted in minutes to seconds.
const CONFIG: &str = "
global: {scrape_interval: 1s, scrape_timeout: 1s, evaluation_interval: 1s}
rule_files: [rules.yaml]
scrape_configs:
  - job_name: line-bridge
    file_sd_configs: [{files: [targets.json], refresh_interval: 1s}]
";

pub(crate) struct Prometheus {
    folder: TempDir,
    address: String,
    process: Process,
}

/// One series of an answer.
#[derive(Debug)]
pub(crate) struct Sample {
    pub(crate) labels: BTreeMap<String, String>,
    pub(crate) value: f64,
}

impl Prometheus {
    /// Starts one with these rules, as a rule file has them; it scrapes nothing yet.
    pub(crate) fn start(rules: &str) -> Self {
        let folder = tempfile::Builder::new().prefix("line-bridge-prometheus-").tempdir();
        let folder = folder.expect("a folder for Prometheus");
        let file = |name: &str| folder.path().join(name);
        fs::write(file("prometheus.yaml"), CONFIG).expect("its configuration is written");
        fs::write(file("rules.yaml"), rules).expect("its rules are written");
        fs::write(file("targets.json"), "[]").expect("its targets are written");
        let address = format!("127.0.0.1:{}", free_port());
        let mut command = Command::new(tool("prometheus"));
        command.current_dir(folder.path()).args(["--config.file=prometheus.yaml"]);
        command.args(["--storage.tsdb.path=data", &format!("--web.listen-address={address}")]);
        let log = file("log");
        let process = Process::start(&command, folder.path(), &log, &log);
        let mut prometheus = Self { folder, address, process };
        wait_until(START_LIMIT, "Prometheus is ready", || {
            let ended = prometheus.process.ended();
            assert!(ended.is_none(), "Prometheus ended while it started:\n{}", tail(&log, 20));
            prometheus.get("/-/ready").map(drop)
        });
        prometheus
    }

    /// Scrapes these addresses from now on, and no others.
    pub(crate) fn scrape(&self, addresses: &[String]) {
        let targets = self.folder.path().join("targets.json");
        let new = self.folder.path().join("targets.new");
        fs::write(&new, json!([{"targets": addresses}]).to_string()).expect("the targets");
        fs::rename(new, targets).expect("the targets are replaced");
    }

    /// What an expression gives now.
    pub(crate) fn query(&self, expression: &str) -> Vec<Sample> {
        let answer = self.post("/api/v1/query", &[("query", expression)]);
        let answer = answer.unwrap_or_else(|error| panic!("{expression}: {error}"));
        assert_eq!(answer["status"], "success", "{expression}: {answer}");
        let result = answer["data"]["result"].as_array().expect("a vector");
        result.iter().map(sample).collect()
    }

    fn get(&self, path: &str) -> Result<String, String> {
        let url = format!("http://{}{path}", self.address);
        block_on(async {
            let answer = client()?.get(&url).send().await?.error_for_status()?;
            answer.text().await
        })
        .map_err(|error| error.to_string())
    }

    fn post(&self, path: &str, form: &[(&str, &str)]) -> Result<Value, String> {
        let url = format!("http://{}{path}", self.address);
        block_on(async { client()?.post(&url).form(form).send().await?.json().await })
            .map_err(|error: reqwest::Error| error.to_string())
    }
}

fn client() -> reqwest::Result<reqwest::Client> {
    reqwest::Client::builder().no_proxy().timeout(HTTP_LIMIT).build()
}

fn sample(series: &Value) -> Sample {
    let labels = series["metric"].as_object().expect("labels").iter();
    let text = |value: &Value| value.as_str().expect("a text").to_owned();
    Sample {
        labels: labels.map(|(name, value)| (name.clone(), text(value))).collect(),
        value: text(&series["value"][1]).parse().expect("a number"),
    }
}
