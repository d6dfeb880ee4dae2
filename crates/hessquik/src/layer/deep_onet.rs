//! Products of networks on slices of the input, summed: DeepONets and separable networks.
use super::formula::{Formula, Inside, Recipe, nobody, numbered};
use super::{Init, Layer};
use crate::architecture::Architecture;
use crate::graph::Var;
use crate::{Error, Real};
use serde::{Deserialize, Serialize};

/// Outputs `sum_k branch(s)_jk trunk(y)_jk + b_j` at points `[s, y]`: `s` samples of a function, `y` a location (Lu et
/// al., *Learning nonlinear operators via DeepONet*, 2021).
///
/// The point holds the inputs of the branch, then those of the trunk. Branch and trunk give the same number of
/// features, a multiple of `outputs`, with those of the first output first. Weights are `branch.*`, `trunk.*` and `b`
/// (outputs). To get derivatives along `y` alone, set directions; the cost then depends on the dimension of `y`.
///
/// ```
/// use hessquik::layer::DeepONet;
/// use hessquik::{Activation, Init, Layer, fully_connected};
/// let init = &mut Init::seed(0);
/// let branch = fully_connected(&[10, 16, 8], Activation::Tanh, init)?;
/// let trunk = fully_connected(&[2, 16, 8], Activation::Tanh, init)?;
/// let layer = DeepONet::<f64>::new(Box::new(branch), Box::new(trunk), 1)?;
/// assert_eq!((layer.dim_input(), layer.dim_output()), (12, 1));
/// # Ok::<(), hessquik::Error>(())
/// ```
pub type DeepONet<F> = Formula<DeepONetSpec, F>;

/// The description of [`DeepONet`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DeepONetSpec {
    /// The network of the function samples.
    pub branch: Box<Architecture>,
    /// The network of the location.
    pub trunk: Box<Architecture>,
    /// Number of outputs.
    #[serde(default = "crate::architecture::unit")]
    pub outputs: usize,
}

impl<F: Real> DeepONet<F> {
    /// The product of a branch and a trunk, with `b` zero.
    ///
    /// # Errors
    /// [`Error::Setting`] if they give different numbers of features, or a number that is not a multiple of `outputs`.
    pub fn new(branch: Box<dyn Layer<F>>, trunk: Box<dyn Layer<F>>, outputs: usize) -> Result<Self, Error> {
        let recipe = DeepONetSpec { branch: Box::new(nobody()), trunk: Box::new(nobody()), outputs };
        Self::of(recipe, vec![("branch".into(), branch), ("trunk".into(), trunk)], &mut Init::zeros())
    }
}

/// The dimensions of a sum of products in groups.
fn dims(inside: &[(usize, usize)], outputs: usize) -> Result<(usize, usize), Error> {
    let n = inside[0].1;
    if let Some((_, other)) = inside.iter().find(|(_, other)| *other != n) {
        let wanted = format!("{n}, the same as the first network: they are multiplied entry by entry");
        return Err(Error::setting("the number of features that a network of the product gives", other, wanted));
    }
    if n == 0 || !n.is_multiple_of(outputs) {
        let wanted = format!("a multiple of the {outputs} outputs");
        return Err(Error::setting("the number of features that the networks of the product give", n, wanted));
    }
    Ok((inside.iter().fold(0, |sum: usize, (d, _)| sum.saturating_add(*d)), outputs))
}

/// The sums of products of networks, each of its own slice of the point.
fn sums<F: Real>(u: &Var<F>, inside: &Inside<F>, outputs: usize) -> Var<F> {
    let mut start = 0;
    let parts = inside.iter().map(|(prefix, layer)| {
        let d = layer.dim_input();
        start += d;
        u.slice(0, start - d..start).apply(prefix, &**layer)
    });
    let product = parts.reduce(|a, b| a * b).expect("at least one network");
    product.reshape(&[outputs, product.len() / outputs]).sum(1).flatten()
}

impl Recipe for DeepONetSpec {
    fn name(&self) -> &'static str {
        "deeponet"
    }
    fn counts(&self) -> Vec<(&'static str, usize)> {
        vec![("outputs", self.outputs)]
    }
    fn dims(&self, inside: &[(usize, usize)]) -> Result<(usize, usize), Error> {
        dims(inside, self.outputs)
    }
    fn weight_shapes(&self) -> Vec<(String, Vec<usize>)> {
        vec![("b".into(), vec![self.outputs])]
    }
    fn inside(&self) -> Vec<(String, &Architecture)> {
        vec![("branch".into(), &*self.branch), ("trunk".into(), &*self.trunk)]
    }
    fn describe(&self, inside: Vec<Architecture>) -> Option<Architecture> {
        let mut inside = inside.into_iter().map(Box::new);
        let mut next = || inside.next().expect("a branch and a trunk");
        Some(Architecture::DeepONet(Self { branch: next(), trunk: next(), outputs: self.outputs }))
    }
    fn forward<F: Real>(&self, u: Var<F>, inside: &Inside<F>) -> Var<F> {
        sums(&u, inside, self.outputs) + "b"
    }
}

/// Outputs `sum_k prod_i f_i(x_i)_jk` at points `[x_0, x_1, ..]`, split into the inputs of the networks `f_i`, usually
/// one coordinate each (Cho et al., *Separable physics-informed neural networks*, 2023).
///
/// The networks give the same number of features, a multiple of `outputs`; weights are `0.*`, `1.*`, ..
///
/// ```
/// use hessquik::layer::Separable;
/// use hessquik::{Activation, Init, Layer, fully_connected};
/// let init = &mut Init::seed(0);
/// let mut axis = || fully_connected(&[1, 16, 8], Activation::Tanh, init);
/// let layer = Separable::<f64>::new(vec![Box::new(axis()?), Box::new(axis()?), Box::new(axis()?)], 1)?;
/// assert_eq!((layer.dim_input(), layer.dim_output()), (3, 1));
/// # Ok::<(), hessquik::Error>(())
/// ```
pub type Separable<F> = Formula<SeparableSpec, F>;

/// The description of [`Separable`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SeparableSpec {
    /// The networks, in the order of their slices of the point.
    pub factors: Vec<Architecture>,
    /// Number of outputs.
    #[serde(default = "crate::architecture::unit")]
    pub outputs: usize,
}

impl<F: Real> Separable<F> {
    /// The sum of products of these networks.
    ///
    /// # Errors
    /// [`Error::Setting`] without networks, or if they give different numbers of features, or a number that is not a
    /// multiple of `outputs`.
    pub fn new(factors: Vec<Box<dyn Layer<F>>>, outputs: usize) -> Result<Self, Error> {
        let recipe = SeparableSpec { factors: vec![nobody(); factors.len()], outputs };
        Self::of(recipe, numbered(factors), &mut Init::zeros())
    }
}

impl Recipe for SeparableSpec {
    fn name(&self) -> &'static str {
        "separable"
    }
    fn counts(&self) -> Vec<(&'static str, usize)> {
        vec![("the number of factors", self.factors.len()), ("outputs", self.outputs)]
    }
    fn dims(&self, inside: &[(usize, usize)]) -> Result<(usize, usize), Error> {
        dims(inside, self.outputs)
    }
    fn inside(&self) -> Vec<(String, &Architecture)> {
        numbered(&self.factors)
    }
    fn describe(&self, factors: Vec<Architecture>) -> Option<Architecture> {
        Some(Architecture::Separable(Self { factors, outputs: self.outputs }))
    }
    fn forward<F: Real>(&self, u: Var<F>, inside: &Inside<F>) -> Var<F> {
        sums(&u, inside, self.outputs)
    }
}
