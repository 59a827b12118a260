//! Several instances under every fault that can be made: the same guarantees for each scenario.
//!
//! 20,000 events in all, in 12 partitions, over keys that follow Zipf's law; as many a scenario as
//! `LINE_BRIDGE_FLEET_EVENTS` says in a longer run. Each scenario prints its figures.

use std::time::Duration;

use line_bridge::sandbox::{Fault, Faults, RetryAfter, Rule};

use crate::events::{Event, Fate, refused_contacts};
use crate::harness::bridge::Bridge;
use crate::harness::kafka::KafkaCluster;
use crate::harness::wait::wait_until;
use crate::stage::{Stage, counted};
use crate::stream::in_order;

/// Of one scenario.
const EVENTS: usize = 3_400;
const PARTITIONS: i32 = 12;
const CONTACTS: usize = 500;
const MAX_IN_FLIGHT: usize = 64;
/// An event may take so long, and a scenario no less than three minutes.
const LIMIT_PER_EVENT: Duration = Duration::from_millis(50);
const LEAST_LIMIT: Duration = Duration::from_mins(3);

struct Fleet<'k> {
    stage: Stage<'k>,
    events: Vec<Event>,
    bridges: Vec<Bridge>,
    kills: usize,
}

impl<'k> Fleet<'k> {
    /// So many instances, and the events of which one in `bad` breaks the schema.
    fn new(kafka: &'k KafkaCluster, instances: usize, bad: usize) -> Self {
        let mut stage = Stage::of(kafka, &["orders"], PARTITIONS);
        stage.delivery = format!("  max_in_flight: {MAX_IN_FLIGHT}\n");
        stage.properties.push(("session.timeout.ms", "10000".to_owned()));
        stage.timeout = "3s";
        stage.sandbox.set_faults(healthy()).expect("faults");
        let events = zipf_events(bad);
        stage.produce(&events);
        let mut fleet = Self { stage, events, bridges: Vec::new(), kills: 0 };
        for _ in 0..instances {
            fleet.start_one();
        }
        fleet
    }

    fn start_one(&mut self) {
        self.bridges.push(self.stage.start());
    }

    /// Ends the oldest instance in an orderly way.
    fn stop_one(&mut self) {
        assert!(self.bridges.remove(0).drain(Duration::from_secs(40)).success());
    }

    fn kill_one(&mut self) {
        self.bridges.remove(0).kill();
        self.kills += 1;
    }

    /// How long a scenario may take for what it waits for.
    fn limit(&self) -> Duration {
        let events = u32::try_from(self.events.len()).expect("some events");
        LEAST_LIMIT.max(LIMIT_PER_EVENT * events)
    }

    /// Waits until this part of the events, in hundredths, is settled.
    fn wait_part(&self, hundredths: usize) {
        let wanted = self.events.len() * hundredths / 100;
        self.stage.wait_accepted(wanted - wanted / 20, self.limit());
    }

    /// Checks the guarantees once everything is settled. `most_repeated` is what the scenario may
    /// repeat beside what the instances have counted.
    fn judge(mut self, scenario: &str, most_repeated: usize) {
        self.stage.wait_committed(self.limit());
        let (accepted, letters) = (self.stage.accepted(), self.stage.letters());
        let set_aside = |event: &&Event| letters.contains_key(&event.id);
        let lost = |event: &&Event| !accepted.contains_key(&event.id) && !set_aside(event);
        let lost: Vec<_> = self.events.iter().filter(lost).map(|event| &event.id).collect();
        let wrongly = self.events.iter().filter(set_aside);
        let wrongly = wrongly.filter(|event| event.fate == Fate::Accepted).count();
        let repeated = self.stage.repeated();
        let counted_by_them: f64 = self
            .bridges
            .iter_mut()
            .map(|bridge| bridge.metrics().sum("line_bridge_possible_duplicates_total"))
            .sum();
        println!(
            "| {scenario} | {} events | lost {} | set aside wrongly {wrongly} | repeated {repeated} (may: {}) |",
            self.events.len(),
            lost.len(),
            counted(most_repeated) + counted_by_them,
        );
        assert!(lost.is_empty(), "lost: {lost:?}");
        assert_eq!(wrongly, 0);
        assert!(repeated <= counted(most_repeated) + counted_by_them);
        in_order(&self.stage, &self.events);
        for mut bridge in self.bridges {
            assert!(bridge.drain(Duration::from_secs(40)).success());
        }
    }
}

fn healthy() -> Faults {
    let refused_contacts = refused_contacts().into_iter().collect();
    Faults { latency_ms: 10, refused_contacts, ..Faults::default() }
}

fn failing(rules: Vec<Rule>) -> Faults {
    Faults { rules, ..healthy() }
}

/// The contact number k is met in proportion to 1/k.
fn zipf_events(bad: usize) -> Vec<Event> {
    let mut random = fastrand::Rng::with_seed(42);
    let weights: Vec<f64> = (1..=CONTACTS).map(|k| 1.0 / counted(k)).collect();
    let all: f64 = weights.iter().sum();
    let mut contact = || {
        let mut at = random.f64() * all;
        weights.iter().position(|weight| {
            at -= weight;
            at < 0.0
        })
    };
    let event = |number: usize| {
        let contact = format!("contact-{}", contact().unwrap_or(0));
        let fate = if number % bad == bad - 1 { Fate::Schema } else { Fate::Accepted };
        Event::new(number, "orders", &contact, fate)
    };
    let wanted = std::env::var("LINE_BRIDGE_FLEET_EVENTS").ok();
    let events = wanted.map_or(EVENTS, |wanted| wanted.parse().expect("a number of events"));
    (0..events).map(event).collect()
}

#[test]
fn a_rolling_restart_loses_and_repeats_nothing() {
    let mut fleet = Fleet::new(KafkaCluster::shared(), 3, 50);
    fleet.wait_part(25);
    for _ in 0..3 {
        fleet.stop_one();
        fleet.start_one();
    }
    fleet.judge("rolling restart of 3", 0);
}

#[test]
fn scaling_up_and_down_loses_and_repeats_nothing() {
    let mut fleet = Fleet::new(KafkaCluster::shared(), 1, 50);
    fleet.wait_part(10);
    for _ in 0..3 {
        fleet.start_one();
    }
    fleet.wait_part(50);
    fleet.stop_one();
    fleet.stop_one();
    fleet.judge("scaled from 1 to 4 and down to 2", 0);
}

#[test]
fn kill_9_again_and_again_loses_nothing_and_repeats_within_the_bound() {
    let mut fleet = Fleet::new(KafkaCluster::shared(), 3, 50);
    for part in [20, 40, 60, 80] {
        fleet.wait_part(part);
        fleet.kill_one();
        fleet.start_one();
    }
    let bound = fleet.kills * 2 * MAX_IN_FLIGHT;
    fleet.judge("kill -9, four times", bound);
}

#[test]
fn a_broker_that_is_away_for_a_while_loses_nothing() {
    let kafka = KafkaCluster::private();
    let fleet = Fleet::new(&kafka, 3, 50);
    fleet.wait_part(30);
    kafka.kill_broker();
    // Each instance goes on until as much is uncommitted as may be.
    let before = fleet.stage.sandbox.inbox().stats().accepted;
    let mut last = before;
    wait_until(Duration::from_secs(30), "nothing more is sent", || {
        let now = fleet.stage.sandbox.inbox().stats();
        let still = now.accepted == std::mem::replace(&mut last, now.accepted);
        if still && now.in_flight == 0 { Ok(()) } else { Err(format!("{} accepted", now.accepted)) }
    });
    kafka.start_broker();
    let bound = 3 * 2 * MAX_IN_FLIGHT;
    fleet.judge("broker killed and started", bound);
}

#[test]
fn an_api_in_every_kind_of_trouble_loses_nothing_and_repeats_what_is_counted() {
    let fleet = Fleet::new(KafkaCluster::shared(), 3, 50);
    let status = |status| Fault::Status { status, body: None, content_type: None, accept: false };
    let limited = Fault::RateLimited { retry_after: Some(RetryAfter::Seconds(1)) };
    let hang = |accept| Fault::Hang { accept, max_seconds: 10 };
    let troubles = [
        failing(vec![Rule::always(status(502))]),
        Faults { latency_ms: 500, ..healthy() },
        failing(vec![Rule::sometimes(0.5, status(500)), Rule::sometimes(0.2, limited)]),
        failing(vec![Rule::every(25, hang(false)), Rule::every(30, hang(true))]),
        failing(vec![
            Rule::every(20, Fault::ResetBeforeAcceptance {}),
            Rule::every(20, Fault::ResetAfterAcceptance {}),
        ]),
        failing(vec![Rule::always(Fault::RateLimited { retry_after: None })]),
    ];
    let inbox = fleet.stage.sandbox.inbox();
    for (number, trouble) in troubles.into_iter().enumerate() {
        fleet.wait_part(number * 14);
        let before = inbox.stats().attempts;
        fleet.stage.sandbox.set_faults(trouble).expect("faults");
        wait_until(fleet.limit(), "the trouble is met", || {
            let met = inbox.stats().attempts - before;
            if met >= 8 { Ok(()) } else { Err(format!("{met} attempts")) }
        });
        fleet.stage.sandbox.set_faults(healthy()).expect("faults");
    }
    fleet.judge("API down, slow, flapping, hanging, cutting, limiting", 0);
}

#[test]
fn a_dead_letter_topic_that_refuses_holds_its_records_and_loses_none() {
    let kafka = KafkaCluster::shared();
    let mut fleet = Fleet::new(kafka, 0, 10);
    kafka.configure_topic(&fleet.stage.dead_letters, &[("max.message.bytes", "1")]);
    for _ in 0..3 {
        fleet.start_one();
    }
    fleet.wait_part(90);
    wait_until(fleet.limit(), "dead letters are refused", || {
        let failures =
            |bridge: &mut Bridge| bridge.metrics().sum("line_bridge_dead_letter_failures_total");
        let refused: f64 = fleet.bridges.iter_mut().map(failures).sum();
        if refused >= 10.0 { Ok(()) } else { Err(refused) }
    });
    let (committed, end) = fleet.stage.progress();
    assert!(committed < end, "what has no dead letter yet is not passed");
    assert!(fleet.stage.letters().is_empty());
    kafka.configure_topic(&fleet.stage.dead_letters, &[]);
    fleet.judge("dead-letter topic that refuses for a while", 0);
}
