//! Fused elementwise passes, vectorised for the machine at run time.
#![allow(clippy::needless_range_loop)] // indices of blocks in registers, which the compiler unrolls

use super::lanes::Lanes;
use crate::Real;
use pulp::{Arch, Simd, WithSimd};

/// Rows of a tile: row `a` of sample `s` starts at `s * per_sample + a * stride`; `per_sample` is 0 where all samples share
/// the same rows.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rows<'a, F> {
    pub data: &'a [F],
    pub per_sample: usize,
    pub stride: usize,
}

impl<'a, F> Rows<'a, F> {
    /// `rows` rows per sample, `stride` entries from row to row.
    pub fn new(data: &'a [F], rows: usize, stride: usize) -> Self {
        Self { data, per_sample: rows * stride, stride }
    }

    /// The same rows for every sample.
    pub fn shared(data: &'a [F], stride: usize) -> Self {
        Self { data, per_sample: 0, stride }
    }

    #[inline(always)]
    pub fn row(&self, s: usize, a: usize, len: usize) -> &'a [F] {
        let start = s * self.per_sample + a * self.stride;
        &self.data[start..start + len]
    }

    /// The rows of sample `s` and those after it.
    pub fn sample(&self, s: usize) -> &'a [F] {
        &self.data[(s * self.per_sample).min(self.data.len())..]
    }

    /// Where row `a` of sample `s` starts.
    #[inline(always)]
    pub fn start(&self, s: usize, a: usize) -> usize {
        s * self.per_sample + a * self.stride
    }

    /// Whether `rows` rows of `len` entries for each of `ns` samples lie within the data.
    pub fn holds(&self, (ns, rows, len): (usize, usize, usize)) -> bool {
        ns == 0 || rows == 0 || self.data.len() >= self.start(ns - 1, rows - 1) + len
    }

    /// The rows from column `from` on.
    pub fn from(self, from: usize) -> Self {
        Self { data: &self.data[from.min(self.data.len())..], ..self }
    }
}

/// Runs `body` with the widest vector instructions of this machine.
#[inline(always)]
pub(crate) fn vectorised<R>(body: impl FnOnce() -> R) -> R {
    pulp::Arch::new().dispatch(body)
}

/// One vector of a row: the entries from `at` on, as many as fit; of the last one those that are left.
#[derive(Clone, Copy)]
pub(crate) struct Span<F: Lanes, S: Simd> {
    simd: S,
    at: usize,
    full: bool,
    mask: F::Mask<S>,
}

impl<F: Lanes, S: Simd> Span<F, S> {
    /// # Safety
    /// `row` must have the length of the row that the span is of.
    #[inline(always)]
    pub unsafe fn load(self, row: &[F]) -> F::Vector<S> {
        // SAFETY: the span lies within the row; where it is not full the mask ends with the row.
        unsafe {
            let from = row.as_ptr().add(self.at);
            if self.full { F::load(self.simd, from) } else { F::load_part(self.simd, self.mask, from) }
        }
    }

    /// # Safety
    /// As for `load`.
    #[inline(always)]
    pub unsafe fn store(self, row: &mut [F], x: F::Vector<S>) {
        // SAFETY: as above.
        unsafe {
            let to = row.as_mut_ptr().add(self.at);
            if self.full { F::store(self.simd, to, x) } else { F::store_part(self.simd, self.mask, to, x) }
        }
    }

    /// # Safety
    /// `rows` must hold the row that the span is of from `start` on.
    #[inline(always)]
    pub unsafe fn load_at(self, rows: &[F], start: usize) -> F::Vector<S> {
        // SAFETY: the caller's.
        unsafe { self.load(rows.get_unchecked(start..)) }
    }

    /// # Safety
    /// As for `load_at`.
    #[inline(always)]
    pub unsafe fn store_at(self, rows: &mut [F], start: usize, x: F::Vector<S>) {
        // SAFETY: the caller's.
        unsafe { self.store(rows.get_unchecked_mut(start..), x) }
    }
}

/// Goes along a row of `len` entries in vectors. `op` must be `#[inline(always)]`, as everything here: a function of its
/// own would be compiled for the least machine.
#[inline(always)]
pub(crate) fn along<F: Lanes, S: Simd>(simd: S, len: usize, mut op: impl FnMut(Span<F, S>)) {
    let lanes = F::lanes::<S>();
    let (body, rest) = (len - len % lanes, len % lanes);
    let mask = F::mask(simd, rest);
    for at in (0..body).step_by(lanes) {
        op(Span { simd, at, full: true, mask });
    }
    if rest > 0 {
        op(Span { simd, at: body, full: false, mask });
    }
}

struct ScaleRows<'a, F> {
    accumulate: bool,
    size: (usize, usize, usize),
    x: Rows<'a, F>,
    d: Rows<'a, F>,
    scale: F,
    out: &'a mut [F],
    stride: usize,
}

impl<F: Real> WithSimd for ScaleRows<'_, F> {
    type Output = ();
    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { accumulate, size: (ns, rows, len), x, d, scale, out, stride } = self;
        let (scale, zero) = (F::splat(simd, scale), F::splat(simd, F::zero()));
        for s in 0..ns {
            let d = d.row(s, 0, len);
            for a in 0..rows {
                let x = x.row(s, a, len);
                let out = &mut out[(s * rows + a) * stride..][..len];
                // SAFETY: all three are rows of `len` entries.
                along(
                    simd,
                    len,
                    #[inline(always)]
                    |span| unsafe {
                        let product = F::fused(simd, scale, span.load(x), zero);
                        let onto = if accumulate { span.load(out) } else { zero };
                        span.store(out, F::fused(simd, product, span.load(d), onto));
                    },
                );
            }
        }
    }
}

/// `out[s, a, j] (+)= scale x[s, a, j] d[s, j]` for `rows` rows of `len` entries.
#[allow(clippy::too_many_arguments)]
pub(crate) fn scale_rows<F: Real>(
    accumulate: bool,
    size: (usize, usize, usize),
    x: Rows<F>,
    d: Rows<F>,
    scale: F,
    out: &mut [F],
    stride: usize,
) {
    Arch::new().dispatch(ScaleRows { accumulate, size, x, d, scale, out, stride });
}

struct ScaleTwice<'a, F> {
    size: (usize, usize, usize),
    x: Rows<'a, F>,
    factors: (Rows<'a, F>, Rows<'a, F>),
    scale: F,
    first: &'a mut [F],
    second: (&'a mut [F], usize),
}

impl<F: Real> WithSimd for ScaleTwice<'_, F> {
    type Output = ();
    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { size: (ns, rows, len), x, factors: (d, e), scale, first, second: (second, stride) } = self;
        let (scale, zero) = (F::splat(simd, scale), F::splat(simd, F::zero()));
        for s in 0..ns {
            let (d, e) = (d.row(s, 0, len), e.row(s, 0, len));
            for a in 0..rows {
                let x = x.row(s, a, len);
                let first = &mut first[(s * rows + a) * len..][..len];
                let second = &mut second[(s * rows + a) * stride..][..len];
                // SAFETY: all five are rows of `len` entries.
                along(
                    simd,
                    len,
                    #[inline(always)]
                    |span| unsafe {
                        let x = F::fused(simd, scale, span.load(x), zero);
                        span.store(first, F::fused(simd, x, span.load(d), zero));
                        span.store(second, F::fused(simd, x, span.load(e), zero));
                    },
                );
            }
        }
    }
}

/// `first[s, a, j] = scale x[s, a, j] d[s, j]` and `second[s, a, j] = scale x[s, a, j] e[s, j]`, the latter with
/// `stride` entries from row to row.
pub(crate) fn scale_twice<F: Real>(
    size: (usize, usize, usize),
    x: Rows<F>,
    factors: (Rows<F>, Rows<F>),
    scale: F,
    first: &mut [F],
    second: (&mut [F], usize),
) {
    Arch::new().dispatch(ScaleTwice { size, x, factors, scale, first, second });
}

struct CopyRows<'a, F> {
    accumulate: bool,
    size: (usize, usize),
    x: (&'a [F], usize),
    scale: F,
    out: &'a mut [F],
    stride: usize,
}

impl<F: Real> WithSimd for CopyRows<'_, F> {
    type Output = ();
    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { accumulate, size: (rows, len), x: (x, x_stride), scale, out, stride } = self;
        let (scale, zero) = (F::splat(simd, scale), F::splat(simd, F::zero()));
        for row in 0..rows {
            let x = &x[row * x_stride..][..len];
            let out = &mut out[row * stride..][..len];
            // SAFETY: both are rows of `len` entries.
            along(
                simd,
                len,
                #[inline(always)]
                |span| unsafe {
                    let onto = if accumulate { span.load(out) } else { zero };
                    span.store(out, F::fused(simd, scale, span.load(x), onto));
                },
            );
        }
    }
}

/// `out[row, j] (+)= scale x[row, j]`.
pub(crate) fn copy_rows<F: Real>(
    accumulate: bool,
    (rows, len): (usize, usize),
    (x, x_stride): (&[F], usize),
    scale: F,
    out: &mut [F],
    stride: usize,
) {
    // rows without gaps are one long row
    let size = if x_stride == len && stride == len { (rows.min(1), rows * len) } else { (rows, len) };
    Arch::new().dispatch(CopyRows { accumulate, size, x: (x, x_stride), scale, out, stride });
}

/// Sums over sites for few directions; see [`small_gram`].
struct SmallGram<'a, F> {
    k: usize,
    c: &'a [F],
    a: &'a [F],
    width: usize,
    out: &'a mut [F],
}

impl<F: Real> SmallGram<'_, F> {
    #[inline(always)]
    fn run<S: Simd, const K: usize>(self, simd: S) {
        let zero = F::splat(simd, F::zero());
        let rows: [&[F]; K] = std::array::from_fn(|a| &self.a[a * self.width..][..self.c.len()]);
        let mut sums = [[zero; K]; K];
        // SAFETY: the rows are as long as `c`.
        along(
            simd,
            self.c.len(),
            #[inline(always)]
            |span| unsafe {
                let c = span.load(self.c);
                let mut x = [zero; K];
                for a in 0..K {
                    x[a] = span.load(rows[a]);
                }
                for a in 0..K {
                    let scaled = F::fused(simd, c, x[a], zero);
                    for b in a..K {
                        sums[a][b] = F::fused(simd, scaled, x[b], sums[a][b]);
                    }
                }
            },
        );
        for a in 0..K {
            (a..K).for_each(|b| self.out[a * K + b] = F::total(simd, sums[a][b]));
        }
    }

    /// In blocks of 4 by 4 entries; rows past the last are the last again, and not kept.
    #[inline(always)]
    fn blocks<S: Simd>(self, simd: S) {
        let (k, zero) = (self.k, F::splat(simd, F::zero()));
        let row = |a: usize| &self.a[a.min(k - 1) * self.width..][..self.c.len()];
        for a0 in (0..k).step_by(4) {
            for b0 in (a0..k).step_by(4) {
                let (x, y) = ([0, 1, 2, 3].map(|i| row(a0 + i)), [0, 1, 2, 3].map(|i| row(b0 + i)));
                let mut sums = [[zero; 4]; 4];
                // SAFETY: the rows are as long as `c`.
                along(
                    simd,
                    self.c.len(),
                    #[inline(always)]
                    |span| unsafe {
                        let c = span.load(self.c);
                        let y = [span.load(y[0]), span.load(y[1]), span.load(y[2]), span.load(y[3])];
                        for a in 0..4 {
                            let scaled = F::fused(simd, c, span.load(x[a]), zero);
                            for b in 0..4 {
                                sums[a][b] = F::fused(simd, scaled, y[b], sums[a][b]);
                            }
                        }
                    },
                );
                for (a, sums) in sums.into_iter().enumerate() {
                    for (b, sum) in sums.into_iter().enumerate() {
                        if a0 + a <= b0 + b && b0 + b < k {
                            self.out[(a0 + a) * k + b0 + b] = F::total(simd, sum);
                        }
                    }
                }
            }
        }
    }
}

impl<F: Real> WithSimd for SmallGram<'_, F> {
    type Output = ();
    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        match self.k {
            1 => self.run::<S, 1>(simd),
            2 => self.run::<S, 2>(simd),
            3 => self.run::<S, 3>(simd),
            4 => self.run::<S, 4>(simd),
            5 => self.run::<S, 5>(simd),
            6 => self.run::<S, 6>(simd),
            _ => self.blocks(simd),
        }
    }
}

/// Up to this many directions the entries are sums along the sites; beyond, a product for each of `q` outputs, whose right
/// factor they share.
pub(crate) fn small<F: Real>(q: usize) -> usize {
    if q >= 4 && lanes::<F>() >= 16 { 15 } else { 24 }
}

/// Entries of a vector of this machine.
pub(crate) fn lanes<F: Real>() -> usize {
    struct Of<F>(std::marker::PhantomData<F>);
    impl<F: Real> WithSimd for Of<F> {
        type Output = usize;
        fn with_simd<S: Simd>(self, _: S) -> usize {
            F::lanes::<S>()
        }
    }
    Arch::new().dispatch(Of::<F>(std::marker::PhantomData))
}

/// The upper half of `out = A diag(c) A^T` for `k` rows of `a`, `width` entries from row to row.
pub(crate) fn small_gram<F: Real>(k: usize, c: &[F], (a, width): (&[F], usize), out: &mut [F]) {
    assert!(k > 0 && out.len() >= k * k, "a Gram matrix of {k} rows");
    Arch::new().dispatch(SmallGram { k, c, a, width, out });
}

struct WeightedSquares<'a, F> {
    signs: &'a [F],
    c: &'a [F],
    a: &'a [F],
    width: usize,
}

impl<F: Real> WithSimd for WeightedSquares<'_, F> {
    type Output = F;
    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) -> F {
        let Self { signs, c, a, width } = self;
        let zero = F::splat(simd, F::zero());
        let mut total = zero;
        let rows = &a[..(signs.len().max(1) - 1) * width + c.len()];
        along(
            simd,
            c.len(),
            #[inline(always)]
            |span| {
                let mut sum = zero;
                for (i, &sign) in signs.iter().enumerate() {
                    // SAFETY: row `i` of `rows` has as many entries as `c`.
                    let x = unsafe { span.load(rows.get_unchecked(i * width..i * width + c.len())) };
                    sum = F::fused(simd, F::fused(simd, F::splat(simd, sign), x, zero), x, sum);
                }
                // SAFETY: the span is one of `c`.
                total = F::fused(simd, unsafe { span.load(c) }, sum, total);
            },
        );
        F::total(simd, total)
    }
}

/// `sum_a signs[a] sum_j c[j] A[a, j]^2`: the trace of what [`small_gram`] computes, for any number of rows.
pub(crate) fn weighted_squares<F: Real>(signs: &[F], c: &[F], (a, width): (&[F], usize)) -> F {
    Arch::new().dispatch(WeightedSquares { signs, c, a, width })
}

const LANES: usize = 32;

/// `sum_j c[j] x[j] y[j]`, in a fixed order.
#[inline(always)]
pub(crate) fn dot3<F: Real>(c: &[F], x: &[F], y: &[F]) -> F {
    let len = c.len();
    let (x, y) = (&x[..len], &y[..len]);
    let mut lanes = [F::zero(); LANES];
    let body = len - len % LANES;
    for j in (0..body).step_by(LANES) {
        let (c, x, y) = (&c[j..j + LANES], &x[j..j + LANES], &y[j..j + LANES]);
        for l in 0..LANES {
            lanes[l] += c[l] * x[l] * y[l];
        }
    }
    for l in 0..len - body {
        lanes[l] += c[body + l] * x[body + l] * y[body + l];
    }
    tree_sum(lanes)
}

/// `sum_j x[j] y[j]`, in a fixed order.
#[inline(always)]
pub(crate) fn dot<F: Real>(x: &[F], y: &[F]) -> F {
    let len = x.len();
    let y = &y[..len];
    let mut lanes = [F::zero(); LANES];
    let body = len - len % LANES;
    for j in (0..body).step_by(LANES) {
        let (x, y) = (&x[j..j + LANES], &y[j..j + LANES]);
        for l in 0..LANES {
            lanes[l] += x[l] * y[l];
        }
    }
    for l in 0..len - body {
        lanes[l] += x[body + l] * y[body + l];
    }
    tree_sum(lanes)
}

#[inline(always)]
fn tree_sum<F: Real>(mut lanes: [F; LANES]) -> F {
    let mut half = LANES / 2;
    while half > 0 {
        for l in 0..half {
            lanes[l] += lanes[l + half];
        }
        half /= 2;
    }
    lanes[0]
}
