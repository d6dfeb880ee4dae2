//! Points with the values and derivatives that a network should have there.
use crate::Error;
use ndarray::{Array2, Array3, Array4, Axis};
use rand::seq::SliceRandom;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// Points `x` (n, d) and what is known there: at least one of values (n, m), gradients (n, d, m), Hessians (n, d, d,
/// m).
#[derive(Clone, Debug, PartialEq)]
pub struct Data {
    /// (n, d)
    pub x: Array2<f64>,
    /// (n, m)
    pub value: Option<Array2<f64>>,
    /// (n, d, m)
    pub gradient: Option<Array3<f64>>,
    /// (n, d, d, m)
    pub hessian: Option<Array4<f64>>,
}

impl Data {
    /// Data from these arrays.
    ///
    /// # Errors
    /// Shapes that do not fit together, no values or derivatives, no points, entries that are not finite.
    pub fn new(
        x: Array2<f64>,
        value: Option<Array2<f64>>,
        gradient: Option<Array3<f64>>,
        hessian: Option<Array4<f64>>,
    ) -> Result<Self, Error> {
        let (n, d) = x.dim();
        let outputs = [
            value.as_ref().map(|a| a.ncols()),
            gradient.as_ref().map(|a| a.dim().2),
            hessian.as_ref().map(|a| a.dim().3),
        ];
        let Some(m) = outputs.into_iter().flatten().next() else {
            return Err(Error::Training("the data have neither values, nor gradients, nor Hessians".into()));
        };
        if n == 0 || d == 0 || m == 0 {
            return Err(Error::Training(format!("the data have {n} points, {d} inputs and {m} outputs")));
        }
        let shape = |what: &str, found: &[usize], wanted: &[usize]| match found == wanted {
            true => Ok(()),
            false => {
                let (found, wanted) = (found.to_vec(), format!("{wanted:?}"));
                Err(hessquik::Error::Shape { what: format!("{what} of the data"), found, wanted })
            }
        };
        let finite =
            |what: &str, mut entries: Box<dyn Iterator<Item = &f64> + '_>| match entries.find(|v| !v.is_finite()) {
                None => Ok(()),
                Some(v) => Err(Error::Training(format!("{what} of the data has the entry {v}"))),
            };
        finite("x", Box::new(x.iter()))?;
        if let Some(a) = &value {
            shape("value", a.shape(), &[n, m])?;
            finite("value", Box::new(a.iter()))?;
        }
        if let Some(a) = &gradient {
            shape("gradient", a.shape(), &[n, d, m])?;
            finite("gradient", Box::new(a.iter()))?;
        }
        if let Some(a) = &hessian {
            shape("hessian", a.shape(), &[n, d, d, m])?;
            finite("hessian", Box::new(a.iter()))?;
        }
        Ok(Self { x, value, gradient, hessian })
    }

    /// Values, gradients and Hessians of [`peaks`](hessquik::peaks) at `n` points drawn uniformly from [-3, 3]^2.
    pub fn peaks(n: usize, seed: u64) -> Self {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let x = Array2::from_shape_simple_fn((n, 2), || rng.random_range(-3.0..3.0));
        let request = hessquik::Request::new().value().gradient().hessian();
        let jet = hessquik::peaks(&x, &request).expect("points in two dimensions");
        Self { x, value: jet.value, gradient: jet.gradient, hessian: jet.hessian }
    }

    /// Number of points.
    pub fn len(&self) -> usize {
        self.x.nrows()
    }

    /// Whether there are no points.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The points at these positions, in this order.
    #[must_use]
    pub fn select(&self, order: &[usize]) -> Self {
        Self {
            x: self.x.select(Axis(0), order),
            value: self.value.as_ref().map(|a| a.select(Axis(0), order)),
            gradient: self.gradient.as_ref().map(|a| a.select(Axis(0), order)),
            hessian: self.hessian.as_ref().map(|a| a.select(Axis(0), order)),
        }
    }

    /// All but `valid` points, and those `valid` points, drawn at random.
    ///
    /// # Errors
    /// Fewer than `valid` + 1 points.
    pub fn split(self, valid: usize, seed: u64) -> Result<(Self, Self), Error> {
        if valid >= self.len() {
            let n = self.len();
            return Err(Error::Training(format!("{valid} validation points requested, but there are only {n} points")));
        }
        let mut order: Vec<usize> = (0..self.len()).collect();
        order.shuffle(&mut ChaCha8Rng::seed_from_u64(seed));
        Ok((self.select(&order[valid..]), self.select(&order[..valid])))
    }
}
