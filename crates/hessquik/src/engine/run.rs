//! Over the tiles: in parallel, with working memory per thread and results in a fixed order.
use super::call::{Call, Field};
use super::pullback::GradientSum;
use super::share::one_of;
use super::stop::{GoOn, asking};
use super::tape::{Buffer, fit, grow};
use super::threads;
use super::tile::Workspace;
use crate::{JetMut, Real};
use ndarray::{ArrayView2, ArrayView4, ArrayViewMut4, Axis, Slice};
use std::mem::take;
use std::ops::Range;

/// One slice per field of a call, in memory order (n_s, q, ..); those past the fields are empty.
pub(crate) type Slices<'a, F> = [&'a mut [F]; Field::COUNT];

impl<F: Real> Workspace<F> {
    pub(super) fn load(&mut self, x: ArrayView2<F>) {
        self.tape.ns = x.nrows();
        grow(&mut self.tape.u, 1);
        let to = fit(&mut self.tape.u[0], x.len());
        match x.as_slice() {
            Some(x) => to.copy_from_slice(x),
            None => to.iter_mut().zip(x).for_each(|(to, &x)| *to = x),
        }
    }
}

/// Copies results in memory order (n_s, q, ..) into an array of any strides.
fn store<F: Real>(from: &[F], mut to: ArrayViewMut4<F>) {
    let (ns, q, rows, cols) = to.dim();
    let (entries, shape) = (rows * cols, to.raw_dim());
    if let Some(to) = to.view_mut().permuted_axes([0, 2, 3, 1]).as_slice_mut() {
        // C order of the logical shape (n_s, .., q): a transpose per sample
        for (from, to) in from.chunks_exact(q * entries).zip(to.chunks_exact_mut(q * entries)).take(ns) {
            for (e, to) in to.chunks_exact_mut(q).enumerate() {
                to.iter_mut().enumerate().for_each(|(r, to)| *to = from[r * entries + e]);
            }
        }
        return;
    }
    to.assign(&ArrayView4::from_shape(shape, &from[..ns * q * entries]).expect("a buffer of that size"));
}

fn rows(index: usize, tile: usize, n: usize) -> Range<usize> {
    index * tile..((index + 1) * tile).min(n)
}

fn points<'a, F>(x: &ArrayView2<'a, F>, range: Range<usize>) -> ArrayView2<'a, F> {
    (*x).slice_axis_move(Axis(0), Slice::from(range))
}

impl<F: Real> Call<F> {
    /// Evaluates all points into `out`, the arrays of the fields, which are `lent` if they were touched before.
    /// `go_on` is asked at every step of a tile, on the threads that work; once it says no, this unwinds with
    /// [`Stopped`](super::Stopped).
    pub fn run(&self, x: ArrayView2<F>, mut out: JetMut<'_, F>, lent: bool, go_on: Option<GoOn<'_>>) {
        const CACHES: usize = 8 << 20;
        // most of what is smaller was touched before, though it is fresh: the C library keeps what it got back
        const KEPT: usize = 32 << 20;
        let mut bytes = 0;
        out.each(|_, array| bytes += array.len() * size_of::<F>());
        let past_caches = bytes > CACHES && (lent || bytes < KEPT);
        let tile = self.tile_for(x.nrows());
        let parallel = x.nrows() > tile && threads::count() > 1;
        let share = if parallel { x.nrows().div_ceil(tile) } else { 1 };
        self.run_tiles(x, out, (tile, past_caches, share), go_on);
    }

    /// In halves of whole tiles, down to single ones.
    fn run_tiles(&self, x: ArrayView2<F>, mut out: JetMut<'_, F>, how: (usize, bool, usize), go_on: Option<GoOn<'_>>) {
        let (tile, past_caches, tiles) = how;
        let n = x.nrows();
        if n <= tile {
            if n > 0 {
                let mut space = self.program.space();
                space.space.load(x);
                space.space.tape.past_caches = past_caches;
                asking(go_on, || {
                    one_of(tiles, || {
                        if self.fill_arrays(&mut space.space, &mut out) {
                            self.rescue(&mut space.space, x, &mut out);
                        }
                    });
                });
            }
            return;
        }
        let half = n.div_ceil(tile) / 2 * tile;
        let (x, out) = (x.split_at(Axis(0), half), out.split_at(half));
        let first = || self.run_tiles(x.0, out.0, how, go_on);
        let second = || self.run_tiles(x.1, out.1, how, go_on);
        if tiles > 1 {
            threads::join(first, second);
        } else {
            first();
            second();
        }
    }

    /// Evaluates a tile into arrays of any strides; says whether to look for what is no number in them.
    fn fill_arrays(&self, ws: &mut Workspace<F>, out: &mut JetMut<'_, F>) -> bool {
        let (ns, fields) = (ws.tape.ns, self.fields.len());
        let mut results = take(&mut ws.results);
        grow(&mut results, fields);
        let (mut slices, mut in_place) = (Slices::default(), [false; Field::COUNT]);
        out.each(|field, array| {
            if let (Some(at), Some(slice)) = (self.position(field), array.into_slice()) {
                (slices[at], in_place[at]) = (slice, true);
            }
        });
        for (at, ((_, shape), result)) in self.fields.iter().zip(&mut results).enumerate() {
            if !in_place[at] {
                slices[at] = fit(result, ns * shape.iter().product::<usize>());
            }
        }
        self.evaluate_tile(ws, &mut slices[..fields]);
        let spoiled = self.spoiled(ws, &slices[..fields]);
        out.each(|field, array| match self.position(field) {
            Some(at) if !in_place[at] => store(&results[at], array),
            _ => {}
        });
        ws.results = results;
        spoiled
    }

    /// Results and cotangents of a loss given per tile, pulled back: returns the loss, the flat gradient of the weights,
    /// and writes the gradient of the points. `loss` gets the range of points, their results (one slice per field in
    /// memory order), and zeros to fill with cotangents.
    ///
    /// Tiles are summed in groups whose number does not depend on the number of threads.
    pub fn reverse(
        &self,
        x: ArrayView2<F>,
        x_bar: &mut [F],
        loss: impl Fn(Range<usize>, &[&mut [F]], &mut [&mut [F]]) -> F + Sync,
        go_on: Option<GoOn<'_>>,
    ) -> (F, Vec<F>) {
        const MEMORY: usize = 16 << 20;
        let (n, d, fields) = (x.nrows(), self.d, self.fields.len());
        let tile = self.tile_for(n);
        let count = n.div_ceil(tile);
        let groups = (MEMORY / GradientSum::len(self).max(1)).clamp(4, 64).min(count.max(1));
        let per_group = count.div_ceil(groups).max(1) * tile;
        let groups = n.div_ceil(per_group);
        let one_group = |g: usize, x_bar: &mut [F]| {
            let mut space = self.program.space();
            let ws = &mut space.space;
            // taken out while the tape of the workspace is written, and put back below
            let (mut rs, mut results, mut bars) =
                (take(&mut ws.reverse), take(&mut ws.results), take(&mut ws.cotangents));
            let (mut total, mut sum) = (F::zero(), GradientSum::new(self, &mut rs));
            let range = rows(g, per_group, n);
            for (i, x_bar) in x_bar.chunks_mut(tile * d).enumerate() {
                let start = range.start + i * tile;
                let range = start..start + x_bar.len() / d;
                ws.load(points(&x, range.clone()));
                let mut out = self.slices(&mut results, range.len());
                F::evaluate_tile(self, ws, &mut out[..fields]);
                let mut other = None;
                if self.spoiled(ws, &out[..fields]) {
                    other = self.rescued(ws, points(&x, range.clone()), &mut out[..fields]);
                }
                let mut bar = self.slices(&mut bars, range.len());
                bar.iter_mut().for_each(|b| b.fill(F::zero()));
                total += loss(range, &out[..fields], &mut bar[..fields]);
                let bar = bar.each_ref().map(|b| &**b);
                match other.and_then(|index| Some((index, self.other(index)?))) {
                    None => F::pull_back_tile(self, (&mut *ws, &mut rs), &bar[..fields], &mut sum, x_bar),
                    Some((index, call)) => {
                        let sum = sum.other(index, call, &mut rs);
                        F::pull_back_tile(call, (&mut *ws, &mut rs), &bar[..fields], sum, x_bar);
                    }
                }
            }
            (ws.reverse, ws.results, ws.cotangents) = (rs, results, bars);
            (total, sum)
        };
        let group = |g: usize, x_bar: &mut [F]| asking(go_on, || one_of(groups, || one_group(g, x_bar)));
        let (total, sum) = self.sum(0..groups, per_group * d, x_bar, &group);
        (total, F::finish(sum, self))
    }

    /// The sum of `one` over the groups of points in `range`, whose points `x_bar` are in pieces of `len`, by halves: in
    /// an order that depends on their number alone, and with few sums in memory at once.
    fn sum(
        &self,
        range: Range<usize>,
        len: usize,
        x_bar: &mut [F],
        one: &(impl Fn(usize, &mut [F]) -> (F, GradientSum<F>) + Sync),
    ) -> (F, GradientSum<F>) {
        if range.len() <= 1 {
            return one(range.start, x_bar);
        }
        let half = range.start + range.len() / 2;
        let (left, right) = x_bar.split_at_mut((half - range.start) * len);
        let ((left, mut sum), (right, other)) = threads::join(
            || self.sum(range.start..half, len, left, one),
            || self.sum(half..range.end, len, right, one),
        );
        sum.add(other, &mut self.program.space().space.reverse);
        (left + right, sum)
    }

    fn slices<'a>(&self, buffers: &'a mut Vec<Buffer<F>>, ns: usize) -> Slices<'a, F> {
        grow(buffers, self.fields.len());
        let mut slices = Slices::default();
        for ((slice, buffer), (_, shape)) in slices.iter_mut().zip(buffers).zip(&self.fields) {
            *slice = fit(buffer, ns * shape.iter().product::<usize>());
        }
        slices
    }

    /// The place of a field among the results.
    pub fn position(&self, field: Field) -> Option<usize> {
        self.fields.iter().position(|(f, _)| *f == field)
    }
}
