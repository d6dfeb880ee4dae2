//! The description of a network that model files keep as JSON, and its way back to layers.
use crate::foreign;
use crate::{
    Activation, ActivationSpec, Error, GraphLayer, GraphSpec, Icnn, Init, Layer, LogSumExp, Network, Quadratic,
    QuadraticIcnn, Real, Resnet, Single, Softmax,
};
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Value, json};

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
    /// A graph of nodes, [`GraphLayer`](crate::GraphLayer).
    Graph(GraphSpec),
    /// [`Single`].
    Single {
        /// Number of input features.
        in_features: usize,
        /// Number of output features.
        out_features: usize,
        /// The activation.
        #[serde(default = "identity", deserialize_with = "named")]
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
        #[serde(default = "identity", deserialize_with = "named")]
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
        #[serde(default = "softplus", deserialize_with = "named")]
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

/// An activation as an object, or by its name alone.
fn named<'de, D: Deserializer<'de>>(deserializer: D) -> Result<ActivationSpec, D::Error> {
    let spec = |value: &Value| ActivationSpec::deserialize(value);
    let found = match Value::deserialize(deserializer)? {
        Value::String(name) => {
            let plain = name.strip_suffix("Activation").filter(|plain| !plain.is_empty()).unwrap_or(&name);
            // antiTanh is anti_tanh; SiLU, in which capitals follow one another, is silu
            let mut snake = String::new();
            for c in plain.chars() {
                if c.is_uppercase() && !snake.is_empty() {
                    snake.push('_');
                }
                snake.extend(c.to_lowercase());
            }
            let spellings = [name.clone(), plain.to_lowercase(), snake];
            let known = spellings.into_iter().find_map(|name| spec(&json!({ "type": name })).ok());
            known.map_or_else(|| spec(&json!({ "type": name })), Ok)
        }
        other => spec(&other),
    };
    found.map_err(D::Error::custom)
}

impl Architecture {
    /// Reads a description from JSON; unknown layers, activations and fields are errors that list the known ones. A mark of
    /// byte order, which some programs put first, does no harm.
    pub fn from_json(json: &str) -> Result<Self, Error> {
        let json = json.trim_start_matches('\u{feff}');
        serde_json::from_str(json).map_err(|e| {
            let message = e.to_string();
            let hint = foreign::hint(&message, json);
            Error::Architecture(message + &hint)
        })
    }

    /// The description as JSON on one line.
    pub fn to_json(&self) -> String {
        serde_json::to_string(self).expect("a description is always valid JSON")
    }

    /// The network of this description with weights from `init`; a single layer becomes a network of one.
    ///
    /// # Errors
    /// Those of [`Architecture::check`], before anything is allocated, and of [`Network::new`].
    pub fn build<F: Real>(&self, init: &mut Init) -> Result<Network<F>, Error> {
        self.check()?;
        self.assemble(init)
    }

    /// Checks the settings and the size of the network without building it.
    ///
    /// ```
    /// use hessquik::{Architecture, Error};
    /// let json = r#"{"type": "resnet", "width": 1000000000000000000}"#;
    /// assert!(matches!(Architecture::from_json(json)?.check(), Err(Error::OutOfMemory { .. })));
    /// # Ok::<(), Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::Setting`] naming the layer for a number of features or a rank of zero, a step `h` that is not finite,
    /// or an activation whose setting makes no sense; [`Error::OutOfMemory`] if the weights in double precision, or one
    /// sample of the widest features, cannot be allocated.
    pub fn check(&self) -> Result<(), Error> {
        let mut widest = 0;
        self.check_settings("", &mut widest)?;
        let count = |shape: &[usize]| shape.iter().fold(1u128, |n, &len| n.saturating_mul(len as u128));
        let n = self.weight_shapes().iter().fold(0u128, |n, (_, shape)| n.saturating_add(count(shape)));
        let (what, entries) = match n >= widest {
            true => (format!("the {n} weights of the network"), n),
            false => (format!("one sample of {widest} features"), widest),
        };
        let bytes = entries.saturating_mul(size_of::<f64>() as u128);
        let mut room = Vec::<u8>::new();
        // a reservation only: no memory is touched; the black box keeps it from being optimised away
        let fits = usize::try_from(bytes).is_ok_and(|bytes| room.try_reserve_exact(bytes).is_ok());
        std::hint::black_box(&room);
        if fits { Ok(()) } else { Err(Error::OutOfMemory { what, bytes }) }
    }

    /// Checks one layer at this position (`1.2`), or all layers of a network, and keeps the widest features in `widest`.
    fn check_settings(&self, position: &str, widest: &mut u128) -> Result<(), Error> {
        if let Self::Network { layers } = self {
            for (i, layer) in layers.iter().enumerate() {
                let dot = if position.is_empty() { "" } else { "." };
                layer.check_settings(&format!("{position}{dot}{i}"), widest)?;
            }
            return Ok(());
        }
        if let Self::Graph(graph) = self {
            let sizes = graph.sizes()?;
            *widest = sizes.iter().map(|&n| n as u128).sum::<u128>().max(*widest);
            return Ok(());
        }
        let counts = self.counts();
        *widest = counts.iter().map(|(_, n)| *n as u128).sum::<u128>().max(*widest);
        let of = |what: &str| if position.is_empty() { what.into() } else { format!("{what} of layer {position}") };
        if let Some((what, _)) = counts.iter().find(|(_, n)| *n == 0) {
            return Err(Error::setting(of(what), 0, "at least 1"));
        }
        match self {
            Self::Resnet { h, .. } if !h.is_finite() => Err(Error::setting(of("the step h"), h, "a finite number")),
            Self::Single { act, .. } | Self::Resnet { act, .. } | Self::Icnn { act, .. } => {
                Activation::from(*act).check().map_err(|e| match e {
                    Error::Setting { what, found, wanted } => Error::setting(of(&what), found, wanted),
                    other => other,
                })
            }
            _ => Ok(()),
        }
    }

    /// Checks that JSON can hold the settings: it has no infinity.
    pub(crate) fn check_finite(&self, position: &str) -> Result<(), Error> {
        let act = match self {
            Self::Network { layers } => {
                let dot = if position.is_empty() { "" } else { "." };
                let mut layers = layers.iter().enumerate();
                return layers.try_for_each(|(i, layer)| layer.check_finite(&format!("{position}{dot}{i}")));
            }
            Self::Single { act, .. } | Self::Resnet { act, .. } | Self::Icnn { act, .. } => *act,
            _ => return Ok(()),
        };
        let h = if let Self::Resnet { h, .. } = self { *h } else { 1.0 };
        let settings = serde_json::to_value(act).unwrap_or_default();
        let null = settings.as_object().and_then(|map| map.iter().find(|(_, value)| value.is_null()));
        let of = if position.is_empty() { String::new() } else { format!(" of layer {position}") };
        let wanted = "a finite number, which a file can hold";
        match null {
            Some((name, _)) => {
                Err(Error::setting(format!("the setting {name} of the activation{of}"), "infinite", wanted))
            }
            None if !h.is_finite() => Err(Error::setting(format!("the step h{of}"), h, wanted)),
            None => Ok(()),
        }
    }

    /// The settings of a layer that count something.
    fn counts(&self) -> Vec<(&'static str, usize)> {
        let optional = |n: &Option<usize>| n.map(|n| ("in_features", n));
        match self {
            Self::Network { .. } | Self::Graph(_) => Vec::new(),
            Self::Single { in_features, out_features, .. } => {
                vec![("in_features", *in_features), ("out_features", *out_features)]
            }
            Self::Resnet { width, .. } => vec![("width", *width)],
            Self::Icnn { input_dim, in_features, out_features, .. } => {
                let fixed = [("input_dim", *input_dim), ("out_features", *out_features)];
                fixed.into_iter().chain(optional(in_features)).collect()
            }
            Self::Quadratic { in_features, rank } => vec![("in_features", *in_features), ("rank", *rank)],
            Self::QuadraticIcnn { input_dim, in_features, rank } => {
                [("input_dim", *input_dim), ("rank", *rank)].into_iter().chain(optional(in_features)).collect()
            }
            Self::LogSumExp { in_features } => vec![("in_features", *in_features)],
            Self::Softmax { features } => vec![("features", *features)],
        }
    }

    /// Names and shapes of all weights, as [`Layer::weights`] of the built network would list them.
    ///
    /// ```
    /// use hessquik::Architecture;
    /// let layer = Architecture::from_json(r#"{"type": "single", "in_features": 4, "out_features": 7}"#)?;
    /// assert_eq!(layer.weight_shapes(), [("K".to_string(), vec![4, 7]), ("b".to_string(), vec![7])]);
    /// # Ok::<(), hessquik::Error>(())
    /// ```
    pub fn weight_shapes(&self) -> Vec<(String, Vec<usize>)> {
        let shapes = match *self {
            Self::Network { ref layers } => {
                let prefixed = |(i, layer): (usize, &Self)| {
                    layer.weight_shapes().into_iter().map(move |(name, shape)| (format!("{i}.{name}"), shape))
                };
                return layers.iter().enumerate().flat_map(prefixed).collect();
            }
            Self::Graph(ref graph) => {
                return graph.weights.iter().map(|w| (w.name.clone(), w.shape.clone())).collect();
            }
            Self::Single { in_features, out_features, bias, .. } => {
                vec![Some(("K", vec![in_features, out_features])), bias.then(|| ("b", vec![out_features]))]
            }
            Self::Resnet { width, bias, .. } => {
                vec![Some(("layer.K", vec![width, width])), bias.then(|| ("layer.b", vec![width]))]
            }
            Self::Icnn { input_dim, in_features, out_features, bias, .. } => vec![
                Some(("K", vec![input_dim, out_features])),
                in_features.map(|n| ("L", vec![n, out_features])),
                bias.then(|| ("b", vec![out_features])),
            ],
            Self::Quadratic { in_features, rank } => {
                vec![Some(("v", vec![in_features])), Some(("mu", vec![1])), Some(("A", vec![rank, in_features]))]
            }
            Self::QuadraticIcnn { input_dim, in_features, rank } => vec![
                in_features.map(|n| ("w", vec![n])),
                Some(("v", vec![input_dim])),
                Some(("mu", vec![1])),
                Some(("A", vec![rank, input_dim])),
            ],
            Self::LogSumExp { .. } | Self::Softmax { .. } => Vec::new(),
        };
        shapes.into_iter().flatten().map(|(name, shape)| (name.into(), shape)).collect()
    }

    /// The activation of a layer that has a choice of one.
    pub(crate) fn activation(&self) -> Option<Activation> {
        match self {
            Self::Single { act, .. } | Self::Resnet { act, .. } | Self::Icnn { act, .. } => Some((*act).into()),
            _ => None,
        }
    }

    fn assemble<F: Real>(&self, init: &mut Init) -> Result<Network<F>, Error> {
        match self {
            Self::Network { layers } => Network::new(layers.iter().map(|l| l.layer(init)).collect::<Result<_, _>>()?),
            other => Network::bare(other.layer(init)?),
        }
    }

    fn layer<F: Real>(&self, init: &mut Init) -> Result<Box<dyn Layer<F>>, Error> {
        Ok(match self.clone() {
            Self::Network { .. } => Box::new(self.assemble::<F>(init)?),
            Self::Graph(graph) => Box::new(GraphLayer::new(graph, init)?),
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
