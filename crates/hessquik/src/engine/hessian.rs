//! The Hessian from the sweeps: the sum over the sites, the lift, and forward mode.
//!
//! ```text
//! H_r = sum_i A_i diag(C_i[r]) A_i^T  =  A diag(C[r]) A^T, with all sites side by side                       `gram`
//! H_r += T S_r T^T, where tangents were restarted: S_r is the Hessian with respect to that state             `lift`
//!                                                                      both at once, for many directions: `gram_and_lift`
//! S_r = D S_r D + diag(C_r), through a layer without a skip: with respect to its z                           `fold`
//! h = (H M) . act' + A . A . act''    H' = H S + h W                                                         `carry`
//! ```
use super::gemm::{Mat, gemm};
use super::kernels::{Rows, dot, dot3, scale_rows, small_gram, vectorised, weighted_squares};
use super::kind::Kind;
use super::memory::streamed;
use super::packed::Packed;
use super::program::{Program, Stage};
use super::stop::step;
use super::sweeps::sum_of_two;
use super::symmetric::{front, mirror, symmetric};
use super::tape::{Buffer, Tape, copy_from, fit, identities, view2, view3};
use crate::{Activation, Real};

/// Sites side by side: `a` (n_s, k, ..) of which the first `used` columns count, with `c` (n_s, q, ..).
#[derive(Clone, Copy)]
pub(crate) struct Sites<'a, F> {
    pub a: Rows<'a, F>,
    pub c: Rows<'a, F>,
    pub used: usize,
}

/// What is lifted: the Hessian `core` (n_s, q, n, n) with respect to a state along whose features `x` (n_s, k, n) are
/// the tangents.
#[derive(Clone, Copy)]
pub(crate) struct Lift<'a, F> {
    pub x: Rows<'a, F>,
    pub core: &'a [F],
    pub n: usize,
}

impl<'a, F> Lift<'a, F> {
    fn core(&self, index: usize) -> Mat<'a, F> {
        let n = self.n;
        Mat::new(&self.core[index * n * n..][..n * n], n, n, n)
    }
}

/// Working memory of the sums.
#[derive(Debug, Default)]
pub(crate) struct Scratch<F> {
    pub rows: Buffer<F>,
    right: Buffer<F>,
    block: Buffer<F>,
    /// Half of `B X`, see [`half_product`].
    weighed: Buffer<F>,
    /// Whether results go to memory that is too large to stay in any cache, and was written before.
    pub past_caches: bool,
    /// Whether the factors of the last lift tell that its results are finite.
    pub in_range: bool,
    /// Whether sums go feature by feature, as where samples are side by side.
    pub in_order: bool,
}

/// `Y` (k, n) with `sum_a x_a . y_a = sum_ab B_ab x_a . x_b`, at half the cost of `B X`: the blocks of `B` on its diagonal
/// count once, those above it twice. `x` has `stride` entries from row to row.
pub(crate) fn half_product<F: Real>(k: usize, b: &[F], (x, stride, n): (&[F], usize, usize), y: &mut [F]) {
    const BLOCK: usize = 96;
    for from in (0..k).step_by(BLOCK) {
        let len = BLOCK.min(k - from);
        let (end, to) = (from + len, &mut y[from * n..][..len * n]);
        let block = |col: usize, cols: usize| Mat::new(&b[from * k + col..], len, cols, k);
        if end < k {
            gemm(false, block(end, k - end), Mat::new(&x[end * stride..], k - end, n, stride), to, n);
            to.iter_mut().for_each(|y| *y *= F::of(2.0));
        }
        gemm(end < k, block(from, len), Mat::new(&x[from * stride..], len, n, stride), to, n);
    }
}

/// `tr(B A diag(C[r]) A^T)`, to `out` (n_s, q): one product of `B` and `A` for all outputs.
fn form_gram<F: Real>(
    (k, b): (usize, &[F]),
    (ns, q): (usize, usize),
    sites: Sites<F>,
    out: &mut [F],
    weighed: &mut Buffer<F>,
) {
    let Sites { a, c, used } = sites;
    let y = fit(weighed, k * used);
    for s in 0..ns {
        step();
        half_product(k, b, (a.sample(s), a.stride, used), y);
        let rows = a.sample(s);
        for r in 0..q {
            let c = c.row(s, r, used);
            out[s * q + r] = vectorised(
                #[inline(always)]
                || (0..k).map(|i| dot3(c, &rows[i * a.stride..][..used], &y[i * used..][..used])).sum(),
            );
        }
    }
}

/// `H_r = A diag(C[r]) A^T`, to `out` (n_s, q, slots); of a full Hessian the upper half is written.
pub(crate) fn gram<F: Real>(
    kind: &Kind<F>,
    (ns, q): (usize, usize),
    sites: Sites<F>,
    out: &mut [F],
    scratch: &mut Scratch<F>,
) {
    if let (Kind::Form { k, matrix }, true) = (kind, sites.used > 0) {
        return form_gram((*k, matrix), (ns, q), sites, out, &mut scratch.weighed);
    }
    let (len, Sites { a, c, used }) = (kind.len(), sites);
    for s in 0..ns {
        let (a, width) = (a.sample(s), a.stride);
        for r in 0..q {
            let h = &mut out[(s * q + r) * len..][..len];
            if used == 0 {
                h.fill(F::zero());
                continue;
            }
            let c = c.row(s, r, used);
            // ANCHOR: gram
            match kind {
                Kind::Full { k } => small_gram(*k, c, (a, width), h),
                Kind::Trace { signs } => h[0] = weighted_squares(signs, c, (a, width)),
                _ => vectorised(
                    #[inline(always)]
                    || {
                        h.fill(F::zero());
                        kind.each(|t| {
                            let entry = dot3(c, &a[t.a * width..][..used], &a[t.b * width..][..used]);
                            h[t.slot] += t.coefficient * entry;
                        });
                    },
                ),
            }
            // ANCHOR_END: gram
        }
    }
}

/// `H_r += X S_r X^T`; of a full Hessian the upper half is written.
pub(crate) fn lift<F: Real>(
    kind: &Kind<F>,
    (ns, q): (usize, usize),
    lift: Lift<F>,
    out: &mut [F],
    scratch: &mut Scratch<F>,
) {
    let (k, len, n, stride) = (kind.k(), kind.len(), lift.n, lift.x.stride);
    for s in 0..ns {
        step();
        let x = lift.x.sample(s);
        if let Kind::Form { matrix, .. } = kind {
            half_product(k, matrix, (x, stride, n), fit(&mut scratch.weighed, k * n));
        }
        for r in 0..q {
            // ANCHOR: lift
            let y = fit(&mut scratch.rows, k * n);
            gemm(false, Mat::new(x, k, n, stride), lift.core(s * q + r), y, n);
            let h = &mut out[(s * q + r) * len..][..len];
            if let Kind::Form { .. } = kind {
                h[0] += vectorised(|| dot(y, &scratch.weighed[..k * n]));
                continue;
            }
            vectorised(
                #[inline(always)]
                || {
                    kind.each(|t| {
                        h[t.slot] += t.coefficient * dot(&y[t.a * n..][..n], &x[t.b * stride..][..n]);
                    });
                },
            );
            // ANCHOR_END: lift
        }
    }
}

/// Gram matrices and lift of a full Hessian along many directions, as one product for each sample and output, to both
/// halves of `out` (n_s, q, k, k):
///
/// ```text
/// H_r = Y X^T with Y = [A diag(C[r]), T S_r], X = [A, T]
/// ```
pub(crate) fn gram_and_lift<'x, F: Real>(
    k: usize,
    (ns, q): (usize, usize),
    sites: Sites<'x, F>,
    lift: Option<Lift<'x, F>>,
    out: &mut [F],
    scratch: &mut Scratch<F>,
) {
    let (Sites { a, c, used }, n) = (sites, lift.map_or(0, |l| l.n));
    let inner = used + n;
    // one sample's factor on the right serves all if it is the same
    let shared = used == 0 && lift.is_some_and(|l| l.x.per_sample == 0);
    let factor = |s| {
        let part = |rows: Rows<'x, F>, n| Mat::new(rows.sample(s), k, n, rows.stride);
        [part(a, used), lift.map_or(part(a, 0), |l| part(l.x, n))]
    };
    let front = if scratch.past_caches { front(out, k) } else { 0 };
    let pack = |x: [Mat<F>; 2], memory| Packed::stacked(&x.map(Mat::t), front, memory);
    let mut right = pack(factor(0), std::mem::take(&mut scratch.right));
    for s in 0..ns {
        step();
        let x = factor(s);
        if s > 0 && !shared {
            right = pack(x, right.release());
        }
        for r in 0..q {
            let y = fit(&mut scratch.rows, k * inner);
            if used > 0 {
                let (rows, weights) = (Rows { data: a.sample(s), ..a }, Rows::shared(c.row(s, r, used), 0));
                scale_rows(false, (1, k, used), rows, weights, F::one(), y, inner);
            }
            if let Some(lift) = &lift {
                gemm(false, x[1], lift.core(s * q + r), &mut y[used..], inner);
            }
            let h = &mut out[(s * q + r) * k * k..][..k * k];
            symmetric(Mat::new(y, k, inner, inner), &right, h, &mut scratch.block, scratch.past_caches);
        }
    }
    scratch.right = right.release();
    if scratch.past_caches {
        streamed();
    }
}

/// `D S D + diag(C)` with `D = scale diag(act'(z))`: the Hessian `core` (n_s, q, p, p) with respect to `scale act(z)`
/// becomes that with respect to `z`; `c` are the rows (n_s, q, p) of this site.
pub(crate) fn fold<F: Real>(
    scale: F,
    (ns, q, p): (usize, usize, usize),
    slope: &[F],
    core: &[F],
    c: Rows<F>,
    out: &mut [F],
) {
    vectorised(
        #[inline(always)]
        || {
            for s in 0..ns {
                let d = &slope[s * p..][..p];
                for r in 0..q {
                    let at = (s * q + r) * p * p;
                    let (core, out, c) = (&core[at..][..p * p], &mut out[at..][..p * p], c.row(s, r, p));
                    // ANCHOR: fold
                    for i in 0..p {
                        let di = scale * scale * d[i];
                        let (core, out) = (&core[i * p..][..p], &mut out[i * p..][..p]);
                        for j in 0..p {
                            out[j] = di * core[j] * d[j];
                        }
                        out[i] += c[i];
                    }
                    // ANCHOR_END: fold
                }
            }
        },
    );
}

/// Adds the curvature of a smooth map at stage `i` along the tangents `t` (n_s, k, n) to `out` (n_s, q, slots).
pub(crate) fn smooth_curvature<F: Real>(
    program: &Program<F>,
    kind: &Kind<F>,
    q: usize,
    i: usize,
    tape: &Tape<F>,
    t: &[F],
    out: &mut [F],
) {
    let Stage::Smooth(map) = &program.stages[i] else { return };
    let (ns, n, k, len) = (tape.ns, map.dim_input(), kind.k(), kind.len());
    let t = view3(t, ns, k, n);
    let g = view3(&tape.g[i + 1], ns, q, map.dim_output());
    let h = map.curvature(view2(&tape.u[i], ns, n), t, t, g);
    for s in 0..ns {
        for r in 0..q {
            let out = &mut out[(s * q + r) * len..][..len];
            kind.each(|t| out[t.slot] += t.coefficient * h[[s, t.a, t.b, r]]);
        }
    }
}

/// `h[s, row] += A_a . A_b . act''` for every term of the kind.
pub(crate) fn add_curvature<F: Real>(
    kind: &Kind<F>,
    (ns, p): (usize, usize),
    (sites, width): (&[F], usize),
    curve: &[F],
    h: &mut [F],
    weighed: &mut Buffer<F>,
) {
    let (rows, k) = (kind.rows(), kind.k());
    if let Kind::Form { matrix, .. } = kind {
        let y = fit(weighed, k * p);
        for s in 0..ns {
            let (curve, a) = (&curve[s * p..][..p], &sites[s * k * width..]);
            half_product(k, matrix, (a, width, p), y);
            let h = &mut h[s * p..][..p];
            vectorised(
                #[inline(always)]
                || {
                    for i in 0..k {
                        let (x, y) = (&a[i * width..][..p], &y[i * p..][..p]);
                        (0..p).for_each(|j| h[j] += x[j] * y[j] * curve[j]);
                    }
                },
            );
        }
        return;
    }
    vectorised(
        #[inline(always)]
        || {
            for s in 0..ns {
                let curve = &curve[s * p..][..p];
                let a = &sites[s * k * width..];
                let h = &mut h[s * rows * p..][..rows * p];
                kind.each(|t| {
                    let (x, y) = (&a[t.a * width..][..p], &a[t.b * width..][..p]);
                    let out = &mut h[t.row * p..][..p];
                    // ANCHOR: carry_curvature
                    for j in 0..p {
                        out[j] += t.coefficient * x[j] * y[j] * curve[j];
                    }
                    // ANCHOR_END: carry_curvature
                });
            }
        },
    );
}

/// The Hessian carried forward through stage `i`: rows (n_s, rows, n) to (n_s, rows, n').
///
/// `h = (H M) . act' + sum A_a . A_b . act''`, `H' = H S + h W`; `hm` keeps `H M`. `zero` says that `H` is zero.
#[allow(clippy::too_many_arguments)]
pub(crate) fn carry<F: Real>(
    program: &Program<F>,
    kind: &Kind<F>,
    i: usize,
    zero: bool,
    tape: &mut Tape<F>,
    (t, sites, width): (&[F], &[F], usize),
    (h, hm, out): (&[F], &mut Buffer<F>, &mut Buffer<F>),
) {
    let (ns, rows, k) = (tape.ns, kind.rows(), kind.k());
    step();
    match &program.stages[i] {
        Stage::Site(site) => {
            let (n, p) = (site.n, site.p);
            let hm = fit(hm, ns * rows * p);
            let [weighed, site_h] = &mut tape.scratch;
            let site_h = fit(site_h, ns * rows * p);
            if zero {
                hm.fill(F::zero());
                site_h.fill(F::zero());
            } else {
                // ANCHOR: carry
                site.m.map(ns * rows, h, n, hm, p);
                let slope = Rows::new(&tape.sig[i][1], 1, p);
                scale_rows(false, (ns, rows, p), Rows::new(hm, rows, p), slope, F::one(), site_h, p);
                // ANCHOR_END: carry
            }
            // an affine layer adds nothing, and zero times a square that overflows would be NaN
            if !matches!(site.act, Activation::Identity) {
                add_curvature(kind, (ns, p), (sites, width), &tape.sig[i][2], site_h, weighed);
            }
            let out = fit(out, ns * rows * site.n_out);
            if zero {
                site.w.map(ns * rows, site_h, p, out, site.n_out);
            } else {
                // ANCHOR: carry_state
                let skip = (&site.s, h, n);
                sum_of_two(false, site.forward, ns * rows, skip, (&site.w, site_h, p), out, site.n_out);
                // ANCHOR_END: carry_state
            }
        }
        Stage::Smooth(map) => {
            let (n, m) = (map.dim_input(), map.dim_output());
            let out = fit(out, ns * rows * m);
            let u = view2(&tape.u[i], ns, n);
            match zero {
                true => out.fill(F::zero()),
                false => copy_from(out, map.tangent(u, view3(h, ns, rows, n)).iter()),
            }
            let t = view3(t, ns, k, n);
            let curvature = map.curvature(u, t, t, identities(ns, m).view());
            for s in 0..ns {
                kind.each(|t| {
                    let out = &mut out[(s * rows + t.row) * m..][..m];
                    (0..m).for_each(|o| out[o] += t.coefficient * curvature[[s, t.a, t.b, o]]);
                });
            }
        }
    }
}

/// `out[s, r, slot] (+)= sum_n H[s, row, n] G[s, r, n]`: a carried Hessian contracted with the adjoints; without them they
/// are the identity.
pub(crate) fn contract<F: Real>(
    accumulate: bool,
    kind: &Kind<F>,
    (ns, q, n): (usize, usize, usize),
    h: &[F],
    g: Option<Rows<F>>,
    out: &mut [F],
    scratch: &mut Scratch<F>,
) {
    let (rows, len) = (kind.rows(), kind.len());
    for s in 0..ns {
        let h = &h[s * rows * n..][..rows * n];
        let by_row = match g {
            Some(g) => {
                let by_row = fit(&mut scratch.rows, q * rows);
                // ANCHOR: contract
                let g = Mat::new(g.sample(s), q, n, g.stride);
                gemm(false, g, Mat::new(h, rows, n, n).t(), by_row, rows);
                // ANCHOR_END: contract
                Mat::new(by_row, q, rows, rows)
            }
            None => Mat::new(h, rows, n, n).t(),
        };
        for r in 0..q {
            let out = &mut out[(s * q + r) * len..][..len];
            let mut write = |slot: usize, row: usize| {
                let entry = by_row.data[r * by_row.rs + row * by_row.cs];
                out[slot] = if accumulate { out[slot] + entry } else { entry };
            };
            match kind.is_sum() {
                // its rows are already summed
                true => write(0, 0),
                false => kind.each(|t| write(t.slot, t.row)),
            }
        }
    }
}

/// Mirrors every (n, n) matrix of `h`.
pub(crate) fn mirror_all<F: Real>(h: &mut [F], n: usize) {
    h.chunks_exact_mut(n * n).for_each(|h| mirror(h, n));
}
