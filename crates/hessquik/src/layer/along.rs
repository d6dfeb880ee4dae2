//! A network along directions that are among its inputs.
use super::formula::{Formula, Inside, Recipe, nobody};
use super::{Init, Layer};
use crate::architecture::Architecture;
use crate::graph::Var;
use crate::{Error, Real};
use serde::{Deserialize, Serialize};

/// `u' = N(x + t V)` of the input `[t, x, V]` with t (k,), x (d,) and V (k, d) row by row: k + d + k d numbers. At t = 0
/// the derivatives along t are those of the network along the rows of V, which may differ from point to point;
/// [`PointDirections`](crate::PointDirections) puts such points together.
///
/// Weights are `net.*`.
///
/// ```
/// use hessquik::layer::Along;
/// use hessquik::{Activation, Evaluate, Init, Layer, fully_connected};
/// let network = fully_connected::<f64>(&[2, 16, 1], Activation::Tanh, &mut Init::seed(0))?;
/// let along = Along::new(Box::new(network.clone()), 1)?;
/// assert_eq!(along.dim_input(), 1 + 2 + 2);
/// // half a step from (0.1, 0.2) along (2, -4)
/// let found = along.value(&ndarray::array![[0.5, 0.1, 0.2, 2.0, -4.0]])?;
/// let there = network.value(&ndarray::array![[1.1, -1.8]])?;
/// assert!((found[[0, 0]] - there[[0, 0]]).abs() < 1e-14);
/// # Ok::<(), hessquik::Error>(())
/// ```
pub type Along<F> = Formula<AlongSpec, F>;

/// The description of [`Along`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AlongSpec {
    /// The network.
    pub net: Box<Architecture>,
    /// Number of directions k.
    pub directions: usize,
}

impl<F: Real> Along<F> {
    /// The network along this many directions.
    ///
    /// # Errors
    /// [`Error::Setting`] if there are no directions, or too many inputs to be counted.
    pub fn new(net: Box<dyn Layer<F>>, directions: usize) -> Result<Self, Error> {
        let recipe = AlongSpec { net: Box::new(nobody()), directions };
        Self::of(recipe, vec![("net".into(), net)], &mut Init::zeros())
    }
}

impl Recipe for AlongSpec {
    fn name(&self) -> &'static str {
        "along"
    }
    fn counts(&self) -> Vec<(&'static str, usize)> {
        vec![("the number of directions", self.directions)]
    }
    fn dims(&self, inside: &[(usize, usize)]) -> Result<(usize, usize), Error> {
        let ((d, m), k) = (inside[0], self.directions);
        let all = k.checked_mul(d).and_then(|all| all.checked_add(k)?.checked_add(d));
        let wanted = || format!("so few that there are at most {} inputs", usize::MAX);
        Ok((all.ok_or_else(|| Error::setting("the number of directions", k, wanted()))?, m))
    }
    fn inside(&self) -> Vec<(String, &Architecture)> {
        vec![("net".into(), &*self.net)]
    }
    fn describe(&self, inside: Vec<Architecture>) -> Option<Architecture> {
        let net = Box::new(inside.into_iter().next().expect("a network"));
        Some(Architecture::Along(Self { net, directions: self.directions }))
    }
    fn forward<F: Real>(&self, u: Var<F>, inside: &Inside<F>) -> Var<F> {
        let (prefix, net) = &inside[0];
        let (k, d) = (self.directions, net.dim_input());
        let t = u.slice(0, 0..k).reshape(&[1, k]);
        let v = u.slice(0, k + d..k + d + k * d).reshape(&[k, d]);
        (u.slice(0, k..k + d) + t.matmul(&v).flatten()).apply(prefix, &**net)
    }
}
