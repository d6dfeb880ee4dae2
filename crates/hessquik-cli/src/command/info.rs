//! `hessquik info`: the layers of a model.
use super::Report;
use crate::args::Info;
use crate::failure::Failure;
use hessquik::{Layer, Network, Real};
use serde_json::json;

/// Lists the layers, their dimensions and weights.
pub fn run(args: &Info) -> Result<Report, Failure> {
    let dtype = hessquik::weights_dtype(&args.model)?;
    if dtype == "f32" { report::<f32>(args, dtype) } else { report::<f64>(args, dtype) }
}

fn report<F: Real>(args: &Info, dtype: &str) -> Result<Report, Failure> {
    let network = Network::<F>::load(&args.model)?;
    let path = args.model.display().to_string();
    let text = format!("{path}: {network:?}");
    let json = json!({
        "model": path, "dtype": dtype, "dim_input": network.dim_input(), "dim_output": network.dim_output(),
        "weights": network.n_weights(), "layers": network.summary(),
        "architecture": network.architecture().and_then(|a| serde_json::to_value(a).ok()),
    });
    Ok(Report::done(text, json))
}
