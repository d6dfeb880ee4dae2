//! The engine: a tile of samples through all layers and sweeps while its state sits in cache, tiles in parallel.
//!
//! `program` lowers a network to the one form, `call` resolves a request against it, `sweeps` and `hessian` are the lines
//! of the mathematics, `tile` runs them by the plan, `reverse` and `pullback` are their reverse, `run` goes over the tiles.
mod across;
mod bars;
mod by_graph;
mod call;
mod compiled;
mod compose;
mod compress;
pub(crate) mod gemm;
mod gradient;
mod hessian;
pub(crate) mod kernels;
mod kind;
mod lanes;
mod linear;
mod lowered;
mod memory;
mod operator;
mod packed;
pub(crate) mod product;
mod program;
mod pullback;
mod recent;
mod rescue;
mod reverse;
mod reverse_carry;
mod reverse_hessian;
mod reverse_kernels;
mod run;
mod schedules;
mod share;
mod sizes;
mod start;
pub(crate) mod stop;
mod sweeps;
mod symmetric;
pub(crate) mod tape;
mod threads;
mod tile;
mod tiles;

pub(crate) use by_graph::MANY;
pub(crate) use call::{Call, Field};
pub use compiled::Compiled;
#[cfg(test)]
pub(crate) use kind::Kind;
pub use lanes::Lanes;
pub use lowered::Lowered;
pub(crate) use memory::{prefer_large, unwritten};
pub use program::Program;
pub(crate) use program::{Memory, Stage, flatten};
pub(crate) use schedules::Schedules;
pub(crate) use sizes::{StageSizes, Work};
pub(crate) use start::spared;
pub(crate) use stop::{GoOn, Stopped};
pub use threads::on_this_thread;

/// Sizes for tests of the kernels; of them the small ones under Miri, which takes a microsecond for each operation.
#[cfg(test)]
pub(crate) fn test_sizes<const N: usize>(sizes: [usize; N]) -> impl Iterator<Item = usize> {
    sizes.into_iter().filter(|&size| !cfg!(miri) || size <= 20)
}
