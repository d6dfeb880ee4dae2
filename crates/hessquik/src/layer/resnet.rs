//! Residual layer: `u' = u + h act(u K + b)`.
use super::{Form, Init, Layer, Linear, Parts, Weights};
use crate::architecture::Architecture;
use crate::{Activation, Real};
use ndarray::ArrayD;

/// `u' = u + h act(u K + b)` with `K` (width, width) and `b` (width): the row `M = K, S = I, W = h I` of the one form.
///
/// Its weights are called `layer.K` and `layer.b`, as in hessQuik, whose residual layer holds a single layer.
///
/// ```
/// use hessquik::{Activation, Init, Layer, Resnet};
/// let layer = Resnet::<f64>::new(4, 0.25, Activation::Tanh, &mut Init::seed(0));
/// assert_eq!((layer.dim_input(), layer.dim_output()), (4, 4));
/// ```
#[derive(Clone, Debug)]
pub struct Resnet<F> {
    width: usize,
    h: f64,
    act: Activation,
    weights: Weights<F>,
}

impl<F: Real> Resnet<F> {
    /// A layer of this width and step `h`, with weights uniform in +-1/sqrt(width).
    pub fn new(width: usize, h: f64, act: Activation, init: &mut Init) -> Self {
        let bound = 1.0 / (width.max(1) as f64).sqrt();
        let weights = Weights::new()
            .with("layer.K", init.kaiming_uniform(width, width, 5.0))
            .with("layer.b", init.uniform(width, -bound, bound));
        Self { width, h, act, weights }
    }

    /// The same layer without `b`.
    pub fn without_bias(self) -> Self {
        Self { weights: self.weights.without("layer.b"), ..self }
    }
}

impl<F: Real> Layer<F> for Resnet<F> {
    fn name(&self) -> String {
        "resnet".into()
    }
    fn dim_input(&self) -> usize {
        self.width
    }
    fn dim_output(&self) -> usize {
        self.width
    }
    fn weights(&self) -> Vec<(String, &ArrayD<F>)> {
        self.weights.list()
    }
    fn weights_mut(&mut self) -> Vec<(String, &mut ArrayD<F>)> {
        self.weights.list_mut()
    }
    // ANCHOR: parts
    fn settled(&self) -> bool {
        true
    }
    fn parts(&self) -> Parts<'_, F> {
        let form = Form::new(self.width, self.width, self.width)
            .m(Linear::zero().weight("layer.K", 0, 0))
            .act(self.act.clone())
            .s(Linear::identity(self.width))
            .w(Linear::scaled_identity(self.width, F::of(self.h)));
        Parts::Form(if self.weights.has("layer.b") { form.b("layer.b") } else { form })
    }
    // ANCHOR_END: parts
    fn architecture(&self) -> Option<Architecture> {
        Some(Architecture::Resnet {
            width: self.width,
            h: self.h,
            act: self.act.describe()?,
            bias: self.weights.has("layer.b"),
        })
    }
}
