//! Which dead letters have been redriven: the redrive topic tells.

use std::collections::BTreeMap;

use super::Context;
use super::identity::FailedTry;
use crate::domain::letter::{Letter, Place};
use crate::kafka::scan::{Part, Scan, ScanError};

/// For each failed try, where on the redrive topic its dead letter has gone.
#[derive(Debug, Default)]
pub(super) struct Redriven(BTreeMap<FailedTry, Vec<Place>>);

impl Redriven {
    /// Reads the whole redrive topic.
    pub(super) async fn read(context: &Context) -> Result<Self, ScanError> {
        let mut redriven = Self::default();
        let mut scan =
            Scan::start(&context.kafka, context.redrive_topic(), Part::default()).await?;
        while let Some(record) = scan.next().await? {
            let Ok(letter) = Letter::read(record) else { continue };
            let Some(failed) = FailedTry::redriven(&letter) else { continue };
            redriven.0.entry(failed).or_default().push(letter.place);
        }
        Ok(redriven)
    }

    /// The same; none where there is no such topic.
    pub(super) async fn read_if_any(context: &Context) -> Result<Self, ScanError> {
        match Self::read(context).await {
            Err(ScanError::NoTopic(_)) => Ok(Self::default()),
            read => read,
        }
    }

    /// Where a dead letter has gone, each time that it was redriven.
    pub(super) fn places(&self, letter: &Letter) -> &[Place] {
        self.0.get(&FailedTry::of(letter)).map_or(&[], Vec::as_slice)
    }
}
