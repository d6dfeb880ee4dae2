//! The engine: a tile of samples through all layers and sweeps while its state sits in cache, tiles in parallel.
//!
//! `program` lowers a network to the one form, `call` resolves a request against it, `sweeps` are the lines of the
//! mathematics, `tile` runs them by the plan, `pullback` reverses them, `run` goes over the tiles.
mod call;
pub(crate) mod compose;
mod compress;
mod gemm;
mod kernels;
mod kind;
mod linear;
mod program;
mod pullback;
mod reverse;
mod run;
mod sizes;
mod sweeps;
mod tile;

pub(crate) use call::{Call, Field};
pub(crate) use kind::Kind;
pub use program::Program;
pub(crate) use program::Stage;
pub(crate) use sizes::{StageSizes, Work};
