//! Arrays lent for results must not share memory with what is read meanwhile, with one another, or with themselves.
//! numpy's own flags know arrays of numpy alone: two views of one tensor of PyTorch are strangers to them.
use crate::array::Float;
use numpy::{PyArrayDyn, PyArrayMethods, PyUntypedArrayMethods};
use pyo3::exceptions::PyValueError;
use pyo3::intern;
use pyo3::prelude::*;
use std::ops::Range;

/// The addresses from the first to the last byte of an array.
fn extent<F: Float>(array: &Bound<'_, PyArrayDyn<F>>) -> Range<isize> {
    let at = array.data().addr().cast_signed();
    if array.len() == 0 {
        return at..at;
    }
    let steps = array.shape().iter().zip(array.strides()).map(|(&n, &s)| (n - 1).cast_signed() * s);
    let (below, above) = steps.fold((0, 0), |(lo, hi), step| (lo + step.min(0), hi + step.max(0)));
    at + below..at + above + size_of::<F>().cast_signed()
}

/// Refuses an array in which two entries share memory.
pub fn no_entry_twice<F: Float>(what: &str, array: &Bound<'_, PyArrayDyn<F>>) -> PyResult<()> {
    let mut axes: Vec<(isize, usize)> =
        array.strides().iter().map(|s| s.abs()).zip(array.shape().iter().copied()).filter(|(_, n)| *n > 1).collect();
    axes.sort_unstable();
    let mut used = size_of::<F>().cast_signed();
    let nested = axes.iter().all(|&(stride, n)| {
        let free = stride >= used;
        used += stride * (n - 1).cast_signed();
        free
    });
    if nested || array.len() == 0 || !twice(&axes) {
        return Ok(());
    }
    let (shape, strides) = (array.shape(), array.strides());
    Err(PyValueError::new_err(format!(
        "{what} has entries that share memory (shape {shape:?}, strides {strides:?} in bytes), expected an array that can \
         hold every result: np.empty({shape:?}), or a copy of what was broadcast"
    )))
}

/// Whether two entries have the same offset; axes that are nested in one another never do, and do not come here.
fn twice(axes: &[(isize, usize)]) -> bool {
    let mut offsets = vec![0];
    for &(stride, n) in axes {
        if stride == 0 {
            return true;
        }
        let before = std::mem::take(&mut offsets);
        offsets.extend((0..n.cast_signed()).flat_map(|i| before.iter().map(move |o| o + i * stride)));
    }
    offsets.sort_unstable();
    offsets.windows(2).any(|w| w[0] == w[1])
}

/// Refuses an array that is to be written while `other` is in use, if they share memory.
pub fn apart<F: Float>(
    what: &str,
    array: &Bound<'_, PyArrayDyn<F>>,
    other_what: &str,
    other: &Bound<'_, PyArrayDyn<F>>,
) -> PyResult<()> {
    let (a, b) = (extent(array), extent(other));
    if a.end <= b.start || b.end <= a.start {
        return Ok(());
    }
    // rows or columns of one array may still be apart; numpy solves that, or gives up on strides that nobody has
    let numpy = PyModule::import(array.py(), "numpy")?;
    let shared = numpy.call_method1(intern!(array.py(), "shares_memory"), (array, other, 1_000_000));
    if shared.is_ok_and(|s| s.is_truthy().is_ok_and(|s| !s)) {
        return Ok(());
    }
    Err(PyValueError::new_err(format!(
        "{what} shares memory with {other_what}, which would be overwritten while it is in use: give an array of its own"
    )))
}
