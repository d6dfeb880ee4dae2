//! `hessquik eval`: results of a model at the points of a file, tile by tile.
use super::{Report, count, precision, shapes, short};
use crate::args::{Dtype, Eval};
use crate::element::Element;
use crate::failure::Failure;
use crate::interrupt;
use crate::output::{Sink, Target, Tensor};
use crate::points::Points;
use crate::progress::Progress;
use crate::results;
use hessquik::{Candidate, Evaluate, Explanation, Jet, Layer, Network, Request};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::sync::mpsc::channel;
use std::time::{Duration, Instant};

/// Bytes of points and results in a tile, and points in it, at most: enough for many threads, little beside any memory,
/// and soon done when the user interrupts.
const TILE_BYTES: usize = 32 << 20;
const TILE_POINTS: usize = 1 << 14;

/// Evaluates and writes.
pub fn run(args: &Eval) -> Result<Report, Failure> {
    match precision(args.dtype, &args.model)? {
        Dtype::F32 => evaluate::<f32>(args),
        Dtype::F64 => evaluate::<f64>(args),
    }
}

fn evaluate<F: Element>(args: &Eval) -> Result<Report, Failure> {
    let started = Instant::now();
    let output = args.share.map_or_else(|| args.output.clone(), |share| named(&args.output, share));
    let target = Target::new(&output)?;
    let network = Network::<F>::load(&args.model)?;
    let request = args.wish.request(&network)?;
    let mut points = Points::open(&args.input, Some(network.dim_input()))?;
    if let Some(share) = args.share {
        points = points.share(share)?;
    }
    let n = points.rows();

    let one = network.zeros(1, &request)?; // for the shapes of results
    let tensors = results::tensors(&one, n);
    let mut read: Vec<&Path> = vec![&args.model, &args.input];
    read.extend(args.wish.files().into_iter().map(|p| p.as_path()));
    target.protect(&tensors, &read)?;
    let plan = network.explain(n, &request)?;
    let tile = args.tile.unwrap_or_else(|| tile::<F>(points.cols(), &results::tensors(&one, 1), plan.tile));
    let tile = tile.clamp(1, n.max(1));

    interrupt::watch();
    let sink = Sink::create::<F>(&target, tensors)?;
    let buffers = [results::buffers(&one, tile)?, results::buffers(&one, tile)?];
    let (sink, computing) = compute(&network, &request, points, sink, buffers, tile)?;
    interrupt::check()?;
    let tensors = sink.finish(&results::NAMES)?;

    let (seconds, computing) = (started.elapsed().as_secs_f64(), computing.as_secs_f64());
    let rate = if computing > 0.0 { n as f64 / computing } else { 0.0 };
    let (d, m, threads) = (network.dim_input(), network.dim_output(), rayon::current_num_threads());
    let path = output.display().to_string();
    let text = format!(
        "{path}: {} ({})\n{} in {}, of which {} to compute: {} points/s, {}",
        shapes(&tensors),
        F::NAME,
        count(n, "point"),
        short(seconds, "s"),
        short(computing, "s"),
        short(rate, ""),
        count(threads, "thread"),
    );
    let json = json!({
        "output": path, "tensors": tensors, "points": n, "dim_input": d, "dim_output": m, "dtype": F::NAME,
        "plan": plans(&plan), "threads": threads, "tile": tile, "seconds": seconds, "seconds_computing": computing,
        "points_per_second": rate,
    });
    Ok(Report::done(text, json))
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

/// Reads, computes, and writes in a second thread: while one buffer is written, the other is filled.
fn compute<F: Element>(
    network: &Network<F>,
    request: &Request<F>,
    mut points: Points,
    mut sink: Sink,
    buffers: [Jet<F>; 2],
    tile: usize,
) -> Result<(Sink, Duration), Failure> {
    let (full_in, full) = channel::<(usize, usize, Jet<F>)>();
    let (free_in, free) = channel();
    let n = points.rows();
    let mut progress = Progress::new(n, "points");
    let mut computing = Duration::ZERO;
    let one_output = results::outputs(&buffers[0]) == 1;
    let mut scratch = if one_output { None } else { Some(network.zeros(tile, request)?) };
    for buffer in buffers {
        let _ = free_in.send(buffer);
    }
    std::thread::scope(|scope| {
        let writer = scope.spawn(move || {
            for (first, count, jet) in full {
                results::write(&jet, count, first, &mut sink)?;
                let _ = free_in.send(jet);
            }
            Ok(sink)
        });
        let mut fill = || {
            for first in (0..n).step_by(tile) {
                interrupt::check()?;
                let x = points.read::<F>(tile)?;
                let Ok(mut jet) = free.recv() else { break }; // the writer has failed and says why
                let started = Instant::now();
                let out = scratch.as_mut().unwrap_or(&mut jet);
                network.evaluate_into(&x, request, results::lend(out, x.nrows()))?;
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
    .map(|sink| (sink, computing))
}

/// The plan that was taken for each second-order result.
fn plans(explanation: &Explanation) -> Value {
    let one = |(result, candidates): &(String, Vec<Candidate>)| {
        let plan = candidates.first().map(|c| c.plan.to_string());
        (result.clone(), json!(plan))
    };
    explanation.results.iter().map(one).collect::<serde_json::Map<_, _>>().into()
}
