//! Which module may know which: the arrows of ARCHITECTURE.md.

use std::fs;
use std::path::{Path, PathBuf};

use rstest::rstest;

/// All sources of a module: its file, and the folder beside it.
fn sources(module: &str) -> Vec<PathBuf> {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = vec![source.join(format!("{module}.rs"))];
    let mut folders = vec![source.join(module)];
    while let Some(folder) = folders.pop() {
        let Ok(entries) = fs::read_dir(&folder) else { continue };
        for entry in entries {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                files.push(path);
            }
        }
    }
    files
}

/// The modules that a source names, as in `crate::kafka::…`.
fn named(text: &str) -> impl Iterator<Item = &str> {
    text.split("crate::").skip(1).map(|rest| {
        let end = rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '_');
        &rest[..end.unwrap_or(rest.len())]
    })
}

#[rstest]
#[case::the_core("domain", &[])]
#[case::the_driver("driver", &["domain"])]
#[case::schemas("schema", &["domain"])]
#[case::rules_beside_schemas("fit", &["config", "domain", "schema"])]
#[case::the_api("line", &["domain"])]
#[case::kafka("kafka", &["domain"])]
#[case::metrics("metrics", &["domain"])]
#[case::the_clock("clock", &["domain"])]
#[case::the_configuration("config", &["domain"])]
#[case::the_stand_in_for_the_api("sandbox", &[])]
fn a_module_knows_only(#[case] module: &str, #[case] others: &[&str]) {
    for file in sources(module) {
        let text = fs::read_to_string(&file).expect("a source");
        for name in named(&text) {
            let allowed = name == module || others.contains(&name);
            assert!(allowed, "{} names crate::{name}", file.display());
        }
    }
}

#[rstest]
#[case::rdkafka("rdkafka", &["kafka"])]
#[case::reqwest("reqwest", &["line"])]
#[case::prometheus("prometheus", &["metrics", "admin"])]
#[case::jsonschema("jsonschema", &["schema"])]
fn a_vendor_is_known_in_one_module(#[case] vendor: &str, #[case] modules: &[&str]) {
    for module in ["domain", "driver", "schema", "fit", "line", "kafka", "topics"] {
        if modules.contains(&module) {
            continue;
        }
        for file in sources(module) {
            let text = fs::read_to_string(&file).expect("a source");
            let uses = text.contains(&format!("{vendor}::"));
            assert!(!uses, "{} knows {vendor}", file.display());
        }
    }
}
