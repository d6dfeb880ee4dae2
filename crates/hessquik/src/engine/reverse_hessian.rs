//! `hessian` in reverse: from the cotangents of the slots to those of the sites, the lifted Hessian, and smooth maps.
//!
//! With `B` the symmetric cotangent of the Hessian along the directions, the loss is tr(B H); bars are cotangents.
use super::gemm::{Mat, gemm};
use super::kernels::{Rows, copy_rows, vectorised};
use super::kind::Kind;
use super::program::{Program, Stage};
use super::reverse_kernels::{FEW, Gather, GramBars, WeighedBars};
use super::stop::step;
use super::tape::{Buffer, Tape, fit, identities, view2, view3};
use crate::Real;
use ndarray::{Array4, s};

/// The cotangents of Hessians (n_s, q, slots): the loss is tr(B H).
pub(crate) struct Weights<'a, F> {
    pub kind: &'a Kind<F>,
    h: &'a [F],
    /// The symmetric matrices `B` (n_s, q, k, k), unless they are sparse and large.
    b: Option<&'a [F]>,
}

impl<F> Clone for Weights<'_, F> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<F> Copy for Weights<'_, F> {}

impl<'a, F: Real> Weights<'a, F> {
    /// From the cotangents `h` of the slots of `count` Hessians.
    pub fn new(kind: &'a Kind<F>, h: &'a [F], count: usize, b: &'a mut Buffer<F>) -> Self {
        let (k, len) = (kind.k(), kind.len());
        if k > FEW && !matches!(kind, Kind::Full { .. }) {
            return Self { kind, h, b: None };
        }
        let b = fit(b, count * k * k);
        for (b, h) in b.chunks_exact_mut(k * k).zip(h.chunks_exact(len)) {
            kind.weight_matrix(h, b);
        }
        Self { kind, h, b: Some(b) }
    }

    /// `Y = B X` (k, n) for the Hessian counted `index`; `x` has `stride` entries from row to row.
    fn weigh(&self, index: usize, (x, stride, n): (&[F], usize, usize), y: &mut [F]) {
        let (k, len) = (self.kind.k(), self.kind.len());
        if let Some(b) = self.b {
            let b = Mat::new(&b[index * k * k..], k, k, k);
            return gemm(false, b, Mat::new(x, k, n, stride), y, n);
        }
        let h = &self.h[index * len..][..len];
        if let Kind::Form { matrix, .. } = self.kind {
            gemm(false, Mat::new(matrix, k, k, k), Mat::new(x, k, n, stride), y, n);
            return y.iter_mut().for_each(|y| *y *= h[0]);
        }
        y.fill(F::zero());
        vectorised(
            #[inline(always)]
            || {
                self.kind.each(|t| {
                    let half = F::of(0.5) * t.coefficient * h[t.slot];
                    for (to, from) in [(t.a, t.b), (t.b, t.a)] {
                        let (x, y) = (&x[from * stride..][..n], &mut y[to * n..][..n]);
                        (0..n).for_each(|j| y[j] += half * x[j]);
                    }
                });
            },
        );
    }
}

/// Reverse of `gram` at one stage: with `Y = B A`, `A_bar = 2 Y . C` and `C_bar += sum_a A . Y`.
pub(crate) fn gram<F: Real>(
    weights: Weights<F>,
    size: (usize, usize, usize),
    a: Rows<F>,
    c: Rows<F>,
    a_bar: &mut [F],
    c_bar: Gather<F>,
    scratch: &mut Buffer<F>,
) {
    let ((ns, q, p), k) = (size, weights.kind.k());
    if let (Some(b), true) = (weights.b, k <= FEW) {
        return GramBars { size, k, a, c, b, a_bar, c_bar }.run();
    }
    let y = fit(scratch, k * p);
    let Gather { data: c_bar, started } = c_bar;
    for s in 0..ns {
        step();
        let (a, a_bar) = (Rows { data: a.sample(s), ..a }, &mut a_bar[s * k * p..][..k * p]);
        for r in 0..q {
            // ANCHOR: gram_bars
            weights.weigh(s * q + r, (a.data, a.stride, p), y);
            let a_bar = Gather { data: &mut *a_bar, started: r > 0 };
            let c_bar = Gather { data: &mut c_bar[(s * q + r) * p..][..p], started };
            WeighedBars { size: (k, p), a, y, c: c.row(s, r, p), a_bar, c_bar }.run();
            // ANCHOR_END: gram_bars
        }
    }
}

/// Reverse of `lift`: with `Y = B X`, `X_bar = 2 Y S` and `S_bar = X^T Y`.
pub(crate) fn lift<F: Real>(
    weights: Weights<F>,
    (ns, q, n): (usize, usize, usize),
    x: Rows<F>,
    core: &[F],
    x_bar: &mut [F],
    core_bar: &mut [F],
    scratch: &mut [Buffer<F>; 2],
) {
    let (k, stride) = (weights.kind.k(), x.stride);
    let [y, twice] = scratch;
    let (y, twice) = (fit(y, k * n), fit(twice, k * n));
    for s in 0..ns {
        step();
        let x = x.sample(s);
        for r in 0..q {
            // ANCHOR: lift_bars
            weights.weigh(s * q + r, (x, stride, n), y);
            let at = (s * q + r) * n * n;
            gemm(false, Mat::new(x, k, n, stride).t(), Mat::new(y, k, n, n), &mut core_bar[at..][..n * n], n);
            copy_rows(false, (1, k * n), (y, k * n), F::of(2.0), twice, k * n);
            let core = Mat::new(&core[at..][..n * n], n, n, n);
            gemm(r > 0, Mat::new(twice, k, n, n), core, &mut x_bar[s * k * n..], n);
            // ANCHOR_END: lift_bars
        }
    }
}

/// Reverse of `fold`, in place on `core_bar`: `S_bar = D S'_bar D`, with cotangents of `act'` and of the rows of `C`.
#[allow(clippy::too_many_arguments)]
pub(crate) fn fold<F: Real>(
    scale: F,
    (ns, q, p): (usize, usize, usize),
    slope: &[F],
    core: &[F],
    core_bar: &mut [F],
    slope_bar: &mut [F],
    c_bar: &mut [F],
) {
    for s in 0..ns {
        let d = &slope[s * p..][..p];
        for r in 0..q {
            let at = (s * q + r) * p * p;
            for i in 0..p {
                let (core, bar) = (&core[at + i * p..][..p], &mut core_bar[at + i * p..][..p]);
                c_bar[(s * q + r) * p + i] += bar[i];
                let mut sum = F::zero();
                for j in 0..p {
                    sum += bar[j] * core[j] * d[j];
                    bar[j] = scale * scale * d[i] * bar[j] * d[j];
                }
                // both factors D of the symmetric product
                slope_bar[s * p + i] += F::of(2.0) * scale * scale * sum;
            }
        }
    }
}

/// Reverse of the curvature of a smooth map at stage `i`, with `weight` (n_s, k, k, q) the symmetric cotangent `B`:
/// adds to `T_bar`, to the cotangent of `g` (n_s, q, n'), and to that of the state.
#[allow(clippy::too_many_arguments)]
pub(crate) fn smooth_curvature<F: Real>(
    program: &Program<F>,
    i: usize,
    tape: &Tape<F>,
    (t, k): (&[F], usize),
    g: (&[F], usize),
    weight: &Array4<F>,
    t_bar: &mut [F],
    g_bar: Option<&mut [F]>,
    u_bar: &mut [F],
) {
    let Stage::Smooth(map) = &program.stages[i] else { return };
    let (ns, n, m, q) = (tape.ns, map.dim_input(), map.dim_output(), g.1);
    let (u, t, g) = (view2(&tape.u[i], ns, n), view3(t, ns, k, n), view3(g.0, ns, q, m));
    let along = map.curvature(u, identities(ns, n).view(), t, g);
    for s in 0..ns {
        for r in 0..q {
            let bar = weight.slice(s![s, .., .., r]).dot(&along.slice(s![s, .., .., r]).t());
            let to = &mut t_bar[s * k * n..][..k * n];
            to.iter_mut().zip(bar.iter()).for_each(|(to, &b)| *to += F::of(2.0) * b);
        }
    }
    if let Some(g_bar) = g_bar {
        let each = map.curvature(u, t, t, identities(ns, m).view());
        for ((s, r, o), to) in ndarray::indices((ns, q, m)).into_iter().zip(g_bar) {
            *to += (&weight.slice(s![s, .., .., r]) * &each.slice(s![s, .., .., o])).sum();
        }
    }
    let bar = map.curvature_pullback(u, t, t, g, weight.view());
    assert_eq!(bar.dim(), (ns, n), "shape of the curvature_pullback of a smooth map");
    u_bar.iter_mut().zip(bar.iter()).for_each(|(to, &b)| *to += b);
}

/// Reverse of `X' = X J` (or `X' = X J^T`) at a smooth map, for rows `x` (n_s, r, n) and cotangents of `X'` (n_s, r, n'),
/// with respect to the state: `sum_a sum_o X'_bar[a, o] H_o X[a]`.
pub(crate) fn smooth_rows<F: Real>(
    program: &Program<F>,
    i: usize,
    tape: &Tape<F>,
    x: &[F],
    g: &[F],
    r: usize,
    u_bar: &mut [F],
) {
    let Stage::Smooth(map) = &program.stages[i] else { return };
    let (ns, n, m) = (tape.ns, map.dim_input(), map.dim_output());
    let (u, x, g) = (view2(&tape.u[i], ns, n), view3(x, ns, r, n), view3(g, ns, r, m));
    let unit = identities(ns, n);
    for a in 0..r {
        let h = map.curvature(u, unit.view(), x.slice(s![.., a..a + 1, ..]), g.slice(s![.., a..a + 1, ..]));
        u_bar.iter_mut().zip(h.iter()).for_each(|(to, &h)| *to += h);
    }
}

/// The cotangent of the Hessian along `k` directions as (n_s, k, k, q) matrices.
pub(crate) fn dense_weight<F: Real>(kind: &Kind<F>, (ns, q): (usize, usize), h: &[F]) -> Array4<F> {
    let (k, len) = (kind.k(), kind.len());
    let mut out = Array4::zeros((ns, k, k, q));
    let mut b = vec![F::zero(); k * k];
    for s in 0..ns {
        for r in 0..q {
            kind.weight_matrix(&h[(s * q + r) * len..][..len], &mut b);
            out.slice_mut(s![s, .., .., r]).iter_mut().zip(&b).for_each(|(o, &b)| *o = b);
        }
    }
    out
}
