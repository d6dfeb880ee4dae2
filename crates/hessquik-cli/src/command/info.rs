//! `hessquik info`: the layers of a model.
use super::{Report, dimensions};
use crate::args::Info;
use crate::failure::Failure;
use crate::model::Model;
use hessquik::{Layer, Parts};
use ndarray::ArrayD;
use serde::Serialize;
use serde_json::{Value, json};
use std::fmt::Write;

/// One layer as a row of the table.
#[derive(Debug, Serialize)]
struct Row {
    position: String,
    layer: String,
    activation: Option<String>,
    dim_input: usize,
    dim_output: usize,
    weights: Vec<Weight>,
}

/// A weight of a layer.
#[derive(Debug, Serialize)]
struct Weight {
    name: String,
    shape: Vec<usize>,
}

/// Lists the layers, their dimensions and weights.
pub fn run(args: &Info) -> Result<Report, Failure> {
    let model = Model::read(&args.model)?;
    let dtype = model.dtype()?;
    let network = model.network::<f64>()?;
    let mut rows = Vec::new();
    collect(network.layers(), "", &mut rows);
    let path = args.model.display().to_string();
    let text = format!("{path}: {} ({dtype})\n\n{}", dimensions(&network), table(&rows));
    let json = json!({
        "model": path, "dtype": dtype, "dim_input": network.dim_input(), "dim_output": network.dim_output(),
        "weights": network.n_weights(), "layers": rows,
        "architecture": network.architecture().and_then(|a| serde_json::to_value(a).ok()),
    });
    Ok(Report::done(text, json).noting(model.remarks()))
}

fn table(rows: &[Row]) -> String {
    let mut text = format!("{:8} {:14} {:10} {:>6} {:>6}  weights\n", "layer", "", "activation", "in", "out");
    for Row { position, layer, activation, dim_input, dim_output, weights } in rows {
        let activation = activation.as_deref().unwrap_or("-");
        let weights: Vec<_> = weights.iter().map(|w| format!("{} {:?}", w.name, w.shape)).collect();
        let weights = weights.join("  ");
        let _ = writeln!(text, "{position:8} {layer:14} {activation:10} {dim_input:>6} {dim_output:>6}  {weights}");
    }
    text
}

/// Adds a row for each layer, those of inner networks after one another.
fn collect(layers: &[Box<dyn Layer<f64>>], prefix: &str, rows: &mut Vec<Row>) {
    for (i, layer) in layers.iter().enumerate() {
        let position = format!("{prefix}{i}");
        if let Parts::Chain(inner) = layer.parts() {
            collect(inner, &format!("{position}."), rows);
            continue;
        }
        let described = layer.architecture().and_then(|a| serde_json::to_value(a).ok()).unwrap_or_default();
        let activation = described.pointer("/act/type").and_then(Value::as_str).map(str::to_string);
        let weight = |(name, w): (String, &ArrayD<f64>)| Weight { name, shape: w.shape().into() };
        rows.push(Row {
            position,
            layer: layer.name(),
            activation,
            dim_input: layer.dim_input(),
            dim_output: layer.dim_output(),
            weights: layer.weights().into_iter().map(weight).collect(),
        });
    }
}
