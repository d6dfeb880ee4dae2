//! `hessquik eval --estimate`: a result from random directions, with its standard error.
use super::{Report, count, field, shapes, short};
use crate::args::Eval;
use crate::element::Element;
use crate::failure::Failure;
use crate::interrupt;
use crate::model::Model;
use crate::output::{Owner, Sink, Target, Tensor};
use crate::results;
use clap::Args;
use hessquik::estimate::{Estimate, Kind, Options, Quantity, estimate_while};
use hessquik::{Field, Layer, Request};
use serde_json::json;
use std::time::Instant;

/// Estimates from random directions instead of exact results.
#[derive(Args, Clone, Debug, Default)]
#[command(next_help_heading = "Estimates")]
pub struct Estimating {
    /// Estimate one result (laplacian, bilaplacian, or the operator of --request or --operator) from this many random
    /// directions, at least 2; OUT has it with its standard error, as laplacian and laplacian.standard_error. For inputs
    /// many more than R
    #[arg(long, value_name = "R", value_parser = several)]
    pub estimate: Option<usize>,
    /// Seed of the random directions [default: 0]
    #[arg(long, value_name = "SEED", requires = "estimate")]
    pub estimate_seed: Option<u64>,
    /// Entries of the random directions: rademacher (plus or minus one) or gaussian [default: rademacher, and gaussian
    /// for the bilaplacian, which needs it]
    #[arg(long, value_name = "KIND", requires = "estimate", value_parser = kind)]
    pub estimate_kind: Option<Kind>,
    /// Draw directions for each point, so that errors at different points are independent
    #[arg(long, requires = "estimate")]
    pub estimate_per_point: bool,
    /// Take this many directions of the Hessian's range exactly at each point, and estimate the rest: for a Laplacian of
    /// few large eigenvalues [default: 0]
    #[arg(long, value_name = "N", requires = "estimate")]
    pub estimate_sketch: Option<usize>,
}

fn several(text: &str) -> Result<usize, String> {
    text.parse().ok().filter(|count| *count >= 2).ok_or_else(|| "expected a whole number, at least 2".into())
}

fn kind(text: &str) -> Result<Kind, String> {
    text.parse().map_err(|_| "expected rademacher or gaussian".into())
}

/// Estimates and writes.
pub fn run<F: Element>(args: &Eval, model: &Model, directions: usize) -> Result<Report, Failure> {
    let started = Instant::now();
    let output = args.target();
    let target =
        Target::new(&output, args.writing.output_format, Owner::new("eval", args.writing.force).reading(args.files()))?;
    let network = model.network::<F>()?;
    if args.wish.directions.is_some() {
        return Err(Failure::Usage("--estimate draws its directions; leave out --directions".into()));
    }
    if args.tile.is_some() {
        return Err(Failure::Usage("--estimate takes all points at once; leave out --tile".into()));
    }
    if args.wish.request.is_none() && args.wish.operator.is_none() {
        return Err(Failure::Usage(format!("--estimate needs a result: {WANTED}")));
    }
    let resolved = args.wish.request(&network)?;
    let (field, quantity) = quantity(&resolved.request)?;
    let drawn = &args.estimating;
    let usual = if field == Field::Bilaplacian { Kind::Gaussian } else { Kind::Rademacher };
    let options = Options {
        directions,
        seed: drawn.estimate_seed.unwrap_or(0),
        kind: drawn.estimate_kind.unwrap_or(usual),
        per_point: drawn.estimate_per_point,
        sketch: drawn.estimate_sketch.unwrap_or(0),
        outputs: resolved.request.outputs.clone(),
    };
    if args.grid.plot.is_some() {
        return Err(Failure::Usage("--plot draws exact results; leave out --estimate".into()));
    }
    let (mut points, _) = field::points(args, network.dim_input())?;
    if let Some(share) = args.share {
        points = points.share(share)?;
    }
    let n = points.rows();
    let q = options.outputs.as_ref().map_or(network.dim_output(), |u| u.ncols());
    let names = [field.name().to_string(), format!("{}.standard_error", field.name())];
    let tensors: Vec<_> = names.iter().map(|name| Tensor::new(name, &[n, q])).collect();
    target.protect(&tensors)?;

    interrupt::watch();
    let x = points.read::<F>(n)?;
    let go_on = || !interrupt::asked();
    let found = estimate_while(&network, &x, &quantity, &options, &go_on)?;
    let Estimate { mean, standard_error } = found.ok_or(Failure::Interrupted)?;
    let mut sink = Sink::create::<F>(&target, tensors)?;
    results::put(&mut sink, &names[0], &mean, n, 0)?;
    results::put(&mut sink, &names[1], &standard_error, n, 0)?;
    let tensors = sink.finish()?;

    let seconds = started.elapsed().as_secs_f64();
    let path = output.display().to_string();
    let largest = standard_error.iter().fold(0.0f64, |most, e| most.max(e.as_f64()));
    let odd = [&mean, &standard_error].map(|a| a.iter().filter(|e| !e.is_finite()).count());
    let text = format!(
        "{path}: {} ({})\n{} in {}, from {}, seed {}; the largest standard error is {largest:.2e}{}",
        shapes(&tensors),
        F::NAME,
        count(n, "point"),
        short(seconds, "s"),
        count(options.directions, "random direction"),
        options.seed,
        if odd == [0, 0] { String::new() } else { format!("\nNaN or infinite: {} and {}", odd[0], odd[1]) },
    );
    let kind = if options.kind == Kind::Gaussian { "gaussian" } else { "rademacher" };
    let json = json!({
        "output": path, "tensors": tensors, "points": n, "dim_input": network.dim_input(),
        "dim_output": network.dim_output(), "dtype": F::NAME, "seconds": seconds,
        "largest_standard_error": largest, "not_finite": {&names[0]: odd[0], &names[1]: odd[1]},
        "estimate": {
            "directions": options.directions, "seed": options.seed, "kind": kind, "per_point": options.per_point,
            "sketch": options.sketch,
        },
    });
    let notes = [model.remarks(), resolved.remarks, points.remarks()].concat();
    Ok(Report::done(text, json).noting(notes).beside(target.is_stdout()))
}

/// What estimates are of.
const WANTED: &str = "--request laplacian, bilaplacian or operator:A=C+B-B=C, or --operator FILE";

/// What a request asks to be estimated.
fn quantity<F: Element>(request: &Request<F>) -> Result<(Field, Quantity<F>), Failure> {
    let mut asked: Vec<(Field, Quantity<F>)> = Vec::new();
    if request.laplacian {
        asked.push((Field::Laplacian, Quantity::Laplacian));
    }
    if request.bilaplacian {
        asked.push((Field::Bilaplacian, Quantity::Bilaplacian));
    }
    if let Some(b) = &request.operator {
        asked.push((Field::Operator, Quantity::Operator(b.clone())));
    }
    if let Some(terms) = &request.terms {
        asked.push((Field::Operator, Quantity::Terms(terms.clone())));
    }
    let others = Request {
        laplacian: false,
        bilaplacian: false,
        operator: None,
        terms: None,
        outputs: None,
        mode: Default::default(),
        ..request.clone()
    };
    match (asked.pop(), asked.is_empty(), others == Request::new()) {
        (Some(one), true, true) => Ok(one),
        _ => Err(Failure::Usage(format!("--estimate takes a single result: {WANTED}"))),
    }
}
