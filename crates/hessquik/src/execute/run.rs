//! A request on a graph, resolved: what is the same for all samples computed once, then tile after tile.
use super::Plain;
use crate::graph::Graph;
use crate::result::Field;
use crate::schedule::{Buffer, Id, List, Op, Reading, Source, Step, compile, reverse};
use crate::{Error, Real, Request};
use std::sync::Arc;

/// A request resolved against a graph and its weights.
#[derive(Debug)]
pub(crate) struct GraphCall<F> {
    plan: Arc<Plan<F>>,
    /// The values of all shared buffers, by buffer; those of tiles are empty.
    shared: Vec<Vec<F>>,
}

/// A request resolved against a graph: it depends on sizes alone, not on weights.
#[derive(Debug)]
pub(crate) struct Plan<F> {
    buffers: Vec<Buffer<F>>,
    readings: Vec<Reading>,
    /// Steps that are the same for all samples, and those of a tile.
    once: Vec<Step<F>>,
    tile: Vec<Step<F>>,
    pullback: Option<Pullback<F>>,
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
    /// Shared buffers that tiles add to.
    sums: Vec<Id>,
}

/// The buffers of a tile.
#[derive(Debug, Default)]
pub(crate) struct Space<F> {
    data: Vec<Vec<F>>,
    ns: usize,
}

impl<F: Real> Plan<F> {
    /// Resolves a request; `reverses` for a pullback.
    pub fn new(graph: &Graph<F>, request: &Request<F>, reverses: bool) -> Result<Self, Error> {
        let compiled = compile(graph, request)?;
        let mut list = compiled.list;
        let readings = compiled.readings;
        let forward = list.steps.len();
        let pullback = reverses.then(|| Self::reversed(&mut list, &readings));
        // the reverse puts derivatives of activations among the steps of the forward sweep
        let forward = pullback.as_ref().map_or(forward, |(_, from)| *from);
        let later = list.steps.split_off(forward);
        let once = |list: &List<F>, steps: Vec<Step<F>>| -> (Vec<_>, Vec<_>) {
            let alone = |s: &Step<F>| list.buffers[s.out].shared && list.shared(&s.op);
            steps.into_iter().partition(alone)
        };
        for step in list.steps.iter().chain(&later) {
            if let Op::Act { act, order, .. } = &step.op {
                act.check_order(*order)?;
            }
        }
        let steps = std::mem::take(&mut list.steps);
        let (first, tile) = once(&list, steps);
        let (last, later) = once(&list, later);
        let pullback = pullback.map(|(mut p, _)| {
            p.sums = later.iter().map(|s| s.out).filter(|&id| list.buffers[id].shared).collect();
            p.sums.sort_unstable();
            p.sums.dedup();
            (p.tile, p.once) = (later, last);
            // tiles write first, each anew; what is done once is added to their sums
            let mut written = vec![false; list.buffers.len()];
            p.tile.iter_mut().for_each(|s| s.onto = std::mem::replace(&mut written[s.out], true));
            p.once.iter_mut().for_each(|s| s.onto = std::mem::replace(&mut written[s.out], true));
            p
        });
        Ok(Self { buffers: list.buffers, readings, once: first, tile, pullback })
    }

    fn reversed(list: &mut List<F>, readings: &[Reading]) -> (Pullback<F>, usize) {
        let seeds: Vec<(Id, Id)> = readings
            .iter()
            .enumerate()
            .map(|(i, r)| {
                let (n, rows) = (list.buffers[r.from].n, list.buffers[r.from].rows);
                (r.from, list.source(n, rows, Source::Given(i)))
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
            sums: Vec::new(),
        };
        (pullback, reversed.from)
    }
}

impl<F: Real> GraphCall<F> {
    /// Binds a plan to weights: what is the same for all samples is computed.
    pub fn new(plan: Arc<Plan<F>>, theta: &[F]) -> Self {
        let mut plain = Plain::new(&plan.buffers, 0);
        for (buffer, data) in plan.buffers.iter().zip(&mut plain.data) {
            match &buffer.source {
                Source::Weight(from) => data.copy_from_slice(&theta[*from..from + buffer.len()]),
                Source::Literal(numbers) => data.copy_from_slice(numbers),
                Source::Units(units) => {
                    units.iter().enumerate().for_each(|(row, &i)| data[i * buffer.rows + row] = F::one());
                }
                Source::Steps | Source::Points | Source::Given(_) => {}
            }
        }
        plan.once.iter().for_each(|step| plain.run(step));
        let shared = plain.data;
        Self { plan, shared }
    }

    /// Each result with its shape (q, ..) per sample in memory order.
    pub fn fields(&self) -> Vec<(Field, Vec<usize>)> {
        self.plan.readings.iter().map(|r| (r.field, r.shape.clone())).collect()
    }

    /// Entries of working memory per sample.
    pub fn floats_per_sample(&self) -> usize {
        self.plan.buffers.iter().filter(|b| !b.shared).map(Buffer::len).sum::<usize>().max(1)
    }

    /// Entries of the sums that tiles of a pullback add to.
    pub fn sums(&self) -> usize {
        let sums = self.plan.pullback.iter().flat_map(|p| &p.sums);
        sums.map(|&id| self.plan.buffers[id].len()).sum()
    }

    /// Computes the results at `ns` points (ns, d), each (ns, q, ..).
    pub fn evaluate(&self, x: &[F], ns: usize, space: &mut Space<F>, out: &mut [&mut [F]]) {
        let plan = &*self.plan;
        let mut plain = Plain::new(&plan.buffers, ns);
        for (id, buffer) in plan.buffers.iter().enumerate() {
            if buffer.shared {
                plain.data[id].copy_from_slice(&self.shared[id]);
            }
            if let Source::Points = buffer.source {
                let d = buffer.n;
                for s in 0..ns {
                    (0..d).for_each(|i| plain.data[id][i * ns + s] = x[s * d + i]);
                }
            }
        }
        plan.tile.iter().for_each(|step| plain.run(step));
        for (reading, out) in plan.readings.iter().zip(out) {
            let from = &plain.data[reading.from];
            let shared = plan.buffers[reading.from].shared;
            for (s, out) in out.chunks_exact_mut(reading.places.len()).enumerate() {
                for (out, &place) in out.iter_mut().zip(&reading.places) {
                    *out = if shared { from[place] } else { from[place * ns + s] };
                }
            }
        }
        (space.data, space.ns) = (plain.data, ns);
    }

    /// Pulls cotangents of the results back, after `evaluate` at the same points: adds to `sums`, and writes the cotangent of
    /// the points (ns, d).
    pub fn pull_back(&self, space: &mut Space<F>, cotangents: &[&[F]], sums: &mut [F], x_bar: &mut [F]) {
        let plan = &*self.plan;
        let pullback = plan.pullback.as_ref().expect("resolved for a pullback");
        let ns = space.ns;
        let mut plain = Plain::new(&plan.buffers, ns);
        plain.data = std::mem::take(&mut space.data);
        for ((reading, &seed), bar) in plan.readings.iter().zip(&pullback.seeds).zip(cotangents) {
            plain.data[seed].fill(F::zero());
            for (s, bar) in bar.chunks_exact(reading.places.len()).enumerate() {
                for (&bar, &place) in bar.iter().zip(&reading.places) {
                    plain.data[seed][place * ns + s] += bar;
                }
            }
        }
        pullback.tile.iter().for_each(|step| plain.run(step));
        let mut at = 0;
        for &id in &pullback.sums {
            let data = &plain.data[id];
            sums[at..at + data.len()].iter_mut().zip(data).for_each(|(sum, &v)| *sum += v);
            at += data.len();
        }
        match pullback.points {
            Some(id) => {
                let d = plan.buffers[id].n;
                for (s, x_bar) in x_bar.chunks_exact_mut(d).enumerate() {
                    x_bar.iter_mut().enumerate().for_each(|(i, x_bar)| *x_bar = plain.data[id][i * ns + s]);
                }
            }
            None => x_bar.fill(F::zero()),
        }
        space.data = plain.data;
    }

    /// Adds to the flat gradient of all weights what the sums of all tiles say.
    pub fn finish(&self, sums: &[F], theta: &mut [F]) {
        let plan = &*self.plan;
        let pullback = plan.pullback.as_ref().expect("resolved for a pullback");
        let mut plain = Plain::new(&plan.buffers, 0);
        plain.data.clone_from(&self.shared);
        let mut at = 0;
        for &id in &pullback.sums {
            let len = plain.data[id].len();
            plain.data[id].copy_from_slice(&sums[at..at + len]);
            at += len;
        }
        pullback.once.iter().for_each(|step| plain.run(step));
        for &(from, id) in &pullback.weights {
            theta[from..].iter_mut().zip(&plain.data[id]).for_each(|(theta, &v)| *theta += v);
        }
    }
}
