//! Finite-difference checks: gradient, Hessian and Laplacian against differences of values.
use super::base::scientific;
use super::{ALL_ZERO, Function, evaluate, norm, option, points, verdict};
use crate::{Error, Jet, Mode, Real, Request};
use ndarray::{Array, Array2, Array3, Array4, ArrayBase, ArrayView2, Axis, Data, Dimension, Ix2, Zip, s};
use std::fmt;

/// Options of [`input_derivative_check_finite_difference`] and [`laplacian_check_finite_difference`].
#[derive(Clone, Debug, PartialEq)]
pub struct DifferenceOptions {
    /// Whether to check the Hessian, too (the Laplacian check ignores this). Default: `true`.
    pub hessian: bool,
    /// The mode of evaluation. Default: [`Mode::Auto`].
    pub mode: Mode,
    /// The step. Default: 1e-4.
    pub eps: f64,
    /// Bound on the absolute error. Default: 1e-5.
    pub atol: f64,
    /// Bound on the relative error. Default: 1e-3.
    pub rtol: f64,
}

impl Default for DifferenceOptions {
    fn default() -> Self {
        Self { hessian: true, mode: Mode::Auto, eps: 1e-4, atol: 1e-5, rtol: 1e-3 }
    }
}

impl DifferenceOptions {
    pub(super) fn check(&self) -> Result<(), Error> {
        for (what, v) in [("eps", self.eps), ("atol", self.atol), ("rtol", self.rtol)] {
            option(what, v, v.is_finite() && v > 0.0, "a finite number above 0")?;
        }
        Ok(())
    }
}

/// The comparison of one derivative with finite differences.
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize)]
pub struct Difference {
    /// Frobenius norm of the difference, over all points and outputs.
    pub error: f64,
    /// The error divided by the norm of the derivative (by `eps` if that is larger).
    pub relative: f64,
    /// Frobenius norm of the derivative, over all points and outputs.
    pub norm: f64,
    /// Whether the derivative passes.
    pub passed: bool,
}

impl Difference {
    /// The two lines that a report has of it.
    pub(super) fn lines(&self, what: &str) -> String {
        let (error, relative, verdict) = (scientific(self.error), scientific(self.relative), verdict(self.passed));
        format!("{what} Finite Difference: Error = {error}, Relative Error = {relative}\n{what} {verdict}")
    }
}

/// The errors and verdicts of a finite-difference check; `Display` prints them as hessQuik does.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
pub struct DifferenceReport {
    /// The gradient.
    pub gradient: Difference,
    /// The Hessian, if it was checked.
    pub hessian: Option<Difference>,
    /// The Laplacian, if it was checked.
    pub laplacian: Option<Difference>,
}

impl DifferenceReport {
    /// Whether everything that was checked passes.
    pub fn passed(&self) -> bool {
        [Some(self.gradient), self.hessian, self.laplacian].into_iter().flatten().all(|d| d.passed)
    }

    /// Whether the gradient is zero at all points, so that there is nothing to check; the check then does not pass.
    pub fn vanishes(&self) -> bool {
        self.gradient.norm == 0.0
    }
}

impl fmt::Display for DifferenceReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.vanishes() {
            writeln!(f, "{ALL_ZERO}")?;
        }
        let all = [("Gradient", Some(self.gradient)), ("Hessian", self.hessian), ("Laplacian", self.laplacian)];
        let lines = all.into_iter().filter_map(|(what, d)| d.map(|d| (what, d))).map(|(what, d)| d.lines(what));
        f.write_str(&lines.collect::<Vec<_>>().join("\n"))
    }
}

/// Checks gradient, and Hessian if `options.hessian`, with respect to the points `x` (n_s, d) by central differences of
/// the value with step `eps`,
///
/// ```text
/// f'_i   ~ (f(x + eps e_i) - f(x - eps e_i)) / (2 eps)
/// f''_ij ~ (f(x + eps e_i + eps e_j) - f(x + eps e_i - eps e_j)
///         - f(x - eps e_i + eps e_j) + f(x - eps e_i - eps e_j)) / (4 eps^2)
/// ```
///
/// A derivative passes if the norm of its error, over all points and outputs, is below `atol`, and below `rtol` times
/// the norm of the derivative; if that norm is below `atol / rtol`, only the first condition counts. If a derivative
/// does not pass, the step may be too large for a rapidly varying function, or the derivative too large for an absolute
/// bound. The step is then halved repeatedly, and the derivative passes if extrapolated differences of two consecutive
/// steps are within `rtol / 50` of it, relative to its norm. A gradient that is zero at all points does not pass. The
/// check takes `2 d` values for the gradient and `2 d^2 + 1` more for the Hessian, at few points if the bounds are to
/// be meaningful.
///
/// ```
/// use hessquik::check::{DifferenceOptions, input_derivative_check_finite_difference};
/// use hessquik::{Activation, Init, Single};
/// use ndarray::array;
/// let layer = Single::<f64>::new(2, 7, Activation::Tanh, &mut Init::seed(0));
/// let options = DifferenceOptions::default();
/// let report = input_derivative_check_finite_difference(&layer, &array![[0.1, 0.2]], &options)?;
/// assert!(report.passed(), "{report}");
/// # Ok::<(), hessquik::Error>(())
/// ```
///
/// # Errors
/// Those of [`input_derivative_check`](super::input_derivative_check).
pub fn input_derivative_check_finite_difference<F: Real, S: Data<Elem = F>>(
    f: &(impl Function<F> + ?Sized),
    x: &ArrayBase<S, Ix2>,
    options: &DifferenceOptions,
) -> Result<DifferenceReport, Error> {
    let request = Request::new().value().gradient();
    let request = if options.hessian { request.hessian() } else { request };
    let check = Check::new(f, x.view(), options, request)?;
    let gradient = check.gradient()?;
    let hessian = options.hessian.then(|| check.hessian()).transpose()?;
    Ok(DifferenceReport { gradient, hessian, laplacian: None })
}

/// Checks gradient and Laplacian with respect to the points `x` (n_s, d) by differences of the value,
///
/// ```text
/// tr f'' ~ sum_i (f(x + 2 eps e_i) - 2 f(x) + f(x - 2 eps e_i)) / (4 eps^2)
/// ```
///
/// with the gradient, and the rule for passing, as in [`input_derivative_check_finite_difference`].
///
/// ```
/// use hessquik::check::{DifferenceOptions, laplacian_check_finite_difference};
/// use hessquik::{Request, peaks};
/// use ndarray::{ArrayView2, array};
/// let f = |x: ArrayView2<f64>, request: &Request<f64>| peaks(&x, request);
/// let report = laplacian_check_finite_difference(&f, &array![[0.1, 0.2]], &DifferenceOptions::default())?;
/// assert!(report.passed(), "{report}");
/// # Ok::<(), hessquik::Error>(())
/// ```
///
/// # Errors
/// Those of [`input_derivative_check`](super::input_derivative_check).
pub fn laplacian_check_finite_difference<F: Real, S: Data<Elem = F>>(
    f: &(impl Function<F> + ?Sized),
    x: &ArrayBase<S, Ix2>,
    options: &DifferenceOptions,
) -> Result<DifferenceReport, Error> {
    let check = Check::new(f, x.view(), options, Request::new().value().gradient().laplacian())?;
    Ok(DifferenceReport { gradient: check.gradient()?, hessian: None, laplacian: Some(check.laplacian()?) })
}

/// A function at its points, ready to be compared.
struct Check<'a, F: Real, T: ?Sized> {
    f: &'a T,
    x: ArrayView2<'a, F>,
    options: &'a DifferenceOptions,
    jet: Jet<F>,
}

impl<'a, F: Real, T: Function<F> + ?Sized> Check<'a, F, T> {
    fn new(f: &'a T, x: ArrayView2<'a, F>, options: &'a DifferenceOptions, request: Request<F>) -> Result<Self, Error> {
        options.check()?;
        points(x)?;
        let jet = evaluate(f, x, &request.mode(options.mode.clone()), x.ncols(), None)?;
        Ok(Self { f, x, options, jet })
    }

    /// The value (n_s, m) at `x` moved by these multiples of `eps` in these coordinates.
    fn value(&self, eps: f64, moves: &[(usize, f64)]) -> Result<Array2<f64>, Error> {
        let mut moved = self.x.to_owned();
        for &(i, times) in moves {
            moved.column_mut(i).mapv_inplace(|x| x + F::of(times * eps));
        }
        let m = self.jet.value.as_ref().expect("verified").ncols();
        let jet = evaluate(self.f, moved.view(), &Request::new().value(), self.x.ncols(), Some(m))?;
        Ok(jet.value.expect("verified").mapv(|v| v.as_f64()))
    }

    fn gradient(&self) -> Result<Difference, Error> {
        let gradient = self.jet.gradient.as_ref().expect("verified").mapv(|g| g.as_f64());
        let difference = self.judge(&gradient, |eps| {
            let mut approx = Array3::zeros(gradient.dim());
            for (i, mut approx) in approx.axis_iter_mut(Axis(1)).enumerate() {
                approx.assign(&((self.value(eps, &[(i, 1.0)])? - self.value(eps, &[(i, -1.0)])?) / (2.0 * eps)));
            }
            Ok(approx)
        })?;
        Ok(Difference { passed: difference.passed && difference.norm > 0.0, ..difference })
    }

    fn hessian(&self) -> Result<Difference, Error> {
        let hessian = self.jet.hessian.as_ref().expect("verified").mapv(|h| h.as_f64());
        self.judge(&hessian, |eps| {
            let mut approx = Array4::zeros(hessian.dim());
            for i in 0..self.x.ncols() {
                approx.slice_mut(s![.., i, i, ..]).assign(&self.second(eps, i)?);
                for j in 0..i {
                    let corner = |a, b| self.value(eps, &[(i, a), (j, b)]);
                    let difference = corner(1.0, 1.0)? - corner(1.0, -1.0)? - corner(-1.0, 1.0)? + corner(-1.0, -1.0)?;
                    let mixed = difference / (4.0 * eps.powi(2));
                    approx.slice_mut(s![.., i, j, ..]).assign(&mixed);
                    approx.slice_mut(s![.., j, i, ..]).assign(&mixed);
                }
            }
            Ok(approx)
        })
    }

    fn laplacian(&self) -> Result<Difference, Error> {
        let laplacian = self.jet.laplacian.as_ref().expect("verified").mapv(|l| l.as_f64());
        self.judge(&laplacian, |eps| {
            let mut approx = Array2::zeros(laplacian.dim());
            for i in 0..self.x.ncols() {
                approx += &self.second(eps, i)?;
            }
            Ok(approx)
        })
    }

    /// The second difference in one coordinate.
    fn second(&self, eps: f64, i: usize) -> Result<Array2<f64>, Error> {
        let middle = self.jet.value.as_ref().expect("verified").mapv(|v| 2.0 * v.as_f64());
        Ok((self.value(eps, &[(i, 2.0)])? - middle + self.value(eps, &[(i, -2.0)])?) / (4.0 * eps.powi(2)))
    }

    fn judge<D: Dimension>(
        &self,
        exact: &Array<f64, D>,
        approximate: impl Fn(f64) -> Result<Array<f64, D>, Error>,
    ) -> Result<Difference, Error> {
        judge::<F, D>(self.options, exact, approximate)
    }
}

/// The verdict on a derivative in the precision `F`, given its finite differences with a step: those with the step of the
/// options, else those of smaller steps, extrapolated.
pub(super) fn judge<F: Real, D: Dimension>(
    options: &DifferenceOptions,
    exact: &Array<f64, D>,
    approximate: impl Fn(f64) -> Result<Array<f64, D>, Error>,
) -> Result<Difference, Error> {
    let DifferenceOptions { eps, atol, rtol, .. } = *options;
    let size = norm(exact.iter().copied());
    let compared = |approx: &Array<f64, D>| {
        let error = norm(exact.iter().zip(approx).map(|(a, b)| a - b));
        Difference { error, relative: error / size.max(eps), norm: size, passed: false }
    };
    let mut coarse = approximate(eps)?;
    let first = compared(&coarse);
    // false for NaN, wherever it stands
    if first.error < atol && first.error < rtol * size.max(atol / rtol) {
        return Ok(Difference { passed: true, ..first });
    }
    let (mut step, mut before) = (eps, false);
    let smallest = 100.0 * F::epsilon().as_f64();
    while size.is_finite() && step > smallest {
        step /= 2.0;
        let fine = approximate(step)?;
        // the error of a central difference falls with the square of the step
        let extrapolated = Zip::from(&fine).and(&coarse).map_collect(|fine, coarse| (4.0 * fine - coarse) / 3.0);
        let found = compared(&extrapolated);
        let near = found.error < rtol / 50.0 * size;
        // by chance a wrong derivative is met by one step, not by two
        if near && before {
            return Ok(Difference { passed: true, ..found });
        }
        (coarse, before) = (fine, near);
    }
    Ok(first)
}
