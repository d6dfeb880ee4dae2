//! Memory that calls read and write: what is written overlaps neither itself, nor what the same call reads or writes, nor
//! what calls in other threads do.
use crate::errors;
use numpy::{PyArrayDescrMethods, PyUntypedArray, PyUntypedArrayMethods};
use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use std::ops::Range;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// An array that a call uses, with what errors call it.
pub struct Use<'a, 'py> {
    /// What it is called.
    pub what: String,
    /// The array.
    pub array: &'a Bound<'py, PyUntypedArray>,
    /// Whether it is written.
    pub written: bool,
}

/// What is in use, until this is dropped.
#[derive(Debug)]
pub struct Hold(u64);

#[derive(Debug)]
struct Held {
    hold: u64,
    process: u32,
    bytes: Range<usize>,
    written: bool,
    array: Py<PyUntypedArray>,
}

/// What calls use now, and how many there have been. It is locked only while Python's lock is held, and for no call
/// into Python, so that no thread can hold it while another one forks.
static HELD: Mutex<(u64, Vec<Held>)> = Mutex::new((0, Vec::new()));

fn held() -> MutexGuard<'static, (u64, Vec<Held>)> {
    // what is kept is whole at every moment, even after a panic
    HELD.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Drop for Hold {
    fn drop(&mut self) {
        let mut all = held();
        let (mine, others) = std::mem::take(&mut all.1).into_iter().partition(|h: &Held| h.hold == self.0);
        all.1 = others;
        drop(all);
        // an array that nobody else holds may run Python as it goes
        drop::<Vec<Held>>(mine);
    }
}

/// Holds points that are read.
pub fn hold_points(py: Python<'_>, x: &Bound<'_, PyUntypedArray>) -> PyResult<Hold> {
    hold(py, &[Use { what: "x".into(), array: x, written: false }])
}

/// Holds these arrays, once it is sure that what is written is apart from everything else.
pub fn hold(py: Python<'_>, uses: &[Use<'_, '_>]) -> PyResult<Hold> {
    let bytes: Vec<_> = uses.iter().map(|used| extent(used.array)).collect();
    for (i, used) in uses.iter().enumerate().filter(|(_, used)| used.written) {
        if overlaps_itself(used.array) {
            let wanted = "an array whose entries do not share memory";
            return Err(errors::array(format!("{} has entries that share memory, expected {wanted}", used.what)));
        }
        for (j, other) in uses.iter().enumerate().filter(|(j, other)| *j < i || !other.written) {
            if meet(&bytes[i], &bytes[j]) && share(py, used.array, other.array)? {
                let message = format!("{} shares memory with {}, expected arrays apart", used.what, other.what);
                return Err(errors::array(format!("{message}: give a copy of one of them")));
            }
        }
    }
    let process = std::process::id();
    let hold = {
        let mut all = held();
        all.0 += 1;
        let hold = all.0;
        all.1.extend(uses.iter().zip(&bytes).map(|(used, bytes)| {
            let array = used.array.clone().unbind();
            Held { hold, process, bytes: bytes.clone(), written: used.written, array }
        }));
        Hold(hold)
    };
    // only now, so that of two calls that start at once one at least sees the other
    for (used, bytes) in uses.iter().zip(&bytes) {
        let clash = |h: &&Held| {
            h.hold != hold.0 && h.process == process && (used.written || h.written) && meet(bytes, &h.bytes)
        };
        let others: Vec<_> = held().1.iter().filter(clash).map(|h| h.array.clone_ref(py)).collect();
        for other in others {
            if share(py, used.array, other.bind(py))? {
                let message = "another thread evaluates with the same memory now, and one of the two writes it";
                return Err(errors::array(format!("{}: {message}", used.what)));
            }
        }
    }
    Ok(hold)
}

/// The addresses from the first to past the last entry.
fn extent(array: &Bound<'_, PyUntypedArray>) -> Range<usize> {
    // SAFETY: the pointer is that of a live array; its address alone is read.
    let start = unsafe { (*array.as_array_ptr()).fields.data }.addr() as isize;
    if array.len() == 0 {
        return start as usize..start as usize;
    }
    let (mut low, mut high) = (start, start + array.dtype().itemsize() as isize);
    for (&n, &stride) in array.shape().iter().zip(array.strides()) {
        let reach = (n as isize - 1) * stride;
        low += reach.min(0);
        high += reach.max(0);
    }
    low as usize..high as usize
}

fn meet(a: &Range<usize>, b: &Range<usize>) -> bool {
    a.start.max(b.start) < a.end.min(b.end)
}

/// Whether any byte belongs to both; also if that is too hard to tell.
fn share(py: Python<'_>, a: &Bound<'_, PyUntypedArray>, b: &Bound<'_, PyUntypedArray>) -> PyResult<bool> {
    const WORK: usize = 1_000_000;
    let numpy = PyModule::import(py, "numpy")?;
    match numpy.call_method1("shares_memory", (a, b, WORK)) {
        Ok(answer) => answer.extract(),
        Err(error) if error.is_instance_of::<PyTypeError>(py) => Err(error),
        Err(_) => Ok(true),
    }
}

/// Whether two entries are at the same place, as with strides of 0.
fn overlaps_itself(array: &Bound<'_, PyUntypedArray>) -> bool {
    let size = array.dtype().itemsize();
    let mut axes: Vec<(usize, usize)> =
        array.shape().iter().zip(array.strides()).map(|(&n, s)| (s.unsigned_abs(), n)).collect();
    axes.retain(|&(_, n)| n != 1);
    if axes.iter().any(|&(_, n)| n == 0) {
        return false;
    }
    axes.sort_unstable();
    // nested axes, as nearly all arrays have them: each step leads past all that lies within
    let mut reach = size;
    let nested = axes.iter().all(|&(stride, n)| {
        let past = stride >= reach;
        reach += stride * (n - 1);
        past
    });
    if nested {
        return false;
    }
    let mut places = vec![0];
    for (stride, n) in axes {
        places = places.iter().flat_map(|&at| (0..n).map(move |i| at + i * stride)).collect();
    }
    places.sort_unstable();
    places.windows(2).any(|pair| pair[1] - pair[0] < size)
}
