//! The events of an input, and what else its records are to have.

use serde::de::IgnoredAny;

use crate::domain::record::Header;

/// The events, each with the line that it begins on: one JSON value, however it is laid out, or
/// several, as JSON lines or one after the other. What is not JSON is an event too, one that the
/// bridge would reject.
pub(super) fn events(input: &[u8]) -> Vec<(usize, &[u8])> {
    let whole = input.trim_ascii();
    if whole.is_empty() {
        return Vec::new();
    }
    let line_of = |event: &[u8]| {
        let before = event.as_ptr() as usize - input.as_ptr() as usize;
        1 + input.iter().take(before).filter(|byte| **byte == b'\n').count()
    };
    let lines: Vec<&[u8]> = lines(whole);
    let split = match lines.as_slice() {
        [first, _, ..] if is_json(first) => lines,
        _ => values(whole).unwrap_or_else(|| vec![whole]),
    };
    split.into_iter().map(|event| (line_of(event), event)).collect()
}

fn lines(text: &[u8]) -> Vec<&[u8]> {
    let lines = text.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii);
    lines.filter(|line| !line.is_empty()).collect()
}

fn is_json(text: &[u8]) -> bool {
    serde_json::from_slice::<IgnoredAny>(text).is_ok()
}

/// The JSON values of which the text consists; none where something else is in it.
fn values(text: &[u8]) -> Option<Vec<&[u8]>> {
    let mut found = Vec::new();
    let mut stream = serde_json::Deserializer::from_slice(text).into_iter::<IgnoredAny>();
    let mut begin = 0;
    while let Some(value) = stream.next() {
        value.ok()?;
        let end = stream.byte_offset();
        found.push(text.get(begin..end)?.trim_ascii());
        begin = end;
    }
    Some(found)
}

/// A header as an argument gives it.
pub(super) fn header(argument: &str) -> Result<Header, String> {
    match argument.split_once('=') {
        Some((name, value)) if !name.is_empty() => {
            Ok(Header { name: name.to_owned(), value: Some(value.into()) })
        }
        _ => Err("expected NAME=VALUE".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case::nothing(" \n\r\n", &[])]
    #[case::one_line("{\"a\": 1}\n", &[(1, "{\"a\": 1}")])]
    #[case::laid_out("\n{\n  \"a\": 1\n}\n", &[(2, "{\n  \"a\": 1\n}")])]
    #[case::lines("{}\n\n{ }\r\n", &[(1, "{}"), (3, "{ }")])]
    #[case::lines_of_which_one_is_bad("{}\n{,\n[]", &[(1, "{}"), (2, "{,"), (3, "[]")])]
    #[case::laid_out_one_after_the_other("{\n}\n{\n}", &[(1, "{\n}"), (3, "{\n}")])]
    #[case::on_one_line("{} {}", &[(1, "{}"), (1, "{}")])]
    #[case::no_json("no\nevent", &[(1, "no\nevent")])]
    #[case::cut_short("{\n\"a\": 1", &[(1, "{\n\"a\": 1")])]
    #[case::good_and_then_bad("{\n} x", &[(1, "{\n} x")])]
    fn an_input_is_one_event_or_several(#[case] input: &str, #[case] expected: &[(usize, &str)]) {
        let found = events(input.as_bytes());
        let found: Vec<_> = found
            .iter()
            .map(|(line, event)| (*line, std::str::from_utf8(event).unwrap()))
            .collect();
        assert_eq!(found, expected);
    }

    #[test]
    fn bytes_of_any_kind_are_one_event() {
        let framed = [0, 0, 0, 0, 10, b'{', b'}', b'\n'];
        assert_eq!(events(&framed), [(1, &framed[..7])]);
        assert_eq!(events(&[0xff, 0xfe]), [(1, &[0xff, 0xfe][..])]);
        let deep = "[".repeat(1_000_000);
        assert_eq!(events(deep.as_bytes()).len(), 1);
    }

    #[rstest]
    #[case::plain("a=b", Some(("a", "b")))]
    #[case::value_with_an_equals_sign("a=b=c", Some(("a", "b=c")))]
    #[case::empty_value("a=", Some(("a", "")))]
    #[case::no_name("=b", None)]
    #[case::no_value("a", None)]
    fn a_header_is_read(#[case] argument: &str, #[case] expected: Option<(&str, &str)>) {
        let read = header(argument).ok();
        let expected = expected
            .map(|(name, value)| Header { name: name.to_owned(), value: Some(value.into()) });
        assert_eq!(read, expected);
    }
}
