//! All derivative checks of a network at some points.
use hessquik::check::{self, DifferenceOptions, DirectionalOptions, Options};
use hessquik::{Error, Layer, Mode, Network};
use ndarray::ArrayView2;
use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;
use std::fmt::Display;

/// Name of a check, whether it passed, its table, and its numbers as JSON.
pub type Outcome = (String, bool, String, String);

/// A report as JSON.
pub fn json(report: &impl serde::Serialize) -> PyResult<String> {
    serde_json::to_string(report).map_err(|e| PyRuntimeError::new_err(e.to_string()))
}

/// Runs all checks.
pub fn all(network: &Network<f64>, x: ArrayView2<f64>, seed: u64, order: usize) -> Result<Vec<Outcome>, Error> {
    let mut outcomes = Vec::new();
    let mut add = |name: String, report: &dyn Report, passed: bool| {
        outcomes.push((name, passed, report.table(), report.json()));
    };
    for (name, mode) in [("forward", Mode::Forward), ("backward", Mode::Backward)] {
        let options = Options { hessian: true, mode: mode.clone(), seed, ..Options::default() };
        let report = check::input_derivative_check(network, &x, &options)?;
        add(format!("Taylor expansion in the inputs, {name} mode"), &report, report.passed());
        let options = DifferenceOptions { hessian: true, mode, ..DifferenceOptions::default() };
        let report = check::input_derivative_check_finite_difference(network, &x, &options)?;
        add(format!("Finite differences, {name} mode"), &report, report.passed());
    }
    let report = check::laplacian_check_finite_difference(network, &x, &DifferenceOptions::default())?;
    add("Laplacian".into(), &report, report.passed());
    let options = DirectionalOptions { seed, ..DirectionalOptions::default() };
    let report = check::directional_derivative_check(network, &x, &options)?;
    add("Along random directions, in every mode".into(), &report, report.passed());
    if order > 2 {
        let report = check::higher_derivative_check(network, &x, order, &Options { seed, ..Options::default() })?;
        add(format!("Derivatives of orders 1 to {order} along a direction"), &report, report.passed());
        let partials = check::some_partials(network.dim_input(), order);
        let report = check::partials_check_finite_difference(network, &x, &partials, &DifferenceOptions::default())?;
        add(format!("Partials of orders 3 to {order}"), &report, report.passed());
    }
    if network.n_weights() > 0 {
        let options = Options { hessian: true, seed, ..Options::default() };
        let report = check::network_derivative_check(network, &x, &options)?;
        add("Taylor expansion in the weights".into(), &report, report.passed());
    }
    Ok(outcomes)
}

/// What every report of a check can be printed as.
trait Report {
    fn table(&self) -> String;
    fn json(&self) -> String;
}

impl<T: Display + serde::Serialize> Report for T {
    fn table(&self) -> String {
        self.to_string()
    }
    fn json(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }
}
