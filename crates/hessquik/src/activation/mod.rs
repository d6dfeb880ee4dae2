//! Pointwise activations: the value and the first three derivatives at each point.
//!
//! The built-in ones are right to a few units in the last place over the whole line, in both tails, at the zeros of the
//! derivatives and among subnormal results, in `f32` and in `f64` (`tests/activations.rs` has the bounds). Infinite
//! points give the limits; NaN gives NaN at every order, constant derivatives included, so that a bad point is seen.
//!
//! Each file of this module is one activation: its formulas, and one branch-free kernel for all four results. `sweep`
//! runs kernels over slices, `decay` and `elementary` have the exponential and logarithm beneath them, `zero` the care
//! taken where derivatives vanish.
mod anti_tanh;
mod decay;
mod elementary;
mod gaussian;
mod gelu;
mod identity;
mod logistic;
mod quadratic;
mod sigmoid;
mod silu;
mod sin;
mod softplus;
mod sweep;
mod table;
mod tanh;
mod trigonometric;
mod zero;

pub(crate) use elementary::Elementary;
pub use table::MAX_ORDER;
pub(crate) use table::compose;

use crate::{Error, Real};
use ndarray::{Array, ArrayBase, Data, Dimension};
use std::fmt::Debug;
use std::sync::Arc;

/// A pointwise activation of the user's own.
///
/// ```
/// use hessquik::{Activation, Pointwise};
///
/// /// z^4
/// #[derive(Debug)]
/// struct Quartic;
///
/// impl Pointwise for Quartic {
///     fn name(&self) -> &str {
///         "quartic"
///     }
///     fn jet(&self, z: f64) -> [f64; 4] {
///         [z.powi(4), 4.0 * z.powi(3), 12.0 * z * z, 24.0 * z]
///     }
/// }
///
/// assert_eq!(Activation::custom(Quartic).jet(2.0), [16.0, 32.0, 48.0, 48.0]);
/// ```
pub trait Pointwise: Debug + Send + Sync {
    /// What it is called, for messages.
    fn name(&self) -> &str;

    /// The value and the first three derivatives at `z`; the third is used by pullbacks alone.
    fn jet(&self, z: f64) -> [f64; 4];

    /// The same in single precision; by default the double-precision jet, rounded.
    fn jet_f32(&self, z: f32) -> [f32; 4] {
        self.jet(f64::from(z)).map(|d| d as f32)
    }

    /// The highest order that [`derivatives`](Self::derivatives) gives; by default the 3 of [`jet`](Self::jet).
    /// Requests that need more are errors.
    fn max_order(&self) -> usize {
        3
    }

    /// The derivatives of orders 0 to `out.len() - 1` at `z`, for orders above 3. Only called with at most
    /// [`max_order`](Self::max_order)` + 1` entries, and at most [`MAX_ORDER`]` + 1`.
    ///
    /// Where formulas are long, the recurrence of power series is short: with the series of z + t, [`Activation::taylor`]
    /// gives those of known functions, and sums, products and quotients of series are a loop each.
    ///
    /// ```
    /// use hessquik::{Activation, Pointwise};
    ///
    /// /// tanh(sin z)
    /// #[derive(Debug)]
    /// struct Wave;
    ///
    /// impl Pointwise for Wave {
    ///     fn name(&self) -> &str {
    ///         "wave"
    ///     }
    ///     fn jet(&self, z: f64) -> [f64; 4] {
    ///         let mut jet = [0.0; 4];
    ///         self.derivatives(z, &mut jet);
    ///         jet
    ///     }
    ///     fn max_order(&self) -> usize {
    ///         hessquik::activation::MAX_ORDER
    ///     }
    ///     fn derivatives(&self, z: f64, out: &mut [f64]) {
    ///         let mut series = vec![0.0; out.len()]; // of z + t
    ///         series[0] = z;
    ///         if let Some(slope) = series.get_mut(1) {
    ///             *slope = 1.0;
    ///         }
    ///         for inner in [Activation::Sin, Activation::Tanh] {
    ///             series = inner.taylor(&series).expect("built-in, any order");
    ///         }
    ///         let mut factorial = 1.0;
    ///         for (j, (out, coefficient)) in out.iter_mut().zip(series).enumerate() {
    ///             factorial *= j.max(1) as f64;
    ///             *out = factorial * coefficient;
    ///         }
    ///     }
    /// }
    ///
    /// // the series of tanh(sin t) at 0 is t - t^3/2 + ...
    /// let series = Activation::custom(Wave).taylor(&[0.0, 1.0, 0.0, 0.0, 0.0])?;
    /// assert!((series[3] + 0.5).abs() < 1e-15 && series[4] == 0.0);
    /// # Ok::<(), hessquik::Error>(())
    /// ```
    fn derivatives(&self, z: f64, out: &mut [f64]) {
        for (out, derivative) in out.iter_mut().zip(self.jet(z)) {
            *out = derivative;
        }
    }
}

/// A pointwise activation.
///
/// Below, f is the value, f', f'' and f''' its derivatives, and s(z) = 1/(1 + exp(-z)).
#[derive(Clone, Debug)]
pub enum Activation {
    /// f = ln cosh z, the antiderivative of tanh; f' = tanh z, f'' = 1 - tanh^2 z, f''' = -2 tanh z (1 - tanh^2 z).
    AntiTanh,

    /// f = z, f' = 1, f'' = f''' = 0.
    Identity,

    /// f = z^2/2, f' = z, f'' = 1, f''' = 0.
    Quadratic,

    /// f = s(z), f' = s (1 - s), f'' = s (1 - s) (1 - 2 s), f''' = s (1 - s) (1 - 6 s (1 - s)).
    Sigmoid,

    /// f = ln(1 + exp(beta z))/beta, and with s = s(beta z): f' = s, f'' = beta s (1 - s),
    /// f''' = beta^2 s (1 - s) (1 - 2 s).
    ///
    /// Where beta z exceeds the threshold, f is z itself; the derivatives remain those of the formula.
    Softplus {
        /// How sharp the bend is: finite and positive.
        beta: f64,
        /// Past which beta z the value is z: zero or positive, possibly infinite.
        threshold: f64,
    },

    /// f = tanh z, f' = 1 - f^2, f'' = -2 f f', f''' = -2 f' (1 - 3 f^2).
    Tanh,

    /// f = sin z, f' = cos z, f'' = -sin z, f''' = -cos z.
    Sin,

    /// f = z s(z); with p = s (1 - s) and h = tanh(z/2): f' = s + z p, f'' = p (2 - z h), f''' = p (z (1 - 6 p) - 3 h).
    Silu,

    /// f = z Phi(z) with the normal distribution Phi (not an approximation of it) and its density phi:
    /// f' = Phi + z phi, f'' = (2 - z^2) phi, f''' = z (z^2 - 4) phi.
    Gelu,

    /// f = exp(-z^2), f' = -2 z f, f'' = (4 z^2 - 2) f, f''' = (12 z - 8 z^3) f.
    Gaussian,

    /// The user's own; see [`Activation::custom`].
    Custom(Arc<dyn Pointwise>),
}

/// `$body` with `$kernel` the kernel of a built-in activation and `$custom` the user's.
macro_rules! with_kernel {
    ($activation:expr, $kernel:ident => $body:expr, $custom:ident => $other:expr) => {
        with_kernel!(@arms $activation, $kernel, $body, $custom, $other,
            AntiTanh => anti_tanh::AntiTanh, Identity => identity::Identity, Quadratic => quadratic::Quadratic,
            Sigmoid => sigmoid::Sigmoid, Tanh => tanh::Tanh, Sin => sin::Sin, Silu => silu::Silu, Gelu => gelu::Gelu,
            Gaussian => gaussian::Gaussian)
    };
    (@arms $activation:expr, $kernel:ident, $body:expr, $custom:ident, $other:expr, $($variant:ident => $unit:expr),*) => {
        match $activation {
            $(Activation::$variant => {
                let $kernel = $unit;
                $body
            })*
            Activation::Softplus { beta, threshold } => {
                let $kernel = softplus::Softplus::new(*beta, *threshold);
                $body
            }
            Activation::Custom($custom) => $other,
        }
    };
}

impl Activation {
    /// Softplus with hessQuik's defaults, beta = 1 and threshold = 20.
    pub fn softplus() -> Self {
        Self::Softplus { beta: 1.0, threshold: 20.0 }
    }

    /// An activation of the user's own; see [`Pointwise`] for an example.
    pub fn custom(f: impl Pointwise + 'static) -> Self {
        Self::Custom(Arc::new(f))
    }

    /// What it is called.
    ///
    /// ```
    /// assert_eq!(hessquik::Activation::AntiTanh.name(), "anti_tanh");
    /// ```
    pub fn name(&self) -> &str {
        match self {
            Self::AntiTanh => "anti_tanh",
            Self::Identity => "identity",
            Self::Quadratic => "quadratic",
            Self::Sigmoid => "sigmoid",
            Self::Softplus { .. } => "softplus",
            Self::Tanh => "tanh",
            Self::Sin => "sin",
            Self::Silu => "silu",
            Self::Gelu => "gelu",
            Self::Gaussian => "gaussian",
            Self::Custom(f) => f.name(),
        }
    }

    /// The value and the first three derivatives at `z`.
    ///
    /// ```
    /// use hessquik::Activation;
    /// assert_eq!(Activation::Tanh.jet(0.0), [0.0, 1.0, 0.0, -2.0]);
    /// // far in the tail the derivatives keep all their digits
    /// assert_eq!(Activation::Sigmoid.jet(50.0_f64)[1], (-50.0_f64).exp());
    /// ```
    pub fn jet<F: Real>(&self, z: F) -> [F; 4] {
        with_kernel!(self, kernel => sweep::once(kernel, z), f => F::pointwise(&**f, z))
    }

    /// Whether `other` is the same function, settings included.
    pub(crate) fn same(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Custom(a), Self::Custom(b)) => Arc::ptr_eq(a, b),
            (Self::Custom(_), _) | (_, Self::Custom(_)) => false,
            // settings are finite numbers, which are printed exactly
            _ => format!("{self:?}") == format!("{other:?}"),
        }
    }

    /// The derivative of this order at `z`.
    pub(crate) fn derivative<F: Real>(&self, order: usize, z: F) -> F {
        let mut all = [F::zero(); MAX_ORDER + 1];
        let mut slices = all.each_mut().map(std::slice::from_mut);
        self.derivatives_into(&[z], &mut slices[..=order]);
        all[order]
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
        self.check()?;
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
        with_kernel!(self, kernel => sweep::sweep(kernel, order, z, out), f => {
            let mut out = out;
            for (i, &z) in z.iter().enumerate() {
                let jet = F::pointwise(&**f, z);
                for (out, derivative) in out.iter_mut().zip(jet).take(order + 1) {
                    out[i] = derivative;
                }
            }
        });
    }

    /// Whether there are derivatives up to `order`, for whoever calls [`derivatives_into`](Self::derivatives_into) and
    /// [`taylor_into`](Self::taylor_into).
    pub(crate) fn check_order(&self, order: usize) -> Result<(), Error> {
        let most = match self {
            Self::Custom(f) => f.max_order().clamp(3, MAX_ORDER),
            _ => MAX_ORDER,
        };
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
        with_kernel!(self, kernel => table::fill_derivatives(kernel, z, out), f => {
            let mut jet = [F::zero(); MAX_ORDER + 1];
            for (i, &z) in z.iter().enumerate() {
                F::pointwise_derivatives(&**f, z, &mut jet[..out.len()]);
                for (out, derivative) in out.iter_mut().zip(jet) {
                    out[i] = derivative;
                }
            }
        });
    }

    /// Fills `out[k]` with the k-th Taylor coefficients of act(z(t)), entry by entry, where `z[j]` holds the j-th of z(t)
    /// (derivatives divided by j!): a slice for each order, an entry for each feature and point. `z` may have fewer rows
    /// than `out`, the missing ones are zero; with `z[..k]` the last of `out` is what this node adds to the k-th.
    ///
    /// The order is `out.len() - 1`, which [`check_order`](Self::check_order) must accept. Needs no scratch memory. Whoever
    /// keeps the derivatives for a pullback calls [`derivatives_into`](Self::derivatives_into), then [`compose`].
    pub(crate) fn taylor_into<F: Real>(&self, z: &[&[F]], out: &mut [&mut [F]]) {
        with_kernel!(self, kernel => table::fill_taylor(kernel, z, out), f => {
            let orders = out.len();
            let mut d = [F::zero(); MAX_ORDER + 1];
            for i in 0..z[0].len() {
                F::pointwise_derivatives(&**f, z[0][i], &mut d[..orders]);
                let entries = z.iter().map(|row| &row[i..=i]).collect::<Vec<_>>();
                let derivatives = d.each_ref().map(std::slice::from_ref);
                let mut out = out.iter_mut().map(|row| &mut row[i..=i]).collect::<Vec<_>>();
                compose(&derivatives[..orders], &entries, &mut out);
            }
        });
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
    /// [`Error::Order`] for more than [`MAX_ORDER`]` + 1` coefficients, or more than a user's activation knows,
    /// [`Error::Setting`] for a bad setting of the activation or no coefficients.
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
    /// view of any shape. Orders 0 to 3 are the numbers of [`evaluate`](Self::evaluate).
    ///
    /// Above order 3 an error is below 1e-13 of the derivative's size nearby, in both tails, in double precision, unless
    /// f' or exp(-|z|) is among the subnormal numbers there.
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
    /// [`Error::Order`] for an order above [`MAX_ORDER`], or above what a user's activation knows, [`Error::Setting`] for
    /// a bad setting of the activation.
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

    /// Whether the setting makes sense, for networks to check.
    pub(crate) fn check(&self) -> Result<(), Error> {
        if let Self::Softplus { beta, threshold } = self {
            if !(beta.is_finite() && *beta > 0.0) {
                return Err(Error::setting("softplus: beta", beta, "a finite number above 0"));
            }
            if threshold.is_nan() || *threshold < 0.0 {
                return Err(Error::setting("softplus: threshold", threshold, "a number of at least 0"));
            }
        }
        Ok(())
    }
}
