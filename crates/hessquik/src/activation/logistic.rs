//! The logistic distribution: what tanh, ln cosh, sigmoid, softplus and SiLU have in common, from one exponential.
use super::elementary::{Decay, Elementary, distance, divide, quick_two_sum, tanh_near};

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

/// Where s'''(a) vanishes: h = 1/sqrt(3).
const THIRD: Zero =
    Zero { a: [1.3169578969248168, -8.682250844852022e-17], h: 0.5773502691896257, g: 0.4226497308103742 };

impl<F: Elementary> Logistic<F> {
    /// At a + `low`, where `low` is the rounding error of a >= 0.
    #[inline(always)]
    pub(super) fn new(a: F, low: F) -> Self {
        let decay = Decay::new(a, low);
        let (sum, sum_low) = quick_two_sum(F::one(), decay.exp);
        let sum_low = sum_low + decay.exp_low;
        let reciprocal = F::one() / sum;
        let over_sum = |x: F, x_low: F| divide([x, x_low], [sum, sum_low], reciprocal);
        let s = over_sum(F::one(), F::zero());
        let c = over_sum(decay.exp, decay.exp_low);
        let h = -over_sum(decay.expm1, decay.expm1_low);
        // in the middle (1 - h^2)/4 has fewer roundings
        let quarter = F::of(0.25);
        let p = if h < F::of(0.6) { (-quarter * h).mul_add(h, quarter) } else { s * c };
        Self { decay, s, c, h, p }
    }

    /// h(a) - h(zero), for |a - zero| <= 1: tanh(x) - tanh(y) = tanh(x - y) (1 - tanh(x) tanh(y)).
    #[inline(always)]
    pub(super) fn h_from(&self, zero: &Zero, distance: F) -> F {
        let one_minus_h = F::of(2.0) * self.c;
        tanh_near(F::of(0.5) * distance) * one_minus_h.mul_add(F::of(zero.h), F::of(zero.g))
    }

    /// 1 - 6 p = (3 h^2 - 1)/2, the factor of the third derivatives.
    #[inline(always)]
    pub(super) fn one_minus_6p(&self, a: F) -> F {
        let distance = distance(a, THIRD.a);
        let below = (F::of(1.5) * self.h).mul_add(self.h, F::of(-0.5));
        let near = self.h_from(&THIRD, distance) * F::of(1.5).mul_add(self.h, F::of(1.5 * THIRD.h));
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
