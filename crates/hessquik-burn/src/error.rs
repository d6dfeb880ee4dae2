//! The error type: what was found and what was expected.

/// Why a network cannot be made, evaluated or trained.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// An error of the library: shapes, settings, requests, files.
    #[error(transparent)]
    Library(#[from] hessquik::Error),

    /// The requested device is not available here; the message says how to get it.
    #[error("device {name}: {message}")]
    Device {
        /// The name that was requested.
        name: String,
        /// What is missing, and what to install or build.
        message: String,
    },

    /// A device does not have this element type, or two element types do not match.
    #[error("{what} has elements of type {found}, expected {wanted}")]
    Precision {
        /// Which tensor or device.
        what: String,
        /// The element type that was found.
        found: String,
        /// The element types that are accepted.
        wanted: String,
    },

    /// A layer that is not a module of its own: a network with it is a [`FlatNetwork`](crate::FlatNetwork).
    #[error(
        "the layer {layer} does not fit the one form and is not a module of its own: make the network a FlatNetwork, which \
         has the weights of any network in one vector"
    )]
    NoModule {
        /// The layer, by its name in [`hessquik::Architecture`].
        layer: String,
    },

    /// Not expressible by tensor operations: user-defined layers and activations.
    #[error("{what} cannot be evaluated by tensor operations: {message}")]
    Unsupported {
        /// The layer or activation.
        what: String,
        /// Why, and what to do about it.
        message: String,
    },

    /// Training failed.
    #[error("training: {0}")]
    Training(String),

    /// The checkpoint belongs to another run.
    #[error("{path}: a checkpoint of another run: {}", differences.join("; "), path = path.display())]
    OtherRun {
        /// Which file.
        path: std::path::PathBuf,
        /// What differs: `epochs: checkpoint 400, now 300`.
        differences: Vec<String>,
    },

    /// A file of points, a checkpoint or a history is not valid.
    #[error("{path}: {message}", path = path.display())]
    File {
        /// Which file.
        path: std::path::PathBuf,
        /// What is wrong with the file.
        message: String,
    },
}
