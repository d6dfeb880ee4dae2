//! The exponential.
use super::elementary::at_most;
use super::sweep::Kernel;
use super::table::{Higher, Row, Table};
use crate::Real;

/// exp z, four times.
#[derive(Clone, Copy)]
pub(super) struct Exp;

impl<F: Real> Kernel<F> for Exp {
    #[inline(always)]
    fn jet(self, z: F) -> [F; 4] {
        [exp(z); 4]
    }
}

/// exp z, right to less than one unit in the last place.
#[inline(always)]
fn exp<F: Real>(z: F) -> F {
    // beyond, on either side, results have left the range
    let z = at_most(z, F::DECAY_END);
    let z = if z < -F::DECAY_END { -F::DECAY_END } else { z };
    let k = z.mul_add(F::LOG2_E(), F::ROUND) - F::ROUND;
    // z = k ln 2 + r, where the first product is exact: k has few bits
    let head = (-k).mul_add(F::LN_2_HIGH, z);
    let rest = -(k * F::LN_2_LOW);
    let r = head + rest;
    // expm1 r
    let small = head + (r * r).mul_add(F::exp_tail(r), rest);
    // 2^k in two factors, since it may be out of range where the result is not
    let half = k.mul_add(F::of(0.5), F::ROUND) - F::ROUND;
    let power = |k: F| F::power_of_two(k + F::ROUND_BIASED, false);
    (F::one() + small) * power(half) * power(k - half)
}

impl<F: Real> Higher<F> for Exp {
    #[inline(always)]
    fn higher(self, order: usize, _z: &Row<F>, d: &mut Table<F>) {
        for j in 4..=order {
            d[j] = d[0];
        }
    }
}
