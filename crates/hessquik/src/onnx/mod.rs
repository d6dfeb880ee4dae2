//! Networks out of ONNX files: a reader of the file (`wire`, `model`, `tensor`), and rules that turn its operators into
//! nodes of a graph (`import`, `bodies`, `call`, `rules`). And back: networks as ONNX models (`export`, `write`), and their derivatives
//! (`derivatives`, `slopes`).
//!
//! The model is read at one point of a batch. Each array carries, beside its shape, the axis on which the points are
//! (`value::Batch`), so that an operation across points is found, whatever shapes it goes through. What depends on
//! constants alone is computed at once. Initialisers that meet the points are the weights of the network.
mod bodies;
mod call;
mod derivatives;
mod export;
mod import;
mod model;
mod rules;
mod slopes;
mod tensor;
mod value;
mod wire;
mod write;

pub(crate) use export::model as exported;

use crate::{GraphLayer, Init, Layer, Network, Real};
use model::Model;
use std::path::Path;
use wire::{Fields, Wire};

/// Whether bytes are those of an ONNX file, or start like one.
pub(crate) fn is_onnx(bytes: &[u8]) -> bool {
    // a model file: the length of its header, and the header
    if bytes.get(8) == Some(&b'{') {
        return false;
    }
    let known = |number: u64| matches!(number, 1..=8 | 14 | 20 | 25 | 26);
    let mut graph = false;
    for (i, field) in Fields::of(bytes).enumerate() {
        match field {
            Ok((number, wire)) if known(number) => graph |= number == 7 && matches!(wire, Wire::Bytes(_)),
            // whole files apart, those that begin with a version of the format and a field more
            _ => return i >= 2 && matches!(bytes, [0x08, 3..=31, ..]),
        }
    }
    graph
}

/// The network in the bytes of an ONNX file; weights in other files are looked for in `folder`.
pub(crate) fn network<F: Real>(bytes: &[u8], folder: Option<&Path>) -> Result<Network<F>, String> {
    let model = Model::read(bytes).map_err(|e| format!("ONNX: {e}"))?;
    let imported = import::import(&model, folder).map_err(|e| format!("ONNX: {e}"))?;
    let names: Vec<String> = imported.spec.weights.iter().map(|w| w.name.clone()).collect();
    let layer = GraphLayer::new(imported.spec, &mut Init::zeros()).map_err(|e| e.to_string())?;
    let mut network = Network::<F>::bare(Box::new(layer)).map_err(|e| e.to_string())?;
    for ((_, weight), (numbers, name)) in network.weights_mut().into_iter().zip(imported.weights.iter().zip(names)) {
        *weight = numbers.mapv(F::of);
        if let Some((found, _)) = numbers.iter().zip(&*weight).find(|(_, w)| !w.is_finite()) {
            return Err(match found.is_finite() {
                true => format!("weight {name}: {found:e} is too large for {}", F::NAME),
                false => format!("weight {name}: an entry is {found}; weights must be finite"),
            });
        }
    }
    Ok(network)
}

/// The precision in which an ONNX file takes its points: `"f64"` for double, else `"f32"`.
pub(crate) fn dtype(bytes: &[u8]) -> Result<&'static str, String> {
    let model = Model::read(bytes).map_err(|e| format!("ONNX: {e}"))?;
    let graph = model.graph.as_ref().ok_or("ONNX: a model without a graph")?;
    let input = import::input(graph).map_err(|e| format!("ONNX: {e}"))?;
    Ok(if input.kind == 11 { "f64" } else { "f32" })
}
