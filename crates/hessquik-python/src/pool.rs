//! How the engine runs under Python: without its lock, on a thread pool that survives a fork, with Ctrl-C heard.
use crate::array::Float;
use crate::errors;
use hessquik::{Prepared, on_this_thread};
use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;
use rayon::{ThreadPool, ThreadPoolBuilder};
use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr::null_mut;
use std::sync::atomic::{AtomicBool, AtomicPtr, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::available_parallelism;
use std::time::Duration;

/// The thread pool of one process. Whoever works on a pool holds on to it; one that was replaced ends with its last work.
struct Place {
    process: u32,
    pool: Mutex<Arc<ThreadPool>>,
}

impl Place {
    fn lock(&self) -> MutexGuard<'_, Arc<ThreadPool>> {
        // a pool is whole at every moment
        self.pool.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

static PLACE: AtomicPtr<Place> = AtomicPtr::new(null_mut());
/// How many threads were asked for; 0 is as many as the machine lends to this process.
static THREADS: AtomicUsize = AtomicUsize::new(0);

/// The place of this process, if it has a pool. After a fork the threads of the parent are gone, and its lock may be held by
/// one of them for ever, so the child makes a place of its own. Places are never freed: there is one for each process.
fn place() -> Option<&'static Place> {
    // SAFETY: what PLACE points to was leaked by `pool` and is never freed.
    unsafe { PLACE.load(Ordering::Acquire).as_ref() }.filter(|place| place.process == std::process::id())
}

/// The pool of this process.
pub fn pool() -> PyResult<Arc<ThreadPool>> {
    if let Some(place) = place() {
        return Ok(place.lock().clone());
    }
    let current = PLACE.load(Ordering::Acquire);
    let pool = Arc::new(build(THREADS.load(Ordering::Relaxed))?);
    let new = Box::new(Place { process: std::process::id(), pool: Mutex::new(pool.clone()) });
    let new = Box::into_raw(new);
    if PLACE.compare_exchange(current, new, Ordering::AcqRel, Ordering::Acquire).is_ok() {
        return Ok(pool);
    }
    // another thread was quicker
    // SAFETY: `new` came from a box just above, and nobody else has seen it.
    drop(unsafe { Box::from_raw(new) });
    self::pool()
}

/// More threads than this are a mistake: they would take memory and time, and none would run faster.
fn most() -> usize {
    available_parallelism().map_or(1, usize::from).saturating_mul(8).max(256)
}

fn build(count: usize) -> PyResult<ThreadPool> {
    const VARIABLE: &str = "RAYON_NUM_THREADS";
    // what a count of 0 makes Rayon read
    let asked = std::env::var(VARIABLE).ok().and_then(|text| text.parse::<usize>().ok());
    if let (0, Some(asked)) = (count, asked)
        && asked > most()
    {
        let wanted = format!("at most {}", most());
        return Err(errors::setting(&format!("the environment variable {VARIABLE}"), asked, &wanted));
    }
    let threads = ThreadPoolBuilder::new().num_threads(count).thread_name(|i| format!("hessquik-{i}")).build();
    threads.map_err(|e| PyRuntimeError::new_err(format!("{count} threads cannot be started: {e}")))
}

/// The number of threads that evaluations run on.
#[pyfunction]
pub fn num_threads() -> PyResult<usize> {
    Ok(pool()?.current_num_threads())
}

/// Sets the number of threads that evaluations run on.
#[pyfunction]
pub fn set_num_threads(count: &Bound<'_, PyAny>) -> PyResult<()> {
    let known = count.extract::<usize>().ok().filter(|count| (1..=most()).contains(count));
    let Some(number) = known else {
        let wanted = format!("a whole number, at least 1 and at most {}", most());
        return Err(errors::setting("the number of threads", count, &wanted));
    };
    let pool = pool()?;
    if pool.current_num_threads() != number {
        let new = Arc::new(build(number)?);
        if let Some(place) = place() {
            *place.lock() = new;
        }
    }
    THREADS.store(number, Ordering::Relaxed);
    Ok(())
}

/// Whether to go on, which long work asks between chunks.
pub type GoOn<'a> = &'a (dyn Fn() -> bool + Sync);
/// What work gives, or what it panicked with.
type Outcome<R> = Result<R, Box<dyn Any + Send>>;

fn caught<R>(work: impl FnOnce() -> R) -> Outcome<R> {
    catch_unwind(AssertUnwindSafe(work))
}

/// Whether a call of `points` points is so short that signals can wait for its end, and that other threads would not make
/// it shorter: those of a pool take some microseconds to wake up.
pub fn small<F: Float>(prepared: &Prepared<F>, points: usize, tile: usize) -> PyResult<bool> {
    const SECONDS: f64 = 0.005;
    // of one tile, threads can share large products alone
    let worth_it = if points <= tile { 5e-4 } else { 5e-5 };
    let seconds = prepared.seconds(points);
    Ok(seconds < worth_it || seconds < SECONDS && pool()?.current_num_threads() == 1)
}

/// Runs `work` without Python's lock: here if it is `small`, else on the pool, while this thread listens to signals.
/// A panic becomes an exception.
pub fn run<R: Send>(py: Python<'_>, small: bool, work: impl FnOnce(GoOn<'_>) -> R + Send) -> PyResult<R> {
    if small {
        return py.detach(|| caught(|| on_this_thread(|| work(&|| true)))).map_err(|p| errors::panicked(&*p));
    }
    let pool = pool()?;
    let stopped = AtomicBool::new(false);
    py.detach(|| {
        // after a signal the scope ends once the work has noticed
        pool.in_place_scope(|scope| {
            let (send, receive) = sync_channel(1);
            let stopped = &stopped;
            scope.spawn(move |_| answer(send, || work(&|| !stopped.load(Ordering::Relaxed))));
            listen(&receive, stopped)
        })
    })
}

/// As [`run`] on the pool, for work that borrows nothing: after a signal this returns at once, however long the work
/// takes to notice.
pub fn run_alone<R: Send + 'static>(py: Python<'_>, work: impl FnOnce(GoOn<'_>) -> R + Send + 'static) -> PyResult<R> {
    let pool = pool()?;
    let stopped = Arc::new(AtomicBool::new(false));
    let (send, receive) = sync_channel(1);
    let asked = stopped.clone();
    pool.spawn(move || answer(send, || work(&|| !asked.load(Ordering::Relaxed))));
    py.detach(move || listen(&receive, &stopped))
}

/// As [`run_alone`], for what waits for others rather than computes: on a thread of its own, which is left to itself
/// after a signal.
pub fn wait_for<R: Send + 'static>(py: Python<'_>, work: impl FnOnce() -> R + Send + 'static) -> PyResult<R> {
    let (send, receive) = sync_channel(1);
    let thread = std::thread::Builder::new().name("hessquik-file".into()).spawn(move || answer(send, work));
    thread.map_err(|e| PyRuntimeError::new_err(format!("no thread can be started: {e}")))?;
    py.detach(move || listen(&receive, &AtomicBool::new(false)))
}

fn answer<R>(send: SyncSender<Outcome<R>>, work: impl FnOnce() -> R) {
    // the receiver may have given up, and then nobody wants the result
    let _ = send.send(caught(work));
}

/// Waits for the result, or for a signal whose handler raises; then work is told to stop.
fn listen<R>(receive: &Receiver<Outcome<R>>, stopped: &AtomicBool) -> PyResult<R> {
    loop {
        match receive.recv_timeout(Duration::from_millis(50)) {
            Ok(result) => return result.map_err(|p| errors::panicked(&*p)),
            Err(RecvTimeoutError::Timeout) => {
                if let Err(signal) = Python::attach(|py| py.check_signals()) {
                    stopped.store(true, Ordering::Relaxed);
                    return Err(signal);
                }
            }
            Err(RecvTimeoutError::Disconnected) => unreachable!("the work sends its result, or its panic"),
        }
    }
}

/// Fails as a bug of the engine would, for the test that this arrives as an exception.
#[pyfunction]
pub fn fail(py: Python<'_>, small: bool) -> PyResult<()> {
    run(py, small, |_| panic!("asked for by a test"))
}
