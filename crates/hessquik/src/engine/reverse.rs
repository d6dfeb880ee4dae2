//! The sweeps in reverse: cotangents of their results to cotangents of what they started from, and of the weights.
//!
//! Each method reverses the function of the same name in `sweeps` or `hessian`, line by line; bars are cotangents:
//! `X_bar` collects the derivative of the loss with respect to `X`.
use super::bars::Bars;
use super::gradient::{StartBar, WeightGradient};
use super::kernels::{Rows, scale_rows};
use super::kind::Kind;
use super::program::{Program, Site, Stage};
use super::reverse_hessian::{Weights, dense_weight, fold, gram, lift, smooth_curvature, smooth_rows};
use super::reverse_kernels::{AdjointBars, Gather, ScaledBars, ValueBars, add_rows};
use super::start::Start;
use super::stop::step;
use super::sweeps::{Segment, sum_of_two};
use super::tape::{Buffer, Tape, copy_from, fit, view2, view3};
use super::tile::fold_at;
use crate::Real;
use ndarray::Array4;
use std::mem::swap;

/// What the reverse of a tile works on.
pub(crate) struct Reverse<'a, F> {
    pub program: &'a Program<F>,
    pub q: usize,
    pub tape: &'a mut Tape<F>,
    pub bars: &'a mut Bars<F>,
    pub gradient: &'a mut WeightGradient<F>,
}

/// Tangents that all samples share at the first stage, and the cotangents of what they go through.
pub(crate) type Shared<'a, F> = Option<(&'a Start<F>, &'a mut StartBar<F>)>;

impl<F: Real> Reverse<'_, F> {
    /// Reverse of one segment, given the cotangents `h` of its slots: tangents, sites and lift. Fills `core_bar` (the
    /// cotangents of the next segment's slots) if the segment lifts, and `bars.t` (of the first tangents) if it does not
    /// start from shared rows.
    pub fn segment(
        &mut self,
        start: Shared<F>,
        kind: &Kind<F>,
        lifts: bool,
        segment: &Segment<F>,
        h: &[F],
        core_bar: &mut Buffer<F>,
    ) {
        let (program, ns, q) = (self.program, self.tape.ns, self.q);
        let (a, b, r) = (segment.a, segment.b, segment.r);
        let mut matrices = std::mem::take(&mut self.bars.b);
        let weights = Weights::new(kind, h, ns * q, &mut matrices);
        self.bars.t.clear();
        if lifts && fold_at(program, b).is_none() {
            let n = program.width(b);
            let core_bar = fit(core_bar, ns * q * n * n);
            let x = Rows::new(&segment.t[b - a], r, n);
            let x_bar = self.bars.t.gather(ns * r * n).data;
            lift(weights, (ns, q, n), x, &segment.core, x_bar, core_bar, &mut self.bars.scratch);
        }
        let has_smooth = program.stages[a..b].iter().any(|s| matches!(s, Stage::Smooth(_)));
        let weight = has_smooth.then(|| dense_weight(kind, (ns, q), h));
        self.tangents(start, segment, Some((weights, lifts, core_bar)), weight.as_ref());
        self.bars.b = matrices;
    }

    /// Reverse of `tangents`, given the cotangent `bars.t` of the tangents after the last stage, if there is one, and
    /// `curvature`: the cotangents of the Hessians, from which those of `A` follow stage by stage, whether the segment
    /// lifts, and where the cotangents of what it lifts go. `weight` is the cotangent of the Hessian for smooth maps.
    pub fn tangents(
        &mut self,
        mut start: Shared<F>,
        segment: &Segment<F>,
        mut curvature: Option<(Weights<F>, bool, &mut Buffer<F>)>,
        weight: Option<&Array4<F>>,
    ) {
        let (program, a, b) = (self.program, segment.a, segment.b);
        let width = program.offsets[b] - program.offsets[a];
        for i in (a..b).rev() {
            let at = program.offsets[i] - program.offsets[a];
            let sites = Rows::new(&segment.sites, segment.r, width).from(at);
            self.bars.a.clear();
            if let Some((weights, lifts, core_bar)) = &mut curvature {
                match fold_at(program, b).filter(|_| *lifts && i + 1 == b) {
                    Some(scale) => self.folded(*weights, scale, segment, sites, core_bar),
                    None => self.sites(*weights, i, sites),
                }
            }
            let shared = if i == a { start.take() } else { None };
            self.tangent_stage(i, shared, segment.r, &segment.t[i - a], sites, weight);
        }
    }

    /// Reverse of the sum over the site of stage `i`: assigns `bars.a`.
    fn sites(&mut self, weights: Weights<F>, i: usize, sites: Rows<F>) {
        let (ns, q, p) = (self.tape.ns, self.q, self.program.stages[i].p());
        if p == 0 {
            return;
        }
        let c = Rows::new(&self.tape.c, q, self.program.sites()).from(self.program.offsets[i]);
        let a_bar = self.bars.a.gather(ns * weights.kind.k() * p).data;
        gram(weights, (ns, q, p), sites, c, a_bar, self.bars.c[i].gather(ns * q * p), &mut self.bars.scratch[0]);
    }

    /// Reverse of the lift through the last site of `segment`, where the next one was folded: assigns `bars.a`.
    fn folded(
        &mut self,
        weights: Weights<F>,
        scale: F,
        segment: &Segment<F>,
        sites: Rows<F>,
        core_bar: &mut Buffer<F>,
    ) {
        let (ns, q, i) = (self.tape.ns, self.q, segment.b - 1);
        let p = self.program.stages[i].p();
        let (size, core_bar) = ((ns, q, p), fit(core_bar, ns * q * p * p));
        let x_bar = self.bars.a.gather(ns * segment.r * p).data;
        lift(weights, size, sites, &segment.folded, x_bar, core_bar, &mut self.bars.scratch);
        let (slope_bar, c_bar) = (self.bars.slope[i].total(ns * p), self.bars.c[i].total(ns * q * p));
        fold(scale, size, &self.tape.sig[i][1], &segment.core, core_bar, slope_bar, c_bar);
    }

    /// Reverse of one stage of `tangents`: `bars.a` and, if started, `bars.t` to the cotangent of the tangents before it.
    pub fn tangent_stage(
        &mut self,
        i: usize,
        shared: Shared<F>,
        r: usize,
        t: &[F],
        sites: Rows<F>,
        weight: Option<&Array4<F>>,
    ) {
        let (program, ns, bars) = (self.program, self.tape.ns, &mut *self.bars);
        step();
        match &program.stages[i] {
            Stage::Site(site) => {
                let (n, p, m) = (site.n, site.p, site.n_out);
                let (size, rows) = ((ns, r, p), ns * r);
                if let Some(out) = bars.t.get(rows * m) {
                    let gradient = &mut self.gradient.stages[i];
                    // T' = T S + (A . act') W
                    let [b_bar, scaled] = &mut bars.scratch;
                    let (b_bar, scale) = match site.w.as_identity() {
                        Some(scale) => (out, scale),
                        None => {
                            let b_bar = fit(b_bar, rows * p);
                            site.w.map_t(rows, out, m, b_bar, p);
                            (&*b_bar, F::one())
                        }
                    };
                    let slope = &self.tape.sig[i][1];
                    let (slope_bar, a_bar) = (bars.slope[i].gather(ns * p), bars.a.gather(rows * p));
                    ScaledBars { size, a: sites, b_bar: Rows::new(b_bar, r, p), scale, slope, slope_bar, a_bar }.run();
                    if site.w.trained() {
                        let scaled = fit(scaled, rows * p);
                        scale_rows(false, size, sites, Rows::new(slope, 1, p), F::one(), scaled, p);
                        site.w.add_gradient(rows, scaled, p, out, m, &mut gradient.w);
                    }
                    if shared.is_none() && site.s.trained() {
                        site.s.add_gradient(rows, t, n, out, m, &mut gradient.s);
                    }
                }
                // A = T M
                let a_bar = &*bars.a.total(rows * p);
                if let Some((_, bar)) = shared {
                    add_rows(ns, a_bar, &mut bar.m);
                    if let (Some(out), true) = (bars.t.get(rows * m), site.s.trained()) {
                        add_rows(ns, out, &mut bar.s);
                    }
                    return bars.t.clear();
                }
                self.gradient.add_to_m(i, &site.m, rows, (t, n), (a_bar, p));
                if !bars.t.started() {
                    site.m.map_t(rows, a_bar, p, bars.t.gather(rows * n).data, n);
                } else if site.skips() {
                    site.m.apply_t(true, rows, a_bar, p, bars.t.total(rows * n), n);
                } else {
                    let below = bars.spare.gather(rows * n).data;
                    let skip = (&site.s, &*bars.t.total(rows * m), m);
                    sum_of_two(true, site.backward, rows, skip, (&site.m, a_bar, p), below, n);
                    swap(&mut bars.t, &mut bars.spare);
                }
            }
            Stage::Smooth(map) => {
                let (n, m) = (map.dim_input(), map.dim_output());
                let below = bars.spare.gather(ns * r * n).data;
                below.fill(F::zero());
                if let Some(out) = bars.t.get(ns * r * m) {
                    let u = view2(&self.tape.u[i], ns, n);
                    copy_from(below, map.adjoint(u, view3(out, ns, r, m)).iter());
                    smooth_rows(program, i, self.tape, t, out, r, bars.u[i].total(ns * n));
                }
                if let Some(weight) = weight {
                    let g = (&self.tape.g[i + 1][..], self.q);
                    let g_bar = Some(&mut *bars.g[i + 1].total(ns * self.q * m));
                    let u_bar = bars.u[i].total(ns * n);
                    smooth_curvature(program, i, self.tape, (t, r), g, weight, below, g_bar, u_bar);
                }
                swap(&mut bars.t, &mut bars.spare);
                if shared.is_some() {
                    bars.t.clear();
                }
            }
        }
    }

    /// `E` (n_s, q, p) of a stage, as rows and a scale.
    fn e<'t>(site: &Site<F>, tape: &'t Tape<F>, i: usize, q: usize) -> (Rows<'t, F>, F) {
        match site.w.as_identity() {
            Some(scale) => (Rows::new(&tape.g[i + 1], q, site.p), scale),
            None => (Rows::new(&tape.e[i], q, site.p), F::one()),
        }
    }

    /// Reverse of `adjoints`, from layer `lowest` to the last, given the cotangents of `G` at `lowest` and of `C`.
    pub fn adjoints(&mut self, lowest: usize) {
        let (program, ns, q, bars) = (self.program, self.tape.ns, self.q, &mut *self.bars);
        for i in lowest..program.depth() {
            let stage = &program.stages[i];
            let (below, above) = bars.g.split_at_mut(i + 1);
            let g_in = &*below[i].total(ns * q * stage.n());
            let g = &self.tape.g[i + 1][..ns * q * stage.n_out()];
            match stage {
                Stage::Site(site) => {
                    let (n, p, m) = (site.n, site.p, site.n_out);
                    let (size, rows) = ((ns, q, p), ns * q);
                    let [e_bar, scaled] = &mut bars.scratch;
                    let (e_bar, scaled) = (fit(e_bar, rows * p), fit(scaled, rows * p));
                    let (e, scale) = Self::e(site, self.tape, i, q);
                    // G' = G S^T + (E . act') M^T, C = E . act''
                    site.m.map(rows, g_in, n, e_bar, p);
                    let [_, slope, curve, _] = &self.tape.sig[i];
                    let slope_bar = bars.slope[i].gather(ns * p);
                    let c_bar = bars.c[i].get(rows * p);
                    let curve = c_bar.map(|c_bar| (&curve[..], c_bar, bars.curve[i].gather(ns * p)));
                    AdjointBars { size, e, scale, slope, e_bar: &mut *e_bar, scaled: &mut *scaled, slope_bar, curve }
                        .run();
                    self.gradient.add_to_m(i, &site.m, rows, (g_in, n), (scaled, p));
                    let gradient = &mut self.gradient.stages[i];
                    if site.s.trained() {
                        site.s.add_gradient(rows, g_in, n, g, m, &mut gradient.s);
                    }
                    // E = G W^T
                    if site.w.trained() {
                        site.w.add_gradient(rows, e_bar, p, g, m, &mut gradient.w);
                    }
                    if i + 1 == program.depth() {
                        // the last adjoints are the output directions
                    } else if site.skips() && !above[0].started() {
                        swap(&mut below[i], &mut above[0]);
                        site.w.apply(true, rows, e_bar, p, above[0].total(rows * m), m);
                    } else {
                        let Gather { data: g_out, started } = above[0].gather(rows * m);
                        if started {
                            site.s.apply(true, rows, g_in, n, g_out, m);
                            site.w.apply(true, rows, e_bar, p, g_out, m);
                        } else {
                            let skip = (&site.s, g_in, n);
                            sum_of_two(false, site.forward, rows, skip, (&site.w, e_bar, p), g_out, m);
                        }
                    }
                }
                Stage::Smooth(map) => {
                    let u = view2(&self.tape.u[i], ns, map.dim_input());
                    let bar = map.tangent(u, view3(g_in, ns, q, map.dim_input()));
                    let g_out = above[0].total(ns * q * map.dim_output());
                    g_out.iter_mut().zip(bar.iter()).for_each(|(to, &b)| *to += b);
                    smooth_rows(program, i, self.tape, g_in, g, q, bars.u[i].total(ns * map.dim_input()));
                }
            }
        }
    }

    /// Reverse of `values`, given the cotangent of the last state in `bars.state`; leaves that of the points there.
    pub fn values(&mut self) {
        let (program, ns, bars) = (self.program, self.tape.ns, &mut *self.bars);
        for (i, stage) in program.stages.iter().enumerate().rev() {
            let in_place = stage.skips();
            match stage {
                Stage::Site(site) => {
                    let (n, p, m) = (site.n, site.p, site.n_out);
                    let gradient = &mut self.gradient.stages[i];
                    let [act, slope, curve, third] = &self.tape.sig[i];
                    let [z_bar, bar] = &mut bars.scratch;
                    let z_bar = fit(z_bar, ns * p);
                    let u_bar = bars.state.total(ns * m);
                    // u' = u S + act(z) W + c
                    let (bar, scale) = match site.w.as_identity() {
                        Some(scale) => (&*u_bar, scale),
                        None => {
                            let bar = fit(bar, ns * p);
                            site.w.map_t(ns, u_bar, m, bar, p);
                            (&*bar, F::one())
                        }
                    };
                    let (slope_bar, curve_bar) = (bars.slope[i].get(ns * p), bars.curve[i].get(ns * p));
                    ValueBars { bar, scale, sig: [slope, curve, third], slope_bar, curve_bar, z_bar }.run();
                    let u = &self.tape.u[i];
                    if site.s.trained() {
                        site.s.add_gradient(ns, u, n, u_bar, m, &mut gradient.s);
                    }
                    if site.w.trained() {
                        site.w.add_gradient(ns, act, p, u_bar, m, &mut gradient.w);
                    }
                    if site.c_theta.is_some() {
                        add_rows(ns, u_bar, &mut gradient.c);
                    }
                    // z = u M + b
                    self.gradient.add_to_m(i, &site.m, ns, (u, n), (z_bar, p));
                    if site.b_theta.is_some() {
                        add_rows(ns, z_bar, &mut self.gradient.stages[i].b);
                    }
                    if in_place {
                        site.m.apply_t(true, ns, z_bar, p, u_bar, n);
                    } else {
                        let below = bars.spare.gather(ns * n).data;
                        sum_of_two(true, site.backward, ns, (&site.s, &*u_bar, m), (&site.m, z_bar, p), below, n);
                    }
                }
                Stage::Smooth(map) => {
                    let (n, m) = (map.dim_input(), map.dim_output());
                    let u = view2(&self.tape.u[i], ns, n);
                    let below = bars.spare.gather(ns * n).data;
                    copy_from(below, map.adjoint(u, view3(bars.state.total(ns * m), ns, 1, m)).iter());
                }
            }
            if !in_place {
                swap(&mut bars.state, &mut bars.spare);
            }
            if let Some(bar) = bars.u[i].get(ns * stage.n()) {
                bars.state.total(ns * stage.n()).iter_mut().zip(bar).for_each(|(to, &b)| *to += b);
            }
        }
    }
}
