//! Quadratic input convex layer: `f([u, x]) = u softplus(w) + x v + |A x|^2 / 2 + mu`.
use super::{Form, Init, Layer, Linear, Parts, Weights};
use crate::architecture::Architecture;
use crate::{Activation, Real};
use ndarray::{Array2, ArrayD};

/// `f([u, x]) = u softplus(w) + x v + x A^T A x^T / 2 + mu` with `w` (n), `v` (d), `A` (rank, d), `mu` (1): the row
/// `M = [0; A^T]`, `act = z^2/2`, `S = [softplus(w); v]`, `W` = ones, `c = mu` of the one form.
///
/// ```
/// use hessquik::{Init, Layer, QuadraticIcnn};
/// let layer = QuadraticIcnn::<f64>::new(4, Some(7), 2, &mut Init::seed(0));
/// assert_eq!((layer.dim_input(), layer.dim_output()), (11, 1));
/// ```
#[derive(Clone, Debug)]
pub struct QuadraticIcnn<F> {
    input_dim: usize,
    in_features: Option<usize>,
    rank: usize,
    weights: Weights<F>,
}

impl<F: Real> QuadraticIcnn<F> {
    /// A layer for network inputs of dimension `input_dim`; without features (`None`) it is a quadratic of `x` alone.
    pub fn new(input_dim: usize, in_features: Option<usize>, rank: usize, init: &mut Init) -> Self {
        let bound = |n: usize| 1.0 / (n.max(1) as f64).sqrt();
        let features = bound(in_features.unwrap_or(input_dim));
        let mut weights = Weights::new();
        if let Some(n) = in_features {
            weights = weights.with("w", init.uniform(n, -features, features));
        }
        let weights = weights
            .with("v", init.uniform(input_dim, -features, features))
            .with("mu", init.uniform(1, 0.0, 1.0))
            .with("A", init.uniform((rank, input_dim), -bound(input_dim), bound(input_dim)));
        Self { input_dim, in_features, rank, weights }
    }
}

impl<F: Real> Layer<F> for QuadraticIcnn<F> {
    fn name(&self) -> String {
        "quadratic_icnn".into()
    }
    fn dim_input(&self) -> usize {
        self.in_features.unwrap_or(0) + self.input_dim
    }
    fn dim_output(&self) -> usize {
        1
    }
    fn weights(&self) -> Vec<(String, &ArrayD<F>)> {
        self.weights.list()
    }
    fn weights_mut(&mut self) -> Vec<(String, &mut ArrayD<F>)> {
        self.weights.list_mut()
    }
    fn settled(&self) -> bool {
        true
    }
    fn parts(&self) -> Parts<'_, F> {
        let n = self.in_features.unwrap_or(0);
        let v = Linear::zero().weight("v", n, 0);
        Parts::Form(
            Form::new(n + self.input_dim, self.rank, 1)
                .m(Linear::zero().transposed("A", n, 0))
                .act(Activation::Quadratic)
                .s(if self.in_features.is_some() { v.nonnegative("w", 0, 0) } else { v })
                .w(Linear::zero().constant(Array2::ones((self.rank, 1)), 0, 0))
                .c("mu"),
        )
    }
    fn architecture(&self) -> Option<Architecture> {
        Some(Architecture::QuadraticIcnn { input_dim: self.input_dim, in_features: self.in_features, rank: self.rank })
    }
}
