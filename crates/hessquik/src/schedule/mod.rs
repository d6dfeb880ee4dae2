//! Schedules: a request resolved against a graph is a straight list of steps on row buffers.
mod build;
mod compile;
mod cost;
mod higher;
mod polarise;
mod push;
mod reverse;
mod second;
mod step;
mod sweeps;

pub(crate) use build::List;
pub(crate) use compile::{Reading, compile};
pub(crate) use cost::of as operations;
pub(crate) use push::{Moves, push};
pub(crate) use reverse::reverse;
pub(crate) use step::{Block, Buffer, DotPlace, GramPlace, Id, Op, PickPlace, Place, Source, Step, Triple, Triples};
