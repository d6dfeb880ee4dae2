//! The hyperbolic tangent.
use super::decay::Decay;
use super::logistic::Logistic;
use super::sweep::Kernel;
use crate::Real;

/// t = tanh z, with a = 2|z|: |t| = h, t' = 1 - t^2 = 4 p, t'' = -2 t t' = -8 h p, t''' = -2 t' (1 - 3 t^2) = 16 p (1 - 6 p).
#[derive(Clone, Copy)]
pub(super) struct Tanh;

impl<F: Real> Kernel<F> for Tanh {
    #[inline(always)]
    fn jet(self, z: F) -> [F; 4] {
        let a = F::of(2.0) * z.abs();
        let logistic = Logistic::new(Decay::new(a));
        let Logistic { h, p, ref decay, .. } = logistic;
        let scale = decay.scale;
        let h = h.copysign(z);
        let first = p * (F::of(4.0) * scale);
        [h, first, F::of(-2.0) * h * first, F::of(16.0) * (p * logistic.one_minus_6p(a)) * scale]
    }
}
