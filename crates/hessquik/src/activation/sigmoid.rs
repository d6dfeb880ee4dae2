//! The logistic function.
use super::decay::Decay;
use super::logistic::Logistic;
use super::sweep::Kernel;
use crate::Real;

/// s = 1/(1 + exp(-z)), s' = s (1 - s) = p, s'' = p (1 - 2 s) = -p tanh(z/2), s''' = p (1 - 6 p).
#[derive(Clone, Copy)]
pub(super) struct Sigmoid;

impl<F: Real> Kernel<F> for Sigmoid {
    #[inline(always)]
    fn jet(self, z: F) -> [F; 4] {
        let a = z.abs();
        let logistic = Logistic::new(Decay::new(a));
        let Logistic { s, c, h, p, ref decay, .. } = logistic;
        let scale = decay.scale;
        [
            if z < F::zero() { c * scale } else { s },
            p * scale,
            -(h.copysign(z) * p) * scale,
            p * logistic.one_minus_6p(a) * scale,
        ]
    }
}
