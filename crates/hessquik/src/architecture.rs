//! The description of a network that model files hold as JSON, and how to build its layers again.
use crate::foreign;
use crate::layer::formula::{self, Recipe};
use crate::layer::{
    AffineSpec, AlongSpec, AttentionSpec, BoundarySpec, DeepONetSpec, FilterNetworkSpec, Formula, FourierSpec,
    LayerNormSpec, ModifiedMlpSpec, NormaliseSpec, PeriodicSpec, PicnnSpec, PirateNetSpec, ProductSpec, SeparableSpec,
    SkipSpec, SumSpec,
};
use crate::{
    Activation, ActivationSpec, Error, GraphLayer, GraphSpec, Icnn, Init, Layer, LogSumExp, Network, Quadratic,
    QuadraticIcnn, Real, Resnet, Single, Softmax,
};
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Value, json};

/// A network without its weights, as stored under the key `architecture` of a model file.
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
#[non_exhaustive]
pub enum Architecture {
    /// [`Network`]: layers one after another.
    Network {
        /// The layers.
        layers: Vec<Architecture>,
    },
    /// A graph of nodes: [`GraphLayer`](crate::GraphLayer).
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
        /// Whether the layer has an additive `b`.
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
        /// Whether the layer has an additive `b`.
        #[serde(default = "yes")]
        bias: bool,
    },
    /// [`Icnn`].
    Icnn {
        /// Dimension of the network's input.
        input_dim: usize,
        /// Number of input features beside `x`; `None` for the first layer.
        #[serde(default)]
        in_features: Option<usize>,
        /// Number of output features beside `x`.
        out_features: usize,
        /// The activation.
        #[serde(default = "softplus", deserialize_with = "named")]
        act: ActivationSpec,
        /// Whether the layer has an additive `b`.
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
        /// Number of input features beside `x`; `None` if the layer takes `x` alone.
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
    /// [`Affine`](crate::layer::Affine).
    Affine(AffineSpec),
    /// [`Normalise`](crate::layer::Normalise).
    Normalise(NormaliseSpec),
    /// [`Fourier`](crate::layer::Fourier).
    Fourier(FourierSpec),
    /// [`Periodic`](crate::layer::Periodic).
    Periodic(PeriodicSpec),
    /// [`ModifiedMlp`](crate::layer::ModifiedMlp).
    ModifiedMlp(ModifiedMlpSpec),
    /// [`PirateNet`](crate::layer::PirateNet).
    #[serde(rename = "piratenet")]
    PirateNet(PirateNetSpec),
    /// [`LayerNorm`](crate::layer::LayerNorm).
    LayerNorm(LayerNormSpec),
    /// [`Attention`](crate::layer::Attention).
    Attention(AttentionSpec),
    /// [`FilterNetwork`](crate::layer::FilterNetwork).
    Mfn(FilterNetworkSpec),
    /// [`Picnn`](crate::layer::Picnn).
    Picnn(PicnnSpec),
    /// [`DeepONet`](crate::layer::DeepONet).
    #[serde(rename = "deeponet")]
    DeepONet(DeepONetSpec),
    /// [`Separable`](crate::layer::Separable).
    Separable(SeparableSpec),
    /// [`Boundary`](crate::layer::Boundary).
    Boundary(BoundarySpec),
    /// [`Along`](crate::layer::Along).
    Along(AlongSpec),
    /// [`Sum`](crate::layer::Sum).
    Sum(SumSpec),
    /// [`Product`](crate::layer::Product).
    Product(ProductSpec),
    /// [`Skip`](crate::layer::Skip).
    Skip(SkipSpec),
}

/// The layers that are a [`Formula`].
macro_rules! formulas {
    ($($variant:ident),*) => {
        impl Architecture {
            /// The settings of a layer that is its forward pass.
            fn recipe(&self) -> Option<&dyn Recipe> {
                match self {
                    $(Self::$variant(recipe) => Some(recipe),)*
                    _ => None,
                }
            }

            /// The layer of these settings.
            fn formula<F: Real>(&self, init: &mut Init) -> Result<Box<dyn Layer<F>>, Error> {
                match self {
                    $(Self::$variant(recipe) => {
                        let inside = recipe.inside().into_iter();
                        let inside = inside.map(|(prefix, layer)| Ok((prefix, layer.layer(init)?)));
                        let inside = inside.collect::<Result<_, Error>>()?;
                        Ok(Box::new(Formula::of(recipe.clone(), inside, init)?))
                    })*
                    other => Err(Error::Architecture(format!("{other:?} is not made of a recipe"))),
                }
            }
        }
    };
}
formulas!(
    Affine,
    Normalise,
    Fourier,
    Periodic,
    ModifiedMlp,
    PirateNet,
    LayerNorm,
    Attention,
    Mfn,
    Picnn,
    DeepONet,
    Separable,
    Boundary,
    Along,
    Sum,
    Product,
    Skip
);

pub(crate) fn yes() -> bool {
    true
}
pub(crate) fn one() -> f64 {
    1.0
}
pub(crate) fn unit() -> usize {
    1
}
pub(crate) fn tanh() -> ActivationSpec {
    ActivationSpec::Tanh
}
fn identity() -> ActivationSpec {
    ActivationSpec::Identity
}
pub(crate) fn softplus() -> ActivationSpec {
    ActivationSpec::Softplus { beta: 1.0, threshold: 20.0 }
}

/// An activation as an object, or by its name alone.
pub(crate) fn named<'de, D: Deserializer<'de>>(deserializer: D) -> Result<ActivationSpec, D::Error> {
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
    /// Reads a description from JSON; unknown layers, activations and fields are errors that list the known ones. A
    /// byte order mark at the start is ignored.
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

    /// Builds the network of this description with weights from `init`; a single layer becomes a network of one layer.
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
    /// or an activation with an invalid setting; [`Error::OutOfMemory`] if the weights in double precision, or one
    /// sample of the widest features, cannot be allocated.
    pub fn check(&self) -> Result<(), Error> {
        self.check_settings("")?;
        let widest = self.widest();
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

    /// Approximate number of entries that one sample needs at once in the widest layer.
    ///
    /// ```
    /// use hessquik::Architecture;
    /// let layer = Architecture::from_json(r#"{"type": "single", "in_features": 4, "out_features": 7}"#)?;
    /// assert_eq!(layer.widest(), 11);
    /// # Ok::<(), hessquik::Error>(())
    /// ```
    pub fn widest(&self) -> u128 {
        match self {
            Self::Network { layers } => layers.iter().map(Self::widest).max().unwrap_or(0),
            Self::Graph(graph) => graph.sizes().map_or(0, |sizes| sizes.iter().map(|&n| n as u128).sum()),
            other => match other.recipe() {
                // layers inside stand beside one another
                Some(recipe) => {
                    let inside = recipe.inside().into_iter().map(|(_, layer)| layer.widest());
                    inside.fold(recipe.width(), u128::saturating_add)
                }
                None => other.counts().iter().map(|(_, n)| *n as u128).sum(),
            },
        }
    }

    /// Checks one layer at this position (`1.2`), or all layers of a network.
    fn check_settings(&self, position: &str) -> Result<(), Error> {
        let dot = if position.is_empty() { "" } else { "." };
        let of = |what: &str| if position.is_empty() { what.into() } else { format!("{what} of layer {position}") };
        let located = |error| match error {
            Error::Setting { what, found, wanted } => Error::setting(of(&what), found, wanted),
            other => other,
        };
        if let Self::Network { layers } = self {
            let mut layers = layers.iter().enumerate();
            return layers.try_for_each(|(i, layer)| layer.check_settings(&format!("{position}{dot}{i}")));
        }
        if let Self::Graph(graph) = self {
            return graph.sizes().map(drop);
        }
        if let Some(recipe) = self.recipe() {
            formula::check(recipe).map_err(located)?;
            let mut inside = recipe.inside().into_iter();
            return inside.try_for_each(|(name, layer)| layer.check_settings(&format!("{position}{dot}{name}")));
        }
        if let Some((what, _)) = self.counts().iter().find(|(_, n)| *n == 0) {
            return Err(Error::setting(of(what), 0, "at least 1"));
        }
        match self {
            Self::Resnet { h, .. } if !h.is_finite() => Err(Error::setting(of("the step h"), h, "a finite number")),
            Self::Single { act, .. } | Self::Resnet { act, .. } | Self::Icnn { act, .. } => {
                Activation::from(*act).check().map_err(located)
            }
            _ => Ok(()),
        }
    }

    /// Checks that JSON can hold the settings: it has no infinity.
    #[cfg(feature = "files")]
    pub(crate) fn check_finite(&self, position: &str) -> Result<(), Error> {
        let dot = if position.is_empty() { "" } else { "." };
        let inside: Vec<(String, &Self)> = match self {
            Self::Network { layers } => formula::numbered(layers),
            other => other.recipe().map(|recipe| recipe.inside()).unwrap_or_default(),
        };
        for (name, layer) in inside {
            layer.check_finite(&format!("{position}{dot}{name}"))?;
        }
        let of = if position.is_empty() { String::new() } else { format!(" of layer {position}") };
        let wanted = "a finite number, which a file can hold";
        for act in self.activations() {
            let settings = serde_json::to_value(act).unwrap_or_default();
            let null = settings.as_object().and_then(|map| map.iter().find(|(_, value)| value.is_null()));
            if let Some((name, _)) = null {
                return Err(Error::setting(format!("the setting {name} of the activation{of}"), "infinite", wanted));
            }
        }
        match self {
            Self::Resnet { h, .. } if !h.is_finite() => Err(Error::setting(format!("the step h{of}"), h, wanted)),
            _ => Ok(()),
        }
    }

    /// The activations of a layer that has a choice of them.
    fn activations(&self) -> Vec<ActivationSpec> {
        match self {
            Self::Single { act, .. } | Self::Resnet { act, .. } | Self::Icnn { act, .. } => vec![*act],
            other => other.recipe().map(|recipe| recipe.activations()).unwrap_or_default(),
        }
    }

    /// The settings of a layer that count something.
    fn counts(&self) -> Vec<(&'static str, usize)> {
        let optional = |n: &Option<usize>| n.map(|n| ("in_features", n));
        match self {
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
            _ => Vec::new(),
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
        if let Some(recipe) = self.recipe() {
            let prefixed = |(prefix, layer): (String, &Self)| {
                layer.weight_shapes().into_iter().map(move |(name, shape)| (format!("{prefix}.{name}"), shape))
            };
            return recipe.inside().into_iter().flat_map(prefixed).chain(recipe.weight_shapes()).collect();
        }
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
            _ => Vec::new(),
        };
        shapes.into_iter().flatten().map(|(name, shape)| (name.into(), shape)).collect()
    }

    /// The activation of a layer that has a choice of one, the first of several.
    pub(crate) fn activation(&self) -> Option<Activation> {
        self.activations().first().map(|&act| act.into())
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
            other => other.formula(init)?,
        })
    }
}
