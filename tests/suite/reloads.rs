//! What changes in the files while the bridge runs, with the real program on real Kafka.

use std::fs;
use std::os::unix::fs::symlink;
use std::time::Duration;

use serde_json::Value;

use crate::events::{Event, Fate};
use crate::harness::bridge::Bridge;
use crate::harness::kafka::KafkaCluster;
use crate::harness::records::NewRecord;
use crate::harness::wait::wait_until;
use crate::stage::Stage;

const LIMIT: Duration = Duration::from_mins(1);

fn event(number: usize) -> Event {
    Event::new(number, "orders", &format!("contact-{number}"), Fate::Accepted)
}

fn wait_metric(bridge: &mut Bridge, series: &str, wanted: f64) {
    wait_until(LIMIT, series, || {
        let value = bridge.metrics().get(series);
        let reached = value.is_some_and(|value| (value - wanted).abs() < 0.5);
        if reached { Ok(()) } else { Err(format!("{value:?} instead of {wanted}")) }
    });
}

fn wait_reloads(bridge: &mut Bridge, result: &str, count: f64) {
    wait_metric(bridge, &format!("line_bridge_reloads_total{{result=\"{result}\"}}"), count);
}

fn status(bridge: &mut Bridge) -> Value {
    serde_json::from_str(&bridge.get("/status").1).expect("JSON")
}

/// The configuration of a stage whose messages begin with this word, its rule paused or not.
fn saying(stage: &Stage<'_>, word: &str, paused: bool) -> String {
    let config = stage.config().replace("{% else %}orders\n", &format!("{{% else %}}{word}\n"));
    assert!(config.contains(word), "{config}");
    config.replace("- name: tell\n", &format!("- name: tell\n        paused: {paused}\n"))
}

fn texts(stage: &Stage<'_>) -> Vec<String> {
    stage.sandbox.inbox().messages().iter().map(|message| message.text.clone()).collect()
}

#[test]
fn a_wrong_text_is_paused_and_what_was_held_goes_out_corrected_and_once() {
    let stage = Stage::of(KafkaCluster::shared(), &["orders"], 2);
    let mut bridge = stage.workspace.run(&saying(&stage, "Wrong", false));
    stage.produce(&[event(0)]);
    stage.wait_accepted(1, LIMIT);
    stage.workspace.file("bridge.yaml", &saying(&stage, "Wrong", true));
    wait_reloads(&mut bridge, "applied", 1.0);
    let events: Vec<_> = (1..10).map(event).collect();
    stage.produce(&events);
    let topic = &stage.topics["orders"];
    wait_metric(&mut bridge, &format!("line_bridge_held_records{{topic=\"{topic}\"}}"), 9.0);
    let partitions = status(&mut bridge)["partitions"].clone();
    let oldest = partitions.as_array().expect("partitions").iter();
    let waits: Vec<_> = oldest.map(|held| held["oldest_unsettled"]["waits_for"].clone()).collect();
    assert!(waits.contains(&Value::from("rule `tell`, which is paused")), "{waits:?}");
    assert_eq!(texts(&stage).len(), 1);
    // What is corrected while it is paused goes out as soon as it is not.
    stage.workspace.file("bridge.yaml", &saying(&stage, "Right", true));
    wait_reloads(&mut bridge, "applied", 2.0);
    stage.workspace.file("bridge.yaml", &saying(&stage, "Right", false));
    stage.wait_committed(LIMIT);
    let (wrong, right): (Vec<_>, Vec<_>) =
        texts(&stage).into_iter().partition(|text| text.starts_with("Wrong"));
    assert_eq!((wrong.len(), right.len()), (1, 9), "{right:?}");
    assert_eq!(stage.accepted().len(), 10, "each once");
    assert!(bridge.drain(LIMIT).success());
    assert!(!bridge.stderr().contains("contact-"));
}

#[test]
fn a_paused_topic_and_a_paused_channel_hold_until_they_are_not_any_more() {
    let stage = Stage::of(KafkaCluster::shared(), &["orders"], 1);
    let (topic, config) = (stage.topics["orders"].clone(), stage.config());
    let of_topic = config.replace("unmatched:", "paused: true\n    unmatched:");
    let of_channel = config
        .replace("orders: channel-of-orders", "orders: {id: channel-of-orders, paused: true}");
    let mut bridge = stage.workspace.run(&of_topic);
    let paused = format!("line_bridge_topic_paused{{reason=\"paused\",topic=\"{topic}\"}}");
    wait_metric(&mut bridge, &paused, 1.0);
    stage.produce(&[event(0), Event::new(1, "orders", "contact-1", Fate::Schema)]);
    let held = format!("line_bridge_held_records{{topic=\"{topic}\"}}");
    wait_metric(&mut bridge, &held, 2.0);
    assert!(stage.letters().is_empty(), "a paused topic sets nothing aside");
    stage.workspace.file("bridge.yaml", &of_channel);
    wait_metric(&mut bridge, "line_bridge_gate_state{channel=\"orders\"}", 3.0);
    wait_metric(&mut bridge, &paused, 0.0);
    wait_metric(&mut bridge, &held, 1.0);
    let waits = &status(&mut bridge)["partitions"][0]["oldest_unsettled"]["waits_for"];
    assert_eq!(*waits, "channel `orders`, which is paused");
    assert_eq!((texts(&stage).len(), stage.letters().len()), (0, 1));
    stage.workspace.file("bridge.yaml", &config);
    stage.wait_committed(LIMIT);
    assert_eq!(texts(&stage).len(), 1);
    wait_metric(&mut bridge, "line_bridge_gate_state{channel=\"orders\"}", 0.0);
    assert!(bridge.drain(LIMIT).success());
}

#[test]
fn a_bad_file_is_refused_once_and_the_old_one_goes_on() {
    let stage = Stage::of(KafkaCluster::shared(), &["orders"], 1);
    let config = stage.config();
    let mut bridge = stage.workspace.run(&config);
    let hash = status(&mut bridge)["config"].clone();
    stage.workspace.file("bridge.yaml", &config.replace("unmatched: dead_letter", "unmatched: no"));
    wait_reloads(&mut bridge, "refused", 1.0);
    wait_metric(&mut bridge, "line_bridge_config_in_force", 0.0);
    stage.produce(&[event(0)]);
    stage.wait_accepted(1, LIMIT);
    // A second mistake is another one to tell of.
    stage.workspace.file("bridge.yaml", &config.replace("kafka:", "kafak:"));
    wait_reloads(&mut bridge, "refused", 2.0);
    let told = bridge.stderr().matches("configuration is refused").count();
    assert_eq!(told, 2, "each is told once");
    assert!(bridge.stderr().contains("did you mean `kafka`?"), "{}", bridge.stderr());
    let now = status(&mut bridge);
    assert_eq!((&now["config"], &now["config_pending"]), (&hash, &Value::from("refused")));
    // What only a restart can change is refused as a whole.
    let both = config.replace("group: group", "group: other").replace("brake: 50", "brake: 49");
    stage.workspace.file("bridge.yaml", &both);
    wait_reloads(&mut bridge, "needs_restart", 1.0);
    assert!(bridge.stderr().contains("kafka.group"), "{}", bridge.stderr());
    stage.workspace.file("bridge.yaml", &config);
    wait_metric(&mut bridge, "line_bridge_config_in_force", 1.0);
    assert_eq!(status(&mut bridge)["config"], hash);
    wait_reloads(&mut bridge, "applied", 0.0);
    assert!(bridge.drain(LIMIT).success());
}

#[test]
fn a_config_map_and_a_secret_are_followed_through_their_symbolic_links() {
    let stage = Stage::of(KafkaCluster::shared(), &["orders"], 1);
    let volume = stage.workspace.path().join("volume");
    let schema = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/schemas/orders.json"));
    let common = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/schemas/common.json"));
    let config = saying(&stage, "First", false)
        .replace(concat!(env!("CARGO_MANIFEST_DIR"), "/schemas/"), "");
    // As the kubelet lays a volume out: files are links through `..data` to a folder with a date.
    let publish = |name: &str, files: &[(&str, &str)]| {
        for (file, text) in files {
            stage.workspace.file(&format!("volume/{name}/{file}"), text);
        }
        symlink(name, volume.join("..data_tmp")).expect("a link");
        fs::rename(volume.join("..data_tmp"), volume.join("..data")).expect("a swap");
    };
    let first = [
        ("bridge.yaml", config.as_str()),
        ("orders.json", schema),
        ("common.json", common),
        ("token", "a-token-of-the-past"),
    ];
    publish("..1", &first);
    for (file, _) in first {
        symlink(format!("..data/{file}"), volume.join(file)).expect("a link");
    }
    let mut bridge = stage.workspace.start(&["run", "--config", "volume/bridge.yaml"]);
    stage.produce(&[event(0)]);
    let stops = "line_bridge_stops_total{channel=\"all\",reason=\"unauthorized\"}";
    wait_metric(&mut bridge, stops, 1.0);
    // Another token, and nothing else.
    publish("..2", &[first[0], first[1], first[2], ("token", crate::stage::TOKEN)]);
    stage.wait_accepted(1, LIMIT);
    wait_reloads(&mut bridge, "applied", 1.0);
    // Another text, and a schema that asks for more.
    let second = config.replace("First", "Second");
    let strict = schema.replacen("\"required\": [", "\"required\": [\"lostAt\", ", 1);
    assert_ne!(schema, strict);
    let token = ("token", crate::stage::TOKEN);
    publish("..3", &[("bridge.yaml", &second), first[1], first[2], token]);
    wait_reloads(&mut bridge, "applied", 2.0);
    stage.produce(&[event(1)]);
    stage.wait_accepted(2, LIMIT);
    assert!(texts(&stage)[1].starts_with("Second"));
    publish("..4", &[("bridge.yaml", &second), ("orders.json", &strict), first[2], token]);
    wait_reloads(&mut bridge, "applied", 3.0);
    stage.produce(&[event(2)]);
    stage.wait_committed(LIMIT);
    let letters = stage.kafka.consume_all(&stage.dead_letters);
    assert_eq!(letters[0].header("line-bridge-reason"), Some("schema"));
    // A pause is in force although the token is being replaced, and is none yet.
    let paused = second.replace("paused: false", "paused: true");
    let no_token = ("token", "not yet\n");
    publish("..5", &[("bridge.yaml", &paused), ("orders.json", &strict), first[2], no_token]);
    wait_reloads(&mut bridge, "applied", 4.0);
    wait_reloads(&mut bridge, "refused", 1.0);
    assert!(bridge.drain(LIMIT).success());
}

#[test]
fn sighup_asks_for_a_look_and_is_told_of_what_is_wrong_again() {
    let stage = Stage::of(KafkaCluster::shared(), &["orders"], 1);
    let mut bridge = stage.start();
    wait_until(LIMIT, "it is ready", || {
        let (status, said) = bridge.get("/readyz");
        if status == 200 { Ok(()) } else { Err(said) }
    });
    stage.workspace.file("bridge.yaml", "kafka: {}\n");
    wait_reloads(&mut bridge, "refused", 1.0);
    bridge.signal("HUP");
    wait_reloads(&mut bridge, "refused", 2.0);
    let tombstone = NewRecord::tombstone().key("still at work");
    stage.kafka.produce(&stage.topics["orders"], [tombstone]);
    stage.wait_committed(LIMIT);
    assert!(bridge.drain(LIMIT).success());
}

#[test]
fn a_dry_run_beside_the_bridge_says_what_a_pause_would_hold() {
    let stage = Stage::of(KafkaCluster::shared(), &["orders"], 1);
    let mut bridge = stage.start();
    stage.workspace.file("new.yaml", &saying(&stage, "Right", true));
    let mut dry = stage.dry_run("new.yaml");
    stage.produce(&[event(0)]);
    wait_until(LIMIT, "the dry run tells of the event", || {
        let said = dry.stderr();
        if said.contains("would hold back") && said.contains("\"paused\":\"rule\"") {
            Ok(())
        } else {
            Err(said)
        }
    });
    stage.wait_accepted(1, LIMIT);
    assert!(dry.drain(LIMIT).success());
    assert!(bridge.drain(LIMIT).success());
}
