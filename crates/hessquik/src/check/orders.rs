//! Checks of derivatives of any order, each against the order below.
use super::difference::{Difference, DifferenceOptions, judge};
use super::taylor::{Look, Options, Rule, table};
use super::{ALL_ZERO, Function, Normal, evaluate, norm, points, verdict};
use crate::request::HIGHEST;
use crate::{Error, Real, Request};
use ndarray::{Array2, ArrayBase, ArrayView2, Axis, Data, Ix2, Zip};
use std::fmt;

/// One order of a [`OrdersReport`].
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
pub struct OrderTable {
    /// The order `j`.
    pub order: usize,
    /// The steps `h`.
    pub h: Vec<f64>,
    /// How far the derivative of order `j - 1` moves.
    pub e0: Vec<f64>,
    /// What is left of that after the derivative of order `j`; of order 2 if that is correct.
    pub e1: Vec<f64>,
    /// Whether the derivative passes.
    pub passed: bool,
}

/// The errors and verdicts of [`higher_derivative_check`]; `Display` prints a table for each order.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
pub struct OrdersReport {
    /// Ratio of consecutive steps.
    pub base: f64,
    /// One for each order, from 1 on.
    pub orders: Vec<OrderTable>,
    /// Whether all derivatives are zero at all points, so that there is nothing to check; the check then does not pass.
    pub vanishes: bool,
}

impl OrdersReport {
    /// Whether all orders pass.
    pub fn passed(&self) -> bool {
        !self.vanishes && self.orders.iter().all(|order| order.passed)
    }
}

impl fmt::Display for OrdersReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.vanishes {
            writeln!(f, "{ALL_ZERO}")?;
        }
        for (i, OrderTable { order, h, e0, e1, passed }) in self.orders.iter().enumerate() {
            let newline = if i > 0 { "\n" } else { "" };
            write!(f, "{newline}{}", table(self.base, h, &[e0, e1]))?;
            write!(f, "Derivative of order {order} {}", verdict(*passed))?;
        }
        Ok(())
    }
}

/// Checks the derivatives of orders 1 to `order` along a random direction `p` (d), `|p| = 1`, at points `x` (n_s, d), each by
/// a Taylor expansion of the order below:
///
/// ```text
/// E0 = |D^(j-1) f(x + h p) - D^(j-1) f(x)|,    E1 = |... - h D^j f(x)|,     h = 1, 1/2, 1/4, ...
/// ```
///
/// A correct `D^j` gives an `E1` of order 2; an expansion of values up to order `j` would drown in rounding after a few
/// steps. What passes is decided as in [`input_derivative_check`](super::input_derivative_check), and so are the steps that
/// are shown. The derivatives are those of [`Request::directional`]; that partials and operators agree with them is
/// checked by [`partials_check_finite_difference`].
///
/// ```
/// use hessquik::check::{Options, higher_derivative_check};
/// use hessquik::{Activation, Init, fully_connected};
/// use ndarray::array;
/// let network = fully_connected::<f64>(&[2, 8, 1], Activation::Tanh, &mut Init::seed(0))?;
/// let report = higher_derivative_check(&network, &array![[0.1, 0.2], [0.3, 0.4]], 5, &Options::default())?;
/// assert!(report.passed(), "{report}");
/// # Ok::<(), hessquik::Error>(())
/// ```
///
/// # Errors
/// Those of [`input_derivative_check`](super::input_derivative_check), and [`Error::Setting`] for an order that is not 1 to
/// 8. `options.hessian` is ignored.
pub fn higher_derivative_check<F: Real, S: Data<Elem = F>>(
    f: &(impl Function<F> + ?Sized),
    x: &ArrayBase<S, Ix2>,
    order: usize,
    options: &Options,
) -> Result<OrdersReport, Error> {
    options.check()?;
    if !(1..=HIGHEST).contains(&order) {
        return Err(Error::setting("the order of a derivative check", order, format!("1 to {HIGHEST}")));
    }
    points(x.view())?;
    let (x, d) = (x.view(), x.ncols());
    let p: Array2<F> = Normal::seed(options.seed).direction((1, d)).mapv(F::of);
    // orders 0 to `last` (n_s, q) of each
    let derivatives = |x: ArrayView2<F>, last: usize| -> Result<Vec<Array2<f64>>, Error> {
        let request = Request::new().value().directions(p.clone()).mode(options.mode.clone());
        let request = if last == 0 { request } else { request.directional(last) };
        let jet = evaluate(f, x, &request, 1, None)?;
        let value = jet.value.expect("verified").mapv(|v| v.as_f64());
        let higher = jet.directional.iter().flat_map(|all| {
            all.axis_iter(Axis(1)).map(|one| one.index_axis(Axis(1), 0).mapv(|v| v.as_f64())).collect::<Vec<_>>()
        });
        Ok([value].into_iter().chain(higher).collect())
    };
    let all = derivatives(x, order)?;
    let mut orders = Vec::new();
    for j in 1..=order {
        let at = |h: f64| -> Result<Vec<f64>, Error> {
            // the point as it is after rounding, and the step that it took along p
            let moved = Zip::from(&x).and_broadcast(&p).map_collect(|x, p| *x + F::of(h * p.as_f64()));
            let found = derivatives(moved.view(), j - 1)?.pop().expect("one more than the order");
            let change = found - &all[j - 1];
            let e0 = norm(change.iter().copied());
            Ok(vec![e0, norm((change - &all[j] * h).iter().copied())])
        };
        let rule = Rule::new::<F>(options, norm(all[j - 1].iter().copied()));
        let mut look = Look::new(options.steps(), at)?;
        let passed = look.passes(&rule, 1, options.num_test / 3, options.num_test / 4)?;
        let (h, mut errors) = look.into_parts();
        let e1 = errors.pop().expect("two columns");
        let e0 = errors.pop().expect("two columns");
        orders.push(OrderTable { order: j, h, e0, e1, passed });
    }
    let vanishes = all[1..].iter().flatten().all(|d| *d == 0.0);
    Ok(OrdersReport { base: options.base, orders, vanishes })
}

/// One partial of a [`PartialsReport`].
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
pub struct PartialDifference {
    /// The axes.
    pub axes: Vec<usize>,
    /// How it compares with finite differences.
    #[serde(flatten)]
    pub difference: Difference,
}

/// The errors and verdicts of [`partials_check_finite_difference`]; `Display` prints a line for each.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
pub struct PartialsReport {
    /// One for each tuple of axes.
    pub partials: Vec<PartialDifference>,
}

impl PartialsReport {
    /// Whether all partials pass.
    pub fn passed(&self) -> bool {
        !self.vanishes() && self.partials.iter().all(|p| p.difference.passed)
    }

    /// Whether all partials are zero at all points, so that there is nothing to check; the check then does not pass.
    pub fn vanishes(&self) -> bool {
        self.partials.iter().all(|p| p.difference.norm == 0.0)
    }
}

impl fmt::Display for PartialsReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.vanishes() {
            writeln!(f, "{ALL_ZERO}")?;
        }
        let lines = self.partials.iter().map(|PartialDifference { axes, difference: d }| {
            let axes = axes.iter().map(ToString::to_string).collect::<Vec<_>>().join("-");
            d.lines(&format!("Partial {axes}"))
        });
        f.write_str(&lines.collect::<Vec<_>>().join("\n"))
    }
}

/// For each order from 3 to `order`, the pure partial along the first axis and a mixed one along the `d` axes in turn: what
/// the command and Python check.
///
/// ```
/// use hessquik::check::some_partials;
/// assert_eq!(some_partials(2, 4), [vec![0, 0, 0], vec![0, 1, 0], vec![0, 0, 0, 0], vec![0, 1, 0, 1]]);
/// assert_eq!(some_partials(1, 3), [[0, 0, 0]]);
/// ```
pub fn some_partials(d: usize, order: usize) -> Vec<Vec<usize>> {
    let both = |j: usize| [vec![0; j], (0..j).map(|a| a % d.max(1)).collect()];
    let mut all: Vec<Vec<usize>> = (3..=order).flat_map(both).collect();
    all.dedup();
    all
}

/// Checks partial derivatives, of any order up to 8, by central differences of the partials with one axis less, the last
/// one; of order 1 by those of the value. What passes is decided as in
/// [`input_derivative_check_finite_difference`](super::input_derivative_check_finite_difference).
///
/// ```
/// use hessquik::check::{DifferenceOptions, partials_check_finite_difference};
/// use hessquik::{Activation, Init, fully_connected};
/// use ndarray::array;
/// let network = fully_connected::<f64>(&[2, 8, 1], Activation::Tanh, &mut Init::seed(0))?;
/// let partials = [vec![0], vec![0, 1, 1], vec![1, 1, 1, 1]];
/// let report = partials_check_finite_difference(&network, &array![[0.1, 0.2]], &partials, &DifferenceOptions::default())?;
/// assert!(report.passed(), "{report}");
/// # Ok::<(), hessquik::Error>(())
/// ```
///
/// # Errors
/// Those of [`higher_derivative_check`], and of axes that are none, as in
/// [`Evaluate::evaluate`](crate::Evaluate::evaluate).
pub fn partials_check_finite_difference<F: Real, S: Data<Elem = F>>(
    f: &(impl Function<F> + ?Sized),
    x: &ArrayBase<S, Ix2>,
    partials: &[Vec<usize>],
    options: &DifferenceOptions,
) -> Result<PartialsReport, Error> {
    options.check()?;
    points(x.view())?;
    if partials.is_empty() {
        return Err(Error::setting("the number of partials to check", 0, "at least 1"));
    }
    let (x, d) = (x.view(), x.ncols());
    // the partial along these axes (n_s, q)
    let partial = |x: ArrayView2<F>, axes: &[usize]| -> Result<Array2<f64>, Error> {
        let request = Request::new().value().mode(options.mode.clone());
        let request = if axes.is_empty() { request } else { request.any_partials(&[axes]) };
        let jet = evaluate(f, x, &request, d, None)?;
        let found = jet.partials.map(|all| all.index_axis_move(Axis(1), 0)).or(jet.value).expect("verified");
        Ok(found.mapv(|v| v.as_f64()))
    };
    let one = |axes: &Vec<usize>| {
        let exact = partial(x, axes)?;
        let (&last, lower) = axes.split_last().ok_or_else(|| Error::setting("the order of a partial", 0, "1 to 8"))?;
        let difference = judge::<F, _>(options, &exact, |eps| {
            let at = |eps: f64| {
                let mut moved = x.to_owned();
                moved.column_mut(last).mapv_inplace(|x| x + F::of(eps));
                partial(moved.view(), lower)
            };
            Ok((at(eps)? - at(-eps)?) / (2.0 * eps))
        })?;
        Ok(PartialDifference { axes: axes.clone(), difference })
    };
    Ok(PartialsReport { partials: partials.iter().map(one).collect::<Result<_, Error>>()? })
}
