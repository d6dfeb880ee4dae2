//! Training on values, gradients and Hessians, or on the residuals of differential equations: mini-batches, schedules,
//! L-BFGS, early stopping, checkpoints, history, in one process or many.
//!
//! Training minimises an [`Objective`], a mean over points of weighted terms: [`Fit`] for data (the manual's
//! `train_one_epoch`), [`Poisson`], [`Burgers`], [`KortewegDeVries`], [`ClampedBeam`], or your own. The network is
//! a [`FlatNetwork`](crate::FlatNetwork), so a step of the optimiser, or a sum of gradients over processes, is one
//! operation on one vector.
//!
//! ```
//! use burn::tensor::{DType, Device};
//! use hessquik::{Activation, Init, fully_connected};
//! use hessquik_burn::FlatNetwork;
//! use hessquik_burn::train::{Alone, Data, Fit, Settings, train};
//!
//! let device = Device::flex();
//! let library = fully_connected::<f32>(&[2, 16, 1], Activation::Tanh, &mut Init::seed(0))?;
//! let network = FlatNetwork::from_library(&library, &device.clone().autodiff())?;
//! let fit = Fit::new(&Data::peaks(200, 1), [1.0, 1.0, 1.0], &device, DType::F32)?;
//! let settings = Settings { epochs: 2, ..Settings::default() };
//! let outcome = train(network, &fit, None, &settings, &Alone, &mut |_| (), &|| true)?;
//! assert!(outcome.history[1].train[0] < outcome.history[0].running[0]);
//! # Ok::<(), hessquik_burn::Error>(())
//! ```
mod checkpoint;
mod data;
mod epoch;
mod history;
mod objective;
mod pinn;
mod ranks;
mod settings;
mod trainer;
mod updates;

pub use data::Data;
pub use epoch::{test, train_one_epoch};
pub use history::{Row, header, line, write_history};
pub use objective::{Fit, Objective};
pub use pinn::{Burgers, ClampedBeam, KortewegDeVries, Poisson};
#[cfg(feature = "mpi")]
pub use ranks::Mpi;
pub use ranks::{Alone, Ranks};
pub use settings::{Optimiser, Schedule, Settings};
pub use trainer::{Outcome, Stopped, train};
pub use updates::Updates;
