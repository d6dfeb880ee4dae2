//! Sums over sites: `h[r, a, b] += c/2 sum_i C[i, r] (s[i, a] t[i, b] + t[i, a] s[i, b])` and its derivatives.
//!
//! With respect to `h` the upper half is summed up in blocks of entries and mirrored. With respect to `C` and `s` the
//! symmetric part of `h` comes first, then blocks of sites and directions:
//!
//! ```text
//! C[i, r] += c/2 sum_b (sum_a s[i, a] (h[r, a, b] + h[r, b, a])) t[i, b]
//! s[i, a] += c/2 sum_r C[i, r] sum_b (h[r, b, a] + h[r, a, b]) t[i, b]
//! ```
#![allow(clippy::needless_range_loop)] // indices of blocks in registers, which the compiler unrolls

use super::view::{Lines, LinesMut};
use crate::Real;
use crate::engine::kernels::lanes;
use crate::engine::tape::{Buffer, fit};
use crate::schedule::GramPlace;
use pulp::{Arch, Simd, WithSimd};

/// Sites of which the lines are used for all entries of `h` before those of others, while they are in the nearest cache.
const SITES: usize = 24;

/// The step. The result, `h` and `C` differ from sample to sample; `s` and `t` both do, or neither.
pub(super) struct Gram<'a, F> {
    pub onto: bool,
    pub place: GramPlace,
    pub y: LinesMut<'a, F>,
    pub operands: [Lines<'a, F>; 3],
    /// Whether the tangents are one and the same.
    pub same: bool,
    /// Sites.
    pub n: usize,
    pub c: F,
    pub spare: &'a mut Buffer<F>,
}

impl<F: Real> Gram<'_, F> {
    pub fn run(self) {
        let Self { place, ref y, operands: [first, second, third], n, .. } = self;
        let (q, k) = match place {
            GramPlace::H => (first.rows, third.rows),
            GramPlace::C => (y.rows, third.rows),
            GramPlace::S => (second.rows, third.rows),
        };
        let (h, c, s) = (q * k * k, n * q, n * k);
        let sizes = match place {
            GramPlace::H => [h, c, s, s],
            GramPlace::C => [c, h, s, s],
            GramPlace::S => [s, h, c, s],
        };
        let right = self.operands.iter().zip(&sizes[1..]).all(|(x, &size)| x.data.len() == size * x.width);
        assert!(right && y.data.len() == sizes[0] * y.width && !y.shared, "a sum over sites of other sizes");
        let width = y.width;
        let of_samples = |x: &Lines<F>| !x.shared && x.width == width;
        match place {
            GramPlace::H => assert!(of_samples(&first) && second.shared == third.shared),
            GramPlace::C => assert!(of_samples(&first) && second.shared == third.shared),
            GramPlace::S => assert!(of_samples(&first) && of_samples(&second)),
        }
        assert!(third.shared || of_samples(&third));
        let kernel = Kernel { gram: self, q, k, width };
        if width.is_multiple_of(lanes::<F>()) { Arch::new().dispatch(kernel) } else { Arch::Scalar.dispatch(kernel) }
    }
}

struct Kernel<'a, F> {
    gram: Gram<'a, F>,
    q: usize,
    k: usize,
    width: usize,
}

/// A vector of a line: of its samples from `s` on, or of its one number.
///
/// # Safety
/// `SHARED` must say which lines are in `from`, and the vector must lie within it.
#[inline(always)]
unsafe fn load<S: Simd, F: Real, const SHARED: bool>(
    simd: S,
    from: *const F,
    line: usize,
    (width, s): (usize, usize),
) -> F::Vector<S> {
    // SAFETY: the caller's.
    unsafe { if SHARED { F::splat(simd, *from.add(line)) } else { F::load(simd, from.add(line * width + s)) } }
}

/// `to (+)= factor x`
///
/// # Safety
/// `to` must be valid for reads and writes of a vector.
#[inline(always)]
unsafe fn put<S: Simd, F: Real>(simd: S, onto: bool, to: *mut F, factor: F::Vector<S>, x: F::Vector<S>) {
    // SAFETY: the caller's.
    unsafe {
        let start = if onto { F::load(simd, to) } else { F::splat(simd, F::zero()) };
        F::store(simd, to, F::fused(simd, factor, x, start));
    }
}

impl<F: Real> WithSimd for Kernel<'_, F> {
    type Output = ();
    #[inline(always)]
    fn with_simd<S: Simd>(mut self, simd: S) {
        // SAFETY: `Gram::run` has asserted that all buffers hold the lines of their features and rows, that `SHARED` is right
        // for the tangents, and that lines are whole vectors.
        unsafe {
            match (self.gram.place, self.gram.operands[2].shared) {
                (GramPlace::H, false) => self.hessian::<S, false>(simd),
                (GramPlace::H, true) => self.hessian::<S, true>(simd),
                (_, false) => self.halves::<S, false>(simd),
                (_, true) => self.halves::<S, true>(simd),
            }
        }
    }
}

impl<F: Real> Kernel<'_, F> {
    /// # Safety
    /// As for all here: sizes must be as [`Gram::run`] asserts.
    #[inline(always)]
    unsafe fn hessian<S: Simd, const SHARED: bool>(&mut self, simd: S) {
        let (lanes, n, k) = (F::lanes::<S>(), self.gram.n, self.k);
        let most = if S::REGISTER_COUNT >= 32 { 4 } else { 3 };
        if n == 0 && !self.gram.onto {
            self.gram.y.data.fill(F::zero());
        }
        let mut s = 0;
        while s < self.width {
            // what has few sums takes more vectors of samples, or each would wait for the one before
            let vectors = match k {
                1 if s + 4 * lanes <= self.width => 4,
                2 if s + 2 * lanes <= self.width => 2,
                _ => 1,
            };
            for first in (0..n).step_by(SITES) {
                let sites = (first, n.min(first + SITES));
                for r in 0..self.q {
                    for a in (0..k).step_by(most) {
                        for b in (a..k).step_by(most) {
                            let at = (r, a, b, s);
                            // SAFETY: the block lies within `h`, and so many vectors within a line.
                            unsafe {
                                match ((k - a).min(most), (k - b).min(most), a == b) {
                                    (1, ..) if vectors == 4 => self.sums::<S, 1, 1, 4, true, SHARED>(simd, at, sites),
                                    (2, ..) if vectors == 2 => self.sums::<S, 2, 2, 2, true, SHARED>(simd, at, sites),
                                    (1, ..) => self.sums::<S, 1, 1, 1, true, SHARED>(simd, at, sites),
                                    (2, ..) => self.sums::<S, 2, 2, 1, true, SHARED>(simd, at, sites),
                                    (3, _, true) => self.sums::<S, 3, 3, 1, true, SHARED>(simd, at, sites),
                                    (3, 1, _) => self.sums::<S, 3, 1, 1, false, SHARED>(simd, at, sites),
                                    (3, 2, _) => self.sums::<S, 3, 2, 1, false, SHARED>(simd, at, sites),
                                    (3, ..) => self.sums::<S, 3, 3, 1, false, SHARED>(simd, at, sites),
                                    (_, _, true) => self.sums::<S, 4, 4, 1, true, SHARED>(simd, at, sites),
                                    (_, 1, _) => self.sums::<S, 4, 1, 1, false, SHARED>(simd, at, sites),
                                    (_, 2, _) => self.sums::<S, 4, 2, 1, false, SHARED>(simd, at, sites),
                                    (_, 3, _) => self.sums::<S, 4, 3, 1, false, SHARED>(simd, at, sites),
                                    _ => self.sums::<S, 4, 4, 1, false, SHARED>(simd, at, sites),
                                }
                            }
                        }
                    }
                }
            }
            s += vectors * lanes;
        }
    }

    /// The entries `a .. a + A`, `b .. b + B` of output `r`, for `V` vectors of samples, summed over some sites; of a block on
    /// the `DIAGONAL` the upper half.
    ///
    /// # Safety
    /// The block and the vectors must lie within `h`.
    #[inline(always)]
    unsafe fn sums<
        S: Simd,
        const A: usize,
        const B: usize,
        const V: usize,
        const DIAGONAL: bool,
        const SHARED: bool,
    >(
        &mut self,
        simd: S,
        (r, a0, b0, s): (usize, usize, usize, usize),
        (first, end): (usize, usize),
    ) {
        let (q, k, width, same, lanes) = (self.q, self.k, self.width, self.gram.same, F::lanes::<S>());
        let onto = self.gram.onto || first > 0;
        let zero = F::splat(simd, F::zero());
        let [w, x, y] = self.gram.operands.map(|lines| lines.data.as_ptr());
        let mut sums = [[[zero; V]; B]; A];
        // SAFETY: the caller's.
        unsafe {
            for i in first..end {
                for v in 0..V {
                    let at = (width, s + v * lanes);
                    let c = load::<S, F, false>(simd, w, i * q + r, at);
                    let (mut left, mut right) = ([zero; A], [zero; B]);
                    for a in 0..A {
                        left[a] = F::fused(simd, c, load::<S, F, SHARED>(simd, x, i * k + a0 + a, at), zero);
                    }
                    for b in 0..B {
                        right[b] = load::<S, F, SHARED>(simd, y, i * k + b0 + b, at);
                    }
                    for a in 0..A {
                        for b in if DIAGONAL { a } else { 0 }..B {
                            sums[a][b][v] = F::fused(simd, left[a], right[b], sums[a][b][v]);
                        }
                    }
                    if same {
                        continue;
                    }
                    for a in 0..A {
                        left[a] = F::fused(simd, c, load::<S, F, SHARED>(simd, y, i * k + a0 + a, at), zero);
                    }
                    for b in 0..B {
                        right[b] = load::<S, F, SHARED>(simd, x, i * k + b0 + b, at);
                    }
                    for a in 0..A {
                        for b in if DIAGONAL { a } else { 0 }..B {
                            sums[a][b][v] = F::fused(simd, left[a], right[b], sums[a][b][v]);
                        }
                    }
                }
            }
            let factor = F::splat(simd, if same { self.gram.c } else { self.gram.c * F::of(0.5) });
            let h = self.gram.y.data.as_mut_ptr();
            for a in 0..A {
                for b in if DIAGONAL { a } else { 0 }..B {
                    let (upper, lower) = ((r * k + a0 + a) * k + b0 + b, (r * k + b0 + b) * k + a0 + a);
                    for v in 0..V {
                        let at = s + v * lanes;
                        put(simd, onto, h.add(upper * width + at), factor, sums[a][b][v]);
                        if upper != lower {
                            put(simd, onto, h.add(lower * width + at), factor, sums[a][b][v]);
                        }
                    }
                }
            }
        }
    }

    /// With respect to `C` or `s`.
    ///
    /// # Safety
    /// As for `hessian`.
    #[inline(always)]
    unsafe fn halves<S: Simd, const SHARED: bool>(&mut self, simd: S) {
        let (lanes, n, k, q) = (F::lanes::<S>(), self.gram.n, self.k, self.q);
        let to_c = self.gram.place == GramPlace::C;
        let most = if S::REGISTER_COUNT >= 32 { 4 } else { 2 };
        let mut spare = std::mem::take(self.gram.spare);
        let both = fit(&mut spare, k * k * lanes).as_mut_ptr();
        for s in (0..self.width).step_by(lanes) {
            for r in 0..q {
                // SAFETY: `both` holds k * k vectors, `h` the lines of output `r`, and blocks end with the sites and directions.
                unsafe {
                    self.symmetric_part(simd, both, r, s, to_c && self.gram.same);
                    let mut i = 0;
                    while i < n {
                        let sites = if n - i >= most { most } else { 1 };
                        for b in (0..k).step_by(4) {
                            let at = (r, i, b, s);
                            match (sites, (k - b).min(4)) {
                                (1, 1) => self.half::<S, 1, 1, SHARED>(simd, both, at),
                                (1, 2) => self.half::<S, 1, 2, SHARED>(simd, both, at),
                                (1, 3) => self.half::<S, 1, 3, SHARED>(simd, both, at),
                                (1, _) => self.half::<S, 1, 4, SHARED>(simd, both, at),
                                (2, 1) => self.half::<S, 2, 1, SHARED>(simd, both, at),
                                (2, 2) => self.half::<S, 2, 2, SHARED>(simd, both, at),
                                (2, 3) => self.half::<S, 2, 3, SHARED>(simd, both, at),
                                (2, _) => self.half::<S, 2, 4, SHARED>(simd, both, at),
                                (_, 1) => self.half::<S, 4, 1, SHARED>(simd, both, at),
                                (_, 2) => self.half::<S, 4, 2, SHARED>(simd, both, at),
                                (_, 3) => self.half::<S, 4, 3, SHARED>(simd, both, at),
                                _ => self.half::<S, 4, 4, SHARED>(simd, both, at),
                            }
                        }
                        i += sites;
                    }
                }
            }
        }
        *self.gram.spare = spare;
    }

    /// Sets `both[a, b] = h[r, a, b] + h[r, b, a]`, or with `upper` its upper half with what is below added: zero there, and
    /// the diagonal once.
    ///
    /// # Safety
    /// `both` must hold k * k vectors.
    #[inline(always)]
    unsafe fn symmetric_part<S: Simd>(&self, simd: S, both: *mut F, r: usize, s: usize, upper: bool) {
        let (k, width, lanes) = (self.k, self.width, F::lanes::<S>());
        let (zero, one, two) = (F::splat(simd, F::zero()), F::splat(simd, F::one()), F::splat(simd, F::of(2.0)));
        let h = self.gram.operands[0].data.as_ptr();
        for a in 0..k {
            for b in a..k {
                // SAFETY: the caller's, and the lines of output `r` lie within `h`.
                unsafe {
                    let x = F::load(simd, h.add(((r * k + a) * k + b) * width + s));
                    let y = F::load(simd, h.add(((r * k + b) * k + a) * width + s));
                    let sum = match (a == b, upper) {
                        (true, true) => x,
                        (true, false) => F::fused(simd, two, x, zero),
                        (false, _) => F::fused(simd, one, x, y),
                    };
                    F::store(simd, both.add((a * k + b) * lanes), sum);
                    if a != b {
                        F::store(simd, both.add((b * k + a) * lanes), if upper { zero } else { sum });
                    }
                }
            }
        }
    }

    /// `x[i, b] = sum_a t[i, a] both[a, b]` for `I` sites and `B` directions, and what of the result it gives.
    ///
    /// # Safety
    /// The sites, the directions and the vector must lie within the buffers.
    #[inline(always)]
    unsafe fn half<S: Simd, const I: usize, const B: usize, const SHARED: bool>(
        &mut self,
        simd: S,
        both: *const F,
        (r, i0, b0, s): (usize, usize, usize, usize),
    ) {
        let (q, k, width, lanes) = (self.q, self.k, self.width, F::lanes::<S>());
        let (zero, at) = (F::splat(simd, F::zero()), (width, s));
        let [_, second, third] = self.gram.operands.map(|lines| lines.data.as_ptr());
        let to_c = self.gram.place == GramPlace::C;
        // below the diagonal of an upper half there is nothing
        let (t, end) = match (to_c, self.gram.same) {
            (true, true) => (second, (b0 + B).min(k)),
            (true, false) => (second, k),
            (false, _) => (third, k),
        };
        let half = self.gram.c * F::of(0.5);
        let factor = F::splat(simd, if to_c && self.gram.same { self.gram.c } else { half });
        let y = self.gram.y.data.as_mut_ptr();
        let mut sums = [[zero; B]; I];
        // SAFETY: the caller's.
        unsafe {
            for a in 0..end {
                let mut row = [zero; B];
                for b in 0..B {
                    row[b] = F::load(simd, both.add((a * k + b0 + b) * lanes));
                }
                for i in 0..I {
                    let x = load::<S, F, SHARED>(simd, t, (i0 + i) * k + a, at);
                    for b in 0..B {
                        sums[i][b] = F::fused(simd, x, row[b], sums[i][b]);
                    }
                }
            }
            for i in 0..I {
                let site = i0 + i;
                if to_c {
                    let mut total = zero;
                    for b in 0..B {
                        let x = load::<S, F, SHARED>(simd, third, site * k + b0 + b, at);
                        total = F::fused(simd, x, sums[i][b], total);
                    }
                    put(simd, self.gram.onto || b0 > 0, y.add((site * q + r) * width + s), factor, total);
                } else {
                    let c = load::<S, F, false>(simd, second, site * q + r, at);
                    let c = F::fused(simd, factor, c, zero);
                    for b in 0..B {
                        let to = y.add((site * k + b0 + b) * width + s);
                        put(simd, self.gram.onto || r > 0, to, c, sums[i][b]);
                    }
                }
            }
        }
    }
}
