//! The functions that XLA calls.
use super::abi::{Error, Frame};
use super::spec::Cached;
use super::{call, tangents};
use pyo3::prelude::*;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr::null_mut;

extern "C" fn evaluate(frame: *mut Frame) -> Error {
    handle(frame, call::evaluate::<f32>, call::evaluate::<f64>)
}

extern "C" fn pullback(frame: *mut Frame) -> Error {
    handle(frame, call::pullback::<f32>, call::pullback::<f64>)
}

extern "C" fn pushforward(frame: *mut Frame) -> Error {
    handle(frame, tangents::pushforward::<f32>, tangents::pushforward::<f64>)
}

extern "C" fn second(frame: *mut Frame) -> Error {
    handle(frame, tangents::second::<f32>, tangents::second::<f64>)
}

type Work = fn(&Frame, &str) -> Result<(), String>;

fn handle(frame: *mut Frame, single: Work, double: Work) -> Error {
    // SAFETY: XLA hands over a frame that is this function's for the time of the call.
    let frame = unsafe { &mut *frame };
    if frame.answer_metadata() || !frame.executes() {
        return null_mut();
    }
    let work = || {
        let x = *frame.arguments().first().ok_or("there are no points")?;
        let spec = frame.text("spec")?;
        match x.double() {
            Some(false) => single(frame, spec),
            Some(true) => double(frame, spec),
            None => Err("the points must be float32 or float64".into()),
        }
    };
    // a panic must not reach C
    let result = catch_unwind(AssertUnwindSafe(work));
    frame.answer(result.unwrap_or_else(|_| Err("the engine failed, which is a bug".into())))
}

/// The addresses of the functions that evaluate, pull back, push forward, and push a pullback forward, for
/// `jax.ffi.pycapsule`.
#[pyfunction]
pub fn xla_handlers() -> [usize; 4] {
    [evaluate, pullback, pushforward, second].map(|handler: extern "C" fn(*mut Frame) -> Error| handler as usize)
}

/// Frees the networks that are kept for these specs.
#[pyfunction]
pub fn xla_forget(texts: Vec<String>) {
    for text in texts {
        f32::cache().forget(&text);
        f64::cache().forget(&text);
    }
}
