//! `hessquik check`: the derivatives of a model against everything that they can be compared with.
use crate::args::Check;
use crate::failure::Failure;
use crate::model::Model;
use crate::output::Owner;
use crate::pictures::{Chart, Line, Panel, Plot};
use crate::points::{Points, source};
use hessquik::check::{self, OrderTable, Report};
use hessquik::{Init, Layer};
use ndarray::Array2;
use serde_json::json;
use std::path::Path;

/// Runs all checks in double precision.
pub fn run(args: &Check) -> Result<super::Report, Failure> {
    source::once(&[&args.model, args.input.as_deref().unwrap_or(Path::new(""))])?;
    let model = Model::read(&args.model)?;
    let network = model.network::<f64>()?;
    let owner = Owner::new("check", args.force).reading([&*args.model].into_iter().chain(args.input.as_deref()));
    let plot = Plot::maybe(args.plot.as_deref(), &owner)?;
    let (x, remarks) = points(args, network.dim_input())?;
    let reports = check::all(&network, &x, args.seed, usize::from(args.order))?;
    let panels = reports.iter().flat_map(|(name, report)| panels(name, report)).collect();
    let title = format!("Errors of Taylor expansions, {}", super::count(x.nrows(), "point"));
    let aside = Plot::finish(plot, &Chart { title, panels })?;
    Ok(told(&reports, args, x.nrows()).beside(aside).noting([model.remarks(), remarks].concat()))
}

/// Errors without derivatives, with the gradient, and with the Hessian, against the step; beside them slopes of orders 1 to 3.
fn panels(name: &str, report: &Report) -> Vec<Panel> {
    match report {
        Report::Taylor(report) => {
            let errors = [("E0", Some(&report.e0)), ("E1", Some(&report.e1)), ("E2", report.e2.as_ref())];
            let name = name.trim_start_matches("Taylor expansion ");
            vec![errors_panel(name, &report.h, errors.into_iter().filter_map(|(name, e)| Some((name, e?))).collect())]
        }
        Report::Orders(report) => {
            let one = |order: &OrderTable| {
                let name = format!("along a direction, order {}", order.order);
                errors_panel(&name, &order.h, vec![("E0", &order.e0), ("E1", &order.e1)])
            };
            report.orders.iter().map(one).collect()
        }
        _ => Vec::new(),
    }
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

/// The reports as text and JSON.
fn told(reports: &[(String, Report)], args: &Check, points: usize) -> super::Report {
    let tables = reports.iter().map(|(name, report)| format!("{name}\n{}\n\n", report.to_string().trim_end()));
    let failed: Vec<_> = reports.iter().filter(|(_, report)| !report.passed()).map(|(name, _)| name.as_str()).collect();
    let (all, passed) = (reports.len(), failed.is_empty());
    let verdict = match passed {
        true => format!("all {all} checks passed"),
        false => format!("{} of {all} checks FAILED: {}", failed.len(), failed.join("; ")),
    };
    let path = args.model.display().to_string();
    let text = format!("{}{path}: {verdict}, at {}", tables.collect::<String>(), super::count(points, "point"));
    let one = |(name, report): &(String, Report)| json!({ "check": name, "passed": report.passed(), "report": report });
    let checks: Vec<_> = reports.iter().map(one).collect();
    let json = json!({ "model": path, "points": points, "passed": passed, "checks": checks });
    super::Report { passed, ..super::Report::done(text, json) }
}
