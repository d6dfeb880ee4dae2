//! Products of matrices of lines, in blocks in registers with samples side by side.
#![allow(clippy::needless_range_loop)] // indices of blocks in registers, which the compiler unrolls

use super::matrix::Form;
use crate::Real;
use pulp::{Arch, Simd, WithSimd};

/// Rows of a block.
const ROWS: usize = 4;
/// Columns of a block, where there are 32 registers; fewer elsewhere.
const COLS: usize = 4;
const FEW_COLS: usize = 2;

/// A product of which no factor and not the result is the same for all samples.
pub(super) struct Block<'a, F>(pub Form<'a, F>);

impl<F: Real> Block<'_, F> {
    pub fn run(self) {
        let Form { size: (m, n, k), x, z, ref out, width, .. } = self.0;
        if m == 0 || n == 0 {
            return;
        }
        let last = |rs: usize, cs: usize, rows: usize, cols: usize| (rows - 1) * rs + (cols - 1) * cs + width;
        assert!(out.data.len() >= last(out.rs, out.cs, m, n));
        assert!(k == 0 || x.data.len() >= last(x.rs, x.cs, m, k) && z.data.len() >= last(z.rs, z.cs, k, n));
        if width.is_multiple_of(crate::engine::kernels::lanes::<F>()) {
            Arch::new().dispatch(self);
        } else {
            Arch::Scalar.dispatch(self);
        }
    }

    /// # Safety
    /// The block and the `V` vectors from sample `s` on must lie within the product.
    #[inline(always)]
    unsafe fn block<S: Simd, const M: usize, const N: usize, const V: usize>(
        &mut self,
        simd: S,
        (i, j, s): (usize, usize, usize),
    ) {
        let Form { size: (.., k), x, z, ref mut out, c, onto, .. } = self.0;
        let (lanes, zero) = (F::lanes::<S>(), F::splat(simd, F::zero()));
        let mut sums = [[[zero; V]; N]; M];
        // SAFETY: the caller's, and `run` has asserted that the lines of the product lie within the slices.
        unsafe {
            let (mut from_x, mut from_z) = (x.data.as_ptr().add(i * x.rs + s), z.data.as_ptr().add(j * z.cs + s));
            for _ in 0..k {
                for v in 0..V {
                    let mut row = [zero; N];
                    for b in 0..N {
                        row[b] = F::load(simd, from_z.add(b * z.cs + v * lanes));
                    }
                    for a in 0..M {
                        let entry = F::load(simd, from_x.add(a * x.rs + v * lanes));
                        for b in 0..N {
                            sums[a][b][v] = F::fused(simd, entry, row[b], sums[a][b][v]);
                        }
                    }
                }
                // wrapping: past the last nothing is read
                (from_x, from_z) = (from_x.wrapping_add(x.cs), from_z.wrapping_add(z.rs));
            }
            let factor = F::splat(simd, c);
            let to = out.data.as_mut_ptr().add(i * out.rs + j * out.cs + s);
            for a in 0..M {
                for b in 0..N {
                    for v in 0..V {
                        let to = to.add(a * out.rs + b * out.cs + v * lanes);
                        let start = if onto { F::load(simd, to) } else { zero };
                        F::store(simd, to, F::fused(simd, factor, sums[a][b][v], start));
                    }
                }
            }
        }
    }

    /// A block of at most `M` rows and the columns from `j` on.
    ///
    /// # Safety
    /// The rows from `i` on, and the vector from `s` on, must lie within the product.
    #[inline(always)]
    unsafe fn columns<S: Simd, const M: usize>(&mut self, simd: S, i: usize, s: usize) {
        let (_, n, _) = self.0.size;
        let most = if S::REGISTER_COUNT >= 32 { COLS } else { FEW_COLS };
        let mut j = 0;
        while j < n {
            let cols = (n - j).min(most);
            // SAFETY: `cols` columns from `j` on are there, and the caller says the same of the rows and samples.
            unsafe {
                match cols {
                    1 => self.block::<S, M, 1, 1>(simd, (i, j, s)),
                    2 => self.block::<S, M, 2, 1>(simd, (i, j, s)),
                    3 => self.block::<S, M, 3, 1>(simd, (i, j, s)),
                    _ => self.block::<S, M, 4, 1>(simd, (i, j, s)),
                }
            }
            j += cols;
        }
    }
}

impl<F: Real> WithSimd for Block<'_, F> {
    type Output = ();
    #[inline(always)]
    fn with_simd<S: Simd>(mut self, simd: S) {
        let ((m, n, _), lanes) = (self.0.size, F::lanes::<S>());
        let mut s = 0;
        // what has few sums takes more vectors of samples, or each would wait for the one before
        while m * n <= 2 && s + 4 * lanes <= self.0.width {
            // SAFETY: the product is one block, and four vectors from `s` on lie within a line.
            unsafe {
                match (m, n) {
                    (1, 1) => self.block::<S, 1, 1, 4>(simd, (0, 0, s)),
                    (1, 2) => self.block::<S, 1, 2, 4>(simd, (0, 0, s)),
                    _ => self.block::<S, 2, 1, 4>(simd, (0, 0, s)),
                }
            }
            s += 4 * lanes;
        }
        for s in (s..self.0.width).step_by(lanes) {
            let mut i = 0;
            while i < m {
                let rows = (m - i).min(ROWS);
                // SAFETY: `rows` rows from `i` on are there, and lines are whole vectors.
                unsafe {
                    match rows {
                        1 => self.columns::<S, 1>(simd, i, s),
                        2 => self.columns::<S, 2>(simd, i, s),
                        3 => self.columns::<S, 3>(simd, i, s),
                        _ => self.columns::<S, 4>(simd, i, s),
                    }
                }
                i += rows;
            }
        }
    }
}
