//! Points in time, as they are shown to people and programs.

use std::time::Duration;

use crate::domain::clock::Timestamp;
use crate::domain::words::span;

/// In RFC 3339, UTC.
pub(super) fn shown(at: Timestamp) -> String {
    match jiff::Timestamp::from_millisecond(at.0) {
        Ok(at) => at.to_string(),
        // Kafka takes any number for a timestamp; there are no years for those.
        Err(_) => format!("{} ms since 1970", at.0),
    }
}

/// Seen from now: `in 3 h 20 min`, `2 d ago`.
pub(super) fn relative(at: Timestamp, now: Timestamp) -> String {
    if at > now {
        format!("in {}", length(at.since(now)))
    } else {
        format!("{} ago", length(now.since(at)))
    }
}

/// RFC 3339 with an offset, or milliseconds since 1970.
pub(super) fn read(text: &str) -> Result<Timestamp, String> {
    if let Ok(millis) = text.parse() {
        return Ok(Timestamp(millis));
    }
    let read = text.parse::<jiff::Timestamp>().map(|at| Timestamp(at.as_millisecond()));
    read.map_err(|_| {
        "expected a time such as 2026-03-02T10:00:00Z, or milliseconds since 1970".to_owned()
    })
}

fn length(duration: Duration) -> String {
    if duration < Duration::from_secs(1) { "less than 1 s".to_owned() } else { span(duration) }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case::now(0, "less than 1 s ago")]
    #[case::soon(999, "in less than 1 s")]
    #[case::seconds(-59_999, "59 s ago")]
    #[case::minutes(61_000, "in 1 min 1 s")]
    #[case::hours(7_200_000, "in 2 h")]
    #[case::hours_and_seconds(3_600_000 + 59_000, "in 1 h")]
    #[case::days(-(3 * 86_400_000 + 3_600_000), "3 d 1 h ago")]
    fn a_time_is_seen_from_now(#[case] millis: i64, #[case] expected: &str) {
        let now = Timestamp(1_762_654_445_000);
        assert_eq!(relative(Timestamp(now.0 + millis), now), expected);
    }

    #[rstest]
    #[case::rfc_3339("2026-03-02T17:00:00+07:00", Some(1_772_445_600_000))]
    #[case::millis("1772445600000", Some(1_772_445_600_000))]
    #[case::before_1970("-1", Some(-1))]
    #[case::no_offset("2026-03-02T17:00:00", None)]
    #[case::words("tomorrow", None)]
    fn a_time_is_read(#[case] text: &str, #[case] expected: Option<i64>) {
        assert_eq!(read(text).ok(), expected.map(Timestamp));
    }

    #[test]
    fn every_number_can_be_shown() {
        assert_eq!(shown(Timestamp(1_772_445_600_000)), "2026-03-02T10:00:00Z");
        assert_eq!(shown(Timestamp(i64::MAX)), "9223372036854775807 ms since 1970");
        assert_eq!(relative(Timestamp(i64::MIN), Timestamp(i64::MAX)), "106751991167 d 7 h ago");
    }
}
