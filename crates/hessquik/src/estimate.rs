//! Estimates of Laplacians, bilaplacians and operators from random directions, with their standard errors.
//!
//! With directions `v` whose entries are independent, of mean zero and variance one, `E[v H v^T]` is the Laplacian, and
//! `E[v B H v^T]` is `tr(B H)` (Hutchinson, *A stochastic estimator of the trace of the influence matrix for Laplacian
//! smoothing splines*, 1990). With normal entries `E[D^4 f[v]]` is three times the bilaplacian (Hu et al., *Hutchinson trace
//! estimation for high-dimensional and high-order physics-informed neural networks*, 2024). Terms of an operator of order
//! three and more are drawn at random themselves, in proportion to their coefficients (Shi et al., *Stochastic Taylor
//! derivative estimator*, 2024).
//!
//! Where the Hessian has few large eigenvalues, [`Options::sketch`] takes their part of the Laplacian exactly (Hutch++).
//!
//! Each direction costs about two evaluations of the network, whatever the number of inputs; an exact Laplacian costs
//! about one for each input. So estimates pay where inputs are many more than the directions that the standard error,
//! which falls with the square root of their number, calls for. They are the same for the same seed on every machine, up
//! to the rounding of the network's own numbers.
//!
//! ```
//! use hessquik::estimate::{Estimate, Options, Quantity, estimate};
//! use hessquik::{Activation, Evaluate, Init, Request, fully_connected};
//! let network = fully_connected::<f64>(&[200, 16, 1], Activation::Tanh, &mut Init::seed(0))?;
//! let x = Init::seed(1).normal((5, 200), 1.0);
//! let options = Options { directions: 64, ..Options::default() };
//! let Estimate { mean, standard_error } = estimate(&network, &x, &Quantity::Laplacian, &options)?;
//! let exact = network.evaluate(&x, &Request::new().laplacian())?.laplacian.unwrap();
//! let off = (&mean - &exact) / &standard_error;
//! assert!(off.iter().all(|off| off.abs() < 5.0));
//! # Ok::<(), hessquik::Error>(())
//! ```
mod sketch;

use crate::request::Term;
use crate::{Error, Init, Layer, Network, Prepared, Real, Request, Var};
use ndarray::{Array2, ArrayBase, ArrayView2, Axis, Data, Ix2, Slice, concatenate, s};
use std::collections::BTreeMap;
use std::str::FromStr;

/// What is estimated.
#[derive(Clone, Debug, PartialEq)]
pub enum Quantity<F> {
    /// The trace of the Hessian.
    Laplacian,
    /// The Laplacian of the Laplacian; its directions are Gaussian.
    Bilaplacian,
    /// `tr(B H)`, for any matrix (d, d).
    Operator(Array2<F>),
    /// A sum of partials times coefficients, as in [`Request::operator_terms`].
    ///
    /// Terms of orders 0 and 1 are exact, and those of order 2 are estimated from directions. If there are terms of
    /// higher orders, terms are drawn instead of directions, in proportion to their coefficients: if they are few,
    /// evaluate them all.
    Terms(Vec<(Vec<usize>, F)>),
}

/// How the entries of random directions are distributed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Kind {
    /// Plus or minus one: the smallest variance for traces, twice the sum of the squares of the entries off the diagonal
    /// of the (symmetric) matrix, for each direction.
    #[default]
    Rademacher,
    /// Standard normal: twice the sum of the squares of all entries.
    Gaussian,
}

impl FromStr for Kind {
    type Err = Error;
    fn from_str(name: &str) -> Result<Self, Error> {
        match name {
            "rademacher" => Ok(Self::Rademacher),
            "gaussian" => Ok(Self::Gaussian),
            _ => Err(Error::setting("the kind of directions", format!("{name:?}"), "rademacher or gaussian")),
        }
    }
}

/// Options of [`estimate`].
#[derive(Clone, Debug, PartialEq)]
pub struct Options<F> {
    /// Number of random directions, at least 2. Default: 32.
    pub directions: usize,
    /// Seed of the directions. Default: 0.
    pub seed: u64,
    /// Their distribution. Default: [`Kind::Rademacher`].
    pub kind: Kind,
    /// Whether each point has directions of its own, so that errors at different points are independent. The sweeps
    /// of values and adjoints are then not shared by the directions, and an estimate takes up to three times as long.
    /// Default: `false`.
    pub per_point: bool,
    /// Of the Laplacian, how many directions of the Hessian's range are exact at each point, found by as many products with
    /// the Hessian; the random directions estimate what is left. It pays where few eigenvalues of the Hessian are large:
    /// the standard error is then that of the small ones. Default: 0, all of the trace is estimated.
    pub sketch: usize,
    /// Output directions, the columns of a matrix (m, q). Default: the outputs themselves.
    pub outputs: Option<Array2<F>>,
}

impl<F> Default for Options<F> {
    fn default() -> Self {
        Self { directions: 32, seed: 0, kind: Kind::Rademacher, per_point: false, sketch: 0, outputs: None }
    }
}

/// An estimate with its standard error.
#[derive(Clone, Debug, PartialEq)]
pub struct Estimate<F> {
    /// The mean over the directions (n_s, q), an unbiased estimate.
    pub mean: Array2<F>,
    /// The standard deviation of the mean (n_s, q), as the spread of the directions shows it.
    pub standard_error: Array2<F>,
}

/// Numbers of a block of directions: 8 MiB in double precision.
const BLOCK: usize = 1 << 20;
/// Directions of a block, at most.
const MOST: usize = 64;

/// Estimates a quantity at points `x` (n_s, d).
///
/// Directions are drawn and evaluated in blocks of at most 64, and of 2^20 numbers in all (or one direction, if that is
/// longer). So, beside the points and the result, the memory is that of a few blocks and of one tile of points for each
/// thread, whatever the number of directions: 10^5 inputs take 100 to 200 MB.
///
/// ```
/// use hessquik::estimate::{Kind, Options, Quantity, estimate};
/// use hessquik::{Activation, Init, fully_connected};
/// let network = fully_connected::<f64>(&[20, 8, 1], Activation::Tanh, &mut Init::seed(0))?;
/// let x = Init::seed(1).normal((4, 20), 1.0);
/// let options = Options { kind: Kind::Gaussian, per_point: true, ..Options::default() };
/// let found = estimate(&network, &x, &Quantity::Bilaplacian, &options)?;
/// assert_eq!(found.mean.dim(), (4, 1));
/// // entries of plus and minus one say nothing about fourth derivatives along one axis
/// assert!(estimate(&network, &x, &Quantity::Bilaplacian, &Options::default()).is_err());
/// # Ok::<(), hessquik::Error>(())
/// ```
///
/// # Errors
/// [`Error::Setting`] for fewer than two directions, for a bilaplacian with Rademacher directions, for a sketch of
/// anything but the Laplacian, and for invalid terms or entries; [`Error::Request`] for terms above the second order with directions per point; and those of
/// [`Evaluate::evaluate`](crate::Evaluate::evaluate).
pub fn estimate<F: Real, L: Layer<F> + ?Sized, S: Data<Elem = F>>(
    layer: &L,
    x: &ArrayBase<S, Ix2>,
    quantity: &Quantity<F>,
    options: &Options<F>,
) -> Result<Estimate<F>, Error> {
    estimate_while(layer, x, quantity, options, &|| true).map(|found| found.expect("nobody stops it"))
}

/// As [`estimate`], but calls `go_on` before each block of directions, and gives up with `None` once that is false.
///
/// ```
/// use hessquik::estimate::{Options, Quantity, estimate_while};
/// use hessquik::{Activation, Init, fully_connected};
/// let network = fully_connected::<f64>(&[20, 8, 1], Activation::Tanh, &mut Init::seed(0))?;
/// let x = Init::seed(1).normal((4, 20), 1.0);
/// assert_eq!(estimate_while(&network, &x, &Quantity::Laplacian, &Options::default(), &|| false)?, None);
/// # Ok::<(), hessquik::Error>(())
/// ```
///
/// # Errors
/// Those of [`estimate`].
pub fn estimate_while<F: Real, L: Layer<F> + ?Sized, S: Data<Elem = F>>(
    layer: &L,
    x: &ArrayBase<S, Ix2>,
    quantity: &Quantity<F>,
    options: &Options<F>,
    go_on: &dyn Fn() -> bool,
) -> Result<Option<Estimate<F>>, Error> {
    let d = layer.dim_input();
    let (x, wanted) = (x.view(), format!("[n_s, {d}]"));
    if x.ncols() != d {
        return Err(Error::shape("the array of points", x.shape(), wanted));
    }
    if options.directions < 2 {
        let wanted = "at least 2, between which there is a spread";
        return Err(Error::setting("the number of directions of an estimate", options.directions, wanted));
    }
    let request = || match &options.outputs {
        Some(u) => Request::new().outputs(u.clone()),
        None => Request::new(),
    };
    let run = Run { layer, x, options, request: &request, go_on };
    if options.sketch > 0 {
        return match quantity {
            Quantity::Laplacian => run.sketched(),
            _ => {
                Err(Error::setting("the directions of a sketch", options.sketch, "0: only the Laplacian has sketches"))
            }
        };
    }
    let (moments, exact) = match quantity {
        Quantity::Laplacian => (run.directions(&Form::Square)?, None),
        Quantity::Bilaplacian if options.kind == Kind::Rademacher => {
            let wanted = "gaussian: the fourth power of an entry of +-1 has the mean 1, not 3, so that the estimate would \
                          miss two thirds of each fourth derivative along one axis";
            return Err(Error::setting("the kind of directions for the bilaplacian", "rademacher", wanted));
        }
        Quantity::Bilaplacian => (run.directions(&Form::Fourth)?, None),
        Quantity::Operator(b) => {
            if b.dim() != (d, d) {
                return Err(Error::shape("the operator B", b.shape(), format!("[{d}, {d}]")));
            }
            if let Some(((i, j), entry)) = b.indexed_iter().find(|(_, b)| !b.is_finite()) {
                return Err(Error::setting(format!("entry [{i}, {j}] of the operator B"), entry, "a finite number"));
            }
            (run.directions(&Form::Pair(&|v| v.dot(b)))?, None)
        }
        Quantity::Terms(terms) => run.terms(terms)?,
    };
    let Some(moments) = moments else { return Ok(None) };
    let mut found = moments.estimate();
    if let Some(exact) = exact {
        found.mean += &exact;
    }
    Ok(Some(found))
}

/// Random directions (count, d), divided by the square root of their number: the Laplacian along them is an estimate of the
/// Laplacian, in any request, with its pullback. (For a loss of estimates; [`estimate`] has the standard error.)
///
/// ```
/// use hessquik::estimate::{Kind, directions};
/// use hessquik::{Activation, Evaluate, Init, Request, fully_connected};
/// let network = fully_connected::<f64>(&[50, 8, 1], Activation::Tanh, &mut Init::seed(0))?;
/// let x = Init::seed(1).normal((4, 50), 1.0);
/// let request = Request::new().laplacian().directions(directions(Kind::Rademacher, 8, 50, 3));
/// let jet = network.evaluate(&x, &request)?;
/// assert_eq!(jet.laplacian.unwrap().dim(), (4, 1));
/// # Ok::<(), hessquik::Error>(())
/// ```
pub fn directions<F: Real>(kind: Kind, count: usize, d: usize, seed: u64) -> Array2<F> {
    let scale = F::of((count.max(1) as f64).sqrt().recip());
    draw::<F>(&mut Init::seed(seed), kind, count, d).mapv(|v| v * scale)
}

/// The next directions, (count, d).
fn draw<F: Real>(init: &mut Init, kind: Kind, count: usize, d: usize) -> Array2<F> {
    match kind {
        Kind::Gaussian => init.normal((count, d), 1.0),
        Kind::Rademacher => {
            init.uniform::<f64, _, _>((count, d), -1.0, 1.0).mapv(|u| if u < 0.0 { -F::one() } else { F::one() })
        }
    }
}

/// What is computed along a direction `v`.
enum Form<'a, F> {
    /// `v H v^T`.
    Square,
    /// A third of `D^4 f[v]`.
    Fourth,
    /// `v B H v^T`, with `v B` for rows `v`.
    Pair(&'a dyn Fn(&Array2<F>) -> Array2<F>),
}

impl<F: Real> Form<'_, F> {
    fn factor(&self) -> f64 {
        if matches!(self, Self::Fourth) { 1.0 / 3.0 } else { 1.0 }
    }

    /// The directions beside `v` that are needed with it.
    fn with(&self, v: Array2<F>) -> Array2<F> {
        match self {
            Self::Pair(times) => concatenate(Axis(0), &[v.view(), times(&v).view()]).expect("of one width"),
            _ => v,
        }
    }

    /// The partial along direction `a` of those drawn, the other of a pair being `b`.
    fn axes(&self, a: usize, b: usize) -> Vec<usize> {
        match self {
            Self::Square => vec![a, a],
            Self::Fourth => vec![a; 4],
            Self::Pair(_) => vec![a, b],
        }
    }
}

/// An estimate on its way.
struct Run<'a, F: Real, L: ?Sized> {
    layer: &'a L,
    x: ArrayView2<'a, F>,
    options: &'a Options<F>,
    request: &'a dyn Fn() -> Request<F>,
    go_on: &'a dyn Fn() -> bool,
}

impl<F: Real, L: Layer<F> + ?Sized> Run<'_, F, L> {
    fn directions(&self, form: &Form<'_, F>) -> Result<Option<Moments>, Error> {
        if self.options.per_point { self.per_point(form) } else { self.shared(form) }
    }

    /// Directions that all points share.
    fn shared(&self, form: &Form<'_, F>) -> Result<Option<Moments>, Error> {
        let (d, count) = (self.x.ncols(), self.options.directions);
        let mut init = Init::seed(self.options.seed);
        let mut moments = Moments::default();
        let block = (BLOCK / d).clamp(1, MOST);
        for from in (0..count).step_by(block) {
            if !(self.go_on)() {
                return Ok(None);
            }
            let b = block.min(count - from);
            let v = form.with(draw(&mut init, self.options.kind, b, d));
            let partials: Vec<Vec<usize>> = (0..b).map(|a| form.axes(a, b + a)).collect();
            let request = (self.request)().directions(v).any_partials(&partials);
            let found = Prepared::new(self.layer, request)?.evaluate(&self.x)?.partials.expect("asked for");
            found.axis_iter(Axis(1)).for_each(|sample| moments.add(sample, form.factor()));
        }
        Ok(Some(moments))
    }

    /// Directions of each point: derivatives with respect to `t` and `s` of the network at `x + t v + s w`.
    fn per_point(&self, form: &Form<'_, F>) -> Result<Option<Moments>, Error> {
        let (n, d) = self.x.dim();
        let ways = if matches!(form, Form::Pair(_)) { 2 } else { 1 };
        let network = Network::new(vec![Box::new(Line { d, ways }), self.layer.clone_box()])?;
        let t = d * (1 + ways);
        let request = (self.request)().any_partials(&[form.axes(t, t + 1)]);
        let prepared = Prepared::new(&network, request)?;
        let mut init = Init::seed(self.options.seed);
        let mut moments = Moments::default();
        let block = (BLOCK / (t + ways)).max(1);
        let q = self.options.outputs.as_ref().map_or(self.layer.dim_output(), |u| u.ncols());
        for _ in 0..self.options.directions {
            let mut sample = Array2::zeros((n, q));
            for from in (0..n).step_by(block) {
                if !(self.go_on)() {
                    return Ok(None);
                }
                let rows = Slice::from(from..(from + block).min(n));
                let x = self.x.slice_axis(Axis(0), rows);
                let mut points = Array2::zeros((x.nrows(), t + ways));
                points.slice_mut(s![.., ..d]).assign(&x);
                let v = draw(&mut init, self.options.kind, x.nrows(), d);
                points.slice_mut(s![.., d..2 * d]).assign(&v);
                if let Form::Pair(times) = form {
                    points.slice_mut(s![.., 2 * d..3 * d]).assign(&times(&v));
                }
                let found = prepared.evaluate(&points)?.partials.expect("asked for");
                sample.slice_axis_mut(Axis(0), rows).assign(&found.index_axis(Axis(1), 0));
            }
            moments.add(sample.view(), form.factor());
        }
        Ok(Some(moments))
    }

    /// The estimate of terms, and what of them is exact.
    #[allow(clippy::type_complexity)]
    fn terms(&self, terms: &[(Vec<usize>, F)]) -> Result<(Option<Moments>, Option<Array2<F>>), Error> {
        let all = (self.request)().operator_terms(terms);
        all.of_matrix(self.x.ncols())?;
        let mut orders = all.terms_by_order();
        let mut exact: Vec<(Vec<usize>, F)> = Vec::new();
        for order in [0, 1] {
            exact.extend(orders.remove(&order).into_iter().flatten().map(|(axes, c)| (axes, F::of(c))));
        }
        let exact = match exact.is_empty() {
            true => None,
            false => {
                let request = (self.request)().operator_terms(&exact);
                Prepared::new(self.layer, request)?.evaluate(&self.x)?.operator
            }
        };
        if orders.keys().all(|&order| order == 2) {
            let second = orders.remove(&2).unwrap_or_default();
            let times = |v: &Array2<F>| {
                let mut w = Array2::zeros(v.dim());
                for (axes, c) in &second {
                    w.column_mut(axes[1]).scaled_add(F::of(*c), &v.column(axes[0]));
                }
                w
            };
            return Ok((self.directions(&Form::Pair(&times))?, exact));
        }
        if self.options.per_point {
            let (_, terms) = orders.last_key_value().expect("a higher order");
            return Err(Error::Request(format!(
                "{} is of order {}: of such operators terms are drawn, not directions, and all points share them; leave \
                 out directions per point",
                Term(&terms[0].0),
                terms[0].0.len()
            )));
        }
        Ok((self.drawn(&orders.into_values().flatten().collect::<Vec<_>>())?, exact))
    }

    /// Terms drawn in proportion to their coefficients.
    fn drawn(&self, terms: &[(Vec<usize>, f64)]) -> Result<Option<Moments>, Error> {
        let mut sums = Vec::with_capacity(terms.len());
        let size = terms.iter().fold(0.0, |sum, (_, c)| {
            sums.push(sum + c.abs());
            sum + c.abs()
        });
        let mut init = Init::seed(self.options.seed);
        let mut moments = Moments::default();
        for from in (0..self.options.directions).step_by(MOST) {
            if !(self.go_on)() {
                return Ok(None);
            }
            let b = MOST.min(self.options.directions - from);
            let drawn = init.uniform::<f64, _, _>(b, 0.0, size);
            let drawn = drawn.map(|u| sums.partition_point(|sum| sum <= u).min(terms.len() - 1));
            // each term once
            let mut places: BTreeMap<usize, usize> = BTreeMap::new();
            drawn.iter().for_each(|&term| {
                let next = places.len();
                places.entry(term).or_insert(next);
            });
            let mut axes = vec![&[][..]; places.len()];
            places.iter().for_each(|(&term, &place)| axes[place] = &terms[term].0);
            let request = (self.request)().any_partials(&axes);
            let found = Prepared::new(self.layer, request)?.evaluate(&self.x)?.partials.expect("asked for");
            for term in drawn {
                moments.add(found.index_axis(Axis(1), places[&term]), size * terms[term].1.signum());
            }
        }
        Ok(Some(moments))
    }
}

/// Mean and sum of the squares of differences from it, sample by sample (Welford).
#[derive(Default)]
struct Moments {
    count: f64,
    mean: Array2<f64>,
    squares: Array2<f64>,
}

impl Moments {
    fn add<F: Real>(&mut self, sample: ArrayView2<F>, factor: f64) {
        if self.count == 0.0 {
            (self.mean, self.squares) = (Array2::zeros(sample.dim()), Array2::zeros(sample.dim()));
        }
        self.count += 1.0;
        let all = ndarray::Zip::from(&mut self.mean).and(&mut self.squares).and(sample);
        all.for_each(|mean, squares, sample| {
            let sample = factor * sample.as_f64();
            let before = sample - *mean;
            *mean += before / self.count;
            *squares += before * (sample - *mean);
        });
    }

    fn estimate<F: Real>(self) -> Estimate<F> {
        let count = self.count * (self.count - 1.0);
        let standard_error = self.squares.mapv(|squares| F::of((squares / count).sqrt()));
        Estimate { mean: self.mean.mapv(F::of), standard_error }
    }
}

/// `x + t v`, or `x + t v + s w`, of features `[x, v, t]` or `[x, v, w, t, s]`.
#[derive(Clone, Debug)]
struct Line {
    d: usize,
    ways: usize,
}

impl<F: Real> Layer<F> for Line {
    fn name(&self) -> String {
        "line".into()
    }
    fn dim_input(&self) -> usize {
        self.d * (1 + self.ways) + self.ways
    }
    fn dim_output(&self) -> usize {
        self.d
    }
    fn forward_pass(&self, u: Var<F>) -> Var<F> {
        let part = |i: usize| u.slice(0, i * self.d..(i + 1) * self.d);
        let way = |i: usize| {
            let t = self.d * (1 + self.ways) + i;
            part(1 + i) * u.slice(0, t..t + 1).broadcast_to(&[self.d])
        };
        (0..self.ways).fold(part(0), |sum, i| sum + way(i))
    }
}
