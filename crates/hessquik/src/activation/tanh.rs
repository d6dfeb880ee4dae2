//! The hyperbolic tangent.
use super::decay::Decay;
use super::logistic::Logistic;
use super::sweep::Kernel;
use super::table::{Higher, Row, Table, leibniz, map};
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

impl<F: Real> Higher<F> for Tanh {
    /// t'' = -2 t t', differentiated by Leibniz' rule. t' stands for 1 - t^2, so that nothing cancels in the tails.
    #[inline(always)]
    fn higher(self, order: usize, _z: &Row<F>, d: &mut Table<F>) {
        for j in 4..=order {
            let sum = leibniz(j - 2, &d[..], &d[1..]);
            d[j] = map(&sum, |sum| F::of(-2.0) * sum);
        }
    }
}
