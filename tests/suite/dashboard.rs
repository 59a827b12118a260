//! The shipped dashboard: its structure, its queries, and the metrics that queries name.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use serde_json::Value;

use crate::harness::tools::checkout;

fn dashboard() -> Value {
    let text = fs::read_to_string(checkout("deploy/grafana/line-bridge.json"));
    serde_json::from_str(&text.expect("the dashboard")).expect("JSON")
}

fn panels(dashboard: &Value) -> &[Value] {
    dashboard["panels"].as_array().expect("panels")
}

fn text<'a>(value: &'a Value, field: &str) -> &'a str {
    value[field].as_str().unwrap_or_else(|| panic!("no {field} in {value}"))
}

/// Each query under its panel's title, with the variables filled in: all topics of the job
/// `line-bridge`, rates over `interval`.
pub(crate) fn queries(interval: &str) -> Vec<(String, String)> {
    let dashboard = dashboard();
    let filled = |expression: &str| {
        let filled = expression.replace("$__rate_interval", interval);
        filled.replace("$job", "line-bridge").replace("$topic", ".*")
    };
    let of_panel = |panel: &Value| {
        let title = text(panel, "title").to_owned();
        let targets = panel["targets"].as_array().cloned().unwrap_or_default();
        let query = |target: &Value| (title.clone(), filled(text(target, "expr")));
        targets.iter().map(query).collect::<Vec<_>>()
    };
    panels(&dashboard).iter().flat_map(of_panel).collect()
}

/// The names in an expression that look like a label or a metric.
fn words(expression: &str) -> impl Iterator<Item = &str> {
    let part_of_word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    expression.split(move |c| !part_of_word(c)).filter(|word| !word.is_empty())
}

/// The labels that an expression matches or groups by.
fn labels(expression: &str) -> BTreeSet<String> {
    let mut labels = BTreeSet::new();
    for matchers in expression.split('{').skip(1) {
        let matchers = matchers.split('}').next().expect("the end of the matchers");
        for matcher in matchers.split(", ") {
            labels.extend(words(matcher).next().map(str::to_owned));
        }
    }
    for keyword in [" by (", " on ("] {
        for grouped in expression.split(keyword).skip(1) {
            let grouped = grouped.split(')').next().expect("the end of the labels");
            labels.extend(words(grouped).map(str::to_owned));
        }
    }
    labels
}

/// The metrics of a page of `/metrics`, each with the labels that it has.
fn exported(page: &str) -> BTreeMap<String, BTreeSet<String>> {
    let mut exported: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for line in page.lines().filter(|line| !line.starts_with('#')) {
        let name = words(line).next().expect("a metric").to_owned();
        let inside = line.split_once('{').and_then(|(_, rest)| rest.rsplit_once('}'));
        let found = exported.entry(name).or_default();
        for label in inside.map_or("", |(labels, _)| labels).split("\",") {
            found.extend(words(label).next().map(str::to_owned));
        }
    }
    exported
}

/// Every metric and every label of the expression is one that the program exports, or that
/// Prometheus adds to what it scrapes.
pub(crate) fn assert_exported(expression: &str, page: &str) {
    let exported = exported(page);
    let mut known = BTreeSet::from(["job", "instance", "namespace"].map(str::to_owned));
    for word in words(expression) {
        if word == "ALERTS" {
            known.extend(["alertname", "alertstate"].map(str::to_owned));
        } else if word.starts_with("line_bridge_") || word.starts_with("process_") {
            let labels = exported.get(word);
            known.extend(labels.unwrap_or_else(|| panic!("{word} is not exported")).clone());
        }
    }
    let unknown: Vec<_> = labels(expression).difference(&known).cloned().collect();
    assert!(unknown.is_empty(), "no metric has {unknown:?}: {expression}");
}

#[test]
fn the_dashboard_answers_the_questions_from_top_to_bottom() {
    let dashboard = dashboard();
    let rows = panels(&dashboard).iter().filter(|panel| panel["type"] == "row");
    let rows: Vec<_> = rows.map(|row| text(row, "title")).collect();
    let questions = [
        "Are customers getting their messages?",
        "How late?",
        "What is failing, and why?",
        "Which channel?",
        "Which partition?",
        "Are we keeping up?",
    ];
    assert_eq!(rows, questions);
}

/// What Grafana would show as a broken panel, or not at all.
#[test]
fn the_dashboards_panels_are_whole_and_do_not_overlap() {
    let dashboard = dashboard();
    let (mut ids, mut taken) = (BTreeSet::new(), BTreeSet::new());
    for panel in panels(&dashboard) {
        let title = text(panel, "title");
        assert!(ids.insert(panel["id"].as_u64()), "the id of {title} is there twice");
        let place = |side: &str| panel["gridPos"][side].as_u64().expect("a place");
        assert!(place("x") + place("w") <= 24, "{title} is too wide");
        for x in place("x")..place("x") + place("w") {
            for y in place("y")..place("y") + place("h") {
                assert!(taken.insert((x, y)), "{title} lies over another panel");
            }
        }
        if panel["type"] == "row" {
            continue;
        }
        let kinds = ["stat", "timeseries", "state-timeline"];
        assert!(kinds.contains(&text(panel, "type")), "{title}");
        let mut letters = BTreeSet::new();
        for target in panel["targets"].as_array().expect("queries") {
            assert_eq!(text(&target["datasource"], "uid"), "${datasource}", "{title}");
            assert!(letters.insert(text(target, "refId")), "{title}");
        }
        assert!(!letters.is_empty(), "{title} shows nothing");
    }
    let variables = dashboard["templating"]["list"].as_array().expect("variables");
    let variables: Vec<_> = variables.iter().map(|variable| text(variable, "name")).collect();
    assert_eq!(variables, ["datasource", "job", "topic"]);
}
