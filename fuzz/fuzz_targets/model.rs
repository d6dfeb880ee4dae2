//! Model files; the promises are in `hardening/src/inputs.rs`.
#![no_main]
#![allow(dead_code)] // each target uses a part of what it includes

#[path = "../../crates/hessquik-cli/src/element.rs"]
mod element;
#[path = "../../crates/hessquik-cli/src/failure.rs"]
mod failure;
#[path = "../../hardening/src/inputs.rs"]
mod inputs;
#[path = "../../crates/hessquik-cli/src/points/mod.rs"]
mod points;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| inputs::model(bytes));
