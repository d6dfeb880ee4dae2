//! `hessquik info`: the layers of a model, and its graph.
use super::Report;
use crate::args::{Dtype, Info};
use crate::failure::Failure;
use crate::model::Model;
use hessquik::{Architecture, GraphSpec, Layer, Network, Real};
use serde_json::json;

/// The most nodes that are listed unasked.
const SHOWN: usize = 60;

/// Lists the layers, their dimensions and weights.
pub fn run(args: &Info) -> Result<Report, Failure> {
    let model = Model::read(&args.model)?;
    match model.precision(None)? {
        Dtype::F32 => report(args, &model, &model.network::<f32>()?),
        Dtype::F64 => report(args, &model, &model.network::<f64>()?),
    }
}

fn report<F: Real>(args: &Info, model: &Model, network: &Network<F>) -> Result<Report, Failure> {
    let path = args.model.display().to_string();
    if args.dot {
        let dot = GraphSpec::of(network)?.to_dot();
        let json = json!({ "model": path, "dot": dot });
        return Ok(Report::done(dot.trim_end().to_string(), json).noting(model.remarks()));
    }
    let architecture = network.architecture();
    let mut text = format!("{path}: {network:?}");
    if args.graph || matches!(&architecture, Some(Architecture::Graph(spec)) if spec.nodes.len() <= SHOWN) {
        text += &format!("\n{}", GraphSpec::of(network)?);
    }
    let json = json!({
        "model": path, "dtype": model.dtype()?, "dim_input": network.dim_input(), "dim_output": network.dim_output(),
        "weights": network.n_weights(), "layers": network.summary(),
        "architecture": architecture.and_then(|a| serde_json::to_value(a).ok()),
    });
    Ok(Report::done(text, json).noting(model.remarks()))
}
