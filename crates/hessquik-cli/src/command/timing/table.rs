//! Times of one wrapper on one network, their statistics, and all of them as a table.
use crate::command::short;
use serde::Serialize;
use std::fmt::Write;

/// The times, in seconds, of one wrapper on one network.
#[derive(Debug, Serialize)]
pub struct Row {
    /// Number of inputs.
    pub in_features: usize,
    /// Number of outputs.
    pub out_features: usize,
    /// How derivatives were computed.
    pub network_wrapper: String,
    /// Every trial, in order.
    pub timing_trials: Vec<f64>,
    /// Their mean.
    pub timing_trials_mean: f64,
    /// Their standard deviation, of a sample, as hessQuik has it; `None` for a single trial.
    pub timing_trials_std: Option<f64>,
    /// The least of them.
    pub min: f64,
    /// The one in the middle.
    pub median: f64,
    /// The median as a multiple of that of `ours` on the same network, if that was timed.
    pub ratio: Option<f64>,
}

impl Row {
    /// A row with the statistics of at least one trial, and no ratio yet.
    pub fn new(in_features: usize, out_features: usize, network_wrapper: String, timing_trials: Vec<f64>) -> Self {
        let n = timing_trials.len();
        let mean = timing_trials.iter().sum::<f64>() / n as f64;
        let squares: f64 = timing_trials.iter().map(|t| (t - mean).powi(2)).sum();
        let mut sorted = timing_trials.clone();
        sorted.sort_by(f64::total_cmp);
        Self {
            in_features,
            out_features,
            network_wrapper,
            timing_trials,
            timing_trials_mean: mean,
            timing_trials_std: (n > 1).then(|| (squares / (n - 1) as f64).sqrt()),
            min: sorted[0],
            median: (sorted[(n - 1) / 2] + sorted[n / 2]) / 2.0,
            ratio: None,
        }
    }
}

/// Sets the ratios of rows for one network.
pub fn compare(rows: &mut [Row]) {
    let ours = rows.iter().find(|r| r.network_wrapper == "ours").map(|r| r.median);
    rows.iter_mut().for_each(|r| r.ratio = ours.map(|ours| r.median / ours));
}

/// A line for each row, with a gap between networks.
pub fn text(rows: &[Row]) -> String {
    let mut text = format!(
        "{:>7} {:>7}  {:10} {:>9} {:>9} {:>9} {:>9} {:>9}\n",
        "inputs", "outputs", "wrapper", "mean", "std", "min", "median", "ratio"
    );
    let mut last = None;
    for row in rows {
        let network = (row.in_features, row.out_features);
        if last.replace(network).is_some_and(|last| last != network) {
            text.push('\n');
        }
        let optional = |number: Option<f64>, unit| number.map_or("-".into(), |n| short(n, unit));
        let _ = writeln!(
            text,
            "{:>7} {:>7}  {:10} {:>9} {:>9} {:>9} {:>9} {:>9}",
            row.in_features,
            row.out_features,
            row.network_wrapper,
            short(row.timing_trials_mean, "s"),
            optional(row.timing_trials_std, "s"),
            short(row.min, "s"),
            short(row.median, "s"),
            row.ratio.map_or("-".into(), |r| format!("{r:.2}")),
        );
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statistics() {
        let row = |name: &str, trials: &[f64]| Row::new(2, 1, name.into(), trials.into());
        let mut rows = [row("forward", &[4.0, 1.0, 2.0, 5.0]), row("ours", &[2.0])];
        compare(&mut rows);
        let Row { timing_trials_mean: mean, timing_trials_std: std, min, median, ratio, .. } = rows[0];
        assert_eq!((mean, min, median, ratio), (3.0, 1.0, 3.0, Some(1.5)));
        assert!((std.unwrap() - (10.0f64 / 3.0).sqrt()).abs() < 1e-15);
        assert_eq!((rows[1].timing_trials_std, rows[1].median, rows[1].ratio), (None, 2.0, Some(1.0)));
        compare(&mut rows[..1]);
        assert_eq!(rows[0].ratio, None);
    }
}
