//! Physics-informed problems: residuals of differential equations at points, with known solutions for comparison.
mod beam;
mod burgers;
mod kdv;
mod poisson;

pub use beam::ClampedBeam;
pub use burgers::Burgers;
pub use kdv::KortewegDeVries;
pub use poisson::Poisson;

use super::objective::select;
use crate::Error;
use crate::device::supported;
use crate::tensors::of_numbers;
use burn::tensor::{DType, Device, Tensor};
use std::ops::Range;

/// A point, and the numbers that are given there.
struct Place<const D: usize> {
    x: [f64; D],
    /// Whether the equation shall hold there, rather than values being given.
    inside: bool,
    /// The right-hand side, or the value of the solution.
    value: f64,
    /// The slope of the solution, where that is given.
    slope: Option<f64>,
}

impl<const D: usize> Place<D> {
    fn inside(x: [f64; D], value: f64) -> Self {
        Self { x, inside: true, value, slope: None }
    }

    fn boundary(x: [f64; D], value: f64) -> Self {
        Self { x, inside: false, value, slope: None }
    }
}

/// Points inside, where the equation shall hold, and on the boundary, where values are given.
///
/// All stand in one tensor, so that batches and processes share them as any points; a mask weights each kind so that
/// the mean over all points is the mean over its own.
#[derive(Clone, Debug)]
struct Points {
    x: Tensor<2>,
    /// (n, 5): weight of the equation, weight of the boundary value, right-hand side or boundary value, weight of the
    /// slope, slope
    given: Tensor<2>,
}

impl Points {
    fn new<const D: usize>(places: &[Place<D>], device: &Device, dtype: DType) -> Result<Self, Error> {
        supported(device, dtype)?;
        let n = places.len();
        let inside = places.iter().filter(|p| p.inside).count();
        let slopes = places.iter().filter(|p| p.slope.is_some()).count();
        if inside == 0 || inside == n {
            return Err(Error::Training(format!(
                "{inside} points inside and {} on the boundary, expected at least one of each",
                n - inside
            )));
        }
        let weight = |all: usize, one: bool| if one { n as f64 / all as f64 } else { 0.0 };
        let (mut x, mut given) = (Vec::new(), Vec::new());
        for place in places {
            x.extend(place.x);
            given.extend([weight(inside, place.inside), weight(n - inside, !place.inside), place.value]);
            given.extend([weight(slopes, place.slope.is_some()), place.slope.unwrap_or(0.0)]);
        }
        Ok(Self { x: of_numbers(x, [n, D], device, dtype), given: of_numbers(given, [n, 5], device, dtype) })
    }

    fn select(&self, order: &[usize]) -> Self {
        Self { x: select(&self.x, order), given: select(&self.given, order) }
    }

    fn len(&self) -> usize {
        self.x.dims()[0]
    }

    /// Points of a range, and columns (n, 1) of what is given there.
    fn at(&self, points: Range<usize>) -> (Tensor<2>, [Tensor<2>; 3]) {
        let given = self.given.clone().narrow(0, points.start, points.len());
        let x = self.x.clone().narrow(0, points.start, points.len());
        (x, std::array::from_fn(|i| given.clone().narrow(1, i, 1)))
    }

    /// Columns (n, 1) of the weight of the slope and the slope at points of a range.
    fn slopes(&self, points: Range<usize>) -> [Tensor<2>; 2] {
        let given = self.given.clone().narrow(0, points.start, points.len());
        [given.clone().narrow(1, 3, 1), given.narrow(1, 4, 1)]
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
