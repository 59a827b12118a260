//! Which dead letters have been redriven: the redrive topic tells.

use std::collections::BTreeMap;

use super::Desk;
use crate::domain::letter::{Letter, Place};
use crate::kafka::scan::{Part, Scan, ScanError};

/// For each dead letter, with the record that it was set aside from (for a topic that was deleted
/// and made anew counts its offsets anew): where on the redrive topic it has gone.
#[derive(Debug, Default)]
pub(super) struct Redriven(BTreeMap<(Place, Place), Vec<Place>>);

impl Redriven {
    /// Reads the whole redrive topic.
    pub(super) async fn read(desk: &Desk) -> Result<Self, ScanError> {
        let mut redriven = Self::default();
        let mut scan = Scan::start(&desk.kafka, desk.topics.redrive(), Part::default()).await?;
        while let Some(record) = scan.next().await? {
            let Ok(letter) = Letter::read(record) else { continue };
            let Some(from) = letter.redriven_from() else { continue };
            let key = (from, original(&letter));
            redriven.0.entry(key).or_default().push(letter.place);
        }
        Ok(redriven)
    }

    /// The same; none where there is no such topic.
    pub(super) async fn read_if_any(desk: &Desk) -> Result<Self, ScanError> {
        match Self::read(desk).await {
            Err(ScanError::NoTopic(_)) => Ok(Self::default()),
            read => read,
        }
    }

    /// Where a dead letter has gone, each time that it was redriven.
    pub(super) fn places(&self, letter: &Letter) -> &[Place] {
        let key = (letter.place.clone(), original(letter));
        self.0.get(&key).map_or(&[], Vec::as_slice)
    }
}

fn original(letter: &Letter) -> Place {
    Place { source: letter.original.source.clone(), offset: letter.original.offset }
}
