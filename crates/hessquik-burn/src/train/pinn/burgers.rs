//! Burgers' equation.
use super::{Place, Points, column, half};
use crate::train::Objective;
use crate::{Error, Evaluate, FlatNetwork};
use burn::tensor::{DType, Device, Tensor};
use hessquik::Request;
use ndarray::Array2;
use rand::{Rng, RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use std::f64::consts::PI;
use std::ops::Range;

/// Burgers' equation `u_t + u u_x = v u_xx` for t in [0, 1] and x in [-1, 1], with `u = -sin(pi x)` at t = 0 and `u = 0`
/// at x = -1 and 1. The columns of points are t, x.
///
/// ```text
/// L = 1/2 mean (u_t + u u_x - v u_xx)^2 + w/2 mean (u - given)^2        inside, and at t = 0 and x = -1, 1
/// ```
#[derive(Clone, Debug)]
pub struct Burgers {
    points: Points,
    viscosity: f64,
    weight: f64,
}

impl Burgers {
    /// The problem at points drawn uniformly, for a network with 2 inputs and 1 output.
    ///
    /// # Errors
    /// A viscosity that is not positive; no points of one of the two kinds; a device without the precision.
    pub fn new(
        inside: usize,
        boundary: usize,
        viscosity: f64,
        seed: u64,
        device: &Device,
        dtype: DType,
    ) -> Result<Self, Error> {
        if !(viscosity > 0.0 && viscosity.is_finite()) {
            return Err(Error::Training(format!("the viscosity is {viscosity}, expected a positive number")));
        }
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let uniform = |rng: &mut dyn Rng| 2.0 * rng.random::<f64>() - 1.0;
        let mut places = Vec::new();
        for _ in 0..inside {
            places.push(Place::inside([rng.random::<f64>(), uniform(&mut rng)], 0.0));
        }
        for i in 0..boundary {
            // half of them at the start
            if i % 2 == 0 {
                let x = uniform(&mut rng);
                places.push(Place::boundary([0.0, x], -(PI * x).sin()));
            } else {
                let end = if i % 4 == 1 { -1.0 } else { 1.0 };
                places.push(Place::boundary([rng.random::<f64>(), end], 0.0));
            }
        }
        Ok(Self { points: Points::new(&places, device, dtype)?, viscosity, weight: 10.0 })
    }

    /// The solution at points (n, 2) with columns t and x: (n, 1), by the Cole-Hopf transformation,
    ///
    /// ```text
    /// u = - int sin(pi (x - y)) f(x - y) exp(-y^2/(4 v t)) dy / int f(x - y) exp(-y^2/(4 v t)) dy,
    /// f(y) = exp(-cos(pi y)/(2 pi v))
    /// ```
    ///
    /// (Basdevant et al., 1986), both integrals by the trapezoidal rule, which converges faster than any power here.
    pub fn solution(viscosity: f64, tx: &Array2<f64>) -> Array2<f64> {
        const NODES: i32 = 400;
        let at = |t: f64, x: f64| {
            if t <= 0.0 {
                return -(PI * x).sin();
            }
            let width = (4.0 * viscosity * t).sqrt();
            let log = |y: f64| -(PI * y).cos() / (2.0 * PI * viscosity);
            let nodes = |i: i32| f64::from(i) * 10.0 / f64::from(NODES);
            let top = (-NODES..=NODES).map(|i| log(x - width * nodes(i)) - nodes(i).powi(2)).fold(f64::MIN, f64::max);
            let (mut above, mut below) = (0.0, 0.0);
            for i in -NODES..=NODES {
                let y = x - width * nodes(i);
                let weight = (log(y) - nodes(i).powi(2) - top).exp();
                above += (PI * y).sin() * weight;
                below += weight;
            }
            -above / below
        };
        let u = tx.rows().into_iter().map(|p| at(p[0], p[1])).collect();
        Array2::from_shape_vec((tx.nrows(), 1), u).expect("a value for each point")
    }
}

impl Objective for Burgers {
    fn len(&self) -> usize {
        self.points.len()
    }
    fn names(&self) -> Vec<&'static str> {
        vec!["equation", "given"]
    }
    fn weights(&self) -> Vec<f64> {
        vec![1.0, self.weight]
    }
    fn select(&self, order: &[usize]) -> Self {
        Self { points: self.points.select(order), ..self.clone() }
    }
    fn terms(&self, network: &FlatNetwork, points: Range<usize>) -> Result<Vec<Tensor<1>>, Error> {
        // ANCHOR: burgers
        let (tx, [inside, boundary, given]) = self.points.at(points);
        let jets = network.evaluate(tx, &Request::new().value().gradient().partials(&[(1, 1)]))?;
        let (u, slopes) = (jets.value.expect("asked for"), jets.gradient.expect("asked for"));
        let (u_t, u_x) = (column(slopes.clone(), 0), column(slopes, 1));
        let u_xx = column(jets.partials.expect("asked for"), 0);
        let equation = u_t + u.clone() * u_x - u_xx * self.viscosity;
        Ok(vec![half(equation, inside), half(u - given, boundary)])
        // ANCHOR_END: burgers
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::array;

    /// The formula solves the equation: residual by central differences.
    #[test]
    fn burgers_solution() {
        let viscosity = 0.1 / PI;
        let u = |t: f64, x: f64| Burgers::solution(viscosity, &array![[t, x]])[[0, 0]];
        assert!((u(0.0, 0.3) + (PI * 0.3).sin()).abs() < 1e-15);
        assert!((u(1e-6, 0.3) + (PI * 0.3).sin()).abs() < 1e-4);
        for (t, x) in [(0.3, 0.4), (0.7, -0.2), (0.9, 0.05)] {
            let h = 1e-4;
            let u_t = (u(t + h, x) - u(t - h, x)) / (2.0 * h);
            let u_x = (u(t, x + h) - u(t, x - h)) / (2.0 * h);
            let u_xx = (u(t, x + h) - 2.0 * u(t, x) + u(t, x - h)) / (h * h);
            let residual = u_t + u(t, x) * u_x - viscosity * u_xx;
            assert!(residual.abs() < 1e-4 * u_t.abs().max(1.0), "{residual} at {t}, {x}");
            assert!((u(t, x) + u(t, -x)).abs() < 1e-12);
        }
    }
}
