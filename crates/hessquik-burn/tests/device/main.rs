//! Jets and gradients of modules against hessQuik's golden files and against the engine of the library, on the device
//! that `HESSQUIK_TEST_DEVICE` names (`cpu` unless set), by the engine's operation and by tensor operations.
mod common;
#[allow(dead_code)]
#[path = "../../../hessquik/tests/proof/common/golden.rs"]
mod golden;
mod golden_files;
mod gradients;
mod graphs;
mod modules;
mod numbers;
mod requests;
