//! Schedules: a request resolved against a graph is a straight list of steps on row buffers.
mod step;

pub(crate) use step::{Block, Buffer, DotPlace, GramPlace, Id, Op, Place, Source, Step, Triple, Triples};
