//! The exponential.
use super::sweep::Kernel;
use super::table::{Higher, Row, Table, rounded};
use super::wide::{Exponential, Wide, scaled};
use crate::Real;

/// exp z, four times.
#[derive(Clone, Copy)]
pub(super) struct Exp;

impl<F: Real> Kernel<F> for Exp {
    #[inline(always)]
    fn jet(self, z: F) -> [F; 4] {
        let exp = Exponential::new(F::Wide::of(z.as_f64()));
        rounded(z, [scaled(exp.mantissa(), exp.k); 4])
    }
}

impl<F: Real> Higher<F> for Exp {
    #[inline(always)]
    fn higher(self, order: usize, _z: &Row<F>, d: &mut Table<F>) {
        for j in 4..=order {
            d[j] = d[0];
        }
    }
}
