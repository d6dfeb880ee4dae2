//! The error type: what was found, and what was expected.

/// Why a network cannot be made, evaluated or trained.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Of the library: shapes, settings, requests, files.
    #[error(transparent)]
    Library(#[from] hessquik::Error),

    /// There is no such device here, and what would give one.
    #[error("device {name}: {message}")]
    Device {
        /// As asked for.
        name: String,
        /// What is missing, and what to install or build.
        message: String,
    },

    /// An element type that a device does not have, or two that do not fit.
    #[error("{what} has elements of type {found}, expected {wanted}")]
    Precision {
        /// Which tensor or device.
        what: String,
        /// As found.
        found: String,
        /// What would do.
        wanted: String,
    },

    /// What tensor operations cannot express: layers and activations defined by their user, softmax, log-sum-exp.
    #[error("{what} cannot be evaluated by tensor operations: {message}")]
    Unsupported {
        /// The layer or activation.
        what: String,
        /// Why, and what to do.
        message: String,
    },

    /// Training went wrong.
    #[error("training: {0}")]
    Training(String),

    /// A checkpoint that belongs to another run.
    #[error("{path}: a checkpoint of another run: {}", differences.join("; "), path = path.display())]
    OtherRun {
        /// Which file.
        path: std::path::PathBuf,
        /// What differs: `epochs: checkpoint 400, now 300`.
        differences: Vec<String>,
    },

    /// A file of points, a checkpoint or a history.
    #[error("{path}: {message}", path = path.display())]
    File {
        /// Which file.
        path: std::path::PathBuf,
        /// What is wrong with it.
        message: String,
    },
}
