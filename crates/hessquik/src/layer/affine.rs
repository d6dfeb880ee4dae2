//! Affine layer with normalisation of inputs and outputs, and normalisation alone.
use super::Init;
use super::formula::{Formula, Inside, Recipe, row};
use crate::architecture::Architecture;
use crate::graph::Var;
use crate::{Error, Real};
use serde::{Deserialize, Serialize};

/// `u' = ((u - mean) / std) K + b`, with outputs mapped to `u' std + mean`: an affine map between normalised features.
///
/// `K` (in, out) and `b` (out) are trained; means and standard deviations are settings, taken from the data.
///
/// ```
/// use hessquik::layer::{Affine, AffineSpec};
/// use hessquik::{Init, Layer};
/// let spec = AffineSpec::new(2, 3).normalising(vec![0.5, 10.0], vec![0.1, 4.0]).restoring(vec![0.0; 3], vec![2.0; 3]);
/// let layer = Affine::<f64>::new(spec, &mut Init::seed(0))?;
/// assert_eq!((layer.dim_input(), layer.dim_output()), (2, 3));
/// # Ok::<(), hessquik::Error>(())
/// ```
pub type Affine<F> = Formula<AffineSpec, F>;

/// The settings of [`Affine`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AffineSpec {
    /// Number of input features.
    pub in_features: usize,
    /// Number of output features.
    pub out_features: usize,
    /// Whether the layer has an additive `b`.
    #[serde(default = "crate::architecture::yes")]
    pub bias: bool,
    /// Means subtracted from the inputs; nothing is subtracted by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub input_mean: Option<Vec<f64>>,
    /// Standard deviations that the inputs are then divided by.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub input_std: Option<Vec<f64>>,
    /// Means added to the outputs at the end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output_mean: Option<Vec<f64>>,
    /// Standard deviations that the outputs are multiplied by before that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output_std: Option<Vec<f64>>,
}

impl AffineSpec {
    /// An affine map without normalisation.
    pub fn new(in_features: usize, out_features: usize) -> Self {
        let (input_mean, input_std, output_mean, output_std) = (None, None, None, None);
        Self { in_features, out_features, bias: true, input_mean, input_std, output_mean, output_std }
    }

    /// The same map, with `mean` subtracted from the inputs, which are then divided by `std`.
    pub fn normalising(self, mean: Vec<f64>, std: Vec<f64>) -> Self {
        Self { input_mean: Some(mean), input_std: Some(std), ..self }
    }

    /// The same map, with the outputs multiplied by `std`, plus `mean`.
    pub fn restoring(self, mean: Vec<f64>, std: Vec<f64>) -> Self {
        Self { output_mean: Some(mean), output_std: Some(std), ..self }
    }
}

impl<F: Real> Affine<F> {
    /// An affine layer with these settings.
    ///
    /// # Errors
    /// [`Error::Setting`] for a size of zero, a list whose length differs from the number of features, a standard
    /// deviation of zero, or a number that is not finite.
    pub fn new(settings: AffineSpec, init: &mut Init) -> Result<Self, Error> {
        Self::of(settings, Vec::new(), init)
    }
}

/// Means are finite, and so are standard deviations and their reciprocals; as many as features.
fn numbers<'a>(
    lists: impl IntoIterator<Item = (&'static str, &'a Option<Vec<f64>>, bool)>,
) -> Vec<(&'static str, f64)> {
    let given = lists.into_iter().filter_map(|(what, list, divisor)| Some((what, list.as_ref()?, divisor)));
    let each = |(what, list, divisor): (&'static str, &'a Vec<f64>, bool)| {
        list.iter().flat_map(move |&n| [Some((what, n)), divisor.then(|| (what, n.recip()))]).flatten()
    };
    given.flat_map(each).collect()
}

fn lengths<'a>(lists: impl IntoIterator<Item = (&'static str, &'a Option<Vec<f64>>, usize)>) -> Result<(), Error> {
    for (what, list, n) in lists {
        match list {
            Some(list) if list.len() != n => {
                let wanted = format!("{n}, one for each feature");
                return Err(Error::setting(format!("the length of {what}"), list.len(), wanted));
            }
            _ => {}
        }
    }
    Ok(())
}

fn normalised<F: Real>(u: Var<F>, mean: &Option<Vec<f64>>, std: &Option<Vec<f64>>) -> Var<F> {
    let u = mean.iter().fold(u, |u, mean| &u - row(&u, mean.iter().copied()));
    std.iter().fold(u, |u, std| &u * row(&u, std.iter().map(|s| s.recip())))
}

fn restored<F: Real>(u: Var<F>, mean: &Option<Vec<f64>>, std: &Option<Vec<f64>>) -> Var<F> {
    let u = std.iter().fold(u, |u, std| &u * row(&u, std.iter().copied()));
    mean.iter().fold(u, |u, mean| &u + row(&u, mean.iter().copied()))
}

impl Recipe for AffineSpec {
    fn name(&self) -> &'static str {
        "affine"
    }
    fn counts(&self) -> Vec<(&'static str, usize)> {
        vec![("in_features", self.in_features), ("out_features", self.out_features)]
    }
    fn numbers(&self) -> Vec<(&'static str, f64)> {
        numbers([
            ("input_mean", &self.input_mean, false),
            ("input_std", &self.input_std, true),
            ("output_mean", &self.output_mean, false),
            ("output_std", &self.output_std, true),
        ])
    }
    fn check(&self) -> Result<(), Error> {
        lengths([
            ("input_mean", &self.input_mean, self.in_features),
            ("input_std", &self.input_std, self.in_features),
            ("output_mean", &self.output_mean, self.out_features),
            ("output_std", &self.output_std, self.out_features),
        ])
    }
    fn dims(&self, _: &[(usize, usize)]) -> Result<(usize, usize), Error> {
        Ok((self.in_features, self.out_features))
    }
    fn weight_shapes(&self) -> Vec<(String, Vec<usize>)> {
        let k = ("K".into(), vec![self.in_features, self.out_features]);
        [k].into_iter().chain(self.bias.then(|| ("b".into(), vec![self.out_features]))).collect()
    }
    fn describe(&self, _: Vec<Architecture>) -> Option<Architecture> {
        Some(Architecture::Affine(self.clone()))
    }
    fn forward<F: Real>(&self, u: Var<F>, _: &Inside<F>) -> Var<F> {
        let z = normalised(u, &self.input_mean, &self.input_std).dot("K");
        let z = if self.bias { z + "b" } else { z };
        restored(z, &self.output_mean, &self.output_std)
    }
}

/// `u' = (u - mean) / std`, or with `inverse` `u' = u std + mean`, feature by feature; nothing is trained.
///
/// Placed before a network and, inverted, after it: the network sees normalised data, and derivatives are those of the
/// original data.
///
/// ```
/// use hessquik::layer::{Normalise, NormaliseSpec};
/// use hessquik::Evaluate;
/// let spec = NormaliseSpec { mean: vec![1.0, 2.0], std: vec![0.5, 4.0], inverse: false };
/// let layer = Normalise::<f64>::new(spec)?;
/// let (value, gradient, _) = layer.hessian(&ndarray::array![[1.5, 2.0]])?;
/// assert_eq!((value, gradient[[0, 0, 0]], gradient[[0, 1, 1]]), (ndarray::array![[1.0, 0.0]], 2.0, 0.25));
/// # Ok::<(), hessquik::Error>(())
/// ```
pub type Normalise<F> = Formula<NormaliseSpec, F>;

/// The settings of [`Normalise`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NormaliseSpec {
    /// Mean subtracted from each feature.
    pub mean: Vec<f64>,
    /// Standard deviation that each feature is then divided by.
    pub std: Vec<f64>,
    /// The inverse map: times `std`, plus `mean`.
    #[serde(default)]
    pub inverse: bool,
}

impl<F: Real> Normalise<F> {
    /// A layer with these settings.
    ///
    /// # Errors
    /// [`Error::Setting`] for lists that are empty or of different lengths, a standard deviation of zero, or a number that is
    /// not finite.
    pub fn new(settings: NormaliseSpec) -> Result<Self, Error> {
        Self::of(settings, Vec::new(), &mut Init::zeros())
    }
}

impl Recipe for NormaliseSpec {
    fn name(&self) -> &'static str {
        "normalise"
    }
    fn counts(&self) -> Vec<(&'static str, usize)> {
        vec![("the length of mean", self.mean.len())]
    }
    fn numbers(&self) -> Vec<(&'static str, f64)> {
        let (mean, std) = (Some(self.mean.clone()), Some(self.std.clone()));
        numbers([("mean", &mean, false), ("std", &std, true)])
    }
    fn check(&self) -> Result<(), Error> {
        lengths([("std", &Some(self.std.clone()), self.mean.len())])
    }
    fn dims(&self, _: &[(usize, usize)]) -> Result<(usize, usize), Error> {
        Ok((self.mean.len(), self.mean.len()))
    }
    fn describe(&self, _: Vec<Architecture>) -> Option<Architecture> {
        Some(Architecture::Normalise(self.clone()))
    }
    fn forward<F: Real>(&self, u: Var<F>, _: &Inside<F>) -> Var<F> {
        let (mean, std) = (Some(self.mean.clone()), Some(self.std.clone()));
        if self.inverse { restored(u, &mean, &std) } else { normalised(u, &mean, &std) }
    }
}
