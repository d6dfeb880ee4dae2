//! The commands: each turns its arguments into a report, or says why it cannot.
pub mod check;
pub mod convert;
pub mod demo;
pub mod estimate;
pub mod eval;
pub mod explain;
mod field;
pub mod info;
pub mod new;
pub mod peaks;
mod preset;
pub mod timing;
#[cfg(feature = "train")]
pub mod train;

use hessquik::{Layer, Network, Real};
use serde_json::Value;

/// What a command has to say.
#[derive(Debug)]
pub struct Report {
    /// For people.
    pub text: String,
    /// For programs.
    pub json: Value,
    /// Whether all checks passed.
    pub passed: bool,
    /// What the user should know of what was read.
    pub notes: Vec<String>,
    /// Whether standard output has the results, so that the report goes to standard error.
    pub aside: bool,
}

impl Report {
    /// The report of a command that has nothing to check.
    pub fn done(text: String, json: Value) -> Self {
        Self { text, json, passed: true, notes: Vec::new(), aside: false }
    }

    /// The report with notes, which are in its JSON, too.
    pub fn noting(mut self, notes: Vec<String>) -> Self {
        if let (Some(json), false) = (self.json.as_object_mut(), notes.is_empty()) {
            json.insert("notes".into(), notes.clone().into());
        }
        self.notes = notes;
        self
    }

    /// The report beside results on standard output.
    pub fn beside(self, aside: bool) -> Self {
        Self { aside, ..self }
    }

    /// The report of a process that leaves it to another to report.
    #[cfg(feature = "train")]
    pub fn silent() -> Self {
        Self::done(String::new(), Value::Null)
    }
}

/// A number of points, items or seconds that reads easily.
fn short(number: f64, unit: &str) -> String {
    let scales = [(1e9, "G"), (1e6, "M"), (1e3, "k"), (1.0, ""), (1e-3, "m"), (1e-6, "u"), (1e-9, "n")];
    let (scale, prefix) = scales.into_iter().find(|(s, _)| number >= *s).unwrap_or((1.0, ""));
    let scaled = number / scale;
    let digits = if scaled >= 100.0 { 0 } else { 3 - (scaled.max(1.0).log10() as usize + 1).min(3) };
    format!("{scaled:.digits$} {prefix}{unit}").trim_end().to_string()
}

/// `1 input`, `2 inputs`.
fn count(number: usize, what: &str) -> String {
    format!("{number} {what}{}", if number == 1 { "" } else { "s" })
}

/// The inputs, outputs and weights of a network.
fn dimensions<F: Real>(network: &Network<F>) -> String {
    let (d, m) = (count(network.dim_input(), "input"), count(network.dim_output(), "output"));
    format!("{d}, {m}, {}", count(network.n_weights(), "weight"))
}

/// Shapes as people write them: `value (10, 1), gradient (10, 2, 1)`.
fn shapes(tensors: &[crate::output::Tensor]) -> String {
    let one = |t: &crate::output::Tensor| {
        let shape: Vec<_> = t.shape.iter().map(usize::to_string).collect();
        format!("{} ({})", t.name, shape.join(", "))
    };
    tensors.iter().map(one).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    #[test]
    fn short_numbers() {
        let short = super::short;
        assert_eq!(short(0.0123, "s"), "12.3 ms");
        assert_eq!(short(1.5, "s"), "1.50 s");
        assert_eq!(short(2_345_678.0, ""), "2.35 M");
        assert_eq!(short(123.4, ""), "123");
        assert_eq!(short(4.5e-7, "s"), "450 ns");
        assert_eq!(short(0.0, "s"), "0.00 s");
    }
}
