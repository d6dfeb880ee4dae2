//! The description of a network that model files keep as JSON, and its way back to layers.
use crate::{
    Activation, Error, Icnn, Init, Layer, LogSumExp, Network, Quadratic, QuadraticIcnn, Real, Resnet, Single, Softmax,
};
use serde::{Deserialize, Serialize};

/// A network without its weights, as the key `architecture` of a model file holds it.
///
/// ```
/// use hessquik::{Architecture, Init, Layer, Network};
/// let json = r#"{"type": "network", "layers": [
///     {"type": "single", "in_features": 2, "out_features": 16, "act": {"type": "tanh"}, "bias": true},
///     {"type": "single", "in_features": 16, "out_features": 1, "act": {"type": "identity"}, "bias": true}]}"#;
/// let network: Network<f64> = Architecture::from_json(json)?.build(&mut Init::seed(0))?;
/// assert_eq!((network.dim_input(), network.dim_output()), (2, 1));
/// # Ok::<(), hessquik::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case", deny_unknown_fields)]
pub enum Architecture {
    /// [`Network`]: layers one after another.
    Network {
        /// The layers.
        layers: Vec<Architecture>,
    },
    /// [`Single`].
    Single {
        /// Number of input features.
        in_features: usize,
        /// Number of output features.
        out_features: usize,
        /// The activation.
        #[serde(default = "identity")]
        act: ActivationSpec,
        /// Whether there is an additive `b`.
        #[serde(default = "yes")]
        bias: bool,
    },
    /// [`Resnet`].
    Resnet {
        /// Number of input and output features.
        width: usize,
        /// Step size.
        #[serde(default = "one")]
        h: f64,
        /// The activation.
        #[serde(default = "identity")]
        act: ActivationSpec,
        /// Whether there is an additive `b`.
        #[serde(default = "yes")]
        bias: bool,
    },
    /// [`Icnn`].
    Icnn {
        /// Dimension of the network's input.
        input_dim: usize,
        /// Number of input features beside `x`; none for the first layer.
        #[serde(default)]
        in_features: Option<usize>,
        /// Number of output features beside `x`.
        out_features: usize,
        /// The activation.
        #[serde(default = "softplus")]
        act: ActivationSpec,
        /// Whether there is an additive `b`.
        #[serde(default = "yes")]
        bias: bool,
    },
    /// [`Quadratic`].
    Quadratic {
        /// Number of input features.
        in_features: usize,
        /// Number of rows of `A`.
        rank: usize,
    },
    /// [`QuadraticIcnn`].
    QuadraticIcnn {
        /// Dimension of the network's input.
        input_dim: usize,
        /// Number of input features beside `x`; none if it stands alone.
        #[serde(default)]
        in_features: Option<usize>,
        /// Number of rows of `A`.
        rank: usize,
    },
    /// [`LogSumExp`].
    LogSumExp {
        /// Number of input features.
        in_features: usize,
    },
    /// [`Softmax`].
    Softmax {
        /// Number of features.
        features: usize,
    },
}

fn yes() -> bool {
    true
}
fn one() -> f64 {
    1.0
}
fn identity() -> ActivationSpec {
    ActivationSpec::Identity
}
fn softplus() -> ActivationSpec {
    ActivationSpec::Softplus { beta: 1.0, threshold: 20.0 }
}

/// An activation as JSON has it: `{"type": "softplus", "beta": 1.0, "threshold": 20.0}`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case", deny_unknown_fields)]
#[allow(missing_docs)] // each is the activation of the same name
pub enum ActivationSpec {
    AntiTanh,
    Identity,
    Quadratic,
    Sigmoid,
    Softplus {
        #[serde(default = "one")]
        beta: f64,
        #[serde(default = "twenty")]
        threshold: f64,
    },
    Tanh,
    Sin,
    Silu,
    Gelu,
    Gaussian,
}

fn twenty() -> f64 {
    20.0
}

impl From<ActivationSpec> for Activation {
    fn from(spec: ActivationSpec) -> Self {
        use ActivationSpec as A;
        match spec {
            A::AntiTanh => Self::AntiTanh,
            A::Identity => Self::Identity,
            A::Quadratic => Self::Quadratic,
            A::Sigmoid => Self::Sigmoid,
            A::Softplus { beta, threshold } => Self::Softplus { beta, threshold },
            A::Tanh => Self::Tanh,
            A::Sin => Self::Sin,
            A::Silu => Self::Silu,
            A::Gelu => Self::Gelu,
            A::Gaussian => Self::Gaussian,
        }
    }
}

impl Activation {
    /// The description that model files keep; `None` for a user-defined activation.
    pub fn describe(&self) -> Option<ActivationSpec> {
        use ActivationSpec as A;
        Some(match self {
            Self::AntiTanh => A::AntiTanh,
            Self::Identity => A::Identity,
            Self::Quadratic => A::Quadratic,
            Self::Sigmoid => A::Sigmoid,
            Self::Softplus { beta, threshold } => A::Softplus { beta: *beta, threshold: *threshold },
            Self::Tanh => A::Tanh,
            Self::Sin => A::Sin,
            Self::Silu => A::Silu,
            Self::Gelu => A::Gelu,
            Self::Gaussian => A::Gaussian,
            Self::Custom(_) => return None,
        })
    }
}

impl Architecture {
    /// Reads a description from JSON; unknown layers, activations and fields are errors that list the known ones.
    pub fn from_json(json: &str) -> Result<Self, Error> {
        serde_json::from_str(json).map_err(|e| Error::Architecture(e.to_string()))
    }

    /// The description as JSON on one line.
    pub fn to_json(&self) -> String {
        serde_json::to_string(self).expect("a description is always valid JSON")
    }

    /// The network of this description with weights from `init`; a single layer becomes a network of one.
    pub fn build<F: Real>(&self, init: &mut Init) -> Result<Network<F>, Error> {
        match self {
            Self::Network { layers } => Network::new(layers.iter().map(|l| l.layer(init)).collect::<Result<_, _>>()?),
            other => Ok(Network::bare(other.layer(init)?)?),
        }
    }

    fn layer<F: Real>(&self, init: &mut Init) -> Result<Box<dyn Layer<F>>, Error> {
        Ok(match self.clone() {
            Self::Network { .. } => Box::new(self.build::<F>(init)?),
            Self::Single { in_features, out_features, act, bias } => {
                let layer = Single::new(in_features, out_features, act.into(), init);
                Box::new(if bias { layer } else { layer.without_bias() })
            }
            Self::Resnet { width, h, act, bias } => {
                let layer = Resnet::new(width, h, act.into(), init);
                Box::new(if bias { layer } else { layer.without_bias() })
            }
            Self::Icnn { input_dim, in_features, out_features, act, bias } => {
                let layer = Icnn::new(input_dim, in_features, out_features, act.into(), init);
                Box::new(if bias { layer } else { layer.without_bias() })
            }
            Self::Quadratic { in_features, rank } => Box::new(Quadratic::new(in_features, rank, init)),
            Self::QuadraticIcnn { input_dim, in_features, rank } => {
                Box::new(QuadraticIcnn::new(input_dim, in_features, rank, init))
            }
            Self::LogSumExp { in_features } => Box::new(LogSumExp::new(in_features)),
            Self::Softmax { features } => Box::new(Softmax::new(features)),
        })
    }
}
