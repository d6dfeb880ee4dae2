//! hessquik
pub mod activation;
mod architecture;
pub mod check;
mod engine;
mod error;
mod evaluate;
mod file;
mod jet;
pub mod layer;
mod network;
mod peaks;
mod plan;
mod real;
mod request;

pub use activation::{Activation, Pointwise};
pub use architecture::{ActivationSpec, Architecture};
pub use error::Error;
pub use evaluate::{Evaluate, Gradients};
pub use file::weights_dtype;
pub use jet::{FactoredHessian, Jet, JetMut, JetView};
pub use layer::{
    Form, Icnn, Init, Layer, Linear, LogSumExp, Parts, Quadratic, QuadraticIcnn, Resnet, Shift, Single, SmoothMap,
    Softmax, Weights,
};
pub use network::{Network, fully_connected, icnn, resnet};
pub use peaks::peaks;
pub use plan::{Candidate, Cost, Explanation, Plan};
pub use real::Real;
pub use request::{Mode, Request};
