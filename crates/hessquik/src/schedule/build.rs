//! A list of steps while it is written: buffers are made as they are needed, and sums of terms are collected before it is
//! known whether they are the same for all samples.
use super::step::{Buffer, Id, Op, Source, Step};
use crate::Real;
use crate::schedule::{Block, Triples};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Steps on buffers.
#[derive(Clone, Debug)]
pub(crate) struct List<F> {
    pub buffers: Vec<Buffer<F>>,
    pub steps: Vec<Step<F>>,
    /// Whether a step writes the buffer already.
    written: Vec<bool>,
}

impl<F> Default for List<F> {
    fn default() -> Self {
        Self { buffers: Vec::new(), steps: Vec::new(), written: Vec::new() }
    }
}

impl<F: Real> List<F> {
    /// A buffer that somebody else fills.
    pub fn source(&mut self, n: usize, rows: usize, source: Source<F>) -> Id {
        let shared = !matches!(source, Source::Points | Source::Given);
        self.buffer(Buffer { n, rows, shared, source })
    }

    /// A buffer for steps to write.
    pub fn fresh(&mut self, n: usize, rows: usize, shared: bool) -> Id {
        self.buffer(Buffer { n, rows, shared, source: Source::Steps })
    }

    fn buffer(&mut self, buffer: Buffer<F>) -> Id {
        self.buffers.push(buffer);
        self.written.push(false);
        self.buffers.len() - 1
    }

    /// Whether what this step computes is the same for all samples.
    pub fn shared(&self, op: &Op<F>) -> bool {
        op.operands().iter().all(|&id| self.buffers[id].shared)
    }

    /// Adds a step, which sets its buffer if it is the first to write it.
    pub fn push(&mut self, out: Id, op: Op<F>) {
        let onto = std::mem::replace(&mut self.written[out], true);
        self.steps.push(Step { op, out, onto });
    }

    /// Puts a step that sets its buffer at a place among the steps.
    pub fn insert(&mut self, at: usize, out: Id, op: Op<F>) {
        self.written[out] = true;
        self.steps.insert(at, Step { op, out, onto: false });
    }

    /// The sum of these terms in a buffer of its own; none of no terms.
    pub fn sum(&mut self, n: usize, rows: usize, terms: Vec<Op<F>>) -> Option<Id> {
        if terms.is_empty() {
            return None;
        }
        // a plain copy is the buffer itself
        if let [Op::Move { x, c, blocks: None, rows: None }] = &terms[..]
            && *c == F::one()
            && self.buffers[*x].rows == rows
            && self.buffers[*x].n == n
        {
            return Some(*x);
        }
        let shared = terms.iter().all(|t| self.shared(t));
        let out = self.fresh(n, rows, shared);
        terms.into_iter().for_each(|t| self.push(out, t));
        Some(out)
    }

    /// One term in a buffer of its own.
    pub fn one(&mut self, n: usize, rows: usize, term: Op<F>) -> Id {
        self.sum(n, rows, vec![term]).expect("a term")
    }
}

/// `c x`, all features in their places.
pub(crate) fn scaled<F: Real>(x: Id, c: F) -> Op<F> {
    Op::Move { x, c, blocks: None, rows: None }
}

/// `x` moved by blocks.
pub(crate) fn moved<F: Real>(x: Id, c: F, blocks: Option<Arc<[Block]>>) -> Op<F> {
    Op::Move { x, c, blocks, rows: None }
}

/// `a . b`, rows as they are.
pub(crate) fn times<F: Real>(a: Id, b: Id) -> Op<F> {
    Op::Times { a, b, c: F::one(), rows: None }
}

/// `c a . b`, rows as they are.
pub(crate) fn scaled_times<F: Real>(a: Id, b: Id, c: F) -> Op<F> {
    Op::Times { a, b, c, rows: None }
}

/// `a . b`, rows by triples.
pub(crate) fn times_rows<F: Real>(a: Id, b: Id, rows: Triples<F>) -> Op<F> {
    Op::Times { a, b, c: F::one(), rows }
}

/// Blocks backwards: from where they went to where they came from.
pub(crate) fn backwards(blocks: &Option<Arc<[Block]>>) -> Option<Arc<[Block]>> {
    blocks.as_ref().map(|blocks| blocks.iter().map(|b| Block { from: b.to, to: b.from, len: b.len }).collect())
}

impl<F: Real> List<F> {
    /// Drops the steps that no result depends on.
    pub fn drop_unread(&mut self, results: &[Id]) {
        let mut read = vec![false; self.buffers.len()];
        results.iter().for_each(|&id| read[id] = true);
        let mut keep = vec![false; self.steps.len()];
        for (i, step) in self.steps.iter().enumerate().rev() {
            if read[step.out] {
                keep[i] = true;
                step.op.operands().into_iter().for_each(|id| read[id] = true);
            }
        }
        self.retain(keep);
    }

    /// Keeps the steps that are marked.
    fn retain(&mut self, keep: Vec<bool>) {
        let mut keep = keep.into_iter();
        self.steps.retain(|_| keep.next().expect("one for each step"));
    }

    /// Computes terms of sums where these are: a buffer that nothing but a copy reads is not made.
    pub fn drop_copies(&mut self, results: &[Id]) {
        let mut reads = vec![0; self.buffers.len()];
        // a result is read where steps do not see it
        results.iter().for_each(|&id| reads[id] += 2);
        let mut writers = vec![Vec::new(); self.buffers.len()];
        for (i, step) in self.steps.iter().enumerate() {
            writers[step.out].push(i);
            step.op.operands().into_iter().for_each(|id| reads[id] += 1);
        }
        let mut keep = vec![true; self.steps.len()];
        for i in 0..self.steps.len() {
            let Op::Move { x, c, blocks: None, rows: None } = self.steps[i].op else { continue };
            let (from, to) = (&self.buffers[x], &self.buffers[self.steps[i].out]);
            let alike = (from.n, from.rows, from.shared) == (to.n, to.rows, to.shared);
            let ([writer], 1, true, false) = (&writers[x][..], reads[x], alike, from.shared) else { continue };
            let mut op = self.steps[*writer].op.clone();
            match &mut op {
                Op::Times { c: own, .. } => *own *= c,
                Op::Product { .. } | Op::Dot { .. } if c == F::one() => {}
                _ => continue,
            }
            self.steps[i].op = op;
            keep[*writer] = false;
        }
        self.retain(keep);
    }

    /// Puts the derivatives of an activation at one place next to each other: executors compute these in one pass.
    pub fn gather(&mut self) {
        let mut firsts = BTreeMap::<Id, Vec<usize>>::new();
        let mut after = vec![Vec::new(); self.steps.len()];
        let mut follows = vec![false; self.steps.len()];
        for (i, step) in self.steps.iter().enumerate() {
            let Op::Act { z, act, .. } = &step.op else { continue };
            let same = |&first: &usize| matches!(&self.steps[first].op, Op::Act { act: other, .. } if act.same(other));
            let known = firsts.entry(*z).or_default();
            match known.iter().copied().find(same) {
                Some(first) if !step.onto => {
                    after[first].push(i);
                    follows[i] = true;
                }
                _ => known.push(i),
            }
        }
        let order =
            (0..self.steps.len()).filter(|&i| !follows[i]).flat_map(|i| std::iter::once(i).chain(after[i].clone()));
        self.steps = order.map(|i| self.steps[i].clone()).collect();
    }
}
