//! All derivatives as one sum over the pointwise sites, in batched tensor operations.
//!
//! ```text
//! A_i = T_{i-1} M_i            T_i = T_{i-1} S_i + (A_i . act'(z_i)) W_i                     T_0 = V
//! E_i = G_i W_i^T              G_{i-1} = G_i S_i^T + (E_i . act'(z_i)) M_i^T                  G_l = U^T
//! C_i = E_i . act''(z_i)
//!
//! gradient V f' U = T_l U      Hessian[:, :, r] = sum_i A_i diag(C_i[r]) A_i^T
//! ```
//!
//! Tensors have the axes (sample, ..., feature); an axis of samples of length 1 stands for all samples. Second
//! derivatives are (n_s, q, a, b) while they are summed, and (n_s, a, b, n) while they are carried forward.
use crate::Error;
use crate::activation;
use crate::form::{TensorForm, sum};
use crate::product::product;
use crate::tensors::{identity, rows_times, zeros};
use burn::tensor::Tensor;
use hessquik::Plan;

/// Which entries of `H`, or which sums of them, a result consists of: with `L` and `R` rows of combinations of
/// directions (the identity unless given),
pub(crate) struct Kind {
    pub contract: Contract,
    pub left: Option<Tensor<2>>,
    pub right: Option<Tensor<2>>,
}

/// how the rows of `L A` and `R A` meet.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Contract {
    /// Each with each: `L H R^T` (a, b).
    All,
    /// Row by row: the diagonal of `L H R^T` (a, 1).
    Rows,
    /// The sum of that: the trace (1, 1).
    Trace,
}

/// Where the tangents of a sweep start.
#[derive(Clone)]
#[allow(clippy::large_enum_variant)] // a few of them in a call
pub(crate) enum Start {
    /// Directions (k, d) of the input.
    Directions(Tensor<2>),
    /// One for each pre-activation of the first layer, which has no skip: `A_1 = I`.
    FirstSite,
}

/// What a call computes.
pub(crate) struct Wish<'a> {
    pub gradient: bool,
    pub kinds: &'a [Kind],
    pub start: Start,
    pub outputs: Option<Tensor<2>>,
    pub plan: &'a Plan,
}

/// Value (n_s, q), gradient (n_s, k, q), and for each kind (n_s, q, a, b).
pub(crate) struct Sums {
    pub value: Tensor<2>,
    pub gradient: Option<Tensor<3>>,
    pub second: Vec<Tensor<4>>,
}

/// `act'` (1 if `None`) and `act''` (0 if `None`) of a layer at the points.
struct Site {
    first: Option<Tensor<3>>,
    second: Option<Tensor<3>>,
}

/// The sums for the layers `forms` at the points `x` (n_s, d).
pub(crate) fn sums(forms: &[TensorForm], x: Tensor<2>, wish: &Wish) -> Result<Sums, Error> {
    let (samples, depth) = (x.dims()[0], forms.len());
    let second_order = !wish.kinds.is_empty();
    let order = if second_order { 2 } else { usize::from(wish.gradient) };

    let (mut u, mut sites) = (x.clone(), Vec::with_capacity(depth));
    for f in forms {
        let [value, first, second] = activation::jet(&f.act, f.z(u.clone()), order)?;
        u = f.next(u, value.expect("the value is always wanted"));
        sites.push(Site { first: first.map(|t| t.unsqueeze_dim(1)), second: second.map(|t| t.unsqueeze_dim(1)) });
    }
    let value = match &wish.outputs {
        Some(outputs) => product(u.clone(), outputs.clone()),
        None => u.clone(),
    };
    let mut out = Sums { value, gradient: None, second: Vec::new() };
    if order == 0 {
        return Ok(out);
    }
    let Plan { prefix, pivots } = wish.plan;
    let prefix = *prefix;

    // adjoints, back to the forward-mode prefix
    let mut curvatures: Vec<Option<Tensor<3>>> = (0..depth).map(|_| None).collect();
    let adjoints = prefix < depth || wish.outputs.is_some();
    let mut g: Option<Tensor<3>> = adjoints.then(|| {
        let outputs = wish.outputs.clone().unwrap_or_else(|| identity(u.dims()[1], &u));
        outputs.transpose().unsqueeze_dim(0)
    });
    for i in (prefix..depth).rev() {
        let (f, site, after) = (&forms[i], &sites[i], g.take().expect("set above"));
        let e = f.w.adjoint(&after);
        curvatures[i] = e.clone().zip(site.second.clone()).map(|(e, second)| e * second);
        let through = e.map(|e| rows_times(scaled(e, &site.first), f.m.clone().transpose()));
        let before = sum(f.s.adjoint(&after), through);
        g = Some(before.unwrap_or_else(|| zeros([1, after.dims()[1], f.m.dims()[0]], &after)));
    }

    // tangents and the Hessian, forward through the prefix
    let kinds = wish.kinds;
    let (mut t, mut carried) = (Tangents::start(&wish.start), kinds.iter().map(|_| None).collect::<Vec<_>>());
    for (f, site) in forms[..prefix].iter().zip(&sites) {
        let a = t.through(f);
        for (kind, h) in kinds.iter().zip(&mut carried) {
            let through: Option<Tensor<4>> =
                h.as_ref().map(|h: &Tensor<4>| scaled4(rows_times(h.clone(), f.m.clone()), &site.first));
            let own = site.second.clone().map(|second| kind.meet(a.clone()) * second.unsqueeze_dim(1));
            let inner = sum(through, own);
            *h = sum(h.as_ref().and_then(|h| f.s.times(h)), inner.and_then(|h| f.w.times(&h)));
        }
        t = t.next(f, site, a);
    }
    if wish.gradient {
        out.gradient = Some(match (&t, &g) {
            (Tangents::Rows(t), Some(g)) => meet_rows(t.clone(), g.clone()),
            (Tangents::Rows(t), None) => t.clone(),
            (Tangents::FirstSite, _) => unreachable!("a gradient has directions"),
        });
    }
    if !second_order {
        out.gradient = out.gradient.map(|j| expand(j, samples));
        return Ok(out);
    }

    // from segment to segment: the Hessian after a cut is lifted back to the one before
    let cuts: Vec<usize> = match prefix < depth {
        true => [prefix].iter().chain(pivots).chain([&depth]).copied().collect(),
        false => vec![depth],
    };
    let whole = [Kind { contract: Contract::All, left: None, right: None }];
    let mut after: Option<Tensor<4>> = None;
    let mut totals: Vec<Option<Tensor<4>>> = kinds.iter().map(|_| None).collect();
    for j in (0..cuts.len() - 1).rev() {
        let head = j == 0;
        let kinds = if head { kinds } else { &whole[..] };
        let mut rows = match head {
            true => t.clone(),
            false => Tangents::Rows(identity(forms[cuts[j]].m.dims()[0], &u).unsqueeze_dim(0)),
        };
        totals = kinds.iter().map(|_| None).collect();
        for i in cuts[j]..cuts[j + 1] {
            let a = rows.through(&forms[i]);
            if let Some(c) = &curvatures[i] {
                for (kind, total) in kinds.iter().zip(&mut totals) {
                    *total = sum(total.take(), Some(kind.gram(a.clone(), c.clone())));
                }
            }
            if i + 1 < cuts[j + 1] || after.is_some() {
                rows = rows.next(&forms[i], &sites[i], a);
            }
        }
        if let Some(h) = after.take() {
            let Tangents::Rows(rows) = rows else { unreachable!("tangents have passed a layer") };
            for (kind, total) in kinds.iter().zip(&mut totals) {
                *total = sum(total.take(), Some(kind.lift(rows.clone(), h.clone())));
            }
        }
        if !head {
            after = totals[0].take();
        }
    }
    // what was carried forward meets the adjoints of the rest
    for ((kind, total), h) in kinds.iter().zip(&mut totals).zip(carried) {
        let carried = h.map(|h| match &g {
            Some(g) => {
                let [n, a, b, width] = h.dims();
                let met = meet_rows(h.reshape([n, a * b, width]), g.clone());
                let [n, _, q] = met.dims();
                met.reshape([n, a, b, q])
            }
            None => h,
        });
        *total = sum(total.take(), carried.map(|h| h.permute([0, 3, 1, 2])));
        let [a, b] = kind.shape(wish.start.len(forms));
        let q = out.value.dims()[1];
        let full = total.take().unwrap_or_else(|| zeros([1, q, a, b], &u));
        out.second.push(expand(full, samples));
    }
    out.gradient = out.gradient.map(|j| expand(j, samples));
    Ok(out)
}

impl Start {
    /// Number of rows of the tangents.
    fn len(&self, forms: &[TensorForm]) -> usize {
        match self {
            Self::Directions(v) => v.dims()[0],
            Self::FirstSite => forms[0].m.dims()[1],
        }
    }
}

/// `T` (n_s, k, n) before a layer.
#[derive(Clone)]
#[allow(clippy::large_enum_variant)] // a few of them in a call
enum Tangents {
    Rows(Tensor<3>),
    FirstSite,
}

impl Tangents {
    fn start(start: &Start) -> Self {
        match start {
            Start::Directions(v) => Self::Rows(v.clone().unsqueeze_dim(0)),
            Start::FirstSite => Self::FirstSite,
        }
    }

    /// `A = T M`.
    fn through(&self, f: &TensorForm) -> Tensor<3> {
        match self {
            Self::Rows(t) => rows_times(t.clone(), f.m.clone()),
            Self::FirstSite => identity(f.m.dims()[1], &f.m).unsqueeze_dim(0),
        }
    }

    /// `T S + (A . act') W`.
    fn next(&self, f: &TensorForm, site: &Site, a: Tensor<3>) -> Self {
        let skip = match self {
            Self::Rows(t) => f.s.times(t),
            Self::FirstSite => None,
        };
        let a = scaled(a, &site.first);
        let next = sum(skip, f.w.times(&a));
        Self::Rows(next.unwrap_or_else(|| zeros([1, a.dims()[1], f.width()], &a)))
    }
}

impl Kind {
    fn rows(&self, a: &Tensor<3>) -> (Tensor<3>, Tensor<3>) {
        let side = |rows: &Option<Tensor<2>>| match rows {
            Some(rows) => product(rows.clone().unsqueeze_dim::<3>(0), a.clone()),
            None => a.clone(),
        };
        (side(&self.left), side(&self.right))
    }

    /// Numbers of rows and columns of the result, for `k` directions.
    fn shape(&self, k: usize) -> [usize; 2] {
        let len = |rows: &Option<Tensor<2>>| rows.as_ref().map_or(k, |r| r.dims()[0]);
        match self.contract {
            Contract::All => [len(&self.left), len(&self.right)],
            Contract::Rows => [len(&self.left), 1],
            Contract::Trace => [1, 1],
        }
    }

    /// The products of the rows of `L A` and `R A` (n_s, a, b, p).
    fn meet(&self, a: Tensor<3>) -> Tensor<4> {
        let (left, right) = self.rows(&a);
        match self.contract {
            Contract::All => left.unsqueeze_dim::<4>(2) * right.unsqueeze_dim::<4>(1),
            Contract::Rows => (left * right).unsqueeze_dim(2),
            Contract::Trace => (left * right).sum_dim(1).unsqueeze_dim(2),
        }
    }

    /// `sum_p (L A) . C_r . (R A)` of one site (n_s, q, a, b), for A (n_s, k, p) and C (n_s, q, p).
    fn gram(&self, a: Tensor<3>, c: Tensor<3>) -> Tensor<4> {
        if self.contract != Contract::All {
            let pairs = self.meet(a).squeeze_dim::<3>(2);
            return meet_rows(c, pairs).unsqueeze_dim(3);
        }
        let (left, right) = self.rows(&a);
        let [q, p] = [c.dims()[1], c.dims()[2]];
        let (left, right) = (left.unsqueeze_dim::<4>(1), right.unsqueeze_dim::<4>(1));
        if q == 1 {
            // one product for each sample
            let [n, _, a, _] = (left.clone() * c.clone().unsqueeze_dim::<4>(2)).dims();
            let scaled = (left * c.unsqueeze_dim::<4>(2)).reshape([n, a, p]);
            let right = right.squeeze_dim::<3>(1);
            return each(scaled, right.swap_dims(1, 2)).unsqueeze_dim(1);
        }
        let scaled = left * c.unsqueeze_dim::<4>(2);
        let right = right.swap_dims(2, 3);
        let [n, ..] = scaled.dims();
        let [m, _, p, b] = right.dims();
        product(scaled, if m == n { right.expand([n, q, p, b]) } else { right })
    }

    /// `L T H_r T^T R^T` (n_s, q, a, b), for T (n_s, k, n) and H (n_s, q, n, n).
    fn lift(&self, t: Tensor<3>, h: Tensor<4>) -> Tensor<4> {
        let (left, right) = self.rows(&t);
        let (left, right) = (left.unsqueeze_dim::<4>(1), right.unsqueeze_dim::<4>(1));
        let half = product(left, h);
        match self.contract {
            Contract::All => product(half, right.swap_dims(2, 3)),
            Contract::Rows => (half * right).sum_dim(3),
            Contract::Trace => (half * right).sum_dim(3).sum_dim(2),
        }
    }
}

/// `x . s` for rows x (n_s, k, p) and one s (n_s, 1, p) per sample.
fn scaled(x: Tensor<3>, s: &Option<Tensor<3>>) -> Tensor<3> {
    match s {
        Some(s) => x * s.clone(),
        None => x,
    }
}

fn scaled4(x: Tensor<4>, s: &Option<Tensor<3>>) -> Tensor<4> {
    match s {
        Some(s) => x * s.clone().unsqueeze_dim::<4>(1),
        None => x,
    }
}

/// `X Y^T` (n_s, a, b) for each sample: X (n_s, a, p), Y (n_s, b, p); either may have one sample for all.
fn meet_rows(x: Tensor<3>, y: Tensor<3>) -> Tensor<3> {
    each(x, y.swap_dims(1, 2))
}

/// `X Y` for each sample; where Y is the same for all, in one product of a tall matrix.
fn each(x: Tensor<3>, y: Tensor<3>) -> Tensor<3> {
    if y.dims()[0] == 1 { rows_times(x, y.squeeze_dim(0)) } else { product(x, y) }
}

/// The same for every sample, where it was kept once.
fn expand<const D: usize>(x: Tensor<D>, samples: usize) -> Tensor<D> {
    let mut dims = x.dims();
    if dims[0] == samples {
        return x;
    }
    dims[0] = samples;
    x.expand(dims)
}
