//! Arrays in: numpy arrays of any strides without a copy, everything that numpy or DLPack makes an array of, and what is
//! lent for results.
use crate::errors;
use hessquik::Real;
use ndarray::{Array, ArrayView, ArrayViewD, Dimension};
use numpy::{
    Element, IntoPyArray, PyArray, PyArrayDescrMethods, PyArrayDyn, PyArrayMethods, PyReadonlyArrayDyn,
    PyReadwriteArrayDyn, PyUntypedArray, PyUntypedArrayMethods,
};
use pyo3::exceptions::PyValueError;
use pyo3::intern;
use pyo3::prelude::*;

/// `f32` or `f64` as numpy names them.
pub trait Float: Real + Element {
    /// The dtype.
    const DTYPE: &'static str;
}

impl Float for f32 {
    const DTYPE: &'static str = "float32";
}

impl Float for f64 {
    const DTYPE: &'static str = "float64";
}

/// Whether Rust can walk over the array in place: entries aligned, and a whole number of them from one to the next.
fn walkable<F: Float>(array: &Bound<'_, PyArrayDyn<F>>) -> bool {
    let size = size_of::<F>();
    let whole = array.strides().iter().all(|s| s % size as isize == 0);
    array.data().addr() % align_of::<F>() == 0 && whole
}

/// The array that `object` is or can be made, to be read: as it is if it is one of this precision, else a copy. Numbers
/// of a wider type are refused, since they would be rounded.
pub fn read<'py, F: Float>(what: &str, object: &Bound<'py, PyAny>) -> PyResult<PyReadonlyArrayDyn<'py, F>> {
    if let Ok(array) = object.cast::<PyArrayDyn<F>>()
        && walkable(array)
    {
        return borrowed(what, array);
    }
    let array = converted::<F>(what, object)?;
    borrowed(what, array.cast()?)
}

fn borrowed<'py, F: Float>(what: &str, array: &Bound<'py, PyArrayDyn<F>>) -> PyResult<PyReadonlyArrayDyn<'py, F>> {
    array.try_readonly().map_err(|e| PyValueError::new_err(format!("{what}: {e}")))
}

/// By DLPack where there is one, else as numpy does; then in this precision and in order, copied if need be.
fn converted<'py, F: Float>(what: &str, object: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
    let py = object.py();
    let exports = object.hasattr(intern!(py, "__dlpack__"))?;
    let array = if object.cast::<PyUntypedArray>().is_ok() {
        object.clone()
    } else {
        let make = if exports { intern!(py, "from_dlpack") } else { intern!(py, "asarray") };
        PyModule::import(py, "numpy")?.call_method1(make, (object,))?
    };
    // lists of Python's numbers have no precision of their own
    let typed = exports || object.hasattr(intern!(py, "dtype"))?;
    let found = array.cast::<PyUntypedArray>()?.dtype();
    let exact = match found.kind() {
        b'b' | b'i' | b'u' => true,
        b'f' => !typed || found.itemsize() <= size_of::<F>(),
        _ => false,
    };
    if !exact {
        return Err(errors::dtype(what, found, &format!("{}, which the network has", F::DTYPE)));
    }
    match array.cast::<PyArrayDyn<F>>() {
        Ok(same) if walkable(same) => Ok(array),
        _ => array.call_method1(intern!(py, "astype"), (F::DTYPE, "C")),
    }
}

/// An array lent for a result: it is written in place, so it must be an array of this precision.
pub fn write<'py, F: Float>(what: &str, object: &Bound<'py, PyAny>) -> PyResult<PyReadwriteArrayDyn<'py, F>> {
    let Ok(untyped) = object.cast::<PyUntypedArray>() else {
        return Err(errors::dtype(what, object.get_type().name()?, &format!("a numpy array of {}", F::DTYPE)));
    };
    let Ok(array) = object.cast::<PyArrayDyn<F>>() else {
        return Err(errors::dtype(what, untyped.dtype(), F::DTYPE));
    };
    if !walkable(array) {
        return Err(PyValueError::new_err(format!("{what} is not aligned to its entries of {}", F::DTYPE)));
    }
    array.try_readwrite().map_err(|e| PyValueError::new_err(format!("{what}: {e}")))
}

/// A view with `D` axes.
pub fn fixed<'a, F: Float, D: Dimension>(what: &str, view: ArrayViewD<'a, F>) -> PyResult<ArrayView<'a, F, D>> {
    let found = view.shape().to_vec();
    let axes = D::NDIM.unwrap_or(0);
    view.into_dimensionality().map_err(|_| errors::shape(what, &found, &format!("{axes} axes")))
}

/// An array out, without a copy.
pub fn out<'py, F: Float, D: Dimension>(py: Python<'py>, array: Array<F, D>) -> Bound<'py, PyArray<F, D>> {
    array.into_pyarray(py)
}
