//! A broker within the process, for the demonstration: librdkafka's mock cluster. It keeps nothing
//! and proves nothing about durability.

use std::sync::mpsc;

use rdkafka::error::KafkaError;
use rdkafka::mocking::MockCluster;

/// A running mock cluster; it ends when this is dropped.
#[derive(Debug)]
pub struct EmbeddedBroker {
    pub brokers: String,
    _ends: mpsc::Sender<()>,
}

impl EmbeddedBroker {
    /// Starts it with these topics, each of `partitions` partitions.
    pub fn start(topics: Vec<String>, partitions: i32) -> Result<Self, KafkaError> {
        let (told, tell) = mpsc::channel();
        let (ends, ended) = mpsc::channel::<()>();
        // A mock cluster stays on the thread that made it.
        std::thread::spawn(move || {
            let started = MockCluster::new(1).and_then(|cluster| {
                for topic in &topics {
                    cluster.create_topic(topic, partitions, 1)?;
                }
                Ok(cluster)
            });
            let told = match &started {
                Ok(cluster) => told.send(Ok(cluster.bootstrap_servers())),
                Err(error) => told.send(Err(error.clone())),
            };
            // Nothing is ever sent: the channel closes when the broker is no longer wanted.
            if told.is_ok() && started.is_ok() {
                while ended.recv().is_ok() {}
            }
        });
        let brokers = tell.recv().unwrap_or(Err(KafkaError::Canceled))?;
        Ok(Self { brokers, _ends: ends })
    }
}
