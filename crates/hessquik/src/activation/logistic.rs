//! The logistic distribution: what tanh, ln cosh, sigmoid, softplus and SiLU have in common, from one exponential.
use super::elementary::{Decay, Elementary, tanh_near};

/// s(a) = 1/(1 + exp(-a)) and its relatives at a >= 0.
pub(super) struct Logistic<F> {
    /// exp(-a), to be multiplied by `scale`.
    pub(super) exp: F,
    /// exp(-a) - 1.
    pub(super) expm1: F,
    /// s(a); 1 - s(a) = s(-a) is `exp * s`.
    pub(super) s: F,
    /// tanh(a/2) = 2 s - 1.
    pub(super) h: F,
    /// s (1 - s) = (1 - h^2)/4, to be multiplied by `scale`.
    pub(super) p: F,
    /// See [`Decay`].
    pub(super) scale: F,
}

/// A point a where some derivative vanishes, in two parts, and h(a) there.
///
/// Near it the derivative is written with a - `a`, which is exact, and h - `h`; subtracting rounded terms would leave noise.
pub(super) struct Zero {
    pub(super) a: [f64; 2],
    pub(super) h: f64,
    /// 1 - h.
    pub(super) g: f64,
}

impl Zero {
    /// a minus this point.
    #[inline(always)]
    pub(super) fn distance<F: Elementary>(&self, a: F) -> F {
        let (high, low) = F::two_parts(self.a[0], self.a[1]);
        (a - high) - low
    }
}

/// Where s'''(a) vanishes: h = 1/sqrt(3).
const THIRD: Zero =
    Zero { a: [1.3169578969248168, -8.682250844852022e-17], h: 0.5773502691896257, g: 0.4226497308103742 };

impl<F: Elementary> Logistic<F> {
    /// At a + `low`, where `low` is the rounding error of a >= 0.
    #[inline(always)]
    pub(super) fn new(a: F, low: F) -> Self {
        let one = F::one();
        let Decay { exp, expm1, scale } = Decay::new(a, low);
        // the reciprocal of 1 + exp, corrected for the rounding of the sum and of the division
        let sum = one + exp;
        let sum_low = exp - (sum - one);
        let s = one / sum;
        let s = s.mul_add((-sum).mul_add(s, one) - sum_low * s, s);
        Self { exp, expm1, s, h: -expm1 * s, p: exp * s * s, scale }
    }

    /// h(a) - h(zero), for |a - zero| <= 1: tanh(x) - tanh(y) = tanh(x - y) (1 - tanh(x) tanh(y)).
    #[inline(always)]
    pub(super) fn h_from(&self, zero: &Zero, distance: F) -> F {
        let one_minus_h = F::of(2.0) * self.exp * self.s;
        tanh_near(F::of(0.5) * distance) * one_minus_h.mul_add(F::of(zero.h), F::of(zero.g))
    }

    /// 1 - 6 p = (3 h^2 - 1)/2, the factor of the third derivatives.
    #[inline(always)]
    pub(super) fn one_minus_6p(&self, a: F) -> F {
        let distance = THIRD.distance(a);
        let below = (F::of(1.5) * self.h).mul_add(self.h, F::of(-0.5));
        let near = F::of(1.5) * self.h_from(&THIRD, distance) * (self.h + F::of(THIRD.h));
        let above = F::of(-6.0).mul_add(self.p, F::one());
        if distance < F::of(-0.5) {
            below
        } else if distance > F::one() {
            above
        } else {
            near
        }
    }
}
