//! A request on a graph, resolved: what is the same for all samples computed once, then tile after tile.
use super::lanes::{self, Memory, Scratch};
use super::memory::{Live, allocate};
use crate::engine::kernels::lanes as vector;
use crate::engine::tape::{Buffer as Aligned, Spares, fit};
use crate::graph::Graph;
use crate::result::Field;
use crate::schedule::{self, Buffer, Id, List, Moves, Op, Reading, Source, Step, compile, push, reverse};
use crate::{Error, Real, Request, StepCost};
use std::sync::Arc;

/// A request resolved against a graph and its weights.
#[derive(Debug)]
pub(crate) struct GraphCall<F> {
    plan: Arc<Plan<F>>,
    /// What is the same for all samples and does not change from tile to tile.
    fixed: Aligned<F>,
}

/// A request resolved against a graph: it depends on sizes alone, not on weights.
#[derive(Debug)]
pub(crate) struct Plan<F> {
    buffers: Vec<Buffer<F>>,
    /// Where each buffer starts, in the arena of the tile or in that of what is shared.
    offsets: Vec<usize>,
    /// Entries of the shared arena that do not change, and entries of the tile for each sample.
    fixed: usize,
    tile_len: usize,
    /// Operations for each sample.
    operations: f64,
    readings: Vec<Reading>,
    /// Steps that are the same for all samples, and those of a tile.
    once: Vec<Step<F>>,
    tile: Vec<Step<F>>,
    points: Option<Id>,
    pullback: Option<Pullback<F>>,
}

/// What a plan is for.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct How {
    /// For a pullback.
    pub reverses: bool,
    /// For points at which another plan has overflowed.
    pub careful: bool,
    /// For tangents of the results, not the results.
    pub pushed: Option<Moves>,
}

/// The reverse of a plan.
#[derive(Debug)]
struct Pullback<F> {
    /// The cotangents of results, by reading: a given buffer.
    seeds: Vec<Id>,
    tile: Vec<Step<F>>,
    once: Vec<Step<F>>,
    /// The cotangent of the points, if they matter.
    points: Option<Id>,
    /// Weights from this entry on, and their cotangent.
    weights: Vec<(usize, Id)>,
    /// Entries of what tiles add to, at the end of the shared arena; and of all that follows what does not change.
    sums: usize,
    own: usize,
}

/// Working memory of a thread, kept from tile to tile.
#[derive(Debug, Default)]
pub(crate) struct Space<F> {
    tile: Aligned<F>,
    scratch: Scratch<F>,
    ns: usize,
}

impl<F: Real> Plan<F> {
    /// Resolves a request.
    pub fn new(graph: &Graph<F>, request: &Request<F>, how: How) -> Result<Self, Error> {
        let How { reverses, careful, pushed } = how;
        let compiled = compile(graph, request, careful)?;
        let mut list = compiled.list;
        let (mut readings, mut operations) = (compiled.readings, compiled.operations);
        if let Some(moves) = pushed {
            operations *= 2.0;
            Self::push_forward(&mut list, &mut readings, moves);
        }
        let forward = list.steps.len();
        let reversed = reverses.then(|| Self::reversed(&mut list, &readings));
        // the reverse puts derivatives of activations among the steps of the forward sweep
        let forward = reversed.as_ref().map_or(forward, |(_, from)| *from);
        for step in &list.steps {
            if let Op::Act { act, order, .. } = &step.op {
                act.check_order(*order)?;
            }
        }
        let later = list.steps.split_off(forward);
        let split = |list: &List<F>, steps: Vec<Step<F>>| -> (Vec<_>, Vec<_>) {
            steps.into_iter().partition(|s| list.buffers[s.out].shared && list.shared(&s.op))
        };
        let steps = std::mem::take(&mut list.steps);
        let (once, tile) = split(&list, steps);
        let (last, later) = split(&list, later);
        let buffers = list.buffers;
        let points = (0..buffers.len()).find(|&id| matches!(buffers[id].source, Source::Points));
        let mut plan = Self {
            offsets: vec![0; buffers.len()],
            buffers,
            fixed: 0,
            tile_len: 0,
            operations,
            readings,
            once,
            tile,
            points,
            pullback: reversed.map(|(p, _)| Pullback { tile: later, once: last, ..p }),
        };
        plan.place();
        Ok(plan)
    }

    /// Puts the tangents of results in their place.
    fn push_forward(list: &mut List<F>, readings: &mut [Reading], moves: Moves) {
        let tangents = push(list, moves);
        for reading in &mut *readings {
            let (n, rows) = (list.buffers[reading.from].n, list.buffers[reading.from].rows);
            let zeros = |list: &mut List<F>| list.source(n, rows, Source::Literal(vec![F::zero(); n * rows].into()));
            reading.from = tangents[reading.from].unwrap_or_else(|| zeros(list));
        }
        list.drop_unread(&readings.iter().map(|r| r.from).collect::<Vec<_>>());
    }

    fn reversed(list: &mut List<F>, readings: &[Reading]) -> (Pullback<F>, usize) {
        let seeds: Vec<(Id, Id)> = readings
            .iter()
            .map(|r| {
                let (n, rows) = (list.buffers[r.from].n, list.buffers[r.from].rows);
                (r.from, list.source(n, rows, Source::Given))
            })
            .collect();
        let of = |list: &List<F>, f: &dyn Fn(&Source<F>) -> bool| -> Vec<Id> {
            (0..list.buffers.len()).filter(|&id| f(&list.buffers[id].source)).collect()
        };
        let points = of(list, &|s| matches!(s, Source::Points));
        let weights = of(list, &|s| matches!(s, Source::Weight(_)));
        let wanted: Vec<Id> = points.iter().chain(&weights).copied().collect();
        let reversed = reverse(list, &seeds, &wanted);
        let theta = |id: Id| match list.buffers[id].source {
            Source::Weight(theta) => theta,
            _ => unreachable!("a weight"),
        };
        let bar = |id: Id| reversed.bars[id];
        let pullback = Pullback {
            seeds: seeds.iter().map(|&(_, seed)| seed).collect(),
            tile: Vec::new(),
            once: Vec::new(),
            points: points.first().and_then(|&id| bar(id)),
            weights: weights.iter().filter_map(|&id| Some((theta(id), bar(id)?))).collect(),
            sums: 0,
            own: 0,
        };
        (pullback, reversed.from)
    }

    /// Gives every buffer its place, and says which steps set theirs and which add to it.
    fn place(&mut self) {
        let count = self.buffers.len();
        // what is shared: first what does not change, then what tiles add to, then what follows from that
        let mut group = vec![0; count];
        if let Some(p) = &mut self.pullback {
            p.once.iter().for_each(|s| group[s.out] = 2);
            p.tile.iter().filter(|s| self.buffers[s.out].shared).for_each(|s| group[s.out] = 1);
            let mut written = vec![false; count];
            for step in &mut p.tile {
                // sums start at zero
                step.onto = group[step.out] == 1 || std::mem::replace(&mut written[step.out], true);
            }
            p.once.iter_mut().for_each(|s| s.onto = group[s.out] == 1 || std::mem::replace(&mut written[s.out], true));
        }
        let mut ends = [0; 3];
        let mut next = 0;
        for (g, end) in ends.iter_mut().enumerate() {
            for id in (0..count).filter(|&id| self.buffers[id].shared && group[id] == g) {
                self.offsets[id] = next;
                next += self.buffers[id].len();
            }
            *end = next;
        }
        self.fixed = ends[0];
        if let Some(p) = &mut self.pullback {
            (p.sums, p.own) = (ends[1] - ends[0], ends[2] - ends[0]);
        }
        // those of a tile: from the step that first writes one to the last that reads it
        let mut live: Vec<Option<Live>> = vec![None; count];
        let mut touch = |id: Id, at: usize, buffers: &[Buffer<F>]| {
            if !buffers[id].shared {
                let live = live[id].get_or_insert(Live { from: at, to: at, len: buffers[id].len() });
                (live.from, live.to) = (live.from.min(at), live.to.max(at));
            }
        };
        let mut at = 0;
        if let Some(id) = self.points {
            touch(id, at, &self.buffers);
        }
        for step in &self.tile {
            at += 1;
            step.op.operands().into_iter().chain([step.out]).for_each(|id| touch(id, at, &self.buffers));
        }
        at += 1;
        self.readings.iter().for_each(|r| touch(r.from, at, &self.buffers));
        if let Some(p) = &self.pullback {
            at += 1;
            p.seeds.iter().for_each(|&id| touch(id, at, &self.buffers));
            for step in &p.tile {
                at += 1;
                step.op.operands().into_iter().chain([step.out]).for_each(|id| touch(id, at, &self.buffers));
            }
            if let Some(id) = p.points {
                touch(id, at + 1, &self.buffers);
            }
        }
        let (offsets, len) = allocate(&live);
        (0..count).filter(|&id| !self.buffers[id].shared).for_each(|id| self.offsets[id] = offsets[id]);
        self.tile_len = len;
    }

    /// That there is room for what is the same for all samples, before any of it is made.
    ///
    /// # Errors
    /// [`Error::OutOfMemory`] if there is none.
    pub fn fits(&self) -> Result<(), Error> {
        let error = |_| Error::OutOfMemory {
            what: "the directions and the weights of a schedule".into(),
            bytes: (self.fixed * size_of::<F>()) as u128,
        };
        Vec::<F>::new().try_reserve_exact(self.fixed).map_err(error)
    }
}

impl<F: Real> GraphCall<F> {
    /// Binds a plan to weights, in memory of these spares: what is the same for all samples is computed.
    pub fn new(plan: Arc<Plan<F>>, theta: &[F], spares: &Spares<F>) -> Self {
        let mut fixed = spares.buffer(plan.fixed);
        let own = &mut fixed[..];
        for (buffer, &at) in plan.buffers.iter().zip(&plan.offsets).filter(|(b, _)| b.shared) {
            let to = |len: usize| at..at + len;
            match &buffer.source {
                Source::Weight(from) => own[to(buffer.len())].copy_from_slice(&theta[*from..from + buffer.len()]),
                Source::Literal(numbers) => own[to(buffer.len())].copy_from_slice(numbers),
                Source::Units(units) => {
                    own[to(buffer.len())].fill(F::zero());
                    units.iter().enumerate().for_each(|(row, &i)| own[at + i * buffer.rows + row] = F::one());
                }
                // of what tiles add to, and what follows from that, nothing is here
                Source::Steps | Source::Points | Source::Given => {
                    own.get_mut(to(buffer.len())).into_iter().for_each(|own| own.fill(F::zero()));
                }
            }
        }
        let mut scratch = Scratch::default();
        let offsets = &plan.offsets;
        let mut memory = Memory { offsets, fixed: &[], own, tile: &mut [], scratch: &mut scratch };
        lanes::run(&plan.once, &plan.buffers, &mut memory, 1);
        Self { plan, fixed }
    }

    /// Each result with its shape (q, ..) per sample in memory order.
    pub fn fields(&self) -> Vec<(Field, Vec<usize>)> {
        self.plan.readings.iter().map(|r| (r.field, r.shape.clone())).collect()
    }

    /// Entries of working memory per sample.
    pub fn floats_per_sample(&self) -> usize {
        self.plan.tile_len.max(1)
    }

    /// Operations for each sample, of the results without their pullback.
    pub fn operations(&self) -> f64 {
        self.plan.operations
    }

    /// The steps of the results, without their pullback.
    pub fn steps(&self) -> Vec<StepCost> {
        let plan = &*self.plan;
        let line = |step: &Step<F>, once: bool| {
            let b = &plan.buffers[step.out];
            let operations = schedule::operations(step, &plan.buffers);
            StepCost { step: step.op.to_string(), out: [step.out, b.n, b.rows], once, operations }
        };
        let once = plan.once.iter().map(|s| line(s, true));
        once.chain(plan.tile.iter().map(|s| line(s, false))).collect()
    }

    /// Entries of the sums that tiles of a pullback add to.
    pub fn sums(&self) -> usize {
        self.plan.pullback.as_ref().map_or(0, |p| p.sums)
    }

    fn fixed(&self) -> &[F] {
        &self.fixed[..self.plan.fixed]
    }

    /// Computes the results at `ns` points (ns, d), each (ns, q, ..).
    pub fn evaluate(&self, x: &[F], ns: usize, space: &mut Space<F>, out: &mut [&mut [F]]) {
        let plan = &*self.plan;
        // whole vectors of samples, the last of which is repeated
        let width = ns.next_multiple_of(vector::<F>());
        let tile = fit(&mut space.tile, plan.tile_len * width);
        space.ns = ns;
        if let Some(id) = plan.points {
            let (d, at) = (plan.buffers[id].n, plan.offsets[id] * width);
            for s in 0..width {
                let x = &x[s.min(ns - 1) * d..][..d];
                x.iter().enumerate().for_each(|(i, &x)| tile[at + i * width + s] = x);
            }
        }
        let mut memory =
            Memory { offsets: &plan.offsets, fixed: self.fixed(), own: &mut [], tile, scratch: &mut space.scratch };
        lanes::run(&plan.tile, &plan.buffers, &mut memory, width);
        let tile = memory.tile;
        for (reading, out) in plan.readings.iter().zip(out) {
            let (at, entries) = (plan.offsets[reading.from], reading.places.len());
            if entries == 0 {
                continue;
            }
            if plan.buffers[reading.from].shared {
                for out in out.chunks_exact_mut(entries) {
                    out.iter_mut().zip(&reading.places).for_each(|(out, &place)| *out = self.fixed[at + place]);
                }
                continue;
            }
            // a few samples at a time, so that their results stay in the nearest cache
            for (block, out) in out.chunks_mut(BLOCK * entries).enumerate() {
                let samples = out.len() / entries;
                for (e, &place) in reading.places.iter().enumerate() {
                    let from = &tile[(at + place) * width + block * BLOCK..][..samples];
                    out[e..].iter_mut().step_by(entries).zip(from).for_each(|(out, &v)| *out = v);
                }
            }
        }
    }

    /// Pulls cotangents of the results back, after `evaluate` at the same points: adds to `sums`, and writes the cotangent of
    /// the points (ns, d).
    pub fn pull_back(&self, space: &mut Space<F>, cotangents: &[&[F]], sums: &mut [F], x_bar: &mut [F]) {
        let plan = &*self.plan;
        let pullback = plan.pullback.as_ref().expect("resolved for a pullback");
        let ns = space.ns;
        let width = ns.next_multiple_of(vector::<F>());
        let tile = fit(&mut space.tile, plan.tile_len * width);
        for ((reading, &seed), bar) in plan.readings.iter().zip(&pullback.seeds).zip(cotangents) {
            let (at, entries) = (plan.offsets[seed], reading.places.len());
            // samples that fill up the last vector have no cotangents
            tile[at * width..][..plan.buffers[seed].len() * width].fill(F::zero());
            if entries == 0 {
                continue;
            }
            for (block, bar) in bar.chunks(BLOCK * entries).enumerate() {
                let samples = bar.len() / entries;
                for (e, &place) in reading.places.iter().enumerate() {
                    let to = &mut tile[(at + place) * width + block * BLOCK..][..samples];
                    to.iter_mut().zip(bar[e..].iter().step_by(entries)).for_each(|(to, &v)| *to += v);
                }
            }
        }
        let mut memory =
            Memory { offsets: &plan.offsets, fixed: self.fixed(), own: sums, tile, scratch: &mut space.scratch };
        lanes::run(&pullback.tile, &plan.buffers, &mut memory, width);
        let tile = memory.tile;
        match pullback.points {
            Some(id) if plan.buffers[id].shared => x_bar.fill(F::zero()),
            Some(id) => {
                let (d, at) = (plan.buffers[id].n, plan.offsets[id] * width);
                for (s, x_bar) in x_bar.chunks_exact_mut(d).enumerate() {
                    x_bar.iter_mut().enumerate().for_each(|(i, x_bar)| *x_bar = tile[at + i * width + s]);
                }
            }
            None => x_bar.fill(F::zero()),
        }
    }

    /// The flat gradient of all `n` weights, from the sums of all tiles.
    pub fn finish(&self, sums: &[F], n: usize) -> Vec<F> {
        let mut theta = vec![F::zero(); n];
        let plan = &*self.plan;
        let pullback = plan.pullback.as_ref().expect("resolved for a pullback");
        let mut own = vec![F::zero(); pullback.own];
        own[..sums.len()].copy_from_slice(sums);
        let mut scratch = Scratch::default();
        let fixed = self.fixed();
        let mut memory = Memory { offsets: &plan.offsets, fixed, own: &mut own, tile: &mut [], scratch: &mut scratch };
        lanes::run(&pullback.once, &plan.buffers, &mut memory, 1);
        for &(from, id) in &pullback.weights {
            let bar = &own[plan.offsets[id] - plan.fixed..][..plan.buffers[id].len()];
            theta[from..].iter_mut().zip(bar).for_each(|(theta, &v)| *theta += v);
        }
        theta
    }
}

/// Samples whose results are read, and cotangents written, at a time.
const BLOCK: usize = 16;
