//! Multiplicative filter networks: linear maps, each multiplied by waves of the input.
use super::Init;
use super::formula::{Formula, Inside, Recipe, dense, dense_shapes};
use crate::architecture::Architecture;
use crate::graph::Var;
use crate::{Error, Real};
use ndarray::{ArrayD, IxDyn};
use serde::{Deserialize, Serialize};
use std::f64::consts::PI;

/// With filters `g_i` of the input `x` (Fathony, Sahu, Willmott and Kolter, *Multiplicative filter networks*, 2021),
///
/// ```text
/// z_0 = g_0(x)      z_i = (z_{i-1} i.K + i.b) g_i(x)      i = 1 .. depth - 1
/// Fourier           g_i(x) = sin(x i.omega + i.phi)
/// Gabor             g_i(x) = sin(x i.omega + i.phi) exp(-i.gamma/2 |x - i.mu|^2)
/// ```
///
/// entry by entry; `omega` (d, width), `phi` and `gamma` (width), `mu` (width, d). The output is the last `z`, `width`
/// features; a [`Single`](super::Single) layer without activation ends the network.
///
/// ```
/// use hessquik::layer::{Filter, FilterNetwork, FilterNetworkSpec};
/// use hessquik::{Init, Layer};
/// let spec = FilterNetworkSpec { filter: Filter::Gabor, ..FilterNetworkSpec::new(2, 8, 3) };
/// let layer = FilterNetwork::<f64>::new(spec, &mut Init::seed(0))?;
/// assert_eq!((layer.dim_input(), layer.dim_output()), (2, 8));
/// # Ok::<(), hessquik::Error>(())
/// ```
pub type FilterNetwork<F> = Formula<FilterNetworkSpec, F>;

/// The factors that multiply the linear maps of a [`FilterNetwork`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Filter {
    /// Waves.
    #[default]
    Fourier,
    /// Waves with a Gaussian envelope.
    Gabor,
}

/// The settings of [`FilterNetwork`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FilterNetworkSpec {
    /// Number of input features.
    pub in_features: usize,
    /// Number of features of every layer.
    pub width: usize,
    /// Number of filters.
    pub depth: usize,
    /// The kind of filter.
    #[serde(default)]
    pub filter: Filter,
    /// Largest initial frequency of all filters together, in radians per unit of the input.
    #[serde(default = "scale")]
    pub scale: f64,
}

fn scale() -> f64 {
    8.0
}

impl FilterNetworkSpec {
    /// A Fourier network with frequencies up to 8.
    pub fn new(in_features: usize, width: usize, depth: usize) -> Self {
        Self { in_features, width, depth, filter: Filter::Fourier, scale: scale() }
    }
}

impl<F: Real> FilterNetwork<F> {
    /// A network with these settings.
    ///
    /// # Errors
    /// [`Error::Setting`] for a size of zero, or a `scale` that is not positive.
    pub fn new(settings: FilterNetworkSpec, init: &mut Init) -> Result<Self, Error> {
        Self::of(settings, Vec::new(), init)
    }
}

impl Recipe for FilterNetworkSpec {
    fn name(&self) -> &'static str {
        "mfn"
    }
    fn counts(&self) -> Vec<(&'static str, usize)> {
        vec![("in_features", self.in_features), ("width", self.width), ("depth", self.depth)]
    }
    fn depth(&self) -> usize {
        self.depth
    }
    fn numbers(&self) -> Vec<(&'static str, f64)> {
        vec![("scale", self.scale)]
    }
    fn check(&self) -> Result<(), Error> {
        if self.scale <= 0.0 {
            return Err(Error::setting("scale", self.scale, "a positive number"));
        }
        Ok(())
    }
    fn width(&self) -> u128 {
        // differences to the centres of all bells
        let bells = if self.filter == Filter::Gabor { self.in_features as u128 * self.width as u128 } else { 0 };
        (self.in_features as u128 + 4 * self.width as u128).saturating_add(bells)
    }
    fn dims(&self, _: &[(usize, usize)]) -> Result<(usize, usize), Error> {
        Ok((self.in_features, self.width))
    }
    fn weight_shapes(&self) -> Vec<(String, Vec<usize>)> {
        let (d, n) = (self.in_features, self.width);
        let layer = |i: usize| {
            let map = if i == 0 { vec![] } else { dense_shapes(&i.to_string(), n, n).to_vec() };
            let wave = [("omega", vec![d, n]), ("phi", vec![n])];
            let bell = [("gamma", vec![n]), ("mu", vec![n, d])].into_iter().filter(|_| self.filter == Filter::Gabor);
            let filter = wave.into_iter().chain(bell).map(move |(name, shape)| (format!("{i}.{name}"), shape));
            map.into_iter().chain(filter)
        };
        (0..self.depth).flat_map(layer).collect()
    }
    fn draw<F: Real>(&self, name: &str, shape: &[usize], init: &mut Init) -> ArrayD<F> {
        let kind = name.split_once('.').map_or(name, |(_, kind)| kind);
        let (low, high) = match kind {
            // frequencies add up from filter to filter
            "omega" => (-self.scale / self.depth as f64, self.scale / self.depth as f64),
            "phi" => (-PI, PI),
            "gamma" => (0.0, 2.0),
            "mu" => (-1.0, 1.0),
            _ => {
                let bound = 1.0 / (self.width as f64).sqrt();
                (-bound, bound)
            }
        };
        init.uniform(IxDyn(shape), low, high)
    }
    fn describe(&self, _: Vec<Architecture>) -> Option<Architecture> {
        Some(Architecture::Mfn(self.clone()))
    }
    fn forward<F: Real>(&self, x: Var<F>, _: &Inside<F>) -> Var<F> {
        let filter = |i: usize| {
            let wave = (x.dot(&format!("{i}.omega")) + format!("{i}.phi").as_str()).sin();
            if self.filter == Filter::Fourier {
                return wave;
            }
            let away = x.reshape(&[1, self.in_features]) - x.weight(&format!("{i}.mu"));
            let distance = away.square().sum(1).flatten();
            wave * (-0.5 * (distance * format!("{i}.gamma").as_str())).exp()
        };
        (1..self.depth).fold(filter(0), |z, i| dense(&z, &i.to_string()) * filter(i))
    }
}
