//! The Gaussian bell.
use super::elementary::{Decay, Elementary, at_most, square};
use super::sweep::Kernel;

/// f = exp(-z^2), f' = -2 z f, f'' = (4 z^2 - 2) f, f''' = 4 z (3 - 2 z^2) f.
///
/// z^2 is taken in two parts: its rounding error is a relative error of f, and the brackets cancel near their zeros.
#[derive(Clone, Copy)]
pub(super) struct Gaussian;

impl<F: Elementary> Kernel<F> for Gaussian {
    #[inline(always)]
    fn jet(self, z: F) -> [F; 4] {
        // beyond, everything is zero; the bound keeps the brackets finite
        let z = at_most(z.abs(), F::of(1.5) * F::DECAY_END.sqrt()).copysign(z);
        let (high, low) = square(z);
        let Decay { exp, scale, .. } = Decay::new(high, low);
        [
            exp * scale,
            F::of(-2.0) * z * exp * scale,
            F::of(4.0) * ((high - F::of(0.5)) + low) * exp * scale,
            F::of(8.0) * (z * ((F::of(1.5) - high) - low)) * exp * scale,
        ]
    }
}
