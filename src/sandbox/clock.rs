//! The time of day: the only place of the sandbox that reads it.

#![expect(
    clippy::disallowed_methods,
    reason = "a server has no caller that could tell it the time"
)]

use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Milliseconds since 1970-01-01T00:00:00Z.
pub(super) fn now_ms() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

/// As the API writes a time: `2025-03-02T16:42:53.796Z`.
pub(super) fn iso(ms: i64) -> String {
    let time = jiff::Timestamp::from_millisecond(ms).unwrap_or_default();
    format!("{time:.3}")
}

/// The HTTP date that is `seconds` from now.
pub(super) fn http_date_in(seconds: u32) -> String {
    httpdate::fmt_http_date(SystemTime::now() + Duration::from_secs(u64::from(seconds)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_written_as_the_api_writes_it() {
        assert_eq!(iso(1_740_933_773_796), "2025-03-02T16:42:53.796Z");
        assert_eq!(iso(1_740_933_773_000), "2025-03-02T16:42:53.000Z");
    }
}
