//! `hessquik info`: the layers of a model.
use super::Report;
use crate::args::Info;
use crate::failure::Failure;
use crate::model::Model;
use hessquik::Layer;
use serde_json::json;

/// Lists the layers, their dimensions and weights.
pub fn run(args: &Info) -> Result<Report, Failure> {
    let model = Model::read(&args.model)?;
    let dtype = model.dtype()?;
    let network = model.network::<f64>()?;
    let path = args.model.display().to_string();
    let text = format!("{path}: {network:?}");
    let json = json!({
        "model": path, "dtype": dtype, "dim_input": network.dim_input(), "dim_output": network.dim_output(),
        "weights": network.n_weights(), "layers": network.summary(),
        "architecture": network.architecture().and_then(|a| serde_json::to_value(a).ok()),
    });
    Ok(Report::done(text, json).noting(model.remarks()))
}
