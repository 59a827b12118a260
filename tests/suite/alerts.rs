//! A real Prometheus watches the real program through its troubles: each shipped alert is seen to
//! fire and to clear, the dashboard shows something, and the autoscaler asks for what it should.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::time::Duration;

use line_bridge::sandbox::{Fault, Faults, Rule};
use serde_json::Value;

use crate::dashboard;
use crate::events::{Event, Fate};
use crate::harness::bridge::Bridge;
use crate::harness::kafka::KafkaCluster;
use crate::harness::prometheus::Prometheus;
use crate::harness::run_tool;
use crate::harness::tools::{checkout, helm};
use crate::harness::wait::wait_until;
use crate::stage::{Stage, channel_id};

const LIMIT: Duration = Duration::from_mins(2);

/// The chart's alerts and its autoscaler's query, with a second for every minute.
struct Shipped {
    rules: Value,
    scaling: String,
}

impl Shipped {
    fn hurried() -> Self {
        let chart = checkout("deploy/helm/line-bridge");
        let values = fs::read_to_string(chart.join("values.yaml")).expect("the values");
        let values: Value = serde_saphyr::from_str(&values).expect("YAML");
        let durations = values["prometheusRule"]["durations"].as_object().expect("durations");
        let hurried = durations.iter().map(|(name, duration)| {
            let duration = duration.as_str().expect("a duration");
            let seconds = match name.as_str() {
                // A failed commit is tried again only when the brokers have not answered for the
                // session timeout, and a refused dead letter after up to 10 s.
                "commitsFailOver" | "deadLettersRefusedOver" => "30s".to_owned(),
                _ => duration.replace('m', "s"),
            };
            format!("prometheusRule.durations.{name}={seconds}")
        });
        let hurried: Vec<_> = hurried.collect();
        let given = checkout("tests/deploy/values/everything.yaml").display().to_string();
        let chart = chart.display().to_string();
        let one = |kind: &str| {
            let template = format!("templates/{kind}.yaml");
            let mut command = helm(&["template", "b", &chart, "--values", &given]);
            command.args(["--show-only", &template, "--set", "prometheusRule.job=line-bridge"]);
            command.args(["--set", &hurried.join(",")]);
            let manifest: Value = serde_saphyr::from_str(&run_tool(&mut command)).expect("YAML");
            manifest["spec"].clone()
        };
        let scaling = &one("scaledobject")["triggers"][0]["metadata"]["query"];
        Self {
            rules: one("prometheusrule"),
            scaling: scaling.as_str().expect("a query").to_owned(),
        }
    }

    fn names(&self) -> BTreeSet<String> {
        let rules = self.rules["groups"][0]["rules"].as_array().expect("rules");
        let name = |rule: &Value| rule["alert"].as_str().expect("an alert").to_owned();
        rules.iter().map(name).collect()
    }
}

struct Watched<'k> {
    stage: Stage<'k>,
    bridge: Bridge,
    prometheus: Prometheus,
    produced: usize,
    fired: BTreeSet<String>,
}

impl<'k> Watched<'k> {
    fn start(kafka: &'k KafkaCluster, shipped: &Shipped) -> Self {
        let mut stage = Stage::of(kafka, &["orders", "payments", "logins", "deliveries"], 2);
        stage.properties.push(("session.timeout.ms", "10000".to_owned()));
        stage.timeout = "3s";
        let bridge = stage.start();
        let prometheus = Prometheus::start(&shipped.rules.to_string());
        let fired = BTreeSet::new();
        let mut watched = Self { stage, bridge, prometheus, produced: 0, fired };
        watched.scrape();
        watched
    }

    fn scrape(&mut self) {
        self.prometheus.scrape(&[self.bridge.admin_address()]);
    }

    fn produce(&mut self, kind: &'static str, count: usize, fate: Fate) {
        let numbers = self.produced..self.produced + count;
        self.produced += count;
        let event = |number| Event::new(number, kind, &format!("contact-{number}"), fate);
        self.stage.produce(&numbers.map(event).collect::<Vec<_>>());
    }

    /// Waits until an alert has fired whose labels say this, at whatever time since the start.
    fn has_fired(&mut self, alert: &str, labels: &[(&str, &str)]) {
        let expression =
            format!("max_over_time(ALERTS{{alertname=\"{alert}\", alertstate=\"firing\"}}[1h])");
        let wanted: BTreeMap<_, _> = labels.iter().copied().collect();
        wait_until(LIMIT, &format!("{alert} {labels:?} fires"), || {
            let seen = self.prometheus.query(&expression);
            let fits = |(name, value): (&&str, &&str),
                        sample: &crate::harness::prometheus::Sample| {
                sample.labels.get(*name).is_some_and(|found| found == value)
            };
            let fired = seen.iter().any(|sample| wanted.iter().all(|label| fits(label, sample)));
            if fired { Ok(()) } else { Err(format!("{seen:?}")) }
        });
        self.fired.insert(alert.to_owned());
    }

    /// Waits until none of these alerts fires or is about to.
    fn clear(&self, alerts: &[&str]) {
        let expression = format!("ALERTS{{alertname=~\"{}\"}}", alerts.join("|"));
        wait_until(LIMIT, &format!("{alerts:?} clear"), || {
            let left = self.prometheus.query(&expression);
            if left.is_empty() { Ok(()) } else { Err(format!("{left:?}")) }
        });
    }

    fn wait_query(&self, expression: &str, wanted: f64) {
        wait_until(LIMIT, &format!("{expression} gives {wanted}"), || {
            let seen = self.prometheus.query(expression);
            let fits = seen.iter().any(|sample| (sample.value - wanted).abs() < 0.5);
            if fits { Ok(()) } else { Err(format!("{seen:?}")) }
        });
    }

    fn topic(&self, kind: &str) -> String {
        self.stage.topics[kind].clone()
    }
}

#[test]
fn each_alert_fires_and_clears() {
    let shipped = Shipped::hurried();
    let kafka = KafkaCluster::private();
    let mut watched = Watched::start(&kafka, &shipped);
    in_good_order(&mut watched, &shipped);
    in_trouble(&mut watched);
    what_is_shown_in_trouble(&mut watched, &shipped);
    mended(&mut watched, &shipped);
    without_brokers(&mut watched);
    without_a_bridge(&mut watched);
    // That takes a cluster with rights, or one that loses a leader and not its coordinator; see `rights`.
    watched.fired.insert("LineBridgePartitionsUnread".to_owned());
    assert_eq!(watched.fired, shipped.names());
}

fn in_good_order(watched: &mut Watched<'_>, shipped: &Shipped) {
    for kind in ["orders", "payments", "logins", "deliveries"] {
        watched.produce(kind, 40, Fate::Accepted);
    }
    watched.stage.wait_committed(LIMIT);
    watched.wait_query("sum(line_bridge_settled_total)", 160.0);
    watched.wait_query("sum(line_bridge_consumer_lag)", 0.0);
    // Nothing to be worked off.
    watched.wait_query(&shipped.scaling, 0.0);
    let alerts: Vec<_> = shipped.names().into_iter().collect();
    watched.clear(&alerts.iter().map(String::as_str).collect::<Vec<_>>());
}

/// All at once, each on a topic and a channel of its own.
fn in_trouble(watched: &mut Watched<'_>) {
    let status = |status| Fault::Status { status, body: None, content_type: None, accept: false };
    let on = |fault, kind: &str| Rule::always(fault).for_channel(&channel_id(kind));
    let cut = Rule::every(3, Fault::ResetAfterAcceptance {}).for_channel(&channel_id("logins"));
    let rules = vec![on(status(502), "orders"), on(status(403), "deliveries"), cut];
    watched.stage.sandbox.set_faults(Faults { rules, ..Faults::default() }).expect("faults");
    watched.stage.kafka.configure_topic(&watched.stage.dead_letters, &[("max.message.bytes", "1")]);
    watched.produce("orders", 20, Fate::Accepted);
    watched.produce("deliveries", 20, Fate::Accepted);
    watched.produce("logins", 60, Fate::Accepted);
    watched.produce("payments", 60, Fate::Schema);
    let [orders, payments, logins] =
        ["orders", "payments", "logins"].map(|kind| watched.topic(kind));
    watched.has_fired("LineBridgeAmbiguous", &[("topic", &logins), ("rule", "tell")]);
    watched.has_fired("LineBridgePossibleDuplicates", &[("topic", &logins)]);
    let stopped = [("channel", "orders"), ("reason", "outage")];
    watched.has_fired("LineBridgeChannelStopped", &stopped);
    let refused = [("channel", "deliveries"), ("reason", "forbidden")];
    watched.has_fired("LineBridgeAuthFault", &refused);
    watched.has_fired("LineBridgeOldestUnsettled", &[("topic", &orders)]);
    watched.has_fired("LineBridgeFrontierStandsStill", &[("topic", &orders)]);
    watched.has_fired("LineBridgeDeadLettersRefused", &[]);
    watched.stage.kafka.configure_topic(&watched.stage.dead_letters, &[]);
    watched.has_fired("LineBridgeDeadLetters", &[("topic", &payments), ("reason", "schema")]);
    watched.has_fired("LineBridgeTopicPaused", &[("topic", &payments), ("reason", "brake")]);
    let mistaken = watched.stage.config().replace("brake: 50", "brake: many");
    watched.stage.workspace.file("bridge.yaml", &mistaken);
    watched.has_fired("LineBridgeConfigNotInForce", &[("job", "line-bridge")]);
}

fn what_is_shown_in_trouble(watched: &mut Watched<'_>, shipped: &Shipped) {
    // As many instances as there are, whatever the lag: 1,000 records are worth one.
    watched.wait_query(&shipped.scaling, 1000.0);
    for (panel, expression) in dashboard::queries("30s") {
        wait_until(LIMIT, &format!("the panel {panel} shows something"), || {
            let shown = watched.prometheus.query(&expression);
            if shown.is_empty() { Err(expression.clone()) } else { Ok(()) }
        });
    }
    let page = watched.bridge.get("/metrics").1;
    let rules = shipped.rules["groups"][0]["rules"].as_array().expect("rules");
    let rules = rules.iter().map(|rule| rule["expr"].as_str().expect("an expression").to_owned());
    let panels = dashboard::queries("30s").into_iter().map(|(_, expression)| expression);
    for expression in rules.chain(panels).chain([shipped.scaling.clone()]) {
        dashboard::assert_exported(&expression, &page);
    }
}

fn mended(watched: &mut Watched<'_>, shipped: &Shipped) {
    watched.stage.sandbox.set_faults(Faults::default()).expect("no faults");
    watched.stage.workspace.file("bridge.yaml", &watched.stage.config());
    watched.clear(&[
        "LineBridgeConfigNotInForce",
        "LineBridgeAmbiguous",
        "LineBridgePossibleDuplicates",
        "LineBridgeChannelStopped",
        "LineBridgeAuthFault",
        "LineBridgeDeadLettersRefused",
        "LineBridgeDeadLetters",
    ]);
    // What the brake holds back, no further instance could work off.
    watched.wait_query("sum(line_bridge_consumer_lag > bool 0) > bool 0", 1.0);
    watched.wait_query(&shipped.scaling, 0.0);
}

fn without_brokers(watched: &mut Watched<'_>) {
    let slow = Faults { latency_ms: 300, ..Faults::default() };
    watched.stage.sandbox.set_faults(slow).expect("faults");
    watched.produce("logins", 400, Fate::Accepted);
    let before = watched.stage.sandbox.inbox().messages().len();
    watched.stage.wait_accepted(before + 20, LIMIT);
    watched.stage.kafka.kill_broker();
    watched.has_fired("LineBridgeCommitsFail", &[]);
    watched.stage.kafka.start_broker();
    watched.stage.sandbox.set_faults(Faults::default()).expect("no faults");
    watched.clear(&["LineBridgeCommitsFail"]);
}

/// A restart also ends the brake.
fn without_a_bridge(watched: &mut Watched<'_>) {
    assert!(watched.bridge.drain(Duration::from_secs(40)).success());
    watched.has_fired("LineBridgeAbsent", &[("job", "line-bridge")]);
    watched.bridge = watched.stage.start();
    watched.scrape();
    watched.stage.wait_committed(LIMIT);
    watched.clear(&["LineBridgeAbsent", "LineBridgeTopicPaused"]);
    watched.clear(&["LineBridgeOldestUnsettled", "LineBridgeFrontierStandsStill"]);
}
