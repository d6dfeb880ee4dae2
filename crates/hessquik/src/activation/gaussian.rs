//! The Gaussian bell.
#![allow(clippy::needless_range_loop)] // as in `sweep`: only loops by index are vectorised

use super::decay::Decay;
use super::elementary::{at_most, square};
use super::sweep::BLOCK;
use super::sweep::Kernel;
use super::table::{Higher, MAX_ORDER, Row, Table, map};
use crate::Real;

/// f = exp(-z^2), f' = -2 z f, f'' = (4 z^2 - 2) f, f''' = 4 z (3 - 2 z^2) f.
///
/// z^2 is taken in two parts, as its rounding error would be a relative error of f; fused, the brackets are right to the
/// last place even where they cancel.
#[derive(Clone, Copy)]
pub(super) struct Gaussian;

impl<F: Real> Kernel<F> for Gaussian {
    #[inline(always)]
    fn jet(self, z: F) -> [F; 4] {
        // beyond, everything is zero; the bound keeps the brackets finite
        let z = at_most(z.abs(), F::of(1.5) * F::DECAY_END.sqrt()).copysign(z);
        let (high, low) = square(z);
        let Decay { exp, scale, .. } = Decay::with_low(high, low);
        [
            exp * scale,
            F::of(-2.0) * z * exp * scale,
            F::of(4.0) * z.mul_add(z, F::of(-0.5)) * exp * scale,
            F::of(8.0) * z * (-z).mul_add(z, F::of(1.5)) * exp * scale,
        ]
    }
}

impl<F: Real> Higher<F> for Gaussian {
    #[inline(always)]
    fn higher(self, order: usize, z: &Row<F>, d: &mut Table<F>) {
        let bell = Bell::new(F::one(), order, z);
        for j in 4..=order {
            for l in 0..BLOCK {
                d[j][l] = bell.d[j][l] * bell.scale[l];
            }
        }
    }
}

/// g = exp(-c z^2) and its derivatives, which are Hermite polynomials times g:
/// g^(j) = -2 c (z g^(j-1) + (j - 1) g^(j-2)), stable inside the zeros of the polynomials and outside.
pub(super) struct Bell<F> {
    /// The points, with those moved in where every derivative is zero.
    pub(super) z: Row<F>,
    /// A factor to be applied last, as in [`Decay`].
    pub(super) scale: Row<F>,
    /// The derivatives without it.
    pub(super) d: Table<F>,
}

impl<F: Real> Bell<F> {
    /// For c = 1/2 or 1.
    #[inline(always)]
    pub(super) fn new(c: F, order: usize, z: &Row<F>) -> Self {
        let bound = F::of(1.5) * F::DECAY_END.sqrt();
        let z = map(z, |z| at_most(z.abs(), bound).copysign(z));
        let (mut scale, mut d) = ([F::zero(); BLOCK], [[F::zero(); BLOCK]; MAX_ORDER + 1]);
        for l in 0..BLOCK {
            let (high, low) = square(z[l]);
            let decay = Decay::with_low(c * high, c * low);
            (d[0][l], scale[l]) = (decay.exp, decay.scale);
        }
        let factor = F::of(-2.0) * c;
        for j in 1..=order {
            for l in 0..BLOCK {
                let lower = if j > 1 { F::of((j - 1) as f64) * d[j - 2][l] } else { F::zero() };
                d[j][l] = factor * z[l].mul_add(d[j - 1][l], lower);
            }
        }
        Self { z, scale, d }
    }
}
