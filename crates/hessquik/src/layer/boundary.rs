//! Hard boundary conditions: a network times a factor that vanishes on the boundary of a box.
use super::formula::{Formula, Inside, Recipe, nobody, row};
use super::{Init, Layer};
use crate::architecture::Architecture;
use crate::graph::Var;
use crate::{Error, Real};
use serde::{Deserialize, Serialize};

/// `u' = phi(x) N(x) + g(x)`, with `phi` zero on the faces of a box and positive inside, so that `u' = g` on the faces
/// exactly (Lagaris, Likas and Fotiadis, 1998; Sukumar and Srivastava, 2022). A coordinate with faces on both sides,
/// `lower` a and `upper` b, contributes the factor `4 (x - a)(b - x)/(b - a)^2`, which is 1 in the middle; a coordinate
/// with a single face contributes `x - a` or `b - x`. Without a shift `g` is zero.
///
/// Weights are `net.*` and `shift.*`.
///
/// ```
/// use hessquik::layer::Boundary;
/// use hessquik::{Activation, Evaluate, Init, fully_connected};
/// let network = fully_connected(&[2, 16, 1], Activation::Tanh, &mut Init::seed(0))?;
/// // zero at x = 0, x = 1 and t = 0
/// let layer = Boundary::<f64>::new(Box::new(network), vec![Some(0.0), Some(0.0)], vec![Some(1.0), None])?;
/// assert_eq!(layer.value(&ndarray::array![[1.0, 0.3], [0.5, 0.0]])?, ndarray::array![[0.0], [0.0]]);
/// # Ok::<(), hessquik::Error>(())
/// ```
pub type Boundary<F> = Formula<BoundarySpec, F>;

/// The description of [`Boundary`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BoundarySpec {
    /// The network.
    pub net: Box<Architecture>,
    /// Lower faces, one per coordinate; `null` for a coordinate without one.
    pub lower: Vec<Option<f64>>,
    /// Upper faces, one per coordinate; `null` for a coordinate without one.
    pub upper: Vec<Option<f64>>,
    /// The outputs on the faces; zero by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shift: Option<Box<Architecture>>,
}

impl<F: Real> Boundary<F> {
    /// Makes a network zero on these faces.
    ///
    /// # Errors
    /// [`Error::Setting`] if there are no faces, a lower face is not below the upper one, a face is not finite, or the
    /// number of faces differs from the number of coordinates.
    pub fn new(net: Box<dyn Layer<F>>, lower: Vec<Option<f64>>, upper: Vec<Option<f64>>) -> Result<Self, Error> {
        let recipe = BoundarySpec { net: Box::new(nobody()), lower, upper, shift: None };
        Self::of(recipe, vec![("net".into(), net)], &mut Init::zeros())
    }

    /// Makes a network equal to `shift` on these faces.
    ///
    /// # Errors
    /// Those of [`Boundary::new`], and if the dimensions of `shift` differ from those of the network.
    pub fn with_shift(
        net: Box<dyn Layer<F>>,
        shift: Box<dyn Layer<F>>,
        lower: Vec<Option<f64>>,
        upper: Vec<Option<f64>>,
    ) -> Result<Self, Error> {
        let recipe = BoundarySpec { net: Box::new(nobody()), lower, upper, shift: Some(Box::new(nobody())) };
        Self::of(recipe, vec![("net".into(), net), ("shift".into(), shift)], &mut Init::zeros())
    }
}

impl BoundarySpec {
    /// For each lower face the factor that `x - a` takes.
    fn scale(&self, i: usize) -> f64 {
        match (self.lower[i], self.upper[i]) {
            (Some(a), Some(b)) => 4.0 / ((b - a) * (b - a)),
            _ => 1.0,
        }
    }
}

/// The product of all entries, in as few steps as there are binary digits.
fn product<F: Real>(mut v: Var<F>) -> Var<F> {
    while v.len() > 1 {
        let half = v.len() / 2;
        let pairs = v.slice(0, 0..half) * v.slice(0, half..2 * half);
        v = match v.len() % 2 {
            0 => pairs,
            _ => Var::concat(0, &[pairs, v.slice(0, 2 * half..2 * half + 1)]),
        };
    }
    v
}

impl Recipe for BoundarySpec {
    fn name(&self) -> &'static str {
        "boundary"
    }
    fn counts(&self) -> Vec<(&'static str, usize)> {
        let faces = self.lower.iter().chain(&self.upper).flatten().count();
        vec![("the number of coordinates with lower faces or null", self.lower.len()), ("the number of faces", faces)]
    }
    fn numbers(&self) -> Vec<(&'static str, f64)> {
        let faces = self.lower.iter().chain(&self.upper).flatten().map(|&face| ("a face", face));
        let both = (0..self.lower.len().min(self.upper.len())).map(|i| ("4/(upper - lower)^2", self.scale(i)));
        faces.chain(both).collect()
    }
    fn check(&self) -> Result<(), Error> {
        if self.lower.len() != self.upper.len() {
            let wanted = format!("{}, as many as lower faces or null", self.lower.len());
            return Err(Error::setting("the number of upper faces or null", self.upper.len(), wanted));
        }
        let pairs = self.lower.iter().zip(&self.upper).filter_map(|(a, b)| Some((a.as_ref()?, b.as_ref()?)));
        match pairs.into_iter().find(|(a, b)| a >= b) {
            Some((a, b)) => Err(Error::setting("a lower face", a, format!("less than the upper one, {b}"))),
            None => Ok(()),
        }
    }
    fn dims(&self, inside: &[(usize, usize)]) -> Result<(usize, usize), Error> {
        let (d, m) = inside[0];
        if d != self.lower.len() {
            let wanted = format!("{d}, one for each input of the network");
            return Err(Error::setting("the number of lower faces or null", self.lower.len(), wanted));
        }
        match inside.get(1) {
            Some(&shift) if shift != (d, m) => {
                let found = format!("{} to {}", shift.0, shift.1);
                Err(Error::setting(
                    "the dimensions of the shift",
                    found,
                    format!("{d} to {m}, the same as the network"),
                ))
            }
            _ => Ok((d, m)),
        }
    }
    fn inside(&self) -> Vec<(String, &Architecture)> {
        let shift = self.shift.iter().map(|shift| ("shift".into(), &**shift));
        [("net".into(), &*self.net)].into_iter().chain(shift).collect()
    }
    fn describe(&self, inside: Vec<Architecture>) -> Option<Architecture> {
        let mut inside = inside.into_iter().map(Box::new);
        let net = inside.next().expect("a network");
        Some(Architecture::Boundary(Self { net, shift: inside.next(), ..self.clone() }))
    }
    fn forward<F: Real>(&self, x: Var<F>, inside: &Inside<F>) -> Var<F> {
        let has = |faces: &[Option<f64>]| (0..faces.len()).filter(|&i| faces[i].is_some()).collect::<Vec<_>>();
        let (lower, upper) = (has(&self.lower), has(&self.upper));
        let mut factors = Vec::new();
        if !lower.is_empty() {
            let away = x.select(0, &lower) - row(&x, self.lower.iter().flatten().copied());
            factors.push(away * row(&x, lower.iter().map(|&i| self.scale(i))));
        }
        if !upper.is_empty() {
            factors.push(row(&x, self.upper.iter().flatten().copied()) - x.select(0, &upper));
        }
        let vanishing = product(Var::concat(0, &factors));
        let mut parts = inside.iter().map(|(prefix, layer)| x.apply(prefix, &**layer));
        let inner = parts.next().expect("a network") * vanishing;
        parts.fold(inner, |u, shift| u + shift)
    }
}
