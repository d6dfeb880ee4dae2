//! The zeros of derivatives: what to do where terms cancel.
use crate::Real;

/// A point where a factor f of some derivative vanishes.
///
/// Close to it f(a) = d Q(d) with d = a - `at`, which is exact but for one rounding, and a polynomial Q; subtracting the
/// terms of f, each rounded, would leave noise. The numbers come from `tests/activations/fit_polynomials.py`.
pub(super) struct Zero<const N: usize> {
    /// In two parts.
    pub(super) at: [f64; 2],
    /// Q holds for |d| below.
    pub(super) radius: f64,
    /// So many of its coefficients do in single precision.
    pub(super) single: usize,
    /// The coefficients of Q, constant first.
    pub(super) quotient: [f64; N],
}

impl<const N: usize> Zero<N> {
    /// f(a): from Q close to the zero, `elsewhere` everywhere else.
    #[inline(always)]
    pub(super) fn repair<F: Real>(&self, a: F, elsewhere: F) -> F {
        let (high, low) = F::two_parts(self.at[0], self.at[1]);
        let d = (a - high) - low;
        let terms = F::terms(N, self.single);
        let mut quotient = F::of(self.quotient[terms - 1]);
        let mut i = terms - 1;
        while i > 0 {
            i -= 1;
            quotient = quotient.mul_add(d, F::of(self.quotient[i]));
        }
        if d.abs() < F::of(self.radius) { d * quotient } else { elsewhere }
    }
}
