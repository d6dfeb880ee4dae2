//! `hessquik check`: the derivatives of a model against everything that they can be compared with.
use super::Report;
use crate::args::Check;
use crate::failure::Failure;
use crate::model::Model;
use crate::points::{Points, source};
use hessquik::check::{self, DifferenceOptions, DirectionalOptions, Options};
use hessquik::{Init, Layer, Mode};
use ndarray::Array2;
use serde::Serialize;
use serde_json::{Value, json};
use std::fmt::Display;
use std::path::Path;

/// Runs all checks in double precision.
pub fn run(args: &Check) -> Result<Report, Failure> {
    source::once(&[&args.model, args.input.as_deref().unwrap_or(Path::new(""))])?;
    let model = Model::read(&args.model)?;
    let network = model.network::<f64>()?;
    let (x, remarks) = points(args, network.dim_input())?;
    let mut checks = Checks::default();
    for (name, mode) in [("forward", Mode::Forward), ("backward", Mode::Backward)] {
        let options = Options { hessian: true, mode: mode.clone(), seed: args.seed, ..Options::default() };
        let report = check::input_derivative_check(&network, &x, &options)?;
        checks.add(&format!("Taylor expansion in the inputs, {name} mode"), &report, report.passed());
        let options = DifferenceOptions { hessian: true, mode, ..DifferenceOptions::default() };
        let report = check::input_derivative_check_finite_difference(&network, &x, &options)?;
        checks.add(&format!("Finite differences, {name} mode"), &report, report.passed());
    }
    let report = check::laplacian_check_finite_difference(&network, &x, &DifferenceOptions::default())?;
    checks.add("Laplacian", &report, report.passed());
    let options = DirectionalOptions { seed: args.seed, ..DirectionalOptions::default() };
    let report = check::directional_derivative_check(&network, &x, &options)?;
    checks.add("Along random directions, in every mode", &report, report.passed());
    if args.order > 2 {
        let order = usize::from(args.order);
        let options = Options { seed: args.seed, ..Options::default() };
        let report = check::higher_derivative_check(&network, &x, order, &options)?;
        checks.add(&format!("Derivatives of orders 1 to {order} along a direction"), &report, report.passed());
        let partials = check::some_partials(network.dim_input(), order);
        let report = check::partials_check_finite_difference(&network, &x, &partials, &DifferenceOptions::default())?;
        checks.add(&format!("Partials of orders 3 to {order}"), &report, report.passed());
    }
    if network.n_weights() > 0 {
        let options = Options { hessian: true, seed: args.seed, ..Options::default() };
        let report = check::network_derivative_check(&network, &x, &options)?;
        checks.add("Taylor expansion in the weights", &report, report.passed());
    }
    Ok(checks.report(args, x.nrows()).noting([model.remarks(), remarks].concat()))
}

/// The points to check at: those of a file, or random ones.
fn points(args: &Check, d: usize) -> Result<(Array2<f64>, Vec<String>), Failure> {
    let Some(path) = &args.input else {
        return Ok((Init::seed(args.seed).uniform((args.points, d), -1.0, 1.0), Vec::new()));
    };
    let mut points = Points::open_as(path, Some(d), args.reading.how())?;
    let x = points.read(args.points)?;
    if x.is_empty() {
        return Err(Failure::file(path, "has no points, expected at least one"));
    }
    Ok((x, points.remarks()))
}

/// Checks that were made.
#[derive(Debug, Default)]
struct Checks {
    text: String,
    json: Vec<Value>,
    failed: Vec<String>,
}

impl Checks {
    fn add(&mut self, name: &str, report: &(impl Display + Serialize), passed: bool) {
        self.text += &format!("{name}\n{}\n\n", report.to_string().trim_end());
        self.json.push(json!({ "check": name, "passed": passed, "report": report }));
        if !passed {
            self.failed.push(name.into());
        }
    }

    fn report(self, args: &Check, points: usize) -> Report {
        let (all, passed) = (self.json.len(), self.failed.is_empty());
        let verdict = match passed {
            true => format!("all {all} checks passed"),
            false => format!("{} of {all} checks FAILED: {}", self.failed.len(), self.failed.join("; ")),
        };
        let path = args.model.display().to_string();
        let text = format!("{}{path}: {verdict}, at {}", self.text, super::count(points, "point"));
        let json = json!({ "model": path, "points": points, "passed": passed, "checks": self.json });
        Report { passed, ..Report::done(text, json) }
    }
}
