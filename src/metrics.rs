//! Every metric once: name, labels, help. Labels are closed sets that the configuration names.

mod answers;
mod health;
mod observer;
mod positions;
mod reloads;
mod status;

use std::sync::{Mutex, PoisonError};

use prometheus::core::Collector;
use prometheus::{
    Encoder as _, Gauge, GaugeVec, Histogram, HistogramOpts, HistogramVec, IntCounter,
    IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry, TextEncoder,
};

use crate::domain::dead_letter::Reason;
use crate::domain::machine::{PauseReason, SettledAs, Status};
use crate::domain::outcome::StopReason;
use answers::LastAnswers;
use health::Health;
use positions::Positions;
pub use reloads::Reload;
use reloads::Reloads;

/// From a millisecond to the longest attempt.
const ATTEMPT_BUCKETS: [f64; 14] =
    [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0];

/// From an event that is sent at once to the day after which nothing is.
const AGE_BUCKETS: [f64; 14] =
    [0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 15.0, 60.0, 300.0, 900.0, 3_600.0, 21_600.0, 86_400.0];

/// Why a topic may be paused.
const PAUSES: [PauseReason; 3] =
    [PauseReason::Brake, PauseReason::OffsetOutOfRange, PauseReason::Paused];

/// What the labels may say.
#[derive(Clone, Debug, Default)]
pub struct Labels {
    pub topics: Vec<String>,
    /// Each rule with its topic.
    pub rules: Vec<(String, String)>,
    pub channels: Vec<String>,
    /// The hash of the configuration.
    pub config: String,
}

/// All figures, and what the probes answer.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    records: Records,
    attempts: Attempts,
    group: Group,
    topics: Vec<String>,
    /// Those that are shown.
    channels: Mutex<Vec<String>>,
    positions: Mutex<Positions>,
    answers: Mutex<LastAnswers>,
    /// As the driver told it last.
    status: Mutex<Status>,
    reloads: Reloads,
    pub health: Health,
}

/// What becomes of the records.
#[derive(Debug)]
struct Records {
    read: IntCounterVec,
    settled: IntCounterVec,
    dead_letters: IntCounterVec,
    dead_letter_failures: IntCounter,
    event_age: HistogramVec,
    held: IntGaugeVec,
    oldest_unsettled_age: GaugeVec,
    paused: IntGaugeVec,
    unread: IntGaugeVec,
}

/// What goes on between the bridge and the API.
#[derive(Debug)]
struct Attempts {
    made: IntCounterVec,
    duration: HistogramVec,
    in_flight: IntGauge,
    ambiguous: IntCounterVec,
    possible_duplicates: IntCounterVec,
    gate_state: IntGaugeVec,
    gate_wait: Histogram,
    stops: IntCounterVec,
    stopped: IntGaugeVec,
}

/// What goes on between the bridge and its consumer group.
#[derive(Debug)]
struct Group {
    commits: IntCounterVec,
    coordinator_silent: Gauge,
    rebalances: IntCounterVec,
    committed_offset: IntGaugeVec,
    lag: IntGaugeVec,
    runnable_lag: IntGaugeVec,
}

/// Registers what it is given.
struct Registrar<'a>(&'a Registry);

impl Registrar<'_> {
    fn add<M>(&self, metric: prometheus::Result<M>) -> prometheus::Result<M>
    where
        M: Collector + Clone + 'static,
    {
        let metric = metric?;
        self.0.register(Box::new(metric.clone()))?;
        Ok(metric)
    }

    fn counters(
        &self,
        name: &str,
        help: &str,
        labels: &[&str],
    ) -> prometheus::Result<IntCounterVec> {
        self.add(IntCounterVec::new(Opts::new(name, help), labels))
    }

    fn gauges(&self, name: &str, help: &str, labels: &[&str]) -> prometheus::Result<IntGaugeVec> {
        self.add(IntGaugeVec::new(Opts::new(name, help), labels))
    }

    fn histograms(
        &self,
        name: &str,
        help: &str,
        buckets: &[f64],
        labels: &[&str],
    ) -> prometheus::Result<HistogramVec> {
        let options = HistogramOpts::new(name, help).buckets(buckets.to_vec());
        self.add(HistogramVec::new(options, labels))
    }
}

impl Records {
    fn register(to: &Registrar<'_>) -> prometheus::Result<Self> {
        let age = "The age of the oldest record that is not settled, from its event's time; 0 where there is none.";
        Ok(Self {
            read: to.counters("records_total", "Records read.", &["topic"])?,
            settled: to.counters(
                "settled_total",
                "Records settled, by the worst result of their messages.",
                &["topic", "result"],
            )?,
            dead_letters: to.counters(
                "dead_letters_total",
                "Messages set aside, acknowledged by the broker.",
                &["topic", "reason"],
            )?,
            dead_letter_failures: to.add(IntCounter::new(
                "dead_letter_failures_total",
                "Dead letters that the broker did not acknowledge; each is retried.",
            ))?,
            event_age: to.histograms(
                "event_age_seconds",
                "From the event's own time until its message was accepted.",
                &AGE_BUCKETS,
                &["topic"],
            )?,
            held: to.gauges("held_records", "Records read and not settled.", &["topic"])?,
            oldest_unsettled_age: to
                .add(GaugeVec::new(Opts::new("oldest_unsettled_age_seconds", age), &["topic"]))?,
            paused: to.gauges(
                "topic_paused",
                "1 where the topic, or a partition of it, is held back, and why.",
                &["topic", "reason"],
            )?,
            unread: to.gauges(
                "unread_partitions",
                "Partitions of this member that Kafka has not let it read for a while.",
                &["topic"],
            )?,
        })
    }

    /// A series that appears only when something goes wrong can't be alerted on.
    fn start_at_zero(&self, topics: &[String]) {
        for topic in topics {
            self.read.with_label_values(&[topic]);
            self.event_age.with_label_values(&[topic]);
            self.oldest_unsettled_age.with_label_values(&[topic]);
            self.held.with_label_values(&[topic]);
            self.unread.with_label_values(&[topic]);
            for result in [SettledAs::Accepted, SettledAs::Skipped, SettledAs::DeadLettered] {
                self.settled.with_label_values(&[topic.as_str(), result.label()]);
            }
            for reason in Reason::ALL {
                self.dead_letters.with_label_values(&[topic.as_str(), reason.label()]);
            }
            for reason in PAUSES {
                self.paused.with_label_values(&[topic.as_str(), reason.label()]);
            }
        }
    }
}

impl Attempts {
    fn register(to: &Registrar<'_>) -> prometheus::Result<Self> {
        let wait = "How long a delivery that may be sent waits for its channel.";
        let wait = HistogramOpts::new("gate_wait_seconds", wait).buckets(ATTEMPT_BUCKETS.to_vec());
        Ok(Self {
            made: to.counters(
                "attempts_total",
                "HTTP attempts to send messages, by what the answer means.",
                &["channel", "outcome"],
            )?,
            duration: to.histograms(
                "attempt_duration_seconds",
                "How long an HTTP attempt took.",
                &ATTEMPT_BUCKETS,
                &["channel"],
            )?,
            in_flight: to.add(IntGauge::new("in_flight", "Attempts on the wire."))?,
            ambiguous: to.counters(
                "ambiguous_total",
                "Attempts after which nobody knows whether the customer has the message.",
                &["topic", "rule"],
            )?,
            possible_duplicates: to.counters(
                "possible_duplicates_total",
                "Attempts that may repeat a message, for one before them was ambiguous.",
                &["topic"],
            )?,
            gate_state: to.gauges(
                "gate_state",
                "Whether the channel takes deliveries: 0 open, 1 slowed, 2 stopped, 3 paused.",
                &["channel"],
            )?,
            gate_wait: to.add(Histogram::with_opts(wait))?,
            stops: to.counters(
                "stops_total",
                "Stops of a channel; \"all\" where every channel stopped.",
                &["channel", "reason"],
            )?,
            stopped: to.gauges(
                "channel_stopped",
                "1 where the channel is stopped, and why.",
                &["channel", "reason"],
            )?,
        })
    }

    fn start_at_zero(&self, labels: &Labels) {
        for topic in &labels.topics {
            self.possible_duplicates.with_label_values(&[topic]);
        }
        for (topic, rule) in &labels.rules {
            self.ambiguous.with_label_values(&[topic, rule]);
        }
        for channel in &labels.channels {
            self.gate_state.with_label_values(&[channel]);
            self.duration.with_label_values(&[channel]);
            self.made.with_label_values(&[channel.as_str(), "accepted"]);
            for reason in StopReason::ALL {
                self.stops.with_label_values(&[channel.as_str(), reason.label()]);
                self.stopped.with_label_values(&[channel.as_str(), reason.label()]);
            }
        }
        for reason in StopReason::ALL {
            self.stops.with_label_values(&["all", reason.label()]);
        }
    }
}

impl Group {
    fn register(to: &Registrar<'_>) -> prometheus::Result<Self> {
        Ok(Self {
            commits: to.counters(
                "commits_total",
                "Commits of a partition's offset.",
                &["result"],
            )?,
            coordinator_silent: to.add(Gauge::new(
                "coordinator_silent_seconds",
                "How long ago the group's coordinator was last heard of.",
            ))?,
            rebalances: to.counters(
                "rebalances_total",
                "Changes of the partitions that this member has.",
                &["kind"],
            )?,
            committed_offset: to.gauges(
                "committed_offset",
                "The committed offset, as the broker has confirmed it.",
                &["topic", "partition"],
            )?,
            lag: to.gauges(
                "consumer_lag",
                "The end of the partition's log minus the committed offset, in records.",
                &["topic", "partition"],
            )?,
            runnable_lag: to.gauges(
                "runnable_lag",
                "The lag that more members could work off: 0 while the partition is paused.",
                &["topic", "partition"],
            )?,
        })
    }

    fn start_at_zero(&self) {
        for result in ["ok", "failed"] {
            self.commits.with_label_values(&[result]);
        }
        for kind in ["assigned", "revoked", "lost"] {
            self.rebalances.with_label_values(&[kind]);
        }
    }
}

impl Metrics {
    /// Registers everything. Fails only where two metrics have one name.
    pub fn new(labels: &Labels) -> prometheus::Result<Self> {
        let registry = Registry::new_custom(Some("line_bridge".to_owned()), None)?;
        let to = Registrar(&registry);
        let records = Records::register(&to)?;
        let attempts = Attempts::register(&to)?;
        let group = Group::register(&to)?;
        let reloads = Reloads::register(&to)?;
        reloads.show(&labels.config);
        let build = to.gauges("build_info", "The program's version.", &["version"])?;
        build.with_label_values(&[env!("CARGO_PKG_VERSION")]).set(1);
        records.start_at_zero(&labels.topics);
        attempts.start_at_zero(labels);
        group.start_at_zero();
        Ok(Self {
            records,
            attempts,
            group,
            topics: labels.topics.clone(),
            channels: Mutex::new(labels.channels.clone()),
            positions: Mutex::default(),
            answers: Mutex::default(),
            status: Mutex::default(),
            reloads,
            health: Health::default(),
            registry,
        })
    }

    /// Another configuration is in force: its channels are shown, and no others. The topics are
    /// what they were.
    pub fn reconfigured(&self, labels: &Labels) {
        self.reloads.show(&labels.config);
        self.attempts.start_at_zero(labels);
        let mut channels = self.channels.lock().unwrap_or_else(PoisonError::into_inner);
        let shown = std::mem::replace(&mut *channels, labels.channels.clone());
        for gone in shown.iter().filter(|name| !labels.channels.contains(name)) {
            // A series that has no value yet is not there to be removed.
            drop(self.attempts.gate_state.remove_label_values(&[gone]));
            for reason in StopReason::ALL {
                drop(self.attempts.stopped.remove_label_values(&[gone.as_str(), reason.label()]));
            }
        }
    }

    /// What has become of changed files.
    pub fn reloaded(&self, result: Reload) {
        self.reloads.count(result);
    }

    /// Why what the files say is not in force; none where it is.
    pub fn reload_pending(&self, why: Option<Reload>) {
        self.reloads.pending(why);
    }

    /// The page that Prometheus reads, with the process's own figures.
    pub fn text(&self) -> String {
        let mut families = self.registry.gather();
        families.extend(prometheus::gather());
        let mut page = Vec::new();
        if let Err(error) = TextEncoder::new().encode(&families, &mut page) {
            tracing::error!(%error, "the metrics could not be written");
        }
        String::from_utf8_lossy(&page).into_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Names, types and help are public: dashboards and alerts are built on them.
    #[test]
    fn the_page_declares_each_metric_once() {
        let labels = Labels {
            topics: vec!["orders".to_owned()],
            rules: vec![("orders".to_owned(), "shipped".to_owned())],
            channels: vec!["support".to_owned()],
            config: "0123456789ab".to_owned(),
        };
        let metrics = Metrics::new(&labels).unwrap();
        metrics.group.lag.with_label_values(&["orders", "0"]).set(3);
        metrics.group.runnable_lag.with_label_values(&["orders", "0"]).set(3);
        metrics.group.committed_offset.with_label_values(&["orders", "0"]).set(14);
        let page = metrics.text();
        let ours = page.lines().filter(|line| line.contains("line_bridge_"));
        let declared: Vec<_> = ours.filter(|line| line.starts_with("# ")).collect();
        insta::assert_snapshot!(declared.join("\n"));
        assert!(page.contains("line_bridge_consumer_lag{partition=\"0\",topic=\"orders\"} 3"));
        assert!(page.contains("process_resident_memory_bytes"));
    }
}
