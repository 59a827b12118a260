//! How fast a full topic is sent, and at what cost.

use std::time::{Duration, Instant};

use crate::Plan;
use crate::arm::{Arm, Route, Running, Stage};
use crate::events::Keys;
use crate::process::{Resident, cpu_seconds, resident_mb};
use crate::report::{Report, Throughput};
use crate::sink::{Arrivals, Sink};
use crate::statistics::{median, number};

const LOOK: Duration = Duration::from_millis(2);

/// An arm that sends nothing for so long has ended its run.
const SILENCE: Duration = Duration::from_secs(30);

/// What one run of one arm gave.
struct Run {
    per_second: f64,
    cpu_per_thousand: f64,
    resident: f64,
    first_ms: f64,
    arrivals: Arrivals,
}

pub(crate) fn measure(stage: &Stage, plan: &Plan, report: &mut Report) {
    for keys in &plan.keys {
        for latency in &plan.latency_ms {
            for in_flight in &plan.in_flight {
                combination(stage, plan, report, (*keys, *latency, *in_flight));
            }
        }
    }
}

fn combination(
    stage: &Stage,
    plan: &Plan,
    report: &mut Report,
    (keys, latency_ms, in_flight): (Keys, u64, usize),
) {
    let count = messages(keys, latency_ms, in_flight, plan.seconds);
    let topic = stage.filled_topic(keys, count);
    let mut arms = vec![(Arm::Floor, Vec::new()), (Arm::Bridge, Vec::new())];
    arms.extend(plan.other.iter().map(|command| (Arm::Other(command.clone()), Vec::new())));
    for _ in 0..plan.runs.max(1) {
        for (arm, runs) in &mut arms {
            let at_once = at_once(arm, keys, in_flight);
            let sink = Sink::start(Duration::from_millis(latency_ms));
            let route = Route { topic: &topic, url: &sink.url, in_flight: at_once, count };
            eprintln!(
                "bench: {} keys {}, {latency_ms} ms, {in_flight} in flight, {count} messages",
                arm.label(),
                keys.label()
            );
            runs.push(run(stage.spawn(arm, &route), &sink, count));
        }
    }
    for (arm, runs) in &arms {
        let of = |figure: fn(&Run) -> f64| median(&runs.iter().map(figure).collect::<Vec<_>>());
        let all = |figure: fn(&Arrivals) -> usize| -> usize {
            runs.iter().map(|run| figure(&run.arrivals)).sum()
        };
        report.throughput.push(Throughput {
            arm: arm.label().to_owned(),
            keys: keys.label(),
            latency_ms,
            in_flight,
            messages: count,
            per_second: of(|run| run.per_second),
            // The floor keeps no order, so the keys do not hold it back.
            ideal_per_second: match arm {
                Arm::Floor => ideal(Keys::Uniform, latency_ms, at_once(arm, keys, in_flight)),
                Arm::Bridge | Arm::Other(_) => ideal(keys, latency_ms, in_flight),
            },
            cpu_seconds_per_thousand: of(|run| run.cpu_per_thousand),
            resident_mb: of(|run| run.resident),
            first_message_ms: of(|run| run.first_ms),
            lost: count * runs.len() - all(|arrivals| arrivals.distinct),
            repeated: all(|arrivals| arrivals.repeated),
            out_of_order: all(|arrivals| arrivals.out_of_order),
        });
    }
}

/// One key means one message at a time, for the floor as well.
fn at_once(arm: &Arm, keys: Keys, in_flight: usize) -> usize {
    if keys == Keys::One && *arm == Arm::Floor { 1 } else { in_flight }
}

/// What the number in flight, the latency and the keys allow; none at 0 ms.
fn ideal(keys: Keys, latency_ms: u64, in_flight: usize) -> Option<f64> {
    #[expect(clippy::cast_precision_loss, reason = "some milliseconds")]
    let seconds = latency_ms as f64 / 1_000.0;
    (latency_ms > 0).then(|| keys.at_once().min(number(in_flight)) / seconds)
}

/// So many as take about `seconds`, by what is to be expected.
fn messages(keys: Keys, latency_ms: u64, in_flight: usize, seconds: u64) -> usize {
    /// What two cores do at best, broker and sink included.
    const MOST_A_SECOND: f64 = 12_000.0;
    /// The same, where every message waits for the one before.
    const MOST_OF_ONE_KEY: f64 = 1_000.0;
    let most = if keys == Keys::One { MOST_OF_ONE_KEY } else { MOST_A_SECOND };
    let a_second = ideal(keys, latency_ms, in_flight).unwrap_or(most).min(most);
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_precision_loss,
        clippy::cast_sign_loss,
        reason = "some thousands"
    )]
    let count = (a_second * seconds as f64) as usize;
    count
}

fn run(mut arm: Running, sink: &Sink, count: usize) -> Run {
    let pid = arm.pid();
    let mut before = None;
    let (mut after, mut resident) = (0.0, 0.0_f64);
    let (mut seen, mut changed) = (0, Instant::now());
    loop {
        let arrived = sink.count();
        if arrived > 0 && before.is_none() {
            before = cpu_seconds(pid).map(|used| (used, arrived));
        }
        after = cpu_seconds(pid).unwrap_or(after);
        resident = resident.max(resident_mb(pid, Resident::Highest).unwrap_or_default());
        if arrived > seen {
            (seen, changed) = (arrived, Instant::now());
        }
        if arrived >= count || arm.has_ended() || changed.elapsed() > SILENCE {
            break;
        }
        std::thread::park_timeout(LOOK);
    }
    // What is sent again by mistake comes late.
    arm.end();
    let arrivals = sink.arrivals();
    let (first, last) = arrivals.first.zip(arrivals.last).unwrap_or_else(|| {
        let (others, log) = (arrivals.unknown, arm.log());
        panic!("the arm sent none of the messages, and {others} other requests; it says:\n{log}")
    });
    let (used, at) = before.unwrap_or_default();
    Run {
        per_second: number(arrivals.distinct) / last.duration_since(first).as_secs_f64(),
        cpu_per_thousand: (after - used) * 1_000.0
            / number(arrivals.distinct.saturating_sub(at).max(1)),
        resident,
        first_ms: first.duration_since(arm.started).as_secs_f64() * 1_000.0,
        arrivals,
    }
}
