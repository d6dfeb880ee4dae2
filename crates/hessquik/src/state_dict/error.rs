//! What can be wrong with a state dictionary.

/// What to do with modules that are more than linear layers.
const ADVICE: &str =
    "bring the module itself: as an ONNX model, or in Python by Network.from_torch or Network.from_jax";

/// Why a state dictionary does not become a network.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum StateDictError {
    /// There are no tensors.
    #[error("the state dictionary is empty")]
    Empty,

    /// A tensor holds something other than floating-point numbers.
    #[error("'{name}' has elements of type {found}, expected float32, float64, float16 or bfloat16: {ADVICE}")]
    Elements {
        /// The name of the tensor.
        name: String,
        /// The type of its elements.
        found: String,
    },

    /// An entry is not a tensor.
    #[error(
        "'{name}' is {found}, expected a tensor; save the weights alone: torch.save(model.state_dict(), \"weights.pt\")"
    )]
    NotATensor {
        /// The name of the entry.
        name: String,
        /// What it is.
        found: String,
    },

    /// A tensor does not belong to a linear layer.
    #[error(
        "'{name}' {shape:?} is not the weight (outputs, inputs) or the bias (outputs) of a linear layer; a state \
         dictionary does not say what other layers compute: {ADVICE}"
    )]
    NotLinear {
        /// The name of the tensor.
        name: String,
        /// Its shape.
        shape: Vec<usize>,
    },

    /// A bias has no weight beside it.
    #[error("layer '{layer}' has a bias and no weight: {ADVICE}")]
    NoWeight {
        /// The name of the layer.
        layer: String,
    },

    /// The length of a bias is not the number of outputs.
    #[error("layer '{layer}' has a bias [{found}], expected [{wanted}]")]
    Bias {
        /// The name of the layer.
        layer: String,
        /// The length of the bias.
        found: usize,
        /// The number of outputs.
        wanted: usize,
    },

    /// A layer does not take what the layer before it gives.
    #[error(
        "layer '{layer}' has {found} inputs, expected {wanted}, the outputs of layer '{before}'; give the layers as a \
         mapping, in the order of the computation, or name them in that order (--layers of hessquik convert)"
    )]
    Inputs {
        /// The name of the layer.
        layer: String,
        /// Its inputs.
        found: usize,
        /// The name of the layer before it.
        before: String,
        /// The outputs of that layer.
        wanted: usize,
    },

    /// There are too few or too many activations.
    #[error("found {found} activations, expected {wanted}: one for each layer but the last")]
    Activations {
        /// The number of activations.
        found: usize,
        /// The number of layers but the last.
        wanted: usize,
    },

    /// A file does not keep the order of the layers, and nothing else tells it.
    #[error(
        "the file does not keep the order of its layers, and their names and shapes do not tell it{}; name them in the \
         order of the computation: --layers NAME,... of hessquik convert, StateDict::in_order, or a mapping in Python",
        examples(orders)
    )]
    UnknownOrder {
        /// Two orders that are possible, or none if there are too many layers to look for them.
        orders: Vec<String>,
    },

    /// There is no layer of this name.
    #[error("no layer is named '{name}'; the layers are {known}{hint}")]
    UnknownLayer {
        /// The name that was given.
        name: String,
        /// The names of all layers.
        known: String,
        /// The name that was meant, as the end of a sentence.
        hint: String,
    },

    /// A layer is named twice in an order.
    #[error("layer '{layer}' is named twice in the order of the layers")]
    NamedTwice {
        /// The name of the layer.
        layer: String,
    },

    /// A layer is missing in an order.
    #[error("layer '{layer}' is not in the order of the layers; name each layer once")]
    NotNamed {
        /// The name of the layer.
        layer: String,
    },
}

/// Orders in parentheses.
fn examples(orders: &[String]) -> String {
    match orders {
        [] => String::new(),
        some => format!(" ({})", some.join(" or ")),
    }
}
