//! What has settled beyond the frontier, as the string that travels with a commit.
//!
//! Version 1 is `lb1:` and, in unpadded URL-safe base64: the frontier it was written for, as a
//! varint; eight bytes of the topic's rules' fingerprint; then entries in ascending order, nearest
//! the frontier first. An entry begins with a varint: the distance from the end of the entry
//! before it (from the frontier, for the first), times two, plus one for a *partial* record. A run
//! of settled records goes on with its length; a partial record with the number of its messages
//! and a bit for each, set where that message has settled.

use std::ops::Range;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::offsets::Runs;
use super::record::CommitOffset;

const VERSION: &str = "lb1:";

/// The longest metadata string a Kafka broker takes unless told otherwise, in bytes
/// (`offset.metadata.max.bytes`).
pub const METADATA_LIMIT: usize = 4_096;

/// More runs, or more partial records, than fit into it: each takes two bytes at least.
pub const ENTRIES_LIMIT: usize = METADATA_LIMIT / 2;

/// A longer string than any broker is likely to allow is not looked at.
const READ_LIMIT: usize = 64 * 1024;

/// The most messages of one record that are told apart.
const PARTS_LIMIT: usize = 256;

/// A record of which some messages have settled and some have not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Partial {
    pub offset: u64,
    /// One for each message, in the rules' order: whether it has settled.
    pub settled: Vec<bool>,
}

/// What has settled beyond the frontier.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Beyond {
    pub runs: Runs,
    /// Ascending, and in none of the runs.
    pub partials: Vec<Partial>,
}

/// A metadata string, and how far it reaches.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Encoded {
    pub metadata: String,
    /// What settled at or after this offset did not fit and would be sent again after a crash.
    pub covers_below: u64,
}

/// Why a metadata string is ignored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Ignored {
    #[error("it was not written by line-bridge, or by a version that this one does not know")]
    Foreign,
    #[error("it was written for another offset: the group's offsets were reset or mirrored")]
    OtherFrontier,
    #[error("it is damaged")]
    Damaged,
}

/// Writes what has settled beyond `frontier` into at most `limit` bytes; what is nearest the
/// frontier goes first where not all fits. Nothing beyond the frontier gives an empty string.
pub fn encode(frontier: CommitOffset, fingerprint: u64, beyond: &Beyond, limit: usize) -> Encoded {
    let all = Encoded { metadata: String::new(), covers_below: u64::MAX };
    let Some(mut at) = Some(frontier.0).filter(|_| *beyond != Beyond::default()) else {
        return all;
    };
    let room = limit.saturating_sub(VERSION.len()) / 4 * 3;
    let mut bytes = Vec::with_capacity(64);
    varint(&mut bytes, frontier.0);
    bytes.extend_from_slice(&fingerprint.to_le_bytes());
    let mut covers_below = u64::MAX;
    for entry in entries(beyond) {
        // Behind what is written already, it could only be told wrong.
        if entry.start() < at {
            continue;
        }
        let before = bytes.len();
        at = entry.write(&mut bytes, at);
        if bytes.len() > room {
            bytes.truncate(before);
            covers_below = entry.start();
            break;
        }
    }
    if bytes.len() > room {
        return Encoded { covers_below: frontier.0, ..all };
    }
    Encoded { metadata: format!("{VERSION}{}", URL_SAFE_NO_PAD.encode(bytes)), covers_below }
}

/// Reads a metadata string that was committed with `frontier`. Partial records are told only
/// where the rules are the same as when it was written: another rule may have another number.
pub fn decode(metadata: &str, frontier: CommitOffset, fingerprint: u64) -> Result<Beyond, Ignored> {
    if metadata.is_empty() {
        return Ok(Beyond::default());
    }
    if metadata.len() > READ_LIMIT {
        return Err(Ignored::Foreign);
    }
    let encoded = metadata.strip_prefix(VERSION).ok_or(Ignored::Foreign)?;
    let bytes = URL_SAFE_NO_PAD.decode(encoded).map_err(|_| Ignored::Damaged)?;
    let mut reader = Reader(&bytes);
    if reader.varint()? != frontier.0 {
        return Err(Ignored::OtherFrontier);
    }
    let same_rules = reader.take(8)? == fingerprint.to_le_bytes();
    let mut beyond = Beyond::default();
    let mut at = frontier.0;
    while !reader.0.is_empty() {
        match reader.entry(at)? {
            Entry::Run(run) => {
                at = run.end;
                beyond.runs.push(run);
            }
            Entry::Partial(partial) => {
                at = partial.offset + 1;
                if same_rules {
                    beyond.partials.push(partial);
                }
            }
        }
    }
    Ok(beyond)
}

#[derive(Debug)]
enum Entry {
    Run(Range<u64>),
    Partial(Partial),
}

impl Entry {
    fn start(&self) -> u64 {
        match self {
            Self::Run(run) => run.start,
            Self::Partial(partial) => partial.offset,
        }
    }

    /// Appends this entry; the entry before it ended at `at`. Returns where this one ends.
    fn write(&self, bytes: &mut Vec<u8>, at: u64) -> u64 {
        let distance = self.start().saturating_sub(at);
        match self {
            Self::Run(run) => {
                varint(bytes, distance << 1);
                varint(bytes, run.end - run.start);
                run.end
            }
            Self::Partial(partial) => {
                varint(bytes, distance << 1 | 1);
                varint(bytes, partial.settled.len() as u64);
                for eight in partial.settled.chunks(8) {
                    let bits = eight.iter().enumerate();
                    bytes.push(bits.fold(0, |byte, (bit, set)| byte | u8::from(*set) << bit));
                }
                partial.offset + 1
            }
        }
    }
}

fn entries(beyond: &Beyond) -> Vec<Entry> {
    let runs = beyond.runs.iter().cloned().map(Entry::Run);
    let partials = beyond.partials.iter().filter(|partial| partial.settled.len() <= PARTS_LIMIT);
    let mut entries: Vec<_> = runs.chain(partials.cloned().map(Entry::Partial)).collect();
    entries.sort_by_key(Entry::start);
    entries
}

/// LEB128: seven bits a byte, the lowest first, the top bit set on all but the last.
fn varint(bytes: &mut Vec<u8>, mut value: u64) {
    loop {
        let low = u8::try_from(value & 0x7f).unwrap_or_default();
        value >>= 7;
        if value == 0 {
            return bytes.push(low);
        }
        bytes.push(low | 0x80);
    }
}

struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn take(&mut self, count: usize) -> Result<&'a [u8], Ignored> {
        let (taken, rest) = self.0.split_at_checked(count).ok_or(Ignored::Damaged)?;
        self.0 = rest;
        Ok(taken)
    }

    fn varint(&mut self) -> Result<u64, Ignored> {
        let mut value = 0_u64;
        for shift in (0..64).step_by(7) {
            let byte = self.take(1)?.first().copied().unwrap_or_default();
            let bits = u64::from(byte & 0x7f);
            value |=
                bits.checked_shl(shift).filter(|v| v >> shift == bits).ok_or(Ignored::Damaged)?;
            if byte & 0x80 == 0 {
                return Ok(value);
            }
        }
        Err(Ignored::Damaged)
    }

    fn entry(&mut self, at: u64) -> Result<Entry, Ignored> {
        let head = self.varint()?;
        let start = at.checked_add(head >> 1).ok_or(Ignored::Damaged)?;
        let length = self.varint()?;
        // Kafka counts offsets in a signed 64-bit number.
        let end = |length: u64| start.checked_add(length).filter(|end| i64::try_from(*end).is_ok());
        if head & 1 == 0 {
            let end = end(length).filter(|end| *end > start).ok_or(Ignored::Damaged)?;
            return Ok(Entry::Run(start..end));
        }
        end(1).ok_or(Ignored::Damaged)?;
        let count = usize::try_from(length).ok().filter(|count| (1..=PARTS_LIMIT).contains(count));
        let count = count.ok_or(Ignored::Damaged)?;
        let bytes = self.take(count.div_ceil(8))?;
        let bits = bytes.iter().flat_map(|byte| (0..8).map(move |bit| byte >> bit & 1 == 1));
        Ok(Entry::Partial(Partial { offset: start, settled: bits.take(count).collect() }))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rstest::rstest;

    use super::*;

    const RULES: u64 = 0xfeed_beef_0102_0304;

    fn partial(offset: u64, settled: &[bool]) -> Partial {
        Partial { offset, settled: settled.to_vec() }
    }

    #[test]
    fn nothing_beyond_the_frontier_is_an_empty_string() {
        let encoded = encode(CommitOffset(9), RULES, &Beyond::default(), METADATA_LIMIT);
        assert_eq!(encoded, Encoded { metadata: String::new(), covers_below: u64::MAX });
        assert_eq!(decode("", CommitOffset(9), RULES), Ok(Beyond::default()));
    }

    #[test]
    fn the_format_of_version_1_stays_what_it_is() {
        let beyond =
            Beyond { runs: vec![103..110, 500..501], partials: vec![partial(101, &[true, false])] };
        let encoded = encode(CommitOffset(100), RULES, &beyond, METADATA_LIMIT);
        assert_eq!(encoded.metadata, "lb1:ZAQDAgHvvu3-AwIBAgeMBgE");
        assert_eq!(decode(&encoded.metadata, CommitOffset(100), RULES), Ok(beyond));
    }

    #[rstest]
    #[case::another_program("consumed by someone else", Ignored::Foreign)]
    #[case::a_later_version("lb2:ZAQD", Ignored::Foreign)]
    #[case::not_base64("lb1:***", Ignored::Damaged)]
    #[case::cut_short("lb1:ZAQDAgHvvu3", Ignored::Damaged)]
    #[case::another_frontier("lb1:ZQQDAgHvvu3-AwIBAgeMBgE", Ignored::OtherFrontier)]
    #[case::a_varint_without_end("lb1:_________________w", Ignored::Damaged)]
    fn what_does_not_fit_is_ignored(#[case] metadata: &str, #[case] why: Ignored) {
        assert_eq!(decode(metadata, CommitOffset(100), RULES), Err(why));
    }

    #[test]
    fn other_rules_keep_the_runs_and_forget_the_partial_records() {
        let runs = vec![12..13, 20..30];
        let beyond = Beyond { runs: runs.clone(), partials: vec![partial(10, &[true, false])] };
        let encoded = encode(CommitOffset(10), RULES, &beyond, METADATA_LIMIT);
        let read = decode(&encoded.metadata, CommitOffset(10), RULES + 1);
        assert_eq!(read, Ok(Beyond { runs, partials: vec![] }));
    }

    #[test]
    fn what_does_not_fit_is_cut_at_the_far_end_and_told() {
        let runs: Runs = (0..5_000).map(|i| i * 300 + 1..i * 300 + 200).collect();
        let beyond = Beyond { runs: runs.clone(), partials: vec![] };
        let encoded = encode(CommitOffset(0), RULES, &beyond, METADATA_LIMIT);
        assert!(encoded.metadata.len() <= METADATA_LIMIT);
        let read = decode(&encoded.metadata, CommitOffset(0), RULES).unwrap().runs;
        assert_eq!(read, runs[..read.len()]);
        assert_eq!(encoded.covers_below, runs[read.len()].start);
        assert!(read.len() > 500, "{} runs fit", read.len());
    }

    fn any_beyond() -> impl Strategy<Value = (u64, Beyond)> {
        let entry =
            (0_u64..1 << 40, 1_u64..1 << 20, proptest::collection::vec(any::<bool>(), 0..20));
        (0_u64..1 << 50, proptest::collection::vec(entry, 0..2_000)).prop_map(
            |(frontier, entries)| {
                let mut at = frontier;
                let mut beyond = Beyond::default();
                for (gap, length, bits) in entries {
                    at += gap + 1;
                    if bits.is_empty() {
                        beyond.runs.push(at..at + length);
                        at += length;
                    } else {
                        beyond.partials.push(Partial { offset: at, settled: bits });
                    }
                }
                (frontier, beyond)
            },
        )
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn any_pattern_stays_within_the_limit_and_reads_back(
            (frontier, beyond) in any_beyond(),
            limit in prop::sample::select(vec![0, 3, 20, 100, METADATA_LIMIT]),
        ) {
            let frontier = CommitOffset(frontier);
            let encoded = encode(frontier, RULES, &beyond, limit);
            prop_assert!(encoded.metadata.len() <= limit);
            let read = decode(&encoded.metadata, frontier, RULES).unwrap();
            let below = |offset: u64| offset < encoded.covers_below;
            let fits = Beyond {
                runs: beyond.runs.into_iter().filter(|run| below(run.start)).collect(),
                partials: beyond.partials.into_iter().filter(|p| below(p.offset)).collect(),
            };
            prop_assert_eq!(read, fits);
        }

        #[test]
        fn hostile_metadata_is_read_or_ignored_and_never_panics(
            bytes in proptest::collection::vec(any::<u8>(), 0..300), frontier in any::<u64>(),
        ) {
            let mut framed = Vec::new();
            varint(&mut framed, frontier);
            framed.extend_from_slice(&RULES.to_le_bytes());
            framed.extend_from_slice(&bytes);
            for payload in [bytes, framed] {
                let metadata = format!("{VERSION}{}", URL_SAFE_NO_PAD.encode(payload));
                if let Ok(beyond) = decode(&metadata, CommitOffset(frontier), RULES) {
                    prop_assert!(beyond.runs.iter().all(|run| run.start >= frontier));
                }
            }
        }
    }
}
