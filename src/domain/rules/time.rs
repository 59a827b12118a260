//! Points in time: read from an event, and shown as the clocks of a place show them.

use jiff::Zoned;
use jiff::tz::TimeZone;
use minijinja::{Error, ErrorKind, Value};

use super::fault::fault;
use crate::domain::clock::Timestamp;

const DATE: &str = "%-d %b %Y";
const TIME: &str = "%H:%M";
const DATETIME: &str = "%-d %b %Y, %H:%M";
/// The longest format, in bytes.
const FORMAT_LIMIT: usize = 200;

/// The time zone database's entry for `name`, such as `Asia/Bangkok`; it comes with the program.
fn zone(name: &str) -> Option<TimeZone> {
    TimeZone::get(name).ok()
}

/// Whether `name` is in the time zone database, as `Asia/Bangkok` is.
pub fn is_zone(name: &str) -> bool {
    zone(name).is_some()
}

/// Whether `format` can show every time.
pub(super) fn is_format(format: &str) -> bool {
    shown(&jiff::Timestamp::UNIX_EPOCH.to_zoned(TimeZone::UTC), format).is_ok()
}

/// `event.startsAt | date("Asia/Bangkok")`: `3 Mar 2026`; a second argument is a format of
/// strftime.
pub(super) fn date(at: &Value, zone: &Value, format: Option<&str>) -> Result<String, Error> {
    in_zone(at, zone).and_then(|at| shown(&at, format.unwrap_or(DATE)))
}

/// `event.startsAt | time("Asia/Bangkok")`: `10:00`.
pub(super) fn time(at: &Value, zone: &Value, format: Option<&str>) -> Result<String, Error> {
    in_zone(at, zone).and_then(|at| shown(&at, format.unwrap_or(TIME)))
}

/// `event.startsAt | datetime("Asia/Bangkok")`: `3 Mar 2026, 10:00`.
pub(super) fn datetime(at: &Value, zone: &Value, format: Option<&str>) -> Result<String, Error> {
    in_zone(at, zone).and_then(|at| shown(&at, format.unwrap_or(DATETIME)))
}

fn in_zone(at: &Value, name: &Value) -> Result<Zoned, Error> {
    if at.is_undefined() || name.is_undefined() {
        return Err(ErrorKind::UndefinedError.into());
    }
    let zone = name.as_str().and_then(zone).ok_or_else(|| fault("unknown time zone"))?;
    let instant = instant(at).ok_or_else(|| fault(NOT_A_TIME))?;
    // A day of birth may be as long ago.
    let seconds = at.is_integer() && SECONDS_OF_LATE.contains(&instant.as_millisecond());
    if seconds { Err(fault(SECONDS)) } else { Ok(instant.to_zoned(zone)) }
}

fn shown(at: &Zoned, format: &str) -> Result<String, Error> {
    if format.len() > FORMAT_LIMIT {
        return Err(fault("the format of a time is too long"));
    }
    jiff::fmt::strtime::format(format, at).map_err(|_| fault("unknown format of a time"))
}

/// What is said of a value that is no point in time.
const NOT_A_TIME: &str = "not a time: RFC 3339 with an offset, or whole milliseconds since 1970";

/// What is said of a whole number that means 1970 in milliseconds, and today in seconds.
const SECONDS: &str =
    "not a time: the number looks like seconds since 1970; multiply it by 1000 for milliseconds";

/// Before March of 1973 in milliseconds, and up to the year 5138 in seconds.
const SECONDS_ONLY: std::ops::Range<i64> = 1..100_000_000_000;

/// January and February of 1970 in milliseconds, and from 1985 up to the year 2128 in seconds.
const SECONDS_OF_LATE: std::ops::Range<i64> = 500_000_000..5_000_000_000;

/// When an event happened or ends: an RFC 3339 string with its offset, or a whole number of
/// milliseconds since 1970. Seconds would make every message look expired long ago.
pub(super) fn timestamp(value: &Value) -> Result<Timestamp, &'static str> {
    let at = Timestamp(instant(value).ok_or(NOT_A_TIME)?.as_millisecond());
    let seconds = value.is_integer() && SECONDS_ONLY.contains(&at.0);
    if seconds { Err(SECONDS) } else { Ok(at) }
}

/// `9999-12-31T23:59:59Z`, which says never, is beyond what is counted with; nothing is lost by a day
/// less.
fn at_the_end_of_time(text: &str) -> Option<jiff::Timestamp> {
    let pieces = jiff::fmt::temporal::Pieces::parse(text).ok()?;
    let is_whole = pieces.time().is_some() && pieces.offset().is_some();
    (is_whole && pieces.date().year() == 9999).then_some(jiff::Timestamp::MAX)
}

fn instant(value: &Value) -> Option<jiff::Timestamp> {
    match value.as_str() {
        Some(text) => text.parse().ok().or_else(|| at_the_end_of_time(text)),
        None if value.is_integer() => jiff::Timestamp::from_millisecond(value.as_i64()?).ok(),
        None => None,
    }
}
