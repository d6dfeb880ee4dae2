//! What the tests share: oracles that have no code in common with the library, random networks, and comparisons.
#![allow(dead_code, unused_imports)] // every test file uses its own part of this
pub mod adjoint;
pub mod ask;
pub mod compare;
pub mod formulas;
pub mod golden;
pub mod memory;
pub mod oracle;
pub mod random;

pub use ask::Ask;
pub use compare::{Worst, as_f64, compare};
pub use oracle::{Jets, Model, Named, Scalar, differentiate, differentiate_along, jostle, slack};

use hessquik::{Architecture, Form, Init, Layer, Linear, Network, Parts, Plan, Real};
use ndarray::{Array, Array1, Array2, ArrayD, Dimension, ShapeBuilder};

/// Reproducible entries, uniform in +-`bound`.
pub fn uniform<F: Real, D: Dimension>(seed: u64, bound: f64, shape: impl ShapeBuilder<Dim = D>) -> Array<F, D> {
    Init::seed(seed).uniform(shape, -bound, bound)
}

/// Reproducible points (n_s, d).
pub fn points<F: Real>(seed: u64, n_s: usize, d: usize) -> Array2<F> {
    uniform(seed ^ 0x9e37_79b9, 1.5, (n_s, d))
}

/// The network of a description, with weights from `seed`.
pub fn network<F: Real>(architecture: &Architecture, seed: u64) -> Network<F> {
    architecture.build(&mut Init::seed(seed)).unwrap_or_else(|e| panic!("{}: {e}", architecture.to_json()))
}

/// Features each times a constant close to one.
#[derive(Clone, Debug)]
struct Scaled(Array1<f64>);

impl Layer<f64> for Scaled {
    fn name(&self) -> String {
        "scaled".into()
    }
    fn dim_input(&self) -> usize {
        self.0.len()
    }
    fn dim_output(&self) -> usize {
        self.0.len()
    }
    fn parts(&self) -> Parts<'_, f64> {
        let n = self.0.len();
        let scale = Linear::zero().constant(Array2::from_diag(&self.0), 0, 0);
        Parts::Form(Form::new(n, n, n).m(Linear::identity(n)).w(scale))
    }
}

/// The same network, and the same points, with every weight, state and point off by at most a millionth of itself: what
/// this changes is how well conditioned the network is.
pub fn jostled(network: &Network<f64>, x: &Array2<f64>, seed: u64) -> (Network<f64>, Array2<f64>) {
    const SIZE: f64 = 1e-6;
    fn push(layer: &dyn Layer<f64>, seed: u64, out: &mut Vec<Box<dyn Layer<f64>>>) {
        match layer.parts() {
            Parts::Chain(inner) => inner.iter().for_each(|l| push(l.as_ref(), seed, out)),
            _ => {
                out.push(layer.clone_box());
                let ones = Array1::ones(layer.dim_output());
                out.push(Box::new(Scaled(jostle(&ones, SIZE, seed + out.len() as u64))));
            }
        }
    }
    let mut layers = Vec::new();
    push(network, seed, &mut layers);
    let mut moved = Network::new(layers).unwrap();
    moved.set_flat_weights(jostle(&network.flat_weights(), SIZE, seed).view()).unwrap();
    (moved, jostle(x, SIZE, seed + 1))
}

/// The weights of a network by name.
pub fn named<F: Real>(network: &Network<F>) -> Named<f64> {
    network.weights().into_iter().map(|(n, w)| (n, w.mapv(|w| w.as_f64()))).collect()
}

/// The plan that carries the Hessian forward through `prefix` layers and restarts tangents at `pivots`.
pub fn plan(prefix: usize, pivots: &[usize]) -> Plan {
    Plan::new(prefix, pivots)
}
