//! A list of steps pushed forward: one rule for each kind of step.
//!
//! Every step but the derivatives of activations is a multilinear form with one place missing, so the tangent of its result
//! is the sum of the same form with the tangent of one operand in its place, over the operands. The rule of an activation's
//! derivative is the next derivative.
use super::build::{List, moved, times};
use super::reverse::{derivative, next_derivatives};
use super::step::{Block, Id, Op, Source};
use crate::Real;

/// Which of the arguments move.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Moves {
    /// The points: then they come with their tangents, (2 d) features.
    pub points: bool,
    /// The weights: then the flat vector has their tangents behind all `n_weights` of them.
    pub weights: Option<usize>,
}

impl<F: Copy> Op<F> {
    /// The step with another buffer as its operand `slot`.
    fn with(&self, slot: usize, id: Id) -> Self {
        let mut op = self.clone();
        match &mut op {
            Op::Move { x, .. } | Op::Pick { x, .. } => *x = id,
            Op::Times { a, b, .. } | Op::Product { a, b, .. } | Op::Dot { a, b, .. } => *[a, b][slot] = id,
            Op::Gram { operands, .. } => operands[slot] = id,
            Op::Add { .. } | Op::Act { .. } | Op::Frozen { .. } => unreachable!("not linear in an operand"),
        }
        op
    }
}

/// Adds to `list` the steps that take tangents of points and weights to those of all buffers: for each buffer that was in the
/// list before, that of its tangent, if it moves.
pub(crate) fn push<F: Real>(list: &mut List<F>, moves: Moves) -> Vec<Option<Id>> {
    let count = list.buffers.len();
    let mut dots: Vec<Option<Id>> = vec![None; count];
    for (id, dot) in dots.iter_mut().enumerate() {
        let n = list.buffers[id].n;
        *dot = match list.buffers[id].source {
            Source::Points if moves.points => Some(split_points(list, id)),
            Source::Weight(theta) => {
                moves.weights.map(|n_weights| list.source(n, 1, Source::Weight(n_weights + theta)))
            }
            _ => None,
        };
    }
    let given: Vec<bool> = dots.iter().map(Option::is_some).collect();
    let mut moving = given.clone();
    for step in list.steps.iter().filter(|step| step.out < count) {
        let frozen = matches!(step.op, Op::Frozen { .. });
        if !frozen && step.op.operands().iter().any(|&id| id < count && moving[id]) {
            moving[step.out] = true;
        }
    }
    next_derivatives(list, |z| z < count && moving[z], count);
    let steps = list.steps.clone();
    // a buffer may be written by several steps: its tangent is there after the last of them
    let mut last = vec![usize::MAX; list.buffers.len()];
    steps.iter().enumerate().for_each(|(at, step)| last[step.out] = at);
    let mut terms: Vec<Vec<Op<F>>> = vec![Vec::new(); list.buffers.len()];
    let computed = |id: Id| id < count && moving[id] && !given[id];
    for (at, step) in steps.iter().enumerate().filter(|(_, step)| computed(step.out)) {
        let dot = |id: Id| dots.get(id).copied().flatten();
        match &step.op {
            Op::Add { .. } | Op::Frozen { .. } => {}
            Op::Act { z, act, order } => {
                if let Some(dot) = dot(*z) {
                    let next = derivative(list, *z, *order + 1, act).expect("added above");
                    terms[step.out].push(times(dot, next));
                }
            }
            // what is picked does not depend on where
            Op::Pick { x, .. } => terms[step.out].extend(dot(*x).map(|dot| step.op.with(0, dot))),
            op => {
                let operands = op.operands().into_iter().enumerate();
                terms[step.out].extend(operands.filter_map(|(slot, id)| Some(op.with(slot, dot(id)?))));
            }
        }
        if last[step.out] == at {
            let (n, rows) = (list.buffers[step.out].n, list.buffers[step.out].rows);
            dots[step.out] = list.sum(n, rows, std::mem::take(&mut terms[step.out]));
        }
    }
    dots
}

/// Makes the buffer of the points the first half of what comes; the buffer of the second half, their tangents.
fn split_points<F: Real>(list: &mut List<F>, points: Id) -> Id {
    let d = list.buffers[points].n;
    let both = list.source(2 * d, 1, Source::Points);
    list.buffers[points].source = Source::Steps;
    let tangents = list.fresh(d, 1, false);
    let half = |from| moved(both, F::one(), Some([Block { from, to: 0, len: d }].into()));
    list.insert(0, tangents, half(d));
    list.insert(0, points, half(0));
    tangents
}
