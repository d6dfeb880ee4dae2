//! The logistic function.
#![allow(clippy::needless_range_loop)] // as in `sweep`: only loops by index are vectorised

use super::decay::Decay;
use super::logistic::{Bump, Logistic};
use super::sweep::{BLOCK, Kernel};
use super::table::{Higher, Row, Table};
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

impl<F: Real> Higher<F> for Sigmoid {
    #[inline(always)]
    fn higher(self, order: usize, z: &Row<F>, d: &mut Table<F>) {
        let Bump { scale, p, .. } = Bump::new(order - 1, z, &[F::zero(); BLOCK]);
        for j in 4..=order {
            for l in 0..BLOCK {
                d[j][l] = p[j - 1][l] * scale[l];
            }
        }
    }
}
