//! The cosine.
use super::sin::Sin;
use super::sweep::Kernel;
use super::table::{Higher, Row, Table};
use crate::Real;

/// cos z, -sin z, -cos z, sin z. NaN at the infinities.
#[derive(Clone, Copy)]
pub(super) struct Cos;

impl<F: Real> Kernel<F> for Cos {
    const HAS_RARE: bool = true;

    #[inline(always)]
    fn jet(self, z: F) -> [F; 4] {
        let [sin, cos, minus_sin, minus_cos] = Sin.jet(z);
        [cos, minus_sin, minus_cos, sin]
    }

    #[inline(always)]
    fn is_rare(self, z: F) -> bool {
        Sin.is_rare(z)
    }

    #[inline(never)]
    fn rare(self, z: F) -> [F; 4] {
        let [sin, cos, minus_sin, minus_cos] = Sin.rare(z);
        [cos, minus_sin, minus_cos, sin]
    }
}

impl<F: Real> Higher<F> for Cos {
    #[inline(always)]
    fn higher(self, order: usize, _z: &Row<F>, d: &mut Table<F>) {
        for j in 4..=order {
            d[j] = d[j - 4];
        }
    }
}
