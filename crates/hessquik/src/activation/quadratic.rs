//! Half the square.
use super::sweep::Kernel;
use super::table::{Higher, Row, Table};
use crate::Real;

/// z^2/2, z, 1, 0.
#[derive(Clone, Copy)]
pub(super) struct Quadratic;

impl<F: Real> Kernel<F> for Quadratic {
    #[inline(always)]
    fn jet(self, z: F) -> [F; 4] {
        let constant = |c: F| if z.is_nan() { z } else { c };
        // halved first: z^2 may overflow where z^2/2 does not
        [z * (F::of(0.5) * z), z, constant(F::one()), constant(F::zero())]
    }
}

impl<F: Real> Higher<F> for Quadratic {
    #[inline(always)]
    fn higher(self, order: usize, _z: &Row<F>, d: &mut Table<F>) {
        for j in 4..=order {
            d[j] = d[3];
        }
    }
}
