//! Poisson's equation.
use super::{Place, Points, half};
use crate::train::Objective;
use crate::{Error, Evaluate, FlatNetwork};
use burn::tensor::{DType, Device, Tensor};
use hessquik::Request;
use ndarray::Array2;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use std::f64::consts::PI;
use std::ops::Range;

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
            Place::inside([x, y], source(x, y))
        };
        let mut places: Vec<_> = (0..inside).map(inner).collect();
        let side = |i: usize| {
            let t = rng.random::<f64>();
            let [x, y] = [[t, 0.0], [t, 1.0], [0.0, t], [1.0, t]][i % 4];
            Place::boundary([x, y], 0.0)
        };
        places.extend((0..boundary).map(side));
        Ok(Self { points: Points::new(&places, device, dtype)?, weight: 100.0 })
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
