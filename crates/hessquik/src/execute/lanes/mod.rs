//! The executor with samples side by side in the vectors of the machine: a tile of samples through a list of steps, on one
//! thread.
//!
//! A buffer that differs from sample to sample is (n, rows, ns) in the arena of the tile; one that is the same for all
//! samples is (n, rows) in the shared arena. The tests compare each step with the plain executor, which says what it means.
//!
//! [`run`] sorts out where buffers are and which of them are shared; `entries` goes entry by entry, `matrix` and `block`
//! multiply matrices, `gram` sums over sites.
mod block;
mod entries;
mod gram;
mod matrix;
#[cfg(test)]
mod tests;
mod view;

use crate::engine::kernels::vectorised;
use crate::engine::tape::fit;
use crate::schedule::{Buffer, DotPlace, GramPlace, Id, Op, Place, Source, Step};
use crate::{Activation, Real};
pub(crate) use entries::Scratch;
use entries::{Add, Move, ORDERS, Pick, SPARE, Times};
use gram::Gram;
use pulp::Arch;
use std::ops::Range;
use view::{Lines, LinesMut, Meet};

/// Where the buffers of a schedule are.
#[derive(Debug)]
pub(crate) struct Memory<'a, F> {
    /// Where each buffer starts: that of a tile at so many entries of every sample, `offsets[id] * ns`, in `tile`; a shared
    /// one in `fixed`, or past its end in `own`.
    pub offsets: &'a [usize],
    /// The first part of the shared arena, which steps only read.
    pub fixed: &'a [F],
    /// The rest of it, which belongs to whoever runs these steps: what they write that is the same for all samples.
    pub own: &'a mut [F],
    /// The arena of the tile.
    pub tile: &'a mut [F],
    /// What steps need for themselves.
    pub scratch: &'a mut Scratch<F>,
}

/// Runs the steps for `ns` samples, a multiple of 16 in single and of 8 in double precision (any other number is right but
/// slow). A step of shared buffers alone is run once. A shared result of operands that differ from sample to sample is
/// summed over the samples, so a caller who fills a tile up with samples of no interest makes their cotangents zero.
///
/// # Panics
/// Where a buffer lies outside its arena, or a result overlaps an operand.
pub(crate) fn run<F: Real>(steps: &[Step<F>], specs: &[Buffer<F>], memory: &mut Memory<F>, ns: usize) {
    let mut tile = Tile { specs, memory, ns };
    let mut rest = steps;
    while !rest.is_empty() {
        crate::engine::stop::step();
        rest = &rest[tile.step(rest)..];
    }
}

/// Where a buffer is: its arena and its entries there.
#[derive(Clone, Debug, PartialEq)]
enum Spot {
    Fixed(Range<usize>),
    Own(Range<usize>),
    Tile(Range<usize>),
}

impl Spot {
    /// Whether two buffers overlap.
    fn meets(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Fixed(a), Self::Fixed(b)) | (Self::Own(a), Self::Own(b)) | (Self::Tile(a), Self::Tile(b)) => {
                a.start < b.end && b.start < a.end
            }
            _ => false,
        }
    }
}

struct Tile<'a, 'm, F> {
    specs: &'a [Buffer<F>],
    memory: &'a mut Memory<'m, F>,
    ns: usize,
}

impl<F: Real> Tile<'_, '_, F> {
    /// Runs the first step, and those after it that are computed with it; returns how many.
    fn step(&mut self, steps: &[Step<F>]) -> usize {
        let Step { op, out, onto } = &steps[0];
        if let Op::Act { z, act, order } = op {
            return self.activate(steps, *z, act, *order);
        }
        let (n, specs) = (self.specs[*out].n, self.specs);
        let rows_of = |ids: &[Id]| ids.iter().map(|&id| specs[id].rows).max().unwrap_or(1);
        match op {
            Op::Act { .. } => {}
            // the derivative of what is frozen is a matter of the list
            Op::Frozen { x } => {
                let count = rows_of(&[*out, *x]);
                self.with(*out, [*x], |y, [x], _| {
                    Arch::new().dispatch(Move {
                        onto: *onto,
                        y,
                        n,
                        x,
                        c: F::one(),
                        blocks: None,
                        rows: Meet::All(count),
                    });
                });
            }
            Op::Move { x, c, blocks, rows } => {
                let count = rows_of(&[*out, *x]);
                let rows = rows.as_deref().map_or(Meet::All(count), Meet::Pairs);
                self.with(*out, [*x], |y, [x], _| {
                    Arch::new().dispatch(Move { onto: *onto, y, n, x, c: *c, blocks: blocks.as_deref(), rows });
                });
            }
            Op::Add { s } => {
                self.with(*out, [], |y, [], _| Arch::new().dispatch(Add { onto: *onto, y: y.data, s: *s }));
            }
            Op::Pick { place, x, z, len, inner } => {
                let groups = specs[*z].n / len;
                self.widened(*onto, *out, [*x, *z], |onto, y, [x, z], _| {
                    let pick = Pick { onto, place: *place, y, x, z, groups, len: *len, inner: *inner };
                    vectorised(
                        #[inline(always)]
                        || pick.run(),
                    );
                });
            }
            Op::Times { a, b, c, rows } => {
                let count = rows_of(&[*out, *a, *b]);
                let rows = rows.as_deref().map_or(Meet::All(count), Meet::Triples);
                self.with(*out, [*a, *b], |y, [a, b], _| {
                    Arch::new().dispatch(Times { onto: *onto, y, n, a, b, c: *c, rows });
                });
            }
            Op::Product { place, a, b, dims, rows } => {
                let count = rows_of(&[*out, *a, *b]);
                let rows = rows.as_deref().map_or(Meet::All(count), Meet::Triples);
                if let (Source::Units(units), Place::Y, true) = (&specs[*a].source, place, specs[*a].shared) {
                    self.with(*out, [*b], |y, [b], _| matrix::rows_of_units(*onto, y, units, b, *dims, rows));
                } else {
                    self.with(*out, [*a, *b], |y, [a, b], scratch| {
                        matrix::product(*onto, *place, y, (a, b), *dims, rows, scratch);
                    });
                }
            }
            Op::Dot { place, a, b } => {
                let n = if *place == DotPlace::D { specs[*a].n } else { n };
                self.with(*out, [*a, *b], |y, [a, b], scratch| matrix::dot(*onto, *place, y, (a, b), n, scratch));
            }
            Op::Gram { place, operands, c } => {
                let [first, second, third] = *operands;
                let n = if *place == GramPlace::H { specs[first].n } else { n };
                let same = *place != GramPlace::S && second == third;
                let shared = |id: Id| specs[id].shared;
                let tangents = if *place == GramPlace::S { !shared(second) } else { shared(second) == shared(third) };
                let gram = |onto: bool, y: LinesMut<F>, operands: [Lines<F>; 3], scratch: &mut Scratch<F>| {
                    Gram { onto, place: *place, y, operands, same, n, c: *c, spare: &mut scratch.spare }.run();
                };
                if tangents && !shared(*out) && !shared(first) {
                    self.with(*out, *operands, |y, operands, scratch| gram(*onto, y, operands, scratch));
                } else {
                    self.widened(*onto, *out, *operands, gram);
                }
            }
        }
        1
    }

    /// Where a buffer is.
    fn place(&self, id: Id) -> Spot {
        let (spec, start) = (&self.specs[id], self.memory.offsets[id]);
        if !spec.shared {
            let range = start * self.ns..(start + spec.len()) * self.ns;
            assert!(range.end <= self.memory.tile.len(), "buffer {id} lies past the end of the tile");
            return Spot::Tile(range);
        }
        let fixed = self.memory.fixed.len();
        if start < fixed {
            assert!(start + spec.len() <= fixed, "buffer {id} lies in two arenas");
            Spot::Fixed(start..start + spec.len())
        } else {
            let range = start - fixed..start - fixed + spec.len();
            assert!(range.end <= self.memory.own.len(), "buffer {id} lies past the end of the shared arena");
            Spot::Own(range)
        }
    }

    /// Calls `f` with the lines of a result and of operands.
    fn with<const N: usize>(
        &mut self,
        out: Id,
        operands: [Id; N],
        f: impl FnOnce(LinesMut<F>, [Lines<F>; N], &mut Scratch<F>),
    ) {
        let at = self.place(out);
        let from = operands.map(|id| self.place(id));
        // what is the same for all samples is computed once, as if it were of one sample
        let once = self.specs[out].shared && operands.iter().all(|&id| self.specs[id].shared);
        let Memory { fixed, own, tile, scratch, .. } = &mut *self.memory;
        from.iter().for_each(|from| assert!(!at.meets(from), "the result {out} of a step overlaps an operand"));
        let (own, tile) = (own.as_mut_ptr(), tile.as_mut_ptr());
        let kind = |id: Id| {
            let spec = &self.specs[id];
            (spec.rows, if spec.shared { 1 } else { self.ns }, spec.shared && !once)
        };
        let mut which = 0;
        let lines = from.map(|from| {
            // SAFETY: `place` has asserted that the range lies within its arena, and the result was found apart from it, so
            // nothing else refers to these entries mutably while `f` runs.
            let data = match from {
                Spot::Fixed(range) => &fixed[range],
                Spot::Own(range) => unsafe { std::slice::from_raw_parts(own.add(range.start), range.len()) },
                Spot::Tile(range) => unsafe { std::slice::from_raw_parts(tile.add(range.start), range.len()) },
            };
            let (rows, width, shared) = kind(operands[which]);
            which += 1;
            Lines { data, rows, width, shared }
        });
        // SAFETY: as above; this is the one reference to these entries.
        let data = match at {
            Spot::Fixed(_) => panic!("the result {out} of a step lies in the part of the arena that is only read"),
            Spot::Own(range) => unsafe { std::slice::from_raw_parts_mut(own.add(range.start), range.len()) },
            Spot::Tile(range) => unsafe { std::slice::from_raw_parts_mut(tile.add(range.start), range.len()) },
        };
        let (rows, width, shared) = kind(out);
        f(LinesMut { data, rows, width, shared }, lines, scratch);
    }

    /// The same for steps that know no shared buffers: operands are copied for every sample, and a result is summed over them.
    fn widened<const N: usize>(
        &mut self,
        onto: bool,
        out: Id,
        operands: [Id; N],
        f: impl FnOnce(bool, LinesMut<F>, [Lines<F>; N], &mut Scratch<F>),
    ) {
        let ns = self.ns;
        self.with(out, operands, |mut y, lines, scratch| {
            if !y.shared && lines.iter().all(|x| !x.shared) {
                return f(onto, y, lines, scratch);
            }
            let mut memory = std::mem::take(&mut scratch.wide);
            let wide = |x: &Lines<F>| if x.shared { x.data.len() * ns } else { 0 };
            let whole = if y.shared { y.data.len() * ns } else { 0 };
            let (result, mut rest) =
                fit(&mut memory, whole + lines.iter().map(wide).sum::<usize>()).split_at_mut(whole);
            let lines = lines.map(|x| {
                if !x.shared {
                    return x;
                }
                let (copy, left) = std::mem::take(&mut rest).split_at_mut(wide(&x));
                rest = left;
                copy.chunks_exact_mut(ns).zip(x.data).for_each(|(line, &number)| line.fill(number));
                Lines { data: copy, width: ns, shared: false, ..x }
            });
            if y.shared {
                f(false, LinesMut { data: result, width: ns, shared: false, ..y.again() }, lines, scratch);
                let (rows, n) = (y.rows, y.data.len() / y.rows.max(1));
                let x = Lines { data: result, rows, width: ns, shared: false };
                let (c, rows) = (F::one(), Meet::All(rows));
                Arch::new().dispatch(Move { onto, y, n, x, c, blocks: None, rows });
            } else {
                f(onto, y, lines, scratch);
            }
            scratch.wide = memory;
        });
    }

    /// Derivatives of an activation of `z`: those that follow one another are computed together.
    fn activate(&mut self, steps: &[Step<F>], z: Id, act: &Activation, order: usize) -> usize {
        let (first, specs) = (steps[0].out, self.specs);
        let shape = |id: Id| (specs[id].n, specs[id].rows, specs[id].shared);
        let alike = |out: Id| shape(out) == shape(z);
        let mut orders = [None; ORDERS];
        let mut count = 0;
        for step in steps {
            match &step.op {
                Op::Act { z: of, act: other, order }
                    if *of == z
                        && act.same(other)
                        && *order < ORDERS
                        && orders[*order].is_none()
                        && !step.onto
                        && alike(step.out) =>
                {
                    orders[*order] = Some(step.out);
                    count += 1;
                }
                _ => break,
            }
        }
        if count > 0 {
            self.fill(z, act, orders);
            return count;
        }
        let onto = steps[0].onto;
        self.widened(onto, first, [z], |onto, y, [z], scratch| {
            let n = y.data.len() / (y.rows * y.width).max(1);
            let (spare, whole) = fit(&mut scratch.spare, SPARE + z.data.len()).split_at_mut(SPARE);
            entries::derivative(act, order, z.data, whole, spare);
            // rows of z without a row of the result are not met
            let rows = Meet::All(y.rows);
            let x = Lines { data: whole, ..z };
            if y.rows == 1 && x.rows > 1 {
                let pairs = [(0, 0)];
                let rows = Meet::Pairs(&pairs);
                return Arch::new().dispatch(Move { onto, y, n, x, c: F::one(), blocks: None, rows });
            }
            Arch::new().dispatch(Move { onto, y, n, x, c: F::one(), blocks: None, rows });
        });
        1
    }

    /// Sets a buffer for each order that there is one for.
    fn fill(&mut self, z: Id, act: &Activation, orders: [Option<Id>; ORDERS]) {
        let places = orders.map(|id| id.map(|id| (id, self.place(id))));
        let from = self.place(z);
        for (j, (_, place)) in places.iter().enumerate().filter_map(|(j, place)| Some((j, place.as_ref()?))) {
            let others = places[..j].iter().flatten().map(|(_, other)| other).chain([&from]);
            others.for_each(|other| assert!(!place.meets(other), "results of an activation overlap"));
        }
        let Memory { fixed, own, tile, scratch, .. } = &mut *self.memory;
        let (own, tile) = (own.as_mut_ptr(), tile.as_mut_ptr());
        // SAFETY: `place` has asserted that each range lies within its arena, and they were found apart from each other.
        let outs = places.map(|place| {
            place.map(|(id, place)| match place {
                Spot::Fixed(_) => panic!("the result {id} of a step lies in the part of the arena that is only read"),
                Spot::Own(range) => unsafe { std::slice::from_raw_parts_mut(own.add(range.start), range.len()) },
                Spot::Tile(range) => unsafe { std::slice::from_raw_parts_mut(tile.add(range.start), range.len()) },
            })
        });
        let z = match from {
            Spot::Fixed(range) => &fixed[range],
            // SAFETY: as above.
            Spot::Own(range) => unsafe { std::slice::from_raw_parts(own.add(range.start), range.len()) },
            // SAFETY: as above.
            Spot::Tile(range) => unsafe { std::slice::from_raw_parts(tile.add(range.start), range.len()) },
        };
        entries::activate(act, z, outs, fit(&mut scratch.spare, SPARE));
    }
}
