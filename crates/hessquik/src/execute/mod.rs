//! Executors: they know steps, and nothing of graphs, plans or results.
mod plain;
mod run;

pub(crate) use plain::Plain;
pub(crate) use run::{GraphCall, Plan, Space};
