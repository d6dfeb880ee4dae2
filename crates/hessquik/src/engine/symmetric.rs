//! Symmetric products `H = Y X^T`: the upper half is computed, in square blocks that are mirrored while they are in the
//! first-level cache.
use super::gemm::Mat;
use super::lanes::Lanes;
use super::memory::stream;
use super::product::{Onto, Packed, Product, Right};
use super::tape::{Buffer, fit};
use crate::Real;
use pulp::{Arch, Simd, WithSimd};
use std::ops::Range;

/// Rows and columns of a block: 256 bytes, some lines of `H` in one piece.
const fn side<F>() -> usize {
    256 / size_of::<F>()
}

/// `h = y x^T` (k, k), known to be symmetric, given `right` = `x^T` packed for symmetric results. With `past_caches`, where
/// `h` is too large to stay in any cache and was written before, memory sees whole rows of it one after the other: blocks
/// would reach it at a quarter of its speed.
pub(crate) fn symmetric<F: Real>(
    y: Mat<F>,
    right: &Packed<F>,
    h: &mut [F],
    scratch: &mut Buffer<F>,
    past_caches: bool,
) {
    if past_caches {
        let in_cache = fit(scratch, y.rows * y.rows);
        blocks(y, right, in_cache);
        stream(in_cache, h);
    } else {
        blocks(y, right, h);
    }
}

fn blocks<F: Real>(y: Mat<F>, right: &Packed<F>, h: &mut [F]) {
    let (k, side, width, lanes) = (y.rows, side::<F>(), right.width(), right.lanes());
    let product = |i: usize, rows: usize, j: usize, cols: usize, h: &mut [F]| {
        let (a, b) = (y.rows(i, rows), Right::Packed(right, j));
        Product { a, b, cols, onto: Onto::Zero, c: &mut h[i * k + j..], stride: k }.run();
    };
    for i in (0..k).step_by(side) {
        let rows = side.min(k - i);
        for first in (0..rows).step_by(width) {
            let cols = width.min(rows - first);
            product(i, rows.min(first + lanes), i + first, cols, h);
            // further down a panel has ever fewer vectors in the upper half
            for next in (first + lanes..first + cols).step_by(lanes) {
                product(i + next, lanes.min(rows - next), i + next, first + cols - next, h);
            }
        }
        mirror_block(h, k, (i, rows), (i, rows));
        for j in (i + side..k).step_by(side) {
            let cols = side.min(k - j);
            product(i, rows, j, cols, h);
            mirror_block(h, k, (i, rows), (j, cols));
        }
    }
}

/// Copies the upper half of a (k, k) matrix to the lower one.
pub(crate) fn mirror<F: Real>(h: &mut [F], k: usize) {
    let side = side::<F>();
    for i in (0..k).step_by(side) {
        for j in (i..k).step_by(side) {
            mirror_block(h, k, (i, side.min(k - i)), (j, side.min(k - j)));
        }
    }
}

/// `h[j, i] = h[i, j]` for i < j in `rows` rows from `i` on and `cols` columns from `j` on.
fn mirror_block<F: Real>(h: &mut [F], k: usize, (i, rows): (usize, usize), (j, cols): (usize, usize)) {
    assert!(i <= j && i + rows <= k && j + cols <= k && h.len() >= k * k);
    Arch::new().dispatch(MirrorBlock { h, k, i: i..i + rows, j: j..j + cols });
}

struct MirrorBlock<'a, F> {
    h: &'a mut [F],
    k: usize,
    i: Range<usize>,
    j: Range<usize>,
}

impl<F: Real> WithSimd for MirrorBlock<'_, F> {
    type Output = ();
    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { h, k, i: rows, j: cols } = self;
        let square = <F as Lanes>::SQUARE;
        // rows below are written from left to right
        for j in cols.clone().step_by(square) {
            for i in rows.clone().step_by(square).take_while(|&i| i < j + square) {
                if i + square <= j && i + square <= rows.end && j + square <= cols.end {
                    // SAFETY: both squares lie in `h`, whose size `mirror_block` has asserted, and do not meet, as the
                    // first is above the diagonal.
                    unsafe {
                        let h = h.as_mut_ptr();
                        F::transpose(simd, h.add(i * k + j), k, h.add(j * k + i), k);
                    }
                } else {
                    for b in j..(j + square).min(cols.end) {
                        (i..(i + square).min(rows.end).min(b)).for_each(|a| h[b * k + a] = h[a * k + b]);
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Against the triple loop, for sizes around those of blocks, panels and squares.
    fn right_for<F: Real>(tolerance: f64) {
        let entry = |i: usize| F::of(((i * 37 + 11) % 101) as f64 / 50.0 - 1.0);
        for k in [1, 2, 5, 8, 17, 31, 32, 33, 63, 64, 65, 100, 130, 200] {
            for n in [0, 1, 3, 16] {
                let x: Vec<F> = (0..k * n).map(entry).collect();
                let scale = |i: usize| (i % n.max(1)) as f64 - 0.5;
                let y: Vec<F> = x.iter().enumerate().map(|(i, &x)| x * F::of(scale(i))).collect();
                let right = Packed::stacked(&[Mat::new(&x, k, n, n).t()], Buffer::default());
                for past_caches in [false, true] {
                    let mut h = vec![F::of(7.0); k * k + 1];
                    symmetric(Mat::new(&y, k, n, n), &right, &mut h[..k * k], &mut Buffer::default(), past_caches);
                    for i in 0..k {
                        for j in 0..k {
                            let term = |e: usize| x[i * n + e].as_f64() * scale(e) * x[j * n + e].as_f64();
                            let error = (h[i * k + j].as_f64() - (0..n).map(term).sum::<f64>()).abs();
                            assert!(error < tolerance, "{k} {n}: {i} {j} {error}");
                            assert!(h[i * k + j] == h[j * k + i], "{k} {n}: {i} {j} is not symmetric");
                        }
                    }
                    assert!(h[k * k] == F::of(7.0), "past the end");
                }
            }
        }
    }

    #[test]
    fn symmetric_products_are_right_and_symmetric() {
        right_for::<f32>(1e-4);
        right_for::<f64>(1e-12);
    }
}
