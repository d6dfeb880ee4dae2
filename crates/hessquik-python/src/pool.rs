//! How the engine runs under Python: without its lock, on a thread pool that survives a fork, with Ctrl-C heard.
use crate::array::Float;
use crate::errors;
use hessquik::Prepared;
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use rayon::{ThreadPool, ThreadPoolBuilder};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr::null_mut;
use std::sync::atomic::{AtomicBool, AtomicPtr, AtomicUsize, Ordering};
use std::sync::mpsc::{RecvTimeoutError, sync_channel};
use std::time::Duration;

/// A thread pool and the process that its threads live in.
struct Pool {
    process: u32,
    threads: ThreadPool,
}

static POOL: AtomicPtr<Pool> = AtomicPtr::new(null_mut());
/// How many threads were asked for; 0 is as many as the machine lends to this process.
static THREADS: AtomicUsize = AtomicUsize::new(0);

/// The pool of this process. After a fork the threads of the parent are gone, so the child makes its own. No lock is
/// taken, since a lock that the parent held would stay locked in the child; pools are never freed for the same reason.
pub fn pool() -> PyResult<&'static ThreadPool> {
    let current = POOL.load(Ordering::Acquire);
    // SAFETY: what POOL points to was leaked by `install` and is never freed.
    if let Some(pool) = unsafe { current.as_ref() }
        && pool.process == std::process::id()
    {
        return Ok(&pool.threads);
    }
    install(current, THREADS.load(Ordering::Relaxed))
}

/// Puts a new pool of `count` threads in the place of `current`, unless another thread was quicker.
fn install(current: *mut Pool, count: usize) -> PyResult<&'static ThreadPool> {
    let threads = ThreadPoolBuilder::new().num_threads(count).thread_name(|i| format!("hessquik-{i}")).build();
    let threads = threads.map_err(|e| pyo3::exceptions::PyRuntimeError::new_err(format!("no thread pool: {e}")))?;
    let new = Box::into_raw(Box::new(Pool { process: std::process::id(), threads }));
    let kept = match POOL.compare_exchange(current, new, Ordering::AcqRel, Ordering::Acquire) {
        Ok(_) => new,
        Err(other) => {
            // SAFETY: `new` came from a box just above, and nobody else has seen it.
            drop(unsafe { Box::from_raw(new) });
            other
        }
    };
    // SAFETY: as in `pool`.
    Ok(unsafe { &(*kept).threads })
}

/// The number of threads that evaluations run on.
#[pyfunction]
pub fn num_threads() -> PyResult<usize> {
    Ok(pool()?.current_num_threads())
}

/// Sets the number of threads that evaluations run on.
#[pyfunction]
pub fn set_num_threads(count: usize) -> PyResult<()> {
    if count == 0 {
        return Err(PyValueError::new_err("the number of threads is 0, expected at least 1"));
    }
    THREADS.store(count, Ordering::Relaxed);
    install(POOL.load(Ordering::Acquire), count)?;
    Ok(())
}

/// Whether to go on, which long work asks between chunks.
pub type GoOn<'a> = &'a (dyn Fn() -> bool + Sync);

/// Whether a call of `points` points is so short that signals can wait for its end: one tile, and not a long one.
pub fn small<F: Float>(prepared: &Prepared<F>, points: usize, tile: usize) -> bool {
    const SECONDS: f64 = 0.005;
    points <= tile && prepared.seconds(points) < SECONDS
}

/// Runs `work` without Python's lock: here if it is `small`, else on the pool, while this thread listens to signals.
/// A panic becomes an exception.
pub fn run<R: Send>(py: Python<'_>, small: bool, work: impl FnOnce(GoOn<'_>) -> R + Send) -> PyResult<R> {
    let caught = |go_on: GoOn<'_>| catch_unwind(AssertUnwindSafe(|| work(go_on)));
    if small {
        return py.detach(|| caught(&|| true)).map_err(|p| errors::panicked(&*p));
    }
    let pool = pool()?;
    let stopped = AtomicBool::new(false);
    py.detach(|| {
        pool.in_place_scope(|scope| {
            let (send, receive) = sync_channel(1);
            let stopped = &stopped;
            scope.spawn(move |_| {
                // the receiver may have given up, and then nobody wants the result
                let _ = send.send(caught(&|| !stopped.load(Ordering::Relaxed)));
            });
            loop {
                match receive.recv_timeout(Duration::from_millis(50)) {
                    Ok(result) => return result.map_err(|p| errors::panicked(&*p)),
                    Err(RecvTimeoutError::Timeout) => {
                        if let Err(signal) = Python::attach(|py| py.check_signals()) {
                            stopped.store(true, Ordering::Relaxed);
                            // the scope ends once the work has noticed
                            return Err(signal);
                        }
                    }
                    Err(RecvTimeoutError::Disconnected) => unreachable!("the work sends its result, or its panic"),
                }
            }
        })
    })
}

/// Fails as a bug of the engine would, for the test that this arrives as an exception.
#[pyfunction]
pub fn fail(py: Python<'_>, small: bool) -> PyResult<()> {
    run(py, small, |_| panic!("asked for by a test"))
}
