//! A list of steps reversed: one rule for each kind of step.
//!
//! Every step but the derivatives of activations and what is taken as a constant is a multilinear form with one place missing. Its reverse gives, to each
//! operand, the same form with that operand's place missing and the cotangent of its result in place of the result. The rule of
//! an activation's derivative is the next derivative.
use super::build::{List, backwards, scaled};
use super::step::{DotPlace, GramPlace, Id, Op, PickPlace, Place, Triple, Triples};
use crate::{Activation, Real};
use std::sync::Arc;

fn swapped<F: Real>(rows: &Triples<F>, f: impl Fn(&Triple<F>) -> Triple<F>) -> Triples<F> {
    rows.as_ref().map(|rows| rows.iter().map(f).collect::<Arc<[_]>>())
}

/// Cotangents of buffers, and the steps that compute them.
pub(crate) struct Reversed {
    /// For each buffer of the list before it was reversed, the buffer of its cotangent.
    pub bars: Vec<Option<Id>>,
    /// Where the steps of the reverse start.
    pub from: usize,
}

/// Adds to `list` the steps that take cotangents of the buffers `seeds` (each of which somebody fills) to those of the
/// buffers that are `wanted`.
pub(crate) fn reverse<F: Real>(list: &mut List<F>, seeds: &[(Id, Id)], wanted: &[Id]) -> Reversed {
    let count = list.buffers.len();
    // what depends on a wanted buffer
    let mut moves = vec![false; count];
    wanted.iter().for_each(|&id| moves[id] = true);
    for step in &list.steps {
        if step.op.operands().iter().any(|&id| moves[id]) {
            moves[step.out] = true;
        }
    }
    next_derivatives(list, |step_z| moves[step_z], count);
    let from = list.steps.len();
    let mut bars: Vec<Option<Id>> = vec![None; count];
    // several results may be read off one buffer
    let mut terms: Vec<Vec<Id>> = vec![Vec::new(); count];
    seeds.iter().for_each(|&(of, bar)| terms[of].push(bar));
    for (id, seeds) in terms.into_iter().enumerate() {
        bars[id] = match seeds[..] {
            [] => None,
            // a seed may be written to below only where it is a copy
            _ => {
                let (n, rows, shared) = (list.buffers[id].n, list.buffers[id].rows, list.buffers[id].shared);
                let own = list.fresh(n, rows, shared);
                seeds.iter().for_each(|&seed| list.push(own, scaled(seed, F::one())));
                Some(own)
            }
        };
    }
    for at in (0..from).rev() {
        let (op, out) = (list.steps[at].op.clone(), list.steps[at].out);
        if out >= count {
            // a derivative that only the reverse reads
            continue;
        }
        let Some(bar) = bars[out] else { continue };
        for (operand, op) in reverse_step(list, &op, bar) {
            if !moves[operand] {
                continue;
            }
            let to = *bars[operand].get_or_insert_with(|| {
                let b = &list.buffers[operand];
                let (n, rows, shared) = (b.n, b.rows, b.shared);
                list.fresh(n, rows, shared)
            });
            list.push(to, op);
        }
    }
    Reversed { bars, from }
}

/// To each operand of a step, the step that adds to its cotangent.
fn reverse_step<F: Real>(list: &List<F>, op: &Op<F>, bar: Id) -> Vec<(Id, Op<F>)> {
    match op {
        Op::Add { .. } | Op::Frozen { .. } => vec![],
        Op::Move { x, c, blocks, rows } => {
            let rows = rows.as_ref().map(|rows| rows.iter().map(|&(y, x)| (x, y)).collect());
            vec![(*x, Op::Move { x: bar, c: *c, blocks: backwards(blocks), rows })]
        }
        Op::Pick { place, x, z, len, inner } => {
            let place = if *place == PickPlace::Y { PickPlace::X } else { PickPlace::Y };
            vec![(*x, Op::Pick { place, x: bar, z: *z, len: *len, inner: *inner })]
        }
        Op::Act { z, act, order } => {
            let next = derivative(list, *z, *order + 1, act).expect("added before");
            vec![(*z, Op::Times { a: bar, b: next, c: F::one(), rows: None })]
        }
        Op::Times { a, b, c, rows } => {
            let to_a = swapped(rows, |t| Triple { y: t.a, a: t.y, b: t.b, c: t.c });
            let to_b = swapped(rows, |t| Triple { y: t.b, a: t.a, b: t.y, c: t.c });
            vec![
                (*a, Op::Times { a: bar, b: *b, c: *c, rows: to_a }),
                (*b, Op::Times { a: *a, b: bar, c: *c, rows: to_b }),
            ]
        }
        Op::Product { place, a, b, dims, rows } => {
            let dims = *dims;
            let to_first = swapped(rows, |t| Triple { y: t.a, a: t.y, b: t.b, c: t.c });
            let to_second = swapped(rows, |t| Triple { y: t.b, a: t.a, b: t.y, c: t.c });
            let of = |place, a, b, rows| Op::Product { place, a, b, dims, rows };
            match place {
                // operands (A, B): A += Y B^T, B += A^T Y
                Place::Y => vec![(*a, of(Place::A, bar, *b, to_first)), (*b, of(Place::B, *a, bar, to_second))],
                // operands (Y, B): Y += A B; B += A^T Y, where the bar stands for A
                Place::A => {
                    let to_second = swapped(rows, |t| Triple { y: t.b, a: t.y, b: t.a, c: t.c });
                    vec![(*a, of(Place::Y, bar, *b, to_first)), (*b, of(Place::B, bar, *a, to_second))]
                }
                // operands (A, Y): A += Y B^T, Y += A B, where the bar stands for B
                Place::B => {
                    let to_first = swapped(rows, |t| Triple { y: t.a, a: t.b, b: t.y, c: t.c });
                    vec![(*a, of(Place::A, *b, bar, to_first)), (*b, of(Place::Y, *a, bar, to_second))]
                }
            }
        }
        Op::Dot { place, a, b } => {
            let of = |place, a, b| Op::Dot { place, a, b };
            match place {
                // operands (g, t)
                DotPlace::D => vec![(*a, of(DotPlace::G, bar, *b)), (*b, of(DotPlace::T, bar, *a))],
                // operands (d, t)
                DotPlace::G => vec![(*a, of(DotPlace::D, bar, *b)), (*b, of(DotPlace::T, *a, bar))],
                // operands (d, g)
                DotPlace::T => vec![(*a, of(DotPlace::D, *b, bar)), (*b, of(DotPlace::G, *a, bar))],
            }
        }
        Op::Gram { place, operands: [x, y, z], c } => {
            let of = |place, operands| Op::Gram { place, operands, c: *c };
            match place {
                // operands (c, s, t)
                GramPlace::H => vec![
                    (*x, of(GramPlace::C, [bar, *y, *z])),
                    (*y, of(GramPlace::S, [bar, *x, *z])),
                    (*z, of(GramPlace::S, [bar, *x, *y])),
                ],
                // operands (h, s, t)
                GramPlace::C => vec![
                    (*x, of(GramPlace::H, [bar, *y, *z])),
                    (*y, of(GramPlace::S, [*x, bar, *z])),
                    (*z, of(GramPlace::S, [*x, bar, *y])),
                ],
                // operands (h, c, t), the bar stands for s
                GramPlace::S => vec![
                    (*x, of(GramPlace::H, [*y, bar, *z])),
                    (*y, of(GramPlace::C, [*x, bar, *z])),
                    (*z, of(GramPlace::S, [*x, *y, bar])),
                ],
            }
        }
    }
}

/// The buffer of a derivative of an activation; the exponential is its own derivative, and that of z^2/2 is z.
pub(super) fn derivative<F: Real>(list: &List<F>, z: Id, order: usize, act: &Activation) -> Option<Id> {
    let order = match act {
        Activation::Quadratic if order == 1 => return Some(z),
        Activation::Exp => 0,
        _ => order,
    };
    list.steps.iter().find_map(|step| match &step.op {
        Op::Act { z: of, act: found_act, order: found } if (*of, *found) == (z, order) && found_act.same(act) => {
            Some(step.out)
        }
        _ => None,
    })
}

/// Adds, beside every derivative of an activation that moves, the next one.
pub(super) fn next_derivatives<F: Real>(list: &mut List<F>, moves: impl Fn(Id) -> bool, count: usize) {
    let acts: Vec<(usize, Id, Activation, usize)> = list
        .steps
        .iter()
        .enumerate()
        .filter_map(|(i, step)| match &step.op {
            Op::Act { z, act, order } if step.out < count && moves(*z) => Some((i, *z, act.clone(), *order)),
            _ => None,
        })
        .collect();
    // from the end, so that places stay
    for (i, z, act, order) in acts.into_iter().rev() {
        if derivative(list, z, order + 1, &act).is_some() {
            continue;
        }
        let (n, shared) = (list.buffers[z].n, list.buffers[z].shared);
        let out = list.fresh(n, 1, shared);
        list.insert(i + 1, out, Op::Act { z, act, order: order + 1 });
    }
}
