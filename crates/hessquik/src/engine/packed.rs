//! The right factor of products, in panels: packed once, it comes in whole vectors along its rows.

use super::gemm::Mat;
use super::memory::LINE;
use super::tape::{Buffer, Spares, fit};
use crate::Real;
use pulp::{Arch, Simd, WithSimd};
use std::ops::Range;

/// Vectors of a panel: columns of the right factor that are handled together. The last panel of a whole matrix takes one
/// more where that leaves no narrow rest.
pub(crate) const fn panel_vectors<S: Simd>() -> usize {
    if S::REGISTER_COUNT >= 32 { 4 } else { 2 }
}

/// Of symmetric results, so that little of the lower half is computed.
const UPPER_VECTORS: usize = 2;

/// First column and number of columns of each panel, where the last may have `more` columns than the `width`.
pub(crate) fn panels(cols: usize, width: usize, more: usize) -> impl Iterator<Item = (usize, usize)> {
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
    /// A matrix of weights, in memory of these spares.
    pub fn new(b: Mat<F>, spares: Option<&Spares<F>>) -> Self {
        // the most that a vector may be padded to
        let len = b.rows * b.cols.next_multiple_of(LINE / size_of::<F>());
        let memory = spares.map_or_else(Buffer::default, |spares| spares.buffer(len));
        let pack = Pack { parts: &[b], front: 0, memory, half: false };
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

    /// Rows of the matrix.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Columns, those in front too.
    pub fn cols(&self) -> usize {
        self.cols
    }

    /// What follows the first `skip` entries of the panel whose first column this is.
    pub fn panel(&self, first: usize, skip: usize) -> &[F] {
        // without rows there is no panel
        self.panels.get(self.rows * first + skip..).unwrap_or_default()
    }

    /// The transpose, where the result is so narrow that dot products are cheaper.
    pub fn columns(&self) -> Option<&[F]> {
        self.columns.as_deref()
    }

    /// How many more columns than the others the last panel may have.
    pub fn more(&self) -> usize {
        self.more
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

/// Rows of the blocks of a left factor.
pub(crate) const BLOCK: usize = 6;

/// A left factor in blocks of rows, each column after column; the last block ends with the last row. There are as many rows
/// as a block has, at least.
#[inline(always)]
pub(crate) fn pack_left<F: Real>(a: Mat<F>, to: &mut [F]) {
    for (i, to) in to.chunks_exact_mut(BLOCK * a.cols).enumerate() {
        let row = (i * BLOCK).min(a.rows - BLOCK);
        let from = &a.data[row * a.rs..];
        for (k, to) in to.chunks_exact_mut(BLOCK).enumerate() {
            for (r, to) in to.iter_mut().enumerate() {
                *to = from[r * a.rs + k * a.cs];
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
}
