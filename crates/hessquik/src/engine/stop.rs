//! Calls that can be given up in the middle of a tile: a question at every step of it, on the thread that works.
use std::cell::Cell;
use std::panic::resume_unwind;
use std::ptr::null;

/// Whether to go on.
pub(crate) type GoOn<'a> = &'a (dyn Fn() -> bool + Sync);

/// What a tile unwinds with that was given up: how it leaves a parallel loop for good. No panic hook sees it.
pub(crate) struct Stopped;

thread_local! {
    /// The question of the tile that runs on this thread.
    static QUESTION: Cell<*const (dyn Fn() -> bool + Sync)> = const { Cell::new(null::<fn() -> bool>()) };
}

/// Puts the question back that was there before, also when the tile unwinds.
struct Before(*const (dyn Fn() -> bool + Sync));

impl Drop for Before {
    fn drop(&mut self) {
        QUESTION.set(self.0);
    }
}

/// Runs `work`, a tile, which asks `go_on` at every step if there is one.
pub(crate) fn asking<R>(go_on: Option<GoOn<'_>>, work: impl FnOnce() -> R) -> R {
    let Some(go_on) = go_on else { return work() };
    // SAFETY: only the lifetime changes. `Before` takes the pointer out again before this function returns or unwinds, so
    // nobody reads it after `go_on` ends.
    let go_on = unsafe { std::mem::transmute::<GoOn<'_>, GoOn<'static>>(go_on) };
    let _before = Before(QUESTION.replace(go_on));
    work()
}

/// A step of a tile: leaves it if the call was given up.
#[inline]
pub(crate) fn step() {
    let question = QUESTION.get();
    if !question.is_null() {
        ask(question);
    }
}

#[cold]
fn ask(question: *const (dyn Fn() -> bool + Sync)) {
    // SAFETY: what is not null was set by `asking`, which is running below on this thread's stack and holds the reference.
    if !unsafe { (*question)() } {
        resume_unwind(Box::new(Stopped));
    }
}
