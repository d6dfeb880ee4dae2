//! Symmetric products `H = Y X^T`: the upper half is computed, in square blocks that are mirrored while they are in the
//! first-level cache.
use super::gemm::Mat;
use super::lanes::Lanes;
use super::memory::{LINE, stream};
use super::packed::Packed;
use super::product::{Onto, Product, Right};
use super::tape::{Buffer, fit};
use crate::Real;
use pulp::{Arch, Simd, WithSimd};
use std::ops::Range;

/// Rows and columns of a block: 256 bytes, some lines of `H` in one piece.
const fn side<F>() -> usize {
    256 / size_of::<F>()
}

/// `h = y x^T` (k, k), known to be symmetric, given `right` = `x^T` packed for symmetric results. With `past_caches`, where
/// `h` is too large to stay in any cache and was written before, it leaves for memory in whole lines: blocks do where rows
/// are whole lines, and `right` has as many columns in front as [`front`] says; else `h` does row by row, from a cache.
pub(crate) fn symmetric<F: Real>(
    y: Mat<F>,
    right: &Packed<F>,
    h: &mut [F],
    scratch: &mut Buffer<F>,
    past_caches: bool,
) {
    let k = y.rows;
    assert!(h.len() == k * k);
    if !past_caches {
        in_caches(y, right, h);
    } else if rows_of_lines::<F>(k) {
        to_memory(y, right, h, scratch);
    } else {
        let in_cache = fit(scratch, k * k);
        in_caches(y, right, in_cache);
        stream((in_cache, k), (h, k), (k, k));
    }
}

/// Entries of a line of the caches.
const fn line<F>() -> usize {
    LINE / size_of::<F>()
}

/// Whether the rows of results of more than one block start on the same place of a line.
fn rows_of_lines<F>(k: usize) -> bool {
    k > side::<F>() && k.is_multiple_of(line::<F>())
}

/// Columns to pack in front of `x^T`, so that blocks of results `h` (.., k, k) past the caches start on lines.
pub(crate) fn front<F: Real>(h: &[F], k: usize) -> usize {
    let line = line::<F>();
    if rows_of_lines::<F>(k) { (line - h.as_ptr().align_offset(LINE) % line) % line } else { 0 }
}

fn in_caches<F: Real>(y: Mat<F>, right: &Packed<F>, h: &mut [F]) {
    let k = y.rows;
    assert_eq!(right.front(), 0);
    for (i, j) in blocks::<F>(k) {
        block(y, right, &i, &j, &mut h[i.start * k + j.start..], k);
        mirror_block(h, k, i, j);
    }
}

/// The blocks on and above the diagonal, as rows and columns.
fn blocks<F>(k: usize) -> impl Iterator<Item = (Range<usize>, Range<usize>)> {
    let from = move |i: usize| (i..k).step_by(side::<F>()).map(move |i| i..(i + side::<F>()).min(k));
    from(0).flat_map(move |i| from(i.start).map(move |j| (i.clone(), j)))
}

/// Each block and its mirror image leave `scratch` for memory. Rows and columns count from those in front on; what rows
/// begin and end with shares lines, which are sent at the end.
fn to_memory<F: Real>(y: Mat<F>, right: &Packed<F>, h: &mut [F], scratch: &mut Buffer<F>) {
    let (k, side, line, front) = (y.rows, side::<F>(), line::<F>(), right.front());
    // of two blocks a side: a block at the top right, what it is mirrored to at the bottom left
    let stride = 2 * side;
    let (pair, edges) = fit(scratch, stride * stride + (k + 1) * line).split_at_mut(stride * stride);
    let mut send = |from: &[F], i: &Range<usize>, j: &Range<usize>| {
        let first = i.start.max(front);
        let (rows, from) = (i.end - first, &from[(first - i.start) * stride..]);
        let whole = if front == 0 { j.clone() } else { j.start.max(line)..j.end.min(k) };
        if !whole.is_empty() {
            let to = &mut h[(first - front) * k + whole.start - front..];
            stream((&from[whole.start - j.start..], stride), (to, k), (rows, whole.len()));
        }
        let mut keep = |edge: usize, to: Range<usize>, from: &[F]| {
            let rows = from.chunks(stride).zip(edges[edge * line..].chunks_mut(line)).take(rows);
            rows.for_each(|(from, edge)| edge[to.clone()].copy_from_slice(&from[..to.len()]));
        };
        if front > 0 && j.start == 0 {
            keep(first - front, front..line, &from[front..]);
        }
        if j.end > k {
            keep(first - front + 1, 0..front, &from[k - j.start..]);
        }
    };
    for (i, j) in blocks::<F>(front + k) {
        let at = if i == j { 0 } else { side };
        block(y, right, &i, &j, &mut pair[at..], stride);
        if i != j {
            send(&pair[at..], &i, &j);
        }
        mirror_block(pair, stride, 0..i.len(), at..at + j.len());
        send(&pair[at * stride..], &j, &i);
    }
    if front > 0 {
        h[..line - front].copy_from_slice(&edges[front..line]);
        stream((&edges[line..], line), (&mut h[k - front..], k), (k - 1, line));
        h[k * k - front..].copy_from_slice(&edges[k * line..][..front]);
    }
}

/// The rows `i` and the columns `j` of the product to `c`, of a block on the diagonal little more than the upper half.
fn block<F: Real>(y: Mat<F>, right: &Packed<F>, i: &Range<usize>, j: &Range<usize>, c: &mut [F], stride: usize) {
    let mut product = |rows: Range<usize>, cols: Range<usize>| {
        let first = rows.start.max(right.front());
        let a = y.rows(first - right.front(), rows.end.max(first) - first);
        let c = &mut c[(first - i.start) * stride + cols.start - j.start..];
        Product { a, b: Right::Packed(right, cols.start), cols: cols.len(), onto: Onto::Zero, c, stride }.run();
    };
    if i != j {
        return product(i.clone(), j.clone());
    }
    let (width, lanes, end) = (right.width(), right.lanes(), i.end);
    for first in j.clone().step_by(width) {
        let cols = first..(first + width).min(end);
        product(i.start..(first + lanes).min(end), cols.clone());
        // further down a panel has ever fewer vectors in the upper half
        for next in cols.clone().step_by(lanes).skip(1) {
            product(next..(next + lanes).min(end), next..cols.end);
        }
    }
}

/// Copies the upper half of a (k, k) matrix to the lower one.
#[inline]
pub(crate) fn mirror<F: Real>(h: &mut [F], k: usize) {
    if k <= F::SQUARE {
        // the call of a kernel would take longer
        return (1..k).for_each(|b| (0..b).for_each(|a| h[b * k + a] = h[a * k + b]));
    }
    blocks::<F>(k).for_each(|(i, j)| mirror_block(h, k, i, j));
}

/// `h[j, i] = h[i, j]` for i < j in the rows `i` and the columns `j` of a (k, k) matrix.
fn mirror_block<F: Real>(h: &mut [F], k: usize, i: Range<usize>, j: Range<usize>) {
    assert!(i.start <= j.start && i.end <= k && j.end <= k && h.len() >= k * k);
    Arch::new().dispatch(MirrorBlock { h, k, i, j });
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
                let whole = i + square <= rows.end && j + square <= cols.end;
                if whole && i + square <= j {
                    // SAFETY: both squares lie in `h`, whose size `mirror_block` has asserted, and do not meet, as the
                    // first is above the diagonal.
                    unsafe {
                        let h = h.as_mut_ptr();
                        F::transpose(simd, h.add(i * k + j), k, h.add(j * k + i), k);
                    }
                } else if whole && i == j {
                    // SAFETY: the square lies in `h`.
                    unsafe { F::mirror(simd, h.as_mut_ptr().add(i * k + i), k) };
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
    use super::super::test_sizes;
    use super::*;

    /// Against the triple loop, for sizes around those of blocks, panels and squares.
    fn right_for<F: Real>(tolerance: f64) {
        let entry = |i: usize| F::of(((i * 37 + 11) % 101) as f64 / 50.0 - 1.0);
        for k in test_sizes([1, 2, 5, 8, 17, 31, 32, 33, 63, 64, 65, 100, 128, 130, 192, 200]) {
            for n in [0, 1, 3, 16] {
                let x: Vec<F> = (0..k * n).map(entry).collect();
                let scale = |i: usize| (i % n.max(1)) as f64 - 0.5;
                let y: Vec<F> = x.iter().enumerate().map(|(i, &x)| x * F::of(scale(i))).collect();
                for (past_caches, start) in [(false, 0), (true, 0), (true, 1), (true, 4), (true, 15)] {
                    let mut memory = vec![F::of(7.0); start + k * k + 1];
                    let h = &mut memory[start..];
                    let front = if past_caches { front(h, k) } else { 0 };
                    let right = Packed::stacked(&[Mat::new(&x, k, n, n).t()], front, Buffer::default());
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

    /// With vectors and without.
    fn mirrored<F: Real>() {
        for k in test_sizes([1, 3, 4, 8, 9, 16, 21, 40]) {
            let h: Vec<F> = (0..k * k).map(|i| F::of(i as f64)).collect();
            for arch in [Arch::new(), Arch::Scalar] {
                let mut mirrored = h.clone();
                arch.dispatch(MirrorBlock { h: &mut mirrored, k, i: 0..k, j: 0..k });
                for (i, j) in (0..k).flat_map(|i| (0..k).map(move |j| (i, j))) {
                    assert!(mirrored[i * k + j] == h[i.min(j) * k + i.max(j)], "{k}: {i} {j}");
                }
            }
        }
    }

    #[test]
    fn the_lower_half_mirrors_the_upper() {
        mirrored::<f32>();
        mirrored::<f64>();
    }

    #[test]
    fn symmetric_products_are_right_and_symmetric() {
        right_for::<f32>(1e-4);
        right_for::<f64>(1e-12);
    }
}
