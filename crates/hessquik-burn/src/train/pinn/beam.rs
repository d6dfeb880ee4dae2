//! A clamped beam.
use super::{Place, Points, column, half};
use crate::train::Objective;
use crate::{Error, Evaluate, FlatNetwork};
use burn::tensor::{DType, Device, Tensor};
use hessquik::Request;
use ndarray::Array2;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use std::ops::Range;

/// The load: with it, the deflection in the middle is 1.
const LOAD: f64 = 384.0;

/// The beam of Euler and Bernoulli under a uniform load, clamped at both ends: `u_xxxx = q` for x in [0, 1] with
/// `u = u_x = 0` at x = 0 and 1, and `u = q x^2 (1 - x)^2 / 24` as its solution; q = 384, which bends the middle by 1.
///
/// ```text
/// L = 1/2 mean (u_xxxx/q - 1)^2 + w/2 mean u^2 + w/2 mean u_x^2        inside, and at the ends
/// ```
///
/// The fourth derivative is a partial of the request, so training needs the device cpu.
///
/// ```
/// use burn::tensor::{DType, Device};
/// use hessquik_burn::train::{ClampedBeam, Objective};
/// let beam = ClampedBeam::new(100, 10, 0, &Device::flex(), DType::F64)?;
/// assert_eq!((beam.len(), beam.names()), (110, vec!["equation", "deflection", "slope"]));
/// assert_eq!(ClampedBeam::solution(&ndarray::array![[0.5]])[[0, 0]], 1.0);
/// # Ok::<(), hessquik_burn::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct ClampedBeam {
    points: Points,
    weight: f64,
}

impl ClampedBeam {
    /// The problem at points drawn uniformly, for a network with 1 input and 1 output; the boundary points are the two
    /// ends, in turn.
    ///
    /// # Errors
    /// No points of one of the two kinds; a device without the precision.
    pub fn new(inside: usize, boundary: usize, seed: u64, device: &Device, dtype: DType) -> Result<Self, Error> {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let mut places: Vec<_> = (0..inside).map(|_| Place::inside([rng.random()], LOAD)).collect();
        let end = |i: usize| Place { slope: Some(0.0), ..Place::boundary([(i % 2) as f64], 0.0) };
        places.extend((0..boundary).map(end));
        Ok(Self { points: Points::new(&places, device, dtype)?, weight: 10.0 })
    }

    /// The deflection at points (n, 1): (n, 1).
    pub fn solution(x: &Array2<f64>) -> Array2<f64> {
        x.mapv(|x| LOAD / 24.0 * (x * (1.0 - x)).powi(2))
    }
}

impl Objective for ClampedBeam {
    fn len(&self) -> usize {
        self.points.len()
    }
    fn names(&self) -> Vec<&'static str> {
        vec!["equation", "deflection", "slope"]
    }
    fn weights(&self) -> Vec<f64> {
        vec![1.0, self.weight, self.weight]
    }
    fn select(&self, order: &[usize]) -> Self {
        Self { points: self.points.select(order), weight: self.weight }
    }
    fn terms(&self, network: &FlatNetwork, points: Range<usize>) -> Result<Vec<Tensor<1>>, Error> {
        // ANCHOR: beam
        let (x, [inside, ends, load]) = self.points.at(points.clone());
        let [clamped, slope] = self.points.slopes(points);
        let jets = network.evaluate(x, &Request::new().value().any_partials(&[&[0][..], &[0, 0, 0, 0]]))?;
        let (u, partials) = (jets.value.expect("asked for"), jets.partials.expect("asked for"));
        let (u_x, u_xxxx) = (column(partials.clone(), 0), column(partials, 1));
        let equation = (u_xxxx - load) / LOAD;
        Ok(vec![half(equation, inside), half(u, ends), half(u_x - slope, clamped)])
        // ANCHOR_END: beam
    }
}
