//! Networks of the same points combined: sums, products, and a network beside its input.
use super::formula::{Formula, Inside, Recipe, nobody, numbered};
use super::{Init, Layer};
use crate::architecture::Architecture;
use crate::graph::Var;
use crate::{Error, Real};
use serde::{Deserialize, Serialize};

/// `u' = sum_i c_i N_i(x)`, with coefficients `c_i` that are 1 by default. A network with one output is added to every
/// output of the others. Weights are `0.*`, `1.*`, ..
///
/// ```
/// use hessquik::layer::Sum;
/// use hessquik::{Activation, Init, Layer, Quadratic, fully_connected};
/// let init = &mut Init::seed(0);
/// let network = fully_connected(&[3, 16, 1], Activation::Tanh, init)?;
/// let layer = Sum::<f64>::new(vec![Box::new(network), Box::new(Quadratic::new(3, 2, init))], Some(vec![1.0, -0.5]))?;
/// assert_eq!((layer.dim_input(), layer.dim_output()), (3, 1));
/// # Ok::<(), hessquik::Error>(())
/// ```
pub type Sum<F> = Formula<SumSpec, F>;

/// The description of [`Sum`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SumSpec {
    /// The networks.
    pub terms: Vec<Architecture>,
    /// Their coefficients; all 1 by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub coefficients: Option<Vec<f64>>,
}

impl<F: Real> Sum<F> {
    /// The sum of these networks.
    ///
    /// # Errors
    /// [`Error::Setting`] without networks, for networks whose dimensions differ, or for coefficients that are not
    /// finite or not one per network.
    pub fn new(terms: Vec<Box<dyn Layer<F>>>, coefficients: Option<Vec<f64>>) -> Result<Self, Error> {
        let recipe = SumSpec { terms: vec![nobody(); terms.len()], coefficients };
        Self::of(recipe, numbered(terms), &mut Init::zeros())
    }
}

/// The dimensions of networks of the same points, whose outputs are as many, or one.
fn alike(inside: &[(usize, usize)]) -> Result<(usize, usize), Error> {
    let (d, m) = (inside[0].0, inside.iter().map(|(_, m)| *m).max().unwrap_or(0));
    for (i, &(inputs, outputs)) in inside.iter().enumerate() {
        if inputs != d {
            let wanted = format!("{d}, as network 0 has");
            return Err(Error::setting(format!("the number of inputs of network {i}"), inputs, wanted));
        }
        if outputs != m && outputs != 1 {
            let wanted = format!("{m}, or 1");
            return Err(Error::setting(format!("the number of outputs of network {i}"), outputs, wanted));
        }
    }
    Ok((d, m))
}

impl Recipe for SumSpec {
    fn name(&self) -> &'static str {
        "sum"
    }
    fn counts(&self) -> Vec<(&'static str, usize)> {
        vec![("the number of terms", self.terms.len())]
    }
    fn numbers(&self) -> Vec<(&'static str, f64)> {
        self.coefficients.iter().flatten().map(|&c| ("a coefficient", c)).collect()
    }
    fn check(&self) -> Result<(), Error> {
        match &self.coefficients {
            Some(c) if c.len() != self.terms.len() => {
                let wanted = format!("{}, one for each term", self.terms.len());
                Err(Error::setting("the number of coefficients", c.len(), wanted))
            }
            _ => Ok(()),
        }
    }
    fn dims(&self, inside: &[(usize, usize)]) -> Result<(usize, usize), Error> {
        alike(inside)
    }
    fn inside(&self) -> Vec<(String, &Architecture)> {
        numbered(&self.terms)
    }
    fn describe(&self, terms: Vec<Architecture>) -> Option<Architecture> {
        Some(Architecture::Sum(Self { terms, coefficients: self.coefficients.clone() }))
    }
    fn forward<F: Real>(&self, x: Var<F>, inside: &Inside<F>) -> Var<F> {
        let term = |(i, (prefix, layer)): (usize, &(String, Box<dyn Layer<F>>))| {
            let term = x.apply(prefix, &**layer);
            self.coefficients.as_ref().map_or(term.clone(), |c| term * c[i])
        };
        inside.iter().enumerate().map(term).reduce(|a, b| a + b).expect("at least one term")
    }
}

/// `u' = prod_i N_i(x)`, entry by entry. A network with one output multiplies every output of the others. Weights are
/// `0.*`, `1.*`, ..
///
/// ```
/// use hessquik::layer::Product;
/// use hessquik::{Activation, Init, Layer, fully_connected};
/// let init = &mut Init::seed(0);
/// let network = fully_connected(&[3, 16, 4], Activation::Tanh, init)?;
/// let amplitude = fully_connected(&[3, 8, 1], Activation::Tanh, init)?;
/// let layer = Product::<f64>::new(vec![Box::new(network), Box::new(amplitude)])?;
/// assert_eq!((layer.dim_input(), layer.dim_output()), (3, 4));
/// # Ok::<(), hessquik::Error>(())
/// ```
pub type Product<F> = Formula<ProductSpec, F>;

/// The description of [`Product`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProductSpec {
    /// The networks.
    pub factors: Vec<Architecture>,
}

impl<F: Real> Product<F> {
    /// The product of these networks.
    ///
    /// # Errors
    /// [`Error::Setting`] without networks, or for networks whose dimensions differ.
    pub fn new(factors: Vec<Box<dyn Layer<F>>>) -> Result<Self, Error> {
        let recipe = ProductSpec { factors: vec![nobody(); factors.len()] };
        Self::of(recipe, numbered(factors), &mut Init::zeros())
    }
}

impl Recipe for ProductSpec {
    fn name(&self) -> &'static str {
        "product"
    }
    fn counts(&self) -> Vec<(&'static str, usize)> {
        vec![("the number of factors", self.factors.len())]
    }
    fn dims(&self, inside: &[(usize, usize)]) -> Result<(usize, usize), Error> {
        alike(inside)
    }
    fn inside(&self) -> Vec<(String, &Architecture)> {
        numbered(&self.factors)
    }
    fn describe(&self, factors: Vec<Architecture>) -> Option<Architecture> {
        Some(Architecture::Product(Self { factors }))
    }
    fn forward<F: Real>(&self, x: Var<F>, inside: &Inside<F>) -> Var<F> {
        let factors = inside.iter().map(|(prefix, layer)| x.apply(prefix, &**layer));
        factors.reduce(|a, b| a * b).expect("at least one factor")
    }
}

/// `u' = [N(x), x]`: the outputs of a network followed by its inputs (a skip connection, as in DenseNets). Weights are
/// `net.*`.
///
/// ```
/// use hessquik::layer::Skip;
/// use hessquik::{Activation, Init, Layer, fully_connected};
/// let network = fully_connected(&[3, 16, 4], Activation::Tanh, &mut Init::seed(0))?;
/// assert_eq!(Skip::<f64>::new(Box::new(network))?.dim_output(), 7);
/// # Ok::<(), hessquik::Error>(())
/// ```
pub type Skip<F> = Formula<SkipSpec, F>;

/// The description of [`Skip`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SkipSpec {
    /// The network.
    pub net: Box<Architecture>,
}

impl<F: Real> Skip<F> {
    /// The outputs of this network followed by its inputs.
    ///
    /// # Errors
    /// Currently none.
    pub fn new(net: Box<dyn Layer<F>>) -> Result<Self, Error> {
        Self::of(SkipSpec { net: Box::new(nobody()) }, vec![("net".into(), net)], &mut Init::zeros())
    }
}

impl Recipe for SkipSpec {
    fn name(&self) -> &'static str {
        "skip"
    }
    fn dims(&self, inside: &[(usize, usize)]) -> Result<(usize, usize), Error> {
        let (d, m) = inside[0];
        Ok((d, m.saturating_add(d)))
    }
    fn inside(&self) -> Vec<(String, &Architecture)> {
        vec![("net".into(), &*self.net)]
    }
    fn describe(&self, inside: Vec<Architecture>) -> Option<Architecture> {
        let net = inside.into_iter().next().expect("a network");
        Some(Architecture::Skip(Self { net: Box::new(net) }))
    }
    fn forward<F: Real>(&self, x: Var<F>, inside: &Inside<F>) -> Var<F> {
        let (prefix, layer) = &inside[0];
        Var::concat(0, &[x.apply(prefix, &**layer), x.flatten()])
    }
}
