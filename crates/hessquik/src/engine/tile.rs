//! All results of one tile of samples: the sweeps in the order that the plan of each task wants.
use super::across::{Across, FEWEST, in_order};
use super::call::{Call, Field, Job, Sink, Task, Via};
use super::gemm::{Mat, gemm};
use super::hessian::{
    Lift, Scratch, Sites, carry, contract, fold, gram, gram_and_lift, lift, mirror_all, smooth_curvature,
};
use super::kernels::{Rows, scale_rows, small};
use super::kind::Kind;
use super::program::{Program, Stage};
use super::pullback::ReverseSpace;
use super::rescue::in_range;
use super::start::Start;
use super::stop::step;
use super::sweeps::{Segment, adjoints, sum_of_two, tangents, values};
use super::tape::{Buffer, Tape, copy_from, fit, grow, identities, view2, view3};
use crate::Real;
use crate::execute::Space;

/// Working memory of one task.
#[derive(Debug, Default)]
pub(crate) struct TaskTape<F> {
    /// Tangents through the layers of the prefix, or of a product.
    pub prefix: Segment<F>,
    /// Hessians carried forward (n_s, rows, n_i) before each layer of the prefix and after it, and `H M` (n_s, rows, p).
    pub h: Vec<Buffer<F>>,
    pub hm: Vec<Buffer<F>>,
    /// Of a product, the tangents of the adjoints after a layer, at its site and before it.
    products: [Buffer<F>; 3],
    /// The segments between pivots.
    pub segments: Vec<Segment<F>>,
    /// Whether the slots are the results themselves.
    to_results: bool,
    /// The slots (n_s, q, len).
    pub slots: Buffer<F>,
    pub scratch: Scratch<F>,
}

/// Working memory of a thread, kept from tile to tile.
#[derive(Debug, Default)]
pub(crate) struct Workspace<F> {
    pub tape: Tape<F>,
    pub tasks: Vec<TaskTape<F>>,
    pub tangents: Segment<F>,
    /// Results that cannot be written in place, and cotangents.
    pub results: Vec<Buffer<F>>,
    pub cotangents: Vec<Buffer<F>>,
    pub reverse: ReverseSpace<F>,
    pub across: Across<F>,
    pub graph: Space<F>,
}

impl<F> TaskTape<F> {
    /// Whether what was lifted is known to be finite without a look at the results, which it is itself.
    pub fn in_range(&self) -> bool {
        self.to_results && self.scratch.in_range
    }
}

impl<F: Real> Call<F> {
    /// Evaluates the points in `ws.tape.u[0]` (of `ws.tape.ns` samples) into `out`, one slice per field in memory order.
    pub fn evaluate_tile(&self, ws: &mut Workspace<F>, out: &mut [&mut [F]]) {
        if let Some(call) = &self.graph {
            let ns = ws.tape.ns;
            return call.evaluate(&ws.tape.u[0][..ns * self.d], ns, &mut ws.graph, out);
        }
        let program = &*self.program;
        if self.across && ws.tape.ns >= FEWEST {
            grow(&mut ws.tasks, 1);
            return self.evaluate_across(&ws.tape, &mut ws.across, &mut ws.tasks[0].slots, out);
        }
        ws.tape.keep = self.reverses;
        values(program, self.order, &mut ws.tape);
        if self.lowest < program.depth() {
            self.seed_adjoints(&mut ws.tape);
            adjoints(program, self.q, self.lowest, !self.tasks.is_empty(), &self.joins, &mut ws.tape);
        }
        grow(&mut ws.tasks, self.tasks.len());
        for (i, task) in self.tasks.iter().enumerate() {
            let tt = &mut ws.tasks[i];
            match task.sinks[..] {
                // written where it belongs at once
                [(field, Sink::All)] => {
                    tt.to_results = true;
                    self.run_task(task, self.gradient == Via::Task(i), &mut ws.tape, tt, out[field])
                }
                _ => {
                    tt.to_results = false;
                    let mut slots = std::mem::take(&mut tt.slots);
                    let len = ws.tape.ns * self.q * task.kind.len();
                    self.run_task(task, self.gradient == Via::Task(i), &mut ws.tape, tt, fit(&mut slots, len));
                    read_off(task, ws.tape.ns * self.q, &slots, out);
                    tt.slots = slots;
                }
            }
        }
        for (i, (field, _)) in self.fields.iter().enumerate() {
            match field {
                Field::Value => self.value(&ws.tape, out[i]),
                Field::Gradient => self.gradient(ws, out[i]),
                _ => {}
            }
        }
    }

    /// `f U`.
    fn value(&self, tape: &Tape<F>, out: &mut [F]) {
        let (ns, m) = (tape.ns, self.m);
        let f = &tape.u[self.program.depth()][..ns * m];
        match &self.u {
            None => out.copy_from_slice(f),
            Some(u) => gemm(false, Mat::new(f, ns, m, m), Mat::new(u, self.q, m, m).t(), out, self.q),
        }
    }

    /// `G_l = U^T` for every sample.
    fn seed_adjoints(&self, tape: &mut Tape<F>) {
        let (ns, q, m, depth) = (tape.ns, self.q, self.m, self.program.depth());
        grow(&mut tape.g, depth + 1);
        let g = fit(&mut tape.g[depth], ns * q * m);
        match &self.u {
            Some(u) => g.chunks_exact_mut(q * m).for_each(|g| g.copy_from_slice(u)),
            None => {
                g.fill(F::zero());
                g.chunks_exact_mut(m * m).for_each(|g| (0..m).for_each(|i| g[i * m + i] = F::one()));
            }
        }
    }

    /// `V G_0`, or `T G` where the tangents of a task end, or `T_l U`: (n_s, q, k).
    fn gradient(&self, ws: &mut Workspace<F>, out: &mut [F]) {
        let (ns, q, k, depth) = (ws.tape.ns, self.q, self.k, self.program.depth());
        let (at, t) = match self.gradient {
            Via::None => return,
            Via::Adjoints => {
                let g = &ws.tape.g[0][..ns * q * self.d];
                return match &self.v {
                    None => out.copy_from_slice(g),
                    Some(v) => {
                        gemm(false, Mat::new(g, ns * q, self.d, self.d), Mat::new(v, k, self.d, self.d).t(), out, k);
                    }
                };
            }
            Via::Task(i) => {
                let at = self.tasks[i].plan.prefix;
                (at, &ws.tasks[i].prefix.t[at])
            }
            Via::Tangents => {
                let segment = &mut ws.tangents;
                (segment.a, segment.b, segment.r) = (0, depth, k);
                tangents(&self.program, self.along.as_ref(), true, &mut ws.tape, segment);
                (depth, &segment.t[depth])
            }
        };
        let n = self.program.width(at);
        for s in 0..ns {
            let t = Mat::new(&t[s * k * n..], k, n, n);
            let out = &mut out[s * q * k..][..q * k];
            match &self.u {
                _ if at < depth => gemm(false, Mat::new(&ws.tape.g[at][s * q * n..], q, n, n), t.t(), out, k),
                Some(u) => gemm(false, Mat::new(u, q, n, n), t.t(), out, k),
                None => (0..q * k).for_each(|i| out[i] = t.data[i % k * n + i / k]),
            }
        }
    }

    /// Runs a task into its slots (n_s, q, len).
    fn run_task(&self, task: &Task<F>, gradient: bool, tape: &mut Tape<F>, tt: &mut TaskTape<F>, out: &mut [F]) {
        match task.job {
            Job::Curvature => self.curvature(task, gradient, tape, tt, out),
            Job::Products => self.products(task, tape, tt, out),
            Job::Factored => self.factored(task, tape, tt, out),
        }
    }

    /// The second derivatives of a kind by the plan of the task.
    fn curvature(&self, task: &Task<F>, gradient: bool, tape: &mut Tape<F>, tt: &mut TaskTape<F>, out: &mut [F]) {
        let (program, kind, depth) = (&*self.program, &task.kind, self.program.depth());
        let prefix = task.plan.prefix;
        if prefix > 0 {
            (tt.prefix.a, tt.prefix.b, tt.prefix.r) = (0, prefix, task.start.r);
            tangents(program, Some(&task.start), prefix < depth || gradient, tape, &mut tt.prefix);
            carry_through(program, kind, prefix, true, tape, tt);
        }
        if prefix < depth {
            let start = if prefix == 0 { Some(&task.start) } else { None };
            self.segments((prefix, &task.plan.pivots), &task.pivots, start, kind, tape, tt, out);
        }
        if prefix > 0 {
            self.join(kind, prefix, tape, tt, out);
            if let Kind::Full { k } = kind {
                mirror_all(&mut out[..tape.ns * self.q * k * k], *k);
            }
        }
    }

    /// What was carried forward, contracted with the adjoints there (or with `U` at the end).
    fn join(&self, kind: &Kind<F>, prefix: usize, tape: &Tape<F>, tt: &mut TaskTape<F>, out: &mut [F]) {
        let (program, q, depth) = (&*self.program, self.q, self.program.depth());
        let size = (tape.ns, q, program.width(prefix));
        let g = match &self.u {
            _ if prefix < depth => Some(Rows::new(&tape.g[prefix], q, size.2)),
            u => u.as_ref().map(|u| Rows::shared(u, size.2)),
        };
        contract(prefix < depth, kind, size, &tt.h[prefix], g, out, &mut tt.scratch);
    }

    /// The segments between pivots, from the last to the first, into `out`. `start`
    /// is what the first tangents start with, `None` where the prefix ends, `starts` the identities at `pivots`.
    #[allow(clippy::too_many_arguments)]
    fn segments(
        &self,
        (first, pivots): (usize, &[usize]),
        starts: &[Start<F>],
        start: Option<&Start<F>>,
        kind: &Kind<F>,
        tape: &mut Tape<F>,
        tt: &mut TaskTape<F>,
        out: &mut [F],
    ) {
        let (program, q, ns) = (&*self.program, self.q, tape.ns);
        tt.segments.resize_with(pivots.len() + 1, Default::default);
        for j in (0..=pivots.len()).rev() {
            let a = if j == 0 { first } else { pivots[j - 1] };
            let lifts = j < pivots.len();
            // layers after the last curved one add nothing
            let b = if lifts { pivots[j] } else { program.curved().max(a + 1) };
            let (before, rest) = tt.segments.split_at_mut(j);
            let segment = &mut rest[0];
            (segment.a, segment.b) = (a, b);
            let full;
            let (start, kind, out) = if j == 0 {
                segment.r = kind.k();
                if start.is_none() {
                    grow(&mut segment.t, 1);
                    let from = &tt.prefix.t[a - tt.prefix.a][..ns * segment.r * program.width(a)];
                    fit(&mut segment.t[0], from.len()).copy_from_slice(from);
                }
                (start, kind, &mut *out)
            } else {
                let n = program.width(a);
                segment.r = n;
                full = Kind::Full { k: n };
                (Some(&starts[j - 1]), &full, fit(&mut before[j - 1].core, ns * q * n * n))
            };
            tt.scratch.in_order = self.across;
            tt.scratch.past_caches = j == 0 && tt.to_results && tape.past_caches;
            one_segment(program, q, start, kind, lifts, tape, segment, out, &mut tt.scratch);
        }
    }

    /// `V H w^T` by tangents of the adjoints along each `w`:
    /// `dE = dG W^T`, `dG' = dG S^T + (dE . act' + E . act'' . A) M^T`; rows (w, r) of each sample.
    fn products(&self, task: &Task<F>, tape: &mut Tape<F>, tt: &mut TaskTape<F>, out: &mut [F]) {
        let (program, q, ns, depth) = (&*self.program, self.q, tape.ns, self.program.depth());
        let (kw, k, d, total) = (task.start.r, self.k, self.d, self.program.sites());
        let segment = &mut tt.prefix;
        (segment.a, segment.b, segment.r) = (0, depth, kw);
        tangents(program, Some(&task.start), false, tape, segment);
        let rows = kw * q;
        let [dg, de, below] = &mut tt.products;
        fit(dg, ns * rows * self.m).fill(F::zero());
        for i in (0..depth).rev() {
            step();
            let stage = &program.stages[i];
            let n = stage.n();
            let to = fit(below, ns * rows * n);
            match stage {
                Stage::Site(site) => {
                    let (p, offset) = (site.p, program.offsets[i]);
                    let de = fit(de, ns * rows * p);
                    site.w.map_t(ns * rows, dg, site.n_out, de, p);
                    let scaled = fit(&mut tt.scratch.rows, ns * rows * p);
                    let slope = Rows::new(&tape.sig[i][1], 1, p);
                    scale_rows(false, (ns, rows, p), Rows::new(de, rows, p), slope, F::one(), scaled, p);
                    for s in 0..ns {
                        for (w, r) in (0..kw).flat_map(|w| (0..q).map(move |r| (w, r))) {
                            // ANCHOR: products
                            let c = &tape.c[(s * q + r) * total + offset..][..p];
                            let a = &segment.sites[(s * kw + w) * total + offset..][..p];
                            let scaled = &mut scaled[((s * kw + w) * q + r) * p..][..p];
                            (0..p).for_each(|j| scaled[j] += c[j] * a[j]);
                            // ANCHOR_END: products
                        }
                    }
                    let skip = (&site.s, &dg[..], site.n_out);
                    sum_of_two(true, site.backward, ns * rows, skip, (&site.m, scaled, p), to, n);
                }
                Stage::Smooth(map) => {
                    let u = view2(&tape.u[i], ns, n);
                    copy_from(to, map.adjoint(u, view3(dg, ns, rows, map.dim_output())).iter());
                    let g = view3(&tape.g[i + 1], ns, q, map.dim_output());
                    let h = map.curvature(u, view3(&segment.t[i], ns, kw, n), identities(ns, n).view(), g);
                    for ((s, w, j, r), &h) in h.indexed_iter() {
                        to[((s * kw + w) * q + r) * n + j] += h;
                    }
                }
            }
            std::mem::swap(dg, below);
        }
        for s in 0..ns {
            for (w, r) in (0..kw).flat_map(|w| (0..q).map(move |r| (w, r))) {
                let dg = &dg[((s * kw + w) * q + r) * d..][..d];
                for a in 0..k {
                    out[((s * q + r) * k + a) * kw + w] = match &self.v {
                        None => dg[a],
                        Some(v) => super::kernels::dot(dg, &v[a * d..][..d]),
                    };
                }
            }
        }
    }

    /// The core of `H = M_1 C M_1^T`: the Hessian with respect to the first state, folded through the first layer.
    fn factored(&self, task: &Task<F>, tape: &mut Tape<F>, tt: &mut TaskTape<F>, out: &mut [F]) {
        let (program, q, ns) = (&*self.program, self.q, tape.ns);
        let Stage::Site(site) = &program.stages[0] else { return };
        let p = site.p;
        let state = fit(&mut tt.slots, ns * q * p * p);
        state.fill(F::zero());
        if program.depth() > 1 {
            let mut state = std::mem::take(&mut tt.slots);
            let (at, starts) = ((1, &task.plan.pivots[1..]), &task.pivots);
            self.segments(at, &starts[1..], Some(&starts[0]), &Kind::Full { k: p }, tape, tt, &mut state);
            tt.slots = state;
        }
        let c = Rows::new(&tape.c, q, program.sites());
        fold(site.folds().unwrap_or(F::one()), (ns, q, p), &tape.sig[0][1], &tt.slots, c, out);
        tt.scratch.in_range = false;
    }
}

/// Carries the Hessian through the first `prefix` layers; `zero` says that it starts as zero (else `tt.h[0]` is given).
pub(crate) fn carry_through<F: Real>(
    program: &Program<F>,
    kind: &Kind<F>,
    prefix: usize,
    zero: bool,
    tape: &mut Tape<F>,
    tt: &mut TaskTape<F>,
) {
    grow(&mut tt.h, prefix + 1);
    grow(&mut tt.hm, prefix);
    let width = program.offsets[prefix];
    for i in 0..prefix {
        let (before, after) = tt.h.split_at_mut(i + 1);
        let sites = &tt.prefix.sites[program.offsets[i].min(tt.prefix.sites.len())..];
        let along = (&tt.prefix.t[i][..], sites, width);
        carry(program, kind, i, zero && i == 0, tape, along, (&before[i], &mut tt.hm[i], &mut after[0]));
    }
}

/// The second derivatives of one segment, to `out`: tangents, sites, and the lift of `segment.core` where it `lifts`.
#[allow(clippy::too_many_arguments)]
pub(crate) fn one_segment<F: Real>(
    program: &Program<F>,
    q: usize,
    start: Option<&Start<F>>,
    kind: &Kind<F>,
    lifts: bool,
    tape: &mut Tape<F>,
    segment: &mut Segment<F>,
    out: &mut [F],
    scratch: &mut Scratch<F>,
) {
    let (a, b, r, ns) = (segment.a, segment.b, segment.r, tape.ns);
    let fold_scale = if lifts { fold_at(program, b) } else { None };
    let folded = fold_scale.map_or(0, |_| program.stages[b - 1].p());
    // where the first layer is folded, its M is all there is
    let shared = start.filter(|_| folded > 0 && b == a + 1);
    if shared.is_none() || tape.keep {
        tangents(program, start, lifts && fold_scale.is_none(), tape, segment);
    }
    let width = program.offsets[b] - program.offsets[a];
    let used = width - folded;
    let c = Rows::new(&tape.c, q, program.sites());
    let rows = Rows::new(&segment.sites, r, width);
    let sites = Sites { a: rows, c: c.from(program.offsets[a]), used };
    let lifted = match fold_scale {
        Some(scale) => {
            let core = fit(&mut segment.folded, ns * q * folded * folded);
            fold(scale, (ns, q, folded), &tape.sig[b - 1][1], &segment.core, c.from(program.offsets[b - 1]), core);
            let x = shared.map_or(rows.from(used), |start| Rows::shared(&start.through_m, folded));
            Some(Lift { x, core, n: folded })
        }
        None if lifts => {
            let n = program.width(b);
            Some(Lift { x: Rows::new(&segment.t[b - a], r, n), core: &segment.core, n })
        }
        None => None,
    };
    let size = (ns, q);
    let smooth = program.stages[a..b].iter().any(|s| matches!(s, Stage::Smooth(_)));
    // a lift is a product for all but the fewest directions
    let dense = |k: usize| k > small::<F>(q) || (lifted.is_some() && k > 4);
    // of fewer directions looking at the results costs less
    scratch.in_range = match (kind, lifted) {
        (Kind::Full { k }, Some(lifted)) if *k > lifted.n && !smooth => in_range(*k, size, sites, lifted),
        _ => false,
    };
    match kind {
        _ if scratch.in_order => in_order(&program.offsets[a..=b], kind, size, sites, out),
        Kind::Full { k } if dense(*k) => gram_and_lift(*k, size, sites, lifted, out, scratch),
        _ => {
            gram(kind, size, sites, out, scratch);
            if let Some(lifted) = lifted {
                lift(kind, size, lifted, out, scratch);
            }
        }
    }
    if smooth {
        (a..b).for_each(|i| smooth_curvature(program, kind, q, i, tape, &segment.t[i - a], out));
    }
    match kind {
        Kind::Full { k } if !dense(*k) || smooth => mirror_all(&mut out[..ns * q * k * k], *k),
        _ => {}
    }
}

/// The scale with which the Hessian at state `b` folds through the layer before it, if it does.
pub(crate) fn fold_at<F: Real>(program: &Program<F>, b: usize) -> Option<F> {
    match &program.stages[b - 1] {
        Stage::Site(site) => site.folds(),
        Stage::Smooth(_) => None,
    }
}

/// Reads the results of a task off its slots.
pub(crate) fn read_off<F: Real>(task: &Task<F>, rows: usize, slots: &[F], out: &mut [&mut [F]]) {
    let len = task.kind.len();
    for (field, sink) in &task.sinks {
        for row in 0..rows {
            let h = &slots[row * len..][..len];
            match sink {
                Sink::All => out[*field][row * len..][..len].copy_from_slice(h),
                Sink::Slots(list) => {
                    let out = &mut out[*field][row * list.len()..][..list.len()];
                    out.iter_mut().zip(list).for_each(|(o, &slot)| *o = h[slot]);
                }
                Sink::Sum(list) => out[*field][row] = list.iter().map(|&(slot, w)| w * h[slot]).sum(),
            }
        }
    }
}

/// The reverse of [`read_off`]: adds the cotangents of the results (empty where there is none) to those of the slots.
pub(crate) fn scatter<F: Real>(task: &Task<F>, rows: usize, cotangent: &[&[F]], slots: &mut [F]) {
    let len = task.kind.len();
    slots.fill(F::zero());
    for (field, sink) in &task.sinks {
        if cotangent[*field].is_empty() {
            continue;
        }
        for row in 0..rows {
            let h = &mut slots[row * len..][..len];
            match sink {
                Sink::All => h.iter_mut().zip(&cotangent[*field][row * len..]).for_each(|(h, &c)| *h += c),
                Sink::Slots(list) => {
                    list.iter().zip(&cotangent[*field][row * list.len()..]).for_each(|(&slot, &c)| h[slot] += c);
                }
                Sink::Sum(list) => list.iter().for_each(|&(slot, w)| h[slot] += w * cotangent[*field][row]),
            }
        }
    }
}
