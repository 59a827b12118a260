//! Reloads in the middle of anything, seed by seed: rules, pauses and channels change while records
//! come, attempts fail and partitions are given back.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use fastrand::Rng;

use super::rig::{Rig, deliver, message, reject, settings, skip};
use crate::domain::dead_letter::Reason;
use crate::domain::machine::{Attempt, Settings};
use crate::domain::message::{Decision, Message, Text};
use crate::domain::outcome::{Ambiguity, Class, NotApplied};
use crate::domain::paused::Paused;

const RULES: [&str; 2] = ["shipped", "points"];
const RECORDS: u64 = 30;

/// Rules of a version: what they make of a record depends on both, and each text names the version.
fn decide(version: u64, offset: u64) -> Decision {
    let mut rng = Rng::with_seed(version << 32 | offset);
    let mut part = |rule: &str| {
        let text = Text::new(&format!("version {version}")).unwrap();
        let recipient = ["ann", "bob", "cid"][rng.usize(..3)];
        Ok(Message { rule: rule.into(), text, ..message(recipient) })
    };
    let mut parts: Vec<_> = RULES.iter().map(|rule| part(rule)).collect();
    match rng.u32(..8) {
        0 => skip(),
        1 => reject(Reason::NoRule),
        2 => deliver(vec![parts.remove(1)]),
        3..6 => deliver(parts),
        _ => deliver(vec![parts.remove(0)]),
    }
}

fn paused(rng: &mut Rng) -> Paused {
    let mut paused = Paused::default();
    match rng.u32(..6) {
        0 => drop(paused.topics.insert("orders".into())),
        1 => drop(paused.channels.insert("support".into())),
        2 | 3 => {
            let rule = RULES[rng.usize(..2)];
            drop(paused.rules.insert("orders".into(), [rule.into()].into()));
        }
        _ => {}
    }
    paused
}

struct Run {
    rig: Rig,
    rng: Rng,
    version: u64,
    paused: Paused,
    wire: Vec<Attempt>,
    /// By offset and rule: what was accepted, and the text of what may have been.
    accepted: BTreeSet<(u64, String)>,
    ambiguous: BTreeMap<(u64, String), String>,
}

impl Run {
    fn reload(&mut self, paused: Paused) {
        self.version += u64::from(self.rng.bool());
        self.paused = paused.clone();
        let fingerprints = [("orders".into(), self.version)].into();
        let version = self.version;
        let settings =
            Settings { fingerprints, paused, requests_per_second: 1_000.0, ..settings() };
        self.rig.reconfigure_as(settings, |offset| decide(version, offset));
    }

    /// What starts is of the rules in force, unless it may have reached the customer before; and
    /// nothing starts that is paused.
    fn look(&mut self) {
        for sent in self.rig.sent() {
            let key = (sent.offset.0, sent.message.rule.to_string());
            let text = sent.message.text.as_str().to_owned();
            assert_eq!(self.paused.holds("orders", &sent.message), None, "{key:?} is paused");
            let lane = |other: &Attempt| other.message.recipient == sent.message.recipient;
            assert!(!self.wire.iter().any(lane), "two in flight in the lane of {key:?}");
            assert!(!self.accepted.contains(&key), "{key:?} is sent again");
            if self.ambiguous.get(&key) != Some(&text) && !self.kept(&key) {
                assert_eq!(text, format!("version {}", self.version), "{key:?}");
            }
            self.wire.push(sent);
        }
        for (letter, _) in self.rig.letters() {
            self.rig.acknowledge(letter, true);
        }
        drop(self.rig.reports());
    }

    /// Whether another message of its record has gone further, so that all of it may be older.
    fn kept(&self, (offset, _): &(u64, String)) -> bool {
        let of_record = |(other, _): &(u64, String)| other == offset;
        self.accepted.iter().any(of_record)
            || self.ambiguous.keys().any(of_record)
            || self.wire.iter().any(|sent| sent.offset.0 == *offset)
    }

    fn answer(&mut self) {
        let sent = self.wire.swap_remove(self.rng.usize(..self.wire.len()));
        let key = (sent.offset.0, sent.message.rule.to_string());
        let class = match self.rng.u32(..6) {
            0 => Class::Ambiguous(Ambiguity::NoAnswer),
            1 => Class::NotApplied(NotApplied::RateLimited),
            _ => Class::Accepted,
        };
        if class == Class::Accepted {
            self.accepted.insert(key);
        } else if matches!(class, Class::Ambiguous(_)) {
            self.ambiguous.insert(key, sent.message.text.as_str().to_owned());
        }
        self.rig.answer(&sent, class);
    }

    fn step(&mut self, next: &mut u64) {
        match self.rng.u32(..10) {
            0..3 if *next < RECORDS => {
                self.rig.read(*next, decide(self.version, *next));
                *next += 1;
            }
            3..6 if !self.wire.is_empty() => self.answer(),
            6 | 7 => self.rig.pass(Duration::from_millis(self.rng.u64(..2_000))),
            8 => {
                let paused = paused(&mut self.rng);
                self.reload(paused);
            }
            9 => drop(self.rig.commit_all()),
            _ => {}
        }
        self.look();
    }
}

#[test]
fn whatever_is_reloaded_nothing_is_lost_or_repeated_or_sent_as_the_old_rules_made_it() {
    for seed in 0..100 {
        let (rig, rng) = (Rig::owning(settings()), Rng::with_seed(seed));
        let mut run = Run {
            rig,
            rng,
            version: 0,
            paused: Paused::default(),
            wire: Vec::new(),
            accepted: BTreeSet::new(),
            ambiguous: BTreeMap::new(),
        };
        run.reload(Paused::default());
        let mut next = 0;
        for _ in 0..300 {
            run.step(&mut next);
        }
        run.reload(Paused::default());
        for _ in 0..2_000 {
            if run.rig.held() == 0 && next == RECORDS {
                break;
            }
            if next < RECORDS {
                run.rig.read(next, decide(run.version, next));
                next += 1;
            }
            run.look();
            if run.wire.is_empty() {
                run.rig.pass(Duration::from_secs(1));
            } else {
                run.answer();
            }
            run.look();
            run.rig.commit_all();
        }
        let oldest = &run.rig.machine.status(run.rig.now).partitions[0].oldest;
        assert_eq!(*oldest, None, "seed {seed}: some are held for ever");
        let conservation = run.rig.machine.conservation();
        assert_eq!(conservation.tracked, conservation.settled, "seed {seed}");
        run.rig.commit_all();
        let committed = run.rig.last_commit.as_ref().map(|commit| commit.offset.0);
        assert_eq!(committed, Some(RECORDS), "seed {seed}");
    }
}
