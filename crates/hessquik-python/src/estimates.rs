//! Estimates from random directions.
use crate::array::{self, Float};
use crate::errors::{self, raise};
use crate::network::Model;
use crate::pool;
use crate::wish::Wish;
use hessquik::estimate::{Options, Quantity, estimate_while};
use hessquik::{Error, Field};
use ndarray::{Array2, Ix2};
use pyo3::prelude::*;
use std::sync::Arc;

/// How many directions, from which seed, of which kind, whether each point has its own, and how many are exact.
pub struct Draw {
    /// Their number.
    pub directions: usize,
    /// Their seed.
    pub seed: u64,
    /// `rademacher` or `gaussian`.
    pub kind: String,
    /// Whether each point has its own.
    pub per_point: bool,
    /// How many directions of the Hessian's range are exact.
    pub sketch: usize,
}

/// Mean and standard error of what a request asks for, at points `x`.
pub fn estimate<'py, F: Float>(
    py: Python<'py>,
    model: &Arc<Model<F>>,
    x: &Bound<'py, PyAny>,
    wish: Wish<F>,
    draw: &Draw,
) -> PyResult<(Bound<'py, PyAny>, Bound<'py, PyAny>)> {
    let array = array::read::<F>("x", x)?;
    let x: Array2<F> = array::fixed::<F, Ix2>("x", array.as_array())?.to_owned();
    let request = wish.request;
    let quantity = match (&wish.names[..], request.operator, request.terms) {
        ([Field::Laplacian], ..) => Quantity::Laplacian,
        ([Field::Bilaplacian], ..) => Quantity::Bilaplacian,
        ([Field::Operator], Some(b), _) => Quantity::Operator(b),
        ([Field::Operator], _, Some(terms)) => Quantity::Terms(terms),
        _ => {
            let names: Vec<&str> = wish.names.iter().map(|name| name.name()).collect();
            let wanted = "one of laplacian, bilaplacian, operator";
            return Err(errors::request(format!("request: an estimate is of {wanted}, found {}", names.join(", "))));
        }
    };
    if request.directions.is_some() {
        return Err(errors::request("request: an estimate draws its directions, and takes only their number".into()));
    }
    let options = Options {
        directions: draw.directions,
        seed: draw.seed,
        kind: draw.kind.parse().map_err(raise)?,
        per_point: draw.per_point,
        sketch: draw.sketch,
        outputs: request.outputs,
    };
    let model = model.clone();
    let found = pool::run_alone(py, move |go_on| -> Result<_, Error> {
        estimate_while(&model.network, &x, &quantity, &options, go_on)
    })?;
    let found = found.map_err(raise)?.expect("whoever stops the work raises the signal instead");
    Ok((array::out(py, found.mean).into_any(), array::out(py, found.standard_error).into_any()))
}
