//! PirateNet: gated residual blocks that start as the identity.
use super::Init;
use super::formula::{Formula, Inside, Recipe, dense, dense_shapes};
use super::modified_mlp::gated;
use crate::architecture::Architecture;
use crate::graph::Var;
use crate::{ActivationSpec, Error, Real};
use serde::{Deserialize, Serialize};

/// With `U = act(x U.K + U.b)` and `V = act(x V.K + V.b)`, for each of `depth` blocks
///
/// ```text
/// f = act(u i.f.K + i.f.b)       z_1 = f U + (1 - f) V
/// g = act(z_1 i.g.K + i.g.b)     z_2 = g U + (1 - g) V
/// h = act(z_2 i.h.K + i.h.b)     u' = alpha h + (1 - alpha) u
/// ```
///
/// with one number `alpha` per block, the weight `i.alpha`, initially zero (Wang, Li, Chen and Perdikaris, *PirateNets:
/// physics-informed deep learning with residual adaptive networks*, 2024). Inputs and outputs have `features` features:
/// put an embedding such as [`Fourier`](super::Fourier) before it, and a linear layer after it.
///
/// ```
/// use hessquik::layer::{Fourier, FourierSpec, PirateNet, PirateNetSpec};
/// use hessquik::{Activation, ActivationSpec, Init, Layer, Network, Single};
/// let init = &mut Init::seed(0);
/// let network = Network::<f64>::new(vec![
///     Box::new(Fourier::new(FourierSpec::new(2, 8, 1.0), init)?),
///     Box::new(PirateNet::new(PirateNetSpec { features: 16, depth: 2, act: ActivationSpec::Tanh }, init)?),
///     Box::new(Single::new(16, 1, Activation::Identity, init)),
/// ])?;
/// assert_eq!((network.dim_input(), network.dim_output()), (2, 1));
/// # Ok::<(), hessquik::Error>(())
/// ```
pub type PirateNet<F> = Formula<PirateNetSpec, F>;

/// The settings of [`PirateNet`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PirateNetSpec {
    /// Number of features of inputs, outputs and every layer.
    pub features: usize,
    /// Number of blocks, of three layers each.
    #[serde(default = "crate::architecture::unit")]
    pub depth: usize,
    /// The activation.
    #[serde(default = "crate::architecture::tanh", deserialize_with = "crate::architecture::named")]
    pub act: ActivationSpec,
}

impl<F: Real> PirateNet<F> {
    /// Blocks with these settings.
    ///
    /// # Errors
    /// [`Error::Setting`] for a size of zero, or an activation with an invalid setting.
    pub fn new(settings: PirateNetSpec, init: &mut Init) -> Result<Self, Error> {
        Self::of(settings, Vec::new(), init)
    }
}

impl Recipe for PirateNetSpec {
    fn name(&self) -> &'static str {
        "piratenet"
    }
    fn counts(&self) -> Vec<(&'static str, usize)> {
        vec![("features", self.features), ("depth", self.depth)]
    }
    fn depth(&self) -> usize {
        self.depth
    }
    fn activations(&self) -> Vec<ActivationSpec> {
        vec![self.act]
    }
    fn dims(&self, _: &[(usize, usize)]) -> Result<(usize, usize), Error> {
        Ok((self.features, self.features))
    }
    fn weight_shapes(&self) -> Vec<(String, Vec<usize>)> {
        let square = |name: String| dense_shapes(&name, self.features, self.features);
        let block = |i: usize| {
            let layers = ["f", "g", "h"].into_iter().flat_map(move |name| square(format!("{i}.{name}")));
            layers.chain([(format!("{i}.alpha"), vec![1])])
        };
        ["U", "V"].into_iter().flat_map(|name| square(name.into())).chain((0..self.depth).flat_map(block)).collect()
    }
    fn describe(&self, _: Vec<Architecture>) -> Option<Architecture> {
        Some(Architecture::PirateNet(self.clone()))
    }
    fn forward<F: Real>(&self, x: Var<F>, _: &Inside<F>) -> Var<F> {
        let layer = |u: &Var<F>, name: &str| dense(u, name).act(self.act.into());
        let (u, v) = (layer(&x, "U"), layer(&x, "V"));
        (0..self.depth).fold(x, |x, i| {
            let z = gated(&layer(&x, &format!("{i}.f")), &v, &u);
            let z = gated(&layer(&z, &format!("{i}.g")), &v, &u);
            let alpha = x.weight(&format!("{i}.alpha"));
            layer(&z, &format!("{i}.h")) * &alpha + x * (1.0 - alpha)
        })
    }
}
