//! Taylor checks: orders of convergence along a random direction.
use super::base::{base_exponent, power};
use super::{ALL_ZERO, Function, Normal, evaluate, norm, option, points, verdict};
use crate::{Error, Evaluate, Jet, Layer, Mode, Real, Request};
use ndarray::{Array1, Array2, ArrayBase, ArrayView2, Data, Ix2, Zip, s};
use std::fmt;

/// Options of [`input_derivative_check`] and [`network_derivative_check`].
#[derive(Clone, Debug, PartialEq)]
pub struct Options {
    /// Whether to check the Hessian (or include it in the loss), too. Default: `true`.
    pub hessian: bool,
    /// The mode of evaluation. Default: [`Mode::Auto`].
    pub mode: Mode,
    /// Number of steps `h = base^-k`, `k = 0 .. num_test`; at least 4. Default: 15.
    pub num_test: usize,
    /// Ratio of consecutive steps, above 1. Default: 2.
    pub base: f64,
    /// How far an order of convergence may fall short. Default: 0.1.
    pub tol: f64,
    /// Seed of the random direction. Default: 0.
    pub seed: u64,
}

impl Default for Options {
    fn default() -> Self {
        Self { hessian: true, mode: Mode::Auto, num_test: 15, base: 2.0, tol: 0.1, seed: 0 }
    }
}

impl Options {
    pub(super) fn check(&self) -> Result<(), Error> {
        option("num_test", self.num_test, self.num_test >= 4, "at least 4")?;
        option("base", self.base, self.base.is_finite() && self.base > 1.0, "a finite number above 1")?;
        option("tol", self.tol, self.tol.is_finite() && self.tol >= 0.0, "a finite number, not negative")?;
        let smallest = self.step(self.num_test - 1);
        option(
            "num_test",
            self.num_test,
            smallest.is_normal(),
            "fewer: the smallest step base^-(num_test - 1) vanishes",
        )
    }

    fn step(&self, k: usize) -> f64 {
        self.base.powf(-(k as f64))
    }

    pub(super) fn steps(&self) -> Vec<f64> {
        (0..self.num_test).map(|k| self.step(k)).collect()
    }
}

/// The errors and verdicts of a Taylor check; `Display` prints hessQuik's table.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
pub struct TaylorReport {
    /// Ratio of consecutive steps.
    pub base: f64,
    /// The steps `h`.
    pub h: Vec<f64>,
    /// Error of the value alone at each step.
    pub e0: Vec<f64>,
    /// Error of the expansion with the gradient, of order 2 if the gradient is correct.
    pub e1: Vec<f64>,
    /// Error of the expansion with gradient and Hessian, of order 3 if both are correct; `None` if the Hessian was not
    /// checked.
    pub e2: Option<Vec<f64>>,
    /// Whether the gradient passes.
    pub gradient: bool,
    /// Whether the Hessian passes; `None` if it was not checked.
    pub hessian: Option<bool>,
}

impl TaylorReport {
    /// Whether everything that was checked passes.
    pub fn passed(&self) -> bool {
        self.gradient && self.hessian != Some(false)
    }

    /// Whether all derivatives are zero and so play no part in the expansion. Such a check does not pass: a constant is
    /// more often a layer with a missing part than a function that somebody wants to check.
    pub fn vanishes(&self) -> bool {
        !self.e0.is_empty() && self.e0 == self.e1
    }
}

impl fmt::Display for TaylorReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let columns: Vec<&Vec<f64>> = [&self.e0, &self.e1].into_iter().chain(&self.e2).collect();
        write!(f, "{}", table(self.base, &self.h, &columns))?;
        if self.vanishes() {
            writeln!(f, "{ALL_ZERO}")?;
        }
        write!(f, "Gradient {}", verdict(self.gradient))?;
        self.hessian.map_or(Ok(()), |passed| write!(f, "\nHessian {}", verdict(passed)))
    }
}

/// Steps and errors as hessQuik prints them, a line for each step.
pub(super) fn table(base: f64, h: &[f64], columns: &[&Vec<f64>]) -> String {
    // a column and its two tabs are 24 characters wide
    let headings = ["h", "E0", "E1", "E2"].map(|heading| format!("{heading:24}"));
    let mut text = headings[..=columns.len()].concat().trim_end().to_string() + "\n";
    for (k, h) in h.iter().enumerate() {
        let exponent = (h.ln() / base.ln()).round() as i64;
        text += &base_exponent(1.0, base, exponent);
        columns.iter().for_each(|e| text += &format!("\t\t{}", power(e[k], base)));
        text += "\n";
    }
    text
}

/// Checks gradient and Hessian with respect to the points `x` (n_s, d) by Taylor expansions along a random direction `p`,
///
/// ```text
/// E0 = |f(x + h p) - f(x)|,  E1 = |... - h f'(x) p|,  E2 = |... - h^2/2 p f''(x) p|,     h = 1, 1/2, 1/4, ...
/// ```
///
/// with norms over all points and outputs, and `|p| = 1`. A correct gradient gives `E1` of order 2, a correct Hessian
/// `E2` of order 3 (E. Haber, *Computational Methods in Geophysical Electromagnetics*, 2014, chapter 5).
///
/// The gradient passes if more than `num_test / 3` of the observed orders, `log(E1[k] / E1[k + 1]) / log(base)`, are
/// above `2 - tol`, or if `E1` vanishes up to rounding, below `100 eps max(1, |f|)`, at `num_test / 4` steps; likewise
/// for the Hessian with order 3. If the steps are too coarse for a rapidly varying function, such as a network with
/// large weights, smaller ones are tried, down to those dominated by rounding, and the order at the finest of them
/// decides; the report then holds these steps. Beyond hessQuik's rule, the check fails if the derivatives are zero at
/// all points, if the order settles one lower at the smallest two steps above the rounding error, or if an error is not
/// finite. An error in a derivative that hardly acts along one random direction may pass, so try several seeds.
///
/// ```
/// use hessquik::check::{Options, input_derivative_check};
/// use hessquik::{Activation, Init, Single};
/// use ndarray::array;
/// let layer = Single::<f64>::new(2, 7, Activation::softplus(), &mut Init::seed(0));
/// let options = Options::default();
/// let report = input_derivative_check(&layer, &array![[0.1, 0.2], [0.3, 0.4]], &options)?;
/// assert!(report.gradient && report.hessian == Some(true));
/// println!("{report}");
/// # Ok::<(), hessquik::Error>(())
/// ```
///
/// # Errors
/// [`Error::Setting`] for invalid options or points that are not finite; [`Error::Shape`] without points, or if `f`
/// gives arrays whose shapes differ from those of [`Jet`]; [`Error::Request`] if `f` does not give a requested result;
/// and any error of `f` itself.
pub fn input_derivative_check<F: Real, S: Data<Elem = F>>(
    f: &(impl Function<F> + ?Sized),
    x: &ArrayBase<S, Ix2>,
    options: &Options,
) -> Result<TaylorReport, Error> {
    options.check()?;
    points(x.view())?;
    let x = x.view();
    let d = x.ncols();
    let request = Request::new().value().gradient().mode(options.mode.clone());
    let request = if options.hessian { request.hessian() } else { request };
    let jet = evaluate(f, x, &request, d, None)?;
    let value = jet.value.as_ref().expect("verified");
    let p = Normal::seed(options.seed).direction(x.dim());

    let at = |h: f64| -> Result<Vec<f64>, Error> {
        let moved = Zip::from(&x).and(&p).map_collect(|x, p| *x + F::of(h * p));
        let found = evaluate(f, moved.view(), &Request::new().value(), d, Some(value.ncols()))?;
        // the step as it was really taken, after rounding
        let step = Zip::from(&moved).and(&x).map_collect(|m, x| m.as_f64() - x.as_f64());
        let [first, second] = expansion(&jet, step.view());
        let mut e =
            Zip::from(found.value.as_ref().expect("verified")).and(value).map_collect(|a, b| a.as_f64() - b.as_f64());
        let e0 = norm(e.iter().copied());
        e -= &first;
        let e1 = norm(e.iter().copied());
        e -= &second;
        Ok(vec![e0, e1, norm(e.iter().copied())])
    };
    let rule = Rule::new::<F>(options, norm(value.iter().copied()));
    let mut look = Look::new(options.steps(), at)?;
    let (many, some) = (options.num_test / 3, options.num_test / 4);
    let zero = norm(jet.gradient.iter().flatten().copied()) == 0.0;
    let mut verdict = |column: usize| Ok::<_, Error>(!zero && look.passes(&rule, column, many, some)?);
    let gradient = verdict(1)?;
    let hessian = if options.hessian { Some(verdict(2)?) } else { None };
    let (h, errors) = look.into_parts();
    let [e0, e1, e2] = errors.try_into().expect("three columns");
    let e2 = options.hessian.then_some(e2);
    Ok(TaylorReport { base: options.base, h, e0, e1, e2, gradient, hessian })
}

/// `f' p` and `p f'' p / 2` (n_s, m) with the step `p` (n_s, d) of each point; zero without a Hessian.
fn expansion<F: Real>(jet: &Jet<F>, p: ArrayView2<f64>) -> [Array2<f64>; 2] {
    let gradient = jet.gradient.as_ref().expect("verified");
    let (n, _, m) = gradient.dim();
    let mut terms = [Array2::zeros((n, m)), Array2::zeros((n, m))];
    for (s, p) in p.rows().into_iter().enumerate() {
        for r in 0..m {
            terms[0][[s, r]] = gradient.slice(s![s, .., r]).iter().zip(p).map(|(g, p)| g.as_f64() * p).sum();
            if let Some(hessian) = &jet.hessian {
                let sum: f64 =
                    hessian.slice(s![s, .., .., r]).indexed_iter().map(|((a, b), h)| h.as_f64() * p[a] * p[b]).sum();
                terms[1][[s, r]] = sum / 2.0;
            }
        }
    }
    terms
}

/// Checks the gradient with respect to the weights, by a Taylor expansion along a random direction of the loss
///
/// ```text
/// L = |f(x)|^2 / 2 + |f'(x)|^2 / 2 + |f''(x)|^2 / 2
/// ```
///
/// (without the last term unless `options.hessian`), at points `x` (n_s, d); `layer` is a network or any layer. In the
/// report `E0 = |L(w + h p) - L(w)|` and `E1 = |... - h p L'(w)|` with `|p| = 1`, and `gradient` is the verdict.
///
/// The check passes if more than three of the observed orders are above `2 - tol`, or if `E1` vanishes up to rounding
/// at `num_test / 3` steps; it fails under the same conditions as [`input_derivative_check`].
///
/// ```
/// use hessquik::check::{Options, network_derivative_check};
/// use hessquik::{Activation, Init, Network, Single, resnet};
/// use ndarray::array;
/// let init = &mut Init::seed(0);
/// let network = Network::<f64>::new(vec![
///     Box::new(Single::new(2, 8, Activation::Tanh, init)),
///     Box::new(resnet(8, 3, 1.0, Activation::Tanh, init)?),
///     Box::new(Single::new(8, 1, Activation::Identity, init)),
/// ])?;
/// let options = Options::default();
/// let report = network_derivative_check(&network, &array![[0.1, 0.2], [0.3, 0.4]], &options)?;
/// assert!(report.gradient, "{report}");
/// # Ok::<(), hessquik::Error>(())
/// ```
///
/// # Errors
/// [`Error::Setting`] for invalid options, points that are not finite, or a layer without weights; and those of
/// [`Evaluate::evaluate`] and [`Evaluate::pullback`].
pub fn network_derivative_check<F: Real, S: Data<Elem = F>>(
    layer: &(impl Layer<F> + ?Sized),
    x: &ArrayBase<S, Ix2>,
    options: &Options,
) -> Result<TaylorReport, Error> {
    options.check()?;
    points(x.view())?;
    let request = Request::new().value().gradient().mode(options.mode.clone());
    let request = if options.hessian { request.hessian() } else { request };
    let jet = layer.evaluate(x, &request)?;
    // the derivative of half the square of a result is the result
    let gradient = layer.pullback(x, &request, &jet)?.weights;
    if gradient.is_empty() {
        return Err(Error::setting("the number of weights to check", 0, "at least 1"));
    }
    let loss = half_squares(&jet);
    let weights: Array1<F> = layer.weights().iter().flat_map(|(_, w)| w.iter().copied()).collect();
    let p = Normal::seed(options.seed).direction(weights.len());

    let mut moved = layer.clone_box();
    let at = |h: f64| -> Result<Vec<f64>, Error> {
        let theta = Zip::from(&weights).and(&p).map_collect(|w, p| *w + F::of(h * p));
        let mut entries = theta.iter();
        for (_, w) in moved.weights_mut() {
            w.iter_mut().zip(&mut entries).for_each(|(w, entry)| *w = *entry);
        }
        let change = half_squares(&moved.evaluate(x, &request)?) - loss;
        let steps = theta.iter().zip(&weights).map(|(t, w)| t.as_f64() - w.as_f64());
        let slope: f64 = gradient.iter().zip(steps).map(|(g, step)| g.as_f64() * step).sum();
        Ok(vec![change.abs(), (change - slope).abs()])
    };
    let rule = Rule::new::<F>(options, loss);
    let mut look = Look::new(options.steps(), at)?;
    let zero = gradient.iter().all(|g| *g == F::zero());
    let gradient = !zero && look.passes(&rule, 1, 3.min(options.num_test / 3), options.num_test / 3)?;
    let (h, errors) = look.into_parts();
    let [e0, e1] = errors.try_into().expect("two columns");
    Ok(TaylorReport { base: options.base, h, e0, e1, e2: None, gradient, hessian: None })
}

/// Half the sum of squares of value, gradient and Hessian.
fn half_squares<F: Real>(jet: &Jet<F>) -> f64 {
    let all = jet.value.iter().flatten().chain(jet.gradient.iter().flatten()).chain(jet.hessian.iter().flatten());
    all.map(|v| v.as_f64() * v.as_f64()).sum::<f64>() / 2.0
}

/// The errors at some steps, and the function that gives them.
pub(super) struct Look<A> {
    at: A,
    steps: Vec<f64>,
    /// `E0`, `E1` and so on at each step.
    errors: Vec<Vec<f64>>,
}

impl<A: FnMut(f64) -> Result<Vec<f64>, Error>> Look<A> {
    pub fn new(steps: Vec<f64>, at: A) -> Result<Self, Error> {
        let mut look = Self { at, steps, errors: Vec::new() };
        look.errors = look.errors_at(&look.steps.clone())?;
        Ok(look)
    }

    /// The steps that decided, and the errors there, column by column.
    pub fn into_parts(self) -> (Vec<f64>, Vec<Vec<f64>>) {
        (self.steps, self.errors)
    }

    fn errors_at(&mut self, steps: &[f64]) -> Result<Vec<Vec<f64>>, Error> {
        let mut errors = Vec::new();
        for &h in steps {
            let found = (self.at)(h)?;
            errors.resize(found.len(), Vec::new());
            found.into_iter().zip(&mut errors).for_each(|(e, errors)| errors.push(e));
        }
        Ok(errors)
    }

    /// Whether the derivative that the column `which` of the errors tells of is right, by their order `which + 1`: by the
    /// rule at the steps of the options, or, where these are too coarse for how fast the function changes, by the order at
    /// the finest steps that rounding leaves to see.
    pub fn passes(&mut self, rule: &Rule, which: usize, many: usize, some: usize) -> Result<bool, Error> {
        let order = which as i32 + 1;
        if rule.passes(&self.errors[which], order, many, some) {
            return Ok(true);
        }
        if !self.errors[which].iter().all(|e| e.is_finite()) {
            return Ok(false);
        }
        let count = (-rule.finest.ln() / rule.base.ln()) as usize;
        let steps: Vec<f64> = (0..=count).map(|k| rule.base.powf(-(k as f64))).collect();
        let errors = self.errors_at(&steps)?;
        // at steps this small nothing but rounding is left of a right expansion
        let noise = self.errors_at(&[1.0, 0.5, 0.25, 0.125].map(|part| rule.finest * part))?[which].clone();
        let floor = 10.0 * noise.into_iter().fold(rule.small / 10.0, f64::max);
        let Some(last) = rule.order_above(&errors[which], floor, order) else { return Ok(false) };
        // the table shows the steps that decided
        let shown = self.steps.len().min(steps.len());
        let from = (last + 2).saturating_sub(shown).min(steps.len() - shown);
        self.steps = steps[from..from + shown].to_vec();
        self.errors = errors.into_iter().map(|e| e[from..from + shown].to_vec()).collect();
        Ok(true)
    }
}

/// What it takes to pass.
pub(super) struct Rule {
    base: f64,
    tol: f64,
    /// Errors below this are but rounding.
    small: f64,
    /// The smallest step of a second look.
    finest: f64,
}

impl Rule {
    /// The rule for a function of this size.
    pub fn new<F: Real>(options: &Options, size: f64) -> Self {
        let unit = F::epsilon().as_f64();
        Self { base: options.base, tol: options.tol, small: 100.0 * unit * size.max(1.0), finest: 1000.0 * unit }
    }

    /// The last step at which an error is above `floor`, if the errors fall with this `order` (not with one less, as those
    /// of a wrong derivative do) over the steps to it, through at least a factor of 16.
    fn order_above(&self, errors: &[f64], floor: f64, order: i32) -> Option<usize> {
        let window = ((16f64.ln() / self.base.ln()).ceil() as usize).max(2);
        let last = errors.iter().rposition(|e| *e > floor)?;
        let first = last.checked_sub(window)?;
        let above = errors[first..=last].iter().all(|e| e.is_finite() && *e > floor);
        let observed = (errors[first] / errors[last]).ln() / (window as f64 * self.base.ln());
        (above && observed > f64::from(order) - 0.3).then_some(last)
    }

    /// Whether more than `many` observed orders are at least `order`, or errors at `some` steps are but rounding.
    fn passes(&self, errors: &[f64], order: i32, many: usize, some: usize) -> bool {
        if !errors.iter().all(|e| e.is_finite()) {
            return false;
        }
        // 0 / 0 is no order; an error that falls to zero is of any order
        let observed = |e: &[f64]| (e[0] / e[1]).ln() / self.base.ln();
        let order = f64::from(order);
        let seen = errors.windows(2).map(observed).filter(|o| *o > order - self.tol).count();
        // a wrong derivative shows one order lower, at steps small enough and yet above rounding; less for a while, where
        // the error of the derivative takes over from a remainder of the other sign
        let above = errors.windows(2).filter(|e| e[0] > self.small && e[1] > self.small).map(observed);
        let last: Vec<f64> = above.rev().take(2).collect();
        let settled = last.len() > 1 && last.iter().all(|o| (-1.0..0.5).contains(&(o - (order - 1.0))));
        (seen > many || errors.iter().filter(|e| **e < self.small).count() >= some) && !settled
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule() -> Rule {
        Rule::new::<f64>(&Options::default(), 1.0)
    }

    fn powers(order: i32) -> Vec<f64> {
        (0..15).map(|k| 2f64.powi(-order * k)).collect()
    }

    #[test]
    fn orders_decide() {
        assert!(rule().passes(&powers(2), 2, 5, 3));
        assert!(!rule().passes(&powers(1), 2, 5, 3));
        assert!(rule().passes(&powers(3), 3, 5, 3));
        assert!(!rule().passes(&powers(2), 3, 5, 3));
    }

    #[test]
    fn zeros_pass_and_nan_fails() {
        assert!(rule().passes(&[0.0; 15], 2, 5, 3));
        assert!(rule().passes(&[1e-15; 15], 3, 5, 3));
        assert!(!rule().passes(&[1e-3; 15], 2, 5, 3));
        for bad in [f64::NAN, f64::INFINITY] {
            for at in 0..15 {
                let (mut right, mut zeros) = (powers(2), vec![0.0; 15]);
                (right[at], zeros[at]) = (bad, bad);
                assert!(!rule().passes(&right, 2, 5, 3));
                assert!(!rule().passes(&zeros, 2, 5, 3));
            }
        }
    }

    #[test]
    fn slightly_wrong_derivatives_fail() {
        // right down to h = 1e-3: hessQuik's rule sees orders enough
        let wrong = |order: i32| {
            let e = |k| 2f64.powi(-order * k) + 1e-3 * 2f64.powi((1 - order) * k);
            (0..15).map(e).collect::<Vec<_>>()
        };
        assert!(wrong(2).windows(2).filter(|e| (e[0] / e[1]).log2() > 1.9).count() > 5);
        assert!(!rule().passes(&wrong(2), 2, 5, 3));
        assert!(!rule().passes(&wrong(3), 3, 5, 3));
        // tiny steps make any error small
        let rule = Rule::new::<f64>(&Options { base: 10.0, ..Options::default() }, 1.0);
        let wrong: Vec<f64> = (0..15).map(|k| 1e-2 * 10f64.powi(-k)).collect();
        assert!(wrong.iter().filter(|e| **e < 100.0 * f64::EPSILON).count() >= 3);
        assert!(!rule.passes(&wrong, 2, 5, 3));
    }
}
