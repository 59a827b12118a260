//! Reading what `/metrics` answers.

use std::collections::BTreeMap;

/// Every sample of one scrape, under its name and labels as printed, such as
/// `line_bridge_records_total{topic="orders"}`.
#[derive(Debug)]
pub(crate) struct Metrics(BTreeMap<String, f64>);

impl Metrics {
    /// Reads the text exposition format; panics with the line that is not of it.
    pub(crate) fn parse(text: &str) -> Self {
        let samples = text.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
        let parsed = samples.map(|line| {
            let (series, value) =
                line.rsplit_once(' ').unwrap_or_else(|| panic!("metrics: {line}"));
            let value = value.parse().unwrap_or_else(|error| panic!("metrics: {line}: {error}"));
            (series.trim().to_owned(), value)
        });
        Self(parsed.collect())
    }

    /// The value of one series; labels are in the order of their names.
    pub(crate) fn get(&self, series: &str) -> Option<f64> {
        self.0.get(series).copied()
    }

    /// The sum of a metric's series over all its labels; 0 if there is none.
    pub(crate) fn sum(&self, name: &str) -> f64 {
        let of_name = |series: &str| series.split('{').next() == Some(name);
        self.0.iter().filter(|(series, _)| of_name(series)).map(|(_, value)| value).sum()
    }
}
