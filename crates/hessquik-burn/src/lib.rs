//! hessquik's networks as [Burn](https://burn.dev) modules: values, gradients and Hessians with respect to inputs on
//! any Burn device, and training on losses made of them.
//!
//! ```
//! use burn::optim::{AdamConfig, GradientsParams};
//! use burn::tensor::Tensor;
//! use hessquik::{Activation, Init, Request, fully_connected};
//! use hessquik_burn::{Evaluate, Network, device};
//!
//! let device = device("auto")?.0.autodiff();                     // a GPU if there is one, else the CPU
//! let library = fully_connected::<f32>(&[2, 16, 1], Activation::Tanh, &mut Init::seed(0))?;
//! let mut network = Network::from_library(&library, &device)?;   // or Network::load::<f32>("model.safetensors", &device)?
//! let mut optimiser = AdamConfig::new().init();
//! let x = Tensor::<2>::from_floats([[0.1, 0.2], [-1.0, 0.5]], &device);
//! for _ in 0..3 {
//!     let jets = network.evaluate(x.clone(), &Request::new().value().laplacian())?;
//!     let loss = (jets.laplacian.unwrap() + jets.value.unwrap()).square().mean();
//!     let gradients = GradientsParams::from_grads(loss.backward(), &network);
//!     network = optimiser.step(1e-3, network, gradients);
//! }
//! # Ok::<(), hessquik_burn::Error>(())
//! ```
//!
//! # How it is computed
//! On the device `cpu` an evaluation is one operation of Burn that calls the engine of `hessquik`; its backward pass is
//! the engine's pullback. On GPUs, if the mode is `Auto` or `Forward` and a point has few derivatives (up to eight
//! directions for a Hessian), it is forward mode with one kernel per layer of hessQuik's and its own backward pass.
//! Otherwise the steps of the library's schedule ([`hessquik::schedule`]) run as batched tensor operations (one product
//! for all samples, tangents and weights; nothing of size width^2 per sample): any layer, any result and order. Gradients
//! are Burn's.
//! All are tested to agree with hessQuik's numbers and with each other.
//!
//! # Devices
//! Cargo features: none for the CPU; `wgpu` for any GPU through WebGPU, `vulkan`, `metal`, `cuda`, `rocm` for one kind
//! each. [`device`] finds one by name. f64 works on the CPU and CUDA, and is an error where it does not ([`supports`]).
//!
//! # Training
//! [`train`] has mini-batches, schedules, Adam, AdamW, L-BFGS, early stopping, checkpoints and multiple processes; or
//! write the loop above with any Burn optimiser. The book, `docs` in the repository, has how-tos for GPUs and many
//! machines, and worked problems.
mod activation;
mod device;
mod engine;
mod error;
mod factored;
#[cfg(feature = "kernels")]
mod form;
mod jets;
#[allow(non_snake_case)] // K, L, A: the names of the mathematics, of hessQuik and of model files
mod module;
mod product;
mod steps;
mod structure;
#[cfg(feature = "kernels")]
mod taylor;
mod tensors;
pub mod train;

// where the plain executor of the library, to which the steps are compared, looks for them
#[cfg(test)]
use hessquik::{Real, schedule};

pub use device::{DEVICES, device, supports};
pub use error::Error;
pub use jets::{FactoredHessian, Jets};
pub use module::{Evaluate, FlatNetwork, Icnn, Layer, Network, Quadratic, QuadraticIcnn, Resnet, Single};
