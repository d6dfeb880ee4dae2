//! A request in the open, and what it should give, as sums over the full derivatives of the oracle.
use super::compare::map_fields;
use super::{Jets, oracle};
use hessquik::{Jet, Mode, Real, Request};
use ndarray::{Array2, Array3, Array4};

/// What a [`Request`] asks for, with fields that the tests can read.
#[derive(Clone, Debug, Default)]
pub struct Ask {
    pub value: bool,
    pub gradient: bool,
    pub hessian: bool,
    pub packed: bool,
    pub diagonal: bool,
    pub laplacian: bool,
    pub operator: Option<Array2<f64>>,
    pub products: Option<Array2<f64>>,
    pub block: Option<(Vec<usize>, Vec<usize>)>,
    pub partials: Option<Vec<(usize, usize)>>,
    pub directions: Option<Array2<f64>>,
    pub outputs: Option<Array2<f64>>,
    pub mode: Mode,
}

impl Ask {
    /// Value, gradient and Hessian.
    pub fn jet() -> Self {
        Self { value: true, gradient: true, hessian: true, ..Self::default() }
    }

    /// Everything at once for `d` inputs (or directions), the arrays of it from `seed`.
    pub fn everything(seed: u64, k: usize, d: usize) -> Self {
        let pick = |n: usize| -> Vec<usize> { (0..n).map(|i| (seed as usize + 7 * i) % k).collect() };
        Self {
            packed: true,
            diagonal: true,
            laplacian: true,
            operator: Some(super::uniform(seed, 1.0, (k, k))),
            products: Some(super::uniform(seed + 1, 1.0, (3, d))),
            block: Some((pick(2), pick(3))),
            partials: Some(pick(3).into_iter().zip(pick(4).into_iter().rev()).collect()),
            ..Self::jet()
        }
    }

    pub fn mode(self, mode: Mode) -> Self {
        Self { mode, ..self }
    }

    pub fn request<F: Real>(&self) -> Request<F> {
        let cast = |a: &Array2<f64>| a.mapv(F::of);
        let mut r = Request::new().mode(self.mode.clone());
        if self.value {
            r = r.value();
        }
        if self.gradient {
            r = r.gradient();
        }
        if self.hessian {
            r = r.hessian();
        }
        if self.packed {
            r = r.packed();
        }
        if self.diagonal {
            r = r.diagonal();
        }
        if self.laplacian {
            r = r.laplacian();
        }
        if let Some(b) = &self.operator {
            r = r.operator(cast(b));
        }
        if let Some(w) = &self.products {
            r = r.products(cast(w));
        }
        if let Some((rows, cols)) = &self.block {
            r = r.block(rows, cols);
        }
        if let Some(pairs) = &self.partials {
            r = r.partials(pairs);
        }
        if let Some(v) = &self.directions {
            r = r.directions(cast(v));
        }
        if let Some(u) = &self.outputs {
            r = r.outputs(cast(u));
        }
        r
    }

    /// The arrays rounded to `F`, as a library working in `F` sees them.
    pub fn rounded<F: Real>(&self) -> Self {
        let round = |a: &Option<Array2<f64>>| a.as_ref().map(|a| a.mapv(|a| F::of(a).as_f64()));
        Self {
            operator: round(&self.operator),
            products: round(&self.products),
            directions: round(&self.directions),
            outputs: round(&self.outputs),
            ..self.clone()
        }
    }

    /// What is asked for, given all derivatives; linear in them.
    pub fn contract(&self, full: &Jets) -> Jet<f64> {
        let (n_s, d, m) = full.gradient.dim();
        let v = self.directions.clone().unwrap_or_else(|| Array2::eye(d));
        let u = self.outputs.clone().unwrap_or_else(|| Array2::eye(m));
        let w = self.products.clone().unwrap_or_else(|| Array2::zeros((0, d)));
        let (k, kw, q) = (v.nrows(), w.nrows(), u.ncols());

        let value = full.value.dot(&u);
        let gradient = Array3::from_shape_fn((n_s, k, q), |(s, a, r)| {
            sum(d, |i| sum(m, |o| v[[a, i]] * full.gradient[[s, i, o]] * u[[o, r]]))
        });
        let hu =
            Array4::from_shape_fn((n_s, d, d, q), |(s, i, j, r)| sum(m, |o| full.hessian[[s, i, j, o]] * u[[o, r]]));
        let hw = |t: &Array2<f64>| {
            let half = Array4::from_shape_fn((n_s, k, d, q), |(s, a, j, r)| sum(d, |i| v[[a, i]] * hu[[s, i, j, r]]));
            Array4::from_shape_fn((n_s, k, t.nrows(), q), |(s, a, b, r)| sum(d, |j| half[[s, a, j, r]] * t[[b, j]]))
        };
        let h = hw(&v);
        let pairs: Vec<(usize, usize)> = (0..k).flat_map(|a| (a..k).map(move |b| (a, b))).collect();
        let entries = |pairs: &[(usize, usize)]| {
            Array3::from_shape_fn((n_s, pairs.len(), q), |(s, p, r)| h[[s, pairs[p].0, pairs[p].1, r]])
        };
        Jet {
            value: self.value.then_some(value),
            gradient: self.gradient.then_some(gradient),
            packed: self.packed.then(|| entries(&pairs)),
            diagonal: self.diagonal.then(|| Array3::from_shape_fn((n_s, k, q), |(s, a, r)| h[[s, a, a, r]])),
            laplacian: self.laplacian.then(|| Array2::from_shape_fn((n_s, q), |(s, r)| sum(k, |a| h[[s, a, a, r]]))),
            operator: self
                .operator
                .as_ref()
                .map(|b| Array2::from_shape_fn((n_s, q), |(s, r)| sum(k, |i| sum(k, |j| b[[i, j]] * h[[s, j, i, r]])))),
            products: (kw > 0).then(|| hw(&w)),
            block: self.block.as_ref().map(|(rows, cols)| {
                Array4::from_shape_fn((n_s, rows.len(), cols.len(), q), |(s, a, b, r)| h[[s, rows[a], cols[b], r]])
            }),
            partials: self.partials.as_ref().map(|pairs| entries(pairs)),
            hessian: self.hessian.then_some(h),
            factored: None,
            ..Default::default()
        }
    }

    /// The size of the terms that each result is a sum of: what rounding errors are to be measured against.
    ///
    /// Where second derivatives cancel to nothing inside the network, a thousandth of the first derivatives counts.
    pub fn magnitude(&self, full: &Jets) -> Jet<f64> {
        self.magnitude_with(full, None)
    }

    /// The same with an allowance for rounding where results are badly conditioned (see [`oracle::slack`]).
    pub fn magnitude_with(&self, full: &Jets, slack: Option<&Jets>) -> Jet<f64> {
        let absolute = |a: &Option<Array2<f64>>| a.as_ref().map(|a| a.mapv(f64::abs));
        let ask = Self {
            operator: absolute(&self.operator),
            products: absolute(&self.products),
            directions: absolute(&self.directions),
            outputs: absolute(&self.outputs),
            ..self.clone()
        };
        let value = full.value.mapv(f64::abs);
        let mut gradient = full.gradient.mapv(f64::abs);
        let mut hessian = full.hessian.mapv(f64::abs);
        for s in 0..value.nrows() {
            let row = |a: ndarray::ArrayViewD<f64>| a.iter().fold(0.0, |m: f64, &a| m.max(a));
            let of_value = row(value.row(s).into_dyn());
            let mut g = gradient.index_axis_mut(ndarray::Axis(0), s);
            g += 1e-3 * of_value;
            let of_gradient = row(g.view().into_dyn());
            hessian.index_axis_mut(ndarray::Axis(0), s).mapv_inplace(|h| h + 1e-3 * of_gradient);
        }
        let mut terms = Jets { value, gradient, hessian };
        if let Some(slack) = slack {
            terms.value += &slack.value;
            terms.gradient += &slack.gradient;
            terms.hessian += &slack.hessian;
        }
        ask.contract(&terms)
    }

    /// Random cotangents of the shapes of `jet`.
    pub fn cotangents(jet: &Jet<f64>, seed: u64) -> Jet<f64> {
        let next = std::cell::Cell::new(1000 * seed); // no two fields alike
        map_fields!(jet, |a| super::uniform(next.replace(next.get() + 1), 1.0, a.raw_dim()))
    }
}

fn sum(n: usize, f: impl Fn(usize) -> f64) -> f64 {
    (0..n).map(f).sum()
}
