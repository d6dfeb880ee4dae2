//! A schedule as Python's own data, for executors on arrays of other libraries.
use crate::array::Float;
use crate::errors::raise;
use crate::wish::Wish;
use hessquik::Graph;
use hessquik::schedule::{Buffer, Op, PickPlace, Schedule, Source, Step, Triples};
use numpy::PyArray1;
use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList};

/// Buffers, steps, and the reading of each result by name: dictionaries, whose keys are the names of the fields of
/// `hessquik::schedule`.
pub fn of<'py, F: Float>(
    py: Python<'py>,
    network: &hessquik::Network<F>,
    wish: Wish<F>,
) -> PyResult<Bound<'py, PyDict>> {
    let graph = Graph::of(network).map_err(raise)?;
    let schedule = Schedule::new(&graph, &wish.request).map_err(raise)?;
    let buffers: Vec<_> = schedule.buffers.iter().map(|b| buffer(py, b)).collect::<PyResult<_>>()?;
    let steps: Vec<_> = schedule.steps.iter().map(|s| step(py, s)).collect::<PyResult<_>>()?;
    let readings = PyDict::new(py);
    for name in &wish.names {
        let Some(reading) = schedule.readings.iter().find(|r| r.field == *name) else { continue };
        let places = PyArray1::from_iter(py, reading.places.iter().map(|&p| p as i64));
        readings.set_item(name.name(), (reading.from, reading.shape.clone(), places))?;
    }
    let all = PyDict::new(py);
    all.set_item("buffers", PyList::new(py, buffers)?)?;
    all.set_item("steps", PyList::new(py, steps)?)?;
    all.set_item("readings", readings)?;
    Ok(all)
}

fn buffer<'py, F: Float>(py: Python<'py>, buffer: &Buffer<F>) -> PyResult<Bound<'py, PyDict>> {
    let d = PyDict::new(py);
    d.set_item("n", buffer.n)?;
    d.set_item("rows", buffer.rows)?;
    d.set_item("shared", buffer.shared)?;
    match &buffer.source {
        Source::Steps => d.set_item("source", "steps")?,
        Source::Points => d.set_item("source", "points")?,
        Source::Weight(from) => d.set_item("source", ("weight", *from))?,
        Source::Literal(all) => {
            d.set_item("source", ("literal", PyArray1::from_iter(py, all.iter().map(|c| c.as_f64()))))?;
        }
        Source::Units(units) => d.set_item("source", ("units", units.to_vec()))?,
        // cotangents are given to pullbacks alone, and these are not asked for
        other => return Err(PyTypeError::new_err(format!("a buffer that comes from {other:?}"))),
    }
    Ok(d)
}

fn step<'py, F: Float>(py: Python<'py>, step: &Step<F>) -> PyResult<Bound<'py, PyDict>> {
    let d = PyDict::new(py);
    d.set_item("out", step.out)?;
    d.set_item("onto", step.onto)?;
    let kind = match &step.op {
        Op::Move { x, c, blocks, rows } => {
            d.set_item("x", x)?;
            d.set_item("c", c.as_f64())?;
            let blocks: Option<Vec<_>> = blocks.as_ref().map(|b| b.iter().map(|b| (b.from, b.to, b.len)).collect());
            d.set_item("blocks", blocks)?;
            d.set_item("rows", rows.as_ref().map(|r| r.to_vec()))?;
            "move"
        }
        Op::Add { s } => {
            d.set_item("s", s.as_f64())?;
            "add"
        }
        Op::Act { z, act, order } => {
            let settings = act.describe().and_then(|a| serde_json::to_string(&a).ok());
            let unknown = || PyTypeError::new_err(format!("the activation {} has no description", act.name()));
            d.set_item("z", z)?;
            d.set_item("act", settings.ok_or_else(unknown)?)?;
            d.set_item("order", order)?;
            "act"
        }
        Op::Pick { place, x, z, len, inner } => {
            d.set_item("back", *place == PickPlace::X)?;
            d.set_item("x", x)?;
            d.set_item("z", z)?;
            d.set_item("len", len)?;
            d.set_item("inner", inner)?;
            "pick"
        }
        Op::Frozen { x } => {
            d.set_item("x", x)?;
            "frozen"
        }
        Op::Times { a, b, c, rows } => {
            d.set_item("a", a)?;
            d.set_item("b", b)?;
            d.set_item("c", c.as_f64())?;
            d.set_item("rows", triples(rows))?;
            "times"
        }
        // a place is known by the letter that it has in the form
        Op::Product { place, a, b, dims, rows } => {
            d.set_item("place", format!("{place:?}"))?;
            d.set_item("a", a)?;
            d.set_item("b", b)?;
            d.set_item("dims", dims.to_vec())?;
            d.set_item("rows", triples(rows))?;
            "product"
        }
        Op::Dot { place, a, b } => {
            d.set_item("place", format!("{place:?}"))?;
            d.set_item("a", a)?;
            d.set_item("b", b)?;
            "dot"
        }
        Op::Gram { place, operands, c } => {
            d.set_item("place", format!("{place:?}"))?;
            d.set_item("operands", operands.to_vec())?;
            d.set_item("c", c.as_f64())?;
            "gram"
        }
        other => return Err(PyTypeError::new_err(format!("a step of a schedule, {other}"))),
    };
    d.set_item("op", kind)?;
    Ok(d)
}

/// Lists of rows that meet, with their factors.
fn triples<F: Float>(rows: &Triples<F>) -> Option<Vec<(usize, usize, usize, f64)>> {
    rows.as_ref().map(|rows| rows.iter().map(|t| (t.y, t.a, t.b, t.c.as_f64())).collect())
}
