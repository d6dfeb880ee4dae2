//! What the benchmark workers share: a protocol of JSON lines, case files, and measured limits of the machine.
mod case;
mod floor;
mod hyper_dual;
mod ours;
mod sweep;
mod worker;

pub use case::{Points, Results};
pub use floor::gemm_rate;
pub use hyper_dual::HyperDualCase;
pub use ours::{Kind, OursCase};
pub use worker::{Answer, Case, Load, serve, times};
