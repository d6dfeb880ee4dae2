//! Executors: they know steps, and nothing of graphs, plans or results.
pub(crate) mod lanes;
mod plain;

pub(crate) use plain::Plain;
