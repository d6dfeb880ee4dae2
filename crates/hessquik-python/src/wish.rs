//! What to compute, as Python says it: names, and keywords for what needs numbers.
use crate::array::{self, Float};
use crate::errors;
use hessquik::{Field, Mode, Plan, Request};
use ndarray::{Array2, Ix2};
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyDict, PyList, PyMapping, PyString, PyTuple};

/// The result of this name.
pub fn named(name: &str) -> PyResult<Field> {
    name.parse().map_err(|e: hessquik::Error| errors::request(e.to_string()))
}

/// The keywords of a request beside the names of its results.
#[derive(Debug, Default)]
struct Options<'py> {
    directions: Option<Bound<'py, PyAny>>,
    outputs: Option<Bound<'py, PyAny>>,
    mode: Option<Bound<'py, PyAny>>,
    operator: Option<Bound<'py, PyAny>>,
    products: Option<Bound<'py, PyAny>>,
    block: Option<Bound<'py, PyAny>>,
    partials: Option<Bound<'py, PyAny>>,
    directional: Option<Bound<'py, PyAny>>,
}

impl<'py> Options<'py> {
    fn read(keywords: Option<&Bound<'py, PyDict>>) -> PyResult<Self> {
        let mut options = Self::default();
        for (key, value) in keywords.into_iter().flatten() {
            let option = match key.cast::<PyString>()?.to_str()? {
                "directions" => &mut options.directions,
                "outputs" => &mut options.outputs,
                "mode" => &mut options.mode,
                "operator" => &mut options.operator,
                "products" => &mut options.products,
                "block" => &mut options.block,
                "partials" => &mut options.partials,
                "directional" => &mut options.directional,
                other => {
                    let known = "directions, outputs, mode, operator, products, block, partials, directional";
                    return Err(errors::argument(format!("unexpected argument {other:?}; options are {known}")));
                }
            };
            *option = (!value.is_none()).then_some(value);
        }
        Ok(options)
    }
}

/// A request with the names of its results in the order in which they were asked for.
pub struct Wish<F: Float> {
    /// The names.
    pub names: Vec<Field>,
    /// What the engine is asked for.
    pub request: Request<F>,
}

impl<F: Float> Wish<F> {
    /// From names, as one text with commas or a sequence of them, and keywords; without either, value, gradient and
    /// Hessian.
    pub fn parse(names: Option<&Bound<'_, PyAny>>, keywords: Option<&Bound<'_, PyDict>>) -> PyResult<Self> {
        let options = Options::read(keywords)?;
        let mut wish = Self { names: names.map_or_else(|| Ok(Vec::new()), list)?, request: Request::new() };
        let given = [
            (Field::Operator, options.operator.is_some()),
            (Field::Products, options.products.is_some()),
            (Field::Block, options.block.is_some()),
            (Field::Partials, options.partials.is_some()),
            (Field::Directional, options.directional.is_some()),
        ];
        for (name, given) in given {
            match (given, wish.names.contains(&name)) {
                (true, false) => wish.names.push(name),
                (false, true) => {
                    let name = name.name();
                    return Err(errors::request(format!("request: {name:?} needs the argument {name}")));
                }
                _ => {}
            }
        }
        if names.is_none() && wish.names.is_empty() {
            wish.names = vec![Field::Value, Field::Gradient, Field::Hessian];
        }
        let mut request = Request::new();
        // the others come with their arguments below
        for name in wish.names.iter().filter(|name| name.is_plain()) {
            request = name.ask(request).expect("one that needs nothing but its name");
        }
        if let Some(b) = &options.operator {
            request = match b.cast::<PyMapping>() {
                Ok(terms) => request.operator_terms(&self::terms(terms)?),
                Err(_) => request.operator(matrix("operator", b)?),
            };
        }
        if let Some(w) = &options.products {
            request = request.products(matrix("products", w)?);
        }
        if let Some(block) = &options.block {
            let wanted = "lists of indices (rows, columns)";
            let (rows, cols): (Vec<usize>, Vec<usize>) = indices("block", block, wanted)?;
            request = request.block(&rows, &cols);
        }
        if let Some(pairs) = &options.partials {
            let axes: Vec<Vec<usize>> = indices("partials", pairs, "a list of pairs of indices, or of longer tuples")?;
            request = request.any_partials(&axes);
        }
        if let Some(order) = &options.directional {
            request = request.directional(indices("directional", order, "an order, a whole number")?);
        }
        if let Some(v) = &options.directions {
            request = request.directions(matrix("directions", v)?);
        }
        if let Some(u) = &options.outputs {
            request = request.outputs(matrix("outputs", u)?);
        }
        if let Some(mode) = &options.mode {
            request = request.mode(parse_mode(mode)?);
        }
        wish.request = request;
        Ok(wish)
    }
}

/// Names from one text with commas, or from a sequence of texts; each once.
fn list(names: &Bound<'_, PyAny>) -> PyResult<Vec<Field>> {
    let mut list = Vec::with_capacity(4);
    let mut push = |name: &str| -> PyResult<()> {
        let name = named(name.trim())?;
        if !list.contains(&name) {
            list.push(name);
        }
        Ok(())
    };
    if let Ok(text) = names.cast::<PyString>() {
        text.to_str()?.split(',').filter(|n| !n.trim().is_empty()).try_for_each(&mut push)?;
    } else if let Ok(tuple) = names.cast::<PyTuple>() {
        // what is asked for most often, without an iterator
        tuple.iter_borrowed().try_for_each(|name| push(name.cast::<PyString>()?.to_str()?))?;
    } else {
        for name in names.try_iter()? {
            push(name?.cast::<PyString>()?.to_str()?)?;
        }
    }
    Ok(list)
}

/// The terms of an operator: tuples of axes, each with its coefficient.
fn terms<F: Float>(terms: &Bound<'_, PyMapping>) -> PyResult<Vec<(Vec<usize>, F)>> {
    let mut found = Vec::new();
    for pair in terms.items()? {
        let (axes, c): (Bound<'_, PyAny>, Bound<'_, PyAny>) = pair.extract()?;
        let what = format!("the operator's term {}", axes.repr()?);
        let wanted = "a tuple of axes such as (0, 1, 1); the value is ()";
        let tuple: Vec<usize> = match axes.cast::<PyTuple>() {
            Ok(tuple) => indices("the operator's term", tuple, wanted)?,
            Err(_) => return Err(errors::request(format!("{what}: expected {wanted}"))),
        };
        let Ok(number) = c.extract::<f64>() else {
            return Err(errors::request(format!("the coefficient of {what} is {c}, expected a number")));
        };
        if number.is_finite() && !F::of(number).is_finite() {
            let wanted = "a number that float32 can represent, the precision of the network";
            return Err(errors::setting(&format!("the coefficient of {what}"), format!("{number:e}"), wanted));
        }
        found.push((tuple, F::of(number)));
    }
    Ok(found)
}

fn matrix<F: Float>(what: &str, object: &Bound<'_, PyAny>) -> PyResult<Array2<F>> {
    let array = array::read::<F>(what, object)?;
    Ok(array::fixed::<F, Ix2>(what, array.as_array())?.to_owned())
}

/// Indices of any whole type, in lists, tuples, ranges or arrays, as `T` has them.
fn indices<T: for<'a, 'py> FromPyObject<'a, 'py>>(what: &str, object: &Bound<'_, PyAny>, wanted: &str) -> PyResult<T> {
    if holds_truth(object) {
        return Err(errors::request(format!("{what} is {object}, expected {wanted}, without True and False")));
    }
    if let Ok(found) = object.extract() {
        return Ok(found);
    }
    let plain = || -> PyResult<T> {
        let module = PyModule::import(object.py(), "hessquik_rs._arrays")?;
        module.call_method1("indices", (object,))?.extract().map_err(Into::into)
    };
    plain().map_err(|_| errors::request(format!("{what} is {object}, expected {wanted}")))
}

/// Whether there is a truth value in nested lists and tuples, which Python takes for a number: masks are no indices.
fn holds_truth(object: &Bound<'_, PyAny>) -> bool {
    if object.is_instance_of::<PyBool>() {
        return true;
    }
    let nested = object.is_instance_of::<PyList>() || object.is_instance_of::<PyTuple>();
    nested && object.try_iter().is_ok_and(|mut entries| entries.any(|entry| entry.is_ok_and(|e| holds_truth(&e))))
}

fn parse_mode(mode: &Bound<'_, PyAny>) -> PyResult<Mode> {
    if let Ok(name) = mode.cast::<PyString>() {
        return name.to_str()?.parse().map_err(errors::raise);
    }
    let wanted = "auto, forward, backward, sites, or a plan (prefix, [pivots])";
    let (prefix, pivots) = indices::<(usize, Vec<usize>)>("mode", mode, wanted)?;
    Ok(Mode::Plan(Plan::new(prefix, pivots)))
}
