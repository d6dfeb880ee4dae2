//! Matrix products on strided slices: the one place that calls the GEMM crate.
use super::product::{Onto, Product, Right};
use super::share::rows_of;
use crate::Real;

/// A matrix in a slice: entry (i, j) at `i * rs + j * cs`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Mat<'a, F> {
    pub data: &'a [F],
    pub rows: usize,
    pub cols: usize,
    pub rs: usize,
    pub cs: usize,
}

impl<'a, F> Mat<'a, F> {
    /// Row-major with `stride` entries from row to row.
    pub fn new(data: &'a [F], rows: usize, cols: usize, stride: usize) -> Self {
        Self { data, rows, cols, rs: stride, cs: 1 }
    }

    /// The transpose.
    pub fn t(self) -> Self {
        Self { rows: self.cols, cols: self.rows, rs: self.cs, cs: self.rs, ..self }
    }

    /// The columns `from .. from + len` (of a row-major matrix).
    pub fn columns(self, from: usize, len: usize) -> Self {
        let data = if self.rows == 0 { self.data } else { &self.data[from * self.cs..] };
        Self { data, cols: len, ..self }
    }

    /// The rows `from .. from + count`.
    pub fn rows(self, from: usize, count: usize) -> Self {
        Self { data: self.data.get(from * self.rs..).unwrap_or_default(), rows: count, ..self }
    }

    /// Number of entries that the slice must have.
    pub fn extent(&self) -> usize {
        if self.rows == 0 || self.cols == 0 { 0 } else { (self.rows - 1) * self.rs + (self.cols - 1) * self.cs + 1 }
    }
}

/// Rows and columns of results from which on both factors are packed, which the GEMM crate does.
const LARGE: usize = 192;

/// `c (m, n) = a (m, k) b (k, n)`, or `c += a b`; `c` is row-major with `stride` entries from row to row.
pub(crate) fn gemm<F: Real>(accumulate: bool, a: Mat<F>, b: Mat<F>, c: &mut [F], stride: usize) {
    let (m, k, n) = (a.rows, a.cols, b.cols);
    assert_eq!(k, b.rows, "inner dimensions of a product");
    if m == 0 || n == 0 {
        return;
    }
    assert!(a.data.len() >= a.extent() && b.data.len() >= b.extent());
    assert!(stride >= n && c.len() > (m - 1) * stride + n - 1);
    if k == 0 {
        if !accumulate {
            c.chunks_mut(stride).take(m).for_each(|row| row[..n].fill(F::zero()));
        }
        return;
    }
    if b.cs == 1 && m.min(n) < LARGE {
        let onto = Onto::new(accumulate);
        return Product { a, b: Right::Rows(b.data, b.rs), cols: n, onto, c, stride }.run();
    }
    if m.min(n) < LARGE {
        return general(accumulate, a, b, c, stride);
    }
    rows_of(m, (8, 64), (c, stride), &|rows, c| general(accumulate, a.rows(rows.start, rows.len()), b, c, stride));
}

/// [`gemm`] of factors that are not empty, by the GEMM crate.
fn general<F: Real>(accumulate: bool, a: Mat<F>, b: Mat<F>, c: &mut [F], stride: usize) {
    let (m, k, n) = (a.rows, a.cols, b.cols);
    assert!(a.data.len() >= a.extent() && b.data.len() >= b.extent());
    assert!(stride >= n && c.len() > (m - 1) * stride + n - 1);
    // SAFETY: the asserts above show that every entry of a, b and c lies inside its slice; c is borrowed mutably, so it
    // overlaps neither a nor b.
    unsafe {
        gemm::gemm(
            m,
            n,
            k,
            c.as_mut_ptr(),
            1,
            stride as isize,
            accumulate,
            a.data.as_ptr(),
            a.cs as isize,
            a.rs as isize,
            b.data.as_ptr(),
            b.cs as isize,
            b.rs as isize,
            F::one(),
            F::one(),
            false,
            false,
            false,
            gemm::Parallelism::None,
        );
    }
}
