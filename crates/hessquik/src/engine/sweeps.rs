//! The sweeps of a tile of samples: values, adjoints, tangents.
//!
//! ```text
//! z_i = u_{i-1} M_i + b_i          u_i = u_{i-1} S_i + act(z_i) W_i + c_i                                    `values`
//! E_i = G_i W_i^T                  G_{i-1} = G_i S_i^T + (E_i . act'(z_i)) M_i^T    C_i = E_i . act''(z_i)   `adjoints`
//! A_i = T_{i-1} M_i                T_i = T_{i-1} S_i + (A_i . act'(z_i)) W_i                                 `tangents`
//! ```
use super::kernels::{Rows, scale_rows, scale_twice};
use super::linear::{Cover, Lin};
use super::program::{Program, Site, Stage};
use super::start::{Start, for_every_sample};
use super::stop::step;
use super::tape::{Buffer, Tape, copy_from, fit, grow, view2, view3};
use crate::Real;

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
    grow(&mut tape.u, program.depth() + 1);
    grow(&mut tape.sig, program.depth());
    let keep = tape.keep;
    let in_place = |i: usize| program.stages[i].skips() && !keep;
    // the swaps below taken back: every tile then works in the same memory, not each in another state's
    for i in (1..program.depth()).rev() {
        if in_place(i) {
            tape.u.swap(i, i + 1);
        }
    }
    for (i, stage) in program.stages.iter().enumerate() {
        step();
        let in_place = in_place(i);
        if in_place {
            tape.u.swap(i, i + 1);
        }
        let (before, after) = tape.u.split_at_mut(i + 1);
        let out = fit(&mut after[0], ns * stage.n_out());
        match stage {
            Stage::Site(site) => {
                let (n, p) = (site.n, site.p);
                let z = fit(&mut tape.scratch[0], ns * p);
                let u = if in_place { &*out } else { &before[i][..ns * n] };
                // ANCHOR: values
                match &site.b {
                    Some(b) => site.m.map_onto(b, ns, u, n, z, p),
                    None => site.m.map(ns, u, n, z, p),
                }
                let mut sig: [&mut [F]; 4] = Default::default();
                for (sig, to) in sig.iter_mut().zip(&mut tape.sig[i]).take(order + 1) {
                    *sig = fit(to, ns * p);
                }
                site.act.fill(order, z, sig);
                // ANCHOR_END: values
                // ANCHOR: next_state
                match in_place {
                    true => site.w.apply(true, ns, &tape.sig[i][0], p, out, n),
                    false => {
                        let skip = (&site.s, &before[i][..ns * n], n);
                        sum_of_two(false, site.forward, ns, skip, (&site.w, &tape.sig[i][0], p), out, site.n_out);
                    }
                }
                // ANCHOR_END: next_state
                if let Some(c) = &site.c {
                    out.chunks_exact_mut(site.n_out).for_each(|u| u.iter_mut().zip(c).for_each(|(u, &c)| *u += c));
                }
            }
            Stage::Smooth(map) => copy_from(out, map.value(view2(&before[i], ns, stage.n())).iter()),
        }
    }
}

/// `E_i = G_i W_i^T`, `C_i = E_i . act''(z_i)`, `G_{i-1} = G_i S_i^T + (E_i . act'(z_i)) M_i^T` for the stages from the
/// last down to `lowest`; `tape.g[depth]` is given. `C` is left out where `curvature` is false.
///
/// The adjoints after the layers counted in `joins` are kept for the Hessians carried forward to there.
pub(crate) fn adjoints<F: Real>(
    program: &Program<F>,
    q: usize,
    lowest: usize,
    curvature: bool,
    joins: &[usize],
    tape: &mut Tape<F>,
) {
    let (ns, total) = (tape.ns, program.sites());
    grow(&mut tape.e, program.depth());
    if curvature {
        fit(&mut tape.c, ns * q * total);
    }
    let keep = tape.keep;
    let in_place = |i: usize| program.stages[i].skips() && !keep && !joins.contains(&(i + 1));
    for i in lowest + 1..program.depth() {
        if in_place(i - 1) {
            tape.g.swap(i - 1, i);
        }
    }
    for i in (lowest..program.depth()).rev() {
        step();
        let stage = &program.stages[i];
        let in_place = in_place(i);
        if in_place {
            tape.g.swap(i, i + 1);
        }
        let (below, above) = tape.g.split_at_mut(i + 1);
        let g_in = fit(&mut below[i], ns * q * stage.n());
        match stage {
            Stage::Site(site) => {
                let (n, p, m) = (site.n, site.p, site.n_out);
                let g = if in_place { &*g_in } else { &above[0][..ns * q * m] };
                // ANCHOR: adjoints
                let (e, scale) = match site.w.as_identity() {
                    Some(scale) => (g, scale),
                    _ => {
                        let e = fit(&mut tape.e[i], ns * q * p);
                        site.w.map_t(ns * q, g, m, e, p);
                        (&*e, F::one())
                    }
                };
                let scaled = fit(&mut tape.scratch[0], ns * q * p);
                let [_, slope, curve, _] = &tape.sig[i];
                let (e, slope) = (Rows::new(e, q, p), Rows::new(slope, 1, p));
                match curvature {
                    true => {
                        let c = &mut tape.c[program.offsets[i]..];
                        scale_twice((ns, q, p), e, (slope, Rows::new(curve, 1, p)), scale, scaled, (c, total));
                    }
                    false => scale_rows(false, (ns, q, p), e, slope, scale, scaled, p),
                }
                match in_place {
                    true => site.m.apply_t(true, ns * q, scaled, p, g_in, n),
                    false => {
                        let skip = (&site.s, &above[0][..], m);
                        sum_of_two(true, site.backward, ns * q, skip, (&site.m, scaled, p), g_in, n);
                    }
                }
                // ANCHOR_END: adjoints
            }
            Stage::Smooth(map) => {
                let (u, g) = (view2(&tape.u[i], ns, stage.n()), view3(&above[0], ns, q, stage.n_out()));
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
    pub t: Vec<Buffer<F>>,
    /// `A` (n_s, r, P) of the sites of the segment, side by side.
    pub sites: Buffer<F>,
    /// Hessian (n_s, q, n_b, n_b) with respect to the state after the segment, and its fold through the last site.
    pub core: Buffer<F>,
    pub folded: Buffer<F>,
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
    scratch: &mut Buffer<F>,
) {
    for c in &site.w.copies {
        let (a, slope) = (a.from(c.from), slope.from(c.from));
        scale_rows(accumulate, (ns, r, c.len), a, slope, c.scale, &mut out[c.to..], site.n_out);
    }
    // ANCHOR: through_w
    if !site.w.blocks.is_empty() {
        let scaled = fit(scratch, ns * r * site.p);
        scale_rows(false, (ns, r, site.p), a, slope, F::one(), scaled, site.p);
        site.w.apply_blocks(accumulate, ns * r, scaled, site.p, out, site.n_out);
    }
    // ANCHOR_END: through_w
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
    grow(&mut segment.t, b - a + 1);
    fit(&mut segment.sites, ns * r * width);
    if let (Some(start), Some(Stage::Smooth(map))) = (start, program.stages.get(a)) {
        start.expand(ns, map.dim_input(), fit(&mut segment.t[0], ns * r * map.dim_input()));
    }
    let keep = tape.keep;
    let is_last = |i: usize| i + 1 == b && !to_state;
    let in_place = |i: usize| program.stages[i].skips() && (i > a || start.is_none()) && !keep && !is_last(i);
    for i in (a + 1..b).rev() {
        if in_place(i) {
            segment.t.swap(i - a, i - a + 1);
        }
    }
    for i in a..b {
        step();
        let stage = &program.stages[i];
        let shared = start.filter(|_| i == a);
        let (last, in_place) = (is_last(i), in_place(i));
        if in_place {
            segment.t.swap(i - a, i - a + 1);
        }
        let (before, after) = segment.t.split_at_mut(i - a + 1);
        let (t, out) = (&before[i - a][..], &mut after[0]);
        match stage {
            Stage::Site(site) => {
                let (n, p) = (site.n, site.p);
                let sites = &mut segment.sites[program.offsets[i] - program.offsets[a]..];
                // ANCHOR: tangents
                match shared {
                    Some(start) => for_every_sample(&start.through_m, (ns, r, p), sites, width),
                    None => {
                        let t = if in_place { &**out } else { t };
                        match start.and_then(|start| start.fixed_at(i - a)) {
                            Some(fixed) => fixed.tangents(site, (ns, r), t, sites, width),
                            None => site.m.map(ns * r, t, n, sites, width),
                        }
                    }
                }
                // ANCHOR_END: tangents
                if last {
                    break;
                }
                let out = fit(out, ns * r * site.n_out);
                let slope = Rows::new(&tape.sig[i][1], 1, p);
                if in_place {
                    let a = Rows::new(sites, r, width);
                    through_w(true, site, (ns, r), a, slope, out, &mut tape.scratch[0]);
                    continue;
                }
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
