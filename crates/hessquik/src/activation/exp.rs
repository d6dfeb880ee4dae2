//! The exponential.
use super::elementary::{Elementary, at_most, quick_two_sum};
use super::sweep::Kernel;
use super::table::{Higher, Row, Table};
use super::wide::{Exponential, scale, scaled};
use crate::Real;

/// exp z, four times.
#[derive(Clone, Copy)]
pub(super) struct Exp;

impl<F: Real> Kernel<F> for Exp {
    #[inline(always)]
    fn jet(self, z: F) -> [F; 4] {
        [F::exponential(z); 4]
    }
}

/// exp z in single precision, by double precision.
#[inline(always)]
pub(super) fn single(z: f32) -> f32 {
    let exp = Exponential::<f64>::new(f64::from(z));
    let exact = scaled(exp.mantissa(), exp.k) as f32;
    if z.is_nan() { z } else { exact }
}

/// exp z in double precision, right to 0.6 units in the last place.
#[inline(always)]
pub(super) fn double(z: f64) -> f64 {
    // beyond, on either side, results have left the range
    let z = at_most(z, f64::DECAY_END);
    let z = if z < -f64::DECAY_END { -f64::DECAY_END } else { z };
    let k = z.mul_add(std::f64::consts::LOG2_E, f64::ROUND) - f64::ROUND;
    // z = k ln 2 + r, where the first product is exact: k has few bits
    let head = (-k).mul_add(f64::LN_2_HIGH, z);
    let rest = -(k * f64::LN_2_LOW);
    let r = head + rest;
    // expm1 r, and what rounding takes from it and from 1 + expm1 r
    let (small, small_low) = quick_two_sum(head, (r * r).mul_add(f64::exp_tail(r), rest));
    let (sum, low) = quick_two_sum(1.0, small);
    scale(sum + (low + small_low), k)
}

impl<F: Real> Higher<F> for Exp {
    #[inline(always)]
    fn higher(self, order: usize, _z: &Row<F>, d: &mut Table<F>) {
        for j in 4..=order {
            d[j] = d[0];
        }
    }
}
