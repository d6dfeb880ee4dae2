//! The Gaussian bell.
use super::decay::Decay;
use super::elementary::{at_most, square};
use super::sweep::Kernel;
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
