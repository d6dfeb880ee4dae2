//! The engine as functions that XLA calls, which is how JAX compiles it into its programs: no Python in between.
mod abi;
mod call;
mod handlers;
mod spec;
mod tangents;

pub use handlers::{xla_forget, xla_handlers};
