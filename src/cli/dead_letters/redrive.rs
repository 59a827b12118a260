//! `dead-letters redrive`: has the bridge try the chosen ones again.

use std::collections::BTreeSet;
use std::time::Duration;

use clap::Args;
use tokio::task::JoinSet;
use tokio::time::{Interval, MissedTickBehavior, interval};

use super::chosen::Chosen;
use super::identity::FailedTry;
use super::newest::Newest;
use super::outlook::{self, Outlook};
use super::redriven::Redriven;
use super::report::{FailCause, RedriveOutcome, Report, SkipCause};
use super::{Context, SECTIONS, pointer};
use crate::cli::output::Output;
use crate::cli::{
    ConfigFile, Failure, eprint_line, eprint_note, failed, interrupted, load_parts, print_line,
};
use crate::domain::letter::{Letter, Place, REDRIVES_LIMIT};
use crate::kafka::publisher::{Outgoing, PublishError, Publisher};
use crate::kafka::scan::{Scan, ScanError};
use crate::topics::Topics;

const INTERRUPTED: &str =
    "interrupted; the same command continues where it stopped (not with --again)";

/// How often the progress is told.
const PROGRESS: Duration = Duration::from_secs(2);

#[derive(Args, Debug)]
#[command(
    after_help = "The chosen dead letters go to the redrive topic, where a running bridge takes them up. Each takes\n\
    only the rule that it was set aside for, and its deadline still holds. One that has been\n\
    redriven before is left out, so an interrupted redrive goes on where the same command is given\n\
    again. Nothing is deleted from the dead-letter topic.\n\n\
    Examples:\n  \
    line-bridge dead-letters redrive --config line-bridge.yaml \\\n    \
    --topic orders --since 2h --dry-run\n  \
    line-bridge dead-letters redrive --config line-bridge.yaml \\\n    \
    --topic orders --since 2h --limit 10\n  \
    line-bridge dead-letters redrive --config line-bridge.yaml \\\n    \
    --partition 0 --offset 17,20..25 --ignore-expiry\n  \
    line-bridge dead-letters redrive --config line-bridge.yaml --all --rate 50/s"
)]
pub(super) struct Redrive {
    #[command(flatten)]
    file: ConfigFile,
    #[command(flatten)]
    chosen: Chosen,
    /// All of them. Required if no other option selects some.
    #[arg(long)]
    all: bool,
    /// Shows what would become of each, and does nothing.
    #[arg(long)]
    dry_run: bool,
    /// Redrives at most this many.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    limit: Option<u64>,
    /// Redrives at most this many per second.
    #[arg(long, value_name = "N/s", value_parser = rate)]
    rate: Option<f64>,
    #[command(flatten)]
    which: Which,
    /// How the result is written to standard output.
    #[arg(long, value_enum, default_value = "text")]
    output: Output,
}

/// Which of the chosen ones are taken.
#[derive(Args, Debug)]
struct Which {
    /// Includes those whose deadline has passed: it counts from now (24 h for a rule with
    /// `expires_at`).
    #[arg(long)]
    ignore_expiry: bool,
    /// Includes those that have been redriven before, of each message the newest: what was sent then
    /// is sent again.
    #[arg(long)]
    again: bool,
    /// Leaves out what has been redriven this often and has come back.
    #[arg(
        long,
        value_name = "N",
        default_value = "5",
        value_parser = clap::value_parser!(u32).range(1..=i64::from(REDRIVES_LIMIT))
    )]
    max_redrives: u32,
    /// The consumer group whose dead letters are redriven; if omitted, `kafka.group`.
    #[arg(long, value_name = "GROUP")]
    group: Option<String>,
}

/// The dead letters that are with the broker.
type UnderWay = JoinSet<(Sent, Result<(), PublishError>)>;

#[derive(Debug)]
struct Sent {
    place: Place,
    may_repeat: bool,
}

impl Redrive {
    pub(super) async fn run(self) -> Result<(), Failure> {
        if !self.all && !self.chosen.is_any() {
            let which = "say which dead letters (--topic, --reason, --rule, --since, --until, --partition, --offset), or --all";
            return Err(Failure::Usage(which.to_owned()));
        }
        let (config, topics) = load_parts(&self.file, &SECTIONS)?;
        let context = Context::of(config, &self.chosen);
        for what in context.config.paused.phrases() {
            eprint_note(format_args!("{what} is paused: what is redriven for it waits"));
        }
        let topic = context.redrive_topic();
        let before = match Redriven::read(&context).await {
            Err(ScanError::NoTopic(_)) => {
                return Err(failed(format_args!(
                    "the redrive topic `{topic}` (`dead_letters.redrive_topic`) does not exist; create it, with one partition and the retention of the dead-letter topic"
                )));
            }
            read => read.map_err(failed)?,
        };
        let newest = if self.which.again {
            Newest::read(&context, self.group(&context)).await.map_err(failed)?
        } else {
            Newest::default()
        };
        let publisher = Publisher::connect(&context.kafka, topic).await.map_err(failed)?;
        let mut run = Run {
            redrive: &self,
            context: &context,
            topics: &topics,
            publisher: &publisher,
            before,
            under_way: UnderWay::new(),
            report: Report::new(self.dry_run, self.output),
            pace: self.rate.map(pace),
            newest,
            taken: BTreeSet::new(),
        };
        let ended = tokio::select! {
            ended = run.all() => ended,
            () = interrupted() => Err(failed(INTERRUPTED)),
        };
        let drained = run.wait_for_all().await;
        let report = run.report;
        print_line(report.told());
        ended.and(drained)?;
        if report.lost() > 0 {
            return Err(failed(format_args!("{} not redriven", report.lost())));
        }
        Ok(())
    }

    /// Whose dead letters are taken.
    fn group<'g>(&'g self, context: &'g Context) -> &'g str {
        self.which.group.as_deref().unwrap_or(&context.kafka.group)
    }
}

struct Run<'r> {
    redrive: &'r Redrive,
    context: &'r Context,
    topics: &'r Topics,
    publisher: &'r Publisher,
    before: Redriven,
    under_way: UnderWay,
    report: Report,
    pace: Option<Interval>,
    /// Of the group's dead letters, where what was redriven before is taken as well.
    newest: Newest,
    /// What this run has taken.
    taken: BTreeSet<FailedTry>,
}

impl Run<'_> {
    async fn all(&mut self) -> Result<(), Failure> {
        let part = self.redrive.chosen.part(self.context.now);
        let topic = &self.context.config.dead_letters.topic;
        let mut scan = Scan::start(&self.context.kafka, topic, part).await.map_err(failed)?;
        let mut progress = interval(PROGRESS);
        progress.reset();
        let limit = self.redrive.limit.unwrap_or(u64::MAX);
        let mut read: u64 = 0;
        while self.redriven() < limit {
            tokio::select! {
                record = scan.next() => {
                    let Some(record) = record.map_err(failed)? else { break };
                    read += 1;
                    let Ok(letter) = Letter::read(record) else {
                        self.report.foreign += 1;
                        continue;
                    };
                    if self.redrive.chosen.fits(&letter, self.context.now) {
                        self.take(letter).await?;
                    }
                }
                Some(done) = self.under_way.join_next() => self.acknowledged(done)?,
                _ = progress.tick() => {
                    eprint_note(format_args!(
                        "{read} of {} read, {} redriven",
                        scan.offsets(),
                        self.report.redriven()
                    ));
                }
            }
        }
        Ok(())
    }

    /// How many have been redriven, or are on the way.
    fn redriven(&self) -> u64 {
        self.report.redriven() + self.under_way.len() as u64
    }

    async fn take(&mut self, mut letter: Letter) -> Result<(), Failure> {
        let mut outcome = self.outcome(&mut letter).await?;
        if outcome == RedriveOutcome::Redriven && !self.taken.insert(FailedTry::of(&letter)) {
            outcome = RedriveOutcome::Skipped(SkipCause::SameMessage);
        }
        let may_repeat = letter.may_repeat() || !self.before.places(&letter).is_empty();
        if outcome != RedriveOutcome::Redriven || self.redrive.dry_run {
            self.report.add(&letter, outcome, may_repeat);
            return Ok(());
        }
        if let Some(pace) = &mut self.pace {
            pace.tick().await;
        }
        let headers = letter.redriven(self.redrive.which.ignore_expiry, may_repeat);
        let outgoing = Outgoing {
            key: letter.original.key.as_deref(),
            value: letter.original.value.as_deref().unwrap_or_default(),
            headers: &headers,
        };
        let sent = Sent { may_repeat, place: letter.place };
        match self.publisher.send(outgoing).await {
            Ok(acknowledged) => {
                self.under_way.spawn(async move { (sent, acknowledged.await) });
                Ok(())
            }
            Err(error) => self.answered(&sent, Err(error)),
        }
    }

    /// What is to become of a dead letter that is meant. Fills in the event of a pointer.
    async fn outcome(&self, letter: &mut Letter) -> Result<RedriveOutcome, Failure> {
        if letter.group.as_deref() != Some(self.redrive.group(self.context)) {
            return Ok(RedriveOutcome::Skipped(SkipCause::OtherGroup));
        }
        let was_redriven = !self.before.places(letter).is_empty();
        if was_redriven && !self.redrive.which.again {
            return Ok(RedriveOutcome::Skipped(SkipCause::RedrivenBefore));
        }
        if self.newest.has_newer_than(letter, was_redriven) {
            return Ok(RedriveOutcome::Skipped(SkipCause::SameMessage));
        }
        if letter.redrives >= self.redrive.which.max_redrives {
            return Ok(RedriveOutcome::Skipped(SkipCause::TooOften));
        }
        if !pointer::follow(letter, &self.context.kafka).await.map_err(failed)? {
            return Ok(RedriveOutcome::Failed(FailCause::Gone));
        }
        let ignore_expiry = self.redrive.which.ignore_expiry;
        let verdict = outlook::verdict(self.topics, self.context, letter, ignore_expiry);
        Ok(match outlook::of(&verdict, self.context.now) {
            Outlook::Sent => RedriveOutcome::Redriven,
            Outlook::Expired => RedriveOutcome::Skipped(SkipCause::Expired),
            Outlook::Skipped => RedriveOutcome::Skipped(SkipCause::Unmatched),
            Outlook::Rejected(rejection) => {
                RedriveOutcome::Skipped(SkipCause::Rejected(rejection.reason))
            }
        })
    }

    fn acknowledged(
        &mut self,
        done: Result<(Sent, Result<(), PublishError>), tokio::task::JoinError>,
    ) -> Result<(), Failure> {
        let (sent, result) = done.map_err(failed)?;
        self.answered(&sent, result)
    }

    /// A record that is too large is its own fault; whatever else there is concerns all.
    fn answered(&mut self, sent: &Sent, result: Result<(), PublishError>) -> Result<(), Failure> {
        match result {
            Ok(()) => self.report.redriven_one(sent.may_repeat),
            Err(PublishError::TooLarge) => {
                eprint_line(format_args!(
                    "{}: larger than the redrive topic allows (max.message.bytes)",
                    sent.place
                ));
                self.report.count(RedriveOutcome::Failed(FailCause::TooLarge));
            }
            Err(error) => return Err(failed(error)),
        }
        Ok(())
    }

    /// Those that are under way, also where the rest was given up.
    async fn wait_for_all(&mut self) -> Result<(), Failure> {
        let mut ended = Ok(());
        while let Some(done) = self.under_way.join_next().await {
            ended = ended.and(self.acknowledged(done));
        }
        ended
    }
}

fn pace(a_second: f64) -> Interval {
    let mut pace = interval(Duration::from_secs_f64(1.0 / a_second));
    pace.set_missed_tick_behavior(MissedTickBehavior::Delay);
    pace
}

/// From one in an hour to a million.
fn rate(text: &str) -> Result<f64, &'static str> {
    let number = text.trim().trim_end_matches("/s").trim_end();
    let rate = number.parse().ok().filter(|rate| (1.0 / 3600.0..=1e6).contains(rate));
    rate.ok_or("expected how many a second, such as 50/s or 0.5")
}
