//! Pointwise activations: the value and the first three derivatives at each point.
//!
//! The built-in activations are accurate to a few units in the last place over the whole line, in both tails, at the
//! zeros of the derivatives and among subnormal results, in `f32` and in `f64` (`tests/activations.rs` has the bounds).
//! Infinite points give the limits; NaN gives NaN at every order, constant derivatives included, so that a bad point is
//! noticed.
//!
//! Each file of this module is one activation: its formulas, and one branch-free kernel for all four results. `sweep`
//! runs kernels over slices, `decay` and `elementary` have the underlying exponential and logarithm, and `zero` handles
//! points where derivatives vanish.
mod anti_tanh;
mod atan;
mod cos;
mod decay;
mod elementary;
mod elu;
mod erf;
mod exp;
mod gaussian;
mod gelu;
mod identity;
mod list;
mod logistic;
mod mish;
mod pointwise;
mod power;
mod quadratic;
mod relu;
mod scaled;
mod sigmoid;
mod silu;
mod sin;
mod softplus;
mod square;
mod squareplus;
mod sweep;
mod table;
mod tanh;
mod tanh_gelu;
mod trigonometric;
mod visit;
mod wide;
mod zero;

pub(crate) use elementary::Elementary;
// for the tensors of `hessquik-burn`
#[doc(hidden)]
pub use atan::TAIL as ATAN_TAIL;
#[doc(hidden)]
pub use erf::TAIL as ERF_TAIL;
pub use list::{Activation, ActivationKind, ActivationSpec, PlainActivationSpec};
pub use pointwise::Pointwise;
pub use table::MAX_ORDER;
#[allow(unused_imports)] // for callers that keep the derivatives
pub(crate) use table::compose;

use crate::{Error, Real};
use ndarray::{Array, ArrayBase, Data, Dimension};
use std::sync::Arc;

/// Thresholds of softplus from this one on change nothing.
const SMOOTH: f64 = 15.0;

/// The value of beta z above which a softplus of this `threshold` is the identity: the threshold if it is below 15, and
/// infinity otherwise.
///
/// hessQuik's default threshold of 20 only guards against overflow. There the formula and the identity differ by 2e-9:
/// the value would lose digits, and the second derivative all of its digits, so this threshold is not applied.
///
/// ```
/// assert_eq!(hessquik::softplus_cut(3.0), 3.0);
/// assert_eq!(hessquik::softplus_cut(20.0), f64::INFINITY);
/// ```
pub fn softplus_cut(threshold: f64) -> f64 {
    if threshold < SMOOTH { threshold } else { f64::INFINITY }
}

impl Activation {
    /// Softplus with hessQuik's defaults, beta = 1 and threshold = 20.
    pub fn softplus() -> Self {
        Self::Softplus { beta: 1.0, threshold: 20.0 }
    }

    /// a act(b z); if `act` is already scaled, the factors are multiplied.
    ///
    /// ```
    /// use hessquik::Activation;
    /// // the tanh of LeCun's "Efficient BackProp"
    /// let act = Activation::scaled(1.7159, Activation::Tanh, 2.0 / 3.0);
    /// assert_eq!(act.jet(0.0)[1], 1.7159 * 2.0 / 3.0);
    /// ```
    pub fn scaled(a: f64, act: Self, b: f64) -> Self {
        match act {
            Self::Scaled { act, a: inner_a, b: inner_b } => Self::Scaled { act, a: a * inner_a, b: b * inner_b },
            act => Self::Scaled { act: Box::new(act), a, b },
        }
    }

    /// A user-defined activation; see [`Pointwise`] for an example.
    pub fn custom(f: impl Pointwise + 'static) -> Self {
        Self::Custom(Arc::new(f))
    }

    /// The value and the first three derivatives at `z`; NaN if a setting is invalid in this precision.
    ///
    /// ```
    /// use hessquik::Activation;
    /// assert_eq!(Activation::Tanh.jet(0.0), [0.0, 1.0, 0.0, -2.0]);
    /// // far in the tail the derivatives keep all their digits
    /// assert_eq!(Activation::Sigmoid.jet(50.0_f64)[1], (-50.0_f64).exp());
    /// ```
    pub fn jet<F: Real>(&self, z: F) -> [F; 4] {
        if self.check_in::<F>().is_err() {
            return [F::nan(); 4];
        }
        self.visit(visit::Once { z })
    }

    /// Whether `other` is the same function, settings included.
    pub(crate) fn same(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Custom(a), Self::Custom(b)) => Arc::ptr_eq(a, b),
            (Self::Scaled { act, a, b }, Self::Scaled { act: other, a: c, b: d }) => {
                (a, b) == (c, d) && act.same(other)
            }
            _ => self.describe().is_some_and(|own| other.describe() == Some(own)),
        }
    }

    /// The derivatives of orders 0 (the value) up to `order`, at most 3, at every entry of `z`: an array or view of any
    /// shape and strides. Each result has the shape of `z`.
    ///
    /// ```
    /// use hessquik::Activation;
    /// use ndarray::array;
    ///
    /// let z = array![[0.0, 1.0, 2.0], [3.0, 4.0, f64::INFINITY]];
    /// let derivatives = Activation::Quadratic.evaluate(&z.t(), 2)?;
    /// assert_eq!(derivatives[0], array![[0.0, 4.5], [0.5, 8.0], [2.0, f64::INFINITY]]);
    /// assert_eq!(derivatives[1], z.t());
    /// assert_eq!(derivatives[2], array![[1.0, 1.0], [1.0, 1.0], [1.0, 1.0]]);
    /// # Ok::<(), hessquik::Error>(())
    /// ```
    pub fn evaluate<F: Real, S: Data<Elem = F>, D: Dimension>(
        &self,
        z: &ArrayBase<S, D>,
        order: usize,
    ) -> Result<Vec<Array<F, D>>, Error> {
        self.check_in::<F>()?;
        if order > 3 {
            return Err(Error::setting("order", order, "0, 1, 2 or 3"));
        }
        let z = z.as_standard_layout();
        let points = z.as_slice().expect("standard layout");
        let mut out: Vec<Array<F, D>> = (0..=order).map(|_| Array::zeros(z.raw_dim())).collect();
        let mut slices: [&mut [F]; 4] = Default::default();
        for (slice, array) in slices.iter_mut().zip(&mut out) {
            *slice = array.as_slice_mut().expect("standard layout");
        }
        self.fill(order, points, slices);
        Ok(out)
    }

    /// Fills `out[0 ..= order]` with the derivatives of these orders at every entry of `z` (slices of equal length);
    /// the slices of higher orders are left alone and may be empty. Entry by entry the same numbers as [`jet`](Self::jet).
    pub(crate) fn fill<F: Real>(&self, order: usize, z: &[F], out: [&mut [F]; 4]) {
        self.visit(visit::Fill { order, z, out });
    }

    /// Whether the setting makes sense in this precision.
    pub(crate) fn check_in<F: Real>(&self) -> Result<(), Error> {
        self.check()?;
        let (least, most) = (F::min_positive_value(), F::max_value());
        match *self {
            Self::Softplus { beta, .. } if beta < least.as_f64() || beta > most.as_f64() => {
                let wanted = format!("a number between {least:e} and {most:e}, the normal numbers of {}", F::NAME);
                Err(Error::setting("softplus: beta", format!("{beta:e}"), wanted))
            }
            _ => Ok(()),
        }
    }

    /// The highest order of derivatives that there is.
    fn most(&self) -> usize {
        match self {
            Self::Custom(f) => f.max_order().clamp(3, MAX_ORDER),
            Self::Scaled { act, .. } => act.most(),
            _ => MAX_ORDER,
        }
    }

    /// Whether there are derivatives up to `order`, for whoever calls [`derivatives_into`](Self::derivatives_into) and
    /// [`taylor_into`](Self::taylor_into).
    pub(crate) fn check_order(&self, order: usize) -> Result<(), Error> {
        let most = self.most();
        if order > most {
            return Err(Error::Order { activation: self.name().into(), order, most });
        }
        Ok(())
    }

    /// Fills `out[j]` with the j-th derivatives at every entry of `z`: plain derivatives, not divided by j!. The order is
    /// `out.len() - 1`, which [`check_order`](Self::check_order) must accept; all slices have the length of `z`.
    ///
    /// Orders 0 to 3 are the numbers of [`fill`](Self::fill).
    pub(crate) fn derivatives_into<F: Real>(&self, z: &[F], out: &mut [&mut [F]]) {
        self.visit(visit::Derivatives { z, out });
    }

    /// Fills `out[k]` with the k-th Taylor coefficients of act(z(t)), entry by entry, where `z[j]` holds the j-th of z(t)
    /// (derivatives divided by j!): a slice for each order, an entry for each feature and point. `z` may have fewer rows
    /// than `out`, the missing ones are zero; with `z[..k]` the last of `out` is what this node adds to the k-th.
    ///
    /// The order is `out.len() - 1`, which [`check_order`](Self::check_order) must accept. Needs no scratch memory. Whoever
    /// keeps the derivatives for a pullback calls [`derivatives_into`](Self::derivatives_into), then [`compose`].
    pub(crate) fn taylor_into<F: Real>(&self, z: &[&[F]], out: &mut [&mut [F]]) {
        self.visit(visit::Taylor { z, out });
    }

    /// The Taylor coefficients of act(z(t)) from those of z(t): `z[j]` is the j-th derivative of z(t) at t = 0 over j!.
    ///
    /// ```
    /// use hessquik::Activation;
    /// // tanh t = t - t^3/3 + 2 t^5/15 - ...
    /// let series = Activation::Tanh.taylor(&[0.0_f64, 1.0, 0.0, 0.0, 0.0, 0.0])?;
    /// for (found, expected) in series.iter().zip([0.0, 1.0, 0.0, -1.0 / 3.0, 0.0, 2.0 / 15.0]) {
    ///     assert!((found - expected).abs() < 1e-15);
    /// }
    /// # Ok::<(), hessquik::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::Order`] for more than [`MAX_ORDER`]` + 1` coefficients, or more than a user-defined activation
    /// supports, [`Error::Setting`] for a bad setting of the activation or no coefficients.
    pub fn taylor<F: Real>(&self, z: &[F]) -> Result<Vec<F>, Error> {
        self.check()?;
        if z.is_empty() {
            return Err(Error::setting("the number of Taylor coefficients", 0, "at least 1"));
        }
        self.check_order(z.len() - 1)?;
        let mut series = vec![F::zero(); z.len()];
        let mut out: Vec<_> = series.iter_mut().map(std::slice::from_mut).collect();
        self.taylor_into(&z.iter().map(std::slice::from_ref).collect::<Vec<_>>(), &mut out);
        Ok(series)
    }

    /// The derivatives of orders 0 (the value) up to `order`, at most [`MAX_ORDER`], at every entry of `z`, an array or
    /// view of any shape. Orders 0 to 3 are the same numbers as those of [`evaluate`](Self::evaluate).
    ///
    /// Above order 3 the error is below 1e-13 of the derivative's size nearby, in both tails, in double precision,
    /// unless f' or exp(-|z|) is subnormal there.
    ///
    /// ```
    /// use hessquik::Activation;
    /// use ndarray::array;
    /// let derivatives = Activation::Sin.derivatives(&array![0.0, 1.0], 5)?;
    /// assert_eq!(derivatives[5], Activation::Sin.evaluate(&array![0.0, 1.0], 1)?[1]);
    /// # Ok::<(), hessquik::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::Order`] for an order above [`MAX_ORDER`], or above what a user-defined activation supports,
    /// [`Error::Setting`] for a bad setting of the activation.
    pub fn derivatives<F: Real, S: Data<Elem = F>, D: Dimension>(
        &self,
        z: &ArrayBase<S, D>,
        order: usize,
    ) -> Result<Vec<Array<F, D>>, Error> {
        self.check()?;
        self.check_order(order)?;
        let z = z.as_standard_layout();
        let mut out: Vec<Array<F, D>> = (0..=order).map(|_| Array::zeros(z.raw_dim())).collect();
        let mut rows: Vec<_> = out.iter_mut().map(|array| array.as_slice_mut().expect("standard layout")).collect();
        self.derivatives_into(z.as_slice().expect("standard layout"), &mut rows);
        Ok(out)
    }
}
