//! What steps cost: operations for each sample.
use super::build::List;
use super::step::{Buffer, Op, Step};
use crate::Real;

/// Operations of a vector unit that an entry of an activation takes, about.
const ACTIVATION: f64 = 12.0;
/// Operations that it takes to read or write an entry, about: steps entry by entry are bound by them.
const ENTRY: f64 = 1.5;

/// Operations for each sample of all steps; what is the same for all samples counts for nothing.
pub(crate) fn cost<F: Real>(list: &List<F>) -> f64 {
    list.steps.iter().map(|step| of(step, &list.buffers)).sum()
}

/// Operations for each sample of one step.
pub(crate) fn of<F: Real>(step: &Step<F>, buffers: &[Buffer<F>]) -> f64 {
    let out = &buffers[step.out];
    let operands = step.op.operands();
    if out.shared && operands.iter().all(|&id| buffers[id].shared) {
        return 0.0;
    }
    let len = |id: usize| buffers[id].len() as f64;
    let rows = |list: &super::Triples<F>| match list {
        Some(list) => list.len(),
        None => operands.iter().chain([&step.out]).map(|&id| buffers[id].rows).max().unwrap_or(1),
    };
    match &step.op {
        Op::Act { .. } => ACTIVATION * len(step.out),
        Op::Move { .. } | Op::Add { .. } | Op::Frozen { .. } => ENTRY * len(step.out),
        // every entry of a group is compared, and looked at for each row
        Op::Pick { x, z, .. } => ENTRY * (len(*x).max(len(step.out)) + len(*z)),
        Op::Times { rows: list, .. } => 2.0 * ENTRY * (rows(list) * out.n) as f64,
        Op::Product { dims, rows: list, .. } => 2.0 * (rows(list) * dims.iter().product::<usize>()) as f64,
        Op::Dot { a, b, .. } => {
            let largest = [*a, *b, step.out].map(|id| buffers[id].rows).iter().product::<usize>();
            let n = [*a, *b, step.out].map(|id| buffers[id].n).into_iter().min().unwrap_or(1);
            2.0 * (largest * n) as f64
        }
        Op::Gram { operands: [a, b, c], .. } => {
            let rows = [*a, *b, *c, step.out].map(|id| buffers[id].rows);
            let k = buffers[*c].rows as f64;
            // the square of the tangents' rows, halved by symmetry, for each row of the coefficients
            let q = rows.iter().product::<usize>() as f64 / (k * k);
            let n = buffers[*c].n as f64;
            q.max(1.0) * k * (k + 1.0) * n
        }
    }
}
