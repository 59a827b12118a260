//! The configurations that are shipped and shown pass without a word.

use std::fs;
use std::path::Path;

use rstest::rstest;
use tempfile::TempDir;

use crate::config::{Mistakes, Strictness};
use crate::loading;

/// The blocks of a language in the README, in order.
fn blocks(language: &str) -> Vec<String> {
    let readme = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md"));
    let readme = readme.unwrap();
    let opening = format!("```{language}\n");
    let fenced = readme.split(opening.as_str()).skip(1);
    fenced.map(|rest| rest.split("```").next().unwrap().to_owned()).collect()
}

fn said(file: &Path) -> String {
    let env = |_: &str| Some("localhost:9092".to_owned());
    match loading::load(file, &env, Strictness::Check) {
        Ok((loaded, _)) => Mistakes(loaded.warnings).to_string(),
        Err(mistakes) => mistakes.to_string(),
    }
}

#[test]
fn the_configuration_to_start_from_passes() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/line-bridge.yaml");
    let said = said(&file);
    let about_the_token = said.lines().filter(|line| line.contains("line.token.file")).count();
    assert_eq!(said.lines().count(), about_the_token, "{said}");
}

#[rstest]
#[case::of_the_quick_start(0)]
#[case::with_everything(1)]
fn a_configuration_of_the_readme_passes_with_its_schema(#[case] index: usize) {
    let folder: TempDir = tempfile::tempdir().unwrap();
    let configuration = blocks("yaml")
        .into_iter()
        .filter(|block| block.starts_with("kafka:"))
        .nth(index)
        .unwrap()
        .replace("/var/run/secrets/line/token", "token")
        .replace("http://127.0.0.1:8080", "https://127.0.0.1");
    let schema =
        blocks("json").into_iter().filter(|block| block.contains("orderId")).nth(index).unwrap();
    fs::create_dir(folder.path().join("schemas")).unwrap();
    fs::write(folder.path().join("schemas/orders.json"), schema).unwrap();
    fs::write(folder.path().join("token"), "a-token").unwrap();
    let file = folder.path().join("line-bridge.yaml");
    fs::write(&file, configuration).unwrap();
    assert_eq!(said(&file), "");
}
