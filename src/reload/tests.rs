//! The looks, one by one, at real files; what would be told to the driver is taken from it.

use std::fs;
use std::sync::Mutex;

use tempfile::TempDir;

use super::*;
use crate::config::Strictness;
use crate::loading;

const CONFIG: &str = "\
kafka: {brokers: \"localhost:9092\", group: line-bridge}
line: {token: {env: LINE_TOKEN}}
channels: {support: a-channel}
dead_letters: {topic: dead-letters}
topics:
  orders:
    schema: orders.json
    rules:
      - name: shipped
        to: {contact: event.contactId}
        message: shipped
";
const SCHEMA: &str = r#"{"type": "object"}"#;

/// A follower, the files that it follows, and what it has put in force.
struct Followed {
    follower: Follower,
    folder: TempDir,
    applied: Arc<Mutex<Vec<Settings>>>,
    metrics: Arc<Metrics>,
}

/// A follower that knows of its files that they say what is in force.
async fn followed() -> Followed {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("bridge.yaml"), CONFIG).unwrap();
    fs::write(folder.path().join("orders.json"), SCHEMA).unwrap();
    let file = folder.path().join("bridge.yaml");
    let read = file.clone();
    let load = move || loading::load(&read, &|_| Some("token".to_owned()), Strictness::Run);
    let (loaded, topics) = load().unwrap();
    let labels: fn(&Config, &Topics) -> Labels =
        |config, _| Labels { config: config.hash().to_owned(), ..Labels::default() };
    let metrics = Arc::new(Metrics::new(&labels(&loaded.config, &topics)).unwrap());
    let (orders, mut to_obey) = mpsc::channel(4);
    let applied = Arc::new(Mutex::new(Vec::new()));
    let driven = Arc::clone(&applied);
    tokio::spawn(async move {
        while let Some(order) = to_obey.recv().await {
            let Order::Reconfigure(new) = order else { panic!("{order:?}") };
            driven.lock().unwrap().push(*new.settings);
            new.done.send(()).unwrap();
        }
    });
    let running = Running { config: loaded.config, schemas: topics.schemas() };
    let token = Arc::new(Token::load(Box::new(|| Ok("token".into()))).unwrap());
    let views = Views { settings: crate::bridge::machine_settings, labels };
    let source = Source { file, load: Arc::new(load) };
    let follower = Follower::new(source, views, token, orders, Arc::clone(&metrics), running);
    let mut followed = Followed { follower, folder, applied, metrics };
    for _ in 0..2 {
        assert!(followed.look().await.is_empty(), "nothing has changed");
    }
    followed
}

impl Followed {
    fn write(&self, file: &str, text: &str) {
        fs::write(self.folder.path().join(file), text).unwrap();
    }

    /// Looks once; returns what that puts in force.
    async fn look(&mut self) -> Vec<Settings> {
        assert!(matches!(self.follower.look().await, Ok(())));
        std::mem::take(&mut self.applied.lock().unwrap())
    }

    async fn look_twice(&mut self) -> Vec<Settings> {
        [self.look().await, self.look().await].concat()
    }

    fn figure(&self, series: &str) -> Option<String> {
        let page = self.metrics.text();
        let lines = page.lines().filter_map(|line| line.strip_prefix("line_bridge_"));
        lines.filter_map(|line| line.strip_prefix(series)).map(|rest| rest.trim().to_owned()).next()
    }

    fn reloads(&self, result: &str) -> Option<String> {
        self.figure(&format!("reloads_total{{result=\"{result}\"}}"))
    }
}

#[tokio::test]
async fn a_file_is_left_alone_until_two_looks_agree_on_it() {
    let mut followed = followed().await;
    followed.write("bridge.yaml", &CONFIG.replace("a-channel", "a"));
    assert!(followed.look().await.is_empty(), "it may be in the middle of being written");
    followed.write("bridge.yaml", &CONFIG.replace("a-channel", "a-new-channel"));
    assert!(followed.look().await.is_empty());
    let applied = followed.look().await;
    assert_eq!(applied.len(), 1);
    assert_eq!(&*applied[0].channels[0].id, "a-new-channel");
    assert!(followed.look_twice().await.is_empty(), "it is in force");
    assert_eq!(followed.reloads("applied").as_deref(), Some("1"));
}

#[tokio::test]
async fn a_schema_and_what_it_refers_to_are_followed() {
    let mut followed = followed().await;
    followed.write("common.json", r#"{"$defs": {"id": {"type": "string"}}}"#);
    followed.write("orders.json", r#"{"required": ["contactId"], "properties": {"contactId": {"$ref": "common.json#/$defs/id"}}}"#);
    let first = followed.look_twice().await;
    followed.write("common.json", r#"{"$defs": {"id": {"type": "string", "minLength": 1}}}"#);
    let second = followed.look_twice().await;
    assert_eq!((first.len(), second.len()), (1, 1));
    assert_ne!(first[0].schemas, second[0].schemas);
    assert_eq!(first[0].fingerprints, second[0].fingerprints);
    // The same schema, spelt in another way.
    followed.write("common.json", r#"{"$defs":{"id":{"type":"string","minLength":1}}}"#);
    assert!(followed.look_twice().await.is_empty());
}

#[tokio::test]
async fn what_is_bad_is_told_once_and_mended_by_what_the_change_never_named() {
    let mut followed = followed().await;
    followed.write("bridge.yaml", &CONFIG.replace("orders.json", "parcels.json"));
    for _ in 0..4 {
        assert!(followed.look().await.is_empty());
    }
    assert_eq!(followed.reloads("refused").as_deref(), Some("1"));
    assert_eq!(followed.figure("config_in_force").as_deref(), Some("0"));
    followed.write("parcels.json", "{\"type\": ");
    assert!(followed.look_twice().await.is_empty());
    assert_eq!(followed.reloads("refused").as_deref(), Some("2"), "that is another mistake");
    followed.write("parcels.json", SCHEMA);
    assert_eq!(followed.look_twice().await.len(), 1);
    assert_eq!(followed.figure("config_in_force").as_deref(), Some("1"));
}

#[tokio::test]
async fn what_is_taken_back_leaves_no_trace() {
    let mut followed = followed().await;
    followed.write("bridge.yaml", &CONFIG.replace("line-bridge", "another-group"));
    assert!(followed.look_twice().await.is_empty());
    assert_eq!(followed.reloads("needs_restart").as_deref(), Some("1"));
    let refusal = Refusal::NeedsRestart(vec!["kafka.group".to_owned()]);
    assert_eq!(followed.follower.refusal, Some(refusal));
    followed.write("bridge.yaml", CONFIG);
    assert!(followed.look_twice().await.is_empty());
    assert_eq!(followed.figure("config_in_force").as_deref(), Some("1"));
    assert_eq!(followed.reloads("applied").as_deref(), Some("0"));
}

#[tokio::test]
async fn a_file_that_is_gone_is_a_mistake_like_any_other() {
    let mut followed = followed().await;
    fs::remove_file(followed.folder.path().join("bridge.yaml")).unwrap();
    assert!(followed.look_twice().await.is_empty());
    assert_eq!(followed.reloads("refused").as_deref(), Some("1"));
}
