//! What a commit's metadata has restored, after the log has changed.

use super::pausing::pausing;
use super::rig::*;
use crate::domain::metadata::{self, Beyond, Partial};
use crate::domain::offsets::Runs;
use crate::domain::paused::Pause;
use crate::domain::record::*;

fn settled_at_12() -> Runs {
    std::iter::once(12..13).collect()
}

/// Of the record at 10, the first of two messages has settled, and of the one at 12 all. Compaction
/// has removed the one at 10 since.
fn assigned_without_its_partial_record() -> Rig {
    let partial = Partial { offset: 10, settled: vec![true, false] };
    let beyond = Beyond { runs: settled_at_12(), partials: vec![partial] };
    let committed = metadata::encode(CommitOffset(10), 7, &beyond, 4096).metadata;
    let mut rig = Rig::new(settings());
    rig.assign(0, 10, &committed);
    rig
}

#[test]
fn a_partial_record_that_is_gone_is_forgotten() {
    let mut rig = assigned_without_its_partial_record();
    for offset in 11..14 {
        rig.read(offset, deliver(vec![Ok(message("ann")), Ok(message("bob"))]));
    }
    let (frontier, metadata) = rig.commit_all().unwrap();
    let read = metadata::decode(&metadata, CommitOffset(frontier), 7).unwrap();
    assert_eq!((frontier, read), (11, Beyond { runs: settled_at_12(), partials: vec![] }));
}

#[test]
fn a_record_after_a_partial_one_that_is_gone_is_not_lost() {
    let mut rig = assigned_without_its_partial_record();
    for offset in 11..14 {
        rig.read_for(offset, &format!("r{offset}"));
    }
    let (frontier, metadata) = rig.commit_all().unwrap();
    // Killed while 11 and 13 are on the wire.
    let mut next = Rig::new(settings());
    next.assign(1, frontier, &metadata);
    for offset in 11..14 {
        next.read_in(1, offset, deliver(vec![Ok(message(&format!("r{offset}")))]));
    }
    assert_eq!(next.sent_offsets(), [11, 13]);
}

#[test]
fn what_is_partly_settled_stays_so_while_its_topic_is_paused() {
    let partial = Partial { offset: 10, settled: vec![true, false] };
    let beyond = Beyond { runs: vec![], partials: vec![partial] };
    let committed = metadata::encode(CommitOffset(10), 7, &beyond, 4096).metadata;
    let mut rig = Rig::new(pausing(Pause::Topic));
    rig.assign(0, 10, &committed);
    let two = || deliver(vec![Ok(message("ann")), Ok(message("bob"))]);
    rig.read(10, two());
    rig.read_for(11, "cid");
    rig.reconfigure_as(settings(), |offset| match offset {
        10 => two(),
        _ => deliver(vec![Ok(message("cid"))]),
    });
    let sent: Vec<_> = rig.sent().iter().map(|sent| (sent.offset.0, sent.part)).collect();
    assert_eq!(sent, [(10, 1), (11, 0)], "ann has hers");
}
