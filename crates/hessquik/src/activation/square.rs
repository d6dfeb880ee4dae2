//! The square.
use super::sweep::Kernel;
use super::table::{Higher, Row, Table};
use crate::Real;

/// z^2, 2 z, 2, 0.
#[derive(Clone, Copy)]
pub(super) struct Square;

impl<F: Real> Kernel<F> for Square {
    #[inline(always)]
    fn jet(self, z: F) -> [F; 4] {
        let constant = |c: F| if z.is_nan() { z } else { c };
        [z * z, z + z, constant(F::of(2.0)), constant(F::zero())]
    }
}

impl<F: Real> Higher<F> for Square {
    #[inline(always)]
    fn higher(self, order: usize, _z: &Row<F>, d: &mut Table<F>) {
        for j in 4..=order {
            d[j] = d[3];
        }
    }
}
