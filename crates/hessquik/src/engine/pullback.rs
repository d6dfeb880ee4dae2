//! The pullback of one tile: its sweeps reversed, in the reverse of the order in which they ran.
use super::bars::Bars;
use super::call::{Call, Field, Job, Sink, Task, Via};
use super::gemm::{Mat, gemm};
use super::gradient::{StartBar, WeightGradient};
use super::kind::Kind;
use super::reverse::Reverse;
use super::start::Start;
use super::tape::{Buffer, Tape, fit};
use super::tile::{TaskTape, Workspace, scatter};
use crate::Real;
use std::mem::swap;

/// Gradients of the weights, summed over tiles in a fixed order.
#[derive(Debug)]
pub(crate) struct GradientSum<F> {
    weights: WeightGradient<F>,
    /// For each task, the cotangents of what its tangents started with: at the first layer, then at each pivot.
    starts: Vec<Vec<StartBar<F>>>,
    along: Option<StartBar<F>>,
    /// Of a network as a graph, what its tiles add to instead of all that.
    graph: Vec<F>,
    /// The sums over tiles that went by another plan.
    others: [Option<Box<GradientSum<F>>>; 2],
}

/// Working memory of the reverse, kept from tile to tile.
#[derive(Debug, Default)]
pub(crate) struct ReverseSpace<F> {
    /// Gradients that nobody sums now.
    spare: Vec<WeightGradient<F>>,
    bars: Bars<F>,
    slots: Buffer<F>,
    by_row: Buffer<F>,
    cores: [Buffer<F>; 2],
}

impl<F: Real> GradientSum<F> {
    /// Zero, in memory of an earlier sum if there is some.
    pub fn new(call: &Call<F>, space: &mut ReverseSpace<F>) -> Self {
        let of = |t: &Task<F>| std::iter::once(&t.start).chain(&t.pivots).map(StartBar::new).collect();
        let graph = call.graph.as_ref().map_or_else(Vec::new, |g| vec![F::zero(); g.sums()]);
        Self {
            graph,
            weights: WeightGradient::new(&call.program, space.spare.pop()),
            starts: call.tasks.iter().map(of).collect(),
            along: call.along.as_ref().map(StartBar::new),
            others: [None, None],
        }
    }

    /// The sum over the tiles that go by the other plan `call`, counted `index`.
    pub fn other(&mut self, index: usize, call: &Call<F>, space: &mut ReverseSpace<F>) -> &mut Self {
        self.others[index].get_or_insert_with(|| Box::new(Self::new(call, space)))
    }

    /// Number of entries, to bound how many sums are kept at once.
    pub fn len(call: &Call<F>) -> usize {
        let starts = |t: &Task<F>| -> usize {
            std::iter::once(&t.start).chain(&t.pivots).map(|s| s.through_m.len() + s.through_s.len()).sum()
        };
        if let Some(graph) = &call.graph {
            return graph.sums();
        }
        call.program.n_weights + call.tasks.iter().map(starts).sum::<usize>()
    }

    /// Adds another sum, whose memory goes to `space`.
    pub fn add(&mut self, other: Self, space: &mut ReverseSpace<F>) {
        self.graph.iter_mut().zip(&other.graph).for_each(|(to, &from)| *to += from);
        self.weights.add(&other.weights);
        let to = self.starts.iter_mut().flatten().chain(&mut self.along);
        to.zip(other.starts.iter().flatten().chain(&other.along)).for_each(|(to, from)| to.add(from));
        space.spare.push(other.weights);
        for (to, from) in self.others.iter_mut().zip(other.others) {
            match (to, from) {
                (Some(to), Some(from)) => to.add(*from, space),
                (to @ None, from) => *to = from,
                (Some(_), None) => {}
            }
        }
    }

    /// The flat gradient of all weights.
    pub fn finish(mut self, call: &Call<F>) -> Vec<F> {
        let mut add = |bar: &StartBar<F>, start: &Start<F>, at: usize| {
            bar.finish(start, &call.program, at, &mut self.weights);
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
        let mut theta = match &call.graph {
            Some(graph) => graph.finish(&self.graph, call.program.n_weights),
            None => self.weights.take(&call.program),
        };
        for (index, other) in self.others.into_iter().enumerate() {
            // the other call is asked for only where it was used: it would be made now
            let Some(other) = other else { continue };
            if let Some(call) = call.other(index) {
                theta.iter_mut().zip(other.finish(call)).for_each(|(theta, more)| *theta += more);
            }
        }
        call.program.space().space.reverse.spare.push(self.weights);
        theta
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
        if let Some(graph) = &self.graph {
            return graph.pull_back(&mut ws.graph, cotangents, &mut sum.graph, x_bar);
        }
        let (program, q, ns, depth) = (&*self.program, self.q, ws.tape.ns, self.program.depth());
        rs.bars.reset(program);
        let of = |field: Field| {
            let at = self.fields.iter().position(|(f, _)| *f == field);
            at.map(|i| cotangents[i]).filter(|c| !c.is_empty())
        };
        let gradient_bar = of(Field::Gradient);
        if let (Via::Adjoints, Some(bar)) = (self.gradient, gradient_bar) {
            let (d, k) = (self.d, self.k);
            let g = rs.bars.g[0].gather(ns * q * d).data;
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
            let slots_bar = match task.sinks[..] {
                [(field, Sink::All)] => cotangents[field],
                _ => {
                    let slots = fit(&mut slots, ns * q * task.kind.len());
                    scatter(task, ns * q, cotangents, slots);
                    slots
                }
            };
            self.reverse_task(task, bar, slots_bar, (&mut ws.tape, &ws.tasks[i]), rs, sum, i);
            rs.slots = slots;
        }
        if let (Via::Tangents, Some(bar)) = (self.gradient, gradient_bar) {
            rs.bars.t.clear();
            self.through_outputs(ns, bar, rs.bars.t.gather(ns * self.k * self.m).data);
            let (tape, segment) = (&mut ws.tape, &ws.tangents);
            let start = self.along.as_ref().zip(sum.along.as_mut());
            let gradient = &mut sum.weights;
            let mut reverse = Reverse { program, q, tape, bars: &mut rs.bars, gradient };
            reverse.tangents(start, segment, None, None);
        }
        let (m, value_bar) = (self.m, of(Field::Value));
        match (value_bar, &self.u) {
            (None, _) => rs.bars.state.clear(),
            (Some(bar), None) => rs.bars.state.gather(ns * m).data.copy_from_slice(bar),
            (Some(bar), Some(u)) => {
                gemm(false, Mat::new(bar, ns, q, q), Mat::new(u, q, m, m), rs.bars.state.gather(ns * m).data, m);
            }
        }
        let gradient = &mut sum.weights;
        let mut reverse = Reverse { program, q, tape: &mut ws.tape, bars: &mut rs.bars, gradient };
        if self.lowest < depth {
            reverse.adjoints(self.lowest);
        }
        reverse.values();
        x_bar.copy_from_slice(rs.bars.state.total(ns * self.d));
    }

    /// `T_l_bar` (n_s, k, m) from the cotangent (n_s, q, k) of `T_l U`.
    fn through_outputs(&self, ns: usize, bar: &[F], out: &mut [F]) {
        let (q, k, m) = (self.q, self.k, self.m);
        for s in 0..ns {
            let bar = Mat::new(&bar[s * q * k..], q, k, k).t();
            let out = &mut out[s * k * m..][..k * m];
            match &self.u {
                Some(u) => gemm(false, bar, Mat::new(u, q, m, m), out, m),
                None => (0..k * m).for_each(|i| out[i] = bar.data[i % m * k + i / m]),
            }
        }
    }

    /// Reverses one task, given the cotangents of its slots and, if the gradient came from it, of the gradient.
    #[allow(clippy::too_many_arguments)]
    fn reverse_task(
        &self,
        task: &Task<F>,
        gradient_bar: Option<&[F]>,
        slots_bar: &[F],
        (tape, tt): (&mut Tape<F>, &TaskTape<F>),
        rs: &mut ReverseSpace<F>,
        sum: &mut GradientSum<F>,
        index: usize,
    ) {
        let (program, q, ns, depth) = (&*self.program, self.q, tape.ns, self.program.depth());
        let (kind, prefix) = (&task.kind, task.plan.prefix);
        let (first, pivots) = sum.starts[index].split_at_mut(1);
        let mut reverse = Reverse { program, q, tape, bars: &mut rs.bars, gradient: &mut sum.weights };
        reverse.bars.t.clear();
        if prefix < depth {
            let mut core_bar = std::mem::take(&mut rs.cores);
            for (j, segment) in tt.segments.iter().enumerate() {
                let lifts = j + 1 < tt.segments.len();
                let [bar, next] = &mut core_bar;
                match j {
                    0 => {
                        let start = (prefix == 0).then(|| (&task.start, &mut first[0]));
                        reverse.segment(start, kind, lifts, segment, slots_bar, next);
                    }
                    _ => {
                        let start = Some((&task.pivots[j - 1], &mut pivots[j - 1]));
                        let full = Kind::Full { k: segment.r };
                        // the first segment's stays, where it starts at the end of the prefix
                        let bars = &mut *reverse.bars;
                        swap(&mut bars.t, &mut bars.kept);
                        reverse.segment(start, &full, lifts, segment, bar, next);
                        let bars = &mut *reverse.bars;
                        swap(&mut bars.t, &mut bars.kept);
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
        let all = ns * k * n;
        if let Some(bar) = gradient_bar {
            if prefix == depth {
                self.through_outputs(ns, bar, reverse.bars.t.gather(all).data);
            } else {
                let (t, t_bar) = (&tt.prefix.t[prefix], reverse.bars.t.total(all));
                let g_bar = reverse.bars.g[prefix].total(ns * q * n);
                for s in 0..ns {
                    let bar = Mat::new(&bar[s * q * k..], q, k, k);
                    let g = Mat::new(&reverse.tape.g[prefix][s * q * n..], q, n, n);
                    gemm(true, bar.t(), g, &mut t_bar[s * k * n..], n);
                    gemm(true, bar, Mat::new(&t[s * k * n..], k, n, n), &mut g_bar[s * q * n..], n);
                }
            }
        }
        // H[slot, r] = sum_n H[row, n] G[r, n]
        reverse.bars.h.clear();
        let h_bar = reverse.bars.h.gather(ns * rows * n).data;
        let by_row = fit(&mut rs.by_row, q * rows);
        let len = kind.len();
        for s in 0..ns {
            for r in 0..q {
                let (slots, by_row) = (&slots_bar[(s * q + r) * len..][..len], &mut by_row[r * rows..][..rows]);
                match kind {
                    _ if kind.is_sum() => by_row[0] = slots[0],
                    Kind::Full { k } => kind.each(|t| {
                        let lower = if t.a == t.b { F::zero() } else { slots[t.b * k + t.a] };
                        by_row[t.row] = slots[t.slot] + lower;
                    }),
                    _ => by_row.copy_from_slice(slots),
                }
            }
            let bar = Mat::new(by_row, q, rows, rows);
            let to = &mut h_bar[s * rows * n..][..rows * n];
            match &self.u {
                _ if prefix < depth => {
                    let g = Mat::new(&reverse.tape.g[prefix][s * q * n..], q, n, n);
                    gemm(false, bar.t(), g, to, n);
                    let h = Mat::new(&tt.h[prefix][s * rows * n..], rows, n, n);
                    gemm(true, bar, h, &mut reverse.bars.g[prefix].total(ns * q * n)[s * q * n..], n);
                }
                Some(u) => gemm(false, bar.t(), Mat::new(u, q, n, n), to, n),
                None => (0..rows * n).for_each(|i| to[i] = by_row[i % n * rows + i / n]),
            }
        }
        let width = program.offsets[prefix];
        for i in (0..prefix).rev() {
            let sites = &tt.prefix.sites[program.offsets[i].min(tt.prefix.sites.len())..];
            let along = (&tt.prefix.t[i][..], sites, width);
            let shared = (i == 0).then(|| (&task.start, &mut first[0]));
            reverse.carry(kind, i, i == 0, shared, along, (&tt.h[i], &tt.hm[i]));
        }
    }
}
