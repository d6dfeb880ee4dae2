//! Elementwise passes of the reverse: each goes once through the rows of one stage. Bars are cotangents.
#![allow(clippy::needless_range_loop)] // indices of blocks in registers, which the compiler unrolls

use super::kernels::{Rows, Span, along};
use crate::Real;
use pulp::{Arch, Simd, WithSimd};

/// A cotangent to be written: added to what is there where it was `started`, else assigned.
#[derive(Debug)]
pub(crate) struct Gather<'a, F> {
    pub data: &'a mut [F],
    pub started: bool,
}

impl<F: Real> Gather<'_, F> {
    /// What the span of the row from `start` on is added to.
    ///
    /// # Safety
    /// The row must lie within the data.
    #[inline(always)]
    unsafe fn begin<S: Simd>(&self, span: Span<F, S>, start: usize, zero: F::Vector<S>) -> F::Vector<S> {
        // SAFETY: the caller's.
        if self.started { unsafe { span.load_at(self.data, start) } } else { zero }
    }
}

/// `B = A . act'` for the rows of one stage, in reverse; see [`ScaledBars::run`].
pub(crate) struct ScaledBars<'a, F> {
    /// Samples, rows of each, and width of the stage.
    pub size: (usize, usize, usize),
    pub a: Rows<'a, F>,
    /// `scale` times these rows are `B_bar`.
    pub b_bar: Rows<'a, F>,
    pub scale: F,
    /// act' (n_s, p).
    pub slope: &'a [F],
    /// (n_s, p).
    pub slope_bar: Gather<'a, F>,
    /// (n_s, rows, p).
    pub a_bar: Gather<'a, F>,
}

impl<F: Real> ScaledBars<'_, F> {
    /// `slope_bar += sum_a A . B_bar` and `A_bar += B_bar . act'`.
    pub fn run(self) {
        let (ns, rows, p) = self.size;
        assert!(self.a.holds(self.size) && self.b_bar.holds(self.size));
        assert!(self.slope.len() >= ns * p && self.slope_bar.data.len() >= ns * p);
        assert!(self.a_bar.data.len() >= ns * rows * p);
        Arch::new().dispatch(self);
    }
}

impl<F: Real> WithSimd for ScaledBars<'_, F> {
    type Output = ();
    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { size: (ns, rows, p), a, b_bar, scale, slope, slope_bar, a_bar } = self;
        let (scale, zero) = (F::splat(simd, scale), F::splat(simd, F::zero()));
        for s in 0..ns {
            // SAFETY: `run` has asserted that every slice holds these rows of `p` entries for all samples.
            along(
                simd,
                p,
                #[inline(always)]
                |span| unsafe {
                    let d = span.load_at(slope, s * p);
                    let scaled = F::fused(simd, scale, d, zero);
                    let mut sum = zero;
                    for i in 0..rows {
                        let (x, b) = (span.load_at(a.data, a.start(s, i)), span.load_at(b_bar.data, b_bar.start(s, i)));
                        sum = F::fused(simd, x, b, sum);
                        let at = (s * rows + i) * p;
                        let onto = a_bar.begin(span, at, zero);
                        span.store_at(a_bar.data, at, F::fused(simd, b, scaled, onto));
                    }
                    let onto = slope_bar.begin(span, s * p, zero);
                    span.store_at(slope_bar.data, s * p, F::fused(simd, scale, sum, onto));
                },
            );
        }
    }
}

/// `C = E . act''` and `G = .. + (E . act') M^T` for the rows of one stage, in reverse; see [`AdjointBars::run`].
pub(crate) struct AdjointBars<'a, F> {
    /// Samples, rows of each, and width of the stage.
    pub size: (usize, usize, usize),
    /// `scale` times these rows are `E`.
    pub e: Rows<'a, F>,
    pub scale: F,
    /// act' (n_s, p).
    pub slope: &'a [F],
    /// `G_bar M` (n_s, q, p) at first, in the end `E_bar`.
    pub e_bar: &'a mut [F],
    /// `E . act'` (n_s, q, p).
    pub scaled: &'a mut [F],
    /// (n_s, p).
    pub slope_bar: Gather<'a, F>,
    /// Where there are curvatures: act'' (n_s, p), `C_bar` (n_s, q, p), and the cotangent of act''.
    pub curve: Option<(&'a [F], &'a [F], Gather<'a, F>)>,
}

impl<F: Real> AdjointBars<'_, F> {
    /// With `Q = G_bar M`: `slope_bar += sum_r E . Q`, `curve_bar += sum_r E . C_bar`,
    /// `E_bar = Q . act' + C_bar . act''`, and `E . act'` once more.
    pub fn run(self) {
        let (ns, q, p) = self.size;
        assert!(self.e.holds(self.size));
        assert!(self.slope.len() >= ns * p && self.slope_bar.data.len() >= ns * p);
        assert!(self.e_bar.len() >= ns * q * p && self.scaled.len() >= ns * q * p);
        if let Some((curve, c_bar, curve_bar)) = &self.curve {
            assert!(curve.len() >= ns * p && c_bar.len() >= ns * q * p && curve_bar.data.len() >= ns * p);
        }
        Arch::new().dispatch(self);
    }
}

impl<F: Real> WithSimd for AdjointBars<'_, F> {
    type Output = ();
    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { size: (ns, q, p), e, scale, slope, e_bar, scaled, slope_bar, mut curve } = self;
        let (scale, zero) = (F::splat(simd, scale), F::splat(simd, F::zero()));
        for s in 0..ns {
            // SAFETY: `run` has asserted that every slice holds these rows of `p` entries for all samples.
            along(
                simd,
                p,
                #[inline(always)]
                |span| unsafe {
                    let d = span.load_at(slope, s * p);
                    let d2 = curve.as_ref().map_or(zero, |(curve, ..)| span.load_at(curve, s * p));
                    let (mut slopes, mut curves) = (slope_bar.begin(span, s * p, zero), zero);
                    for r in 0..q {
                        let at = (s * q + r) * p;
                        let x = F::fused(simd, scale, span.load_at(e.data, e.start(s, r)), zero);
                        let q_bar = span.load_at(e_bar, at);
                        slopes = F::fused(simd, x, q_bar, slopes);
                        span.store_at(scaled, at, F::fused(simd, x, d, zero));
                        let mut bar = F::fused(simd, q_bar, d, zero);
                        if let Some((_, c_bar, _)) = &curve {
                            let c_bar = span.load_at(c_bar, at);
                            curves = F::fused(simd, x, c_bar, curves);
                            bar = F::fused(simd, c_bar, d2, bar);
                        }
                        span.store_at(e_bar, at, bar);
                    }
                    span.store_at(slope_bar.data, s * p, slopes);
                    if let Some((.., curve_bar)) = &mut curve {
                        let onto = curve_bar.begin(span, s * p, zero);
                        span.store_at(curve_bar.data, s * p, F::fused(simd, F::splat(simd, F::one()), curves, onto));
                    }
                },
            );
        }
    }
}

/// `act(z)`, `act'(z)` and `act''(z)` in reverse; see [`ValueBars::run`].
pub(crate) struct ValueBars<'a, F> {
    /// `scale` times these numbers are the cotangent of act(z).
    pub bar: &'a [F],
    pub scale: F,
    /// act', act'' and act'''.
    pub sig: [&'a [F]; 3],
    /// Cotangents of act' and act'', where there are any.
    pub slope_bar: Option<&'a [F]>,
    pub curve_bar: Option<&'a [F]>,
    pub z_bar: &'a mut [F],
}

impl<F: Real> ValueBars<'_, F> {
    /// `z_bar = bar . act' + slope_bar . act'' + curve_bar . act'''`.
    pub fn run(self) {
        let len = self.z_bar.len();
        let long = |x: Option<&[F]>| x.is_none_or(|x| x.len() >= len);
        assert!(self.bar.len() >= len && self.sig[0].len() >= len);
        assert!(long(self.slope_bar) && long(self.slope_bar.map(|_| self.sig[1])));
        assert!(long(self.curve_bar) && long(self.curve_bar.map(|_| self.sig[2])));
        Arch::new().dispatch(self);
    }
}

impl<F: Real> WithSimd for ValueBars<'_, F> {
    type Output = ();
    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { bar, scale, sig, slope_bar, curve_bar, z_bar } = self;
        let (scale, zero) = (F::splat(simd, scale), F::splat(simd, F::zero()));
        // SAFETY: `run` has asserted that what is there is as long as `z_bar`.
        along(
            simd,
            z_bar.len(),
            #[inline(always)]
            |span| unsafe {
                let bar = F::fused(simd, scale, span.load(bar), zero);
                let mut sum = F::fused(simd, bar, span.load(sig[0]), zero);
                if let Some(slope_bar) = slope_bar {
                    sum = F::fused(simd, span.load(sig[1]), span.load(slope_bar), sum);
                }
                if let Some(curve_bar) = curve_bar {
                    sum = F::fused(simd, span.load(sig[2]), span.load(curve_bar), sum);
                }
                span.store(z_bar, sum);
            },
        );
    }
}

/// `H_r = A diag(C[r]) A^T` for the rows of one stage, in reverse; see [`GramBars::run`].
pub(crate) struct GramBars<'a, F> {
    /// Samples, outputs, and width of the stage.
    pub size: (usize, usize, usize),
    /// Rows of each sample.
    pub k: usize,
    pub a: Rows<'a, F>,
    pub c: Rows<'a, F>,
    /// The symmetric cotangents `B` of the Hessians (n_s, q, k, k).
    pub b: &'a [F],
    /// (n_s, k, p).
    pub a_bar: &'a mut [F],
    /// (n_s, q, p).
    pub c_bar: Gather<'a, F>,
}

/// Up to this many directions `B A` is computed in registers.
pub(crate) const FEW: usize = 6;

impl<F: Real> GramBars<'_, F> {
    /// With `Y = B A`: `A_bar = 2 sum_r Y_r . C[r]` and `C_bar[r] += sum_a A . Y_r`, for `k` up to [`FEW`].
    pub fn run(self) {
        let ((ns, q, p), k) = (self.size, self.k);
        assert!((1..=FEW).contains(&k) && self.b.len() >= ns * q * k * k);
        assert!(self.a.holds((ns, k, p)) && self.c.holds((ns, q, p)));
        assert!(self.a_bar.len() >= ns * k * p && self.c_bar.data.len() >= ns * q * p);
        Arch::new().dispatch(self);
    }

    #[inline(always)]
    fn rows<S: Simd, const K: usize>(self, simd: S) {
        let Self { size: (ns, q, p), a, c, b, a_bar, c_bar, .. } = self;
        let (two, zero) = (F::splat(simd, F::of(2.0)), F::splat(simd, F::zero()));
        for s in 0..ns {
            // SAFETY: `run` has asserted that every slice holds these rows of `p` entries for all samples, and as many
            // matrices.
            along(
                simd,
                p,
                #[inline(always)]
                |span| unsafe {
                    let (mut x, mut bar) = ([zero; K], [zero; K]);
                    for i in 0..K {
                        x[i] = span.load_at(a.data, a.start(s, i));
                    }
                    for r in 0..q {
                        let b = b.get_unchecked((s * q + r) * K * K..);
                        let twice = F::fused(simd, two, span.load_at(c.data, c.start(s, r)), zero);
                        let at = (s * q + r) * p;
                        let mut sum = c_bar.begin(span, at, zero);
                        for i in 0..K {
                            let mut y = zero;
                            for j in 0..K {
                                y = F::fused(simd, F::splat(simd, *b.get_unchecked(i * K + j)), x[j], y);
                            }
                            bar[i] = F::fused(simd, twice, y, bar[i]);
                            sum = F::fused(simd, x[i], y, sum);
                        }
                        span.store_at(c_bar.data, at, sum);
                    }
                    for i in 0..K {
                        span.store_at(a_bar, (s * K + i) * p, bar[i]);
                    }
                },
            );
        }
    }
}

impl<F: Real> WithSimd for GramBars<'_, F> {
    type Output = ();
    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        match self.k {
            1 => self.rows::<S, 1>(simd),
            2 => self.rows::<S, 2>(simd),
            3 => self.rows::<S, 3>(simd),
            4 => self.rows::<S, 4>(simd),
            5 => self.rows::<S, 5>(simd),
            _ => self.rows::<S, 6>(simd),
        }
    }
}

/// [`GramBars`] of one sample and output, given `Y`; see [`WeighedBars::run`].
pub(crate) struct WeighedBars<'a, F> {
    /// Rows, and width of the stage.
    pub size: (usize, usize),
    pub a: Rows<'a, F>,
    /// `Y = B A` (k, p).
    pub y: &'a [F],
    pub c: &'a [F],
    /// (k, p) and (p).
    pub a_bar: Gather<'a, F>,
    pub c_bar: Gather<'a, F>,
}

impl<F: Real> WeighedBars<'_, F> {
    /// `A_bar += 2 Y . C` and `C_bar += sum_a A . Y`.
    pub fn run(self) {
        let (k, p) = self.size;
        assert!(self.a.holds((1, k, p)) && self.y.len() >= k * p && self.c.len() >= p);
        assert!(self.a_bar.data.len() >= k * p && self.c_bar.data.len() >= p);
        Arch::new().dispatch(self);
    }
}

impl<F: Real> WithSimd for WeighedBars<'_, F> {
    type Output = ();
    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { size: (k, p), a, y, c, a_bar, c_bar } = self;
        let (two, zero) = (F::splat(simd, F::of(2.0)), F::splat(simd, F::zero()));
        // SAFETY: `run` has asserted that every slice holds these rows of `p` entries.
        along(
            simd,
            p,
            #[inline(always)]
            |span| unsafe {
                let twice = F::fused(simd, two, span.load(c), zero);
                let mut sum = c_bar.begin(span, 0, zero);
                for i in 0..k {
                    let y = span.load_at(y, i * p);
                    sum = F::fused(simd, span.load_at(a.data, a.start(0, i)), y, sum);
                    let onto = a_bar.begin(span, i * p, zero);
                    span.store_at(a_bar.data, i * p, F::fused(simd, twice, y, onto));
                }
                span.store(c_bar.data, sum);
            },
        );
    }
}

/// See [`add_rows`].
struct AddRows<'a, F> {
    rows: usize,
    x: &'a [F],
    out: &'a mut [F],
}

impl<F: Real> WithSimd for AddRows<'_, F> {
    type Output = ();
    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { rows, x, out } = self;
        let (len, one) = (out.len(), F::splat(simd, F::one()));
        // SAFETY: `add_rows` has asserted that `x` holds these rows, each as long as `out`.
        along(
            simd,
            len,
            #[inline(always)]
            |span| unsafe {
                let mut sum = span.load(out);
                for i in 0..rows {
                    sum = F::fused(simd, one, span.load_at(x, i * len), sum);
                }
                span.store(out, sum);
            },
        );
    }
}

/// `out += sum_i x[i]` for the first `rows` rows of `x`, each as long as `out`.
pub(crate) fn add_rows<F: Real>(rows: usize, x: &[F], out: &mut [F]) {
    assert!(x.len() >= rows * out.len());
    Arch::new().dispatch(AddRows { rows, x, out });
}
