//! Executors: they know steps, and nothing of graphs, plans or results.
pub(crate) mod lanes;
mod memory;
#[cfg(test)]
mod plain;
mod run;

#[cfg(test)]
pub(crate) use plain::Plain;
pub(crate) use run::{GraphCall, How, Plan, Space};
