//! The event of a dead letter that was too large to be set aside as a whole.

use crate::domain::letter::Letter;
use crate::kafka::Settings;
use crate::kafka::lookup::{self, NotFound};

/// Fills in key, value and headers of a dead letter that is a pointer. Returns whether its event is
/// in it then: the source topic may have deleted it.
pub(super) async fn follow(letter: &mut Letter, kafka: &Settings) -> Result<bool, NotFound> {
    if !letter.is_pointer() {
        return Ok(true);
    }
    let original = &letter.original;
    let found = match lookup::record(kafka, &original.source, original.offset).await {
        Ok(record) => Some(record),
        Err(error @ (NotFound::Refused(_) | NotFound::Failed { .. })) => return Err(error),
        Err(
            NotFound::NoTopic(_)
            | NotFound::NoPartition { .. }
            | NotFound::Empty { .. }
            | NotFound::OutOfRange { .. }
            | NotFound::Gone { .. },
        ) => None,
    };
    // A topic that was deleted and made anew has another record there.
    let same = found.filter(|found| found.timestamp == original.timestamp);
    let Some(record) = same.filter(|record| record.value.is_some()) else { return Ok(false) };
    letter.original = record;
    Ok(true)
}
