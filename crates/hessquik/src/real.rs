//! The two floating-point types of the library, behind one trait.
use crate::activation::Elementary;
use crate::engine::{Compiled, Lanes};
use ndarray::{LinalgScalar, ScalarOperand};
use num_traits::{Float, FloatConst, NumAssign};
use std::fmt::{Debug, Display, LowerExp};
use std::iter::Sum;

/// `f32` or `f64`: the element type of networks, points and jets.
///
/// The trait is sealed: kernels are written and tested for these two types.
///
/// ```
/// use hessquik::Real;
/// assert_eq!(f32::NAME, "f32");
/// assert_eq!(<f32 as Real>::of(0.5), 0.5);
/// ```
#[diagnostic::on_unimplemented(message = "`{Self}` is not a precision of networks", note = "use `f32` or `f64`")]
pub trait Real:
    Elementary
    + Compiled
    + Lanes
    + Float
    + FloatConst
    + NumAssign
    + Sum
    + Default
    + Debug
    + Display
    + LowerExp
    + LinalgScalar
    + ScalarOperand
    + Send
    + Sync
    + 'static
{
    /// `"f32"` or `"f64"`.
    const NAME: &'static str;

    /// The nearest value to `x`.
    fn of(x: f64) -> Self;

    /// This value as `f64` (exact).
    fn as_f64(self) -> f64;
}

impl Real for f32 {
    const NAME: &'static str = "f32";
    #[inline(always)]
    fn of(x: f64) -> Self {
        x as f32
    }
    #[inline(always)]
    fn as_f64(self) -> f64 {
        f64::from(self)
    }
}

impl Real for f64 {
    const NAME: &'static str = "f64";
    #[inline(always)]
    fn of(x: f64) -> Self {
        x
    }
    #[inline(always)]
    fn as_f64(self) -> f64 {
        self
    }
}
