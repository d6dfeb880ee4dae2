//! Derivatives along tangents of points and weights: pushforwards of results, and of pullbacks.
use crate::array::{self, Float};
use crate::errors::raise;
use crate::network::Model;
use crate::pool;
use crate::results::{Cotangents, dictionary};
use crate::wish::Wish;
use hessquik::{Error, Evaluate, Tangent};
use ndarray::{Array1, Array2, ArrayView, Dimension, Ix1, Ix2};
use numpy::{PyArray1, PyArray2};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyTuple};
use std::sync::Arc;

/// Rates at which points and weights change, as copies that outlive a call.
pub struct Rates<F: Float> {
    input: Option<Array2<F>>,
    weights: Option<Array1<F>>,
}

fn owned<F: Float, D: Dimension>(
    what: &str,
    array: Option<&Bound<'_, PyAny>>,
) -> PyResult<Option<ndarray::Array<F, D>>> {
    let read = |array: &Bound<'_, PyAny>| -> PyResult<_> {
        let array = array::read::<F>(what, array)?;
        let view: ArrayView<'_, F, D> = array::fixed(what, array.as_array())?;
        Ok(view.to_owned())
    };
    array.map(read).transpose()
}

impl<F: Float> Rates<F> {
    /// From what the user gives; what is not given does not change.
    pub fn read(input: Option<&Bound<'_, PyAny>>, weights: Option<&Bound<'_, PyAny>>) -> PyResult<Self> {
        Ok(Self {
            input: owned::<F, Ix2>("the tangent of the points", input)?,
            weights: owned::<F, Ix1>("the tangent of the weights", weights)?,
        })
    }

    fn tangent(&self) -> Tangent<'_, F> {
        Tangent { input: self.input.as_ref().map(|a| a.view()), weights: self.weights.as_ref().map(|a| a.view()) }
    }
}

/// The tangents of the results of a request at points `x`, by name.
pub fn pushforward<'py, F: Float>(
    py: Python<'py>,
    model: &Arc<Model<F>>,
    x: &Bound<'py, PyAny>,
    wish: Wish<F>,
    rates: Rates<F>,
) -> PyResult<Bound<'py, PyDict>> {
    let x = owned::<F, Ix2>("x", Some(x))?.expect("given");
    let (model, request) = (model.clone(), wish.request);
    let jet = pool::run_alone(py, move |_| model.network.pushforward(&x, &request, rates.tangent()))?;
    dictionary(py, &wish.names, jet.map_err(raise)?)
}

/// The derivatives of a pullback along a tangent: of the gradients to the weights, flat, and to the points.
pub fn pullback_pushforward<'py, F: Float>(
    py: Python<'py>,
    model: &Arc<Model<F>>,
    x: &Bound<'py, PyAny>,
    wish: Wish<F>,
    cotangents: &Bound<'py, PyDict>,
    rates: Rates<F>,
) -> PyResult<Bound<'py, PyTuple>> {
    let x = owned::<F, Ix2>("x", Some(x))?.expect("given");
    let cotangents = Cotangents::<F>::read(cotangents)?.owned();
    let (model, request) = (model.clone(), wish.request);
    let found = pool::run_alone(py, move |_| {
        let view = cotangents.view().map_err(|e| Error::Request(e.to_string()))?;
        model.network.pullback_pushforward(&x, &request, &view, rates.tangent())
    })?;
    let found = found.map_err(raise)?;
    let weights: Bound<'py, PyArray1<F>> = array::out(py, found.weights);
    let input: Bound<'py, PyArray2<F>> = array::out(py, found.input);
    PyTuple::new(py, [weights.into_any(), input.into_any()])
}
