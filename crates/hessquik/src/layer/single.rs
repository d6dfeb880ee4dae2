//! Single layer: `u' = act(u K + b)`.
use super::{Form, Init, Layer, Linear, Parts, Weights};
use crate::architecture::Architecture;
use crate::{Activation, Real};
use ndarray::ArrayD;

/// `u' = act(u K + b)` with `K` (in, out) and `b` (out): the row `M = K, S = 0, W = I` of the one form.
///
/// ```
/// use hessquik::{Activation, Init, Layer, Single};
/// let layer = Single::<f64>::new(4, 7, Activation::Softplus { beta: 1.0, threshold: 20.0 }, &mut Init::seed(0));
/// assert_eq!((layer.dim_input(), layer.dim_output()), (4, 7));
/// ```
#[derive(Clone, Debug)]
pub struct Single<F> {
    in_features: usize,
    out_features: usize,
    act: Activation,
    weights: Weights<F>,
}

impl<F: Real> Single<F> {
    /// A layer with `K` and `b` uniform in +-1/sqrt(out_features), as hessQuik draws them (PyTorch takes the second
    /// axis of `K` for the fan-in).
    pub fn new(in_features: usize, out_features: usize, act: Activation, init: &mut Init) -> Self {
        let bound = 1.0 / (out_features.max(1) as f64).sqrt();
        let weights = Weights::new()
            .with("K", init.kaiming_uniform(in_features, out_features, 5.0))
            .with("b", init.uniform(out_features, -bound, bound));
        Self { in_features, out_features, act, weights }
    }

    /// The same layer without `b`.
    pub fn without_bias(self) -> Self {
        Self { weights: self.weights.without("b"), ..self }
    }
}

impl<F: Real> Layer<F> for Single<F> {
    fn name(&self) -> String {
        "single".into()
    }
    fn dim_input(&self) -> usize {
        self.in_features
    }
    fn dim_output(&self) -> usize {
        self.out_features
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
        let form = Form::new(self.in_features, self.out_features, self.out_features)
            .m(Linear::zero().weight("K", 0, 0))
            .act(self.act.clone())
            .w(Linear::identity(self.out_features));
        Parts::Form(if self.weights.has("b") { form.b("b") } else { form })
    }
    fn architecture(&self) -> Option<Architecture> {
        Some(Architecture::Single {
            in_features: self.in_features,
            out_features: self.out_features,
            act: self.act.describe()?,
            bias: self.weights.has("b"),
        })
    }
}
