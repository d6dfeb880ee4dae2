//! Ctrl-C: stops between two tiles, so that nothing half-written stays behind.
use crate::failure::Failure;
use std::sync::atomic::{AtomicBool, Ordering};

static ASKED: AtomicBool = AtomicBool::new(false);

/// From now on an interrupt is remembered for [`check`]; a second one ends the process at once.
pub fn watch() {
    let handler = || {
        if ASKED.swap(true, Ordering::SeqCst) {
            std::process::exit(130);
        }
    };
    let _ = ctrlc::set_handler(handler); // an error means that it is set already, or that there are no signals
}

/// An error once an interrupt has come.
pub fn check() -> Result<(), Failure> {
    if ASKED.load(Ordering::SeqCst) { Err(Failure::Interrupted) } else { Ok(()) }
}
