//! The antiderivative of the hyperbolic tangent.
use super::elementary::{Decay, divide, log1p, square};
use super::logistic::Logistic;
use super::sweep::Kernel;
use crate::Real;

/// ln cosh z and its derivatives, those of [`Tanh`](super::tanh::Tanh) one order up.
///
/// With e = exp(-2|z|), ln cosh z = |z| - ln 2 + ln(1 + e). Below |z| = 1, where that cancels, cosh^2 = 1 + sinh^2 gives
/// ln cosh z = ln(1 + sinh^2 z)/2 with sinh^2 z = (e - 1)^2/(4 e).
#[derive(Clone, Copy)]
pub(super) struct AntiTanh;

/// (e - 1)^2/(4 e), right to the last place but one: the logarithm adds errors of its own.
#[inline(always)]
fn sinh_squared<F: Real>(decay: &Decay<F>) -> F {
    let (complement, complement_low) = decay.complement();
    let (high, low) = square(complement);
    let low = (F::of(2.0) * complement).mul_add(complement_low, low);
    let four = F::of(4.0);
    let below = [four * decay.exp, four * decay.exp_low()];
    divide([high, low], below, F::one() / below[0]).0
}

impl<F: Real> Kernel<F> for AntiTanh {
    #[inline(always)]
    fn jet(self, z: F) -> [F; 4] {
        let a = z.abs();
        let Logistic { decay, h, p, .. } = Logistic::new(Decay::new(F::of(2.0) * a));
        let Decay { exp, scale, .. } = decay;
        let inner = a < F::one();
        let log = log1p(if inner { sinh_squared(&decay) } else { exp });
        let value = if inner { F::of(0.5) * log } else { (a - F::LN_2_HIGH) + (log - F::LN_2_LOW) };
        let h = h.copysign(z);
        [value, h, F::of(4.0) * p * scale, F::of(-8.0) * h * p * scale]
    }
}
