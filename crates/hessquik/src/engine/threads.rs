//! Work on several threads by Rayon, or, without the feature `rayon`, on the thread that calls.
use std::cell::Cell;

thread_local! {
    /// Whether this thread works alone.
    static ALONE: Cell<bool> = const { Cell::new(false) };
}

/// Calls `work`, during which evaluations and pullbacks on this thread use no other thread.
///
/// It saves the microseconds that others take to wake up, which is much of a call of a few dozen microseconds; the results
/// are bitwise the same.
///
/// ```
/// use hessquik::{Activation, Evaluate, Init, fully_connected, on_this_thread};
/// let network = fully_connected::<f64>(&[2, 8, 1], Activation::Tanh, &mut Init::seed(0))?;
/// let x = ndarray::Array2::ones((1000, 2));
/// assert_eq!(on_this_thread(|| network.value(&x))?, network.value(&x)?);
/// # Ok::<(), hessquik::Error>(())
/// ```
pub fn on_this_thread<R>(work: impl FnOnce() -> R) -> R {
    /// Sets what was before, also when `work` panics.
    struct Before(bool);
    impl Drop for Before {
        fn drop(&mut self) {
            ALONE.set(self.0);
        }
    }
    let _before = Before(ALONE.replace(true));
    work()
}

/// How many threads work.
pub(crate) fn count() -> usize {
    if ALONE.get() { 1 } else { pool::count() }
}

/// Both results, of work that may go on at once.
pub(crate) fn join<A: Send, B: Send>(a: impl FnOnce() -> A + Send, b: impl FnOnce() -> B + Send) -> (A, B) {
    if ALONE.get() { (a(), b()) } else { pool::join(a, b) }
}

#[cfg(feature = "rayon")]
mod pool {
    pub use rayon::{current_num_threads as count, join};
}

#[cfg(not(feature = "rayon"))]
mod pool {
    pub fn count() -> usize {
        1
    }

    pub fn join<A: Send, B: Send>(a: impl FnOnce() -> A + Send, b: impl FnOnce() -> B + Send) -> (A, B) {
        (a(), b())
    }
}
