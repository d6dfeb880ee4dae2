//! The modified multi-layer perceptron, whose layers are gated by two embeddings of the input.
use super::Init;
use super::formula::{Formula, Inside, Recipe, dense, dense_shapes};
use crate::architecture::Architecture;
use crate::graph::Var;
use crate::{ActivationSpec, Error, Real};
use serde::{Deserialize, Serialize};

/// With `U = act(x U.K + U.b)`, `V = act(x V.K + V.b)` and `h_0 = act(x in.K + in.b)`, for each of `depth` layers
///
/// ```text
/// z = act(h i.K + i.b)      h' = (1 - z) U + z V
/// ```
///
/// entry by entry (Wang, Teng and Perdikaris, *Understanding and mitigating gradient flow pathologies in
/// physics-informed neural networks*, 2021). The output is `h`, with `width` features; add a [`Single`](super::Single)
/// layer without activation as the last layer.
///
/// ```
/// use hessquik::layer::{ModifiedMlp, ModifiedMlpSpec};
/// use hessquik::{Activation, ActivationSpec, Evaluate, Init, Network, Single};
/// let init = &mut Init::seed(0);
/// let spec = ModifiedMlpSpec { in_features: 2, width: 8, depth: 3, act: ActivationSpec::Tanh };
/// let network = Network::<f64>::new(vec![
///     Box::new(ModifiedMlp::new(spec, init)?),
///     Box::new(Single::new(8, 1, Activation::Identity, init)),
/// ])?;
/// assert_eq!(network.value(&ndarray::array![[0.1, 0.2]])?.dim(), (1, 1));
/// # Ok::<(), hessquik::Error>(())
/// ```
pub type ModifiedMlp<F> = Formula<ModifiedMlpSpec, F>;

/// The settings of [`ModifiedMlp`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ModifiedMlpSpec {
    /// Number of input features.
    pub in_features: usize,
    /// Number of features of every layer.
    pub width: usize,
    /// Number of gated layers.
    pub depth: usize,
    /// The activation.
    #[serde(default = "crate::architecture::tanh", deserialize_with = "crate::architecture::named")]
    pub act: ActivationSpec,
}

impl<F: Real> ModifiedMlp<F> {
    /// A network with these settings.
    ///
    /// # Errors
    /// [`Error::Setting`] for a size of zero, or an activation with an invalid setting.
    pub fn new(settings: ModifiedMlpSpec, init: &mut Init) -> Result<Self, Error> {
        Self::of(settings, Vec::new(), init)
    }
}

impl Recipe for ModifiedMlpSpec {
    fn name(&self) -> &'static str {
        "modified_mlp"
    }
    fn counts(&self) -> Vec<(&'static str, usize)> {
        vec![("in_features", self.in_features), ("width", self.width), ("depth", self.depth)]
    }
    fn depth(&self) -> usize {
        self.depth
    }
    fn activations(&self) -> Vec<ActivationSpec> {
        vec![self.act]
    }
    fn dims(&self, _: &[(usize, usize)]) -> Result<(usize, usize), Error> {
        Ok((self.in_features, self.width))
    }
    fn weight_shapes(&self) -> Vec<(String, Vec<usize>)> {
        let first = ["U", "V", "in"].into_iter().flat_map(|name| dense_shapes(name, self.in_features, self.width));
        first.chain((0..self.depth).flat_map(|i| dense_shapes(&i.to_string(), self.width, self.width))).collect()
    }
    fn describe(&self, _: Vec<Architecture>) -> Option<Architecture> {
        Some(Architecture::ModifiedMlp(self.clone()))
    }
    fn forward<F: Real>(&self, x: Var<F>, _: &Inside<F>) -> Var<F> {
        let layer = |u: &Var<F>, name: &str| dense(u, name).act(self.act.into());
        let (u, v) = (layer(&x, "U"), layer(&x, "V"));
        (0..self.depth).fold(layer(&x, "in"), |h, i| gated(&layer(&h, &i.to_string()), &u, &v))
    }
}

/// `(1 - z) U + z V`.
pub(super) fn gated<F: Real>(z: &Var<F>, u: &Var<F>, v: &Var<F>) -> Var<F> {
    (1.0 - z) * u + z * v
}
