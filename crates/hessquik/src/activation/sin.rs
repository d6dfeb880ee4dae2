//! The sine.
use super::sweep::Kernel;
use super::table::{Higher, Row, Table};
use crate::Real;

/// sin z, cos z, -sin z, -cos z. NaN at the infinities.
#[derive(Clone, Copy)]
pub(super) struct Sin;

impl<F: Real> Kernel<F> for Sin {
    const HAS_RARE: bool = true;

    #[inline(always)]
    fn jet(self, z: F) -> [F; 4] {
        let (sin, cos) = F::sin_cos_near(z);
        [sin, cos, -sin, -cos]
    }

    /// Far out the reduction by multiples of pi/2 needs hundreds of bits.
    #[inline(always)]
    fn is_rare(self, z: F) -> bool {
        z.abs() > F::of(524_288.0)
    }

    #[inline(never)]
    fn rare(self, z: F) -> [F; 4] {
        let (sin, cos) = F::sin_cos_far(z);
        [sin, cos, -sin, -cos]
    }
}

impl<F: Real> Higher<F> for Sin {
    #[inline(always)]
    fn higher(self, order: usize, _z: &Row<F>, d: &mut Table<F>) {
        for j in 4..=order {
            d[j] = d[j - 4];
        }
    }
}
