//! Networks out of state dictionaries, by the rules of the library.
use crate::array;
use crate::errors::{self, raise};
use crate::network::Network;
use crate::pool;
use hessquik::{Activation, Activations, Architecture, StateDict};
use numpy::{PyArrayDescrMethods, PyUntypedArray, PyUntypedArrayMethods};
use pyo3::prelude::*;
use std::path::PathBuf;

/// The network of linear layers with these weights by name. `layers` describes layers that have the activations: that
/// between the layers if it is the `same` for all, or else one for each layer but the last; and then that of the last.
#[pyfunction]
#[pyo3(signature = (entries, layers, same, dtype))]
pub fn network_of_state_dict(
    entries: Vec<(String, Bound<'_, PyUntypedArray>)>,
    layers: &str,
    same: bool,
    dtype: Option<&str>,
) -> PyResult<Network> {
    let mut state = StateDict::new();
    for (name, array) in &entries {
        if array.dtype().is_equiv_to(&numpy::dtype::<f32>(array.py())) {
            state.insert(name, array::read::<f32>(name, array.as_any())?.as_array().to_owned());
        } else {
            state.insert(name, array::read::<f64>(name, array.as_any())?.as_array().to_owned());
        }
    }
    network(&state, layers, same, dtype)
}

/// The same of the weights in a file.
#[pyfunction]
#[pyo3(signature = (path, layers, same, dtype))]
pub fn load_state_dict(
    py: Python<'_>,
    path: PathBuf,
    layers: &str,
    same: bool,
    dtype: Option<&str>,
) -> PyResult<Network> {
    let state = pool::wait_for(py, move || StateDict::load(path))?.map_err(raise)?;
    network(&state, layers, same, dtype)
}

fn network(state: &StateDict, layers: &str, same: bool, dtype: Option<&str>) -> PyResult<Network> {
    let (acts, last) = activations(layers, same)?;
    match (dtype, state.dtype()) {
        (Some("float32"), _) | (None, "f32") => {
            Network::single(hessquik::Network::from_state_dict(state, acts, last).map_err(raise)?)
        }
        (Some("float64") | None, _) => {
            Ok(Network::double(hessquik::Network::from_state_dict(state, acts, last).map_err(raise)?))
        }
        (Some(other), _) => Err(errors::dtype("the network", other, "float32 or float64")),
    }
}

/// The activations of single layers.
fn activations(layers: &str, same: bool) -> PyResult<(Activations, Activation)> {
    let Architecture::Network { layers } = Architecture::from_json(layers).map_err(raise)? else {
        return Err(errors::setting("the description", layers, "a network"));
    };
    let act = |layer: Architecture| match layer {
        Architecture::Single { act, .. } => Some(Activation::from(act)),
        _ => None,
    };
    let mut acts: Vec<Activation> = layers.into_iter().filter_map(act).collect();
    let last = acts.pop().unwrap_or(Activation::Identity);
    Ok(match (same, acts.pop()) {
        (true, Some(act)) => (Activations::All(act), last),
        (false, Some(act)) => {
            acts.push(act);
            (Activations::Each(acts), last)
        }
        (_, None) => (Activations::Each(acts), last),
    })
}
