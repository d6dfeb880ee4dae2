//! The sweeps in reverse: cotangents of their results to cotangents of what they started from, and of the weights.
//!
//! Each method reverses the function of the same name in `sweeps` or `hessian`, line by line; bars are cotangents:
//! `X_bar` collects the derivative of the loss with respect to `X`.
use super::gradient::{StartBar, WeightGradient};
use super::hessian::add_curvature;
use super::kernels::{Rows, copy_rows, dot_rows, scale_rows};
use super::kind::Kind;
use super::program::{Program, Stage};
use super::reverse_hessian::{dense_weight, fold, gram, lift, smooth_curvature, smooth_rows};
use super::sweeps::{Segment, Start, sum_of_two};
use super::tape::{Buffer, Tape, copy_from, fit, identities, view2, view3};
use crate::Real;
use ndarray::Array4;

/// Cotangents of the state of a tile.
#[derive(Debug, Default)]
pub(crate) struct Bars<F> {
    /// Of `act'` and `act''` of each stage (n_s, p).
    pub slope: Vec<Buffer<F>>,
    pub curve: Vec<Buffer<F>>,
    /// Of `C` (n_s, q, P).
    pub c: Buffer<F>,
    /// Of the adjoints `G_i` (n_s, q, n_i).
    pub g: Vec<Buffer<F>>,
    /// Of the states, where smooth maps add to them (n_s, n_i).
    pub u: Vec<Buffer<F>>,
    scratch: [Buffer<F>; 3],
}

fn zeroed<F: Real>(buffer: &mut Buffer<F>, len: usize) -> &mut [F] {
    let out = fit(buffer, len);
    out.fill(F::zero());
    out
}

fn sum_rows<F: Real>(x: &[F], out: &mut [F]) {
    let n = out.len();
    x.chunks_exact(n.max(1)).for_each(|x| out.iter_mut().zip(x).for_each(|(o, &x)| *o += x));
}

impl<F: Real> Bars<F> {
    /// All zero, for the adjoints from `lowest` on.
    pub fn reset(&mut self, program: &Program<F>, ns: usize, q: usize, lowest: usize) {
        let depth = program.depth();
        self.slope.resize_with(depth, Buffer::default);
        self.curve.resize_with(depth, Buffer::default);
        self.g.resize_with(depth + 1, Buffer::default);
        self.u.resize_with(depth + 1, Buffer::default);
        for (i, stage) in program.stages.iter().enumerate() {
            zeroed(&mut self.slope[i], ns * stage.p());
            zeroed(&mut self.curve[i], ns * stage.p());
            zeroed(&mut self.u[i], ns * stage.n());
        }
        if lowest < depth {
            zeroed(&mut self.c, ns * q * program.sites());
            for i in lowest..=depth {
                zeroed(&mut self.g[i], ns * q * program.width(i));
            }
        }
    }
}

/// What the reverse of a tile works on.
pub(crate) struct Reverse<'a, F> {
    pub program: &'a Program<F>,
    pub q: usize,
    pub tape: &'a mut Tape<F>,
    pub bars: &'a mut Bars<F>,
    pub gradient: &'a mut WeightGradient<F>,
}

impl<F: Real> Reverse<'_, F> {
    /// Reverse of one segment, given the cotangents `h` of its slots: tangents, sites and lift. Fills `core_bar` (the
    /// cotangents of the next segment's slots) if the segment lifts, and `t_bar` (of the first tangents) if it does not
    /// start from shared rows.
    #[allow(clippy::too_many_arguments)]
    pub fn segment(
        &mut self,
        start: Option<(&Start<F>, &mut StartBar<F>)>,
        kind: &Kind<F>,
        lifts: bool,
        segment: &Segment<F>,
        h: &[F],
        core_bar: &mut Buffer<F>,
        t_bar: &mut Vec<F>,
    ) {
        let (program, ns, q) = (self.program, self.tape.ns, self.q);
        let (a, b, r) = (segment.a, segment.b, segment.r);
        let (width, total) = (program.offsets[b] - program.offsets[a], program.sites());
        let mut sites_bar = vec![F::zero(); ns * r * width];
        let fold_scale = if lifts { super::tile::fold_at(program, b) } else { None };
        let folded = fold_scale.map_or(0, |_| program.stages[b - 1].p());
        let c = Rows::new(&self.tape.c, q, total).from(program.offsets[a]);
        let c_bar = (&mut self.bars.c[program.offsets[a].min(ns * q * total)..], total);
        let scratch = &mut self.bars.scratch;
        let used = width - folded;
        gram(kind, (ns, q), (&segment.sites, width, used), c, h, &mut sites_bar, c_bar, scratch);
        let mut t_end = None;
        if let Some(scale) = fold_scale {
            let core_bar = fit(core_bar, ns * q * folded * folded);
            let x = (&segment.sites[used..], width);
            let size = (ns, q, folded);
            lift(kind, size, x, &segment.folded, h, (&mut sites_bar[used..], width), core_bar, scratch);
            let c_bar = (&mut self.bars.c[program.offsets[b - 1]..], total);
            let slope = &self.tape.sig[b - 1][1];
            fold(scale, size, slope, &segment.core, core_bar, &mut self.bars.slope[b - 1], c_bar);
        } else if lifts {
            let n = program.width(b);
            let core_bar = fit(core_bar, ns * q * n * n);
            let mut bar = vec![F::zero(); ns * r * n];
            lift(kind, (ns, q, n), (&segment.t[b - a], n), &segment.core, h, (&mut bar, n), core_bar, scratch);
            t_end = Some(bar);
        }
        let has_smooth = program.stages[a..b].iter().any(|s| matches!(s, Stage::Smooth(_)));
        let weight = has_smooth.then(|| dense_weight(kind, (ns, q), h));
        self.tangents(start, segment, &mut sites_bar, t_end, weight.as_ref(), t_bar);
    }

    /// Reverse of `tangents`, given the cotangents of `A` and, if there is one, of the tangents after the last layer;
    /// `weight` is the cotangent of the Hessian for smooth maps.
    pub fn tangents(
        &mut self,
        mut start: Option<(&Start<F>, &mut StartBar<F>)>,
        segment: &Segment<F>,
        sites_bar: &mut [F],
        mut t_end: Option<Vec<F>>,
        weight: Option<&Array4<F>>,
        t_bar: &mut Vec<F>,
    ) {
        let (a, b) = (segment.a, segment.b);
        let width = self.program.offsets[b] - self.program.offsets[a];
        for i in (a..b).rev() {
            let at = self.program.offsets[i] - self.program.offsets[a];
            let shared = if i == a { start.as_mut().map(|(s, bar)| (*s, &mut **bar)) } else { None };
            let sites = (&segment.sites[at.min(segment.sites.len())..], width);
            let len = sites_bar.len();
            let bar = &mut sites_bar[at.min(len)..];
            let below = self.tangent_stage(i, shared, segment.r, &segment.t[i - a], sites, bar, t_end.take(), weight);
            t_end = below;
        }
        if let Some(bar) = t_end {
            *t_bar = bar;
        }
    }

    /// Reverse of one stage of `tangents`; returns the cotangent of the tangents before it.
    #[allow(clippy::too_many_arguments)]
    fn tangent_stage(
        &mut self,
        i: usize,
        shared: Option<(&Start<F>, &mut StartBar<F>)>,
        r: usize,
        t: &[F],
        (sites, width): (&[F], usize),
        sites_bar: &mut [F],
        t_out: Option<Vec<F>>,
        weight: Option<&Array4<F>>,
    ) -> Option<Vec<F>> {
        let (program, ns) = (self.program, self.tape.ns);
        match &program.stages[i] {
            Stage::Site(site) => {
                let (n, p, m) = (site.n, site.p, site.n_out);
                let size = (ns, r, p);
                let slope = Rows::new(&self.tape.sig[i][1], 1, p);
                let gradient = &mut self.gradient.stages[i];
                if let Some(out) = &t_out {
                    // T' = T S + (A . act') W
                    let [b_bar, scaled, _] = &mut self.bars.scratch;
                    let b_bar = fit(b_bar, ns * r * p);
                    site.w.map_t(ns * r, out, m, b_bar, p);
                    let rows = Rows::new(sites, r, width);
                    dot_rows(size, rows, Rows::new(b_bar, r, p), &mut self.bars.slope[i], p);
                    scale_rows(true, size, Rows::new(b_bar, r, p), slope, F::one(), sites_bar, width);
                    if site.w.trained() {
                        let scaled = fit(scaled, ns * r * p);
                        scale_rows(false, size, rows, slope, F::one(), scaled, p);
                        site.w.add_gradient(ns * r, scaled, p, out, m, &mut gradient.w);
                    }
                    if shared.is_none() && site.s.trained() {
                        site.s.add_gradient(ns * r, t, n, out, m, &mut gradient.s);
                    }
                }
                // A = T M
                if let Some((_, bar)) = shared {
                    (0..ns).for_each(|s| {
                        copy_rows(true, (r, p), (&sites_bar[s * r * width..], width), F::one(), &mut bar.m, p);
                    });
                    if let (Some(out), true) = (&t_out, site.s.trained()) {
                        sum_rows(out, &mut bar.s);
                    }
                    return None;
                }
                site.m.add_gradient(ns * r, t, n, sites_bar, width, &mut gradient.m);
                let mut below = vec![F::zero(); ns * r * n];
                match &t_out {
                    Some(out) => {
                        let bar = (&site.m, &*sites_bar, width);
                        sum_of_two(true, site.backward, ns * r, (&site.s, out, m), bar, &mut below, n);
                    }
                    None => site.m.apply_t(true, ns * r, sites_bar, width, &mut below, n),
                }
                Some(below)
            }
            Stage::Smooth(map) => {
                let mut below = vec![F::zero(); ns * r * map.dim_input()];
                let m = map.dim_output();
                if let Some(out) = &t_out {
                    let u = view2(&self.tape.u[i], ns, map.dim_input());
                    copy_from(&mut below, map.adjoint(u, view3(out, ns, r, m)).iter());
                    smooth_rows(program, i, self.tape, t, out, r, &mut self.bars.u[i]);
                }
                if let Some(weight) = weight {
                    let g = (&self.tape.g[i + 1][..], self.q);
                    let g_bar = Some(&mut self.bars.g[i + 1][..ns * self.q * m]);
                    smooth_curvature(program, i, self.tape, (t, r), g, weight, &mut below, g_bar, &mut self.bars.u[i]);
                }
                shared.is_none().then_some(below)
            }
        }
    }

    /// Reverse of `carry` through stage `i`, given the cotangents of `H'` and of the tangents after the stage; returns
    /// those of `H` (empty where `zero` says that `H` is zero) and of the tangents before it.
    #[allow(clippy::too_many_arguments)]
    pub fn carry(
        &mut self,
        kind: &Kind<F>,
        i: usize,
        zero: bool,
        shared: Option<(&Start<F>, &mut StartBar<F>)>,
        (t, sites, width): (&[F], &[F], usize),
        (h, hm): (&[F], &[F]),
        h_out: &[F],
        t_out: Option<Vec<F>>,
    ) -> (Vec<F>, Option<Vec<F>>) {
        let (program, ns, rows, k) = (self.program, self.tape.ns, kind.rows(), kind.k());
        match &program.stages[i] {
            Stage::Site(site) => {
                let (n, p, m) = (site.n, site.p, site.n_out);
                let size = (ns, rows, p);
                let slope = Rows::new(&self.tape.sig[i][1], 1, p);
                let mut h_bar = vec![F::zero(); ns * rows * p];
                site.w.map_t(ns * rows, h_out, m, &mut h_bar, p);
                if site.w.trained() {
                    // h = (H M) . act' + sum A_a . A_b . act'', computed again
                    let mut site_h = vec![F::zero(); ns * rows * p];
                    scale_rows(false, size, Rows::new(hm, rows, p), slope, F::one(), &mut site_h, p);
                    add_curvature(kind, (ns, p), (sites, width), &self.tape.sig[i][2], &mut site_h);
                    site.w.add_gradient(ns * rows, &site_h, p, h_out, m, &mut self.gradient.stages[i].w);
                }
                dot_rows(size, Rows::new(hm, rows, p), Rows::new(&h_bar, rows, p), &mut self.bars.slope[i], p);
                let mut sites_bar = vec![F::zero(); ns * k * p];
                for s in 0..ns {
                    let curve = &self.tape.sig[i][2][s * p..][..p];
                    let curve_bar = &mut self.bars.curve[i][s * p..][..p];
                    let a = &sites[s * k * width..];
                    let bar = &mut sites_bar[s * k * p..][..k * p];
                    kind.each(|t| {
                        let (x, y) = (&a[t.a * width..][..p], &a[t.b * width..][..p]);
                        let w = &h_bar[(s * rows + t.row) * p..][..p];
                        for j in 0..p {
                            let w = t.coefficient * w[j];
                            curve_bar[j] += w * x[j] * y[j];
                            bar[t.a * p + j] += w * y[j] * curve[j];
                            bar[t.b * p + j] += w * x[j] * curve[j];
                        }
                    });
                }
                let mut below = Vec::new();
                if !zero {
                    let mut scaled = vec![F::zero(); ns * rows * p];
                    scale_rows(false, size, Rows::new(&h_bar, rows, p), slope, F::one(), &mut scaled, p);
                    let gradient = &mut self.gradient.stages[i];
                    site.m.add_gradient(ns * rows, h, n, &scaled, p, &mut gradient.m);
                    if site.s.trained() {
                        site.s.add_gradient(ns * rows, h, n, h_out, m, &mut gradient.s);
                    }
                    below = vec![F::zero(); ns * rows * n];
                    let skip = (&site.s, h_out, m);
                    sum_of_two(true, site.backward, ns * rows, skip, (&site.m, &scaled, p), &mut below, n);
                }
                // the sites of this stage alone, side by side with nothing
                let alone = compact(sites, width, ns * k, p);
                let t_bar = self.tangent_stage(i, shared, k, t, (&alone, p), &mut sites_bar, t_out, None);
                (below, t_bar)
            }
            Stage::Smooth(map) => {
                let (n, m) = (map.dim_input(), map.dim_output());
                let mut below = Vec::new();
                if !zero {
                    let u = view2(&self.tape.u[i], ns, n);
                    below = map.adjoint(u, view3(h_out, ns, rows, m)).iter().copied().collect();
                    smooth_rows(program, i, self.tape, h, h_out, rows, &mut self.bars.u[i]);
                }
                let mut weight = Array4::zeros((ns, k, k, m));
                for s in 0..ns {
                    kind.each(|t| {
                        for o in 0..m {
                            let half = F::of(0.5) * t.coefficient * h_out[(s * rows + t.row) * m + o];
                            weight[[s, t.a, t.b, o]] += half;
                            weight[[s, t.b, t.a, o]] += half;
                        }
                    });
                }
                let unit = identities(ns, m);
                let unit = unit.as_slice().expect("fresh arrays are contiguous");
                let is_shared = shared.is_some();
                let mut t_bar = self.tangent_stage(i, None, k, t, (&[], 0), &mut [], t_out, None).unwrap_or_default();
                smooth_curvature(
                    program,
                    i,
                    self.tape,
                    (t, k),
                    (unit, m),
                    &weight,
                    &mut t_bar,
                    None,
                    &mut self.bars.u[i],
                );
                (below, (!is_shared).then_some(t_bar))
            }
        }
    }

    /// Reverse of `adjoints`, from layer `lowest` to the last, given the cotangents of `G` at `lowest` and of `C`.
    pub fn adjoints(&mut self, lowest: usize, curvature: bool) {
        let (program, ns, q, total) = (self.program, self.tape.ns, self.q, self.program.sites());
        for i in lowest..program.depth() {
            let stage = &program.stages[i];
            let (below, above) = self.bars.g.split_at_mut(i + 1);
            let (g_in, g_out) = (&below[i][..ns * q * stage.n()], &mut above[0][..ns * q * stage.n_out()]);
            let g = &self.tape.g[i + 1][..ns * q * stage.n_out()];
            match stage {
                Stage::Site(site) => {
                    let (n, p, m) = (site.n, site.p, site.n_out);
                    let size = (ns, q, p);
                    let gradient = &mut self.gradient.stages[i];
                    let e = Rows::new(&self.tape.e[i], q, p);
                    let slope = Rows::new(&self.tape.sig[i][1], 1, p);
                    let [q_bar, e_bar, _] = &mut self.bars.scratch;
                    let (q_bar, e_bar) = (fit(q_bar, ns * q * p), fit(e_bar, ns * q * p));
                    // G' = G S^T + (E . act') M^T
                    site.m.map(ns * q, g_in, n, q_bar, p);
                    scale_rows(false, size, e, slope, F::one(), e_bar, p);
                    site.m.add_gradient(ns * q, g_in, n, e_bar, p, &mut gradient.m);
                    if site.s.trained() {
                        site.s.add_gradient(ns * q, g_in, n, g, m, &mut gradient.s);
                    }
                    dot_rows(size, e, Rows::new(q_bar, q, p), &mut self.bars.slope[i], p);
                    // C = E . act''
                    scale_rows(false, size, Rows::new(q_bar, q, p), slope, F::one(), e_bar, p);
                    if curvature {
                        let c_bar = Rows::new(&self.bars.c, q, total).from(program.offsets[i]);
                        scale_rows(true, size, c_bar, Rows::new(&self.tape.sig[i][2], 1, p), F::one(), e_bar, p);
                        dot_rows(size, e, c_bar, &mut self.bars.curve[i], p);
                    }
                    // E = G W^T
                    if site.w.trained() {
                        site.w.add_gradient(ns * q, e_bar, p, g, m, &mut gradient.w);
                    }
                    site.s.apply(true, ns * q, g_in, n, g_out, m);
                    site.w.apply(true, ns * q, e_bar, p, g_out, m);
                }
                Stage::Smooth(map) => {
                    let u = view2(&self.tape.u[i], ns, map.dim_input());
                    let bar = map.tangent(u, view3(g_in, ns, q, map.dim_input()));
                    g_out.iter_mut().zip(bar.iter()).for_each(|(to, &b)| *to += b);
                    smooth_rows(program, i, self.tape, g_in, g, q, &mut self.bars.u[i]);
                }
            }
        }
    }

    /// Reverse of `values`, given the cotangent of the last state in `u_bar`; leaves that of the points there.
    /// `second` says that cotangents of `act''` (and of `act'`) were collected.
    pub fn values(&mut self, first: bool, second: bool, u_bar: &mut Vec<F>) {
        let (program, ns) = (self.program, self.tape.ns);
        for (i, stage) in program.stages.iter().enumerate().rev() {
            let mut below = vec![F::zero(); ns * stage.n()];
            match stage {
                Stage::Site(site) => {
                    let (n, p, m) = (site.n, site.p, site.n_out);
                    let gradient = &mut self.gradient.stages[i];
                    let sig = &self.tape.sig[i];
                    let z_bar = fit(&mut self.bars.scratch[0], ns * p);
                    site.w.map_t(ns, u_bar, m, z_bar, p);
                    for j in 0..ns * p {
                        z_bar[j] *= sig[1][j];
                        if first {
                            z_bar[j] += sig[2][j] * self.bars.slope[i][j];
                        }
                        if second {
                            z_bar[j] += sig[3][j] * self.bars.curve[i][j];
                        }
                    }
                    let u = &self.tape.u[i];
                    site.m.add_gradient(ns, u, n, z_bar, p, &mut gradient.m);
                    if site.s.trained() {
                        site.s.add_gradient(ns, u, n, u_bar, m, &mut gradient.s);
                    }
                    if site.w.trained() {
                        site.w.add_gradient(ns, &sig[0], p, u_bar, m, &mut gradient.w);
                    }
                    if site.b_theta.is_some() {
                        sum_rows(z_bar, &mut gradient.b);
                    }
                    if site.c_theta.is_some() {
                        sum_rows(&u_bar[..ns * m], &mut gradient.c);
                    }
                    let skip = (&site.s, &u_bar[..], m);
                    sum_of_two(true, site.backward, ns, skip, (&site.m, z_bar, p), &mut below, n);
                }
                Stage::Smooth(map) => {
                    let u = view2(&self.tape.u[i], ns, map.dim_input());
                    copy_from(&mut below, map.adjoint(u, view3(u_bar, ns, 1, map.dim_output())).iter());
                }
            }
            below.iter_mut().zip(self.bars.u[i].iter()).for_each(|(to, &b)| *to += b);
            *u_bar = below;
        }
    }
}

/// The first `p` columns of rows with `width` entries.
fn compact<F: Real>(x: &[F], width: usize, rows: usize, p: usize) -> Vec<F> {
    let mut out = vec![F::zero(); rows * p];
    copy_rows(false, (rows, p), (x, width), F::one(), &mut out, p);
    out
}
