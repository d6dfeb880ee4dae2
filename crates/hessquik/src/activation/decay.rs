//! The exponential that decays.
use super::elementary::{at_most, quick_two_sum};
use crate::Real;

/// exp(-x) for x >= 0, right to one unit in the last place, and what it takes to know it and exp(-x) - 1 better.
///
/// Up to `FAR` it is `exp`. Beyond, it is `exp * scale`, where `scale` is a power of two: multiplying by that last is
/// what keeps results like 16 exp(-x) accurate where exp(-x) itself has lost bits to underflow. So far out `exp`, though
/// too large, is still nothing beside 1.
pub(super) struct Decay<F> {
    pub(super) exp: F,
    pub(super) scale: F,
    /// -x = k ln 2 + r, 2^k.
    power: F,
    /// expm1(r).
    small: F,
    /// What rounding took from `small`.
    small_low: F,
}

impl<F: Real> Decay<F> {
    /// For x >= 0.
    #[inline(always)]
    pub(super) fn new(x: F) -> Self {
        Self::reduced(
            x,
            #[inline(always)]
            |k| k * F::LN_2_LOW,
        )
    }

    /// For x + `low`, where `low` is the rounding error of x >= 0.
    #[inline(always)]
    pub(super) fn with_low(x: F, low: F) -> Self {
        Self::reduced(
            x,
            #[inline(always)]
            |k| k.mul_add(F::LN_2_LOW, low),
        )
    }

    /// With -x = k ln 2 + r, expm1(r) = r + tail: exp = 2^k (1 + r + tail).
    #[inline(always)]
    fn reduced(x: F, minus_rest: impl Fn(F) -> F) -> Self {
        let x = at_most(x, F::DECAY_END);
        let far = x > F::FAR;
        let rounded = (-x).mul_add(F::LOG2_E(), F::ROUND_BIASED);
        let k = rounded - F::ROUND_BIASED;
        // exact
        let head = (-k).mul_add(F::LN_2_HIGH, -x);
        let rest = -minus_rest(k);
        let r = head + rest;
        let tail = (r * r).mul_add(F::exp_tail(r), rest);
        let (small, small_low) = quick_two_sum(head, tail);
        let power = F::power_of_two(rounded, far);
        Self {
            exp: power.mul_add(small, power),
            scale: if far { F::FAR_SCALE } else { F::one() },
            power,
            small,
            small_low,
        }
    }

    /// What the last rounding took from `exp`.
    #[inline(always)]
    pub(super) fn rounding(&self) -> F {
        self.power.mul_add(self.small, self.power - self.exp)
    }

    /// All that rounding took from `exp`.
    #[inline(always)]
    pub(super) fn exp_low(&self) -> F {
        self.power.mul_add(self.small_low, self.rounding())
    }

    /// 1 - exp(-x), and what rounding took from it.
    #[inline(always)]
    pub(super) fn complement(&self) -> (F, F) {
        let rest = F::one() - self.power;
        let complement = (-self.power).mul_add(self.small, rest);
        let low = (-self.power).mul_add(self.small, rest - complement);
        (complement, (-self.power).mul_add(self.small_low, low))
    }
}
