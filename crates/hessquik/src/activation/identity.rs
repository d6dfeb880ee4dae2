//! No activation.
use super::sweep::Kernel;
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
