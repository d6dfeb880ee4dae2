//! The logistic distribution: what tanh, ln cosh, sigmoid, softplus and SiLU have in common, from one exponential.
#![allow(clippy::needless_range_loop)] // as in `sweep`: only loops by index are vectorised

use super::decay::Decay;
use super::elementary::{quick_two_sum, square};
use super::sweep::BLOCK;
use super::table::{MAX_ORDER, Row, Table, leibniz};
use super::zero::Zero;
use crate::Real;

/// s(a) = 1/(1 + exp(-a)) and its relatives at a >= 0; `c` and `p` are to be multiplied by the decay's `scale`.
pub(super) struct Logistic<F> {
    /// exp(-a).
    pub(super) decay: Decay<F>,
    /// s(a).
    pub(super) s: F,
    /// The complement 1 - s(a) = s(-a).
    pub(super) c: F,
    /// tanh(a/2) = s - c.
    pub(super) h: F,
    /// s'(a) = s c.
    pub(super) p: F,
    /// 1 + exp(-a) in two parts.
    sum: [F; 2],
    /// 1/sum[0].
    reciprocal: F,
}

/// (3 h^2 - 1)/2 = 0 at h = 1/sqrt(3).
const THIRD: Zero<9> = Zero {
    at: [1.3169578969248168, -8.682250844852022e-17],
    radius: 0.0625,
    single: 5,
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
    /// From exp(-a): one division, then quotients to which their remainders are added.
    #[inline(always)]
    pub(super) fn new(decay: Decay<F>) -> Self {
        let (sum, sum_low) = quick_two_sum(F::one(), decay.exp);
        let reciprocal = F::one() / sum;
        let (x, rough) = (decay.exp, decay.exp * reciprocal);
        let remainder = (-rough).mul_add(sum_low, (-rough).mul_add(sum, x));
        let c = (remainder + decay.rounding()).mul_add(reciprocal, rough);
        let (x, rough) = (decay.complement().0, decay.complement().0 * reciprocal);
        let remainder = (-rough).mul_add(sum_low, (-rough).mul_add(sum, x));
        let h = remainder.mul_add(reciprocal, rough);
        Self { s: F::one() - c, c, h, p: (-c).mul_add(c, c), decay, sum: [sum, sum_low], reciprocal }
    }

    /// What rounding took from the quotient of x and 1 + exp(-a).
    #[inline(always)]
    fn remainder(&self, quotient: F, (x, x_low): (F, F)) -> F {
        let [sum, sum_low] = self.sum;
        let low = (-quotient).mul_add(sum_low + self.decay.exp_low(), x_low);
        ((-quotient).mul_add(sum, x) + low) * self.reciprocal
    }

    /// What rounding took from `s`.
    #[inline(always)]
    pub(super) fn s_low(&self) -> F {
        self.remainder(self.s, (F::one(), F::zero()))
    }

    /// What rounding took from `h`.
    #[inline(always)]
    pub(super) fn h_low(&self) -> F {
        self.remainder(self.h, self.decay.complement())
    }

    /// What rounding took from `p`.
    #[inline(always)]
    pub(super) fn p_low(&self) -> F {
        let Self { c, h, p, .. } = *self;
        let c_low = self.remainder(c, (self.decay.exp, self.decay.exp_low()));
        h.mul_add(c_low, (-c).mul_add(c, c - p))
    }

    /// 1 - 6 p = (3 h^2 - 1)/2, the factor of the third derivatives.
    #[inline(always)]
    pub(super) fn one_minus_6p(&self, a: F) -> F {
        let (half, one, two, three) = (F::of(0.5), F::one(), F::of(2.0), F::of(3.0));
        let (high, low) = square(self.h);
        let low = (two * self.h).mul_add(self.h_low(), low);
        THIRD.repair(a, half * three.mul_add(low, three.mul_add(high, -one)))
    }
}

/// p = s'(y) and its derivatives, from p' = -tanh(y/2) p, differentiated by Leibniz' rule; those of tanh(y/2) are twice
/// those of s.
pub(super) struct Bump<F> {
    /// A factor to be applied last, as in [`Decay`].
    pub(super) scale: Row<F>,
    /// The derivatives without it; far out, where there is a factor, they are nothing beside tanh(y/2) even so.
    pub(super) p: Table<F>,
    /// tanh(y/2).
    pub(super) h: Row<F>,
}

impl<F: Real> Bump<F> {
    /// The derivatives up to `order` at y + `low`.
    #[inline(always)]
    pub(super) fn new(order: usize, y: &Row<F>, low: &Row<F>) -> Self {
        let mut scale = [F::zero(); BLOCK];
        let (mut p, mut h) = ([[F::zero(); BLOCK]; MAX_ORDER + 1], [[F::zero(); BLOCK]; MAX_ORDER + 1]);
        for l in 0..BLOCK {
            let low = if y[l] < F::zero() { -low[l] } else { low[l] };
            let logistic = Logistic::new(Decay::with_low(y[l].abs(), low));
            (p[0][l], h[0][l], scale[l]) = (logistic.p, logistic.h.copysign(y[l]), logistic.decay.scale);
        }
        for n in 1..=order {
            let sum = leibniz(n - 1, &h, &p);
            for l in 0..BLOCK {
                p[n][l] = -sum[l];
                h[n][l] = F::of(2.0) * p[n - 1][l];
            }
        }
        Self { scale, p, h: h[0] }
    }
}
