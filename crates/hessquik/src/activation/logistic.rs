//! The logistic distribution: what tanh, ln cosh, sigmoid, softplus and SiLU have in common, from one exponential.
use super::elementary::{Decay, divide, quick_two_sum, square};
use super::zero::Zero;
use crate::Real;

/// s(a) = 1/(1 + exp(-a)) and its relatives at a >= 0; `c` and `p` are to be multiplied by the decay's `scale`.
pub(super) struct Logistic<F> {
    /// exp(-a).
    pub(super) decay: Decay<F>,
    /// s(a).
    pub(super) s: F,
    /// What rounding took from `s`.
    pub(super) s_low: F,
    /// The complement 1 - s(a) = s(-a).
    pub(super) c: F,
    /// tanh(a/2) = s - c.
    pub(super) h: F,
    /// What rounding took from `h`.
    pub(super) h_low: F,
    /// s'(a) = s c.
    pub(super) p: F,
}

/// (3 h^2 - 1)/2 = 0 at h = 1/sqrt(3).
const THIRD: Zero<9> = Zero {
    at: [1.3169578969248168, -8.682250844852022e-17],
    radius: 0.0625,
    quotient: [
        0.5773502691896257,
        -2.2260862693939246e-17,
        -0.09622504486493776,
        0.027777777777853795,
        0.004811252243682788,
        -0.0046296296997711825,
        0.0006491368056792385,
        0.00034724623057586244,
        -0.00015737409676356372,
    ],
};

impl<F: Real> Logistic<F> {
    /// At a + `low`, where `low` is the rounding error of a >= 0.
    #[inline(always)]
    pub(super) fn new(a: F, low: F) -> Self {
        let decay = Decay::new(a, low);
        let (sum, sum_low) = quick_two_sum(F::one(), decay.exp);
        let sum = [sum, sum_low + decay.exp_low];
        let reciprocal = F::one() / sum[0];
        let (s, s_low) = divide([F::one(), F::zero()], sum, reciprocal);
        let (c, c_low) = divide([decay.exp, decay.exp_low], sum, reciprocal);
        let (h, h_low) = divide([-decay.expm1, -decay.expm1_low], sum, reciprocal);
        let p = s.mul_add(c, s.mul_add(c_low, s_low * c));
        Self { decay, s, s_low, c, h, h_low, p }
    }

    /// 1 - 6 p = (3 h^2 - 1)/2, the factor of the third derivatives.
    #[inline(always)]
    pub(super) fn one_minus_6p(&self, a: F) -> F {
        let (half, one, two, three) = (F::of(0.5), F::one(), F::of(2.0), F::of(3.0));
        let (high, low) = square(self.h);
        let low = (two * self.h).mul_add(self.h_low, low);
        THIRD.repair(a, half * three.mul_add(low, three.mul_add(high, -one)))
    }
}
