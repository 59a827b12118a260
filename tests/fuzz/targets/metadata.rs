//! Whatever stands in a commit's metadata is read or ignored. What is read is well-formed, and
//! comes back the same when it is written again.
#![no_main]

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use libfuzzer_sys::fuzz_target;
use line_bridge::domain::metadata::{Beyond, METADATA_LIMIT, decode, encode};
use line_bridge::domain::offsets::{Offsets, Tracked};
use line_bridge::domain::record::{CommitOffset, RecordOffset};

const RULES: u64 = 7;

fuzz_target!(|input: (u64, bool, bool, Vec<u8>)| {
    let (frontier, same_rules, framed, bytes) = input;
    // Kafka counts offsets in a signed 64-bit number.
    let frontier = CommitOffset(frontier >> 1);
    let rules = if same_rules { RULES } else { RULES + 1 };
    let metadata = if framed { frame(frontier, &bytes) } else { text(&bytes) };
    if let Ok(beyond) = decode(&metadata, frontier, rules) {
        judge(frontier, &beyond);
        read_on(frontier, beyond);
    }
});

/// The bytes as they are, and behind the version where they are base64.
fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// The bytes as the entries of a string that is good up to there.
fn frame(frontier: CommitOffset, entries: &[u8]) -> String {
    let mut bytes = Vec::new();
    let mut rest = frontier.0;
    while rest > 0x7f {
        bytes.push((rest & 0x7f) as u8 | 0x80);
        rest >>= 7;
    }
    bytes.push(rest as u8);
    bytes.extend_from_slice(&RULES.to_le_bytes());
    bytes.extend_from_slice(entries);
    format!("lb1:{}", URL_SAFE_NO_PAD.encode(bytes))
}

/// It claims nothing that this program could not have written.
fn judge(frontier: CommitOffset, beyond: &Beyond) {
    let runs = beyond.runs.iter().cloned();
    let partials = beyond.partials.iter().map(|partial| partial.offset..partial.offset + 1);
    let mut claims: Vec<_> = runs.chain(partials).collect();
    claims.sort_by_key(|claim| claim.start);
    let mut at = frontier.0;
    for claim in claims {
        assert!(at <= claim.start && claim.start < claim.end, "{claim:?} from {at}");
        assert!(i64::try_from(claim.end).is_ok(), "{claim:?} is no offset of Kafka");
        at = claim.end;
    }
    assert!(beyond.partials.iter().all(|partial| (1..=256).contains(&partial.settled.len())));
    let again = encode(frontier, RULES, beyond, usize::MAX);
    assert_eq!(decode(&again.metadata, frontier, RULES).as_ref(), Ok(beyond));
    let short = encode(frontier, RULES, beyond, METADATA_LIMIT);
    assert!(short.metadata.len() <= METADATA_LIMIT);
    assert!(decode(&short.metadata, frontier, RULES).is_ok());
}

/// A partition can be read from there: what is claimed is not held again, and nothing else is lost.
fn read_on(frontier: CommitOffset, beyond: Beyond) {
    let claimed = |offset| beyond.runs.iter().any(|run| run.contains(&offset));
    let mut offsets = Offsets::starting_at(frontier, beyond.runs.clone());
    let ends = beyond.runs.iter().flat_map(|run| [run.start, run.end - 1, run.end]);
    for offset in std::iter::once(frontier.0).chain(ends) {
        match offsets.track(RecordOffset(offset), ()) {
            Tracked::Held => assert!(!claimed(offset)),
            Tracked::SettledBefore => assert!(claimed(offset)),
            Tracked::Repeated => {}
        }
    }
    assert!(offsets.settled_beyond().is_sorted_by(|a, b| a.end < b.start));
}
