//! Ctrl-C: stops between two tiles, or within one that takes long, so that nothing half-written stays behind.
use crate::failure::Failure;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

static ASKED: AtomicBool = AtomicBool::new(false);
/// Whether errors are said as JSON, too.
static JSON: AtomicBool = AtomicBool::new(false);
/// Files and folders that are to be removed if the process ends at once, and whether the output has got its place.
static LEFT: Mutex<(Vec<PathBuf>, bool)> = Mutex::new((Vec::new(), false));

/// How long work that asks [`check`] has to end by itself.
const PATIENCE: Duration = Duration::from_millis(400);

fn left() -> MutexGuard<'static, (Vec<PathBuf>, bool)> {
    LEFT.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Errors are said as JSON, too.
pub fn json(asked: bool) {
    JSON.store(asked, Ordering::SeqCst);
}

/// From now on an interrupt is remembered for [`check`]; work that does not ask ends with the process a moment later, and a
/// second interrupt ends it at once.
pub fn watch() {
    let handler = || {
        if !ASKED.swap(true, Ordering::SeqCst) {
            std::thread::sleep(PATIENCE);
        }
        end();
    };
    left().1 = false;
    let _ = ctrlc::set_handler(handler); // an error means that it is set already, or that there are no signals
}

/// The same for work that saves what it has, however long that takes; a second interrupt ends the process at once.
#[cfg(feature = "train")]
pub fn watch_patiently() {
    let handler = || {
        if ASKED.swap(true, Ordering::SeqCst) {
            end();
        }
    };
    let _ = ctrlc::set_handler(handler);
}

/// An error once an interrupt has come.
pub fn check() -> Result<(), Failure> {
    if asked() { Err(Failure::Interrupted) } else { Ok(()) }
}

/// Whether an interrupt has come.
pub fn asked() -> bool {
    ASKED.load(Ordering::SeqCst)
}

/// Remembers a file or folder that is to be removed if the process ends at once.
pub fn temporary(path: &Path) {
    left().0.push(path.into());
}

/// Brings an output to its place, during which no interrupt ends the process, nor later.
pub fn uncut<T>(place: impl FnOnce() -> Result<T, Failure>) -> Result<T, Failure> {
    let mut left = left();
    check()?;
    let placed = place()?;
    left.1 = true;
    Ok(placed)
}

/// Ends the process, leaving nothing behind.
fn end() {
    let left = left();
    if left.1 {
        return; // the output is there: what is left to do is to say so
    }
    for path in &left.0 {
        let _ = if path.is_dir() { std::fs::remove_dir_all(path) } else { std::fs::remove_file(path) };
    }
    crate::fail(&Failure::Interrupted, JSON.load(Ordering::SeqCst));
    std::process::exit(i32::from(Failure::Interrupted.exit_code()));
}
