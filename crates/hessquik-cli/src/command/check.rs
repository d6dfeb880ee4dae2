//! `hessquik check`: the derivatives of a model against everything that they can be compared with.
use super::Report;
use crate::args::Check;
use crate::failure::Failure;
use crate::model::Model;
use crate::output::{Draft, Owner};
use crate::pictures::{Chart, Line, Panel, Plot};
use crate::points::{Points, source};
use hessquik::check::{self, DifferenceOptions, DirectionalOptions, Options, OrderTable, TaylorReport};
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
    let plot = Plot::maybe(args.plot.as_deref(), &Owner::new("check", args.force))?;
    let mut panels = Vec::new();
    let (x, remarks) = points(args, network.dim_input())?;
    let mut checks = Checks::default();
    for (name, mode) in [("forward", Mode::Forward), ("backward", Mode::Backward)] {
        let options = Options { hessian: true, mode: mode.clone(), seed: args.seed, ..Options::default() };
        let report = check::input_derivative_check(&network, &x, &options)?;
        panels.push(taylor(&format!("in the inputs, {name} mode"), &report));
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
        panels.extend(report.orders.iter().map(order_panel));
        checks.add(&format!("Derivatives of orders 1 to {order} along a direction"), &report, report.passed());
        let partials = check::some_partials(network.dim_input(), order);
        let report = check::partials_check_finite_difference(&network, &x, &partials, &DifferenceOptions::default())?;
        checks.add(&format!("Partials of orders 3 to {order}"), &report, report.passed());
    }
    if network.n_weights() > 0 {
        let options = Options { hessian: true, seed: args.seed, ..Options::default() };
        let report = check::network_derivative_check(&network, &x, &options)?;
        panels.push(taylor("in the weights", &report));
        checks.add("Taylor expansion in the weights", &report, report.passed());
    }
    let title = format!("Errors of Taylor expansions, {}", super::count(x.nrows(), "point"));
    let draft = plot.map(|plot| plot.draw(&Chart { title, panels })).transpose()?;
    let aside = draft.as_ref().is_some_and(Draft::is_stdout);
    draft.map_or(Ok(()), Draft::finish)?;
    Ok(checks.report(args, x.nrows()).beside(aside).noting([model.remarks(), remarks].concat()))
}

/// Errors without derivatives, with the gradient, and with the Hessian, against the step; beside them slopes of orders 1 to 3.
fn taylor(name: &str, report: &TaylorReport) -> Panel {
    let errors = [("E0", Some(&report.e0)), ("E1", Some(&report.e1)), ("E2", report.e2.as_ref())];
    errors_panel(name, &report.h, errors.into_iter().filter_map(|(name, e)| Some((name, e?))).collect())
}

/// The same of one order of derivatives along a direction.
fn order_panel(table: &OrderTable) -> Panel {
    let name = format!("along a direction, order {}", table.order);
    errors_panel(&name, &table.h, vec![("E0", &table.e0), ("E1", &table.e1)])
}

fn errors_panel(name: &str, h: &[f64], errors: Vec<(&str, &Vec<f64>)>) -> Panel {
    let mut lines = Vec::new();
    for (order, (name, e)) in (1..).zip(&errors) {
        // h^order from the first error on, down to the last digits that a number has
        if let (Some(first), Some(start)) = (h.first(), e.first()) {
            let slope = h.iter().map(|h| (*h, start * (h / first).powi(order)));
            let points = slope.filter(|(_, e)| *e > f64::EPSILON * start.abs()).collect();
            lines.push(Line { thin: true, ..Line::new("", points) });
        }
        let points = h.iter().copied().zip(e.iter().copied()).collect();
        lines.push(Line { marked: true, ..Line::new(*name, points) });
    }
    Panel { name: name.into(), axes: ["step h".into(), "error".into()], log: [true; 2], lines }
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
