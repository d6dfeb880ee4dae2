//! Seeded initial weights, distributed as PyTorch and hessQuik draw them.
use crate::Real;
use ndarray::{Array, Dimension, ShapeBuilder};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// A reproducible source of initial weights.
///
/// ```
/// use hessquik::{Activation, Init, Single};
/// let a = Single::<f64>::new(4, 7, Activation::Tanh, &mut Init::seed(1));
/// let b = Single::<f64>::new(4, 7, Activation::Tanh, &mut Init::seed(1));
/// use hessquik::Layer;
/// assert_eq!(a.weights(), b.weights());
/// ```
#[derive(Clone, Debug)]
pub struct Init {
    rng: Option<ChaCha8Rng>,
}

impl Init {
    /// Random weights from this seed: the same on every machine, and the same numbers (rounded) in f32 as in f64.
    pub fn seed(seed: u64) -> Self {
        Self { rng: Some(ChaCha8Rng::seed_from_u64(seed)) }
    }

    /// All weights zero, for networks whose weights are set afterwards.
    pub fn zeros() -> Self {
        Self { rng: None }
    }

    /// Entries uniform in `[low, high)`.
    pub fn uniform<F: Real, D: Dimension, S: ShapeBuilder<Dim = D>>(
        &mut self,
        shape: S,
        low: f64,
        high: f64,
    ) -> Array<F, D> {
        match &mut self.rng {
            None => Array::zeros(shape),
            Some(rng) => Array::from_shape_simple_fn(shape, || F::of(low + (high - low) * rng.random::<f64>())),
        }
    }

    /// Normal entries with mean zero and this standard deviation, the same on every machine.
    pub fn normal<F: Real, D: Dimension, S: ShapeBuilder<Dim = D>>(&mut self, shape: S, sigma: f64) -> Array<F, D> {
        match &mut self.rng {
            None => Array::zeros(shape),
            Some(rng) => Array::from_shape_simple_fn(shape, || {
                // Box and Muller; 1 - u is in (0, 1]
                let radius = (-2.0 * libm::log(1.0 - rng.random::<f64>())).sqrt();
                F::of(sigma * radius * libm::cos(std::f64::consts::TAU * rng.random::<f64>()))
            }),
        }
    }

    /// PyTorch's `kaiming_uniform_(a)` of a matrix (rows, cols), whose fan-in PyTorch takes to be `cols`:
    /// uniform in +-sqrt(6 / ((1 + a^2) cols)).
    pub fn kaiming_uniform<F: Real>(&mut self, rows: usize, cols: usize, a_squared: f64) -> Array<F, ndarray::Ix2> {
        let bound = (6.0 / ((1.0 + a_squared) * cols.max(1) as f64)).sqrt();
        self.uniform((rows, cols), -bound, bound)
    }
}
