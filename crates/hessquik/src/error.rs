//! The one error type of the library: every variant names what was found and what was expected.
use crate::StateDictError;
use std::path::PathBuf;

/// Everything that can go wrong, with the shapes, names and sizes that were found and expected.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A network needs at least one layer.
    #[error("a network needs at least one layer, found none")]
    EmptyNetwork,

    /// Two consecutive blocks do not fit together.
    #[error(
        "incompatible composition: block {left} ({left_name}) gives {found} features, \
         block {right} ({right_name}) takes {wanted}"
    )]
    IncompatibleBlocks {
        /// Position of the first block, as in the names of weights (`1.2`).
        left: String,
        /// Name of the first block.
        left_name: String,
        /// Number of features that the first block gives.
        found: usize,
        /// Position of the second block.
        right: String,
        /// Name of the second block.
        right_name: String,
        /// Number of features that the second block takes.
        wanted: usize,
    },

    /// An array has a different shape from the one that the network or request needs.
    #[error("{what} has shape {found:?}, expected {wanted}")]
    Shape {
        /// Which array.
        what: String,
        /// The shape that was found.
        found: Vec<usize>,
        /// The shape that was expected.
        wanted: String,
    },

    /// An index is out of range.
    #[error("{what}: index {index} is out of range for {len} entries")]
    Index {
        /// Which index list.
        what: &'static str,
        /// The offending index.
        index: usize,
        /// The number of entries.
        len: usize,
    },

    /// A setting has an invalid value (zero width, non-finite step, ...).
    #[error("{what} is {found}, expected {wanted}")]
    Setting {
        /// Which setting.
        what: String,
        /// The value that was found.
        found: String,
        /// The values that are valid.
        wanted: String,
    },

    /// An activation has no derivatives of the order that a request needs.
    #[error(
        "activation {activation} gives derivatives up to order {most}, and order {order} is needed (a pullback needs one \
         more than its request; a user's activation says what it can by `Pointwise::max_order` and `derivatives`)"
    )]
    Order {
        /// The name of the activation.
        activation: String,
        /// The order that the request needs.
        order: usize,
        /// The highest order that the activation gives.
        most: usize,
    },

    /// The request is empty, or names something that is unknown or not possible here.
    #[error("request: {0}")]
    Request(String),

    /// A layer describes itself inconsistently (a block out of range, an unknown weight, ...).
    #[error("layer {layer}: {message}")]
    Layer {
        /// Position and name of the layer.
        layer: String,
        /// What is wrong with the layer.
        message: String,
    },

    /// There is no weight of this name.
    #[error("no weight is named {name:?}; the network has {known}")]
    UnknownWeight {
        /// The name that was requested.
        name: String,
        /// The names that exist.
        known: String,
    },

    /// A result does not fit in memory.
    #[error(
        "cannot allocate {what}: {bytes} bytes requested (evaluate in tiles with `stream`, or request fewer results)"
    )]
    OutOfMemory {
        /// Which result, with its shape.
        what: String,
        /// Number of bytes requested (saturating).
        bytes: u128,
    },

    /// A file cannot be read or written.
    #[error("{path}: {source}", path = path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// The operating system's error.
        source: std::io::Error,
    },

    /// A file was read, but its content is not valid.
    #[error("{path}: {message}", path = path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What is wrong with the file.
        message: String,
    },

    /// A description of an architecture is not valid.
    #[error("architecture: {0}")]
    Architecture(String),

    /// A state dictionary does not become a network.
    #[error(transparent)]
    StateDict(#[from] StateDictError),
}

impl Error {
    pub(crate) fn shape(what: impl Into<String>, found: &[usize], wanted: impl Into<String>) -> Self {
        Self::Shape { what: what.into(), found: found.to_vec(), wanted: wanted.into() }
    }

    pub(crate) fn setting(what: impl Into<String>, found: impl ToString, wanted: impl Into<String>) -> Self {
        Self::Setting { what: what.into(), found: found.to_string(), wanted: wanted.into() }
    }
}
