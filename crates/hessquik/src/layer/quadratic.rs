//! Quadratic layer: `f(u) = u v + |A u|^2 / 2 + mu`.
use super::{Form, Init, Layer, Linear, Parts, Weights};
use crate::architecture::Architecture;
use crate::{Activation, Real};
use ndarray::{Array2, ArrayD};

/// `f(u) = u v + u A^T A u^T / 2 + mu` with `v` (n), `A` (rank, n), `mu` (1): the row `M = A^T`, `act = z^2/2`, `S = v`,
/// `W` = ones, `c = mu` of the one form.
///
/// ```
/// use hessquik::{Init, Layer, Quadratic};
/// let layer = Quadratic::<f64>::new(4, 2, &mut Init::seed(0));
/// assert_eq!((layer.dim_input(), layer.dim_output()), (4, 1));
/// ```
#[derive(Clone, Debug)]
pub struct Quadratic<F> {
    in_features: usize,
    rank: usize,
    weights: Weights<F>,
}

impl<F: Real> Quadratic<F> {
    /// A layer with `v` and `A` uniform in +-1/sqrt(in_features) and `mu` in [0, 1), as hessQuik draws them.
    pub fn new(in_features: usize, rank: usize, init: &mut Init) -> Self {
        let bound = 1.0 / (in_features.max(1) as f64).sqrt();
        let weights = Weights::new()
            .with("v", init.uniform(in_features, -bound, bound))
            .with("mu", init.uniform(1, 0.0, 1.0))
            .with("A", init.uniform((rank, in_features), -bound, bound));
        Self { in_features, rank, weights }
    }
}

impl<F: Real> Layer<F> for Quadratic<F> {
    fn name(&self) -> String {
        "quadratic".into()
    }
    fn dim_input(&self) -> usize {
        self.in_features
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
        Parts::Form(
            Form::new(self.in_features, self.rank, 1)
                .m(Linear::zero().transposed("A", 0, 0))
                .act(Activation::Quadratic)
                .s(Linear::zero().weight("v", 0, 0))
                .w(Linear::zero().constant(Array2::ones((self.rank, 1)), 0, 0))
                .c("mu"),
        )
    }
    fn architecture(&self) -> Option<Architecture> {
        Some(Architecture::Quadratic { in_features: self.in_features, rank: self.rank })
    }
}
