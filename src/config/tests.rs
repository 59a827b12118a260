//! The whole of a configuration: what loads, and what is said of what does not.

mod described;
mod loading;
mod mistakes;
mod secrets;

use std::path::Path;

use tempfile::TempDir;

use super::{Config, Loaded, Mistakes, Strictness};

/// The smallest configuration, without its token's section.
pub(super) const MINIMAL: &str = "\
kafka: {brokers: \"localhost:9092\", group: line-bridge}
line: {token: {env: LINE_TOKEN}}
channels: {support: f6154dda-bd9a-4d03-8a77-ff3421070009}
dead_letters: {topic: line-bridge.dead-letters}
topics:
  orders:
    schema: schemas/orders.json
    rules:
      - name: shipped
        to: {contact: event.customer.contactId}
        message: shipped
";

const TOKEN: &str = "t0p-secret-token";

fn env(name: &str) -> Option<String> {
    match name {
        "LINE_TOKEN" => Some(TOKEN.to_owned()),
        "GROUP" => Some("from-environment".to_owned()),
        "NUMBER" => Some("12".to_owned()),
        "TIME" => Some("45s".to_owned()),
        "SCHEMAS" => Some("schemas".to_owned()),
        "PASSWORD" => Some("hunter2: [".to_owned()),
        "EMPTY" => Some(String::new()),
        "LONG" => Some("x".repeat(8 * 1024 + 1)),
        _ => None,
    }
}

/// A folder with the files that the configurations name.
fn folder() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("schemas")).unwrap();
    std::fs::write(folder.path().join("schemas/orders.json"), "{}").unwrap();
    std::fs::write(folder.path().join("token"), format!("{TOKEN}\n")).unwrap();
    std::fs::write(folder.path().join("empty"), "\n").unwrap();
    std::fs::write(folder.path().join("binary"), b"\xff\xfe").unwrap();
    folder
}

pub(super) fn load(source: &str, strictness: Strictness) -> Result<Loaded, Mistakes> {
    let folder = folder();
    read(source, &folder.path().join("line-bridge.yaml"), strictness)
}

fn read(source: &str, path: &Path, strictness: Strictness) -> Result<Loaded, Mistakes> {
    let read = Config::from_text(source, path, &env, strictness, &mut ());
    described::agrees(source, read.as_ref());
    read
}

/// What is said of a configuration, a line each, the folder left out.
fn said(source: &str, strictness: Strictness) -> String {
    let folder = folder();
    let mistakes = match read(source, &folder.path().join("line-bridge.yaml"), strictness) {
        Ok(loaded) => Mistakes(loaded.warnings),
        Err(mistakes) => mistakes,
    };
    short(&mistakes, folder.path())
}

fn short(mistakes: &Mistakes, folder: &Path) -> String {
    mistakes.to_string().replace(&format!("{}/", folder.display()), "")
}

/// The minimal configuration with one section put in the place of its own, or added.
pub(super) fn with(section: &str) -> String {
    let key = section.split(':').next().unwrap();
    let mut kept = String::new();
    let mut skipping = false;
    for line in MINIMAL.lines() {
        if !line.starts_with(' ') {
            skipping = line.split(':').next() == Some(key);
        }
        if !skipping {
            kept.push_str(line);
            kept.push('\n');
        }
    }
    format!("{section}\n{kept}")
}

/// The minimal configuration with these lines for its rule.
fn with_rule(rule: &str) -> String {
    let indented = format!("      - {}\n", rule.replace('\n', "\n        "));
    with(&format!("topics:\n  orders:\n    schema: schemas/orders.json\n    rules:\n{indented}"))
}
