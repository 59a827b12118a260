//! Commits as the broker takes them: late, refused, or kept although it said no.

use super::chance::About;
use super::history::Odd;
use super::mutation::Mutation;
use super::step::{Step, Who};
use super::world::{Commit, Event, World, between};
use crate::domain::machine::{CommitFailure, CommitRequest, Input};
use crate::domain::metadata;

impl World {
    pub(super) fn ask_commit(&mut self, member: usize, mut requests: Vec<CommitRequest>) {
        for request in &mut requests {
            let partition = self.plan.index_of(&request.source);
            let who = Who { member, epoch: request.epoch.0 };
            self.commits_asked[partition] += 1;
            if self.mutation == Mutation::CommitOneAhead {
                request.offset.0 += 1;
                request.metadata.clear();
            }
            let fingerprint = self.plan.settings.fingerprints[&request.source.topic];
            if self.mutation == Mutation::ClaimTooMuch {
                let from = request.offset.0 + 1;
                let runs = std::iter::once(from..from + 9).collect();
                let beyond = metadata::Beyond { runs, partials: Vec::new() };
                let limit = metadata::METADATA_LIMIT;
                request.metadata =
                    metadata::encode(request.offset, fingerprint, &beyond, limit).metadata;
            }
            let beyond = metadata::decode(&request.metadata, request.offset, fingerprint).unwrap();
            let offset = request.offset.0;
            self.step(&Step::CommitAsked { who, partition, offset, beyond });
        }
        let first = self.plan.index_of(&requests[0].source);
        let nth = self.commits_asked[first];
        let id = self.next_id();
        let life = self.members[member].life;
        self.commits.insert(id, Commit { member, life, requests, results: Vec::new() });
        let mut rng = self.draw(About::Commit, member);
        let applied = self.now + between(&mut rng, 1, 50);
        let late = rng.u32(0..20) == 0 && !self.calm();
        let late = self.goes_wrong(Odd::CommitIsLate { partition: first, nth }, late);
        let told = applied + between(&mut rng, 1, if late { 5_000 } else { 50 });
        self.at(applied, Event::CommitApplied(id));
        self.at(told, Event::CommitTold(id));
    }

    pub(super) fn commit_applied(&mut self, id: u64) {
        let Some(mut commit) = self.commits.remove(&id) else { return };
        let cut =
            self.members[commit.member].cut && self.members[commit.member].life == commit.life;
        let mut results = Vec::new();
        for request in &commit.requests {
            let partition = self.plan.index_of(&request.source);
            let nth = self.commits_asked[partition];
            let mut rng = self.chance.of(About::CommitResult, [partition as u64, nth, 0]);
            let owner = Some(Who { member: commit.member, epoch: request.epoch.0 });
            let fails = if self.now < self.commits_fail_until {
                rng.u32(0..10) < 8
            } else {
                let drawn = rng.u32(0..10) == 0 && !self.calm();
                self.goes_wrong(Odd::CommitFails { partition, nth }, drawn)
            };
            let applied_all_the_same = fails && rng.u32(0..3) == 0;
            let refused = cut || self.owner[partition] != owner;
            let result = if refused {
                Err(CommitFailure::Other)
            } else if request.metadata.len() > self.plan.metadata_limit {
                Err(CommitFailure::MetadataTooLarge)
            } else if fails {
                Err(CommitFailure::Other)
            } else {
                Ok(())
            };
            if result.is_ok()
                || (!refused && applied_all_the_same && result == Err(CommitFailure::Other))
            {
                let offset = request.offset.0;
                self.committed[partition] = (offset, request.metadata.clone());
                if self.members[commit.member].life == commit.life {
                    self.members[commit.member].seen = self.now;
                }
                let fingerprint = self.plan.settings.fingerprints[&request.source.topic];
                let beyond = metadata::decode(&request.metadata, request.offset, fingerprint);
                self.step(&Step::Committed { partition, offset, beyond: beyond.unwrap() });
            }
            results.push((request.epoch, result));
        }
        commit.results = results;
        self.commits.insert(id, commit);
    }

    pub(super) fn commit_told(&mut self, id: u64) {
        let Some(mut commit) = self.commits.remove(&id) else { return };
        let member = &self.members[commit.member];
        if member.life != commit.life {
            return;
        }
        for (_, result) in &mut commit.results {
            if member.cut {
                *result = Err(CommitFailure::Other);
            }
            if self.mutation == Mutation::CallFailedCommitsGood {
                *result = Ok(());
            }
        }
        self.tell(commit.member, Input::Committed(commit.results));
    }
}
