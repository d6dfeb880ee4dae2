//! What the tests share: oracles that have no code in common with the library, random networks, and comparisons.
#![allow(dead_code, unused_imports)] // every test file uses its own part of this
pub mod adjoint;
pub mod ask;
pub mod compare;
pub mod golden;
pub mod oracle;
pub mod random;

pub use ask::Ask;
pub use compare::{Worst, as_f64, compare};
pub use oracle::{Jets, Model, Named, Scalar, differentiate, differentiate_along};

use hessquik::{Architecture, Init, Network, Plan, Real};
use ndarray::{Array, Array2, ArrayD, Dimension, ShapeBuilder};

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

/// Everything moved by about as much as rounding it to single precision does.
pub fn jostled<D: Dimension>(a: &Array<f64, D>, seed: u64) -> Array<f64, D> {
    a * &(uniform::<f64, _>(seed, 1.2e-7, a.raw_dim()) + 1.0)
}

/// The same network with all weights [`jostled`].
pub fn jostled_network(network: &Network<f64>, seed: u64) -> Network<f64> {
    let mut network = network.clone();
    network.set_flat_weights(jostled(&network.flat_weights(), seed).view()).unwrap();
    network
}

/// The weights of a network by name.
pub fn named<F: Real>(network: &Network<F>) -> Named<f64> {
    use hessquik::Layer;
    network.weights().into_iter().map(|(n, w)| (n, w.mapv(|w| w.as_f64()))).collect()
}

/// The plan that carries the Hessian forward through `prefix` layers and restarts tangents at `pivots`.
pub fn plan(prefix: usize, pivots: &[usize]) -> Plan {
    Plan::new(prefix, pivots)
}
