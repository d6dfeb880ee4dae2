//! The antiderivative of the hyperbolic tangent.
use super::decay::Decay;
use super::logistic::Logistic;
use super::sweep::Kernel;
use super::table::{Higher, Row, Table, leibniz, map};
use crate::Real;

/// ln cosh z and its derivatives, those of [`Tanh`](super::tanh::Tanh) one order up.
///
/// With e = exp(-2|z|), ln cosh z = |z| - ln 2 + ln(1 + e); below |z| = 1, where that cancels, a polynomial in z^2.
#[derive(Clone, Copy)]
pub(super) struct AntiTanh;

impl<F: Real> Kernel<F> for AntiTanh {
    #[inline(always)]
    fn jet(self, z: F) -> [F; 4] {
        let a = z.abs();
        let Logistic { decay: Decay { exp, scale, .. }, h, p, .. } = Logistic::new(Decay::new(F::of(2.0) * a));
        let square = a * a;
        let log = (exp * exp).mul_add(F::log1p_tail_near(exp), exp);
        let outer = (a - F::LN_2_HIGH) + (log - F::LN_2_LOW);
        let value = if a < F::one() { square * F::ln_cosh_quotient(square) } else { outer };
        let h = h.copysign(z);
        let second = p * (F::of(4.0) * scale);
        [value, h, second, F::of(-2.0) * h * second]
    }
}

impl<F: Real> Higher<F> for AntiTanh {
    /// As for [`Tanh`](super::tanh::Tanh), with f' in place of f.
    #[inline(always)]
    fn higher(self, order: usize, _z: &Row<F>, d: &mut Table<F>) {
        for j in 4..=order {
            let sum = leibniz(j - 3, &d[1..], &d[2..]);
            d[j] = map(&sum, |sum| F::of(-2.0) * sum);
        }
    }
}
