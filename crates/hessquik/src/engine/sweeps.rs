//! The sweeps of a tile of samples: values, adjoints, tangents, the sum over the sites, and the lift.
//!
//! ```text
//! z_i = u_{i-1} M_i + b_i          u_i = u_{i-1} S_i + act(z_i) W_i + c_i                            `values`
//! E_i = G_i W_i^T                  G_{i-1} = G_i S_i^T + (E_i . act'(z_i)) M_i^T    C_i = E_i . act''(z_i)   `adjoints`
//! A_i = T_{i-1} M_i                T_i = T_{i-1} S_i + (A_i . act'(z_i)) W_i                         `tangents`
//! H_r = sum_i A_i diag(C_i[r]) A_i^T  =  A diag(C[r]) A^T, with all sites side by side               `gram`
//! H_r += T S_r T^T, where tangents were restarted: S_r is the Hessian with respect to that state     `lift`
//! ```
use super::gemm::{Mat, gemm};
use super::kernels::{Rows, copy_rows, dot, dot3, scale_rows, vectorised};
use super::kind::{Kind, mirror};
use super::linear::{Cover, Lin};
use super::program::{Program, Site, Stage};
use crate::Real;
use ndarray::{Array3, ArrayView2, ArrayView3};

/// The first `len` entries of a buffer that grows as needed; what is in them is not defined.
pub(crate) fn fit<F: Real>(buffer: &mut Vec<F>, len: usize) -> &mut [F] {
    if buffer.len() < len {
        buffer.resize(len, F::zero());
    }
    &mut buffer[..len]
}

/// The state of a tile: values, activations and adjoints of all stages.
#[derive(Debug, Default)]
pub(crate) struct Tape<F> {
    pub ns: usize,
    /// States `u_i` (n_s, n_i), `u_0` the points.
    pub u: Vec<Vec<F>>,
    /// Activations of each stage with derivatives, (n_s, p_i) each.
    pub sig: Vec<[Vec<F>; 4]>,
    /// Adjoints `G_i` (n_s, q, n_i).
    pub g: Vec<Vec<F>>,
    /// `E_i` (n_s, q, p_i) of each stage.
    pub e: Vec<Vec<F>>,
    /// `C` (n_s, q, P), all sites side by side.
    pub c: Vec<F>,
    pub scratch: [Vec<F>; 2],
}

/// `out = x S + y W` (or `x S^T + y M^T`) for `n` rows.
#[allow(clippy::too_many_arguments)]
pub(crate) fn sum_of_two<F: Real>(
    transposed: bool,
    cover: Cover,
    n: usize,
    (s, x, xs): (&Lin<F>, &[F], usize),
    (w, y, ys): (&Lin<F>, &[F], usize),
    out: &mut [F],
    os: usize,
) {
    let apply = |lin: &Lin<F>, accumulate, x: &[F], xs, out: &mut [F]| {
        if transposed { lin.apply_t(accumulate, n, x, xs, out, os) } else { lin.apply(accumulate, n, x, xs, out, os) }
    };
    if cover == Cover::Fill {
        out[..n * os].fill(F::zero());
    }
    if cover == Cover::Second {
        apply(w, false, y, ys, out);
        return apply(s, true, x, xs, out);
    }
    apply(s, cover == Cover::Fill, x, xs, out);
    apply(w, cover != Cover::Once, y, ys, out);
}

/// `z_i = u_{i-1} M_i + b_i`, `u_i = u_{i-1} S_i + act(z_i) W_i + c_i`, with derivatives of the activations up to
/// `order`; `tape.u[0]` and `tape.ns` are given.
pub(crate) fn values<F: Real>(program: &Program<F>, order: usize, tape: &mut Tape<F>) {
    let ns = tape.ns;
    tape.u.resize_with(program.depth() + 1, Vec::new);
    tape.sig.resize_with(program.depth(), Default::default);
    for (i, stage) in program.stages.iter().enumerate() {
        let (before, after) = tape.u.split_at_mut(i + 1);
        let (u, out) = (&before[i][..ns * stage.n()], fit(&mut after[0], ns * stage.n_out()));
        match stage {
            Stage::Site(site) => {
                let (n, p) = (site.n, site.p);
                let z = fit(&mut tape.scratch[0], ns * p);
                match &site.b {
                    Some(b) => {
                        z.chunks_exact_mut(p).for_each(|z| z.copy_from_slice(b));
                        site.m.apply(true, ns, u, n, z, p);
                    }
                    None => site.m.map(ns, u, n, z, p),
                }
                let mut orders = 0..4;
                let sig = tape.sig[i]
                    .each_mut()
                    .map(|s| if orders.next().is_some_and(|o| o <= order) { fit(s, ns * p) } else { &mut [][..] });
                site.act.fill(order, z, sig);
                let skip = (&site.s, u, n);
                sum_of_two(false, site.forward, ns, skip, (&site.w, &tape.sig[i][0], p), out, site.n_out);
                if let Some(c) = &site.c {
                    out.chunks_exact_mut(site.n_out).for_each(|u| u.iter_mut().zip(c).for_each(|(u, &c)| *u += c));
                }
            }
            Stage::Smooth(map) => copy_from(out, map.value(view2(u, ns, stage.n())).iter()),
        }
    }
}

/// `E_i = G_i W_i^T`, `C_i = E_i . act''(z_i)`, `G_{i-1} = G_i S_i^T + (E_i . act'(z_i)) M_i^T` for the stages from the
/// last down to `lowest`; `tape.g[depth]` is given. `C` is left out where `curvature` is false.
pub(crate) fn adjoints<F: Real>(program: &Program<F>, q: usize, lowest: usize, curvature: bool, tape: &mut Tape<F>) {
    let (ns, total) = (tape.ns, program.sites());
    tape.e.resize_with(program.depth(), Vec::new);
    if curvature {
        fit(&mut tape.c, ns * q * total);
    }
    for i in (lowest..program.depth()).rev() {
        let stage = &program.stages[i];
        let (below, above) = tape.g.split_at_mut(i + 1);
        let (g_in, g) = (fit(&mut below[i], ns * q * stage.n()), &above[0][..ns * q * stage.n_out()]);
        match stage {
            Stage::Site(site) => {
                let (p, size) = (site.p, (ns, q, site.p));
                let e = fit(&mut tape.e[i], ns * q * p);
                site.w.map_t(ns * q, g, site.n_out, e, p);
                let e = Rows::new(e, q, p);
                if curvature {
                    let c = &mut tape.c[program.offsets[i]..];
                    scale_rows(false, size, e, Rows::new(&tape.sig[i][2], 1, p), F::one(), c, total);
                }
                let scaled = fit(&mut tape.scratch[0], ns * q * p);
                scale_rows(false, size, e, Rows::new(&tape.sig[i][1], 1, p), F::one(), scaled, p);
                let skip = (&site.s, g, site.n_out);
                sum_of_two(true, site.backward, ns * q, skip, (&site.m, scaled, p), g_in, site.n);
            }
            Stage::Smooth(map) => {
                let (u, g) = (view2(&tape.u[i], ns, stage.n()), view3(g, ns, q, stage.n_out()));
                copy_from(g_in, map.adjoint(u, g).iter());
            }
        }
    }
}

/// Tangents through the stages `a .. b`.
#[derive(Debug, Default)]
pub(crate) struct Segment<F> {
    pub a: usize,
    pub b: usize,
    /// Rows of the tangents.
    pub r: usize,
    /// `T` (n_s, r, n_i) before each stage of the segment, and after the last.
    pub t: Vec<Vec<F>>,
    /// `A` (n_s, r, P) of the sites of the segment, side by side.
    pub sites: Vec<F>,
    /// Hessian (n_s, q, n_b, n_b) with respect to the state after the segment, and its fold through the last site.
    pub core: Vec<F>,
    pub folded: Vec<F>,
}

/// Rows that all samples share, with which tangents start at a stage: `R`, `R M` and `R S`.
#[derive(Clone, Debug)]
pub(crate) struct Start<F> {
    pub r: usize,
    /// `R` (full_rows, n); empty for the identity.
    pub rows: Vec<F>,
    pub identity: bool,
    /// `R M` (r, p), empty if the stage is a smooth map.
    pub through_m: Vec<F>,
    /// `R S` (r, n').
    pub through_s: Vec<F>,
    /// Number of rows of `R`, which differs from `r` only where `R M = O Z` was compressed to the `r` rows of `Z`.
    pub full_rows: usize,
    /// `O` (full_rows, r) in that case; `through_m` is `Z` then.
    pub expand: Option<Vec<F>>,
}

impl<F: Real> Start<F> {
    /// The identity at the state before `stage`.
    pub fn identity(stage: &Stage<F>) -> Self {
        let (m, s) = match stage {
            Stage::Site(site) => (site.m.to_dense(), site.s.to_dense()),
            Stage::Smooth(_) => (vec![], vec![]),
        };
        let r = stage.n();
        Self { r, rows: vec![], identity: true, through_m: m, through_s: s, full_rows: r, expand: None }
    }

    /// The rows of `v` (r, n).
    pub fn rows(stage: &Stage<F>, v: &[F], r: usize) -> Self {
        let (mut m, mut s) = (vec![], vec![]);
        if let Stage::Site(site) = stage {
            m.resize(r * site.p, F::zero());
            s.resize(r * site.n_out, F::zero());
            site.m.map(r, v, site.n, &mut m, site.p);
            site.s.map(r, v, site.n, &mut s, site.n_out);
        }
        Self { r, rows: v.to_vec(), identity: false, through_m: m, through_s: s, full_rows: r, expand: None }
    }

    /// Row `a`, entry `j` of `R`.
    pub fn entry(&self, a: usize, j: usize, n: usize) -> F {
        match self.identity {
            true if a == j => F::one(),
            true => F::zero(),
            false => self.rows[a * n + j],
        }
    }

    /// Writes `R` for every sample.
    pub fn expand(&self, ns: usize, n: usize, out: &mut [F]) {
        for (row, out) in out.chunks_exact_mut(n).take(ns * self.r).enumerate() {
            (0..n).for_each(|j| out[j] = self.entry(row % self.r, j, n));
        }
    }
}

/// `out (+)= (A . act'(z)) W` for `r` rows per sample.
#[allow(clippy::too_many_arguments)]
fn through_w<F: Real>(
    accumulate: bool,
    site: &Site<F>,
    (ns, r): (usize, usize),
    a: Rows<F>,
    slope: Rows<F>,
    out: &mut [F],
    scratch: &mut Vec<F>,
) {
    for c in &site.w.copies {
        let (a, slope) = (a.from(c.from), slope.from(c.from));
        scale_rows(accumulate, (ns, r, c.len), a, slope, c.scale, &mut out[c.to..], site.n_out);
    }
    if !site.w.blocks.is_empty() {
        let scaled = fit(scratch, ns * r * site.p);
        scale_rows(false, (ns, r, site.p), a, slope, F::one(), scaled, site.p);
        site.w.apply_blocks(accumulate, ns * r, scaled, site.p, out, site.n_out);
    }
}

/// `A_i = T_{i-1} M_i`, `T_i = T_{i-1} S_i + (A_i . act'(z_i)) W_i` through the stages of `segment`; starts with `start`
/// or, where it is `None`, with `segment.t[0]`. Without `to_state` the sweep ends with the last `A`.
pub(crate) fn tangents<F: Real>(
    program: &Program<F>,
    start: Option<&Start<F>>,
    to_state: bool,
    tape: &mut Tape<F>,
    segment: &mut Segment<F>,
) {
    let (a, b, r, ns) = (segment.a, segment.b, segment.r, tape.ns);
    let width = program.offsets[b] - program.offsets[a];
    segment.t.resize_with(b - a + 1, Vec::new);
    fit(&mut segment.sites, ns * r * width);
    if let (Some(start), Some(Stage::Smooth(map))) = (start, program.stages.get(a)) {
        start.expand(ns, map.dim_input(), fit(&mut segment.t[0], ns * r * map.dim_input()));
    }
    for i in a..b {
        let stage = &program.stages[i];
        let (before, after) = segment.t.split_at_mut(i - a + 1);
        let (t, out) = (&before[i - a][..], &mut after[0]);
        let shared = start.filter(|_| i == a);
        match stage {
            Stage::Site(site) => {
                let (n, p) = (site.n, site.p);
                let sites = &mut segment.sites[program.offsets[i] - program.offsets[a]..];
                match shared {
                    Some(start) => (0..ns).for_each(|s| {
                        copy_rows(false, (r, p), (&start.through_m, p), F::one(), &mut sites[s * r * width..], width);
                    }),
                    None => site.m.map(ns * r, t, n, sites, width),
                }
                if i + 1 == b && !to_state {
                    break;
                }
                let out = fit(out, ns * r * site.n_out);
                let slope = Rows::new(&tape.sig[i][1], 1, p);
                let (assign_w, assign_s) = match site.forward {
                    Cover::First => (false, true),
                    Cover::Second => (true, false),
                    Cover::Once => (true, true),
                    Cover::Fill => (false, false),
                };
                if site.forward == Cover::Fill {
                    out.fill(F::zero());
                }
                let scratch = &mut tape.scratch[0];
                if assign_w {
                    through_w(false, site, (ns, r), Rows::new(sites, r, width), slope, out, scratch);
                }
                match shared {
                    // R S is zero where S is: nothing to write unless it must be assigned
                    Some(start) => {
                        if !site.s.is_zero() {
                            site.s.spread(!assign_s, ns, r, &start.through_s, out);
                        }
                    }
                    None => site.s.apply(!assign_s, ns * r, t, n, out, site.n_out),
                }
                if !assign_w {
                    through_w(true, site, (ns, r), Rows::new(sites, r, width), slope, out, scratch);
                }
            }
            Stage::Smooth(map) => {
                if i + 1 < b || to_state {
                    let (u, t) = (view2(&tape.u[i], ns, stage.n()), view3(t, ns, r, stage.n()));
                    copy_from(fit(out, ns * r * stage.n_out()), map.tangent(u, t).iter());
                }
            }
        }
    }
}

/// `H_r = A diag(C[r]) A^T` over sites side by side: `sites` (n_s, k, width) of which the first `used` columns count,
/// `c` (n_s, q, ..), to `out` (n_s, q, slots); of a full Hessian the upper half is written.
pub(crate) fn gram<F: Real>(
    kind: &Kind<F>,
    (ns, q): (usize, usize),
    (sites, width, used): (&[F], usize, usize),
    c: Rows<F>,
    out: &mut [F],
    scratch: &mut Vec<F>,
) {
    let (k, len) = (kind.k(), kind.len());
    for s in 0..ns {
        let a = &sites[s * k * width..];
        for r in 0..q {
            let c = if used == 0 { &[] } else { c.row(s, r, used) };
            let h = &mut out[(s * q + r) * len..][..len];
            match kind {
                Kind::Full { k } if *k > SMALL => {
                    let scaled = fit(scratch, k * used);
                    let (a_rows, weights) = (Rows::new(a, *k, width), Rows::shared(c, 0));
                    scale_rows(false, (1, *k, used), a_rows, weights, F::one(), scaled, used);
                    upper_product(*k, (scaled, used), (a, width), used, false, h);
                }
                _ => vectorised(
                    #[inline(always)]
                    || {
                        if !matches!(kind, Kind::Full { .. }) {
                            h.fill(F::zero());
                        }
                        kind.each(|t| {
                            let sum = dot3(c, &a[t.a * width..][..used], &a[t.b * width..][..used]);
                            match kind {
                                Kind::Full { .. } => h[t.slot] = sum,
                                _ => h[t.slot] += t.coefficient * sum,
                            }
                        });
                    },
                ),
            }
        }
    }
}

/// Up to this many directions the entries are dot products; beyond, a GEMM.
const SMALL: usize = 8;

/// The upper half of `x y^T` (k, k), in blocks of rows: `out = x y^T` or `out += x y^T`.
fn upper_product<F: Real>(
    k: usize,
    (x, xs): (&[F], usize),
    (y, ys): (&[F], usize),
    inner: usize,
    accumulate: bool,
    out: &mut [F],
) {
    const BLOCK: usize = 64;
    for i0 in (0..k).step_by(BLOCK) {
        let rows = BLOCK.min(k - i0);
        let x = Mat::new(&x[i0 * xs..], rows, inner, xs);
        let y = Mat::new(&y[i0 * ys..], k - i0, inner, ys);
        gemm(accumulate, x, y.t(), &mut out[i0 * k + i0..], k);
    }
}

/// `H_r += X S_r X^T`: `x` (n_s, k, n) with `stride` entries from row to row, `core` (n_s, q, n, n).
#[allow(clippy::too_many_arguments)]
pub(crate) fn lift<F: Real>(
    kind: &Kind<F>,
    (ns, q, n): (usize, usize, usize),
    (x, stride): (&[F], usize),
    core: &[F],
    out: &mut [F],
    scratch: &mut Vec<F>,
) {
    let (k, len) = (kind.k(), kind.len());
    for s in 0..ns {
        let x = &x[s * k * stride..];
        for r in 0..q {
            let y = fit(scratch, k * n);
            let core = Mat::new(&core[(s * q + r) * n * n..][..n * n], n, n, n);
            gemm(false, Mat::new(x, k, n, stride), core, y, n);
            let h = &mut out[(s * q + r) * len..][..len];
            match kind {
                Kind::Full { k } if *k > SMALL => upper_product(*k, (y, n), (x, stride), n, true, h),
                _ => vectorised(
                    #[inline(always)]
                    || {
                        kind.each(|t| {
                            h[t.slot] += t.coefficient * dot(&y[t.a * n..][..n], &x[t.b * stride..][..n]);
                        });
                    },
                ),
            }
        }
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
                    for i in 0..p {
                        let di = scale * scale * d[i];
                        let (core, out) = (&core[i * p..][..p], &mut out[i * p..][..p]);
                        for j in 0..p {
                            out[j] = di * core[j] * d[j];
                        }
                        out[i] += c[i];
                    }
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
) {
    let (rows, k) = (kind.rows(), kind.k());
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
                    for j in 0..p {
                        out[j] += t.coefficient * x[j] * y[j] * curve[j];
                    }
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
    (h, hm, out): (&[F], &mut Vec<F>, &mut Vec<F>),
) {
    let (ns, rows, k) = (tape.ns, kind.rows(), kind.k());
    match &program.stages[i] {
        Stage::Site(site) => {
            let (n, p) = (site.n, site.p);
            let hm = fit(hm, ns * rows * p);
            let site_h = fit(&mut tape.scratch[1], ns * rows * p);
            if zero {
                hm.fill(F::zero());
                site_h.fill(F::zero());
            } else {
                site.m.map(ns * rows, h, n, hm, p);
                let slope = Rows::new(&tape.sig[i][1], 1, p);
                scale_rows(false, (ns, rows, p), Rows::new(hm, rows, p), slope, F::one(), site_h, p);
            }
            add_curvature(kind, (ns, p), (sites, width), &tape.sig[i][2], site_h);
            let out = fit(out, ns * rows * site.n_out);
            if zero {
                site.w.map(ns * rows, site_h, p, out, site.n_out);
            } else {
                let skip = (&site.s, h, n);
                sum_of_two(false, site.forward, ns * rows, skip, (&site.w, site_h, p), out, site.n_out);
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

/// `out[s, r, slot] (+)= sum_n H[s, row, n] G[s, r, n]`: a carried Hessian contracted with the adjoints.
pub(crate) fn contract<F: Real>(
    accumulate: bool,
    kind: &Kind<F>,
    (ns, q, n): (usize, usize, usize),
    h: &[F],
    g: Rows<F>,
    out: &mut [F],
    scratch: &mut Vec<F>,
) {
    let (rows, len) = (kind.rows(), kind.len());
    for s in 0..ns {
        let by_row = fit(scratch, q * rows);
        let g = Mat::new(&g.data[s * g.sample..], q, n, g.stride);
        gemm(false, g, Mat::new(&h[s * rows * n..], rows, n, n).t(), by_row, rows);
        for r in 0..q {
            let (by_row, out) = (&by_row[r * rows..][..rows], &mut out[(s * q + r) * len..][..len]);
            let mut write = |slot: usize, row: usize| match accumulate {
                true => out[slot] += by_row[row],
                false => out[slot] = by_row[row],
            };
            match kind {
                // the rows of a trace are already summed
                Kind::Trace { .. } => write(0, 0),
                _ => kind.each(|t| write(t.slot, t.row)),
            }
        }
    }
}

/// Mirrors every (n, n) matrix of `h`.
pub(crate) fn mirror_all<F: Real>(h: &mut [F], n: usize) {
    h.chunks_exact_mut(n * n).for_each(|h| mirror(h, n));
}

pub(crate) fn view2<F>(data: &[F], a: usize, b: usize) -> ArrayView2<'_, F> {
    ArrayView2::from_shape((a, b), &data[..a * b]).expect("a buffer of that size")
}

pub(crate) fn view3<F>(data: &[F], a: usize, b: usize, c: usize) -> ArrayView3<'_, F> {
    ArrayView3::from_shape((a, b, c), &data[..a * b * c]).expect("a buffer of that size")
}

/// The identity (n, n) for each of `ns` samples.
pub(crate) fn identities<F: Real>(ns: usize, n: usize) -> Array3<F> {
    Array3::from_shape_fn((ns, n, n), |(_, i, j)| if i == j { F::one() } else { F::zero() })
}

pub(crate) fn copy_from<'a, F: Real>(out: &mut [F], from: impl Iterator<Item = &'a F>) {
    out.iter_mut().zip(from).for_each(|(o, &f)| *o = f);
}
