//! Which configuration is in force, and whether it is that of the files.

use std::sync::{Mutex, PoisonError};

use prometheus::{IntCounterVec, IntGauge, IntGaugeVec};

use super::Registrar;

/// What has become of changed files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reload {
    /// They are in force.
    Applied,
    /// They have mistakes.
    Refused,
    /// They are right, and only a restart puts them in force.
    NeedsRestart,
}

#[derive(Debug)]
pub(super) struct Reloads {
    total: IntCounterVec,
    in_force: IntGauge,
    info: IntGaugeVec,
    shown: Mutex<Shown>,
}

/// What `/status` says.
#[derive(Clone, Debug, Default)]
pub(super) struct Shown {
    pub(super) hash: String,
    /// Why the files are not in force; none where they are.
    pub(super) pending: Option<Reload>,
}

impl Reload {
    pub(super) fn label(self) -> &'static str {
        match self {
            Self::Applied => "applied",
            Self::Refused => "refused",
            Self::NeedsRestart => "needs_restart",
        }
    }
}

impl Reloads {
    pub(super) fn register(to: &Registrar<'_>) -> prometheus::Result<Self> {
        let total = to.counters(
            "reloads_total",
            "Changes of the configuration's files, by what became of them.",
            &["result"],
        )?;
        for result in [Reload::Applied, Reload::Refused, Reload::NeedsRestart] {
            total.with_label_values(&[result.label()]);
        }
        let in_force = to.add(IntGauge::new(
            "config_in_force",
            "1 where the configuration, schemas and token are those of the files; 0 where a change is refused or needs a restart.",
        ))?;
        in_force.set(1);
        let info =
            to.gauges("config_info", "The configuration in force, by its hash.", &["hash"])?;
        Ok(Self { total, in_force, info, shown: Mutex::default() })
    }

    /// The configuration of this hash is in force.
    pub(super) fn show(&self, hash: &str) {
        let mut shown = self.shown.lock().unwrap_or_else(PoisonError::into_inner);
        self.info.reset();
        self.info.with_label_values(&[hash]).set(1);
        shown.hash.replace_range(.., hash);
    }

    pub(super) fn count(&self, result: Reload) {
        self.total.with_label_values(&[result.label()]).inc();
    }

    /// Why the files are not in force; none where they are.
    pub(super) fn pending(&self, pending: Option<Reload>) {
        self.in_force.set(i64::from(pending.is_none()));
        self.shown.lock().unwrap_or_else(PoisonError::into_inner).pending = pending;
    }

    pub(super) fn shown(&self) -> Shown {
        self.shown.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}
