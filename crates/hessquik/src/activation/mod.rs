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
mod tanh;
mod trigonometric;
mod zero;

pub(crate) use elementary::Elementary;

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
    /// A threshold below 15 makes another function of it: the identity where beta z exceeds the threshold, with
    /// derivatives 1, 0 and 0. A threshold of 15 or more changes nothing (see [`softplus_cut`]).
    Softplus {
        /// How sharp the bend is: positive, and a normal number of the precision it is evaluated in.
        beta: f64,
        /// Past which beta z softplus is the identity, if below 15: zero or positive, possibly infinite.
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

/// Thresholds of softplus from this one on change nothing.
const SMOOTH: f64 = 15.0;

/// Past which beta z a softplus of this `threshold` is the identity: the threshold if it is below 15, and infinity
/// otherwise.
///
/// hessQuik's default threshold of 20 guards against overflow alone. There the formula and the identity differ by 2e-9,
/// which is a loss of digits in the value, and of all digits in the second derivative; so it is not applied.
///
/// ```
/// assert_eq!(hessquik::softplus_cut(3.0), 3.0);
/// assert_eq!(hessquik::softplus_cut(20.0), f64::INFINITY);
/// ```
pub fn softplus_cut(threshold: f64) -> f64 {
    if threshold < SMOOTH { threshold } else { f64::INFINITY }
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

    /// The value and the first three derivatives at `z`; NaN where a setting makes no sense in this precision.
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
        with_kernel!(self, kernel => sweep::once(kernel, z), f => F::pointwise(&**f, z))
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

    /// Whether the setting makes sense in some precision.
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
