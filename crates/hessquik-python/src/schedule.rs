//! A schedule as Python's own data, for executors on arrays of other libraries.
use crate::array::Float;
use crate::errors::raise;
use crate::wish::Wish;
use hessquik::Graph;
use hessquik::schedule::{Buffer, DotPlace, GramPlace, Op, PickPlace, Place, Schedule, Source, Step, Triples};
use numpy::PyArray1;
use pyo3::IntoPyObjectExt;
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
    let set = |key: &str, value: Bound<'py, PyAny>| d.set_item(key, value);
    let kind = match &step.op {
        Op::Move { x, c, blocks, rows } => {
            set("x", x.into_bound_py_any(py)?)?;
            set("c", c.as_f64().into_bound_py_any(py)?)?;
            let blocks: Option<Vec<_>> = blocks.as_ref().map(|b| b.iter().map(|b| (b.from, b.to, b.len)).collect());
            set("blocks", blocks.into_bound_py_any(py)?)?;
            set("rows", rows.as_ref().map(|r| r.to_vec()).into_bound_py_any(py)?)?;
            "move"
        }
        Op::Add { s } => {
            set("s", s.as_f64().into_bound_py_any(py)?)?;
            "add"
        }
        Op::Act { z, act, order } => {
            let settings = act.describe().and_then(|a| serde_json::to_string(&a).ok());
            let unknown = || PyTypeError::new_err(format!("the activation {} has no description", act.name()));
            set("z", z.into_bound_py_any(py)?)?;
            set("act", settings.ok_or_else(unknown)?.into_bound_py_any(py)?)?;
            set("order", order.into_bound_py_any(py)?)?;
            "act"
        }
        Op::Pick { place, x, z, len, inner } => {
            set("back", (*place == PickPlace::X).into_bound_py_any(py)?)?;
            set("x", x.into_bound_py_any(py)?)?;
            set("z", z.into_bound_py_any(py)?)?;
            set("len", len.into_bound_py_any(py)?)?;
            set("inner", inner.into_bound_py_any(py)?)?;
            "pick"
        }
        Op::Frozen { x } => {
            set("x", x.into_bound_py_any(py)?)?;
            "frozen"
        }
        Op::Times { a, b, c, rows } => {
            set("a", a.into_bound_py_any(py)?)?;
            set("b", b.into_bound_py_any(py)?)?;
            set("c", c.as_f64().into_bound_py_any(py)?)?;
            set("rows", triples(rows).into_bound_py_any(py)?)?;
            "times"
        }
        Op::Product { place, a, b, dims, rows } => {
            let place = match place {
                Place::Y => "Y",
                Place::A => "A",
                Place::B => "B",
            };
            set("place", place.into_bound_py_any(py)?)?;
            set("a", a.into_bound_py_any(py)?)?;
            set("b", b.into_bound_py_any(py)?)?;
            set("dims", dims.to_vec().into_bound_py_any(py)?)?;
            set("rows", triples(rows).into_bound_py_any(py)?)?;
            "product"
        }
        Op::Dot { place, a, b } => {
            let place = match place {
                DotPlace::D => "D",
                DotPlace::G => "G",
                DotPlace::T => "T",
            };
            set("place", place.into_bound_py_any(py)?)?;
            set("a", a.into_bound_py_any(py)?)?;
            set("b", b.into_bound_py_any(py)?)?;
            "dot"
        }
        Op::Gram { place, operands, c } => {
            let place = match place {
                GramPlace::H => "H",
                GramPlace::C => "C",
                GramPlace::S => "S",
            };
            set("place", place.into_bound_py_any(py)?)?;
            set("operands", operands.to_vec().into_bound_py_any(py)?)?;
            set("c", c.as_f64().into_bound_py_any(py)?)?;
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
