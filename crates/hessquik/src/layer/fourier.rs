//! Embeddings of the points as waves: random Fourier features, and waves of given periods.
use super::Init;
use super::formula::{Formula, Inside, Recipe, matrix};
use crate::architecture::Architecture;
use crate::graph::Var;
use crate::{Error, Real};
use ndarray::{ArrayD, IxDyn};
use serde::{Deserialize, Serialize};
use std::f64::consts::TAU;

/// `u' = [cos(2 pi x B), sin(2 pi x B)]`, with `B` (d, frequencies) normal with standard deviation `sigma` (Tancik et
/// al., *Fourier features let networks learn high frequency functions in low dimensional domains*, 2020).
///
/// `B` is either fixed, described by its seed or entry by entry, or a trained weight `B`.
///
/// ```
/// use hessquik::layer::{Fourier, FourierSpec};
/// use hessquik::{Init, Layer};
/// let fixed = Fourier::<f64>::new(FourierSpec::new(2, 16, 1.0), &mut Init::seed(0))?;
/// assert_eq!((fixed.dim_input(), fixed.dim_output(), fixed.weights().len()), (2, 32, 0));
/// let trained = Fourier::<f64>::new(FourierSpec::new(2, 16, 1.0).trained(), &mut Init::seed(0))?;
/// assert_eq!(trained.weights()[0].1.shape(), [2, 16]);
/// # Ok::<(), hessquik::Error>(())
/// ```
pub type Fourier<F> = Formula<FourierSpec, F>;

/// The settings of [`Fourier`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FourierSpec {
    /// Number of input features.
    pub in_features: usize,
    /// Number of frequencies; there are twice as many outputs.
    pub frequencies: usize,
    /// Standard deviation of the frequencies.
    #[serde(default = "crate::architecture::one")]
    pub sigma: f64,
    /// Whether `B` is a trained weight.
    #[serde(default)]
    pub trained: bool,
    /// The seed of a fixed `B`.
    #[serde(default)]
    pub seed: u64,
    /// A fixed `B`, row by row, instead of a random one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub matrix: Option<Vec<Vec<f64>>>,
}

impl FourierSpec {
    /// Fixed frequencies, from seed 0.
    pub fn new(in_features: usize, frequencies: usize, sigma: f64) -> Self {
        Self { in_features, frequencies, sigma, trained: false, seed: 0, matrix: None }
    }

    /// The same with trained frequencies.
    pub fn trained(self) -> Self {
        Self { trained: true, ..self }
    }

    /// The same with fixed frequencies from this seed.
    pub fn seed(self, seed: u64) -> Self {
        Self { seed, ..self }
    }
}

impl<F: Real> Fourier<F> {
    /// An embedding with these settings.
    ///
    /// # Errors
    /// [`Error::Setting`] for a size of zero, a `sigma` that is not positive, or a `matrix` of the wrong shape, with
    /// entries that are not finite, or given together with `trained`.
    pub fn new(settings: FourierSpec, init: &mut Init) -> Result<Self, Error> {
        Self::of(settings, Vec::new(), init)
    }
}

impl Recipe for FourierSpec {
    fn name(&self) -> &'static str {
        "fourier"
    }
    fn counts(&self) -> Vec<(&'static str, usize)> {
        vec![("in_features", self.in_features), ("frequencies", self.frequencies)]
    }
    fn numbers(&self) -> Vec<(&'static str, f64)> {
        let entries = self.matrix.iter().flatten().flatten();
        [("sigma", self.sigma)].into_iter().chain(entries.map(|&n| ("an entry of matrix", n))).collect()
    }
    fn check(&self) -> Result<(), Error> {
        if self.sigma <= 0.0 {
            return Err(Error::setting("sigma", self.sigma, "a positive number"));
        }
        let Some(matrix) = &self.matrix else { return Ok(()) };
        if self.trained {
            return Err(Error::setting(
                "matrix",
                "given",
                "no matrix if the frequencies are trained: B is then a weight",
            ));
        }
        if matrix.len() != self.in_features || matrix.iter().any(|row| row.len() != self.frequencies) {
            let rows: Vec<_> = matrix.iter().map(Vec::len).collect();
            let found = format!("{} rows of lengths {rows:?}", rows.len());
            let wanted = format!("{} rows of {} frequencies", self.in_features, self.frequencies);
            return Err(Error::setting("matrix", found, wanted));
        }
        Ok(())
    }
    fn width(&self) -> u128 {
        // a fixed B is not among the weights, and its phases stand beside the waves
        (self.in_features as u128 + 3).saturating_mul(self.frequencies as u128)
    }
    fn dims(&self, _: &[(usize, usize)]) -> Result<(usize, usize), Error> {
        Ok((self.in_features, self.frequencies.saturating_mul(2)))
    }
    fn weight_shapes(&self) -> Vec<(String, Vec<usize>)> {
        self.trained.then(|| ("B".into(), vec![self.in_features, self.frequencies])).into_iter().collect()
    }
    fn draw<F: Real>(&self, _: &str, shape: &[usize], init: &mut Init) -> ArrayD<F> {
        init.normal(IxDyn(shape), self.sigma)
    }
    fn describe(&self, _: Vec<Architecture>) -> Option<Architecture> {
        Some(Architecture::Fourier(self.clone()))
    }
    fn forward<F: Real>(&self, u: Var<F>, _: &Inside<F>) -> Var<F> {
        let b = match &self.matrix {
            _ if self.trained => u.weight("B"),
            Some(rows) => matrix(&u, self.in_features, rows.concat()),
            None => {
                u.constant(&Init::seed(self.seed).normal::<F, _, _>((self.in_features, self.frequencies), self.sigma))
            }
        };
        let phase = TAU * u.matmul(&b);
        Var::concat(0, &[phase.cos(), phase.sin()])
    }
}

/// Coordinates with a period `P` as `cos(2 pi k x / P)` and `sin(2 pi k x / P)`, k = 1 .. harmonics, so that any
/// function of them has that period exactly (Dong and Ni, *A method for representing periodic functions*, 2021).
///
/// The outputs are the coordinates without a period, then the cosines (coordinate by coordinate), then the sines.
///
/// ```
/// use hessquik::layer::{Periodic, PeriodicSpec};
/// use hessquik::Layer;
/// // x with period 2, t without one
/// let layer = Periodic::<f64>::new(PeriodicSpec { periods: vec![Some(2.0), None], harmonics: 3 })?;
/// assert_eq!((layer.dim_input(), layer.dim_output()), (2, 7));
/// # Ok::<(), hessquik::Error>(())
/// ```
pub type Periodic<F> = Formula<PeriodicSpec, F>;

/// The settings of [`Periodic`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PeriodicSpec {
    /// The period of each coordinate; `null` for those without one.
    pub periods: Vec<Option<f64>>,
    /// Number of waves per period.
    #[serde(default = "crate::architecture::unit")]
    pub harmonics: usize,
}

impl<F: Real> Periodic<F> {
    /// An embedding with these settings.
    ///
    /// # Errors
    /// [`Error::Setting`] if no coordinate has a period, for a period that is not positive or not finite, or for no
    /// harmonics.
    pub fn new(settings: PeriodicSpec) -> Result<Self, Error> {
        Self::of(settings, Vec::new(), &mut Init::zeros())
    }
}

impl PeriodicSpec {
    /// The coordinates with a period (or without), and the number of waves.
    fn split(&self) -> (Vec<usize>, Vec<usize>) {
        (0..self.periods.len()).partition(|&i| self.periods[i].is_some())
    }
}

impl Recipe for PeriodicSpec {
    fn name(&self) -> &'static str {
        "periodic"
    }
    fn counts(&self) -> Vec<(&'static str, usize)> {
        vec![("harmonics", self.harmonics), ("the number of periods", self.periods.iter().flatten().count())]
    }
    fn numbers(&self) -> Vec<(&'static str, f64)> {
        let highest = |&p: &f64| [("a period", p), ("2 pi harmonics / a period", TAU * self.harmonics as f64 / p)];
        self.periods.iter().flatten().flat_map(highest).collect()
    }
    fn check(&self) -> Result<(), Error> {
        match self.periods.iter().flatten().find(|p| **p <= 0.0) {
            Some(p) => Err(Error::setting("a period", p, "a positive number")),
            None => Ok(()),
        }
    }
    fn width(&self) -> u128 {
        (self.periods.len() as u128) * (4 * self.harmonics as u128 + 1)
    }
    fn dims(&self, _: &[(usize, usize)]) -> Result<(usize, usize), Error> {
        let (with, without) = self.split();
        Ok((self.periods.len(), without.len() + with.len().saturating_mul(self.harmonics).saturating_mul(2)))
    }
    fn describe(&self, _: Vec<Architecture>) -> Option<Architecture> {
        Some(Architecture::Periodic(self.clone()))
    }
    fn forward<F: Real>(&self, u: Var<F>, _: &Inside<F>) -> Var<F> {
        let (with, without) = self.split();
        let waves = |p: f64| (1..=self.harmonics).map(move |k| TAU * k as f64 / p);
        let numbers = self.periods.iter().flatten().flat_map(|&p| waves(p)).collect();
        let phase = (u.select(0, &with).reshape(&[with.len(), 1]) * matrix(&u, with.len(), numbers)).flatten();
        let rest = (!without.is_empty()).then(|| u.select(0, &without));
        Var::concat(0, &rest.into_iter().chain([phase.cos(), phase.sin()]).collect::<Vec<_>>())
    }
}
