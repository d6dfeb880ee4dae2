//! The sweeps of a tile with samples side by side in the vectors of the machine, for layers so narrow that their features
//! would leave much of a vector unused: every feature of a state is a row of samples, and the sum over sites goes down.
//!
//! ```text
//! Z_i = M_i^T U_{i-1} + b_i                       U_i = S U_{i-1} + w act(Z_i) + c_i
//! C_i = w G_i . act''(Z_i)                        G_{i-1} = S G_i + M_i (w G_i . act'(Z_i))
//! A_i = M_i^T T_{i-1}                             T_i = S T_{i-1} + w A_i . act'(Z_i)           S the identity or zero
//! H[a, b, r] = sum_i sum_j C_i[j, r] A_i[j, a] A_i[j, b]
//! ```
//!
//! Arrays are (feature, direction or output, sample).
#![allow(clippy::needless_range_loop)] // indices of blocks in registers, which the compiler unrolls

use super::call::{Call, Job, Sink, Via};
use super::gemm::{Mat, gemm};
use super::hessian::Sites;
use super::kernels::{Rows, copy_rows, lanes, scale_rows, scale_twice, vectorised};
use super::kind::Kind;
use super::program::{Site, Stage};
use super::stop::step;
use super::tape::{Buffer, Tape, fit, grow};
use super::tile::read_off;
use crate::Real;
use pulp::{Arch, Simd, WithSimd};

/// Directions whose sums stay in registers.
const MOST: usize = 4;
/// Vectors of samples that are taken at once: with four features they fill the registers of a product.
const VECTORS: usize = 5;
/// Of the entries of vectors of features this part may be unused before samples take their place.
const UNUSED: f64 = 0.17;
/// Fewer samples leave much of their vectors unused themselves.
pub(crate) const FEWEST: usize = 8;

/// Working memory.
#[derive(Debug, Default)]
pub(crate) struct Across<F> {
    /// `U`, `G` and `T` before and after a layer.
    u: [Buffer<F>; 2],
    g: [Buffer<F>; 2],
    t: [Buffer<F>; 2],
    /// Activations and `C` of each layer.
    sig: Vec<[Buffer<F>; 4]>,
    c: Vec<Buffer<F>>,
    /// `A`, and what a layer needs for itself.
    a: Buffer<F>,
    own: Buffer<F>,
    /// The upper half of `H`, or its trace.
    h: Buffer<F>,
}

/// Samples that are taken at once, or a multiple of them.
pub(crate) fn at_once<F: Real>() -> usize {
    VECTORS * lanes::<F>()
}

/// Rows of `n` samples, of which the first few are wanted, as entries of the results of each sample: row `i` is entry
/// `place(i)` of `len`.
fn turned<'a, F: Real>(
    rows: impl IntoIterator<Item = &'a [F]>,
    len: usize,
    out: &mut [F],
    place: impl Fn(usize) -> usize,
) {
    for (i, row) in rows.into_iter().enumerate() {
        if len == 1 {
            out.copy_from_slice(&row[..out.len()]);
            continue;
        }
        out[place(i)..].iter_mut().step_by(len).zip(row).for_each(|(to, &from)| *to = from);
    }
}

/// `u' = [u] + scale act(u M + b) + c`, the one form with an identity or nothing for `S`, a scaled identity for `W` and one
/// matrix for `M`.
fn plain<F: Real>(stage: &Stage<F>) -> Option<(&Site<F>, Mat<'_, F>, F)> {
    let Stage::Site(site) = stage else { return None };
    if !site.skips() && !site.s.is_zero() {
        return None;
    }
    Some((site, site.m.as_dense()?, site.w.as_identity()?))
}

/// Whether layers are such that samples may go side by side, and so narrow that it pays.
pub(crate) fn narrow<F: Real>(stages: &[Stage<F>]) -> bool {
    let (features, entries) = stages.iter().fold((0, 0), |(features, entries), stage| {
        (features + stage.p(), entries + stage.p().next_multiple_of(lanes::<F>()))
    });
    let unused = 1.0 - features as f64 / entries.max(1) as f64;
    unused > UNUSED && stages.iter().all(|stage| plain(stage).is_some())
}

impl<F: Real> Call<F> {
    /// Whether samples go side by side.
    pub fn goes_across(&self) -> bool {
        let task = match &self.tasks[..] {
            [] => true,
            [task] => {
                let few = match &task.kind {
                    Kind::Full { k } => *k <= MOST,
                    Kind::Trace { .. } | Kind::Sum { .. } => true,
                    Kind::Pairs { .. } | Kind::Form { .. } => false,
                };
                few && task.job == Job::Curvature && task.plan.prefix == 0 && task.plan.pivots.is_empty()
            }
            _ => false,
        };
        self.program.narrow
            && task
            && !self.reverses
            && !self.careful
            && self.v.is_none()
            && self.u.is_none()
            && matches!(self.gradient, Via::None | Via::Adjoints)
    }

    /// Evaluates the points in `tape.u[0]` (of `tape.ns` samples) into `out`, one slice per field in memory order.
    pub fn evaluate_across(&self, tape: &Tape<F>, space: &mut Across<F>, slots: &mut Buffer<F>, out: &mut [&mut [F]]) {
        let most = self.block();
        let (ns, q) = (tape.ns, self.q);
        let task = self.tasks.first();
        let len = task.map_or(0, |task| task.kind.len());
        let to_slots = task.is_some_and(|task| !matches!(task.sinks[..], [(_, Sink::All)]));
        if to_slots {
            fit(slots, ns * q * len);
        }
        for first in (0..ns).step_by(most) {
            let samples = most.min(ns - first);
            let n = samples.next_multiple_of(lanes::<F>());
            let x = &tape.u[0][first * self.d..][..samples * self.d];
            self.values_across(x, n, space);
            if self.lowest < self.program.depth() {
                self.adjoints_across(n, space);
            }
            if let Some(task) = task {
                self.tangents_across(n, space);
                let h = if to_slots { &mut slots[..] } else { &mut *out[task.sinks[0].0] };
                let h = &mut h[first * q * len..][..samples * q * len];
                let rows = task.kind.rows();
                for r in 0..q {
                    let row = |term: usize| &space.h[(r * rows + term) * n..][..n];
                    let mut entry = |slot: usize, term: usize| {
                        turned([row(term)], q * len, h, |_| r * len + slot);
                    };
                    match &task.kind {
                        Kind::Full { k } => task.kind.each(|t| {
                            entry(t.slot, t.row);
                            entry(t.b * k + t.a, t.row);
                        }),
                        _ => entry(0, 0),
                    }
                }
            }
            for (field, out) in self.fields.iter().zip(out.iter_mut()) {
                let (from, len) = match field.0 {
                    super::Field::Value => (&space.u[0], self.m),
                    super::Field::Gradient => (&space.g[0], q * self.d),
                    _ => continue,
                };
                let out = &mut out[first * len..][..samples * len];
                // (q, d) from (d, q, n)
                let rows = len / q;
                turned(from.chunks_exact(n).take(len), len, out, |i| i % q * rows + i / q);
            }
        }
        if to_slots && let Some(task) = task {
            read_off(task, ns * q, slots, out);
        }
    }

    /// `Z_i = M_i^T U_{i-1} + b_i`, `U_i = S U_{i-1} + w act(Z_i) + c_i`, for `n` samples of which the last may be none.
    fn values_across(&self, x: &[F], n: usize, space: &mut Across<F>) {
        let (stages, d) = (&self.program.stages, self.d);
        grow(&mut space.sig, stages.len());
        let [now, next] = &mut space.u;
        let u = fit(now, d * n);
        u.fill(F::zero());
        u.chunks_exact_mut(n).enumerate().for_each(|(j, u)| {
            u.iter_mut().zip(x[j..].iter().step_by(d)).for_each(|(u, &x)| *u = x);
        });
        for (i, (site, m, scale)) in stages.iter().filter_map(plain).enumerate() {
            step();
            let z = fit(&mut space.own, site.p * n);
            if let Some(b) = &site.b {
                z.chunks_exact_mut(n).zip(b).for_each(|(z, &b)| z.fill(b));
            }
            gemm(site.b.is_some(), m.t(), Mat::new(now, site.n, n, n), z, n);
            let mut sig: [&mut [F]; 4] = Default::default();
            for (sig, to) in sig.iter_mut().zip(&mut space.sig[i]).take(self.order + 1) {
                *sig = fit(to, site.p * n);
            }
            site.act.fill(self.order, z, sig);
            let to = if site.skips() { &mut *now } else { &mut *next };
            copy_rows(site.skips(), (site.p, n), (&space.sig[i][0], n), scale, fit(to, site.n_out * n), n);
            if let Some(c) = &site.c {
                to.chunks_exact_mut(n).zip(c).for_each(|(u, &c)| u.iter_mut().for_each(|u| *u += c));
            }
            if !site.skips() {
                std::mem::swap(now, next);
            }
        }
    }

    /// `C_i = w G_i . act''`, `G_{i-1} = S G_i + M_i (w G_i . act')`.
    fn adjoints_across(&self, n: usize, space: &mut Across<F>) {
        let (stages, q) = (&self.program.stages, self.q);
        grow(&mut space.c, stages.len());
        let [now, next] = &mut space.g;
        let g = fit(now, self.m * q * n);
        g.fill(F::zero());
        (0..q).for_each(|r| g[(r * q + r) * n..][..n].fill(F::one()));
        for (i, (site, m, scale)) in (0..stages.len()).rev().filter_map(|i| Some((i, plain(&stages[i])?))) {
            step();
            let [_, slope, curve, _] = &space.sig[i];
            let (size, g) = ((site.p, q, n), Rows::new(now, q, n));
            let (slope, scaled) = (Rows::new(slope, 1, n), fit(&mut space.own, site.p * q * n));
            if self.tasks.is_empty() {
                scale_rows(false, size, g, slope, scale, scaled, n);
            } else {
                let c = fit(&mut space.c[i], site.p * q * n);
                scale_twice(size, g, (slope, Rows::new(curve, 1, n)), scale, scaled, (c, n));
            }
            let to = if site.skips() { &mut *now } else { &mut *next };
            gemm(site.skips(), m, Mat::new(scaled, site.p, q * n, q * n), fit(to, site.n * q * n), q * n);
            if !site.skips() {
                std::mem::swap(now, next);
            }
        }
    }

    /// `A_i = M_i^T T_{i-1}`, `T_i = S T_{i-1} + w A_i . act'`, and the sum of `C_i . A_i . A_i` over the sites.
    fn tangents_across(&self, n: usize, space: &mut Across<F>) {
        let (task, q) = (&self.tasks[0], self.q);
        let (start, kind) = (&task.start, &task.kind);
        let (r, curved) = (start.r, self.program.curved().max(1));
        let h = fit(&mut space.h, q * kind.rows() * n);
        h.fill(F::zero());
        let [now, next] = &mut space.t;
        for (i, (site, m, scale)) in self.program.stages[..curved].iter().filter_map(plain).enumerate() {
            step();
            let a = fit(&mut space.a, site.p * r * n);
            if i == 0 {
                // not T_0 times M: other rows may have taken the place of the product
                let through_m = |entry: usize| start.through_m[entry % r * site.p + entry / r];
                a.chunks_exact_mut(n).enumerate().for_each(|(entry, a)| a.fill(through_m(entry)));
                if site.skips() {
                    let t = fit(now, site.n * r * n);
                    t.chunks_exact_mut(n).enumerate().for_each(|(i, t)| t.fill(start.entry(i % r, i / r, site.n)));
                }
            } else {
                for row in 0..r {
                    let t = Mat::new(&now[row * n..], site.n, n, r * n);
                    gemm(false, m.t(), t, &mut a[row * n..], r * n);
                }
            }
            let c = &space.c[i];
            for output in 0..q {
                let h = &mut h[output * kind.rows() * n..][..kind.rows() * n];
                let c = Rows::new(&c[output * n..], q, n);
                Arch::new().dispatch(Down { kind, sites: site.p, n, c, a, h });
            }
            if i + 1 < curved {
                let to = if site.skips() { &mut *now } else { &mut *next };
                let slope = Rows::new(&space.sig[i][1], 1, n);
                let to = fit(to, site.n_out * r * n);
                scale_rows(site.skips(), (site.p, r, n), Rows::new(a, r, n), slope, scale, to, n);
                if !site.skips() {
                    std::mem::swap(now, next);
                }
            }
        }
    }
}

/// The sums of [`Down`] for the few samples of a tile whose features go side by side, in the same order, so that the results
/// of a point do not depend on how many others there are. `offsets` are where the sites of each layer start among `sites`, and
/// where they end.
pub(crate) fn in_order<F: Real>(
    offsets: &[usize],
    kind: &Kind<F>,
    (ns, q): (usize, usize),
    sites: Sites<F>,
    out: &mut [F],
) {
    let (len, first, width) = (kind.len(), offsets[0], sites.a.stride);
    vectorised(
        #[inline(always)]
        || {
            for row in 0..ns * q {
                let (s, r) = (row / q, row % q);
                let (a, c) = (sites.a.sample(s), sites.c.row(s, r, sites.used));
                let h = &mut out[row * len..][..len];
                if let Kind::Sum { terms, .. } = kind {
                    h[0] = F::zero();
                    for j in 0..sites.used {
                        let mut sum = F::zero();
                        for &(p, q, w) in terms {
                            sum = (w * a[p * width + j]).mul_add(a[q * width + j], sum);
                        }
                        h[0] = c[j].mul_add(sum, h[0]);
                    }
                    continue;
                }
                if let Kind::Trace { signs } = kind {
                    h[0] = F::zero();
                    for j in 0..sites.used {
                        let mut squares = F::zero();
                        for (i, &sign) in signs.iter().enumerate() {
                            let x = a[i * width + j];
                            squares = (sign * x).mul_add(x, squares);
                        }
                        h[0] = c[j].mul_add(squares, h[0]);
                    }
                    continue;
                }
                kind.each(|t| {
                    let (x, y) = (&a[t.a * width..], &a[t.b * width..]);
                    h[t.slot] = F::zero();
                    for layer in offsets.windows(2) {
                        let mut sum = F::zero();
                        for j in layer[0] - first..layer[1] - first {
                            sum = (c[j] * x[j]).mul_add(y[j], sum);
                        }
                        h[t.slot] += sum;
                    }
                });
            }
        },
    );
}

/// `h[t, s] += sum_j c[j, s] a[j, t.a, s] a[j, t.b, s]` for the terms `t` of a kind, `n` samples each.
struct Down<'a, F> {
    kind: &'a Kind<F>,
    sites: usize,
    n: usize,
    c: Rows<'a, F>,
    a: &'a [F],
    h: &'a mut [F],
}

impl<F: Real> Down<'_, F> {
    #[inline(always)]
    fn full<S: Simd, const K: usize>(self, simd: S) {
        let (n, zero) = (self.n, F::splat(simd, F::zero()));
        assert!(self.a.len() >= self.sites * K * n && self.h.len() >= K * (K + 1) / 2 * n);
        assert!(self.c.holds((self.sites, 1, n)) && n.is_multiple_of(F::lanes::<S>()));
        for s in (0..n).step_by(F::lanes::<S>()) {
            let mut sums = [[zero; K]; K];
            // SAFETY: a vector from `s` on lies within `n` samples of every row, and by the asserts the rows do in theirs.
            unsafe {
                for j in 0..self.sites {
                    let c = F::load(simd, self.c.data.as_ptr().add(self.c.start(j, 0) + s));
                    let mut x = [zero; K];
                    for a in 0..K {
                        x[a] = F::load(simd, self.a.as_ptr().add((j * K + a) * n + s));
                    }
                    for a in 0..K {
                        let scaled = F::fused(simd, c, x[a], zero);
                        for b in a..K {
                            sums[a][b] = F::fused(simd, scaled, x[b], sums[a][b]);
                        }
                    }
                }
                let mut row = 0;
                for a in 0..K {
                    for b in a..K {
                        let h = self.h.as_mut_ptr().add(row * n + s);
                        let one = F::splat(simd, F::one());
                        F::store(simd, h, F::fused(simd, one, sums[a][b], F::load(simd, h)));
                        row += 1;
                    }
                }
            }
        }
    }

    #[inline(always)]
    fn trace<S: Simd>(self, simd: S, signs: &[F]) {
        let (n, k, zero) = (self.n, signs.len(), F::splat(simd, F::zero()));
        assert!(self.a.len() >= self.sites * k * n && self.h.len() >= n);
        assert!(self.c.holds((self.sites, 1, n)) && n.is_multiple_of(F::lanes::<S>()));
        for s in (0..n).step_by(F::lanes::<S>()) {
            // SAFETY: as above.
            unsafe {
                let h = self.h.as_mut_ptr().add(s);
                let mut total = F::load(simd, h);
                for j in 0..self.sites {
                    let mut squares = zero;
                    for (a, &sign) in signs.iter().enumerate() {
                        let x = F::load(simd, self.a.as_ptr().add((j * k + a) * n + s));
                        squares = F::fused(simd, F::fused(simd, F::splat(simd, sign), x, zero), x, squares);
                    }
                    let c = F::load(simd, self.c.data.as_ptr().add(self.c.start(j, 0) + s));
                    total = F::fused(simd, c, squares, total);
                }
                F::store(simd, h, total);
            }
        }
    }

    #[inline(always)]
    fn sum<S: Simd>(self, simd: S, k: usize, terms: &[(usize, usize, F)]) {
        let (n, zero) = (self.n, F::splat(simd, F::zero()));
        assert!(self.a.len() >= self.sites * k * n && self.h.len() >= n);
        assert!(self.c.holds((self.sites, 1, n)) && n.is_multiple_of(F::lanes::<S>()));
        assert!(terms.iter().all(|&(a, b, _)| a < k && b < k));
        for s in (0..n).step_by(F::lanes::<S>()) {
            // SAFETY: as above; the directions of the terms are among the `k`.
            unsafe {
                let h = self.h.as_mut_ptr().add(s);
                let mut total = F::load(simd, h);
                for j in 0..self.sites {
                    let mut sum = zero;
                    for &(a, b, w) in terms {
                        let x = F::load(simd, self.a.as_ptr().add((j * k + a) * n + s));
                        let y = F::load(simd, self.a.as_ptr().add((j * k + b) * n + s));
                        sum = F::fused(simd, F::fused(simd, F::splat(simd, w), x, zero), y, sum);
                    }
                    let c = F::load(simd, self.c.data.as_ptr().add(self.c.start(j, 0) + s));
                    total = F::fused(simd, c, sum, total);
                }
                F::store(simd, h, total);
            }
        }
    }
}

impl<F: Real> WithSimd for Down<'_, F> {
    type Output = ();
    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        match self.kind {
            Kind::Full { k: 1 } => self.full::<S, 1>(simd),
            Kind::Full { k: 2 } => self.full::<S, 2>(simd),
            Kind::Full { k: 3 } => self.full::<S, 3>(simd),
            Kind::Full { .. } => self.full::<S, MOST>(simd),
            Kind::Trace { signs } => self.trace(simd, signs),
            Kind::Sum { k, terms } => self.sum(simd, *k, terms),
            Kind::Pairs { .. } | Kind::Form { .. } => unreachable!("these do not go across"),
        }
    }
}
