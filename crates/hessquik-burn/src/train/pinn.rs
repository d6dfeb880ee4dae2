//! Physics-informed problems: residuals of differential equations at points, with known solutions for comparison.
use super::Objective;
use super::objective::select;
use crate::device::supported;
use crate::tensors::of_numbers;
use crate::{Error, Evaluate, FlatNetwork};
use burn::tensor::{DType, Device, Tensor};
use hessquik::Request;
use ndarray::Array2;
use rand::{Rng, RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use std::f64::consts::PI;
use std::ops::Range;

/// Points inside, where the equation shall hold, and on the boundary, where values are given.
///
/// Both stand in one tensor, so that batches and processes share them as any points; a mask weights each kind so that
/// the mean over all points is the mean over its own.
#[derive(Clone, Debug)]
struct Points {
    x: Tensor<2>,
    /// (n, 3): weight of the equation, weight of the boundary value, and right-hand side or boundary value
    given: Tensor<2>,
}

impl Points {
    fn new(inside: Vec<[f64; 3]>, boundary: Vec<[f64; 3]>, device: &Device, dtype: DType) -> Result<Self, Error> {
        supported(device, dtype)?;
        if inside.is_empty() || boundary.is_empty() {
            let (a, b) = (inside.len(), boundary.len());
            return Err(Error::Training(format!(
                "{a} points inside and {b} on the boundary, expected at least one of each"
            )));
        }
        let n = inside.len() + boundary.len();
        let weights = [n as f64 / inside.len() as f64, n as f64 / boundary.len() as f64];
        let (mut x, mut given) = (Vec::new(), Vec::new());
        for (kind, points) in [inside, boundary].into_iter().enumerate() {
            for [a, b, value] in points {
                x.extend([a, b]);
                given.extend([
                    if kind == 0 { weights[0] } else { 0.0 },
                    if kind == 1 { weights[1] } else { 0.0 },
                    value,
                ]);
            }
        }
        Ok(Self { x: of_numbers(x, [n, 2], device, dtype), given: of_numbers(given, [n, 3], device, dtype) })
    }

    fn select(&self, order: &[usize]) -> Self {
        Self { x: select(&self.x, order), given: select(&self.given, order) }
    }

    fn len(&self) -> usize {
        self.x.dims()[0]
    }

    /// Points of a range, and columns (n, 1) of what is given there.
    fn at(&self, points: Range<usize>) -> (Tensor<2>, [Tensor<2>; 3]) {
        let (start, n) = (points.start, points.len());
        let given = self.given.clone().narrow(0, start, n);
        (self.x.clone().narrow(0, start, n), std::array::from_fn(|i| given.clone().narrow(1, i, 1)))
    }
}

/// Half the sum of weighted squares.
fn half(residual: Tensor<2>, weight: Tensor<2>) -> Tensor<1> {
    (residual.square() * weight).sum() * 0.5
}

/// A column (n, 1) of a gradient or of partials (n, k, 1).
fn column(of: Tensor<3>, at: usize) -> Tensor<2> {
    of.narrow(1, at, 1).squeeze_dim(2)
}

/// The Poisson equation `-(u_xx + u_yy) = f` on the unit square, `u = 0` on its boundary, with
/// `u = sin(pi x) sin(pi y)` as its solution.
///
/// ```text
/// L = 1/2 mean (u_xx + u_yy + f)^2 + w/2 mean u^2        inside, and on the boundary
/// ```
///
/// (Raissi, Perdikaris and Karniadakis, *Physics-informed neural networks*, 2019.)
#[derive(Clone, Debug)]
pub struct Poisson {
    points: Points,
    weight: f64,
}

impl Poisson {
    /// The problem at points drawn uniformly, inside and on the boundary, for a network with 2 inputs and 1 output.
    ///
    /// # Errors
    /// No points of one of the two kinds; a device without the precision.
    pub fn new(inside: usize, boundary: usize, seed: u64, device: &Device, dtype: DType) -> Result<Self, Error> {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let source = |x: f64, y: f64| 2.0 * PI * PI * (PI * x).sin() * (PI * y).sin();
        let inner = |_| {
            let (x, y) = (rng.random::<f64>(), rng.random::<f64>());
            [x, y, source(x, y)]
        };
        let inside: Vec<_> = (0..inside).map(inner).collect();
        let side = |i: usize| {
            let t = rng.random::<f64>();
            let [x, y] = [[t, 0.0], [t, 1.0], [0.0, t], [1.0, t]][i % 4];
            [x, y, 0.0]
        };
        let boundary = (0..boundary).map(side).collect();
        Ok(Self { points: Points::new(inside, boundary, device, dtype)?, weight: 100.0 })
    }

    /// The solution at points (n, 2): (n, 1).
    pub fn solution(x: &Array2<f64>) -> Array2<f64> {
        let u = x.rows().into_iter().map(|p| (PI * p[0]).sin() * (PI * p[1]).sin()).collect();
        Array2::from_shape_vec((x.nrows(), 1), u).expect("a value for each point")
    }
}

impl Objective for Poisson {
    fn len(&self) -> usize {
        self.points.len()
    }
    fn names(&self) -> Vec<&'static str> {
        vec!["equation", "boundary"]
    }
    fn weights(&self) -> Vec<f64> {
        vec![1.0, self.weight]
    }
    fn select(&self, order: &[usize]) -> Self {
        Self { points: self.points.select(order), weight: self.weight }
    }
    fn terms(&self, network: &FlatNetwork, points: Range<usize>) -> Result<Vec<Tensor<1>>, Error> {
        // ANCHOR: poisson
        let (x, [inside, boundary, source]) = self.points.at(points);
        let jets = network.evaluate(x, &Request::new().value().laplacian())?;
        let (u, laplacian) = (jets.value.expect("asked for"), jets.laplacian.expect("asked for"));
        Ok(vec![half(laplacian + source, inside), half(u, boundary)])
        // ANCHOR_END: poisson
    }
}

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
        let mut inner = Vec::new();
        for _ in 0..inside {
            inner.push([rng.random::<f64>(), uniform(&mut rng), 0.0]);
        }
        let mut outer = Vec::new();
        for i in 0..boundary {
            // half of them at the start
            if i % 2 == 0 {
                let x = uniform(&mut rng);
                outer.push([0.0, x, -(PI * x).sin()]);
            } else {
                outer.push([rng.random::<f64>(), if i % 4 == 1 { -1.0 } else { 1.0 }, 0.0]);
            }
        }
        Ok(Self { points: Points::new(inner, outer, device, dtype)?, viscosity, weight: 10.0 })
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
