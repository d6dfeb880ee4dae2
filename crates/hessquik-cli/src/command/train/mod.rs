//! `hessquik train`: networks fitted to data, or to a differential equation.
mod args;
mod columns;
mod data;
mod network;
mod places;
mod session;

pub use args::Train;

use super::Report;
use crate::args::Dtype;
use crate::failure::Failure;
use crate::pictures::{self, Chart, Colours, Field, Line, Maps, Panel, Place};
use args::{Equation, Hermite, Pinn, Problem};
use hessquik::{Evaluate, Network, Request, peaks};
use hessquik_burn::train::{Burgers, ClampedBeam, Data, Fit, KortewegDeVries, Objective, Poisson, Schedule, Settings};
use ndarray::Array2;
use session::{Judgement, Session};
use std::path::Path;

/// Trains, and writes the model, the history and pictures.
pub fn run(args: &Train, json: bool) -> Result<Report, Failure> {
    match &args.problem {
        Problem::Hermite(args) => hermite(args, json),
        Problem::Data(args) => fit(args, json),
        Problem::Pinn(args) => pinn(args, json),
    }
}

/// Our own settings for data: few large steps, then L-BFGS.
fn fitting() -> Settings {
    Settings {
        epochs: 60,
        batch: 50,
        rate: 1e-2,
        schedule: Schedule::Cosine { last: 1e-4 },
        lbfgs: 10,
        ..Settings::default()
    }
}

/// The settings before those that are given one by one, and their precision.
fn defaults(hessquik: bool) -> (Settings, Option<Dtype>) {
    if hessquik { (Settings::default(), Some(Dtype::F32)) } else { (fitting(), None) }
}

fn hermite(args: &Hermite, json: bool) -> Result<Report, Failure> {
    let (settings, dtype) = defaults(args.loss.hessquik_settings);
    let session = Session::new("hermite", &args.options, &args.output, settings, dtype, json)?;
    let held_back = args.valid.saturating_add(args.test);
    let data = Data::peaks(args.points.saturating_add(held_back), args.options.seed);
    let truth = |x: &Array2<f64>| peaks(x, &Request::new().value()).map(|jet| jet.value.expect("asked for"));
    let x = grid([(-3.0, 3.0), (-3.0, 3.0)]);
    let judgement = Judgement::on_grid("peaks", ["x", "y"], truth(&x)?, x);
    fit_data(session, data, [args.valid, args.test], args.loss.weights, &args.network, judgement)
}

fn fit(args: &args::Data, json: bool) -> Result<Report, Failure> {
    let (settings, dtype) = defaults(args.loss.hessquik_settings);
    let (data, notes) = data::read(&args.file, args.reading.how(), args.values.as_deref())?;
    let session = Session::new("data", &args.options, &args.output, settings, dtype, json)?;
    session.protect(&args.file)?;
    let tenth = data.len() / 10;
    let [valid, test] = [args.valid, args.test].map(|n| n.unwrap_or(tenth));
    let title = args.file.file_name().map_or_else(String::new, |n| n.to_string_lossy().into_owned());
    let judgement = Judgement::on_data(title);
    let report = fit_data(session, data, [valid, test], args.loss.weights, &args.network, judgement)?;
    Ok(if report.json.is_null() { report } else { report.noting(notes) })
}

/// Trains on all but the points that are held back to validate and to test with.
fn fit_data(
    session: Session,
    data: Data,
    [valid, test]: [usize; 2],
    weights: [f64; 3],
    network: &args::NetworkOptions,
    judgement: Judgement,
) -> Result<Report, Failure> {
    let outputs = [
        data.value.as_ref().map(|a| a.ncols()),
        data.gradient.as_ref().map(|a| a.dim().2),
        data.hessian.as_ref().map(|a| a.dim().3),
    ];
    let outputs = outputs.into_iter().flatten().next().unwrap_or(1);
    let start = session.start(network, (data.x.ncols(), outputs))?;
    let all = data.len();
    if valid.saturating_add(test) >= all {
        let message = format!("{valid} points to validate and {test} to test with leave none of {all} to train on");
        return Err(Failure::Usage(message));
    }
    let (rest, test) = data.split(test, session.seed())?;
    let (train, valid) = rest.split(valid, session.seed())?;
    let objective = |data: &Data| Fit::new(data, weights, &session.device, session.dtype);
    let (train, valid) = (objective(&train)?, if valid.is_empty() { None } else { Some(objective(&valid)?) });
    let tested = if test.is_empty() { None } else { Some(objective(&test)?) };
    session.run(start, &train, valid.as_ref(), tested.as_ref(), judgement.with(test))
}

fn pinn(args: &Pinn, json: bool) -> Result<Report, Failure> {
    if args.viscosity.is_some() && args.equation != Equation::Burgers {
        return Err(Failure::Usage("--viscosity applies only to burgers".into()));
    }
    if args.speed.is_some() && args.equation != Equation::Kdv {
        return Err(Failure::Usage("--speed applies only to kdv".into()));
    }
    match args.equation {
        Equation::Poisson => {
            let x = grid([(0.0, 1.0), (0.0, 1.0)]);
            let judgement = Judgement::on_grid("Poisson's equation", ["x", "y"], Poisson::solution(&x), x);
            solve(args, "poisson", judgement, json, |inside, boundary, seed, session| {
                Poisson::new(inside, boundary, seed, &session.device, session.dtype)
            })
        }
        Equation::Burgers => {
            let viscosity = args.viscosity.unwrap_or(0.1 / std::f64::consts::PI);
            let x = grid([(0.0, 1.0), (-1.0, 1.0)]);
            let judgement = Judgement::on_grid("Burgers' equation", ["t", "x"], Burgers::solution(viscosity, &x), x);
            solve(args, "burgers", judgement, json, |inside, boundary, seed, session| {
                Burgers::new(inside, boundary, viscosity, seed, &session.device, session.dtype)
            })
        }
        Equation::Kdv => {
            let speed = args.speed.unwrap_or(4.0);
            let x = grid([(0.0, 1.0), (-5.0, 5.0)]);
            let truth = KortewegDeVries::solution(speed, &x);
            let judgement = Judgement::on_grid("A soliton of the KdV equation", ["t", "x"], truth, x);
            solve(args, "kdv", judgement, json, |inside, boundary, seed, session| {
                KortewegDeVries::new(inside, boundary, speed, seed, &session.device, session.dtype)
            })
        }
        Equation::Beam => {
            let x = Array2::from_shape_fn((LINE, 1), |(s, _)| s as f64 / (LINE - 1) as f64);
            let judgement = Judgement::on_grid("A clamped beam", ["x", "u"], ClampedBeam::solution(&x), x);
            solve(args, "beam", judgement, json, |inside, boundary, seed, session| {
                ClampedBeam::new(inside, boundary, seed, &session.device, session.dtype)
            })
        }
    }
}

fn solve<O: Objective>(
    args: &Pinn,
    name: &'static str,
    judgement: Judgement,
    json: bool,
    objective: impl Fn(usize, usize, u64, &Session) -> Result<O, hessquik_burn::Error>,
) -> Result<Report, Failure> {
    let settings = Settings { epochs: 100, lbfgs: 20, ..fitting() };
    let output = args.output.clone().unwrap_or_else(|| format!("hessquik-{name}").into());
    let session = Session::new(name, &args.options, &output, settings, None, json)?;
    let start = session.start(&args.network, (judgement.inputs(), 1))?;
    let seed = args.options.seed;
    let train = objective(args.points, args.boundary, seed, &session)?;
    // other points: their seeds are far from those that people take
    let more = |n: usize, stream: u64| objective(n, n.div_ceil(5), seed ^ (stream << 32), &session);
    let valid = if args.valid == 0 { None } else { Some(more(args.valid, 1)?) };
    let test = more(args.test, 2)?;
    session.run(start, &train, valid.as_ref(), Some(&test), judgement)
}

/// Points along each axis of the grid of the relative error.
const SIDE: usize = 100;

/// Points of a grid on a line.
const LINE: usize = 1000;

/// A regular grid, the second axis running fastest.
fn grid(ranges: [(f64, f64); 2]) -> Array2<f64> {
    let at = |(low, high): (f64, f64), i: usize| low + (high - low) * (i as f64 / (SIDE - 1) as f64);
    Array2::from_shape_fn((SIDE * SIDE, 2), |(s, axis)| at(ranges[axis], if axis == 0 { s / SIDE } else { s % SIDE }))
}

impl Judgement {
    /// Against what is true on a grid.
    fn on_grid(title: &str, axes: [&str; 2], truth: Array2<f64>, x: Array2<f64>) -> Self {
        let known = Data { x, value: Some(truth), gradient: None, hessian: None };
        Self { title: title.into(), axes: axes.map(String::from), grid: Some(SIDE), known: Some(known) }
    }

    /// Against the test points of data.
    fn on_data(title: String) -> Self {
        Self { title, axes: ["x0", "x1"].map(String::from), grid: None, known: None }
    }

    /// Test points, which count where there is no grid.
    fn with(mut self, test: Data) -> Self {
        if self.known.is_none() && !test.is_empty() {
            self.known = Some(test);
        }
        self
    }

    /// The relative error of values (of gradients or Hessians where values are not known), in the norm of Euclid over
    /// all entries.
    fn relative_error(&self, network: &Network<f64>) -> Result<Option<f64>, Failure> {
        let Some(known) = &self.known else { return Ok(None) };
        let error = |found: &mut dyn Iterator<Item = &f64>, truth: &mut dyn Iterator<Item = &f64>| {
            let (mut above, mut below) = (0.0, 0.0);
            for (f, y) in found.zip(truth) {
                above += (f - y) * (f - y);
                below += y * y;
            }
            (above / below).sqrt()
        };
        let jet = |request| network.evaluate(&known.x, &request);
        Ok(Some(if let Some(y) = &known.value {
            error(&mut jet(Request::new().value())?.value.expect("asked for").iter(), &mut y.iter())
        } else if let Some(y) = &known.gradient {
            error(&mut jet(Request::new().gradient())?.gradient.expect("asked for").iter(), &mut y.iter())
        } else if let Some(y) = &known.hessian {
            error(&mut jet(Request::new().hessian())?.hessian.expect("asked for").iter(), &mut y.iter())
        } else {
            return Ok(None);
        }))
    }

    /// The first output over a line or a plane; `None` where there is neither.
    fn picture(&self, network: &Network<f64>, error: Option<f64>) -> Result<Option<Comparison>, Failure> {
        let Some(Data { x, value: Some(y), .. }) = self.known.as_ref().filter(|k| [1, 2].contains(&k.x.ncols())) else {
            return Ok(None);
        };
        let found = network.evaluate(x, &Request::new().value())?.value.expect("asked for");
        let title = error.map_or(self.title.clone(), |e| format!("{}, relative error {e:.2e}", self.title));
        let first = |a: &Array2<f64>| a.column(0).to_vec();
        let (truth, found) = (first(y), first(&found));
        let difference: Vec<f64> = found.iter().zip(&truth).map(|(f, y)| f - y).collect();
        if x.ncols() == 1 {
            return Ok(Some(Comparison::Line(self.lines(title, first(x), truth, found, difference))));
        }
        let fields = [
            ("true", truth, Colours::Own),
            ("approximation", found, Colours::First),
            ("difference", difference, Colours::Signed),
        ];
        let maps = fields.map(|(name, values, colours)| Field { name: name.into(), values, colours }).into();
        let place = Place::of(x, self.grid);
        Ok(Some(Comparison::Plane(Maps { title, axes: self.axes.clone(), place, maps })))
    }

    /// What is true and what was found over one input, and their difference.
    fn lines(&self, title: String, x: Vec<f64>, truth: Vec<f64>, found: Vec<f64>, difference: Vec<f64>) -> Chart {
        let mut order: Vec<usize> = (0..x.len()).collect();
        order.sort_by(|&a, &b| x[a].total_cmp(&x[b]));
        let line = |name: &str, values: &[f64]| Line::new(name, order.iter().map(|&i| (x[i], values[i])).collect());
        let panel = |name: &str, lines: Vec<Line>| Panel {
            name: name.into(),
            axes: [self.axes[0].clone(), String::new()],
            log: [false; 2],
            lines,
        };
        let thin = Line { thin: true, ..line("true", &truth) };
        let panels = vec![
            panel("solution", vec![thin, line("approximation", &found)]),
            panel("difference", vec![line("", &difference)]),
        ];
        Chart { title, panels }
    }

    /// Number of inputs of the problem.
    fn inputs(&self) -> usize {
        self.known.as_ref().map_or(2, |known| known.x.ncols())
    }
}

/// What is true and what was found, as a picture.
#[derive(Debug)]
enum Comparison {
    Line(Chart),
    Plane(Maps),
}

impl Comparison {
    fn write(&self, png: &Path, svg: &Path) -> Result<(), Failure> {
        match self {
            Self::Line(chart) => pictures::write(chart, png, svg),
            Self::Plane(maps) => pictures::write(maps, png, svg),
        }
    }
}
