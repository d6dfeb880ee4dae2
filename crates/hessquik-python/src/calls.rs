//! Evaluations and pullbacks: on this thread, on the pool, or left behind once a signal asks for this thread.
use crate::array::{self, Float};
use crate::errors::raise;
use crate::lend::hold_points;
use crate::network::Model;
use crate::pool;
use crate::results::{Cotangents, Lent, dictionary, in_order};
use crate::wish::Wish;
use hessquik::{Error, Jet, JetMut, Prepared};
use ndarray::{Array2, ArrayView2, Axis, Ix2, Slice};
use numpy::{PyArray1, PyArray2, PyArrayMethods};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyTuple};
use std::sync::Arc;

/// Predicted seconds, on a fast machine, after which a signal must be heard: tiles that take longer cannot be waited for.
const PATIENCE: f64 = 2e-2;
/// How much longer a pullback takes than an evaluation.
const PULLBACK: f64 = 4.0;
/// Bytes of points and cotangents that are copied for that, at most.
const COPIED: usize = 256 << 20;

/// What work gives that was not told to stop; what told it to stop is a signal, and raised.
const FINISHED: &str = "whoever stops the work raises the signal instead";

/// The results of a request at points `x`, by name.
pub fn evaluate<'py, F: Float>(
    py: Python<'py>,
    model: &Arc<Model<F>>,
    x: &Bound<'py, PyAny>,
    wish: Wish<F>,
    out: Option<&Bound<'py, PyDict>>,
) -> PyResult<Bound<'py, PyDict>> {
    let array = array::read::<F>("x", x)?;
    let x = array::fixed::<F, Ix2>("x", array.as_array())?;
    let prepared = model.prepare(wish.request).map_err(raise)?;
    if let Some(out) = out {
        let mut lent = Lent::<F>::read(out)?;
        let hold = lent.hold(py, array.as_untyped())?;
        write(py, &prepared, x, lent.view_mut(&hold)?)?;
        return in_order(py, &wish.names, out);
    }
    let _hold = hold_points(py, array.as_untyped())?;
    let jet = if slow(&prepared, x.nrows()) {
        let mut jet = prepared.zeros(x.nrows()).map_err(raise)?;
        write(py, &prepared, x, jet.view_mut())?;
        jet
    } else {
        let small = pool::small(prepared.as_ref(), x.nrows(), prepared.tile())?;
        let jet = pool::run(py, small, |go_on| match small {
            true => prepared.evaluate(&x).map(Some),
            false => prepared.evaluate_while(&x, go_on),
        })?;
        jet.map_err(raise)?.expect(FINISHED)
    };
    dictionary(py, &wish.names, jet)
}

/// Whether a tile of these points takes longer than anyone waits for Ctrl-C.
fn slow<F: Float>(prepared: &Prepared<F>, points: usize) -> bool {
    prepared.seconds(points.min(prepared.tile())) > PATIENCE
}

/// The results at points `x` into arrays.
fn write<F: Float>(
    py: Python<'_>,
    prepared: &Arc<Prepared<F>>,
    x: ArrayView2<'_, F>,
    mut out: JetMut<'_, F>,
) -> PyResult<()> {
    let small = pool::small(prepared.as_ref(), x.nrows(), prepared.tile())?;
    if !slow(prepared, x.nrows()) {
        let written = pool::run(py, small, |go_on| match small {
            true => prepared.evaluate_into(&x, out),
            false => prepared.evaluate_into_while(&x, out, go_on).map(drop),
        })?;
        return written.map_err(raise);
    }
    prepared.check_lent(&x, &mut out).map_err(raise)?;
    // work that is left behind must not write into what it was lent, so it writes elsewhere, some tiles at a time
    let chunk = prepared.tile() * pool::pool()?.current_num_threads();
    let mut start = 0;
    while start < x.nrows() {
        let end = (start + chunk).min(x.nrows());
        let (now, later) = out.split_at(end - start);
        out = later;
        let points = x.slice_axis(Axis(0), Slice::from(start..end)).to_owned();
        let work = prepared.clone();
        let jet = pool::run_alone(py, move |_| work.evaluate(&points))?.map_err(raise)?;
        copy(jet, now);
        start = end;
    }
    Ok(())
}

fn copy<F: Float>(from: Jet<F>, to: JetMut<'_, F>) {
    macro_rules! each {
        ($($field:ident),*) => {
            $(if let (Some(from), Some(mut to)) = (&from.$field, to.$field) {
                to.assign(from);
            })*
        };
    }
    each!(
        value,
        gradient,
        hessian,
        packed,
        diagonal,
        laplacian,
        operator,
        products,
        block,
        partials,
        directional,
        bilaplacian
    );
    if let (Some(from), Some(mut to)) = (&from.factored, to.factored) {
        to.assign(&from.core);
    }
}

/// The gradients, to the weights and to the points, of a loss with these cotangents.
pub fn pullback<'py, F: Float>(
    py: Python<'py>,
    model: &Arc<Model<F>>,
    x: &Bound<'py, PyAny>,
    wish: Wish<F>,
    cotangents: &Bound<'py, PyDict>,
) -> PyResult<Bound<'py, PyTuple>> {
    let array = array::read::<F>("x", x)?;
    let x = array::fixed::<F, Ix2>("x", array.as_array())?;
    let _hold = hold_points(py, array.as_untyped())?;
    let prepared = model.prepare(wish.request).map_err(raise)?;
    let cotangents = Cotangents::<F>::read(cotangents)?;
    let view = cotangents.view()?;
    let tile = prepared.pullback_tile().map_err(raise)?;
    let small = pool::small(prepared.as_ref(), x.nrows(), tile)?;
    let bytes = (x.len() + cotangents.entries()) * size_of::<F>();
    let slow = PULLBACK * prepared.seconds(x.nrows().min(tile)) > PATIENCE;
    let gradients = if slow && bytes <= COPIED {
        let (x, cotangents): (Array2<F>, _) = (x.to_owned(), cotangents.owned());
        pool::run_alone(py, move |go_on| {
            let view = cotangents.view().map_err(|e| Error::Request(e.to_string()))?;
            prepared.pullback_while(&x, &view, go_on)
        })?
    } else {
        pool::run(py, small, |go_on| match small {
            true => prepared.pullback(&x, &view).map(Some),
            false => prepared.pullback_while(&x, &view, go_on),
        })?
    };
    let gradients = gradients.map_err(raise)?.expect(FINISHED);
    let weights: Bound<'py, PyArray1<F>> = array::out(py, gradients.weights);
    let input: Bound<'py, PyArray2<F>> = array::out(py, gradients.input);
    PyTuple::new(py, [weights.into_any(), input.into_any()])
}
