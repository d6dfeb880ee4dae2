//! Executors: they know steps, and nothing of graphs, plans or results.
mod plain;

pub(crate) use plain::Plain;
