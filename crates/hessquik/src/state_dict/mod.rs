//! Networks out of state dictionaries: weights of linear layers by name, with nothing of what comes between them.
#[cfg(feature = "files")]
pub(crate) mod element;
mod error;
#[cfg(feature = "torch")]
mod globals;
mod order;
#[cfg(feature = "torch")]
mod pickle;
#[cfg(feature = "files")]
mod read;
#[cfg(feature = "torch")]
mod torch;

pub use error::StateDictError;
#[cfg(feature = "files")]
pub use read::is_state_dict;

use crate::foreign::did_you_mean;
use crate::{Activation, Error, Init, Layer, Network, Real, Single};
use ndarray::{ArrayD, ArrayViewD};
use std::collections::HashMap;

/// Weights by name, in the order in which a module of PyTorch lists them: `0.weight` (outputs, inputs), `0.bias`
/// (outputs), `2.weight` and so on. [`Network::from_state_dict`] makes a network of them.
///
/// ```
/// use hessquik::{Activation, Layer, Network, StateDict, ndarray::Array};
/// let mut state = StateDict::new();
/// state.insert("linears.0.weight", Array::<f32, _>::ones((16, 2)).into_dyn());
/// state.insert("linears.0.bias", Array::<f32, _>::zeros(16).into_dyn());
/// state.insert("linears.1.weight", Array::<f32, _>::ones((1, 16)).into_dyn());
/// assert_eq!((state.dtype(), state.layers()?.len()), ("f32", 2));
/// let network = Network::<f32>::from_state_dict(&state, Activation::Tanh, Activation::Identity)?;
/// assert_eq!((network.dim_input(), network.n_weights()), (2, 64));
/// # Ok::<(), hessquik::Error>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct StateDict {
    tensors: Vec<(String, Tensor)>,
    places: HashMap<String, usize>,
    /// Whether the order of the tensors says nothing, as in safetensors files.
    unordered: bool,
}

/// An entry of a state dictionary.
#[derive(Clone, Debug)]
enum Tensor {
    /// Floating-point numbers; `double` if they were stored in double precision.
    Numbers { array: ArrayD<f64>, double: bool },
    /// A tensor of another type.
    #[cfg_attr(not(feature = "files"), allow(dead_code))]
    Typed { elements: String },
    /// Something else.
    #[cfg_attr(not(feature = "torch"), allow(dead_code))]
    Other { found: String },
}

/// A linear layer of a state dictionary.
#[derive(Clone, Copy, Debug)]
struct Linear<'a> {
    name: &'a str,
    weight: Option<&'a ArrayD<f64>>,
    bias: Option<&'a ArrayD<f64>>,
}

impl Linear<'_> {
    /// The outputs and inputs.
    fn widths(&self) -> (usize, usize) {
        self.weight.map_or((0, 0), |w| (w.shape()[0], w.shape()[1]))
    }
}

/// A linear layer of a [`StateDict`]: its name, without `.weight`, and its widths.
#[derive(Clone, Debug, PartialEq)]
pub struct LinearLayer {
    /// The name, such as `linears.0`; empty if the weight is called `weight`.
    pub name: String,
    /// Number of inputs.
    pub inputs: usize,
    /// Number of outputs.
    pub outputs: usize,
    /// Whether the layer has a bias.
    pub bias: bool,
}

/// The activations between layers: one for all, or one for each layer but the last.
///
/// ```
/// use hessquik::{Activation, Activations};
/// assert!(matches!(Activations::from(Activation::Tanh), Activations::All(_)));
/// assert!(matches!(Activations::from(vec![Activation::Sin, Activation::Tanh]), Activations::Each(_)));
/// ```
#[derive(Clone, Debug)]
pub enum Activations {
    /// The same one everywhere.
    All(Activation),
    /// In the order of the layers.
    Each(Vec<Activation>),
}

impl From<Activation> for Activations {
    fn from(act: Activation) -> Self {
        Self::All(act)
    }
}

impl From<Vec<Activation>> for Activations {
    fn from(acts: Vec<Activation>) -> Self {
        Self::Each(acts)
    }
}

impl StateDict {
    /// An empty one.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds an array under a name, or puts it in the place of the one that had this name.
    pub fn insert<F: Real>(&mut self, name: impl Into<String>, array: ArrayD<F>) {
        let array = array.mapv(|v| v.as_f64());
        self.put(name.into(), Tensor::Numbers { array, double: F::NAME == "f64" });
    }

    fn put(&mut self, name: String, tensor: Tensor) {
        match self.places.get(&name) {
            Some(&place) => self.tensors[place].1 = tensor,
            None => {
                self.places.insert(name.clone(), self.tensors.len());
                self.tensors.push((name, tensor));
            }
        }
    }

    /// The names of all tensors.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.tensors.iter().map(|(name, _)| name.as_str())
    }

    /// The precision that holds all weights: `"f64"` if any is in double precision, else `"f32"`.
    pub fn dtype(&self) -> &'static str {
        let double = |(_, tensor): &(String, Tensor)| matches!(tensor, Tensor::Numbers { double: true, .. });
        if self.tensors.iter().any(double) { "f64" } else { "f32" }
    }

    /// The linear layers in the order of the computation: that of the tensors or, of a safetensors file, which does not
    /// keep one, that of the numbers in the names (`linears.2` before `linears.10`), or else the only one that the
    /// shapes allow.
    ///
    /// # Errors
    /// [`Error::StateDict`]: there are no tensors; one is neither the weight nor the bias of a linear layer, or has
    /// integers; a layer has no weight, a bias of another length, or other inputs than the layer before it has outputs;
    /// names and shapes allow several orders.
    pub fn layers(&self) -> Result<Vec<LinearLayer>, Error> {
        let one = |layer: &Linear| {
            let (outputs, inputs) = layer.widths();
            LinearLayer { name: layer.name.into(), inputs, outputs, bias: layer.bias.is_some() }
        };
        Ok(self.chain()?.iter().map(one).collect())
    }

    /// The same layers in another order, by their names.
    ///
    /// ```
    /// use hessquik::{StateDict, ndarray::Array};
    /// let mut state = StateDict::new();
    /// state.insert("out.weight", Array::<f64, _>::ones((1, 4)).into_dyn());
    /// state.insert("in.weight", Array::<f64, _>::ones((4, 2)).into_dyn());
    /// assert!(state.layers().is_err());
    /// assert_eq!(state.in_order(&["in", "out"])?.layers()?[0].inputs, 2);
    /// # Ok::<(), hessquik::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::StateDict`] if a name is not that of a layer or is there twice, or a layer is not named.
    pub fn in_order<S: AsRef<str>>(&self, names: &[S]) -> Result<Self, Error> {
        let layers = self.linear()?;
        let known = || layers.iter().map(|layer| layer.name).collect::<Vec<_>>();
        let mut sorted = Self::new();
        for name in names {
            let name = name.as_ref();
            let Some(layer) = layers.iter().find(|layer| layer.name == name) else {
                let hint = did_you_mean(name, known());
                return Err(StateDictError::UnknownLayer { name: name.into(), known: known().join(", "), hint }.into());
            };
            for end in ["weight", "bias"] {
                let full = if name.is_empty() { end.to_string() } else { format!("{}.{end}", layer.name) };
                let Some(&place) = self.places.get(&full) else { continue };
                if sorted.places.contains_key(&full) {
                    return Err(StateDictError::NamedTwice { layer: name.into() }.into());
                }
                sorted.put(full, self.tensors[place].1.clone());
            }
        }
        let named = |layer: &&Linear| names.iter().any(|name| name.as_ref() == layer.name);
        match layers.iter().find(|layer| !named(layer)) {
            Some(layer) => Err(StateDictError::NotNamed { layer: layer.name.into() }.into()),
            None => Ok(sorted),
        }
    }

    /// Weights and biases by layer, as they come.
    fn linear(&self) -> Result<Vec<Linear<'_>>, StateDictError> {
        let mut layers: Vec<Linear> = Vec::new();
        let mut places = HashMap::new();
        for (name, tensor) in &self.tensors {
            let array = match tensor {
                Tensor::Numbers { array, .. } => array,
                Tensor::Typed { elements } => {
                    return Err(StateDictError::Elements { name: name.clone(), found: elements.clone() });
                }
                Tensor::Other { found } => {
                    return Err(StateDictError::NotATensor { name: name.clone(), found: found.clone() });
                }
            };
            let (layer, end) = name.rsplit_once('.').unwrap_or(("", name));
            let place = *places.entry(layer).or_insert_with(|| {
                layers.push(Linear { name: layer, weight: None, bias: None });
                layers.len() - 1
            });
            match (end, array.ndim()) {
                ("weight", 2) => layers[place].weight = Some(array),
                ("bias", 1) => layers[place].bias = Some(array),
                _ => {
                    return Err(StateDictError::NotLinear { name: name.clone(), shape: array.shape().to_vec() });
                }
            }
        }
        match layers.iter().find(|layer| layer.weight.is_none()) {
            Some(layer) => Err(StateDictError::NoWeight { layer: layer.name.into() }),
            None if layers.is_empty() => Err(StateDictError::Empty),
            None => Ok(layers),
        }
    }

    /// The layers in order; each takes what the one before it gives.
    fn chain(&self) -> Result<Vec<Linear<'_>>, StateDictError> {
        let mut layers = self.linear()?;
        if self.unordered {
            layers = order::sorted(layers)?;
        }
        let mut before: Option<Linear> = None;
        for layer in &layers {
            let (outputs, found) = layer.widths();
            if let Some(before) = before.filter(|before| before.widths().0 != found) {
                let (wanted, before) = (before.widths().0, before.name.into());
                return Err(StateDictError::Inputs { layer: layer.name.into(), found, before, wanted });
            }
            if let Some(bias) = layer.bias.filter(|bias| bias.len() != outputs) {
                return Err(StateDictError::Bias { layer: layer.name.into(), found: bias.len(), wanted: outputs });
            }
            before = Some(*layer);
        }
        Ok(layers)
    }
}

/// The entries in another precision.
fn cast<F: Real>(layer: &str, end: &str, array: ArrayViewD<f64>) -> Result<ArrayD<F>, Error> {
    let cast = array.mapv(F::of);
    match array.iter().zip(&cast).find(|(wide, narrow)| wide.is_finite() && !narrow.is_finite()) {
        Some((wide, _)) => {
            let what = format!("an entry of the {end} of layer '{layer}'");
            Err(Error::setting(what, format!("{wide:e}"), format!("a number that {} can hold", F::NAME)))
        }
        None => Ok(cast),
    }
}

impl<F: Real> Network<F> {
    /// The network of linear layers one after another whose weights are in a state dictionary, as of PyTorch's
    /// `nn.Sequential` or DeepXDE's `FNN`: a [`Single`] layer for each, with weights `0.K`, `0.b`, `1.K` and so on.
    ///
    /// A state dictionary does not say which activations the module has: `act` comes after each layer but the last,
    /// `last` after that one.
    ///
    /// ```
    /// use hessquik::{Activation, Evaluate, Network, StateDict, ndarray::array};
    /// let mut state = StateDict::new();
    /// state.insert("0.weight", array![[1.0, -1.0]].into_dyn());
    /// state.insert("2.weight", array![[3.0]].into_dyn());
    /// let network = Network::<f64>::from_state_dict(&state, Activation::Sin, Activation::Identity)?;
    /// assert_eq!(network.value(&array![[0.75, 0.25]])?[[0, 0]], 3.0 * 0.5f64.sin());
    /// # Ok::<(), hessquik::Error>(())
    /// ```
    ///
    /// # Errors
    /// Those of [`StateDict::layers`]; [`Error::StateDict`] for another number of activations; [`Error::Setting`] for an
    /// invalid activation, a layer without inputs or outputs, and a weight that is too large for `F`.
    pub fn from_state_dict(state: &StateDict, act: impl Into<Activations>, last: Activation) -> Result<Self, Error> {
        let chain = state.chain()?;
        let wanted = chain.len() - 1;
        let acts = match act.into() {
            Activations::All(act) => vec![act; wanted],
            Activations::Each(acts) => acts,
        };
        if acts.len() != wanted {
            return Err(StateDictError::Activations { found: acts.len(), wanted }.into());
        }
        let mut layers: Vec<Box<dyn Layer<F>>> = Vec::new();
        let mut arrays: Vec<ArrayD<F>> = Vec::new();
        for (layer, act) in chain.iter().zip(acts.into_iter().chain([last])) {
            let Some(weight) = layer.weight else { continue };
            let (outputs, inputs) = layer.widths();
            let single = Single::new(inputs, outputs, act, &mut Init::zeros());
            arrays.push(cast(layer.name, "weight", weight.t())?);
            layers.push(match layer.bias {
                Some(bias) => {
                    arrays.push(cast(layer.name, "bias", bias.view())?);
                    Box::new(single)
                }
                None => Box::new(single.without_bias()),
            });
        }
        let mut network = Self::new(layers)?;
        network.set_weights(&arrays.iter().map(|array| array.view()).collect::<Vec<_>>())?;
        Ok(network)
    }
}
