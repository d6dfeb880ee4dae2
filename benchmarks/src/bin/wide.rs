//! Wide layers: what a pullback takes beside an evaluation of the same request, and both beside the products alone, in one
//! process and in turns. `wide [f32|f64] POINTS DEPTH WIDTH ..`
use hessquik::{Activation, Evaluate, Init, Jet, JetMut, JetView, Network, Real, Request, fully_connected};
use hessquik_benchmarks::gemm_rate;
use ndarray::{Array2, Zip};
use std::error::Error;
use std::hint::black_box;
use std::time::Instant;

/// Rounds, of which the fastest counts.
const ROUNDS: usize = 7;

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [dtype, points, depth, widths @ ..] = &arguments[..] else {
        return Err("usage: wide f32|f64 POINTS DEPTH WIDTH ..".into());
    };
    println!(
        "| width | tile | evaluation, ms | pullback, ms | pullback / evaluation | evaluation / floor | step, ms |"
    );
    println!("|---|---|---|---|---|---|---|");
    for width in widths {
        let (width, depth, points) = (width.parse()?, depth.parse()?, points.parse()?);
        match dtype.as_str() {
            "f32" => measure::<f32>(width, depth, points)?,
            _ => measure::<f64>(width, depth, points)?,
        }
    }
    Ok(())
}

/// Value, gradient and Laplacian of a network of two inputs and one output.
struct Case<F> {
    network: Network<F>,
    x: Array2<F>,
    request: Request<F>,
    lent: Jet<F>,
}

impl<F: Real> Case<F> {
    fn evaluate(&mut self) -> Result<(), hessquik::Error> {
        self.network.evaluate_into(&self.x, &self.request, self.lent.view_mut())
    }

    /// The gradients of half the squares of all Laplacians.
    fn pull_back(&self) -> Result<(), hessquik::Error> {
        let loss = |_: std::ops::Range<usize>, jet: &JetView<F>, bar: &mut JetMut<F>| {
            if let (Some(bar), Some(laplacian)) = (&mut bar.laplacian, &jet.laplacian) {
                Zip::from(bar).and(laplacian).for_each(|bar, &l| *bar = l);
            }
            F::zero()
        };
        self.network.loss_gradients(&self.x, &self.request, loss).map(|gradients| drop(black_box(gradients)))
    }
}

/// Seconds of a call.
fn seconds(call: impl FnOnce() -> Result<(), hessquik::Error>) -> Result<f64, hessquik::Error> {
    let start = Instant::now();
    call()?;
    Ok(start.elapsed().as_secs_f64())
}

fn measure<F: Real>(width: usize, depth: usize, points: usize) -> Result<(), hessquik::Error> {
    let init = &mut Init::seed(0);
    let sizes: Vec<usize> = [2].into_iter().chain(std::iter::repeat_n(width, depth)).chain([1]).collect();
    let network = fully_connected::<F>(&sizes, Activation::Tanh, init)?;
    let request = Request::new().value().gradient().laplacian();
    let (x, lent, theta) =
        (init.uniform((points, 2), -1.0, 1.0), network.zeros(points, &request)?, network.flat_weights());
    let explanation = network.explain(points, &request)?;
    let flops = explanation.results[0].1[0].cost.flops * points as f64;
    let mut case = Case { network, x, request, lent };
    let (mut rate, mut best) = (0f64, [f64::INFINITY; 3]);
    for _ in 0..ROUNDS {
        rate = rate.max(gemm_rate::<F>());
        let times = [
            seconds(|| case.evaluate())?,
            seconds(|| case.pull_back())?,
            seconds(|| case.network.set_flat_weights(theta.view()).and_then(|()| case.pull_back()))?,
        ];
        best.iter_mut().zip(times).for_each(|(best, time)| *best = best.min(time));
    }
    let [evaluation, pullback, _] = best;
    let (tile, ratio, floor) = (explanation.tile, pullback / evaluation, evaluation * rate / flops);
    let [evaluation, pullback, step] = best.map(|seconds| 1e3 * seconds);
    println!("| {width} | {tile} | {evaluation:.2} | {pullback:.2} | {ratio:.2} | {floor:.2} | {step:.2} |");
    Ok(())
}
