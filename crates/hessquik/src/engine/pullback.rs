//! The pullback of one tile: its sweeps reversed, in the reverse of the order in which they ran.
use super::call::{Call, Field, Job, Task, Via};
use super::gemm::{Mat, gemm};
use super::gradient::{StartBar, WeightGradient};
use super::kind::Kind;
use super::reverse::{Bars, Reverse};
use super::sweeps::Start;
use super::tape::{Buffer, fit};
use super::tile::{TaskTape, Workspace, scatter};
use crate::Real;

/// Gradients of the weights, summed over tiles in a fixed order.
#[derive(Debug)]
pub(crate) struct GradientSum<F> {
    weights: WeightGradient<F>,
    /// For each task, the cotangents of what its tangents started with: at the first layer, then at each pivot.
    starts: Vec<Vec<StartBar<F>>>,
    along: Option<StartBar<F>>,
}

/// Working memory of the reverse, kept from tile to tile.
#[derive(Debug, Default)]
pub(crate) struct ReverseSpace<F> {
    bars: Bars<F>,
    slots: Buffer<F>,
    cores: [Buffer<F>; 2],
}

impl<F: Real> GradientSum<F> {
    pub fn new(call: &Call<F>) -> Self {
        let of = |t: &Task<F>| std::iter::once(&t.start).chain(&t.pivots).map(StartBar::new).collect();
        Self {
            weights: WeightGradient::new(&call.program),
            starts: call.tasks.iter().map(of).collect(),
            along: call.along.as_ref().map(StartBar::new),
        }
    }

    /// Number of entries, to bound how many sums are kept at once.
    pub fn len(call: &Call<F>) -> usize {
        let starts = |t: &Task<F>| -> usize {
            std::iter::once(&t.start).chain(&t.pivots).map(|s| s.through_m.len() + s.through_s.len()).sum()
        };
        call.program.n_weights + call.tasks.iter().map(starts).sum::<usize>()
    }

    /// Adds everything to the flat gradient of all weights.
    pub fn finish(mut self, call: &Call<F>, theta: &mut [F]) {
        let stages = &call.program.stages;
        let mut add = |bar: &StartBar<F>, start: &Start<F>, at: usize| {
            bar.finish(start, &stages[at], &mut self.weights.stages[at]);
        };
        for (task, bars) in call.tasks.iter().zip(&self.starts) {
            add(&bars[0], &task.start, 0);
            for ((bar, start), &at) in bars[1..].iter().zip(&task.pivots).zip(&task.plan.pivots) {
                add(bar, start, at);
            }
        }
        if let (Some(bar), Some(start)) = (&self.along, &call.along) {
            add(bar, start, 0);
        }
        self.weights.route(&call.program, theta);
    }
}

impl<F: Real> Call<F> {
    /// Reverses [`Call::evaluate_tile`] on the same workspace: from the cotangents of the results (in memory order, empty
    /// where there is none) to that of the points (n_s, d), adding to the gradients of the weights.
    pub fn pull_back_tile(
        &self,
        ws: &mut Workspace<F>,
        rs: &mut ReverseSpace<F>,
        cotangents: &[&[F]],
        sum: &mut GradientSum<F>,
        x_bar: &mut [F],
    ) {
        let (program, q, ns, depth) = (&*self.program, self.q, ws.tape.ns, self.program.depth());
        rs.bars.reset(program, ns, q, self.lowest);
        let of = |field: Field| {
            let at = self.fields.iter().position(|(f, _)| *f == field);
            at.map(|i| cotangents[i]).filter(|c| !c.is_empty())
        };
        let gradient_bar = of(Field::Gradient);
        if let (Via::Adjoints, Some(bar)) = (self.gradient, gradient_bar) {
            let (d, k) = (self.d, self.k);
            let g = &mut rs.bars.g[0][..ns * q * d];
            match &self.v {
                None => g.copy_from_slice(bar),
                Some(v) => gemm(false, Mat::new(bar, ns * q, k, k), Mat::new(v, k, d, d), g, d),
            }
        }
        for (i, task) in self.tasks.iter().enumerate() {
            let bar = gradient_bar.filter(|_| self.gradient == Via::Task(i));
            if bar.is_none() && task.sinks.iter().all(|(field, _)| cotangents[*field].is_empty()) {
                continue;
            }
            debug_assert_eq!(task.job, Job::Curvature, "pullbacks resolve to curvatures alone");
            let mut slots = std::mem::take(&mut rs.slots);
            let slots_bar = fit(&mut slots, ns * q * task.kind.len());
            scatter(task, ns * q, cotangents, slots_bar);
            self.reverse_task(task, bar, slots_bar, ws_parts(ws, i), rs, sum, i);
            rs.slots = slots;
        }
        if let (Via::Tangents, Some(bar)) = (self.gradient, gradient_bar) {
            let t_end = self.through_outputs(ns, bar);
            let (tape, segment) = (&mut ws.tape, &ws.tangents);
            let mut sites_bar = vec![F::zero(); ns * segment.r * program.sites()];
            let start = self.along.as_ref().zip(sum.along.as_mut());
            let gradient = &mut sum.weights;
            let mut reverse = Reverse { program, q, tape, bars: &mut rs.bars, gradient };
            reverse.tangents(start, segment, &mut sites_bar, Some(t_end), None, &mut Vec::new());
        }
        let second = !self.tasks.is_empty();
        let mut u_bar = vec![F::zero(); ns * self.m];
        if let Some(bar) = of(Field::Value) {
            match &self.u {
                None => u_bar.copy_from_slice(bar),
                Some(u) => gemm(false, Mat::new(bar, ns, q, q), Mat::new(u, q, self.m, self.m), &mut u_bar, self.m),
            }
        }
        let gradient = &mut sum.weights;
        let mut reverse = Reverse { program, q, tape: &mut ws.tape, bars: &mut rs.bars, gradient };
        if self.lowest < depth {
            reverse.adjoints(self.lowest, second);
        }
        reverse.values(second || self.gradient != Via::None, second, &mut u_bar);
        x_bar.copy_from_slice(&u_bar);
    }

    /// `T_l_bar` (n_s, k, m) from the cotangent (n_s, q, k) of `T_l U`.
    fn through_outputs(&self, ns: usize, bar: &[F]) -> Vec<F> {
        let (q, k, m) = (self.q, self.k, self.m);
        let mut out = vec![F::zero(); ns * k * m];
        for s in 0..ns {
            let bar = Mat::new(&bar[s * q * k..], q, k, k).t();
            let out = &mut out[s * k * m..][..k * m];
            match &self.u {
                Some(u) => gemm(false, bar, Mat::new(u, q, m, m), out, m),
                None => (0..k * m).for_each(|i| out[i] = bar.data[i % m * k + i / m]),
            }
        }
        out
    }

    /// Reverses one task, given the cotangents of its slots and, if the gradient came from it, of the gradient.
    #[allow(clippy::too_many_arguments)]
    fn reverse_task(
        &self,
        task: &Task<F>,
        gradient_bar: Option<&[F]>,
        slots_bar: &[F],
        (tape, tt): (&mut super::tape::Tape<F>, &mut TaskTape<F>),
        rs: &mut ReverseSpace<F>,
        sum: &mut GradientSum<F>,
        index: usize,
    ) {
        let (program, q, ns, depth) = (&*self.program, self.q, tape.ns, self.program.depth());
        let (kind, prefix) = (&task.kind, task.plan.prefix);
        let (first, pivots) = sum.starts[index].split_at_mut(1);
        let mut reverse = Reverse { program, q, tape, bars: &mut rs.bars, gradient: &mut sum.weights };
        let mut t_bar = Vec::new();
        if prefix < depth {
            let mut core_bar = std::mem::take(&mut rs.cores);
            for (j, segment) in tt.segments.iter().enumerate() {
                let lifts = j + 1 < tt.segments.len();
                let [bar, next] = &mut core_bar;
                match j {
                    0 => {
                        let start = (prefix == 0).then(|| (&task.start, &mut first[0]));
                        reverse.segment(start, kind, lifts, segment, slots_bar, next, &mut t_bar);
                    }
                    _ => {
                        let start = Some((&task.pivots[j - 1], &mut pivots[j - 1]));
                        let full = Kind::Full { k: segment.r };
                        reverse.segment(start, &full, lifts, segment, bar, next, &mut Vec::new());
                    }
                }
                core_bar.swap(0, 1);
            }
            rs.cores = core_bar;
        }
        if prefix == 0 {
            return;
        }
        let (k, n, rows) = (kind.k(), program.width(prefix), kind.rows());
        if t_bar.is_empty() && (prefix < depth || gradient_bar.is_some()) {
            t_bar = vec![F::zero(); ns * k * n];
        }
        if let Some(bar) = gradient_bar {
            if prefix == depth {
                t_bar = self.through_outputs(ns, bar);
            } else {
                let t = &tt.prefix.t[prefix];
                for s in 0..ns {
                    let bar = Mat::new(&bar[s * q * k..], q, k, k);
                    let g = Mat::new(&reverse.tape.g[prefix][s * q * n..], q, n, n);
                    gemm(true, bar.t(), g, &mut t_bar[s * k * n..], n);
                    let to = &mut reverse.bars.g[prefix][s * q * n..];
                    gemm(true, bar, Mat::new(&t[s * k * n..], k, n, n), to, n);
                }
            }
        }
        // H[slot, r] = sum_n H[row, n] G[r, n]
        let mut h_bar = vec![F::zero(); ns * rows * n];
        let mut by_row = vec![F::zero(); q * rows];
        let len = kind.len();
        for s in 0..ns {
            for r in 0..q {
                let (slots, by_row) = (&slots_bar[(s * q + r) * len..][..len], &mut by_row[r * rows..][..rows]);
                match kind {
                    Kind::Trace { .. } => by_row[0] = slots[0],
                    Kind::Full { k } => kind.each(|t| {
                        let lower = if t.a == t.b { F::zero() } else { slots[t.b * k + t.a] };
                        by_row[t.row] = slots[t.slot] + lower;
                    }),
                    Kind::Pairs { .. } => by_row.copy_from_slice(slots),
                }
            }
            let bar = Mat::new(&by_row, q, rows, rows);
            let to = &mut h_bar[s * rows * n..][..rows * n];
            match &self.u {
                _ if prefix < depth => {
                    let g = Mat::new(&reverse.tape.g[prefix][s * q * n..], q, n, n);
                    gemm(false, bar.t(), g, to, n);
                    let h = Mat::new(&tt.h[prefix][s * rows * n..], rows, n, n);
                    gemm(true, bar, h, &mut reverse.bars.g[prefix][s * q * n..], n);
                }
                Some(u) => gemm(false, bar.t(), Mat::new(u, q, n, n), to, n),
                None => (0..rows * n).for_each(|i| to[i] = by_row[i % n * rows + i / n]),
            }
        }
        let mut t_out = (!t_bar.is_empty()).then_some(t_bar);
        let width = program.offsets[prefix];
        for i in (0..prefix).rev() {
            let sites = &tt.prefix.sites[program.offsets[i].min(tt.prefix.sites.len())..];
            let along = (&tt.prefix.t[i][..], sites, width);
            let shared = (i == 0).then(|| (&task.start, &mut first[0]));
            (h_bar, t_out) = reverse.carry(kind, i, i == 0, shared, along, (&tt.h[i], &tt.hm[i]), &h_bar, t_out);
        }
    }
}

fn ws_parts<F>(ws: &mut Workspace<F>, task: usize) -> (&mut super::tape::Tape<F>, &mut TaskTape<F>) {
    (&mut ws.tape, &mut ws.tasks[task])
}
