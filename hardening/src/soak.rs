//! Mixed calls from many threads for a long time: results stay the same to the last bit, and memory stays flat.
use crate::random::Random;
use hessquik::{Activation, Evaluate, Init, Mode, Network, Real, Request, fully_connected, icnn, resnet};
use ndarray::Array2;
use std::sync::RwLock;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// The arguments of `soak`.
#[derive(clap::Args)]
pub struct Args {
    /// How long.
    #[arg(long, default_value_t = 3600)]
    seconds: u64,
    /// Threads that call; each call may use all threads of the library besides.
    #[arg(long, default_value_t = 8)]
    threads: u64,
    /// Largest growth of memory after the first tenth, in MiB.
    #[arg(long, default_value_t = 16)]
    growth: u64,
}

/// A network that others read while its weights are set, and the two sets of weights that it goes between.
struct Shared {
    network: RwLock<(Network<f64>, usize)>,
    weights: [ndarray::Array1<f64>; 2],
    x: Array2<f64>,
    /// Results at `x` for both sets.
    wanted: Vec<hessquik::Jet<f64>>,
}

/// Calls until the time is over; false if a result changed or memory grew.
pub fn run(args: &Args) -> bool {
    let ask = || Request::new().value().gradient().hessian().laplacian();
    let init = &mut Init::seed(1);
    let mut network = fully_connected::<f64>(&[3, 16, 16, 2], Activation::Tanh, init).expect("valid");
    let other = fully_connected::<f64>(&[3, 16, 16, 2], Activation::Tanh, init).expect("valid");
    let weights = [network.flat_weights(), other.flat_weights()];
    let x = points::<f64>(7, 300, 3);
    let wanted = weights.iter().map(|w| {
        network.set_flat_weights(w.view()).expect("the same sizes");
        network.evaluate(&x, &ask()).expect("valid")
    });
    let wanted: Vec<_> = wanted.collect();
    let shared = Shared { network: RwLock::new((network, 1)), weights, x, wanted };
    let (stop, calls, wrong) = (AtomicBool::new(false), AtomicU64::new(0), AtomicU64::new(0));
    let started = Instant::now();
    let mut memory = Vec::new();
    std::thread::scope(|scope| {
        for thread in 0..args.threads {
            let (shared, stop, calls, wrong) = (&shared, &stop, &calls, &wrong);
            scope.spawn(move || {
                let mut round = thread;
                while !stop.load(Ordering::Relaxed) {
                    let right = match round % 4 {
                        0 => alone::<f32>(round),
                        1 => alone::<f64>(round),
                        2 => read(shared, &ask()),
                        _ => write(shared),
                    };
                    wrong.fetch_add(u64::from(!right), Ordering::Relaxed);
                    calls.fetch_add(1, Ordering::Relaxed);
                    round = Random(round).next() >> 1;
                }
            });
        }
        let whole = Duration::from_secs(args.seconds);
        let step = (whole / 60).max(Duration::from_millis(200));
        while started.elapsed() < whole {
            std::thread::sleep(step.min(whole.saturating_sub(started.elapsed())));
            memory.push(resident());
            let seconds = started.elapsed().as_secs();
            println!("{seconds:6} s, {:9} rounds, {:8.1} MiB", calls.load(Ordering::Relaxed), mib(resident()));
        }
        stop.store(true, Ordering::Relaxed);
    });
    // what the first tenth fills, such as the buffers of each thread, stays
    let early = memory[..memory.len().div_ceil(10)].iter().max().copied().unwrap_or(0);
    let late = memory.iter().max().copied().unwrap_or(0);
    let (calls, wrong) = (calls.into_inner(), wrong.into_inner());
    println!(
        "{} s on {} threads: {calls} rounds, {wrong} wrong, memory at most {:.1} MiB in the first tenth, {:.1} MiB in all",
        started.elapsed().as_secs(),
        args.threads,
        mib(early),
        mib(late),
    );
    wrong == 0 && late.saturating_sub(early) >> 20 <= args.growth
}

/// A network of this round's own: made, evaluated, pulled back, streamed, saved and loaded.
fn alone<F: Real>(round: u64) -> bool {
    let pick = |n: u64, step: u32| (round >> step) % n;
    let (d, m, width) = (1 + pick(6, 3) as usize, 1 + pick(3, 7) as usize, 4 + pick(40, 11) as usize);
    let init = &mut Init::seed(round);
    let network = match pick(3, 17) {
        0 => fully_connected::<F>(&[d, width, width, m], Activation::Gelu, init),
        1 => resnet::<F>(d, 3, 0.5, Activation::Sin, init),
        _ => icnn::<F>(d, &[width, width], Activation::softplus(), init),
    };
    let network = network.expect("valid");
    let n = pick(700, 23) as usize;
    let x = points::<F>(round, n, d);
    let mode = [Mode::Auto, Mode::Forward, Mode::Backward, Mode::Sites][pick(4, 37) as usize].clone();
    let request = Request::new().value().gradient().hessian().diagonal().mode(mode);
    let jet = network.evaluate(&x, &request).expect("valid");
    let gradients = network.pullback(&x, &request, &jet).expect("valid");
    let mut right = jet.value == network.evaluate(&x, &request).expect("valid").value;
    right &= gradients.weights.iter().all(|g| g.is_finite());
    let (mut points, mut same) = (0, true);
    let value = jet.value.as_ref().expect("asked for");
    let streamed = network.stream(&x, &request, |range, tile| {
        points += range.len();
        same &= tile.value.as_ref().expect("asked for") == value.slice(ndarray::s![range, ..]);
        Ok::<_, hessquik::Error>(())
    });
    streamed.expect("valid");
    let copy = Network::<F>::from_bytes(&network.to_bytes().expect("finite")).expect("what was written");
    right && same && points == n && copy.flat_weights() == network.flat_weights()
}

/// A reader sees one set of weights or the other.
fn read(shared: &Shared, request: &Request<f64>) -> bool {
    let guard = shared.network.read().expect("no panic");
    let jet = guard.0.evaluate(&shared.x, request).expect("valid");
    let wanted = &shared.wanted[guard.1];
    jet.value == wanted.value && jet.hessian == wanted.hessian && jet.laplacian == wanted.laplacian
}

fn write(shared: &Shared) -> bool {
    let mut guard = shared.network.write().expect("no panic");
    let next = 1 - guard.1;
    guard.1 = next;
    guard.0.set_flat_weights(shared.weights[next].view()).is_ok()
}

fn points<F: Real>(seed: u64, n: usize, d: usize) -> Array2<F> {
    let mut random = Random(seed | 1);
    Array2::from_shape_simple_fn((n, d), || F::of(random.coordinate()))
}

/// Bytes of this process in memory.
fn resident() -> u64 {
    let pages = std::fs::read_to_string("/proc/self/statm").ok();
    pages.and_then(|p| p.split(' ').nth(1)?.parse::<u64>().ok()).map_or(0, |pages| pages * 4096)
}

fn mib(bytes: u64) -> f64 {
    bytes as f64 / f64::from(1 << 20)
}
