//! Values, gradients and Hessians of neural networks **with respect to their inputs**, analytically, on all cores.
//!
//! # A tour
//! A [`Network`] is a list of layers. Each layer is a [`Layer`], and so is the network itself. [`Evaluate`] computes
//! the results named in a [`Request`] at points `x` (n_s, d) and returns them as a [`Jet`]:
//!
//! ```
//! use hessquik::{Activation, Evaluate, Init, Network, Request, Single, resnet};
//!
//! let init = &mut Init::seed(0);
//! let network = Network::<f64>::new(vec![
//!     Box::new(Single::new(2, 16, Activation::Tanh, init)),
//!     Box::new(resnet(16, 4, 1.0, Activation::Tanh, init)?),
//!     Box::new(Single::new(16, 1, Activation::Identity, init)),
//! ])?;
//! let x = ndarray::array![[0.1, 0.2], [-1.0, 0.5]];
//!
//! let (value, gradient, hessian) = network.hessian(&x)?;
//! assert_eq!(hessian.dim(), (2, 2, 2, 1));
//!
//! let jet = network.evaluate(&x, &Request::new().laplacian().partials(&[(0, 1)]))?;
//! let (laplacian, u_xy) = (jet.laplacian.unwrap(), jet.partials.unwrap());
//! assert!((laplacian[[0, 0]] - hessian[[0, 0, 0, 0]] - hessian[[0, 1, 1, 0]]).abs() < 1e-14);
//! assert!((u_xy[[0, 0, 0]] - hessian[[0, 0, 1, 0]]).abs() < 1e-14);
//! # Ok::<(), hessquik::Error>(())
//! ```
//!
//! [`Evaluate::pullback`] gives the gradients of a loss of such results, with respect to all weights and to the points;
//! [`Evaluate::loss_gradients`] gives the loss too, in one pass. [`check`] verifies the derivatives before you trust
//! them.
//!
//! The book, `docs` in the repository, derives all of this and works through real problems.
//!
//! # How to add a layer
//! A layer is defined by its forward pass on a [`Var`], [`Layer::forward_pass`]: values, every derivative, every mode
//! and the pullback follow from it, and model files can store the layer. A layer of the shape linear - pointwise -
//! linear, with a linear skip, may give a [`Form`] instead and is computed by the engine's own sweeps. A [`SmoothMap`],
//! given by five operations, is the last resort.
//!
//! # The mathematics
//! With `T` the tangents of the states along the input directions and `G` the adjoints of the outputs,
//!
//! ```text
//! A_i = T_{i-1} M_i            T_i = T_{i-1} S_i + (A_i . act'(z_i)) W_i                     T_0 = V
//! E_i = G_i W_i^T              G_{i-1} = G_i S_i^T + (E_i . act'(z_i)) M_i^T                  G_l = U^T
//! C_i = E_i . act''(z_i)
//!
//! gradient V f' U = T_l U      Hessian[:, :, r] = sum_i A_i diag(C_i[r]) A_i^T
//! ```
//!
//! A [`Plan`] says where tangents restart and through which layers the Hessian is carried forward instead; every plan gives
//! the same numbers, and [`Mode::Auto`] takes the cheapest.
//!
//! # Features
//! | feature | default | what it is for |
//! |---|---|---|
//! | `files` | yes | model files and ONNX: `Network::load` and `Network::save`, and files that are written whole |
//! | `torch` | no | state dictionaries in PyTorch's own files (`.pt`, `.pth`): `StateDict::load` |
//! | `rayon` | yes | tiles of points on all cores; without it, evaluation runs on the thread that calls |
//!
//! Arrays are those of the crate [`ndarray`], which is exported too.
//!
//! # Errors
//! Nothing panics on bad input. Bad shapes, settings, files and sizes return an [`Error`] that says what was found and
//! what was expected.
#![deny(missing_docs)]
#![warn(rustdoc::broken_intra_doc_links)]

pub mod activation;
mod along;
mod architecture;
pub mod check;
mod engine;
mod error;
pub mod estimate;
mod evaluate;
mod execute;
#[cfg(feature = "files")]
mod file;
mod foreign;
mod graph;
mod jet;
pub mod layer;
mod network;
#[cfg(feature = "files")]
mod onnx;
mod peaks;
mod plan;
mod points;
mod prepared;
mod real;
mod request;
mod resolve;
mod result;
pub mod schedule;
mod state_dict;
mod summary;
#[cfg(feature = "files")]
mod whole;

pub use activation::{Activation, ActivationSpec, Pointwise, softplus_cut};
pub use along::{PointDirections, PointGradients};
pub use architecture::Architecture;
pub use engine::on_this_thread;
pub use error::Error;
pub use evaluate::{Evaluate, Gradients, Tangent};
#[cfg(feature = "files")]
pub use file::{weights_dtype, weights_dtype_of_bytes, wrapper};
pub use foreign::{did_you_mean, distinct_keys};
pub use graph::{Graph, GraphSpec, NodeSpec, TermSpec, Var, WeightSpec};
pub use jet::{FactoredHessian, Jet, JetMut, JetView};
pub use layer::{
    Form, GraphLayer, Icnn, Init, Layer, Linear, LogSumExp, Parts, Quadratic, QuadraticIcnn, Resnet, Shift, Single,
    SmoothMap, Softmax, Weights,
};
// points and results are its arrays
pub use ndarray;
pub use network::{Network, fully_connected, icnn, resnet};
pub use peaks::peaks;
pub use plan::{Candidate, Cost, Explanation, Plan, StepCost};
pub use points::points;
pub use prepared::Prepared;
pub use real::Real;
pub use request::{IntoAxes, Mode, Request};
pub use result::Field;
#[cfg(feature = "files")]
pub use state_dict::is_state_dict;
pub use state_dict::{Activations, LinearLayer, StateDict, StateDictError};
pub use summary::{LayerSummary, WeightSummary};
#[cfg(feature = "files")]
pub use whole::{WholeFile, follow, inherit, missing_folder, write_whole};
