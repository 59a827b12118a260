//! Memory: idle, and with a backlog behind an API that hangs.

use std::time::{Duration, Instant};

use crate::Plan;
use crate::arm::{Arm, Route, Stage};
use crate::events::Keys;
use crate::harness::wait::wait_until;
use crate::process::{Resident, resident_mb};
use crate::report::{Memory, Report};
use crate::sink::Sink;

/// So long memory is watched.
const WATCH: Duration = Duration::from_secs(20);
const LOOK: Duration = Duration::from_millis(200);
const HANGS: Duration = Duration::from_mins(10);
const IN_FLIGHT: usize = 256;
const FIRST_LIMIT: Duration = Duration::from_mins(1);

pub(crate) fn measure(stage: &Stage, plan: &Plan, report: &mut Report) {
    let mut arms = vec![Arm::Bridge];
    arms.extend(plan.other.iter().map(|command| Arm::Other(command.clone())));
    for arm in &arms {
        let topic = stage.empty_topic();
        report.memory.push(watched(stage, arm, &topic, 0));
        let topic = stage.filled_topic(Keys::Uniform, plan.backlog);
        report.memory.push(watched(stage, arm, &topic, plan.backlog));
    }
}

fn watched(stage: &Stage, arm: &Arm, topic: &str, backlog: usize) -> Memory {
    eprintln!("bench: {}, memory with a backlog of {backlog}", arm.label());
    let sink = Sink::start(HANGS);
    let route = Route { topic, url: &sink.url, in_flight: IN_FLIGHT, count: 0 };
    let running = stage.spawn(arm, &route);
    running.wait_ready();
    if backlog > 0 {
        wait_until(FIRST_LIMIT, "the first message is on the wire", || {
            if sink.count() > 0 { Ok(()) } else { Err("none") }
        });
    }
    let begun = Instant::now();
    let pid = running.pid();
    let first = resident_mb(pid, Resident::Now).unwrap_or_default();
    while begun.elapsed() < WATCH {
        std::thread::park_timeout(LOOK);
    }
    let (last, highest) = (Resident::Now, Resident::Highest);
    Memory {
        arm: arm.label().to_owned(),
        backlog,
        first_mb: first,
        last_mb: resident_mb(pid, last).unwrap_or_default(),
        highest_mb: resident_mb(pid, highest).unwrap_or_default(),
        watched_seconds: WATCH.as_secs(),
    }
}
