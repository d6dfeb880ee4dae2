//! Input convex layer: `[u, x] -> [act(u softplus(L) + x K + b), x]`.
use super::{Form, Init, Layer, Linear, Parts, Weights};
use crate::architecture::Architecture;
use crate::{Activation, Real};
use ndarray::ArrayD;

/// `[u, x] -> [act(u softplus(L) + x K + b), x]` with `L` (in, out), `K` (d, out), `b` (out) (Amos, Xu and Kolter,
/// *Input convex neural networks*, 2017): the row `M = [softplus(L); K]`, `S` selects `x`, `W` embeds, of the one form.
///
/// The first layer of a network takes `x` alone (`in_features` is `None`, no `L`). The outputs are convex in `x` if the
/// activation is convex and non-decreasing.
///
/// ```
/// use hessquik::{Activation, Icnn, Init, Layer};
/// let layer = Icnn::<f64>::new(4, Some(5), 7, Activation::softplus(), &mut Init::seed(0));
/// assert_eq!((layer.dim_input(), layer.dim_output()), (9, 11));
/// ```
#[derive(Clone, Debug)]
pub struct Icnn<F> {
    input_dim: usize,
    in_features: Option<usize>,
    out_features: usize,
    act: Activation,
    weights: Weights<F>,
}

impl<F: Real> Icnn<F> {
    /// A layer for network inputs of dimension `input_dim`, with weights drawn as hessQuik draws them.
    pub fn new(
        input_dim: usize,
        in_features: Option<usize>,
        out_features: usize,
        act: Activation,
        init: &mut Init,
    ) -> Self {
        let bound = 1.0 / (out_features.max(1) as f64).sqrt();
        let mut weights = Weights::new().with("K", init.kaiming_uniform(input_dim, out_features, input_dim as f64));
        if let Some(n) = in_features {
            weights = weights.with("L", init.kaiming_uniform(n, out_features, n as f64));
        }
        let weights = weights.with("b", init.uniform(out_features, -bound, bound));
        Self { input_dim, in_features, out_features, act, weights }
    }

    /// The same layer without `b`.
    pub fn without_bias(self) -> Self {
        Self { weights: self.weights.without("b"), ..self }
    }
}

impl<F: Real> Layer<F> for Icnn<F> {
    fn name(&self) -> String {
        "icnn".into()
    }
    fn dim_input(&self) -> usize {
        self.in_features.unwrap_or(0) + self.input_dim
    }
    fn dim_output(&self) -> usize {
        self.out_features + self.input_dim
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
        let (n, d, p) = (self.in_features.unwrap_or(0), self.input_dim, self.out_features);
        let k = Linear::zero().weight("K", n, 0);
        let form = Form::new(n + d, p, p + d)
            .m(if self.in_features.is_some() { k.nonnegative("L", 0, 0) } else { k })
            .act(self.act.clone())
            .s(Linear::zero().copy(n, p, d, F::one()))
            .w(Linear::identity(p));
        Parts::Form(if self.weights.has("b") { form.b("b") } else { form })
    }
    fn architecture(&self) -> Option<Architecture> {
        Some(Architecture::Icnn {
            input_dim: self.input_dim,
            in_features: self.in_features,
            out_features: self.out_features,
            act: self.act.describe()?,
            bias: self.weights.has("b"),
        })
    }
}
