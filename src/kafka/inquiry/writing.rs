//! Whether dead letters may be written, found out without writing one.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use rdkafka::message::DeliveryResult;
use rdkafka::producer::{BaseProducer, Producer as _, ProducerContext};
use rdkafka::statistics::Statistics;
use rdkafka::{ClientContext, config::RDKafkaLogLevel};

use super::super::settings::{Settings, USUAL_SIZE};
use super::{About, Finding, Severity, TRIES, TRY};

/// How often librdkafka tells what state the producer is in.
const TOLD_EVERY: Duration = Duration::from_millis(100);

/// What a producer with an id is in, in librdkafka's words (its STATISTICS.md, *eos*).
const ASSIGNED: &str = "Assigned";

/// Hears that the producer has been given its id.
#[derive(Debug, Default)]
struct ProducerIdWatch(AtomicBool);

impl ClientContext for ProducerIdWatch {
    fn stats(&self, statistics: Statistics) {
        if statistics.eos.is_some_and(|state| state.idemp_state == ASSIGNED) {
            self.0.store(true, Ordering::Relaxed);
        }
    }

    // What goes wrong comes as the producer's fatal error.
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        tracing::debug!(target: "librdkafka", ?level, facility, "{message}");
    }

    fn error(&self, error: rdkafka::error::KafkaError, reason: &str) {
        tracing::debug!(target: "librdkafka", %error, "{reason}");
    }
}

impl ProducerContext for ProducerIdWatch {
    type DeliveryOpaque = ();

    fn delivery(&self, _: &DeliveryResult<'_>, (): ()) {}
}

/// The bridge's producer is idempotent, and Kafka gives an id for that to whoever may write to some
/// topic, and to nobody else. That this topic is among them, only a dead letter would tell.
pub(super) fn check(settings: &Settings) -> Option<Finding> {
    let finding =
        |severity, message| Some(Finding { about: About::DeadLetters, severity, message });
    let mut config = settings.producer(USUAL_SIZE);
    config.set("statistics.interval.ms", TOLD_EVERY.as_millis().to_string());
    let producer: BaseProducer<ProducerIdWatch> =
        match config.create_with_context(ProducerIdWatch::default()) {
            Ok(producer) => producer,
            Err(error) => return finding(Severity::Unanswered, error.to_string()),
        };
    for _ in 0..TRIES {
        producer.poll(TRY);
        if let Some((_, cause)) = producer.client().fatal_error() {
            return finding(
                Severity::Wrong,
                format!(
                    "Kafka lets the bridge write to no topic, and so not to the dead-letter topic ({cause}); grant it Write"
                ),
            );
        }
        if producer.context().0.load(Ordering::Relaxed) {
            return None;
        }
    }
    finding(
        Severity::Unanswered,
        "whether dead letters may be written is not known: Kafka gives the producer no id"
            .to_owned(),
    )
}
