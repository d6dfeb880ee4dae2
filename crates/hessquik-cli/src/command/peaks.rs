//! `hessquik peaks`: the data set of the peaks function.
use super::{Report, shapes};
use crate::args::{Dtype, Peaks};
use crate::element::Element;
use crate::failure::Failure;
use crate::interrupt;
use crate::output::{Draft, Owner, Sink, Target, Tensor};
use crate::pictures::{Colours, Field, Maps, Place, Plot};
use crate::progress::Progress;
use crate::results::{columns, put};
use hessquik::{Error, Init, Request};
use ndarray::Array2;
use serde_json::json;

/// Points in a tile.
const TILE: usize = 1 << 16;

/// Writes points, values, gradients and Hessians.
pub fn run(args: &Peaks) -> Result<Report, Failure> {
    match args.dtype {
        Dtype::F32 => write::<f32>(args),
        Dtype::F64 => write::<f64>(args),
    }
}

fn write<F: Element>(args: &Peaks) -> Result<Report, Failure> {
    let n = match args.grid {
        Some(side) => side.checked_mul(side).ok_or_else(|| Failure::Usage(format!("a grid of {side} is too large")))?,
        None => args.points,
    };
    let owner = Owner::new("peaks", args.writing.force);
    let plot = Plot::maybe(args.plot.as_deref(), &owner)?;
    let target = Target::new(&args.output, args.writing.output_format, owner)?;
    let tensor = |name, shape: &[usize]| Tensor::new(name, shape);
    let (x, value) = (tensor("x", &[n, 2]), tensor("value", &[n, 1]));
    let (gradient, hessian) = (tensor("gradient", &[n, 2, 1]), tensor("hessian", &[n, 2, 2, 1]));
    interrupt::watch();
    let tensors = vec![x, value, gradient, hessian];
    target.protect(&tensors)?;
    let mut sink = Sink::create::<F>(&target, tensors)?;
    let mut init = Init::seed(args.seed);
    let mut progress = Progress::new(n, "points");
    let request = Request::new().value().gradient().hessian();
    for first in (0..n).step_by(TILE) {
        interrupt::check()?;
        let count = TILE.min(n - first);
        let points: Array2<F> = match args.grid {
            Some(side) => grid(side, first, count),
            None => init.uniform((count, 2), -3.0, 3.0),
        };
        let jet = hessquik::peaks(&points, &request)?;
        let missing = || Error::Request("peaks returned fewer results than requested".into());
        put(&mut sink, "x", &points, count, first)?;
        put(&mut sink, "value", &jet.value.ok_or_else(missing)?, count, first)?;
        put(&mut sink, "gradient", &jet.gradient.ok_or_else(missing)?, count, first)?;
        put(&mut sink, "hessian", &jet.hessian.ok_or_else(missing)?, count, first)?;
        progress.advance(count);
    }
    let draft = plot.map(|plot| draw(plot, args.grid.unwrap_or(1))).transpose()?;
    let tensors = sink.finish()?;
    draft.map_or(Ok(()), Draft::finish)?;
    let path = args.output.display().to_string();
    let text = format!("{path}: {} ({})", shapes(&tensors), F::NAME);
    let json = json!({ "output": path, "tensors": tensors, "points": n, "dtype": F::NAME });
    Ok(Report::done(text, json).beside(target.is_stdout()))
}

/// Maps of everything that is written.
fn draw(plot: Plot, side: usize) -> Result<Draft, Failure> {
    let x = grid::<f64>(side, 0, side * side);
    let jet = hessquik::peaks(&x, &Request::new().value().gradient().packed())?;
    let place = Place::Grid { side, low: [-3.0; 2], high: [3.0; 2] };
    let maps = columns(&jet, x.nrows()).into_iter();
    let maps = maps.map(|(name, values)| Field { name, values, colours: Colours::Own }).collect();
    plot.draw(&Maps { title: "peaks".into(), axes: ["x0", "x1"].map(String::from), place, maps })
}

/// Points `first..` of a regular grid over [-3, 3] x [-3, 3], row by row.
fn grid<F: Element>(side: usize, first: usize, count: usize) -> Array2<F> {
    let at = |i: usize| if side == 1 { 0.0 } else { -3.0 + 6.0 * (i as f64 / (side - 1) as f64) };
    Array2::from_shape_fn((count, 2), |(s, axis)| {
        let s = first + s;
        F::of(at(if axis == 0 { s / side } else { s % side }))
    })
}
