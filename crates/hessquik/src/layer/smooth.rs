//! Smooth maps that are not linear - pointwise - linear: log-sum-exp and softmax.
use super::{Layer, Parts};
use crate::Real;
use crate::architecture::Architecture;
use crate::graph::Var;
use ndarray::{Array1, Array2, Array3, Array4, ArrayView2, ArrayView3, ArrayView4, Axis, Zip, s};
use std::fmt::Debug;
use std::sync::Arc;

/// A smooth map of features, given by five operations on a tile of `n_s` samples.
///
/// `J` is the Jacobian (n, n') of the map and `H_o` the Hessian (n, n) of its output `o` at each sample; the engine
/// needs nothing else from a layer. All arrays have the sample axis first.
///
/// [`LogSumExp`] is a complete example.
pub trait SmoothMap<F: Real>: Debug + Send + Sync {
    /// Number of input features.
    fn dim_input(&self) -> usize;

    /// Number of output features.
    fn dim_output(&self) -> usize;

    /// The value (n_s, n') at `u` (n_s, n).
    fn value(&self, u: ArrayView2<F>) -> Array2<F>;

    /// `T J`: tangents `t` (n_s, k, n) to (n_s, k, n').
    fn tangent(&self, u: ArrayView2<F>, t: ArrayView3<F>) -> Array3<F>;

    /// `G J^T`: adjoints `g` (n_s, q, n') to (n_s, q, n).
    fn adjoint(&self, u: ArrayView2<F>, g: ArrayView3<F>) -> Array3<F>;

    /// `T1 (sum_o G_o H_o) T2^T`: tangents `t1` (n_s, k1, n), `t2` (n_s, k2, n), adjoints `g` (n_s, q, n') to
    /// (n_s, k1, k2, q).
    fn curvature(&self, u: ArrayView2<F>, t1: ArrayView3<F>, t2: ArrayView3<F>, g: ArrayView3<F>) -> Array4<F>;

    /// The gradient (n_s, n) with respect to `u` of `sum_{a b r} weight[s, a, b, r] curvature[s, a, b, r]`, the third
    /// derivative; only pullbacks need it. `weight` is (n_s, k1, k2, q).
    fn curvature_pullback(
        &self,
        u: ArrayView2<F>,
        t1: ArrayView3<F>,
        t2: ArrayView3<F>,
        g: ArrayView3<F>,
        weight: ArrayView4<F>,
    ) -> Array2<F>;
}

/// softmax(u) of one sample, shifted by the largest entry so that nothing overflows.
fn softmax<F: Real>(u: ndarray::ArrayView1<F>) -> Array1<F> {
    let top = u.fold(F::neg_infinity(), |a, &b| if b > a || b.is_nan() { b } else { a });
    let e = u.mapv(|v| (v - top).exp());
    let sum = e.sum();
    e / sum
}

/// `log(sum_i exp(u_i))`: n features to one, a smooth maximum.
///
/// Its derivatives are the cumulants of the probabilities p = softmax(u): `T J = E[t]`, `H = Cov`, and so on.
///
/// ```
/// use hessquik::{Layer, Evaluate, LogSumExp, Request};
/// use ndarray::array;
/// let layer = LogSumExp::new(2);
/// let jet = layer.evaluate(&array![[0.0, 0.0]], &Request::new().value().hessian())?;
/// assert_eq!(jet.value.unwrap(), array![[2f64.ln()]]);
/// assert_eq!(jet.hessian.unwrap()[[0, 0, 1, 0]], -0.25);
/// # Ok::<(), hessquik::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct LogSumExp {
    in_features: usize,
}

impl LogSumExp {
    /// Log-sum-exp of this many features.
    pub fn new(in_features: usize) -> Self {
        Self { in_features }
    }
}

/// `t` with its mean under `p` taken off each row.
///
/// Rows are first taken relative to the most probable feature: where that one has nearly all the probability, what is
/// left of it is the sum of the others, to full relative accuracy, and not a difference of nearly equal numbers.
fn centred<F: Real>(t: ndarray::ArrayView2<F>, p: &Array1<F>) -> Array2<F> {
    let top = (1..p.len()).fold(0, |top, i| if p[i] > p[top] { i } else { top });
    let relative = &t - &t.slice(s![.., top..top + 1]);
    let mean = relative.dot(p);
    relative - mean.insert_axis(Axis(1))
}

impl<F: Real> SmoothMap<F> for LogSumExp {
    fn dim_input(&self) -> usize {
        self.in_features
    }
    fn dim_output(&self) -> usize {
        1
    }
    fn value(&self, u: ArrayView2<F>) -> Array2<F> {
        let top = u.fold_axis(Axis(1), F::neg_infinity(), |&a, &b| if b > a || b.is_nan() { b } else { a });
        let mut out = Array2::zeros((u.nrows(), 1));
        Zip::from(out.rows_mut()).and(u.rows()).and(&top).for_each(|mut o, u, &top| {
            // +inf among the features, or only -inf: the value is that infinity
            o[0] = if top.is_infinite() { top } else { top + u.fold(F::zero(), |s, &v| s + (v - top).exp()).ln() };
        });
        out
    }
    fn tangent(&self, u: ArrayView2<F>, t: ArrayView3<F>) -> Array3<F> {
        let mut out = Array3::zeros((t.dim().0, t.dim().1, 1));
        for (i, u) in u.rows().into_iter().enumerate() {
            out.slice_mut(s![i, .., 0]).assign(&t.slice(s![i, .., ..]).dot(&softmax(u)));
        }
        out
    }
    fn adjoint(&self, u: ArrayView2<F>, g: ArrayView3<F>) -> Array3<F> {
        let mut out = Array3::zeros((g.dim().0, g.dim().1, self.in_features));
        for (i, u) in u.rows().into_iter().enumerate() {
            let p = softmax(u).insert_axis(Axis(0));
            out.slice_mut(s![i, .., ..]).assign(&g.slice(s![i, .., ..]).dot(&p));
        }
        out
    }
    fn curvature(&self, u: ArrayView2<F>, t1: ArrayView3<F>, t2: ArrayView3<F>, g: ArrayView3<F>) -> Array4<F> {
        let mut out = Array4::zeros((u.nrows(), t1.dim().1, t2.dim().1, g.dim().1));
        for (i, u) in u.rows().into_iter().enumerate() {
            let p = softmax(u);
            let a = centred(t1.slice(s![i, .., ..]), &p);
            let b = centred(t2.slice(s![i, .., ..]), &p);
            let cov = (&a * &p).dot(&b.t());
            for (r, &g) in g.slice(s![i, .., 0]).iter().enumerate() {
                out.slice_mut(s![i, .., .., r]).assign(&cov.mapv(|c| c * g));
            }
        }
        out
    }
    fn curvature_pullback(
        &self,
        u: ArrayView2<F>,
        t1: ArrayView3<F>,
        t2: ArrayView3<F>,
        g: ArrayView3<F>,
        weight: ArrayView4<F>,
    ) -> Array2<F> {
        let mut out = Array2::zeros(u.dim());
        for (i, u) in u.rows().into_iter().enumerate() {
            let p = softmax(u);
            let a = centred(t1.slice(s![i, .., ..]), &p);
            let b = centred(t2.slice(s![i, .., ..]), &p);
            // w[a, b] = sum_r weight[a, b, r] g[r]; third cumulants p_i (a_i b_i - E[a b])
            let w = weight.slice(s![i, .., .., ..]).map_axis(Axis(2), |w| w.dot(&g.slice(s![i, .., 0])));
            let ab = (&a * &w.dot(&b)).sum_axis(Axis(0));
            let mean = ab.dot(&p);
            out.row_mut(i).assign(&(&p * &(ab - mean)));
        }
        out
    }
}

/// `exp(u_o) / sum_i exp(u_i)`: n features to n probabilities.
///
/// With means and cumulants under the softmax `p`, and an adjoint `g` read as a random variable: value `p`,
/// `G J^T = p (g - E[g])`, `T1 (sum_o G_o H_o) T2^T` the third cumulant of (g, t1, t2).
///
/// ```
/// use hessquik::{Evaluate, Request, Softmax};
/// use ndarray::array;
/// let jet = Softmax::new(3).evaluate(&array![[0.0, 0.0, 0.0]], &Request::new().value())?;
/// assert_eq!(jet.value.unwrap(), array![[1.0 / 3.0, 1.0 / 3.0, 1.0 / 3.0]]);
/// # Ok::<(), hessquik::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Softmax {
    features: usize,
}

impl Softmax {
    /// Softmax of this many features.
    pub fn new(features: usize) -> Self {
        Self { features }
    }
}

impl<F: Real> SmoothMap<F> for Softmax {
    fn dim_input(&self) -> usize {
        self.features
    }
    fn dim_output(&self) -> usize {
        self.features
    }
    fn value(&self, u: ArrayView2<F>) -> Array2<F> {
        let mut out = Array2::zeros(u.dim());
        Zip::from(out.rows_mut()).and(u.rows()).for_each(|mut o, u| o.assign(&softmax(u)));
        out
    }
    fn tangent(&self, u: ArrayView2<F>, t: ArrayView3<F>) -> Array3<F> {
        // J = diag(p) - p p^T is symmetric
        self.adjoint(u, t)
    }
    fn adjoint(&self, u: ArrayView2<F>, g: ArrayView3<F>) -> Array3<F> {
        let mut out = Array3::zeros(g.dim());
        for (i, u) in u.rows().into_iter().enumerate() {
            let p = softmax(u);
            out.slice_mut(s![i, .., ..]).assign(&(centred(g.slice(s![i, .., ..]), &p) * &p));
        }
        out
    }
    fn curvature(&self, u: ArrayView2<F>, t1: ArrayView3<F>, t2: ArrayView3<F>, g: ArrayView3<F>) -> Array4<F> {
        let mut out = Array4::zeros((u.nrows(), t1.dim().1, t2.dim().1, g.dim().1));
        for (i, u) in u.rows().into_iter().enumerate() {
            let p = softmax(u);
            let a = centred(t1.slice(s![i, .., ..]), &p);
            let b = centred(t2.slice(s![i, .., ..]), &p);
            let g = centred(g.slice(s![i, .., ..]), &p);
            for (r, g) in g.rows().into_iter().enumerate() {
                out.slice_mut(s![i, .., .., r]).assign(&(&a * &(&p * &g)).dot(&b.t()));
            }
        }
        out
    }
    fn curvature_pullback(
        &self,
        u: ArrayView2<F>,
        t1: ArrayView3<F>,
        t2: ArrayView3<F>,
        g: ArrayView3<F>,
        weight: ArrayView4<F>,
    ) -> Array2<F> {
        let mut out = Array2::zeros(u.dim());
        for (i, u) in u.rows().into_iter().enumerate() {
            let p = softmax(u);
            let a = centred(t1.slice(s![i, .., ..]), &p);
            let b = centred(t2.slice(s![i, .., ..]), &p);
            let g = centred(g.slice(s![i, .., ..]), &p);
            let mut gradient = Array1::<F>::zeros(self.features);
            for (r, g) in g.rows().into_iter().enumerate() {
                // fourth cumulant of (g, a, b, e_i), weighted: with w the weights and aw = w^T a, wb = w b,
                // p_i (g_i ab_i - E[g ab]) - p_i (cov(g,a) wb_i + cov(g,b) aw_i + cov(a,b) g_i)
                let w = weight.slice(s![i, .., .., r]);
                let (wb, aw) = (w.dot(&b), w.t().dot(&a));
                let ab = (&a * &wb).sum_axis(Axis(0));
                let gab = &ab * &g;
                let pg = &p * &g;
                let mean = gab.dot(&p);
                let pairs = a.dot(&pg).dot(&wb) + b.dot(&pg).dot(&aw) + &g * ab.dot(&p);
                gradient = gradient + &p * &(gab - mean - pairs);
            }
            out.row_mut(i).assign(&gradient);
        }
        out
    }
}

macro_rules! smooth_layer {
    ($layer:ident, $name:literal, $forward:expr, $architecture:expr) => {
        impl<F: Real> Layer<F> for $layer {
            fn name(&self) -> String {
                $name.into()
            }
            fn dim_input(&self) -> usize {
                SmoothMap::<F>::dim_input(self)
            }
            fn dim_output(&self) -> usize {
                SmoothMap::<F>::dim_output(self)
            }
            fn settled(&self) -> bool {
                true
            }
            fn parts(&self) -> Parts<'_, F> {
                Parts::Smooth(Arc::new(self.clone()))
            }
            fn forward_pass(&self, u: Var<F>) -> Var<F> {
                let forward: fn(Var<F>) -> Var<F> = $forward;
                forward(u)
            }
            fn architecture(&self) -> Option<Architecture> {
                let describe: fn(&Self) -> Architecture = $architecture;
                Some(describe(self))
            }
        }
    };
}
smooth_layer!(LogSumExp, "log_sum_exp", |u| u.log_sum_exp(0), |l| Architecture::LogSumExp {
    in_features: l.in_features
});
smooth_layer!(Softmax, "softmax", |u| u.softmax(0), |l| Architecture::Softmax { features: l.features });
