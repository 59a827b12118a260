//! From the production of an event to the arrival of its message, at a fixed rate that does not
//! wait for anybody (an open loop), beside a plain consumer that only reads.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::producer::{BaseRecord, DefaultProducerContext, Producer as _, ThreadedProducer};
use rdkafka::{Message as _, Offset, TopicPartitionList};

use crate::Plan;
use crate::arm::{Arm, PARTITIONS, Route, Stage};
use crate::events::{Keys, Source, Tag, contact, now_micros, order};
use crate::harness::wait::wait_until;
use crate::report::{Latency, Report};
use crate::sink::Sink;
use crate::statistics::{median, percentile};

/// The API's own time; an arrival is noted before it.
const API: Duration = Duration::from_millis(20);
const IN_FLIGHT: usize = 256;
const ARRIVAL_LIMIT: Duration = Duration::from_mins(1);
/// So many events at first are not counted: connections are made, limits found.
const WARM_UP_SECONDS: u64 = 3;

pub(crate) fn measure(stage: &Stage, plan: &Plan, report: &mut Report) {
    let mut arms = vec![Arm::Bridge];
    arms.extend(plan.other.iter().map(|command| Arm::Other(command.clone())));
    for rate in &plan.rates {
        for arm in &arms {
            let runs = (0..plan.runs.max(1)).map(|_| at_rate(stage, plan, arm, *rate));
            let (alone, through): (Vec<_>, Vec<_>) = runs.unzip();
            report.latency.extend([in_the_middle(&alone), in_the_middle(&through)]);
        }
    }
}

/// The medians of several runs, which are otherwise the same.
fn in_the_middle(runs: &[Latency]) -> Latency {
    let of = |figure: fn(&Latency) -> f64| median(&runs.iter().map(figure).collect::<Vec<_>>());
    Latency {
        p50_ms: of(|run| run.p50_ms),
        p99_ms: of(|run| run.p99_ms),
        highest_ms: of(|run| run.highest_ms),
        ..runs.first().expect("a run").clone()
    }
}

/// What a consumer that only reads measures, and what the arm does.
fn at_rate(stage: &Stage, plan: &Plan, arm: &Arm, rate: u64) -> (Latency, Latency) {
    let topic = stage.empty_topic();
    let sink = Sink::start(API);
    let route = Route { topic: &topic, url: &sink.url, in_flight: IN_FLIGHT, count: 0 };
    eprintln!("bench: {} at {rate} events a second", arm.label());
    let mut running = stage.spawn(arm, &route);
    running.wait_ready();
    let reader = Reader::start(stage, &topic);
    let warm = usize::try_from(rate * WARM_UP_SECONDS).expect("some events");
    let count = warm + usize::try_from(rate * plan.seconds).expect("some events");
    produce(stage, &topic, rate, count);
    wait_until(ARRIVAL_LIMIT, "every message arrives", || {
        let arrived = sink.count();
        if arrived >= count { Ok(()) } else { Err(format!("{arrived} of {count}")) }
    });
    let alone = reader.ages(count);
    running.end();
    let row = |arm: &str, ages: &[u64]| {
        let counted = ages.get(warm..).unwrap_or_default();
        Latency {
            arm: arm.to_owned(),
            rate,
            messages: counted.len(),
            p50_ms: milliseconds(percentile(counted, 0.50)),
            p99_ms: milliseconds(percentile(counted, 0.99)),
            highest_ms: milliseconds(percentile(counted, 1.0)),
        }
    };
    (row("a consumer that only reads", &alone), row(arm.label(), &sink.arrivals().ages))
}

/// Produces at a rate that follows the clock, however long the broker takes.
fn produce(stage: &Stage, topic: &str, rate: u64, count: usize) {
    let mut config = stage.kafka.client();
    config.set("linger.ms", "0");
    let producer: ThreadedProducer<DefaultProducerContext> = config.create().expect("a producer");
    let mut source = Source::new(Keys::Uniform);
    let begun = Instant::now();
    for number in 0..count {
        let due =
            Duration::from_micros(u64::try_from(number).expect("some events") * 1_000_000 / rate);
        while let Some(early) = due.checked_sub(begun.elapsed()) {
            std::thread::park_timeout(early);
        }
        let tag = Tag { produced: now_micros(), ..source.next() };
        let (key, value) = (contact(tag), order(tag));
        let sent = producer.send(BaseRecord::to(topic).key(&key).payload(&value));
        sent.map_err(|(error, _)| error).expect("room for an event");
    }
    producer.flush(ARRIVAL_LIMIT).expect("every event is acknowledged");
}

/// A consumer in a thread of its own, with the settings of line-bridge's.
struct Reader {
    stop: Arc<AtomicBool>,
    thread: std::thread::JoinHandle<Vec<u64>>,
}

impl Reader {
    fn start(stage: &Stage, topic: &str) -> Self {
        let mut config = stage.kafka.client();
        config.set("group.id", "bench-reader").set("enable.auto.commit", "false");
        let consumer: BaseConsumer = config.create().expect("a consumer");
        let mut all = TopicPartitionList::new();
        for partition in 0..PARTITIONS {
            all.add_partition_offset(topic, partition, Offset::Beginning).expect("a partition");
        }
        consumer.assign(&all).expect("an assignment");
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let thread = std::thread::spawn(move || {
            let mut ages = Vec::new();
            while !stopped.load(Ordering::Relaxed) {
                let Some(polled) = consumer.poll(Duration::from_millis(50)) else { continue };
                let message = polled.expect("a record");
                let tag = Tag::find(message.payload().unwrap_or_default());
                ages.extend(tag.map(|tag| now_micros().saturating_sub(tag.produced)));
            }
            ages
        });
        Self { stop, thread }
    }

    /// The ages of the records; all `count` have been produced long ago.
    fn ages(self, count: usize) -> Vec<u64> {
        self.stop.store(true, Ordering::Relaxed);
        let ages = self.thread.join().expect("the reader");
        assert_eq!(ages.len(), count, "the plain consumer read every record");
        ages
    }
}

#[expect(clippy::cast_precision_loss, reason = "some microseconds")]
fn milliseconds(micros: u64) -> f64 {
    micros as f64 / 1_000.0
}
