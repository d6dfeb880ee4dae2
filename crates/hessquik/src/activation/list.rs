//! The one list of activations: names, settings, kernels and documentation. The enum, its description in model files and
//! [`ActivationKind`], which everything else reads, come from it.
use super::table::Higher;
use super::{
    Pointwise, anti_tanh, atan, cos, elu, erf, exp, gaussian, gelu, identity, mish, power, quadratic, relu, sigmoid,
};
use super::{silu, sin, softplus, square, squareplus, tanh, tanh_gelu};
use crate::{Error, Real};
use serde::{Deserialize, Serialize};
use std::str::FromStr;
use std::sync::Arc;

/// What is done with an activation: one way for built-in ones, by their kernels, and one for each of the others.
pub(super) trait Visit<F: Real> {
    /// What comes of it.
    type Out;

    /// For a built-in activation.
    fn kernel<K: Higher<F>>(self, kernel: K) -> Self::Out;

    /// For a user's own.
    fn custom(self, f: &dyn Pointwise) -> Self::Out;

    /// For a act(b z), with `[a, b]`.
    fn scaled(self, act: &Activation, factors: [f64; 2]) -> Self::Out;
}

/// A built-in activation as a row of the list of all: for menus, help texts and bindings.
///
/// ```
/// use hessquik::activation::ActivationKind;
/// let softplus = ActivationKind::ALL.iter().find(|kind| kind.name == "softplus").expect("it is there");
/// assert_eq!(softplus.settings, [("beta", Some(1.0)), ("threshold", Some(20.0))]);
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ActivationKind {
    /// The name in model files, on the command line and in Python.
    pub name: &'static str,
    /// The settings, with their defaults; `None` for a setting that must be given.
    pub settings: &'static [(&'static str, Option<f64>)],
    /// The documentation: the formulas.
    pub docs: &'static str,
}

/// Rows `Variant { setting = default "function that gives it", ... } "name" => kernel;`, with documentation.
///
/// Settings are `f64`; one without a default must be given.
macro_rules! activations {
    ($(
        $(#[doc = $doc:literal])*
        $variant:ident $({ $( $(#[doc = $setting_doc:literal])* $setting:ident $(= $default:literal $function:tt)? ),* })?
            $name:literal => $kernel:expr;
    )*) => {
        /// A pointwise activation.
        ///
        /// Below, f is the value, f', f'' and f''' its derivatives, and s(z) = 1/(1 + exp(-z)).
        #[derive(Clone, Debug)]
        #[non_exhaustive]
        pub enum Activation {
            $(
                $(#[doc = $doc])*
                $variant $({ $( $(#[doc = $setting_doc])* $setting: f64 ),* })?,
            )*
            /// a act(b z) and a b^j act^(j)(b z), where errors are up to twice those of `act` and one unit in the last
            /// place, and b z must not overflow; see [`Activation::scaled`].
            Scaled {
                /// The activation within.
                act: Box<Activation>,
                /// Factor of the value.
                a: f64,
                /// Factor of z.
                b: f64,
            },

            /// A user-defined activation; see [`Activation::custom`].
            Custom(Arc<dyn Pointwise>),
        }

        /// An activation as stored in JSON: `{"type": "softplus", "beta": 1.0, "threshold": 20.0}`.
        #[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
        #[serde(tag = "type", rename_all = "snake_case", from = "Written")]
        #[allow(missing_docs)] // each is the activation of the same name
        #[non_exhaustive]
        pub enum ActivationSpec {
            $( $variant $({ $( $setting: f64 ),* })?, )*
            Scaled { act: PlainActivationSpec, a: f64, b: f64 },
        }

        /// What is read: each with braces, since serde does not look for unknown fields in a variant without.
        #[derive(Deserialize)]
        #[serde(tag = "type", rename_all = "snake_case", deny_unknown_fields)]
        enum Written {
            $( $variant { $( $( $(#[serde(default = $function)])? $setting: f64 ),* )? }, )*
            Scaled {
                act: PlainActivationSpec,
                #[serde(default = "one")]
                a: f64,
                #[serde(default = "one")]
                b: f64,
            },
        }

        impl From<Written> for ActivationSpec {
            fn from(spec: Written) -> Self {
                match spec {
                    $( Written::$variant { $( $($setting),* )? } => Self::$variant $({ $($setting),* })?, )*
                    Written::Scaled { act, a, b } => Self::Scaled { act, a, b },
                }
            }
        }

        /// The activation inside an [`ActivationSpec::Scaled`]: any of the others.
        #[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
        #[serde(tag = "type", rename_all = "snake_case", from = "PlainWritten")]
        #[allow(missing_docs)] // each is the activation of the same name
        pub enum PlainActivationSpec {
            $( $variant $({ $( $setting: f64 ),* })?, )*
        }

        /// What is read of it.
        #[derive(Deserialize)]
        #[serde(tag = "type", rename_all = "snake_case", deny_unknown_fields)]
        enum PlainWritten {
            $( $variant { $( $( $(#[serde(default = $function)])? $setting: f64 ),* )? }, )*
        }

        impl From<PlainWritten> for PlainActivationSpec {
            fn from(spec: PlainWritten) -> Self {
                match spec {
                    $( PlainWritten::$variant { $( $($setting),* )? } => Self::$variant $({ $($setting),* })?, )*
                }
            }
        }

        impl From<PlainActivationSpec> for ActivationSpec {
            fn from(spec: PlainActivationSpec) -> Self {
                match spec {
                    $( PlainActivationSpec::$variant $({ $($setting),* })? => Self::$variant $({ $($setting),* })?, )*
                }
            }
        }

        impl From<ActivationSpec> for Activation {
            fn from(spec: ActivationSpec) -> Self {
                match spec {
                    $( ActivationSpec::$variant $({ $($setting),* })? => Self::$variant $({ $($setting),* })?, )*
                    ActivationSpec::Scaled { act, a, b } => {
                        Self::Scaled { act: Box::new(ActivationSpec::from(act).into()), a, b }
                    }
                }
            }
        }

        impl Activation {
            /// The name.
            ///
            /// ```
            /// assert_eq!(hessquik::Activation::AntiTanh.name(), "anti_tanh");
            /// ```
            pub fn name(&self) -> &str {
                match self {
                    $( Self::$variant $({ $($setting: _),* })? => $name, )*
                    Self::Scaled { .. } => "scaled",
                    Self::Custom(f) => f.name(),
                }
            }

            /// The description that model files hold; `None` for a user-defined activation, scaled or not.
            pub fn describe(&self) -> Option<ActivationSpec> {
                Some(match self {
                    $( Self::$variant $({ $($setting),* })? => ActivationSpec::$variant $({ $($setting: *$setting),* })?, )*
                    Self::Scaled { act, a, b } => match &**act {
                        $(
                            Self::$variant $({ $($setting),* })? => ActivationSpec::Scaled {
                                act: PlainActivationSpec::$variant $({ $($setting: *$setting),* })?,
                                a: *a,
                                b: *b,
                            },
                        )*
                        Self::Scaled { act, a: inner_a, b: inner_b } => {
                            return Self::Scaled { act: act.clone(), a: a * inner_a, b: b * inner_b }.describe();
                        }
                        Self::Custom(_) => return None,
                    },
                    Self::Custom(_) => return None,
                })
            }
        }

        impl ActivationKind {
            /// All built-in activations with their own kernels; `scaled`, which contains another activation, is not
            /// among them.
            pub const ALL: &[Self] = &[$(
                Self {
                    name: $name,
                    settings: &[$($( (
                        stringify!($setting),
                        {
                            #[allow(unused_mut, unused_assignments)]
                            let mut default = None;
                            $( default = Some($default); )?
                            default
                        },
                    ) ),*)?],
                    docs: concat!($($doc),*),
                },
            )*];
        }

        impl Activation {
            /// What `visit` does with a kernel, if there is one for this activation.
            pub(super) fn visit<F: Real, V: Visit<F>>(&self, visit: V) -> V::Out {
                match self {
                    $( Self::$variant $({ $($setting),* })? => visit.kernel($kernel), )*
                    Self::Scaled { act, a, b } => visit.scaled(act, [*a, *b]),
                    Self::Custom(f) => visit.custom(&**f),
                }
            }
        }
    };
}

activations! {
    /// f = ln cosh z, the antiderivative of tanh; f' = tanh z, f'' = 1 - tanh^2 z, f''' = -2 tanh z (1 - tanh^2 z).
    AntiTanh "anti_tanh" => anti_tanh::AntiTanh;

    /// f = z, f' = 1, f'' = f''' = 0.
    Identity "identity" => identity::Identity;

    /// f = z^2/2, f' = z, f'' = 1, f''' = 0.
    Quadratic "quadratic" => quadratic::Quadratic;

    /// f = s(z), f' = s (1 - s), f'' = s (1 - s) (1 - 2 s), f''' = s (1 - s) (1 - 6 s (1 - s)).
    Sigmoid "sigmoid" => sigmoid::Sigmoid;

    /// f = ln(1 + exp(beta z))/beta, and with s = s(beta z): f' = s, f'' = beta s (1 - s),
    /// f''' = beta^2 s (1 - s) (1 - 2 s).
    ///
    /// Where beta z exceeds the threshold, f is z itself; the derivatives remain those of the formula.
    Softplus {
        /// How sharp the bend is: finite and positive.
        beta = 1.0 "one",
        /// Past which beta z the value is z: zero or positive, possibly infinite.
        threshold = 20.0 "twenty"
    } "softplus" => softplus::Softplus::new(*beta, *threshold);

    /// f = tanh z, f' = 1 - f^2, f'' = -2 f f', f''' = -2 f' (1 - 3 f^2).
    Tanh "tanh" => tanh::Tanh;

    /// f = sin z, f' = cos z, f'' = -sin z, f''' = -cos z.
    Sin "sin" => sin::Sin;

    /// f = cos z, f' = -sin z, f'' = -cos z, f''' = sin z.
    Cos "cos" => cos::Cos;

    /// f = z s(z); with p = s (1 - s) and h = tanh(z/2): f' = s + z p, f'' = p (2 - z h), f''' = p (z (1 - 6 p) - 3 h).
    Silu "silu" => silu::Silu;

    /// f = z Phi(z) with the normal distribution Phi (not an approximation of it) and its density phi:
    /// f' = Phi + z phi, f'' = (2 - z^2) phi, f''' = z (z^2 - 4) phi.
    Gelu "gelu" => gelu::Gelu;

    /// f = z (1 + tanh(sqrt(2/pi) (z + 0.044715 z^3)))/2, an approximation of GELU by 4.8e-4.
    TanhGelu "tanh_gelu" => tanh_gelu::TanhGelu;

    /// f = z tanh(ln(1 + exp z)).
    Mish "mish" => mish::Mish;

    /// f = exp(-z^2), f' = -2 z f, f'' = (4 z^2 - 2) f, f''' = (12 z - 8 z^3) f.
    Gaussian "gaussian" => gaussian::Gaussian;

    /// f = erf z, f' = 2/sqrt(pi) exp(-z^2), f'' = -2 z f', f''' = (4 z^2 - 2) f'.
    Erf "erf" => erf::Erf;

    /// f = atan z; with r = 1/(1 + z^2): f' = r, f'' = -2 z r^2, f''' = (6 z^2 - 2) r^3.
    Atan "atan" => atan::Atan;

    /// f = exp z, as are its derivatives.
    Exp "exp" => exp::Exp;

    /// f = ln z, f' = 1/z, f'' = -1/z^2, f''' = 2/z^3. For negative z all are NaN; at 0 (and -0) f is minus infinity.
    Log "log" => power::Log;

    /// f = sqrt z, f' = 1/(2 f), f'' = -1/(4 z f), f''' = 3/(8 z^2 f). For negative z all are NaN; at 0 the derivatives
    /// are infinite.
    Sqrt "sqrt" => power::Sqrt;

    /// f = 1/z, f' = -1/z^2, f'' = 2/z^3, f''' = -6/z^4. Infinite at 0.
    Reciprocal "reciprocal" => power::Reciprocal;

    /// f = z^2, f' = 2 z, f'' = 2, f''' = 0.
    Square "square" => square::Square;

    /// f = z^p, f' = p z^(p - 1), f'' = p (p - 1) z^(p - 2), f''' = p (p - 1) (p - 2) z^(p - 3).
    ///
    /// For negative z all are NaN if p is not an integer. At 0, powers below 0 are infinite, and a derivative whose factor
    /// p (p - 1) ... is zero is zero everywhere.
    Power {
        /// The exponent: finite.
        p
    } "power" => power::Power::new(*p);

    /// f = z for z > 0, else alpha (exp z - 1). At 0 the derivatives are those of the left side.
    Elu {
        /// How far below zero the values go: finite.
        alpha = 1.0 "one"
    } "elu" => elu::Elu::with_alpha(*alpha);

    /// f = z for z > 0, else alpha (exp(z/alpha) - 1): an ELU with f'(0) = 1. At 0 the derivatives are those of the left
    /// side.
    Celu {
        /// How far below zero the values go: from 1e-100 to 1e100.
        alpha = 1.0 "one"
    } "celu" => elu::Elu::celu(*alpha);

    /// f = lambda z for z > 0, else lambda alpha (exp z - 1), with the lambda 1.0507... and alpha 1.6732... of
    /// self-normalising networks. At 0 the derivatives are those of the left side.
    Selu "selu" => elu::Elu::selu();

    /// f = (z + R)/2 with R = sqrt(z^2 + b), f' = f/R, f'' = b/(2 R^3), f''' = -3 b z/(2 R^5).
    Squareplus {
        /// How round the bend is: from 1e-100 to 1e100.
        b = 4.0 "four"
    } "squareplus" => squareplus::Squareplus::new(*b);

    /// f = z for z > 0, else 0; f' jumps at 0, where it counts as 0, and f'' and f''' are taken to be zero everywhere:
    /// a Hessian lacks what the jumps would add to it.
    Relu "relu" => relu::Relu::new(0.0);

    /// f = z for z > 0, else slope z; f' jumps at 0, where it counts as the slope, and f'' and f''' are taken to be zero
    /// everywhere, as for ReLU.
    LeakyRelu {
        /// The slope for negative z: finite.
        slope = 0.01 "hundredth"
    } "leaky_relu" => relu::Relu::new(*slope);

    /// f = 1 for z > 0, else 0; f', f'' and f''' are taken to be zero everywhere. For branches that are constant near a
    /// point.
    Step "step" => relu::Step;
}

/// `NAME` or `NAME:setting=number,...`, as the command line takes them: `tanh`, `softplus:beta=2`, `power:p=1.5`.
///
/// ```
/// use hessquik::{Activation, ActivationSpec};
/// let spec: ActivationSpec = "celu:alpha=0.5".parse()?;
/// assert_eq!(spec, ActivationSpec::Celu { alpha: 0.5 });
/// assert!("celu:beta=1".parse::<ActivationSpec>().is_err());
/// # Ok::<(), hessquik::Error>(())
/// ```
impl FromStr for ActivationSpec {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let (name, settings) = text.split_once(':').unwrap_or((text, ""));
        let mut json = serde_json::Map::new();
        json.insert("type".into(), name.into());
        for setting in settings.split(',').filter(|setting| !setting.is_empty()) {
            let number = setting.split_once('=').and_then(|(key, value)| Some((key, value.parse::<f64>().ok()?)));
            let Some((key, value)) = number.filter(|(_, value)| value.is_finite()) else {
                return Err(Error::Architecture(format!("activation {text:?}: {setting:?} is not setting=number")));
            };
            // the description of an activation without settings would not look at it
            let known = ActivationKind::ALL.iter().find(|kind| kind.name == name).map(|kind| kind.settings);
            if known.is_some_and(|settings| settings.iter().all(|(known, _)| *known != key)) {
                return Err(Error::Architecture(format!("activation {text:?}: {name} has no setting {key:?}")));
            }
            json.insert(key.into(), value.into());
        }
        let spec: Self = serde_json::from_value(json.into())
            .map_err(|e| Error::Architecture(format!("activation {text:?}: {e}")))?;
        Activation::from(spec).check()?;
        Ok(spec)
    }
}

fn one() -> f64 {
    1.0
}
fn four() -> f64 {
    4.0
}
fn twenty() -> f64 {
    20.0
}
fn hundredth() -> f64 {
    0.01
}

impl Activation {
    /// Whether the settings make sense, for networks to check.
    pub(crate) fn check(&self) -> Result<(), Error> {
        let finite = |what: &str, x: f64| match x.is_finite() {
            true => Ok(()),
            false => Err(Error::setting(what, x, "a finite number")),
        };
        let moderate = |what: &str, x: f64| match (1e-100..=1e100).contains(&x) {
            true => Ok(()),
            false => Err(Error::setting(what, x, "a number from 1e-100 to 1e100")),
        };
        match self {
            Self::Softplus { beta, threshold } => {
                if !(beta.is_finite() && *beta > 0.0) {
                    return Err(Error::setting("softplus: beta", beta, "a finite number above 0"));
                }
                if threshold.is_nan() || *threshold < 0.0 {
                    return Err(Error::setting("softplus: threshold", threshold, "a number of at least 0"));
                }
                Ok(())
            }
            Self::Power { p } => finite("power: p", *p),
            Self::Elu { alpha } => finite("elu: alpha", *alpha),
            Self::LeakyRelu { slope } => finite("leaky_relu: slope", *slope),
            Self::Celu { alpha } => moderate("celu: alpha", *alpha),
            Self::Squareplus { b } => moderate("squareplus: b", *b),
            Self::Scaled { act, a, b } => {
                finite("scaled: a", *a)?;
                finite("scaled: b", *b)?;
                act.check()
            }
            _ => Ok(()),
        }
    }
}
