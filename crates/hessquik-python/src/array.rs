//! Arrays in: numpy arrays of any strides without a copy, everything that numpy or DLPack makes an array of, and what is
//! lent for results.
use crate::errors;
use hessquik::Real;
use ndarray::{Array, ArrayView, ArrayViewD, Dimension};
use numpy::{
    Element, IntoPyArray, PyArray, PyArrayDyn, PyArrayMethods, PyReadonlyArrayDyn, PyUntypedArray,
    PyUntypedArrayMethods,
};
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

/// Whether Rust can walk over the array in place: entries aligned, a whole number of them from one to the next, and memory
/// where there are any.
fn walkable<F: Float>(array: &Bound<'_, PyArrayDyn<F>>) -> bool {
    let size = size_of::<F>();
    let whole = array.strides().iter().all(|s| s % size as isize == 0);
    array.data().addr() % align_of::<F>() == 0 && whole && (!array.data().is_null() || array.len() == 0)
}

/// The array that `object` is or can be made, to be read: as it is if it is one of this precision, else a copy. Numbers
/// of a wider type are refused, since they would be rounded, and so are masked entries.
pub fn read<'py, F: Float>(what: &str, object: &Bound<'py, PyAny>) -> PyResult<PyReadonlyArrayDyn<'py, F>> {
    let py = object.py();
    // subclasses may have a mask
    if object.is_exact_instance_of::<PyUntypedArray>()
        && let Ok(array) = object.cast::<PyArrayDyn<F>>()
        && walkable(array)
    {
        return borrowed(what, array);
    }
    let module = PyModule::import(py, intern!(py, "hessquik_rs._arrays"))?;
    let array = module.call_method1(intern!(py, "readable"), (what, object, F::DTYPE))?;
    let array = array.cast::<PyArrayDyn<F>>()?;
    match walkable(array) {
        true => borrowed(what, array),
        false => borrowed(what, array.call_method1(intern!(py, "astype"), (F::DTYPE, "C"))?.cast()?),
    }
}

fn borrowed<'py, F: Float>(what: &str, array: &Bound<'py, PyArrayDyn<F>>) -> PyResult<PyReadonlyArrayDyn<'py, F>> {
    array.try_readonly().map_err(|e| errors::array(format!("{what}: {e}")))
}

/// An array lent for a result: it is written in place, so it must be an array of this precision.
pub fn write<'py, F: Float>(what: &str, object: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyArrayDyn<F>>> {
    let py = object.py();
    let Ok(untyped) = object.cast::<PyUntypedArray>() else {
        return Err(errors::dtype(what, object.get_type().name()?, &format!("a numpy array of {}", F::DTYPE)));
    };
    let Ok(array) = object.cast::<PyArrayDyn<F>>() else {
        return Err(errors::dtype(what, untyped.dtype(), F::DTYPE));
    };
    if !object.is_exact_instance_of::<PyUntypedArray>() {
        let module = PyModule::import(py, intern!(py, "hessquik_rs._arrays"))?;
        module.call_method1(intern!(py, "check_mask"), (what, object))?;
    }
    if !walkable(array) {
        return Err(errors::array(format!("{what} is not aligned to its entries of {}, or has no memory", F::DTYPE)));
    }
    if !object.getattr(intern!(py, "flags"))?.getattr(intern!(py, "writeable"))?.extract::<bool>()? {
        return Err(errors::array(format!("{what} is not writeable, expected an array to write the result into")));
    }
    Ok(array.clone())
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
