//! No activation.
use super::sweep::Kernel;
use super::table::{Higher, Row, Table};
use crate::Real;

/// z, 1, 0, 0.
#[derive(Clone, Copy)]
pub(super) struct Identity;

impl<F: Real> Kernel<F> for Identity {
    #[inline(always)]
    fn jet(self, z: F) -> [F; 4] {
        let constant = |c: F| if z.is_nan() { z } else { c };
        [z, constant(F::one()), constant(F::zero()), constant(F::zero())]
    }
}

impl<F: Real> Higher<F> for Identity {
    #[inline(always)]
    fn higher(self, order: usize, _z: &Row<F>, d: &mut Table<F>) {
        for j in 4..=order {
            d[j] = d[3];
        }
    }
}
