//! Products of tall matrices with small ones: what every sweep does, with weights packed once.
//!
//! A block of the result stays in registers while the inner dimension passes by: the right factor comes in vectors along
//! its rows, entries of the left one are broadcast. Neither the left factor nor a right factor with contiguous rows is
//! packed, which is what general GEMMs spend on products as small as these.
#![allow(clippy::needless_range_loop)] // indices of blocks in registers, which the compiler unrolls

use super::gemm::Mat;
use super::lanes::Lanes;
use super::tape::{Buffer, fit};
use crate::Real;
use pulp::{Arch, Simd, WithSimd};
use std::ops::Range;

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

/// Vectors of a panel: columns of the right factor that are handled together. The last panel of a whole matrix takes one
/// more where that leaves no narrow rest.
const fn panel_vectors<S: Simd>() -> usize {
    if S::REGISTER_COUNT >= 32 { 4 } else { 2 }
}

/// Of symmetric results, so that little of the lower half is computed.
const UPPER_VECTORS: usize = 2;

/// First column and number of columns of each panel, where the last may have `more` columns than the `width`.
fn panels(cols: usize, width: usize, more: usize) -> impl Iterator<Item = (usize, usize)> {
    let mut first = 0;
    std::iter::from_fn(move || {
        let left = cols - first;
        let len = if left <= width + more { left } else { width };
        first += len;
        (len > 0).then_some((first - len, len))
    })
}

/// A matrix in panels, each with its rows one after the other, the last one padded with zeros to whole vectors.
#[derive(Debug)]
pub(crate) struct Packed<F> {
    rows: usize,
    cols: usize,
    panels: Buffer<F>,
    /// Columns of a panel, and how many more the last may have.
    width: usize,
    more: usize,
    /// Entries of a vector.
    lanes: usize,
    /// Columns of zeros before those of the matrix.
    front: usize,
    /// The transpose (cols, rows), where the result is so narrow that dot products are cheaper.
    columns: Option<Vec<F>>,
}

struct Pack<'a, F> {
    /// On top of each other, with as many columns.
    parts: &'a [Mat<'a, F>],
    /// Columns of zeros before them.
    front: usize,
    memory: Buffer<F>,
    /// In narrow panels, for the upper half of a symmetric product.
    half: bool,
}

impl<F: Real> WithSimd for Pack<'_, F> {
    type Output = Packed<F>;

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) -> Self::Output {
        let Self { parts, front, mut memory, half } = self;
        let rows = parts.iter().map(|part| part.rows).sum();
        let (cols, lanes) = (front + parts[0].cols, F::lanes::<S>());
        let (vectors, more) = if half { (UPPER_VECTORS, 0) } else { (panel_vectors::<S>(), lanes) };
        let width = lanes * vectors;
        let out = fit(&mut memory, rows * cols.next_multiple_of(lanes));
        let mut at = 0;
        for (first, len) in panels(cols, width, more) {
            let step = len.next_multiple_of(lanes);
            let mut to = &mut out[at..][..rows * step];
            for part in parts {
                let (these, rest) = to.split_at_mut(part.rows * step);
                let zeros = front.saturating_sub(first).min(len);
                copy_columns(simd, part, (first + zeros).saturating_sub(front), these, zeros..len, step);
                to = rest;
            }
            at += rows * step;
        }
        Packed { rows, cols, panels: memory, width, more, lanes, front, columns: None }
    }
}

/// Columns of a matrix, the `first` and those after it, to the columns `at` of rows of `step` entries, zeros around them;
/// of a transpose in squares.
#[inline(always)]
fn copy_columns<S: Simd, F: Real>(simd: S, from: &Mat<F>, first: usize, to: &mut [F], at: Range<usize>, step: usize) {
    assert!(from.data.len() >= from.extent() && first + at.len() <= from.cols);
    assert!(at.end <= step && to.len() >= from.rows * step);
    let side = F::SQUARE;
    let squares = |n: usize| if from.rs == 1 { n - n % side } else { 0 };
    let (rows, cols) = (squares(from.rows), squares(at.len()));
    for i in (0..rows).step_by(side) {
        for j in (0..cols).step_by(side) {
            // SAFETY: rows i .. i + side and columns first + j .. first + j + side of `from` lie in its data, and so do
            // those rows and the columns from at.start + j on of `to`, by the asserts; `rs` is 1 where there are squares.
            unsafe {
                let from_square = from.data.as_ptr().add(i + (first + j) * from.cs);
                F::transpose(simd, from_square, from.cs, to.as_mut_ptr().add(i * step + at.start + j), step);
            }
        }
    }
    for (i, to) in to.chunks_exact_mut(step).take(from.rows).enumerate() {
        let done = if i < rows { cols } else { 0 };
        to[..at.start].fill(F::zero());
        for (j, to) in to.iter_mut().skip(at.start).enumerate().skip(done) {
            *to = if j < at.len() { from.data[i * from.rs + (first + j) * from.cs] } else { F::zero() };
        }
    }
}

impl<F: Real> Packed<F> {
    /// A matrix of weights.
    pub fn new(b: Mat<F>) -> Self {
        let pack = Pack { parts: &[b], front: 0, memory: Buffer::default(), half: false };
        let packed = Arch::new().dispatch(pack);
        // a broadcast and a vector operation for each row of b, or a vector operation for each vector of rows and a sum
        let narrow = b.cols * (b.rows / packed.lanes + 8) < b.rows;
        let entry = |i: usize| b.data[i % b.rows * b.rs + i / b.rows * b.cs];
        let columns = narrow.then(|| (0..b.cols * b.rows).map(entry).collect());
        Self { columns, ..packed }
    }

    /// Matrices on top of each other with columns of zeros in `front`, for the upper half of a symmetric product, in
    /// memory of an earlier one.
    pub fn stacked(parts: &[Mat<F>], front: usize, memory: Buffer<F>) -> Self {
        Arch::new().dispatch(Pack { parts, front, memory, half: true })
    }

    /// Does without dot products, whose sums are in another order.
    pub fn sum_in_order(&mut self) {
        self.columns = None;
    }

    /// The memory.
    pub fn release(self) -> Buffer<F> {
        self.panels
    }

    /// Columns of a panel.
    pub fn width(&self) -> usize {
        self.width
    }

    /// Columns of zeros before those of the matrix.
    pub fn front(&self) -> usize {
        self.front
    }

    /// Columns of a vector.
    pub fn lanes(&self) -> usize {
        self.lanes
    }
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
                let whole = (col, cols) == (0, b.cols);
                assert!(whole || b.columns.is_none(), "weights are used as a whole");
                // all panels before the last are equally wide, so `col` is in one of them or in what the last has more
                assert!(inner <= b.rows && col + cols <= b.cols && col.is_multiple_of(b.lanes));
                assert!(b.more == 0 || whole, "parts are of panels of one width");
            }
        }
        if let Onto::Row(row) = self.onto {
            assert!(row.len() >= cols);
        }
        Arch::new().dispatch(self);
    }
}

impl<F: Real> WithSimd for Product<'_, F> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(mut self, simd: S) {
        let lanes = F::lanes::<S>();
        if let (Right::Packed(Packed { columns: Some(columns), rows, .. }, ..), 1) = (self.b, self.a.cs)
            && *rows == self.a.cols
        {
            return self.dots(simd, columns);
        }
        let cols = self.cols;
        // columns of the right factor before ours, before the first panel of ours, and in all
        let (width, more, before, skipped, all) = match self.b {
            Right::Packed(b, col) => (b.width, b.more, col, col / b.width * b.width, b.cols),
            Right::Rows(..) => (panel_vectors::<S>() * lanes, lanes, 0, 0, cols),
        };
        for (first, len) in panels(all - skipped, width, more) {
            let (first, end) = (skipped + first, skipped + first + len);
            let (from, to) = (first.max(before), end.min(before + cols));
            if from >= to {
                break;
            }
            let (panel, step, padded) = match self.b {
                Right::Rows(data, stride) => (&data[from.min(data.len())..], stride, false),
                Right::Packed(b, _) => {
                    // without rows there is no panel
                    let panel = b.panels.get(b.rows * first + from - first..).unwrap_or_default();
                    (panel, len.next_multiple_of(b.lanes), true)
                }
            };
            let (first, len) = (from - before, to - from);
            let mut panel = Panel { product: &mut self, first, len, panel, step, padded };
            let rows = panel.product.a.rows;
            // rows of a block such that it fills the registers, with room for a row of the panel and a broadcast entry
            match (len.div_ceil(lanes), S::REGISTER_COUNT >= 32) {
                (1, true) if !rows.is_multiple_of(12) && rows.is_multiple_of(16) => panel.run::<S, 16, 1>(simd),
                (1, true) => panel.run::<S, 12, 1>(simd),
                (2, true) if !rows.is_multiple_of(12) && rows.is_multiple_of(8) => panel.run::<S, 8, 2>(simd),
                (2, true) => panel.run::<S, 12, 2>(simd),
                (3, true) => panel.run::<S, 8, 3>(simd),
                (4, true) => panel.run::<S, 6, 4>(simd),
                (_, true) => panel.run::<S, 4, 5>(simd),
                (1, false) => panel.run::<S, 8, 1>(simd),
                (2, false) => panel.run::<S, 6, 2>(simd),
                (_, false) => panel.run::<S, 4, 3>(simd),
            }
        }
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

    /// The rows `row .. row + R`, of which the first `skip` are not written.
    #[inline(always)]
    fn block<S: Simd, const R: usize, const V: usize>(&mut self, simd: S, row: usize, skip: usize) {
        let lanes = F::lanes::<S>();
        let last = self.len - (V - 1) * lanes;
        let mask = F::mask(simd, last);
        let Product { a, onto, ref mut c, stride, .. } = *self.product;
        // SAFETY: `Product::run` has asserted that `a`, `b`, `c` and the row of `onto` hold every entry of the product.
        // Row `row + r` with r < R is one of its rows, vector v < V - 1 lies within the `len` columns of the panel, and
        // the last vector is masked to end with them.
        unsafe {
            let c = c.as_mut_ptr().add(row * stride + self.first);
            let x = a.data.as_ptr().add(row * a.rs);
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
mod tests {
    use super::super::test_sizes;
    use super::*;

    /// Every shape of block, panel and remainder against the triple loop.
    fn right_for<F: Real>(tolerance: f64) {
        let entry = |i: usize| F::of(((i * 37 + 11) % 101) as f64 / 50.0 - 1.0);
        let numbers: Vec<F> = (0..20_000).map(entry).collect();
        for rows in test_sizes([1, 2, 3, 4, 5, 7, 11, 12, 13, 30]) {
            for inner in test_sizes([0, 1, 2, 17, 40, 130]) {
                for cols in test_sizes([1, 2, 8, 15, 16, 17, 31, 33, 48, 64, 65, 130]) {
                    for (transposed, packed, onto) in [(false, false, 0), (true, false, 1), (false, true, 2)] {
                        let a = Mat::new(&numbers[3..], rows, inner, inner + 1);
                        let a = if transposed { Mat::new(&numbers, inner, rows, rows + 2).t() } else { a };
                        let b = &numbers[100..];
                        let of_b = Packed::new(Mat::new(b, inner, cols, cols + 3));
                        let right = if packed { Right::Packed(&of_b, 0) } else { Right::Rows(b, cols + 3) };
                        let stride = cols + 1;
                        let mut c = numbers[7..][..rows * stride].to_vec();
                        let onto = [Onto::Zero, Onto::Itself, Onto::Row(&numbers[50..])][onto];
                        let before = c.clone();
                        Product { a, b: right, cols, onto, c: &mut c, stride }.run();
                        for i in 0..rows {
                            for j in 0..cols {
                                let start = match onto {
                                    Onto::Zero => F::zero(),
                                    Onto::Itself => before[i * stride + j],
                                    Onto::Row(row) => row[j],
                                };
                                let terms = (0..inner)
                                    .map(|k| a.data[i * a.rs + k * a.cs].as_f64() * b[k * (cols + 3) + j].as_f64());
                                let wanted = start.as_f64() + terms.sum::<f64>();
                                let error = (c[i * stride + j].as_f64() - wanted).abs();
                                assert!(error < tolerance, "{rows} {inner} {cols}: {i} {j} {error}");
                            }
                            assert_eq!(c[i * stride + cols], before[i * stride + cols], "between the rows");
                        }
                    }
                }
            }
        }
    }

    /// Packed with vectors of any width, those of other machines too, each entry is where the products look for it.
    fn packed_right<F: Real>() {
        let numbers: Vec<F> = (1..20_000).map(|i| F::of(f64::from(i))).collect();
        for (rows, cols) in [(1, 1), (3, 20), (16, 33), (17, 64), (5, 130)] {
            for front in [0, 1, 4, 7, 15] {
                let b = Mat::new(&numbers, cols, rows, rows + 1).t();
                let parts = [b];
                let pack = || Pack { parts: &parts, front, memory: Buffer::default(), half: true };
                for packed in [Arch::new().dispatch(pack()), Arch::Scalar.dispatch(pack())] {
                    for (i, c) in (0..rows).flat_map(|i| (0..front + cols).map(move |c| (i, c))) {
                        let first = c / packed.width * packed.width;
                        let step = packed.width.min((packed.cols - first).next_multiple_of(packed.lanes));
                        let entry = packed.panels[rows * first + i * step + c - first];
                        let wanted = if c < front { F::zero() } else { numbers[(c - front) * (rows + 1) + i] };
                        assert!(entry == wanted, "{rows} {cols} {front}: {i} {c} {entry} {wanted}");
                    }
                }
            }
        }
    }

    #[test]
    fn matrices_are_packed_right() {
        packed_right::<f32>();
        packed_right::<f64>();
    }

    #[test]
    fn products_of_all_shapes_are_right() {
        right_for::<f32>(1e-4);
        right_for::<f64>(1e-12);
    }
}
