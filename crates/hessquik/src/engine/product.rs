//! Products of tall matrices with small ones: what every sweep does, with weights packed once.
//!
//! A block of the result stays in registers while the inner dimension passes by: the right factor comes in vectors along
//! its rows, entries of the left one are broadcast. Neither the left factor nor a right factor with contiguous rows is
//! packed, which is what general GEMMs spend on products as small as these.
#![allow(clippy::needless_range_loop)] // indices of blocks in registers, which the compiler unrolls

use super::gemm::Mat;
use super::lanes::Lanes;
use super::memory::{LINE, prefetch};
use super::packed::{BLOCK, Packed, pack_left, panel_vectors, panels};
use super::share::rows_of;
use super::tape::{Buffer, fit};
use crate::Real;
use pulp::{Arch, Simd, WithSimd};
use std::cell::Cell;

/// The right factor of a product; of a packed one the first rows, as many as the left factor has columns.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Right<'a, F> {
    /// Row-major, `stride` entries from row to row.
    Rows(&'a [F], usize),
    /// Packed beforehand: the part from this column on, where a vector of a panel starts.
    Packed(&'a Packed<F>, usize),
}

/// What a product is added to.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Onto<'a, F> {
    Zero,
    /// This row, for every row of the result.
    Row(&'a [F]),
    /// What is there already.
    Itself,
}

impl<F> Onto<'_, F> {
    /// Itself where the product is to `accumulate`, else zero.
    pub fn new(accumulate: bool) -> Self {
        if accumulate { Self::Itself } else { Self::Zero }
    }
}

/// `c = onto + a b`, with `c` row-major with `stride` entries from row to row.
#[derive(Debug)]
pub(crate) struct Product<'a, F> {
    pub a: Mat<'a, F>,
    pub b: Right<'a, F>,
    /// Columns of `b`.
    pub cols: usize,
    pub onto: Onto<'a, F>,
    pub c: &'a mut [F],
    pub stride: usize,
}

/// Rows of the right factor, and of the left one, that pass at once where both are large: a panel of so many rows stays in
/// the first-level cache, and the left factor's block in the second.
const DEPTH: usize = 128;
const HEIGHT: usize = 126;
/// Products that are not deeper than this go without.
const DEEP: usize = 191;

/// `len` in equal parts of at most `most`, all but the last a multiple of `unit`: first entry and length of each.
fn even(len: usize, most: usize, unit: usize) -> impl Iterator<Item = (usize, usize)> {
    // small products are called so often that a division would show
    let part = if len <= most { len } else { len.div_ceil(len.div_ceil(most)).next_multiple_of(unit) };
    let mut first = 0;
    std::iter::from_fn(move || {
        let (at, len) = (first, part.min(len - first));
        first += len;
        (len > 0).then_some((at, len))
    })
}

impl<F: Real> Product<'_, F> {
    pub fn run(self) {
        let (Mat { rows, cols: inner, .. }, cols) = (self.a, self.cols);
        if rows == 0 || cols == 0 {
            return;
        }
        assert!(self.a.data.len() >= self.a.extent());
        assert!(self.stride >= cols && self.c.len() > (rows - 1) * self.stride + cols - 1);
        match self.b {
            Right::Rows(data, stride) => {
                assert!(inner == 0 || data.len() > (inner - 1) * stride + cols - 1);
            }
            Right::Packed(b, col) => {
                let whole = (col, cols) == (0, b.cols());
                assert!(whole || b.columns().is_none(), "weights are used as a whole");
                // all panels before the last are equally wide, so `col` is in one of them or in what the last has more
                assert!(inner <= b.rows() && col + cols <= b.cols() && col.is_multiple_of(b.lanes()));
                assert!(b.more() == 0 || whole, "parts are of panels of one width");
            }
        }
        if let Onto::Row(row) = self.onto {
            assert!(row.len() >= cols);
        }
        if !self.deep() {
            return self.now();
        }
        let Self { a, b, onto, c, stride, .. } = self;
        rows_of(rows, (BLOCK, 4 * BLOCK), (c, stride), &|rows, c| {
            Product { a: a.rows(rows.start, rows.len()), b, cols, onto, c, stride }.now();
        });
    }

    /// By this thread alone.
    fn now(self) {
        Arch::new().dispatch(self);
    }
}

impl<F: Real> WithSimd for Product<'_, F> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        if let (Right::Packed(b, ..), 1) = (self.b, self.a.cs)
            && let (Some(columns), true) = (b.columns(), b.rows() == self.a.cols)
        {
            return self.dots(simd, columns);
        }
        let Mat { rows, cols: inner, .. } = self.a;
        let deep = self.deep();
        // else all at once, and once where there is nothing to sum
        let (depth, height) = if deep { (DEPTH, HEIGHT) } else { (inner.max(1), rows) };
        let mut left = if deep { F::packing().with(Cell::take) } else { Buffer::default() };
        for (k, depth) in even(inner.max(1), depth, 1) {
            for (row, height) in even(rows, height, BLOCK) {
                let a = self.a.rows(row, height).columns(k, depth.min(inner));
                // a last part of a few rows is not packed
                let packs = deep && height >= BLOCK;
                if packs {
                    pack_left(a, fit(&mut left, height.div_ceil(BLOCK) * BLOCK * depth));
                }
                let onto = if k == 0 { self.onto } else { Onto::Itself };
                let c = &mut self.c[row * self.stride..];
                Product { a, onto, c, ..self }.panels(simd, k, packs.then_some(&left));
            }
        }
        if deep {
            F::packing().with(|space| space.set(left));
        }
    }
}

impl<F: Real> Product<'_, F> {
    /// Panel by panel, from row `k` of the right factor on; `left` is `a` as [`pack_left`] has it.
    #[inline(always)]
    fn panels<S: Simd>(mut self, simd: S, k: usize, left: Option<&[F]>) {
        let (lanes, cols) = (F::lanes::<S>(), self.cols);
        // columns of the right factor before ours, before the first panel of ours, and in all
        let (width, more, before, skipped, all) = match self.b {
            Right::Packed(b, col) => (b.width(), b.more(), col, col / b.width() * b.width(), b.cols()),
            Right::Rows(..) => (panel_vectors::<S>() * lanes, lanes, 0, 0, cols),
        };
        for (first, len) in panels(all - skipped, width, more) {
            let (first, end) = (skipped + first, skipped + first + len);
            let (from, to) = (first.max(before), end.min(before + cols));
            if from >= to {
                break;
            }
            let mut ahead: &[F] = &[];
            let (panel, step, padded) = match self.b {
                Right::Rows(data, stride) => (&data[from.min(data.len())..], stride, false),
                Right::Packed(b, _) => {
                    let step = len.next_multiple_of(b.lanes());
                    if left.is_some() && end < all {
                        // the last panel may be of another width: it is then partly something else that comes closer
                        ahead = b.panel(end, k * step);
                        ahead = &ahead[..ahead.len().min(self.a.cols * step)];
                    }
                    (b.panel(first, k * step + from - first), step, true)
                }
            };
            let (first, len) = (from - before, to - from);
            let mut panel = Panel { product: &mut self, first, len, panel, step, padded, left: None, ahead };
            let rows = panel.product.a.rows;
            // rows of a block such that it fills the registers, with room for a row of the panel and a broadcast entry
            match (len.div_ceil(lanes), S::REGISTER_COUNT >= 32) {
                (1, true) if !rows.is_multiple_of(12) && rows.is_multiple_of(16) => panel.run::<S, 16, 1>(simd),
                (1, true) => panel.run::<S, 12, 1>(simd),
                (2, true) if !rows.is_multiple_of(12) && rows.is_multiple_of(8) => panel.run::<S, 8, 2>(simd),
                (2, true) => panel.run::<S, 12, 2>(simd),
                (3, true) => panel.run::<S, 8, 3>(simd),
                (4, true) => {
                    panel.left = left;
                    panel.run::<S, BLOCK, 4>(simd)
                }
                (_, true) => panel.run::<S, 4, 5>(simd),
                (1, false) => panel.run::<S, 8, 1>(simd),
                (2, false) => {
                    panel.left = left;
                    panel.run::<S, BLOCK, 2>(simd)
                }
                (_, false) => panel.run::<S, 4, 3>(simd),
            }
        }
    }

    /// Whether the factors are so large that they pass the caches in blocks.
    fn deep(&self) -> bool {
        let whole = matches!(self.b, Right::Packed(b, _) if b.more() > 0);
        whole && self.a.rows >= BLOCK && self.cols > DEEP && self.a.cols > DEEP
    }
}

impl<F: Real> Product<'_, F> {
    /// Each entry of a narrow result as a dot product of contiguous rows.
    #[inline(always)]
    fn dots<S: Simd>(self, simd: S, columns: &[F]) {
        let (lanes, n) = (F::lanes::<S>(), self.a.cols);
        let (body, rest) = (n - n % lanes, F::mask(simd, n % lanes));
        for i in 0..self.a.rows {
            let x = &self.a.data[i * self.a.rs..][..n];
            for j in 0..self.cols {
                let y = &columns[j * n..][..n];
                let mut sum = F::splat(simd, F::zero());
                // SAFETY: both slices have n entries, and k + lanes <= n; the mask selects those left.
                unsafe {
                    for k in (0..body).step_by(lanes) {
                        let (x, y) = (F::load(simd, x.as_ptr().add(k)), F::load(simd, y.as_ptr().add(k)));
                        sum = F::fused(simd, x, y, sum);
                    }
                    let (x, y) = (x.as_ptr().add(body), y.as_ptr().add(body));
                    let (x, y) = (F::load_part(simd, rest, x), F::load_part(simd, rest, y));
                    sum = F::fused(simd, x, y, sum);
                }
                let c = &mut self.c[i * self.stride + j];
                let onto = match self.onto {
                    Onto::Zero => F::zero(),
                    Onto::Row(row) => row[j],
                    Onto::Itself => *c,
                };
                *c = onto + F::total(simd, sum);
            }
        }
    }
}

/// The columns `first .. first + len` of a product; `panel` starts at the first of these columns of `b`, with `step`
/// entries from row to row.
struct Panel<'p, 'a, F> {
    product: &'p mut Product<'a, F>,
    first: usize,
    len: usize,
    panel: &'p [F],
    step: usize,
    /// Whether the rows of `panel` are padded to whole vectors.
    padded: bool,
    /// The left factor, packed.
    left: Option<&'p [F]>,
    /// The next panel, to be brought closer meanwhile.
    ahead: &'p [F],
}

impl<F: Real> Panel<'_, '_, F> {
    /// In blocks of `R` rows and `V` vectors.
    #[inline(always)]
    fn run<S: Simd, const R: usize, const V: usize>(&mut self, simd: S) {
        let rows = self.product.a.rows;
        let mut done = 0;
        while done < rows {
            // the last block is moved up to end with the last row; what it has in common with the one before is kept
            if rows >= R {
                let row = done.min(rows - R);
                self.block::<S, R, V>(simd, row, done - row);
                done = row + R;
            } else if rows >= 4 {
                let row = done.min(rows - 4);
                self.block::<S, 4, V>(simd, row, done - row);
                done = row + 4;
            } else {
                self.block::<S, 1, V>(simd, done, 0);
                done += 1;
            }
        }
    }

    /// Asks for what the blocks after the one at `row` need: the next rows of the result, whose first vector is at `c` plus
    /// `R` strides, and a part of the next panel.
    #[inline(always)]
    fn look_ahead<S: Simd, const R: usize, const V: usize>(&self, row: usize, c: *const F) {
        let (rows, stride) = (self.product.a.rows, self.product.stride);
        if row + 2 * R <= rows {
            for (r, v) in (R..2 * R).flat_map(|r| (0..V).map(move |v| (r, v))) {
                prefetch::<true, F>(c.wrapping_add(r * stride + v * F::lanes::<S>()));
            }
        }
        let line = LINE / size_of::<F>();
        let (lines, blocks, block) = (self.ahead.len() / line, rows.div_ceil(R), row / R);
        for at in block * lines / blocks..(block + 1) * lines / blocks {
            prefetch::<false, F>(self.ahead.as_ptr().wrapping_add(at * line));
        }
    }

    /// The rows `row .. row + R`, of which the first `skip` are not written.
    #[inline(always)]
    fn block<S: Simd, const R: usize, const V: usize>(&mut self, simd: S, row: usize, skip: usize) {
        let lanes = F::lanes::<S>();
        let last = self.len - (V - 1) * lanes;
        let mask = F::mask(simd, last);
        let Product { a, onto, ref mut c, stride, .. } = *self.product;
        // SAFETY: `Product::run` has asserted that `a`, `b`, `c` and the row of `onto` hold every entry of the product; `left`
        // has `R` entries of each column of `a` for every block of rows.
        // Row `row + r` with r < R is one of its rows, vector v < V - 1 lies within the `len` columns of the panel, and
        // the last vector is masked to end with them.
        unsafe {
            let c = c.as_mut_ptr().add(row * stride + self.first);
            let (x, a) = match self.left {
                Some(left) => (left.as_ptr().add((row + skip) / R * R * a.cols), Mat { rs: 1, cs: R, ..a }),
                None => (a.data.as_ptr().add(row * a.rs), a),
            };
            if self.left.is_some() {
                self.look_ahead::<S, R, V>(row + skip, c);
            }
            let (y, full) = ((self.panel.as_ptr(), self.step), last == lanes);
            let (load, out) = ((full || self.padded, 2 * last <= lanes), (c, stride, skip, full));
            // Each way to start has its own copy of the loop: what meets in one place goes through memory.
            let mut sums = [[F::splat(simd, F::zero()); V]; R];
            match onto {
                Onto::Zero => sum_up(simd, mask, load, a, x, y, sums, out),
                Onto::Row(onto) => {
                    for v in 0..V {
                        let x = vector::<S, F, V>(simd, mask, false, onto.as_ptr().add(self.first), v);
                        for r in 0..R {
                            sums[r][v] = x;
                        }
                    }
                    sum_up(simd, mask, load, a, x, y, sums, out);
                }
                Onto::Itself => {
                    for r in 0..R {
                        for v in 0..V {
                            sums[r][v] = vector::<S, F, V>(simd, mask, false, c.add(r * stride), v);
                        }
                    }
                    sum_up(simd, mask, load, a, x, y, sums, out);
                }
            }
        }
    }
}

/// Vector `v` of `V` from `from` on; the last one masked unless it is `full`.
///
/// # Safety
/// `from` must be valid for reads of that many vectors, masked likewise.
#[inline(always)]
unsafe fn vector<S: Simd, F: Lanes, const V: usize>(
    simd: S,
    mask: F::Mask<S>,
    full: bool,
    from: *const F,
    v: usize,
) -> F::Vector<S> {
    // SAFETY: the caller's.
    unsafe {
        let from = from.add(v * F::lanes::<S>());
        if full || v + 1 < V { F::load(simd, from) } else { F::load_part(simd, mask, from) }
    }
}

/// `c[r, v] = sums[r][v] + sum_i x[r, i] y[i, v]`, without the first `skip` rows; the last vector of `y` is masked unless it
/// is whole, that of `c` unless it is `full`.
///
/// # Safety
/// `x` must be valid for reads of `R` rows of `a`, `y` of as many rows of vectors (see [`vector`]) as `a` has columns,
/// `step` entries apart, `c` for writes of `R` such rows, `stride` entries apart.
#[inline(always)]
#[allow(clippy::too_many_arguments)]
unsafe fn sum_up<S: Simd, F: Lanes, const R: usize, const V: usize>(
    simd: S,
    mask: F::Mask<S>,
    (whole, low): (bool, bool),
    a: Mat<F>,
    x: *const F,
    y: (*const F, usize),
    sums: [[F::Vector<S>; V]; R],
    out: (*mut F, usize, usize, bool),
) {
    // SAFETY: the caller's.
    unsafe {
        match (whole, low) {
            (true, true) => sum_rows(simd, mask, (true, true), a, x, y, sums, out),
            (true, false) => sum_rows(simd, mask, (true, false), a, x, y, sums, out),
            (false, _) => sum_rows(simd, mask, (false, false), a, x, y, sums, out),
        }
    }
}

/// [`sum_up`], for a `whole` known when it is compiled.
///
/// # Safety
/// As for `sum_up`.
#[inline(always)]
#[allow(clippy::too_many_arguments)]
unsafe fn sum_rows<S: Simd, F: Lanes, const R: usize, const V: usize>(
    simd: S,
    mask: F::Mask<S>,
    (whole, low): (bool, bool),
    a: Mat<F>,
    mut x: *const F,
    (mut y, step): (*const F, usize),
    mut sums: [[F::Vector<S>; V]; R],
    (c, stride, skip, full): (*mut F, usize, usize, bool),
) {
    let lanes = F::lanes::<S>();
    for _ in 0..a.cols {
        // SAFETY: the caller says that R rows of `x` and this row of `y` can be read.
        unsafe {
            let mut row = [F::splat(simd, *x); V];
            for v in 0..V {
                row[v] = vector::<S, F, V>(simd, mask, whole, y, v);
            }
            for r in 0..R {
                let entry = F::splat(simd, *x.add(r * a.rs));
                for v in 0..V {
                    let sum = sums[r][v];
                    sums[r][v] = if low && v + 1 == V {
                        F::fused_low(simd, entry, row[v], sum)
                    } else {
                        F::fused(simd, entry, row[v], sum)
                    };
                }
            }
        }
        // wrapping: past the last row nothing is read
        (x, y) = (x.wrapping_add(a.cs), y.wrapping_add(step));
    }
    for r in 0..R {
        if r < skip {
            continue;
        }
        for v in 0..V {
            // SAFETY: the caller says that the rows from `skip` on can be written.
            unsafe {
                let c = c.add(r * stride + v * lanes);
                if full || v + 1 < V { F::store(simd, c, sums[r][v]) } else { F::store_part(simd, mask, c, sums[r][v]) }
            }
        }
    }
}

#[cfg(test)]
mod tests;
