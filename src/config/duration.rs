//! Durations as operators write them: `500ms`, `30s`, `15m`, `24h`, `7d`, `1h30m`.

use std::time::Duration;

/// The units, the largest first, with their length in milliseconds.
const UNITS: [(&str, u64); 5] =
    [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1)];

/// Why a text is no duration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoDuration {
    /// It is something else, or longer than can be counted.
    OtherForm,
    /// A unit comes after a smaller one, or again.
    UnitsOutOfOrder,
}

/// Reads whole numbers, each with its unit, the larger units first and each at most once.
pub fn parse(text: &str) -> Result<Duration, NoDuration> {
    let mut rest = text.trim();
    let mut total: u64 = 0;
    let mut next_unit = 0;
    if rest.is_empty() {
        return Err(NoDuration::OtherForm);
    }
    while !rest.is_empty() {
        let (number, after) = rest.split_at(end_of(rest, |c| c.is_ascii_digit()));
        let (name, after) = after.split_at(end_of(after, |c| c.is_ascii_lowercase()));
        let unit = UNITS.iter().enumerate().find(|(_, (unit, _))| *unit == name);
        let (index, (_, millis)) = unit.ok_or(NoDuration::OtherForm)?;
        if index < next_unit {
            return Err(NoDuration::UnitsOutOfOrder);
        }
        next_unit = index + 1;
        let part = number.parse::<u64>().ok().and_then(|number| number.checked_mul(*millis));
        let sum = part.and_then(|part| total.checked_add(part));
        total = sum.ok_or(NoDuration::OtherForm)?;
        rest = after;
    }
    Ok(Duration::from_millis(total))
}

fn end_of(text: &str, belongs: impl Fn(char) -> bool) -> usize {
    text.find(|c| !belongs(c)).unwrap_or(text.len())
}

/// The duration in the form that [`parse`] reads.
pub(super) fn format(duration: Duration) -> String {
    let mut rest = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
    let mut text = String::new();
    for (unit, millis) in UNITS {
        if rest >= millis {
            text += &(rest / millis).to_string();
            text += unit;
            rest %= millis;
        }
    }
    if text.is_empty() { "0s".to_owned() } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use rstest::rstest;

    #[rstest]
    #[case::milliseconds("500ms", 500)]
    #[case::seconds("30s", 30_000)]
    #[case::minutes("15m", 900_000)]
    #[case::hours("24h", 86_400_000)]
    #[case::days("7d", 604_800_000)]
    #[case::combined("1h30m", 5_400_000)]
    #[case::everything("1d2h3m4s5ms", 93_784_005)]
    #[case::zero("0s", 0)]
    #[case::spaces_around(" 2s ", 2_000)]
    fn a_duration_is_read(#[case] text: &str, #[case] millis: u64) {
        assert_eq!(parse(text), Ok(Duration::from_millis(millis)));
    }

    #[rstest]
    #[case::empty("")]
    #[case::no_unit("30")]
    #[case::no_number("s")]
    #[case::negative("-5s")]
    #[case::fraction("1.5h")]
    #[case::unknown_unit("2w")]
    #[case::upper_case("2S")]
    #[case::space_between("2 s")]
    #[case::too_long_to_count("99999999999999999999s")]
    #[case::too_long_in_sum("18446744073709551s1000ms")]
    #[case::product_too_long("18446744073709551615d")]
    #[case::other_digits("٣s")]
    fn anything_else_is_no_duration(#[case] text: &str) {
        assert_eq!(parse(text), Err(NoDuration::OtherForm));
    }

    #[rstest]
    #[case::smaller_unit_first("30m1h")]
    #[case::unit_twice("1h2h")]
    fn the_order_of_the_units_is_told_from_other_faults(#[case] text: &str) {
        assert_eq!(parse(text), Err(NoDuration::UnitsOutOfOrder));
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_back(millis: u64) {
            let duration = Duration::from_millis(millis);
            prop_assert_eq!(parse(&format(duration)), Ok(duration));
        }

        #[test]
        fn no_text_panics(text in ".{0,40}") {
            let _: Result<Duration, NoDuration> = parse(&text);
        }
    }
}
