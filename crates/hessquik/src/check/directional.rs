//! The directional check: derivatives along directions, in every mode, against the full ones.
use super::base::scientific;
use super::{ALL_ZERO, Function, Normal, evaluate, norm, option, points, verdict};
use crate::{Error, Jet, Mode, Real, Request};
use ndarray::{Array2, Array3, Array4, ArrayBase, ArrayView2, ArrayView3, ArrayView4, ArrayViewD, Axis, Data, Ix2, s};
use std::fmt;

/// Options of [`directional_derivative_check`].
#[derive(Clone, Debug, PartialEq)]
pub struct DirectionalOptions {
    /// Number of random directions, at least 1. Default: 3.
    pub k: usize,
    /// Bound on the error, relative to the size of the full result if that is above 1; never less than 1000 machine
    /// epsilons. Default: 1e-8.
    pub tol: f64,
    /// Seed of the random directions. Default: 0.
    pub seed: u64,
}

impl Default for DirectionalOptions {
    fn default() -> Self {
        Self { k: 3, tol: 1e-8, seed: 0 }
    }
}

/// The results along directions in one mode. Errors are Frobenius norms over all points.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
pub struct Directional {
    /// The mode: `auto`, `forward`, `backward` or `sites`.
    pub mode: &'static str,
    /// Which directions were set: `input`, `output` or `both`.
    pub directions: &'static str,
    /// Error of the value.
    pub value_error: f64,
    /// Error of the gradient.
    pub gradient_error: f64,
    /// Error of the Hessian.
    pub hessian_error: f64,
    /// Error of the Laplacian.
    pub laplacian_error: f64,
    /// Whether the gradient (and the value) passes.
    pub gradient: bool,
    /// Whether the Hessian passes.
    pub hessian: bool,
    /// Whether the Laplacian passes.
    pub laplacian: bool,
}

/// The errors and verdicts of [`directional_derivative_check`]; `Display` prints them as hessQuik does.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
pub struct DirectionalReport {
    /// One entry per mode and kind of directions.
    pub results: Vec<Directional>,
    /// Whether the gradients pass in every mode.
    pub gradient: bool,
    /// Whether the Hessians pass in every mode.
    pub hessian: bool,
    /// Whether the Laplacians pass in every mode.
    pub laplacian: bool,
    /// Whether the full gradient is zero at all points, so that there is nothing to check; the check then does not
    /// pass.
    pub vanishes: bool,
}

impl DirectionalReport {
    /// Whether everything passes.
    pub fn passed(&self) -> bool {
        self.gradient && self.hessian && self.laplacian && !self.vanishes
    }
}

impl fmt::Display for DirectionalReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.vanishes {
            writeln!(f, "{ALL_ZERO}")?;
        }
        for (i, r) in self.results.iter().enumerate() {
            let [grad, hess, lap] = [r.gradient_error, r.hessian_error, r.laplacian_error].map(scientific);
            let (mode, directions) = (r.mode.to_uppercase(), r.directions.to_uppercase());
            let newline = if i > 0 { "\n" } else { "" };
            write!(f, "{newline}{mode} MODE, {directions} DIRECTIONS: grad = {grad}\t hess = {hess}\t lap = {lap}")?;
            for (what, passed) in [("Gradient", r.gradient), ("Hessian", r.hessian), ("Laplacian", r.laplacian)] {
                write!(f, "\n\t {what} {}", verdict(passed))?;
            }
        }
        Ok(())
    }
}

/// Checks derivatives along `k` random input directions `V`, output directions `U`, and both, in every mode, against
/// `V f' U`, `V f'' V^T U` and `tr(V f'' V^T) U` of the full gradient and Hessian (automatic mode) at points `x`
/// (n_s, d).
///
/// The other checks verify the full gradient and Hessian.
///
/// ```
/// use hessquik::check::{DirectionalOptions, directional_derivative_check};
/// use hessquik::{Activation, Init, fully_connected};
/// use ndarray::array;
/// let network = fully_connected::<f64>(&[2, 8, 4], Activation::Tanh, &mut Init::seed(0))?;
/// let report = directional_derivative_check(&network, &array![[0.1, 0.2]], &DirectionalOptions::default())?;
/// assert!(report.passed(), "{report}");
/// # Ok::<(), hessquik::Error>(())
/// ```
///
/// # Errors
/// Those of [`input_derivative_check`](super::input_derivative_check).
pub fn directional_derivative_check<F: Real, S: Data<Elem = F>>(
    f: &(impl Function<F> + ?Sized),
    x: &ArrayBase<S, Ix2>,
    options: &DirectionalOptions,
) -> Result<DirectionalReport, Error> {
    let DirectionalOptions { k, tol, seed } = *options;
    option("k", k, k >= 1, "at least 1")?;
    option("tol", tol, tol.is_finite() && tol > 0.0, "a finite number above 0")?;
    points(x.view())?;
    let tol = tol.max(1000.0 * F::epsilon().as_f64());
    let (x, d) = (x.view(), x.ncols());
    let all = || Request::new().value().gradient().hessian().laplacian();
    let full = Full::new(&evaluate(f, x, &Request::new().value().gradient().hessian(), d, None)?);
    let m = full.value.ncols();
    let mut normal = Normal::seed(seed);
    let (v, u): (Array2<F>, Array2<F>) = (normal.matrix((k, d)), normal.matrix((m, k)));

    let mut results = Vec::new();
    let modes =
        [("auto", Mode::Auto), ("forward", Mode::Forward), ("backward", Mode::Backward), ("sites", Mode::Sites)];
    for (name, mode) in modes {
        for (directions, input, output) in [("input", true, false), ("output", false, true), ("both", true, true)] {
            let mut request = all().mode(mode.clone());
            if input {
                request = request.directions(v.clone());
            }
            if output {
                request = request.outputs(u.clone());
            }
            let (rows, columns) = (if input { k } else { d }, if output { k } else { m });
            let found = evaluate(f, x, &request, rows, Some(columns))?;
            let wanted = full.along(input.then_some(v.view()), output.then_some(u.view()));
            results.push(compare(name, directions, &Full::new(&found), &wanted, tol));
        }
    }
    let [gradient, hessian, laplacian] =
        [results.iter().all(|r| r.gradient), results.iter().all(|r| r.hessian), results.iter().all(|r| r.laplacian)];
    let vanishes = full.gradient.iter().all(|g| *g == 0.0);
    Ok(DirectionalReport { results, gradient, hessian, laplacian, vanishes })
}

fn compare(mode: &'static str, directions: &'static str, found: &Full, wanted: &Full, tol: f64) -> Directional {
    let near = |found: ArrayViewD<f64>, wanted: ArrayViewD<f64>| {
        let error = norm(found.iter().zip(&wanted).map(|(a, b)| a - b));
        (error, error < tol * norm(wanted.iter().copied()).max(1.0)) // false for NaN
    };
    macro_rules! near {
        ($result:ident) => {
            near(found.$result.view().into_dyn(), wanted.$result.view().into_dyn())
        };
    }
    let (value_error, value) = near!(value);
    let (gradient_error, gradient) = near!(gradient);
    let (hessian_error, hessian) = near!(hessian);
    let (laplacian_error, laplacian) = near!(laplacian);
    Directional {
        mode,
        directions,
        value_error,
        gradient_error,
        hessian_error,
        laplacian_error,
        gradient: gradient && value,
        hessian,
        laplacian,
    }
}

/// Value, gradient, Hessian and Laplacian (the trace of the Hessian, if it was not asked for) in double precision.
struct Full {
    value: Array2<f64>,
    gradient: Array3<f64>,
    hessian: Array4<f64>,
    laplacian: Array2<f64>,
}

impl Full {
    fn new<F: Real>(jet: &Jet<F>) -> Self {
        let value = jet.value.as_ref().expect("verified").mapv(|v| v.as_f64());
        let gradient = jet.gradient.as_ref().expect("verified").mapv(|v| v.as_f64());
        let hessian = jet.hessian.as_ref().expect("verified").mapv(|v| v.as_f64());
        let laplacian = jet.laplacian.as_ref().map_or_else(|| trace(hessian.view()), |a| a.mapv(|v| v.as_f64()));
        Self { value, gradient, hessian, laplacian }
    }

    /// The same along input directions `v` (k, d) and output directions `u` (m, q), if there are any.
    fn along<F: Real>(&self, v: Option<ArrayView2<F>>, u: Option<ArrayView2<F>>) -> Self {
        let v = v.map_or_else(|| Array2::eye(self.gradient.dim().1), |v| v.mapv(|v| v.as_f64()));
        let u = u.map_or_else(|| Array2::eye(self.value.ncols()), |u| u.mapv(|u| u.as_f64()));
        let (n, k, q) = (self.value.nrows(), v.nrows(), u.ncols());
        let mut gradient = Array3::zeros((n, k, q));
        let mut hessian = Array4::zeros((n, k, k, q));
        for s in 0..n {
            let full: ArrayView3<f64> = self.hessian.slice(s![s, .., .., ..]);
            gradient.slice_mut(s![s, .., ..]).assign(&v.dot(&self.gradient.slice(s![s, .., ..])).dot(&u));
            for r in 0..q {
                let column = full.outer_iter().map(|h| h.dot(&u.column(r)));
                let mut h = Array2::zeros((v.ncols(), v.ncols()));
                h.outer_iter_mut().zip(column).for_each(|(mut row, column)| row.assign(&column));
                hessian.slice_mut(s![s, .., .., r]).assign(&v.dot(&h).dot(&v.t()));
            }
        }
        let laplacian = trace(hessian.view());
        Self { value: self.value.dot(&u), gradient, hessian, laplacian }
    }
}

/// The trace (n, q) of Hessians (n, k, k, q).
fn trace(hessian: ArrayView4<f64>) -> Array2<f64> {
    let mut sum = Array2::zeros((hessian.dim().0, hessian.dim().3));
    for a in 0..hessian.dim().1 {
        sum += &hessian.index_axis(Axis(1), a).index_axis(Axis(1), a);
    }
    sum
}
