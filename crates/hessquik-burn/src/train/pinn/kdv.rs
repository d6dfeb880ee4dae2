//! The equation of Korteweg and de Vries.
use super::{Place, Points, column, half};
use crate::train::Objective;
use crate::{Error, Evaluate, FlatNetwork};
use burn::tensor::{DType, Device, Tensor};
use hessquik::Request;
use ndarray::Array2;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use std::ops::Range;

/// The waves reach from `-END` to `END`.
const END: f64 = 5.0;

/// The Korteweg-de Vries equation `u_t + 6 u u_x + u_xxx = 0` for t in [0, 1] and x in [-5, 5], with one soliton of
/// speed c as its solution,
///
/// ```text
/// u = c/2 sech^2(sqrt(c)/2 (x - c (t - 1/2)))
/// ```
///
/// which gives u at t = 0 and at x = -5, 5, and u_x at x = 5: an equation of third order takes three conditions at the
/// ends. The columns of points are t, x.
///
/// ```text
/// L = 1/2 mean (u_t + 6 u u_x + u_xxx)^2 + w/2 mean (u - given)^2 + w/2 mean (u_x - given)^2
/// ```
///
/// The third derivative is a partial of the request, so training needs the device cpu.
///
/// ```
/// use burn::tensor::{DType, Device};
/// use hessquik_burn::train::{KortewegDeVries, Objective};
/// let kdv = KortewegDeVries::new(100, 40, 4.0, 0, &Device::flex(), DType::F64)?;
/// assert_eq!((kdv.len(), kdv.names()), (140, vec!["equation", "given", "slope"]));
/// let top = KortewegDeVries::solution(4.0, &ndarray::array![[0.5, 0.0]]);
/// assert_eq!(top[[0, 0]], 2.0);
/// # Ok::<(), hessquik_burn::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct KortewegDeVries {
    points: Points,
    weight: f64,
}

/// The soliton and its slope in x.
fn soliton(speed: f64, t: f64, x: f64) -> [f64; 2] {
    let root = speed.sqrt() / 2.0;
    let z = root * (x - speed * (t - 0.5));
    let u = speed / 2.0 / z.cosh().powi(2);
    [u, -2.0 * root * u * z.tanh()]
}

impl KortewegDeVries {
    /// The problem at points drawn uniformly, for a network with 2 inputs and 1 output; half of the boundary points are
    /// at t = 0, a quarter at each end.
    ///
    /// # Errors
    /// A speed that is not positive; no points of one of the two kinds; a device without the precision.
    pub fn new(
        inside: usize,
        boundary: usize,
        speed: f64,
        seed: u64,
        device: &Device,
        dtype: DType,
    ) -> Result<Self, Error> {
        if !(speed > 0.0 && speed.is_finite()) {
            return Err(Error::Training(format!("the speed is {speed}, expected a positive number")));
        }
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let mut places = Vec::new();
        for _ in 0..inside {
            let t = rng.random::<f64>();
            places.push(Place::inside([t, END * (2.0 * rng.random::<f64>() - 1.0)], 0.0));
        }
        for i in 0..boundary {
            let s = rng.random::<f64>();
            let [t, x] = [[0.0, END * (2.0 * s - 1.0)], [s, END], [0.0, END * (2.0 * s - 1.0)], [s, -END]][i % 4];
            let [value, slope] = soliton(speed, t, x);
            places.push(Place { slope: (i % 4 == 1).then_some(slope), ..Place::boundary([t, x], value) });
        }
        Ok(Self { points: Points::new(&places, device, dtype)?, weight: 10.0 })
    }

    /// The soliton of a speed at points (n, 2) with columns t and x: (n, 1).
    pub fn solution(speed: f64, tx: &Array2<f64>) -> Array2<f64> {
        let u = tx.rows().into_iter().map(|p| soliton(speed, p[0], p[1])[0]).collect();
        Array2::from_shape_vec((tx.nrows(), 1), u).expect("a value for each point")
    }
}

impl Objective for KortewegDeVries {
    fn len(&self) -> usize {
        self.points.len()
    }
    fn names(&self) -> Vec<&'static str> {
        vec!["equation", "given", "slope"]
    }
    fn weights(&self) -> Vec<f64> {
        vec![1.0, self.weight, self.weight]
    }
    fn select(&self, order: &[usize]) -> Self {
        Self { points: self.points.select(order), weight: self.weight }
    }
    fn terms(&self, network: &FlatNetwork, points: Range<usize>) -> Result<Vec<Tensor<1>>, Error> {
        // ANCHOR: kdv
        let (tx, [inside, boundary, given]) = self.points.at(points.clone());
        let [end, slope] = self.points.slopes(points);
        let jets = network.evaluate(tx, &Request::new().value().any_partials(&[&[0][..], &[1], &[1, 1, 1]]))?;
        let (u, partials) = (jets.value.expect("asked for"), jets.partials.expect("asked for"));
        let [u_t, u_x, u_xxx] = [0, 1, 2].map(|i| column(partials.clone(), i));
        let equation = u_t + u.clone() * u_x.clone() * 6.0 + u_xxx;
        Ok(vec![half(equation, inside), half(u - given, boundary), half(u_x - slope, end)])
        // ANCHOR_END: kdv
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The formula solves the equation, and the slope is that of the formula: central differences.
    #[test]
    fn soliton_solves_the_equation() {
        for (c, t, x) in [(4.0, 0.3, -0.4), (4.0, 0.7, 1.5), (1.0, 0.9, 0.05)] {
            let (u, h) = (|t: f64, x: f64| soliton(c, t, x)[0], 1e-3);
            let u_t = (u(t + h, x) - u(t - h, x)) / (2.0 * h);
            let u_x = (u(t, x + h) - u(t, x - h)) / (2.0 * h);
            let third = u(t, x + 2.0 * h) - 2.0 * u(t, x + h) + 2.0 * u(t, x - h) - u(t, x - 2.0 * h);
            let residual = u_t + 6.0 * u(t, x) * u_x + third / (2.0 * h * h * h);
            assert!(residual.abs() < 1e-3, "{residual} at {t}, {x}");
            assert!((soliton(c, t, x)[1] - u_x).abs() < 1e-4);
        }
    }
}
