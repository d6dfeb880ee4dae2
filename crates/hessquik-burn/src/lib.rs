//! hessquik's networks as Burn modules.
mod activation;
mod device;
mod engine;
mod error;
mod form;
mod jets;
#[allow(non_snake_case)] // K, L, A: the names of the mathematics, of hessQuik and of model files
mod module;
mod sites;
mod structure;
mod tensors;
pub mod train;

pub use device::{DEVICES, device};
pub use error::Error;
pub use jets::{FactoredHessian, Jets};
pub use module::{Evaluate, FlatNetwork, Icnn, Layer, Network, Quadratic, QuadraticIcnn, Resnet, Single};
