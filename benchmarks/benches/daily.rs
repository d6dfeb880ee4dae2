//! Micro-benchmarks for daily work: `cargo bench -p hessquik-benchmarks`, one thread with `RAYON_NUM_THREADS=1`.
use divan::{Bencher, black_box};
use hessquik::{Activation, Evaluate, Init, Layer, Network, QuadraticIcnn, Real, Request, Single, icnn, resnet};
use ndarray::{Array1, Array2};

fn main() {
    divan::main();
}

const ENTRIES: usize = 4096;

fn activation<F: Real>(bencher: Bencher, act: &Activation) {
    let z = Array1::from_shape_fn(ENTRIES, |i| F::of(i as f64 / 700.0 - 3.0));
    bencher.counter(divan::counter::ItemsCount::new(ENTRIES)).bench_local(|| act.evaluate(black_box(&z), 2));
}

#[divan::bench(types = [f32, f64])]
fn tanh<F: Real>(bencher: Bencher) {
    activation::<F>(bencher, &Activation::Tanh);
}

#[divan::bench(types = [f32, f64])]
fn anti_tanh<F: Real>(bencher: Bencher) {
    activation::<F>(bencher, &Activation::AntiTanh);
}

#[divan::bench(types = [f32, f64])]
fn softplus<F: Real>(bencher: Bencher) {
    activation::<F>(bencher, &Activation::softplus());
}

/// A single layer, `depth` residual layers and a linear one.
fn residual<F: Real>([d, m, width, depth]: [usize; 4], first: Activation, h: f64) -> Network<F> {
    let init = &mut Init::seed(0);
    let layers: Vec<Box<dyn Layer<F>>> = vec![
        Box::new(Single::new(d, width, first, init)),
        Box::new(resnet(width, depth, h, Activation::Tanh, init).expect("sizes that make sense")),
        Box::new(Single::new(width, m, Activation::Identity, init)),
    ];
    Network::new(layers).expect("widths that fit")
}

fn points<F: Real>(ns: usize, d: usize) -> Array2<F> {
    Init::seed(1).uniform((ns, d), -1.0, 1.0)
}

/// Calls into arrays that are lent again and again.
fn lent<F: Real>(bencher: Bencher, network: &Network<F>, ns: usize, request: &Request<F>) {
    let x = points(ns, network.dim_input());
    let mut jet = network.zeros(ns, request).expect("memory");
    bencher.bench_local(|| network.evaluate_into(black_box(&x), request, jet.view_mut()));
}

fn hessian<F: Real>() -> Request<F> {
    Request::new().value().gradient().hessian()
}

#[divan::bench(types = [f32, f64], args = [1, 64, 512])]
fn grid<F: Real>(bencher: Bencher, d: usize) {
    lent::<F>(bencher, &residual([d, 1, 16, 4], Activation::AntiTanh, 0.5), 10, &hessian());
}

#[divan::bench(types = [f32, f64], args = [[2, 1, 20, 8, 4096], [3, 4, 128, 4, 2048]])]
fn pinn<F: Real>(bencher: Bencher, [d, m, width, depth, ns]: [usize; 5]) {
    lent::<F>(bencher, &residual([d, m, width, depth], Activation::Tanh, 1.0), ns, &hessian());
}

#[divan::bench(types = [f32, f64])]
fn wide<F: Real>(bencher: Bencher) {
    lent::<F>(bencher, &residual([100, 1, 128, 3], Activation::Tanh, 1.0), 64, &hessian());
}

#[divan::bench(types = [f32, f64])]
fn laplacian<F: Real>(bencher: Bencher) {
    let request = Request::new().value().gradient().laplacian();
    lent::<F>(bencher, &residual([10, 1, 128, 4], Activation::Tanh, 1.0), 1024, &request);
}

#[divan::bench(types = [f32, f64])]
fn convex<F: Real>(bencher: Bencher) {
    let init = &mut Init::seed(0);
    let features = icnn(2, &[64; 4], Activation::softplus(), init).expect("sizes that make sense");
    let last = QuadraticIcnn::new(2, Some(64), 2, init);
    let network = Network::<F>::new(vec![Box::new(features), Box::new(last)]).expect("widths that fit");
    lent(bencher, &network, 4096, &hessian());
}

#[divan::bench(types = [f32, f64])]
fn training<F: Real>(bencher: Bencher) {
    let (network, ns) = (residual::<F>([2, 1, 16, 4], Activation::Tanh, 1.0), 1000);
    let x = points(ns, 2);
    bencher.bench_local(|| {
        network.loss_gradients(black_box(&x), &hessian(), |_, jet, bar| {
            let (h, bar) = (jet.hessian.as_ref().expect("asked for"), bar.hessian.as_mut().expect("asked for"));
            bar.assign(h);
            h.iter().map(|&h| h * h).sum::<F>()
        })
    });
}
