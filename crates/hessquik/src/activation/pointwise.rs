//! User-defined activations.
#[allow(unused_imports)] // for the documentation
use super::{Activation, MAX_ORDER};
use std::fmt::Debug;

/// A user-defined pointwise activation.
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
    /// The name, for messages.
    fn name(&self) -> &str;

    /// The value and the first three derivatives at `z`; only pullbacks use the third.
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

    /// The derivatives of orders 0 to `out.len() - 1` at `z`, for orders above 3. `out` has at most
    /// [`max_order`](Self::max_order)` + 1` entries, and at most [`MAX_ORDER`]` + 1`.
    ///
    /// If the formulas are long, a recurrence of power series is short: start from the series of z + t;
    /// [`Activation::taylor`] applies known functions to a series, and sums, products and quotients of series are one
    /// loop each.
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
    /// let series = Activation::custom(Wave).taylor(&[0.0_f64, 1.0, 0.0, 0.0, 0.0])?;
    /// assert!((series[3] + 0.5).abs() < 1e-15 && series[4] == 0.0);
    /// # Ok::<(), hessquik::Error>(())
    /// ```
    fn derivatives(&self, z: f64, out: &mut [f64]) {
        for (out, derivative) in out.iter_mut().zip(self.jet(z)) {
            *out = derivative;
        }
    }
}
