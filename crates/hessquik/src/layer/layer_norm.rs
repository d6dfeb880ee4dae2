//! Layer norm: features less their mean, divided by their standard deviation.
use super::Init;
use super::formula::{Formula, Inside, Recipe};
use crate::architecture::Architecture;
use crate::graph::Var;
use crate::{Error, Real};
use ndarray::{ArrayD, IxDyn};
use serde::{Deserialize, Serialize};

/// `u' = g (u - mean u) / sqrt(var u + eps) + b` for each of `tokens` rows of `features` features, with `g` and `b`
/// (features) shared by the rows (Ba, Kiros and Hinton, *Layer normalization*, 2016; PyTorch's `LayerNorm`).
///
/// ```
/// use hessquik::layer::{LayerNorm, LayerNormSpec};
/// use hessquik::{Evaluate, Init};
/// let layer = LayerNorm::<f64>::new(LayerNormSpec { eps: 0.0, ..LayerNormSpec::new(2) }, &mut Init::seed(0))?;
/// assert_eq!(layer.value(&ndarray::array![[3.0, 5.0]])?, ndarray::array![[-1.0, 1.0]]);
/// # Ok::<(), hessquik::Error>(())
/// ```
pub type LayerNorm<F> = Formula<LayerNormSpec, F>;

/// The settings of [`LayerNorm`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LayerNormSpec {
    /// Number of features of a token.
    pub features: usize,
    /// Number of tokens, which follow one another in the features.
    #[serde(default = "crate::architecture::unit")]
    pub tokens: usize,
    /// Constant added to the variance.
    #[serde(default = "eps")]
    pub eps: f64,
    /// Whether the layer has `g` and `b`.
    #[serde(default = "crate::architecture::yes")]
    pub affine: bool,
}

fn eps() -> f64 {
    1e-5
}

impl LayerNormSpec {
    /// The layer norm of one row, with weights and `eps` 1e-5.
    pub fn new(features: usize) -> Self {
        Self { features, tokens: 1, eps: eps(), affine: true }
    }
}

impl<F: Real> LayerNorm<F> {
    /// A layer with these settings, with `g` one and `b` zero.
    ///
    /// # Errors
    /// [`Error::Setting`] for a size of zero, or an `eps` that is negative or not finite.
    pub fn new(settings: LayerNormSpec, init: &mut Init) -> Result<Self, Error> {
        Self::of(settings, Vec::new(), init)
    }
}

impl Recipe for LayerNormSpec {
    fn name(&self) -> &'static str {
        "layer_norm"
    }
    fn counts(&self) -> Vec<(&'static str, usize)> {
        vec![("features", self.features), ("tokens", self.tokens)]
    }
    fn numbers(&self) -> Vec<(&'static str, f64)> {
        vec![("eps", self.eps)]
    }
    fn check(&self) -> Result<(), Error> {
        if self.eps < 0.0 {
            return Err(Error::setting("eps", self.eps, "a number that is not negative"));
        }
        Ok(())
    }
    fn width(&self) -> u128 {
        self.features as u128 * self.tokens as u128
    }
    fn dims(&self, _: &[(usize, usize)]) -> Result<(usize, usize), Error> {
        let n = self.features.saturating_mul(self.tokens);
        Ok((n, n))
    }
    fn weight_shapes(&self) -> Vec<(String, Vec<usize>)> {
        let names = if self.affine { &["g", "b"][..] } else { &[] };
        names.iter().map(|&name| (name.into(), vec![self.features])).collect()
    }
    fn draw<F: Real>(&self, name: &str, shape: &[usize], init: &mut Init) -> ArrayD<F> {
        let start = if name == "g" { 1.0 } else { 0.0 };
        init.uniform(IxDyn(shape), start, start)
    }
    fn describe(&self, _: Vec<Architecture>) -> Option<Architecture> {
        Some(Architecture::LayerNorm(self.clone()))
    }
    fn forward<F: Real>(&self, u: Var<F>, _: &Inside<F>) -> Var<F> {
        let u = u.reshape(&[self.tokens, self.features]).normalised(1, self.eps);
        if self.affine { u * "g" + "b" } else { u }
    }
}
