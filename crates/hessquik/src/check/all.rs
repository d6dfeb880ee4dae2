//! Every check of a network, as the command `hessquik check` and Python's `Network.check` run them.
use super::{
    DifferenceOptions, DifferenceReport, DirectionalOptions, DirectionalReport, Options, OrdersReport, PartialsReport,
    TaylorReport, directional_derivative_check, higher_derivative_check, input_derivative_check,
    input_derivative_check_finite_difference, laplacian_check_finite_difference, network_derivative_check,
    partials_check_finite_difference, some_partials,
};
use crate::{Error, Layer, Mode, Network, Real};
use ndarray::{ArrayBase, Data, Ix2};
use std::fmt;

/// The report of one check; `Display` prints its table.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
#[serde(untagged)]
#[non_exhaustive]
pub enum Report {
    /// Of [`input_derivative_check`] and [`network_derivative_check`].
    Taylor(TaylorReport),
    /// Of [`input_derivative_check_finite_difference`] and [`laplacian_check_finite_difference`].
    Difference(DifferenceReport),
    /// Of [`directional_derivative_check`].
    Directional(DirectionalReport),
    /// Of [`higher_derivative_check`].
    Orders(OrdersReport),
    /// Of [`partials_check_finite_difference`].
    Partials(PartialsReport),
}

impl Report {
    /// Whether the check passed.
    pub fn passed(&self) -> bool {
        match self {
            Self::Taylor(report) => report.passed(),
            Self::Difference(report) => report.passed(),
            Self::Directional(report) => report.passed(),
            Self::Orders(report) => report.passed(),
            Self::Partials(report) => report.passed(),
        }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Taylor(report) => report.fmt(f),
            Self::Difference(report) => report.fmt(f),
            Self::Directional(report) => report.fmt(f),
            Self::Orders(report) => report.fmt(f),
            Self::Partials(report) => report.fmt(f),
        }
    }
}

/// Runs every check of the derivatives of `network` at points `x` (n_s, d): in the inputs by Taylor expansions and finite
/// differences in forward and backward mode, the Laplacian, along random directions, and in the weights; and, if `order` is
/// above 2, derivatives of all orders up to it, at most 8. Returns each check's name and report, in this order. `seed` is
/// that of the random directions.
///
/// ```
/// use hessquik::{Activation, Init, check, fully_connected};
/// let network = fully_connected::<f64>(&[2, 8, 1], Activation::Tanh, &mut Init::seed(0))?;
/// let x = Init::seed(1).uniform((5, 2), -1.0, 1.0);
/// let reports = check::all(&network, &x, 0, 3)?;
/// assert!(reports.iter().all(|(_, report)| report.passed()));
/// assert_eq!(reports[0].0, "Taylor expansion in the inputs, forward mode");
/// # Ok::<(), hessquik::Error>(())
/// ```
///
/// # Errors
/// Those of each check: [`Error::Shape`] for points of another dimension or none, [`Error::Setting`] for points that are
/// not finite or an order above 8.
pub fn all<F: Real, S: Data<Elem = F>>(
    network: &Network<F>,
    x: &ArrayBase<S, Ix2>,
    seed: u64,
    order: usize,
) -> Result<Vec<(String, Report)>, Error> {
    let mut reports = Vec::new();
    let mut add = |name: String, report: Report| reports.push((name, report));
    for (name, mode) in [("forward", Mode::Forward), ("backward", Mode::Backward)] {
        let options = Options { mode: mode.clone(), seed, ..Options::default() };
        let report = Report::Taylor(input_derivative_check(network, x, &options)?);
        add(format!("Taylor expansion in the inputs, {name} mode"), report);
        let options = DifferenceOptions { mode, ..DifferenceOptions::default() };
        let report = Report::Difference(input_derivative_check_finite_difference(network, x, &options)?);
        add(format!("Finite differences, {name} mode"), report);
    }
    let options = DifferenceOptions::default();
    add("Laplacian".into(), Report::Difference(laplacian_check_finite_difference(network, x, &options)?));
    let options = DirectionalOptions { seed, ..DirectionalOptions::default() };
    let report = Report::Directional(directional_derivative_check(network, x, &options)?);
    add("Along random directions, in every mode".into(), report);
    let options = Options { seed, ..Options::default() };
    if order > 2 {
        let report = Report::Orders(higher_derivative_check(network, x, order, &options)?);
        add(format!("Derivatives of orders 1 to {order} along a direction"), report);
        let partials = some_partials(network.dim_input(), order);
        let options = DifferenceOptions::default();
        let report = Report::Partials(partials_check_finite_difference(network, x, &partials, &options)?);
        add(format!("Partials of orders 3 to {order}"), report);
    }
    if network.n_weights() > 0 {
        let report = Report::Taylor(network_derivative_check(network, x, &options)?);
        add("Taylor expansion in the weights".into(), report);
    }
    Ok(reports)
}
