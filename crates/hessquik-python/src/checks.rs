//! All derivative checks of a network at some points.
use hessquik::{Error, Network, check};
use ndarray::ArrayView2;
use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;

/// Name of a check, whether it passed, its table, and its numbers as JSON.
pub type Outcome = (String, bool, String, String);

/// A report as JSON.
pub fn json(report: &impl serde::Serialize) -> PyResult<String> {
    serde_json::to_string(report).map_err(|e| PyRuntimeError::new_err(e.to_string()))
}

/// Runs all checks.
pub fn all(network: &Network<f64>, x: ArrayView2<f64>, seed: u64, order: usize) -> Result<Vec<Outcome>, Error> {
    let outcome = |(name, report): (String, check::Report)| {
        let json = serde_json::to_string(&report).unwrap_or_default();
        (name, report.passed(), report.to_string(), json)
    };
    Ok(check::all(network, &x, seed, order)?.into_iter().map(outcome).collect())
}
