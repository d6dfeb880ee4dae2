//! The rectified linear unit, leaky or not, and the step.
use super::sweep::Kernel;
use super::table::{Higher, Row, Table};
use crate::Real;

/// z for z > 0, else `slope` z; the derivative jumps at 0 and counts as that of the left side there, and the second and
/// third are taken to be zero everywhere.
#[derive(Clone, Copy)]
pub(super) struct Relu<F> {
    slope: F,
}

impl<F: Real> Relu<F> {
    pub(super) fn new(slope: f64) -> Self {
        Self { slope: F::of(slope) }
    }
}

impl<F: Real> Kernel<F> for Relu<F> {
    #[inline(always)]
    fn jet(self, z: F) -> [F; 4] {
        let constant = |c: F| if z.is_nan() { z } else { c };
        let positive = z > F::zero();
        // zero times an infinite z is zero here
        let below = if self.slope == F::zero() { constant(F::zero()) } else { self.slope * z };
        [
            if positive { z } else { below },
            constant(if positive { F::one() } else { self.slope }),
            constant(F::zero()),
            constant(F::zero()),
        ]
    }
}

impl<F: Real> Higher<F> for Relu<F> {
    #[inline(always)]
    fn higher(self, order: usize, _z: &Row<F>, d: &mut Table<F>) {
        for j in 4..=order {
            d[j] = d[3];
        }
    }
}

/// 1 for z > 0, else 0; the derivatives are taken to be zero everywhere.
#[derive(Clone, Copy)]
pub(super) struct Step;

impl<F: Real> Kernel<F> for Step {
    #[inline(always)]
    fn jet(self, z: F) -> [F; 4] {
        let zero = if z.is_nan() { z } else { F::zero() };
        [if z > F::zero() { F::one() } else { zero }, zero, zero, zero]
    }
}

impl<F: Real> Higher<F> for Step {
    #[inline(always)]
    fn higher(self, order: usize, _z: &Row<F>, d: &mut Table<F>) {
        for j in 4..=order {
            d[j] = d[3];
        }
    }
}
