//! Checks that derivatives are correct, for networks, layers, and user-defined functions.
//!
//! | check | compares |
//! |---|---|
//! | [`input_derivative_check`] | values along a random direction with Taylor expansions by gradient and Hessian |
//! | [`input_derivative_check_finite_difference`] | gradient and Hessian with finite differences of values |
//! | [`laplacian_check_finite_difference`] | gradient and Laplacian with finite differences of values |
//! | [`directional_derivative_check`] | derivatives along directions, in every mode, with the full ones |
//! | [`higher_derivative_check`] | derivatives of orders 1 to K along a random direction with expansions of the order below |
//! | [`partials_check_finite_difference`] | partials of any order with finite differences of those of the order below |
//! | [`network_derivative_check`] | a loss along a random direction of the weights with its gradient |
//!
//! [`all`] runs them all on a network. Each returns a report with the errors and the verdicts; `Display` prints it as hessQuik does. If all derivatives are
//! zero there is nothing to check: the report says so and does not pass.
//!
//! Run checks in double precision: in single precision rounding hides the orders of convergence, and finite differences
//! with the default steps fail. [`Network::cast`] gives a network in double precision.
//!
//! ```
//! use hessquik::check::{self, Options};
//! use hessquik::{Request, peaks};
//! use ndarray::{ArrayView2, array};
//! let x = array![[0.1, 0.2], [-0.5, 1.5]];
//! let right = |x: ArrayView2<f64>, request: &Request<f64>| peaks(&x, request);
//! let report = check::input_derivative_check(&right, &x, &Options::default())?;
//! assert!(report.passed());
//! let wrong = |x: ArrayView2<f64>, request: &Request<f64>| {
//!     let mut jet = peaks(&x, request)?;
//!     jet.gradient = jet.gradient.map(|g| g * 1.01);
//!     Ok(jet)
//! };
//! let report = check::input_derivative_check(&wrong, &x, &Options::default())?;
//! assert!(!report.passed());
//! # Ok::<(), hessquik::Error>(())
//! ```
mod all;
mod base;
mod difference;
mod directional;
mod orders;
mod taylor;

pub use all::{Report, all};
pub use base::convert_to_base;
pub use difference::{
    Difference, DifferenceOptions, DifferenceReport, input_derivative_check_finite_difference,
    laplacian_check_finite_difference,
};
pub use directional::{Directional, DirectionalOptions, DirectionalReport, directional_derivative_check};
pub use orders::{
    OrderTable, OrdersReport, PartialDifference, PartialsReport, higher_derivative_check,
    partials_check_finite_difference, some_partials,
};
pub use taylor::{Options, TaylorReport, input_derivative_check, network_derivative_check};

use crate::{
    Error, Evaluate, Icnn, Jet, Layer, LogSumExp, Network, Quadratic, QuadraticIcnn, Real, Request, Resnet, Single,
    Softmax,
};
use ndarray::{Array, Array2, ArrayView2, Dimension, Ix2, ShapeBuilder};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// A function that can be checked: it gives jets at points.
///
/// Networks, the library's layers and `dyn Layer` are such functions. So is every closure of points (n_s, d) and a
/// request, with the types of its arguments written out:
///
/// ```
/// use hessquik::{Error, Jet, Request, check, peaks};
/// use ndarray::{ArrayView2, array};
/// let f = |x: ArrayView2<f64>, request: &Request<f64>| peaks(&x, request);
/// assert!(check::laplacian_check_finite_difference(&f, &array![[0.1, 0.2]], &Default::default())?.passed());
/// # Ok::<(), Error>(())
/// ```
///
/// Check a user-defined layer as `&layer as &dyn Layer<f64>`.
pub trait Function<F: Real> {
    /// The jet that `request` asks for at points `x` (n_s, d), with shapes as in [`Jet`].
    fn jet(&self, x: ArrayView2<F>, request: &Request<F>) -> Result<Jet<F>, Error>;
}

impl<F: Real, T: Fn(ArrayView2<F>, &Request<F>) -> Result<Jet<F>, Error>> Function<F> for T {
    fn jet(&self, x: ArrayView2<F>, request: &Request<F>) -> Result<Jet<F>, Error> {
        self(x, request)
    }
}

macro_rules! layers_are_functions {
    ($($layer:ty),*) => {
        $(impl<F: Real> Function<F> for $layer {
            fn jet(&self, x: ArrayView2<F>, request: &Request<F>) -> Result<Jet<F>, Error> {
                self.evaluate(&x, request)
            }
        })*
    };
}
layers_are_functions!(
    Network<F>,
    Single<F>,
    Resnet<F>,
    Icnn<F>,
    Quadratic<F>,
    QuadraticIcnn<F>,
    LogSumExp,
    Softmax,
    dyn Layer<F>
);

/// The jet of `f` at `x`, with all results that are asked for and their shapes verified: `k` input directions, and `q`
/// outputs unless these are yet unknown.
fn evaluate<F: Real>(
    f: &(impl Function<F> + ?Sized),
    x: ArrayView2<F>,
    request: &Request<F>,
    k: usize,
    q: Option<usize>,
) -> Result<Jet<F>, Error> {
    let jet = f.jet(x, request)?;
    let n = x.nrows();
    let q = q.or(jet.value.as_ref().map(|a| a.ncols())).unwrap_or(1);
    let verify = |what: &str, asked: bool, found: Option<&[usize]>, wanted: &[usize]| match found {
        None if asked => Err(Error::Request(format!("the function that is checked gives no {what}"))),
        Some(found) if found != wanted => {
            Err(Error::shape(format!("the {what} that the checked function gives"), found, format!("{wanted:?}")))
        }
        _ => Ok(()),
    };
    verify("value", request.value, jet.value.as_ref().map(|a| a.shape()), &[n, q])?;
    verify("gradient", request.gradient, jet.gradient.as_ref().map(|a| a.shape()), &[n, k, q])?;
    verify("Hessian", request.hessian, jet.hessian.as_ref().map(|a| a.shape()), &[n, k, k, q])?;
    verify("Laplacian", request.laplacian, jet.laplacian.as_ref().map(|a| a.shape()), &[n, q])?;
    let list = request.partials.as_ref().map_or(0, Vec::len);
    verify("partials", request.partials.is_some(), jet.partials.as_ref().map(|a| a.shape()), &[n, list, q])?;
    let order = request.directional;
    let wanted = [n, order.unwrap_or(0), k, q];
    verify("derivatives along directions", order.is_some(), jet.directional.as_ref().map(|a| a.shape()), &wanted)?;
    Ok(jet)
}

/// The points must be there, and finite.
fn points<F: Real>(x: ArrayView2<F>) -> Result<(), Error> {
    if x.is_empty() {
        return Err(Error::shape("the points of a derivative check", x.shape(), "at least one point and one column"));
    }
    match x.iter().find(|v| !v.is_finite()) {
        Some(v) => Err(Error::setting("an entry of the points", v, "a finite number")),
        None => Ok(()),
    }
}

/// The Frobenius norm of these numbers.
fn norm<F: Real>(numbers: impl IntoIterator<Item = F>) -> f64 {
    numbers.into_iter().map(|v| v.as_f64() * v.as_f64()).sum::<f64>().sqrt()
}

/// Seeded normal random numbers.
struct Normal(ChaCha8Rng);

impl Normal {
    fn seed(seed: u64) -> Self {
        Self(ChaCha8Rng::seed_from_u64(seed))
    }

    fn array<D: Dimension, Sh: ShapeBuilder<Dim = D>>(&mut self, shape: Sh) -> Array<f64, D> {
        Array::from_shape_simple_fn(shape, || {
            // Box and Muller; 1 - u lies in (0, 1]
            let (u, v): (f64, f64) = (self.0.random(), self.0.random());
            (-2.0 * (1.0 - u).ln()).sqrt() * (std::f64::consts::TAU * v).cos()
        })
    }

    /// A direction of unit norm.
    fn direction<D: Dimension, Sh: ShapeBuilder<Dim = D>>(&mut self, shape: Sh) -> Array<f64, D> {
        let p = self.array(shape);
        let length = norm(p.iter().copied());
        p / length
    }

    fn matrix<F: Real>(&mut self, shape: (usize, usize)) -> Array2<F> {
        self.array::<Ix2, _>(shape).mapv(F::of)
    }
}

/// An option must satisfy `valid`.
fn option(what: &str, found: impl ToString, valid: bool, wanted: &str) -> Result<(), Error> {
    if valid { Ok(()) } else { Err(Error::setting(format!("the option {what}"), found, wanted)) }
}

/// What a report says where there is nothing to compare.
const ALL_ZERO: &str = "All derivatives are zero: nothing was checked. Is a part of a layer missing?";

/// `PASSED!` or `FAILED.`, as hessQuik prints it.
fn verdict(passed: bool) -> &'static str {
    if passed { "PASSED!" } else { "FAILED." }
}
