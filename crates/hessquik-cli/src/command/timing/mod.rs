//! `hessquik timing`: how long value, gradient and Hessian take, by each wrapper, over ranges of inputs and outputs.
mod hyper_dual;
mod plot;
mod table;

use super::{Report, count, preset};
use crate::args::{Dtype, NetworkType, Timing, Wrapper};
use crate::failure::Failure;
use crate::interrupt;
use crate::output::owner::KEY;
use crate::output::{Draft, Owner};
use crate::pictures::Plot;
use crate::progress::Progress;
use clap::ValueEnum;
use hessquik::{Architecture, Error, Evaluate, Init, Jet, Mode, Network, Request};
use hyper_dual::{HyperDualNetwork, Number};
use ndarray::{Array, Array2, Dimension};
use serde_json::json;
use std::hint::black_box;
use std::path::PathBuf;
use std::time::Instant;
use table::Row;

/// Times, and writes what was found.
pub fn run(args: &Timing) -> Result<Report, Failure> {
    match args.dtype {
        Dtype::F32 => measure::<f32>(args, 1e-3),
        Dtype::F64 => measure::<f64>(args, 1e-9),
    }
}

fn measure<F: Number>(args: &Timing, tolerance: f64) -> Result<Report, Failure> {
    let outputs = outputs(args)?;
    unique("--in-feature-range", &args.in_feature_range)?;
    unique("--network-wrapper", &args.network_wrapper.iter().map(|w| name(*w)).collect::<Vec<_>>())?;
    let cells: Vec<_> = outputs.iter().flat_map(|&m| args.in_feature_range.iter().map(move |&d| (d, m))).collect();
    for &(d, m) in &cells {
        fits::<F>(args, d, m)?;
    }
    interrupt::watch();
    let owner = Owner::new("timing", args.force);
    let plot = Plot::maybe(args.plot.as_deref(), &owner)?;
    let mut output = args.output.as_ref().map(|path| Draft::create(path, &["json"], &owner)).transpose()?;

    let evaluations = args.num_trials.saturating_add(1).saturating_mul(args.network_wrapper.len() * cells.len());
    let mut progress = Progress::new(evaluations, "evaluations");
    let mut rows = Vec::new();
    for (d, m) in cells {
        rows.extend(Cell::<F>::new(args, d, m)?.rows(args, tolerance, &mut progress)?);
    }
    drop(progress);

    let shown = |path: &Option<PathBuf>| path.as_ref().map(|p| p.display().to_string());
    let threads = rayon::current_num_threads();
    let json = json!({
        "in_feature_range": args.in_feature_range, "out_feature_range": outputs, "nex": args.nex,
        "num_trials": args.num_trials, "width": args.width, "depth": args.depth,
        "network_type": name(args.network_type), "dtype": F::NAME, "seed": args.seed, "threads": threads,
        "network_wrappers": args.network_wrapper.iter().map(|w| name(*w)).collect::<Vec<_>>(), "results": rows,
        "plot": shown(&args.plot), "output": shown(&args.output), KEY: owner.command,
    });
    let title = format!(
        "{} of width {} and depth {}, {}, {}, {}",
        name(args.network_type),
        args.width,
        args.depth,
        count(args.nex, "point"),
        F::NAME,
        count(threads, "thread")
    );
    let plot = plot.map(|plot| plot.draw(&plot::Times { title: &title, rows: &rows })).transpose()?;
    if let Some(draft) = &mut output {
        draft.fill(format!("{json:#}\n"))?;
    }
    let aside = [&plot, &output].into_iter().flatten().any(Draft::is_stdout);
    interrupt::uncut(|| [plot, output].into_iter().flatten().try_for_each(Draft::finish))?;
    let written = [&args.plot, &args.output].into_iter().filter_map(shown).map(|p| format!("\nwritten: {p}"));
    let text = format!("{title}\n\n{}{}", table::text(&rows), written.collect::<String>());
    Ok(Report::done(text, json).beside(aside))
}

/// The numbers of outputs: those that were asked for, or usual ones.
fn outputs(args: &Timing) -> Result<Vec<usize>, Failure> {
    let icnn = args.network_type == NetworkType::Icnn;
    unique("--out-feature-range", &args.out_feature_range)?;
    match args.out_feature_range.iter().find(|m| icnn && **m != 1) {
        Some(m) => Err(Failure::Usage(format!("--out-feature-range: the network icnn has one output, found {m}"))),
        None if !args.out_feature_range.is_empty() => Ok(args.out_feature_range.clone()),
        None => Ok(if icnn { vec![1] } else { vec![1, 8] }),
    }
}

/// Refuses a list that has something twice.
fn unique<T: PartialEq + ToString>(option: &str, list: &[T]) -> Result<(), Failure> {
    match list.iter().enumerate().find(|(i, item)| list[..*i].contains(item)) {
        Some((_, item)) => Err(Failure::Usage(format!("{option} has {} twice", item.to_string()))),
        None => Ok(()),
    }
}

/// What the command line calls this choice.
fn name(choice: impl ValueEnum) -> String {
    choice.to_possible_value().map_or_else(String::new, |v| v.get_name().to_string())
}

fn sizes(d: usize, m: usize) -> String {
    format!("{} and {}", count(d, "input"), count(m, "output"))
}

fn architecture(args: &Timing, d: usize, m: usize) -> Architecture {
    preset::timing(args.network_type, (d, m), (args.width, args.depth.into()))
}

/// Whether the network, the points, and the results of two wrappers, which are compared, can be allocated.
fn fits<F: Number>(args: &Timing, d: usize, m: usize) -> Result<(), Failure> {
    architecture(args, d, m).check()?;
    let [n, inputs, outputs] = [args.nex, d, m].map(|n| n as u128);
    let jet = outputs.saturating_mul(inputs.saturating_mul(inputs + 1) + 1);
    let entries = n.saturating_mul(jet.saturating_mul(2).saturating_add(inputs));
    let bytes = entries.saturating_mul(size_of::<F>() as u128);
    let mut room = Vec::<u8>::new();
    let fits = usize::try_from(bytes).is_ok_and(|bytes| room.try_reserve_exact(bytes).is_ok());
    black_box(&room); // keeps the reservation from being optimised away
    let what = || format!("the results of two wrappers at {} with {}", count(args.nex, "point"), sizes(d, m));
    if fits { Ok(()) } else { Err(Error::OutOfMemory { what: what(), bytes }.into()) }
}

/// One network and its points.
struct Cell<F: Number> {
    network: Network<F>,
    hyper_dual: HyperDualNetwork<F>,
    x: Array2<F>,
    d: usize,
    m: usize,
}

impl<F: Number> Cell<F> {
    fn new(args: &Timing, d: usize, m: usize) -> Result<Self, Failure> {
        let init = &mut Init::seed(args.seed);
        let architecture = architecture(args, d, m);
        let network = architecture.build(init)?;
        let hyper_dual = HyperDualNetwork::new(&architecture, &network)?;
        Ok(Self { network, hyper_dual, x: init.uniform((args.nex, d), -1.0, 1.0), d, m })
    }

    fn evaluate(&self, wrapper: Wrapper, request: &Request<F>) -> Result<Jet<F>, Error> {
        match wrapper {
            Wrapper::HyperDual => Ok(self.hyper_dual.evaluate(&self.x)),
            _ => self.network.evaluate(&self.x, request),
        }
    }

    /// The times of all wrappers, whose results must agree.
    fn rows(&self, args: &Timing, tolerance: f64, progress: &mut Progress) -> Result<Vec<Row>, Failure> {
        let mut first: Option<(Wrapper, Jet<F>)> = None;
        let mut rows = Vec::new();
        for &wrapper in &args.network_wrapper {
            interrupt::check()?;
            let request = request(wrapper);
            let jet = self.evaluate(wrapper, &request)?; // also makes ready what is kept from call to call
            progress.advance(1);
            match &first {
                Some((other, wanted)) => agree(&jet, wanted, tolerance).map_err(|differ| {
                    let (wrapper, other, network) = (name(wrapper), name(*other), sizes(self.d, self.m));
                    Failure::Differ(format!("{wrapper} and {other} differ at {network}: {differ}"))
                })?,
                None => first = Some((wrapper, jet)),
            }
            let mut trials = Vec::new();
            for _ in 0..args.num_trials {
                interrupt::check()?;
                let started = Instant::now();
                let jet = black_box(self.evaluate(wrapper, &request)?);
                trials.push(started.elapsed().as_secs_f64());
                drop(jet);
                progress.advance(1);
            }
            rows.push(Row::new(self.d, self.m, name(wrapper), trials));
        }
        table::compare(&mut rows);
        Ok(rows)
    }
}

fn request<F: Number>(wrapper: Wrapper) -> Request<F> {
    let mode = match wrapper {
        Wrapper::Ours | Wrapper::HyperDual => Mode::Auto,
        Wrapper::Forward => Mode::Forward,
        Wrapper::Backward => Mode::Backward,
        Wrapper::Sites => Mode::Sites,
    };
    Request::new().value().gradient().hessian().mode(mode)
}

/// Whether values, gradients and Hessians are the same up to `tolerance` times their largest entry.
fn agree<F: Number>(found: &Jet<F>, wanted: &Jet<F>, tolerance: f64) -> Result<(), String> {
    same("value", &found.value, &wanted.value, tolerance)?;
    same("gradient", &found.gradient, &wanted.gradient, tolerance)?;
    same("Hessian", &found.hessian, &wanted.hessian, tolerance)
}

fn same<F: Number, D: Dimension>(
    what: &str,
    found: &Option<Array<F, D>>,
    wanted: &Option<Array<F, D>>,
    tolerance: f64,
) -> Result<(), String> {
    let (Some(found), Some(wanted)) = (found, wanted) else { return Err(format!("one gives no {what}")) };
    let largest = wanted.iter().fold(0.0, |max: f64, w| max.max(w.as_f64().abs()));
    let off = |(f, w): (&F, &F)| (f.as_f64() - w.as_f64()).abs();
    let close = |off: f64| off <= tolerance * largest; // not so for NaN
    match found.iter().zip(wanted).map(off).find(|off| !close(*off)) {
        None if found.shape() == wanted.shape() => Ok(()),
        None => Err(format!("{what} of shape {:?} and {:?}", found.shape(), wanted.shape())),
        Some(off) => Err(format!(
            "an entry of the {what} by {off:.1e}, where the largest is {largest:.1e} and the tolerance {tolerance:.0e} of it"
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn differences_are_found() {
        let jet = |v: f64, h: f64| Jet::<f64> {
            value: Some(ndarray::array![[v, 1.0]]),
            gradient: Some(ndarray::Array3::ones((1, 2, 1))),
            hessian: Some(ndarray::Array4::from_elem((1, 2, 2, 1), h)),
            ..Jet::default()
        };
        agree(&jet(1.0, 2.0), &jet(1.0, 2.0), 1e-9).unwrap();
        agree(&jet(1.0, 2.0 + 1e-9), &jet(1.0, 2.0), 1e-9).unwrap();
        assert!(agree(&jet(1.0, 2.0 + 1e-8), &jet(1.0, 2.0), 1e-9).unwrap_err().contains("Hessian"));
        assert!(agree(&jet(f64::NAN, 2.0), &jet(1.0, 2.0), 1e-9).unwrap_err().contains("value"));
        assert!(agree(&jet(1.0, 2.0), &jet(1.0, f64::NAN), 1e-9).unwrap_err().contains("Hessian"));
        assert!(agree(&Jet::default(), &jet(1.0, 2.0), 1e-9).unwrap_err().contains("no value"));
    }
}
