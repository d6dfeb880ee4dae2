//! Schedules: a request resolved against a graph is a straight list of steps on row buffers.
//!
//! [`Schedule`] hands such a list out, for executors other than the library's own: `hessquik-burn` has one for tensors of
//! any device. An executor fills the buffers that nobody computes ([`Source`]), runs the steps in order, and reads the
//! results where [`Reading`] says. `execute/plain.rs` of this crate is one of 200 lines, entry by entry, that others are
//! tested against.
mod build;
mod compile;
mod cost;
mod higher;
mod polarise;
mod push;
mod resolved;
mod reverse;
mod second;
mod step;
mod sweeps;

pub(crate) use build::List;
pub use compile::Reading;
pub(crate) use compile::compile;
pub(crate) use cost::of as operations;
pub(crate) use push::{Moves, push};
pub use resolved::Schedule;
pub(crate) use reverse::reverse;
pub use step::{Block, Buffer, DotPlace, GramPlace, Id, Op, PickPlace, Place, Source, Step, Triple, Triples};
