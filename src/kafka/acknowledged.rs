//! When a produced record counts as written.

use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::producer::future_producer::{Delivery, OwnedDeliveryResult};

use super::rights::missing;

/// A record that the broker may not have.
#[derive(Clone, Debug, thiserror::Error)]
pub enum Unwritten {
    #[error("{0}")]
    Failed(#[from] KafkaError),
    #[error("the broker returned no offset for it, so it may not have been written")]
    Inferred,
}

impl Unwritten {
    /// The right that is missing.
    pub(super) fn grant(&self) -> Option<&'static str> {
        match self {
            Self::Failed(error) => missing(error, "Write on the dead-letter topic"),
            Self::Inferred => None,
        }
    }

    pub(super) fn too_large(&self) -> bool {
        matches!(self, Self::Failed(error)
            if error.rdkafka_error_code() == Some(RDKafkaErrorCode::MessageSizeTooLarge))
    }
}

/// Only the offset that the broker has given to a record proves that it was written. librdkafka also
/// reports success where it infers it: a record that was refused, but a later one of its partition
/// was not, must have been written by an earlier try. A topic that is deleted and made again does
/// just that, and the record is in neither.
pub(super) fn written(delivered: OwnedDeliveryResult) -> Result<(), Unwritten> {
    match delivered {
        Ok(Delivery { offset: 0.., .. }) => Ok(()),
        Ok(_) => Err(Unwritten::Inferred),
        Err((error, _)) => Err(error.into()),
    }
}
