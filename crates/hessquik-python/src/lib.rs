//! The native module `hessquik_rs._native`: networks on numpy arrays. What users see of it is written in Python, in
//! `python/hessquik_rs`.
mod array;
mod calls;
mod checks;
mod errors;
mod estimates;
mod lend;
mod network;
mod pool;
mod results;
mod schedule;
mod settings;
mod state_dict;
mod tangents;
mod torch;
mod watch;
mod wish;
mod xla;

use pyo3::prelude::*;

/// The engine of `hessquik_rs`.
#[pymodule]
mod _native {
    #[pymodule_export]
    use crate::network::Network;
    #[pymodule_export]
    use crate::pool::{fail, num_threads, set_num_threads};
    #[pymodule_export]
    use crate::state_dict::{load_state_dict, network_of_state_dict};
    #[pymodule_export]
    use crate::torch::TorchNetwork;
    #[pymodule_export]
    use crate::watch::Watch;
    #[pymodule_export]
    use crate::xla::{xla_forget, xla_handlers};
}
