//! `hessquik eval`: results of a model at the points of a file, tile by tile.
use super::field::{self, Mesh};
use super::{Report, count, estimate, shapes, short};
use crate::args::{Dtype, Eval};
use crate::element::Element;
use crate::failure::Failure;
use crate::interrupt;
use crate::model::Model;
use crate::output::{Draft, Owner, Sink, Target, Tensor};
use crate::pictures::Plot;
use crate::points::{Points, source};
use crate::progress::Progress;
use crate::results;
use hessquik::{Candidate, Evaluate, Explanation, Jet, Layer, Network, Prepared, Request};
use ndarray::{Array2, Axis, concatenate};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::mpsc::channel;
use std::time::{Duration, Instant};

/// Bytes of points and results in a tile, and points in it, at most: enough for many threads, little beside any memory,
/// and soon done when the user interrupts.
const TILE_BYTES: usize = 32 << 20;
const TILE_POINTS: usize = 1 << 14;

/// Evaluates and writes.
pub fn run(args: &Eval) -> Result<Report, Failure> {
    source::once(&args.files())?;
    let model = Model::read(&args.model)?;
    match (model.precision(args.dtype)?, args.estimating.estimate) {
        (Dtype::F32, None) => evaluate::<f32>(args, &model),
        (Dtype::F64, None) => evaluate::<f64>(args, &model),
        (Dtype::F32, Some(count)) => estimate::run::<f32>(args, &model, count),
        (Dtype::F64, Some(count)) => estimate::run::<f64>(args, &model, count),
    }
}

fn evaluate<F: Element>(args: &Eval, model: &Model) -> Result<Report, Failure> {
    let started = Instant::now();
    let output = args.target();
    let owner = Owner::new("eval", args.writing.force).reading(args.files());
    let target = Target::new(&output, args.writing.output_format, owner)?;
    let network = model.network::<F>()?;
    let (d, m) = (network.dim_input(), network.dim_output());
    let mut resolved = args.wish.request(&network)?;
    let (network, request) = resolved.along(network)?;
    let (points, mesh) = field::points(args, d)?;
    if args.grid.plot.is_some() && resolved.directions.is_some() {
        return Err(Failure::Usage("--plot draws over a grid, where --directions has none for each point".into()));
    }
    let plot = Plot::maybe(args.grid.plot.as_deref(), &target.owner)?;
    let names = points.names().cloned();
    let mut points = Places { points, directions: resolved.directions.take() };
    points.check()?;
    if let Some(share) = args.share {
        points = points.share(share)?;
    }
    let n = points.points.rows();

    let one = network.zeros(1, &request)?; // for the shapes of results
    let tensors = results::tensors(&one, n);
    target.protect(&tensors)?;
    let plan = network.explain(n, &request)?;
    let tile = args.tile.unwrap_or_else(|| tile::<F>(network.dim_input(), &results::tensors(&one, 1), plan.tile));
    let tile = tile.clamp(1, n.max(1));

    interrupt::watch();
    let sink = Sink::create::<F>(&target, tensors)?;
    let buffers = [results::buffers(&one, tile)?, results::buffers(&one, tile)?];
    let Computed { sink, points, computing, not_finite } = compute(&network, &request, points, sink, buffers, tile)?;
    let picture = mesh.as_ref().zip(plot).map(|(mesh, plot)| draw(plot, mesh, &network, &request, args)).transpose()?;
    let tensors = sink.finish()?;
    let (draft, of_picture) = picture.unzip();
    draft.map_or(Ok(()), Draft::finish)?;

    let (seconds, computing) = (started.elapsed().as_secs_f64(), computing.as_secs_f64());
    let rate = if computing > 0.0 { n as f64 / computing } else { 0.0 };
    let threads = rayon::current_num_threads();
    let path = output.display().to_string();
    let odd: Vec<_> = not_finite.iter().filter(|(_, n)| *n > 0).map(|(name, n)| format!("{n} of {name}")).collect();
    let odd = if odd.is_empty() { String::new() } else { format!("\nNaN or infinite: {}", odd.join(", ")) };
    let text = format!(
        "{path}: {} ({})\n{} in {}, of which {} to compute: {} points/s, {}{odd}",
        shapes(&tensors),
        F::NAME,
        count(n, "point"),
        short(seconds, "s"),
        short(computing, "s"),
        short(rate, ""),
        count(threads, "thread"),
    );
    let mut json = json!({
        "output": path, "tensors": tensors, "points": n, "dim_input": d, "dim_output": m, "dtype": F::NAME,
        "plan": plans(&plan), "threads": threads, "tile": tile, "seconds": seconds, "seconds_computing": computing,
        "points_per_second": rate, "not_finite": not_finite.into_iter().collect::<BTreeMap<_, _>>(),
    });
    if let Some((line, names)) = names {
        json["names_line"] = line.into();
        json["names"] = names.into();
    }
    let notes = [model.remarks(), resolved.remarks, points.remarks(), of_picture.unwrap_or_default()].concat();
    Ok(Report::done(text, json).noting(notes).beside(target.is_stdout()))
}

impl Eval {
    /// Where results go.
    pub fn target(&self) -> PathBuf {
        self.share.map_or_else(|| self.output.clone(), |share| named(&self.output, share))
    }

    /// All files that are read.
    pub fn files(&self) -> Vec<&Path> {
        let files = [&self.model].into_iter().chain(&self.input).chain(self.wish.files());
        files.map(|path| path.as_path()).collect()
    }
}

/// The picture of the results over a grid, and what the user should know of it.
fn draw<F: Element>(
    plot: Plot,
    mesh: &Mesh,
    network: &Network<F>,
    request: &Request<F>,
    args: &Eval,
) -> Result<(Draft, Vec<String>), Failure> {
    let x = mesh.points().mapv(F::of);
    let columns = results::columns(&network.evaluate(&x, request)?, x.nrows());
    let (picture, notes) = mesh.picture(args.model.display().to_string(), columns);
    Ok((plot.draw(&picture)?, notes))
}

/// Where a share goes: `out.0-of-2.safetensors`, or the folder `out.0-of-2`.
fn named(output: &Path, (part, parts): (usize, usize)) -> PathBuf {
    let share = format!("{part}-of-{parts}");
    match output.extension() {
        Some(ending) => output.with_extension(format!("{share}.{}", ending.to_string_lossy())),
        None => output.with_extension(share),
    }
}

/// How many points to take at once, given the inputs and the results of one: a multiple of the points that the library
/// takes at once, so that results are to the last bit those of one call.
fn tile<F: Element>(inputs: usize, one: &[Tensor], multiple: usize) -> usize {
    let results: usize = one.iter().map(|t| t.shape.iter().product::<usize>()).sum();
    let points = (TILE_BYTES / ((inputs + results) * size_of::<F>()).max(1)).clamp(1, TILE_POINTS);
    points.max(multiple) / multiple.max(1) * multiple.max(1)
}

/// Points, and the directions of each if they have their own.
struct Places {
    points: Points,
    directions: Option<Points>,
}

impl Places {
    /// An error unless there are directions for each point.
    fn check(&self) -> Result<(), Failure> {
        let Some((found, k, d)) = self.directions.as_ref().and_then(|v| Some((v.rows(), v.each()?, v.cols()))) else {
            return Ok(());
        };
        let (n, d) = (self.points.rows(), d / k);
        if found == n {
            return Ok(());
        }
        let (what, wanted) = ("the directions of the points".into(), format!("[{n}, {k}, {d}], as many as points"));
        Err(hessquik::Error::Shape { what, found: vec![found, k, d], wanted }.into())
    }

    fn share(self, share: (usize, usize)) -> Result<Self, Failure> {
        let directions = self.directions.map(|v| v.share(share)).transpose()?;
        Ok(Self { points: self.points.share(share)?, directions })
    }

    /// What the network takes of the next `n` points: them, or steps of zero, them and their directions.
    fn read<F: Element>(&mut self, n: usize) -> Result<Array2<F>, Failure> {
        let x = self.points.read(n)?;
        let Some(directions) = &mut self.directions else { return Ok(x) };
        let v = directions.read::<F>(n)?;
        let steps = Array2::zeros((x.nrows(), directions.each().unwrap_or(0)));
        Ok(concatenate(Axis(1), &[steps.view(), x.view(), v.view()]).expect("as many directions as points"))
    }

    fn remarks(&self) -> Vec<String> {
        let more = self.directions.iter().flat_map(Points::remarks);
        self.points.remarks().into_iter().chain(more).collect()
    }
}

/// What comes of computing.
struct Computed {
    sink: Sink,
    points: Places,
    computing: Duration,
    /// How many numbers of each result are NaN or infinite.
    not_finite: Vec<(&'static str, usize)>,
}

/// Reads, computes, and writes in a second thread: while one buffer is written, the other is filled.
fn compute<F: Element>(
    network: &Network<F>,
    request: &Request<F>,
    mut points: Places,
    mut sink: Sink,
    buffers: [Jet<F>; 2],
    tile: usize,
) -> Result<Computed, Failure> {
    let (full_in, full) = channel::<(usize, usize, Jet<F>)>();
    let (free_in, free) = channel();
    let n = points.points.rows();
    let mut progress = Progress::new(n, "points");
    let mut computing = Duration::ZERO;
    let prepared = Prepared::new(network, request.clone())?;
    let one_output = results::outputs(&buffers[0]) == 1;
    let mut scratch = if one_output { None } else { Some(network.zeros(tile, request)?) };
    for buffer in buffers {
        let _ = free_in.send(buffer);
    }
    std::thread::scope(|scope| {
        let writer = scope.spawn(move || {
            let mut not_finite = Vec::new();
            for (first, count, jet) in full {
                let found = results::not_finite(&jet, count);
                not_finite.resize(found.len(), ("", 0));
                not_finite.iter_mut().zip(found).for_each(|(sum, (name, n))| *sum = (name, sum.1 + n));
                results::write(&jet, count, first, &mut sink)?;
                let _ = free_in.send(jet);
            }
            Ok((sink, not_finite))
        });
        let mut fill = || {
            for first in (0..n).step_by(tile) {
                interrupt::check()?;
                let x = points.read::<F>(tile)?;
                let Ok(mut jet) = free.recv() else { break }; // the writer has failed and says why
                let started = Instant::now();
                let out = scratch.as_mut().unwrap_or(&mut jet);
                let lent = results::lend(out, x.nrows());
                if !prepared.evaluate_into_while(&x, lent, || !interrupt::asked())? {
                    return Err(Failure::Interrupted);
                }
                if let Some(scratch) = &scratch {
                    results::reorder(scratch, &mut jet, x.nrows());
                }
                computing += started.elapsed();
                let _ = full_in.send((first, x.nrows(), jet));
                progress.advance(x.nrows());
            }
            Ok::<(), Failure>(())
        };
        let filled = fill();
        drop(full_in);
        let written = writer.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        filled.and(written)
    })
    .map(|(sink, not_finite)| Computed { sink, points, computing, not_finite })
}

/// The plan that was taken for each second-order result.
fn plans(explanation: &Explanation) -> Value {
    let one = |(result, candidates): &(String, Vec<Candidate>)| {
        let plan = candidates.first().map(|c| c.plan.to_string());
        (result.clone(), json!(plan))
    };
    explanation.results.iter().map(one).collect::<serde_json::Map<_, _>>().into()
}
