//! Over the tiles: in parallel, with working memory per thread and results in a fixed order.
use super::call::{Call, Field};
use super::pullback::GradientSum;
use super::tape::{Buffer, fit};
use super::tile::Workspace;
use crate::Real;
use ndarray::{ArrayView2, ArrayViewD, ArrayViewMutD, Axis, Slice};
use rayon::prelude::*;
use std::mem::take;
use std::ops::Range;

/// One array per field of a call, in memory order (n_s, q, ..).
pub(crate) type Arrays<'a, F> = Vec<ArrayViewMutD<'a, F>>;

impl<F: Real> Workspace<F> {
    fn load(&mut self, x: ArrayView2<F>) {
        self.tape.ns = x.nrows();
        self.tape.u.resize_with(1, Buffer::default);
        let to = fit(&mut self.tape.u[0], x.len());
        match x.as_slice() {
            Some(x) => to.copy_from_slice(x),
            None => to.iter_mut().zip(x).for_each(|(to, &x)| *to = x),
        }
    }
}

/// Copies results in memory order (n_s, q, ..) into an array of any strides.
fn store<F: Real>(from: &[F], ns: usize, shape: &[usize], mut to: ArrayViewMutD<F>) {
    let (q, entries) = (shape[0], shape[1..].iter().product::<usize>());
    let logical: Vec<usize> = std::iter::once(0).chain(2..shape.len() + 1).chain([1]).collect();
    if let Some(to) = to.view_mut().permuted_axes(logical).as_slice_mut() {
        // C order of the logical shape (n_s, .., q): a transpose per sample
        for (from, to) in from.chunks_exact(q * entries).zip(to.chunks_exact_mut(q * entries)).take(ns) {
            for (e, to) in to.chunks_exact_mut(q).enumerate() {
                to.iter_mut().enumerate().for_each(|(r, to)| *to = from[r * entries + e]);
            }
        }
        return;
    }
    let shape: Vec<usize> = std::iter::once(ns).chain(shape.iter().copied()).collect();
    let view = ArrayViewD::from_shape(shape, &from[..ns * q * entries]).expect("a buffer of that size");
    to.assign(&view);
}

/// Splits arrays into tiles of `tile` samples.
fn tiles<F>(arrays: Arrays<'_, F>, n: usize, tile: usize) -> Vec<Arrays<'_, F>> {
    let mut out = Vec::with_capacity(n.div_ceil(tile));
    let mut rest = arrays;
    let mut left = n;
    while left > tile {
        let (now, later) = rest.into_iter().map(|a| a.split_at(Axis(0), tile)).unzip();
        out.push(now);
        rest = later;
        left -= tile;
    }
    if left > 0 {
        out.push(rest);
    }
    out
}

fn rows(index: usize, tile: usize, n: usize) -> Range<usize> {
    index * tile..((index + 1) * tile).min(n)
}

fn points<'a, F>(x: &ArrayView2<'a, F>, range: Range<usize>) -> ArrayView2<'a, F> {
    (*x).slice_axis_move(Axis(0), Slice::from(range))
}

impl<F: Real> Call<F> {
    /// Evaluates all points into `out`, which is `lent` if it was touched before.
    pub fn run(&self, x: ArrayView2<F>, out: Arrays<'_, F>, lent: bool) {
        const CACHES: usize = 8 << 20;
        let n = x.nrows();
        let past_caches = lent && out.iter().map(|a| a.len() * size_of::<F>()).sum::<usize>() > CACHES;
        let one = |ws: &mut Workspace<F>, i: usize, arrays: Arrays<'_, F>| {
            ws.load(points(&x, rows(i, self.tile, n)));
            ws.tape.past_caches = past_caches;
            self.fill_arrays(ws, arrays);
        };
        if n <= self.tile {
            if n > 0 {
                one(&mut self.program.space().space, 0, out);
            }
            return;
        }
        let tiles = tiles(out, n, self.tile);
        let each = |i: usize, arrays| one(&mut self.program.space().space, i, arrays);
        tiles.into_par_iter().enumerate().for_each(|(i, arrays)| each(i, arrays));
    }

    /// Evaluates a tile into arrays of any strides.
    fn fill_arrays(&self, ws: &mut Workspace<F>, mut arrays: Arrays<'_, F>) {
        let ns = ws.tape.ns;
        let mut results = std::mem::take(&mut ws.results);
        results.resize_with(arrays.len(), Buffer::default);
        {
            let mut slices: Vec<&mut [F]> = Vec::with_capacity(arrays.len());
            for ((array, result), (_, shape)) in arrays.iter_mut().zip(&mut results).zip(&self.fields) {
                match array.is_standard_layout() {
                    true => slices.push(array.as_slice_mut().expect("standard layout")),
                    false => slices.push(fit(result, ns * shape.iter().product::<usize>())),
                }
            }
            self.evaluate_tile(ws, &mut slices);
        }
        for ((array, result), (_, shape)) in arrays.iter_mut().zip(&results).zip(&self.fields) {
            if !array.is_standard_layout() {
                store(result, ns, shape, array.view_mut());
            }
        }
        ws.results = results;
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
    ) -> (F, Vec<F>) {
        const MEMORY: usize = 16 << 20;
        let (n, d) = (x.nrows(), self.d);
        let count = n.div_ceil(self.tile);
        let groups = (MEMORY / GradientSum::len(self).max(1)).clamp(4, 64).min(count.max(1));
        let per_group = count.div_ceil(groups).max(1) * self.tile;
        let group = |g: usize, x_bar: &mut [F]| {
            let mut space = self.program.space();
            let ws = &mut space.space;
            // taken out while the tape of the workspace is written, and put back below
            let (mut rs, mut results, mut bars) =
                (take(&mut ws.reverse), take(&mut ws.results), take(&mut ws.cotangents));
            let (mut total, mut sum) = (F::zero(), GradientSum::new(self, &mut rs));
            let range = rows(g, per_group, n);
            for (i, x_bar) in x_bar.chunks_mut(self.tile * d).enumerate() {
                let start = range.start + i * self.tile;
                let range = start..start + x_bar.len() / d;
                ws.load(points(&x, range.clone()));
                let mut out = self.slices(&mut results, range.len());
                F::evaluate_tile(self, ws, &mut out);
                let mut bar = self.slices(&mut bars, range.len());
                bar.iter_mut().for_each(|b| b.fill(F::zero()));
                total += loss(range, &out, &mut bar);
                let bar: Vec<&[F]> = bar.iter().map(|b| &**b).collect();
                F::pull_back_tile(self, (&mut *ws, &mut rs), &bar, &mut sum, x_bar);
            }
            (ws.reverse, ws.results, ws.cotangents) = (rs, results, bars);
            (total, sum)
        };
        let mut theta = vec![F::zero(); self.program.n_weights];
        let (total, sum) = self.sum(0..n.div_ceil(per_group), per_group * d, x_bar, &group);
        F::finish(sum, self, &mut theta);
        (total, theta)
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
        let ((left, mut sum), (right, other)) =
            rayon::join(|| self.sum(range.start..half, len, left, one), || self.sum(half..range.end, len, right, one));
        sum.add(other, &mut self.program.space().space.reverse);
        (left + right, sum)
    }

    fn slices<'a>(&self, buffers: &'a mut Vec<Buffer<F>>, ns: usize) -> Vec<&'a mut [F]> {
        buffers.resize_with(self.fields.len(), Buffer::default);
        let lens = self.fields.iter().map(|(_, shape)| ns * shape.iter().product::<usize>());
        buffers.iter_mut().zip(lens).map(|(b, len)| fit(b, len)).collect()
    }

    /// The place of a field among the results.
    pub fn position(&self, field: Field) -> Option<usize> {
        self.fields.iter().position(|(f, _)| *f == field)
    }
}
