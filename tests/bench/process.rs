//! What a process has used, as Linux counts it (`proc(5)`).

use std::fs;

/// The unit of the times in `/proc/PID/stat`: a hundredth of a second on every Linux of today
/// (`USER_HZ`).
const TICKS_A_SECOND: f64 = 100.0;

/// The seconds of CPU time that a process has used, its threads' included; none once it is gone.
pub(crate) fn cpu_seconds(pid: u32) -> Option<f64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name in parentheses may hold anything; the fields after it are numbered from 3.
    let (_, fields) = stat.rsplit_once(')')?;
    let mut times = fields.split_whitespace().skip(14 - 3).map(str::parse::<f64>);
    let (user, system) = (times.next()?.ok()?, times.next()?.ok()?);
    Some((user + system) / TICKS_A_SECOND)
}

/// The resident memory of a process in MB (10^6 bytes): now, or at its highest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Resident {
    Now,
    Highest,
}

pub(crate) fn resident_mb(pid: u32, which: Resident) -> Option<f64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let key = match which {
        Resident::Now => "VmRSS:",
        Resident::Highest => "VmHWM:",
    };
    let line = status.lines().find_map(|line| line.strip_prefix(key))?;
    let kibibytes: f64 = line.split_whitespace().next()?.parse().ok()?;
    Some(kibibytes * 1024.0 / 1e6)
}
